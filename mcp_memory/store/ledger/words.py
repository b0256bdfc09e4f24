"""What every memory says, word for word, as an index of words in memory is made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from mcp_memory.models import worded
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import NOW, alive

BYTES_PER_MEMORY = 400
BYTES_PER_POSTING = 8
BYTES_PER_CHARACTER = 2
"""What a memory takes in such an index, roughly: itself, and a posting of eight bytes for each different
word."""


class Said(NamedTuple):
    """A memory as it was said. `words` is what full text searches; `observed_at` in microseconds since
    1970."""

    seq: int
    id: str
    session_id: str | None
    role: str | None
    speaker: str | None
    observed_at: int
    words: str
    text: str


def size_of(connection: sa.Connection, owner: str) -> int:
    """About how many bytes an index of this owner's words takes."""
    columns = schema.memory.c
    query = sa.select(sa.func.count(), sa.func.sum(sa.func.length(columns.text)))
    count, characters = connection.execute(query.where(columns.owner == owner)).one()
    return count * BYTES_PER_MEMORY + (characters or 0) * BYTES_PER_CHARACTER


def last_seq(connection: sa.Connection) -> int:
    """Of the latest memory, whoever's: the number that every later one exceeds."""
    return connection.execute(_LAST_SEQ).scalar_one() or 0


_MEMORY = schema.memory.c
_LAST_SEQ = sa.select(sa.func.max(_MEMORY.seq))


def said_since(connection: sa.Connection, owner: str, after_seq: int) -> list[Said]:
    """All that an owner has said after `after_seq`, in the order it was written."""
    after = {"whose": owner, "after": after_seq, "now": datetime.now(UTC)}
    return [
        Said(
            row.seq,
            row.id,
            row.session_id,
            row.role,
            row.speaker,
            schema.micros(row.observed_at),
            worded(row.observed_at, row.speaker, row.text),
            row.text,
        )
        for row in connection.execute(_SAID_SINCE, after)
    ]


_SAID_SINCE = (
    sa.select(
        _MEMORY.seq,
        _MEMORY.id,
        _MEMORY.session_id,
        _MEMORY.role,
        _MEMORY.speaker,
        _MEMORY.observed_at,
        _MEMORY.text,
    )
    .where(
        _MEMORY.owner == sa.bindparam("whose"),
        _MEMORY.seq > sa.bindparam("after"),
        # What rules have drawn says again what was said, and would count its words twice.
        _MEMORY.origin != "rules",
        alive(now=NOW),
    )
    .order_by(_MEMORY.seq)
)
