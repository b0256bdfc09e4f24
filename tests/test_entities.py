"""Who is who: one under all names, two of one name, merged and split again, and forgotten under each name."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
import sqlalchemy.event
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_memory.models import EntityType, Memory, NewEntity, NewRelation, Scope, name_key
from mcp_memory.store.ledger import entities, facts, forgetting, memories, merging, schema
from mcp_memory.store.ledger.facts import Statement
from mcp_memory.store.ledger.memories import Draft

SCOPE = Scope(user_id="u")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def _engine() -> sa.Engine:
    engine = sa.create_engine("sqlite://")

    def enforce(connection: Any, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    sqlalchemy.event.listen(engine, "connect", enforce)
    with engine.begin() as connection:
        schema.create(connection)
    return engine


@contextmanager
def ledger() -> Generator[sa.Connection]:
    """An empty ledger; what is written into it is gone afterwards."""
    with _engine().connect() as connection:
        yield connection
        connection.rollback()


@dataclass(frozen=True)
class Said:
    """A memory to write: whom it names, how it relates them, and whom it is about."""

    entities: tuple[NewEntity, ...]
    relations: tuple[NewRelation, ...] = ()
    subject: int | None = None


def write(connection: sa.Connection, number: int, said: Said) -> str:
    memory = Memory(
        id=f"m_{number}",
        text=f"memory {number}",
        kind="fact",
        level="user",
        user_id="u",
        observed_at=NOW + timedelta(days=number),
        recorded_at=NOW,
    )
    memories.write(connection, [Draft(memory, said.entities, said.relations)])
    if said.subject is not None:
        subject = said.entities[said.subject % len(said.entities)].name
        named = entities.named(connection, memory, subject)
        assert named is not None
        facts.state(connection, memory.id, *named, Statement(subject, "slot", f"value {number}"))
        facts.settle(connection, facts.concerned(connection, [memory.id]))
    return memory.id


TABLES = (
    schema.entity,
    schema.alias,
    schema.spelling,
    schema.mention,
    schema.relation,
    schema.statement,
    schema.succession,
)


def everything(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row about entities, and what holds of them."""
    rows = {
        table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
        for table in TABLES
    }
    held = sa.select(schema.memory.c.id, schema.memory.c.state, schema.memory.c.valid_until)
    return {**rows, "memory": [tuple(row) for row in connection.execute(held.order_by(schema.memory.c.id))]}


def check(connection: sa.Connection) -> None:
    """What holds of every ledger: nothing is called what nobody calls it, mentions follow from names."""
    aliases = {(row.domain, row.key, row.home_id): row for row in connection.execute(sa.select(schema.alias))}
    spelled = connection.execute(sa.select(schema.spelling)).all()
    rows = {row.id: row for row in connection.execute(sa.select(schema.entity))}
    roots = {one: one for one in rows}
    for one in rows:
        while (into := rows[roots[one]].merged_into) is not None:
            roots[one] = into
    assert {(row.domain, row.key, row.home_id) for row in spelled} == set(aliases)
    assert all(row.entity_id == roots[row.home_id] for row in aliases.values())
    assert {row.home_id for row in spelled} | set(roots.values()) == set(rows)
    mentions = {(row.memory_id, roots[row.home_id]) for row in spelled}
    assert mentions == {tuple(row) for row in connection.execute(sa.select(schema.mention))}
    names = {row.name for row in spelled}
    assert {row.name for row in rows.values()} <= names
    assert {row.alias for row in aliases.values()} <= names
    for relation in connection.execute(sa.select(schema.relation)):
        assert relation.subject_id == roots[relation.subject_home]
        assert relation.object_id == roots[relation.object_home]
    for statement in connection.execute(sa.select(schema.statement)):
        assert statement.subject_id == roots[statement.home_id]
        assert (statement.memory_id, statement.subject_id) in mentions


_names = st.sampled_from(
    ["Ann", "ann", "Ánn", "Bo", "Ann Miller", "Dr. Ann Miller", "Apple", "apple", "Apple Inc."]
)
_types: st.SearchStrategy[EntityType] = st.sampled_from(["person", "organisation", "concept", "place"])
_entity = st.builds(NewEntity, name=_names, type=_types, aliases=st.lists(_names, max_size=2).map(tuple))


@st.composite
def _said(draw: st.DrawFn) -> Said:
    named = tuple(draw(st.lists(_entity, min_size=1, max_size=3)))
    ends = draw(st.lists(st.tuples(_names, _names), max_size=2))
    relations = tuple(
        NewRelation(subject=one, predicate="knows", object=other)
        for one, other in ends
        if name_key(one) != name_key(other)
    )
    return Said(named, relations, draw(st.none() | st.integers(0, 2)))


_places = st.tuples(st.integers(0, 5), st.integers(0, 5))


def _merge(connection: sa.Connection, places: tuple[int, int]) -> str | None:
    """Merge two of those there are; the id of the one that is gone."""
    page, _ = entities.page(connection, SCOPE)
    if len(page) < 2:
        return None
    kept, gone = page[places[0] % len(page)], page[places[1] % len(page)]
    if kept.id == gone.id:
        return None
    done = merging.merge(connection, SCOPE, kept.id, gone.id, NOW)
    assert done is not None
    return gone.id


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(_said(), min_size=2, max_size=5), st.lists(_places, max_size=3), _places)
def test_a_merge_that_is_split_again_leaves_everything_as_it_was(
    world: list[Said], before: list[tuple[int, int]], places: tuple[int, int]
) -> None:
    with ledger() as connection:
        for number, said in enumerate(world):
            write(connection, number, said)
        check(connection)
        for earlier in before:
            _merge(connection, earlier)
        check(connection)
        was = everything(connection)
        gone = _merge(connection, places)
        check(connection)
        if gone is not None:
            assert everything(connection) != was
            assert merging.split(connection, SCOPE, gone, NOW) is not None
        assert everything(connection) == was


@settings(max_examples=40, deadline=None, database=None)
@given(
    st.lists(_said(), min_size=2, max_size=5),
    st.lists(_places, max_size=3),
    st.sets(st.integers(0, 4), max_size=3),
    st.lists(_said(), max_size=2),
)
def test_names_that_only_forgotten_memories_used_are_gone_whatever_was_merged(
    world: list[Said], merges: list[tuple[int, int]], forgotten: set[int], later: list[Said]
) -> None:
    with ledger() as connection:
        ids = [write(connection, number, said) for number, said in enumerate(world)]
        gone = [one for one in (_merge(connection, places) for places in merges) if one is not None]
        hiding = forgetting.hide(
            connection, SCOPE, [ids[n] for n in forgotten if n < len(ids)], now=NOW, due_at=NOW
        )
        if hiding.id:
            forgetting.erase(connection, hiding.id)
        check(connection)
        for number, said in enumerate(later, start=len(world)):
            write(connection, number, said)
        check(connection)
        for one in reversed(gone):
            merging.split(connection, SCOPE, one, NOW)
            check(connection)
