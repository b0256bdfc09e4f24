"""What facts are about, which of them hold, and what took the place of what; each function takes a
transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import Memory, Scope, Succession, name_key
from mcp_memory.store.ledger import entities, schema
from mcp_memory.store.ledger.rows import COLUMNS, NOW, VISIBLE, alive, among, memory_of, seen_by, visible
from mcp_memory.store.ledger.schema import chunks
from mcp_memory.timeline import Claim, Ending, endings

Judgement = Literal["repeats", "supersedes", "contradicts"]
"""What a fact does to an earlier one."""
DRAWN = ("rules", "model")
"""Origins of memories that were drawn from others."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a fact says of whom. `slot` and `value` are digests (see `digest`)."""

    subject: str
    """A name that the fact's memory mentions."""
    slot: str | None = None
    value: str | None = None
    negates: bool = False
    until: datetime | None = None
    """Until when it was said to be true."""


def digest(text: str) -> str:
    """A text for comparing alone: it must not lie about once its memory is forgotten."""
    return hashlib.sha256(name_key(text).encode()).hexdigest()[:20]


def state(
    connection: sa.Connection, memory_id: str, home_id: str, subject_id: str, statement: Statement
) -> None:
    """Note what a memory says of `home_id`, which counts as `subject_id`. What is noted already stays: the
    caller's own understanding goes before ours."""
    row = {
        "memory_id": memory_id,
        "subject_id": subject_id,
        "home_id": home_id,
        "slot": statement.slot,
        "value": statement.value,
        "negates": statement.negates,
        "until": statement.until,
    }
    connection.execute(_STATE, row)


_STATE = insert(schema.statement).on_conflict_do_nothing()


def judge(
    connection: sa.Connection,
    new_id: str,
    old_id: str,
    judgement: Judgement,
    at: datetime,
    *,
    by: Literal["verdict", "consolidation"] = "verdict",
) -> bool:
    """Note a verdict, unless there is one, or the old one has itself taken the new one's place; whether it
    was noted."""
    if old_id == new_id or old_id in _all_after(connection, new_id):
        return False
    noted = connection.execute(
        insert(schema.succession)
        .values(old_id=old_id, new_id=new_id, judgement=judgement, by=by, at=at)
        .on_conflict_do_nothing()
    )
    return noted.rowcount > 0


def _all_after(connection: sa.Connection, memory_id: str) -> set[str]:
    """Everything that took its place, directly or not."""
    found: set[str] = set()
    ends = [memory_id]
    while ends:
        query = sa.select(schema.succession.c.new_id).where(
            schema.succession.c.old_id.in_(ends), schema.succession.c.judgement == "supersedes"
        )
        ends = [one for one in connection.execute(query).scalars() if one not in found]
        found.update(ends)
    return found


def concerned(connection: sa.Connection, memory_ids: Sequence[str]) -> tuple[str, ...]:
    """These facts, all that share a slot with them, and all that a verdict of theirs has ended."""
    mates = connection.execute(_CONCERNED, {"ids": list(memory_ids)}).scalars()
    return tuple(dict.fromkeys((*memory_ids, *mates)))


_mine, _other = schema.statement.alias(), schema.statement.alias()
_CONCERNED = (
    sa.select(_other.c.memory_id)
    .join(_mine, (_mine.c.subject_id == _other.c.subject_id) & (_mine.c.slot == _other.c.slot))
    .where(among(_mine.c.memory_id, "ids"))
    .union(sa.select(schema.succession.c.old_id).where(among(schema.succession.c.new_id, "ids")))
)


def about(connection: sa.Connection, entity_ids: Sequence[str]) -> tuple[str, ...]:
    """Every fact whose subject one of these entities is."""
    query = sa.select(schema.statement.c.memory_id).where(schema.statement.c.subject_id.in_(entity_ids))
    return tuple(connection.execute(query).scalars())


def relating_to(connection: sa.Connection, entity_ids: Sequence[str]) -> tuple[str, ...]:
    """Every fact that relates somebody to one of these entities, with all that share its slots."""
    query = sa.select(schema.relation.c.memory_id).where(schema.relation.c.object_id.in_(entity_ids))
    return concerned(connection, tuple(connection.execute(query.distinct()).scalars()))


