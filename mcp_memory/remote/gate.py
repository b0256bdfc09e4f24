"""What stands before every endpoint that wants a token: how often, how many at once, how large, how slow."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import anyio
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from mcp_memory.background import background
from mcp_memory.client import OwnerClient
from mcp_memory.config import LimitsConfig
from mcp_memory.errors import McpMemoryError
from mcp_memory.rates import Places
from mcp_memory.remote.callers import Door, token_of
from mcp_memory.remote.observing import REFUSED
from mcp_memory.routes import failure

logger = logging.getLogger(__name__)

BODY_SECONDS = 30.0
"""In which a request must have come in whole, once its head is there."""
SEND_SECONDS = 30.0
"""In which a client must take each piece of an answer; one that has vanished takes none."""
RECHECK_SECONDS = 3.0
"""Between two looks at whether the token of an open stream still lets in."""
LAST_SECONDS = 1.0
"""For the end of a stream that is cut off, and for streams to end by themselves when the server stops."""

LEAVE_SECONDS = 2.0
"""In which the end of a call is counted; an owner that does not answer then has counts to lose anyway."""

_Kind = Literal["call", "stream"]


class UnderWay(Protocol):
    """Counts what is under way; a place is a name for what there may be `most` of."""

    async def begin(self, place: str, most: int) -> bool:
        """Count one more; False, and nothing, where there are as many already."""
        ...

    async def end(self, place: str) -> None: ...


class UnderWayHere:
    """By this process, which is all there are."""

    def __init__(self) -> None:
        self._places = Places()

    async def begin(self, place: str, most: int) -> bool:
        return self._places.take(place, most)

    async def end(self, place: str) -> None:
        self._places.leave(place)


class UnderWayAnywhere:
    """By all processes that ask the same owner, which forgets those of a process that is gone."""

    def __init__(self, memory: Callable[[], Awaitable[OwnerClient]]) -> None:
        self._memory = memory

    async def begin(self, place: str, most: int) -> bool:
        memory = await self._memory()
        return await memory.take_place(place, most, memory.process)

    async def end(self, place: str) -> None:
        try:
            with anyio.move_on_after(LEAVE_SECONDS, shield=True):
                memory = await self._memory()
                await memory.leave_place(place, memory.process)
        except McpMemoryError as error:
            logger.warning("the end of a call was not counted: %s", error)


class Gate:
    """Lets requests through to an application, one token's share at a time. They come with their caller: who
    has none was turned away before."""

    def __init__(self, limits: LimitsConfig, door: Door, under_way: UnderWay, leaving: anyio.Event) -> None:
        self._limits = limits
        self._door = door
        self._leaving = leaving
        self._under_way = under_way

    def before(self, app: ASGIApp) -> ASGIApp:
        """`app`, behind this gate."""
        within = RequestBodyLimitMiddleware(app, self._limits.body_bytes)

        async def gated(connection: Connection, receive: Receive, send: Send) -> None:
            await self._let_through(within, connection, receive, send)

        return gated

    async def _let_through(self, app: ASGIApp, connection: Connection, receive: Receive, send: Send) -> None:
        token = token_of(connection)
        assert token is not None
        kind: _Kind = "stream" if _is_stream(connection) else "call"
        if self._leaving.is_set():
            REFUSED.labels("stopping").inc()
            refusal = failure(503, "OwnerError", "This server is about to stop.", {"Retry-After": "5"})
            return await refusal(connection, receive, send)
        if token.wait > 0:
            many = f"{self._limits.requests_per_minute} requests a minute"
            return await _too_many(many, token.wait)(connection, receive, send)
        place = f"{kind} {token.caller.name}"
        if not await self._under_way.begin(place, self._limits.concurrent_calls):
            many = f"{self._limits.concurrent_calls} {kind}s at once"
            return await _too_many(many, 1.0)(connection, receive, send)
        ended = False

        async def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                await self._under_way.end(place)

        try:
            timed = _Timed(app, end)
            if kind == "call":
                return await timed(connection, receive, send)
            async with background() as tasks:
                tasks.start_soon(self._until_invalid, token.token, tasks.cancel_scope)
                await timed(connection, receive, send)
            await timed.end(send)
        finally:
            await end()

    async def _until_invalid(self, token: str, stream: anyio.CancelScope) -> None:
        """End a stream when its token lets in no more, or the server stops."""
        while not self._leaving.is_set():
            with anyio.move_on_after(RECHECK_SECONDS):
                await self._leaving.wait()
                await anyio.sleep(LAST_SECONDS)
                break
            try:
                if not await self._door.still_lets_in(token):
                    break
            except McpMemoryError as error:
                # Who cannot be judged is not served on; the client asks again.
                logger.warning("a stream is ended: %s", error)
                break
        stream.cancel()


def _is_stream(connection: Connection) -> bool:
    """Whether the answer goes on until somebody ends it: a GET of either old transport, or `listen`."""
    if connection["method"] == "GET":
        return connection["path"] in ("/mcp", "/sse")
    return dict(connection["headers"]).get(b"mcp-method") == b"subscriptions/listen"


def _too_many(many: str, wait: float) -> ASGIApp:
    REFUSED.labels("too many").inc()
    seconds = max(1, math.ceil(wait))
    sentence = f"Your token may make {many}; try again in {seconds} s."
    return failure(429, "TooMuch", sentence, {"Retry-After": str(seconds)})


class _Timed:
    """An application whose clients must send and take within time. Before the last of an answer goes out,
    `ended` is called: whoever has it all may call again."""

    def __init__(self, app: ASGIApp, ended: Callable[[], Awaitable[None]]) -> None:
        self._app = app
        self._ended = ended
        self._has_begun = False
        self._has_ended = False

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        deadline = anyio.current_time() + BODY_SECONDS
        is_whole = False

        async def receive_in_time() -> Message:
            nonlocal is_whole
            if is_whole:
                return await receive()
            with anyio.fail_after(max(0.0, deadline - anyio.current_time())):
                message = await receive()
            is_whole = not message.get("more_body", False)
            return message

        with anyio.CancelScope() as whole:

            async def send_in_time(message: Message) -> None:
                is_last = message["type"] == "http.response.body" and not message.get("more_body")
                if is_last:
                    await self._ended()
                with anyio.move_on_after(SEND_SECONDS) as late:
                    await send(message)
                if late.cancelled_caught:
                    REFUSED.labels("vanished").inc()
                    whole.cancel()
                self._has_begun = True
                self._has_ended = is_last

            try:
                await self._app(connection, receive_in_time, send_in_time)
            except TimeoutError:
                if is_whole or self._has_begun:
                    raise
                REFUSED.labels("slow").inc()
                sentence = f"The request did not come in within {BODY_SECONDS:.0f} s."
                slow = failure(408, "InvalidInput", sentence, {"Connection": "close"})
                await slow(connection, receive, send)

    async def end(self, send: Send) -> None:
        """End an answer that was cut off, so that its client need not wonder."""
        if self._has_begun and not self._has_ended:
            with anyio.move_on_after(LAST_SECONDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
