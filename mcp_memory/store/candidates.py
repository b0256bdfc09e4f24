"""What a signal is asked and what it answers, whichever store it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mcp_memory.models import Kind, Scope

IDS_PER_FILTER = 10_000
"""Ids in one filter expression; a search confined to more memories than that is confined to the latest of
them."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a candidate must fulfil, before it is ranked. `ids` confines it to these memories."""

    scope: Scope
    now: datetime
    kinds: tuple[Kind, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that one signal found. `score` is that signal's own: a cosine, or a BM25 sum."""

    memory_id: str
    score: float
    session_id: str | None
    role: str | None
    speaker: str | None
    tokens: bytes | None = None
    """Packed, for late interaction; None where the embedder makes none or nobody asked for them."""
