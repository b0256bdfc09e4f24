"""Writes that were acknowledged, by the id their client gave them, so that a repeated one is stored once."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.errors import InvalidInput
from mcp_memory.store.ledger import schema

KEPT = timedelta(days=1)
"""A client repeats a call within seconds; a day leaves room for a laptop that was asleep."""


def find(connection: sa.Connection, write_id: str) -> str | None:
    """What was answered to this write; ids only."""
    query = sa.select(schema.written.c.outcome).where(schema.written.c.write_id == write_id)
    return connection.execute(query).scalar_one_or_none()


def require_same(is_same: bool) -> None:
    """Raises InvalidInput for what is no repetition: to answer it as one would lose it."""
    if not is_same:
        raise InvalidInput("write_id", "was used for another write; give each write an id of its own")


def save(connection: sa.Connection, write_id: str, outcome: str, now: datetime) -> None:
    """Note it in the transaction that does the work, and drop what nobody will ask for again."""
    connection.execute(insert(schema.written).values(write_id=write_id, at=now, outcome=outcome))
    connection.execute(sa.delete(schema.written).where(schema.written.c.at < now - KEPT))
