"""The two indexes of a data folder, vectors and graph: opened, asked, mended, and made anew from the
ledger."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

import anyio
import anyio.to_thread

from mcp_memory.config import Config
from mcp_memory.embedded import Embedded
from mcp_memory.errors import EmbedderChanged, IndexFailed, IndexOpening, McpMemoryError, StoreError
from mcp_memory.folder import Folder
from mcp_memory.group_commit import GroupCommit
from mcp_memory.models import Difference, IndexHealth, Memory
from mcp_memory.store import comparison
from mcp_memory.store.allocator import release
from mcp_memory.store.ledger import Connection, Ledger, index_work, merging
from mcp_memory.store.ledger.merging import Regrouped

# lancedb and kuzu take two seconds to import: the ledger serves meanwhile, so they are imported late.
if TYPE_CHECKING:
    from mcp_memory.store.graph import Graph
    from mcp_memory.store.ledger.index_work import GraphRows
    from mcp_memory.store.vectors import VectorTable

logger = logging.getLogger(__name__)

_Index = TypeVar("_Index", "VectorTable", "Graph")
_Result = TypeVar("_Result")

BATCH = 256
"""Memories embedded and written to the indexes at once, when catching up or rebuilding."""
TIDY_SECONDS = 1.5
"""Time to compact the table when closing: a host waits two seconds for its server to end, then kills it."""


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
class Place(Generic[_Index]):
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


class Indexes:
    """What is derived from the ledger. An index that is lost or damaged raises IndexFailed, is set aside, and
    `wake` is called: the store opens it anew in the background."""

    def __init__(
        self, ledger: Ledger, folder: Folder, embed: Embed, config: Config, wake: Callable[[], None]
    ) -> None:
        self.vectors: Place[VectorTable] = Place("vectors")
        self.graph: Place[Graph] = Place("graph")
        self.applying = anyio.Lock()
        """Held by whoever changes them: what is erased must not be written meanwhile."""
        self._ledger = ledger
        self._folder = folder
        self._embed = embed
        self._config = config
        self._wake = wake
        self._settled = anyio.Event()
        self._index_new = GroupCommit(self._index_groups, most=BATCH, size=len)

    async def close(self) -> None:
        if self.graph.index is not None:
            await self.graph.index.close()
        if self.vectors.index is not None:
            await _tidied(self.vectors.index)
            self.vectors.index.close()

    async def opened(self) -> None:
        """Wait until both are open, or known not to be."""
        await self._settled.wait()

    def settle(self) -> None:
        """They are open now, or known not to be."""
        self._settled.set()

    async def open_what_is_not(self) -> None:
        """Open what is not open; what cannot be read is set aside and begun anew."""
        await self._open(self.graph, self._open_graph)
        await self._open(self.vectors, self._open_vectors)

    async def _open(self, place: Place[_Index], open_index: Callable[[], Awaitable[_Index]]) -> None:
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
                tables, _ = await modules()
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
        tables, _ = await modules()
        table, is_new = await tables.VectorTable.open(
            self._folder.vectors,
            embedder=self._embed.identity,
            dimension=self._embed.dimension,
            resident_bytes=self._config.vectors.resident_mib << 20,
        )
        # LanceDB does not fsync: after a power cut rows may be missing that the ledger calls indexed.
        present = frozenset[str]() if is_new else await table.ids()
        await self._ledger.write(index_work.enqueue_missing, present)
        if left_over := present - await self._ledger.read(index_work.memory_ids):
            await table.delete(sorted(left_over))
        return table

    async def _open_graph(self) -> Graph:
        _, graphs = await modules()
        settings = self._config.graph
        graph, is_new = await graphs.Graph.open(
            self._folder.graph, engine=settings.engine, buffer_pool_mib=settings.buffer_pool_mib
        )
        count, _, _ = await self._ledger.read(index_work.counts)
        if is_new:
            await graph.load(await self._ledger.read(index_work.graph_rows))
        elif (
            abs(await graph.count() - count) > await self._ledger.read(index_work.pending_count)
            or await graph.is_outdated()
        ):
            await graph.renew(await self._ledger.read(index_work.graph_rows))
        return graph

    async def graph_or_ledger(
        self, ask: Callable[[Graph], Awaitable[_Result]], fall_back: Callable[[], Awaitable[_Result]]
    ) -> tuple[_Result, IndexFailed | None]:
        """Ask the graph, or else the ledger; and why it was the ledger."""
        try:
            return await self.use(self.graph, ask), None
        except IndexFailed as error:
            return await fall_back(), error

    async def use(self, place: Place[_Index], ask: Callable[[_Index], Awaitable[_Result]]) -> _Result:
        """Ask an index. One that is lost or damaged is taken out of use and mended in the background."""
        index = place.get()
        if not index.is_there:
            await self.lose(place, index, IndexFailed(place.name, "its files are gone"))
        try:
            return await ask(place.get())
        except IndexFailed as error:
            # A strange question may fail too: only an index that cannot be read through is damaged.
            if place.index is index and not await is_readable(index):
                await self.lose(place, index, error)
            raise

    async def lose(self, place: Place[_Index], index: _Index, error: IndexFailed) -> None:
        """Take an index out of use, to be set aside and made anew."""
        if place.index is index:
            logger.error("%s It is set aside and made anew from the ledger.", error)
            place.index, place.problem = None, error
            place.lost, place.is_damaged = index, True
            self._settled = anyio.Event()
            self._wake()

    async def index_new(self, new: Sequence[Memory]) -> McpMemoryError | None:
        """Index what was just written, with what others write meanwhile; why it lags, if it does."""
        return await self._index_new(new)

    async def _index_groups(self, groups: Sequence[Sequence[Memory]]) -> list[McpMemoryError | None]:
        new = [memory for group in groups for memory in group]
        lag: McpMemoryError | None = None
        try:
            for start in range(0, len(new), BATCH):
                batch = new[start : start + BATCH]
                self.vectors.get()
                self.graph.get()
                await self.apply(batch, await self._embed.embed_memories(batch), are_new=True)
        except McpMemoryError as error:
            if not isinstance(error, IndexOpening):
                logger.warning("stored in the ledger; an index lags: %s", error)
            lag = error
        return [lag] * len(groups)

    async def apply(self, batch: Sequence[Memory], embedded: Embedded, *, are_new: bool) -> None:
        """Write memories with what was embedded of them to both, and note it in the ledger."""
        ids = [memory.id for memory in batch]
        async with self.applying:
            # What was forgotten while it was being embedded must not come back: the topology has only what
            # exists.
            topology, joined = await self._ledger.read(_topology, ids)
            alive = set(topology.memory_ids)
            kept = [position for position, memory in enumerate(batch) if memory.id in alive]
            rows = [batch[position] for position in kept]
            failures: list[McpMemoryError] = []

            async def write_graph() -> None:
                try:
                    await self.use(
                        self.graph, lambda graph: (graph.add if are_new else graph.replace)(topology)
                    )
                    # The graph may have been loaded, or written, before they were one.
                    if joined:
                        await self.use(self.graph, lambda graph: graph.delete(joined))
                except McpMemoryError as error:
                    failures.append(error)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write_graph)
                try:
                    await self.use(
                        self.vectors,
                        lambda table: (table.add if are_new else table.replace)(rows, embedded.at(kept)),
                    )
                except McpMemoryError as error:
                    failures.append(error)
            if failures:
                raise failures[0]
            await self._ledger.write(index_work.mark_done, ids)

    async def regroup(self, done: Regrouped) -> None:
        """Bring the graph up to date with who counts as whom."""
        if self.graph.index is None:
            # It is made anew of the ledger when it can be opened.
            _, graphs = await modules()
            await anyio.to_thread.run_sync(graphs.remove, self._folder.graph)
            return
        for start in range(0, len(done.to_index), BATCH):
            batch = done.to_index[start : start + BATCH]
            topology = await self._ledger.read(index_work.graph_rows, batch)
            await self.use(self.graph, partial(_replace, rows=topology))
        if done.removed:
            await self.use(self.graph, lambda graph: graph.delete(done.removed))

    async def drop(self) -> None:
        """Throw both away."""
        tables, graphs = await modules()
        if self.vectors.index is not None:
            self.vectors.index.close()
        if self.graph.index is not None:
            await self.graph.index.close()
        self.vectors.index = self.graph.index = None
        self.vectors.problem = IndexOpening("vectors")
        self.graph.problem = IndexOpening("graph")
        await anyio.to_thread.run_sync(tables.remove, self._folder.vectors)
        await anyio.to_thread.run_sync(graphs.remove, self._folder.graph)
        self._settled = anyio.Event()

    async def erase(self, ids: Sequence[str]) -> list[bytes]:
        """Pieces of the erased vectors. An index that is damaged or another embedder's is deleted whole."""
        tables, graphs = await modules()
        for path in self._folder.set_aside:
            await anyio.to_thread.run_sync(tables.remove, path)
        if self.graph.index is None:
            await anyio.to_thread.run_sync(graphs.remove, self._folder.graph)
        if self.vectors.index is not None:
            try:
                return await self.use(self.vectors, lambda table: table.erase(ids))
            except IndexFailed as error:
                logger.error("it is thrown away whole to erase from it: %s", error)
        await _close(self.vectors.index or self.vectors.lost)
        self.vectors.index = self.vectors.lost = None
        self.vectors.is_damaged = False
        await anyio.to_thread.run_sync(tables.remove, self._folder.vectors)
        self._wake()
        return []

    @property
    def needs_compaction(self) -> bool:
        table, limits = self.vectors.index, self._config.vectors
        return table is not None and table.needs_optimize(
            limits.optimize_after_writes, limits.optimize_after_seconds
        )

    async def hold(self) -> None:
        """Keep in memory what of the vectors may be."""
        if self.vectors.index is not None:
            await self.use(self.vectors, lambda table: table.hold())

    async def compact(self) -> None:
        """Compact the table, where it needs that."""
        if self.needs_compaction and self.vectors.index is not None:
            # Before and after: a compaction holds much of the table for a moment, the peak of all.
            await anyio.to_thread.run_sync(release)
            await self.use(self.vectors, lambda table: table.optimize())
            await anyio.to_thread.run_sync(release)

    async def health(self, expected: int) -> tuple[IndexHealth, IndexHealth]:
        """How each is; `expected` memories should be in it."""
        return await _index_health(self.vectors, expected), await _index_health(self.graph, expected)

    async def differences(self) -> list[Difference]:
        """Where they are not what the ledger says."""
        pending = await self._ledger.read(index_work.pending_ids)
        expected = await self._ledger.read(index_work.expected_rows)
        rows = await comparison.row_differences(self.vectors.get().rows(), expected, pending)
        theirs, ours = await self.graph.get().topology(), await self._ledger.read(index_work.graph_rows)
        return rows + comparison.graph_differences(theirs, ours, pending)

    async def repair(self, differences: Sequence[Difference]) -> None:
        """Make them what the ledger says, at once or when what is enqueued is done."""
        rows = {one.id for one in differences if one.index == "vectors"}
        await self.use(self.vectors, lambda table: table.delete(sorted(rows)))
        existing = await self._ledger.read(index_work.to_index, sorted(rows))
        await self._ledger.write(
            index_work.enqueue, [memory.id for memory in existing], "index", datetime.now(UTC)
        )
        topology = await self._ledger.read(index_work.graph_rows)
        await self.use(self.graph, lambda graph: graph.renew(topology))


def _topology(connection: Connection, ids: Sequence[str]) -> tuple[GraphRows, tuple[str, ...]]:
    """That of some memories, and who counts as one of those they name without being one any more."""
    rows = index_work.graph_rows(connection, ids)
    return rows, merging.joined(connection, rows.entity_ids)


async def modules() -> tuple[ModuleType, ModuleType]:
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


async def is_readable(index: VectorTable | Graph) -> bool:
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


async def _index_health(place: Place[VectorTable] | Place[Graph], expected: int) -> IndexHealth:
    try:
        index = place.get()
        rows, size, problem = await index.count(), index.bytes, None
        resident = index.resident_rows
    except StoreError as error:
        rows, size, problem, resident = None, 0, str(error), 0
    return IndexHealth(
        name=place.name, rows=rows, expected=expected, bytes=size, problem=problem, resident=resident
    )
