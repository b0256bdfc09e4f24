"""The outbox: what the ledger has acknowledged and the indexes still have to do. It knows no scope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import Memory, Scope
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import COLUMNS, among, memory_of, owner_of, visible

COMPARED = 1_000
"""Memories read at once for a comparison."""


@dataclass(frozen=True, slots=True)
class Pending:
    memory_id: str
    work: Literal["index", "erase"]


class RelationRow(NamedTuple):
    """An edge of the graph. Validity is in microseconds since 1970; the predicate's name stays in the
    ledger."""

    subject_id: str
    object_id: str
    relation_id: str
    predicate: int
    valid_from: int | None
    valid_until: int | None
    memory_id: str


@dataclass(frozen=True, slots=True)
class GraphRows:
    """The topology of some memories, as the graph takes it: ids, codes and times, no text."""

    memory_ids: tuple[str, ...]
    entity_ids: tuple[str, ...]
    mentions: tuple[tuple[str, str], ...]
    """(memory id, entity id)"""
    relations: tuple[RelationRow, ...]


def enqueue_missing(connection: sa.Connection, present: frozenset[str]) -> int:
    """Make pending what an index lacks; answers how many."""
    missing = sorted(memory_ids(connection) - present)
    enqueue(connection, missing, "index", datetime.now(UTC))
    return len(missing)


def enqueue(
    connection: sa.Connection, ids: Sequence[str], work: Literal["index", "erase"], since: datetime
) -> None:
    """Note work for the indexes, in the transaction that makes it necessary."""
    if ids:
        connection.execute(_ENQUEUE, [{"memory_id": one, "work": work, "since": since} for one in ids])


_new = insert(schema.pending)
_ENQUEUE = _new.on_conflict_do_update(index_elements=["memory_id"], set_={"work": _new.excluded.work})


def enqueue_unless_pending(connection: sa.Connection, ids: Sequence[str], since: datetime) -> tuple[str, ...]:
    """Note index work for those of the memories that do not wait for it already; answers which."""
    waiting = pending_ids(connection)
    new = tuple(one for one in ids if one not in waiting)
    enqueue(connection, new, "index", since)
    return new


def pending(connection: sa.Connection, limit: int) -> tuple[Pending, ...]:
    """Work that is acknowledged and not done, oldest first."""
    return tuple(
        Pending(row.memory_id, row.work) for row in connection.execute(_OLDEST_PENDING, {"most": limit})
    )


_OLDEST_PENDING = (
    sa.select(schema.pending)
    .order_by(schema.pending.c.since, schema.pending.c.memory_id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def pending_count(connection: sa.Connection) -> int:
    """How much work waits."""
    return connection.execute(_PENDING_COUNT).scalar_one()


_PENDING_COUNT = sa.select(sa.func.count()).select_from(schema.pending)


def pending_of(connection: sa.Connection, scope: Scope) -> int:
    """How many memories wait of those that a scope sees."""
    if not pending_count(connection):
        return 0
    query = (
        sa.select(sa.func.count(schema.pending.c.memory_id.distinct()))
        .join(schema.memory, schema.memory.c.id == schema.pending.c.memory_id)
        .where(visible(scope, by_id=True))
    )
    return connection.execute(query).scalar_one()


def pending_since(connection: sa.Connection) -> datetime | None:
    """Since when the oldest waits."""
    return connection.execute(sa.select(sa.func.min(schema.pending.c.since))).scalar_one()


def pending_ids(connection: sa.Connection) -> frozenset[str]:
    return frozenset(connection.execute(_PENDING_IDS).scalars())


_PENDING_IDS = sa.select(schema.pending.c.memory_id)


def memory_ids(connection: sa.Connection) -> frozenset[str]:
    """Every memory there is."""
    return frozenset(connection.execute(sa.select(schema.memory.c.id)).scalars())


def mark_done(connection: sa.Connection, memory_ids: Sequence[str]) -> None:
    """Work that the indexes have on disk."""
    connection.execute(_MARK_DONE, {"ids": memory_ids})


_MARK_DONE = sa.delete(schema.pending).where(among(schema.pending.c.memory_id, "ids"))


def enqueue_all(connection: sa.Connection) -> int:
    """Make every memory pending, for indexes that are built anew; answers how many."""
    rows = sa.select(schema.memory.c.id, sa.literal("index"), schema.memory.c.recorded_at)
    statement = insert(schema.pending).from_select(["memory_id", "work", "since"], rows.where(sa.true()))
    return connection.execute(statement.on_conflict_do_nothing()).rowcount


def every_memory(connection: sa.Connection, after_seq: int, limit: int) -> tuple[tuple[int, Memory], ...]:
    """A page of the whole ledger with sequence numbers."""
    query = (
        sa.select(schema.memory.c.seq, *COLUMNS)
        .where(schema.memory.c.seq > after_seq)
        .order_by(schema.memory.c.seq)
    )
    return tuple((row.seq, memory_of(row)) for row in connection.execute(query.limit(limit)))


def expected_rows(connection: sa.Connection) -> dict[str, tuple[str, str]]:
    """Owner and full text of every memory, by id."""
    expected: dict[str, tuple[str, str]] = {}
    last = 0
    while page := every_memory(connection, last, COMPARED):
        last = page[-1][0]
        expected.update((memory.id, (owner_of(memory), memory.worded)) for _, memory in page)
    return expected


def to_index(connection: sa.Connection, ids: Sequence[str]) -> tuple[Memory, ...]:
    """Memories by id, of whomever: those that still exist."""
    return tuple(memory_of(row) for row in connection.execute(_TO_INDEX, {"ids": ids}))


_TO_INDEX = sa.select(*COLUMNS).where(among(schema.memory.c.id, "ids")).order_by(schema.memory.c.seq)


def graph_rows(connection: sa.Connection, ids: Sequence[str] | None = None) -> GraphRows:
    """The topology of `ids`, or of everything that does not wait to be indexed."""
    of_memories, of_mentions, of_relations = _OF_INDEXED if ids is None else _OF_THESE
    which = {} if ids is None else {"ids": ids}
    memory_ids = tuple(connection.execute(of_memories, which).scalars())
    mentions = tuple((row[0], row[1]) for row in connection.execute(of_mentions, which))
    relations = tuple(RelationRow(*row) for row in connection.execute(of_relations, which))
    if ids is None:
        # What was merged into another is that other one here.
        unmerged = sa.select(schema.entity.c.id).where(schema.entity.c.merged_into.is_(None))
        entity_ids = list(connection.execute(unmerged).scalars())
    else:
        ends = (end for relation in relations for end in relation[:2])
        entity_ids = list(dict.fromkeys((*(entity_id for _, entity_id in mentions), *ends)))
    return GraphRows(memory_ids, tuple(entity_ids), mentions, relations)


_Topology = tuple[sa.Select[Any], sa.Select[Any, Any], sa.Select[Any, Any, Any, Any, int, int, Any]]


def _topology(of: Callable[[sa.Column[str]], sa.ColumnElement[bool]]) -> _Topology:
    """What the graph takes of the memories whose ids `of` lets through: themselves, whom they mention, and
    how they relate them."""
    memory, mention, relation = schema.memory.c, schema.mention.c, schema.relation.c
    return (
        sa.select(memory.id).where(of(memory.id)).order_by(memory.seq),
        sa.select(mention.memory_id, mention.entity_id).where(of(mention.memory_id)),
        sa.select(
            relation.subject_id,
            relation.object_id,
            relation.id,
            relation.predicate,
            sa.type_coerce(relation.valid_from, sa.BigInteger),
            sa.type_coerce(relation.valid_until, sa.BigInteger),
            relation.memory_id,
        ).where(of(relation.memory_id)),
    )


_waiting = sa.select(schema.pending.c.memory_id)
_indexed = sa.select(schema.memory.c.id).where(schema.memory.c.id.not_in(_waiting))
_OF_THESE = _topology(lambda column: among(column, "ids"))
_OF_INDEXED = _topology(lambda column: column.in_(_indexed))


def counts(connection: sa.Connection) -> tuple[int, int, int]:
    """Memories, entities and relations in the whole ledger."""
    memories, entities, relations = (
        connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one()
        for rows in (
            schema.memory,
            sa.select(schema.entity.c.id).where(schema.entity.c.merged_into.is_(None)).subquery(),
            schema.relation,
        )
    )
    return memories, entities, relations
