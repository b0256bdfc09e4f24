"""Entities, their aliases and mentions, and the relations between them; each function takes a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import (
    FUNCTIONAL,
    Entity,
    EntityRef,
    EntityType,
    Memory,
    NewEntity,
    NewRelation,
    Relation,
    Scope,
    name_key,
)
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import COLUMNS, memory_of, scope_of, unindexed, visible
from mcp_memory.store.ledger.schema import chunks, new_id


def join(
    connection: sa.Connection,
    memory: Memory,
    named_entities: Sequence[NewEntity],
    named_relations: Sequence[NewRelation],
) -> tuple[tuple[EntityRef, ...], bool]:
    """Record what a memory mentions; answers the entities, and whether anything was new to the
    memory."""
    domain = _domain_of(memory)
    now = memory.recorded_at
    named = list(named_entities)
    known = {name_key(name) for entity in named for name in (entity.name, *entity.aliases)}
    for relation in named_relations:
        for name in (relation.subject, relation.object):
            if name_key(name) not in known:
                known.add(name_key(name))
                named.append(NewEntity(name=name))
    ids: dict[str, str] = {}
    refs: dict[str, EntityRef] = {}
    joined = False
    for entity in named:
        ref = _entity_for(connection, domain, entity, now)
        refs[ref.id] = ref
        _spell(connection, domain, entity, ref.id, memory.id)
        for alias in (entity.name, *entity.aliases):
            ids.setdefault(name_key(alias), ref.id)
        inserted = connection.execute(
            insert(schema.mention).values(memory_id=memory.id, entity_id=ref.id).on_conflict_do_nothing()
        )
        joined |= inserted.rowcount > 0
    for relation in named_relations:
        subject_id, object_id = ids[name_key(relation.subject)], ids[name_key(relation.object)]
        if subject_id == object_id:
            continue
        inserted = connection.execute(
            insert(schema.relation)
            .values(
                id=new_id("r"),
                subject_id=subject_id,
                predicate=_predicate_code(connection, relation.predicate),
                object_id=object_id,
                memory_id=memory.id,
                valid_from=relation.valid_from,
                valid_until=relation.valid_until,
            )
            .on_conflict_do_nothing()
        )
        joined |= inserted.rowcount > 0
    return tuple(refs.values()), joined


def _entity_for(connection: sa.Connection, domain: str, entity: NewEntity, now: datetime) -> EntityRef:
    """The entity known by this name in this domain, or a new one. An alias that names another stays the
    other's."""
    key = name_key(entity.name)
    found = connection.execute(
        sa.select(schema.entity.c.id, schema.entity.c.name, schema.entity.c.type)
        .join(schema.alias, schema.alias.c.entity_id == schema.entity.c.id)
        .where(schema.alias.c.domain == domain, schema.alias.c.key == key)
    ).first()
    if found is None:
        ref = EntityRef(id=new_id("e"), name=entity.name, type=entity.type)
        connection.execute(
            insert(schema.entity).values(
                id=ref.id, domain=domain, name=ref.name, type=ref.type, created_at=now
            )
        )
    else:
        # "concept" is what a rule says that knows no better.
        entity_type = entity.type if found.type == "concept" else found.type
        ref = EntityRef(id=found.id, name=found.name, type=entity_type)
        if entity_type != found.type:
            connection.execute(
                sa.update(schema.entity).where(schema.entity.c.id == ref.id).values(type=entity_type)
            )
    for alias in (entity.name, *entity.aliases):
        connection.execute(
            insert(schema.alias)
            .values(domain=domain, key=name_key(alias), alias=alias, entity_id=ref.id)
            .on_conflict_do_nothing()
        )
    return ref


def named(connection: sa.Connection, memory: Memory, name: str) -> str | None:
    """The id of the entity that a memory calls so, None when it calls nothing so."""
    query = sa.select(schema.alias.c.entity_id).where(
        schema.alias.c.domain == _domain_of(memory), schema.alias.c.key == name_key(name)
    )
    return connection.execute(query).scalar_one_or_none()


def _predicate_code(connection: sa.Connection, name: str) -> int:
    text = " ".join(name.split())
    connection.execute(insert(schema.predicate).values(name=text).on_conflict_do_nothing())
    return connection.execute(
        sa.select(schema.predicate.c.code).where(schema.predicate.c.name == text)
    ).scalar_one()


