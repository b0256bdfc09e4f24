"""What has changed, told to whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict

from mcp_memory.models import Scope

TOLD_SECONDS = 5.0
"""After this long a listener that does not take the news does without it: it is a hint to look again."""


class Touched(BaseModel):
    """What of one user's memory is no longer what it was, by its ids."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    memories: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()


Listener = Callable[[Touched], Coroutine[Any, Any, None]]


class News:
    """Listeners of this process."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` from now on; call what is answered to end that."""
        place = object()
        self._listeners[place] = listener
        return lambda: (self._listeners.pop(place, None), None)[1]

    async def tell_of(
        self,
        scope: Scope,
        *,
        memories: Iterable[str] = (),
        entities: Iterable[str] = (),
        sessions: Iterable[str | None] = (),
    ) -> None:
        """Tell what of the memory of a scope's user has changed, each once."""
        await self.tell(
            Touched(
                user_id=scope.user_id,
                memories=tuple(dict.fromkeys(memories)),
                entities=tuple(dict.fromkeys(entities)),
                sessions=tuple(dict.fromkeys(one for one in sessions if one is not None)),
            )
        )

    async def tell(self, touched: Touched) -> None:
        """Tell everybody, side by side; returns when they have heard it, or had the time to."""
        with anyio.move_on_after(TOLD_SECONDS):
            async with anyio.create_task_group() as tasks:
                for listener in list(self._listeners.values()):
                    tasks.start_soon(listener, touched)
