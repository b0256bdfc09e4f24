"""Who and what memories speak of: shown, and made one or two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import anyio.to_thread

from mcp_memory import resolving
from mcp_memory.embedding import Embedder
from mcp_memory.errors import (
    EmbedderChanged,
    EmbeddingError,
    EntityNotFound,
    IndexFailed,
    InvalidInput,
    shown,
)
from mcp_memory.models import (
    EntitiesMerged,
    EntitiesParted,
    EntitiesRequest,
    EntitiesResult,
    EntitiesReview,
    Entity,
    EntityDetail,
    EntityRef,
    EntitySplit,
    MaybeOne,
    Memory,
    Scope,
    name_key,
)
from mcp_memory.retrieval import CANDIDATES
from mcp_memory.store import Store
from mcp_memory.store.candidates import IDS_PER_FILTER, Filter
from mcp_memory.store.ledger import comparisons, entities, merging

ENTITY_MEMORIES = 20
ENTITY_NEIGHBOURS = 20
ENTITY_FACTS = 100
"""Memories, entities one step away, and facts, shown of one entity."""
SPOKEN_OF = 20
NEAR_SIMILARITY = 0.25
"""Memories that tell who is meant by a query that is nobody's name, and the least cosine of each."""
REVIEWED = 2_000
"""Entities of one domain that are compared with each other, the most mentioned: embedding their names takes
some seconds."""


