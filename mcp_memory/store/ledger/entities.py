"""Entities as they are read: their names, mentions and relations; and how one is dropped that nothing
mentions any more. Each function takes a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from mcp_memory import resolving
from mcp_memory.models import (
    FUNCTIONAL,
    Entity,
    EntityRef,
    EntityType,
    Memory,
    Relation,
    Scope,
    name_key,
)
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.naming import UNKNOWN, known_type
from mcp_memory.store.ledger.rows import COLUMNS, among, memory_of, unindexed, visible
from mcp_memory.store.ledger.schema import chunks


def page(
    connection: sa.Connection,
    scope: Scope,
    *,
    key_part: str = "",
    types: Sequence[EntityType] = (),
    ids: Sequence[str] | None = None,
    domain: str | None = None,
    limit: int = 20,
    offset: int = 0,
) -> tuple[tuple[Entity, ...], int]:
    """Entities that a visible memory mentions, most mentioned first, and how many there are in all.

    `key_part` is contained in the `name_key` of a name or alias; `ids` confines the page to these entities,
    `domain` to one whose they are.
    """
    mentions = sa.func.count(schema.mention.c.memory_id)
    latest = sa.func.max(schema.memory.c.observed_at)
    query = (
        sa.select(
            schema.entity.c.id,
            schema.entity.c.name,
            known_type(schema.entity).label("known_type"),
            mentions.label("mentions"),
            sa.func.min(schema.memory.c.observed_at).label("first"),
            latest.label("last"),
        )
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
        query = query.where(known_type(schema.entity).in_(types))
    if ids is not None:
        query = query.where(schema.entity.c.id.in_(ids))
    if domain is not None:
        query = query.where(schema.entity.c.domain == domain)
    total = connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    page = connection.execute(
        query.order_by(mentions.desc(), latest.desc(), schema.entity.c.id).limit(limit).offset(offset)
    ).all()
    aliases = _aliases(connection, scope, {row.id: row.name for row in page})
    return (
        tuple(
            Entity(
                id=row.id,
                name=row.name,
                type=row.known_type,
                aliases=aliases.get(row.id, ()),
                mentions=row.mentions,
                first_mentioned=row.first,
                last_mentioned=row.last,
            )
            for row in page
        ),
        total,
    )


def _aliases(connection: sa.Connection, scope: Scope, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What else a visible memory calls these entities, by id."""
    found: dict[str, dict[str, str]] = {}
    for some in chunks(list(names)):
        said = (
            sa.exists()
            .where(
                schema.IS_SPELLED,
                schema.spelling.c.memory_id == schema.memory.c.id,
            )
            .where(visible(scope, by_id=True))
        )
        query = (
            sa.select(schema.alias.c.entity_id, schema.alias.c.key, schema.alias.c.alias)
            .where(schema.alias.c.entity_id.in_(some), said)
            .order_by(schema.alias.c.key, schema.alias.c.home_id)
        )
        for entity_id, key, alias in connection.execute(query):
            if key != name_key(names[entity_id]):
                found.setdefault(entity_id, {}).setdefault(key, alias)
    return {entity_id: tuple(by_key.values()) for entity_id, by_key in found.items()}


def find(connection: sa.Connection, scope: Scope, name: str) -> tuple[Entity, ...]:
    """Visible entities of this id, name or alias: those spelled just so first, then those whose own name it
    is, then the most mentioned."""
    key = name_key(resolving.USER if resolving.is_user(name, UNKNOWN) else name)
    known = resolve(connection, scope, [name, key])
    ids = known.get(name) or known.get(key, ())
    found, _ = page(connection, scope, ids=ids, limit=len(ids) or 1)

    def order(one: Entity) -> tuple[bool, bool]:
        return name not in (one.id, one.name, *one.aliases), name_key(one.name) != key

    return tuple(sorted(found, key=order))


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


def domains(scope: Scope) -> tuple[str, ...]:
    """Whose entities a scope knows: the user's, and the agent's."""
    return tuple(owner for owner in scope.owners if not owner.startswith("session:"))


