"""The command `mcp-memory`: alone the stdio server, with a word the same use-cases for a person."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn, TypeVar, cast

import anyio
import typer
from pydantic import BaseModel

from mcp_memory import __version__
from mcp_memory.config import Config, default_config_file, load
from mcp_memory.errors import ConfigError, InvalidInput, McpMemoryError, NotFound, StoreError
from mcp_memory.models import (
    AddRequest,
    EntitiesRequest,
    ForgetRequest,
    Rebuilt,
    Scope,
    SearchRequest,
    parse,
)

if TYPE_CHECKING:
    from mcp_memory.service import Service

# Nothing heavy is imported up here: the server shares this module and has to answer within a second.

_Result = TypeVar("_Result")


class Exit(IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    STORE = 3


_EXITS: tuple[tuple[type[McpMemoryError], Exit], ...] = (
    (InvalidInput, Exit.BAD_INPUT),
    (ConfigError, Exit.BAD_INPUT),
    (NotFound, Exit.FAILED),
    (StoreError, Exit.STORE),
    (McpMemoryError, Exit.FAILED),
)

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
class _Flags:
    """What stood before the command; the settings are read when a command needs them."""

    config_file: Path | None = None
    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def config(self) -> Config:
        return load(self.config_file, self.values)


def main() -> None:
    """Entry of the console script."""
    # Pipes on Windows are cp1252 unless told otherwise, and names are not.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            cast(Any, stream).reconfigure(encoding="utf-8", errors="replace")
    try:
        app()
    except McpMemoryError as error:
        _fail(error)


def _fail(error: McpMemoryError) -> NoReturn:
    sys.stderr.write(f"mcp-memory: {error}\n")
    raise SystemExit(next(code for kind, code in _EXITS if isinstance(error, kind)))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mcp-memory {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file, instead of the usual one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder that holds everything remembered.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Whose memory it is.")] = None,
    agent_id: Annotated[str | None, typer.Option(help="The agent whose memory is joined.")] = None,
    session_id: Annotated[str | None, typer.Option(help="The session we are in.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR, to stderr.")] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Lasting memory for any MCP assistant. Without a command: the MCP server on stdin and stdout."""
    given = {
        "data_dir": data_dir,
        "user_id": user_id,
        "agent_id": agent_id,
        "session_id": session_id,
        "log_level": log_level,
    }
    context.obj = _Flags(config, {name: value for name, value in given.items() if value is not None})
    if context.invoked_subcommand is None:
        from mcp_memory.server import run_stdio

        anyio.run(run_stdio, _flags(context).config())


@app.command(epilog='Example: mcp-memory add "Ann moved to Lisbon in May 2024." --kind event')
def add(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="One statement, or - to read it from stdin.")],
    kind: Annotated[
        str | None, typer.Option(help="fact, preference, event, plan, procedure, summary.")
    ] = None,
    level: Annotated[str, typer.Option(help="user, session or agent.")] = "user",
    observed_at: Annotated[str | None, typer.Option(help="When it was said, ISO 8601.")] = None,
    importance: Annotated[float, typer.Option(help="0 to 1.")] = 0.5,
    metadata: Annotated[str | None, typer.Option(help="A JSON object.")] = None,
    as_json: AsJson = False,
) -> None:
    """Remember one statement."""
    content = _stdin_text() if text == "-" else text
    request = parse(
        AddRequest,
        {
            "content": content,
            "kind": kind,
            "level": level,
            "observed_at": observed_at,
            "importance": importance,
            "metadata": _json_object("metadata", metadata),
        },
    )
    result = _with_service(context, lambda service, scope: service.add(scope, request, source="command line"))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: [shown.added(result)])


