"""Draws facts from what was said: reads what waits in the ledger, asks an extractor, and writes what it
found."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import anyio

from mcp_memory.config import Config
from mcp_memory.errors import ExtractionFailed, McpMemoryError, TokensSpent, log_crash
from mcp_memory.extraction import Extraction, Known, Passage, RulesExtractor, Turn
from mcp_memory.metering import MeteredModel
from mcp_memory.models import Memory, Origin, Scope
from mcp_memory.news import News
from mcp_memory.reconciling import reconcile
from mcp_memory.store import Later, Store
from mcp_memory.store.ledger import Connection, entities, extractions, facts, memories
from mcp_memory.store.ledger.extractions import Work
from mcp_memory.store.ledger.rows import scope_of

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

Related = Callable[[Scope, str], Awaitable[Sequence[Memory]]]
"""Finds facts of a scope that are near a text, the nearest first."""


class Understanding:
    """Reads one store's words: by a model, or by rules where there is none or its tokens of the day are
    spent."""

    def __init__(
        self,
        store: Store,
        model: MeteredModel | None,
        rules: RulesExtractor,
        config: Config,
        related: Related,
        news: News,
    ) -> None:
        self._store = store
        self._ledger = store.ledger
        self._model = model
        self._rules = rules
        self._config = config
        self._related = related
        self._news = news
        self._turn = anyio.Lock()
        self._wake = anyio.Event()
        self._tried: dict[str, anyio.Event] = {}
        """Set when the work of that id was tried; for those who wait for it."""

    @property
    def is_quick(self) -> bool:
        """Whether reading costs no more than a moment, so that every answer may wait for it."""
        return self._model is None

    async def run(self) -> None:
        """Read what is due, for as long as the store is open."""
        while True:
            self._wake = anyio.Event()
            pause = FIRST_PAUSE
            try:
                for work in await self._ledger.read(extractions.due, datetime.now(UTC), 1):
                    async with self._turn:
                        await self._try(work.id)
                pause = await self._until_next()
            except McpMemoryError as error:
                logger.warning("what was said is read again in %.0f s: %s", pause, error)
            with anyio.move_on_after(pause):
                await self._wake.wait()

    async def _until_next(self) -> float:
        due_at = await self._ledger.read(extractions.next_due)
        if due_at is None:
            return IDLE_SECONDS
        return min(max((due_at - datetime.now(UTC)).total_seconds(), 0.0), IDLE_SECONDS)

    def begin(self) -> None:
        """Look at once for what is due."""
        self._wake.set()

    async def read_at_once(self, work_ids: Sequence[str], later: Later) -> None:
        """Try this work now, which is quick, and leave what it finds to be indexed `later`. Raises
        StoreError."""
        # Without waiting for its turn: of two who read the same, the ledger takes the first.
        for work_id in work_ids:
            await self._try(work_id, later)

    async def read(self, work_ids: Sequence[str], seconds: float) -> None:
        """Wait, so long at most, until this work was tried; how it went stands in the ledger."""
        with anyio.move_on_after(seconds):
            tried = [self._tried.setdefault(one, anyio.Event()) for one in work_ids]
            self.begin()
            for event in tried:
                await event.wait()

    async def _try(self, work_id: str, later: Later | None = None) -> None:
        """Read one piece of work, if it is not done."""
        found = await self._ledger.read(_look, work_id)
        if found is not None:
            try:
                await self._read(found, later)
            except ExtractionFailed as error:
                await self._put_off(found.work, error)
        if (event := self._tried.pop(work_id, None)) is not None:
            event.set()

    async def _read(self, found: _Found, later: Later | None) -> None:
        work, said = found.work, found.said
        if not said:
            await self._ledger.write(extractions.done, work.id)
            return
        extractor = await self._who_reads(said[0].user_id)
        passage = found.passage
        if extractor is not self._rules:
            passage = replace(passage, known=await self._known(said))
        extraction = await self._extracted(extractor, said[0].user_id, passage)
        await self._write(work, passage, extraction, extractor, later)

    async def _extracted(
        self, extractor: MeteredModel | RulesExtractor, user_id: str, passage: Passage
    ) -> Extraction:
        try:
            if isinstance(extractor, MeteredModel):
                return await extractor.extract(user_id, passage)
            return await extractor.extract(passage)
        except McpMemoryError:
            raise
        except Exception as error:
            # One strange text must neither stop the reading of all others nor be lost.
            log_crash(logger, f"reading by {extractor.name}", error)
            raise ExtractionFailed(extractor.name, "it crashed; see the log", is_final=True) from error

    async def _who_reads(self, user_id: str) -> MeteredModel | RulesExtractor:
        if self._model is None:
            return self._rules
        if self._config.llm.when_spent == "rules" and await self._model.spent_limit(user_id) is not None:
            return self._rules
        return self._model

    async def _known(self, said: Sequence[Memory]) -> tuple[Known, ...]:
        """Facts that are near to what was said, the nearest first."""
        ids = {one.id for one in said}
        related = await self._related(scope_of(said[0]), "\n".join(one.said for one in said))
        near = [one for one in related if one.kind != "message" and one.id not in ids][:KNOWN]
        about = await self._ledger.read(facts.subjects, [one.id for one in near])
        return tuple(Known.of(one, about.get(one.id)) for one in near)

    async def _write(
        self,
        work: Work,
        passage: Passage,
        extraction: Extraction,
        extractor: MeteredModel | RulesExtractor,
        later: Later | None,
    ) -> None:
        now = datetime.now(UTC)
        # What was forgotten while it was being read makes no facts.
        here = await self._ledger.read(extractions.words, work.memory_ids)
        origin: Origin = "rules" if extractor is self._rules else "model"
        said = {one.id: one for one in here}
        understood = reconcile(passage, extraction, said, origin=origin, now=now)
        await self._store.understand(work.id, understood, later=later)
        # Whoever reads at once tells of it with what was said.
        if later is None and here:
            await self._tell(scope_of(here[0]), work.memory_ids)

    async def _tell(self, scope: Scope, memory_ids: Sequence[str]) -> None:
        drawn, ended = await self._ledger.read(facts.outcome, scope, memory_ids)
        if not drawn and not ended:
            return
        fact_ids = [one.id for one in drawn]
        await self._news.tell_of(
            scope,
            memories=(*memory_ids, *fact_ids, *(one.old.id for one in ended)),
            entities=await self._ledger.read(entities.mentioned_by_any, fact_ids),
        )

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


@dataclass(frozen=True, slots=True)
class _Found:
    """A piece of work with what is to be read, in order of time, and what was said before it."""

    work: Work
    said: tuple[Memory, ...]
    before: tuple[Memory, ...] = ()

    @property
    def passage(self) -> Passage:
        return Passage(tuple(map(_turn, self.said)), tuple(map(_turn, self.before)))


def _look(connection: Connection, work_id: str) -> _Found | None:
    """None for what is done."""
    for work in extractions.find(connection, [work_id]):
        said = extractions.words(connection, work.memory_ids)
        if not said:
            return _Found(work, said)
        ids = {one.id for one in said}
        around = memories.around(connection, scope_of(said[0]), said[0], EARLIER)
        before = [one for one in around if one.observed_at <= said[0].observed_at and one.id not in ids]
        return _Found(work, said, tuple(before[-EARLIER:]))
    return None


def _turn(memory: Memory) -> Turn:
    return Turn(
        memory.id,
        memory.text,
        memory.role,
        memory.speaker,
        memory.observed_at,
        is_statement=memory.kind != "message",
    )
