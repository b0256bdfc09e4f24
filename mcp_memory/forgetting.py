"""Forgets: by ids at once, and what is wider by a plan that is shown before it is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from mcp_memory.config import ForgetConfig
from mcp_memory.embedding import Embedder
from mcp_memory.entities import Entities
from mcp_memory.errors import NothingHidden, PlanExpired, PlanNotFound
from mcp_memory.models import Entity, ForgetPlan, ForgetRequest, ForgetResult, Scope, name_key
from mcp_memory.news import News
from mcp_memory.resolving import is_user
from mcp_memory.retrieval import CANDIDATES
from mcp_memory.store import Store
from mcp_memory.store.candidates import IDS_PER_FILTER, Filter
from mcp_memory.store.ledger import entities as known_entities
from mcp_memory.store.ledger import forgetting, memories, plans
from mcp_memory.store.ledger.memories import Selection

PLAN_EXAMPLES = 10
"""Memories that a plan of forgetting shows; the count says how many there are."""
FORGET_SIMILARITY = 0.6
"""Cosine from which a memory counts as being about what is to be forgotten. Strict: the plan can be widened
by asking again, but what was forgotten cannot be brought back."""


class Forgetting:
    """The ways in which memories of one data folder are forgotten."""

    def __init__(
        self, store: Store, embedder: Embedder, entities: Entities, config: ForgetConfig, news: News
    ) -> None:
        self._store = store
        self._ledger = store.ledger
        self._embedder = embedder
        self._entities = entities
        self._config = config
        self._news = news

    async def plan(self, scope: Scope, request: ForgetRequest, patience: float) -> ForgetPlan:
        """What a wide request would forget; indexes that are being opened are waited for so many seconds.
        Raises EntityNotFound, and InvalidInput for a name that several have."""
        now = datetime.now(UTC)
        meant = None if request.entity is None else await self._entities.one(scope, "entity", request.entity)
        selection = Selection(
            entity_ids=() if meant is None else (meant.id,),
            names=() if meant is None else await self._own_names(scope, meant),
            session_id=request.session,
            before=request.before,
            ids=None if request.query is None else await self._about(scope, request.query, now, patience),
            all_sessions=True,
            hidden=not self._config.grace_days,
        )
        chosen = await self._ledger.read(memories.select, scope, selection)
        plan_id = await self._ledger.write(plans.save, scope, [memory.id for memory in chosen], now)
        return ForgetPlan(
            plan_id=plan_id,
            count=len(chosen),
            examples=chosen[:PLAN_EXAMPLES],
            expires_at=now + self._plan_life,
        )

    async def _own_names(self, scope: Scope, meant: Entity) -> tuple[str, ...]:
        """The names of an entity that nobody else has: who says one of them means it, whoever noticed."""
        names = {name_key(name): name for name in (meant.name, *meant.aliases) if _is_a_name(name)}
        bearers = await self._ledger.read(known_entities.resolve, scope, list(names))
        return tuple(name for key, name in names.items() if set(bearers.get(key, ())) <= {meant.id})

    async def _about(self, scope: Scope, query: str, now: datetime, patience: float) -> tuple[str, ...]:
        """Memories that have every word of a query, or say nearly the same in other words."""
        where = Filter(scope=scope, now=now)
        await self._store.opened(patience)
        embedded = await self._embedder.embed_query(query)
        worded = await self._store.full_text(query, where, IDS_PER_FILTER, every_word=True)
        meant = await self._store.dense(embedded.vector, where, CANDIDATES)
        return tuple(
            dict.fromkeys(
                candidate.memory_id
                for candidate in (*worded, *(one for one in meant if one.score >= FORGET_SIMILARITY))
            )
        )

    async def carry_out(self, scope: Scope, plan_id: str, write_id: str | None) -> ForgetResult:
        """Forget what a plan has shown. Raises PlanNotFound, PlanExpired."""
        now = datetime.now(UTC)
        plan = await self._ledger.read(plans.find, scope, plan_id)
        if plan is None:
            raise PlanNotFound(plan_id)
        memory_ids, made_at = plan
        if now - made_at > self._plan_life:
            await self._ledger.write(plans.drop, before=now - self._plan_life)
            raise PlanExpired(plan_id, self._config.plan_ttl_minutes)
        result = await self.forget(scope, memory_ids, write_id, all_sessions=True)
        await self._ledger.write(plans.drop, before=now - self._plan_life, plan_id=plan_id)
        return result

    async def erase_hidden(
        self, scope: Scope, forgetting_ids: Sequence[str], write_id: str | None
    ) -> ForgetResult:
        """Erase what these forgettings hid. Raises NothingHidden."""
        ids = await self._ledger.read(forgetting.members, scope, forgetting_ids)
        if not ids:
            raise NothingHidden(forgetting_ids[0])
        return await self.forget(scope, ids, write_id, all_sessions=True, grace_days=0.0)

    async def forget(
        self,
        scope: Scope,
        ids: Sequence[str],
        write_id: str | None,
        *,
        all_sessions: bool,
        grace_days: float | None = None,
    ) -> ForgetResult:
        """Hide by ids, and erase at once where there are no days of grace."""
        now = datetime.now(UTC)
        due_at = now + timedelta(days=self._config.grace_days if grace_days is None else grace_days)
        hiding, receipt = await self._store.forget(
            scope, ids, now=now, due_at=due_at, all_sessions=all_sessions, write_id=write_id
        )
        gone = {*hiding.memory_ids, *hiding.derived}
        not_found = tuple(dict.fromkeys(one for one in ids if one not in gone))
        if not hiding.id:
            return ForgetResult(status="nothing", not_found=not_found)
        removed = () if receipt is None else receipt.entity_ids
        await self._news.tell_of(
            scope,
            memories=(*hiding.memory_ids, *hiding.derived),
            entities=(*removed, *hiding.entities_left),
            sessions=hiding.sessions,
        )
        waits = receipt is None and due_at <= now
        return ForgetResult(
            status="hidden" if receipt is None else "erased",
            receipt_id=hiding.id,
            forgotten=tuple(dict.fromkeys(hiding.memory_ids)),
            derived=hiding.derived,
            not_found=not_found,
            entities_removed=removed,
            entities_left=tuple(one for one in hiding.entities_left if one not in removed),
            kept=hiding.kept,
            sessions=hiding.sessions,
            erase_at=hiding.due_at if receipt is None else None,
            verified=None if receipt is None else receipt.verified,
            found=() if receipt is None else receipt.found,
            backups=hiding.backups,
            degraded=("out of sight, but not erased yet: a store refused, and it is tried again",)
            if waits
            else (),
        )

    @property
    def _plan_life(self) -> timedelta:
        return timedelta(minutes=self._config.plan_ttl_minutes)


def _is_a_name(name: str) -> bool:
    """Whether it can be looked for in a text: "the user" and "I" are whoever speaks."""
    return len(name) > 1 and name[0].isupper() and not is_user(name, "person")
