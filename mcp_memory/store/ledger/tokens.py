"""Tokens of remote callers: whom each stands for. Of a token only its digest is kept."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from mcp_memory.models import TOKEN_PREFIX, NewToken, Permission, Token, TokenRequest, token_digest
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.schema import new_id


def create(connection: sa.Connection, request: TokenRequest, now: datetime) -> NewToken:
    """A token that nobody can be shown again."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    made = NewToken(id=new_id("t"), created_at=now, secret=secret, **request.model_dump())
    row = made.model_dump(exclude={"secret", "permissions"})
    connection.execute(
        sa.insert(schema.token).values(
            **row, digest=token_digest(secret), permissions=" ".join(made.permissions)
        )
    )
    return made


def find(connection: sa.Connection, digest: str) -> Token | None:
    """The token of this digest, revoked or not."""
    row = connection.execute(sa.select(schema.token).where(schema.token.c.digest == digest)).first()
    return None if row is None else _token(row)


def every(connection: sa.Connection) -> tuple[Token, ...]:
    """All there are, the oldest first."""
    query = sa.select(schema.token).order_by(schema.token.c.created_at, schema.token.c.id)
    return tuple(map(_token, connection.execute(query)))


def revoke(connection: sa.Connection, token_id: str, now: datetime) -> Token | None:
    """Let it in no more; a second time changes nothing. None when there is none of that id."""
    table = schema.token.c
    still = sa.update(schema.token).where(table.id == token_id, table.revoked_at.is_(None))
    connection.execute(still.values(revoked_at=now))
    row = connection.execute(sa.select(schema.token).where(table.id == token_id)).first()
    return None if row is None else _token(row)


def drop_all(connection: sa.Connection) -> None:
    """A copy of the ledger must not let in whom this one has revoked since."""
    connection.execute(sa.delete(schema.token))


def _token(row: sa.Row[Any]) -> Token:
    return Token(
        id=row.id,
        user_id=row.user_id,
        agent_id=row.agent_id,
        permissions=cast(tuple[Permission, ...], tuple(row.permissions.split())),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