@app.command(epilog='Example: mcp-memory search "Where does Ann live?" --since 2024-01-01')
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="A question, or words; - reads them from stdin.")],
    limit: Annotated[int | None, typer.Option(help="Hits, 1 to 100.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may be repeated.")] = None,
    entity: Annotated[str | None, typer.Option(help="Only what mentions this name, alias or id.")] = None,
    since: Annotated[str | None, typer.Option(help="Said at or after, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Said at or before, ISO 8601.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search memory by meaning, words and names."""
    config = _flags(context).config()
    request = parse(
        SearchRequest,
        {
            "query": _stdin_text() if query == "-" else query,
            "limit": config.search.limit if limit is None else limit,
            "kinds": kind or [],
            "entity": entity,
            "since": since,
            "until": until,
        },
    )
    result = _with_service(context, lambda service, scope: service.search(scope, request))
    from mcp_memory import text as shown

    def lines() -> Iterator[str]:
        if not result.hits:
            yield shown.NOTHING
        for hit in result.hits:
            yield f"{hit.score:.2f}  {shown.memory_line(hit.memory, limit=None)}"
            yield f"      {shown.signals(hit)}"
        yield from (f"partly answered: {one}" for one in result.degraded)

    _show(result, as_json, lines)


@app.command(epilog="Example: mcp-memory entities Ann")
def entities(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One entity whole: its name, alias or id.")] = None,
    query: Annotated[str | None, typer.Option(help="Part of a name.")] = None,
    entity_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(help="1 to 100.")] = 20,
    offset: Annotated[int, typer.Option(help="Entities to skip.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List who and what is known, or show one with its relations."""
    request = parse(
        EntitiesRequest,
        {"entity": name, "query": query, "types": entity_type or [], "limit": limit, "offset": offset},
    )
    result = _with_service(context, lambda service, scope: service.entities(scope, request))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: [shown.entities(result, offset)])


@app.command(epilog="Example: mcp-memory show m_0123456789abc")
def show(
    context: typer.Context,
    memory_id: Annotated[str, typer.Argument(help="An id that another command printed.")],
    as_json: AsJson = False,
) -> None:
    """Show one memory whole, with its history and neighbours."""
    result = _with_service(context, lambda service, scope: service.get(scope, memory_id))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: [shown.detail(result)])


@app.command(epilog='Example: mcp-memory forget --query "the old flat"')
def forget(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(help="Memory ids, forgotten at once.")] = None,
    query: Annotated[str | None, typer.Option(help="What these words are about.")] = None,
    entity: Annotated[str | None, typer.Option(help="All that mentions it.")] = None,
    session: Annotated[str | None, typer.Option(help="All of a session.")] = None,
    before: Annotated[str | None, typer.Option(help="All said before, ISO 8601.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="All of this user.")] = False,
    plan: Annotated[str | None, typer.Option(help="Carry out a plan that was shown.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget for good: ids at once, anything wider after showing what it means."""
    request = parse(
        ForgetRequest,
        {
            "ids": ids or [],
            "plan_id": plan,
            "query": query,
            "entity": entity,
            "session": session,
            "before": before,
            "everything": everything,
        },
    )
    result = _with_service(context, lambda service, scope: service.forget(scope, request))
    from mcp_memory import text as shown

    if result.plan is not None and result.plan.count and (yes or not as_json):
        if not yes:
            print(f"This would forget {shown.count(result.plan.count)}:")
            print(*(f"- {shown.memory_line(memory)}" for memory in result.plan.examples), sep="\n")
            if not typer.confirm("Forget them for good?", err=True):
                print("Nothing was forgotten.")
                raise typer.Exit
        carried_out = ForgetRequest(plan_id=result.plan.plan_id)
        result = _with_service(context, lambda service, scope: service.forget(scope, carried_out))
    _show(result, as_json, lambda: [shown.forgotten(result)])
    if result.not_found:
        raise SystemExit(Exit.FAILED)


@app.command("import", epilog="Example: mcp-memory import conversation.jsonl")
def import_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A JSON Lines file of messages, or - for stdin.")],
    as_json: AsJson = False,
) -> None:
    """Remember the messages of a file: {"content", "role", "name", "time", "session_id"} a line."""
    done = _with_service(context, lambda service, scope: _import_file(service, scope, file))
    summary = f"{done.stored} stored, {done.duplicates} already known, {len(done.bad_lines)} lines not read."
    _show(done, as_json, lambda: [summary])
    if done.bad_lines:
        raise SystemExit(Exit.FAILED)


@app.command(epilog="Example: mcp-memory stats --json")
def stats(context: typer.Context, as_json: AsJson = False) -> None:
    """Say how much is remembered."""
    result = _with_service(context, lambda service, scope: service.stats(scope))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: [shown.stats(result)])


@app.command(epilog="Example: mcp-memory rebuild")
def rebuild(context: typer.Context, as_json: AsJson = False) -> None:
    """Make the indexes anew from the ledger, with the configured embedder."""
    config = _flags(context).config()

    async def run() -> Rebuilt:
        from mcp_memory.service import rebuild as rebuild_indexes

        with _progress("rebuilding") as advance:
            return await rebuild_indexes(config, advance)

    done = anyio.run(run)
    from mcp_memory import text as shown

    _show(
        done,
        as_json,
        lambda: [f"Rebuilt {shown.count(done.memories)} and {done.entities} entities with {done.embedder}."],
    )


@app.command(epilog="Example: mcp-memory doctor")
def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Check versions, paths, sizes, and whether the three stores agree."""
    from mcp_memory.doctor import diagnose

    flags = _flags(context)
    report = anyio.run(diagnose, flags.config(), flags.config_file or default_config_file())
    _show(report, as_json, report.lines)
    if not report.is_well:
        raise SystemExit(Exit.FAILED)


@app.command(epilog="Example: mcp-memory demo")
def demo(as_json: AsJson = False) -> None:
    """Show in some seconds, in a temporary folder, what a memory does."""
    from mcp_memory.demo import run_demo

    done = anyio.run(run_demo, as_json)
    if as_json:
        print(done.model_dump_json())
    if not done.is_right:
        raise SystemExit(Exit.FAILED)


class Imported(BaseModel):
    """What an import did."""

    stored: int = 0
    duplicates: int = 0
    bad_lines: list[int] = []


async def _import_file(service: Service, scope: Scope, file: str) -> Imported:
    from mcp_memory.importers import BadLine, ImportedMessage, in_batches, read_jsonl

    done = Imported()

    def good(lines: Iterable[bytes]) -> Iterator[ImportedMessage]:
        for line in read_jsonl(lines):
            match line:
                case BadLine(number, problem):
                    sys.stderr.write(f"line {number}: {problem}\n")
                    done.bad_lines.append(number)
                case _:
                    yield line

    with ExitStack() as stack:
        source = sys.stdin.buffer if file == "-" else stack.enter_context(_opened(file))
        total = 0 if file == "-" else os.fstat(source.fileno()).st_size
        advance = stack.enter_context(_progress("importing"))
        read = 0

        def counted() -> Iterator[bytes]:
            nonlocal read
            for line in source:
                read += len(line)
                yield line

        for batch in in_batches(good(counted())):
            here = scope.model_copy(update={"session_id": batch.session_id or scope.session_id})
            result = await service.add(here, AddRequest(messages=batch.messages), source="import")
            stored = sum(one.status == "stored" for one in result.memories)
            done.stored += stored
            done.duplicates += len(result.memories) - stored
            advance(read, total or read)
    return done


def _opened(file: str) -> BinaryIO:
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise InvalidInput("file", f"{file} cannot be read: {error.strerror}") from error


@contextmanager
def _progress(doing: str) -> Generator[Callable[[int, int], None]]:
    """A bar on stderr, where there is a terminal to show it; gets (done, total)."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(doing, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance


def _flags(context: typer.Context) -> _Flags:
    return cast(_Flags, context.obj)


def _with_service(context: typer.Context, work: Callable[[Service, Scope], Awaitable[_Result]]) -> _Result:
    """Run one use-case on the configured memory, in the configured scope."""
    config = _flags(context).config()

    async def run() -> _Result:
        from mcp_memory.service import Service

        scope = Scope(user_id=config.user_id, agent_id=config.agent_id, session_id=config.session_id)
        async with Service.open(config) as service:
            return await work(service, scope)

    return anyio.run(run)


def _show(result: BaseModel, as_json: bool, lines: Callable[[], Any]) -> None:
    if as_json:
        print(result.model_dump_json(exclude_none=True))
    else:
        print(*lines(), sep="\n")


def _stdin_text() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("stdin", "is not UTF-8 text") from error


def _json_object(name: str, value: str | None) -> Any:
    if value is None:
        return {}
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(name, f"is not JSON ({error})") from error
