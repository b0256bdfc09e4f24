"""The command `mcp-memory`: alone the stdio server, with a word the same use-cases for a person."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn, cast

from mcp_memory.cli import entities, facts, memories, serving, tokens, upkeep
from mcp_memory.cli.command import Exit, app
from mcp_memory.errors import ConfigError, InvalidInput, McpMemoryError, NotFound, OwnerError, StoreError

__all__ = ["app", "main"]

COMMANDS = (memories, facts, upkeep, serving, entities, tokens)
"""Modules whose commands are there because they are imported."""


_EXITS: tuple[tuple[type[McpMemoryError], Exit], ...] = (
    (InvalidInput, Exit.BAD_INPUT),
    (ConfigError, Exit.BAD_INPUT),
    (NotFound, Exit.FAILED),
    (StoreError, Exit.STORE),
    (OwnerError, Exit.STORE),
    (McpMemoryError, Exit.FAILED),
)


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
