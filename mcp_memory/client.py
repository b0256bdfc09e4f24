"""The use-cases, spoken to an owner: found by `owner.json`, started when there is none, and asked again when
it dies."""

from __future__ import annotations

import base64
import json
import logging
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread
import h11
import httpcore2
from anyio.abc import TaskGroup
from packaging.version import Version
from pydantic import ValidationError

from mcp_memory import __version__, api
from mcp_memory.api import Failure, Hello, Operation
from mcp_memory.background import background
from mcp_memory.config import Config, handed_over
from mcp_memory.errors import AnswerTooLarge, McpMemoryError, OwnerError, StoreLocked, named
from mcp_memory.folder import (
    Folder,
    OwnerRecord,
    is_locked,
    is_running,
    read_owner,
    released,
    turn_to_start,
)
from mcp_memory.models import Rebuilding
from mcp_memory.news import News, Touched
from mcp_memory.processes import environment, python_command
from mcp_memory.usecases import PATIENCE, UseCases

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

REACH_SECONDS = 40.0
"""Seconds in which an owner must be found or started; a host drops a call after about sixty."""
CONNECT_SECONDS = 5.0
POLL_SECONDS = 0.03
LOG_BYTES = 1 << 20
"""Size from which the owner's log begins anew; the last one is kept as owner.log.1."""

_NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
"""A request goes out in two small pieces; the second would wait 40 ms for the receipt of the first."""

_GONE = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ConnectTimeout, OSError)
"""What a call raises when the owner died, or another program listens where it did."""


