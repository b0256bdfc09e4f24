"""Group commit: what costs nearly the same once as a hundred times is done once for all who wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[_Item, _Outcome]):
    """What somebody wants done. Once it is, one of `outcome` and `error` is there."""

    item: _Item
    outcome: tuple[_Outcome] | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.outcome is not None or self.error is not None


class GroupCommit(Generic[_Item, _Outcome]):
    """Does one group at a time. Whoever comes meanwhile waits, and the first of them then does it for all:
    alone nobody waits, and the more there are the less each costs.

    `do` answers an outcome for each item, in their order; what it raises, all of the group raise. `size` says
    how large an item is, and `most` how large a group may be.
    """

    def __init__(
        self,
        do: Callable[[Sequence[_Item]], Awaitable[Sequence[_Outcome]]],
        *,
        most: int,
        size: Callable[[_Item], int] = lambda _: 1,
    ) -> None:
        self._do = do
        self._most = most
        self._size = size
        self._waiting: deque[_Waiting[_Item, _Outcome]] = deque()
        self.turn = anyio.Lock()
        """Held while a group is being done; for what must not happen meanwhile."""

    async def __call__(self, item: _Item) -> _Outcome:
        own = _Waiting[_Item, _Outcome](item)
        self._waiting.append(own)
        try:
            async with self.turn:
                while not own.is_done:
                    # Nobody else loses by it when one who waits goes away.
                    with anyio.CancelScope(shield=True):
                        await self._do_first()
        finally:
            # Gone while it waited it is not done; gone while others do it, it is done without it.
            if own in self._waiting:
                self._waiting.remove(own)
        if own.outcome is None:
            assert own.error is not None
            raise own.error
        return own.outcome[0]

    async def _do_first(self) -> None:
        """Those that have waited longest, as many as one group may have, and at least one."""
        group = [self._waiting.popleft()]
        room = self._most - self._size(group[0].item)
        while self._waiting and (room := room - self._size(self._waiting[0].item)) >= 0:
            group.append(self._waiting.popleft())
        try:
            outcomes = await self._do([one.item for one in group])
            for one, outcome in zip(group, outcomes, strict=True):
                one.outcome = (outcome,)
        except Exception as error:  # noqa: BLE001 - raised by each whose it is
            for one in group:
                one.error = error
