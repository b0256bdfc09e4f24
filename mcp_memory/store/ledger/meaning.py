"""Which of those who have a name a memory means by it, by what else it tells of them; each function takes a
transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory import resolving, ties
from mcp_memory.models import FUNCTIONAL, NewEntity, NewRelation, name_key
from mcp_memory.store.ledger import schema
from mcp_memory.ties import Tie


@dataclass(frozen=True, slots=True)
class Telling:
    """What a memory tells, beside the names, of whom they mean."""

    memory_ids: tuple[str, ...]
    """Its own id, and those it was drawn from: by one name all mean the same."""
    ties: Mapping[str, tuple[Tie, ...]]
    """By key of a name, who its bearer is to others."""
    others: frozenset[str]
    """Keys of names by which nobody is meant who was known before."""
    full_names: frozenset[str]
    """Keys of names beside which the full name stands."""

    def tells_of(self, name: str) -> bool:
        """Whether more than the name says who is meant."""
        key = name_key(name)
        return key in self.ties or key in self.others or key in self.full_names


def told_by(
    connection: sa.Connection,
    domain: str,
    memory_ids: Sequence[str],
    named: Sequence[NewEntity],
    relations: Sequence[NewRelation],
) -> Telling:
    """What a memory of these entities and relations tells of whom its names mean. Of `memory_ids` the first
    is its own, the others are those it was drawn from."""
    people = {name_key(one.name) for one in named if one.type == "person"}
    told: dict[str, tuple[Tie, ...]] = {}
    for relation in relations:
        ends = (relation.subject, relation.object)
        for is_subject, (name, other) in ((True, ends), (False, ends[::-1])):
            kind = ties.kind_of(relation.predicate, is_subject=is_subject)
            is_user = _is_user(other)
            # Lisbon is capital of Portugal, and nobody's kin.
            is_somebodys = kind == ties.PET or is_user or name_key(other) in people
            if kind is None or not is_somebodys or _is_user(name):
                continue
            known = None if kind == ties.PET else _oldest(connection, domain, other)
            told[name_key(name)] = (*told.get(name_key(name), ()), Tie(kind, known or ""))
    others = (one.object for one in relations if name_key(one.predicate) == ties.ANOTHER)
    return Telling(tuple(memory_ids), told, frozenset(map(name_key, others)), frozenset(_full_names(named)))


def _full_names(named: Iterable[NewEntity]) -> Iterable[str]:
    return (
        name_key(one.name)
        for one in named
        if any(resolving.is_full_name(name, one.name) for name in one.aliases)
    )


def turn_of(named: Sequence[NewEntity], relations: Sequence[NewRelation]) -> int:
    """When a memory of these entities and relations is to be written among others that were drawn from the
    same words: the more it tells of whom names mean, the sooner."""
    if any(_full_names(named)):
        return 0
    return 1 if tells(named, relations) else 2


def tells(named: Sequence[NewEntity], relations: Sequence[NewRelation]) -> bool:
    """Whether a memory of these entities and relations tells more of whom names mean than the names: what it
    says may change whom others mean."""
    if any(one.aliases and not resolving.is_user(one.name, one.type) for one in named):
        return True
    ends = ((one.predicate, is_subject) for one in relations for is_subject in (True, False))
    return any(
        name_key(predicate) == ties.ANOTHER or ties.kind_of(predicate, is_subject=is_subject) is not None
        for predicate, is_subject in ends
    )


def _is_user(name: str) -> bool:
    return resolving.is_user(name, "concept")


def _oldest(connection: sa.Connection, domain: str, name: str) -> str | None:
    key = name_key(resolving.USER if _is_user(name) else name)
    query = (
        sa.select(schema.alias.c.entity_id)
        .join(schema.entity, schema.entity.c.id == schema.alias.c.entity_id)
        .where(schema.alias.c.domain == domain, schema.alias.c.key == key)
        .order_by(schema.entity.c.created_at, schema.entity.c.id)
    )
    return connection.execute(query.limit(1)).scalar_one_or_none()


def may_be_meant(
    connection: sa.Connection, bearers: Sequence[Any], names: Sequence[str], telling: Telling
) -> Sequence[Any]:
    """Those bearers of the first of these names whom a memory may mean that gives all of them to one.

    A bearer has the columns `home_id`, `entity_id` and `name`: whose the name is, whom that one counts as,
    and what that one is called.
    """
    if not bearers:
        return bearers
    key, form = name_key(names[0]), resolving.written_form(names[0])
    if key in telling.others:
        # Whoever this very memory made known is the other one.
        return [row for row in bearers if not _is_known_before(connection, row.entity_id, telling.memory_ids)]
    if key in telling.full_names:
        bearers = [
            row
            for row in bearers
            if not resolving.has_another_full_name(key, names[1:], _names(connection, row.entity_id))
        ]
    told = telling.ties.get(key)
    # Nobody is kin of themselves: the user's friend Maya is not the user of that name.
    bearers = [row for row in bearers if all(row.entity_id != tie.to for tie in told or ())]
    if told and bearers:
        understood = _understood(connection, telling.memory_ids[1:], key)
        known = {row.entity_id: _known_ties(connection, row.entity_id) for row in bearers}
        bearers = [
            row
            for row in bearers
            if ties.may_be(
                told,
                known[row.entity_id],
                is_own_name=resolving.written_form(row.name) == form or row.home_id in understood,
            )
        ]
        bearers = (
            [row for row in bearers if known[row.entity_id].issuperset(told)]
            or [row for row in bearers if row.home_id in understood]
            or bearers
        )
    if len(bearers) < 2:
        return bearers
    meant = _meant_by(connection, telling.memory_ids, key)
    own = [row for row in bearers if name_key(row.name) == key]
    # What was drawn from words means by a name whom the words mean; and a name is first of whoever has no
    # other.
    return [row for row in bearers if row.home_id in meant] or own or bearers


def _is_known_before(connection: sa.Connection, entity_id: str, memory_ids: Sequence[str]) -> bool:
    """Whether anything else than these memories mentions it."""
    mention = schema.mention.c
    query = sa.select(mention.memory_id).where(
        mention.entity_id == entity_id, mention.memory_id.not_in(memory_ids)
    )
    return connection.execute(query.limit(1)).first() is not None


def _names(connection: sa.Connection, entity_id: str) -> Sequence[str]:
    query = sa.select(schema.alias.c.alias).where(schema.alias.c.entity_id == entity_id)
    return connection.execute(query).scalars().all()


def _meant_by(connection: sa.Connection, memory_ids: Sequence[str], key: str) -> frozenset[str]:
    """Whose the name of this key is in these memories."""
    spelling = schema.spelling.c
    query = sa.select(spelling.home_id).where(spelling.memory_id.in_(memory_ids), spelling.key == key)
    return frozenset(connection.execute(query).scalars())


def _understood(connection: sa.Connection, source_ids: Sequence[str], key: str) -> frozenset[str]:
    """Whose the name of this key is in what else was drawn from these memories."""
    spelling = schema.spelling.c
    query = (
        sa.select(spelling.home_id)
        .join(schema.source, schema.source.c.memory_id == spelling.memory_id)
        .where(schema.source.c.source_id.in_(source_ids), spelling.key == key)
    )
    return frozenset(connection.execute(query).scalars())


def _known_ties(connection: sa.Connection, entity_id: str) -> frozenset[Tie]:
    """Who an entity is known to be to others."""
    found: set[Tie] = set()
    for one in related(connection, entity_id):
        kind = ties.kind_of(one.predicate, is_subject=one.is_subject)
        if kind == ties.PET:
            found.add(Tie(kind, ""))
        elif kind is not None and one.is_personal:
            found.add(Tie(kind, one.end_id))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Related:
    """How an entity is related to another, seen from it."""

    predicate: str
    is_subject: bool
    end_id: str
    is_personal: bool
    """Whether the other is a person."""

    @property
    def key(self) -> tuple[str, bool]:
        return self.predicate, self.is_subject

    @property
    def is_only(self) -> bool:
        """Whether there is one such relation at a time."""
        return self.is_subject and name_key(self.predicate) in FUNCTIONAL


def related(connection: sa.Connection, entity_id: str) -> frozenset[Related]:
    """All that an entity is related to, but by being said to be the same."""
    relation = schema.relation.c
    is_subject = relation.subject_id == entity_id
    end_id = sa.case((is_subject, relation.object_id), else_=relation.subject_id)
    query = (
        sa.select(
            schema.predicate.c.name, is_subject.label("is_subject"), schema.entity.c.id, schema.entity.c.type
        )
        .select_from(schema.relation)
        .join(schema.predicate, schema.predicate.c.code == relation.predicate)
        .join(schema.entity, schema.entity.c.id == end_id)
        .where(is_subject | (relation.object_id == entity_id), schema.predicate.c.name != ties.ALSO_CALLED)
    )
    return frozenset(
        Related(name, bool(subject), end, entity_type == "person")
        for name, subject, end, entity_type in connection.execute(query)
    )


def correct(
    connection: sa.Connection, domain: str, memory_ids: Sequence[str], meant: Mapping[str, tuple[str, str]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Let memories whose words were written before anything was understood of them mean by some names whom
    they are found to mean; answers which of them did not, and the entities they were thought to mean.

    `meant` gives, by key of a name, whose it is and whom that one counts as. A memory keeps its meaning where
    it speaks of the other in another way too, or something else that was drawn from it does.
    """
    moved: dict[str, None] = {}
    left: dict[str, None] = {}
    for key, (home_id, entity_id) in meant.items():
        for memory_id, other_home, other_id, written in _otherwise(
            connection, domain, memory_ids, key, entity_id
        ):
            if _means_in_another_way(connection, memory_id, key, other_home, other_id):
                continue
            spelling, mention = schema.spelling.c, schema.mention.c
            this = (spelling.memory_id == memory_id) & (spelling.domain == domain) & (spelling.key == key)
            values = {"domain": domain, "key": key, "memory_id": memory_id, "home_id": home_id}
            for change in (
                sa.delete(schema.spelling).where(this, spelling.home_id == other_home),
                insert(schema.spelling).values(**values, name=written).on_conflict_do_nothing(),
                sa.delete(schema.mention).where(
                    mention.memory_id == memory_id, mention.entity_id == other_id
                ),
                insert(schema.mention)
                .values(memory_id=memory_id, entity_id=entity_id)
                .on_conflict_do_nothing(),
            ):
                connection.execute(change)
            moved[memory_id] = left[other_id] = None
    return tuple(moved), tuple(left)


