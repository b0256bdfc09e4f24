"""What has changed, told to whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict

TOLD_SECONDS = 5.0
"""After this long a listener that does not take the news does without it: it is a hint to look again."""


class Touched(BaseModel):
    """Resources of one user that are no longer what they were."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    uris: tuple[str, ...]


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

    async def tell(self, touched: Touched) -> None:
        """Tell everybody, side by side; returns when they have heard it, or had the time to."""
        with anyio.move_on_after(TOLD_SECONDS):
            async with anyio.create_task_group() as tasks:
                for listener in list(self._listeners.values()):
                    tasks.start_soon(listener, touched)
