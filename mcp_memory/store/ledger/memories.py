"""What is remembered, as it is read in a scope, rated, and chosen to be forgotten."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import (
    HistoryEvent,
    Kind,
    Memory,
    Rating,
    Scope,
    SessionSummary,
    Stats,
    name_key,
)
from mcp_memory.store.ledger import (
    comparisons,
    entities,
    index_work,
    schema,
)
from mcp_memory.store.ledger.rows import (
    COLUMNS,
    NOW,
    VISIBLE,
    alive,
    among,
    memory_of,
    seen_by,
    visible,
)

RATINGS: tuple[Rating, ...] = get_args(Rating)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which memories of a scope a wide forget means: those that fulfil every condition given."""

    entity_ids: tuple[str, ...] = ()
    """Mentioning one of these, if there are any."""
    names: tuple[str, ...] = ()
    """Or saying one of these, as it is written or in capitals, though it was not noticed whom it names."""
    session_id: str | None = None
    before: datetime | None = None
    ids: tuple[str, ...] | None = None
    all_sessions: bool = False
    """Session-level memories of every session of the user, not only those visible from the scope's own."""
    hidden: bool = False
    """Also what was forgotten and is not erased yet."""


def by_id(connection: sa.Connection, scope: Scope, ids: Sequence[str]) -> dict[str, Memory]:
    """Those of `ids` that are visible in `scope`, by id."""
    rows = connection.execute(_BY_ID, {"ids": ids, **seen_by(scope)}).all()
    return {memory.id: memory for memory in map(memory_of, rows)}


_BY_ID = sa.select(*COLUMNS).where(among(schema.memory.c.id, "ids"), VISIBLE)


def observed(connection: sa.Connection, ids: Sequence[str]) -> dict[str, datetime]:
    """When each was said, whoever may see it."""
    return {row.id: row.observed_at for row in connection.execute(_OBSERVED, {"ids": ids})}


_OBSERVED = sa.select(schema.memory.c.id, schema.memory.c.observed_at).where(among(schema.memory.c.id, "ids"))


def recent(
    connection: sa.Connection, scope: Scope, kinds: Sequence[Kind], limit: int, offset: int
) -> tuple[Memory, ...]:
    """The latest said, newest first."""
    query = sa.select(*COLUMNS).where(visible(scope))
    if kinds:
        query = query.where(schema.memory.c.kind.in_(kinds))
    query = (
        query.order_by(schema.memory.c.observed_at.desc(), schema.memory.c.seq.desc())
        .limit(limit)
        .offset(offset)
    )
    return tuple(memory_of(row) for row in connection.execute(query))


def of_session(
    connection: sa.Connection, scope: Scope, session_id: str, limit: int, offset: int
) -> tuple[Memory, ...]:
    """What was said in one session, in order of time."""
    query = (
        sa.select(*COLUMNS)
        .where(_in_session(scope, session_id))
        .order_by(schema.memory.c.observed_at, schema.memory.c.seq)
        .limit(limit)
        .offset(offset)
    )
    return tuple(memory_of(row) for row in connection.execute(query))


def _in_session(scope: Scope, session_id: str) -> sa.ColumnElement[bool]:
    # Asked for by its own id, a session shows its session-level memories too: the scope is narrowed to it.
    return visible(scope.model_copy(update={"session_id": session_id})) & (
        schema.memory.c.session_id == session_id
    )


def sessions(
    connection: sa.Connection, scope: Scope, prefix: str, limit: int, offset: int
) -> tuple[SessionSummary, ...]:
    """Sessions with something visible in them, latest first."""
    last = sa.func.max(schema.memory.c.observed_at)
    query = (
        sa.select(schema.memory.c.session_id, sa.func.count(), sa.func.min(schema.memory.c.observed_at), last)
        .where(
            visible(scope, all_sessions=True), schema.memory.c.session_id.startswith(prefix, autoescape=True)
        )
        .group_by(schema.memory.c.session_id)
        .order_by(last.desc())
        .limit(limit)
        .offset(offset)
    )
    return tuple(
        SessionSummary(session_id=session_id, memories=count, first=first, last=latest)
        for session_id, count, first, latest in connection.execute(query)
    )


def around(connection: sa.Connection, scope: Scope, memory: Memory, reach: int) -> tuple[Memory, ...]:
    """Up to `reach` turns before and after `memory` in its session, in order of time."""
    if memory.session_id is None:
        return ()
    here = _in_session(scope, memory.session_id) & (schema.memory.c.id != memory.id)
    seq = sa.select(schema.memory.c.seq).where(schema.memory.c.id == memory.id).scalar_subquery()
    place = sa.tuple_(schema.memory.c.observed_at, schema.memory.c.seq)
    at = sa.tuple_(sa.literal(memory.observed_at, schema.Time), seq)
    before = sa.select(*COLUMNS).where(here, place < at)
    after = sa.select(*COLUMNS).where(here, place > at)
    earlier = connection.execute(
        before.order_by(schema.memory.c.observed_at.desc(), schema.memory.c.seq.desc()).limit(reach)
    ).all()
    later = connection.execute(
        after.order_by(schema.memory.c.observed_at, schema.memory.c.seq).limit(reach)
    ).all()
    return tuple(memory_of(row) for row in (*reversed(earlier), *later))


