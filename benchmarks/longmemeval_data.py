"""LongMemEval: one person's chats with an assistant, and questions with the turns that answer them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dataset
from dataset import BETWEEN_TURNS, File, Haystack, Query, Question, Role, Session, Turn
from pydantic import BaseModel, TypeAdapter

FILE_NAMES = (
    "longmemeval_oracle_dev.json.xz",
    "longmemeval_oracle.json",
    "longmemeval_oracle.json.xz",
)
HOW = (
    "Get longmemeval_oracle.json (the questions with their evidence sessions; MIT) as "
    "https://github.com/xiaowu0162/LongMemEval tells, and give the folder it is in with --data."
)
POOLED = "pooled"

_DATE_TIME = "%Y/%m/%d (%a) %H:%M"
_UNANSWERABLE = "_abs"
"""Ends the id of a question about something that was never said."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the sessions that answer it; `question` is None where nothing does."""

    id: str
    query: Query
    question: Question | None
    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class LongMemEval:
    file: File
    asked: tuple[Asked, ...]

    @property
    def sessions(self) -> dict[str, Session]:
        """Of all questions, each once."""
        return {session.id: session for one in self.asked for session in one.sessions}


def read(place: Path) -> LongMemEval:
    """The LongMemEval file that is `place` or stands in it. Raises DataMissing."""
    file = dataset.open_file(place, FILE_NAMES, HOW)
    samples = TypeAdapter(list[_Sample]).validate_json(file.content)
    return LongMemEval(file, tuple(map(_asked, samples)))


def pooled(data: LongMemEval) -> Haystack:
    """All sessions of all questions as one person's, and all questions asked of them."""
    return Haystack(
        id=POOLED,
        sessions=_in_order(data.sessions.values()),
        questions=tuple(one.question for one in data.asked if one.question),
        elsewhere=tuple(one.query for one in data.asked if one.question is None),
    )


def haystacks(data: LongMemEval, count: int, size: int, seed: int) -> tuple[Haystack, ...]:
    """`count` questions, each with a memory of its own: its sessions, and others' up to `size`."""
    numbers = random.Random(seed)
    every = data.sessions
    chosen = numbers.sample(data.asked, min(count, len(data.asked)))
    return tuple(_haystack(one, every, size, numbers) for one in chosen)


def _haystack(one: Asked, every: dict[str, Session], size: int, numbers: random.Random) -> Haystack:
    own = {session.id for session in one.sessions}
    others = [session for session in every.values() if session.id not in own]
    noise = numbers.sample(others, max(0, min(size - len(own), len(others))))
    return Haystack(
        id=one.id,
        sessions=_in_order([*one.sessions, *noise]),
        questions=(one.question,) if one.question else (),
        tricks=() if one.question else (one.query,),
    )


def _in_order(sessions: Iterable[Session]) -> tuple[Session, ...]:
    return tuple(sorted(sessions, key=lambda session: session.turns[0].said_at))


class _RawTurn(BaseModel):
    role: Role
    content: str
    has_answer: bool = False


class _Sample(BaseModel):
    question_id: str
    question_type: str
    question: str
    question_date: str
    haystack_dates: list[str]
    haystack_session_ids: list[str]
    haystack_sessions: list[list[_RawTurn]]
    answer_session_ids: list[str]


def _asked(sample: _Sample) -> Asked:
    sessions: list[Session] = []
    evidence: set[str] = set()
    raw = zip(sample.haystack_session_ids, sample.haystack_dates, sample.haystack_sessions, strict=True)
    for name, date, turns in raw:
        session = _session(_id(name), date, turns)
        sessions.append(session)
        evidence |= {
            turn.id for turn, written in zip(session.turns, turns, strict=True) if written.has_answer
        }
    query = Query(sample.question, _moment(sample.question_date))
    question = None
    if evidence and not sample.question_id.endswith(_UNANSWERABLE):
        gold = frozenset(_id(name) for name in sample.answer_session_ids)
        question = Question(query, sample.question_type, frozenset(evidence), gold)
    return Asked(sample.question_id, query, question, tuple(sessions))


def _session(session_id: str, date: str, raw: Sequence[_RawTurn]) -> Session:
    began_at = _moment(date)
    turns = tuple(
        Turn(f"{session_id}:{number}", turn.role, None, turn.content, began_at + number * BETWEEN_TURNS)
        for number, turn in enumerate(raw)
    )
    return Session(session_id, turns)


def _moment(written: str) -> datetime:
    # The data names no time zone.
    return datetime.strptime(written, _DATE_TIME).replace(tzinfo=UTC)


def _id(name: str) -> str:
    """Without the word that would tell a reader of ids which sessions hold answers."""
    return name.removeprefix("answer_")
