"""The program under measurement: `python -m mcp_memory` as a process of its own, driven over stdio."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, cast

import anyio
from mcp import Client, MCPError, StdioServerParameters

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

CALL_SECONDS = 60.0
"""After this long a host drops a call; so does the benchmark."""
IMPORT_SECONDS = 3_600.0
POLL_SECONDS = 0.05
SETTLE_SECONDS = 2.0
"""Between two looks at what waits: each is a process of its own and would itself be in the way."""

Mode = Literal["legacy", "auto"]
"""`legacy` opens with the `initialize` handshake of 2025, `auto` with the `server/discover` of 2026."""


class ProgramFailed(Exception):
    """The program under measurement answered with an error, or ended with one."""


def run(
    steps: Callable[_Arguments, Awaitable[_Result]], *arguments: _Arguments.args, **named: _Arguments.kwargs
) -> _Result:
    """What `steps` give. Raises ProgramFailed for any failure of the program, out of however many groups."""
    try:
        return anyio.run(functools.partial(steps, *arguments, **named))
    except (ProgramFailed, MCPError, ExceptionGroup) as error:
        cause = first_cause(error)
        if isinstance(cause, ProgramFailed | MCPError):
            raise ProgramFailed(str(cause)) from cause
        raise


def first_cause(error: Exception) -> Exception:
    """What a group of groups was raised for."""
    if isinstance(error, ExceptionGroup):
        return first_cause(cast("ExceptionGroup[Exception]", error).exceptions[0])
    return error


@dataclass(frozen=True, slots=True)
class Program:
    """How it is started: on `data`, and with the settings of `config`, else with the defaults alone."""

    data: Path
    config: Path
    in_process: bool = False
    """Whether each server holds the memory itself instead of sharing an owner's."""

    @classmethod
    def under(cls, folder: Path, config: Path | None = None) -> Program:
        """A data folder inside `folder`. Without `config` an empty file is given, so that no setting of this
        machine's user takes part."""
        if config is None:
            config = folder / "config.toml"
            config.touch()
        return cls(folder / "data", config.resolve())

    def command(self, *arguments: str) -> list[str]:
        options = ["--config", str(self.config), "--data-dir", str(self.data)]
        options += ["--in-process"] if self.in_process else []
        return [sys.executable, "-m", "mcp_memory", *options, *arguments]


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool answered: to be read, to be parsed, and after how long."""

    text: str
    content: dict[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `ready_seconds` went by from before the spawn until the protocol was agreed."""

    client: Client
    pid: int | None
    ready_seconds: float

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The structured answer of `tool`. Raises ProgramFailed."""
        return (await self.ask(tool, arguments)).content

    async def ask(self, tool: str, arguments: dict[str, Any]) -> Told:
        """The whole answer of `tool`, and the time of the client's whole call. Raises ProgramFailed."""
        began = time.perf_counter()
        result = await self.client.call_tool(tool, arguments)
        seconds = time.perf_counter() - began
        text = "\n".join(block.text for block in result.content if block.type == "text")
        if result.is_error or result.structured_content is None:
            raise ProgramFailed(f"{tool} answered: {text or 'nothing structured'}")
        return Told(text, result.structured_content, seconds)

    async def arguments_of(self, tool: str) -> frozenset[str]:
        """The names of the arguments that `tool` takes."""
        tools = (await self.client.list_tools()).tools
        return next(frozenset(one.input_schema["properties"]) for one in tools if one.name == tool)

    def peak_bytes(self) -> int | None:
        """The most memory the server itself held so far; None where the system does not tell."""
        return None if self.pid is None else _high_water(self.pid)


@asynccontextmanager
async def running(program: Program, mode: Mode = "legacy") -> AsyncGenerator[Server]:
    """The server, until the block ends: then its stdin is closed and it is waited for."""
    async with connected(program.command(), _python_path(), mode) as server:
        yield server


