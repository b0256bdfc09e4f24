"""The use-cases: add, search, entities, forget, get, and what is read around them. Each takes a Scope."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

import anyio

from mcp_memory import store as stores
from mcp_memory.config import Config
from mcp_memory.embedding import Embedder, MemoryEmbedder, create_embedder
from mcp_memory.errors import (
    EmbeddingError,
    EntityNotFound,
    IndexFailed,
    MemoryNotFound,
    PlanExpired,
    PlanNotFound,
    SessionNotFound,
)
from mcp_memory.extraction import find_entities
from mcp_memory.models import (
    Added,
    AddRequest,
    AddResult,
    EntitiesRequest,
    EntitiesResult,
    Entity,
    EntityDetail,
    EntityRef,
    ForgetPlan,
    ForgetRequest,
    ForgetResult,
    Health,
    Hit,
    Kind,
    Memory,
    MemoryDetail,
    NewEntity,
    NewRelation,
    Rebuilt,
    Scope,
    SearchRequest,
    SearchResult,
    SessionSummary,
    Stats,
    iso,
    name_key,
)
from mcp_memory.retrieval import CANDIDATES, Query, Signals, fuse, read_query
from mcp_memory.store import Draft, Store
from mcp_memory.store.ledger import entities, index_work, memories, plans
from mcp_memory.store.ledger.memories import Selection
from mcp_memory.store.ledger.schema import new_id
from mcp_memory.store.vectors import IDS_PER_FILTER, Candidate, Filter

NEIGHBOURS = 2
"""Turns shown before and after a memory that is looked at whole."""
ENTITY_MEMORIES = 20
ENTITY_NEIGHBOURS = 20
"""Memories, and entities one step away, shown of one entity."""
PLAN_EXAMPLES = 10
"""Memories that a plan of forgetting shows; the count says how many there are."""
FORGET_SIMILARITY = 0.6
"""Cosine from which a memory counts as being about what is to be forgotten. Strict: the plan can be widened
by asking again, but what was forgotten cannot be brought back."""
MENTIONS = 200
"""Memories up to which an entity named in a query tells which of them is meant; who is mentioned more often
does not."""


class Service:
    """The memory of one data folder."""

    def __init__(self, config: Config, store: Store, embedder: Embedder) -> None:
        self._config = config
        self._store = store
        self._ledger = store.ledger
        self._embedder = embedder

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Config) -> AsyncGenerator[Service]:
        """The memory in `config.data_dir`; while it is open no other process can open it. Raises
        StoreError."""
        embedder = create_embedder(config.embedding)
        try:
            async with Store.open(config, MemoryEmbedder(embedder)) as store:
                yield cls(config, store, embedder)
        finally:
            with anyio.CancelScope(shield=True):
                await embedder.aclose()

    async def add(self, scope: Scope, request: AddRequest, *, source: str | None = None) -> AddResult:
        """Remember one statement or a conversation. `source` is the client, taken from its connection.

        When it answers, every word is on disk; `degraded` says if it is not yet searchable by every signal.
        """
        now = datetime.now(UTC)
        drafts = _drafts(scope, request, source, now, self._config.memory.session_ttl_days)
        written, lag = await self._store.write(drafts)
        named = {entity.id: entity for one in written for entity in one.entities}
        return AddResult(
            memories=tuple(
                Added(id=one.id, status="stored" if one.is_new else "duplicate") for one in written
            ),
            entities=tuple(named.values()),
            degraded=() if lag is None else (f"stored, but not yet searchable: {lag}",),
        )

    async def search(self, scope: Scope, request: SearchRequest) -> SearchResult:
        """The memories that answer a query, best first. Raises EntityNotFound for an `entity` nobody
        mentions."""
        query = read_query(request.query)
        where = Filter(
            scope=scope,
            now=datetime.now(UTC),
            kinds=request.kinds,
            since=request.since,
            until=request.until,
            ids=await self._mentioning(scope, request.entity),
        )
        found, degraded = await self._signals(query, where)
        ranked = fuse(query, found, self._config.search)
        hits: list[Hit] = []
        # As many as are shown, and more only where an index was ahead of what the ledger lets this scope see.
        for start in range(0, len(ranked), request.limit):
            some = ranked[start : start + request.limit]
            rows = await self._ledger.read(memories.by_id, scope, [one.memory_id for one in some])
            hits += [
                Hit(memory=rows[one.memory_id], score=round(one.score, 4), signals=one.signals)
                for one in some
                if one.memory_id in rows and _passes(rows[one.memory_id], where)
            ]
            if len(hits) >= request.limit:
                break
        total = len(ranked) if len(hits) >= request.limit else len(hits)
        return SearchResult(hits=tuple(hits[: request.limit]), total=total, degraded=tuple(degraded))

    async def entities(self, scope: Scope, request: EntitiesRequest) -> EntitiesResult:
        """A page of entities, or one whole with its relations and latest memories. Raises EntityNotFound."""
        if request.entity is not None:
            detail = await self._entity_detail(scope, await self._entity_id(scope, request.entity))
            return EntitiesResult(entities=(detail.entity,), total=1, detail=detail)
        page, total = await self._ledger.read(
            entities.page,
            scope,
            key_part=name_key(request.query or ""),
            types=request.types,
            limit=request.limit,
            offset=request.offset,
        )
        return EntitiesResult(entities=page, total=total)

    async def forget(self, scope: Scope, request: ForgetRequest) -> ForgetResult:
        """Forget by ids or by a plan at once; anything wider is answered with a plan and changes nothing.

        Raises PlanNotFound, PlanExpired, EntityNotFound.
        """
        if request.ids:
            return await self._erase(scope, request.ids, all_sessions=False)
        if request.plan_id is not None:
            return await self._carry_out(scope, request.plan_id)
        return ForgetResult(plan=await self._plan(scope, request))

    async def get(self, scope: Scope, memory_id: str) -> MemoryDetail:
        """One memory whole. Raises MemoryNotFound."""
        ledger = self._ledger
        memory = (await ledger.read(memories.by_id, scope, [memory_id])).get(memory_id)
        if memory is None:
            raise MemoryNotFound(memory_id)
        return MemoryDetail(
            memory=memory,
            history=await ledger.read(memories.history_of, memory_id),
            entities=await ledger.read(entities.mentioned_by, memory_id),
            relations=await ledger.read(entities.relations, scope, memory_id=memory_id),
            neighbours=await ledger.read(memories.around, scope, memory, NEIGHBOURS),
        )

    async def recent(
        self, scope: Scope, *, kinds: tuple[Kind, ...] = (), limit: int = 20, offset: int = 0
    ) -> tuple[Memory, ...]:
        """The latest said, newest first."""
        return await self._ledger.read(memories.recent, scope, kinds, limit, offset)

    async def session(
        self, scope: Scope, session_id: str, *, limit: int = 200, offset: int = 0
    ) -> tuple[Memory, ...]:
        """What was said in one session, in order of time. Raises SessionNotFound."""
        said = await self._ledger.read(memories.of_session, scope, session_id, limit, offset)
        if not said and offset == 0:
            raise SessionNotFound(session_id)
        return said

    async def sessions(
        self, scope: Scope, *, prefix: str = "", limit: int = 20, offset: int = 0
    ) -> tuple[SessionSummary, ...]:
        """Sessions with something visible in them, latest first."""
        return await self._ledger.read(memories.sessions, scope, prefix, limit, offset)

    async def ids(
        self, scope: Scope, noun: Literal["memories", "entities"], prefix: str, limit: int = 20
    ) -> tuple[str, ...]:
        """Ids that begin with `prefix`, for completion."""
        match noun:
            case "memories":
                return await self._ledger.read(memories.ids, scope, prefix, limit)
            case "entities":
                return await self._ledger.read(entities.ids, scope, prefix, limit)

    async def stats(self, scope: Scope) -> Stats:
        """How much is remembered in a scope."""
        return await self._ledger.read(memories.stats, scope)

    async def health(self) -> Health:
        """Whether the three stores agree; for whoever owns the data folder."""
        return await self._store.health()

    async def _mentioning(self, scope: Scope, entity: str | None) -> tuple[str, ...] | None:
        if entity is None:
            return None
        entity_id = await self._entity_id(scope, entity)
        return await self._store.graph.mentioning(entity_id, IDS_PER_FILTER)

    async def _entity_id(self, scope: Scope, entity: str) -> str:
        key = name_key(entity)
        entity_id = (await self._ledger.read(entities.resolve, scope, [entity, key])).get(entity)
        entity_id = entity_id or (await self._ledger.read(entities.resolve, scope, [key])).get(key)
        if entity_id is None:
            raise EntityNotFound(entity)
        visible, _ = await self._ledger.read(entities.page, scope, ids=[entity_id], limit=1)
        if not visible:
            raise EntityNotFound(entity)
        return entity_id

    async def _signals(self, query: Query, where: Filter) -> tuple[Signals, list[str]]:
        """All signals side by side; one that fails is missing from the answer, which then says so."""
        degraded: list[str] = []
        dense: tuple[Candidate, ...] = ()
        text: tuple[Candidate, ...] = ()
        mentions: tuple[tuple[str, str], ...] = ()

        async def by_meaning() -> None:
            nonlocal dense
            try:
                (vector,) = await self._embedder.embed([query.text])
                dense = await self._store.vectors.dense(vector, where, CANDIDATES)
            except (EmbeddingError, IndexFailed) as error:
                degraded.append(f"without similarity in meaning: {error}")

        async def by_words() -> None:
            nonlocal text
            try:
                text = await self._store.vectors.full_text(query.words, where, CANDIDATES)
            except IndexFailed as error:
                degraded.append(f"without full-text search: {error}")

        async def by_entities() -> None:
            nonlocal mentions
            try:
                known = await self._ledger.read(entities.resolve, where.scope, query.names)
                entity_ids = sorted(set(known.values()))
                if entity_ids:
                    mentions = await self._store.graph.rare_mentions(entity_ids, MENTIONS)
            except IndexFailed as error:
                degraded.append(f"without the entity graph: {error}")

        async def what_waits() -> None:
            if waiting := await self._ledger.read(index_work.pending_count):
                degraded.append(
                    f"{waiting} memories are stored but not yet searchable; ask again in a moment"
                )

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(by_meaning)
            tasks.start_soon(by_words)
            tasks.start_soon(by_entities)
            tasks.start_soon(what_waits)
        if where.ids is not None:
            confined = set(where.ids)
            mentions = tuple(pair for pair in mentions if pair[0] in confined)
        return Signals(dense, text, mentions), degraded

    async def _entity_detail(self, scope: Scope, entity_id: str) -> EntityDetail:
        ledger = self._ledger
        (entity,), _ = await ledger.read(entities.page, scope, ids=[entity_id], limit=1)
        near = await self._store.graph.neighbours(entity_id, ENTITY_NEIGHBOURS)
        # The graph knows no scope: only neighbours that a visible memory mentions are shown.
        visible, _ = await ledger.read(entities.page, scope, ids=near, limit=len(near) or 1)
        by_id: dict[str, Entity] = {one.id: one for one in visible}
        return EntityDetail(
            entity=entity,
            relations=await ledger.read(entities.relations, scope, entity_id=entity_id),
            memories=await ledger.read(entities.mentions_of, scope, entity_id, ENTITY_MEMORIES),
            neighbours=tuple(
                EntityRef(id=one, name=by_id[one].name, type=by_id[one].type) for one in near if one in by_id
            ),
        )

    async def _plan(self, scope: Scope, request: ForgetRequest) -> ForgetPlan:
        now = datetime.now(UTC)
        entity_id = None if request.entity is None else await self._entity_id(scope, request.entity)
        selection = Selection(
            entity_id=entity_id,
            session_id=request.session,
            before=request.before,
            ids=None if request.query is None else await self._about(scope, request.query, now),
            all_sessions=True,
        )
        chosen = await self._ledger.read(memories.select, scope, selection)
        plan_id = await self._ledger.write(plans.save, scope, [memory.id for memory in chosen], now)
        return ForgetPlan(
            plan_id=plan_id,
            count=len(chosen),
            examples=chosen[:PLAN_EXAMPLES],
            expires_at=now + self._plan_life,
        )

    async def _about(self, scope: Scope, query: str, now: datetime) -> tuple[str, ...]:
        """Memories that have every word of a query, or say nearly the same in other words."""
        where = Filter(scope=scope, now=now)
        (vector,) = await self._embedder.embed([query])
        worded = await self._store.vectors.full_text(query, where, IDS_PER_FILTER, every_word=True)
        meant = await self._store.vectors.dense(vector, where, CANDIDATES)
        return tuple(
            dict.fromkeys(
                candidate.memory_id
                for candidate in (*worded, *(one for one in meant if one.score >= FORGET_SIMILARITY))
            )
        )

    async def _carry_out(self, scope: Scope, plan_id: str) -> ForgetResult:
        now = datetime.now(UTC)
        plan = await self._ledger.read(plans.find, scope, plan_id)
        if plan is None:
            raise PlanNotFound(plan_id)
        memory_ids, made_at = plan
        if now - made_at > self._plan_life:
            await self._ledger.write(plans.drop, before=now - self._plan_life)
            raise PlanExpired(plan_id, self._config.forget.plan_ttl_minutes)
        result = await self._erase(scope, memory_ids, all_sessions=True)
        await self._ledger.write(plans.drop, before=now - self._plan_life, plan_id=plan_id)
        return result

    async def _erase(self, scope: Scope, ids: Sequence[str], *, all_sessions: bool) -> ForgetResult:
        removed, lag = await self._store.forget(scope, ids, all_sessions=all_sessions)
        gone = set(removed.memory_ids)
        return ForgetResult(
            forgotten=tuple(dict.fromkeys(one for one in ids if one in gone)),
            entities_removed=removed.entity_ids,
            entities_left=removed.entities_left,
            sessions=removed.sessions,
            not_found=tuple(dict.fromkeys(one for one in ids if one not in gone)),
            degraded=() if lag is None else (f"forgotten, but an index still has to follow: {lag}",),
        )

    @property
    def _plan_life(self) -> timedelta:
        return timedelta(minutes=self._config.forget.plan_ttl_minutes)


async def rebuild(config: Config, progress: Callable[[int, int], None]) -> Rebuilt:
    """Make both indexes anew from the ledger with the configured embedder; `progress` gets (done, total).

    Raises StoreError, also when the folder is in use, and EmbeddingError.
    """
    embedder = create_embedder(config.embedding)
    try:
        return await stores.rebuild(config, MemoryEmbedder(embedder), progress)
    finally:
        await embedder.aclose()


def _passes(memory: Memory, where: Filter) -> bool:
    """The filter once more, for what a signal brought that could not apply it."""
    return (
        (not where.kinds or memory.kind in where.kinds)
        and (where.since is None or memory.observed_at >= where.since)
        and (where.until is None or memory.observed_at <= where.until)
    )


def _drafts(
    scope: Scope, request: AddRequest, source: str | None, now: datetime, session_ttl_days: float
) -> list[Draft]:
    scope.owner(request.level)  # a level without its id is refused before anything is made

    def memory(text: str, default_kind: Kind, said_at: datetime | None, **said_by: str | None) -> Memory:
        return Memory.model_validate(
            {
                "id": new_id("m"),
                "text": text,
                "kind": request.kind or default_kind,
                "level": request.level,
                **scope.model_dump(),
                **said_by,
                "source": source,
                "observed_at": said_at or now,
                "recorded_at": now,
                "valid_from": request.valid_from,
                "valid_until": request.valid_until,
                "expires_at": now + timedelta(days=session_ttl_days) if request.level == "session" else None,
                "importance": request.importance,
                "metadata": request.metadata,
            }
        )

    if request.content is not None:
        said = [(memory(request.content, "fact", request.observed_at), request.observed_at)]
    else:
        said = [
            (memory(message.content, "message", time, role=message.role, speaker=message.name), time)
            for message in request.messages
            for time in (message.time or request.observed_at,)
        ]
    named = _named_by_caller([one for one, _ in said], request.entities, request.relations)
    return [
        Draft(one, entities, relations, told_apart_by=_told_apart_by(one, said_at))
        for (one, said_at), (entities, relations) in zip(said, named, strict=True)
    ]


def _told_apart_by(memory: Memory, said_at: datetime | None) -> str:
    """What happens at a time happens again at another; a fact said twice is one fact."""
    if memory.kind not in ("message", "event"):
        return ""
    return f"{memory.session_id or ''}\x1f{iso(said_at) if said_at else ''}"


def _named_by_caller(
    memories: Sequence[Memory], entities: tuple[NewEntity, ...], relations: tuple[NewRelation, ...]
) -> list[tuple[tuple[NewEntity, ...], tuple[NewRelation, ...]]]:
    """Who is mentioned where: what the caller named where its words stand, or else what the rules find.

    What the caller named and no text contains belongs to the last memory: a conversation is about it all the
    same.
    """
    if not entities and not relations:
        return [(tuple(_found_by_rules(memory)), ()) for memory in memories]
    texts = [f" {' '.join(_WORDS.findall(name_key(memory.text)))} " for memory in memories]

    def places(*names: str) -> list[int]:
        keys = [" ".join(_WORDS.findall(name_key(name))) for name in names]
        found = [place for place, text in enumerate(texts) if any(key and f" {key} " in text for key in keys)]
        return found or [len(texts) - 1]

    # Relations alone say nothing of what else is mentioned, nor of what type their ends are.
    mentioned = _speaker if entities else _found_by_rules
    named: list[tuple[list[NewEntity], list[NewRelation]]] = [(mentioned(memory), []) for memory in memories]
    for entity in entities:
        for place in places(entity.name, *entity.aliases):
            named[place][0].append(entity)
    for relation in relations:
        both = set(places(relation.subject)) & set(places(relation.object))
        named[max(both or places(relation.subject, relation.object))][1].append(relation)
    return [(tuple(of_entities), tuple(of_relations)) for of_entities, of_relations in named]


_WORDS = re.compile(r"\w+")


def _found_by_rules(memory: Memory) -> list[NewEntity]:
    found = [NewEntity(name=one.name, type=one.type) for one in find_entities(memory.text)]
    return [*_speaker(memory), *found]


def _speaker(memory: Memory) -> list[NewEntity]:
    return [] if memory.speaker is None else [NewEntity(name=memory.speaker, type="person")]
