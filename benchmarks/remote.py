"""The program under measurement as clients elsewhere see it: `mcp-memory serve` on loopback, with tokens;
and what its benchmarks have in common."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import anyio
import httpx2
import machine
import report
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from stdio import CALL_SECONDS, Program, ProgramFailed, owner_pid, run

from mcp_memory.client import OwnerClient
from mcp_memory.config import load
from mcp_memory.models import TokenRequest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    _Plan = TypeVar("_Plan", bound=DataclassInstance)

Transport = Literal["http", "sse"]
START_SECONDS, STOP_SECONDS = 60.0, 15.0
ADDED_AT_ONCE = 50
"""Messages: the most that one call may add."""
LIMITS = "[limits]\nrequests_per_minute = 1000000\n"
"""What is measured is the server, not the patience it is told to have."""


_One = TypeVar("_One")


class Outcome(Protocol):
    """What a benchmark has found."""

    @property
    def is_right(self) -> bool: ...


_Outcome = TypeVar("_Outcome", bound=Outcome)


def main(
    about: str | None,
    usual: _Plan,
    measure: Callable[[Program, _Plan], Awaitable[_Outcome]],
    shown: Callable[[_Outcome, _Plan], str],
) -> int:
    """Measure by a plan whose fields are the options of the command, and print what came of it."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in dataclasses.fields(usual):
        value: bool | int | float = getattr(usual, one.name)
        if isinstance(value, bool):
            parser.add_argument(f"--{one.name}", action="store_true")
        else:
            parser.add_argument(f"--{one.name}", type=type(value), default=value)
    plan = dataclasses.replace(usual, **vars(parser.parse_args()))
    print(report.facts(machine.describe()))
    print(f"- load of the machine before: {machine.load():.1f}\n")
    with tempfile.TemporaryDirectory(prefix="mcp-memory-benchmark-") as temporary:
        outcome = run(measure, program_under(Path(temporary)), plan)
    print(shown(outcome, plan))
    return 0 if outcome.is_right else 1


def program_under(folder: Path) -> Program:
    """One whose server turns nobody away for asking often."""
    config = folder / "config.toml"
    config.write_text(LIMITS, encoding="utf-8")
    return Program.under(folder, config)


class Remote:
    """A server that can be killed and started again where it was."""

    def __init__(self, program: Program, owner: OwnerClient, log: Path) -> None:
        self.program = program
        self._owner = owner
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Until it answers. Raises ProgramFailed."""
        process = self._spawn()
        deadline = time.monotonic() + START_SECONDS
        async with httpx2.AsyncClient() as http:
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if (await http.get(f"{self.base}/readyz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                await anyio.sleep(0.05)
        raise ProgramFailed(f"serve did not answer: {self._log.read_text(encoding='utf-8')[-500:]}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = self.program.command("serve", "--port", str(self._port))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self._process

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def kill(self) -> None:
        """The server, and the process that holds its memory, as a crash would end them."""
        assert self._process is not None
        if (owner := owner_pid(self.program.data)) is not None:
            os.kill(owner, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def resident_bytes(self) -> dict[str, int]:
        """What each process holds now. Linux only."""
        assert self._process is not None
        pids = {"server": self._process.pid, "owner": owner_pid(self.program.data)}
        return {name: _resident(pid) for name, pid in pids.items() if pid is not None}

    async def token(self, user: str) -> str:
        return (await self._owner.create_token(TokenRequest(user_id=user))).secret

    @asynccontextmanager
    async def client(self, token: str, transport: Transport = "http", **more: Any) -> AsyncGenerator[Client]:
        """The SDK's own client: of the stateless era over Streamable HTTP, of the handshake's over SSE."""
        headers = {"Authorization": f"Bearer {token}"}
        async with AsyncExitStack() as stack:
            if transport == "sse":
                stream = sse_client(f"{self.base}/sse", headers=headers)
                mode = "legacy"
            else:
                http = await stack.enter_async_context(
                    httpx2.AsyncClient(headers=headers, timeout=CALL_SECONDS)
                )
                stream = streamable_http_client(f"{self.base}/mcp", http_client=http)
                mode = "auto"
            client = Client(stream, mode=mode, read_timeout_seconds=CALL_SECONDS, **more)
            yield await stack.enter_async_context(client)


@asynccontextmanager
async def served(program: Program) -> AsyncGenerator[Remote]:
    """A server over the memory of `program`, until the block ends; then its owner is ended too."""
    config = load(program.config, {"data_dir": program.data})
    async with OwnerClient.open(config) as owner:
        remote = Remote(program, owner, program.config.with_name("serve.log"))
        try:
            await remote.start()
            yield remote
        finally:
            remote.stop()
    await OwnerClient.stop(config)


async def settled(
    server: Remote, users: int, move_in: Callable[[int, str, Client], Awaitable[_One]]
) -> list[_One]:
    """What `move_in` makes of each user, by number, token and client, one after the other."""
    residents: list[_One] = []
    for number in range(users):
        token = await server.token(f"user {number}")
        async with server.client(token) as client:
            residents.append(await move_in(number, token, client))
        if (number + 1) % 10 == 0:
            sys.stderr.write(f"  {number + 1} users have moved in\n")
    return residents


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer of `tool`. Raises ProgramFailed."""
    result = await client.call_tool(tool, arguments)
    if result.is_error or result.structured_content is None:
        raise ProgramFailed(f"{tool} answered: {result.content}")
    return result.structured_content


async def fill(client: Client, texts: list[str], **more: Any) -> list[str]:
    """Remember `texts` as what one user said; their ids."""
    ids: list[str] = []
    for start in range(0, len(texts), ADDED_AT_ONCE):
        messages = [{"content": text} for text in texts[start : start + ADDED_AT_ONCE]]
        ids += (await told(client, "add_memory", messages=messages, **more))["ids"]
    return ids


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0
