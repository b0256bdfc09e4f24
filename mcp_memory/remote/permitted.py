"""A memory as one caller may use it: their own, what their token permits, and no more than their share."""

from __future__ import annotations

import hashlib
import logging
from typing import Any, TypeVar

from mcp_memory import api
from mcp_memory.api import Operation
from mcp_memory.config import LimitsConfig
from mcp_memory.errors import (
    NotFound,
    OtherAgent,
    OtherUser,
    OwnerError,
    PermissionMissing,
    StoreError,
    Unavailable,
    shown,
)
from mcp_memory.models import Quota, Scope, Stats
from mcp_memory.remote.callers import Caller
from mcp_memory.usecases import UseCases

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

CHANGING = frozenset(
    {
        api.FORGET.name,
        api.UNFORGET.name,
        api.HIDDEN.name,
        api.MERGE_ENTITIES.name,
        api.SPLIT_ENTITY.name,
        api.PART_ENTITIES.name,
        api.CONSOLIDATE.name,
        api.UNCONSOLIDATE.name,
    }
)
"""What takes from an agent's memory, or turns it round, does so for all its users: without memory.admin these
see none of it."""


class PermittedMemory(UseCases):
    """Every operation of a caller passes here, whichever door it came by."""

    def __init__(self, memory: UseCases, caller: Caller, limits: LimitsConfig) -> None:
        self._memory = memory
        self._caller = caller
        self._limits = limits
        self.news = memory.news

    async def ask(
        self, operation: Operation[_Answer], *, most_bytes: int | None = None, **arguments: Any
    ) -> _Answer:
        """Raises NotPermitted, Unavailable, and what the caller's arguments make the operation raise."""
        if operation.needs is None:
            raise NotFound(f"No operation {shown(operation.name)} here.")
        if operation.needs not in self._caller.permissions:
            raise PermissionMissing(operation.needs)
        if "scope" in arguments:
            arguments["scope"] = self._own(arguments["scope"], operation)
        if operation is api.ADD:
            arguments["quota"] = Quota(
                memories=self._limits.memories_per_user, bytes=self._limits.bytes_per_user
            )
        if arguments.get("write_id") is not None:
            arguments["write_id"] = self._own_write_id(arguments["write_id"])
        # What was changed is answered, however long that is.
        most = self._limits.answer_bytes if operation.needs == "memory.read" else None
        try:
            answer = await self._memory.ask(operation, most_bytes=most, **arguments)
        except (StoreError, OwnerError) as error:
            logger.error("%s failed: %s", operation.name, error)
            if self._is_admin:
                raise
            raise Unavailable from error
        if isinstance(answer, Stats) and not self._is_admin:
            # What models cost and which of their errors was the last is of all users.
            return answer.model_copy(update={"extraction": None})
        return answer

    @property
    def _is_admin(self) -> bool:
        return "memory.admin" in self._caller.permissions

    def _own(self, scope: Scope, operation: Operation[Any]) -> Scope:
        if scope.user_id != self._caller.user_id:
            raise OtherUser
        if scope.agent_id not in (None, self._caller.agent_id):
            raise OtherAgent
        if operation.name in CHANGING and not self._is_admin:
            return scope.model_copy(update={"agent_id": None})
        return scope

    def _own_write_id(self, write_id: str) -> str:
        # Two users may give the same one, and must not be answered with each other's writes.
        return hashlib.sha256(
            f"{len(self._caller.user_id)}:{self._caller.user_id}:{write_id}".encode()
        ).hexdigest()
