"""Who may come in from elsewhere: tokens, what they permit, and how much a user may keep."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import Field

from mcp_memory.models.moments import Moment
from mcp_memory.models.values import Identifier, Value

Permission = Literal["memory.read", "memory.write", "memory.forget", "memory.admin"]
"""What a token may do: look; add, rate and join; forget; and what concerns all users or a whole agent."""

PERMISSIONS: tuple[Permission, ...] = ("memory.read", "memory.write", "memory.forget", "memory.admin")
DEFAULT_PERMISSIONS = PERMISSIONS[:3]

TOKEN_PREFIX = "mcpm_"  # noqa: S105 - how all begin, and none is
"""By which a person, and a scanner of secrets, knows what it is."""


def token_digest(secret: str) -> str:
    """SHA-256, all that is kept of a token: it has 256 random bits, so that a fast digest is no easier to
    guess through."""
    return hashlib.sha256(secret.encode()).hexdigest()


class TokenRequest(Value):
    """Whom a token stands for, what it may do, and until when."""

    user_id: Identifier
    agent_id: Identifier | None = None
    permissions: tuple[Permission, ...] = Field(default=DEFAULT_PERMISSIONS, min_length=1)
    expires_at: Moment | None = None


class Token(Value):
    """A token as it is listed: everything but itself."""

    id: str
    user_id: str
    agent_id: str | None = None
    permissions: tuple[Permission, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class NewToken(Token):
    """The only time that the token itself is told."""

    secret: str


class FoundToken(Value):
    """The token of a digest, if there is one that lets in, and the seconds to wait before its next call."""

    token: Token | None = None
    wait: float = 0.0


class Quota(Value):
    """How much one user may keep; 0 is no bound."""

    memories: int = Field(default=0, ge=0)
    bytes: int = Field(default=0, ge=0)
    """Of text, in UTF-8."""
