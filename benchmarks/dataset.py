"""The LoCoMo conversations: dated sessions of turns, and questions with the turns that answer them."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
FILE_NAMES = ("locomo_dev.json.gz", "locomo10.json", "locomo10.json.gz")

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
"""Those that are asked. Category 5 is adversarial: its questions have no answer in the conversation."""

BETWEEN_TURNS = timedelta(seconds=1)
"""The data dates sessions, not turns; a second between turns keeps their order and, in effect, their day."""

_DATE_TIME = "%I:%M %p on %d %B, %Y"
_EVIDENCE = re.compile(r"D:?(\d+):(\d+)")


class DataMissing(Exception):
    def __init__(self, place: Path) -> None:
        super().__init__(
            f"No LoCoMo data at {place} (looked for {', '.join(FILE_NAMES)}).\n"
            "Get data/locomo10.json from https://github.com/snap-research/locomo (CC BY-NC 4.0: no "
            "commercial use) and give the folder it is in with --data."
        )


@dataclass(frozen=True, slots=True)
class Turn:
    id: str
    speaker: str
    text: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """`evidence`: ids of the turns that answer it, at least one."""

    text: str
    category: int
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    sessions: tuple[Session, ...]
    questions: tuple[Question, ...]

    @property
    def turns(self) -> tuple[Turn, ...]:
        return tuple(turn for session in self.sessions for turn in session.turns)


@dataclass(slots=True)
class Dropped:
    """What the data holds and the measurement leaves out."""

    adversarial: int = 0
    without_evidence: int = 0
    """Questions of the asked categories whose evidence is empty or names no turn."""
    unknown_evidence: int = 0
    """Evidence entries that name no turn of their conversation."""


@dataclass(frozen=True, slots=True)
class Dataset:
    file: Path
    sha256: str
    conversations: tuple[Conversation, ...]
    dropped: Dropped


def read(place: Path, first: int | None = None) -> Dataset:
    """The `first` conversations, or all, of the LoCoMo file that is `place` or stands in it.

    Raises DataMissing.
    """
    candidates = [place] if place.is_file() else [place / name for name in FILE_NAMES]
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise DataMissing(place)
    content = file.read_bytes()
    text = gzip.decompress(content) if file.suffix == ".gz" else content
    samples = TypeAdapter(list[_Sample]).validate_json(text)[:first]
    dropped = Dropped()
    conversations = tuple(_conversation(sample, dropped) for sample in samples)
    return Dataset(file, hashlib.sha256(content).hexdigest(), conversations, dropped)


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


def _conversation(sample: _Sample, dropped: Dropped) -> Conversation:
    # Some dates stand without a session.
    numbers = sorted(
        int(key.removeprefix("session_"))
        for key in sample.conversation
        if re.fullmatch(r"session_\d+", key) and sample.conversation[key]
    )
    sessions = tuple(_session(sample.conversation, f"session_{number}") for number in numbers)
    known = {turn.id for session in sessions for turn in session.turns}
    questions = _questions(sample.qa, known, dropped)
    return Conversation(sample.sample_id, sessions, questions)


def _session(conversation: dict[str, Any], key: str) -> Session:
    # The data names no time zone.
    began_at = datetime.strptime(conversation[f"{key}_date_time"], _DATE_TIME).replace(tzinfo=UTC)
    raw = TypeAdapter(list[_RawTurn]).validate_python(conversation[key])
    turns = tuple(
        Turn(turn.dia_id, turn.speaker, turn.text, began_at + number * BETWEEN_TURNS)
        for number, turn in enumerate(raw)
    )
    return Session(key, turns)


def _questions(raw: Sequence[_RawQuestion], known: set[str], dropped: Dropped) -> tuple[Question, ...]:
    questions: list[Question] = []
    for question in raw:
        if question.category not in CATEGORIES:
            dropped.adversarial += 1
            continue
        evidence: set[str] = set()
        for entry in question.evidence:
            named = turn_ids(entry)
            dropped.unknown_evidence += len(named - known) if named else 1
            evidence |= named & known
        if evidence:
            questions.append(Question(question.question, question.category, frozenset(evidence)))
        else:
            dropped.without_evidence += 1
    return tuple(questions)


def turn_ids(entry: str) -> set[str]:
    """The ids in one evidence entry: `D8:6; D9:17`, `D9:1 D4:4`, `D:11:26` and `D30:05` all occur."""
    return {f"D{int(session)}:{int(turn)}" for session, turn in _EVIDENCE.findall(entry)}
