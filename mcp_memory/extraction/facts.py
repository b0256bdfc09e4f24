"""What is understood of what was said: the values every extractor takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from mcp_memory import resolving
from mcp_memory.models import Kind, Memory, NewEntity, NewRelation, Role
from mcp_memory.usage import NOTHING_SPENT, Usage

USER: Final = resolving.USER
"""Who "I" is, where nobody says a name."""
USER_ALIASES: Final = resolving.USER_ALIASES


@dataclass(frozen=True, slots=True)
class Turn:
    """Something said, whole: a message, or one statement that the calling assistant wrote."""

    id: str
    text: str
    role: Role | None
    speaker: str | None
    observed_at: datetime
    is_statement: bool = False
    """A statement is a fact already: what is found in it describes it, and is not written beside it."""

    @property
    def first_person(self) -> str | None:
        """Whom "I" names here: the speaker, or the user; None in an assistant's own words."""
        if self.role in (None, "user"):
            return self.speaker or USER
        return self.speaker


@dataclass(frozen=True, slots=True)
class Known:
    """A fact that is remembered already and may be repeated, replaced or contradicted."""

    id: str
    text: str
    subject: str | None
    observed_at: datetime
    valid_from: datetime | None
    valid_until: datetime | None

    @classmethod
    def of(cls, fact: Memory, subject: str | None) -> Known:
        return cls(fact.id, fact.text, subject, fact.observed_at, fact.valid_from, fact.valid_until)


@dataclass(frozen=True, slots=True)
class Passage:
    """What is read in one pass: some turns in order of time, what was said just before them, and what is
    known of the same things. Facts are drawn from `turns` alone."""

    turns: tuple[Turn, ...]
    earlier: tuple[Turn, ...] = ()
    known: tuple[Known, ...] = ()


Judgement = Literal["repeats", "supersedes", "contradicts"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a new fact does to a known one."""

    known_id: str
    judgement: Judgement


EITHER: Final = "yes"
"""The value of what is either so or not, and takes no other's place."""


@dataclass(frozen=True, slots=True)
class FoundFact:
    """One thing that was said, understood: self-contained, in the third person, its subject named."""

    text: str
    kind: Kind
    sources: tuple[str, ...]
    """Ids of the turns it rests on; never empty."""
    subject: str | None = None
    """Whom or what it is about, a name."""
    slot: str | None = None
    """What there is one of at a time, as `lives in` or `prefers: coffee | tea`: a later fact with the same
    subject and slot replaces an earlier one. None where several may be true together."""
    importance: float = 0.5
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    """When it is true in the world, resolved by code; None where nobody said."""
    entities: tuple[NewEntity, ...] = ()
    relations: tuple[NewRelation, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    value: str | None = None
    """What fills the slot, where neither its relation nor its text is that: a plan's day, `EITHER`. Empty
    where it does not say with what: then it takes no other's place, and none but a negation takes its own."""
    negates: bool = False
    """It says that something is no longer, or never was: it ends what fills its slot and puts nothing
    there."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was found in one pass. `mentions` are entities by the id of the turn that names them."""

    facts: tuple[FoundFact, ...] = ()
    mentions: tuple[tuple[str, NewEntity], ...] = ()
    unsupported: int = 0
    """Facts dropped because they share nothing with the turns they cite."""
    invalid: int = 0
    """Facts, verdicts, dates and names dropped because they cannot be: unknown ids, impossible dates."""
    usage: Usage = NOTHING_SPENT


class Extractor(Protocol):
    """Understands a passage. It knows neither stores nor scopes."""

    @property
    def name(self) -> str:
        """Who drew a fact: `rules`, or a model's name."""
        ...

    async def extract(self, passage: Passage) -> Extraction:
        """Raises ExtractionFailed."""
        ...

    async def aclose(self) -> None: ...
