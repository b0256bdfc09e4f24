"""Forgetting: first hidden, then erased, with a receipt that proves it; each function takes a transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory import residue
from mcp_memory.models import Hidden, Kept, Receipt, Scope
from mcp_memory.store.ledger import (
    entities,
    extractions,
    facts,
    index_work,
    merging,
    schema,
    unlinking,
    writes,
)
from mcp_memory.store.ledger.rows import visible
from mcp_memory.store.ledger.schema import chunks, new_id

KEPT = 20
SAID_BY = 3
"""Examples shown of what stays, and of who still says it."""
SHOWN = 80
"""Characters shown of a memory that stays."""


@dataclass(frozen=True, slots=True)
class Hiding:
    """What a forget put out of sight. `id` is empty when there was nothing."""

    id: str
    memory_ids: tuple[str, ...] = ()
    """Those asked for, in that order."""
    derived: tuple[str, ...] = ()
    entities_left: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()
    sessions: tuple[str, ...] = ()
    due_at: datetime | None = None
    backups: tuple[str, ...] = ()
    """Copies that were made since the oldest of them was recorded."""


@dataclass(frozen=True, slots=True)
class Due:
    """A forgetting whose time has come."""

    id: str
    made_at: datetime
    memory_ids: tuple[str, ...]
    erased: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """Ids of the memories and entities that are deleted from the ledger already, by a process that ended
    before it wrote the receipt."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look through the files gave; `found` names places, never what was found."""

    pieces: int
    files: int
    bytes: int
    found: tuple[str, ...]


def hide(
    connection: sa.Connection,
    scope: Scope,
    ids: Sequence[str],
    *,
    now: datetime,
    due_at: datetime,
    all_sessions: bool = False,
    write_id: str | None = None,
) -> Hiding:
    """Put those of `ids` that are visible in `scope` out of sight, with all that was drawn from nothing
    else. What is hidden there already and is now to be erased at once is taken along. Raises InvalidInput for
    a `write_id` that was another's."""
    if write_id is not None and (known := writes.find(connection, write_id)) is not None:
        hiding = _hidden_before(connection, known)
        writes.require_same(not frozenset(ids).isdisjoint(hiding.memory_ids))
        return hiding
    asked: list[str] = []
    sessions: set[str] = set()
    for some in chunks(ids):
        within = visible(scope, all_sessions=all_sessions)
        if due_at <= now:
            within |= _owned(scope) & schema.memory.c.forgetting_id.is_not(None)
        query = sa.select(schema.memory.c.id, schema.memory.c.session_id).where(
            schema.memory.c.id.in_(some), within
        )
        for memory_id, session_id in connection.execute(query):
            asked.append(memory_id)
            sessions.update([] if session_id is None else [session_id])
    if not asked:
        return Hiding("")
    forgetting_id = new_id("f")
    _unmark(connection, asked)
    connection.execute(insert(schema.forgetting).values(id=forgetting_id, made_at=now, due_at=due_at))
    _mark(connection, asked, forgetting_id)
    derived: list[str] = []
    while drawn := _drawn_from_nothing_else(connection, forgetting_id):
        _mark(connection, drawn, forgetting_id)
        derived.extend(drawn)
    gone = [*asked, *derived]
    # What was ended by nothing but the forgotten holds again.
    facts.settle(connection, facts.concerned(connection, gone))
    extractions.drop(connection, gone)
    if write_id is not None:
        writes.save(connection, write_id, forgetting_id, now)
    left = _entities_left(connection, forgetting_id)
    kept = (*_facts_left(connection, forgetting_id), *left.values())
    order = {memory_id: place for place, memory_id in enumerate(ids)}
    return Hiding(
        forgetting_id,
        tuple(sorted(asked, key=order.__getitem__)),
        tuple(derived),
        tuple(left),
        kept[:KEPT],
        tuple(sorted(sessions)),
        due_at,
        _backups_since(connection, forgetting_id),
    )


def _backups_since(connection: sa.Connection, forgetting_id: str) -> tuple[str, ...]:
    oldest = (
        sa.select(sa.func.min(schema.memory.c.recorded_at))
        .where(schema.memory.c.forgetting_id == forgetting_id)
        .scalar_subquery()
    )
    query = sa.select(schema.backup.c.path).where(schema.backup.c.at >= oldest)
    return tuple(connection.execute(query.order_by(schema.backup.c.at.desc())).scalars())


def _hidden_before(connection: sa.Connection, forgetting_id: str) -> Hiding:
    query = sa.select(schema.forgetting.c.due_at).where(schema.forgetting.c.id == forgetting_id)
    due_at = connection.execute(query).scalar_one_or_none()
    if due_at is not None:
        return Hiding(forgetting_id, _members(connection, forgetting_id), due_at=due_at)
    done = find_receipt(connection, forgetting_id)
    return Hiding(forgetting_id, () if done is None else done.memory_ids)


