"""The use-cases: add, search, entities, forget, get, and what is read around them. Each takes a Scope."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

from mcp_memory.background import background
from mcp_memory.config import Config
from mcp_memory.consolidating import Consolidating
from mcp_memory.drafting import drafts_of
from mcp_memory.embedding import Embedder, MemoryEmbedder, create_embedder
from mcp_memory.entities import Entities
from mcp_memory.errors import (
    ExtractionFailed,
    InvalidInput,
    MemoryNotFound,
    NoModel,
    NothingHidden,
    QuotaReached,
    SessionNotFound,
    StoreError,
    TokenNotFound,
    shown,
)
from mcp_memory.extraction import RulesExtractor, create_model
from mcp_memory.folder import OwnerRecord
from mcp_memory.forgetting import Forgetting
from mcp_memory.guard import admit, reads_like_instruction
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
    EntityRef,
    EntitySplit,
    ExtractionHealth,
    ForgetRequest,
    ForgetResult,
    FoundToken,
    Health,
    Hidden,
    HistoryEvent,
    Kind,
    Memory,
    MemoryDetail,
    Merged,
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
)
from mcp_memory.news import News, Touched
from mcp_memory.profiling import Portraits
from mcp_memory.rates import CallRates, Places
from mcp_memory.reconciling import says_the_same
from mcp_memory.search import Searcher, filter_of
from mcp_memory.store import Draft, Later, Store, Written
from mcp_memory.store.ledger import (
    Connection,
    comparisons,
    entities,
    extractions,
    facts,
    forgetting,
    memories,
    tokens,
    writes,
)
from mcp_memory.store.ledger.rows import scope_of
from mcp_memory.understanding import KNOWN, TOGETHER, Understanding

logger = logging.getLogger(__name__)

NEIGHBOURS = 2
"""Turns shown before and after a memory that is looked at whole."""
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
        self.searcher = Searcher(
            store, embedder, config.search, pairs_by_words=config.extraction.provider == "rules"
        )
        model = create_model(config, reads_like_instruction)
        self._model = None if model is None else MeteredModel(model, store.ledger, config.llm)
        self.news = News()
        self._understanding = self._create_understanding()
        self._portraits: Portraits | None = None
        self._entities = Entities(store, embedder)
        self._forgetting = Forgetting(store, embedder, self._entities, config.forget, self.news)
        self._let_in: dict[str, Token] = {}
        """Tokens by their digest, as this process alone writes them: asked for with every remote call."""
        self._revocations = 0
        self._rates = CallRates()
        self.places = Places()

    def _create_understanding(self) -> Understanding | None:
        if self._config.extraction.provider == "off":
            return None
        rules = RulesExtractor(reads_like_instruction)
        return Understanding(self._store, self._model, rules, self._config, self._related, self.news)

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
        The same `write_id` again is stored once and answered again; with other words it raises InvalidInput.
        """
        now = datetime.now(UTC)

        def admitted() -> tuple[AddRequest, tuple[str, ...], list[Draft]]:
            # Looking for secrets takes a millisecond a message.
            safe, notes = admit(request, self._config.guard.secrets)
            return safe, notes, drafts_of(scope, safe, source, now, self._config.memory.session_ttl_days)

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
        ids = [one.id for one in written]
        (facts_drawn, ended), (waiting, problems), named, about = await self._ledger.read(
            _came_of, scope, written, work_ids
        )
        await self.news.tell_of(
            scope,
            memories=(*ids, *(one.id for one in facts_drawn), *(one.old.id for one in ended)),
            entities=(*(one.id for one in named), *about),
            sessions=[scope.session_id],
        )
        indexed = () if lag is None else (f"stored, and so far found by its words only: {lag}",)
        return AddResult(
            memories=tuple(Added(id=one.id, status=one.status) for one in written),
            entities=named,
            facts=facts_drawn,
            ended=ended,
            waiting=waiting,
            notes=notes,
            degraded=(*indexed, *(f"stored, without facts so far: {one}" for one in problems)),
        )

    async def _understand_at_once(self, written: Sequence[Written], later: Later) -> None:
        assert self._understanding is not None
        try:
            await self._understanding.read_at_once(_work_of(written), later)
        except StoreError as error:
            # The words are safe, and what is to be read of them stands in the ledger.
            logger.warning("stored; facts are drawn from it later: %s", error)
            self._understanding.begin()

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
        await self.news.tell_of(
            scope, memories=[same.id], entities=[one.id for one in named], sessions=[same.session_id]
        )
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
        one = None if entity is None else await self._entities.one(scope, "entity", entity)
        consolidating = Consolidating(self._store, self._embedder, self._model)
        done = await consolidating.next(scope, None if one is None else one.id)
        if done.entity is not None and done.found:
            compared = [two.id for link in done.found for two in (link.old, link.new)]
            await self.news.tell_of(scope, memories=compared, entities=[done.entity.id])
        return done

    async def unconsolidate(self, scope: Scope) -> int:
        """Take back all that `consolidate` has found; answers how much that was."""
        old_ids = await self._ledger.write(comparisons.undo, scope)
        if old_ids:
            about = await self._ledger.read(entities.mentioned_by_any, old_ids)
            await self.news.tell_of(scope, memories=old_ids, entities=about)
        return len(old_ids)

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
        mentioning = await self._entities.mentioning(scope, request.entity)
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
        return await self._entities.page(scope, request, patience)

    async def merge_entities(self, scope: Scope, kept: str, gone: str) -> EntitiesMerged:
        """Let one entity, by its name or id, count as another. Raises EntityNotFound, InvalidInput where a
        name is that of several."""
        done = await self._entities.merge(scope, kept, gone)
        await self.news.tell_of(scope, entities=[done.kept.id, done.gone.id])
        return done

    async def split_entity(self, scope: Scope, entity: str) -> EntitySplit:
        """Take a merge back: `entity` is a name, alias or id of the one that was merged. Raises
        EntityNotFound, InvalidInput where it was not merged or several were."""
        done = await self._entities.split(scope, entity)
        await self.news.tell_of(
            scope, entities=[done.entity.id, *([] if done.kept is None else [done.kept.id])]
        )
        return done

    async def review_entities(self, scope: Scope, limit: int = 20) -> EntitiesReview:
        """Pairs of entities that may be one, likeliest first: by their names, and by what these mean."""
        return await self._entities.review(scope, limit)

    async def part_entities(self, scope: Scope, one: str, other: str) -> EntitiesParted:
        """Note that two entities are two. Raises EntityNotFound, InvalidInput."""
        return await self._entities.part(scope, one, other)

    async def forget(
        self, scope: Scope, request: ForgetRequest, *, write_id: str | None = None
    ) -> ForgetResult:
        """Forget by ids or by a plan at once; anything wider is answered with a plan and changes nothing.
        Given the ids of forgettings that hid something, erase that now.

        The same `write_id` again is answered again. Raises PlanNotFound, PlanExpired, EntityNotFound, and
        InvalidInput for a `write_id` that was another's.
        """
        repeated = write_id is not None and await self._ledger.read(writes.find, write_id) is not None
        if self._portraits is not None:
            self._portraits.let_go()
        if request.ids and request.ids[0].startswith("f_") and not repeated:
            return await self._forgetting.erase_hidden(scope, request.ids, write_id)
        if request.ids or repeated:
            return await self._forgetting.forget(scope, request.ids, write_id, all_sessions=False)
        if request.plan_id is not None:
            return await self._forgetting.carry_out(scope, request.plan_id, write_id)
        return ForgetResult(status="planned", plan=await self._forgetting.plan(scope, request, PATIENCE))

    async def unforget(self, scope: Scope, receipt_id: str) -> Unforgotten:
        """Bring back what is hidden and not yet erased. Raises NothingHidden."""
        ids = await self._store.unforget(scope, receipt_id)
        if not ids:
            raise NothingHidden(receipt_id)
        back = await self._ledger.read(memories.by_id, scope, ids)
        await self.news.tell_of(
            scope,
            memories=ids,
            entities=await self._ledger.read(entities.mentioned_by_any, ids),
            sessions=[one.session_id for one in back.values()],
        )
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
        await self.news.tell_of(scope, memories=[memory_id])

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
        merged = await self._store.merge(ledger)
        for user_id in await self._ledger.read(memories.users):
            await self.news.tell(Touched(user_id=user_id))
        return merged

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
        self._revocations += 1
        self._let_in.clear()
        if token is None:
            raise TokenNotFound(token_id)
        return token

    async def find_token(self, digest: str, per_minute: int = 0) -> FoundToken:
        """The token of a digest, unless it is revoked or expired. With `per_minute` this counts as one of its
        calls, of which it has so many."""
        token = self._let_in.get(digest)
        if token is None:
            revocations = self._revocations
            token = await self._ledger.read(tokens.find, digest)
            # One that was revoked while it was read is not kept: nobody would take it out again.
            if token is not None and revocations == self._revocations:
                self._let_in[digest] = token
        if token is None or not token.is_good(datetime.now(UTC)):
            return FoundToken()
        return FoundToken(token=token, wait=self._rates.count(token.id, per_minute) if per_minute else 0.0)

    async def count_call(self, caller: str, per_minute: int) -> float:
        """Count a call of a caller who has so many in a minute; the seconds to wait first, 0 for none."""
        return self._rates.count(caller, per_minute)

    async def take_place(self, place: str, most: int, by: str) -> bool:
        """Begin, in the process that is called `by`, what a caller may have `most` of at once; whether it
        may."""
        return self.places.take(place, most, by)

    async def leave_place(self, place: str, by: str) -> None:
        """End it."""
        self.places.leave(place, by)

    async def caught_up(self, seconds: float) -> bool:
        """Wait until all that is acknowledged is indexed; whether it is."""
        return await self._store.caught_up(seconds)


