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
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

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
from mcp_memory.errors import McpMemoryError, OwnerError, StoreLocked, named
from mcp_memory.folder import (
    Folder,
    OwnerRecord,
    is_locked,
    is_running,
    read_owner,
    released,
    turn_to_start,
)
from mcp_memory.models import (
    AddRequest,
    AddResult,
    Comparison,
    Consolidated,
    EntitiesMerged,
    EntitiesParted,
    EntitiesRequest,
    EntitiesResult,
    EntitiesReview,
    EntitySplit,
    ForgetRequest,
    ForgetResult,
    Health,
    Hidden,
    Kind,
    Memory,
    MemoryDetail,
    Merged,
    Profile,
    Rating,
    Rebuilding,
    Receipt,
    Scope,
    SearchRequest,
    SearchResult,
    SessionSummary,
    Stats,
    Unforgotten,
)
from mcp_memory.processes import environment, python_command

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

PATIENCE = 3.5
"""Seconds in which a call waits for indexes that are being opened, which takes two; then it does with what
there is: a search finds by words alone rather than late, whatever dies meanwhile."""
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


class OwnerClient:
    """The memory of one data folder, through whichever process owns it now."""

    def __init__(self, config: Config, tasks: TaskGroup) -> None:
        self._config = config
        self._folder = Folder(config.data_dir)
        self._tasks = tasks
        self._linking = anyio.Lock()
        self._link: _Link | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Config) -> AsyncGenerator[OwnerClient]:
        """A client, attached to an owner that is started if there is none. Raises OwnerError, StoreError."""
        async with background() as tasks:
            client = cls(config, tasks)
            try:
                await client._linked()
                yield client
            finally:
                with anyio.CancelScope(shield=True):
                    await client._unlink(client._link)

    async def add(self, scope: Scope, request: AddRequest, *, source: str | None = None) -> AddResult:
        return await self._call(
            api.ADD, scope=scope, request=request, source=source, write_id=_write_id(), patience=PATIENCE
        )

    async def search(self, scope: Scope, request: SearchRequest) -> SearchResult:
        return await self._call(api.SEARCH, scope=scope, request=request, patience=PATIENCE)

    async def entities(self, scope: Scope, request: EntitiesRequest) -> EntitiesResult:
        return await self._call(api.ENTITIES, scope=scope, request=request, patience=PATIENCE)

    async def merge_entities(self, scope: Scope, kept: str, gone: str) -> EntitiesMerged:
        return await self._call(api.MERGE_ENTITIES, scope=scope, kept=kept, gone=gone)

    async def split_entity(self, scope: Scope, entity: str) -> EntitySplit:
        return await self._call(api.SPLIT_ENTITY, scope=scope, entity=entity)

    async def review_entities(self, scope: Scope, limit: int = 20) -> EntitiesReview:
        return await self._call(api.REVIEW_ENTITIES, scope=scope, limit=limit)

    async def part_entities(self, scope: Scope, one: str, other: str) -> EntitiesParted:
        return await self._call(api.PART_ENTITIES, scope=scope, one=one, other=other)

    async def consolidate(self, scope: Scope, entity: str | None = None) -> Consolidated:
        return await self._call(api.CONSOLIDATE, scope=scope, entity=entity)

    async def unconsolidate(self, scope: Scope) -> int:
        return await self._call(api.UNCONSOLIDATE, scope=scope)

    async def profile(self, scope: Scope, *, wait: float = 0.0) -> Profile:
        return await self._call(api.PROFILE, scope=scope, wait=wait)

    async def forget(self, scope: Scope, request: ForgetRequest) -> ForgetResult:
        return await self._call(api.FORGET, scope=scope, request=request, write_id=_write_id())

    async def unforget(self, scope: Scope, receipt_id: str) -> Unforgotten:
        return await self._call(api.UNFORGET, scope=scope, receipt_id=receipt_id)

    async def hidden(self, scope: Scope) -> tuple[Hidden, ...]:
        return await self._call(api.HIDDEN, scope=scope)

    async def receipts(self, limit: int = 20) -> tuple[Receipt, ...]:
        return await self._call(api.RECEIPTS, limit=limit)

    async def get(self, scope: Scope, memory_id: str) -> MemoryDetail:
        return await self._call(api.GET, scope=scope, memory_id=memory_id)

    async def rate(self, scope: Scope, memory_id: str, rating: Rating, *, source: str | None = None) -> None:
        await self._call(api.RATE, scope=scope, memory_id=memory_id, rating=rating, source=source)

    async def recent(
        self, scope: Scope, *, kinds: tuple[Kind, ...] = (), limit: int = 20, offset: int = 0
    ) -> tuple[Memory, ...]:
        return await self._call(api.RECENT, scope=scope, kinds=kinds, limit=limit, offset=offset)

    async def session(
        self, scope: Scope, session_id: str, *, limit: int = 200, offset: int = 0
    ) -> tuple[Memory, ...]:
        return await self._call(api.SESSION, scope=scope, session_id=session_id, limit=limit, offset=offset)

    async def sessions(
        self, scope: Scope, *, prefix: str = "", limit: int = 20, offset: int = 0
    ) -> tuple[SessionSummary, ...]:
        return await self._call(api.SESSIONS, scope=scope, prefix=prefix, limit=limit, offset=offset)

    async def ids(
        self, scope: Scope, noun: Literal["memories", "entities"], prefix: str, limit: int = 20
    ) -> tuple[str, ...]:
        return await self._call(api.IDS, scope=scope, noun=noun, prefix=prefix, limit=limit)

    async def stats(self, scope: Scope) -> Stats:
        return await self._call(api.STATS, scope=scope)

    async def retry(self) -> int:
        return await self._call(api.RETRY)

    async def health(self) -> Health:
        return await self._call(api.HEALTH)

    async def compare(self, *, repair: bool = False) -> Comparison:
        return await self._call(api.COMPARE, repair=repair)

    async def rebuild(self) -> Rebuilding:
        """The same, by an owner with our settings: one that works with others is retired."""
        link = await self._linked()
        if link.hello.settings != api.settings_digest(self._config):
            await self._retire(link)
        return await self._call(api.REBUILD)

    async def merge(self, ledger: Path) -> Merged:
        return await self._call(api.MERGE, ledger=ledger)

    async def caught_up(self, seconds: float) -> bool:
        return await self._call(api.CAUGHT_UP, seconds=seconds)

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

    async def _call(self, operation: Operation[_Answer], **arguments: Any) -> _Answer:
        """Ask the owner; when it dies, ask the next one the same."""
        started_at = time.monotonic()
        while True:
            waited = time.monotonic() - started_at
            if "patience" in arguments:
                arguments["patience"] = max(0.0, PATIENCE - waited)
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
            await link.attach()
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


def _write_id() -> str:
    return secrets.token_hex(16)


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

    async def attach(self) -> None:
        """Returns, or raises, when the owner leaves or dies."""
        url, extensions = self._url(api.ATTACH), {"timeout": _timeout(None)}
        async with self.pool.stream("GET", url, headers=self._headers(), extensions=extensions) as response:
            async for _ in response.aiter_stream():
                pass

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