class OwnerClient(UseCases):
    """The memory of one data folder, through whichever process owns it now."""

    def __init__(self, config: Config, tasks: TaskGroup) -> None:
        self._config = config
        self._folder = Folder(config.data_dir)
        self._tasks = tasks
        self._linking = anyio.Lock()
        self._link: _Link | None = None
        self.news = News()
        self.process = secrets.token_hex(8)
        """By what name the owner knows us for as long as we are attached."""

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Config, *, patience: float = PATIENCE) -> AsyncGenerator[OwnerClient]:
        """A client, attached to an owner that is started if there is none; `patience` is how many seconds a
        call waits for indexes that are being opened. Raises OwnerError, StoreError."""
        async with background() as tasks:
            client = cls(config, tasks)
            client.patience = patience
            try:
                await client._linked()
                yield client
            finally:
                with anyio.CancelScope(shield=True):
                    await client._unlink(client._link)

    async def rebuild(self) -> Rebuilding:
        """The same, by an owner with our settings: one that works with others is retired."""
        link = await self._linked()
        if link.hello.settings != api.settings_digest(self._config):
            await self._retire(link)
        return await self.ask(api.REBUILD)

    @classmethod
    async def stop(cls, config: Config) -> OwnerRecord | None:
        """End the owner of a folder, once it has finished what it acknowledged; who it was, None when there
        was none. Raises OwnerError when it does not end."""
        ended: OwnerRecord | None = None
        async with background() as tasks:
            client = cls(config, tasks)
            if (link := await client._find()) is not None:
                await client._retire(link)
                ended = link.record
                with anyio.move_on_after(REACH_SECONDS):
                    while is_running(ended.pid):
                        await anyio.sleep(POLL_SECONDS)
                if is_locked(client._folder.lock):
                    raise OwnerError(client._folder.path, f"(process {ended.pid}) does not end")
        return ended

    async def ask(
        self, operation: Operation[_Answer], *, most_bytes: int | None = None, **arguments: Any
    ) -> _Answer:
        """Ask the owner; when it dies, ask the next one the same."""
        started_at = time.monotonic()
        while True:
            waited = time.monotonic() - started_at
            if "patience" in arguments:
                arguments["patience"] = max(0.0, self.patience - waited)
            body = operation.body.model_construct(**arguments).model_dump_json().encode()
            link = None
            try:
                link = await self._linked()
                response = await link.post(operation.path, body, operation.seconds)
            except httpcore2.TimeoutException as error:
                raise OwnerError(self._folder.path, f"gave no answer in {operation.seconds:.0f} s") from error
            except _GONE as error:
                logger.info("the owner is gone (%s); the call is repeated", type(error).__name__)
                if waited > REACH_SECONDS:
                    raise OwnerError(self._folder.path, "cannot be reached") from error
                await self._unlink(link)
                continue
            if response.status == api.LEAVING:
                await self._unlink(link)
                await anyio.sleep(POLL_SECONDS)
                continue
            if response.status != 200:
                raise _failed(response.content)
            if most_bytes is not None and len(response.content) > most_bytes:
                raise AnswerTooLarge(len(response.content), most_bytes)
            return operation.answer.validate_json(response.content)

    async def _linked(self) -> _Link:
        """The owner there is, or a new one."""
        async with self._linking:
            if self._link is None:
                link = await self._find_or_start()
                self._link = link
                self._tasks.start_soon(self._attach, link)
            return self._link

    async def _unlink(self, link: _Link | None) -> None:
        if link is not None:
            if self._link is link:
                self._link = None
            await link.close()

    async def _attach(self, link: _Link) -> None:
        """Hold a connection, so that the owner knows it is needed and we hear when it dies."""
        try:
            async for touched in link.attach(self.process):
                await self.news.tell(touched)
        except Exception as error:  # noqa: BLE001 - however it ends, the next call finds or starts an owner
            logger.info("the attachment ended: %s", type(error).__name__)
        await self._unlink(link)

    async def _find_or_start(self) -> _Link:
        deadline = time.monotonic() + REACH_SECONDS
        while time.monotonic() < deadline:
            if (link := await self._find()) is not None:
                if Version(link.hello.version) >= Version(__version__):
                    self._warn_of_other_settings(link)
                    return link
                logger.info("an owner of version %s is retired", link.hello.version)
                await self._retire(link)
            await self._start()
        raise OwnerError(self._folder.path, f"could not be reached or started in {REACH_SECONDS:.0f} s")

    async def _find(self) -> _Link | None:
        record = await anyio.to_thread.run_sync(read_owner, self._folder)
        if record is None or record.port is None or record.token is None:
            return None
        try:
            return await _Link.open(record)
        except (*_GONE, httpcore2.TimeoutException):
            return None

    async def _retire(self, link: _Link) -> None:
        with suppress(*_GONE, httpcore2.TimeoutException):
            await link.post(api.RETIRE, b"", CONNECT_SECONDS)
        await self._unlink(link)
        await released(self._folder, REACH_SECONDS)

    async def _start(self) -> None:
        """Start an owner, or wait a moment for who is starting one. Raises what keeps it from starting."""
        self._folder.make()
        holder = await anyio.to_thread.run_sync(read_owner, self._folder)
        if holder is not None and not holder.shared and is_locked(self._folder.lock):
            raise StoreLocked(self._folder.path, f" (process {holder.pid})")
        with turn_to_start(self._folder) as is_ours:
            if not is_ours:
                await anyio.sleep(POLL_SECONDS)
                return
            # Another front may have started one between our look and our turn.
            if (link := await self._find()) is not None:
                await link.close()
                return
            said = await anyio.to_thread.run_sync(
                _started, self._config, self._folder, abandon_on_cancel=True
            )
        if said is not None:
            raise named(said.error, said.message)

    def _warn_of_other_settings(self, link: _Link) -> None:
        if link.hello.settings != api.settings_digest(self._config):
            logger.warning(
                "the memory in %s is held by a process with other settings of embedding, search, memory, "
                "forget, graph or vectors; ours count once it has ended (mcp-memory stop)",
                self._folder.path,
            )


def _failed(content: bytes) -> McpMemoryError:
    try:
        failure = Failure.model_validate_json(content)
    except ValidationError:
        return McpMemoryError("The process that holds the memory gave an answer nobody understands.")
    return named(failure.error, failure.message)