def _domain_of(memory: Memory) -> str:
    """Whose entities a memory's are: a user's sessions share the user's."""
    return scope_of(memory).owner("agent" if memory.level == "agent" else "user")


def page(
    connection: sa.Connection,
    scope: Scope,
    *,
    key_part: str = "",
    types: Sequence[EntityType] = (),
    ids: Sequence[str] | None = None,
    limit: int = 20,
    offset: int = 0,
) -> tuple[tuple[Entity, ...], int]:
    """Entities that a visible memory mentions, most mentioned first, and how many there are in all.

    `key_part` is contained in the `name_key` of a name or alias; `ids` confines the page to these entities.
    """
    mentions = sa.func.count(schema.mention.c.memory_id)
    latest = sa.func.max(schema.memory.c.observed_at)
    query = (
        sa.select(schema.entity, mentions, sa.func.min(schema.memory.c.observed_at), latest)
        .join(schema.mention, schema.mention.c.entity_id == schema.entity.c.id)
        .join(schema.memory, schema.memory.c.id == schema.mention.c.memory_id)
        .where(visible(scope))
        .group_by(schema.entity.c.id)
    )
    if key_part:
        named = sa.select(schema.alias.c.entity_id).where(
            schema.alias.c.key.contains(key_part, autoescape=True)
        )
        query = query.where(schema.entity.c.id.in_(named))
    if types:
        query = query.where(schema.entity.c.type.in_(types))
    if ids is not None:
        query = query.where(schema.entity.c.id.in_(ids))
    total = connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    page = connection.execute(
        query.order_by(mentions.desc(), latest.desc(), schema.entity.c.id).limit(limit).offset(offset)
    ).all()
    aliases: dict[str, list[str]] = {}
    names = {row[0]: row.name for row in page}
    query_aliases = (
        sa.select(schema.alias.c.entity_id, schema.alias.c.alias)
        .where(schema.alias.c.entity_id.in_(names))
        .order_by(schema.alias.c.key)
    )
    for entity_id, alias in connection.execute(query_aliases):
        if name_key(alias) != name_key(names[entity_id]):
            aliases.setdefault(entity_id, []).append(alias)
    return (
        tuple(
            Entity(
                id=row[0],
                name=row.name,
                type=row.type,
                aliases=tuple(aliases.get(row[0], ())),
                mentions=row[-3],
                first_mentioned=row[-2],
                last_mentioned=row[-1],
            )
            for row in page
        ),
        total,
    )


def ids(connection: sa.Connection, scope: Scope, prefix: str, limit: int) -> tuple[str, ...]:
    """Ids of entities that a visible memory mentions, by how they begin."""
    query = (
        sa.select(schema.mention.c.entity_id)
        .distinct()
        .join(schema.memory, schema.memory.c.id == schema.mention.c.memory_id)
        .where(visible(scope), schema.mention.c.entity_id.startswith(prefix, autoescape=True))
        .order_by(schema.mention.c.entity_id)
        .limit(limit)
    )
    return tuple(connection.execute(query).scalars())


def _domains(scope: Scope) -> tuple[str, ...]:
    return tuple(owner for owner in scope.owners if not owner.startswith("session:"))