def history_of(connection: sa.Connection, memory_id: str) -> tuple[HistoryEvent, ...]:
    """What happened to a memory the caller was already shown, oldest first."""
    query = (
        sa.select(schema.history)
        .where(schema.history.c.memory_id == memory_id)
        .order_by(schema.history.c.seq)
    )
    return tuple(
        HistoryEvent(event=row.event, at=row.at, source=row.source) for row in connection.execute(query)
    )


def repetitions(connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[int, datetime]]:
    """How often each was said again, and when last; without those that were said once."""
    found = connection.execute(_REPETITIONS, {"ids": ids}).all()
    return {memory_id: (times, last) for memory_id, times, last in found}


_EVENTS = schema.history.c
_REPETITIONS = (
    sa.select(_EVENTS.memory_id, sa.func.count(), sa.func.max(_EVENTS.at))
    .where(among(_EVENTS.memory_id, "ids"), _EVENTS.event == "repeated")
    .group_by(_EVENTS.memory_id)
)


def numbers(connection: sa.Connection, ids: Sequence[str]) -> dict[str, int]:
    """The number (seq) of each; none is ever given to another memory."""
    return {row.id: row.seq for row in connection.execute(_NUMBERS, {"ids": ids})}


_NUMBERS = sa.select(schema.memory.c.id, schema.memory.c.seq).where(among(schema.memory.c.id, "ids"))


def ratings(connection: sa.Connection, ids: Sequence[str]) -> dict[str, float]:
    """How useful each was found, −1 to 1; without those that nobody rated. One voice alone counts half, but
    one that says it is wrong counts whole."""
    found = connection.execute(_RATINGS, {"ids": ids}).all()
    return {memory_id: max(votes / (times + 1), -1.0) for memory_id, votes, times in found}


_RATINGS = (
    sa.select(
        _EVENTS.memory_id,
        sa.func.sum(sa.case((_EVENTS.event == "useful", 1), (_EVENTS.event == "wrong", -2), else_=-1)),
        sa.func.count(),
    )
    .where(among(_EVENTS.memory_id, "ids"), _EVENTS.event.in_(RATINGS))
    .group_by(_EVENTS.memory_id)
)


def rate(
    connection: sa.Connection, memory_id: str, rating: Rating, source: str | None, now: datetime
) -> None:
    """Note in its history what somebody thinks of a memory; what they thought before is replaced."""
    events = schema.history.c
    by_same = events.source.is_(None) if source is None else events.source == source
    connection.execute(
        sa.delete(schema.history).where(events.memory_id == memory_id, events.event.in_(RATINGS), by_same)
    )
    connection.execute(
        insert(schema.history).values(memory_id=memory_id, event=rating, at=now, source=source)
    )


def standing(connection: sa.Connection, scope: Scope, limit: int) -> tuple[Memory, ...]:
    """Preferences and procedures that hold now, the most important first, then the latest."""
    found = connection.execute(_STANDING, {"limit": limit, **seen_by(scope)}).all()
    return tuple(map(memory_of, found))


def lasting(connection: sa.Connection, scope: Scope, kinds: Sequence[Kind], limit: int) -> tuple[Memory, ...]:
    """Of each kind the latest that hold now, newest first, without what is said again."""
    found: list[Memory] = []
    for kind in kinds:
        query = (
            sa.select(*COLUMNS)
            .where(
                visible(scope),
                _MEMORY.kind == kind,
                _MEMORY.state == "active",
                sa.or_(_MEMORY.valid_until.is_(None), _MEMORY.valid_until > datetime.now(UTC)),
            )
            .order_by(_MEMORY.observed_at.desc(), _MEMORY.seq.desc())
            .limit(limit)
        )
        found.extend(memory_of(row) for row in connection.execute(query))
    return comparisons.without_restated(connection, found)


_MEMORY = schema.memory.c
_STANDING = (
    sa.select(*COLUMNS)
    .where(
        among(_MEMORY.owner, "owners"),
        schema.STANDING,
        # What rules have read of likes and dislikes is found by its words, and would fill every answer.
        (_MEMORY.origin != "rules") | (_MEMORY.kind == "procedure"),
        alive(now=NOW),
        _MEMORY.state == "active",
        sa.or_(_MEMORY.valid_until.is_(None), _MEMORY.valid_until > NOW),
    )
    .order_by(_MEMORY.importance.desc(), _MEMORY.observed_at.desc(), _MEMORY.seq.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer))
)


