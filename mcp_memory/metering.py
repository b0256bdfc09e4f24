"""A language model whose every answer is counted in the ledger, up to what one day may cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

from mcp_memory.config import LlmConfig
from mcp_memory.errors import ExtractionFailed, TokensSpent
from mcp_memory.extraction import Extraction, Known, Passage
from mcp_memory.store.ledger import Ledger, extractions
from mcp_memory.usage import Usage

if TYPE_CHECKING:
    from mcp_memory.extraction.comparing import Pair
    from mcp_memory.extraction.model import ModelExtractor

Purpose = Literal["extraction", "rewriting", "consolidation", "profile"]

_Answer = TypeVar("_Answer")


class MeteredModel:
    """Every question raises TokensSpent, unasked, once the tokens of the day (UTC) are spent by all processes
    and purposes together; else ExtractionFailed when there is no answer."""

    def __init__(self, model: ModelExtractor, ledger: Ledger, config: LlmConfig) -> None:
        self._model = model
        self._ledger = ledger
        self._limit = config.daily_token_limit

    @property
    def name(self) -> str:
        return self._model.name

    async def is_spent(self) -> bool:
        """Whether nothing more may be asked today."""
        if not self._limit:
            return False
        return await self._ledger.read(extractions.spent, datetime.now(UTC)) >= self._limit

    async def extract(self, passage: Passage) -> Extraction:
        """The facts of a passage."""
        found = await self._asked("extraction", lambda: self._model.extract(passage))
        await self._note("extraction", found.usage, unsupported=found.unsupported, invalid=found.invalid)
        return found

    async def rewrite(self, query: str, now: datetime) -> tuple[str, ...]:
        """Other ways to put a question."""
        queries, usage = await self._asked("rewriting", lambda: self._model.rewrite(query, now))
        await self._note("rewriting", usage)
        return queries

    async def compare(self, facts: Sequence[Known]) -> tuple[Pair, ...]:
        """Which of some facts about one subject, in order of time, belong together."""
        found = await self._asked("consolidation", lambda: self._model.compare(facts))
        await self._note("consolidation", found.usage, invalid=found.invalid)
        return found.pairs

    async def portray(self, facts: Sequence[Known]) -> str:
        """A profile in prose of whom these facts are about; empty when they say too little."""
        profile, usage = await self._asked("profile", lambda: self._model.portray(facts))
        await self._note("profile", usage)
        return profile

    async def aclose(self) -> None:
        await self._model.aclose()

    async def _asked(self, purpose: Purpose, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        if await self.is_spent():
            now = datetime.now(UTC)
            tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            raise TokensSpent(self.name, self._limit, (tomorrow - now).total_seconds())
        try:
            return await ask()
        except ExtractionFailed as error:
            await self._note(purpose, error.usage)
            raise

    async def _note(self, purpose: Purpose, usage: Usage, *, unsupported: int = 0, invalid: int = 0) -> None:
        await self._ledger.write(
            extractions.spend,
            self.name,
            purpose,
            usage,
            datetime.now(UTC),
            unsupported=unsupported,
            invalid=invalid,
        )
