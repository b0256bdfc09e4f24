"""An identity provider's JWTs: signature, issuer, audience, time and scopes, checked against its published
keys."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, cast

import anyio
import anyio.to_thread
import jwt
from pydantic import TypeAdapter, ValidationError

from mcp_memory.config import OAuthConfig
from mcp_memory.errors import Unavailable
from mcp_memory.models import PERMISSIONS, Identifier, Permission

logger = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key that only the provider has. `none` is no signature, and with the HMAC ones whoever
knows the public key could sign."""
LEEWAY_SECONDS = 30
"""By which two clocks may differ."""
KEYS_SECONDS = 300
"""For so long keys are taken from memory; an unknown one is looked for sooner, at most twice a minute."""
FETCH_SECONDS = 10.0
CHECKERS = 8
"""Threads that check, and may wait for keys."""

_identifier: TypeAdapter[str] = TypeAdapter(Identifier)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token says that holds."""

    name: str
    user_id: str
    agent_id: str | None
    permissions: frozenset[Permission]
    expires_at: int


class IdentityProvider:
    """One issuer and its keys, which are fetched when first needed."""

    def __init__(self, config: OAuthConfig) -> None:
        self._config = config
        url = config.jwks_url or config.issuer.rstrip("/") + "/.well-known/jwks.json"
        self._keys = jwt.PyJWKClient(url, lifespan=KEYS_SECONDS, timeout=FETCH_SECONDS)
        self._checkers = anyio.CapacityLimiter(CHECKERS)

    async def identity(self, token: str) -> Identity | None:
        """Whom a token stands for; None for one that does not hold. Raises Unavailable when the
        provider cannot be asked for its keys."""
        try:
            claims = await anyio.to_thread.run_sync(self._claims, token, limiter=self._checkers)
        except jwt.PyJWKClientConnectionError as error:
            logger.error("the keys of %s cannot be read: %s", self._config.issuer, error)
            raise Unavailable("The identity provider cannot be reached") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            logger.info("a JWT is not let in: %s", type(error).__name__)
            return None
        return self._identity(claims)

    def _claims(self, token: str) -> dict[str, Any]:
        # Looked at before the keys are: a stranger's token must not make us fetch anything.
        if jwt.get_unverified_header(token).get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError
        return jwt.decode(
            token,
            self._keys.get_signing_key_from_jwt(token),
            algorithms=list(ALGORITHMS),
            audience=self._config.resource,
            issuer=self._config.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", self._config.user_claim]},
        )

    def _identity(self, claims: dict[str, Any]) -> Identity | None:
        try:
            user_id = _identifier.validate_python(claims[self._config.user_claim])
            agent = claims.get(self._config.agent_claim) if self._config.agent_claim else None
            agent_id = None if agent is None else _identifier.validate_python(agent)
        except (ValidationError, KeyError):
            return None
        client = claims.get("client_id") or claims.get("azp") or ""
        return Identity(f"{client}:{user_id}", user_id, agent_id, _permissions(claims), int(claims["exp"]))


def _permissions(claims: dict[str, Any]) -> frozenset[Permission]:
    """By `scope` (RFC 9068), or `scp`, as two large providers call it."""
    said = claims.get("scope", claims.get("scp", ""))
    words = said.split() if isinstance(said, str) else said
    return frozenset(
        one for one in PERMISSIONS if isinstance(words, list) and one in cast(list[object], words)
    )
