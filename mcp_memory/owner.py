"""The owner: the one process that holds a data folder, and serves its use-cases over loopback HTTP."""

from __future__ import annotations

import asyncio
import faulthandler
import hmac
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import uvicorn
from anyio.abc import ObjectReceiveStream
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from mcp_memory import __version__, api
from mcp_memory.api import Failure, Hello, Operation
from mcp_memory.config import Config, taken_over
from mcp_memory.errors import McpMemoryError, StoreLocked
from mcp_memory.folder import Folder, OwnerRecord, write_owner
from mcp_memory.news import Touched
from mcp_memory.routes import answered, arguments_of, failure
from mcp_memory.service import Service

logger = logging.getLogger(__name__)

LOCK_SECONDS = 15.0
"""How long a new owner waits for the one before it to finish what it acknowledged."""
LEAVE_SECONDS = 30.0
"""How long an owner that leaves goes on bringing the indexes up to date; the rest is done by the next."""
END_SECONDS = 10.0
"""How long calls under way may take once an owner leaves."""
BEAT_SECONDS = 10.0
"""Between two signs of life on an attachment: writing is how a lost one is noticed."""
NEWS = 1_000
"""Announcements that wait for one attachment."""


def main() -> None:
    """Own the folder of the settings on stdin; say on stdout, in one line, that it serves or why not."""
    faulthandler.enable()
    # Whatever mode the folder has: what is remembered is for this user alone.
    os.umask(0o077)
    logging.basicConfig(
        stream=sys.stderr, level=logging.ERROR, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        config = taken_over(sys.stdin.read())
        logging.getLogger("mcp_memory").setLevel(config.log_level)
        anyio.run(_own, config)
    except StoreLocked as error:
        # Two started at once, and the other one was first.
        _say(Failure(error="StoreLocked", message=str(error)))
    except McpMemoryError as error:
        logger.error("the owner cannot start: %s", error)
        _say(Failure(error=type(error).__name__, message=str(error)))


def _say(said: Failure | None) -> None:
    """To whoever started us, who may be gone by now."""
    with suppress(OSError, ValueError):
        sys.stdout.write(("{}" if said is None else said.model_dump_json()) + "\n")
        sys.stdout.flush()
        # Held open, it would keep a pipe of the process that started us.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


async def _own(config: Config) -> None:
    async with serving(config, wait=LOCK_SECONDS):
        _say(None)


@asynccontextmanager
async def serving(config: Config, *, wait: float = 1.0) -> AsyncGenerator[OwnerRecord]:
    """Own the folder of `config` and serve it. After the block it serves on, until nobody has used it for
    `owner.idle_seconds`, somebody retires it, or the system ends it.

    Raises StoreLocked when another process holds the folder and does not free it within `wait` seconds.
    """
    folder = Folder(config.data_dir)
    # Named, for asyncio sends small answers at once only where the protocol says TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    starting = OwnerRecord(os.getpid(), __version__, shared=True)
    async with Service.open(config, starting, wait=wait) as service:
        record = replace(starting, port=listening.getsockname()[1], token=secrets.token_urlsafe(32))
        life = _Life(config.owner.idle_seconds)
        server = _Server(
            uvicorn.Config(
                create_app(service, record, api.settings_digest(config), life),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=3_600,
                timeout_graceful_shutdown=int(END_SECONDS),
            )
        )
        async with anyio.create_task_group() as tasks:
            ended = anyio.Event()

            async def serve() -> None:
                await server.serve([listening])
                ended.set()

            tasks.start_soon(serve)
            tasks.start_soon(_leave_on_signal, life)
            while not server.started:
                await anyio.sleep(0.005)
            write_owner(folder, record)
            logger.info("serves on port %d", record.port)
            yield record
            await life.until_left()
            # Whoever looks now finds nobody, and starts the next owner, which waits for our lock.
            write_owner(folder, starting)
            server.should_exit = True
            if life.in_peace:
                await service.caught_up(LEAVE_SECONDS)
            with anyio.move_on_after(END_SECONDS + 1):
                await ended.wait()
            tasks.cancel_scope.cancel()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are heard by the owner, which then closes its stores; uvicorn would end the process."""
        yield


class _Life:
    """Who uses the owner, and when it leaves."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._users = 0
        self._changed = anyio.Event()
        self.leaving = anyio.Event()
        self.in_peace = True

    @contextmanager
    def using(self) -> Generator[None]:
        self._users += 1
        self._change()
        try:
            yield
        finally:
            self._users -= 1
            self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def leave(self, *, in_peace: bool) -> None:
        self.in_peace = in_peace
        self.leaving.set()
        self._change()

    async def until_left(self) -> None:
        """Wait until somebody says so, or nobody has used it for long enough."""
        while not self.leaving.is_set():
            changed = self._changed
            if self._users:
                await changed.wait()
                continue
            with anyio.move_on_after(self._idle_seconds):
                await changed.wait()
                continue
            self.leaving.set()


async def _leave_on_signal(life: _Life) -> None:
    if sys.platform == "win32":
        # There a service or a console asks with Ctrl+Break; a task manager asks nobody.
        loop = asyncio.get_running_loop()
        leave = partial(life.leave, in_peace=False)
        signal.signal(signal.SIGBREAK, lambda *_: loop.call_soon_threadsafe(leave))
        return
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        async for _ in received:
            life.leave(in_peace=False)


def create_app(service: Service, record: OwnerRecord, settings: str, life: _Life) -> ASGIApp:
    """The owner's HTTP application; everything but the greeting wants the token."""
    assert record.token is not None
    assert record.port is not None
    token, port = record.token, record.port

    async def hello(request: Request) -> Response:
        proof = api.proof(token, port, request.query_params.get("nonce", ""))
        return JSONResponse(Hello(proof=proof, version=__version__, settings=settings).model_dump())

    async def attach(request: Request) -> Response:
        beats = _beats(service, request.query_params.get("process", ""), life)
        return StreamingResponse(beats, media_type="application/jsonl")

    async def retire(_: Request) -> Response:
        life.leave(in_peace=True)
        return Response(status_code=204)

    async def describe(_: Request) -> Response:
        return JSONResponse(api.openapi())

    routes = [
        Route(api.HELLO, hello),
        Route(api.ATTACH, attach),
        Route(api.RETIRE, retire, methods=["POST"]),
        Route(api.OPENAPI, describe),
        *(Route(one.path, _endpoint(service, one, life), methods=["POST"]) for one in api.OPERATIONS),
    ]
    return _Guard(Starlette(routes=routes), token, port)


async def _beats(service: Service, process: str, life: _Life) -> AsyncIterator[bytes]:
    """What is announced, a line each, and an empty line as a sign of life; for as long as `process` lives."""
    send, heard = anyio.create_memory_object_stream[Touched](NEWS)

    async def hear(touched: Touched) -> None:
        # Who does not read fast enough misses some: they are hints to look again.
        with suppress(anyio.WouldBlock):
            send.send_nowait(touched)

    unsubscribe = service.news.subscribe(hear)
    try:
        with life.using(), send, heard:
            while not life.leaving.is_set():
                yield await _line(heard, life) + b"\n"
    finally:
        unsubscribe()
        service.places.leave_all(process)


async def _line(heard: ObjectReceiveStream[Touched], life: _Life) -> bytes:
    """The next announcement; nothing when there is none for a while, or the owner leaves."""
    line = b""
    async with anyio.create_task_group() as tasks:

        async def end_when_leaving() -> None:
            await life.leaving.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(end_when_leaving)
        with anyio.move_on_after(BEAT_SECONDS):
            line = (await heard.receive()).model_dump_json().encode()
        tasks.cancel_scope.cancel()
    return line


def _endpoint(service: Service, operation: Operation[Any], life: _Life) -> Callable[[Request], Any]:
    method = getattr(service, operation.name)

    async def ask(body: BaseModel) -> Any:
        return await method(**arguments_of(body))

    async def endpoint(request: Request) -> Response:
        if life.leaving.is_set():
            return failure(api.LEAVING, "OwnerError", "This owner is about to end; ask the next one.")
        with life.using():
            return await answered(await request.body(), operation, ask)

    return endpoint


class _Guard:
    """Lets in who names this address and knows the token: no page of a browser, no stranger."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._authorization = f"Bearer {token}".encode()
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        headers = dict(connection["headers"])
        given = headers.get(b"authorization", b"")
        if headers.get(b"host") not in self._hosts:
            refusal = failure(421, "OwnerError", "This address serves 127.0.0.1 alone.")
        elif b"origin" in headers:
            refusal = failure(403, "OwnerError", "Pages of a browser are not served here.")
        elif connection["path"] != api.HELLO and not hmac.compare_digest(given, self._authorization):
            refusal = failure(401, "OwnerError", "The token is missing or wrong.")
        elif int(headers.get(b"content-length", b"0") or 0) > api.MAX_BODY:
            refusal = failure(413, "InvalidInput", "This is more than one call may carry.")
        else:
            await self._app(connection, receive, send)
            return
        await refusal(connection, receive, send)


if __name__ == "__main__":
    main()