def resolve(connection: sa.Connection, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
    """Entity ids by `name_key` of a name or alias, or by the id itself, for those known in `scope`."""
    found: dict[str, str] = {}
    for some in chunks(keys):
        by_name = sa.select(schema.alias.c.key, schema.alias.c.entity_id).where(
            schema.alias.c.domain.in_(_domains(scope)), schema.alias.c.key.in_(some)
        )
        by_id = sa.select(schema.entity.c.id, schema.entity.c.id).where(
            unindexed(schema.entity.c.domain).in_(_domains(scope)), schema.entity.c.id.in_(some)
        )
        for query in (by_name, by_id):
            for key, entity_id in connection.execute(query):
                found.setdefault(key, entity_id)
    return found


def mentions_of(connection: sa.Connection, scope: Scope, entity_id: str, limit: int) -> tuple[Memory, ...]:
    """Visible memories that mention an entity, newest first."""
    query = (
        sa.select(*COLUMNS)
        .join(schema.mention, schema.mention.c.memory_id == schema.memory.c.id)
        .where(visible(scope), schema.mention.c.entity_id == entity_id)
        .order_by(schema.memory.c.observed_at.desc(), schema.memory.c.seq.desc())
        .limit(limit)
    )
    return tuple(memory_of(row) for row in connection.execute(query))


def mentioned_by(connection: sa.Connection, memory_id: str) -> tuple[EntityRef, ...]:
    """Entities that a memory the caller was already shown mentions."""
    query = (
        sa.select(schema.entity)
        .join(schema.mention, schema.mention.c.entity_id == schema.entity.c.id)
        .where(schema.mention.c.memory_id == memory_id)
        .order_by(schema.entity.c.name)
    )
    return tuple(EntityRef(id=row.id, name=row.name, type=row.type) for row in connection.execute(query))


def conflicts(connection: sa.Connection, ids: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of these memories that say otherwise of the same thing for the same time."""
    one, other = schema.relation.alias(), schema.relation.alias()
    overlap = sa.and_(
        sa.or_(
            one.c.valid_until.is_(None), other.c.valid_from.is_(None), one.c.valid_until > other.c.valid_from
        ),
        sa.or_(
            other.c.valid_until.is_(None), one.c.valid_from.is_(None), other.c.valid_until > one.c.valid_from
        ),
    )
    query = (
        sa.select(one.c.memory_id, other.c.memory_id, schema.predicate.c.name)
        .join(
            other,
            (one.c.subject_id == other.c.subject_id)
            & (one.c.predicate == other.c.predicate)
            & (one.c.object_id != other.c.object_id)
            & (one.c.memory_id < other.c.memory_id),
        )
        .join(schema.predicate, schema.predicate.c.code == one.c.predicate)
        .where(one.c.memory_id.in_(ids), other.c.memory_id.in_(ids), overlap)
    )
    found = ((a, b) for a, b, name in connection.execute(query) if name_key(name) in FUNCTIONAL)
    return tuple(dict.fromkeys(found))


def relations(
    connection: sa.Connection, scope: Scope, *, entity_id: str | None = None, memory_id: str | None = None
) -> tuple[Relation, ...]:
    """Relations that a visible memory says, of one entity or of one memory."""
    subject, target = schema.entity.alias(), schema.entity.alias()
    query = (
        sa.select(
            schema.relation,
            schema.predicate.c.name,
            subject.c.name,
            subject.c.type,
            target.c.name,
            target.c.type,
        )
        .join(schema.memory, schema.memory.c.id == schema.relation.c.memory_id)
        .join(schema.predicate, schema.predicate.c.code == schema.relation.c.predicate)
        .join(subject, subject.c.id == schema.relation.c.subject_id)
        .join(target, target.c.id == schema.relation.c.object_id)
        .where(visible(scope))
        .order_by(schema.memory.c.observed_at.desc(), schema.relation.c.id)
    )
    if entity_id is not None:
        query = query.where(
            (schema.relation.c.subject_id == entity_id) | (schema.relation.c.object_id == entity_id)
        )
    if memory_id is not None:
        query = query.where(schema.relation.c.memory_id == memory_id)
    return tuple(
        Relation(
            id=row.id,
            subject=EntityRef(id=row.subject_id, name=row[8], type=row[9]),
            predicate=row[7],
            object=EntityRef(id=row.object_id, name=row[10], type=row[11]),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            memory_id=row.memory_id,
        )
        for row in connection.execute(query)
    )


def mentioning(
    connection: sa.Connection, entity_ids: Sequence[str], limit: int
) -> tuple[tuple[str, str], ...]:
    """(memory id, entity id) of memories that mention one of these: what else the graph answers."""
    query = (
        sa.select(schema.mention.c.memory_id, schema.mention.c.entity_id)
        .where(schema.mention.c.entity_id.in_(entity_ids))
        .order_by(schema.mention.c.memory_id, schema.mention.c.entity_id)
        .limit(limit)
    )
    return tuple((row[0], row[1]) for row in connection.execute(query))


def rare_mentions(
    connection: sa.Connection, entity_ids: Sequence[str], at_most: int
) -> tuple[tuple[str, str], ...]:
    """The same, for those of the entities that at most so many memories mention."""
    counted = (
        sa.select(schema.mention.c.entity_id)
        .where(schema.mention.c.entity_id.in_(entity_ids))
        .group_by(schema.mention.c.entity_id)
        .having(sa.func.count() <= at_most)
    )
    rare = list(connection.execute(counted).scalars())
    return mentioning(connection, rare, at_most * len(rare)) if rare else ()


def neighbours(connection: sa.Connection, entity_id: str, limit: int) -> tuple[str, ...]:
    """Entities one step away: joined by a relation first, then those mentioned together most often."""
    forth = sa.select(schema.relation.c.object_id).where(schema.relation.c.subject_id == entity_id)
    back = sa.select(schema.relation.c.subject_id).where(schema.relation.c.object_id == entity_id)
    related = sorted(connection.execute(forth.union(back)).scalars())
    here, other = schema.mention.alias(), schema.mention.alias()
    together = (
        sa.select(other.c.entity_id)
        .join(here, here.c.memory_id == other.c.memory_id)
        .where(here.c.entity_id == entity_id, other.c.entity_id != entity_id)
        .group_by(other.c.entity_id)
        .order_by(sa.func.count().desc(), other.c.entity_id)
        .limit(limit)
    )
    return tuple(dict.fromkeys((*related, *connection.execute(together).scalars())))[:limit]


def drop_unmentioned(connection: sa.Connection, entity_ids: Iterable[str]) -> tuple[str, ...]:
    """Delete those of the entities that no memory mentions any more, and answer their ids; take from the
    others the names that no memory calls them."""
    orphans: list[str] = []
    for some in chunks(sorted(entity_ids)):
        alone = sa.select(schema.entity.c.id).where(
            schema.entity.c.id.in_(some), ~sa.exists().where(schema.mention.c.entity_id == schema.entity.c.id)
        )
        here = list(connection.execute(alone).scalars())
        connection.execute(sa.delete(schema.entity).where(schema.entity.c.id.in_(here)))
        for entity_id in sorted(set(some).difference(here)):
            _respell(connection, entity_id)
        orphans.extend(here)
    return tuple(orphans)


def _spell(connection: sa.Connection, domain: str, entity: NewEntity, entity_id: str, memory_id: str) -> None:
    """Note that this memory calls the entity so."""
    for name in (entity.name, *entity.aliases):
        known = sa.select(
            sa.literal(domain), schema.alias.c.key, sa.literal(memory_id), sa.literal(name)
        ).where(
            schema.alias.c.domain == domain,
            schema.alias.c.key == name_key(name),
            schema.alias.c.entity_id == entity_id,
        )
        connection.execute(
            insert(schema.spelling)
            .from_select(["domain", "key", "memory_id", "name"], known)
            .on_conflict_do_nothing()
        )


def _respell(connection: sa.Connection, entity_id: str) -> None:
    """Keep of an entity's names those that a memory uses, as it spells them."""
    used = (
        sa.select(schema.alias.c.domain, schema.alias.c.key, schema.alias.c.alias, schema.spelling.c.name)
        .outerjoin(
            schema.spelling,
            (schema.spelling.c.domain == schema.alias.c.domain)
            & (schema.spelling.c.key == schema.alias.c.key),
        )
        .where(schema.alias.c.entity_id == entity_id)
    )
    spellings: dict[tuple[str, str], list[str]] = {}
    shown: dict[tuple[str, str], str] = {}
    for domain, key, alias, name in connection.execute(used):
        shown[domain, key] = alias
        spellings.setdefault((domain, key), []).extend([name] if name is not None else [])
    for (domain, key), names in spellings.items():
        this = (schema.alias.c.domain == domain) & (schema.alias.c.key == key)
        if not names:
            connection.execute(sa.delete(schema.alias).where(this))
        elif shown[domain, key] not in names:
            connection.execute(sa.update(schema.alias).where(this).values(alias=names[0]))
    left = sorted(names for names in spellings.values() if names)
    this_entity = schema.entity.c.id == entity_id
    name = connection.execute(sa.select(schema.entity.c.name).where(this_entity)).scalar_one()
    if left and not any(name in names for names in left):
        same = [names for (_, key), names in spellings.items() if key == name_key(name) and names]
        most_used = max(same or left, key=len)
        connection.execute(sa.update(schema.entity).where(this_entity).values(name=most_used[0]))
