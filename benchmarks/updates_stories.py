"""Stories of what people told an assistant over months, what there was to understand, and what may be asked
afterwards: `updates_stories.toml` and `updates_heldout.toml`, written by hand."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mcp_memory.models import Kind, NewEntity

FILE = Path(__file__).with_suffix(".toml")
HELD_OUT = FILE.with_name("updates_heldout.toml")
"""Stories that nobody looks at who makes the rules."""
USER = "The user"
"""The subject of facts about whoever speaks without a name."""

QuestionKind = Literal["now", "then", "changed", "when"]
QUESTION_KINDS: tuple[QuestionKind, ...] = ("now", "then", "changed", "when")
Role = Literal["user", "assistant"]


class _Written(BaseModel):
    """What the file says; a key that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Turn(_Written):
    """Written `user = "…"` or `assistant = "…"`."""

    at: datetime
    role: Role
    text: str
    speaker: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_by_role(cls, written: dict[str, Any]) -> dict[str, Any]:
        return _unfolded(written, ("user", "assistant"), "role")


class Fact(_Written):
    """One thing that a careful listener would have understood of `turns`, which are counted from 1 and lie in
    one session.

    `since`, `until`: the time as those turns tell it. `repeats`, `supersedes`, `contradicts`: ids of earlier
    facts. `ends`: it only says that what it supersedes is over, and puts nothing in its place.
    """

    id: str
    text: str
    subject: str = USER
    attribute: str | None = None
    kind: Kind = "fact"
    turns: tuple[int, ...] = Field(min_length=1)
    since: str | None = None
    until: str | None = None
    repeats: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    ends: bool = False
    entities: tuple[NewEntity, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        return (*self.repeats, *self.supersedes, *self.contradicts)


class Question(_Written):
    """Written `now = "…"`, `then = "…"`, `changed = "…"` or `when = "…"`.

    - now, and then (on `as_of`): a right answer has any of `right`; any of `stale` would be no longer true,
      not yet, or never.
    - changed (after `since`): what began has any of `right`, what ended any of `stale`, where there are any;
      nothing of `unchanged` did either.
    - when: what any of `right` names began, or ended, between these two days, both included.
    """

    kind: QuestionKind
    text: str
    right: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    as_of: date | None = None
    since: date | None = None
    began: tuple[date, date] | None = None
    ended: tuple[date, date] | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_by_kind(cls, written: dict[str, Any]) -> dict[str, Any]:
        return _unfolded(written, QUESTION_KINDS, "kind")


class Story(_Written):
    """What one user told, and is asked. `people`: of each person the names that are no one else's here;
    those of one person should become one entity, those of two never."""

    id: str
    category: str
    turns: tuple[Turn, ...]
    facts: tuple[Fact, ...]
    questions: tuple[Question, ...]
    people: tuple[tuple[str, ...], ...] = ()

    @property
    def sessions(self) -> list[list[int]]:
        """Numbers of turns: those of one day are one session."""
        numbers = range(1, len(self.turns) + 1)
        return [list(same) for _, same in groupby(numbers, lambda number: self.turn(number).at.date())]

    def turn(self, number: int) -> Turn:
        """Counted from 1."""
        return self.turns[number - 1]

    @cached_property
    def told_at(self) -> dict[str, datetime]:
        """By fact."""
        return {fact.id: self.turn(fact.turns[-1]).at for fact in self.facts}

    def asked_at(self, question: Question) -> datetime:
        """The end of the day it asks about, or now, as whom it asks takes it: years after the last turn, when
        what was told to begin soon has begun."""
        if question.as_of is not None:
            return datetime.combine(question.as_of, time.max, UTC)
        return datetime.now(UTC)

    def outdated(self, at: datetime) -> list[Fact]:
        """The facts that others had replaced or ended by then."""
        replaced_at: dict[str, datetime] = {}
        for fact in self.facts:
            for target in fact.supersedes:
                replaced_at.setdefault(target, self.told_at[fact.id])
        return [
            fact
            for fact in self.facts
            if any(
                one in replaced_at and self.told_at[fact.id] < replaced_at[one] <= at
                for one in (fact.id, *fact.repeats)
            )
        ]

    def told_after(self, number: int) -> set[int]:
        """The turns that tell, or repeat, what ended anything that this turn told or took its place."""
        told = {fact.id: fact for fact in self.facts if number in fact.turns}
        before = {*told, *(one for fact in told.values() for one in fact.repeats)}
        after: set[str] = set()
        turns: set[int] = set()
        # Facts stand in order, and speak of earlier ones only.
        for fact in self.facts:
            ends = not (before | after).isdisjoint((*fact.supersedes, *fact.contradicts))
            if fact.id not in before and (ends or not after.isdisjoint(fact.repeats)):
                after.add(fact.id)
                turns.update(fact.turns)
        return turns - {number}

    def current(self, at: datetime) -> list[Fact]:
        """The facts that had been told and were true by then."""
        outdated = self.outdated(at)
        return [fact for fact in self.facts if self.told_at[fact.id] <= at and fact not in outdated]


def read(file: Path = FILE) -> tuple[Story, ...]:
    written = tomllib.loads(file.read_text(encoding="utf-8"))
    return tuple(Story.model_validate(story) for story in written["stories"])


def facts(stories: Sequence[Story], file: Path = FILE) -> dict[str, str]:
    """What a table is of."""
    turns = sum(len(story.turns) for story in stories)
    sessions = sum(len(story.sessions) for story in stories)
    questions = sum(len(story.questions) for story in stories)
    return {
        "data": f"{file.name}, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}",
        "asked": f"{questions} questions about {len(stories)} stories, {turns} turns in {sessions} sessions",
    }


def has_any(text: str, phrases: Iterable[str]) -> bool:
    """Whether any of `phrases` stands in `text` as whole words, however it is capitalised and quoted."""
    plain = straight(text)
    return any(re.search(rf"(?<!\w){re.escape(straight(one))}(?!\w)", plain) for one in phrases)


def straight(text: str) -> str:
    """For comparing: one case, straight apostrophes, single spaces."""
    return " ".join(text.replace("’", "'").casefold().split())


def _unfolded(written: dict[str, Any], names: Sequence[str], key: str) -> dict[str, Any]:
    """`{"user": "…"}` as `{"role": "user", "text": "…"}`."""
    given = [name for name in names if name in written]
    if len(given) != 1:
        raise ValueError(f"needs one of {', '.join(names)}")
    rest = {name: value for name, value in written.items() if name != given[0]}
    return {**rest, key: given[0], "text": cast(str, written[given[0]])}
