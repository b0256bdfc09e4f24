"""What the benchmarks ask of a memory: a haystack of dated sessions, and questions with the turns that answer
them."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
BETWEEN_TURNS = timedelta(seconds=1)
"""The data dates sessions, not turns; a second between turns keeps their order and, in effect, their day."""

Role = Literal["user", "assistant"]


class DataMissing(Exception):
    def __init__(self, place: Path, names: Sequence[str], how: str) -> None:
        super().__init__(f"No data at {place} (looked for {', '.join(names)}).\n{how}")


@dataclass(frozen=True, slots=True)
class Turn:
    """`name`: of the person who spoke, where the data has one."""

    id: str
    role: Role
    name: str | None
    text: str
    said_at: datetime

    @property
    def line(self) -> str:
        """What baselines and peers store and answer: the text with who said it and when."""
        return f"[{self.said_at:%Y-%m-%d}] {self.name or self.role}: {self.text}"


@dataclass(frozen=True, slots=True)
class Session:
    """`id` is the same for the same session in another haystack, and another's nowhere."""

    id: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, and when; without a moment of its own it is asked now."""

    text: str
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """`evidence`: ids of the turns that answer it; `sessions`: of the sessions that do. At least one each."""

    query: Query
    group: str
    evidence: frozenset[str]
    sessions: frozenset[str]


@dataclass(frozen=True)
class Haystack:
    """What one user's memory holds and is asked.

    `elsewhere`: questions to which nothing here is an answer, such as another haystack's; of the questions
    as many are taken beside them. `tricks`: those that sound as if they had an answer here and have none.
    """

    id: str
    sessions: tuple[Session, ...]
    questions: tuple[Question, ...]
    elsewhere: tuple[Query, ...] = ()
    tricks: tuple[Query, ...] = ()

    @cached_property
    def turns(self) -> dict[str, Turn]:
        return {turn.id: turn for session in self.sessions for turn in session.turns}

    @cached_property
    def session_of(self) -> dict[str, str]:
        """By turn."""
        return {turn.id: session.id for session in self.sessions for turn in session.turns}


@dataclass(frozen=True, slots=True)
class File:
    """A data file and its checksum as it lies on disk."""

    path: Path
    sha256: str
    content: bytes
    """Uncompressed."""

    @property
    def facts(self) -> dict[str, str]:
        return {"data": f"{self.path.name}, sha256 {self.sha256}"}


def open_file(place: Path, names: Sequence[str], how: str) -> File:
    """The file that is `place`, or the first of `names` in it. Raises DataMissing, which tells `how` to get
    it."""
    candidates = [place] if place.is_file() else [place / name for name in names]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise DataMissing(place, names, how)
    raw = path.read_bytes()
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix, bytes)
    return File(path, hashlib.sha256(raw).hexdigest(), unpack(raw))


def sampled(haystacks: Sequence[Haystack], count: int | None, seed: int) -> tuple[Haystack, ...]:
    """The same haystacks with `count` of all their questions, and of their tricks at most as many."""
    if count is None:
        return tuple(haystacks)
    numbers = random.Random(seed)
    questions = [(stack.id, one) for stack in haystacks for one in stack.questions]
    tricks = [(stack.id, one) for stack in haystacks for one in stack.tricks]
    asked = numbers.sample(questions, min(count, len(questions)))
    tricked = numbers.sample(tricks, min(count, len(tricks)))
    return tuple(
        replace(
            stack,
            questions=tuple(one for owner, one in asked if owner == stack.id),
            tricks=tuple(one for owner, one in tricked if owner == stack.id),
        )
        for stack in haystacks
    )


def with_elsewhere(haystacks: Sequence[Haystack], count: int, seed: int) -> tuple[Haystack, ...]:
    """Each with `count` questions of other haystacks, at most as many as it has questions of its own; none
    whose evidence sessions it holds too."""
    numbers = random.Random(seed)
    given: list[Haystack] = []
    for stack in haystacks:
        held = {session.id for session in stack.sessions}
        others = [
            question.query
            for other in haystacks
            if other.id != stack.id
            for question in other.questions
            if not question.sessions & held
        ]
        number = min(count, len(stack.questions), len(others))
        given.append(replace(stack, elsewhere=tuple(numbers.sample(others, number))))
    return tuple(given)
