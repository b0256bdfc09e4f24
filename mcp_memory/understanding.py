"""Draws facts from what was said: reads what waits in the ledger, asks an extractor, and writes what it
found."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import anyio

from mcp_memory.config import Config
from mcp_memory.errors import ExtractionFailed, McpMemoryError, TokensSpent, log_crash
from mcp_memory.extraction import Extraction, Extractor, Known, Passage, Turn, rewrite_query
from mcp_memory.models import Memory, Origin, Scope
from mcp_memory.reconciling import reconcile
from mcp_memory.store import Store
from mcp_memory.store.ledger import extractions, facts, memories
from mcp_memory.store.ledger.extractions import Work
from mcp_memory.store.ledger.rows import scope_of
from mcp_memory.usage import Usage

logger = logging.getLogger(__name__)

TOGETHER = 50
"""Messages read in one pass, and so by one call of a model: a long conversation of an evening."""
EARLIER = 3
"""Turns before the first, read to understand it."""
KNOWN = 12
"""Facts shown to a model with a passage, the nearest first."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 6 * 3_600.0
"""Seconds between two tries of the same work; each is four times the last."""
IDLE_SECONDS = 3_600.0
PURPOSE, REWRITING = "extraction", "rewriting"

Related = Callable[[Scope, str], Awaitable[Sequence[Memory]]]
"""Finds facts of a scope that are near a text, the nearest first."""


