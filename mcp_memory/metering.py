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
    """Every question is asked for a user, and raises TokensSpent, unasked, once the tokens of the day (UTC)
    are spent: all, by all processes and purposes together, or this user's. Else ExtractionFailed when there
    is no answer."""

    def __init__(self, model: ModelExtractor, ledger: Ledger, config: LlmConfig) -> None:
        self._model = model
        self._ledger = ledger
        self._config = config

    @property
    def name(self) -> str:
        return self._model.name

    async def spent_limit(self, user_id: str) -> tuple[int, str] | None:
        """The limit for which nothing more may be asked today, and its setting; None when none is reached."""
        now, config = datetime.now(UTC), self._config
        limit = config.daily_token_limit
        if limit and await self._ledger.read(extractions.spent, now) >= limit:
            return limit, "llm.daily_token_limit"
        mine = config.daily_user_token_limit
        if mine and await self._ledger.read(extractions.spent_by, user_id, now) >= mine:
            return mine, "llm.daily_user_token_limit"
        return None

    async def extract(self, user_id: str, passage: Passage) -> Extraction:
        """The facts of a passage."""
        found = await self._asked(user_id, "extraction", lambda: self._model.extract(passage))
        await self._note(
            user_id, "extraction", found.usage, unsupported=found.unsupported, invalid=found.invalid
        )
        return found

    async def rewrite(self, user_id: str, query: str, now: datetime) -> tuple[str, ...]:
        """Other ways to put a question."""
        queries, usage = await self._asked(user_id, "rewriting", lambda: self._model.rewrite(query, now))
        await self._note(user_id, "rewriting", usage)
        return queries

    async def compare(self, user_id: str, facts: Sequence[Known]) -> tuple[Pair, ...]:
        """Which of some facts about one subject, in order of time, belong together."""
        found = await self._asked(user_id, "consolidation", lambda: self._model.compare(facts))
        await self._note(user_id, "consolidation", found.usage, invalid=found.invalid)
        return found.pairs

    async def portray(self, user_id: str, facts: Sequence[Known]) -> str:
        """A profile in prose of whom these facts are about; empty when they say too little."""
        profile, usage = await self._asked(user_id, "profile", lambda: self._model.portray(facts))
        await self._note(user_id, "profile", usage)
        return profile

    async def aclose(self) -> None:
        await self._model.aclose()

    async def _asked(self, user_id: str, purpose: Purpose, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        limit = await self.spent_limit(user_id)
        if limit is not None:
            now = datetime.now(UTC)
            tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            raise TokensSpent(self.name, *limit, (tomorrow - now).total_seconds())
        try:
            return await ask()
        except ExtractionFailed as error:
            await self._note(user_id, purpose, error.usage)
            raise

    async def _note(
        self, user_id: str, purpose: Purpose, usage: Usage, *, unsupported: int = 0, invalid: int = 0
    ) -> None:
        await self._ledger.write(
            extractions.spend,
            self.name,
            purpose,
            usage,
            datetime.now(UTC),
            user_id=user_id,
            unsupported=unsupported,
            invalid=invalid,
        )
