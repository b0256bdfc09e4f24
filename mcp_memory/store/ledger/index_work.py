"""The outbox: what the ledger has acknowledged and the indexes still have to do. It knows no scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import Memory, Scope
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import COLUMNS, memory_of, owner_of, visible
from mcp_memory.store.ledger.schema import chunks

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
    for memory_id in ids:
        statement = insert(schema.pending).values(memory_id=memory_id, work=work, since=since)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["memory_id"], set_={"work": statement.excluded.work}
            )
        )


def enqueue_unless_pending(connection: sa.Connection, ids: Sequence[str], since: datetime) -> tuple[str, ...]:
    """Note index work for those of the memories that do not wait for it already; answers which."""
    waiting = pending_ids(connection)
    new = tuple(one for one in ids if one not in waiting)
    enqueue(connection, new, "index", since)
    return new


def pending(connection: sa.Connection, limit: int) -> tuple[Pending, ...]:
    """Work that is acknowledged and not done, oldest first."""
    query = (
        sa.select(schema.pending).order_by(schema.pending.c.since, schema.pending.c.memory_id).limit(limit)
    )
    return tuple(Pending(row.memory_id, row.work) for row in connection.execute(query))


def pending_count(connection: sa.Connection) -> int:
    """How much work waits."""
    return connection.execute(sa.select(sa.func.count()).select_from(schema.pending)).scalar_one()


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
    return frozenset(connection.execute(sa.select(schema.pending.c.memory_id)).scalars())


def memory_ids(connection: sa.Connection) -> frozenset[str]:
    """Every memory there is."""
    return frozenset(connection.execute(sa.select(schema.memory.c.id)).scalars())


def mark_done(connection: sa.Connection, memory_ids: Sequence[str]) -> None:
    """Work that the indexes have on disk."""
    for some in chunks(memory_ids):
        connection.execute(sa.delete(schema.pending).where(schema.pending.c.memory_id.in_(some)))


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
    found: list[Memory] = []
    for some in chunks(ids):
        query = sa.select(*COLUMNS).where(schema.memory.c.id.in_(some)).order_by(schema.memory.c.seq)
        found.extend(memory_of(row) for row in connection.execute(query))
    return tuple(found)


def graph_rows(connection: sa.Connection, ids: Sequence[str] | None = None) -> GraphRows:
    """The topology of `ids`, or of everything that does not wait to be indexed."""
    memory_ids: list[str] = []
    mentions: list[tuple[str, str]] = []
    relations: list[RelationRow] = []
    for some in [None] if ids is None else chunks(ids):
        of_memories = sa.select(schema.memory.c.id).order_by(schema.memory.c.seq)
        of_mentions = sa.select(schema.mention.c.memory_id, schema.mention.c.entity_id)
        of_relations = sa.select(
            schema.relation.c.subject_id,
            schema.relation.c.object_id,
            schema.relation.c.id,
            schema.relation.c.predicate,
            sa.type_coerce(schema.relation.c.valid_from, sa.BigInteger),
            sa.type_coerce(schema.relation.c.valid_until, sa.BigInteger),
            schema.relation.c.memory_id,
        )
        chosen = (
            sa.select(schema.memory.c.id).where(
                schema.memory.c.id.not_in(sa.select(schema.pending.c.memory_id))
            )
            if some is None
            else some
        )
        of_memories = of_memories.where(schema.memory.c.id.in_(chosen))
        of_mentions = of_mentions.where(schema.mention.c.memory_id.in_(chosen))
        of_relations = of_relations.where(schema.relation.c.memory_id.in_(chosen))
        memory_ids.extend(connection.execute(of_memories).scalars())
        mentions.extend((row[0], row[1]) for row in connection.execute(of_mentions))
        relations.extend(RelationRow(*row) for row in connection.execute(of_relations))
    if ids is None:
        # What was merged into another is that other one here.
        unmerged = sa.select(schema.entity.c.id).where(schema.entity.c.merged_into.is_(None))
        entity_ids = list(connection.execute(unmerged).scalars())
    else:
        ends = (end for relation in relations for end in relation[:2])
        entity_ids = list(dict.fromkeys((*(entity_id for _, entity_id in mentions), *ends)))
    return GraphRows(tuple(memory_ids), tuple(entity_ids), tuple(mentions), tuple(relations))


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
