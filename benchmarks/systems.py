"""What every measured system is asked in the same way, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dataset import Query, Session, Turn

BUDGETS = (500, 1_000, 2_000)
"""Tokens of answer within which evidence is looked for."""
DEFAULT_BUDGET = 1_000
HITS = 20
"""Hits that are ranked."""
PACKED = 100
"""Hits that a system without a budget of its own is asked for, so that the largest budget can be filled."""
CHARACTERS_PER_TOKEN = 4


def tokens(text: str) -> float:
    """A round figure for English, the same for every system: four characters are a token."""
    return len(text) / CHARACTERS_PER_TOKEN


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer as it is read, and the turns in it."""

    turns: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What one question brought.

    `hits`: for each of the first `HITS` hits, best first, the turns it is (none, when it is no turn; more,
    when equal turns became one memory). `shown`: the answer within each budget. `known`: whether the system
    said that it knows something. `seconds`: of one search as an assistant would make it; `tokens`: of its
    answer as the system gives it unasked.
    """

    hits: tuple[frozenset[str], ...]
    shown: Mapping[int, Shown]
    known: bool
    seconds: float
    tokens: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes; None where there is none of its own to tell."""

    disk: int | None = None
    peak_memory: int | None = None


class System(Protocol):
    """Remembers sessions, each for one user, and finds turns of that user. It knows nothing of evidence or
    other systems."""

    @property
    def name(self) -> str: ...

    async def add(self, user: str, session: Session) -> None: ...

    async def settle(self) -> None:
        """All is added: what comes now is asked of a system that was ended and started again, where it can
        be."""
        ...

    async def search(self, user: str, query: Query) -> Found: ...

    async def knows(self, user: str, query: Query) -> bool:
        """`Found.known`, and nothing else."""
        ...

    async def footprint(self) -> Footprint: ...


@dataclass(slots=True)
class Shelf:
    """The turns of each user in the order they were added, for systems that answer with positions or ids."""

    turns: dict[str, list[Turn]] = field(default_factory=dict[str, list[Turn]])

    def put(self, user: str, session: Session) -> None:
        self.turns.setdefault(user, []).extend(session.turns)


def found(ranked: Sequence[Turn], seconds: float, tokens_told: float | None = None) -> Found:
    """Of a system without a budget, from the turns it answered: they are packed in its place. Without
    `tokens_told` its answer is the lines of the first `HITS`."""
    told = tokens("\n".join(turn.line for turn in ranked[:HITS])) if tokens_told is None else tokens_told
    return Found(
        hits=tuple(frozenset({turn.id}) for turn in ranked[:HITS]),
        shown={budget: packed(ranked, budget) for budget in BUDGETS},
        known=bool(ranked),
        seconds=seconds,
        tokens=told,
    )


def packed(ranked: Iterable[Turn], budget: int) -> Shown:
    """Whole lines, best first, until the next does not fit; only the first is cut, when it alone is too
    long."""
    room = budget * CHARACTERS_PER_TOKEN
    lines: list[str] = []
    turns: set[str] = set()
    for turn in ranked:
        line = turn.line if lines else turn.line[:room]
        if len(line) > room:
            break
        lines.append(line)
        turns.add(turn.id)
        room -= len(line) + 1
    return Shown(frozenset(turns), "\n".join(lines))
