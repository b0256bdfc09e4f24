"""The one HTTP application: both transports of the protocol, the JSON API, health and numbers."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any, cast

import anyio
import anyio.to_thread
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from mcp_memory import api
from mcp_memory.api import Operation
from mcp_memory.client import OwnerClient
from mcp_memory.config import Config, RemoteConfig
from mcp_memory.errors import McpMemoryError, PermissionMissing
from mcp_memory.models import PERMISSIONS, token_digest
from mcp_memory.remote.callers import Caller, Door, caller_of
from mcp_memory.remote.forwarded import Forwarded, forwarded_host
from mcp_memory.remote.gate import Gate, UnderWayAnywhere, UnderWayHere
from mcp_memory.remote.observing import Observed, metrics, observed_call, send_spans
from mcp_memory.remote.permitted import PermittedMemory
from mcp_memory.routes import answered, arguments_of, failed, failure
from mcp_memory.server import MemoryHandle, MemoryServer, MemoryService, Visitor
from mcp_memory.usecases import UseCases

MCP, SSE, MESSAGES = "/mcp", "/sse", "/messages"
HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
READY_SECONDS = 2.0
"""In which the process that holds the memory must answer for a server to count as ready."""
SESSION_SECONDS = 900.0
"""After which a client of the handshake era that has asked nothing must begin anew."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
API_SOURCE = "api"
"""What is noted as the source of what the JSON API adds: a source is never what a caller says it is."""

# Clients compare an issuer as text: what has no path must not get one.
_arguments = TypeAdapter(dict[str, JsonValue])
_url = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


def create_app(config: Config, extend: Callable[[Server[None]], None] | None = None) -> Starlette:
    """The application over the memory of `config`, which is asked of its owner as every host does.

    `extend` may add to the MCP server before it serves: the same transports, callers and limits then stand
    before what it added. Raises ConfigError.
    """
    return _Application(config, extend).app


class _Application:
    def __init__(self, config: Config, extend: Callable[[Server[None]], None] | None) -> None:
        remote, self._config = config.remote, config
        self._handle = MemoryHandle(lambda: OwnerClient.open(config))
        self._leaving = anyio.Event()
        self._memory_server = MemoryServer(self._handle, config, self._visitor)
        server = self._memory_server.server
        server.middleware.insert(0, observed_call)
        if extend is not None:
            extend(server)
        self._security = _security(remote)
        self._sessions = StreamableHTTPSessionManager(
            server,
            # A session lives in one process, and several take turns.
            stateless=remote.workers > 1,
            security_settings=self._security,
            session_idle_timeout=None if remote.workers > 1 else SESSION_SECONDS,
            max_request_body_size=config.limits.body_bytes,
        )
        door = Door(config, self._memory, is_local=remote.is_local)
        under_way = UnderWayHere() if remote.workers == 1 else UnderWayAnywhere(self._memory)
        self._gate = Gate(config.limits, door, under_way, self._leaving)
        self.app = Starlette(
            routes=self._routes(),
            lifespan=self._lifespan,
            middleware=[
                Middleware(Forwarded, remote.proxies),
                Middleware(Observed),
                Middleware(_KnownNames, self._security),
                Middleware(AuthenticationMiddleware, backend=BearerAuthBackend(door)),
                Middleware(AuthContextMiddleware),
            ],
        )

    def _routes(self) -> list[Route]:
        oauth = self._config.oauth
        routes = [
            Route(MCP, self._guarded(StreamableHTTPASGIApp(self._sessions))),
            *self._old_transport(),
            Route(HEALTH, _alive),
            Route(READY, self._ready),
            Route(METRICS, self._guarded(_Endpoint(_metrics))),
            Route(api.OPENAPI, self._guarded(_Endpoint(_describe))),
            *(Route(one.path, self._guarded(self._operation(one)), methods=["POST"]) for one in api.REMOTE),
        ]
        if oauth.issuer:
            routes += create_protected_resource_routes(
                _url.validate_python(oauth.resource),
                [_url.validate_python(oauth.issuer)],
                list(PERMISSIONS),
                "mcp-memory",
            )
        return routes

    def _old_transport(self) -> list[Route]:
        if self._config.remote.workers > 1:
            return [Route(SSE, _only_one_worker), Route(MESSAGES, _only_one_worker, methods=["POST"])]
        sse = SseServerTransport(MESSAGES, self._security, self._config.limits.body_bytes)
        return [
            Route(SSE, self._guarded(_SseStream(sse, self._memory_server.server)), methods=["GET"]),
            Route(MESSAGES, self._guarded(sse.handle_post_message), methods=["POST"]),
        ]

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        """For callers with a token, each within their limits."""
        oauth = self._config.oauth
        metadata = build_resource_metadata_url(_url.validate_python(oauth.resource)) if oauth.issuer else None
        return RequireAuthMiddleware(self._gate.before(app), [], metadata)

    def _operation(self, operation: Operation[Any]) -> ASGIApp:
        async def endpoint(request: Request) -> Response:
            caller = _caller(request)

            async def ask(body: BaseModel) -> Any:
                arguments = arguments_of(body)
                if "source" in arguments:
                    arguments["source"] = API_SOURCE
                permitted = self._permitted(await self._memory(), caller)
                return await permitted.ask(operation, **arguments)

            body = await request.body()
            if issubclass(operation.body, api.Scoped):
                body = _in_own_scope(body, caller)
            return await answered(body, operation, ask)

        return _Endpoint(endpoint)

    async def _ready(self, _: Request) -> Response:
        try:
            with anyio.fail_after(READY_SECONDS):
                # Asks the ledger for what is never there.
                await (await self._memory()).find_token(token_digest(""))
        except (McpMemoryError, TimeoutError):
            return failure(503, "OwnerError", "The process that holds the memory does not answer.")
        if self._leaving.is_set():
            return failure(503, "OwnerError", "This server is about to stop.")
        return JSONResponse({"status": "ready"})

    async def _memory(self) -> OwnerClient:
        return cast(OwnerClient, await self._handle.service())

    def _permitted(self, memory: UseCases, caller: Caller) -> PermittedMemory:
        return PermittedMemory(memory, caller, self._config.limits)

    def _visitor(self, request: Any) -> Visitor:
        caller = _caller(request)

        def permitted(memory: MemoryService) -> MemoryService:
            return self._permitted(cast(OwnerClient, memory), caller)

        return Visitor(caller.scope, permitted)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        endpoint = self._config.remote.telemetry_endpoint
        send_the_rest = send_spans(endpoint) if endpoint else None
        try:
            async with self._handle.kept(), self._sessions.run():
                self._handle.start()
                with self._told_of_leaving():
                    yield
        finally:
            if send_the_rest is not None:
                await anyio.to_thread.run_sync(send_the_rest)

    def _told_of_leaving(self) -> _Signals:
        loop = asyncio.get_running_loop()
        return _Signals(lambda: loop.call_soon_threadsafe(self._leave))

    def _leave(self) -> None:
        self._leaving.set()
        self._memory_server.watchers.end_listening()


