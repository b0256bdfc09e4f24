"""Words that facts are still to be drawn from, what became of trying, and what it cost; each function takes a
transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import Memory, UsageOfDay
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import COLUMNS, NOW, alive, among, memory_of
from mcp_memory.store.ledger.schema import new_id
from mcp_memory.usage import Usage

ExtractionStatus = Literal["waiting", "failed"]


@dataclass(frozen=True, slots=True)
class Work:
    """Memories of one write that are to be read in one pass."""

    id: str
    memory_ids: tuple[str, ...]
    since: datetime
    attempts: int


def enqueue(connection: sa.Connection, memory_ids: Sequence[str], now: datetime) -> str:
    """Note that facts are to be drawn from these, in the transaction that writes them; answers the work's
    id."""
    work_id = new_id("x")
    row = {"id": work_id, "memory_ids": " ".join(memory_ids), "since": now, "due_at": now}
    connection.execute(_ENQUEUE, row)
    return work_id


_WORK = schema.extraction.c
_ENQUEUE = insert(schema.extraction)


def due(connection: sa.Connection, now: datetime, limit: int) -> tuple[Work, ...]:
    """What may be tried now, the oldest first."""
    table = schema.extraction.c
    query = (
        sa.select(schema.extraction)
        .where(table.due_at <= now, table.has_failed.is_(False))
        .order_by(table.since, table.id)
        .limit(limit)
    )
    return tuple(_work(row) for row in connection.execute(query))


def find(connection: sa.Connection, work_ids: Sequence[str]) -> tuple[Work, ...]:
    """Those of these that are not done, whenever they are due."""
    return tuple(_work(row) for row in connection.execute(_FIND, {"ids": work_ids}))


_FIND = sa.select(schema.extraction).where(among(_WORK.id, "ids")).order_by(_WORK.since)


def left_of(connection: sa.Connection, work_ids: Sequence[str]) -> tuple[bool, tuple[str, ...]]:
    """Whether any of these is not done, and what kept it from that."""
    rows = connection.execute(_ERRORS, {"ids": work_ids}).all()
    return bool(rows), tuple(dict.fromkeys(row.error for row in rows if row.error))


_ERRORS = sa.select(_WORK.error).where(among(_WORK.id, "ids"))


def _work(row: sa.Row[tuple[object, ...]]) -> Work:
    return Work(row.id, tuple(row.memory_ids.split()), row.since, row.attempts)


def words(connection: sa.Connection, memory_ids: Sequence[str]) -> tuple[Memory, ...]:
    """Those of these memories that are neither forgotten nor expired, whosever they are, in order of time."""
    rows = connection.execute(_WORDS, {"ids": memory_ids, "now": datetime.now(UTC)})
    return tuple(sorted(map(memory_of, rows), key=lambda one: one.observed_at))


_WORDS = (
    sa.select(*COLUMNS).where(among(schema.memory.c.id, "ids"), alive(now=NOW)).order_by(schema.memory.c.seq)
)


def next_due(connection: sa.Connection) -> datetime | None:
    """When the next is to be tried, None when nothing waits."""
    table = schema.extraction.c
    query = sa.select(sa.func.min(table.due_at)).where(table.has_failed.is_(False))
    return connection.execute(query).scalar_one()


def done(connection: sa.Connection, work_id: str) -> bool:
    """Take it off the list; whether it was still on it."""
    return connection.execute(_DONE, {"work_id": work_id}).rowcount > 0


_DONE = sa.delete(schema.extraction).where(_WORK.id == sa.bindparam("work_id"))


def put_off(
    connection: sa.Connection, work_id: str, due_at: datetime, error: str, *, attempts: int, has_failed: bool
) -> None:
    """Try it again at `due_at`, or with `has_failed` not before somebody asks for it."""
    connection.execute(
        sa.update(schema.extraction)
        .where(schema.extraction.c.id == work_id)
        .values(due_at=due_at, error=error, attempts=attempts, has_failed=has_failed)
    )


def retry(connection: sa.Connection, now: datetime) -> int:
    """Make all that waits or has failed due at once; answers how much that is."""
    return connection.execute(
        sa.update(schema.extraction).values(due_at=now, attempts=0, has_failed=False)
    ).rowcount


def counts(connection: sa.Connection) -> tuple[int, int, str | None]:
    """How much waits, how much has failed, and why the latest did."""
    table = schema.extraction.c
    rows = connection.execute(sa.select(table.has_failed, table.error).order_by(table.since)).all()
    errors = [row.error for row in rows if row.error]
    failed = sum(row.has_failed for row in rows)
    return len(rows) - failed, failed, errors[-1] if errors else None


def status(connection: sa.Connection, memory_id: str) -> tuple[ExtractionStatus, str | None] | None:
    """Whether facts are still to be drawn from a memory, and why they were not; None when nothing waits."""
    table = schema.extraction.c
    query = sa.select(table.has_failed, table.error).where(
        (" " + table.memory_ids + " ").contains(f" {memory_id} ", autoescape=True)
    )
    row = connection.execute(query).first()
    return None if row is None else ("failed" if row.has_failed else "waiting", row.error)


def spend(
    connection: sa.Connection,
    provider: str,
    purpose: str,
    usage: Usage,
    now: datetime,
    *,
    user_id: str,
    unsupported: int = 0,
    invalid: int = 0,
) -> None:
    """Add to what this day (UTC) has cost, and to what it has cost for one user."""
    _spend_for(connection, user_id, usage.input_tokens + usage.output_tokens, now)
    table = schema.llm_usage
    amounts = {
        "calls": usage.calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "unsupported": unsupported,
        "invalid": invalid,
    }
    if not any(amounts.values()):
        return
    new = insert(table).values(day=_day(now), provider=provider, purpose=purpose, **amounts)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["day", "provider", "purpose"],
            set_={name: table.c[name] + new.excluded[name] for name in amounts},
        )
    )


def _spend_for(connection: sa.Connection, user_id: str, tokens: int, now: datetime) -> None:
    if not tokens:
        return
    table = schema.user_usage
    new = insert(table).values(day=_day(now), user_id=user_id, tokens=tokens)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["day", "user_id"], set_={"tokens": table.c.tokens + new.excluded.tokens}
        )
    )
    # Yesterday's count for nothing, and would tell who was there.
    connection.execute(sa.delete(table).where(table.c.day < _day(now)))


def spent_by(connection: sa.Connection, user_id: str, now: datetime) -> int:
    """Tokens, in and out, of this day (UTC), for one user."""
    table = schema.user_usage.c
    query = sa.select(table.tokens).where(table.day == _day(now), table.user_id == user_id)
    return connection.execute(query).scalar_one_or_none() or 0


def spent(connection: sa.Connection, now: datetime) -> int:
    """Tokens, in and out, of this day (UTC)."""
    table = schema.llm_usage.c
    total = sa.func.sum(table.input_tokens + table.output_tokens)
    return connection.execute(sa.select(total).where(table.day == _day(now))).scalar_one() or 0


def usage(connection: sa.Connection, days: int) -> tuple[UsageOfDay, ...]:
    """What the latest days cost, the newest first."""
    table = schema.llm_usage
    latest = sa.select(table.c.day).distinct().order_by(table.c.day.desc()).limit(days)
    query = sa.select(table).where(table.c.day.in_(latest))
    rows = connection.execute(query.order_by(table.c.day.desc(), table.c.provider, table.c.purpose))
    return tuple(UsageOfDay.model_validate(row) for row in rows.mappings())


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()


def drop(connection: sa.Connection, memory_ids: Sequence[str]) -> None:
    """What was forgotten is read no more: work that is left without any memory goes."""
    gone = set(memory_ids)
    for row in connection.execute(sa.select(schema.extraction)).all():
        kept = [one for one in row.memory_ids.split() if one not in gone]
        if len(kept) == len(row.memory_ids.split()):
            continue
        change = schema.extraction.c.id == row.id
        if kept:
            connection.execute(sa.update(schema.extraction).where(change).values(memory_ids=" ".join(kept)))
        else:
            connection.execute(sa.delete(schema.extraction).where(change))
