"""The use-cases as methods, each asked as one operation of whoever answers it."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, TypeVar

from mcp_memory import api
from mcp_memory.api import Operation
from mcp_memory.models import (
    AddRequest,
    AddResult,
    Comparison,
    Consolidated,
    EntitiesMerged,
    EntitiesParted,
    EntitiesRequest,
    EntitiesResult,
    EntitiesReview,
    EntitySplit,
    ForgetRequest,
    ForgetResult,
    FoundToken,
    Health,
    Hidden,
    Kind,
    Memory,
    MemoryDetail,
    Merged,
    NewToken,
    Profile,
    Rating,
    Rebuilding,
    Receipt,
    Scope,
    SearchRequest,
    SearchResult,
    SessionSummary,
    Stats,
    Token,
    TokenRequest,
    Unforgotten,
)
from mcp_memory.news import News

_Answer = TypeVar("_Answer")

PATIENCE = 3.5
"""Seconds in which a call waits for indexes that are being opened, which takes two; then it does with what
there is: a search finds by words alone rather than late, whatever dies meanwhile."""


class UseCases(ABC):
    """What each means stands in `mcp_memory.service`."""

    news: News
    patience = PATIENCE
    """What a call waits for indexes here."""

    @abstractmethod
    async def ask(
        self, operation: Operation[_Answer], *, most_bytes: int | None = None, **arguments: Any
    ) -> _Answer:
        """The answer to one operation. Raises what the use-case raises, and AnswerTooLarge for one of more
        than `most_bytes` as JSON."""

    async def add(self, scope: Scope, request: AddRequest, *, source: str | None = None) -> AddResult:
        return await self.ask(
            api.ADD, scope=scope, request=request, source=source, write_id=_write_id(), patience=self.patience
        )

    async def search(self, scope: Scope, request: SearchRequest) -> SearchResult:
        return await self.ask(api.SEARCH, scope=scope, request=request, patience=self.patience)

    async def entities(self, scope: Scope, request: EntitiesRequest) -> EntitiesResult:
        return await self.ask(api.ENTITIES, scope=scope, request=request, patience=self.patience)

    async def merge_entities(self, scope: Scope, kept: str, gone: str) -> EntitiesMerged:
        return await self.ask(api.MERGE_ENTITIES, scope=scope, kept=kept, gone=gone)

    async def split_entity(self, scope: Scope, entity: str) -> EntitySplit:
        return await self.ask(api.SPLIT_ENTITY, scope=scope, entity=entity)

    async def review_entities(self, scope: Scope, limit: int = 20) -> EntitiesReview:
        return await self.ask(api.REVIEW_ENTITIES, scope=scope, limit=limit)

    async def part_entities(self, scope: Scope, one: str, other: str) -> EntitiesParted:
        return await self.ask(api.PART_ENTITIES, scope=scope, one=one, other=other)

    async def consolidate(self, scope: Scope, entity: str | None = None) -> Consolidated:
        return await self.ask(api.CONSOLIDATE, scope=scope, entity=entity)

    async def unconsolidate(self, scope: Scope) -> int:
        return await self.ask(api.UNCONSOLIDATE, scope=scope)

    async def profile(self, scope: Scope, *, wait: float = 0.0) -> Profile:
        return await self.ask(api.PROFILE, scope=scope, wait=wait)

    async def forget(self, scope: Scope, request: ForgetRequest) -> ForgetResult:
        return await self.ask(api.FORGET, scope=scope, request=request, write_id=_write_id())

    async def unforget(self, scope: Scope, receipt_id: str) -> Unforgotten:
        return await self.ask(api.UNFORGET, scope=scope, receipt_id=receipt_id)

    async def hidden(self, scope: Scope) -> tuple[Hidden, ...]:
        return await self.ask(api.HIDDEN, scope=scope)

    async def receipts(self, limit: int = 20) -> tuple[Receipt, ...]:
        return await self.ask(api.RECEIPTS, limit=limit)

    async def get(self, scope: Scope, memory_id: str) -> MemoryDetail:
        return await self.ask(api.GET, scope=scope, memory_id=memory_id)

    async def rate(self, scope: Scope, memory_id: str, rating: Rating, *, source: str | None = None) -> None:
        await self.ask(api.RATE, scope=scope, memory_id=memory_id, rating=rating, source=source)

    async def recent(
        self, scope: Scope, *, kinds: tuple[Kind, ...] = (), limit: int = 20, offset: int = 0
    ) -> tuple[Memory, ...]:
        return await self.ask(api.RECENT, scope=scope, kinds=kinds, limit=limit, offset=offset)

    async def session(
        self, scope: Scope, session_id: str, *, limit: int = 200, offset: int = 0
    ) -> tuple[Memory, ...]:
        return await self.ask(api.SESSION, scope=scope, session_id=session_id, limit=limit, offset=offset)

    async def sessions(
        self, scope: Scope, *, prefix: str = "", limit: int = 20, offset: int = 0
    ) -> tuple[SessionSummary, ...]:
        return await self.ask(api.SESSIONS, scope=scope, prefix=prefix, limit=limit, offset=offset)

    async def ids(
        self, scope: Scope, noun: Literal["memories", "entities"], prefix: str, limit: int = 20
    ) -> tuple[str, ...]:
        return await self.ask(api.IDS, scope=scope, noun=noun, prefix=prefix, limit=limit)

    async def stats(self, scope: Scope) -> Stats:
        return await self.ask(api.STATS, scope=scope)

    async def retry(self) -> int:
        return await self.ask(api.RETRY)

    async def health(self) -> Health:
        return await self.ask(api.HEALTH)

    async def compare(self, *, repair: bool = False) -> Comparison:
        return await self.ask(api.COMPARE, repair=repair)

    async def rebuild(self) -> Rebuilding:
        return await self.ask(api.REBUILD)

    async def merge(self, ledger: Path) -> Merged:
        return await self.ask(api.MERGE, ledger=ledger)

    async def caught_up(self, seconds: float) -> bool:
        return await self.ask(api.CAUGHT_UP, seconds=seconds)

    async def create_token(self, request: TokenRequest) -> NewToken:
        return await self.ask(api.CREATE_TOKEN, request=request)

    async def tokens(self) -> tuple[Token, ...]:
        return await self.ask(api.TOKENS)

    async def revoke_token(self, token_id: str) -> Token:
        return await self.ask(api.REVOKE_TOKEN, token_id=token_id)

    async def find_token(self, digest: str, per_minute: int = 0) -> FoundToken:
        return await self.ask(api.FIND_TOKEN, digest=digest, per_minute=per_minute)

    async def count_call(self, caller: str, per_minute: int) -> float:
        return await self.ask(api.COUNT_CALL, caller=caller, per_minute=per_minute)

    async def take_place(self, place: str, most: int, by: str) -> bool:
        return await self.ask(api.TAKE_PLACE, place=place, most=most, by=by)

    async def leave_place(self, place: str, by: str) -> None:
        await self.ask(api.LEAVE_PLACE, place=place, by=by)


def _write_id() -> str:
    return secrets.token_hex(16)
