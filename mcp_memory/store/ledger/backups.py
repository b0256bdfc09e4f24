"""Copies of the ledger: where they were written, and what another ledger brings into this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import EntityType, GuessedEntity, Memory, Merged, NewEntity, NewRelation
from mcp_memory.store.ledger import memories, schema
from mcp_memory.store.ledger.memories import Draft
from mcp_memory.store.ledger.rows import COLUMNS, memory_of, owner_of

PAGE = 500


@dataclass(frozen=True, slots=True)
class Foreign:
    """A memory of another ledger, ready to be written into this one."""

    seq: int
    draft: Draft


def note(connection: sa.Connection, path: str, now: datetime) -> None:
    """Remember where a copy was written."""
    statement = insert(schema.backup).values(path=path, at=now)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["path"], set_={"at": statement.excluded.at})
    )


def foreign(connection: sa.Connection, after_seq: int) -> tuple[Foreign, ...]:
    """A page of what this ledger holds, for another: memories that are not hidden, with all they mention.

    In the order they were written, so that a source comes before what was drawn from it.
    """
    query = (
        sa.select(schema.memory.c.seq, schema.memory.c.fingerprint, *COLUMNS)
        .where(schema.memory.c.seq > after_seq, schema.memory.c.forgetting_id.is_(None))
        .order_by(schema.memory.c.seq)
        .limit(PAGE)
    )
    return tuple(
        Foreign(row.seq, _draft(connection, memory_of(row), row.fingerprint))
        for row in connection.execute(query).all()
    )


def _draft(connection: sa.Connection, memory: Memory, fingerprint: str) -> Draft:
    # By whose name it is, whoever that one counts as here.
    names = (
        sa.select(
            schema.spelling.c.home_id,
            schema.entity.c.type,
            schema.entity.c.is_guessed,
            schema.spelling.c.name,
        )
        .join(schema.entity, schema.entity.c.id == schema.spelling.c.home_id)
        .where(schema.spelling.c.memory_id == memory.id)
        .order_by(schema.spelling.c.home_id, schema.spelling.c.name != schema.entity.c.name)
    )
    spelled: dict[str, list[str]] = {}
    types: dict[str, tuple[type[NewEntity], EntityType]] = {}
    for home_id, entity_type, is_guessed, name in connection.execute(names):
        spelled.setdefault(home_id, []).append(name)
        types[home_id] = (GuessedEntity if is_guessed else NewEntity, entity_type)
    sources = sa.select(schema.source.c.source_id).where(schema.source.c.memory_id == memory.id)
    return Draft(
        memory,
        tuple(
            kind.model_construct(
                name=spelled[home_id][0], type=entity_type, aliases=tuple(spelled[home_id][1:])
            )
            for home_id, (kind, entity_type) in types.items()
        ),
        _relations(connection, memory.id, {home_id: names[0] for home_id, names in spelled.items()}),
        sources=tuple(connection.execute(sources).scalars()),
        fingerprint=fingerprint,
        history=memories.history_of(connection, memory.id),
    )


def _relations(
    connection: sa.Connection, memory_id: str, names: Mapping[str, str]
) -> tuple[NewRelation, ...]:
    query = (
        sa.select(schema.relation, schema.predicate.c.name)
        .join(schema.predicate, schema.predicate.c.code == schema.relation.c.predicate)
        .where(schema.relation.c.memory_id == memory_id)
        .order_by(schema.relation.c.id)
    )
    return tuple(
        NewRelation.model_construct(
            subject=names[row.subject_home],
            predicate=row.name,
            object=names[row.object_home],
            valid_from=row.valid_from,
            valid_until=row.valid_until,
        )
        for row in connection.execute(query)
    )


def take(
    connection: sa.Connection, page: Sequence[Foreign], forgotten: frozenset[str], ids: dict[str, str]
) -> Merged:
    """Write a page of another ledger into this one. `ids` says which memory here is one of theirs, and
    grows."""
    added = known = left_out = 0
    for one in page:
        memory = one.draft.memory
        same = sa.select(schema.memory.c.id).where(
            (schema.memory.c.id == memory.id)
            | (
                (schema.memory.c.owner == owner_of(memory))
                & (schema.memory.c.fingerprint == one.draft.fingerprint)
            )
        )
        here = connection.execute(same).scalars().first()
        if here is not None:
            ids[memory.id] = here
            known += 1
        elif memory.id in forgotten:
            left_out += 1
        else:
            sources = tuple(ids.get(source, source) for source in one.draft.sources)
            memories.write(connection, [replace(one.draft, sources=sources)])
            added += 1
    return Merged(added=added, known=known, forgotten=left_out)
