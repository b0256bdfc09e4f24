"""Whom the names of a memory mean, when it is written: known entities and new ones, and what joins them; each
function takes a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory import resolving, ties
from mcp_memory.models import (
    EntityRef,
    EntityType,
    Memory,
    NewEntity,
    NewRelation,
    name_key,
)
from mcp_memory.resolving import Called
from mcp_memory.store.ledger import meaning, schema
from mcp_memory.store.ledger.meaning import Telling
from mcp_memory.store.ledger.rows import scope_of
from mcp_memory.store.ledger.schema import chunks, new_id

UNKNOWN: EntityType = "concept"
"""What is said by who knows no better."""


@dataclass(frozen=True, slots=True)
class _Named:
    """An entity as a memory named it. `home_id` is who has this name, `ref` whom that one counts as."""

    home_id: str
    ref: EntityRef
    is_guessed: bool
    """Whether its type is."""
    is_new: bool = False
    homes: Mapping[str, str] = field(default_factory=dict[str, str])
    """By name, as it is spelled, who of those that count as it has it."""
    others: Mapping[str, _Named] = field(default_factory=dict[str, "_Named"])
    """By name, who has it and is told to be the same."""
    shared: tuple[str, ...] = ()
    """Names that others go by, too."""


@dataclass(frozen=True, slots=True)
class Told:
    """Two whom a memory tells to be one, by whose names it calls them: who goes by another name, and who has
    it."""

    one_home: str
    other_home: str
    is_one_new: bool
    """Whether nobody knew the first before."""
    is_of_names: bool
    """Whether the other is known by no names but those which the first is told to have."""
    is_of_person: bool
    name: str


@dataclass(frozen=True, slots=True)
class Joined:
    """What a memory mentions, now that it is recorded."""

    entities: tuple[EntityRef, ...]
    is_new: bool
    """Whether anything was new to the memory."""
    told: tuple[Told, ...]
    moved: tuple[str, ...]
    """Ids of memories it was drawn from that were thought to mean somebody else by a name."""
    left: tuple[str, ...]
    """Ids of those whom they were thought to mean."""


def join(
    connection: sa.Connection,
    memory: Memory,
    named_entities: Sequence[NewEntity],
    named_relations: Sequence[NewRelation],
    sources: Sequence[str] = (),
    *,
    is_guessed: bool = False,
) -> Joined:
    """Record what a memory, drawn from `sources`, mentions.

    `is_guessed` says that the types are those of rules, which take one name for a person here and for a place
    there: they make no second entity of a name.
    """
    domain = _domain_of(memory)
    now = memory.recorded_at
    telling = meaning.told_by(connection, domain, (memory.id, *sources), named_entities, named_relations)
    named = [(_called_by(entity, is_guessed=is_guessed), True) for entity in named_entities]
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
    told: dict[tuple[str, str], Told] = {}
    meant: dict[str, tuple[str, str]] = {}
    for given, is_typed in named:
        called = _as_the_user(given) if resolving.is_user(given.names[0], given.type) else given
        found = _entity_for(connection, domain, called, now, telling, is_typed=is_typed)
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
        for name in (called.names[0], *found.shared):
            if telling.tells_of(name) or name in found.shared:
                meant[name_key(name)] = (found.homes[name], found.ref.id)
        for name, other in found.others.items():
            refs[other.ref.id] = other.ref
            connection.execute(
                _SPELL, {**spelled, "key": name_key(name), "home_id": other.home_id, "name": name}
            )
            connection.execute(_MENTION, {"memory_id": memory.id, "entity_id": other.ref.id})
            relation = NewRelation(subject=found.ref.name, predicate=ties.ALSO_CALLED, object=name)
            joined |= _relate(connection, memory, found, other, relation)
            told[found.ref.id, other.ref.id] = _told(connection, found, other, called, name)
    for relation in named_relations:
        # "Apple" and "apple" may both be here.
        subject, target = (
            by_name.get(name) or by_key[name_key(name)] for name in (relation.subject, relation.object)
        )
        if subject.home_id != target.home_id:
            joined |= _relate(connection, memory, subject, target, relation)
    moved, left = meaning.correct(connection, domain, telling.memory_ids, meant)
    return Joined(
        tuple(refs.values()),
        joined,
        tuple(told.values()),
        tuple(one for one in moved if one != memory.id),
        left,
    )


def _called_by(entity: NewEntity, *, is_guessed: bool) -> Called:
    """What a memory calls an entity. Nobody but the user goes by "me"."""
    others = (
        name
        for name in entity.aliases
        if resolving.is_user(entity.name, entity.type) or not resolving.is_user(name, UNKNOWN)
    )
    return Called(entity.type, (entity.name, *others), is_guessed)


def _told(connection: sa.Connection, one: _Named, other: _Named, called: Called, name: str) -> Told:
    # What nobody knew of it, this memory may say.
    entity_type = called.type if one.ref.type == UNKNOWN else one.ref.type
    bearer = Called(other.ref.type, _names(connection, other.ref.id), other.is_guessed)
    is_of_names = resolving.is_meant_by(bearer, replace(called, type=entity_type))
    return Told(one.home_id, other.home_id, one.is_new, is_of_names, entity_type == "person", name)


def counts_as(connection: sa.Connection, home_id: str) -> str:
    """Whom the one counts as who has some names by itself."""
    alias = schema.alias.c
    query = sa.select(alias.entity_id).where(alias.home_id == home_id).limit(1)
    return connection.execute(query).scalar_one()


def share(connection: sa.Connection, memory: Memory, told: Told) -> None:
    """Let somebody have a name that another has, and is not one with: a memory tells so."""
    domain = _domain_of(memory)
    named = {"domain": domain, "key": name_key(told.name), "home_id": told.one_home}
    form, entity_id = resolving.written_form(told.name), counts_as(connection, told.one_home)
    connection.execute(_ALIAS, {**named, "alias": told.name, "entity_id": entity_id, "form": form})
    connection.execute(_SPELL, {**named, "memory_id": memory.id, "name": told.name})


def _relate(
    connection: sa.Connection, memory: Memory, subject: _Named, target: _Named, relation: NewRelation
) -> bool:
    """Note how a memory relates two; whether that was new."""
    row = {
        "id": new_id("r"),
        "subject_id": subject.ref.id,
        "predicate": _predicate_code(connection, relation.predicate),
        "object_id": target.ref.id,
        "memory_id": memory.id,
        "valid_from": relation.valid_from,
        "valid_until": relation.valid_until,
        "subject_home": subject.home_id,
        "object_home": target.home_id,
    }
    return connection.execute(_RELATE, row).rowcount > 0


_RELATE = insert(schema.relation).on_conflict_do_nothing()


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
    connection: sa.Connection, domain: str, called: Called, now: datetime, telling: Telling, *, is_typed: bool
) -> _Named:
    """Who is called so in this domain: exactly, or in another written form, or a new one."""
    found = _known_by_name(connection, domain, called, telling, is_typed=is_typed)
    is_new = found is None
    if found is None:
        home_id = new_id("e")
        same = _known_otherwise(connection, domain, called, telling)
        new_entity = {
            "id": home_id,
            "domain": domain,
            "name": called.names[0],
            "type": called.type,
            "is_guessed": called.is_guessed,
            "created_at": now,
            # As any other merge: a split takes it back.
            "merged_into": None if same is None else same.id,
        }
        connection.execute(_ADD_ENTITY, new_entity)
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
    shared: list[str] = []
    new = list(homes) if is_new else []
    for name in called.names[1:]:
        rows = _called(connection, domain, name_key(name))
        has_it = [row.home_id for row in rows if row.entity_id == found.ref.id]
        if has_it:
            homes[name] = found.home_id if found.home_id in has_it else has_it[0]
        elif not any(_may_mean(found, name, row) for row in rows):
            homes[name] = found.home_id
            new.append(name)
        elif (other := _own_name_of(rows, name)) is not None:
            if name_key(name) != name_key(found.ref.name):
                others[name] = other
        elif found.ref.type in ("person", UNKNOWN) and not _is_of_the_user(name):
            # Two friends may both go by Bob.
            homes[name] = found.home_id
            new.append(name)
            shared.append(name)
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
    return replace(found, is_new=is_new, homes=homes, others=others, shared=tuple(shared))


def _own_name_of(rows: Sequence[Any], name: str) -> _Named | None:
    """Of those who are called so, the one whose own name it is."""
    for row in rows:
        if name_key(row.name) == name_key(name):
            ref = EntityRef(id=row.entity_id, name=row.name, type=row.known_type)
            return _Named(row.home_id, ref, row.is_guessed)
    return None


def _is_of_the_user(name: str) -> bool:
    """Whether it says whose somebody is, as "The user's sister" does, and is no name."""
    return name_key(name).startswith(f"{name_key(resolving.USER)}'s ")


_ADD_ENTITY = insert(schema.entity)
_SPELL = insert(schema.spelling).on_conflict_do_nothing()
_MENTION = insert(schema.mention).on_conflict_do_nothing()
_ALIAS = insert(schema.alias).on_conflict_do_nothing()


def _known_by_name(
    connection: sa.Connection, domain: str, called: Called, telling: Telling, *, is_typed: bool
) -> _Named | None:
    """Who has this name, of those who may be meant by it."""
    bearers = _called(connection, domain, name_key(called.names[0]))
    rows = meaning.may_be_meant(connection, bearers, called.names, telling)
    known = [Called(row.known_type, (row.alias,), row.is_guessed) for row in rows]
    place = resolving.chosen(called, known, is_typed=is_typed)
    if place is None:
        return None
    row = rows[place]
    ref = EntityRef(id=row.entity_id, name=row.name, type=row.known_type)
    return _Named(row.home_id, ref, row.is_guessed)


def _known_otherwise(
    connection: sa.Connection, domain: str, called: Called, telling: Telling
) -> EntityRef | None:
    """The one entity that has this name in another written form, and may be meant by it."""
    form = resolving.written_form(called.names[0])
    bearers = connection.execute(_CALLED_BY_FORM, {"domain": domain, "form": form}).all()
    rows = meaning.may_be_meant(connection, bearers, called.names, telling)
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


def people_called(connection: sa.Connection, memory: Memory, words: Sequence[str]) -> tuple[NewEntity, ...]:
    """Those of the words that are names of known people, in the same letters."""
    domain = _domain_of(memory)
    return tuple(
        NewEntity(name=word, type="person")
        for word in words
        if any(
            row.alias == word and row.known_type == "person"
            for row in _called(connection, domain, name_key(word))
        )
    )


def named(connection: sa.Connection, memory: Memory, name: str) -> tuple[str, str] | None:
    """Whose name it is that a memory uses, and whom that one counts as; None when it calls nothing so."""
    if resolving.is_user(name, UNKNOWN):
        name = resolving.USER
    called = {
        "this_memory": memory.id,
        "whose": _domain_of(memory),
        "called": name_key(name),
        "spelled": name,
    }
    row = connection.execute(_NAMED, called).first()
    return None if row is None else (row.home_id, row.entity_id)


_NAMED = (
    sa.select(schema.alias.c.home_id, schema.alias.c.entity_id)
    .join(schema.spelling, schema.IS_SPELLED)
    .where(
        schema.spelling.c.memory_id == sa.bindparam("this_memory"),
        schema.alias.c.domain == sa.bindparam("whose"),
        schema.alias.c.key == sa.bindparam("called"),
    )
    # Where it speaks of Apple and of an apple, what is spelled the same.
    .order_by(schema.spelling.c.name != sa.bindparam("spelled"), schema.alias.c.home_id)
    .limit(1)
)


def _predicate_code(connection: sa.Connection, name: str) -> int:
    text = " ".join(name.split())
    connection.execute(_ADD_PREDICATE, {"name": text})
    return connection.execute(_CODE, {"called": text}).scalar_one()


_ADD_PREDICATE = insert(schema.predicate).on_conflict_do_nothing()
_CODE = sa.select(schema.predicate.c.code).where(schema.predicate.c.name == sa.bindparam("called"))


def _domain_of(memory: Memory) -> str:
    """Whose entities a memory's are: a user's sessions share the user's."""
    return scope_of(memory).owner("agent" if memory.level == "agent" else "user")
