"""Whom the names of a memory mean, when it is written: known entities and new ones, and what joins them; each
function takes a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory import resolving
from mcp_memory.models import (
    EntityRef,
    EntityType,
    Memory,
    NewEntity,
    NewRelation,
    name_key,
)
from mcp_memory.resolving import Called
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import scope_of
from mcp_memory.store.ledger.schema import chunks, new_id

UNKNOWN: EntityType = "concept"
"""What is said by who knows no better."""
ALSO_CALLED = "is also called"
"""Relation of two whom a memory tells to be one, where something else speaks against it."""


@dataclass(frozen=True, slots=True)
class _Named:
    """An entity as a memory named it. `home_id` is who has this name, `ref` whom that one counts as."""

    home_id: str
    ref: EntityRef
    is_guessed: bool
    """Whether its type is."""
    homes: Mapping[str, str] = field(default_factory=dict[str, str])
    """By name, as it is spelled, who of those that count as it has it."""
    others: Mapping[str, _Named] = field(default_factory=dict[str, "_Named"])
    """By name, who has it and is known by nothing else: told to be the same, but not believed."""


def join(
    connection: sa.Connection,
    memory: Memory,
    named_entities: Sequence[NewEntity],
    named_relations: Sequence[NewRelation],
    *,
    is_guessed: bool = False,
) -> tuple[tuple[EntityRef, ...], bool]:
    """Record what a memory mentions; answers the entities, and whether anything was new to the memory.

    `is_guessed` says that the types are those of rules, which take one name for a person here and for a place
    there: they make no second entity of a name.
    """
    domain = _domain_of(memory)
    now = memory.recorded_at
    named = [
        (Called(entity.type, (entity.name, *entity.aliases), is_guessed), True) for entity in named_entities
    ]
    known = {name_key(name) for called, _ in named for name in called.names}
    for relation in named_relations:
        for name in (relation.subject, relation.object):
            if name_key(name) not in known:
                known.add(name_key(name))
                named.append((Called(UNKNOWN, (name,), is_guessed=True), False))
    by_name: dict[str, _Named] = {}
    by_key: dict[str, _Named] = {}
    refs: dict[str, EntityRef] = {}
    joined = False
    for given, is_typed in named:
        called = _as_the_user(given) if resolving.is_user(given.names[0], given.type) else given
        found = _entity_for(connection, domain, called, now, is_typed=is_typed)
        refs[found.ref.id] = found.ref
        for name in (*given.names, called.names[0]):
            by_name.setdefault(name, found)
            by_key.setdefault(name_key(name), found)
        spelled = {"domain": domain, "memory_id": memory.id}
        connection.execute(
            _SPELL,
            [
                {**spelled, "key": name_key(name), "home_id": home_id, "name": name}
                for name, home_id in found.homes.items()
            ],
        )
        inserted = connection.execute(_MENTION, {"memory_id": memory.id, "entity_id": found.ref.id})
        joined |= inserted.rowcount > 0
        for name, other in found.others.items():
            refs[other.ref.id] = other.ref
            connection.execute(
                _SPELL, {**spelled, "key": name_key(name), "home_id": other.home_id, "name": name}
            )
            connection.execute(_MENTION, {"memory_id": memory.id, "entity_id": other.ref.id})
            relation = NewRelation(subject=found.ref.name, predicate=ALSO_CALLED, object=name)
            joined |= _relate(connection, memory, found, other, relation)
    for relation in named_relations:
        # "Apple" and "apple" may both be here.
        subject, target = (
            by_name.get(name) or by_key[name_key(name)] for name in (relation.subject, relation.object)
        )
        if subject.home_id != target.home_id:
            joined |= _relate(connection, memory, subject, target, relation)
    return tuple(refs.values()), joined


def _relate(
    connection: sa.Connection, memory: Memory, subject: _Named, target: _Named, relation: NewRelation
) -> bool:
    """Note how a memory relates two; whether that was new."""
    inserted = connection.execute(
        insert(schema.relation)
        .values(
            id=new_id("r"),
            subject_id=subject.ref.id,
            predicate=_predicate_code(connection, relation.predicate),
            object_id=target.ref.id,
            memory_id=memory.id,
            valid_from=relation.valid_from,
            valid_until=relation.valid_until,
            subject_home=subject.home_id,
            object_home=target.home_id,
        )
        .on_conflict_do_nothing()
    )
    return inserted.rowcount > 0


def told_to_be_one(
    connection: sa.Connection, memory: Memory, named_entities: Sequence[NewEntity], *, is_guessed: bool
) -> tuple[tuple[str, str], ...]:
    """Ids of two known entities each, where a memory gives the first the only names of the second."""
    domain = _domain_of(memory)
    found: dict[tuple[str, str], None] = {}
    for entity in named_entities:
        called = Called(entity.type, (entity.name, *entity.aliases), is_guessed)
        if not entity.aliases or resolving.is_user(entity.name, entity.type):
            continue
        one = _known_by_name(connection, domain, called, is_typed=True)
        for name in () if one is None else entity.aliases:
            if one is not None and (other := _only_called(connection, domain, one, called, name)):
                found[one.ref.id, other.ref.id] = None
    return tuple(found)


def _only_called(
    connection: sa.Connection, domain: str, one: _Named, called: Called, name: str
) -> _Named | None:
    """The other one of this name, of all names that `one` is told to have, if it is known by no other."""
    rows = {row.entity_id: row for row in _called(connection, domain, name_key(name))}
    if len(rows) != 1 or one.ref.id in rows:
        return None
    (row,) = rows.values()
    # What nobody knew of it, this memory may say.
    entity_type = called.type if one.ref.type == UNKNOWN else one.ref.type
    other = Called(row.known_type, _names(connection, row.entity_id), row.is_guessed)
    if not resolving.is_meant_by(other, replace(called, type=entity_type)):
        return None
    ref = EntityRef(id=row.entity_id, name=row.name, type=row.known_type)
    return _Named(row.home_id, ref, row.is_guessed)


def _as_the_user(called: Called) -> Called:
    """Whoever is remembered, by one name: "I" and "me" are understood without being kept."""
    others = (name for name in called.names if not resolving.is_user(name, UNKNOWN))
    return Called("person", (resolving.USER, *others))


def known_type(entity: sa.FromClause) -> sa.ColumnElement[Any]:
    """The type of an entity; where nobody knows it, that of one which counts as it."""
    other = schema.entity.alias()
    of_others = (
        sa.select(other.c.type)
        .join(schema.alias, schema.alias.c.home_id == other.c.id)
        .where(schema.alias.c.entity_id == entity.c.id, other.c.type != UNKNOWN)
        .order_by(other.c.id)
        .limit(1)
        .scalar_subquery()
    )
    return sa.case((entity.c.type != UNKNOWN, entity.c.type), else_=sa.func.coalesce(of_others, UNKNOWN))


def is_typed(connection: sa.Connection, entity_id: str) -> bool:
    """Whether anybody has said, or guessed, what it is."""
    query = sa.select(known_type(schema.entity)).where(schema.entity.c.id == entity_id)
    return connection.execute(query).scalar_one() != UNKNOWN


def _is_guessed() -> sa.ColumnElement[bool]:
    """Whether what `known_type` says of `entity` is a guess, or comes from another."""
    return sa.or_(schema.entity.c.is_guessed, schema.entity.c.type == UNKNOWN)


def guessed(connection: sa.Connection, ids: Sequence[str]) -> frozenset[str]:
    """Those of the entities whose type is a guess."""
    found: set[str] = set()
    for some in chunks(ids):
        query = sa.select(schema.entity.c.id).where(schema.entity.c.id.in_(some), _is_guessed())
        found.update(connection.execute(query).scalars())
    return frozenset(found)


def _entity_for(
    connection: sa.Connection, domain: str, called: Called, now: datetime, *, is_typed: bool
) -> _Named:
    """Who is called so in this domain: exactly, or in another written form, or a new one."""
    found = _known_by_name(connection, domain, called, is_typed=is_typed)
    is_new = found is None
    if found is None:
        home_id = new_id("e")
        same = _known_otherwise(connection, domain, called)
        connection.execute(
            insert(schema.entity).values(
                id=home_id,
                domain=domain,
                name=called.names[0],
                type=called.type,
                is_guessed=called.is_guessed,
                created_at=now,
                # As any other merge: a split takes it back.
                merged_into=None if same is None else same.id,
            )
        )
        ref = same or EntityRef(id=home_id, name=called.names[0], type=called.type)
        found = _Named(home_id, ref, called.is_guessed)
    elif called.type != UNKNOWN and (
        found.ref.type == UNKNOWN or (found.is_guessed and not called.is_guessed)
    ):
        known = {"type": called.type, "is_guessed": called.is_guessed}
        connection.execute(sa.update(schema.entity).where(schema.entity.c.id == found.home_id).values(known))
        found = replace(found, ref=found.ref.model_copy(update={"type": called.type}))
    # What it was found by it has; a new one has its name whoever else is called so.
    homes = {called.names[0]: found.home_id}
    others: dict[str, _Named] = {}
    new = list(homes) if is_new else []
    for name in called.names[1:]:
        rows = _called(connection, domain, name_key(name))
        has_it = [row.home_id for row in rows if row.entity_id == found.ref.id]
        if has_it:
            homes[name] = found.home_id if found.home_id in has_it else has_it[0]
        elif not any(_may_mean(found, name, row) for row in rows):
            homes[name] = found.home_id
            new.append(name)
        elif other := _only_called(connection, domain, found, called, name):
            others[name] = other
    if new:
        connection.execute(
            _ALIAS,
            [
                {
                    "domain": domain,
                    "key": name_key(name),
                    "home_id": found.home_id,
                    "alias": name,
                    "entity_id": found.ref.id,
                    "form": resolving.written_form(name),
                }
                for name in new
            ],
        )
    return replace(found, homes=homes, others=others)


_SPELL = insert(schema.spelling).on_conflict_do_nothing()
_MENTION = insert(schema.mention).on_conflict_do_nothing()
_ALIAS = insert(schema.alias).on_conflict_do_nothing()


def _known_by_name(
    connection: sa.Connection, domain: str, called: Called, *, is_typed: bool
) -> _Named | None:
    rows = _called(connection, domain, name_key(called.names[0]))
    known = [Called(row.known_type, (row.alias,), row.is_guessed) for row in rows]
    place = resolving.chosen(called, known, is_typed=is_typed)
    if place is None:
        return None
    row = rows[place]
    ref = EntityRef(id=row.entity_id, name=row.name, type=row.known_type)
    return _Named(row.home_id, ref, row.is_guessed)


def _known_otherwise(connection: sa.Connection, domain: str, called: Called) -> EntityRef | None:
    """The one entity that has this name in another written form; or that is known only by names which are
    given to this one too."""
    form = resolving.written_form(called.names[0])
    rows = connection.execute(_CALLED_BY_FORM, {"domain": domain, "form": form}).all()
    if not rows and called.names[0] != resolving.USER:
        rows = [row for name in called.names[1:] for row in _called(connection, domain, name_key(name))]
    refs = {row.entity_id: EntityRef(id=row.entity_id, name=row.name, type=row.known_type) for row in rows}
    guessed = {row.entity_id for row in rows if row.is_guessed}
    known = [Called(ref.type, _names(connection, ref.id), ref.id in guessed) for ref in refs.values()]
    place = resolving.only_same(called, known)
    return None if place is None else list(refs.values())[place]


def _called(connection: sa.Connection, domain: str, key: str) -> Sequence[Any]:
    """Who has a name in a domain, the oldest entity first."""
    return connection.execute(_CALLED_BY_KEY, {"domain": domain, "key": key}).all()


_CALLED = (
    sa.select(
        schema.alias.c.home_id,
        schema.alias.c.alias,
        schema.alias.c.entity_id,
        schema.entity.c.name,
        known_type(schema.entity).label("known_type"),
        _is_guessed().label("is_guessed"),
    )
    .join(schema.entity, schema.entity.c.id == schema.alias.c.entity_id)
    .where(schema.alias.c.domain == sa.bindparam("domain"))
    .order_by(schema.entity.c.created_at, schema.entity.c.id, schema.alias.c.home_id)
)
# Built once: every name of every memory is looked up, and building took longer than looking.
_CALLED_BY_KEY = _CALLED.where(schema.alias.c.key == sa.bindparam("key"))
_CALLED_BY_FORM = _CALLED.where(schema.alias.c.form == sa.bindparam("form"))


def _names(connection: sa.Connection, entity_id: str) -> tuple[str, ...]:
    query = sa.select(schema.alias.c.alias).where(schema.alias.c.entity_id == entity_id)
    return tuple(connection.execute(query.order_by(schema.alias.c.key)).scalars())


def _may_mean(entity: _Named, name: str, row: Any) -> bool:
    """Whether another who has this name could be meant by it: then it stays the other's."""
    this = Called(entity.ref.type, (name,), entity.is_guessed)
    return resolving.may_share(this, Called(row.known_type, (row.alias,), row.is_guessed))