def settle(connection: sa.Connection, memory_ids: Iterable[str]) -> tuple[str, ...]:
    """Say anew of these facts, which are all of their slots, which of them hold; answers those that changed.

    All is worked out from what was said, so that it comes right again when something is forgotten, brought
    back, or said late.
    """
    # Most memories are words, of which nothing is stated.
    ids = list(connection.execute(_STATED, {"ids": list(dict.fromkeys(memory_ids))}).scalars())
    if not ids:
        return ()
    ended = _ended_by_slot(connection, ids)
    for memory_id, ending in _ended_by_verdict(connection, ids).items():
        known = ended.get(memory_id)
        if known is None or ending.at < known.at:
            ended[memory_id] = ending
    now = datetime.now(UTC)
    changed: list[str] = []
    for row in connection.execute(_HELD, {"ids": ids}).all():
        ending = ended.get(row.id)
        ends_at = [one for one in (row.until, None if ending is None else ending.at) if one is not None]
        until = min(ends_at, default=None)
        is_over = ending is not None and ending.at <= now
        values = {"state": "superseded" if is_over else "active", "valid_until": until}
        if (row.state, row.valid_until) != (values["state"], until):
            connection.execute(sa.update(schema.memory).where(_MEMORY.id == row.id).values(**values))
            changed.append(row.id)
    return tuple(changed)


_MEMORY, _STATEMENT = schema.memory.c, schema.statement.c
_HELD = (
    sa.select(_MEMORY.id, _MEMORY.state, _MEMORY.valid_until, _STATEMENT.until)
    .join(schema.statement, _STATEMENT.memory_id == _MEMORY.id)
    .where(among(_MEMORY.id, "ids"), _MEMORY.state.in_(("active", "superseded")))
)
_STATED = sa.select(schema.statement.c.memory_id).where(among(schema.statement.c.memory_id, "ids"))


def _ended_by_slot(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Ending]:
    rows = connection.execute(_CLAIMS, {"ids": ids, "now": datetime.now(UTC)}).all()
    filled = _filled_by(connection, ids)
    # What ends something relates nobody to it: "left Globex" names what "works at Globex" is filled by.
    named = {
        (row.owner, row.subject_id, row.slot, row.value): by
        for row in rows
        if row.value is not None and (by := filled.get((row.id, row.subject_id, row.slot))) is not None
    }
    slots: dict[tuple[str, str, str], list[Claim]] = {}
    for row in rows:
        slot = (row.owner, row.subject_id, row.slot)
        claim = Claim(
            memory_id=row.id,
            value=filled.get((row.id, row.subject_id, row.slot)) or named.get((*slot, row.value), row.value),
            negates=row.negates,
            said_at=max(row.observed_at, row.said_last or row.observed_at),
            begins_at=takes_place(row.kind, row.observed_at, row.valid_from),
            until=row.until,
            order=row.seq,
            session_id=row.session_id,
        )
        slots.setdefault(slot, []).append(claim)
    ended: dict[str, Ending] = {}
    for claims in slots.values():
        ended.update(endings(claims))
    connection.execute(_NOT_ENDED, {"ids": ids})
    if ended:
        how = {"judgement": "supersedes", "by": "slot"}
        links = [{"old_id": one, "new_id": end.by_id, "at": end.at, **how} for one, end in ended.items()]
        connection.execute(_END, links)
    return ended


_origin = schema.memory.alias()
_said_last = (
    sa.select(sa.func.max(_origin.c.observed_at))
    .join(schema.source, schema.source.c.source_id == _origin.c.id)
    .where(schema.source.c.memory_id == _MEMORY.id, _origin.c.forgetting_id.is_(None))
    .scalar_subquery()
)
_CLAIMS = (
    sa.select(
        _MEMORY.id,
        _MEMORY.owner,
        _MEMORY.seq,
        _MEMORY.observed_at,
        _MEMORY.valid_from,
        _MEMORY.kind,
        _MEMORY.session_id,
        sa.type_coerce(_said_last, schema.Time).label("said_last"),
        schema.statement,
    )
    .join(schema.statement, _STATEMENT.memory_id == _MEMORY.id)
    .where(among(_MEMORY.id, "ids"), _STATEMENT.slot.is_not(None), alive(now=NOW))
)
_NOT_ENDED = sa.delete(schema.succession).where(
    among(schema.succession.c.old_id, "ids"), schema.succession.c.by == "slot"
)
_END = insert(schema.succession).on_conflict_do_nothing()