class Understanding:
    """Reads one store's words. `rules` stands in for a model whose tokens of the day are spent."""

    def __init__(
        self, store: Store, extractor: Extractor, rules: Extractor, config: Config, related: Related
    ) -> None:
        self._store = store
        self._ledger = store.ledger
        self._extractor = extractor
        self._rules = rules
        self._config = config
        self._related = related
        self._turn = anyio.Lock()
        self._wake = anyio.Event()
        self._tried: dict[str, anyio.Event] = {}
        """Set when the work of that id was tried; for those who wait for it."""

    @property
    def is_quick(self) -> bool:
        """Whether reading costs no more than a moment, so that every answer may wait for it."""
        return self._extractor is self._rules

    async def run(self) -> None:
        """Read what is due, for as long as the store is open."""
        while True:
            self._wake = anyio.Event()
            pause = FIRST_PAUSE
            try:
                for work in await self._ledger.read(extractions.due, datetime.now(UTC), 1):
                    await self._try(work.id)
                pause = await self._until_next()
            except McpMemoryError as error:
                logger.warning("what was said is read again in %.0f s: %s", pause, error)
            with anyio.move_on_after(pause):
                await self._wake.wait()

    async def put_otherwise(self, user_id: str, query: str, now: datetime) -> tuple[str, ...]:
        """Other ways to put a question; none by rules, or when the day's tokens are spent. Raises
        ExtractionFailed."""
        if await self._who_reads(user_id) is self._rules:
            return ()
        try:
            queries, usage = await rewrite_query(self._extractor, query, now)
        except ExtractionFailed as error:
            await self._spend(user_id, REWRITING, error.usage)
            raise
        await self._spend(user_id, REWRITING, usage)
        return queries

    async def _spend(self, user_id: str, purpose: str, usage: Usage) -> None:
        now = datetime.now(UTC)
        await self._ledger.write(
            extractions.spend, self._extractor.name, purpose, usage, now, user_id=user_id
        )

    async def aclose(self) -> None:
        await self._extractor.aclose()

    async def _until_next(self) -> float:
        due_at = await self._ledger.read(extractions.next_due)
        if due_at is None:
            return IDLE_SECONDS
        return min(max((due_at - datetime.now(UTC)).total_seconds(), 0.0), IDLE_SECONDS)

    def begin(self) -> None:
        """Look at once for what is due."""
        self._wake.set()

    async def read(self, work_ids: Sequence[str], seconds: float) -> None:
        """Wait, so long at most, until this work was tried; how it went stands in the ledger. Raises
        StoreError."""
        if self.is_quick:
            for work_id in work_ids:
                await self._try(work_id)
            return
        with anyio.move_on_after(seconds):
            tried = [self._tried.setdefault(one, anyio.Event()) for one in work_ids]
            self.begin()
            for event in tried:
                await event.wait()

    async def _try(self, work_id: str) -> None:
        """Read one piece of work, once, whoever else is at it."""
        async with self._turn:
            for work in await self._ledger.read(extractions.find, [work_id]):
                try:
                    await self._read(work)
                except ExtractionFailed as error:
                    await self._put_off(work, error)
        if (event := self._tried.pop(work_id, None)) is not None:
            event.set()

    async def _read(self, work: Work) -> None:
        said = await self._ledger.read(extractions.words, work.memory_ids)
        if not said:
            await self._ledger.write(extractions.done, work.id)
            return
        extractor = await self._who_reads(said[0].user_id)
        passage = await self._passage(said, with_known=extractor is not self._rules)
        try:
            extraction = await self._extracted(extractor, passage)
        except ExtractionFailed as error:
            await self._spend(said[0].user_id, PURPOSE, error.usage)
            raise
        await self._write(work, said[0].user_id, passage, extraction, extractor)

    async def _extracted(self, extractor: Extractor, passage: Passage) -> Extraction:
        try:
            return await extractor.extract(passage)
        except McpMemoryError:
            raise
        except Exception as error:
            # One strange text must neither stop the reading of all others nor be lost.
            log_crash(logger, f"reading by {extractor.name}", error)
            raise ExtractionFailed(extractor.name, "it crashed; see the log", is_final=True) from error

    async def _who_reads(self, user_id: str) -> Extractor:
        """The model, unless its tokens of the day are spent, all or this user's. Raises ExtractionFailed if
        that means to wait."""
        llm, now = self._config.llm, datetime.now(UTC)
        spent = None if self.is_quick else await self._spent(user_id, now)
        if spent is None:
            return self._extractor
        if llm.when_spent == "rules":
            return self._rules
        tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        raise TokensSpent(self._extractor.name, *spent, (tomorrow - now).total_seconds())

    async def _spent(self, user_id: str, now: datetime) -> tuple[int, str] | None:
        """The limit that is reached, and its setting; None when none is."""
        llm, read = self._config.llm, self._ledger.read
        if llm.daily_token_limit and await read(extractions.spent, now) >= llm.daily_token_limit:
            return llm.daily_token_limit, "llm.daily_token_limit"
        mine = llm.daily_user_token_limit
        if mine and await read(extractions.spent_by, user_id, now) >= mine:
            return mine, "llm.daily_user_token_limit"
        return None

    async def _passage(self, said: Sequence[Memory], *, with_known: bool) -> Passage:
        turns = tuple(_turn(one) for one in said)
        scope = scope_of(said[0])
        before = await self._ledger.read(memories.around, scope, said[0], EARLIER)
        ids = {one.id for one in said}
        earlier = [one for one in before if one.observed_at <= said[0].observed_at and one.id not in ids]
        if not with_known:
            return Passage(turns, tuple(_turn(one) for one in earlier[-EARLIER:]))
        related = await self._related(scope, "\n".join(one.said for one in said))
        near = [one for one in related if one.kind != "message" and one.id not in ids][:KNOWN]
        about = await self._ledger.read(facts.subjects, [one.id for one in near])
        return Passage(
            turns,
            tuple(_turn(one) for one in earlier[-EARLIER:]),
            tuple(
                Known(one.id, one.text, about.get(one.id), one.observed_at, one.valid_from, one.valid_until)
                for one in near
            ),
        )

    async def _write(
        self, work: Work, user_id: str, passage: Passage, extraction: Extraction, extractor: Extractor
    ) -> None:
        now = datetime.now(UTC)
        by_rules = extractor is self._rules
        if not by_rules:
            await self._ledger.write(
                extractions.spend,
                extractor.name,
                PURPOSE,
                extraction.usage,
                now,
                user_id=user_id,
                unsupported=extraction.unsupported,
                invalid=extraction.invalid,
            )
        # What was forgotten while it was being read makes no facts.
        here = await self._ledger.read(extractions.words, work.memory_ids)
        origin: Origin = "rules" if by_rules else "model"
        said = {one.id: one for one in here}
        understood = reconcile(passage, extraction, said, origin=origin, now=now)
        await self._store.understand(work.id, understood, patience=0.0)

    async def _put_off(self, work: Work, error: ExtractionFailed) -> None:
        attempts = work.attempts + (not isinstance(error, TokensSpent))
        pause = min(FIRST_PAUSE * 4**work.attempts, LONGEST_PAUSE)
        if error.retry_after is not None:
            pause = max(pause, error.retry_after)
        has_failed = error.is_final or attempts >= self._config.extraction.attempts
        due_at = datetime.now(UTC) + timedelta(seconds=pause)
        logger.warning("facts are not drawn yet from %d memories: %s", len(work.memory_ids), error)
        await self._ledger.write(
            extractions.put_off, work.id, due_at, str(error), attempts=attempts, has_failed=has_failed
        )


def _turn(memory: Memory) -> Turn:
    return Turn(
        memory.id,
        memory.text,
        memory.role,
        memory.speaker,
        memory.observed_at,
        is_statement=memory.kind != "message",
    )
