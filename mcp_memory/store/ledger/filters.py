"""Filters as expressions over the ledger, every value bound."""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any, cast

import sqlalchemy as sa

from mcp_memory.conditions import Compare, Condition, Either, Every, Not, Plain
from mcp_memory.store.candidates import Filter
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import visible
from mcp_memory.store.ledger.schema import chunks

_ORDER: dict[str, Callable[[Any, Any], Any]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


def matching(connection: sa.Connection, where: Filter) -> dict[str, int]:
    """All that a filter lets through: ids, with their numbers (seq)."""
    columns = schema.memory.c
    query = sa.select(columns.id, columns.seq).where(*_conditions(where))
    if where.ids is None:
        return {row.id: row.seq for row in connection.execute(query)}
    return {
        row.id: row.seq
        for some in chunks(where.ids)
        for row in connection.execute(query.where(columns.id.in_(some)))
    }


def _conditions(where: Filter) -> list[sa.ColumnElement[bool]]:
    columns = schema.memory.c
    conditions = [visible(where.scope)]
    if where.kinds:
        conditions.append(columns.kind.in_(where.kinds))
    if where.levels:
        conditions.append(columns.level.in_(where.levels))
    if where.since is not None:
        conditions.append(columns.observed_at >= where.since)
    if where.until is not None:
        conditions.append(columns.observed_at <= where.until)
    if where.valid_since is not None:
        conditions.append(sa.or_(columns.valid_until.is_(None), columns.valid_until > where.valid_since))
    if where.valid_until is not None:
        conditions.append(sa.or_(columns.valid_from.is_(None), columns.valid_from <= where.valid_until))
    if where.condition is not None:
        conditions.append(_expression(where.condition))
    return conditions


def _expression(condition: Condition) -> sa.ColumnElement[bool]:
    match condition:
        case Every(parts):
            return sa.and_(*map(_expression, parts))
        case Either(parts):
            return sa.or_(*map(_expression, parts))
        case Not(inner):
            return sa.not_(_expression(inner))
        case Compare():
            return _comparison(condition)


def _comparison(compare: Compare) -> sa.ColumnElement[bool]:
    """Whether the metadata has a key whose value compares so. A key that is missing compares with nothing."""
    entry = _entries(schema.memory.c.metadata)
    match compare.operator:
        case "eq" | "in":
            fits = sa.or_(*(_equal(entry, value) for value in compare.values))
        case "ne":
            fits = sa.not_(_equal(entry, compare.values[0]))
        case "contains":
            fits = _contains(entry, compare.values[0])
        case _:
            value = compare.values[0]
            fits = _is_like(entry, value) & _ORDER[compare.operator](entry.c.value, value)
    return sa.exists(sa.select(sa.literal(1)).select_from(entry).where(entry.c.key == compare.key, fits))


def _entries(column: Any) -> sa.TableValuedAlias:
    # By key as a value, never by a path made of it: a key may hold quotes and dots.
    return sa.func.json_each(column).table_valued("key", "value", "type")


def _equal(entry: sa.TableValuedAlias, value: Plain) -> sa.ColumnElement[bool]:
    if value is None:
        return entry.c.type == "null"
    if isinstance(value, bool):
        return entry.c.type == ("true" if value else "false")
    return _is_like(entry, value) & (entry.c.value == value)


def _is_like(entry: sa.TableValuedAlias, value: Plain) -> sa.ColumnElement[bool]:
    """SQLite orders every number before every text: only like is compared with like."""
    return entry.c.type.in_(["text"] if isinstance(value, str) else ["integer", "real"])


def _contains(entry: sa.TableValuedAlias, value: Plain) -> sa.ColumnElement[bool]:
    item = _entries(sa.case((entry.c.type == "array", entry.c.value), else_="[]"))
    inside = sa.exists(sa.select(sa.literal(1)).select_from(item).where(_equal(item, value)))
    if not isinstance(value, str):
        return inside
    within = (entry.c.type == "text") & (sa.func.instr(entry.c.value, value) > 0)
    return cast("sa.ColumnElement[bool]", within | inside)
