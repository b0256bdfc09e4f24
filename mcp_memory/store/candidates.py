"""What a signal is asked and what it answers, whichever store it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from mcp_memory.conditions import Condition
from mcp_memory.models import Kind, Level, Scope

IDS_PER_FILTER = 10_000
"""Ids in one filter expression; a search confined to more memories than that is confined to the latest of
them."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a candidate must fulfil, before it is ranked. `ids` confines it to these memories; `valid_since`
    and `valid_until` to what was true at some time between them."""

    scope: Scope
    now: datetime
    kinds: tuple[Kind, ...] = ()
    levels: tuple[Level, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    valid_since: datetime | None = None
    valid_until: datetime | None = None
    condition: Condition | None = None
    """On metadata, which only the ledger has."""
    ids: tuple[str, ...] | None = None

    @property
    def needs_ledger(self) -> bool:
        """Whether an index cannot tell what passes."""
        return any(one is not None for one in (self.valid_since, self.valid_until, self.condition))

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves out anything that the scope sees."""
        asked = (self.since, self.until, self.valid_since, self.valid_until, self.condition, self.ids)
        return bool(self.kinds or self.levels) or any(one is not None for one in asked)


class Candidate(NamedTuple):
    """A row that one signal found. `score` is that signal's own: a cosine, or a BM25 sum.

    A tuple, as hundreds are made in each search, and a dataclass takes more than twice as long."""

    memory_id: str
    score: float
    session_id: str | None
    role: str | None
    speaker: str | None


QUESTION, NUMBER, TIME = 1, 2, 4
"""Marks of a text: it ends as a question, holds a digit, names a time."""


class Worded(NamedTuple):
    """What the words of a memory say to a query, beside those of what was said around it."""

    memory_id: str
    score: float
    """BM25 of its own words."""
    nearby: float
    """BM25 of its words and those of the turns just before and after it, as one text."""
    session: float
    """BM25 of its whole session."""
    coverage: float
    """How much of the query's words it has, each weighed by its rarity; 0 to 1."""
    previous: str | None
    following: str | None
    """Ids of the turns just before and after it."""
    marks: int
    previous_marks: int
