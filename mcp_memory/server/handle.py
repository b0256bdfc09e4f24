"""The memory that a server speaks to, opened in the background so that the server answers at once."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, Protocol

import anyio

from mcp_memory.errors import McpMemoryError
from mcp_memory.models import (
    AddRequest,
    AddResult,
    EntitiesRequest,
    EntitiesResult,
    ForgetRequest,
    ForgetResult,
    Kind,
    Memory,
    MemoryDetail,
    Profile,
    Rating,
    Scope,
    SearchRequest,
    SearchResult,
    SessionSummary,
    Stats,
)
from mcp_memory.news import News

logger = logging.getLogger(__name__)


class MemoryService(Protocol):
    """The use-cases, wherever they run. What each means stands in `mcp_memory.service`."""

    @property
    def news(self) -> News: ...

    async def add(self, scope: Scope, request: AddRequest, *, source: str | None = None) -> AddResult: ...

    async def search(self, scope: Scope, request: SearchRequest) -> SearchResult: ...

    async def entities(self, scope: Scope, request: EntitiesRequest) -> EntitiesResult: ...

    async def forget(self, scope: Scope, request: ForgetRequest) -> ForgetResult: ...

    async def get(self, scope: Scope, memory_id: str) -> MemoryDetail: ...

    async def rate(
        self, scope: Scope, memory_id: str, rating: Rating, *, source: str | None = None
    ) -> None: ...

    async def profile(self, scope: Scope) -> Profile: ...

    async def recent(
        self, scope: Scope, *, kinds: tuple[Kind, ...] = (), limit: int = 20, offset: int = 0
    ) -> tuple[Memory, ...]: ...

    async def session(
        self, scope: Scope, session_id: str, *, limit: int = 200, offset: int = 0
    ) -> tuple[Memory, ...]: ...

    async def sessions(
        self, scope: Scope, *, prefix: str = "", limit: int = 20, offset: int = 0
    ) -> tuple[SessionSummary, ...]: ...

    async def ids(
        self, scope: Scope, noun: Literal["memories", "entities"], prefix: str, limit: int = 20
    ) -> tuple[str, ...]: ...

    async def stats(self, scope: Scope) -> Stats: ...


OpenMemory = Callable[[], AbstractAsyncContextManager[MemoryService]]


class _Attempt:
    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.service: MemoryService | None = None
        self.failure: McpMemoryError | None = None


class MemoryHandle:
    """Opens a memory once, when first asked to, and keeps it open. An attempt that failed is made again when
    asked. `news` tells what changed in it, whichever process changed it."""

    def __init__(self, open_memory: OpenMemory) -> None:
        self._open_memory = open_memory
        self.news = News()
        self._attempt: _Attempt | None = None
        self._wanted = anyio.Event()

    @classmethod
    @asynccontextmanager
    async def holding(cls, open_memory: OpenMemory) -> AsyncGenerator[MemoryHandle]:
        """A handle; what it opened is closed when this ends."""
        handle = cls(open_memory)
        async with handle.kept():
            yield handle

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Open when asked to, for as long as the block lasts."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    def start(self) -> None:
        """Begin to open the memory, unless that has begun."""
        if self._attempt is None or self._attempt.failure is not None:
            self._attempt = _Attempt()
            self._wanted.set()

    async def service(self) -> MemoryService:
        """The open memory; waits for it. Raises the McpMemoryError for which it cannot be opened now."""
        self.start()
        attempt = self._attempt
        assert attempt is not None
        await attempt.settled.wait()
        if attempt.failure is not None:
            raise attempt.failure
        assert attempt.service is not None
        return attempt.service

    async def _keep(self) -> None:
        # One task opens and closes: what is opened holds a task group, which must end where it began.
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            attempt = self._attempt
            assert attempt is not None
            try:
                async with self._open_memory() as attempt.service:
                    attempt.service.news.subscribe(self.news.tell)
                    attempt.settled.set()
                    await anyio.sleep_forever()
            except McpMemoryError as error:
                logger.error("the memory cannot be opened: %s", error)
                attempt.failure = error
                attempt.settled.set()
