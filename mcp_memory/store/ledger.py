"""The ledger: every word ever remembered, in SQLite. A write is acknowledged when it is on disk here.

LanceDB and Kùzu are derived from it. Times are stored as microseconds since 1970 in UTC.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import anyio
import anyio.to_thread
import sqlalchemy as sa
import sqlalchemy.event
import sqlalchemy.exc
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.errors import DataFolderUnusable, DiskFull, LedgerDamaged, LedgerTooNew, StoreError
from mcp_memory.models import (
    Entity,
    EntityRef,
    EntityType,
    HistoryEvent,
    Kind,
    Memory,
    NewEntity,
    NewRelation,
    Relation,
    Scope,
    SessionSummary,
    Stats,
    name_key,
)

_Result = TypeVar("_Result")

READERS = 4
"""Threads that read at once; SQLite in WAL mode lets them beside the one writer."""
PARAMETERS = 500
"""Ids bound in one statement: well below SQLite's limit of 32,766 parameters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: Literal["m", "e", "r", "p"]) -> str:
    """`m_` and 13 characters of 32: 65 random bits, short because an assistant reads every one of them."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(13))


class _Time(sa.types.TypeDecorator[datetime]):
    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC, exact where a float would round."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class _Json(sa.types.TypeDecorator[dict[str, Any]]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: sa.Dialect) -> str | None:
        return json.dumps(value, ensure_ascii=False) if value else None

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(value)) if value else {}


_schema = sa.MetaData()

_memory = sa.Table(
    "memory",
    _schema,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("agent_id", sa.Text),
    sa.Column("session_id", sa.Text),
    sa.Column("role", sa.Text),
    sa.Column("speaker", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("observed_at", _Time, nullable=False),
    sa.Column("recorded_at", _Time, nullable=False),
    sa.Column("valid_from", _Time),
    sa.Column("valid_until", _Time),
    sa.Column("expires_at", _Time),
    sa.Column("importance", sa.Float, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("metadata", _Json),
    sa.UniqueConstraint("owner", "fingerprint"),
    sa.Index("memory_by_time", "owner", "observed_at", "seq"),
    sa.Index("memory_by_session", "user_id", "session_id", "observed_at", "seq"),
    # Without it SQLite gives the number of a forgotten row to the next one, and order would lie.
    sqlite_autoincrement=True,
)
_history = sa.Table(
    "history",
    _schema,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column(
        "memory_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("at", _Time, nullable=False),
    sa.Column("source", sa.Text),
)
_entity = sa.Table(
    "entity",
    _schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("domain", sa.Text, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("created_at", _Time, nullable=False),
)
_alias = sa.Table(
    "alias",
    _schema,
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column(
        "entity_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True
    ),
)
_mention = sa.Table(
    "mention",
    _schema,
    sa.Column("memory_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "entity_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
)
_predicate = sa.Table(
    "predicate",
    _schema,
    sa.Column("code", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sqlite_autoincrement=True,
)
_relation = sa.Table(
    "relation",
    _schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column(
        "subject_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("predicate", sa.Integer, sa.ForeignKey("predicate.code"), nullable=False, index=True),
    sa.Column(
        "object_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("memory_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), nullable=False),
    sa.Column("valid_from", _Time),
    sa.Column("valid_until", _Time),
    sa.UniqueConstraint("memory_id", "subject_id", "predicate", "object_id"),
)
_pending = sa.Table(
    "pending",
    _schema,
    sa.Column("memory_id", sa.Text, primary_key=True),
    sa.Column("work", sa.Text, nullable=False),
    sa.Column("since", _Time, nullable=False),
)
_plan = sa.Table(
    "plan",
    _schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("memory_ids", sa.Text, nullable=False),
    sa.Column("created_at", _Time, nullable=False),
)


def _migration_1(connection: sa.Connection) -> None:
    _schema.create_all(connection)


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_migration_1,)
"""Each takes the schema one version further; version n has run the first n. Append, never edit what was
released."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory about to be written, with what it mentions. Entities and relations live in its owner's
    domain."""

    memory: Memory
    entities: tuple[NewEntity, ...] = ()
    relations: tuple[NewRelation, ...] = ()
    told_apart_by: str = ""
    """What beside owner, kind, speaker and text makes it another memory: a turn's session and time, for
    one."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a draft: `id` is the new memory's, or the one that already said the same."""

    id: str
    is_new: bool
    entity_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    memory_id: str
    work: Literal["index", "erase"]


@dataclass(frozen=True, slots=True)
class GraphRows:
    """The topology of some memories, as the graph takes it: ids, codes and times, no text."""

    memory_ids: tuple[str, ...]
    entity_ids: tuple[str, ...]
    mentions: tuple[tuple[str, str], ...]
    """(memory id, entity id)"""
    relations: tuple[tuple[str, str, str, int, int | None, int | None, str], ...]
    """(subject id, object id, relation id, predicate code, valid from and until in microseconds, memory
    id)"""


