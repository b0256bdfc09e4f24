"""Tasks that run beside a block of code and end with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from mcp_memory.errors import McpMemoryError


@asynccontextmanager
async def background() -> AsyncGenerator[TaskGroup]:
    """A task group that is cancelled when the block ends, and whose block raises its own error as it is: a
    group would wrap it."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


@asynccontextmanager
async def side_by_side() -> AsyncGenerator[TaskGroup]:
    """A task group that waits for its tasks and raises the first failure of ours as it is."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        known = group.subgroup(McpMemoryError)
        if known is None:
            raise
        raise _first(known) from group


def _first(group: BaseExceptionGroup[McpMemoryError]) -> McpMemoryError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