def resolve(connection: sa.Connection, scope: Scope, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """All ids of entities by `name_key` of a name or alias, or by the id itself, for those known in `scope`.
    One that was merged is answered with whom it counts as."""
    values = {"domains": domains(scope), "keys": keys}
    found: dict[str, dict[str, None]] = {}
    for query in (_BY_NAME, _BY_ID):
        for key, entity_id in connection.execute(query, values).all():
            found.setdefault(key, {})[entity_id] = None
    return {key: tuple(ids) for key, ids in found.items()}


_BY_NAME = sa.select(schema.alias.c.key, schema.alias.c.entity_id).where(
    among(schema.alias.c.domain, "domains"), among(schema.alias.c.key, "keys")
)
_BY_ID = (
    sa.select(schema.entity.c.id, sa.func.coalesce(schema.alias.c.entity_id, schema.entity.c.id))
    .outerjoin(schema.alias, schema.alias.c.home_id == schema.entity.c.id)
    .where(among(unindexed(schema.entity.c.domain), "domains"), among(schema.entity.c.id, "keys"))
)


def also_called(connection: sa.Connection, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
    """By other names of those who have one of these names (by `name_key`), which one they were asked for by.
    Without names that several have, and those of the user."""
    found: dict[str, set[str]] = {}
    for other, name in connection.execute(_ALSO_CALLED, {"domains": domains(scope), "keys": keys}):
        found.setdefault(other, set()).add(name)
    return {other: next(iter(names)) for other, names in found.items() if len(names) == 1}


_asked = schema.alias.alias()
_ALSO_CALLED = (
    sa.select(schema.alias.c.alias, _asked.c.alias)
    .join(_asked, _asked.c.entity_id == schema.alias.c.entity_id)
    .join(schema.entity, schema.entity.c.id == schema.alias.c.entity_id)
    .where(
        among(_asked.c.domain, "domains"),
        among(_asked.c.key, "keys"),
        schema.alias.c.key != _asked.c.key,
        schema.entity.c.name != resolving.USER,
    )
)


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


def mentioned_by_any(connection: sa.Connection, memory_ids: Sequence[str]) -> tuple[str, ...]:
    """Ids of the entities that any of these memories mentions."""
    return tuple(connection.execute(_MENTIONED_BY_ANY, {"ids": memory_ids}).scalars())


_MENTIONED_BY_ANY = (
    sa.select(schema.mention.c.entity_id).where(among(schema.mention.c.memory_id, "ids")).distinct()
)


def mentioned_by(connection: sa.Connection, memory_id: str) -> tuple[EntityRef, ...]:
    """Entities that a memory the caller was already shown mentions."""
    return tuple(
        EntityRef(id=entity_id, name=name, type=entity_type)
        for entity_id, name, entity_type in connection.execute(_MENTIONED_BY, {"this_memory": memory_id})
    )


_MENTIONED_BY = (
    sa.select(schema.entity.c.id, schema.entity.c.name, known_type(schema.entity))
    .join(schema.mention, schema.mention.c.entity_id == schema.entity.c.id)
    .where(schema.mention.c.memory_id == sa.bindparam("this_memory"))
    .order_by(schema.entity.c.name, schema.entity.c.id)
)


def conflicts(connection: sa.Connection, ids: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of these memories that say otherwise of the same thing for the same time."""
    found = connection.execute(_CONFLICTS, {"ids": ids})
    return tuple(dict.fromkeys((a, b) for a, b, name in found if name_key(name) in FUNCTIONAL))


def _conflicts() -> sa.Select[Any, Any, Any]:
    one, other = schema.relation.alias(), schema.relation.alias()
    overlap = sa.and_(
        sa.or_(
            one.c.valid_until.is_(None), other.c.valid_from.is_(None), one.c.valid_until > other.c.valid_from
        ),
        sa.or_(
            other.c.valid_until.is_(None), one.c.valid_from.is_(None), other.c.valid_until > one.c.valid_from
        ),
    )
    return (
        sa.select(one.c.memory_id, other.c.memory_id, schema.predicate.c.name)
        .join(
            other,
            (one.c.subject_id == other.c.subject_id)
            & (one.c.predicate == other.c.predicate)
            & (one.c.object_id != other.c.object_id)
            & (one.c.memory_id < other.c.memory_id),
        )
        .join(schema.predicate, schema.predicate.c.code == one.c.predicate)
        .where(among(one.c.memory_id, "ids"), among(other.c.memory_id, "ids"), overlap)
    )


_CONFLICTS = _conflicts()


def relations(
    connection: sa.Connection, scope: Scope, *, entity_id: str | None = None, memory_id: str | None = None
) -> tuple[Relation, ...]:
    """Relations that a visible memory says, of one entity or of one memory: those that hold first, then the
    latest said."""
    subject, target = schema.entity.alias(), schema.entity.alias()
    query = (
        sa.select(
            schema.relation,
            schema.predicate.c.name.label("predicate_name"),
            subject.c.name.label("subject_name"),
            known_type(subject).label("subject_type"),
            target.c.name.label("object_name"),
            known_type(target).label("object_type"),
            schema.memory.c.state,
            schema.memory.c.valid_until.label("said_until"),
        )
        .join(schema.memory, schema.memory.c.id == schema.relation.c.memory_id)
        .join(schema.predicate, schema.predicate.c.code == schema.relation.c.predicate)
        .join(subject, subject.c.id == schema.relation.c.subject_id)
        .join(target, target.c.id == schema.relation.c.object_id)
        # Between two that count as one there is nothing to say while they do.
        .where(visible(scope), schema.relation.c.subject_id != schema.relation.c.object_id)
        .order_by(schema.memory.c.observed_at.desc(), schema.relation.c.id)
    )
    if entity_id is not None:
        query = query.where(
            (schema.relation.c.subject_id == entity_id) | (schema.relation.c.object_id == entity_id)
        )
    if memory_id is not None:
        query = query.where(schema.relation.c.memory_id == memory_id)
    now = datetime.now(UTC)
    found: dict[tuple[str, str, int, str], Relation] = {}
    for row in connection.execute(query):
        until = min((one for one in (row.valid_until, row.said_until) if one), default=None)
        is_current = row.state == "active" and (until is None or until > now)
        # What holds is told once, however often it was said.
        said_in = "" if is_current else row.memory_id
        found.setdefault(
            (said_in, row.subject_id, row.predicate, row.object_id),
            Relation(
                id=row.id,
                subject=EntityRef(id=row.subject_id, name=row.subject_name, type=row.subject_type),
                predicate=row.predicate_name,
                object=EntityRef(id=row.object_id, name=row.object_name, type=row.object_type),
                valid_from=row.valid_from,
                valid_until=until,
                is_current=is_current,
                memory_id=row.memory_id,
            ),
        )
    return tuple(sorted(found.values(), key=lambda one: not one.is_current))


def statements(
    connection: sa.Connection, scope: Scope, entity_id: str, limit: int
) -> tuple[tuple[Memory, ...], int]:
    """Visible facts whose subject an entity is, by when they became true or were said: the latest `limit` of
    them, oldest first; and how many there are in all."""
    since = sa.func.coalesce(schema.memory.c.valid_from, schema.memory.c.observed_at)
    query = (
        sa.select(*COLUMNS)
        .join(schema.statement, schema.statement.c.memory_id == schema.memory.c.id)
        .where(visible(scope), schema.statement.c.subject_id == entity_id)
    )
    total = connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    latest = query.order_by(since.desc(), schema.memory.c.seq.desc()).limit(limit)
    return tuple(memory_of(row) for row in reversed(connection.execute(latest).all())), total


def most_spoken_of(
    connection: sa.Connection, scope: Scope, scores: Mapping[str, float], limit: int
) -> tuple[str, ...]:
    """Ids of the entities that these memories mention, those with the largest sum of scores first."""
    sums: dict[str, float] = {}
    for some in chunks(list(scores)):
        query = (
            sa.select(schema.mention)
            .join(schema.memory, schema.memory.c.id == schema.mention.c.memory_id)
            .where(schema.memory.c.id.in_(some), visible(scope, by_id=True))
        )
        for memory_id, entity_id in connection.execute(query):
            sums[entity_id] = sums.get(entity_id, 0.0) + scores[memory_id]
    return tuple(sorted(sums, key=lambda one: (-sums[one], one)))[:limit]


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
    related = sorted(set(connection.execute(forth.union(back)).scalars()) - {entity_id})
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
    others, and from those that count as them, the names that no memory calls them."""
    orphans: list[str] = []
    for some in chunks(sorted(entity_ids)):
        alone = sa.select(schema.entity.c.id).where(
            schema.entity.c.id.in_(some), ~sa.exists().where(schema.mention.c.entity_id == schema.entity.c.id)
        )
        here = list(connection.execute(alone).scalars())
        for entity_id in here:
            everyone = members(connection, entity_id)
            connection.execute(sa.delete(schema.entity).where(schema.entity.c.id.in_(everyone)))
        for entity_id in sorted(set(some).difference(here)):
            _respell(connection, entity_id)
        orphans.extend(here)
    return tuple(orphans)


def members(connection: sa.Connection, entity_id: str) -> tuple[str, ...]:
    """An entity and all that count as it because they were merged into it, nearest first."""
    found = [entity_id]
    for one in found:
        query = sa.select(schema.entity.c.id).where(schema.entity.c.merged_into == one)
        found.extend(connection.execute(query.order_by(schema.entity.c.id)).scalars())
    return tuple(found)


def _respell(connection: sa.Connection, entity_id: str) -> None:
    """Keep of the names of an entity, and of those that count as it, what memories use, as they spell it."""
    left: dict[str, list[tuple[str, list[str]]]] = {}
    for home_id in members(connection, entity_id):
        left[home_id] = _names_left(connection, home_id)
        if left[home_id]:
            _rename(connection, home_id, left[home_id])
        elif home_id != entity_id:
            into = sa.select(schema.entity.c.merged_into).where(schema.entity.c.id == home_id)
            parent = connection.execute(into).scalar_one()
            connection.execute(
                sa.update(schema.entity)
                .where(schema.entity.c.merged_into == home_id)
                .values(merged_into=parent)
            )
            connection.execute(sa.delete(schema.entity).where(schema.entity.c.id == home_id))
    if not left[entity_id]:
        # Only what was merged into it is spoken of any more: it goes by their names.
        _rename(connection, entity_id, [names for of_one in left.values() for names in of_one])


def _names_left(connection: sa.Connection, home_id: str) -> list[tuple[str, list[str]]]:
    """Keys of the names an entity has by itself, and how memories spell each; other names are deleted."""
    used = (
        sa.select(schema.alias.c.domain, schema.alias.c.key, schema.alias.c.alias, schema.spelling.c.name)
        .outerjoin(
            schema.spelling,
            schema.IS_SPELLED,
        )
        .where(schema.alias.c.home_id == home_id)
    )
    spellings: dict[tuple[str, str], list[str]] = {}
    shown: dict[tuple[str, str], str] = {}
    for domain, key, alias, name in connection.execute(used):
        shown[domain, key] = alias
        spellings.setdefault((domain, key), []).extend([name] if name is not None else [])
    for (domain, key), names in spellings.items():
        this = (
            (schema.alias.c.domain == domain)
            & (schema.alias.c.key == key)
            & (schema.alias.c.home_id == home_id)
        )
        if not names:
            connection.execute(sa.delete(schema.alias).where(this))
        elif shown[domain, key] not in names:
            # The form too: an accent may be what is forgotten.
            renamed = {"alias": names[0], "form": resolving.written_form(names[0])}
            connection.execute(sa.update(schema.alias).where(this).values(renamed))
    return sorted((key, names) for (_, key), names in spellings.items() if names)


def _rename(connection: sa.Connection, entity_id: str, left: Sequence[tuple[str, list[str]]]) -> None:
    """Let an entity go by a name that a memory uses."""
    this = schema.entity.c.id == entity_id
    name = connection.execute(sa.select(schema.entity.c.name).where(this)).scalar_one()
    if left and not any(name in names for _, names in left):
        same = [names for key, names in left if key == name_key(name)]
        most_used = max(same or [names for _, names in left], key=len)
        connection.execute(sa.update(schema.entity).where(this).values(name=most_used[0]))