class _Signals:
    """Tells of the signals that end a server, and leaves it to the server to end: those who hold a stream
    open would keep it from that until its patience is at an end."""

    def __init__(self, leave: Callable[[], object]) -> None:
        self._leave = leave
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self._leave()
        if callable(before := self._before[number]):
            before(number, frame)

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


class _KnownNames:
    """Refuses requests for other names than ours, and from pages that may not call: a browser can be made to
    send both. What a proxy was asked for must be a name of ours too, and is then the one that counts. Who
    only asks whether we live learns nothing else, and asks by whatever name."""

    def __init__(self, app: ASGIApp, settings: TransportSecuritySettings) -> None:
        self._app = app
        self._security = TransportSecurityMiddleware(settings)

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        if connection["type"] == "http" and connection["path"] not in (HEALTH, READY):
            refusal = await self._security.validate_request(Request(connection))
            if refusal is None and (host := forwarded_host(connection)) is not None:
                others = [one for one in connection["headers"] if one[0] != b"host"]
                connection["headers"] = [*others, (b"host", host)]
                refusal = await self._security.validate_request(Request(connection))
            if refusal is not None:
                await refusal(connection, receive, send)
                return
        await self._app(connection, receive, send)


class _SseStream:
    """The stream of the old transport, for as long as its client stays."""

    def __init__(self, sse: SseServerTransport, server: Server[None]) -> None:
        self._sse = sse
        self._server = server

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        options = self._server.create_initialization_options(NotificationOptions(resources_changed=True))
        async with self._sse.connect_sse(connection, receive, send) as (read_stream, write_stream):
            await self._server.run(read_stream, write_stream, options)


class _Endpoint:
    """A function of a request as an application, so that a gate can stand before it."""

    def __init__(self, function: Callable[[Request], Any]) -> None:
        self._function = function

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        response = await self._function(Request(connection, receive))
        await response(connection, receive, send)


def _security(remote: RemoteConfig) -> TransportSecuritySettings:
    return TransportSecuritySettings(
        allowed_hosts=[one for name in (*LOOPBACK, *remote.allowed_hosts) for one in (name, f"{name}:*")],
        allowed_origins=list(remote.allowed_origins),
    )


def _caller(request: Request) -> Caller:
    caller = caller_of(request.scope)
    # Who has no token was turned away long before.
    assert caller is not None
    return caller


def _in_own_scope(body: bytes, caller: Caller) -> bytes:
    """A body that says not whose memory it is about is about the caller's. What cannot be read stays as it
    is, for whoever reads it says what is wrong with it."""
    try:
        arguments = _arguments.validate_json(body or b"{}")
    except ValidationError:
        return body
    scope = arguments.get("scope", {})
    if not isinstance(scope, dict) or "user_id" in scope:
        return body
    own = {"user_id": caller.user_id, "agent_id": caller.agent_id}
    return to_json(arguments | {"scope": own | scope})


async def _alive(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def _describe(_: Request) -> Response:
    return JSONResponse(api.openapi(api.REMOTE, of_caller=True))


async def _metrics(request: Request) -> Response:
    if "memory.admin" not in _caller(request).permissions:
        return failed(PermissionMissing("memory.admin"))
    return await metrics()


async def _only_one_worker(_: Request) -> Response:
    sentence = f"The SSE transport is served by one worker alone; use {MCP}, or remote.workers = 1."
    return failure(501, "ConfigError", sentence)
