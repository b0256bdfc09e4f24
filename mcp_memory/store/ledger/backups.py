"""Copies of the ledger: where they were written, and what another ledger brings into this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import EntityType, Memory, Merged, NewEntity, NewRelation
from mcp_memory.store.ledger import memories, merging, schema, writing
from mcp_memory.store.ledger.facts import Statement
from mcp_memory.store.ledger.rows import COLUMNS, memory_of, owner_of
from mcp_memory.store.ledger.writing import Draft

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
    spelled: dict[str, tuple[EntityType, list[str]]] = {}
    is_guessed = False
    for home_id, entity_type, is_guess, name in connection.execute(names):
        spelled.setdefault(home_id, (entity_type, []))[1].append(name)
        is_guessed |= is_guess
    sources = sa.select(schema.source.c.source_id).where(schema.source.c.memory_id == memory.id)
    called = {home_id: names[0] for home_id, (_, names) in spelled.items()}
    for join in merging.told_joins(connection, [memory.id]):
        # As it was told: one who goes by the other's name, too.
        if join.one_home in spelled and join.other_home in spelled:
            spelled[join.one_home][1].extend(spelled.pop(join.other_home)[1])
            called[join.other_home] = called[join.one_home]
    return Draft(
        memory,
        tuple(
            NewEntity.model_construct(name=names[0], type=entity_type, aliases=tuple(names[1:]))
            for entity_type, names in spelled.values()
        ),
        _relations(connection, memory.id, called),
        is_guessed=is_guessed,
        sources=tuple(connection.execute(sources).scalars()),
        statement=_statement(connection, memory.id, called),
        verdicts=_verdicts(connection, memory.id),
        fingerprint=fingerprint,
        history=memories.history_of(connection, memory.id),
    )


def _statement(connection: sa.Connection, memory_id: str, names: Mapping[str, str]) -> Statement | None:
    query = sa.select(schema.statement).where(schema.statement.c.memory_id == memory_id)
    row = connection.execute(query).first()
    if row is None or row.home_id not in names:
        return None
    return Statement(names[row.home_id], row.slot, row.value, row.negates, row.until)


def _verdicts(
    connection: sa.Connection, memory_id: str
) -> tuple[tuple[str, Literal["supersedes", "contradicts"]], ...]:
    table = schema.succession.c
    query = sa.select(table.old_id, table.judgement).where(table.new_id == memory_id, table.by == "verdict")
    return tuple((row.old_id, row.judgement) for row in connection.execute(query))


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
        # Of one who counts as another there is nothing to say.
        if names[row.subject_home] != names[row.object_home]
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
            here_ids = schema.memory.c.id.in_([ids.get(old, old) for old, _ in one.draft.verdicts])
            known_here = set(connection.execute(sa.select(schema.memory.c.id).where(here_ids)).scalars())
            verdicts = tuple(
                (ids.get(old, old), judgement)
                for old, judgement in one.draft.verdicts
                if ids.get(old, old) in known_here
            )
            writing.write(connection, [replace(one.draft, sources=sources, verdicts=verdicts)])
            added += 1
    return Merged(added=added, known=known, forgotten=left_out)
