"""Which facts are still to be compared with others about the same, and what came of it; each function takes a
transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import EntityRef, Memory, Scope, Succession
from mcp_memory.store.ledger import facts, schema
from mcp_memory.store.ledger.rows import COLUMNS, among, memory_of, visible

_STATEMENT, _MEMORY = schema.statement.c, schema.memory.c


@dataclass(frozen=True, slots=True)
class Uncompared:
    """Someone or something of whom there is a fact that was never compared with the others."""

    entity: EntityRef
    facts: int


@dataclass(frozen=True, slots=True)
class Linked:
    """A fact that a comparison found to go with an earlier one."""

    newer_id: str
    older_id: str
    judgement: facts.Judgement


def due(connection: sa.Connection, scope: Scope, entity_id: str | None = None) -> tuple[Uncompared, ...]:
    """Of whom facts are to be compared, those with the latest first; of one alone, if it is given."""
    newest = sa.func.max(_MEMORY.seq)
    named = schema.entity.c
    query = (
        sa.select(named.id, named.name, named.type, sa.func.count().label("facts"))
        .select_from(_FACTS.join(schema.entity, named.id == _STATEMENT.subject_id))
        .outerjoin(schema.compared, schema.compared.c.entity_id == named.id)
        .where(_holding(scope))
        .group_by(named.id)
        .having(sa.func.count() > 1, newest > sa.func.coalesce(schema.compared.c.seq, 0))
        .order_by(newest.desc())
    )
    if entity_id is not None:
        query = query.where(_STATEMENT.subject_id == entity_id)
    return tuple(
        Uncompared(EntityRef(id=row.id, name=row.name, type=row.type), row.facts)
        for row in connection.execute(query)
    )


def about(connection: sa.Connection, scope: Scope, entity_id: str) -> tuple[Memory, ...]:
    """What holds of it, in order of time, without what rules have read: their words are compared as they
    were said."""
    query = (
        sa.select(*COLUMNS)
        .select_from(_FACTS)
        .where(_holding(scope), _STATEMENT.subject_id == entity_id)
        .order_by(_MEMORY.observed_at, _MEMORY.seq)
    )
    return tuple(memory_of(row) for row in connection.execute(query))


_FACTS = schema.statement.join(schema.memory, _MEMORY.id == _STATEMENT.memory_id)


def _holding(scope: Scope) -> sa.ColumnElement[bool]:
    return sa.and_(visible(scope), _MEMORY.state == "active", _MEMORY.origin != "rules")


def link(connection: sa.Connection, links: Sequence[Linked]) -> int:
    """Note what was found; how many were not known, nor against what was."""
    noted = 0
    for one in links:
        newer = connection.execute(
            sa.select(_MEMORY.kind, _MEMORY.observed_at, _MEMORY.valid_from).where(_MEMORY.id == one.newer_id)
        ).first()
        if newer is None:
            continue
        at = facts.takes_place(newer.kind, newer.observed_at, newer.valid_from)
        noted += facts.judge(connection, one.newer_id, one.older_id, one.judgement, at, by="consolidation")
    facts.settle(connection, facts.concerned(connection, [one.newer_id for one in links]))
    return noted


def done(connection: sa.Connection, entity_id: str, memory_ids: Sequence[str]) -> None:
    """Note that these facts about it were compared, if it is still there."""
    newest = sa.select(sa.func.max(_MEMORY.seq)).where(_MEMORY.id.in_(memory_ids)).scalar_subquery()
    row = sa.select(schema.entity.c.id, newest).where(schema.entity.c.id == entity_id, newest.is_not(None))
    new = insert(schema.compared).from_select(["entity_id", "seq"], row)
    connection.execute(
        new.on_conflict_do_update(index_elements=["entity_id"], set_={"seq": new.excluded.seq})
    )


def found(connection: sa.Connection, scope: Scope, entity_id: str) -> tuple[Succession, ...]:
    """All that comparing the facts about an entity has found, in the order of the newer ones."""
    subjects = sa.select(_STATEMENT.memory_id).where(_STATEMENT.subject_id == entity_id)
    links = schema.succession.c
    query = sa.select(links.old_id, links.new_id, links.at, links.judgement).where(
        links.by == "consolidation", links.new_id.in_(subjects)
    )
    return facts.successions(connection, scope, connection.execute(query.order_by(links.at)).all())


def undo(connection: sa.Connection, scope: Scope) -> tuple[str, ...]:
    """Take back all that comparing has found in a scope, and let its facts be compared anew; answers the
    earlier fact of each finding."""
    table = schema.succession
    mine = sa.select(_MEMORY.id).where(visible(scope))
    found = connection.execute(
        sa.select(table.c.old_id).where(table.c.by == "consolidation", table.c.new_id.in_(mine))
    )
    old_ids = list(found.scalars())
    connection.execute(sa.delete(table).where(table.c.by == "consolidation", table.c.new_id.in_(mine)))
    subjects = (
        sa.select(_STATEMENT.subject_id)
        .join(schema.memory, _MEMORY.id == _STATEMENT.memory_id)
        .where(visible(scope))
    )
    connection.execute(sa.delete(schema.compared).where(schema.compared.c.entity_id.in_(subjects)))
    facts.settle(connection, facts.concerned(connection, old_ids))
    return tuple(old_ids)


def restatements(connection: sa.Connection, ids: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs among these of which the first is said again by the second."""
    return tuple((row[0], row[1]) for row in connection.execute(_RESTATEMENTS, {"ids": ids}))


_RESTATEMENTS = sa.select(schema.succession.c.old_id, schema.succession.c.new_id).where(
    among(schema.succession.c.old_id, "ids"),
    among(schema.succession.c.new_id, "ids"),
    schema.succession.c.judgement == "repeats",
)


def without_restated(connection: sa.Connection, known: Sequence[Memory]) -> tuple[Memory, ...]:
    """These without those that another of them says again."""
    said_again = {old for old, _ in restatements(connection, [one.id for one in known])}
    return tuple(one for one in known if one.id not in said_again)
