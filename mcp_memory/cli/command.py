"""What all commands share: the application, its flags, the memory a command asks, and how it answers."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeVar, cast

import anyio
import typer
from pydantic import BaseModel

from mcp_memory import __version__
from mcp_memory.config import Config, load
from mcp_memory.errors import ConfigError, InvalidInput
from mcp_memory.models import Scope

if TYPE_CHECKING:
    from mcp_memory.client import OwnerClient
    from mcp_memory.service import Service

    MemoryAccess = OwnerClient | Service

# Nothing heavy is imported up here: the server shares this module and has to answer within a second.

_Result = TypeVar("_Result")

PATIENCE = 20.0
"""Seconds a command waits for indexes that are being opened: a person would rather have all of the answer."""


class Exit(IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    STORE = 3


app = typer.Typer(
    name="mcp-memory",
    help="Lasting memory for any MCP assistant. Without a command: the MCP server on stdin and stdout.",
    epilog="Exit codes: 0 done · 1 failed, not found, or stores disagree · 2 bad input or settings · "
    "3 the data folder cannot be used.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]


@dataclass(slots=True)
class Flags:
    """What stood before the command; the settings are read when a command needs them."""

    config_file: Path | None = None
    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def config(self) -> Config:
        return load(self.config_file, self.values)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mcp-memory {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file, instead of the usual one.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder that holds everything remembered.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Whose memory it is.")] = None,
    agent_id: Annotated[str | None, typer.Option(help="The agent whose memory is joined.")] = None,
    session_id: Annotated[str | None, typer.Option(help="The session we are in.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR, to stderr.")] = None,
    in_process: Annotated[
        bool | None, typer.Option("--in-process", help="Hold the memory here; share it with no other host.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Lasting memory for any MCP assistant. Without a command: the MCP server on stdin and stdout."""
    if data_dir == "":
        raise ConfigError("command line", "--data-dir", "is empty; name a folder, or leave it out")
    given = {
        "data_dir": data_dir,
        "user_id": user_id,
        "agent_id": agent_id,
        "session_id": session_id,
        "log_level": log_level,
        "in_process": in_process,
    }
    context.obj = Flags(config, {name: value for name, value in given.items() if value is not None})
    if context.invoked_subcommand is None:
        # What is imported stays: looking it through for garbage on the way takes a tenth of the import.
        gc.disable()
        from mcp_memory.server import run_stdio

        gc.enable()
        anyio.run(run_stdio, flags(context).config())


def with_memory(context: typer.Context, work: Callable[[MemoryAccess, Scope], Awaitable[_Result]]) -> _Result:
    """Run one use-case on the configured memory, in the configured scope."""
    config = flags(context).config()

    async def run() -> _Result:
        scope = Scope(user_id=config.user_id, agent_id=config.agent_id, session_id=config.session_id)
        async with open_memory(config) as memory:
            return await work(memory, scope)

    return anyio.run(run)


def open_memory(config: Config) -> AbstractAsyncContextManager[MemoryAccess]:
    """The configured memory: through its owner, or held by ourselves."""
    if config.in_process:
        from mcp_memory.service import Service

        return Service.open(config)
    from mcp_memory.client import OwnerClient

    return OwnerClient.open(config, patience=PATIENCE)


def flags(context: typer.Context) -> Flags:
    return cast(Flags, context.obj)


def print_result(result: BaseModel, as_json: bool, lines: Callable[[], Any]) -> None:
    if as_json:
        print(result.model_dump_json(exclude_none=True))
    else:
        print(*lines(), sep="\n")


@contextmanager
def progress(doing: str) -> Generator[Callable[[int, int], None]]:
    """A bar on stderr, where there is a terminal to show it; gets (done, total)."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(doing, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance


def opened(file: str) -> BinaryIO:
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise InvalidInput("file", f"{file} cannot be read: {error.strerror}") from error


def stdin_text() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("stdin", "is not UTF-8 text") from error


def json_object(name: str, value: str | None) -> Any:
    if value is None:
        return {}
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(name, f"is not JSON ({error})") from error