def _filled_by(connection: sa.Connection, ids: Sequence[str]) -> dict[tuple[str, str, str], str]:
    """By fact, subject and slot, whom it relates the subject to by what the slot is named after: the boss who
    is called Nell today, and Ines tomorrow, is one."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for memory_id, subject_id, predicate, object_id in connection.execute(_RELATED_BY, {"ids": ids}):
        found.setdefault((memory_id, subject_id, digest(predicate)), set()).add(object_id)
    return {key: next(iter(objects)) for key, objects in found.items() if len(objects) == 1}


_RELATION = schema.relation.c
_RELATED_BY = (
    sa.select(_RELATION.memory_id, _RELATION.subject_id, schema.predicate.c.name, _RELATION.object_id)
    .join(schema.predicate, schema.predicate.c.code == _RELATION.predicate)
    .where(among(_RELATION.memory_id, "ids"))
)


def takes_place(kind: str, observed_at: datetime, valid_from: datetime | None) -> datetime:
    """Since when a fact stands in another's place: since it is true, but a plan since it was told, however
    far ahead it lies."""
    return observed_at if kind in ("plan", "event") else valid_from or observed_at


def _ended_by_verdict(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Ending]:
    rows = connection.execute(_VERDICTS, {"ids": ids, "now": datetime.now(UTC)})
    # The earliest comes last and stays.
    return {old: Ending(new, at) for old, new, at in rows}


_VERDICTS = (
    sa.select(schema.succession.c.old_id, schema.succession.c.new_id, schema.succession.c.at)
    .join(schema.memory, _MEMORY.id == schema.succession.c.new_id)
    .where(
        among(schema.succession.c.old_id, "ids"),
        schema.succession.c.by != "slot",
        schema.succession.c.judgement == "supersedes",
        alive(now=NOW),
    )
    .order_by(schema.succession.c.at.desc())
)


def followed(
    connection: sa.Connection, scope: Scope, ids: Sequence[str], until: datetime | None = None
) -> dict[str, tuple[Succession, ...]]:
    """By id of a fact, or of a message that facts were drawn from: what took their places, and what holds now
    in the end. `until` leaves out what came later."""
    by_fact: dict[str, set[str]] = {one: {one} for one in ids}
    for message_id, fact_id in connection.execute(_FROM, {"ids": ids}).all():
        by_fact.setdefault(fact_id, set()).add(message_id)
    found: dict[str, list[Succession]] = {}
    for fact_id, one in _lasting(connection, scope, list(by_fact), until).items():
        for memory_id in by_fact[fact_id]:
            # A turn that says both what was and what came instead is not outdated.
            if memory_id not in by_fact.get(one.new.id, ()):
                found.setdefault(memory_id, []).append(one)
    return {memory_id: tuple(ends) for memory_id, ends in found.items()}


_FROM = sa.select(schema.source.c.source_id, schema.source.c.memory_id).where(
    among(schema.source.c.source_id, "ids")
)


def _lasting(
    connection: sa.Connection, scope: Scope, fact_ids: Sequence[str], until: datetime | None
) -> dict[str, Succession]:
    """By id of a fact that holds no longer, since when, and what came last in its place."""
    first = _next(connection, scope, fact_ids, until)
    last = dict(first)
    # A chain of successions ends: each was said later than the one before.
    while later := _next(connection, scope, [one.new.id for one in last.values()], until):
        moved = {
            fact_id: Succession(old=one.old, new=later[one.new.id].new, at=later[one.new.id].at)
            for fact_id, one in last.items()
            if one.new.id in later and later[one.new.id].new.id not in (fact_id, one.new.id)
        }
        if not moved:
            break
        last.update(moved)
    return last


def _next(
    connection: sa.Connection, scope: Scope, fact_ids: Sequence[str], until: datetime | None
) -> dict[str, Succession]:
    rows = connection.execute(_NEXT, {"ids": fact_ids, "until": until}).all()
    return {one.old.id: one for one in successions(connection, scope, rows)}


_LINK = schema.succession.c
_LINKS = sa.select(_LINK.old_id, _LINK.new_id, _LINK.at, _LINK.judgement).order_by(_LINK.at)
_UNTIL = sa.bindparam("until", type_=schema.Time)
_NEXT = _LINKS.where(
    among(_LINK.old_id, "ids"),
    _LINK.judgement == "supersedes",
    sa.or_(_UNTIL.is_(None), _LINK.at <= _UNTIL),
)


def by_rules(connection: sa.Connection, ids: Sequence[str]) -> frozenset[str]:
    """Those of these that were drawn from others by rules."""
    return frozenset(connection.execute(_BY_RULES, {"ids": ids}).scalars())


# Most memories were drawn from nothing, which an index alone tells. SQLite would read their rows first if the
# tables were joined.
_BY_RULES = sa.select(schema.source.c.memory_id).where(
    among(schema.source.c.memory_id, "ids"),
    sa.exists().where(schema.memory.c.id == schema.source.c.memory_id, schema.memory.c.origin == "rules"),
)


def drawn(connection: sa.Connection, scope: Scope, ids: Sequence[str]) -> dict[str, tuple[Memory, ...]]:
    """By id of a message, the facts that rest on it and hold."""
    found: dict[str, list[Memory]] = {}
    for row in connection.execute(_DRAWN, {"ids": ids, **seen_by(scope)}).all():
        found.setdefault(row.source_id, []).append(memory_of(row))
    return {message_id: tuple(rest) for message_id, rest in found.items()}


_DRAWN = (
    sa.select(schema.source.c.source_id, *COLUMNS)
    .join(schema.source, schema.source.c.memory_id == schema.memory.c.id)
    .where(
        among(schema.source.c.source_id, "ids"),
        schema.memory.c.origin.in_(DRAWN),
        schema.memory.c.state == "active",
        VISIBLE,
    )
    .order_by(schema.memory.c.seq)
)


def origins(connection: sa.Connection, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What each of these was drawn from, in order of time; without those that were drawn from nothing."""
    found: dict[str, list[str]] = {}
    for memory_id, source_id in connection.execute(_ORIGINS, {"ids": ids}).all():
        found.setdefault(memory_id, []).append(source_id)
    return {memory_id: tuple(sources) for memory_id, sources in found.items()}