class Entities:
    """The entities of one data folder. What each of its use-cases means stands in `mcp_memory.service`."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._ledger = store.ledger
        self._embedder = embedder

    async def page(self, scope: Scope, request: EntitiesRequest, patience: float) -> EntitiesResult:
        if request.entity is not None:
            detail = await self._whole(scope, request.entity)
            return EntitiesResult(entities=(detail.entity,), total=1, detail=detail)
        page, total = await self._ledger.read(
            entities.page,
            scope,
            key_part=name_key(request.query or ""),
            types=request.types,
            limit=request.limit,
            offset=request.offset,
        )
        result = EntitiesResult(entities=page, total=total)
        if request.query is None or total:
            return result
        await self._store.opened(patience)
        return await self._near(scope, request, request.query)

    async def merge(self, scope: Scope, kept: str, gone: str) -> EntitiesMerged:
        into = await self.one(scope, "kept", kept)
        other = await self.one(scope, "gone", gone)
        if into.id == other.id:
            return await self._merged_before(scope, into, gone)
        done = await self._store.merge_entities(scope, into.id, other.id)
        if done is None:
            raise EntityNotFound(gone)
        return EntitiesMerged(kept=_ref(into), gone=_ref(other), memories=done.memories)

    async def split(self, scope: Scope, entity: str) -> EntitySplit:
        parts = await self._ledger.read(merging.merged, scope, entity)
        parts = parts or await self._ledger.read(merging.merged_into, scope, entity)
        if not parts:
            await self.named(scope, entity)
            raise InvalidInput("entity", f"{shown(entity)} was not merged; there is nothing to split")
        part, *others = parts
        if others:
            raise InvalidInput("entity", f"several were merged there; give the id of one: {_told(parts)}")
        done = await self._store.split_entity(scope, part.id)
        if done is None:
            raise EntityNotFound(entity)
        kept = None if done.kept is None else _ref(done.kept)
        return EntitySplit(entity=done.other, memories=done.memories, kept=kept)

    async def review(self, scope: Scope, limit: int) -> EntitiesReview:
        pairs: list[MaybeOne] = []
        degraded: tuple[str, ...] = ()
        told = await self._ledger.read(merging.told, scope)
        for of_domain in await self._ledger.read(merging.reviewed, scope, REVIEWED):
            known = [entity for entity, _ in of_domain]
            called = [one for _, one in of_domain]
            try:
                vectors = await self._embedder.embed([one.name for one in known]) if known else None
            except EmbeddingError as error:
                vectors, degraded = None, (f"compared by their letters only: {error}",)
            two = await self._ledger.read(merging.parted, [one.id for one in known])
            place = {one.id: number for number, one in enumerate(known)}
            here = [(place[one], place[other]) for one, other in told if one in place and other in place]
            for pair in await anyio.to_thread.run_sync(resolving.to_review, called, vectors, here):
                one, other = known[pair.one], known[pair.other]
                if (min(one.id, other.id), max(one.id, other.id)) not in two:
                    pairs.append(MaybeOne(one=one, other=other, score=pair.score, why=pair.why))
        pairs.sort(key=lambda pair: -pair.score)
        return EntitiesReview(pairs=tuple(pairs[:limit]), total=len(pairs), degraded=degraded)

    async def part(self, scope: Scope, one: str, other: str) -> EntitiesParted:
        first = await self.one(scope, "one", one)
        second = await self.one(scope, "other", other)
        if first.id == second.id:
            raise InvalidInput(
                "other", f"{shown(other)} is the same entity; `mcp-memory entities split` takes a merge back"
            )
        await self._ledger.write(merging.part, first.id, second.id)
        return EntitiesParted(one=_ref(first), other=_ref(second))

    async def mentioning(self, scope: Scope, entity: str | None) -> tuple[str, ...] | None:
        """Ids of the memories that mention it; None where no entity is asked for. Raises EntityNotFound."""
        if entity is None:
            return None
        # All that are called so: whoever asks by a name does not know that there are two.
        found = [
            await self._store.mentioning(one.id, IDS_PER_FILTER) for one in await self.named(scope, entity)
        ]
        return tuple(dict.fromkeys(memory_id for ids in found for memory_id in ids))

    async def one(self, scope: Scope, field: str, entity: str) -> Entity:
        """The one that this means. Raises EntityNotFound, InvalidInput for `field` where a name is that of
        several."""
        found, *others = await self.named(scope, entity)
        if others:
            told = _told([found, *others])
            raise InvalidInput(field, f"several are called {shown(entity)}; give an id: {told}")
        return found

    async def named(self, scope: Scope, entity: str) -> tuple[Entity, ...]:
        """All that this may mean, likeliest first. Raises EntityNotFound."""
        found = await self._ledger.read(entities.find, scope, entity)
        if not found and (told := resolving.asked_for(entity)) != entity:
            found = await self._ledger.read(entities.find, scope, told)
        if not found:
            raise EntityNotFound(entity)
        return found

    async def _merged_before(self, scope: Scope, kept: Entity, gone: str) -> EntitiesMerged:
        """The answer to a merge that was made already, as by a call that is repeated."""
        parts = await self._ledger.read(merging.merged, scope, gone)
        if len(parts) != 1:
            raise InvalidInput("gone", f"{shown(gone)} is that entity already; give two, or split it first")
        return EntitiesMerged(kept=_ref(kept), gone=parts[0], memories=kept.mentions)

    async def _whole(self, scope: Scope, name: str) -> EntityDetail:
        ledger = self._ledger
        entity, *namesakes = await self.named(scope, name)
        near = await self._store.neighbours(entity.id, ENTITY_NEIGHBOURS)
        # The graph knows no scope: only neighbours that a visible memory mentions are shown.
        visible, _ = await ledger.read(entities.page, scope, ids=near, limit=len(near) or 1)
        by_id: dict[str, Entity] = {one.id: one for one in visible}
        timeline, total = await ledger.read(entities.statements, scope, entity.id, ENTITY_FACTS)
        now = datetime.now(UTC)
        return EntityDetail(
            entity=entity,
            relations=await ledger.read(entities.relations, scope, entity_id=entity.id),
            memories=await ledger.read(entities.mentions_of, scope, entity.id, ENTITY_MEMORIES),
            neighbours=tuple(_ref(by_id[one]) for one in near if one in by_id),
            facts=await ledger.read(
                comparisons.without_restated, [one for one in reversed(timeline) if _holds(one, now)]
            ),
            timeline=timeline,
            earlier=total - len(timeline),
            namesakes=tuple(map(_ref, namesakes)),
        )

    async def _near(self, scope: Scope, request: EntitiesRequest, query: str) -> EntitiesResult:
        """Who and what is most spoken of in the memories nearest to a query in meaning."""
        where = Filter(scope=scope, now=datetime.now(UTC))
        try:
            embedded = await self._embedder.embed_query(query)
            meant = await self._store.dense(embedded.vector, where, SPOKEN_OF)
        except (EmbeddingError, IndexFailed, EmbedderChanged) as error:
            return EntitiesResult(entities=(), total=0, degraded=(f"without similarity in meaning: {error}",))
        scores = {one.memory_id: one.score for one in meant if one.score >= NEAR_SIMILARITY}
        ids = await self._ledger.read(entities.most_spoken_of, scope, scores, CANDIDATES)
        known, _ = await self._ledger.read(
            entities.page, scope, ids=ids, types=request.types, limit=len(ids) or 1
        )
        order = {entity_id: place for place, entity_id in enumerate(ids)}
        near = sorted(known, key=lambda one: order[one.id])[request.offset :][: request.limit]
        return EntitiesResult(entities=(), total=0, near=tuple(near))


def _ref(entity: EntityRef) -> EntityRef:
    return EntityRef(id=entity.id, name=entity.name, type=entity.type)


def _told(entities: Sequence[EntityRef]) -> str:
    return ", ".join(f"{one.id} ({shown(one.name)}, {one.type})" for one in entities)


def _holds(fact: Memory, now: datetime) -> bool:
    return fact.state == "active" and (fact.valid_until is None or fact.valid_until > now)
