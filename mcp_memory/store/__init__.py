"""The three stores of a data folder as one: the ledger is the truth, vectors and graph are derived from
it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from mcp_memory.config import Config
from mcp_memory.errors import DataFolderUnusable, McpMemoryError, StoreError, StoreLocked
from mcp_memory.models import Health, IndexHealth, Memory, Rebuilt, Scope
from mcp_memory.store import graph as graphs
from mcp_memory.store import vectors as tables
from mcp_memory.store.allocator import limit_arenas, release
from mcp_memory.store.graph import Graph
from mcp_memory.store.ledger import Ledger, index_work, memories
from mcp_memory.store.ledger.index_work import Pending
from mcp_memory.store.ledger.memories import Draft, Removed, Written
from mcp_memory.store.vectors import NO_VERSIONS, VectorTable

__all__ = ["Draft", "Embed", "Store", "Written"]

logger = logging.getLogger(__name__)

BATCH = 256
"""Memories embedded and written to the indexes at once, when catching up or rebuilding."""
RETRY_SECONDS = 30.0
"""Pause before index work that failed is tried again."""
TIDY_SECONDS = 1.5
"""Time to compact the table when closing: a host waits two seconds for its server to end, then kills it."""


class Embed(Protocol):
    """Makes the vectors of memories. The store knows nothing of models; `identity` names who made what."""

    @property
    def identity(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    async def embed_memories(self, memories: Sequence[Memory]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class _Paths:
    folder: Path

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def owner(self) -> Path:
        return self.folder / "owner.json"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def vectors(self) -> Path:
        return self.folder / "vectors"

    @property
    def graph(self) -> Path:
        return self.folder / "graph" / "graph.db"


class Store:
    """One open data folder. `open` holds it; while it is open no other process can."""

    def __init__(
        self, ledger: Ledger, vectors: VectorTable, graph: Graph, embed: Embed, config: Config
    ) -> None:
        self.ledger = ledger
        self.vectors = vectors
        self.graph = graph
        self._embed = embed
        self._config = config
        self._applying = anyio.Lock()
        self._in_flight: set[str] = set()
        self._wake = anyio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Config, embed: Embed) -> AsyncGenerator[Store]:
        """The stores of `config.data_dir`, made if need be, with upkeep in the background.

        Raises StoreError: the folder cannot be written, is in use, was written by a newer version, or its
        vectors are another embedder's.
        """
        limit_arenas()
        paths = _Paths(config.data_dir)
        with _held(paths):
            ledger = await Ledger.open(paths.ledger)
            vectors = graph = None
            try:
                vectors = await _open_vectors(paths, ledger, embed)
                graph = await _open_graph(paths, ledger, config)
                store = cls(ledger, vectors, graph, embed, config)
                failure: Exception | None = None
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(store._keep_up)
                    try:
                        yield store
                    except Exception as error:  # noqa: BLE001 - raised below; the group would wrap it
                        failure = error
                    tasks.cancel_scope.cancel()
                if failure is not None:
                    raise failure
            finally:
                with anyio.CancelScope(shield=True):
                    if graph is not None:
                        await graph.close()
                    if vectors is not None:
                        await _tidied(vectors)
                        vectors.close()
                    await ledger.close()

    async def write(self, drafts: Sequence[Draft]) -> tuple[tuple[Written, ...], McpMemoryError | None]:
        """Store all drafts or none, then index them.

        When this returns they are on disk in the ledger. The error, if any, is why the indexes lag: they are
        caught up in the background. Raises StoreError if the ledger refused; then nothing was stored.
        """
        ids = {draft.memory.id for draft in drafts}
        self._in_flight |= ids
        try:
            written = await self.ledger.write(memories.write, drafts)
            new_ids = {one.id for one in written if one.is_new}
            lag = await self._index_new([draft.memory for draft in drafts if draft.memory.id in new_ids])
        finally:
            self._in_flight -= ids
        # A repeat may have brought entities that the graph does not know yet.
        if lag is not None or len(new_ids) < len(written) or self._needs_optimize:
            self._wake.set()
        return written, lag

    async def forget(
        self, scope: Scope, ids: Sequence[str], *, all_sessions: bool = False
    ) -> tuple[Removed, McpMemoryError | None]:
        """Delete from the ledger, then from the indexes; the error, if any, is why an index still lags."""
        async with self._applying:
            removed = await self.ledger.write(memories.forget, scope, ids, all_sessions=all_sessions)
            try:
                await self._erase([*removed.memory_ids, *removed.entity_ids])
            except McpMemoryError as error:
                logger.warning("forgotten in the ledger; an index lags: %s", error)
                return removed, error
        self._wake.set()
        return removed, None

    async def health(self) -> Health:
        memories, _, _ = await self.ledger.read(index_work.counts)
        paths = _Paths(self._config.data_dir)
        return Health(
            data_dir=str(paths.folder),
            schema_version=await self.ledger.schema_version(),
            ledger_bytes=self.ledger.bytes,
            ledger_memories=memories,
            pending=await self.ledger.read(index_work.pending_count),
            embedder=self._embed.identity,
            indexes=(
                await _index_health(self.vectors, memories),
                await _index_health(self.graph, memories),
            ),
        )

    async def _index_new(self, memories: Sequence[Memory]) -> McpMemoryError | None:
        if not memories:
            return None
        try:
            for start in range(0, len(memories), BATCH):
                batch = memories[start : start + BATCH]
                await self._apply(batch, await self._embed.embed_memories(batch), are_new=True)
        except McpMemoryError as error:
            logger.warning("stored in the ledger; an index lags: %s", error)
            return error
        return None

    async def _apply(self, batch: Sequence[Memory], vectors: NDArray[np.float32], *, are_new: bool) -> None:
        ids = [memory.id for memory in batch]
        async with self._applying:
            # What was forgotten while it was being embedded must not come back: the topology has only what
            # exists.
            topology = await self.ledger.read(index_work.graph_rows, ids)
            alive = set(topology.memory_ids)
            kept = [position for position, memory in enumerate(batch) if memory.id in alive]
            rows = [batch[position] for position in kept]
            into_vectors, into_graph = (
                (self.vectors.add, self.graph.add) if are_new else (self.vectors.replace, self.graph.replace)
            )
            failures: list[McpMemoryError] = []

            async def write_graph() -> None:
                try:
                    await into_graph(topology)
                except McpMemoryError as error:
                    failures.append(error)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write_graph)
                try:
                    await into_vectors(rows, vectors[kept])
                except McpMemoryError as error:
                    failures.append(error)
            if failures:
                raise failures[0]
            await self.ledger.write(index_work.mark_done, ids)

    async def _erase(self, ids: Sequence[str]) -> None:
        if ids:
            await self.vectors.delete(ids)
            await self.graph.delete(ids)
            await self.ledger.write(index_work.mark_done, ids)

    @property
    def _needs_optimize(self) -> bool:
        limits = self._config.vectors
        return self.vectors.needs_optimize(limits.optimize_after_writes, limits.optimize_after_seconds)

    async def _keep_up(self) -> None:
        """Do pending index work and compact the table, for as long as the store is open."""
        while True:
            self._wake = anyio.Event()
            try:
                await self._catch_up()
                if self._needs_optimize:
                    # Before and after: a compaction holds much of the table for a moment, the peak of all.
                    await anyio.to_thread.run_sync(release)
                    await self.vectors.optimize()
                    await anyio.to_thread.run_sync(release)
            except McpMemoryError as error:
                logger.warning("index work failed and is tried again in %.0f s: %s", RETRY_SECONDS, error)
                await anyio.sleep(RETRY_SECONDS)
            with anyio.move_on_after(self._config.vectors.optimize_after_seconds / 4):
                await self._wake.wait()

    async def _catch_up(self) -> None:
        while work := await self._pending():
            erase = [one.memory_id for one in work if one.work == "erase"]
            async with self._applying:
                await self._erase(erase)
            index = [one.memory_id for one in work if one.work == "index"]
            memories = await self.ledger.read(index_work.to_index, index)
            if memories:
                vectors = await self._embed.embed_memories(memories)
                await self._apply(memories, vectors, are_new=False)
            await self.ledger.write(
                index_work.mark_done, sorted(set(index) - {memory.id for memory in memories})
            )

    async def _pending(self) -> list[Pending]:
        # A write that is under way does its own index work.
        work = await self.ledger.read(index_work.pending, BATCH + len(self._in_flight))
        return [one for one in work if one.memory_id not in self._in_flight][:BATCH]


async def rebuild(config: Config, embed: Embed, progress: Callable[[int, int], None]) -> Rebuilt:
    """Make vectors and graph anew from the ledger alone, with `embed`; `progress` gets (done, total).

    The old indexes stay until the new ones are whole: a rebuild that is interrupted changes nothing.
    """
    paths = _Paths(config.data_dir)
    with _held(paths):
        ledger = await Ledger.open(paths.ledger)
        try:
            fresh = paths.folder / "vectors.new"
            tables.remove(fresh)
            await _embed_everything(fresh, ledger, embed, progress)
            tables.remove(paths.vectors)
            fresh.rename(paths.vectors)
            graphs.remove(paths.graph)
            graph = await _open_graph(paths, ledger, config)
            await graph.close()
            while work := await ledger.read(index_work.pending, BATCH):
                await ledger.write(index_work.mark_done, [one.memory_id for one in work])
            memories, entities, relations = await ledger.read(index_work.counts)
        finally:
            await ledger.close()
    return Rebuilt(memories=memories, entities=entities, relations=relations, embedder=embed.identity)


async def _embed_everything(
    folder: Path, ledger: Ledger, embed: Embed, progress: Callable[[int, int], None]
) -> None:
    total, _, _ = await ledger.read(index_work.counts)
    table, _ = await VectorTable.open(folder, embedder=embed.identity, dimension=embed.dimension)
    try:
        done = last = 0
        progress(done, total)
        while page := await ledger.read(index_work.every_memory, last, BATCH):
            memories = [memory for _, memory in page]
            await table.add(memories, await embed.embed_memories(memories))
            last = page[-1][0]
            done += len(page)
            progress(done, total)
        await table.optimize(keep_versions=NO_VERSIONS)
    finally:
        table.close()


async def _tidied(vectors: VectorTable) -> None:
    """Leave the table compact, if that takes but a moment; nobody reads it any more, so no old version is
    kept."""
    with anyio.move_on_after(TIDY_SECONDS):
        try:
            if vectors.needs_optimize(1, 0.0):
                await vectors.optimize(keep_versions=NO_VERSIONS)
        except McpMemoryError as error:
            logger.warning("the table was not compacted: %s", error)


async def _open_vectors(paths: _Paths, ledger: Ledger, embed: Embed) -> VectorTable:
    vectors, is_new = await VectorTable.open(
        paths.vectors, embedder=embed.identity, dimension=embed.dimension
    )
    memories, _, _ = await ledger.read(index_work.counts)
    # LanceDB does not fsync: after a power cut rows may be missing that the ledger calls indexed.
    if is_new or await vectors.count() + await ledger.read(index_work.pending_count) < memories:
        await ledger.write(index_work.enqueue_all)
    return vectors


async def _open_graph(paths: _Paths, ledger: Ledger, config: Config) -> Graph:
    engine, buffer_pool_mib = config.graph.engine, config.graph.buffer_pool_mib
    graph, is_new = await Graph.open(paths.graph, engine=engine, buffer_pool_mib=buffer_pool_mib)
    memories, _, _ = await ledger.read(index_work.counts)
    if not is_new and abs(await graph.count() - memories) > await ledger.read(index_work.pending_count):
        await graph.close()
        graphs.remove(paths.graph)
        graph, is_new = await Graph.open(paths.graph, engine=engine, buffer_pool_mib=buffer_pool_mib)
    if is_new:
        await graph.load(await ledger.read(index_work.graph_rows))
    return graph


async def _index_health(index: VectorTable | Graph, expected: int) -> IndexHealth:
    try:
        rows, problem = await index.count(), None
    except StoreError as error:
        rows, problem = None, str(error)
    return IndexHealth(name=index.name, rows=rows, expected=expected, bytes=index.bytes, problem=problem)


@contextmanager
def _held(paths: _Paths) -> Generator[None]:
    """The data folder, made if need be and locked for this process; the system frees the lock of a dead
    one."""
    lock = FileLock(paths.lock, timeout=0, thread_local=False)
    try:
        paths.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise StoreLocked(paths.folder, _holder(paths.owner)) from error
    except OSError as error:
        raise DataFolderUnusable(paths.folder, error.strerror or str(error)) from error
    try:
        _write_owner(paths)
        yield
    finally:
        paths.owner.unlink(missing_ok=True)
        lock.release()


def _write_owner(paths: _Paths) -> None:
    try:
        paths.owner.touch(mode=0o600)
        paths.owner.write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
    except OSError as error:
        raise DataFolderUnusable(paths.folder, error.strerror or str(error)) from error


def _holder(owner: Path) -> str:
    try:
        return f" (process {int(json.loads(owner.read_text(encoding='utf-8'))['pid'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
