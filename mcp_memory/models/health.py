"""How much there is, what it cost, and whether the three stores agree."""

from __future__ import annotations

from typing import Literal

from mcp_memory.models.moments import Moment
from mcp_memory.models.values import Value


class UsageOfDay(Value):
    """What a provider cost on one day (UTC, ISO 8601), for one purpose."""

    day: str
    provider: str
    purpose: str
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    unsupported: int = 0
    """Facts dropped because the words they cite do not say it."""
    invalid: int = 0
    """Facts and names dropped because they cannot be."""


class ExtractionHealth(Value):
    """How far facts are drawn from what was said."""

    provider: str
    waiting: int = 0
    failed: int = 0
    """Writes whose facts wait for `mcp-memory retry`."""
    error: str | None = None
    """Why the latest of them is not done."""
    usage: tuple[UsageOfDay, ...] = ()
    """What the latest days cost, the newest first."""
    daily_token_limit: int = 0


class Stats(Value):
    """How much is remembered in a scope."""

    memories: int
    by_kind: dict[str, int]
    by_level: dict[str, int]
    entities: int
    relations: int
    sessions: int
    oldest: Moment | None = None
    newest: Moment | None = None
    hidden: int = 0
    """Forgotten here, and not erased before their days of grace are over."""
    pending: int = 0
    """Memories acknowledged but not yet indexed, in the whole store."""
    superseded: int = 0
    """Facts that hold no longer, here."""
    extraction: ExtractionHealth | None = None
    """How far facts are drawn and what that cost, in the whole store."""


class IndexHealth(Value):
    """One derived index against the ledger. `rows` is None when it could not be read; `problem` says why."""

    name: Literal["vectors", "graph"]
    rows: int | None
    expected: int
    bytes: int
    problem: str | None = None
    resident: int = 0
    """Rows held in memory, where search by meaning is exact."""

    @property
    def agrees(self) -> bool:
        return self.problem is None and self.rows == self.expected


class Difference(Value):
    """One thing in which an index is not what the ledger says."""

    index: Literal["vectors", "graph"]
    id: str
    problem: Literal["missing", "left over", "twice", "not as in the ledger"]


class Comparison(Value):
    """The three stores compared row by row."""

    memories: int
    entities: int
    mentions: int
    relations: int
    ledger_problems: tuple[str, ...] = ()
    """What SQLite's own check found, and receipts whose chain is broken."""
    receipts: int = 0
    differences: tuple[Difference, ...] = ()
    """The first 200."""
    total: int = 0
    """How many differences there are."""
    recall: float | None = None
    """Of the ten nearest that an exact search in the files finds, the share that a search finds, over 50
    memories; None when there are none."""
    repaired: bool = False
    unverified: tuple[str, ...] = ()
    """Receipts of erasures after which something was still found, and where."""

    @property
    def agrees(self) -> bool:
        return not self.total and not self.ledger_problems


class Health(Value):
    """What `doctor` shows: where things are, how large, which embedder, and whether the three stores
    agree."""

    data_dir: str
    schema_version: int
    ledger_bytes: int
    ledger_memories: int
    pending: int
    """Acknowledged, not yet indexed."""
    pending_since: Moment | None = None
    """Since when the oldest of it waits."""
    hidden: int = 0
    """Forgotten, and to be erased when their days of grace are over."""
    extraction: ExtractionHealth | None = None
    embedder: str
    indexes: tuple[IndexHealth, ...]
    set_aside: tuple[str, ...] = ()
    """Damaged indexes that were moved out of the way."""
    warnings: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return self.pending == 0 and all(index.agrees for index in self.indexes)


class Merged(Value):
    """What came from another ledger."""

    added: int
    known: int
    """Memories that were here already."""
    forgotten: int
    """Memories that were left out because they were forgotten here."""


class Rebuilding(Value):
    """What is being made anew from the ledger, in the background."""

    memories: int
    entities: int
    relations: int
    embedder: str
