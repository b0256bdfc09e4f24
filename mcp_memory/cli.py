"""The command `mcp-memory`: alone the stdio server, with a word the same use-cases for a person."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn, TypeVar, cast

import anyio
import typer
from pydantic import BaseModel
from typer.core import TyperGroup

from mcp_memory import __version__
from mcp_memory.config import Config, default_config_file, load
from mcp_memory.errors import ConfigError, InvalidInput, McpMemoryError, NotFound, OwnerError, StoreError
from mcp_memory.models import (
    AddRequest,
    EntitiesRequest,
    ForgetRequest,
    Hidden,
    Merged,
    Rebuilding,
    Receipt,
    Scope,
    SearchRequest,
    Succession,
    parse,
)

if TYPE_CHECKING:
    from mcp_memory.backup import Manifest
    from mcp_memory.client import OwnerClient
    from mcp_memory.service import Service

    MemoryAccess = OwnerClient | Service

# Nothing heavy is imported up here: the server shares this module and has to answer within a second.

_Result = TypeVar("_Result")

STALLED_SECONDS = 60.0
"""Without any progress for so long, an index is waited for no more."""


PORTRAIT_SECONDS = 90.0
"""A portrait is waited for so long: two answers of a model."""


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
    (OwnerError, Exit.STORE),
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

PassphraseFile = Annotated[Path | None, typer.Option(help="A file whose first line is the passphrase.")]
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
    # Whatever mode the folder has: what is remembered is for this user alone.
    os.umask(0o077)
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
    wait: Annotated[bool, typer.Option("--wait", help="Until facts are drawn from it.")] = False,
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
            "wait": wait,
        },
    )
    result = _with_memory(context, lambda memory, scope: memory.add(scope, request, source="command line"))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: [shown.added(result)])


@app.command(epilog='Example: mcp-memory search "Where does Ann live?" --since 2024-01-01')
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="A question, or words; - reads them from stdin.")],
    limit: Annotated[int | None, typer.Option(help="Hits, 1 to 100.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Size of the answer, 100 to 20000.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Show texts uncut.")] = False,
    cursor: Annotated[str | None, typer.Option(help="Go on where an answer ended.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may be repeated.")] = None,
    level: Annotated[list[str] | None, typer.Option(help="Only this level; may be repeated.")] = None,
    entity: Annotated[str | None, typer.Option(help="Only what mentions this name, alias or id.")] = None,
    since: Annotated[str | None, typer.Option(help="Said at or after, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Said at or before, ISO 8601.")] = None,
    valid_since: Annotated[str | None, typer.Option(help="True at or after, ISO 8601.")] = None,
    valid_until: Annotated[str | None, typer.Option(help="True at or before, ISO 8601.")] = None,
    as_of: Annotated[str | None, typer.Option(help="As it was known and true then, ISO 8601.")] = None,
    where: Annotated[str | None, typer.Option(help="""Metadata, as JSON: '{"stars": {"gte": 4}}'.""")] = None,
    reference_time: Annotated[
        str | None, typer.Option(help="Now, for 'last week'; its offset says whose day it is.")
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Show what began and what ended; with --since.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show why each hit is one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search memory by meaning, words, names and dates."""
    request = parse(
        SearchRequest,
        {
            "query": _stdin_text() if query == "-" else query,
            "limit": limit,
            "max_tokens": max_tokens,
            "detail": "full" if full else "concise",
            "cursor": cursor,
            "kinds": kind or [],
            "levels": level or [],
            "entity": entity,
            "since": since,
            "until": until,
            "valid_since": valid_since,
            "valid_until": valid_until,
            "as_of": as_of,
            "where": None if where is None else _json_object("where", where),
            "reference_time": reference_time,
            "changes": changes,
            "explain": explain,
        },
    )
    result = _with_memory(context, lambda memory, scope: memory.search(scope, request))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: shown.searched(result).splitlines())


class _EntityCommands(TyperGroup):
    """`entities merge A B` and the like; without such a word a list, or the entity that is named."""

    # Typer brings the context's class under a name that is not public.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [_ANY, *args]
        return super().parse_args(ctx, args)


_ANY = "any"
_entities = typer.Typer(
    cls=_EntityCommands,
    help="List who and what is known, show one, and say who is one and who is two.",
    epilog="Example: mcp-memory entities Ann",
    rich_markup_mode=None,
)
app.add_typer(_entities, name="entities")

