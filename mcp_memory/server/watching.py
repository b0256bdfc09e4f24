"""Who watches which resources, in either era of the protocol, and how each is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ListenHandler
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated, ServerEvent
from mcp_types import INTERNAL_ERROR, SubscriptionsListenRequestParams, SubscriptionsListenResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp_memory.news import Touched
from mcp_memory.server import uris

ALWAYS_CHANGED = (uris.PROFILE, uris.RECENT, uris.STATS)
"""Resources that any change of memory changes."""
MAX_LISTENING = 1_024
"""Streams of `subscriptions/listen` at once."""

_Context = ServerRequestContext[None, object]


@dataclass(eq=False)
class _Session:
    """A client of the handshake era: whose resources it may watch, which of them it does, and how to reach
    it."""

    user_id: str
    session: ServerSession
    watched: set[str] = field(default_factory=set[str])


class Watchers:
    """All who watch, through one server. Each hears of one user's changes alone."""

    def __init__(self) -> None:
        self._sessions: set[_Session] = set()
        self._listening: set[ListenHandler] = set()
        self._listeners: dict[object, tuple[str, Callable[[ServerEvent], None]]] = {}

    def met(self, ctx: _Context, user_id: str) -> None:
        """Note a client of the handshake era, which hears of changed lists from now on until it has gone."""
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return
        # Nothing that is public lasts as long as a connection: contexts and sessions are made per message.
        connection = ctx.session._connection  # pyright: ignore[reportPrivateUsage]
        if _KEY not in connection.state and connection.has_standalone_channel:
            session = connection.state[_KEY] = _Session(user_id, ctx.session)
            self._sessions.add(session)
            connection.exit_stack.callback(self._sessions.discard, session)

    def watch(self, ctx: _Context, uri: str) -> None:
        """Tell this client of changes of a resource."""
        if (session := _session(ctx)) is not None:
            session.watched.add(uri)

    def unwatch(self, ctx: _Context, uri: str) -> None:
        if (session := _session(ctx)) is not None:
            session.watched.discard(uri)

    async def listen(
        self, ctx: _Context, params: SubscriptionsListenRequestParams, user_id: str
    ) -> SubscriptionsListenResult:
        """Serve one stream of today's protocol for as long as its client stays."""
        if len(self._listening) >= MAX_LISTENING:
            raise MCPError(INTERNAL_ERROR, "Too many clients are listening; try again later.")
        handler = ListenHandler(_Bus(self._listeners, user_id))
        self._listening.add(handler)
        try:
            return await handler(ctx, params)
        finally:
            self._listening.discard(handler)

    def end_listening(self) -> None:
        """End all streams, in the way that tells their clients that it was meant."""
        for handler in list(self._listening):
            handler.close()

    async def tell(self, touched: Touched) -> None:
        """Tell those who watch what changed of this user's."""
        changed = (
            *map(uris.memory_uri, touched.memories),
            *map(uris.entity_uri, touched.entities),
            *map(uris.session_uri, touched.sessions),
            *ALWAYS_CHANGED,
        )
        events: list[ServerEvent] = [*(ResourceUpdated(uri=uri) for uri in changed), ResourcesListChanged()]
        for user_id, listener in list(self._listeners.values()):
            if user_id == touched.user_id:
                for event in events:
                    listener(event)
        for one in list(self._sessions):
            if one.user_id == touched.user_id:
                for uri in one.watched.intersection(changed):
                    await one.session.send_resource_updated(uri)
                await one.session.send_resource_list_changed()


@dataclass(frozen=True, slots=True)
class _Bus:
    """What a stream subscribes to: the changes of one user."""

    listeners: dict[object, tuple[str, Callable[[ServerEvent], None]]]
    user_id: str

    async def publish(self, event: ServerEvent) -> None:
        for user_id, listener in list(self.listeners.values()):
            if user_id == self.user_id:
                listener(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        place = object()
        self.listeners[place] = (self.user_id, listener)
        return lambda: (self.listeners.pop(place, None), None)[1]


_KEY = "mcp_memory"


def _session(ctx: _Context) -> _Session | None:
    return ctx.session._connection.state.get(_KEY)  # pyright: ignore[reportPrivateUsage]
