"""The use-case of searching: every signal asked, their sum ranked, judged, and packed into an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mcp_memory import text
from mcp_memory.answer import Shown, make_cursor, most_hits, pack, read_cursor, with_neighbours
from mcp_memory.background import side_by_side
from mcp_memory.choosing import Chosen, by_relevance, choose, current_first, later_first, newest_first
from mcp_memory.conditions import read_condition
from mcp_memory.confidence import LOOKED_AT, Judgement, judge
from mcp_memory.config import SearchConfig, Weights
from mcp_memory.embedded import EmbeddedQuery
from mcp_memory.embedding import Embedder
from mcp_memory.errors import EmbedderChanged, EmbeddingError, IndexFailed, RerankerFailed
from mcp_memory.models import (
    Change,
    Confidence,
    Hit,
    Later,
    Memory,
    Repetition,
    Scope,
    SearchRequest,
    SearchResult,
    Succession,
    name_key,
)
from mcp_memory.reranking import create_reranker
from mcp_memory.retrieval import CANDIDATES, Query, Ranked, Signals, fuse, late_of, nearness, read_query
from mcp_memory.staleness import Update, later_told, told_anew
from mcp_memory.store import Store
from mcp_memory.store.candidates import IDS_PER_FILTER, Candidate, Filter
from mcp_memory.store.ledger import Connection, entities, facts, filters, index_work, memories

if TYPE_CHECKING:
    from mcp_memory.store.lexicon import Reading

MENTIONS = 200
"""Memories up to which an entity named in a query tells which of them is meant; who is mentioned more often
does not."""
ASKED = CANDIDATES * 3 // 2
"""Of the nearest, so that enough are left without those that only say again what others say."""
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
WRONG = -0.75
"""Rating from which downward a standing memory is not put before everybody any more."""
STANDING_WEIGHTS = (0.5, 0.3, 0.2)
"""Of importance, of relevance to the query, and of having been rated useful."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request with what was left open in it filled in. `shown` is what the pages before have; `allowed` has
    the numbers (seq) of all that a narrow filter lets through, by id."""

    request: SearchRequest
    query: Query
    where: Filter
    allowed: Mapping[str, int] | None
    mentioning: frozenset[str] | None
    """All that mentions the entity that was asked about; None where none was."""
    shown: Shown
    limit: int
    max_tokens: int
    reading: Reading | None
    pairs_by_words: bool
    ever: _Ever | None
    """Where changes were asked for that words alone may tell."""

    @property
    def scope(self) -> Scope:
        return self.where.scope

    @property
    def is_filtered_exactly(self) -> bool:
        """Whether it asks for what mentions an entity, or has some metadata."""
        return self.mentioning is not None or self.where.condition is not None


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What the indexes brought, to be read more closely. `tokens` are packed, by memory id."""

    dense: tuple[Candidate, ...] = ()
    worded: tuple[Candidate, ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()
    embedded: EmbeddedQuery | None = None
    tokens: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    reading: Reading | None = None


@dataclass(frozen=True, slots=True)
class _Ever:
    """The same query asked of all that was said, before the time whose changes are asked for too."""

    where: Filter
    allowed: Mapping[str, int] | None
    gathered: _Gathered
    weights: Weights


@dataclass(frozen=True, slots=True)
class _Ranking:
    """All candidates in order, and the best of them as the ledger has them; `total` is how many there may be
    in all. `judged` has, by memory id, who says how sure it is."""

    ranked: tuple[Ranked, ...]
    judged: Mapping[str, Judgement]
    known: bool
    chosen: Sequence[Chosen]
    total: int


class Searcher:
    """Searches one store. With `pairs_by_words` answers about now show beside what was said what its speaker
    said later of it: for where no model compares the two."""

    def __init__(
        self, store: Store, embedder: Embedder, config: SearchConfig, *, pairs_by_words: bool = False
    ) -> None:
        self._pairs_by_words = pairs_by_words
        self._reranker = create_reranker(config.reranker)
        self._store = store
        self._ledger = store.ledger
        self._embedder = embedder
        self._config = config

    async def search(
        self,
        request: SearchRequest,
        where: Filter,
        entity_ids: tuple[str, ...] | None,
        *,
        others: Sequence[str] = (),
        degraded: Sequence[str] = (),
    ) -> SearchResult:
        """The answer to a query. `entity_ids` confines it to these memories; `others` are other ways to put
        the question; `degraded` is what could not be done for it before. Raises InvalidInput for a cursor of
        another question."""
        shown = read_cursor(where.scope, request)
        query = read_query(request.query, request.reference_time)
        ever = replace(where, since=None)
        where, allowed = await self._narrowed(where, entity_ids)
        gathered, problems = await self._gather(query, where, allowed)
        put_otherwise: list[tuple[Query, _Gathered]] = []
        for one in others:
            other = read_query(one, request.reference_time)
            found, more = await self._gather(other, where, allowed)
            put_otherwise.append((other, found))
            problems += more
        asks_of_before = request.changes and self._pairs_by_words and request.cursor is None
        before = await self._ask_ever(query, ever, entity_ids, problems) if asks_of_before else None
        problems = list(dict.fromkeys((*degraded, *problems)))
        asked = _Asked(
            request,
            query,
            where,
            allowed,
            None if entity_ids is None else frozenset(entity_ids),
            shown,
            request.limit or self._config.limit,
            request.max_tokens or self._config.max_tokens,
            gathered.reading,
            self._pairs_by_words,
            before,
        )
        enough = max(len(shown.numbers) + most_hits(asked.limit, asked.max_tokens), COMPARED)
        weights, readings = self._config.weights, ((query, gathered), *put_otherwise)
        if self._reranker is None:

            def at_once(connection: Connection) -> SearchResult:
                ranking = _rank(connection, asked, readings, weights, enough)
                return _answer(connection, asked, ranking, problems)

            return await self._ledger.read(at_once)
        enough = max(enough, self._config.reranker.depth)
        ranking = await self._ledger.read(_rank, asked, readings, weights, enough)
        chosen = await self._reranked(request.query, ranking.chosen, problems)
        return await self._ledger.read(_answer, asked, replace(ranking, chosen=chosen), problems)

    async def signals(self, query: Query, where: Filter) -> tuple[Signals, list[str]]:
        """What every signal says; one that fails is missing, and the list says so."""
        gathered, degraded = await self._gather(query, where, None)
        return await self._ledger.read(_read_closely, query, where.scope, gathered), degraded

    async def aclose(self) -> None:
        if self._reranker is not None:
            await self._reranker.aclose()

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

    async def _ask_ever(
        self, query: Query, where: Filter, entity_ids: tuple[str, ...] | None, degraded: list[str]
    ) -> _Ever:
        where, allowed = await self._narrowed(where, entity_ids)
        gathered, problems = await self._gather(query, where, allowed)
        degraded += problems
        return _Ever(where, allowed, gathered, self._config.weights)

    async def _gather(
        self, query: Query, where: Filter, allowed: Mapping[str, int] | None
    ) -> tuple[_Gathered, list[str]]:
        """Candidates of all signals, asked side by side; one that fails is missing from the answer, which
        then says so."""
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
                dense = await self._store.dense(embedded.vector, where, ASKED)
            except (EmbeddingError, IndexFailed, EmbedderChanged) as error:
                degraded.append(f"without similarity in meaning: {error}")

        async def by_words() -> None:
            nonlocal worded, reading
            reading = await self._store.read_words(where.scope, query.words)
            if reading is not None:
                worded = reading.best(CANDIDATES, None if allowed is None else allowed.values())
                return
            try:
                worded = await self._store.full_text(query.words, where, ASKED)
            except (IndexFailed, EmbedderChanged) as error:
                degraded.append(f"without shared words: {error}")

        async def by_entities() -> None:
            nonlocal mentions
            known, waiting = await self._ledger.read(_look_around, where.scope, query)
            if waiting:
                degraded.append(f"{_found_by_words(waiting)} only until indexed")
            if known:
                mentions, problem = await self._store.rare_mentions(known, MENTIONS)
                if problem is not None:
                    degraded.append(f"entities were looked up in the ledger: {problem}")

        async with side_by_side() as tasks:
            tasks.start_soon(by_meaning)
            tasks.start_soon(by_words)
            tasks.start_soon(by_entities)
        if allowed is not None:
            dense = tuple(one for one in dense if one.memory_id in allowed)
            mentions = tuple(pair for pair in mentions if pair[0] in allowed)
        tokens: Mapping[str, bytes] = {}
        if embedded is not None and embedded.tokens is not None:
            try:
                tokens = await self._store.tokens(
                    list(dict.fromkeys(one.memory_id for one in (*dense, *worded)))
                )
            except (IndexFailed, EmbedderChanged) as error:
                degraded.append(f"without similarity in meaning: {error}")
        return _Gathered(dense, worded, mentions, embedded, tokens, reading), degraded

    async def _reranked(self, query: str, chosen: Sequence[Chosen], degraded: list[str]) -> Sequence[Chosen]:
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


def _found_by_words(waiting: int) -> str:
    if waiting == 1:
        return "1 memory is found by its words"
    return f"{waiting} memories are found by their words"


def _look_around(connection: Connection, scope: Scope, query: Query) -> tuple[list[str], int]:
    """Ids of the entities that a query names, and how many memories it sees that wait to be
    indexed."""
    known = entities.resolve(connection, scope, query.names)
    return sorted({one for ids in known.values() for one in ids}), index_work.pending_of(connection, scope)


def _rank(
    connection: Connection,
    asked: _Asked,
    readings: Sequence[tuple[Query, _Gathered]],
    weights: Weights,
    enough: int,
) -> _Ranking:
    """The candidates in order, the best `enough` of them read. Of several ways to put the question, each
    memory has the place of the one that finds it best."""
    best: dict[str, tuple[Ranked, Judgement]] = {}
    known = False
    for query, gathered in readings:
        if not asked.where.kinds:
            gathered = _without_repetitions(connection, gathered)  # noqa: PLW2901 - the same, but less of it
        found = _read_closely(connection, query, asked.scope, gathered)
        ranked = fuse(query, found, weights)
        judgement = judge(query, ranked, found)
        known |= judgement.known
        for one in ranked:
            if one.memory_id not in best or one.score > best[one.memory_id][0].score:
                best[one.memory_id] = (one, judgement)
    # Stable: with one way to put it, the order is its own.
    in_order = sorted(best.values(), key=lambda one: -one[0].score)
    ranked = tuple(one for one, _ in in_order)
    chosen, total = choose(connection, asked.query, asked.where, asked.allowed, ranked, enough)
    judged = {one.memory_id: judgement for one, judgement in in_order}
    return _Ranking(ranked, judged, known, chosen, total)


def _without_repetitions(connection: Connection, gathered: _Gathered) -> _Gathered:
    """Without facts that rules have drawn: they say again what the words say that they were drawn from, and
    are shown with those."""
    ids = [
        *(one.memory_id for one in (*gathered.dense, *gathered.worded)),
        *(one for one, _ in gathered.mentions),
    ]
    drawn = facts.by_rules(connection, list(dict.fromkeys(ids)))
    dense = [one for one in gathered.dense if one.memory_id not in drawn][:CANDIDATES]
    worded = [one for one in gathered.worded if one.memory_id not in drawn][:CANDIDATES]
    kept = {one.memory_id for one in (*dense, *worded)}
    return replace(
        gathered,
        dense=tuple(dense),
        worded=tuple(worded),
        mentions=tuple(pair for pair in gathered.mentions if pair[0] not in drawn),
        tokens={one: packed for one, packed in gathered.tokens.items() if one in kept},
    )


def _read_closely(connection: Connection, query: Query, scope: Scope, gathered: _Gathered) -> Signals:
    """What every signal says of the candidates. When they were said, and which hold a phrase of the query, is
    looked up only if it has any."""
    dense, worded, reading = gathered.dense, gathered.worded, gathered.reading
    found = Signals(dense=dense, text=worded, mentions=gathered.mentions)
    ids = found.ids
    if gathered.embedded is not None:
        rarity = None if reading is None else reading.rarity
        near = nearness(gathered.embedded, gathered.tokens, rarity)
        found = replace(found, near=near, late=late_of(near))
    if reading is not None:
        found = replace(
            found,
            worded=reading.describe(ids),
            unknown=reading.unknown,
            strangers=reading.strangers(query.capitals),
            size=reading.size,
        )
    if query.dates:
        found = replace(found, said_at=memories.observed(connection, ids))
    if query.phrases:
        rows = memories.by_id(connection, scope, [one.memory_id for one in worded]).values()
        exact = (one.id for one in rows if any(phrase in name_key(one.said) for phrase in query.phrases))
        found = replace(found, exact=frozenset(exact))
    return replace(found, rated=memories.ratings(connection, ids))


def _answer(
    connection: Connection, asked: _Asked, ranking: _Ranking, degraded: Sequence[str]
) -> SearchResult:
    """A page of what was chosen, packed into its size."""
    scope, before = asked.scope, asked.shown
    ids = [one.memory.id for one in ranking.chosen]
    followed = facts.followed(connection, scope, ids, _known_until(asked))
    chosen = current_first(asked.query, ranking.chosen, followed)
    chosen, conflicts = newest_first(connection, chosen)
    later = _later(connection, asked, ranking, chosen, followed)
    chosen = later_first(chosen, later)
    goes_on = asked.request.cursor is not None
    standing = (
        () if goes_on or asked.allowed is not None else _standing(connection, scope, ranking, chosen, later)
    )
    changes = _changes(connection, asked, ranking) if asked.request.changes and not goes_on else ()
    # A page follows only one that knew something; what a filter asked for by name is there.
    known = goes_on or ranking.known or bool(changes) or (asked.is_filtered_exactly and bool(chosen))
    numbers = memories.numbers(
        connection, [*(one for of in chosen for one in of.ids), *(one.id for one in standing)]
    )
    left = [one for one in chosen if before.numbers.isdisjoint(_numbers_of(one, numbers))]
    page = left[: asked.limit]
    shown_as = {one.memory.id: one for one in page}

    def cursor(hits: int, shown: Sequence[Memory]) -> str:
        met = [shown_as[one.id].ids if one.id in shown_as else (one.id,) for one in shown]
        own = {numbers[memory_id] for memory_ids in met for memory_id in memory_ids if memory_id in numbers}
        return make_cursor(scope, asked.request, Shown(before.hits + hits, before.numbers | own))

    result = pack(
        _hits(
            connection, asked, page, _bands(ranking, chosen, is_first=not goes_on), conflicts, followed, later
        ),
        standing,
        changes,
        known=known,
        detail=asked.request.detail,
        total=ranking.total - (len(ranking.chosen) - len(chosen)),
        before=before,
        passed_over=len(chosen) - len(left),
        max_tokens=asked.max_tokens,
        cursor=cursor,
        degraded=degraded,
    )
    if result.known:
        beside = _beside(connection, scope, ranking.judged, result)
        result = with_neighbours(result, beside, asked.max_tokens)
    return result


def _known_until(asked: _Asked) -> datetime | None:
    """After which nothing took anything's place, as far as was asked: what changed until then was followed by
    what came then, and not by what came in the end."""
    where = asked.where
    return where.valid_until or (where.until if asked.request.changes else None)


def _numbers_of(one: Chosen, numbers: Mapping[str, int]) -> set[int]:
    return {numbers[memory_id] for memory_id in one.ids if memory_id in numbers}


def _bands(ranking: _Ranking, chosen: Sequence[Chosen], *, is_first: bool) -> dict[str, Confidence]:
    """How sure each is, by memory id. What knows nothing is sure of nothing; what knows something is sure of
    its first hit at least."""
    if not ranking.known:
        return {one.memory.id: "weak" for one in chosen}
    bands: dict[str, Confidence] = {
        one.memory.id: ranking.judged[one.ranked.memory_id].band(one.ranked) for one in chosen
    }
    if is_first and all(bands[one.memory.id] == "weak" for one in chosen[:LOOKED_AT]):
        bands.update((one.memory.id, "likely") for one in chosen[:1])
    return bands


def _hits(
    connection: Connection,
    asked: _Asked,
    page: Sequence[Chosen],
    bands: Mapping[str, Confidence],
    conflicts: Mapping[str, Sequence[Memory]],
    followed: Mapping[str, Sequence[Succession]],
    later: Mapping[str, Memory],
) -> Iterator[Hit]:
    """What was chosen as hits, with what took the place of it."""
    said_again = memories.repetitions(connection, [one.memory.id for one in page])
    words = asked.query.words.split()
    for one in page:
        memory = one.memory
        times, last = said_again.get(memory.id, (0, memory.observed_at))
        times, last = times + one.times, max(last, one.last or last)
        is_whole = asked.request.detail == "full"
        yield Hit(
            memory=memory,
            score=round(one.score, 4),
            confidence=bands[memory.id],
            shown=text.one_line(memory.text, None) if is_whole else text.excerpt(memory.text, words),
            signals=one.ranked.signals if asked.request.explain else (),
            repeated=Repetition(times=times, last=last) if times > 1 else None,
            conflicts=tuple(conflicts.get(memory.id, ())),
            followed=by_relevance(asked.query, followed.get(memory.id, ()))[:FOLLOWED],
            later=_as_later(later.get(memory.id), words),
            facts=one.facts,
        )


def _later(
    connection: Connection,
    asked: _Asked,
    ranking: _Ranking,
    chosen: Sequence[Chosen],
    followed: Mapping[str, Sequence[Succession]],
) -> Mapping[str, Memory]:
    """What was told later of the same thing, by the id of the earlier, where an answer about now may need it
    and nothing that was understood says it."""
    where = asked.where
    is_bounded = any((where.since, where.until, where.valid_since, where.valid_until))
    if not asked.pairs_by_words or not ranking.known or asked.query.asks_past or is_bounded:
        return {}
    looked_at = [one.memory for one in chosen[:COMPARED]]
    called = entities.also_called(connection, asked.scope, asked.query.names)
    told = later_told(looked_at, asked.request.query, asked.reading, called)
    return {
        one.id: told[one.id]
        for one in looked_at
        if one.id in told and not followed.get(one.id) and one.valid_until is None
    }


def _as_later(memory: Memory | None, words: Sequence[str]) -> Later | None:
    if memory is None:
        return None
    return Later(memory=memory, shown=text.excerpt(memory.text, words))


def _changes(connection: Connection, asked: _Asked, ranking: _Ranking) -> tuple[Change, ...]:
    """What began, what ended and what was told anew of what the filters ask for by kind, level or entity:
    first what the query is about, the latest first."""
    request = asked.request
    assert request.since is not None
    until = request.until or request.as_of or request.reference_time or datetime.now(UTC)
    found = facts.changes(connection, asked.scope, request.since, until, CHANGES)
    sources = facts.origins(connection, [memory.id for memory, _, _ in found])
    of_ever = _ranked_ever(connection, asked)
    # What ended was mostly said before the time asked about, which the hits leave out.
    near = {one.memory_id for found in (ranking, of_ever) if found is not None for one in found.ranked[:NEAR]}

    def is_beside_the_point(change: Change) -> bool:
        ids = (change.memory.id, *sources.get(change.memory.id, ()))
        return change.event != "told" and near.isdisjoint(ids)

    def is_asked_for(memory: Memory) -> bool:
        fits = not request.kinds or memory.kind in request.kinds
        fits = fits and (not request.levels or memory.level in request.levels)
        about = (memory.id, *sources.get(memory.id, ()))
        return fits and (asked.mentioning is None or not asked.mentioning.isdisjoint(about))

    understood = (
        Change(memory=memory, event=event, at=at) for memory, event, at in found if is_asked_for(memory)
    )
    told = (_as_change(one, request) for one in _told_anew(connection, asked, ranking, of_ever, until))
    latest_first = sorted((*understood, *told), key=lambda one: one.at, reverse=True)
    return tuple(sorted(latest_first, key=is_beside_the_point))


def _ranked_ever(connection: Connection, asked: _Asked) -> _Ranking | None:
    """What the same query finds in all that was said; None where it was not asked for."""
    if (ever := asked.ever) is None:
        return None
    # The filters let through the same as for the hits, so far as it is not for the time.
    of_ever = replace(asked, where=ever.where, allowed=ever.allowed)
    return _rank(connection, of_ever, ((asked.query, ever.gathered),), ever.weights, COMPARED)


def _told_anew(
    connection: Connection, asked: _Asked, ranking: _Ranking, found: _Ranking | None, until: datetime
) -> Iterator[Update]:
    """What words alone tell of changes in the time asked about, the earlier words from any time before, where
    nothing that was understood tells it; none where nothing known answers the query."""
    since = asked.request.since
    if found is None or since is None or not (found.known or ranking.known):
        return
    updates = told_anew(
        [one.memory for one in ranking.chosen[:COMPARED] if one.memory.observed_at <= until],
        [one.memory for one in found.chosen[:COMPARED]],
        asked.request.query,
        asked.reading,
        entities.also_called(connection, asked.scope, asked.query.names),
    )
    followed = facts.followed(connection, asked.scope, [one.old.id for one in updates], None)
    for one in updates:
        if not any(since <= end.at <= until for end in followed.get(one.old.id, ())):
            yield one


def _as_change(update: Update, request: SearchRequest) -> Change:
    new, old = update.new, update.old
    if request.detail != "full":
        new, old = text.cut_around(new, update.after), text.cut_around(old, update.before)
    return Change(memory=new, event="told", at=update.new.observed_at, earlier=old)


def _standing(
    connection: Connection,
    scope: Scope,
    ranking: _Ranking,
    shown: Sequence[Chosen],
    later: Mapping[str, Memory],
) -> tuple[Memory, ...]:
    """Preferences and procedures that are not among the first hits anyway, best first."""
    held = memories.standing(connection, scope, STANDING)
    if not held:
        return ()
    # Where nothing answers, what is nearest is beside the point, and these are not.
    hits = {one.memory.id for one in shown[:SURE]} if ranking.known else set[str]()
    if retold := hits.intersection(later):
        # Among the hits are the words it was drawn from, and beside them what was told since.
        drawn = facts.origins(connection, [one.id for one in held])
        hits |= {one for one, sources in drawn.items() if not retold.isdisjoint(sources)}
    relevance = {one.memory_id: one.score for one in ranking.ranked}
    rated = memories.ratings(connection, [one.id for one in held])
    by_importance, by_relevance, by_rating = STANDING_WEIGHTS

    def worth(memory: Memory) -> float:
        return (
            by_importance * memory.importance
            + by_relevance * relevance.get(memory.id, 0.0)
            + by_rating * rated.get(memory.id, 0.0)
        )

    holds = (one for one in held if one.id not in hits and rated.get(one.id, 0.0) > WRONG)
    return tuple(sorted(holds, key=worth, reverse=True))


def _beside(
    connection: Connection, scope: Scope, judged: Mapping[str, Judgement], result: SearchResult
) -> dict[str, tuple[Memory, ...]]:
    """The turns just before and after each hit."""
    near = {
        hit.memory.id: [one for one in (worded.previous, worded.following) if one is not None]
        for hit in result.hits
        if (judgement := judged.get(hit.memory.id)) is not None
        and (worded := judgement.found.worded.get(hit.memory.id)) is not None
    }
    wanted = list(dict.fromkeys(one for ids in near.values() for one in ids))
    rows = memories.by_id(connection, scope, wanted)
    return {
        memory_id: tuple(rows[one] for one in ids if one in rows) for memory_id, ids in near.items() if ids
    }


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
