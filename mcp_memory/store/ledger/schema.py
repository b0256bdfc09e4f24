"""The ledger's tables and their migrations. Times are microseconds since 1970 in UTC."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import sqlalchemy as sa

PARAMETERS = 500
"""Ids bound in one statement: well below SQLite's limit of 32,766 parameters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: Literal["m", "e", "r", "p"]) -> str:
    """`m_` and 13 characters of 32: 65 random bits, short because an assistant reads every one of them."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(13))


class Time(sa.types.TypeDecorator[datetime]):
    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


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
    sa.Column("metadata", Json),
    sa.UniqueConstraint("owner", "fingerprint"),
    sa.Index("memory_by_time", "owner", "observed_at", "seq"),
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
entity = sa.Table(
    "entity",
    _schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("domain", sa.Text, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
)
alias = sa.Table(
    "alias",
    _schema,
    sa.Column("domain", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column(
        "entity_id", sa.Text, sa.ForeignKey("entity.id", ondelete="CASCADE"), nullable=False, index=True
    ),
)
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
    sa.UniqueConstraint("memory_id", "subject_id", "predicate", "object_id"),
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


def _migration_1(connection: sa.Connection) -> None:
    _schema.create_all(connection)


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_migration_1,)
"""Each takes the schema one version further; version n has run the first n. Append, never edit what was
released."""


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), PARAMETERS):
        yield values[start : start + PARAMETERS]
