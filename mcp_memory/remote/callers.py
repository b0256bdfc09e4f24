"""Who is calling: what a bearer token says, be it one of ours, an identity provider's or the owner's own."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import cast

import anyio.to_thread
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.types import Scope as Connection

from mcp_memory.config import Config
from mcp_memory.folder import Folder, read_owner
from mcp_memory.models import PERMISSIONS, TOKEN_PREFIX, Permission, Scope, token_digest
from mcp_memory.remote.oauth import IdentityProvider
from mcp_memory.usecases import UseCases

MAX_TOKEN = 8_192
"""Characters. JWTs of providers that list groups in them come near it; no server reads longer headers."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose memory a request is about, and what it may do there. `name` is whom limits count for."""

    name: str
    user_id: str
    agent_id: str | None = None
    permissions: frozenset[Permission] = field(default_factory=frozenset[Permission])

    @property
    def scope(self) -> Scope:
        return Scope(user_id=self.user_id, agent_id=self.agent_id)

    @property
    def subject(self) -> str:
        """The user, for logs: equal for one user and telling nothing else."""
        return sha256(self.user_id.encode()).hexdigest()[:12]


class CallersToken(AccessToken):
    """A token that lets in, as the SDK carries it, with what it says, and the seconds to wait before its next
    call: who has called too often is known, and answered so."""

    caller: Caller
    wait: float = 0.0


def token_of(connection: Connection) -> CallersToken | None:
    """What has let this request in, None when nothing has."""
    user = connection.get("user")
    return cast(CallersToken, user.access_token) if isinstance(user, AuthenticatedUser) else None


def caller_of(connection: Connection) -> Caller | None:
    """Who has sent this request, None when nobody who is let in."""
    token = token_of(connection)
    return None if token is None else token.caller


class Door:
    """Says of a bearer token whom it lets in. It holds nothing: what is revoked is so at once, in every
    process."""

    def __init__(self, config: Config, memory: Callable[[], Awaitable[UseCases]], *, is_local: bool) -> None:
        self._config = config
        self._memory = memory
        self._is_local = is_local
        self._provider = IdentityProvider(config.oauth) if config.oauth.issuer else None

    async def verify_token(self, token: str) -> CallersToken | None:
        """Whom a request's token lets in, which counts as a call of theirs. None for one that is wrong,
        revoked, expired or made for others: no caller learns which."""
        return await self._look_at(token, self._config.limits.requests_per_minute)

    async def still_lets_in(self, token: str) -> bool:
        """Whether an open stream may go on."""
        return await self._look_at(token, 0) is not None

    async def _look_at(self, token: str, per_minute: int) -> CallersToken | None:
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        if token.startswith(TOKEN_PREFIX):
            return await self._ours(token, per_minute)
        if self._is_local and await anyio.to_thread.run_sync(self._is_owners, token):
            config = self._config
            local = Caller("owner", config.user_id, config.agent_id, frozenset(PERMISSIONS))
            return _carried(token, local, wait=await self._count(local, per_minute))
        return None if self._provider is None else await self._providers(token, self._provider, per_minute)

    async def _ours(self, token: str, per_minute: int) -> CallersToken | None:
        answer = await (await self._memory()).find_token(token_digest(token), per_minute)
        if (found := answer.token) is None:
            return None
        caller = Caller(found.id, found.user_id, found.agent_id, frozenset(found.permissions))
        until = None if found.expires_at is None else int(found.expires_at.timestamp())
        return _carried(token, caller, wait=answer.wait, expires_at=until)

    async def _providers(
        self, token: str, provider: IdentityProvider, per_minute: int
    ) -> CallersToken | None:
        identity = await provider.identity(token)
        if identity is None:
            return None
        caller = Caller(identity.name, identity.user_id, identity.agent_id, identity.permissions)
        return _carried(
            token,
            caller,
            wait=await self._count(caller, per_minute),
            expires_at=identity.expires_at,
            issuer=self._config.oauth.issuer,
        )

    async def _count(self, caller: Caller, per_minute: int) -> float:
        return await (await self._memory()).count_call(caller.name, per_minute) if per_minute else 0.0

    def _is_owners(self, token: str) -> bool:
        """Whether it is the secret of the process that holds the memory, which only this system's user can
        read."""
        owner = read_owner(Folder(self._config.data_dir))
        secret = None if owner is None else owner.token
        return secret is not None and hmac.compare_digest(secret.encode(), token.encode())


def _carried(
    token: str,
    caller: Caller,
    *,
    wait: float,
    expires_at: int | None = None,
    issuer: str | None = None,
) -> CallersToken:
    return CallersToken(
        token=token,
        client_id=caller.name,
        scopes=sorted(caller.permissions),
        expires_at=expires_at,
        subject=caller.user_id,
        claims=None if issuer is None else {"iss": issuer},
        caller=caller,
        wait=wait,
    )