_ORIGINS = (
    sa.select(schema.source.c.memory_id, schema.source.c.source_id)
    .join(schema.memory, schema.memory.c.id == schema.source.c.source_id)
    .where(among(schema.source.c.memory_id, "ids"))
    .order_by(schema.memory.c.observed_at, schema.memory.c.seq)
)


def drawn_from(connection: sa.Connection, scope: Scope, memory_id: str) -> tuple[Memory, ...]:
    """Facts that rest on a memory, in order of time."""
    query = (
        sa.select(*COLUMNS)
        .join(schema.source, schema.source.c.memory_id == schema.memory.c.id)
        .where(schema.source.c.source_id == memory_id, visible(scope, by_id=True))
        .order_by(schema.memory.c.observed_at, schema.memory.c.seq)
    )
    return tuple(memory_of(row) for row in connection.execute(query))


def sources_of(connection: sa.Connection, scope: Scope, memory_id: str) -> tuple[Memory, ...]:
    """What a fact rests on, in order of time."""
    query = (
        sa.select(*COLUMNS)
        .join(schema.source, schema.source.c.source_id == schema.memory.c.id)
        .where(schema.source.c.memory_id == memory_id, visible(scope, by_id=True))
        .order_by(schema.memory.c.observed_at, schema.memory.c.seq)
    )
    return tuple(memory_of(row) for row in connection.execute(query))


def outcome(
    connection: sa.Connection, scope: Scope, memory_ids: Sequence[str]
) -> tuple[tuple[Memory, ...], tuple[Succession, ...]]:
    """Facts that rest on these memories, in the order they were written; and what holds no longer since these
    or their facts were said."""
    rows = connection.execute(_DRAWN_FROM, {"ids": memory_ids, **seen_by(scope)})
    drawn = tuple(map(memory_of, rows))
    links = connection.execute(_LINKS_TO, {"ids": [*memory_ids, *(one.id for one in drawn)]}).all()
    ended = successions(connection, scope, links)
    return drawn, tuple(one for one in ended if one.judgement == "supersedes")