def named(connection: sa.Connection, memory: Memory, name: str) -> tuple[str, str] | None:
    """Whose name it is that a memory uses, and whom that one counts as; None when it calls nothing so."""
    if resolving.is_user(name, UNKNOWN):
        name = resolving.USER
    query = (
        sa.select(schema.alias.c.home_id, schema.alias.c.entity_id)
        .join(
            schema.spelling,
            (schema.spelling.c.domain == schema.alias.c.domain)
            & (schema.spelling.c.key == schema.alias.c.key)
            & (schema.spelling.c.home_id == schema.alias.c.home_id),
        )
        .where(
            schema.spelling.c.memory_id == memory.id,
            schema.alias.c.domain == _domain_of(memory),
            schema.alias.c.key == name_key(name),
        )
        # Where it speaks of Apple and of an apple, what is spelled the same.
        .order_by(schema.spelling.c.name != name, schema.alias.c.home_id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else (row.home_id, row.entity_id)


def _predicate_code(connection: sa.Connection, name: str) -> int:
    text = " ".join(name.split())
    connection.execute(insert(schema.predicate).values(name=text).on_conflict_do_nothing())
    return connection.execute(
        sa.select(schema.predicate.c.code).where(schema.predicate.c.name == text)
    ).scalar_one()


def _domain_of(memory: Memory) -> str:
    """Whose entities a memory's are: a user's sessions share the user's."""
    return scope_of(memory).owner("agent" if memory.level == "agent" else "user")