EntityName = Annotated[str, typer.Argument(help="A name, alias or id.")]
NamePart = Annotated[str | None, typer.Option(help="Part of a name, or what they have to do with.")]
OfType = Annotated[list[str] | None, typer.Option("--type", help="Only this type; may be repeated.")]
PageSize = Annotated[int, typer.Option(help="1 to 100.")]
ToSkip = Annotated[int, typer.Option(help="Entities to skip.")]


@_entities.command(_ANY, hidden=True)
def entities(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One entity whole: its name, alias or id.")] = None,
    query: NamePart = None,
    entity_type: OfType = None,
    limit: PageSize = 20,
    offset: ToSkip = 0,
    as_json: AsJson = False,
) -> None:
    """List who and what is known, or show one with its facts and relations."""
    request = parse(
        EntitiesRequest,
        {"entity": name, "query": query, "types": entity_type or [], "limit": limit, "offset": offset},
    )
    result = _with_memory(context, lambda memory, scope: memory.entities(scope, request))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: [shown.entities(result, offset)])


@_entities.command("list", epilog="Example: mcp-memory entities list --type person --query garden")
def list_entities(
    context: typer.Context,
    query: NamePart = None,
    entity_type: OfType = None,
    limit: PageSize = 20,
    offset: ToSkip = 0,
    as_json: AsJson = False,
) -> None:
    """List who and what is known, most mentioned first."""
    entities(context, None, query, entity_type, limit, offset, as_json)


@_entities.command("show", epilog="Example: mcp-memory entities show Ann")
def show_entity(context: typer.Context, name: EntityName, as_json: AsJson = False) -> None:
    """Show one with its facts, relations and timeline."""
    entities(context, name, as_json=as_json)


@_entities.command("merge", epilog='Example: mcp-memory entities merge "Ann Miller" Annie')
def merge_entities(
    context: typer.Context,
    kept: Annotated[str, typer.Argument(help="Whose name is shown from now on: a name, alias or id.")],
    gone: Annotated[str, typer.Argument(help="The same one, under another name.")],
    as_json: AsJson = False,
) -> None:
    """Let two be one; `split` takes it back."""
    done = _with_memory(context, lambda memory, scope: memory.merge_entities(scope, kept, gone))
    from mcp_memory import text as shown

    _show(done, as_json, lambda: [shown.merged(done)])


@_entities.command("split", epilog="Example: mcp-memory entities split Annie")
def split_entity(context: typer.Context, name: EntityName, as_json: AsJson = False) -> None:
    """Take a merge back, by the name or id of who was merged."""
    done = _with_memory(context, lambda memory, scope: memory.split_entity(scope, name))
    from mcp_memory import text as shown

    _show(done, as_json, lambda: [shown.was_split(done)])


@_entities.command("review", epilog="Example: mcp-memory entities review --limit 5")
def review_entities(context: typer.Context, limit: PageSize = 20, as_json: AsJson = False) -> None:
    """List pairs that may be one, likeliest first, with why."""
    with _progress("comparing names"):
        result = _with_memory(context, lambda memory, scope: memory.review_entities(scope, limit))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: [shown.reviewed(result)])


@_entities.command("apart", epilog="Example: mcp-memory entities apart Ann Anna")
def part_entities(
    context: typer.Context, one: EntityName, other: EntityName, as_json: AsJson = False
) -> None:
    """Say that two are two, so that `review` asks no more."""
    done = _with_memory(context, lambda memory, scope: memory.part_entities(scope, one, other))
    from mcp_memory import text as shown

    _show(done, as_json, lambda: [shown.parted(done)])


