"""A real `mcp-memory serve` in a process of its own, and clients of it over every transport."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from mcp_memory.client import OwnerClient
from mcp_memory.config import Config, load
from mcp_memory.models import DEFAULT_PERMISSIONS, NewToken, Permission, TokenRequest
from mcp_memory.processes import environment as environment_of_child
from mcp_memory.processes import python_command

from .conftest import GRAPH_ENGINE

Transport = Literal["modern", "handshake", "sse"]
TRANSPORTS: tuple[Transport, ...] = ("modern", "handshake", "sse")
START_SECONDS, STOP_SECONDS, LOG_SECONDS = 120, 10, 20


@dataclass
class Served:
    """A server, and the memory behind it for what only this machine may do."""

    base: str
    process: subprocess.Popen[bytes]
    log: Path
    owner: OwnerClient
    config: Config
    verify: ssl.SSLContext | bool = True

    async def token(
        self,
        user: str,
        *permissions: Permission,
        agent: str | None = None,
        expires_at: datetime | None = None,
    ) -> NewToken:
        request = TokenRequest(
            user_id=user,
            agent_id=agent,
            permissions=permissions or DEFAULT_PERMISSIONS,
            expires_at=expires_at,
        )
        return await self.owner.create_token(request)

    def http(self, token: str | None = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=self.base,
            headers={} if token is None else bearer(token),
            timeout=60,
            verify=self.verify,
        )

    @asynccontextmanager
    async def client(
        self, token: NewToken, transport: Transport = "modern", **more: Any
    ) -> AsyncGenerator[Client]:
        """The SDK's own client."""
        if transport == "sse":
            stream = sse_client(
                self.base + "/sse", headers=bearer(token.secret), httpx_client_factory=self._made
            )
            async with Client(stream, mode="legacy", **more) as client:
                yield client
            return
        async with self.http(token.secret) as http:
            stream = streamable_http_client(self.base + "/mcp", http_client=http)
            async with Client(stream, mode="auto" if transport == "modern" else "legacy", **more) as client:
                yield client

    def _made(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        """As the SDK has its own made for the old transport."""
        return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, verify=self.verify)

    async def logged(self, words: str) -> str:
        """The line of the log that has these words; a request is logged only once its answer is out."""
        with anyio.fail_after(LOG_SECONDS):
            while True:
                for line in self.log.read_text().splitlines():
                    if words in line:
                        return line
                await anyio.sleep(0.05)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def serving(
    folder: Path, *flags: str, verify: ssl.SSLContext | bool = True, **environment: str
) -> AsyncGenerator[Served]:
    """Serve a memory in `folder`; `environment` holds settings, without their prefix."""
    settings = {f"MCP_MEMORY_{name}": value for name, value in environment.items()}
    settings |= {"MCP_MEMORY_GRAPH__ENGINE": GRAPH_ENGINE, "MCP_MEMORY_OWNER__IDLE_SECONDS": "2"}
    config = load(
        flags={"data_dir": folder / "data", "graph": {"engine": GRAPH_ENGINE}, "owner": {"idle_seconds": 2}}
    )
    log = folder / "serve.log"
    async with OwnerClient.open(config) as owner:
        arguments = ("serve", "--port", "0", *flags)
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [*python_command("mcp_memory", "--data-dir", str(config.data_dir)), *arguments],
                stderr=stderr,
                env={**environment_of_child(), "HOME": str(folder), **settings},
            )
        try:
            base = await _ready(process, log, verify)
            yield Served(base, process, log, owner, config, verify)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                finally:
                    process.kill()
    await OwnerClient.stop(config)


async def _ready(process: subprocess.Popen[bytes], log: Path, verify: ssl.SSLContext | bool) -> str:
    with anyio.fail_after(START_SECONDS):
        while True:
            assert process.poll() is None, log.read_text()
            said = re.search(r"serves on (\S+)\n", log.read_text())
            if said is not None:
                try:
                    async with httpx2.AsyncClient(verify=verify) as http:
                        if (await http.get(said[1] + "/readyz")).status_code == 200:
                            return said[1]
                except httpx2.TransportError:
                    pass
            await anyio.sleep(0.05)
