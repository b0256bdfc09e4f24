"""Rows of the ledger as domain values, and which of them a scope may see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from mcp_memory.models import Memory, Scope
from mcp_memory.store.ledger import schema

COLUMNS = [column for column in schema.memory.c if column.name in Memory.model_fields]
_FIELDS = [column.name for column in COLUMNS]


def owner_of(memory: Memory) -> str:
    return scope_of(memory).owner(memory.level)


def scope_of(memory: Memory) -> Scope:
    return Scope(user_id=memory.user_id, agent_id=memory.agent_id, session_id=memory.session_id)


def visible(
    scope: Scope, *, all_sessions: bool = False, hidden: bool = False, by_id: bool = False
) -> sa.ColumnElement[bool]:
    """True for rows of `memory` that this scope may see, that have not expired and are not forgotten; with
    `hidden` also for those that are forgotten and not erased yet. `by_id` says that the rows are named by
    their ids, so that nothing else is to be searched for them."""
    owner = unindexed(schema.memory.c.owner) if by_id else schema.memory.c.owner
    owned = owner.in_(scope.owners)
    if all_sessions:
        owned |= (schema.memory.c.level == "session") & (schema.memory.c.user_id == scope.user_id)
    return owned & alive(hidden=hidden)


def alive(*, hidden: bool = False, now: sa.ColumnElement[datetime] | None = None) -> sa.ColumnElement[bool]:
    """True for rows of `memory` that have not expired and, but for `hidden`, are not forgotten."""
    at = sa.literal(datetime.now(UTC), schema.Time) if now is None else now
    unexpired = sa.or_(schema.memory.c.expires_at.is_(None), schema.memory.c.expires_at > at)
    return unexpired if hidden else unexpired & schema.memory.c.forgetting_id.is_(None)


def unindexed(column: sa.Column[str]) -> sa.ColumnElement[str]:
    """The column, of which no index is used: `id IN (…) AND owner IN (…)` made SQLite read all rows of the
    owner, as it knows no more of either index (4 ms at 10,000 memories, and more with every memory)."""
    return column.concat("")


class _Texts(sa.types.TypeDecorator[Sequence[str]]):
    """Some texts as one parameter."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: sa.Dialect) -> str:
        return json.dumps(list(value or ()), ensure_ascii=False)


def among(column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """Whether the column is one of the texts that are given as `name` when the statement is executed.

    One parameter however many there are: the statement is built and compiled once, which for each of those
    that a search needs took longer than the reading.
    """
    listed = sa.func.json_each(sa.bindparam(name, type_=_Texts)).table_valued("value")
    return column.in_(sa.select(listed.c.value))


NOW = sa.bindparam("now", type_=schema.Time)
VISIBLE = among(unindexed(schema.memory.c.owner), "owners") & alive(now=NOW)
"""What `visible` says, for a statement that is built once and names its rows by their ids; it is executed
with what `seen_by` answers."""


def seen_by(scope: Scope) -> dict[str, Any]:
    """The values of `VISIBLE`: whose rows, and now."""
    return {"owners": scope.owners, "now": datetime.now(UTC)}


def memory_of(row: sa.Row[Any]) -> Memory:
    # Not validated again: it was when it came in, and this is the hot path of every search. Restored as a
    # pickled one would be: `model_construct` asks each field for its default and alias, four times as long.
    memory = Memory.__new__(Memory)
    memory.__setstate__(
        {
            "__dict__": dict(zip(_FIELDS, row[-len(_FIELDS) :], strict=True)),
            "__pydantic_fields_set__": set(_FIELDS),
            "__pydantic_extra__": None,
            "__pydantic_private__": None,
        }
    )
    return memory