@app.command(epilog="Example: mcp-memory show m_0123456789abc")
def show(
    context: typer.Context,
    memory_id: Annotated[str, typer.Argument(help="An id that another command printed.")],
    as_json: AsJson = False,
) -> None:
    """Show one memory whole, with its history and neighbours."""
    result = _with_memory(context, lambda memory, scope: memory.get(scope, memory_id))
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
    result = _with_memory(context, lambda memory, scope: memory.forget(scope, request))
    from mcp_memory import text as shown

    if result.plan is not None and result.plan.count and (yes or not as_json):
        if not yes:
            print(f"This would forget {shown.count(result.plan.count)}:")
            print(*(f"- {shown.memory_line(memory)}" for memory in result.plan.examples), sep="\n")
            if not typer.confirm("Forget them for good?", err=True):
                print("Nothing was forgotten.")
                raise typer.Exit
        carried_out = ForgetRequest(plan_id=result.plan.plan_id)
        result = _with_memory(context, lambda memory, scope: memory.forget(scope, carried_out))
    _show(result, as_json, lambda: [shown.forgotten(result)])
    if result.not_found or result.found:
        raise SystemExit(Exit.FAILED)


@app.command("import", epilog="Example: mcp-memory import conversation.jsonl")
def import_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A JSON Lines file of messages, or - for stdin.")],
    as_json: AsJson = False,
) -> None:
    """Remember the messages of a file: {"content", "role", "name", "time", "session_id"} a line."""
    done = _with_memory(context, lambda memory, scope: _import_file(memory, scope, file))
    summary = f"{done.stored} stored, {done.duplicates} already known, {len(done.bad_lines)} lines not read."
    _show(done, as_json, lambda: [summary])
    if done.bad_lines:
        raise SystemExit(Exit.FAILED)


@app.command(epilog="Example: mcp-memory stats --json")
def stats(context: typer.Context, as_json: AsJson = False) -> None:
    """Say how much is remembered."""
    result = _with_memory(context, lambda memory, scope: memory.stats(scope))
    from mcp_memory import text as shown

    _show(result, as_json, lambda: [shown.stats(result)])


class Retried(BaseModel):
    """What `retry` answers as JSON."""

    writes: int


@app.command(epilog="Example: mcp-memory retry")
def retry(context: typer.Context, as_json: AsJson = False) -> None:
    """Draw facts again from what could not be read, as after a wrong key was put right."""
    writes = _with_memory(context, lambda memory, _: memory.retry())
    said = f"{writes} writes are read again, in the background." if writes else "Nothing waits to be read."
    _show(Retried(writes=writes), as_json, lambda: [said])


class Consolidation(BaseModel):
    """What `consolidate` answers as JSON."""

    entities: int = 0
    facts: int = 0
    found: list[Succession] = []
    undone: int | None = None


