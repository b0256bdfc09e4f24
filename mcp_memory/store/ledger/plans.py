"""Plans of forgetting: which memories one means, for the scope that made it and for a short time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import Scope
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.schema import new_id


def _plan_scope(scope: Scope) -> str:
    return json.dumps(scope.owners, ensure_ascii=False)


def save(connection: sa.Connection, scope: Scope, memory_ids: Sequence[str], now: datetime) -> str:
    """Remember what a plan means; the words that led to it are not kept."""
    plan_id = new_id("p")
    connection.execute(
        insert(schema.plan).values(
            id=plan_id, scope=_plan_scope(scope), memory_ids=" ".join(memory_ids), created_at=now
        )
    )
    return plan_id


def find(connection: sa.Connection, scope: Scope, plan_id: str) -> tuple[tuple[str, ...], datetime] | None:
    """The memory ids of a plan made in exactly this scope, and when it was made."""
    row = connection.execute(
        sa.select(schema.plan).where(schema.plan.c.id == plan_id, schema.plan.c.scope == _plan_scope(scope))
    ).first()
    return None if row is None else (tuple(row.memory_ids.split()), row.created_at)


def drop(connection: sa.Connection, *, before: datetime, plan_id: str | None = None) -> None:
    """Delete one plan, and all that are older than `before`."""
    connection.execute(
        sa.delete(schema.plan).where((schema.plan.c.created_at < before) | (schema.plan.c.id == plan_id))
    )