def ids(connection: sa.Connection, scope: Scope, prefix: str, limit: int) -> tuple[str, ...]:
    """Ids of visible memories, by how they begin, latest first."""
    query = (
        sa.select(schema.memory.c.id)
        .where(visible(scope), schema.memory.c.id.startswith(prefix, autoescape=True))
        .order_by(schema.memory.c.seq.desc())
        .limit(limit)
    )
    return tuple(connection.execute(query).scalars())


def select(connection: sa.Connection, scope: Scope, selection: Selection) -> tuple[Memory, ...]:
    """Every memory that a wide forget means, newest first."""
    conditions = [visible(scope, all_sessions=selection.all_sessions, hidden=selection.hidden)]
    if selection.session_id is not None:
        conditions.append(schema.memory.c.session_id == selection.session_id)
    if selection.before is not None:
        conditions.append(schema.memory.c.observed_at < selection.before)
    if selection.entity_ids:
        conditions.append(_concerning(connection, scope, selection))
    query = (
        sa.select(*COLUMNS)
        .where(*conditions)
        .order_by(schema.memory.c.observed_at.desc(), schema.memory.c.seq.desc())
    )
    chosen = tuple(memory_of(row) for row in connection.execute(query))
    if selection.names:
        mentioning = set(connection.execute(_mentioning(selection.entity_ids)).scalars())
        names = "|".join(re.escape(form) for name in selection.names for form in (name, name.upper()))
        said = re.compile(rf"(?<!\w)(?:{names})(?!\w)")
        chosen = tuple(one for one in chosen if one.id in mentioning or said.search(one.text))
    if selection.ids is None:
        return chosen
    wanted = set(selection.ids)
    return tuple(memory for memory in chosen if memory.id in wanted)


def _concerning(connection: sa.Connection, scope: Scope, selection: Selection) -> sa.ColumnElement[bool]:
    """Mentioning one of the entities, or having one of the names in it and mentioning nobody else of that
    name."""
    columns = schema.memory.c
    concerning = columns.id.in_(_mentioning(selection.entity_ids))
    if selection.names:
        known = entities.resolve(connection, scope, list(map(name_key, selection.names)))
        namesakes = {one for ids in known.values() for one in ids}.difference(selection.entity_ids)
        says = sa.or_(*(columns.text.contains(name, autoescape=True) for name in selection.names))
        concerning |= says & columns.id.not_in(_mentioning(tuple(namesakes)))
    return concerning


def _mentioning(entity_ids: Sequence[str]) -> sa.Select[Any]:
    return sa.select(schema.mention.c.memory_id).where(schema.mention.c.entity_id.in_(entity_ids))


def users(connection: sa.Connection) -> tuple[str, ...]:
    """All of whom anything is remembered."""
    return tuple(connection.execute(sa.select(schema.memory.c.user_id).distinct()).scalars())


def kept(connection: sa.Connection, user_id: str) -> tuple[int, int]:
    """How many memories are a user's, of whatever level, and how many bytes of text."""
    size = sa.func.length(sa.cast(schema.memory.c.text, sa.LargeBinary))
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(size), 0))
    count, total = connection.execute(query.where(schema.memory.c.user_id == user_id)).one()
    return count, total


def stats(connection: sa.Connection, scope: Scope) -> Stats:
    """How much is visible in a scope."""
    mine = sa.select(schema.memory).where(visible(scope)).subquery()
    total, oldest, newest, sessions = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.min(mine.c.observed_at),
            sa.func.max(mine.c.observed_at),
            sa.func.count(mine.c.session_id.distinct()),
        )
    ).one()
    by_kind = connection.execute(sa.select(mine.c.kind, sa.func.count()).group_by(mine.c.kind))
    by_level = connection.execute(sa.select(mine.c.level, sa.func.count()).group_by(mine.c.level))
    entities = sa.select(sa.func.count(schema.mention.c.entity_id.distinct())).join(
        mine, mine.c.id == schema.mention.c.memory_id
    )
    relations = sa.select(sa.func.count(schema.relation.c.id)).join(
        mine, mine.c.id == schema.relation.c.memory_id
    )
    return Stats(
        memories=total,
        by_kind=dict(row for row in by_kind),
        by_level=dict(row for row in by_level),
        entities=connection.execute(entities).scalar_one(),
        relations=connection.execute(relations).scalar_one(),
        sessions=sessions,
        oldest=oldest,
        newest=newest,
        hidden=connection.execute(
            sa.select(sa.func.count())
            .select_from(schema.memory)
            .where(schema.memory.c.owner.in_(scope.owners), schema.memory.c.forgetting_id.is_not(None))
        ).scalar_one(),
        pending=index_work.pending_count(connection),
        superseded=connection.execute(
            sa.select(sa.func.count()).select_from(mine).where(mine.c.state == "superseded")
        ).scalar_one(),
    )
