"""The three stores of a data folder as one: the ledger is the truth, vectors and graph are derived from
it."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

import anyio
import anyio.to_thread

from mcp_memory import __version__, residue
from mcp_memory.background import background
from mcp_memory.config import Config
from mcp_memory.embedded import Embedded
from mcp_memory.errors import (
    EmbedderChanged,
    IndexFailed,
    IndexOpening,
    LedgerMissing,
    McpMemoryError,
    StoreError,
)
from mcp_memory.folder import Folder, OwnerRecord, file_system_warning, held
from mcp_memory.models import (
    Comparison,
    Difference,
    EntityRef,
    Health,
    HistoryEvent,
    IndexHealth,
    Memory,
    Merged,
    Rebuilding,
    Receipt,
    Scope,
)
from mcp_memory.store import comparison
from mcp_memory.store.allocator import release, tune
from mcp_memory.store.candidates import Candidate, Filter
from mcp_memory.store.ledger import Ledger, backups, entities, forgetting, index_work, memories, merging
from mcp_memory.store.ledger.forgetting import Due, Hiding, Looked
from mcp_memory.store.ledger.index_work import Pending
from mcp_memory.store.ledger.memories import Draft, Understood, Written
from mcp_memory.store.ledger.merging import Regrouped

# lancedb and kuzu take two seconds to import: the ledger serves meanwhile, so they are imported late.
if TYPE_CHECKING:
    import numpy as np
    import sqlalchemy as sa
    from numpy.typing import NDArray

    from mcp_memory.store.graph import Graph
    from mcp_memory.store.ledger.index_work import GraphRows
    from mcp_memory.store.lexicon import Lexicons, Reading
    from mcp_memory.store.vectors import VectorTable

__all__ = ["Draft", "Embed", "Store", "Written"]

logger = logging.getLogger(__name__)

_Index = TypeVar("_Index", "VectorTable", "Graph")
_Result = TypeVar("_Result")

BATCH = 256
"""Memories embedded and written to the indexes at once, when catching up or rebuilding."""
RETRY_SECONDS = 30.0
"""Pause before index work that failed is tried again."""
TIDY_SECONDS = 1.5
"""Time to compact the table when closing: a host waits two seconds for its server to end, then kills it."""
INTERRUPTED = "not looked for: the process that erased it ended before it had looked, and the words are gone"
DIFFERENCES = 200
"""Differences named in one comparison; the total counts all."""


class Embed(Protocol):
    """Makes the vectors of memories. The store knows nothing of models; `identity` names who made what."""

    @property
    def identity(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def replaces(self) -> tuple[str, ...]: ...

    async def check(self) -> None:
        """Raises EmbeddingError when it cannot embed."""
        ...

    async def embed_memories(self, memories: Sequence[Memory]) -> Embedded: ...


@dataclass(slots=True)
class _Place(Generic[_Index]):
    """Where an index is, or for what reason it is not there."""

    name: Literal["vectors", "graph"]
    index: _Index | None = None
    problem: McpMemoryError | None = None
    lost: _Index | None = None
    """What was taken out of use and is not closed yet."""
    is_damaged: bool = False
    """What lies there cannot be read and is to be set aside."""

    def get(self) -> _Index:
        if self.index is None:
            raise self.problem or IndexOpening(self.name)
        return self.index


class Store:
    """One open data folder. `open` holds it; while it is open no other process can.

    The ledger serves from the first moment. The indexes are opened behind it, and mended when they are lost:
    what they cannot answer meanwhile raises IndexFailed.
    """

    def __init__(self, ledger: Ledger, folder: Folder, embed: Embed, config: Config) -> None:
        self.ledger = ledger
        self._folder = folder
        self._embed = embed
        self._config = config
        self._vectors: _Place[VectorTable] = _Place("vectors")
        self._graph: _Place[Graph] = _Place("graph")
        self._applying = anyio.Lock()
        self._in_flight: set[str] = set()
        self._wake = anyio.Event()
        self._settled = anyio.Event()
        self._lexicons: Lexicons | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, config: Config, embed: Embed, record: OwnerRecord | None = None, *, wait: float = 1.0
    ) -> AsyncGenerator[Store]:
        """The stores of `config.data_dir`, made if need be, with upkeep in the background. `record` says to
        others who holds the folder, which is waited for `wait` seconds.

        Raises StoreError: the folder cannot be written, is in use, or was written by a newer version.
        """
        tune()
        folder = Folder(config.data_dir)
        with held(folder, record or OwnerRecord(os.getpid(), __version__), wait):
            if not folder.ledger.exists() and any(folder.vectors.rglob("*.lance")):
                raise LedgerMissing(folder.ledger)
            ledger = await Ledger.open(folder.ledger)
            store = cls(ledger, folder, embed, config)
            try:
                async with background() as tasks:
                    tasks.start_soon(store._keep_up)
                    yield store
            finally:
                with anyio.CancelScope(shield=True):
                    await store._close()

    async def _close(self) -> None:
        if self._graph.index is not None:
            await self._graph.index.close()
        if self._vectors.index is not None:
            await _tidied(self._vectors.index)
            self._vectors.index.close()
        await self.ledger.close()

    async def opened(self, seconds: float) -> None:
        """Wait, so long at most, until the indexes are open, or known not to be."""
        with anyio.move_on_after(seconds):
            await self._settled.wait()

    async def caught_up(self, seconds: float) -> bool:
        """Wait, so long at most, until the indexes have all that is acknowledged; whether they have."""
        with anyio.move_on_after(seconds):
            # What an index lacks is known once it is open.
            await self._settled.wait()
            while await self.ledger.read(index_work.pending_count):
                await anyio.sleep(0.05)
            return True
        return False

    async def write(
        self,
        drafts: Sequence[Draft],
        *,
        write_id: str | None = None,
        patience: float,
        read_together: int = 0,
    ) -> tuple[tuple[Written, ...], McpMemoryError | None]:
        """Store all drafts or none, then index them. Facts are to be drawn from what is new, `read_together`
        memories at a time; 0 for none.

        When this returns they are on disk in the ledger. The error, if any, is why the indexes lag: they are
        caught up in the background. A repeated `write_id` is answered again. Raises StoreError if the ledger
        refused; then nothing was stored.
        """
        return await self._written(
            drafts,
            partial(memories.write, drafts=drafts, write_id=write_id, read_together=read_together),
            patience,
        )

    async def understand(
        self, work_id: str, understood: Understood, *, patience: float
    ) -> tuple[tuple[Written, ...], McpMemoryError | None]:
        """Store what was drawn from the words of some work, once, and index it; else as `write`."""
        work = partial(memories.understand, work_id=work_id, understood=understood)
        written, lag = await self._written(understood.drafts, work, patience)
        if understood.notes and lag is None:
            lag = await self._index_again([note.memory_id for note in understood.notes])
        return written, lag

    async def say_again(self, memory_id: str, draft: Draft, event: HistoryEvent) -> tuple[EntityRef, ...]:
        """Note that a memory was said again; answers what it mentions."""
        named = await self.ledger.write(memories.say_again, memory_id, draft.entities, draft.relations, event)
        await self._index_again([memory_id])
        return named

    async def _index_again(self, ids: Sequence[str]) -> McpMemoryError | None:
        """Bring the indexes up to date with what is noted of these, as far as anything changed."""
        pending = await self.ledger.read(index_work.pending_ids)
        changed = await self.ledger.read(index_work.to_index, [one for one in ids if one in pending])
        try:
            if changed:
                await self._apply(changed, await self._embed.embed_memories(changed), are_new=False)
        except McpMemoryError as error:
            self._wake.set()
            return error
        return None

    async def _written(
        self,
        drafts: Sequence[Draft],
        work: Callable[[sa.Connection], tuple[Written, ...]],
        patience: float,
    ) -> tuple[tuple[Written, ...], McpMemoryError | None]:
        ids = {draft.memory.id for draft in drafts}
        self._in_flight |= ids
        try:
            written = await self.ledger.write(work)
            new_ids = ids.intersection(one.id for one in written if one.is_new)
            lag = None
            if new_ids:
                await self.opened(patience)
                lag = await self._index_new([draft.memory for draft in drafts if draft.memory.id in new_ids])
        finally:
            self._in_flight -= ids
        if any(one.status == "restored" for one in written):
            self._let_go_of_words()
        # A repeat may have brought entities that the graph does not know yet.
        if lag is not None or len(new_ids) < len(written) or self._needs_optimize:
            self._wake.set()
        return written, lag

    async def forget(
        self,
        scope: Scope,
        ids: Sequence[str],
        *,
        now: datetime,
        due_at: datetime,
        all_sessions: bool = False,
        write_id: str | None = None,
    ) -> tuple[Hiding, Receipt | None]:
        """Put out of sight at once, and if it is due now, erase from every file and look whether it is gone.

        The receipt is None when nothing was forgotten or it waits for its days of grace. An error leaves it
        hidden, and it is erased in the background. Raises StoreError.
        """
        hiding = await self.ledger.write(
            partial(forgetting.hide, all_sessions=all_sessions, write_id=write_id),
            scope,
            ids,
            now=now,
            due_at=due_at,
        )
        self._let_go_of_words()
        if hiding.due_at is not None and hiding.due_at <= now:
            await self._settled.wait()
            try:
                await self._erase_due()
            except McpMemoryError as error:
                logger.error("forgotten and out of sight, but not erased yet: %s", error)
                self._wake.set()
        return hiding, await self.ledger.read(forgetting.find_receipt, hiding.id)

    async def unforget(self, scope: Scope, forgetting_id: str) -> tuple[str, ...]:
        """Bring back what this forgetting hid; answers the ids, none when it is unknown here or too late."""
        ids = await self.ledger.write(forgetting.undo, scope, forgetting_id, datetime.now(UTC))
        self._let_go_of_words()
        return ids

    def _let_go_of_words(self) -> None:
        if self._lexicons is not None:
            self._lexicons.clear()

    async def merge_entities(self, scope: Scope, kept_id: str, gone_id: str) -> Regrouped | None:
        """Let one entity count as another, in the ledger and in the graph; None where they cannot."""
        return await self._regroup(
            lambda: self.ledger.write(merging.merge, scope, kept_id, gone_id, datetime.now(UTC))
        )

    async def split_entity(self, scope: Scope, home_id: str) -> Regrouped | None:
        """Take a merge back; None where there was none."""
        return await self._regroup(
            lambda: self.ledger.write(merging.split, scope, home_id, datetime.now(UTC))
        )

    async def _regroup(self, change: Callable[[], Awaitable[Regrouped | None]]) -> Regrouped | None:
        # An index that is being opened was read before the change.
        await self._settled.wait()
        async with self._applying:
            done = await change()
            if done is None:
                return None
            try:
                await self._regroup_graph(done)
            except McpMemoryError as error:
                logger.warning("entities are changed in the ledger; the graph lags: %s", error)
                self._wake.set()
                return done
            await self.ledger.write(index_work.mark_done, done.to_index)
        return done

    async def _regroup_graph(self, done: Regrouped) -> None:
        if self._graph.index is None:
            # It is made anew of the ledger when it can be opened.
            _, graphs = await _modules()
            await anyio.to_thread.run_sync(graphs.remove, self._folder.graph)
            return
        for start in range(0, len(done.to_index), BATCH):
            batch = done.to_index[start : start + BATCH]
            topology = await self.ledger.read(index_work.graph_rows, batch)
            await self._use(self._graph, partial(_replace, rows=topology))
        if done.removed:
            await self._use(self._graph, lambda graph: graph.delete(done.removed))

    def require_vectors(self) -> None:
        """Raises the error for which nothing can be searched by meaning now."""
        self._vectors.get()

    async def dense(self, vector: NDArray[np.float32], where: Filter, limit: int) -> tuple[Candidate, ...]:
        """The nearest in meaning. Raises IndexFailed."""
        return await self._use(self._vectors, lambda table: table.dense(vector, where, limit))

    async def full_text(
        self, query: str, where: Filter, limit: int, *, every_word: bool = False
    ) -> tuple[Candidate, ...]:
        """The best by shared words. Raises IndexFailed."""
        return await self._use(
            self._vectors, lambda table: table.full_text(query, where, limit, every_word=every_word)
        )

    async def tokens(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The packed tokens of these memories, by id. Raises IndexFailed."""
        return await self._use(self._vectors, lambda table: table.tokens(ids))

    async def read_words(self, scope: Scope, query: str) -> Reading | None:
        """A query read against the words of all that is visible in a scope, without any index; None when
        those are too many to be held."""
        lexicons = self._lexicons
        if lexicons is None:
            module = await anyio.to_thread.run_sync(import_module, "mcp_memory.store.lexicon")
            # Somebody else may have been here meanwhile.
            lexicons = self._lexicons or module.Lexicons(self.ledger, self._config.search.words_mib << 20)
            self._lexicons = lexicons
        return await lexicons.read(scope, query)

    async def rare_mentions(
        self, entity_ids: Sequence[str], at_most: int
    ) -> tuple[tuple[tuple[str, str], ...], IndexFailed | None]:
        """Pairs of memory and entity id, for those that at most so many memories mention; and for what
        reason the ledger answered instead of the graph."""
        return await self._graph_or_ledger(
            lambda graph: graph.rare_mentions(entity_ids, at_most),
            lambda: self.ledger.read(entities.rare_mentions, entity_ids, at_most),
        )

    async def mentioning(self, entity_id: str, limit: int) -> tuple[str, ...]:
        """Ids of memories that mention an entity."""

        async def from_ledger() -> tuple[str, ...]:
            pairs = await self.ledger.read(entities.mentioning, [entity_id], limit)
            return tuple(memory_id for memory_id, _ in pairs)

        found, _ = await self._graph_or_ledger(lambda graph: graph.mentioning(entity_id, limit), from_ledger)
        return found

    async def neighbours(self, entity_id: str, limit: int) -> tuple[str, ...]:
        """Entities one step away."""
        found, _ = await self._graph_or_ledger(
            lambda graph: graph.neighbours(entity_id, limit),
            lambda: self.ledger.read(entities.neighbours, entity_id, limit),
        )
        return found

    async def _graph_or_ledger(
        self, ask: Callable[[Graph], Awaitable[_Result]], fall_back: Callable[[], Awaitable[_Result]]
    ) -> tuple[_Result, IndexFailed | None]:
        try:
            return await self._use(self._graph, ask), None
        except IndexFailed as error:
            return await fall_back(), error

    async def _use(self, place: _Place[_Index], ask: Callable[[_Index], Awaitable[_Result]]) -> _Result:
        """Ask an index. One that is lost or damaged is taken out of use and mended in the background."""
        index = place.get()
        if not index.is_there:
            await self._lose(place, index, IndexFailed(place.name, "its files are gone"))
        try:
            return await ask(place.get())
        except IndexFailed as error:
            # A strange question may fail too: only an index that cannot be read through is damaged.
            if place.index is index and not await _is_readable(index):
                await self._lose(place, index, error)
            raise

    async def _lose(self, place: _Place[_Index], index: _Index, error: IndexFailed) -> None:
        if place.index is index:
            logger.error("%s It is set aside and made anew from the ledger.", error)
            place.index, place.problem = None, error
            place.lost, place.is_damaged = index, True
            self._settled = anyio.Event()
            self._wake.set()

    async def health(self) -> Health:
        folder = self._folder
        count, _, _ = await self.ledger.read(index_work.counts)
        warning = await anyio.to_thread.run_sync(file_system_warning, folder.path)
        return Health(
            data_dir=str(folder.path),
            schema_version=await self.ledger.schema_version(),
            ledger_bytes=self.ledger.bytes,
            ledger_memories=count,
            pending=await self.ledger.read(index_work.pending_count),
            pending_since=await self.ledger.read(index_work.pending_since),
            hidden=await self.ledger.read(forgetting.hidden_count),
            embedder=self._embed.identity,
            indexes=(await _index_health(self._vectors, count), await _index_health(self._graph, count)),
            set_aside=tuple(path.name for path in folder.set_aside),
            warnings=() if warning is None else (warning,),
        )

    async def compare(self, *, repair: bool = False) -> Comparison:
        """Compare the three stores row by row; with `repair`, make the indexes what the ledger says."""
        await self.opened(RETRY_SECONDS)
        await self.caught_up(RETRY_SECONDS)
        if (table := self._vectors.index) is not None and not await _is_readable(table):
            # Searches are answered from memory and would not have noticed.
            await self._lose(self._vectors, table, IndexFailed("vectors", "its files cannot be read"))
            await self.opened(RETRY_SECONDS)
            await self.caught_up(RETRY_SECONDS)
        async with self._applying:
            differences = await self._differences()
            if repair and differences:
                await self._repair(differences)
        if repair and differences:
            self._wake.set()
            await self.caught_up(RETRY_SECONDS)
        count, entity_count, relations = await self.ledger.read(index_work.counts)
        receipts, broken = await self.ledger.read(forgetting.broken_receipts)
        topology = await self.ledger.read(index_work.graph_rows)
        return Comparison(
            memories=count,
            entities=entity_count,
            mentions=len(topology.mentions),
            relations=relations,
            ledger_problems=(*await self.ledger.problems(), *broken),
            receipts=receipts,
            unverified=await self.ledger.read(forgetting.unverified),
            recall=await self._use(self._vectors, lambda table: table.recall(datetime.now(UTC))),
            differences=tuple(differences[:DIFFERENCES]),
            total=len(differences),
            repaired=repair and bool(differences),
        )

    async def merge(self, path: Path) -> Merged:
        """Add what the ledger at `path` holds and this one does not; what was forgotten here stays
        forgotten."""
        theirs = await Ledger.open(path)
        merged = Merged(added=0, known=0, forgotten=0)
        ids: dict[str, str] = {}
        last = 0
        try:
            forgotten = await self.ledger.read(forgetting.forgotten_ids)
            while page := await theirs.read(backups.foreign, last):
                last = page[-1].seq
                some = await self.ledger.write(backups.take, page, forgotten, ids)
                merged = Merged(
                    added=merged.added + some.added,
                    known=merged.known + some.known,
                    forgotten=merged.forgotten + some.forgotten,
                )
            merges = await theirs.read(merging.merges)
        finally:
            await theirs.close()
        async with self._applying:
            gone = await self.ledger.write(merging.repeat, merges, datetime.now(UTC))
            if gone and self._graph.index is not None:
                await self._use(self._graph, lambda graph: graph.delete(gone))
        self._wake.set()
        return merged

    async def rebuild(self) -> Rebuilding:
        """Throw both indexes away and begin to make them anew from the ledger, with the present embedder."""
        await self._settled.wait()
        # One that cannot embed now would leave nothing in the place of what is thrown away.
        await self._embed.check()
        async with self._applying:
            await self._drop_indexes()
        self._wake.set()
        await self._settled.wait()
        count, entity_count, relations = await self.ledger.read(index_work.counts)
        return Rebuilding(
            memories=count, entities=entity_count, relations=relations, embedder=self._embed.identity
        )

    async def _drop_indexes(self) -> None:
        tables, graphs = await _modules()
        if self._vectors.index is not None:
            self._vectors.index.close()
        if self._graph.index is not None:
            await self._graph.index.close()
        self._vectors.index = self._graph.index = None
        self._vectors.problem = IndexOpening("vectors")
        self._graph.problem = IndexOpening("graph")
        await anyio.to_thread.run_sync(tables.remove, self._folder.vectors)
        await anyio.to_thread.run_sync(graphs.remove, self._folder.graph)
        self._settled = anyio.Event()

    async def _index_new(self, new: Sequence[Memory]) -> McpMemoryError | None:
        try:
            for start in range(0, len(new), BATCH):
                batch = new[start : start + BATCH]
                self._vectors.get()
                self._graph.get()
                await self._apply(batch, await self._embed.embed_memories(batch), are_new=True)
        except McpMemoryError as error:
            if not isinstance(error, IndexOpening):
                logger.warning("stored in the ledger; an index lags: %s", error)
            return error
        return None

    async def _apply(self, batch: Sequence[Memory], embedded: Embedded, *, are_new: bool) -> None:
        ids = [memory.id for memory in batch]
        async with self._applying:
            # What was forgotten while it was being embedded must not come back: the topology has only what
            # exists.
            topology = await self.ledger.read(index_work.graph_rows, ids)
            alive = set(topology.memory_ids)
            kept = [position for position, memory in enumerate(batch) if memory.id in alive]
            rows = [batch[position] for position in kept]
            failures: list[McpMemoryError] = []

            async def write_graph() -> None:
                try:
                    await self._use(
                        self._graph, lambda graph: (graph.add if are_new else graph.replace)(topology)
                    )
                except McpMemoryError as error:
                    failures.append(error)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write_graph)
                try:
                    await self._use(
                        self._vectors,
                        lambda table: (table.add if are_new else table.replace)(rows, embedded.at(kept)),
                    )
                except McpMemoryError as error:
                    failures.append(error)
            if failures:
                raise failures[0]
            await self.ledger.write(index_work.mark_done, ids)

    @property
    def _needs_optimize(self) -> bool:
        table, limits = self._vectors.index, self._config.vectors
        return table is not None and table.needs_optimize(
            limits.optimize_after_writes, limits.optimize_after_seconds
        )

    async def _keep_up(self) -> None:
        """Open the indexes, mend them, do what is pending and due, and compact the table, for as long as the
        store is open."""
        while True:
            self._wake = anyio.Event()
            pause = self._config.vectors.optimize_after_seconds / 4
            try:
                await self._open_indexes()
                self._settled.set()
                await self._erase_due()
                if self._vectors.index is not None:
                    await self._use(self._vectors, lambda table: table.hold())
                await self._catch_up()
                if self._needs_optimize and self._vectors.index is not None:
                    # Before and after: a compaction holds much of the table for a moment, the peak of all.
                    await anyio.to_thread.run_sync(release)
                    await self._use(self._vectors, lambda table: table.optimize())
                    await anyio.to_thread.run_sync(release)
            except McpMemoryError as error:
                logger.warning("index work failed and is tried again in %.0f s: %s", RETRY_SECONDS, error)
                pause = RETRY_SECONDS
            # What was lost meanwhile is opened in the next turn, which begins at once.
            if not self._wake.is_set():
                self._settled.set()
            with anyio.move_on_after(pause):
                await self._wake.wait()

    async def _open_indexes(self) -> None:
        """Open what is not open; what cannot be read is set aside and begun anew."""
        await self._open(self._graph, self._open_graph)
        await self._open(self._vectors, self._open_vectors)

    async def _open(self, place: _Place[_Index], open_index: Callable[[], Awaitable[_Index]]) -> None:
        if place.index is not None:
            return
        path = self._folder.vectors if place.name == "vectors" else self._folder.graph.parent
        for is_last in (False, True):
            try:
                await _close(place.lost)
                place.lost = None
                if place.is_damaged:
                    await anyio.to_thread.run_sync(self._folder.put_aside, path)
                    place.is_damaged = False
                place.index = await open_index()
                place.problem = None
                return
            except EmbedderChanged as error:
                if error.stored not in self._embed.replaces or is_last:
                    place.problem = error
                    return
                logger.warning("the vectors of %s are made anew by %s", error.stored, self._embed.identity)
                tables, _ = await _modules()
                await anyio.to_thread.run_sync(tables.remove, path)
            except IndexFailed as error:
                place.problem, place.is_damaged = error, True
                if is_last:
                    raise
                logger.error("%s It is set aside and made anew from the ledger.", error)
            except McpMemoryError as error:
                place.problem = error
                raise

    async def _open_vectors(self) -> VectorTable:
        tables, _ = await _modules()
        table, is_new = await tables.VectorTable.open(
            self._folder.vectors,
            embedder=self._embed.identity,
            dimension=self._embed.dimension,
            resident_bytes=self._config.vectors.resident_mib << 20,
        )
        # LanceDB does not fsync: after a power cut rows may be missing that the ledger calls indexed.
        present = frozenset[str]() if is_new else await table.ids()
        await self.ledger.write(index_work.enqueue_missing, present)
        if left_over := present - await self.ledger.read(index_work.memory_ids):
            await table.delete(sorted(left_over))
        return table

    async def _open_graph(self) -> Graph:
        _, graphs = await _modules()
        settings = self._config.graph
        graph, is_new = await graphs.Graph.open(
            self._folder.graph, engine=settings.engine, buffer_pool_mib=settings.buffer_pool_mib
        )
        count, _, _ = await self.ledger.read(index_work.counts)
        if is_new:
            await graph.load(await self.ledger.read(index_work.graph_rows))
        elif abs(await graph.count() - count) > await self.ledger.read(index_work.pending_count):
            await graph.renew(await self.ledger.read(index_work.graph_rows))
        return graph

    async def _catch_up(self) -> None:
        while work := await self._pending():
            ids = [one.memory_id for one in work]
            waiting = await self.ledger.read(index_work.to_index, ids)
            if waiting:
                self._vectors.get()
                self._graph.get()
                await self._apply(waiting, await self._embed.embed_memories(waiting), are_new=False)
            gone = sorted(set(ids) - {memory.id for memory in waiting})
            await self.ledger.write(index_work.mark_done, gone)

    async def _pending(self) -> list[Pending]:
        # A write that is under way does its own index work.
        work = await self.ledger.read(index_work.pending, BATCH + len(self._in_flight))
        return [one for one in work if one.memory_id not in self._in_flight][:BATCH]

    async def _erase_due(self) -> None:
        async with self._applying:
            for due in await self.ledger.read(forgetting.due, datetime.now(UTC)):
                await self._erase(due)

    async def _erase(self, due: Due) -> None:
        """Out of the indexes, then out of the ledger, so that an interrupted erasure knows what to repeat."""
        wanted = residue.pieces(await self.ledger.read(forgetting.words_of, due.memory_ids))
        vectors = await self._erase_from_indexes(due.memory_ids)
        erased = due.erased or await self.ledger.write(forgetting.erase, due.id)
        rows = await self.ledger.read(index_work.graph_rows)
        if self._graph.index is not None:
            await self._use(self._graph, lambda graph: graph.renew(rows))
        looked = await self._look(wanted, vectors)
        if due.erased is not None:
            looked = replace(looked, found=(*looked.found, INTERRUPTED))
        receipt = await self.ledger.write(forgetting.finish, due, erased, looked, datetime.now(UTC))
        if receipt.found:
            logger.error("erased, but something is left: %s", "; ".join(receipt.found))

    async def _erase_from_indexes(self, ids: Sequence[str]) -> list[bytes]:
        """Pieces of the erased vectors. An index that is damaged or another embedder's is deleted whole."""
        tables, graphs = await _modules()
        for path in self._folder.set_aside:
            await anyio.to_thread.run_sync(tables.remove, path)
        if self._graph.index is None:
            await anyio.to_thread.run_sync(graphs.remove, self._folder.graph)
        if self._vectors.index is not None:
            try:
                return await self._use(self._vectors, lambda table: table.erase(ids))
            except IndexFailed as error:
                logger.error("it is thrown away whole to erase from it: %s", error)
        await _close(self._vectors.index or self._vectors.lost)
        self._vectors.index = self._vectors.lost = None
        self._vectors.is_damaged = False
        await anyio.to_thread.run_sync(tables.remove, self._folder.vectors)
        self._wake.set()
        return []

    async def _look(self, wanted: list[bytes], vectors: list[bytes]) -> Looked:
        """Look through every file for what nothing that is kept explains."""
        proving = await self.ledger.read(forgetting.unexplained, wanted)
        proving += vectors
        look = partial(residue.look, self._folder.path, proving)
        clean = await self.ledger.checkpoint()
        seen = await anyio.to_thread.run_sync(look)
        if any(place.startswith(self._folder.ledger.name) for place in seen.found):
            await self.ledger.vacuum()
            clean = await self.ledger.checkpoint()
            seen = await anyio.to_thread.run_sync(look)
        found = (*seen.found, *(f"not looked into: {one}" for one in seen.unread))
        if seen.found and not clean:
            found += ("the write-ahead log is being read by another program, such as a backup",)
        return Looked(len(proving), seen.files, seen.bytes, found)

    async def _differences(self) -> list[Difference]:
        pending = await self.ledger.read(index_work.pending_ids)
        expected = await self.ledger.read(index_work.expected_rows)
        rows = await comparison.row_differences(self._vectors.get().rows(), expected, pending)
        theirs, ours = await self._graph.get().topology(), await self.ledger.read(index_work.graph_rows)
        return rows + comparison.graph_differences(theirs, ours, pending)

    async def _repair(self, differences: Sequence[Difference]) -> None:
        rows = {one.id for one in differences if one.index == "vectors"}
        await self._use(self._vectors, lambda table: table.delete(sorted(rows)))
        existing = await self.ledger.read(index_work.to_index, sorted(rows))
        await self.ledger.write(
            index_work.enqueue, [memory.id for memory in existing], "index", datetime.now(UTC)
        )
        topology = await self.ledger.read(index_work.graph_rows)
        await self._use(self._graph, lambda graph: graph.renew(topology))