def _otherwise(
    connection: sa.Connection, domain: str, memory_ids: Sequence[str], key: str, entity_id: str
) -> Iterable[tuple[str, str, str, str]]:
    """Which of the memories mean another by this name: whose the name is, whom that one counts as, and how it
    is spelled."""
    spelling, alias = schema.spelling.c, schema.alias.c
    query = (
        sa.select(spelling.memory_id, spelling.home_id, alias.entity_id, spelling.name)
        .join(
            schema.alias,
            schema.IS_SPELLED,
        )
        .where(
            spelling.memory_id.in_(memory_ids),
            spelling.domain == domain,
            spelling.key == key,
            alias.entity_id != entity_id,
        )
    )
    return [(memory_id, home, one, name) for memory_id, home, one, name in connection.execute(query)]


def _means_in_another_way(
    connection: sa.Connection, memory_id: str, key: str, home_id: str, entity_id: str
) -> bool:
    """Whether a memory speaks of an entity by more than this one name, relates it or states something of it;
    or something that was drawn from it calls it so."""
    spelling, alias, relation = schema.spelling.c, schema.alias.c, schema.relation.c
    by_other_name = (
        sa.select(spelling.memory_id)
        .join(
            schema.alias,
            schema.IS_SPELLED,
        )
        .where(
            spelling.memory_id == memory_id,
            alias.entity_id == entity_id,
            (spelling.key != key) | (spelling.home_id != home_id),
        )
    )
    related = sa.select(relation.memory_id).where(
        relation.memory_id == memory_id,
        (relation.subject_id == entity_id) | (relation.object_id == entity_id),
    )
    statement = schema.statement.c
    stated = sa.select(statement.memory_id).where(
        statement.memory_id == memory_id, statement.subject_id == entity_id
    )
    drawn = (
        sa.select(spelling.memory_id)
        .join(schema.source, schema.source.c.memory_id == spelling.memory_id)
        .where(schema.source.c.source_id == memory_id, spelling.key == key, spelling.home_id == home_id)
    )
    return any(
        connection.execute(query.limit(1)).first() is not None
        for query in (by_other_name, related, stated, drawn)
    )
