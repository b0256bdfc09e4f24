"""Commands that look back at what is known: consolidate, profile."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel

from mcp_memory.cli.command import AsJson, app, print_result, progress, with_memory
from mcp_memory.models import Scope, Succession

if TYPE_CHECKING:
    from mcp_memory.cli.command import MemoryAccess

PORTRAIT_SECONDS = 90.0
"""A portrait is waited for so long: two answers of a model."""


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
        with progress("comparing") as advance:
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
        with_memory(context, run)
    finally:
        # What was found before a call failed is kept, and told.
        if done.found or done.undone is not None or sys.exception() is None:
            print_result(done, as_json, lines)


@app.command(epilog="Example: mcp-memory profile")
def profile(context: typer.Context, as_json: AsJson = False) -> None:
    """What is known of you whatever is asked, as assistants read it."""
    found = with_memory(context, lambda memory, scope: memory.profile(scope, wait=PORTRAIT_SECONDS))
    from mcp_memory import text as shown

    print_result(found, as_json, lambda: [shown.profile(found)])
