"""Links between names that only forgotten memories told: with those they are gone; each function takes a
transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import name_key
from mcp_memory.store.ledger import entities, index_work, merging, naming, schema
from mcp_memory.store.ledger.schema import chunks, new_id


def part_untold(
    connection: sa.Connection, told: Iterable[merging.ToldJoin], entity_ids: Iterable[str]
) -> tuple[str, ...]:
    """Take apart what the memories that have just been deleted alone told to be one: entities that were
    joined because of it (`told`), and names of one of `entity_ids` that nothing joins any more. Answers the
    entities there are now."""
    touched = set(entity_ids)
    concerned: list[str] = []
    for join in told:
        if (part := merging.joined_by(connection, join)) is not None and not merging.is_told(
            connection, join
        ):
            root_id, home_id = part
            concerned += merging.take_apart(connection, root_id, home_id)
            touched |= {root_id, home_id}
    for entity_id in sorted(touched):
        for home_id in entities.members(connection, entity_id):
            touched.update(_part_names(connection, home_id, concerned))
    index_work.enqueue_unless_pending(connection, tuple(dict.fromkeys(concerned)), datetime.now(UTC))
    return tuple(sorted(touched))


def _part_names(connection: sa.Connection, home_id: str, concerned: list[str]) -> list[str]:
    """Give names that no memory uses together with its own to an entity of their own each; answers which."""
    groups = _groups(connection, home_id)
    if len(groups) < 2:
        return []
    named = sa.select(schema.entity.c.name).where(schema.entity.c.id == home_id)
    own = name_key(connection.execute(named).scalar_one())
    keeps = next((keys for keys in groups if own in keys), max(groups, key=len))
    new: list[str] = []
    for keys in groups:
        if keys is not keeps:
            new.append(_found(connection, home_id, sorted(keys), concerned))
    return new


def _groups(connection: sa.Connection, home_id: str) -> list[set[str]]:
    """The names of an entity by their keys, those together that a memory uses for it."""
    spelling = schema.spelling.c
    used = sa.select(spelling.memory_id, spelling.key).where(spelling.home_id == home_id)
    together: dict[str, set[str]] = {}
    for memory_id, key in connection.execute(used.order_by(spelling.key)):
        together.setdefault(memory_id, set()).add(key)
    groups: list[set[str]] = []
    # Most memories use the same names.
    for keys in set(map(frozenset, together.values())):
        joined = set(keys).union(*(group for group in groups if not group.isdisjoint(keys)))
        groups = [*(group for group in groups if group.isdisjoint(keys)), joined]
    return sorted(groups, key=sorted)


def _found(connection: sa.Connection, home_id: str, keys: Sequence[str], concerned: list[str]) -> str:
    """Make an entity of some names of another, with all that was said by them; answers its id."""
    entity, alias, spelling = schema.entity.c, schema.alias.c, schema.spelling.c
    row = connection.execute(sa.select(schema.entity).where(entity.id == home_id)).one()
    by_name = (spelling.home_id == home_id) & spelling.key.in_(keys)
    written = sa.select(spelling.memory_id, spelling.name).where(by_name).order_by(spelling.key)
    said = connection.execute(written).all()
    memory_ids = tuple(dict.fromkeys(memory_id for memory_id, _ in said))
    root_id = naming.counts_as(connection, home_id)
    found_id = new_id("e")
    values = dict(zip(entity.keys(), row, strict=True))
    values |= {"id": found_id, "name": said[0].name, "merged_into": None}
    connection.execute(insert(schema.entity).values(values))
    mine = alias.home_id == home_id, alias.key.in_(keys)
    columns = [sa.literal(found_id) if one.name in ("home_id", "entity_id") else one for one in alias]
    for change in (
        insert(schema.alias).from_select(alias.keys(), sa.select(*columns).where(*mine)),
        sa.update(schema.spelling).where(by_name).values(home_id=found_id),
        sa.delete(schema.alias).where(*mine),
    ):
        connection.execute(change)
    relation, statement = schema.relation.c, schema.statement.c
    for some in chunks(memory_ids):
        for table, of_home, its in (
            (schema.relation, relation.subject_home, {"subject_home": found_id, "subject_id": found_id}),
            (schema.relation, relation.object_home, {"object_home": found_id, "object_id": found_id}),
            (schema.statement, statement.home_id, {"home_id": found_id, "subject_id": found_id}),
        ):
            here = table.c.memory_id.in_(some) & (of_home == home_id)
            connection.execute(sa.update(table).where(here).values(its))
        merging.part_mentions(connection, some, root_id, found_id)
    merging.settle(connection, [root_id, found_id])
    concerned.extend(memory_ids)
    return found_id
