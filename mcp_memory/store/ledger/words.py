"""What every memory says, word for word, as an index of words in memory is made of it."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from mcp_memory.models import worded
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import alive

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
    return connection.execute(sa.select(sa.func.max(schema.memory.c.seq))).scalar_one() or 0


def said_since(connection: sa.Connection, owner: str, after_seq: int) -> list[Said]:
    """All that an owner has said after `after_seq`, in the order it was written."""
    columns = schema.memory.c
    query = (
        sa.select(
            columns.seq,
            columns.id,
            columns.session_id,
            columns.role,
            columns.speaker,
            columns.observed_at,
            columns.text,
        )
        # What rules have drawn says again what was said, and would count its words twice.
        .where(columns.owner == owner, columns.seq > after_seq, columns.origin != "rules", alive())
        .order_by(columns.seq)
    )
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
        for row in connection.execute(query)
    ]