async def _modules() -> tuple[ModuleType, ModuleType]:
    """`vectors` and `graph`, imported in a thread: it takes two seconds, in which the ledger serves."""
    tables = await anyio.to_thread.run_sync(import_module, "mcp_memory.store.vectors")
    graphs = await anyio.to_thread.run_sync(import_module, "mcp_memory.store.graph")
    return tables, graphs


async def _close(index: VectorTable | Graph | None) -> None:
    """Close what may be damaged: that it fails is expected."""
    if index is None:
        return
    try:
        closing = index.close()
        if closing is not None:
            await closing
    except McpMemoryError as error:
        logger.info("while closing a lost index: %s", error)


async def _is_readable(index: VectorTable | Graph) -> bool:
    try:
        await index.read_through()
    except IndexFailed:
        return False
    return index.is_there


async def _replace(graph: Graph, rows: GraphRows) -> None:
    await graph.replace(rows)


async def _tidied(vectors: VectorTable) -> None:
    """Leave the table compact, if that takes but a moment; nobody reads it any more, so no old version is
    kept."""
    with anyio.move_on_after(TIDY_SECONDS):
        try:
            if vectors.needs_optimize(1, 0.0):
                await vectors.optimize(keep_versions=timedelta(milliseconds=1))
        except McpMemoryError as error:
            logger.warning("the table was not compacted: %s", error)


async def _index_health(place: _Place[VectorTable] | _Place[Graph], expected: int) -> IndexHealth:
    try:
        index = place.get()
        rows, size, problem = await index.count(), index.bytes, None
        resident = index.resident_rows
    except StoreError as error:
        rows, size, problem, resident = None, 0, str(error), 0
    return IndexHealth(
        name=place.name, rows=rows, expected=expected, bytes=size, problem=problem, resident=resident
    )