def _started(config: Config, folder: Folder) -> Failure | None:
    """Start an owner that outlives us, and wait until it serves; answers what kept it from that.

    None also when it died without a word: then it is tried again.
    """
    if folder.log.exists() and folder.log.stat().st_size > LOG_BYTES:
        folder.log.replace(folder.log.with_name("owner.log.1"))
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        # A host that ends its job must not end the owner of other hosts.
        detached = {"creationflags": flags | subprocess.CREATE_BREAKAWAY_FROM_JOB}
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            python_command("mcp_memory.owner"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder.path.anchor,
            env=environment(),
            **detached,
        )
    # Reaped when it ends, however long that takes; a thread that waits does not keep us from ending.
    threading.Thread(target=process.wait, daemon=True).start()
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout as said, suppress(BrokenPipeError):
        with process.stdin as settings:
            settings.write(handed_over(config).encode())
        line = said.readline()
        if line.strip() not in (b"", b"{}"):
            return Failure.model_validate_json(line)
    return None


@dataclass(slots=True)
class _Link:
    """Connections to one owner, each of which has proven that it is the one `owner.json` names."""

    record: OwnerRecord
    hello: Hello
    pool: httpcore2.AsyncConnectionPool = field(repr=False)

    @classmethod
    async def open(cls, record: OwnerRecord) -> _Link:
        backend = _Proven(record)
        stream = await backend.connect_tcp("127.0.0.1", record.port or 0, CONNECT_SECONDS)
        await stream.aclose()
        assert backend.hello is not None
        pool = httpcore2.AsyncConnectionPool(
            network_backend=backend, max_connections=None, keepalive_expiry=600
        )
        return cls(record, backend.hello, pool)

    async def post(self, path: str, body: bytes, seconds: float) -> httpcore2.Response:
        headers = [("Content-Type", "application/json"), *self._headers()]
        return await self.pool.request(
            "POST", self._url(path), headers=headers, content=body, extensions={"timeout": _timeout(seconds)}
        )

    async def attach(self, process: str) -> AsyncGenerator[Touched]:
        """What is announced, line by line. Ends, or raises, when the owner leaves or dies."""
        url, extensions = self._url(f"{api.ATTACH}?process={process}"), {"timeout": _timeout(None)}
        begun = b""
        async with self.pool.stream("GET", url, headers=self._headers(), extensions=extensions) as response:
            async for part in response.aiter_stream():
                *lines, begun = (begun + part).split(b"\n")
                for line in filter(None, lines):
                    yield Touched.model_validate_json(line)

    async def close(self) -> None:
        with suppress(*_GONE):
            await self.pool.aclose()

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.record.port}{path}"

    def _headers(self) -> list[tuple[str, str]]:
        return [("Authorization", f"Bearer {self.record.token}")]


def _timeout(seconds: float | None) -> dict[str, float | None]:
    return {"connect": CONNECT_SECONDS, "write": seconds, "read": seconds, "pool": seconds}


class _Proven(httpcore2.AsyncNetworkBackend):
    """Opens connections, and asks of each a proof that the owner's token is known at the other end.

    The token itself is sent only after that: a program that took over the port of a dead owner learns
    nothing.
    """

    def __init__(self, record: OwnerRecord) -> None:
        self._record = record
        # The package names the anyio backend without its type.
        self._backend = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())
        self.hello: Hello | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of the base class
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        options = [*(socket_options or ()), _NO_DELAY]
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, options)
        try:
            self.hello = await self._greeted(stream, port)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await stream.aclose()
            raise
        return stream

    async def _greeted(self, stream: httpcore2.AsyncNetworkStream, port: int) -> Hello:
        nonce = base64.urlsafe_b64encode(secrets.token_bytes(24)).decode()
        http = h11.Connection(h11.CLIENT)
        headers = [("Host", f"127.0.0.1:{port}")]
        request = h11.Request(method="GET", target=f"{api.HELLO}?nonce={nonce}", headers=headers)
        await stream.write(
            (http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""), CONNECT_SECONDS
        )
        body = b""
        try:
            while not isinstance(event := http.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    http.receive_data(await stream.read(65_536, CONNECT_SECONDS))
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.ConnectionClosed):
                    break
            hello = Hello.model_validate(json.loads(body))
        except (h11.RemoteProtocolError, ValueError) as error:
            raise httpcore2.ConnectError("what listens there is no owner") from error
        if not compare_digest(hello.proof, api.proof(self._record.token or "", port, nonce)):
            raise httpcore2.ConnectError("what listens there is another owner")
        return hello

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