def _work_of(written: Sequence[Written]) -> tuple[str, ...]:
    """The work that drawing facts from these is."""
    return tuple(dict.fromkeys(one.work_id for one in written if one.work_id is not None))


def _named_by(connection: Connection, written: Sequence[Written]) -> tuple[EntityRef, ...]:
    """Whom memories mention that were just written, now that they may be understood: what is understood of
    words may tell that somebody else is meant than was thought when they were noted."""
    thought = {entity.id: entity for one in written for entity in one.entities}
    meant = frozenset(entities.mentioned_by_any(connection, [one.id for one in written]))
    if meant.issuperset(thought):
        return tuple(thought.values())
    now = {entity.id: entity for one in written for entity in entities.mentioned_by(connection, one.id)}
    return tuple(({one: ref for one, ref in thought.items() if one in meant} | now).values())


def _came_of(
    connection: Connection, scope: Scope, written: Sequence[Written], work_ids: Sequence[str]
) -> tuple[
    tuple[tuple[Memory, ...], tuple[Succession, ...]],
    tuple[bool, tuple[str, ...]],
    tuple[EntityRef, ...],
    tuple[str, ...],
]:
    """What was drawn from memories and what that ended; what is left to be read of them; whom they mention;
    and ids of the entities that their facts mention."""
    drawn, ended = facts.outcome(connection, scope, [one.id for one in written])
    about = entities.mentioned_by_any(connection, [one.id for one in drawn])
    left = extractions.left_of(connection, work_ids)
    return (drawn, ended), left, _named_by(connection, written), about
