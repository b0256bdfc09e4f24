"""Entities that are one: merged, split again, or found to be two; each function takes a transaction.

Nothing is lost by a merge. Every name, relation and statement keeps whose it is by itself (its home) beside
whom that one counts as now, and mentions follow from the names that memories use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory import resolving, ties
from mcp_memory.models import (
    Entity,
    EntityRef,
    EntityType,
    Memory,
    Scope,
    name_key,
)
from mcp_memory.store.ledger import entities, facts, index_work, meaning, naming, schema
from mcp_memory.store.ledger.rows import among, visible
from mcp_memory.store.ledger.schema import chunks


@dataclass(frozen=True, slots=True)
class Regrouped:
    """What a merge or a split did. `other` is who was merged into `kept`, or split from it."""

    kept: EntityRef | None
    """None where nothing speaks of it by a name of its own any more."""
    other: EntityRef
    memories: int
    """Visible ones that mention the other."""
    removed: tuple[str, ...]
    """Ids of entities that are no more, or are part of another now."""
    to_index: tuple[str, ...] = ()
    """Memories whose place in the graph has changed, and that do not wait to be indexed anyway."""


def merge(
    connection: sa.Connection, scope: Scope, kept_id: str, gone_id: str, now: datetime
) -> Regrouped | None:
    """Let all that speaks of one entity speak of another; None where one of them is not visible here, or they
    are not of the same domain. `split` takes it back."""
    kept, gone = (_visible(connection, scope, one) for one in (kept_id, gone_id))
    if kept is None or gone is None or _domain(connection, kept_id) != _domain(connection, gone_id):
        return None
    concerned = _join(connection, kept_id, gone_id)
    to_index = index_work.enqueue_unless_pending(connection, concerned, now)
    return Regrouped(kept, gone, gone.mentions, (gone_id,), to_index)


def _join(connection: sa.Connection, kept_id: str, gone_id: str) -> list[str]:
    """Let one count as the other; answers the memories concerned."""
    mentions, relation, statement = schema.mention.c, schema.relation.c, schema.statement.c
    of_gone = sa.select(mentions.memory_id, sa.literal(kept_id)).where(mentions.entity_id == gone_id)
    concerned = list(connection.execute(of_gone).scalars())
    for change in (
        insert(schema.mention).from_select(["memory_id", "entity_id"], of_gone).on_conflict_do_nothing(),
        sa.delete(schema.mention).where(mentions.entity_id == gone_id),
        sa.update(schema.entity).where(schema.entity.c.id == gone_id).values(merged_into=kept_id),
        sa.update(schema.alias).where(schema.alias.c.entity_id == gone_id).values(entity_id=kept_id),
        sa.update(schema.relation).where(relation.subject_id == gone_id).values(subject_id=kept_id),
        sa.update(schema.relation).where(relation.object_id == gone_id).values(object_id=kept_id),
        sa.update(schema.statement).where(statement.subject_id == gone_id).values(subject_id=kept_id),
    ):
        connection.execute(change)
    # What is true of one at a time is so of both together.
    settle(connection, [kept_id])
    return concerned


def settle(connection: sa.Connection, entity_ids: Sequence[str]) -> None:
    facts.settle(
        connection, (*facts.about(connection, entity_ids), *facts.relating_to(connection, entity_ids))
    )


def join_told(
    connection: sa.Connection,
    memory: Memory,
    joined: naming.Joined,
    sources: Sequence[str] = (),
) -> tuple[str, ...]:
    """Join those whom a memory, drawn from `sources`, tells to be one, where nothing that is known speaks
    against it; answers the memories whose place in the graph has changed. `split` takes it back."""
    to_index: list[str] = []
    for told in joined.told:
        # What the same memory told before may have joined them already, or others.
        two = [naming.counts_as(connection, one) for one in (told.one_home, told.other_home)]
        if two[0] == two[1] or parted(connection, two):
            continue
        if (
            not told.is_of_names
            or _were_named_together(connection, *two, before=(memory.id, *sources))
            or _are_said_to_differ(connection, *two)
        ):
            if told.is_of_person:
                naming.share(connection, memory, told)
            continue
        # Whoever is known longer is who both count as.
        kept_id, gone_id = reversed(two) if told.is_one_new else two
        concerned = _join(connection, kept_id, gone_id)
        to_index += index_work.enqueue_unless_pending(connection, concerned, memory.recorded_at)
    entities.drop_unmentioned(connection, joined.left)
    to_index += index_work.enqueue_unless_pending(connection, joined.moved, memory.recorded_at)
    return tuple(to_index)


def _were_named_together(
    connection: sa.Connection, one_id: str, other_id: str, *, before: Sequence[str]
) -> bool:
    """Whether something that was stored before these memories names both: who speaks of both means two."""
    one, other = schema.mention.alias(), schema.mention.alias()
    first = sa.select(sa.func.min(schema.memory.c.seq)).where(schema.memory.c.id.in_(before))
    query = (
        sa.select(schema.memory.c.id)
        .join(one, one.c.memory_id == schema.memory.c.id)
        .join(other, other.c.memory_id == schema.memory.c.id)
        .where(
            one.c.entity_id == one_id,
            other.c.entity_id == other_id,
            schema.memory.c.seq < first.scalar_subquery(),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _are_said_to_differ(connection: sa.Connection, one_id: str, other_id: str) -> bool:
    """Whether what is known of somebody makes another, of whom only names are told, somebody else."""
    one, other = meaning.related(connection, one_id), meaning.related(connection, other_id)
    is_known = naming.is_typed(connection, other_id)
    if not is_known and (other or facts.about(connection, [other_id])):
        # A dog may be called Bob, too.
        return True
    for relation in other:
        # Nobody is kin of himself, and a brother need not be the colleague of the same name.
        if relation.end_id == one_id or (relation.is_personal and relation not in one):
            return True
    only = {relation.key: relation.end_id for relation in one if relation.is_only}
    if any(only.get(relation.key, relation.end_id) != relation.end_id for relation in other):
        return True
    mine, others = schema.statement.alias(), schema.statement.alias()
    otherwise = (
        sa.select(mine.c.memory_id)
        .join(others, others.c.slot == mine.c.slot)
        .where(
            mine.c.subject_id == one_id,
            others.c.subject_id == other_id,
            (mine.c.value != others.c.value) | (mine.c.negates != others.c.negates),
        )
        .limit(1)
    )
    return connection.execute(otherwise).first() is not None


def joined(connection: sa.Connection, entity_ids: Sequence[str]) -> tuple[str, ...]:
    """Ids of those who count as one of these and are another by themselves."""
    return tuple(connection.execute(_JOINED, {"ids": entity_ids}).scalars())


_JOINED = (
    sa.select(schema.alias.c.home_id)
    .where(among(schema.alias.c.entity_id, "ids"), schema.alias.c.home_id != schema.alias.c.entity_id)
    .distinct()
    .order_by(schema.alias.c.home_id)
)


def told(connection: sa.Connection, scope: Scope) -> tuple[tuple[str, str], ...]:
    """Pairs of whom a visible memory says that the first is called as the second is, and who are not one."""
    relation = schema.relation.c
    query = (
        sa.select(relation.subject_id, relation.object_id)
        .distinct()
        .join(schema.predicate, schema.predicate.c.code == relation.predicate)
        .join(schema.memory, schema.memory.c.id == relation.memory_id)
        .where(
            schema.predicate.c.name == ties.ALSO_CALLED,
            relation.subject_id != relation.object_id,
            visible(scope),
        )
        .order_by(relation.subject_id, relation.object_id)
    )
    return tuple((one, other) for one, other in connection.execute(query))


class ToldJoin(NamedTuple):
    """Two entities that were joined because memories told so, by their own ids."""

    one_home: str
    other_home: str


def told_joins(connection: sa.Connection, memory_ids: Sequence[str]) -> tuple[ToldJoin, ...]:
    """Those that some of these memories told."""
    relation = schema.relation.c
    found: dict[ToldJoin, None] = {}
    for some in chunks(memory_ids):
        query = _TOLD_JOINS.where(relation.memory_id.in_(some))
        found.update((ToldJoin(*row), None) for row in connection.execute(query).all())
    return tuple(found)


_TOLD_JOINS = (
    sa.select(schema.relation.c.subject_home, schema.relation.c.object_home)
    .join(schema.predicate, schema.predicate.c.code == schema.relation.c.predicate)
    .where(
        schema.predicate.c.name == ties.ALSO_CALLED,
        # Whoever counts as one was believed to be.
        schema.relation.c.subject_id == schema.relation.c.object_id,
    )
    .distinct()
)


def is_told(connection: sa.Connection, join: ToldJoin) -> bool:
    """Whether a memory still tells it."""
    relation = schema.relation.c
    either = [(join.one_home, join.other_home), (join.other_home, join.one_home)]
    homes = sa.tuple_(relation.subject_home, relation.object_home)
    return connection.execute(_TOLD_JOINS.where(homes.in_(either)).limit(1)).first() is not None


def joined_by(connection: sa.Connection, join: ToldJoin) -> tuple[str, str] | None:
    """Whom the two count as, and which of them was merged into the other; None where neither was, or one is
    no more."""
    entity, alias = schema.entity.c, schema.alias.c
    for home_id, into in (join, (join.other_home, join.one_home)):
        merged = sa.select(entity.id).where(entity.id == home_id, entity.merged_into == into)
        root = sa.select(alias.entity_id).where(alias.home_id == home_id).limit(1)
        if connection.execute(merged).first() and (one := connection.execute(root).scalar_one_or_none()):
            return one, home_id
    return None


class Merge(NamedTuple):
    """A merge, in words that another ledger understands."""

    domain: str
    kept_key: str
    kept_type: EntityType
    gone_key: str
    gone_type: EntityType


def merges(connection: sa.Connection) -> tuple[Merge, ...]:
    """All merges that hold and that no memory tells, those of the merged before those they were merged
    into."""
    told = {frozenset(row) for row in connection.execute(_TOLD_JOINS).all()}
    kept, gone = schema.entity.alias(), schema.entity.alias()
    query = (
        sa.select(kept.c.domain, kept.c.name, kept.c.type, gone.c.name, gone.c.type, kept.c.id, gone.c.id)
        .join(gone, gone.c.merged_into == kept.c.id)
        .order_by(gone.c.created_at.desc(), gone.c.id)
    )
    return tuple(
        Merge(
            domain, name_key(kept_name), cast(EntityType, kept_type), name_key(name), cast(EntityType, type_)
        )
        for domain, kept_name, kept_type, name, type_, kept_id, gone_id in connection.execute(query)
        if frozenset((kept_id, gone_id)) not in told
    )


def repeat(connection: sa.Connection, wanted: Sequence[Merge], now: datetime) -> tuple[str, ...]:
    """Make the merges of another ledger here, where both are known and nobody has found them to be two;
    answers who is gone."""
    done: list[str] = []
    for one in wanted:
        kept = _called(connection, one.domain, one.kept_key, one.kept_type)
        gone = _called(connection, one.domain, one.gone_key, one.gone_type)
        if kept is None or gone is None or kept == gone or parted(connection, [kept, gone]):
            continue
        index_work.enqueue_unless_pending(connection, _join(connection, kept, gone), now)
        done.append(gone)
    return tuple(done)


def _called(connection: sa.Connection, domain: str, key: str, entity_type: EntityType) -> str | None:
    """Whom the one of this name and type counts as; None where there is no such one, or several."""
    alias = schema.alias.c
    query = (
        sa.select(alias.entity_id)
        .distinct()
        .join(schema.entity, schema.entity.c.id == alias.home_id)
        .where(alias.domain == domain, alias.key == key, schema.entity.c.type == entity_type)
    )
    found = connection.execute(query).scalars().all()
    return found[0] if len(found) == 1 else None


def split(connection: sa.Connection, scope: Scope, home_id: str, now: datetime) -> Regrouped | None:
    """Give an entity that was merged into another back what is its own, with all that was merged into it
    before; None where it is not visible here, or not merged. The two are not listed for review again."""
    other = _member(connection, scope, home_id)
    if other is None:
        return None
    root_id, parent_id, part = other
    concerned = take_apart(connection, root_id, home_id)
    one, two = sorted((parent_id, home_id))
    connection.execute(insert(schema.apart).values(one_id=one, other_id=two).on_conflict_do_nothing())
    # All that was said of it by its own names may be forgotten by now.
    removed = entities.drop_unmentioned(connection, [root_id])
    kept = _visible(connection, scope, root_id)
    to_index = index_work.enqueue_unless_pending(connection, concerned, now)
    return Regrouped(kept, part, _count(connection, scope, home_id), removed, to_index)


def take_apart(connection: sa.Connection, root_id: str, home_id: str) -> list[str]:
    """Let one that counts as another count as itself; answers the memories concerned."""
    group = entities.members(connection, home_id)
    alias, relation, statement = schema.alias.c, schema.relation.c, schema.statement.c
    spelled = sa.select(schema.spelling.c.memory_id).where(schema.spelling.c.home_id.in_(group))
    concerned = list(connection.execute(spelled.distinct()).scalars())
    for change in (
        sa.update(schema.entity).where(schema.entity.c.id == home_id).values(merged_into=None),
        sa.update(schema.alias).where(alias.home_id.in_(group)).values(entity_id=home_id),
        sa.update(schema.relation).where(relation.subject_home.in_(group)).values(subject_id=home_id),
        sa.update(schema.relation).where(relation.object_home.in_(group)).values(object_id=home_id),
        sa.update(schema.statement).where(statement.home_id.in_(group)).values(subject_id=home_id),
    ):
        connection.execute(change)
    settle(connection, [root_id, home_id])
    for some in chunks(concerned):
        part_mentions(connection, some, root_id, home_id)
    return concerned


def part_mentions(connection: sa.Connection, memory_ids: Sequence[str], root_id: str, home_id: str) -> None:
    """Mentions of those who call it by a name of its own; and no more of the other, where that was all."""
    connection.execute(
        insert(schema.mention)
        .values([{"memory_id": one, "entity_id": home_id} for one in memory_ids])
        .on_conflict_do_nothing()
    )
    still = (
        sa.select(schema.spelling.c.memory_id)
        .join(
            schema.alias,
            schema.IS_SPELLED,
        )
        .where(schema.alias.c.entity_id == root_id)
    )
    only_here = schema.mention.c.memory_id.in_(memory_ids) & schema.mention.c.memory_id.not_in(still)
    connection.execute(sa.delete(schema.mention).where(schema.mention.c.entity_id == root_id, only_here))


def merged(connection: sa.Connection, scope: Scope, name: str) -> tuple[EntityRef, ...]:
    """Visible entities of this id, name or alias that count as another."""
    alias = schema.alias.c
    here = alias.domain.in_(entities.domains(scope)) & (alias.home_id != alias.entity_id)
    query = sa.select(alias.home_id).where(here, (alias.key == name_key(name)) | (alias.home_id == name))
    found = connection.execute(query.distinct().order_by(alias.home_id)).scalars().all()
    return _members(connection, scope, found)


def merged_into(connection: sa.Connection, scope: Scope, name: str) -> tuple[EntityRef, ...]:
    """Visible entities that were merged into the one of this id, name or alias."""
    into = entities.resolve(connection, scope, [name, name_key(name)])
    ids = {one for several in into.values() for one in several}
    query = sa.select(schema.entity.c.id).where(schema.entity.c.merged_into.in_(ids))
    return _members(connection, scope, connection.execute(query.order_by(schema.entity.c.id)).scalars().all())


def _members(connection: sa.Connection, scope: Scope, home_ids: Sequence[str]) -> tuple[EntityRef, ...]:
    found = (_member(connection, scope, one) for one in home_ids)
    return tuple(one[2] for one in found if one is not None)


def _member(connection: sa.Connection, scope: Scope, home_id: str) -> tuple[str, str, EntityRef] | None:
    """Whom a merged entity counts as, whom it was merged into, and itself, if a visible memory names it."""
    group = entities.members(connection, home_id)
    alias, spelling = schema.alias.c, schema.spelling.c
    query = (
        sa.select(alias.entity_id, schema.entity.c.merged_into, schema.entity.c.name, schema.entity.c.type)
        .select_from(schema.alias)
        .join(schema.entity, schema.entity.c.id == sa.literal(home_id))
        .join(
            schema.spelling,
            schema.IS_SPELLED,
        )
        .join(schema.memory, schema.memory.c.id == spelling.memory_id)
        .where(alias.home_id.in_(group), schema.entity.c.merged_into.is_not(None), visible(scope))
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return row.entity_id, row.merged_into, EntityRef(id=home_id, name=row.name, type=row.type)


def part(connection: sa.Connection, one_id: str, other_id: str) -> None:
    """Note that somebody has found two visible entities to be two."""
    one, two = sorted((one_id, other_id))
    connection.execute(insert(schema.apart).values(one_id=one, other_id=two).on_conflict_do_nothing())


def parted(connection: sa.Connection, ids: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Pairs of these entities that were found to be two, they or what counts as them; smaller id first."""
    one, other = schema.alias.alias(), schema.alias.alias()
    query = (
        sa.select(one.c.entity_id, other.c.entity_id)
        .distinct()
        .select_from(schema.apart)
        .join(one, one.c.home_id == schema.apart.c.one_id)
        .join(other, other.c.home_id == schema.apart.c.other_id)
    )
    known = set(ids)
    return frozenset(
        (min(a, b), max(a, b)) for a, b in connection.execute(query) if a in known and b in known
    )


def reviewed(
    connection: sa.Connection, scope: Scope, limit: int
) -> tuple[tuple[tuple[Entity, resolving.Called], ...], ...]:
    """The entities to compare with each other, and what is known of each: the most mentioned `limit` of each
    domain."""
    found: list[tuple[tuple[Entity, resolving.Called], ...]] = []
    for domain in entities.domains(scope):
        page, _ = entities.page(connection, scope, domain=domain, limit=limit)
        guessed = naming.guessed(connection, [one.id for one in page])
        found.append(
            tuple(
                (one, resolving.Called(one.type, (one.name, *one.aliases), one.id in guessed)) for one in page
            )
        )
    return tuple(found)


def _visible(connection: sa.Connection, scope: Scope, entity_id: str) -> Entity | None:
    found, _ = entities.page(connection, scope, ids=[entity_id], limit=1)
    return found[0] if found else None


def _domain(connection: sa.Connection, entity_id: str) -> str:
    return connection.execute(
        sa.select(schema.entity.c.domain).where(schema.entity.c.id == entity_id)
    ).scalar_one()


def _count(connection: sa.Connection, scope: Scope, entity_id: str) -> int:
    found = _visible(connection, scope, entity_id)
    return 0 if found is None else found.mentions