_DRAWN_FROM = (
    sa.select(*COLUMNS)
    .where(
        _MEMORY.id.in_(sa.select(schema.source.c.memory_id).where(among(schema.source.c.source_id, "ids"))),
        _MEMORY.origin.in_(DRAWN),
        VISIBLE,
    )
    .order_by(_MEMORY.seq)
)
_LINKS_TO = _LINKS.where(among(_LINK.new_id, "ids"))


def successions(
    connection: sa.Connection, scope: Scope, rows: Sequence[sa.Row[Any, Any, Any, Any]]
) -> tuple[Succession, ...]:
    """Rows of `old_id`, `new_id`, `at` and `judgement` with their memories, as far as the scope sees both."""
    ids = dict.fromkeys(one for row in rows for one in (row.old_id, row.new_id))
    seen = connection.execute(_SEEN, {"ids": list(ids), **seen_by(scope)}) if ids else ()
    known = {one.id: one for one in map(memory_of, seen)}
    return tuple(
        Succession(old=known[row.old_id], new=known[row.new_id], at=row.at, judgement=row.judgement)
        for row in rows
        if row.old_id in known and row.new_id in known
    )


_SEEN = sa.select(*COLUMNS).where(among(_MEMORY.id, "ids"), VISIBLE)


def chain(
    connection: sa.Connection, scope: Scope, memory_id: str
) -> tuple[tuple[Succession, ...], tuple[Succession, ...]]:
    """What a fact took the place of, and what took its place; contradictions too, oldest first."""
    before = connection.execute(_LINKS.where(_LINK.new_id == memory_id)).all()
    after = connection.execute(_LINKS.where(_LINK.old_id == memory_id)).all()
    return successions(connection, scope, before), successions(connection, scope, after)


def contradictions(connection: sa.Connection, ids: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of these that say otherwise of the same thing, by their relations or by a verdict."""
    judged = ((row[0], row[1]) for row in connection.execute(_CONTRADICTIONS, {"ids": ids}))
    return tuple(dict.fromkeys((*entities.conflicts(connection, ids), *judged)))


_CONTRADICTIONS = sa.select(_LINK.old_id, _LINK.new_id).where(
    among(_LINK.old_id, "ids"), among(_LINK.new_id, "ids"), _LINK.judgement == "contradicts"
)


def changes(
    connection: sa.Connection, scope: Scope, since: datetime, until: datetime, limit: int
) -> tuple[tuple[Memory, Literal["began", "ended"], datetime], ...]:
    """Facts that became true, or ceased to be, in a time; the latest first. What ended before it would have
    begun, as a journey that was cancelled, never began."""
    columns = schema.memory.c
    begins = sa.type_coerce(sa.func.coalesce(columns.valid_from, columns.observed_at), schema.Time)
    has_begun = sa.or_(columns.valid_until.is_(None), columns.valid_until > begins)
    moments: tuple[
        tuple[Literal["began", "ended"], sa.ColumnElement[datetime], sa.ColumnElement[bool]], ...
    ] = (
        ("began", begins, has_begun),
        ("ended", columns.valid_until, sa.true()),
    )
    found: list[tuple[Memory, Literal["began", "ended"], datetime]] = []
    for event, when, did in moments:
        query = (
            sa.select(when.label("when"), *COLUMNS)
            .where(visible(scope), columns.kind != "message", when >= since, when <= until, did)
            .order_by(when.desc())
            .limit(limit)
        )
        found.extend((memory_of(row), event, row.when) for row in connection.execute(query))
    found.sort(key=lambda one: (one[2], one[0].id), reverse=True)
    return tuple(found[:limit])


def subjects(connection: sa.Connection, ids: Sequence[str]) -> dict[str, str]:
    """The names of what these facts are about, by id."""
    found: dict[str, str] = {}
    for some in chunks(ids):
        query = (
            sa.select(schema.statement.c.memory_id, schema.entity.c.name)
            .join(schema.entity, schema.entity.c.id == schema.statement.c.subject_id)
            .where(schema.statement.c.memory_id.in_(some))
        )
        found.update((row[0], row[1]) for row in connection.execute(query))
    return found
