"""Commands about what is remembered: add, search, show, forget, import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel

from mcp_memory.cli.command import (
    AsJson,
    Exit,
    app,
    json_object,
    opened,
    print_result,
    progress,
    stdin_text,
    with_memory,
)
from mcp_memory.models import AddRequest, ForgetRequest, Scope, SearchRequest, parse

if TYPE_CHECKING:
    from mcp_memory.cli.command import MemoryAccess


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
    content = stdin_text() if text == "-" else text
    request = parse(
        AddRequest,
        {
            "content": content,
            "kind": kind,
            "level": level,
            "observed_at": observed_at,
            "importance": importance,
            "metadata": json_object("metadata", metadata),
            "wait": wait,
        },
    )
    result = with_memory(context, lambda memory, scope: memory.add(scope, request, source="command line"))
    from mcp_memory import text as shown

    print_result(result, as_json, lambda: [shown.added(result)])


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
        bool, typer.Option("--changes", help="Show what began, ended or was told anew; with --since.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show why each hit is one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search memory by meaning, words, names and dates."""
    request = parse(
        SearchRequest,
        {
            "query": stdin_text() if query == "-" else query,
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
            "where": None if where is None else json_object("where", where),
            "reference_time": reference_time,
            "changes": changes,
            "explain": explain,
        },
    )
    result = with_memory(context, lambda memory, scope: memory.search(scope, request))
    from mcp_memory import text as shown

    print_result(result, as_json, lambda: shown.searched(result).splitlines())


@app.command(epilog="Example: mcp-memory show m_0123456789abc")
def show(
    context: typer.Context,
    memory_id: Annotated[str, typer.Argument(help="An id that another command printed.")],
    as_json: AsJson = False,
) -> None:
    """Show one memory whole, with its history and neighbours."""
    result = with_memory(context, lambda memory, scope: memory.get(scope, memory_id))
    from mcp_memory import text as shown

    print_result(result, as_json, lambda: [shown.detail(result)])


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
    result = with_memory(context, lambda memory, scope: memory.forget(scope, request))
    from mcp_memory import text as shown

    if result.plan is not None and result.plan.count and (yes or not as_json):
        if not yes:
            print(f"This would forget {shown.count(result.plan.count)}:")
            print(*(f"- {shown.memory_line(memory)}" for memory in result.plan.examples), sep="\n")
            if not typer.confirm("Forget them for good?", err=True):
                print("Nothing was forgotten.")
                raise typer.Exit
        carried_out = ForgetRequest(plan_id=result.plan.plan_id)
        result = with_memory(context, lambda memory, scope: memory.forget(scope, carried_out))
    print_result(result, as_json, lambda: [shown.forgotten(result)])
    if result.not_found or result.found:
        raise SystemExit(Exit.FAILED)


@app.command("import", epilog="Example: mcp-memory import conversation.jsonl")
def import_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A JSON Lines file of messages, or - for stdin.")],
    as_json: AsJson = False,
) -> None:
    """Remember the messages of a file: {"content", "role", "name", "time", "session_id"} a line."""
    done = with_memory(context, lambda memory, scope: _import_file(memory, scope, file))
    summary = f"{done.stored} stored, {done.duplicates} already known, {len(done.bad_lines)} lines not read."
    print_result(done, as_json, lambda: [summary])
    if done.bad_lines:
        raise SystemExit(Exit.FAILED)


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
        source = sys.stdin.buffer if file == "-" else stack.enter_context(opened(file))
        total = 0 if file == "-" else os.fstat(source.fileno()).st_size
        advance = stack.enter_context(progress("importing"))
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
