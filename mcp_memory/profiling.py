"""The portrait of a user in prose: written by the model in the background, kept in memory alone, and never
shown once what it was made from has changed."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from mcp_memory.errors import McpMemoryError
from mcp_memory.extraction import Known
from mcp_memory.metering import MeteredModel
from mcp_memory.models import Memory, Scope

FACTS = 120
"""The latest facts a portrait is made from: more would cost more than they add to 150 words."""
KEPT = 64
"""Portraits kept at a time, those asked for last."""
PAUSE = 600.0
"""Seconds before the model is asked again after it failed."""


@dataclass(slots=True)
class _Sitting:
    made_from: tuple[str, ...]
    text: str = ""
    problem: str = ""
    failed_at: float = 0.0
    is_over: anyio.Event = field(default_factory=anyio.Event)


class Portraits:
    """One portrait of each scope that asks for it."""

    def __init__(self, model: MeteredModel, tasks: TaskGroup) -> None:
        self._model = model
        self._tasks = tasks
        self._sittings: OrderedDict[Scope, _Sitting] = OrderedDict()

    async def of(self, scope: Scope, memories: Sequence[Memory], seconds: float) -> tuple[str, str]:
        """The portrait made from these memories, waited for so long at most, and why there is none: both
        empty while it is being written."""
        latest = sorted(memories, key=lambda one: (one.observed_at, one.id))[-FACTS:]
        made_from = tuple(one.id for one in latest)
        sitting = self._sittings.get(scope)
        is_stale = sitting is None or sitting.made_from != made_from
        if sitting is None or is_stale or self._may_try_again(sitting):
            sitting = self._sittings[scope] = _Sitting(made_from)
            self._tasks.start_soon(self._write, scope.user_id, sitting, latest)
        self._sittings.move_to_end(scope)
        while len(self._sittings) > KEPT:
            self._sittings.popitem(last=False)
        with anyio.move_on_after(seconds):
            await sitting.is_over.wait()
        return sitting.text, sitting.problem

    def let_go(self) -> None:
        """Drop all of them, with the words of what may have been forgotten."""
        self._sittings.clear()

    @staticmethod
    def _may_try_again(sitting: _Sitting) -> bool:
        return bool(sitting.problem) and time.monotonic() - sitting.failed_at >= PAUSE

    async def _write(self, user_id: str, sitting: _Sitting, memories: Sequence[Memory]) -> None:
        try:
            sitting.text = await self._model.portray(user_id, [Known.of(one, None) for one in memories])
        except McpMemoryError as error:
            sitting.problem, sitting.failed_at = str(error), time.monotonic()
        finally:
            sitting.is_over.set()
