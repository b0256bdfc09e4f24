"""The use-case of searching: every signal asked, their sum ranked, judged, and packed into an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio.to_thread

from mcp_memory import text
from mcp_memory.answer import make_cursor, most_hits, pack, read_cursor, with_neighbours
from mcp_memory.background import side_by_side
from mcp_memory.choosing import Chosen, choose
from mcp_memory.conditions import read_condition
from mcp_memory.confidence import Judgement, judge
from mcp_memory.config import SearchConfig
from mcp_memory.embedded import EmbeddedQuery
from mcp_memory.embedding import Embedder
from mcp_memory.errors import EmbedderChanged, EmbeddingError, IndexFailed, RerankerFailed
from mcp_memory.models import (
    Change,
    Hit,
    Memory,
    Repetition,
    Scope,
    SearchRequest,
    SearchResult,
    Succession,
    name_key,
)
from mcp_memory.reranking import create_reranker
from mcp_memory.retrieval import CANDIDATES, Query, Ranked, Signals, fuse, late_scores, read_query
from mcp_memory.store import Store
from mcp_memory.store.candidates import IDS_PER_FILTER, Candidate, Filter
from mcp_memory.store.ledger import entities, facts, filters, index_work, memories

if TYPE_CHECKING:
    from mcp_memory.store.lexicon import Reading

MENTIONS = 200
"""Memories up to which an entity named in a query tells which of them is meant; who is mentioned more often
does not."""
FOLLOWED = 2
"""Successors shown of one hit, which may have said several things."""
COMPARED = 30
"""Hits among which contradictions are looked for, though fewer are shown."""
CHANGES = 200
NEAR = 50
"""Changes that are looked at, and the best of the ranked that tell which of them the query is about."""
STANDING = 50
"""Standing memories among which the best are chosen, the most important first."""
SURE = 5
"""Hits that fit every answer: a standing memory among them need not be shown as one."""
STANDING_WEIGHTS = (0.5, 0.3, 0.2)
"""Of importance, of relevance to the query, and of having been rated useful."""


class Searcher:
    """Searches one store."""

    def __init__(self, store: Store, embedder: Embedder, config: SearchConfig) -> None:
        self._reranker = create_reranker(config.reranker)
        self._store = store
        self._ledger = store.ledger
        self._embedder = embedder
        self._config = config

    async def search(
        self, request: SearchRequest, where: Filter, entity_ids: tuple[str, ...] | None
    ) -> SearchResult:
        """The answer to a query. `entity_ids` confines it to these memories. Raises InvalidInput for a cursor
        of another question."""
        scope = where.scope
        offset = read_cursor(scope, request)
        query = read_query(request.query, request.reference_time)
        where, allowed = await self._narrowed(where, entity_ids)
        found, degraded = await self.signals(query, where, allowed)
        ranked = fuse(query, found, self._config.weights)
        judgement = judge(ranked, found)
        limit = request.limit or self._config.limit
        max_tokens = request.max_tokens or self._config.max_tokens
        enough = max(offset + most_hits(limit, max_tokens), COMPARED)
        if self._reranker is not None:
            enough = max(enough, self._config.reranker.depth)
        chosen, total = await choose(self._ledger, query, where, ranked, allowed, enough)
        if self._reranker is not None:
            chosen = await self._reranked(request.query, chosen, degraded)
        followed = await self._followed(where, chosen)
        chosen = _current_first(chosen, followed)
        shown, conflicts = await self._joined(chosen)
        page = shown[offset : offset + limit]
        hits = await self._hits(scope, query, request, page, conflicts, followed, judgement)
        standing = () if where.is_narrow else await self._standing(scope, ranked, shown)
        changes = await self._changes(scope, request, ranked) if request.changes else ()
        result = pack(
            hits,
            standing,
            changes,
            known=judgement.known or bool(changes),
            total=total - (len(chosen) - len(shown)),
            offset=offset,
            max_tokens=max_tokens,
            cursor=lambda shown: make_cursor(scope, request, offset + shown),
            degraded=degraded,
        )
        if result.known:
            result = with_neighbours(result, await self._beside(scope, found, result), max_tokens)
        return result

    async def signals(
        self, query: Query, where: Filter, allowed: Mapping[str, int] | None = None
    ) -> tuple[Signals, list[str]]:
        """All signals side by side; one that fails is missing from the answer, which then says so. `allowed`
        has the numbers (seq) of all that a narrow filter lets through, by id."""
        degraded: list[str] = []
        embedded: EmbeddedQuery | None = None
        dense: tuple[Candidate, ...] = ()
        worded: tuple[Candidate, ...] = ()
        mentions: tuple[tuple[str, str], ...] = ()
        reading: Reading | None = None

        async def by_meaning() -> None:
            nonlocal dense, embedded
            try:
                self._store.require_vectors()
                embedded = await self._embedder.embed_query(query.text)
                dense = await self._store.dense(embedded.vector, where, CANDIDATES)
            except (EmbeddingError, IndexFailed, EmbedderChanged) as error:
                degraded.append(f"without similarity in meaning: {error}")

        async def by_words() -> None:
            nonlocal worded, reading
            reading = await self._store.read_words(where.scope, query.words)
            if reading is not None:
                worded = reading.best(CANDIDATES, None if allowed is None else allowed.values())
            else:
                try:
                    worded = await self._store.full_text(query.words, where, CANDIDATES)
                except (IndexFailed, EmbedderChanged) as error:
                    degraded.append(f"without shared words: {error}")
            if waiting := await self._ledger.read(index_work.pending_count):
                degraded.append(f"{waiting} memories are found by their words only until they are indexed")

        async def by_entities() -> None:
            nonlocal mentions
            known = await self._ledger.read(entities.resolve, where.scope, query.names)
            if entity_ids := sorted({one for ids in known.values() for one in ids}):
                mentions, problem = await self._store.rare_mentions(entity_ids, MENTIONS)
                if problem is not None:
                    degraded.append(f"entities were looked up in the ledger: {problem}")

        async with side_by_side() as tasks:
            tasks.start_soon(by_meaning)
            tasks.start_soon(by_words)
            tasks.start_soon(by_entities)
        if allowed is not None:
            dense = tuple(one for one in dense if one.memory_id in allowed)
            mentions = tuple(pair for pair in mentions if pair[0] in allowed)
        named: list[str] = [pair[0] for pair in mentions]
        ids = list(dict.fromkeys([*(one.memory_id for one in (*dense, *worded)), *named]))
        late = await self._late(embedded, (*dense, *worded), degraded)
        said_at, exact = await self._read_closely(query, where.scope, ids, worded)
        found = Signals(
            dense=dense,
            text=worded,
            late=late,
            mentions=mentions,
            said_at=said_at,
            exact=exact,
            rated=await self._ledger.read(memories.ratings, ids),
        )
        if reading is not None:
            found = replace(
                found,
                worded=reading.describe(ids),
                unknown=reading.unknown,
                strangers=reading.strangers(query.capitals),
            )
        return found, degraded

    async def _narrowed(
        self, where: Filter, entity_ids: tuple[str, ...] | None
    ) -> tuple[Filter, dict[str, int] | None]:
        """The filter as the indexes take it, and all that it lets through, None for everything."""
        if entity_ids is not None:
            where = replace(where, ids=entity_ids)
        if not where.is_narrow:
            return where, None
        allowed = await self._ledger.read(filters.matching, where)
        if where.needs_ledger:
            latest = sorted(allowed, key=lambda memory_id: -allowed[memory_id])[:IDS_PER_FILTER]
            where = replace(where, ids=tuple(latest))
        return where, allowed

    async def _late(
        self, embedded: EmbeddedQuery | None, candidates: Sequence[Candidate], degraded: list[str]
    ) -> dict[str, float]:
        if embedded is None or embedded.tokens is None:
            return {}
        ids = list(dict.fromkeys(one.memory_id for one in candidates))
        try:
            tokens = await self._store.tokens(ids)
        except (IndexFailed, EmbedderChanged) as error:
            degraded.append(f"without similarity in meaning: {error}")
            return {}
        return await anyio.to_thread.run_sync(late_scores, embedded, tokens)

    async def _read_closely(
        self, query: Query, scope: Scope, ids: Sequence[str], worded: Sequence[Candidate]
    ) -> tuple[dict[str, datetime], frozenset[str]]:
        """When candidates were said, and which hold a phrase of the query: looked up only if it has any."""
        if not query.dates and not query.phrases:
            return {}, frozenset()
        rows = await self._ledger.read(memories.by_id, scope, ids)
        by_words = (rows[one.memory_id] for one in worded if one.memory_id in rows)
        exact = (one.id for one in by_words if any(phrase in name_key(one.said) for phrase in query.phrases))
        return {one.id: one.observed_at for one in rows.values()}, frozenset(exact)

    async def aclose(self) -> None:
        if self._reranker is not None:
            await self._reranker.aclose()

    async def _reranked(self, query: str, chosen: list[Chosen], degraded: list[str]) -> list[Chosen]:
        """The first of them in the order a cross-encoder gives them."""
        depth = self._config.reranker.depth
        if self._reranker is None or not chosen:
            return chosen
        try:
            scores = await self._reranker.scores(query, [one.memory.said for one in chosen[:depth]])
        except RerankerFailed as error:
            degraded.append(f"not looked at again: {error}")
            return chosen
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        return [*(chosen[place] for place in order), *chosen[depth:]]

    async def _followed(self, where: Filter, chosen: Sequence[Chosen]) -> dict[str, tuple[Succession, ...]]:
        """By id of what is chosen, what took its place; that of a fact which was found too comes first."""
        ids = [one.memory.id for one in chosen]
        followed = await self._ledger.read(facts.followed, where.scope, ids, where.valid_until)
        ended = {one.memory.id: one.ended for one in chosen}

        def is_beside_the_point(memory_id: str, one: Succession) -> int:
            found = (memory_id, *ended[memory_id])
            return found.index(one.old.id) if one.old.id in found else len(found)

        return {
            memory_id: tuple(sorted(ends, key=lambda one: is_beside_the_point(memory_id, one)))
            for memory_id, ends in followed.items()
        }

    async def _joined(self, chosen: Sequence[Chosen]) -> tuple[list[Chosen], dict[str, list[Memory]]]:
        """What is left when of two that contradict each other the later one shows the earlier; and those, by
        the id of the later."""
        ids = [one.memory.id for one in chosen]
        pairs = await self._ledger.read(entities.conflicts, ids)
        by_id = {one.memory.id: one.memory for one in chosen}
        earlier: dict[str, list[Memory]] = {}
        for one, other in pairs:
            old, new = sorted((by_id[one], by_id[other]), key=lambda memory: (memory.observed_at, memory.id))
            earlier.setdefault(new.id, []).append(old)
        return _newest_first(chosen, earlier), earlier

    async def _hits(
        self,
        scope: Scope,
        query: Query,
        request: SearchRequest,
        page: Sequence[Chosen],
        conflicts: Mapping[str, Sequence[Memory]],
        followed: Mapping[str, tuple[Succession, ...]],
        judgement: Judgement,
    ) -> list[Hit]:
        """What was chosen as hits, with what took the place of it."""
        ids = [one.memory.id for one in page]
        said_again = await self._ledger.read(memories.repetitions, ids)
        hits: list[Hit] = []
        for one in page:
            memory = one.memory
            times, last = said_again.get(memory.id, (0, memory.observed_at))
            times, last = times + one.times, max(last, one.last or last)
            whole = text.one_line(memory.text, None)
            hits.append(
                Hit(
                    memory=memory,
                    score=round(one.ranked.score, 4),
                    confidence=judgement.band(one.ranked.memory_id),
                    shown=whole
                    if request.detail == "full"
                    else text.excerpt(memory.text, query.words.split()),
                    signals=one.ranked.signals if request.explain else (),
                    repeated=Repetition(times=times, last=last) if times > 1 else None,
                    conflicts=tuple(conflicts.get(memory.id, ())),
                    followed=followed.get(memory.id, ())[:FOLLOWED],
                    facts=one.facts,
                )
            )
        return hits

    async def _changes(
        self, scope: Scope, request: SearchRequest, ranked: Sequence[Ranked]
    ) -> tuple[Change, ...]:
        """What began and what ended, first what the query is about, the latest first."""
        assert request.since is not None
        until = request.until or request.reference_time or datetime.now(UTC)
        found = await self._ledger.read(facts.changes, scope, request.since, until, CHANGES)
        sources = await self._ledger.read(facts.origins, [memory.id for memory, _, _ in found])
        near = {one.memory_id for one in ranked[:NEAR]}

        def is_beside_the_point(change: Change) -> bool:
            return near.isdisjoint((change.memory.id, *sources.get(change.memory.id, ())))

        changes = (Change(memory=memory, event=event, at=at) for memory, event, at in found)
        return tuple(sorted(changes, key=is_beside_the_point))

    async def _standing(
        self, scope: Scope, ranked: Sequence[Ranked], shown: Sequence[Chosen]
    ) -> tuple[Memory, ...]:
        """Preferences and procedures that are not among the first hits anyway, best first."""
        held = await self._ledger.read(memories.standing, scope, STANDING)
        if not held:
            return ()
        hits = {one.memory.id for one in shown[:SURE]}
        relevance = {one.memory_id: one.score for one in ranked}
        rated = await self._ledger.read(memories.ratings, [one.id for one in held])
        by_importance, by_relevance, by_rating = STANDING_WEIGHTS

        def worth(memory: Memory) -> float:
            return (
                by_importance * memory.importance
                + by_relevance * relevance.get(memory.id, 0.0)
                + by_rating * rated.get(memory.id, 0.0)
            )

        return tuple(sorted((one for one in held if one.id not in hits), key=worth, reverse=True))

    async def _beside(
        self, scope: Scope, found: Signals, result: SearchResult
    ) -> dict[str, tuple[Memory, ...]]:
        """The turns just before and after each hit."""
        near = {
            hit.memory.id: [
                one
                for one in (found.worded[hit.memory.id].previous, found.worded[hit.memory.id].following)
                if one is not None
            ]
            for hit in result.hits
            if hit.memory.id in found.worded
        }
        wanted = list(dict.fromkeys(one for ids in near.values() for one in ids))
        rows = await self._ledger.read(memories.by_id, scope, wanted)
        return {
            memory_id: tuple(rows[one] for one in ids if one in rows)
            for memory_id, ids in near.items()
            if ids
        }


def _current_first(chosen: Sequence[Chosen], followed: Mapping[str, Sequence[Succession]]) -> list[Chosen]:
    """What holds now before what it took the place of, where the query has found the ended fact itself."""
    shown_as = {memory.id: one for one in chosen for memory in (one.memory, *one.facts)}
    ordered: dict[str, Chosen] = {}
    for one in chosen:
        ends = followed.get(one.memory.id, ())
        if ends and ends[0].old.id in (one.memory.id, *one.ended):
            current = shown_as.get(ends[0].new.id)
            if current is not None:
                better = max(one.ranked, current.ranked, key=lambda ranked: ranked.score)
                ordered.setdefault(current.memory.id, replace(current, ranked=better))
        ordered.setdefault(one.memory.id, one)
    return list(ordered.values())


def _newest_first(page: Sequence[Chosen], earlier: Mapping[str, Sequence[Memory]]) -> list[Chosen]:
    """The page without what is shown below its contradiction, which takes the better place of the two."""
    below = {old.id: new for new, olds in earlier.items() for old in olds}
    by_id = {one.memory.id: one for one in page}
    places: dict[str, Chosen] = {}
    for one in page:
        newest = one.memory.id
        # Times order every chain of contradictions, so each ends.
        while newest in below:
            newest = below[newest]
        places.setdefault(newest, replace(by_id[newest], ranked=one.ranked))
    return list(places.values())


def filter_of(scope: Scope, request: SearchRequest) -> Filter:
    """What a request lets through."""
    as_of = request.as_of
    return Filter(
        scope=scope,
        now=datetime.now(UTC),
        kinds=request.kinds,
        levels=request.levels,
        since=request.since,
        until=as_of or request.until,
        valid_since=as_of or request.valid_since,
        valid_until=as_of or request.valid_until,
        condition=None if request.where is None else read_condition(request.where),
    )
