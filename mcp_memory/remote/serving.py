"""`mcp-memory serve`: what must be set before anybody elsewhere is answered, the socket, and the workers."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors.multiprocess import Multiprocess

from mcp_memory.background import side_by_side
from mcp_memory.client import OwnerClient
from mcp_memory.config import Config, RemoteConfig
from mcp_memory.errors import ConfigError

# The application, whose protocol takes a second to import, only while the memory is being opened.

STOP_SECONDS = 7
"""For calls under way when the server stops; with what comes before and after, less than ten."""
WORKER_SECONDS = 30
"""After which a worker that gives no sign is ended, and another started. It gives none while it imports,
which takes seconds on a busy machine: with uvicorn's own five none came up there."""
HEAD_SECONDS = 15.0
"""In which the head of a request must have come in, counted from its first byte or from the connection."""
CONNECTIONS = 65_536
"""For which file descriptors are asked of the system; many give a process 1,024 unless it asks."""
VANISHED_MS = 60_000
"""After which the system gives up a connection whose other end takes nothing more."""


def serve(config: Config) -> None:
    """Serve the memory of `config` until the system asks to end. Raises ConfigError, OwnerError,
    StoreError."""
    remote = config.remote
    if config.in_process:
        problem = "serve shares the memory with every host, through its owner; leave out --in-process"
        raise ConfigError("settings", "in_process", problem)
    _check_files(remote)
    _make_room()
    anyio.run(_prepare, config)
    with ExitStack() as stack:
        listening = stack.enter_context(_bound(remote))
        if remote.workers > 1:
            from mcp_memory.remote.observing import METRICS_FOLDER

            # Read when the library is imported, which workers do after this.
            os.environ[METRICS_FOLDER] = stack.enter_context(TemporaryDirectory(prefix="mcp-memory-metrics-"))
        host, port = listening.getsockname()[:2]
        scheme = "http" if remote.tls_cert is None else "https"
        shown = f"[{host}]" if ":" in host else host
        sys.stderr.write(f"mcp-memory serves on {scheme}://{shown}:{port}\n")
        settings = _settings(config)
        if remote.workers > 1:
            Multiprocess(settings, [listening]).run()
        else:
            uvicorn.Server(settings).run([listening])


def _settings(config: Config) -> uvicorn.Config:
    remote = config.remote
    return uvicorn.Config(
        partial(_worker, config),
        factory=True,
        workers=remote.workers,
        http=_Impatient,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # The application believes proxies itself: this would believe this machine's, asked or not.
        proxy_headers=False,
        ssl_certfile=remote.tls_cert,
        ssl_keyfile=remote.tls_key,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_worker_healthcheck=WORKER_SECONDS,
    )


def _worker(config: Config) -> Starlette:
    """The application of one process, which is this one or was just started."""
    from mcp_memory.remote.application import create_app
    from mcp_memory.remote.observing import log_to_stderr

    log_to_stderr(config.remote, config.log_level)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return create_app(config)


def _end_with(parent: BaseProcess) -> None:
    """A worker whose parent was killed would go on serving, and hold the port."""
    parent.join()
    signal.raise_signal(signal.SIGTERM)


def _make_room() -> None:
    """As far as the system lets us: else a thousand clients that do nothing would keep out all others."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < room:
        resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))


def _check_files(remote: RemoteConfig) -> None:
    for key, file in (("tls_cert", remote.tls_cert), ("tls_key", remote.tls_key)):
        if file is not None and not _is_readable(file):
            raise ConfigError("settings", f"remote.{key}", f"{file} cannot be read; give a file in PEM")


def _is_readable(file: Path) -> bool:
    return file.is_file() and os.access(file, os.R_OK)


async def _prepare(config: Config) -> None:
    """Import what answers while the process that holds the memory starts, which takes as long."""
    async with side_by_side() as tasks:
        if config.remote.workers == 1:
            tasks.start_soon(anyio.to_thread.run_sync, import_module, "mcp_memory.remote.application")
        tasks.start_soon(_check_reach, config)


async def _check_reach(config: Config) -> None:
    """Whoever can be reached from elsewhere must know by which names, and whom to let in."""
    remote = config.remote
    async with OwnerClient.open(config) as memory:
        has_tokens = bool(await memory.tokens())
    if remote.is_local:
        return
    if not remote.allowed_hosts:
        raise ConfigError(
            "settings",
            "remote.host",
            f"{remote.host} can be reached from elsewhere: say under which names, with --allowed-host "
            "memory.example.org or remote.allowed_hosts",
        )
    if not has_tokens and not config.oauth.issuer:
        raise ConfigError(
            "settings",
            "remote.host",
            f"{remote.host} can be reached from elsewhere, and nobody can be told apart: make a token with "
            "`mcp-memory token create --user NAME`, or set oauth.issuer and oauth.resource",
        )


def _bound(remote: RemoteConfig) -> socket.socket:
    """The socket, in the parent of all workers: they share it. Raises ConfigError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            remote.host, remote.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections take these after the socket they come in by.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, VANISHED_MS)
        listening.bind(address)
    except OSError as error:
        problem = f"cannot listen on {remote.host} port {remote.port}: {error.strerror or error}"
        raise ConfigError("settings", "remote.port", problem) from error
    listening.set_inheritable(True)
    return listening


class _Impatient(H11Protocol):
    """Drops a connection that does not say what it wants in time; uvicorn waits for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._due_at = self.loop.time() + HEAD_SECONDS
        self._is_resting = False
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        if self._is_resting:
            self._due_at = self.loop.time() + HEAD_SECONDS
        super().data_received(data)
        self._is_resting = False
        if self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
            self._wait_for_head()

    def on_response_complete(self) -> None:
        self._is_resting = True
        super().on_response_complete()

    def _wait_for_head(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_at(self._due_at, self.timeout_keep_alive_handler)
