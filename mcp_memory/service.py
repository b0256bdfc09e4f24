"""The use-cases: add, search, entities, forget, get, and what is read around them. Each takes a Scope."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

from mcp_memory import resolving
from mcp_memory.background import background
from mcp_memory.config import Config
from mcp_memory.consolidating import Consolidating
from mcp_memory.embedding import Embedder, MemoryEmbedder, create_embedder
from mcp_memory.errors import (
    EmbedderChanged,
    EmbeddingError,
    EntityNotFound,
    ExtractionFailed,
    IndexFailed,
    InvalidInput,
    MemoryNotFound,
    NoModel,
    NothingHidden,
    PlanExpired,
    PlanNotFound,
    QuotaReached,
    SessionNotFound,
    TokenNotFound,
    shown,
)
from mcp_memory.extraction import RulesExtractor, create_model, find_entities
from mcp_memory.folder import OwnerRecord
from mcp_memory.guard import admit, is_small_talk, reads_like_instruction
from mcp_memory.metering import MeteredModel
from mcp_memory.models import (
    MAX_ANSWER_TOKENS,
    Added,
    AddRequest,
    AddResult,
    Comparison,
    Consolidated,
    EntitiesMerged,
    EntitiesParted,
    EntitiesRequest,
    EntitiesResult,
    EntitiesReview,
    Entity,
    EntityDetail,
    EntityRef,
    EntitySplit,
    ExtractionHealth,
    ForgetPlan,
    ForgetRequest,
    ForgetResult,
    FoundToken,
    Health,
    Hidden,
    HistoryEvent,
    Kind,
    MaybeOne,
    Memory,
    MemoryDetail,
    Merged,
    NewEntity,
    NewRelation,
    NewToken,
    Profile,
    Quota,
    Rating,
    Rebuilding,
    Receipt,
    Scope,
    SearchRequest,
    SearchResult,
    SessionSummary,
    Stats,
    Succession,
    Token,
    TokenRequest,
    Unforgotten,
    iso,
    name_key,
)
from mcp_memory.news import News, Touched
from mcp_memory.profiling import Portraits
from mcp_memory.rates import CallRates
from mcp_memory.reconciling import says_the_same
from mcp_memory.retrieval import CANDIDATES
from mcp_memory.search import Searcher, filter_of
from mcp_memory.store import Draft, Later, Store, Written
from mcp_memory.store.candidates import IDS_PER_FILTER, Filter
from mcp_memory.store.ledger import (
    Connection,
    comparisons,
    entities,
    extractions,
    facts,
    forgetting,
    memories,
    merging,
    plans,
    tokens,
    writes,
)
from mcp_memory.store.ledger.entities import FUNCTIONAL
from mcp_memory.store.ledger.facts import Statement, digest
from mcp_memory.store.ledger.memories import Selection
from mcp_memory.store.ledger.rows import scope_of
from mcp_memory.store.ledger.schema import new_id
from mcp_memory.understanding import KNOWN, TOGETHER, Understanding

NEIGHBOURS = 2
"""Turns shown before and after a memory that is looked at whole."""
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
PLAN_EXAMPLES = 10
"""Memories that a plan of forgetting shows; the count says how many there are."""
FORGET_SIMILARITY = 0.6
"""Cosine from which a memory counts as being about what is to be forgotten. Strict: the plan can be widened
by asking again, but what was forgotten cannot be brought back."""
WAIT_SECONDS = 45.0
"""A call that waits for facts waits so long at most: a host drops one after about sixty."""
NEAREST = 5
"""Memories looked at for one that says the same."""
RELATED_CHARACTERS = 4_000
"""Of a passage, by which facts near it are found."""
FACT_KINDS: tuple[Kind, ...] = ("fact", "preference", "event", "plan", "procedure")
LASTING: tuple[Kind, ...] = ("preference", "procedure", "fact")
PROFILE_OF_A_KIND = 50
"""Kinds that make up the profile, for they hold whatever is asked; and how many of each."""
USAGE_DAYS = 7
"""Days of which `stats` tells what they cost."""
PATIENCE = 30.0
"""Seconds a call waits for indexes that are being opened, before it does with what there is."""


class Service:
    """The memory of one data folder."""

    def __init__(self, config: Config, store: Store, embedder: Embedder) -> None:
        self._config = config
        self._store = store
        self._ledger = store.ledger
        self._embedder = embedder
        self.searcher = Searcher(store, embedder, config.search)
        model = create_model(config, reads_like_instruction)
        self._model = None if model is None else MeteredModel(model, store.ledger, config.llm)
        self._understanding = self._create_understanding()
        self._portraits: Portraits | None = None
        self._rates = CallRates()
        self.news = News()

    def _create_understanding(self) -> Understanding | None:
        if self._config.extraction.provider == "off":
            return None
        rules = RulesExtractor(reads_like_instruction)
        return Understanding(self._store, self._model, rules, self._config, self._related)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, config: Config, record: OwnerRecord | None = None, *, wait: float = 1.0
    ) -> AsyncGenerator[Service]:
        """The memory in `config.data_dir`; while it is open no other process can open it. `record` tells
        others who holds it; a folder about to be freed is waited for `wait` seconds. Raises StoreError."""
        embedder = create_embedder(config.embedding)
        try:
            async with Store.open(config, MemoryEmbedder(embedder), record, wait=wait) as store:
                service = cls(config, store, embedder)
                try:
                    async with background() as tasks:
                        if service._model is not None and config.extraction.profile:
                            service._portraits = Portraits(service._model, tasks)
                        if service._understanding is not None:
                            tasks.start_soon(service._understanding.run)
                        yield service
                finally:
                    with anyio.CancelScope(shield=True):
                        await service.searcher.aclose()
                        if service._model is not None:
                            await service._model.aclose()
        finally:
            with anyio.CancelScope(shield=True):
                await embedder.aclose()

    async def add(
        self,
        scope: Scope,
        request: AddRequest,
        *,
        source: str | None = None,
        write_id: str | None = None,
        patience: float = PATIENCE,
        quota: Quota | None = None,
    ) -> AddResult:
        """Remember one statement or a conversation. `source` is the client, taken from its connection.
        Raises QuotaReached when it would be more than the user may keep.

        When it answers, every word is on disk; `degraded` says if it is not yet searchable by every signal.
        The same `write_id` again is stored once and answered again.
        """
        now = datetime.now(UTC)

        def admitted() -> tuple[AddRequest, tuple[str, ...], list[Draft]]:
            # Looking for secrets takes a millisecond a message.
            safe, notes = admit(request, self._config.guard.secrets)
            return safe, notes, _drafts(scope, safe, source, now, self._config.memory.session_ttl_days)

        request, notes, drafts = await anyio.to_thread.run_sync(admitted)
        if quota is not None:
            await self._keep_within(quota, drafts)
        if request.sources:
            known = await self._ledger.read(memories.by_id, scope, request.sources)
            if missing := [one for one in request.sources if one not in known]:
                raise InvalidInput(
                    "sources", f"no memory {shown(missing[0])} here; give ids of visible memories"
                )
        is_repeated = write_id is not None and await self._ledger.read(writes.find, write_id) is not None
        # What happens at a time happens again at another, in whatever words.
        if request.content is not None and not is_repeated and not drafts[0].told_apart_by:
            same = await self._said_already(scope, drafts[0])
            if same is not None:
                return same.model_copy(update={"notes": notes})
        together = TOGETHER if self._understanding is not None else 0
        is_quick = self._understanding is not None and self._understanding.is_quick
        written, lag = await self._store.write(
            drafts,
            write_id=write_id,
            patience=patience,
            read_together=together,
            understand=self._understand_at_once if is_quick else None,
        )
        work_ids = _work_of(written)
        if self._understanding is not None and work_ids and not is_quick:
            if request.wait:
                await self._understanding.read(work_ids, WAIT_SECONDS)
            else:
                self._understanding.begin()
        named = {entity.id: entity for one in written for entity in one.entities}
        ids = [one.id for one in written]
        (facts_drawn, ended), (waiting, problems) = await self._ledger.read(_came_of, scope, ids, work_ids)
        indexed = () if lag is None else (f"stored, and so far found by its words only: {lag}",)
        return AddResult(
            memories=tuple(Added(id=one.id, status=one.status) for one in written),
            entities=tuple(named.values()),
            facts=facts_drawn,
            ended=ended,
            waiting=waiting,
            notes=notes,
            degraded=(*indexed, *(f"stored, without facts so far: {one}" for one in problems)),
        )

    async def _understand_at_once(self, written: Sequence[Written], later: Later) -> None:
        assert self._understanding is not None
        await self._understanding.read_at_once(_work_of(written), later)

    async def _keep_within(self, quota: Quota, drafts: Sequence[Draft]) -> None:
        count, size = await self._ledger.read(memories.kept, drafts[0].memory.user_id)
        if quota.memories and count + len(drafts) > quota.memories:
            raise QuotaReached("memories", quota.memories)
        more = sum(len(draft.memory.text.encode()) for draft in drafts)
        if quota.bytes and size + more > quota.bytes:
            raise QuotaReached("bytes of text", quota.bytes)

    async def _said_already(self, scope: Scope, draft: Draft) -> AddResult | None:
        """A statement in the very words of something that is remembered, as when an assistant saves what it
        has just been told by a search, is not stored beside it."""
        memory = draft.memory
        reading = await self._store.read_words(scope, memory.text)
        if reading is None:
            return None
        near = [one.memory_id for one in reading.best(NEAREST)]
        known = await self._ledger.read(memories.by_id, scope, near)
        level = scope.owner(memory.level)
        same = next(
            (
                one
                for one in (known[memory_id] for memory_id in near if memory_id in known)
                if one.state == "active"
                and scope_of(one).owner(one.level) == level
                and says_the_same(memory.text, one)
            ),
            None,
        )
        if same is None:
            return None
        event = HistoryEvent(event="repeated", at=memory.recorded_at, source=memory.source)
        named = await self._store.say_again(same.id, draft, event)
        return AddResult(memories=(Added(id=same.id, status="duplicate"),), entities=named)

    async def _related(self, scope: Scope, words: str) -> tuple[Memory, ...]:
        """Facts that hold and are near a text, the nearest first."""
        request = SearchRequest(
            query=words[:RELATED_CHARACTERS], kinds=FACT_KINDS, limit=KNOWN, max_tokens=MAX_ANSWER_TOKENS
        )
        result = await self.searcher.search(request, filter_of(scope, request), None)
        return tuple(hit.memory for hit in result.hits)

    async def retry(self) -> int:
        """Draw facts again, at once, from all that waits or has failed; answers how many writes that is."""
        count = await self._ledger.write(extractions.retry, datetime.now(UTC))
        if self._understanding is not None:
            self._understanding.begin()
        return count

    async def consolidate(self, scope: Scope, entity: str | None = None) -> Consolidated:
        """Compare the facts about one entity, the given one or that with the newest fact: what is said again,
        what ended what. Raises NoModel, EntityNotFound, InvalidInput, ExtractionFailed."""
        if self._model is None:
            raise NoModel("comparing facts")
        one = None if entity is None else await self._one_entity(scope, "entity", entity)
        consolidating = Consolidating(self._store, self._embedder, self._model)
        return await consolidating.next(scope, None if one is None else one.id)

    async def unconsolidate(self, scope: Scope) -> int:
        """Take back all that `consolidate` has found; answers how much that was."""
        return await self._ledger.write(comparisons.undo, scope)

    async def profile(self, scope: Scope, *, wait: float = 0.0) -> Profile:
        """What holds whatever is asked, with a portrait by the model where that is wanted, waited for so many
        seconds."""
        lasting = await self._ledger.read(memories.lasting, scope, LASTING, PROFILE_OF_A_KIND)
        if self._portraits is None or not lasting:
            return Profile(memories=lasting)
        portrait, problem = await self._portraits.of(scope, lasting, wait)
        degraded = (f"without a portrait: {problem}",) if problem else ()
        return Profile(portrait=portrait, memories=lasting, degraded=degraded)

    async def search(
        self, scope: Scope, request: SearchRequest, *, patience: float = PATIENCE
    ) -> SearchResult:
        """What answers a query, best first, packed into its size. Raises EntityNotFound for an `entity`
        nobody mentions, InvalidInput for a cursor of another question."""
        await self._store.opened(patience)
        mentioning = await self._mentioning(scope, request.entity)
        others, problems = await self._put_otherwise(scope, request)
        return await self.searcher.search(
            request, filter_of(scope, request), mentioning, others=others, degraded=problems
        )

    async def _put_otherwise(
        self, scope: Scope, request: SearchRequest
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Other ways to put a question, asked of the model where that is wanted; and why there are none."""
        if not self._config.search.rewrite or self._model is None:
            return (), ()
        try:
            now = request.reference_time or datetime.now(UTC)
            return await self._model.rewrite(scope.user_id, request.query, now), ()
        except ExtractionFailed as error:
            return (), (f"the question was not put in other words: {error}",)

    async def entities(
        self, scope: Scope, request: EntitiesRequest, *, patience: float = PATIENCE
    ) -> EntitiesResult:
        """A page of entities, or one whole with its facts and relations. Where no name has the query in it,
        whom the memories nearest to it speak of. Raises EntityNotFound."""
        if request.entity is not None:
            detail = await self._entity_detail(scope, request.entity)
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

    async def merge_entities(self, scope: Scope, kept: str, gone: str) -> EntitiesMerged:
        """Let one entity, by its name or id, count as another. Raises EntityNotFound, InvalidInput where a
        name is that of several."""
        into = await self._one_entity(scope, "kept", kept)
        other = await self._one_entity(scope, "gone", gone)
        if into.id == other.id:
            return await self._merged_before(scope, into, gone)
        done = await self._store.merge_entities(scope, into.id, other.id)
        if done is None:
            raise EntityNotFound(gone)
        return EntitiesMerged(kept=_ref(into), gone=_ref(other), memories=done.memories)

    async def split_entity(self, scope: Scope, entity: str) -> EntitySplit:
        """Take a merge back: `entity` is a name, alias or id of the one that was merged. Raises
        EntityNotFound, InvalidInput where it was not merged or several were."""
        parts = await self._ledger.read(merging.merged, scope, entity)
        parts = parts or await self._ledger.read(merging.merged_into, scope, entity)
        if not parts:
            await self._found(scope, entity)
            raise InvalidInput("entity", f"{shown(entity)} was not merged; there is nothing to split")
        part, *others = parts
        if others:
            raise InvalidInput("entity", f"several were merged there; give the id of one: {_told(parts)}")
        done = await self._store.split_entity(scope, part.id)
        if done is None:
            raise EntityNotFound(entity)
        kept = None if done.kept is None else _ref(done.kept)
        return EntitySplit(entity=done.other, memories=done.memories, kept=kept)

    async def review_entities(self, scope: Scope, limit: int = 20) -> EntitiesReview:
        """Pairs of entities that may be one, likeliest first: by their names, and by what these mean."""
        pairs: list[MaybeOne] = []
        degraded: tuple[str, ...] = ()
        for of_domain in await self._ledger.read(merging.reviewed, scope, REVIEWED):
            known = [entity for entity, _ in of_domain]
            called = [one for _, one in of_domain]
            try:
                vectors = await self._embedder.embed([one.name for one in known]) if known else None
            except EmbeddingError as error:
                vectors, degraded = None, (f"compared by their letters only: {error}",)
            two = await self._ledger.read(merging.parted, [one.id for one in known])
            for pair in await anyio.to_thread.run_sync(resolving.to_review, called, vectors):
                one, other = known[pair.one], known[pair.other]
                if (min(one.id, other.id), max(one.id, other.id)) not in two:
                    pairs.append(MaybeOne(one=one, other=other, score=pair.score, why=pair.why))
        pairs.sort(key=lambda pair: -pair.score)
        return EntitiesReview(pairs=tuple(pairs[:limit]), total=len(pairs), degraded=degraded)

    async def part_entities(self, scope: Scope, one: str, other: str) -> EntitiesParted:
        """Note that two entities are two. Raises EntityNotFound, InvalidInput."""
        first = await self._one_entity(scope, "one", one)
        second = await self._one_entity(scope, "other", other)
        if first.id == second.id:
            raise InvalidInput(
                "other", f"{shown(other)} is the same entity; `mcp-memory entities split` takes a merge back"
            )
        await self._ledger.write(merging.part, first.id, second.id)
        return EntitiesParted(one=_ref(first), other=_ref(second))

    async def forget(
        self, scope: Scope, request: ForgetRequest, *, write_id: str | None = None
    ) -> ForgetResult:
        """Forget by ids or by a plan at once; anything wider is answered with a plan and changes nothing.
        Given the ids of forgettings that hid something, erase that now.

        The same `write_id` again is answered again. Raises PlanNotFound, PlanExpired, EntityNotFound.
        """
        repeated = write_id is not None and await self._ledger.read(writes.find, write_id) is not None
        if self._portraits is not None:
            self._portraits.let_go()
        if request.ids and request.ids[0].startswith("f_") and not repeated:
            return await self._erase_hidden(scope, request.ids, write_id)
        if request.ids or repeated:
            return await self._forget(scope, request.ids, write_id, all_sessions=False)
        if request.plan_id is not None:
            return await self._carry_out(scope, request.plan_id, write_id)
        return ForgetResult(status="planned", plan=await self._plan(scope, request))

    async def unforget(self, scope: Scope, receipt_id: str) -> Unforgotten:
        """Bring back what is hidden and not yet erased. Raises NothingHidden."""
        ids = await self._store.unforget(scope, receipt_id)
        if not ids:
            raise NothingHidden(receipt_id)
        return Unforgotten(memory_ids=ids)

    async def hidden(self, scope: Scope) -> tuple[Hidden, ...]:
        """What can still be brought back, the next to be erased first."""
        return await self._ledger.read(forgetting.hidden, scope)

    async def receipts(self, limit: int = 20) -> tuple[Receipt, ...]:
        """The latest erasures, newest first; they know no scope, for they hold nothing of anybody."""
        return await self._ledger.read(forgetting.receipts, limit)

    async def get(self, scope: Scope, memory_id: str) -> MemoryDetail:
        """One memory whole. Raises MemoryNotFound."""
        ledger = self._ledger
        memory = (await ledger.read(memories.by_id, scope, [memory_id])).get(memory_id)
        if memory is None:
            raise MemoryNotFound(memory_id)
        before, after = await ledger.read(facts.chain, scope, memory_id)
        waiting = await ledger.read(extractions.status, memory_id)
        return MemoryDetail(
            memory=memory,
            history=await ledger.read(memories.history_of, memory_id),
            sources=await ledger.read(facts.sources_of, scope, memory_id),
            facts=await ledger.read(facts.drawn_from, scope, memory_id),
            before=before,
            after=after,
            extraction=None if waiting is None else waiting[0],
            extraction_error=None if waiting is None else waiting[1],
            entities=await ledger.read(entities.mentioned_by, memory_id),
            relations=await ledger.read(entities.relations, scope, memory_id=memory_id),
            neighbours=await ledger.read(memories.around, scope, memory, NEIGHBOURS),
        )

    async def rate(self, scope: Scope, memory_id: str, rating: Rating, *, source: str | None = None) -> None:
        """Note what somebody thinks of a memory. Raises MemoryNotFound."""
        if memory_id not in await self._ledger.read(memories.by_id, scope, [memory_id]):
            raise MemoryNotFound(memory_id)
        await self._ledger.write(memories.rate, memory_id, rating, source, datetime.now(UTC))

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
        counted = await self._ledger.read(memories.stats, scope)
        return counted.model_copy(update={"extraction": await self._extraction_health()})

    async def _extraction_health(self) -> ExtractionHealth:
        waiting, failed, error = await self._ledger.read(extractions.counts)
        return ExtractionHealth(
            provider=self._config.extraction.provider,
            waiting=waiting,
            failed=failed,
            error=error,
            usage=await self._ledger.read(extractions.usage, USAGE_DAYS),
            daily_token_limit=self._config.llm.daily_token_limit,
        )

    async def health(self) -> Health:
        """Where things are and how far the indexes are; for whoever owns the data folder, like all below."""
        await self._store.opened(PATIENCE)
        health = await self._store.health()
        return health.model_copy(update={"extraction": await self._extraction_health()})

    async def compare(self, *, repair: bool = False) -> Comparison:
        """The three stores row by row; with `repair`, made to agree."""
        return await self._store.compare(repair=repair)

    async def rebuild(self) -> Rebuilding:
        """Begin to make both indexes anew; `health().pending` tells how far it is."""
        return await self._store.rebuild()

    async def merge(self, ledger: Path) -> Merged:
        """Add what another ledger holds and this one does not; what was forgotten here stays forgotten."""
        return await self._store.merge(ledger)

    async def announce(self, user_id: str, uris: Sequence[str]) -> None:
        """Tell whoever watches resources of this user that they are no longer what they were."""
        await self.news.tell(Touched(user_id=user_id, uris=tuple(uris)))

    async def create_token(self, request: TokenRequest) -> NewToken:
        """A token for a remote caller; what it says itself is not kept, and never told again."""
        now = datetime.now(UTC)
        if request.expires_at is not None and request.expires_at <= now:
            raise InvalidInput(
                "expires_at", f"{iso(request.expires_at)} is past; such a token lets nobody in"
            )
        return await self._ledger.write(tokens.create, request, now)

    async def tokens(self) -> tuple[Token, ...]:
        """All tokens, the oldest first, revoked and expired ones included."""
        return await self._ledger.read(tokens.every)

    async def revoke_token(self, token_id: str) -> Token:
        """Let a token in no more, from this moment on. Raises TokenNotFound."""
        token = await self._ledger.write(tokens.revoke, token_id, datetime.now(UTC))
        if token is None:
            raise TokenNotFound(token_id)
        return token

    async def find_token(self, digest: str, per_minute: int = 0) -> FoundToken:
        """The token of a digest, unless it is revoked or expired. With `per_minute` this counts as one of its
        calls, of which it has so many."""
        token = await self._ledger.read(tokens.find, digest)
        if token is None or not token.is_good(datetime.now(UTC)):
            return FoundToken()
        return FoundToken(token=token, wait=self._rates.count(token.id, per_minute) if per_minute else 0.0)

    async def count_call(self, caller: str, per_minute: int) -> float:
        """Count a call of a caller who has so many in a minute; the seconds to wait first, 0 for none."""
        return self._rates.count(caller, per_minute)

    async def caught_up(self, seconds: float) -> bool:
        """Wait until all that is acknowledged is indexed; whether it is."""
        return await self._store.caught_up(seconds)

    async def _mentioning(self, scope: Scope, entity: str | None) -> tuple[str, ...] | None:
        if entity is None:
            return None
        # All that are called so: whoever asks by a name does not know that there are two.
        found = [
            await self._store.mentioning(one.id, IDS_PER_FILTER) for one in await self._found(scope, entity)
        ]
        return tuple(dict.fromkeys(memory_id for ids in found for memory_id in ids))

    async def _found(self, scope: Scope, entity: str) -> tuple[Entity, ...]:
        """All that this may mean, likeliest first. Raises EntityNotFound."""
        found = await self._ledger.read(entities.find, scope, entity)
        if not found:
            raise EntityNotFound(entity)
        return found

    async def _one_entity(self, scope: Scope, field: str, entity: str) -> Entity:
        found, *others = await self._found(scope, entity)
        if others:
            told = _told([found, *others])
            raise InvalidInput(field, f"several are called {shown(entity)}; give an id: {told}")
        return found

    async def _merged_before(self, scope: Scope, kept: Entity, gone: str) -> EntitiesMerged:
        """The answer to a merge that was made already, as by a call that is repeated."""
        parts = await self._ledger.read(merging.merged, scope, gone)
        if len(parts) != 1:
            raise InvalidInput("gone", f"{shown(gone)} is that entity already; give two, or split it first")
        return EntitiesMerged(kept=_ref(kept), gone=parts[0], memories=kept.mentions)

    async def _entity_detail(self, scope: Scope, name: str) -> EntityDetail:
        ledger = self._ledger
        entity, *namesakes = await self._found(scope, name)
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

    async def _plan(self, scope: Scope, request: ForgetRequest) -> ForgetPlan:
        now = datetime.now(UTC)
        meant = () if request.entity is None else await self._found(scope, request.entity)
        selection = Selection(
            entity_ids=tuple(one.id for one in meant),
            session_id=request.session,
            before=request.before,
            ids=None if request.query is None else await self._about(scope, request.query, now),
            all_sessions=True,
            hidden=not self._config.forget.grace_days,
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
        await self._store.opened(PATIENCE)
        embedded = await self._embedder.embed_query(query)
        worded = await self._store.full_text(query, where, IDS_PER_FILTER, every_word=True)
        meant = await self._store.dense(embedded.vector, where, CANDIDATES)
        return tuple(
            dict.fromkeys(
                candidate.memory_id
                for candidate in (*worded, *(one for one in meant if one.score >= FORGET_SIMILARITY))
            )
        )

    async def _carry_out(self, scope: Scope, plan_id: str, write_id: str | None) -> ForgetResult:
        now = datetime.now(UTC)
        plan = await self._ledger.read(plans.find, scope, plan_id)
        if plan is None:
            raise PlanNotFound(plan_id)
        memory_ids, made_at = plan
        if now - made_at > self._plan_life:
            await self._ledger.write(plans.drop, before=now - self._plan_life)
            raise PlanExpired(plan_id, self._config.forget.plan_ttl_minutes)
        result = await self._forget(scope, memory_ids, write_id, all_sessions=True)
        await self._ledger.write(plans.drop, before=now - self._plan_life, plan_id=plan_id)
        return result

    async def _erase_hidden(
        self, scope: Scope, forgetting_ids: Sequence[str], write_id: str | None
    ) -> ForgetResult:
        ids = await self._ledger.read(forgetting.members, scope, forgetting_ids)
        if not ids:
            raise NothingHidden(forgetting_ids[0])
        return await self._forget(scope, ids, write_id, all_sessions=True, grace_days=0.0)

    async def _forget(
        self,
        scope: Scope,
        ids: Sequence[str],
        write_id: str | None,
        *,
        all_sessions: bool,
        grace_days: float | None = None,
    ) -> ForgetResult:
        now = datetime.now(UTC)
        due_at = now + timedelta(days=self._config.forget.grace_days if grace_days is None else grace_days)
        hiding, receipt = await self._store.forget(
            scope, ids, now=now, due_at=due_at, all_sessions=all_sessions, write_id=write_id
        )
        gone = {*hiding.memory_ids, *hiding.derived}
        not_found = tuple(dict.fromkeys(one for one in ids if one not in gone))
        if not hiding.id:
            return ForgetResult(status="nothing", not_found=not_found)
        removed = () if receipt is None else receipt.entity_ids
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
        return timedelta(minutes=self._config.forget.plan_ttl_minutes)


def _work_of(written: Sequence[Written]) -> tuple[str, ...]:
    """The work that drawing facts from these is."""
    return tuple(dict.fromkeys(one.work_id for one in written if one.work_id is not None))


def _ref(entity: EntityRef) -> EntityRef:
    return EntityRef(id=entity.id, name=entity.name, type=entity.type)


def _told(entities: Sequence[EntityRef]) -> str:
    return ", ".join(f"{one.id} ({shown(one.name)}, {one.type})" for one in entities)


def _holds(fact: Memory, now: datetime) -> bool:
    return fact.state == "active" and (fact.valid_until is None or fact.valid_until > now)


def _came_of(
    connection: Connection, scope: Scope, ids: Sequence[str], work_ids: Sequence[str]
) -> tuple[tuple[tuple[Memory, ...], tuple[Succession, ...]], tuple[bool, tuple[str, ...]]]:
    """What was drawn from memories and what that ended; and what is left to be read of them."""
    return facts.outcome(connection, scope, ids), extractions.left_of(connection, work_ids)


def _drafts(
    scope: Scope, request: AddRequest, source: str | None, now: datetime, session_ttl_days: float
) -> list[Draft]:
    scope.owner(request.level)  # a level without its id is refused before anything is made
    single = _single_valued(request)
    valid_from = request.valid_from or (None if single is None else single.valid_from)
    valid_until = request.valid_until or (None if single is None else single.valid_until)

    def memory(text: str, default_kind: Kind, said_at: datetime | None, **said_by: str | None) -> Memory:
        suspicious = reads_like_instruction(text)
        kind = request.kind or default_kind
        return Memory.model_validate(
            {
                "id": new_id("m"),
                "text": text,
                # A text that gives orders must not come back as a rule to follow.
                "kind": "fact" if suspicious and kind == "procedure" else kind,
                "level": request.level,
                **scope.model_dump(),
                **said_by,
                "source": source,
                "observed_at": said_at or now,
                "recorded_at": now,
                "valid_from": valid_from,
                "valid_until": valid_until,
                "expires_at": now + timedelta(days=session_ttl_days) if request.level == "session" else None,
                "importance": request.importance,
                "metadata": request.metadata,
                "origin": "given" if request.content is not None else "said",
                "suspicious": suspicious,
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
        Draft(
            one,
            entities,
            relations,
            _told_apart_by(one, said_at),
            sources=request.sources,
            statement=None if single is None else _given_statement(single, one),
            is_guessed=not request.entities,
            is_worth_reading=not is_small_talk(one.text),
        )
        for (one, said_at), (entities, relations) in zip(said, named, strict=True)
    ]


def _single_valued(request: AddRequest) -> NewRelation | None:
    """The one relation of a statement of which there is one at a time; None where it names several or
    none."""
    single = [one for one in request.relations if name_key(one.predicate) in FUNCTIONAL]
    return single[0] if request.content is not None and len(single) == 1 else None


def _given_statement(relation: NewRelation, memory: Memory) -> Statement:
    slot, value = digest(relation.predicate), digest(relation.object)
    return Statement(relation.subject, slot, value, until=memory.valid_until)


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