@asynccontextmanager
async def connected(
    command: Sequence[str], environment: Mapping[str, str], mode: Mode = "legacy"
) -> AsyncGenerator[Server]:
    """Any server that speaks the protocol over stdio, until the block ends."""
    parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(environment))
    before = _children(os.getpid())
    spawned_at = time.perf_counter()
    async with Client(parameters, mode=mode, read_timeout_seconds=CALL_SECONDS) as client:
        ready_seconds = time.perf_counter() - spawned_at
        started = _children(os.getpid()) - before
        yield Server(client, next(iter(started), None), ready_seconds)


@dataclass(frozen=True, slots=True)
class Import:
    """One run of `mcp-memory import`: from spawn to exit, and the most memory it was seen to hold."""

    seconds: float
    peak_bytes: int | None


def run_import(program: Program, file: Path, *options: str) -> Import:
    """With `options` of the program such as `--user-id`.

    Raises ProgramFailed when it ends with an error or not within `IMPORT_SECONDS`.
    """
    peak: int | None = None
    started_at = time.perf_counter()
    with subprocess.Popen(
        program.command(*options, "import", str(file)), stdout=subprocess.DEVNULL, env=_clean_environment()
    ) as process:
        try:
            while process.poll() is None:
                peak = max(peak or 0, peak_bytes(process.pid) or 0) or None
                if time.perf_counter() - started_at > IMPORT_SECONDS:
                    raise ProgramFailed(f"import did not end within {IMPORT_SECONDS:.0f} s")
                time.sleep(POLL_SECONDS)
        finally:
            process.kill()
    if process.returncode != 0:
        raise ProgramFailed(f"import ended with exit code {process.returncode}")
    return Import(time.perf_counter() - started_at, peak)


def peak_bytes(pid: int) -> int | None:
    """The sum of the high-water marks (VmHWM) of a process and all below it. Linux only."""
    total: int | None = None
    pending = [pid]
    while pending:
        one = pending.pop()
        pending.extend(_children(one))
        mark = _high_water(one)
        total = total if mark is None else (total or 0) + mark
    return total


def _high_water(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    marks = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(next(marks, "0")) * 1024


def owner_pid(data: Path) -> int | None:
    """The process that holds a data folder."""
    try:
        return int(json.loads((data / "owner.json").read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, KeyError):
        return None


def owner_peak_bytes(data: Path) -> int | None:
    """The most memory the owner of a data folder held so far."""
    pid = owner_pid(data)
    return None if pid is None else _high_water(pid)


def settle(program: Program) -> None:
    """Wait until all that was added is indexed and understood. Raises ProgramFailed when it is not within
    `IMPORT_SECONDS`."""
    deadline = time.monotonic() + IMPORT_SECONDS
    while time.monotonic() < deadline:
        done = subprocess.run(
            program.command("stats", "--json"),
            capture_output=True,
            text=True,
            env=_clean_environment(),
            check=False,
        )
        if done.returncode != 0:
            raise ProgramFailed(f"stats: {done.stderr}")
        stats: dict[str, Any] = json.loads(done.stdout)
        extraction: dict[str, Any] = stats["extraction"] or {}
        if not stats["pending"] and not extraction.get("waiting"):
            return
        time.sleep(SETTLE_SECONDS)
    raise ProgramFailed(f"what was added was not understood within {IMPORT_SECONDS:.0f} s")


def stop(program: Program) -> None:
    """End the owner, so that the next start is a cold one. Raises ProgramFailed."""
    done = subprocess.run(
        program.command("stop"), capture_output=True, text=True, env=_clean_environment(), check=False
    )
    if done.returncode != 0:
        raise ProgramFailed(f"stop: {done.stderr}")


def _children(pid: int) -> set[int]:
    """Empty where there is no /proc."""
    found: set[int] = set()
    if not Path("/proc").is_dir():
        return found
    # Looking for a pattern would fail at a process that ends meanwhile.
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            # `pid (name) state parent …`; the name may hold anything, even a parenthesis.
            told = (process / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if int(told.rpartition(")")[2].split()[1]) == pid:
            found.add(int(process.name))
    return found


def _python_path() -> dict[str, str]:
    """So that the server runs the package this process would import; the client hands over little else."""
    path = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": path} if path else {}


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MCP_MEMORY_")}
