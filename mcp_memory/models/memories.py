"""One remembered thing, and what took the place of what."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from mcp_memory.models.moments import Moment
from mcp_memory.models.values import Kind, Level, Origin, Role, State, Value


class Memory(Value):
    """One remembered thing. `source` is the client it came through, taken from the connection."""

    id: str
    text: str
    kind: Kind
    level: Level
    user_id: str
    agent_id: str | None = None
    session_id: str | None = None
    role: Role | None = None
    speaker: str | None = None
    source: str | None = None
    observed_at: Moment
    recorded_at: Moment
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    expires_at: Moment | None = None
    importance: float = 0.5
    state: State = "active"
    origin: Origin = "given"
    suspicious: bool = False
    """It reads like an instruction to an assistant."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def said(self) -> str:
        """The text with who said it, when that is known: `Ann: I moved to Lisbon.`"""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text

    @property
    def worded(self) -> str:
        return worded(self.observed_at, self.speaker, self.text)


def worded(observed_at: datetime, speaker: str | None, text: str) -> str:
    """What full text searches: `8 May 2023 Ann: I moved to Lisbon.`

    Who and when are among the words that are asked for: on LoCoMo the speaker was worth 3 points, the date 3
    more.
    """
    said = f"{speaker}: {text}" if speaker else text
    return f"{observed_at.day} {_MONTHS[observed_at.month - 1]} {observed_at.year} {said}"


_MONTHS = "January February March April May June July August September October November December".split()
"""Whatever the machine's language is."""


class Succession(Value):
    """A fact, and what took its place, or says otherwise of the same thing, or the same again."""

    old: Memory
    new: Memory
    at: Moment
    """Since when the old one is no longer true, if it is not."""
    judgement: Literal["supersedes", "contradicts", "repeats"] = "supersedes"
