"""The LoCoMo conversations: two people over months, and questions with the turns that answer them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dataset
from dataset import BETWEEN_TURNS, File, Haystack, Query, Question, Session, Turn
from pydantic import BaseModel, TypeAdapter

FILE_NAMES = ("locomo_dev.json.gz", "locomo10.json", "locomo10.json.gz")
HOW = (
    "Get data/locomo10.json from https://github.com/snap-research/locomo (CC BY-NC 4.0: no commercial use) "
    "and give the folder it is in with --data."
)

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
"""Those that have an answer. Category 5 is adversarial: its questions have none in the conversation."""

_DATE_TIME = "%I:%M %p on %d %B, %Y"
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")


@dataclass(slots=True)
class Dropped:
    """What the data holds and the measurement leaves out."""

    without_evidence: int = 0
    """Questions of the asked categories whose evidence is empty or names no turn."""
    unknown_evidence: int = 0
    """Evidence entries that name no turn of their conversation."""


@dataclass(frozen=True, slots=True)
class Locomo:
    file: File
    conversations: tuple[Haystack, ...]
    dropped: Dropped


def read(place: Path, first: int | None = None) -> Locomo:
    """The `first` conversations, or all, of the LoCoMo file that is `place` or stands in it.

    Raises DataMissing.
    """
    file = dataset.open_file(place, FILE_NAMES, HOW)
    samples = TypeAdapter(list[_Sample]).validate_json(file.content)[:first]
    dropped = Dropped()
    return Locomo(file, tuple(_conversation(sample, dropped) for sample in samples), dropped)


class _RawTurn(BaseModel):
    speaker: str
    dia_id: str
    text: str


class _RawQuestion(BaseModel):
    question: str
    category: int
    evidence: list[str] = []


class _Sample(BaseModel):
    sample_id: str
    conversation: dict[str, Any]
    qa: list[_RawQuestion]


def _conversation(sample: _Sample, dropped: Dropped) -> Haystack:
    # Some dates stand without a session.
    numbers = sorted(
        int(key.removeprefix("session_"))
        for key in sample.conversation
        if re.fullmatch(r"session_\d+", key) and sample.conversation[key]
    )
    sessions = tuple(_session(sample, f"session_{number}") for number in numbers)
    session_of = {turn.id: session.id for session in sessions for turn in session.turns}
    return Haystack(
        id=sample.sample_id,
        sessions=sessions,
        questions=_questions(sample.qa, session_of, dropped),
        tricks=tuple(Query(one.question) for one in sample.qa if one.category not in CATEGORIES),
    )


def _session(sample: _Sample, key: str) -> Session:
    # The data names no time zone.
    began_at = datetime.strptime(sample.conversation[f"{key}_date_time"], _DATE_TIME).replace(tzinfo=UTC)
    raw = TypeAdapter(list[_RawTurn]).validate_python(sample.conversation[key])
    turns = tuple(
        Turn(turn.dia_id, "user", turn.speaker, turn.text, began_at + number * BETWEEN_TURNS)
        for number, turn in enumerate(raw)
    )
    return Session(f"{sample.sample_id} {key}", turns)


def _questions(
    raw: Sequence[_RawQuestion], session_of: dict[str, str], dropped: Dropped
) -> tuple[Question, ...]:
    questions: list[Question] = []
    for question in raw:
        if question.category not in CATEGORIES:
            continue
        evidence: set[str] = set()
        for entry in question.evidence:
            named = turn_ids(entry)
            dropped.unknown_evidence += len(named - session_of.keys()) if named else 1
            evidence |= named & session_of.keys()
        if evidence:
            sessions = frozenset(session_of[turn] for turn in evidence)
            group = CATEGORIES[question.category]
            questions.append(Question(Query(question.question), group, frozenset(evidence), sessions))
        else:
            dropped.without_evidence += 1
    return tuple(questions)


def turn_ids(entry: str) -> set[str]:
    """The ids in one evidence entry: `D8:6; D9:17`, `D9:1 D4:4`, `D:11:26` and `D30:05` all occur."""
    return {f"D{int(session)}:{int(turn)}" for session, turn in _EVIDENCE.findall(entry)}
