"""What a reverse proxy says of a request that it passes on: for whom, by which scheme, and for which name."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_HOST = "mcp_memory.forwarded_host"


class Forwarded(ProxyHeadersMiddleware):
    """Believes the proxies that the settings name, and nobody else."""

    def __init__(self, app: ASGIApp, proxies: Sequence[str]) -> None:
        super().__init__(app, list(proxies))  # pyright: ignore[reportArgumentType] - uvicorn's own ASGI types

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:  # type: ignore[override]
        peer = connection.get("client")
        if connection["type"] == "http" and peer is not None and peer[0] in self.trusted_hosts:
            said = [value for name, value in connection["headers"] if name == b"x-forwarded-host"]
            if said:
                # A proxy adds at the end; what stands before that, anybody may have sent.
                connection[_HOST] = said[-1].rpartition(b",")[2].strip()
        await super().__call__(connection, receive, send)  # pyright: ignore[reportArgumentType] - as above


def forwarded_host(connection: Connection) -> bytes | None:
    """The name by which the proxy was asked; None when it said none, or no proxy passed this on."""
    return connection.get(_HOST)
