"""The three stores of a data folder as one: the ledger is the truth, vectors and graph are derived from
it."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from mcp_memory import __version__, residue
from mcp_memory.background import background
from mcp_memory.config import Config
from mcp_memory.errors import (
    IndexFailed,
    LedgerMissing,
    McpMemoryError,
)
from mcp_memory.folder import Folder, OwnerRecord, file_system_warning, held
from mcp_memory.models import (
    Comparison,
    EntityRef,
    Health,
    HistoryEvent,
    Merged,
    Rebuilding,
    Receipt,
    Scope,
)
from mcp_memory.store.allocator import tune
from mcp_memory.store.candidates import Candidate, Filter
from mcp_memory.store.indexes import BATCH, Embed, Indexes, is_readable
from mcp_memory.store.ledger import (
    Ledger,
    backups,
    entities,
    forgetting,
    index_work,
    meaning,
    merging,
    writing,
)
from mcp_memory.store.ledger.forgetting import Due, Hiding, Looked
from mcp_memory.store.ledger.index_work import Pending
from mcp_memory.store.ledger.merging import Regrouped
from mcp_memory.store.ledger.writing import Draft, Note, Understood, Written

# lancedb and kuzu take two seconds to import: the ledger serves meanwhile, so they are imported late.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mcp_memory.store.lexicon import Lexicons, Reading

__all__ = ["Draft", "Embed", "Later", "Store", "Written"]

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

RETRY_SECONDS = 30.0
"""Pause before index work that failed is tried again."""
INTERRUPTED = "not looked for: the process that erased it ended before it had looked, and the words are gone"
DIFFERENCES = 200
"""Differences named in one comparison; the total counts all."""


@dataclass(slots=True)
class Later:
    """What one write and the understanding of it have left for the indexes."""

    ids: set[str] = field(default_factory=set[str])
    """Of all that may be new, before it is known what is."""
    new: list[str] = field(default_factory=list[str])
    noted: list[str] = field(default_factory=list[str])

    def note(self, drafts: Sequence[Draft], written: Sequence[Written]) -> None:
        ids = {draft.memory.id for draft in drafts}
        self.new.extend(dict.fromkeys(one.id for one in written if one.is_new and one.id in ids))


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
        self._indexes = Indexes(ledger, folder, embed, config, self._wake_up)
        self._in_flight: list[set[str]] = []
        """Ids of writes that are under way and do their own index work."""
        self._wake = anyio.Event()
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
        await self._indexes.close()
        await self.ledger.close()

    def _wake_up(self) -> None:
        self._wake.set()

    async def opened(self, seconds: float) -> None:
        """Wait, so long at most, until the indexes are open, or known not to be."""
        with anyio.move_on_after(seconds):
            await self._indexes.opened()

    async def caught_up(self, seconds: float) -> bool:
        """Wait, so long at most, until the indexes have all that is acknowledged; whether they have."""
        with anyio.move_on_after(seconds):
            # What an index lacks is known once it is open.
            await self._indexes.opened()
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
        understand: Callable[[Sequence[Written], Later], Awaitable[None]] | None = None,
    ) -> tuple[tuple[Written, ...], McpMemoryError | None]:
        """Store all drafts or none, then index them. Facts are to be drawn from what is new, `read_together`
        memories at a time; 0 for none. What takes but a moment to `understand` is indexed with its words.

        When this returns they are on disk in the ledger. The error, if any, is why the indexes lag: they are
        caught up in the background. A repeated `write_id` is answered again. Raises StoreError if the ledger
        refused; then nothing was stored.
        """
        later = Later()
        later.ids.update(draft.memory.id for draft in drafts)
        self._in_flight.append(later.ids)
        try:
            async with self._alone_if_telling(drafts):
                written = await self.ledger.write(
                    partial(writing.write, drafts=drafts, write_id=write_id, read_together=read_together)
                )
            later.note(drafts, written)
            later.noted.extend(memory_id for one in written for memory_id in one.regrouped)
            if understand is not None:
                await understand(written, later)
            lag = await self._index(later, patience)
        finally:
            self._in_flight.remove(later.ids)
        self._look_after(written, lag)
        return written, lag

    async def understand(
        self, work_id: str, understood: Understood, *, later: Later | None = None
    ) -> McpMemoryError | None:
        """Store what was drawn from the words of some work, once, and index it, or leave that to whoever does
        it `later`; else as `write`."""
        own = Later() if later is None else later
        own.ids.update(draft.memory.id for draft in understood.drafts)
        if later is None:
            self._in_flight.append(own.ids)
        try:
            async with self._alone_if_telling((*understood.drafts, *understood.notes)):
                written, noted = await self.ledger.write(
                    partial(writing.understand, work_id=work_id, understood=understood)
                )
            own.note(understood.drafts, written)
            own.noted.extend(noted)
            if later is not None:
                return None
            lag = await self._index(own, 0.0)
        finally:
            if later is None:
                self._in_flight.remove(own.ids)
        self._look_after(written, lag)
        return lag

    @asynccontextmanager
    async def _alone_if_telling(self, found: Iterable[Draft | Note]) -> AsyncGenerator[None]:
        """While other memories may come to mean somebody else: an index that is being written was read
        before, and nobody would write it again."""
        if any(meaning.tells(one.entities, one.relations) for one in found):
            async with self._indexes.applying:
                yield
        else:
            yield

    async def _index(self, later: Later, patience: float) -> McpMemoryError | None:
        """Bring the indexes up to date with what is new and what was noted; why they lag, if they do."""
        lag = None
        if later.new:
            await self.opened(patience)
            # As it is after all that was noted of it.
            lag = await self._indexes.index_new(await self.ledger.read(index_work.to_index, later.new))
        noted = [one for one in later.noted if one not in later.new]
        if noted and lag is None:
            lag = await self._index_again(noted)
        return lag

    def _look_after(self, written: Sequence[Written], lag: McpMemoryError | None) -> None:
        if any(one.status == "restored" for one in written):
            self._let_go_of_words()
        # A repeat may have brought entities that the graph does not know yet.
        is_all_new = all(one.is_new for one in written)
        if lag is not None or not is_all_new or self._indexes.needs_compaction:
            self._wake.set()

    async def say_again(self, memory_id: str, draft: Draft, event: HistoryEvent) -> tuple[EntityRef, ...]:
        """Note that a memory was said again; answers what it mentions."""
        async with self._alone_if_telling((draft,)):
            named, regrouped = await self.ledger.write(
                writing.say_again, memory_id, draft.entities, draft.relations, event
            )
        await self._index_again([memory_id, *regrouped])
        return named

    async def _index_again(self, ids: Sequence[str]) -> McpMemoryError | None:
        """Bring the indexes up to date with what is noted of these, as far as anything changed."""
        pending = await self.ledger.read(index_work.pending_ids)
        # Who writes a memory writes its index too, and two at once would leave it there twice.
        in_flight = set[str]().union(*self._in_flight)
        wanted = [one for one in ids if one in pending and one not in in_flight]
        changed = await self.ledger.read(index_work.to_index, wanted)
        try:
            if changed:
                await self._indexes.apply(changed, await self._embed.embed_memories(changed), are_new=False)
            if not in_flight.isdisjoint(ids):
                self._wake.set()
        except McpMemoryError as error:
            self._wake.set()
            return error
        return None

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
            await self._indexes.opened()
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
        await self._indexes.opened()
        async with self._indexes.applying:
            done = await change()
            if done is None:
                return None
            try:
                await self._indexes.regroup(done)
            except McpMemoryError as error:
                logger.warning("entities are changed in the ledger; the graph lags: %s", error)
                self._wake.set()
                return done
            await self.ledger.write(index_work.mark_done, done.to_index)
        return done

    def require_vectors(self) -> None:
        """Raises the error for which nothing can be searched by meaning now."""
        self._indexes.vectors.get()

    async def dense(self, vector: NDArray[np.float32], where: Filter, limit: int) -> tuple[Candidate, ...]:
        """The nearest in meaning. Raises IndexFailed."""
        return await self._indexes.use(self._indexes.vectors, lambda table: table.dense(vector, where, limit))

    async def full_text(
        self, query: str, where: Filter, limit: int, *, every_word: bool = False
    ) -> tuple[Candidate, ...]:
        """The best by shared words. Raises IndexFailed."""
        return await self._indexes.use(
            self._indexes.vectors, lambda table: table.full_text(query, where, limit, every_word=every_word)
        )

    async def tokens(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The packed tokens of these memories, by id. Raises IndexFailed."""
        return await self._indexes.use(self._indexes.vectors, lambda table: table.tokens(ids))

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
        return await self._indexes.graph_or_ledger(
            lambda graph: graph.rare_mentions(entity_ids, at_most),
            lambda: self.ledger.read(entities.rare_mentions, entity_ids, at_most),
        )

    async def mentioning(self, entity_id: str, limit: int) -> tuple[str, ...]:
        """Ids of memories that mention an entity."""

        async def from_ledger() -> tuple[str, ...]:
            pairs = await self.ledger.read(entities.mentioning, [entity_id], limit)
            return tuple(memory_id for memory_id, _ in pairs)

        found, _ = await self._indexes.graph_or_ledger(
            lambda graph: graph.mentioning(entity_id, limit), from_ledger
        )
        return found

    async def neighbours(self, entity_id: str, limit: int) -> tuple[str, ...]:
        """Entities one step away."""
        found, _ = await self._indexes.graph_or_ledger(
            lambda graph: graph.neighbours(entity_id, limit),
            lambda: self.ledger.read(entities.neighbours, entity_id, limit),
        )
        return found

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
            indexes=await self._indexes.health(count),
            set_aside=tuple(path.name for path in folder.set_aside),
            warnings=() if warning is None else (warning,),
        )

    async def compare(self, *, repair: bool = False) -> Comparison:
        """Compare the three stores row by row; with `repair`, make the indexes what the ledger says."""
        await self.opened(RETRY_SECONDS)
        await self.caught_up(RETRY_SECONDS)
        if (table := self._indexes.vectors.index) is not None and not await is_readable(table):
            # Searches are answered from memory and would not have noticed.
            await self._indexes.lose(
                self._indexes.vectors, table, IndexFailed("vectors", "its files cannot be read")
            )
            await self.opened(RETRY_SECONDS)
            await self.caught_up(RETRY_SECONDS)
        async with self._indexes.applying:
            differences = await self._indexes.differences()
            if repair and differences:
                await self._indexes.repair(differences)
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
            recall=await self._indexes.use(
                self._indexes.vectors, lambda table: table.recall(datetime.now(UTC))
            ),
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
        async with self._indexes.applying:
            gone = await self.ledger.write(merging.repeat, merges, datetime.now(UTC))
            if gone and self._indexes.graph.index is not None:
                await self._indexes.use(self._indexes.graph, lambda graph: graph.delete(gone))
        self._wake.set()
        return merged

    async def rebuild(self) -> Rebuilding:
        """Throw both indexes away and begin to make them anew from the ledger, with the present embedder."""
        await self._indexes.opened()
        # One that cannot embed now would leave nothing in the place of what is thrown away.
        await self._embed.check()
        async with self._indexes.applying:
            await self._indexes.drop()
        self._wake.set()
        await self._indexes.opened()
        count, entity_count, relations = await self.ledger.read(index_work.counts)
        return Rebuilding(
            memories=count, entities=entity_count, relations=relations, embedder=self._embed.identity
        )

    async def _keep_up(self) -> None:
        """Open the indexes, mend them, do what is pending and due, and compact the table, for as long as the
        store is open."""
        while True:
            self._wake = anyio.Event()
            pause = self._config.vectors.optimize_after_seconds / 4
            try:
                await self._indexes.open_what_is_not()
                self._indexes.settle()
                await self._erase_due()
                await self._indexes.hold()
                await self._catch_up()
                await self._indexes.compact()
            except McpMemoryError as error:
                logger.warning("index work failed and is tried again in %.0f s: %s", RETRY_SECONDS, error)
                pause = RETRY_SECONDS
            # What was lost meanwhile is opened in the next turn, which begins at once.
            if not self._wake.is_set():
                self._indexes.settle()
            with anyio.move_on_after(pause):
                await self._wake.wait()

    async def _catch_up(self) -> None:
        while work := await self._pending():
            ids = [one.memory_id for one in work]
            waiting = await self.ledger.read(index_work.to_index, ids)
            if waiting:
                self._indexes.vectors.get()
                self._indexes.graph.get()
                await self._indexes.apply(waiting, await self._embed.embed_memories(waiting), are_new=False)
            gone = sorted(set(ids) - {memory.id for memory in waiting})
            await self.ledger.write(index_work.mark_done, gone)

    async def _pending(self) -> list[Pending]:
        # A write that is under way does its own index work.
        in_flight = set[str]().union(*self._in_flight)
        work = await self.ledger.read(index_work.pending, BATCH + len(in_flight))
        in_flight.update(*self._in_flight)
        return [one for one in work if one.memory_id not in in_flight][:BATCH]

    async def _erase_due(self) -> None:
        async with self._indexes.applying:
            for due in await self.ledger.read(forgetting.due, datetime.now(UTC)):
                await self._erase(due)

    async def _erase(self, due: Due) -> None:
        """Out of the indexes, then out of the ledger, so that an interrupted erasure knows what to repeat."""
        wanted = residue.pieces(await self.ledger.read(forgetting.words_of, due.memory_ids))
        vectors = await self._indexes.erase(due.memory_ids)
        erased = due.erased or await self.ledger.write(forgetting.erase, due.id)
        rows = await self.ledger.read(index_work.graph_rows)
        if self._indexes.graph.index is not None:
            await self._indexes.use(self._indexes.graph, lambda graph: graph.renew(rows))
        looked = await self._look(wanted, vectors)
        if due.erased is not None:
            looked = replace(looked, found=(*looked.found, INTERRUPTED))
        receipt = await self.ledger.write(forgetting.finish, due, erased, looked, datetime.now(UTC))
        if receipt.found:
            logger.error("erased, but something is left: %s", "; ".join(receipt.found))

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