@dataclass(frozen=True, slots=True)
class Removed:
    memory_ids: tuple[str, ...]
    entity_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which memories of a scope a wide forget means: those that fulfil every condition given."""

    entity_id: str | None = None
    session_id: str | None = None
    before: datetime | None = None
    ids: tuple[str, ...] | None = None
    all_sessions: bool = False
    """Session-level memories of every session of the user, not only those visible from the scope's own."""


class Ledger:
    """One ledger file. Every read takes a Scope; what is not visible in it does not exist for the caller."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)), pool_size=READERS + 1, max_overflow=0
        )
        sqlalchemy.event.listen(self._engine, "connect", _prepare_connection)
        self._writer = anyio.CapacityLimiter(1)
        self._readers = anyio.CapacityLimiter(READERS)

    @classmethod
    async def open(cls, path: Path) -> Ledger:
        """The ledger at `path`, made or migrated if need be. Raises StoreError."""
        ledger = cls(path)
        await ledger._write(ledger._migrate)
        return ledger

    async def close(self) -> None:
        await anyio.to_thread.run_sync(self._engine.dispose)

    @property
    def bytes(self) -> int:
        """Size on disk, with the write-ahead log."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def schema_version(self) -> int:
        return await self._read(_schema_version)

    async def write(self, drafts: Sequence[Draft]) -> tuple[Written, ...]:
        """Store all drafts, or none. An exact duplicate becomes an event in the history of the one we
        have."""
        return await self._write(partial(_write_drafts, drafts=drafts))

    async def memories(self, scope: Scope, ids: Sequence[str]) -> dict[str, Memory]:
        """Those of `ids` that are visible in `scope`, by id."""
        return await self._read(partial(_memories, scope=scope, ids=ids))

    async def recent(
        self, scope: Scope, kinds: Sequence[Kind], limit: int, offset: int
    ) -> tuple[Memory, ...]:
        """The latest said, newest first."""
        return await self._read(partial(_recent, scope=scope, kinds=kinds, limit=limit, offset=offset))

    async def session(self, scope: Scope, session_id: str, limit: int, offset: int) -> tuple[Memory, ...]:
        """What was said in one session, in order of time."""
        return await self._read(
            partial(_session, scope=scope, session_id=session_id, limit=limit, offset=offset)
        )

    async def sessions(
        self, scope: Scope, prefix: str, limit: int, offset: int
    ) -> tuple[SessionSummary, ...]:
        """Sessions with something visible in them, latest first."""
        return await self._read(partial(_sessions, scope=scope, prefix=prefix, limit=limit, offset=offset))

    async def around(self, scope: Scope, memory: Memory, reach: int) -> tuple[Memory, ...]:
        """Up to `reach` turns before and after `memory` in its session, in order of time."""
        return await self._read(partial(_around, scope=scope, memory=memory, reach=reach))

    async def history(self, memory_id: str) -> tuple[HistoryEvent, ...]:
        """What happened to a memory the caller was already shown, oldest first."""
        return await self._read(partial(_history_of, memory_id=memory_id))

    async def memory_ids(self, scope: Scope, prefix: str, limit: int) -> tuple[str, ...]:
        return await self._read(partial(_memory_ids, scope=scope, prefix=prefix, limit=limit))

    async def select(self, scope: Scope, selection: Selection) -> tuple[Memory, ...]:
        """Every memory that a wide forget means, newest first."""
        return await self._read(partial(_select, scope=scope, selection=selection))

    async def entities(
        self,
        scope: Scope,
        *,
        key_part: str = "",
        types: Sequence[EntityType] = (),
        ids: Sequence[str] | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> tuple[tuple[Entity, ...], int]:
        """A page of entities that a visible memory mentions, most mentioned first, and how many there are in
        all."""
        return await self._read(
            partial(
                _entities, scope=scope, key_part=key_part, types=types, ids=ids, limit=limit, offset=offset
            )
        )

    async def entity_ids(self, scope: Scope, prefix: str, limit: int) -> tuple[str, ...]:
        return await self._read(partial(_entity_ids, scope=scope, prefix=prefix, limit=limit))

    async def resolve(self, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
        """Entity ids by `name_key` of a name or alias, or by the id itself, for those known in `scope`."""
        return await self._read(partial(_resolve, scope=scope, keys=keys))

    async def entity_refs(self, ids: Sequence[str]) -> dict[str, EntityRef]:
        """Names of entities the caller was already led to."""
        return await self._read(partial(_entity_refs, ids=ids))

    async def mentions_of(self, scope: Scope, entity_id: str, limit: int) -> tuple[Memory, ...]:
        """Visible memories that mention an entity, newest first."""
        return await self._read(partial(_mentions_of, scope=scope, entity_id=entity_id, limit=limit))

    async def mentioned_by(self, memory_id: str) -> tuple[EntityRef, ...]:
        return await self._read(partial(_mentioned_by, memory_id=memory_id))

    async def relations(
        self, scope: Scope, *, entity_id: str | None = None, memory_id: str | None = None
    ) -> tuple[Relation, ...]:
        """Relations that a visible memory says, of one entity or of one memory."""
        return await self._read(partial(_relations, scope=scope, entity_id=entity_id, memory_id=memory_id))

    async def stats(self, scope: Scope) -> Stats:
        return await self._read(partial(_stats, scope=scope))

    async def save_plan(self, scope: Scope, memory_ids: Sequence[str], now: datetime) -> str:
        """Remember what a plan means; the words that led to it are not kept."""
        return await self._write(partial(_save_plan, scope=scope, memory_ids=memory_ids, now=now))

    async def plan(self, scope: Scope, plan_id: str) -> tuple[tuple[str, ...], datetime] | None:
        """The memory ids of a plan made in exactly this scope, and when it was made."""
        return await self._read(partial(_plan_of, scope=scope, plan_id=plan_id))

    async def drop_plans(self, *, before: datetime, plan_id: str | None = None) -> None:
        """Delete one plan, and all that are older than `before`."""
        await self._write(partial(_drop_plans, before=before, plan_id=plan_id))

    async def forget(self, scope: Scope, ids: Sequence[str], *, all_sessions: bool = False) -> Removed:
        """Delete those of `ids` that are visible in `scope`, and the entities that nothing mentions any
        more."""
        return await self._write(partial(_forget, scope=scope, ids=ids, all_sessions=all_sessions))

    async def pending(self, limit: int) -> tuple[Pending, ...]:
        """Index work that is acknowledged and not done, oldest first."""
        return await self._read(partial(_pending_work, limit=limit))

    async def pending_count(self) -> int:
        return await self._read(_pending_count)

    async def mark_done(self, memory_ids: Sequence[str]) -> None:
        await self._write(partial(_mark_done, memory_ids=memory_ids))

    async def enqueue_all(self) -> int:
        """Make every memory pending again, for indexes that are built anew. Answers how many."""
        return await self._write(_enqueue_all)

    async def all_memories(self, after_seq: int, limit: int) -> tuple[tuple[int, Memory], ...]:
        """A page of the whole ledger with sequence numbers, for rebuilding; no scope, so never for a
        caller."""
        return await self._read(partial(_all_memories, after_seq=after_seq, limit=limit))

    async def to_index(self, ids: Sequence[str]) -> tuple[Memory, ...]:
        """Memories whose index work is pending; no scope, so never for a caller."""
        return await self._read(partial(_to_index, ids=ids))

    async def graph_rows(self, ids: Sequence[str] | None = None) -> GraphRows:
        """The topology of `ids`, or of everything."""
        return await self._read(partial(_graph_rows, ids=ids))

    async def counts(self) -> tuple[int, int, int]:
        """Memories, entities and relations in the whole ledger."""
        return await self._read(_counts)

    def _migrate(self, connection: sa.Connection) -> None:
        version = _schema_version(connection)
        if version > len(MIGRATIONS):
            raise LedgerTooNew(self._path, version, len(MIGRATIONS))
        for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
            migration(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {number}")

    async def _write(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        def run() -> _Result:
            with self._translated(), self._engine.begin() as connection:
                return work(connection)

        return await anyio.to_thread.run_sync(run, limiter=self._writer)

    async def _read(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        def run() -> _Result:
            with self._translated(), self._engine.connect() as connection:
                return work(connection)

        return await anyio.to_thread.run_sync(run, limiter=self._readers)

    @contextmanager
    def _translated(self) -> Generator[None]:
        """SQLite's errors in our words. The statement and its values stay out: they are what is
        remembered."""
        try:
            yield
        except sqlalchemy.exc.DBAPIError as error:
            reason = str(error.orig)
            if "full" in reason:
                raise DiskFull(self._path) from error
            if "readonly" in reason or "unable to open" in reason:
                raise DataFolderUnusable(self._path.parent, reason) from error
            if "malformed" in reason or "not a database" in reason:
                raise LedgerDamaged(self._path, reason) from error
            raise StoreError(
                f"The ledger {self._path} refused: {reason}. Nothing was stored; try again."
            ) from error


def _prepare_connection(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL: an acknowledged write survives a power cut, not only a crash of the process.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Overwrites what is deleted with zeros instead of leaving it on free pages.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.close()


def _schema_version(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def fingerprint(draft: Draft) -> str:
    """Equal for two drafts of one owner that say exactly the same. White space does not count."""
    memory = draft.memory
    parts = (
        memory.kind,
        memory.speaker or memory.role or "",
        " ".join(memory.text.split()),
        draft.told_apart_by,
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _write_drafts(connection: sa.Connection, drafts: Sequence[Draft]) -> tuple[Written, ...]:
    return tuple(_write_draft(connection, draft) for draft in drafts)


def _write_draft(connection: sa.Connection, draft: Draft) -> Written:
    memory = draft.memory
    owner = _owner_of(memory)
    mark = fingerprint(draft)
    existing = connection.execute(
        sa.select(_memory.c.id, _memory.c.expires_at).where(
            _memory.c.owner == owner, _memory.c.fingerprint == mark
        )
    ).first()
    memory_id = memory.id if existing is None else cast(str, existing.id)
    if existing is None:
        values = memory.model_dump(mode="python")
        connection.execute(insert(_memory).values(**values, owner=owner, fingerprint=mark))
    elif existing.expires_at is not None:
        # Said again, a short-term memory lives on: it is the words that expired, not their repetition.
        connection.execute(
            sa.update(_memory).where(_memory.c.id == memory_id).values(expires_at=memory.expires_at)
        )
    connection.execute(
        insert(_history).values(
            memory_id=memory_id,
            event="created" if existing is None else "repeated",
            at=memory.recorded_at,
            source=memory.source,
        )
    )
    names, joined = _join_entities(connection, memory_id, draft)
    if existing is None or joined or existing.expires_at is not None:
        _enqueue(connection, [memory_id], "index", memory.recorded_at)
    return Written(memory_id, existing is None, names)


def _join_entities(connection: sa.Connection, memory_id: str, draft: Draft) -> tuple[tuple[str, ...], bool]:
    """Record what a memory mentions; answers the names, and whether anything was new to it."""
    domain = _domain_of(draft.memory)
    now = draft.memory.recorded_at
    named = list(draft.entities)
    known = {name_key(name) for entity in named for name in (entity.name, *entity.aliases)}
    for relation in draft.relations:
        for name in (relation.subject, relation.object):
            if name_key(name) not in known:
                known.add(name_key(name))
                named.append(NewEntity(name=name))
    ids: dict[str, str] = {}
    names: list[str] = []
    joined = False
    for entity in named:
        entity_id, name = _entity_for(connection, domain, entity, now)
        names.append(name)
        for alias in (entity.name, *entity.aliases):
            ids.setdefault(name_key(alias), entity_id)
        inserted = connection.execute(
            insert(_mention).values(memory_id=memory_id, entity_id=entity_id).on_conflict_do_nothing()
        )
        joined |= inserted.rowcount > 0
    for relation in draft.relations:
        subject_id, object_id = ids[name_key(relation.subject)], ids[name_key(relation.object)]
        if subject_id == object_id:
            continue
        inserted = connection.execute(
            insert(_relation)
            .values(
                id=new_id("r"),
                subject_id=subject_id,
                predicate=_predicate_code(connection, relation.predicate),
                object_id=object_id,
                memory_id=memory_id,
                valid_from=relation.valid_from,
                valid_until=relation.valid_until,
            )
            .on_conflict_do_nothing()
        )
        joined |= inserted.rowcount > 0
    return tuple(dict.fromkeys(names)), joined


def _entity_for(connection: sa.Connection, domain: str, entity: NewEntity, now: datetime) -> tuple[str, str]:
    """The entity known by this name in this domain, or a new one. An alias that names another stays the
    other's."""
    key = name_key(entity.name)
    found = connection.execute(
        sa.select(_entity.c.id, _entity.c.name, _entity.c.type)
        .join(_alias, _alias.c.entity_id == _entity.c.id)
        .where(_alias.c.domain == domain, _alias.c.key == key)
    ).first()
    if found is None:
        entity_id, name = new_id("e"), entity.name
        connection.execute(
            insert(_entity).values(id=entity_id, domain=domain, name=name, type=entity.type, created_at=now)
        )
    else:
        entity_id, name = found.id, found.name
        if found.type == "concept" and entity.type != "concept":
            # "concept" is what a rule says that knows no better.
            connection.execute(sa.update(_entity).where(_entity.c.id == entity_id).values(type=entity.type))
    for alias in (entity.name, *entity.aliases):
        connection.execute(
            insert(_alias)
            .values(domain=domain, key=name_key(alias), alias=alias, entity_id=entity_id)
            .on_conflict_do_nothing()
        )
    return entity_id, name


def _predicate_code(connection: sa.Connection, name: str) -> int:
    text = " ".join(name.split())
    connection.execute(insert(_predicate).values(name=text).on_conflict_do_nothing())
    return connection.execute(sa.select(_predicate.c.code).where(_predicate.c.name == text)).scalar_one()


def _owner_of(memory: Memory) -> str:
    return _scope_of(memory).owner(memory.level)


def _domain_of(memory: Memory) -> str:
    """Whose entities a memory's are: a user's sessions share the user's."""
    return _scope_of(memory).owner("agent" if memory.level == "agent" else "user")


def _scope_of(memory: Memory) -> Scope:
    return Scope(user_id=memory.user_id, agent_id=memory.agent_id, session_id=memory.session_id)


def _visible(scope: Scope, *, all_sessions: bool = False) -> sa.ColumnElement[bool]:
    """True for rows of `memory` that this scope may see and that have not expired."""
    owned = _memory.c.owner.in_(scope.owners)
    if all_sessions:
        owned |= (_memory.c.level == "session") & (_memory.c.user_id == scope.user_id)
    now = datetime.now(UTC)
    return owned & sa.or_(_memory.c.expires_at.is_(None), _memory.c.expires_at > now)


_COLUMNS = [column for column in _memory.c if column.name in Memory.model_fields]
_FIELDS = [column.name for column in _COLUMNS]


def _memory_of(row: sa.Row[Any]) -> Memory:
    # Not validated again: it was when it came in, and this is the hot path of every search.
    return Memory.model_construct(**dict(zip(_FIELDS, row[-len(_FIELDS) :], strict=True)))


def _memories(connection: sa.Connection, scope: Scope, ids: Sequence[str]) -> dict[str, Memory]:
    found: dict[str, Memory] = {}
    for some in _chunks(ids):
        query = sa.select(*_COLUMNS).where(_memory.c.id.in_(some), _visible(scope))
        found.update((row.id, _memory_of(row)) for row in connection.execute(query))
    return found


def _recent(
    connection: sa.Connection, scope: Scope, kinds: Sequence[Kind], limit: int, offset: int
) -> tuple[Memory, ...]:
    query = sa.select(*_COLUMNS).where(_visible(scope))
    if kinds:
        query = query.where(_memory.c.kind.in_(kinds))
    query = query.order_by(_memory.c.observed_at.desc(), _memory.c.seq.desc()).limit(limit).offset(offset)
    return tuple(_memory_of(row) for row in connection.execute(query))


def _in_session(scope: Scope, session_id: str) -> sa.ColumnElement[bool]:
    # Asked for by its own id, a session shows its session-level memories too: the scope is narrowed to it.
    return _visible(scope.model_copy(update={"session_id": session_id})) & (
        _memory.c.session_id == session_id
    )


def _session(
    connection: sa.Connection, scope: Scope, session_id: str, limit: int, offset: int
) -> tuple[Memory, ...]:
    query = (
        sa.select(*_COLUMNS)
        .where(_in_session(scope, session_id))
        .order_by(_memory.c.observed_at, _memory.c.seq)
        .limit(limit)
        .offset(offset)
    )
    return tuple(_memory_of(row) for row in connection.execute(query))


def _sessions(
    connection: sa.Connection, scope: Scope, prefix: str, limit: int, offset: int
) -> tuple[SessionSummary, ...]:
    last = sa.func.max(_memory.c.observed_at)
    query = (
        sa.select(_memory.c.session_id, sa.func.count(), sa.func.min(_memory.c.observed_at), last)
        .where(_visible(scope, all_sessions=True), _memory.c.session_id.startswith(prefix, autoescape=True))
        .group_by(_memory.c.session_id)
        .order_by(last.desc())
        .limit(limit)
        .offset(offset)
    )
    return tuple(
        SessionSummary(session_id=session_id, memories=count, first=first, last=latest)
        for session_id, count, first, latest in connection.execute(query)
    )


def _around(connection: sa.Connection, scope: Scope, memory: Memory, reach: int) -> tuple[Memory, ...]:
    if memory.session_id is None:
        return ()
    here = _in_session(scope, memory.session_id) & (_memory.c.id != memory.id)
    seq = sa.select(_memory.c.seq).where(_memory.c.id == memory.id).scalar_subquery()
    place = sa.tuple_(_memory.c.observed_at, _memory.c.seq)
    at = sa.tuple_(sa.literal(memory.observed_at, _Time), seq)
    before = sa.select(*_COLUMNS).where(here, place < at)
    after = sa.select(*_COLUMNS).where(here, place > at)
    earlier = connection.execute(
        before.order_by(_memory.c.observed_at.desc(), _memory.c.seq.desc()).limit(reach)
    ).all()
    later = connection.execute(after.order_by(_memory.c.observed_at, _memory.c.seq).limit(reach)).all()
    return tuple(_memory_of(row) for row in (*reversed(earlier), *later))


def _history_of(connection: sa.Connection, memory_id: str) -> tuple[HistoryEvent, ...]:
    query = sa.select(_history).where(_history.c.memory_id == memory_id).order_by(_history.c.seq)
    return tuple(
        HistoryEvent(event=row.event, at=row.at, source=row.source) for row in connection.execute(query)
    )


def _memory_ids(connection: sa.Connection, scope: Scope, prefix: str, limit: int) -> tuple[str, ...]:
    query = (
        sa.select(_memory.c.id)
        .where(_visible(scope), _memory.c.id.startswith(prefix, autoescape=True))
        .order_by(_memory.c.seq.desc())
        .limit(limit)
    )
    return tuple(connection.execute(query).scalars())


def _select(connection: sa.Connection, scope: Scope, selection: Selection) -> tuple[Memory, ...]:
    conditions = [_visible(scope, all_sessions=selection.all_sessions)]
    if selection.session_id is not None:
        conditions.append(_memory.c.session_id == selection.session_id)
    if selection.before is not None:
        conditions.append(_memory.c.observed_at < selection.before)
    if selection.entity_id is not None:
        mentioning = sa.select(_mention.c.memory_id).where(_mention.c.entity_id == selection.entity_id)
        conditions.append(_memory.c.id.in_(mentioning))
    query = (
        sa.select(*_COLUMNS).where(*conditions).order_by(_memory.c.observed_at.desc(), _memory.c.seq.desc())
    )
    chosen = tuple(_memory_of(row) for row in connection.execute(query))
    if selection.ids is None:
        return chosen
    wanted = set(selection.ids)
    return tuple(memory for memory in chosen if memory.id in wanted)


def _entities(
    connection: sa.Connection,
    scope: Scope,
    key_part: str,
    types: Sequence[EntityType],
    ids: Sequence[str] | None,
    limit: int,
    offset: int,
) -> tuple[tuple[Entity, ...], int]:
    mentions = sa.func.count(_mention.c.memory_id)
    latest = sa.func.max(_memory.c.observed_at)
    query = (
        sa.select(_entity, mentions, sa.func.min(_memory.c.observed_at), latest)
        .join(_mention, _mention.c.entity_id == _entity.c.id)
        .join(_memory, _memory.c.id == _mention.c.memory_id)
        .where(_visible(scope))
        .group_by(_entity.c.id)
    )
    if key_part:
        named = sa.select(_alias.c.entity_id).where(_alias.c.key.contains(key_part, autoescape=True))
        query = query.where(_entity.c.id.in_(named))
    if types:
        query = query.where(_entity.c.type.in_(types))
    if ids is not None:
        query = query.where(_entity.c.id.in_(ids))
    total = connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    page = connection.execute(
        query.order_by(mentions.desc(), latest.desc(), _entity.c.id).limit(limit).offset(offset)
    ).all()
    aliases: dict[str, list[str]] = {}
    names = {row[0]: row.name for row in page}
    query_aliases = (
        sa.select(_alias.c.entity_id, _alias.c.alias)
        .where(_alias.c.entity_id.in_(names))
        .order_by(_alias.c.key)
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


def _entity_ids(connection: sa.Connection, scope: Scope, prefix: str, limit: int) -> tuple[str, ...]:
    query = (
        sa.select(_mention.c.entity_id)
        .distinct()
        .join(_memory, _memory.c.id == _mention.c.memory_id)
        .where(_visible(scope), _mention.c.entity_id.startswith(prefix, autoescape=True))
        .order_by(_mention.c.entity_id)
        .limit(limit)
    )
    return tuple(connection.execute(query).scalars())


def _domains(scope: Scope) -> tuple[str, ...]:
    return tuple(owner for owner in scope.owners if not owner.startswith("session:"))


def _resolve(connection: sa.Connection, scope: Scope, keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in _chunks(keys):
        by_name = sa.select(_alias.c.key, _alias.c.entity_id).where(
            _alias.c.domain.in_(_domains(scope)), _alias.c.key.in_(some)
        )
        by_id = sa.select(_entity.c.id, _entity.c.id).where(
            _entity.c.domain.in_(_domains(scope)), _entity.c.id.in_(some)
        )
        for query in (by_name, by_id):
            for key, entity_id in connection.execute(query):
                found.setdefault(key, entity_id)
    return found


def _entity_refs(connection: sa.Connection, ids: Sequence[str]) -> dict[str, EntityRef]:
    refs: dict[str, EntityRef] = {}
    for some in _chunks(ids):
        for row in connection.execute(sa.select(_entity).where(_entity.c.id.in_(some))):
            refs[row.id] = EntityRef(id=row.id, name=row.name, type=row.type)
    return refs


def _mentions_of(connection: sa.Connection, scope: Scope, entity_id: str, limit: int) -> tuple[Memory, ...]:
    query = (
        sa.select(*_COLUMNS)
        .join(_mention, _mention.c.memory_id == _memory.c.id)
        .where(_visible(scope), _mention.c.entity_id == entity_id)
        .order_by(_memory.c.observed_at.desc(), _memory.c.seq.desc())
        .limit(limit)
    )
    return tuple(_memory_of(row) for row in connection.execute(query))


def _mentioned_by(connection: sa.Connection, memory_id: str) -> tuple[EntityRef, ...]:
    query = (
        sa.select(_entity)
        .join(_mention, _mention.c.entity_id == _entity.c.id)
        .where(_mention.c.memory_id == memory_id)
        .order_by(_entity.c.name)
    )
    return tuple(EntityRef(id=row.id, name=row.name, type=row.type) for row in connection.execute(query))


def _relations(
    connection: sa.Connection, scope: Scope, entity_id: str | None, memory_id: str | None
) -> tuple[Relation, ...]:
    subject, target = _entity.alias(), _entity.alias()
    query = (
        sa.select(_relation, _predicate.c.name, subject.c.name, subject.c.type, target.c.name, target.c.type)
        .join(_memory, _memory.c.id == _relation.c.memory_id)
        .join(_predicate, _predicate.c.code == _relation.c.predicate)
        .join(subject, subject.c.id == _relation.c.subject_id)
        .join(target, target.c.id == _relation.c.object_id)
        .where(_visible(scope))
        .order_by(_memory.c.observed_at.desc(), _relation.c.id)
    )
    if entity_id is not None:
        query = query.where((_relation.c.subject_id == entity_id) | (_relation.c.object_id == entity_id))
    if memory_id is not None:
        query = query.where(_relation.c.memory_id == memory_id)
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


def _stats(connection: sa.Connection, scope: Scope) -> Stats:
    visible = sa.select(_memory).where(_visible(scope)).subquery()
    total, oldest, newest, sessions = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.min(visible.c.observed_at),
            sa.func.max(visible.c.observed_at),
            sa.func.count(visible.c.session_id.distinct()),
        )
    ).one()
    by_kind = connection.execute(sa.select(visible.c.kind, sa.func.count()).group_by(visible.c.kind))
    by_level = connection.execute(sa.select(visible.c.level, sa.func.count()).group_by(visible.c.level))
    entities = sa.select(sa.func.count(_mention.c.entity_id.distinct())).join(
        visible, visible.c.id == _mention.c.memory_id
    )
    relations = sa.select(sa.func.count(_relation.c.id)).join(visible, visible.c.id == _relation.c.memory_id)
    return Stats(
        memories=total,
        by_kind=dict(by_kind.tuples().all()),
        by_level=dict(by_level.tuples().all()),
        entities=connection.execute(entities).scalar_one(),
        relations=connection.execute(relations).scalar_one(),
        sessions=sessions,
        oldest=oldest,
        newest=newest,
        pending=_pending_count(connection),
    )


def _plan_scope(scope: Scope) -> str:
    return json.dumps(scope.owners, ensure_ascii=False)


def _save_plan(connection: sa.Connection, scope: Scope, memory_ids: Sequence[str], now: datetime) -> str:
    plan_id = new_id("p")
    connection.execute(
        insert(_plan).values(
            id=plan_id, scope=_plan_scope(scope), memory_ids=" ".join(memory_ids), created_at=now
        )
    )
    return plan_id


def _plan_of(
    connection: sa.Connection, scope: Scope, plan_id: str
) -> tuple[tuple[str, ...], datetime] | None:
    row = connection.execute(
        sa.select(_plan).where(_plan.c.id == plan_id, _plan.c.scope == _plan_scope(scope))
    ).first()
    return None if row is None else (tuple(row.memory_ids.split()), row.created_at)


def _drop_plans(connection: sa.Connection, before: datetime, plan_id: str | None) -> None:
    connection.execute(sa.delete(_plan).where((_plan.c.created_at < before) | (_plan.c.id == plan_id)))


def _forget(connection: sa.Connection, scope: Scope, ids: Sequence[str], all_sessions: bool) -> Removed:
    removed: list[str] = []
    touched: set[str] = set()
    for some in _chunks(ids):
        visible = sa.select(_memory.c.id).where(
            _memory.c.id.in_(some), _visible(scope, all_sessions=all_sessions)
        )
        here = list(connection.execute(visible).scalars())
        named = sa.select(_mention.c.entity_id).where(_mention.c.memory_id.in_(here))
        touched.update(connection.execute(named).scalars())
        connection.execute(sa.delete(_memory).where(_memory.c.id.in_(here)))
        removed.extend(here)
    orphans = _drop_unmentioned(connection, touched)
    unused = ~sa.exists().where(_relation.c.predicate == _predicate.c.code)
    connection.execute(sa.delete(_predicate).where(unused))
    _enqueue(connection, [*removed, *orphans], "erase", datetime.now(UTC))
    return Removed(tuple(removed), orphans)


def _drop_unmentioned(connection: sa.Connection, entity_ids: Iterable[str]) -> tuple[str, ...]:
    orphans: list[str] = []
    for some in _chunks(sorted(entity_ids)):
        alone = sa.select(_entity.c.id).where(
            _entity.c.id.in_(some), ~sa.exists().where(_mention.c.entity_id == _entity.c.id)
        )
        orphans.extend(connection.execute(alone).scalars())
    for some in _chunks(orphans):
        connection.execute(sa.delete(_entity).where(_entity.c.id.in_(some)))
    return tuple(orphans)


def _enqueue(
    connection: sa.Connection, ids: Sequence[str], work: Literal["index", "erase"], since: datetime
) -> None:
    for memory_id in ids:
        statement = insert(_pending).values(memory_id=memory_id, work=work, since=since)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["memory_id"], set_={"work": statement.excluded.work}
            )
        )


def _pending_work(connection: sa.Connection, limit: int) -> tuple[Pending, ...]:
    query = sa.select(_pending).order_by(_pending.c.since, _pending.c.memory_id).limit(limit)
    return tuple(Pending(row.memory_id, row.work) for row in connection.execute(query))


def _pending_count(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(_pending)).scalar_one()


def _mark_done(connection: sa.Connection, memory_ids: Sequence[str]) -> None:
    for some in _chunks(memory_ids):
        connection.execute(sa.delete(_pending).where(_pending.c.memory_id.in_(some)))


def _enqueue_all(connection: sa.Connection) -> int:
    rows = sa.select(_memory.c.id, sa.literal("index"), _memory.c.recorded_at)
    statement = insert(_pending).from_select(["memory_id", "work", "since"], rows.where(sa.true()))
    return connection.execute(statement.on_conflict_do_nothing()).rowcount


def _all_memories(connection: sa.Connection, after_seq: int, limit: int) -> tuple[tuple[int, Memory], ...]:
    query = sa.select(_memory.c.seq, *_COLUMNS).where(_memory.c.seq > after_seq).order_by(_memory.c.seq)
    return tuple((row.seq, _memory_of(row)) for row in connection.execute(query.limit(limit)))


def _to_index(connection: sa.Connection, ids: Sequence[str]) -> tuple[Memory, ...]:
    found: list[Memory] = []
    for some in _chunks(ids):
        query = sa.select(*_COLUMNS).where(_memory.c.id.in_(some)).order_by(_memory.c.seq)
        found.extend(_memory_of(row) for row in connection.execute(query))
    return tuple(found)


def _graph_rows(connection: sa.Connection, ids: Sequence[str] | None) -> GraphRows:
    memory_ids: list[str] = []
    mentions: list[tuple[str, str]] = []
    relations: list[tuple[str, str, str, int, int | None, int | None, str]] = []
    for some in [None] if ids is None else _chunks(ids):
        of_memories = sa.select(_memory.c.id).order_by(_memory.c.seq)
        of_mentions = sa.select(_mention.c.memory_id, _mention.c.entity_id)
        of_relations = sa.select(
            _relation.c.subject_id,
            _relation.c.object_id,
            _relation.c.id,
            _relation.c.predicate,
            sa.type_coerce(_relation.c.valid_from, sa.BigInteger),
            sa.type_coerce(_relation.c.valid_until, sa.BigInteger),
            _relation.c.memory_id,
        )
        if some is not None:
            of_memories = of_memories.where(_memory.c.id.in_(some))
            of_mentions = of_mentions.where(_mention.c.memory_id.in_(some))
            of_relations = of_relations.where(_relation.c.memory_id.in_(some))
        memory_ids.extend(connection.execute(of_memories).scalars())
        mentions.extend(connection.execute(of_mentions).tuples())
        relations.extend(connection.execute(of_relations).tuples())
    if ids is None:
        entity_ids = list(connection.execute(sa.select(_entity.c.id)).scalars())
    else:
        ends = (end for relation in relations for end in relation[:2])
        entity_ids = list(dict.fromkeys((*(entity_id for _, entity_id in mentions), *ends)))
    return GraphRows(tuple(memory_ids), tuple(entity_ids), tuple(mentions), tuple(relations))


def _counts(connection: sa.Connection) -> tuple[int, int, int]:
    memories, entities, relations = (
        connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in (_memory, _entity, _relation)
    )
    return memories, entities, relations


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), PARAMETERS):
        yield values[start : start + PARAMETERS]
