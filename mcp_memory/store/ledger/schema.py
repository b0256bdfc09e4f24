"""The ledger's tables and their migrations. Times are microseconds since 1970 in UTC."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import sqlalchemy as sa

from mcp_memory import resolving

PARAMETERS = 500
"""Ids bound in one statement: well below SQLite's limit of 32,766 parameters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: Literal["m", "e", "r", "p", "f", "x", "t"]) -> str:
    """`m_` and 13 characters of 32: 65 random bits, short because an assistant reads every one of them."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(13))


class Time(sa.types.TypeDecorator[datetime]):
    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else moment(value)


def moment(micros: int) -> datetime:
    """The point in time that `micros` made a number of."""
    return _EPOCH + timedelta(microseconds=micros)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 in UTC, exact where a float would round."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class Json(sa.types.TypeDecorator[dict[str, Any]]):
    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: sa.Dialect) -> str | None:
        return json.dumps(value, ensure_ascii=False) if value else None

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(value)) if value else {}


_schema = sa.MetaData()

STANDING = sa.text("kind IN ('preference', 'procedure')")
"""True for rows of `memory` that hold whatever is asked: they share no word with most of what they matter
for. As plain text, because SQLite uses an index of some rows only where a query says the same of them."""

memory = sa.Table(
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
    sa.Column("observed_at", Time, nullable=False),
    sa.Column("recorded_at", Time, nullable=False),
    sa.Column("valid_from", Time),
    sa.Column("valid_until", Time),
    sa.Column("expires_at", Time),
    sa.Column("importance", sa.Float, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, server_default="given"),
    sa.Column("suspicious", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("metadata", Json),
    # Set while it is hidden and waits to be erased: the number of the forgetting it belongs to.
    sa.Column("forgetting_id", sa.Text),
    sa.UniqueConstraint("owner", "fingerprint"),
    sa.Index("memory_by_forgetting", "forgetting_id", sqlite_where=sa.text("forgetting_id IS NOT NULL")),
    sa.Index("memory_by_time", "owner", "observed_at", "seq"),
    # Asked for by every search: reading through all rows of an owner took 4 ms at 10,000. With the state,
    # SQLite takes it rather than the index of times, of which it knows no less.
    sa.Index("memory_standing", "owner", "state", sqlite_where=STANDING),
    sa.Index("memory_by_session", "user_id", "session_id", "observed_at", "seq"),
    # Without it SQLite gives the number of a forgotten row to the next one, and order would lie.
    sqlite_autoincrement=True,
)
history = sa.Table(
    "history",
    _schema,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column(
        "memory_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("source", sa.Text),
)
source = sa.Table(
    "source",
    _schema,
    # A memory drawn from another one: a fact from the message that said it.
    sa.Column("memory_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "source_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
)
entity = sa.Table(
    "entity",
    _schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("domain", sa.Text, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("is_guessed", sa.Boolean, nullable=False, server_default=sa.true()),
    # Set while it counts as another one: its names and mentions are the other's, until they are split.
    sa.Column("merged_into", sa.Text, sa.ForeignKey("entity.id", ondelete="SET NULL"), index=True),
)
alias = sa.Table(
    "alias",
    _schema,
    # A name, and whose it is: two entities of one domain may be called alike ("Apple", "apple").
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    # Whose name it is by itself. `entity_id` is whom that one counts as, itself where it is not merged.
    sa.Column(
        "home_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column(
        "entity_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    # See `resolving.written_form`.
    sa.Column("form", sa.Text, nullable=False),
    sa.Index("alias_by_form", "domain", "form"),
)
spelling = sa.Table(
    "spelling",
    _schema,
    # Which memory calls an entity so: a name nobody but a forgotten memory used goes with it.
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("home_id", sa.Text, primary_key=True),
    sa.Column(
        "memory_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
    sa.Column("name", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["domain", "key", "home_id"], ["alias.domain", "alias.key", "alias.home_id"], ondelete="CASCADE"
    ),
)
IS_SPELLED = (
    (spelling.c.domain == alias.c.domain)
    & (spelling.c.key == alias.c.key)
    & (spelling.c.home_id == alias.c.home_id)
)
"""Joins a name, as a memory spells it, with whose it is."""
mention = sa.Table(
    "mention",
    _schema,
    sa.Column("memory_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "entity_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
)
predicate = sa.Table(
    "predicate",
    _schema,
    sa.Column("code", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sqlite_autoincrement=True,
)
relation = sa.Table(
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
    sa.Column("valid_from", Time),
    sa.Column("valid_until", Time),
    # Who was named; subject and object are whom they count as.
    sa.Column(
        "subject_home", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column(
        "object_home", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.UniqueConstraint("memory_id", "subject_home", "predicate", "object_home"),
)
pending = sa.Table(
    "pending",
    _schema,
    sa.Column("memory_id", sa.Text, primary_key=True),
    sa.Column("work", sa.Text, nullable=False),
    sa.Column("since", Time, nullable=False),
)
plan = sa.Table(
    "plan",
    _schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("memory_ids", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
)


written = sa.Table(
    "written",
    _schema,
    # A write that was acknowledged, by the id its client gave it: asked again, it gets the same answer.
    sa.Column("write_id", sa.Text, primary_key=True),
    sa.Column("at", Time, nullable=False, index=True),
    sa.Column("outcome", sa.Text, nullable=False),
)
forgetting = sa.Table(
    "forgetting",
    _schema,
    # What is hidden and not yet erased.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("due_at", Time, nullable=False, index=True),
    # Ids of memories and of entities, between their deletion here and the receipt.
    sa.Column("erased_memories", sa.Text),
    sa.Column("erased_entities", sa.Text),
)
receipt = sa.Table(
    "receipt",
    _schema,
    # Of each erasure: ids, counts and times, no content. Each carries the digest of the one before.
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
backup = sa.Table(
    "backup",
    _schema,
    # Where copies were written, which no forgetting reaches.
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("at", Time, nullable=False),
)


statement = sa.Table(
    "statement",
    _schema,
    # What a fact is about. Of two facts with one subject and slot only one is true at a time. Slot and value
    # are digests, for their words may be what is to be forgotten.
    sa.Column("memory_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("subject_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False),
    sa.Column("slot", sa.Text),
    sa.Column("value", sa.Text),
    sa.Column("negates", sa.Boolean, nullable=False, server_default=sa.false()),
    # Until when it was said to be true; the memory's own end may be an earlier one, when another took its
    # place.
    sa.Column("until", Time),
    sa.Index("statement_by_slot", "subject_id", "slot"),
    # Whom it names; the subject is whom that one counts as.
    sa.Column("home_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True),
)
succession = sa.Table(
    "succession",
    _schema,
    # A fact that took another one's place, or says otherwise of the same thing, or the same again; `by` says
    # whether a shared slot, a verdict or a consolidation made it so. `at` is since when the old one is no
    # longer true.
    sa.Column("old_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "new_id", sa.Text, sa.ForeignKey("memory.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
    sa.Column("judgement", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", Time, nullable=False),
)
extraction = sa.Table(
    "extraction",
    _schema,
    # Words that facts are still to be drawn from: of one write, in order.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("memory_ids", sa.Text, nullable=False),
    sa.Column("since", Time, nullable=False),
    sa.Column("due_at", Time, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("has_failed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("error", sa.Text),
)
llm_usage = sa.Table(
    "llm_usage",
    _schema,
    # What models cost, by day (UTC, ISO) and by who asked what of whom.
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("input_tokens", sa.Integer, nullable=False),
    sa.Column("output_tokens", sa.Integer, nullable=False),
    sa.Column("cached_tokens", sa.Integer, nullable=False),
    sa.Column("unsupported", sa.Integer, nullable=False),
    sa.Column("invalid", sa.Integer, nullable=False),
)
apart = sa.Table(
    "apart",
    _schema,
    # Entities that somebody has looked at and found to be two; the smaller id first.
    sa.Column("one_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("other_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True),
)
compared = sa.Table(
    "compared",
    _schema,
    # Up to which memory facts about an entity were compared with each other.
    sa.Column("entity_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
)
token = sa.Table(
    "token",
    _schema,
    # Whom a remote caller stands for. Of the token itself only a digest, which lets nobody in.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("agent_id", sa.Text),
    sa.Column("permissions", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("expires_at", Time),
    sa.Column("revoked_at", Time),
)
user_usage = sa.Table(
    "user_usage",
    _schema,
    # Tokens that models have read and written for one user, by day (UTC, ISO).
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("tokens", sa.Integer, nullable=False),
)


def create(connection: sa.Connection) -> None:
    """All tables as they are today, in an empty ledger."""
    _schema.create_all(connection)


def _migration_2(connection: sa.Connection) -> None:
    """Sources, spellings, hidden memories, receipts, write ids and backups."""
    connection.exec_driver_sql("ALTER TABLE memory ADD COLUMN forgetting_id TEXT")
    connection.exec_driver_sql(
        "CREATE TABLE forgetting "
        "(id TEXT NOT NULL PRIMARY KEY, made_at BIGINT NOT NULL, due_at BIGINT NOT NULL)"
    )
    connection.exec_driver_sql("CREATE INDEX ix_forgetting_due_at ON forgetting (due_at)")
    for table in (source, written, receipt, backup):
        table.create(connection)
    connection.exec_driver_sql(
        """
        CREATE TABLE spelling (
            domain TEXT NOT NULL, key TEXT NOT NULL, memory_id TEXT NOT NULL, name TEXT NOT NULL,
            PRIMARY KEY (domain, key, memory_id),
            FOREIGN KEY (domain, key) REFERENCES alias (domain, key) ON DELETE CASCADE,
            FOREIGN KEY (memory_id) REFERENCES memory (id) ON DELETE CASCADE
        )"""
    )
    connection.exec_driver_sql("CREATE INDEX ix_spelling_memory_id ON spelling (memory_id)")
    hidden = next(one for one in memory.indexes if one.name == "memory_by_forgetting")
    hidden.create(connection)
    # Who used which name was not kept: where the words stand in a text, that memory did; else all that
    # mention the entity.
    said = """
        SELECT alias.domain, alias.key, mention.memory_id, alias.alias
        FROM alias JOIN mention USING (entity_id) JOIN memory ON memory.id = mention.memory_id"""
    into = "INSERT OR IGNORE INTO spelling (domain, key, memory_id, name) "
    connection.exec_driver_sql(into + said + " WHERE instr(lower(memory.text), lower(alias.alias)) > 0")
    unseen = (
        " WHERE NOT EXISTS (SELECT 1 FROM spelling s WHERE s.domain = alias.domain AND s.key = alias.key)"
    )
    connection.exec_driver_sql(into + said + unseen)


def _migration_3(connection: sa.Connection) -> None:
    """What an erasure has deleted, until its receipt is written."""
    for column in ("erased_memories", "erased_entities"):
        connection.exec_driver_sql(f"ALTER TABLE forgetting ADD COLUMN {column} TEXT")


def _migration_4(connection: sa.Connection) -> None:
    """Facts: where words come from, what they are about, what follows what, and what waits to be read."""
    connection.exec_driver_sql("ALTER TABLE memory ADD COLUMN origin TEXT NOT NULL DEFAULT 'given'")
    connection.exec_driver_sql("UPDATE memory SET origin = 'said' WHERE kind = 'message'")
    connection.exec_driver_sql("ALTER TABLE memory ADD COLUMN suspicious BOOLEAN NOT NULL DEFAULT 0")
    connection.exec_driver_sql(
        "ALTER TABLE entity ADD COLUMN merged_into TEXT REFERENCES entity (id) ON DELETE SET NULL"
    )
    connection.exec_driver_sql("CREATE INDEX ix_entity_merged_into ON entity (merged_into)")
    # Who said what type each is was not kept.
    connection.exec_driver_sql("ALTER TABLE entity ADD COLUMN is_guessed BOOLEAN NOT NULL DEFAULT 1")
    _rehome(connection)
    for table in (statement, succession, extraction, llm_usage, apart, compared):
        table.create(connection)


def _rehome(connection: sa.Connection) -> None:
    """Names, who spells them, and relations, each with whose it is by itself."""
    run = connection.exec_driver_sql
    run("CREATE TEMP TABLE old_spelling AS SELECT * FROM spelling")
    run("CREATE TEMP TABLE old_alias AS SELECT * FROM alias")
    run("CREATE TEMP TABLE old_relation AS SELECT * FROM relation")
    # Spelling before alias: a drop deletes what refers to its rows.
    for table in ("spelling", "alias", "relation"):
        run(f"DROP TABLE {table}")
    for table in (alias, spelling, relation):
        table.create(connection)
    names = run("SELECT domain, key, alias, entity_id FROM old_alias").mappings().all()
    rows = [
        {**row, "home_id": row["entity_id"], "form": resolving.written_form(row["alias"])} for row in names
    ]
    if rows:
        connection.execute(sa.insert(alias), rows)
    run(
        "INSERT INTO spelling (domain, key, home_id, memory_id, name)"
        " SELECT s.domain, s.key, a.entity_id, s.memory_id, s.name"
        " FROM old_spelling s JOIN old_alias a USING (domain, key)"
    )
    # Who mentions an entity names it: a split goes by that.
    run(
        """
        INSERT INTO spelling (domain, key, home_id, memory_id, name)
        SELECT a.domain, a.key, a.home_id, m.memory_id, a.alias
        FROM mention m JOIN alias a ON a.home_id = m.entity_id AND a.key = (
            SELECT key FROM alias x JOIN entity e ON e.id = x.home_id
            WHERE x.home_id = m.entity_id ORDER BY x.alias <> e.name, key LIMIT 1)
        WHERE NOT EXISTS (
            SELECT 1 FROM spelling s WHERE s.memory_id = m.memory_id AND s.home_id = m.entity_id)"""
    )
    run(
        """
        INSERT INTO relation
            (id, subject_id, predicate, object_id, memory_id, valid_from, valid_until,
             subject_home, object_home)
        SELECT id, subject_id, predicate, object_id, memory_id, valid_from, valid_until, subject_id, object_id
        FROM old_relation"""
    )
    for table in ("old_spelling", "old_alias", "old_relation"):
        run(f"DROP TABLE {table}")


def _migration_5(connection: sa.Connection) -> None:
    """An index of what holds whatever is asked."""
    standing = next(one for one in memory.indexes if one.name == "memory_standing")
    standing.create(connection)


def _migration_6(connection: sa.Connection) -> None:
    """Tokens of remote callers, and what models cost by user."""
    for table in (token, user_usage):
        table.create(connection)


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (
    _migration_2,
    _migration_3,
    _migration_4,
    _migration_5,
    _migration_6,
)
"""Each takes an older ledger one version further: the first from version 1 to 2. Append, never edit what was
released."""
VERSION = 1 + len(MIGRATIONS)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), PARAMETERS):
        yield values[start : start + PARAMETERS]