@app.command(epilog='Example: mcp-memory consolidate --entity "Ann Miller"')
def consolidate(
    context: typer.Context,
    entity: Annotated[str | None, typer.Option(help="Compare the facts about this one alone.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take back all that was found so.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let the model compare facts that were never compared: what is said again, and what ended what."""
    done = Consolidation()

    async def run(memory: MemoryAccess, scope: Scope) -> None:
        if undo:
            done.undone = await memory.unconsolidate(scope)
            return
        with _progress("comparing") as advance:
            while True:
                one = await memory.consolidate(scope, entity)
                if one.entity is None:
                    return
                done.entities += 1
                done.facts += one.facts
                done.found += one.found
                advance(done.entities, done.entities + one.left)

    def lines() -> list[str]:
        from mcp_memory import text as shown

        return (
            [shown.undone(done.undone)]
            if done.undone is not None
            else shown.consolidated(done.entities, done.facts, done.found)
        )

    try:
        _with_memory(context, run)
    finally:
        # What was found before a call failed is kept, and told.
        if done.found or done.undone is not None or sys.exception() is None:
            _show(done, as_json, lines)


@app.command(epilog="Example: mcp-memory profile")
def profile(context: typer.Context, as_json: AsJson = False) -> None:
    """What is known of you whatever is asked, as assistants read it."""
    found = _with_memory(context, lambda memory, scope: memory.profile(scope, wait=PORTRAIT_SECONDS))
    from mcp_memory import text as shown

    _show(found, as_json, lambda: [shown.profile(found)])


@app.command(epilog="Example: mcp-memory rebuild")
def rebuild(context: typer.Context, as_json: AsJson = False) -> None:
    """Make the indexes anew from the ledger, with the configured embedder."""

    async def run(memory: MemoryAccess, _: Scope) -> Rebuilding:
        begun = await memory.rebuild()
        await _indexed(memory, "rebuilding")
        return begun

    done = _with_memory(context, run)
    from mcp_memory import text as shown

    _show(
        done,
        as_json,
        lambda: [f"Rebuilt {shown.count(done.memories)} and {done.entities} entities with {done.embedder}."],
    )


@app.command(epilog="Example: mcp-memory doctor --deep")
def doctor(
    context: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Compare the three stores row by row.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="And make the indexes what the ledger says.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check versions, paths, sizes, and whether the three stores agree."""
    from mcp_memory.doctor import diagnose

    flags = _flags(context)
    config = flags.config()
    with _progress("comparing") as _:
        file = flags.config_file or default_config_file()
        report = anyio.run(diagnose, config, file, lambda: _memory(config), deep or repair, repair)
    _show(report, as_json, report.lines)
    if not report.is_well:
        raise SystemExit(Exit.FAILED)


@app.command(epilog="Example: mcp-memory unforget f_0123456789abc")
def unforget(
    context: typer.Context,
    receipt_id: Annotated[str | None, typer.Argument(help="Which; without it, all that can be.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what was forgotten, within its days of grace; or list it."""
    from mcp_memory import text as shown

    if receipt_id is not None:
        back = _with_memory(context, lambda memory, scope: memory.unforget(scope, receipt_id))
        _show(back, as_json, lambda: [f"Brought back: {shown.count(len(back.memory_ids))}."])
        return
    hidden = _with_memory(context, lambda memory, scope: memory.hidden(scope))
    _show(
        HiddenList(hidden=hidden), as_json, lambda: list(map(shown.hidden, hidden)) or ["Nothing is hidden."]
    )


@app.command(epilog="Example: mcp-memory receipts --limit 5")
def receipts(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="The latest so many.", min=1, max=1_000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List what was erased: ids, counts and times, sealed one onto the other."""
    from mcp_memory import text as shown

    kept = _with_memory(context, lambda memory, _: memory.receipts(limit))
    _show(
        ReceiptList(receipts=kept),
        as_json,
        lambda: list(map(shown.receipt, kept)) or ["Nothing was erased yet."],
    )


@app.command(epilog="Example: mcp-memory backup memory.backup --encrypt")
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Ask for a passphrase and seal it.")] = False,
    passphrase_file: PassphraseFile = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write everything remembered, and the settings, into one file, while hosts go on."""
    from mcp_memory import backup as backups

    config = _flags(context).config()
    passphrase = _passphrase(passphrase_file, ask=encrypt, twice=True)

    async def run() -> Manifest:
        with _progress("writing") as advance:
            return await backups.write(config, file, passphrase, advance, overwrite=overwrite)

    done = anyio.run(run)
    sealed = "sealed with your passphrase, without which nobody opens it" if passphrase else "not encrypted"
    _show(done, as_json, lambda: [f"Wrote {file}, {_described(done)}; {sealed}."])


@app.command(epilog="Example: mcp-memory verify memory.backup")
def verify(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Check that a backup can be restored, without restoring it."""
    from mcp_memory import backup as backups

    passphrase = _passphrase(passphrase_file, ask=backups.is_sealed(file))
    done = anyio.run(backups.verify, file, passphrase)
    _show(done, as_json, lambda: [f"{file} is whole: {_described(done)}."])


@app.command(epilog="Example: mcp-memory --data-dir ~/other restore memory.backup")
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup.")],
    merge: Annotated[bool, typer.Option("--merge", help="Add to what is remembered here.")] = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty data folder, or add it to one."""
    from mcp_memory import backup as backups

    config = _flags(context).config()
    passphrase = _passphrase(passphrase_file, ask=backups.is_sealed(file))

    async def run() -> Restored:
        with TemporaryDirectory() as temporary:
            if merge:
                manifest, ledger = await backups.open_into(file, passphrase, Path(temporary))
                async with _memory(config) as memory:
                    merged = await memory.merge(ledger)
                    await _indexed(memory, "indexing")
            else:
                manifest = await backups.restore(config, file, passphrase)
                merged = Merged(added=manifest.memories, known=0, forgotten=0)
                async with _memory(config) as memory:
                    await _indexed(memory, "indexing")
        others = backups.other_settings(manifest, config)
        return Restored(**merged.model_dump(), other_settings=tuple(others))

    done = anyio.run(run)

    def lines() -> Iterator[str]:
        from mcp_memory import text as shown

        yield (
            f"Restored {shown.count(done.added)}; {done.known} were here already, {done.forgotten} were left "
            "out because they were forgotten here."
        )
        if done.other_settings:
            yield f"Settings that were others then: {', '.join(done.other_settings)}."

    _show(done, as_json, lines)


@app.command(epilog="Example: mcp-memory stop")
def stop(context: typer.Context, as_json: AsJson = False) -> None:
    """End the process that holds the memory; the next host or command starts another."""
    from mcp_memory.client import OwnerClient

    ended = anyio.run(OwnerClient.stop, _flags(context).config())
    _show(
        Stopped(pid=None if ended is None else ended.pid),
        as_json,
        lambda: ["No process holds the memory." if ended is None else f"Process {ended.pid} has ended."],
    )


@app.command(epilog="Example: mcp-memory demo")
def demo(as_json: AsJson = False) -> None:
    """Show in some seconds, in a temporary folder, what a memory does."""
    from mcp_memory.demo import run_demo

    done = anyio.run(run_demo, as_json)
    if as_json:
        print(done.model_dump_json())
    if not done.is_right:
        raise SystemExit(Exit.FAILED)


class HiddenList(BaseModel):
    hidden: tuple[Hidden, ...]


class ReceiptList(BaseModel):
    receipts: tuple[Receipt, ...]


class Restored(Merged):
    """What a restore brought, and what was set otherwise when the backup was made."""

    other_settings: tuple[str, ...] = ()


class Stopped(BaseModel):
    """The process that was ended."""

    pid: int | None


class Imported(BaseModel):
    """What an import did."""

    stored: int = 0
    duplicates: int = 0
    bad_lines: list[int] = []


async def _import_file(memory: MemoryAccess, scope: Scope, file: str) -> Imported:
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
            result = await memory.add(here, AddRequest(messages=batch.messages), source="import")
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


def _with_memory(
    context: typer.Context, work: Callable[[MemoryAccess, Scope], Awaitable[_Result]]
) -> _Result:
    """Run one use-case on the configured memory, in the configured scope."""
    config = _flags(context).config()

    async def run() -> _Result:
        scope = Scope(user_id=config.user_id, agent_id=config.agent_id, session_id=config.session_id)
        async with _memory(config) as memory:
            return await work(memory, scope)

    return anyio.run(run)


def _memory(config: Config) -> AbstractAsyncContextManager[MemoryAccess]:
    """The configured memory: through its owner, or held by ourselves."""
    if config.in_process:
        from mcp_memory.service import Service

        return Service.open(config)
    from mcp_memory.client import OwnerClient

    return OwnerClient.open(config)


async def _indexed(memory: MemoryAccess, doing: str) -> None:
    """Wait, with a bar, until the indexes have everything."""
    with _progress(doing) as advance:
        most = least = 0
        since = time.monotonic()
        while not await memory.caught_up(1.0):
            pending = (await memory.health()).pending
            if pending > most or pending < least:
                since = time.monotonic()
            most, least = max(most, pending), pending
            if time.monotonic() - since > STALLED_SECONDS:
                raise StoreError(
                    f"{pending} memories still wait to be indexed, and none was in {STALLED_SECONDS:.0f} s. "
                    "It goes on in the background; owner.log in the data folder says what keeps it."
                )
            advance(most - pending, most)


def _show(result: BaseModel, as_json: bool, lines: Callable[[], Any]) -> None:
    if as_json:
        print(result.model_dump_json(exclude_none=True))
    else:
        print(*lines(), sep="\n")


def _described(manifest: Manifest) -> str:
    from mcp_memory import text as shown

    size = f"{manifest.ledger_bytes / (1 << 20):.1f} MiB"
    return f"{shown.count(manifest.memories)} and {manifest.entities} entities, a ledger of {size}"


def _passphrase(file: Path | None, *, ask: bool, twice: bool = False) -> str | None:
    """From a file's first line, or asked for at the terminal; None when none is needed."""
    if file is None and not ask:
        return None
    if file is not None:
        with _opened(str(file)) as stream:
            said = stream.readline().decode("utf-8", "replace").rstrip("\r\n")
    elif sys.stdin.isatty():
        said = cast(str, typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True))
    else:
        said = sys.stdin.readline().rstrip("\r\n")
    if not said:
        raise InvalidInput("passphrase", "is empty")
    return said


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