def _mark(connection: sa.Connection, ids: Sequence[str], forgetting_id: str) -> None:
    for some in chunks(ids):
        connection.execute(
            sa.update(schema.memory)
            .where(schema.memory.c.id.in_(some), schema.memory.c.forgetting_id.is_(None))
            .values(forgetting_id=forgetting_id)
        )


def _unmark(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Take memories out of the forgettings they wait in; one that is left without any is closed."""
    for some in chunks(ids):
        connection.execute(
            sa.update(schema.memory).where(schema.memory.c.id.in_(some)).values(forgetting_id=None)
        )
    empty = ~sa.exists().where(schema.memory.c.forgetting_id == schema.forgetting.c.id)
    unbegun = schema.forgetting.c.erased_memories.is_(None)
    connection.execute(sa.delete(schema.forgetting).where(empty, unbegun))


def members(connection: sa.Connection, scope: Scope, forgetting_ids: Sequence[str]) -> tuple[str, ...]:
    """The memories of this scope that are hidden under these ids."""
    query = sa.select(schema.memory.c.id).where(
        schema.memory.c.forgetting_id.in_(forgetting_ids), _owned(scope)
    )
    return tuple(connection.execute(query.order_by(schema.memory.c.seq)).scalars())


def _members(connection: sa.Connection, forgetting_id: str) -> tuple[str, ...]:
    query = sa.select(schema.memory.c.id).where(schema.memory.c.forgetting_id == forgetting_id)
    return tuple(connection.execute(query.order_by(schema.memory.c.seq)).scalars())


def _drawn_from_nothing_else(connection: sa.Connection, forgetting_id: str) -> tuple[str, ...]:
    origin = schema.memory.alias()
    living = (
        sa.exists()
        .where(schema.source.c.memory_id == schema.memory.c.id)
        .where(origin.c.id == schema.source.c.source_id, origin.c.forgetting_id.is_(None))
    )
    drawn = (
        sa.exists()
        .where(schema.source.c.memory_id == schema.memory.c.id)
        .where(origin.c.id == schema.source.c.source_id, origin.c.forgetting_id == forgetting_id)
    )
    query = sa.select(schema.memory.c.id).where(schema.memory.c.forgetting_id.is_(None), drawn, ~living)
    return tuple(connection.execute(query).scalars())


def _facts_left(connection: sa.Connection, forgetting_id: str) -> tuple[Kept, ...]:
    origin = schema.memory.alias()
    query = (
        sa.select(schema.memory.c.id, schema.memory.c.text)
        .distinct()
        .join(schema.source, schema.source.c.memory_id == schema.memory.c.id)
        .join(origin, origin.c.id == schema.source.c.source_id)
        .where(origin.c.forgetting_id == forgetting_id, schema.memory.c.forgetting_id.is_(None))
        .limit(KEPT)
    )
    return tuple(
        Kept(id=memory_id, name=text[:SHOWN], said_by=_other_sources(connection, memory_id))
        for memory_id, text in connection.execute(query).all()
    )


def _other_sources(connection: sa.Connection, memory_id: str) -> tuple[str, ...]:
    query = (
        sa.select(schema.memory.c.id)
        .join(schema.source, schema.source.c.source_id == schema.memory.c.id)
        .where(schema.source.c.memory_id == memory_id, schema.memory.c.forgetting_id.is_(None))
        .limit(SAID_BY)
    )
    return tuple(connection.execute(query).scalars())


def _entities_left(connection: sa.Connection, forgetting_id: str) -> dict[str, Kept]:
    """Entities mentioned there and by another memory, by id."""
    here, other = schema.mention.alias(), schema.mention.alias()
    gone, stays = schema.memory.alias(), schema.memory.alias()
    query = (
        sa.select(schema.entity.c.id, schema.entity.c.name, sa.func.min(stays.c.id))
        .join(here, here.c.entity_id == schema.entity.c.id)
        .join(gone, gone.c.id == here.c.memory_id)
        .join(other, other.c.entity_id == schema.entity.c.id)
        .join(stays, stays.c.id == other.c.memory_id)
        .where(gone.c.forgetting_id == forgetting_id, stays.c.forgetting_id.is_(None))
        .group_by(schema.entity.c.id)
        .order_by(schema.entity.c.name)
    )
    return {
        entity_id: Kept(id=entity_id, name=name, said_by=(said_by,))
        for entity_id, name, said_by in connection.execute(query)
    }


def due(connection: sa.Connection, now: datetime) -> tuple[Due, ...]:
    """Forgettings whose days of grace are over, oldest first. One without such days is due whatever the clock
    says: it may have been set back."""
    times = schema.forgetting.c
    query = sa.select(schema.forgetting).where((times.due_at <= now) | (times.due_at <= times.made_at))
    rows = connection.execute(query.order_by(schema.forgetting.c.made_at)).all()
    return tuple(Due(row.id, row.made_at, _members(connection, row.id), _erased(row)) for row in rows)


def _erased(row: sa.Row[Any]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    if row.erased_memories is None:
        return None
    return tuple(row.erased_memories.split()), tuple(row.erased_entities.split())


def words_of(connection: sa.Connection, memory_ids: Sequence[str]) -> tuple[str, ...]:
    """All that is remembered with these memories and must not be found once they are erased."""
    words: list[str] = []
    for some in chunks(memory_ids):
        own = sa.select(
            schema.memory.c.text, sa.type_coerce(schema.memory.c.metadata, sa.Text), schema.memory.c.speaker
        )
        for row in connection.execute(own.where(schema.memory.c.id.in_(some))):
            words.extend(value for value in row if value)
        names = sa.select(
            schema.spelling.c.name, schema.spelling.c.key, schema.alias.c.alias, schema.alias.c.form
        ).join(
            schema.alias,
            schema.IS_SPELLED,
        )
        for row in connection.execute(names.where(schema.spelling.c.memory_id.in_(some))):
            words.extend(row)
        joined = sa.select(schema.predicate.c.name).join(
            schema.relation, schema.relation.c.predicate == schema.predicate.c.code
        )
        words.extend(connection.execute(joined.where(schema.relation.c.memory_id.in_(some))).scalars())
    return tuple(dict.fromkeys(words))


def words_left(connection: sa.Connection) -> Iterator[str]:
    """All that is remembered still, of whomever: what is also there may be found."""
    for query in (
        sa.select(
            schema.memory.c.text,
            sa.type_coerce(schema.memory.c.metadata, sa.Text),
            schema.memory.c.speaker,
            schema.memory.c.user_id,
            schema.memory.c.agent_id,
            schema.memory.c.session_id,
            schema.memory.c.source,
        ),
        sa.select(schema.entity.c.name),
        sa.select(schema.alias.c.alias, schema.alias.c.key, schema.alias.c.form),
        sa.select(schema.spelling.c.name),
        sa.select(schema.predicate.c.name),
    ):
        for row in connection.execution_options(yield_per=1_000).execute(query):
            yield from (value for value in row if value)


def unexplained(connection: sa.Connection, wanted: Sequence[bytes]) -> list[bytes]:
    """Those pieces that nothing which is still remembered contains."""
    return residue.unexplained(wanted, words_left(connection))


def erase(connection: sa.Connection, forgetting_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Delete what is hidden under this id; answers the ids of memories and of entities nothing mentions any
    more."""
    removed = _members(connection, forgetting_id)
    told = merging.told_joins(connection, removed)
    mentioned: set[str] = set()
    for some in chunks(removed):
        named = sa.select(schema.mention.c.entity_id).where(schema.mention.c.memory_id.in_(some))
        mentioned.update(connection.execute(named).scalars())
        connection.execute(sa.delete(schema.memory).where(schema.memory.c.id.in_(some)))
    # Who is one with whom was told by what is gone.
    orphans = entities.drop_unmentioned(connection, unlinking.part_untold(connection, told, mentioned))
    unused = ~sa.exists().where(schema.relation.c.predicate == schema.predicate.c.code)
    connection.execute(sa.delete(schema.predicate).where(unused))
    index_work.mark_done(connection, removed)
    connection.execute(
        sa.update(schema.forgetting)
        .where(schema.forgetting.c.id == forgetting_id)
        .values(erased_memories=" ".join(removed), erased_entities=" ".join(orphans))
    )
    return removed, orphans


def finish(
    connection: sa.Connection,
    forgetting: Due,
    erased: tuple[tuple[str, ...], tuple[str, ...]],
    looked: Looked,
    now: datetime,
) -> Receipt:
    """Write the receipt of an erasure, sealed onto the one before, and close the forgetting."""
    last = sa.select(schema.receipt.c.digest).order_by(schema.receipt.c.seq.desc()).limit(1)
    receipt = Receipt(
        id=forgetting.id,
        made_at=forgetting.made_at,
        erased_at=now,
        memory_ids=erased[0],
        entity_ids=erased[1],
        looked_for=looked.pieces,
        files=looked.files,
        bytes=looked.bytes,
        verified=not looked.found,
        found=looked.found,
        previous=connection.execute(last).scalar_one_or_none() or "",
    )
    body = _body(receipt)
    digest = _digest(body)
    connection.execute(insert(schema.receipt).values(id=receipt.id, body=body, digest=digest))
    connection.execute(sa.delete(schema.forgetting).where(schema.forgetting.c.id == forgetting.id))
    return receipt.model_copy(update={"digest": digest})


def _body(receipt: Receipt) -> str:
    return json.dumps(receipt.model_dump(mode="json", exclude={"digest"}), sort_keys=True)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def find_receipt(connection: sa.Connection, receipt_id: str) -> Receipt | None:
    query = sa.select(schema.receipt).where(schema.receipt.c.id == receipt_id)
    row = connection.execute(query).first()
    return None if row is None else _receipt(row.body, row.digest)


def receipts(connection: sa.Connection, limit: int) -> tuple[Receipt, ...]:
    """The latest, newest first."""
    query = sa.select(schema.receipt).order_by(schema.receipt.c.seq.desc()).limit(limit)
    return tuple(_receipt(row.body, row.digest) for row in connection.execute(query))


def forgotten_ids(connection: sa.Connection) -> frozenset[str]:
    """Every memory that was ever erased here, so that no older copy brings one back."""
    bodies = connection.execute(sa.select(schema.receipt.c.body)).scalars()
    return frozenset(one for body in bodies for one in cast("list[str]", json.loads(body)["memory_ids"]))


def broken_receipts(connection: sa.Connection) -> tuple[int, tuple[str, ...]]:
    """How many receipts there are, and what is wrong with their chain."""
    previous, expected, problems = "", 1, list[str]()
    rows = connection.execute(sa.select(schema.receipt).order_by(schema.receipt.c.seq)).all()
    for row in rows:
        if row.seq != expected:
            problems.append(f"before receipt {row.id} {row.seq - expected} are missing")
        if _digest(row.body) != row.digest or json.loads(row.body)["previous"] != previous:
            problems.append(f"receipt {row.id} was changed, or the one before it")
        previous, expected = row.digest, row.seq + 1
    # The counter keeps the number of a receipt that was cut off.
    highest = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'receipt'").scalar()
    if highest is not None and highest >= expected:
        problems.append(f"{highest - expected + 1} of the latest receipts are missing")
    return len(rows), tuple(problems)


def unverified(connection: sa.Connection) -> tuple[str, ...]:
    """Receipts of erasures after which something was still found, and where."""
    query = sa.select(schema.receipt).order_by(schema.receipt.c.seq)
    kept = (_receipt(row.body, row.digest) for row in connection.execute(query))
    return tuple(f"{one.id}: {'; '.join(one.found)}" for one in kept if not one.verified)


def _receipt(body: str, digest: str) -> Receipt:
    return Receipt.model_validate({**json.loads(body), "digest": digest})


def _owned(scope: Scope) -> sa.ColumnElement[bool]:
    sessions = (schema.memory.c.level == "session") & (schema.memory.c.user_id == scope.user_id)
    return schema.memory.c.owner.in_(scope.owners) | sessions


def hidden(connection: sa.Connection, scope: Scope) -> tuple[Hidden, ...]:
    """What can still be brought back in this scope, the next to be erased first."""
    times = schema.forgetting.c
    query = (
        sa.select(times.id, times.made_at, times.due_at, schema.memory.c.id.label("memory_id"))
        .join(schema.memory, schema.memory.c.forgetting_id == schema.forgetting.c.id)
        .where(_owned(scope))
        .order_by(schema.forgetting.c.due_at, schema.forgetting.c.id, schema.memory.c.seq)
    )
    found: dict[str, tuple[datetime, datetime, list[str]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.id, (row.made_at, row.due_at, []))[2].append(row.memory_id)
    return tuple(
        Hidden(id=one, made_at=made_at, due_at=due_at, memory_ids=tuple(ids))
        for one, (made_at, due_at, ids) in found.items()
    )


def hidden_count(connection: sa.Connection) -> int:
    query = sa.select(sa.func.count()).select_from(schema.memory)
    return connection.execute(query.where(schema.memory.c.forgetting_id.is_not(None))).scalar_one()


def undo(connection: sa.Connection, scope: Scope, forgetting_id: str, now: datetime) -> tuple[str, ...]:
    """Bring back what this forgetting hid; answers the ids, none when it is unknown here or too late."""
    query = sa.select(schema.memory.c.id).where(schema.memory.c.forgetting_id == forgetting_id, _owned(scope))
    ids = tuple(connection.execute(query.order_by(schema.memory.c.seq)).scalars())
    for some in chunks(ids):
        connection.execute(
            sa.update(schema.memory).where(schema.memory.c.id.in_(some)).values(forgetting_id=None)
        )
        connection.execute(
            insert(schema.history),
            [{"memory_id": one, "event": "restored", "at": now, "source": None} for one in some],
        )
    facts.settle(connection, facts.concerned(connection, ids))
    if ids and not _members(connection, forgetting_id):
        connection.execute(sa.delete(schema.forgetting).where(schema.forgetting.c.id == forgetting_id))
    return ids
