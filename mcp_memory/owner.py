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
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from mcp_memory import __version__, api
from mcp_memory.api import Failure, Hello, Operation
from mcp_memory.config import Config, taken_over
from mcp_memory.errors import (
    ConfigError,
    EmbeddingError,
    InvalidInput,
    McpMemoryError,
    NotFound,
    StoreError,
    StoreLocked,
    log_crash,
)
from mcp_memory.folder import Folder, OwnerRecord, write_owner
from mcp_memory.models import invalid_input
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

_STATUS: tuple[tuple[type[McpMemoryError], int], ...] = (
    (InvalidInput, 422),
    (NotFound, 404),
    (ConfigError, 400),
    (StoreError, 507),
    (EmbeddingError, 502),
    (McpMemoryError, 500),
)


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

    async def attach(_: Request) -> Response:
        async def beats() -> AsyncIterator[bytes]:
            with life.using():
                while not life.leaving.is_set():
                    yield b"\n"
                    with anyio.move_on_after(BEAT_SECONDS):
                        await life.leaving.wait()

        return StreamingResponse(beats(), media_type="text/plain")

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


def _endpoint(service: Service, operation: Operation[Any], life: _Life) -> Callable[[Request], Any]:
    method = getattr(service, operation.name)

    async def endpoint(request: Request) -> Response:
        if life.leaving.is_set():
            return _failure(api.LEAVING, "OwnerError", "This owner is about to end; ask the next one.")
        with life.using():
            try:
                body = operation.body.model_validate_json(await request.body())
                answer = await method(**{name: getattr(body, name) for name in type(body).model_fields})
            except ValidationError as error:
                problem = invalid_input(error, operation.body)
                return _failure(422, "InvalidInput", str(problem))
            except McpMemoryError as error:
                status = next(status for kind, status in _STATUS if isinstance(error, kind))
                return _failure(status, type(error).__name__, str(error))
            except Exception as error:  # noqa: BLE001 - the outermost loop of a call: one crash ends no owner
                log_crash(logger, operation.name, error)
                return _failure(
                    500,
                    "McpMemoryError",
                    f"{operation.name} failed inside the memory's process; "
                    "owner.log in the data folder says where.",
                )
        return Response(operation.answer.dump_json(answer), media_type="application/json")

    return endpoint


def _failure(status: int, error: str, message: str) -> Response:
    return JSONResponse(Failure(error=error, message=message).model_dump(), status)


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
            refusal = _failure(421, "OwnerError", "This address serves 127.0.0.1 alone.")
        elif b"origin" in headers:
            refusal = _failure(403, "OwnerError", "Pages of a browser are not served here.")
        elif connection["path"] != api.HELLO and not hmac.compare_digest(given, self._authorization):
            refusal = _failure(401, "OwnerError", "The token is missing or wrong.")
        elif int(headers.get(b"content-length", b"0") or 0) > api.MAX_BODY:
            refusal = _failure(413, "InvalidInput", "This is more than one call may carry.")
        else:
            await self._app(connection, receive, send)
            return
        await refusal(connection, receive, send)


if __name__ == "__main__":
    main()
