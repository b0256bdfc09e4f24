"""The LanceDB table: one row per memory with its vector and text, searched by meaning and by words.

Derived from the ledger; it may be deleted and is built anew. It remembers which embedder made its vectors.
"""

# lancedb and pyarrow publish few types; what leaves this module is typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import anyio
import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lancedb.expr import Expr, col, lit
from lancedb.index import FTS, Bitmap, BTree
from lancedb.query import FullTextOperator, MatchQuery
from numpy.typing import NDArray

from mcp_memory.embedded import Embedded
from mcp_memory.errors import DiskFull, EmbedderChanged, IndexFailed
from mcp_memory.models import Memory, Scope
from mcp_memory.store.candidates import IDS_PER_FILTER, Candidate, Filter
from mcp_memory.store.resident import COLUMNS, ROW_BYTES, ResidentRows

TABLE = "memories"
EMBEDDER_KEY = "mcp_memory.embedder"
KEEP_VERSIONS = timedelta(seconds=10)
"""Old versions live this long, for searches of this process that still read them; there is no other
process."""
NO_VERSIONS = timedelta(milliseconds=1)
"""None but the last, when nobody reads: a true zero means the same, with a warning to others who read."""
COPY_ROWS = 20_000
"""Rows copied at once, some 40 MB, when a table is written anew to erase from it."""
SAMPLE, NEAREST = 50, 10
"""How recall is measured: so many rows are asked for so many of their nearest."""
ROWS_PER_WRITE = 10
WAITING_SHARE = 10
"""Rows may wait to be indexed up to ten times the writes allowed, or a tenth of the table: a compaction
rewrites the table, so filling a large one costs time in proportion to its size only if it is done the less
often the larger it is."""
INDEX_CACHE_BYTES = 32 << 20
METADATA_CACHE_BYTES = 8 << 20
"""LanceDB would keep gigabytes. With half of this a search over 10,000 memories took 33 ms, with this 28: one
run each, on a noisy machine."""
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When a memory expires that does not: a filter on a column without nulls is one comparison."""

FULL_TEXT = FTS(
    # Words of any script by ICU's dictionaries, and the parts of identifiers: get_user_by_id is found by
    # "user".
    base_tokenizer="icu/split",
    # "running" finds "run"; words of other languages pass through the English stemmer nearly unchanged, alike
    # on both sides.
    language="English",
    stem=True,
    # "The Who" and "to be or not to be" consist of nothing else.
    remove_stop_words=False,
    ascii_folding=True,
    # Without positions the index is half the size and quicker to update; phrases are not searched for.
    with_position=False,
)


class VectorTable:
    """The table of one data folder. Writes go one at a time; reads run beside them."""

    name: Final = "vectors"

    def __init__(
        self, folder: Path, connection: Any, table: Any, dimension: int, resident_bytes: int
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._table = table
        self._schema = _schema(dimension, "")
        self._dimension = dimension
        self._resident_bytes = resident_bytes
        # Appending goes on beside a compaction; deleting would collide with it.
        self._rewriting = anyio.Lock()
        self._writes_since_optimize = 0
        self._rows_waiting = 0
        self._last_optimize = time.monotonic()
        self._has_old_versions = True
        self._rows_at_optimize = 0
        self._turn = anyio.Lock()
        self._readers = 0
        self._no_readers = anyio.Event()
        # Rows come into the files and into memory under it, so that both have the same.
        self._adding = anyio.Lock()
        self._resident: ResidentRows | None = None
        self._may_reside = True

    @classmethod
    async def open(
        cls, folder: Path, *, embedder: str, dimension: int, resident_bytes: int = 0
    ) -> tuple[VectorTable, bool]:
        """The table in `folder`, and whether it had to be made. Its rows are held in memory once `hold` is
        called, up to `resident_bytes`: 22 MB for 10,000 memories, 205 for 100,000, and at most 64 more for
        tokens.

        Raises EmbedderChanged when its vectors are another embedder's, IndexFailed when it cannot be read.
        """
        _finish_swap(folder)
        with _translated(folder):
            connection = await _connect(folder)
            if TABLE not in (await connection.list_tables()).tables:
                table = await connection.create_table(TABLE, schema=_schema(dimension, embedder))
                await table.set_unenforced_primary_key("id")
                await _create_indexes(table)
                return cls(folder, connection, table, dimension, resident_bytes), True
            table = await connection.open_table(TABLE)
            metadata = (await table.schema()).metadata or {}
        stored = metadata.get(EMBEDDER_KEY.encode(), b"an unknown embedder").decode()
        if stored != embedder:
            raise EmbedderChanged(stored, embedder)
        return cls(folder, connection, table, dimension, resident_bytes), False

    def close(self) -> None:
        self._table.close()
        self._connection.close()

    @property
    def is_there(self) -> bool:
        """Whether its files are still where they were."""
        return (self._folder / f"{TABLE}.lance" / "_versions").is_dir()

    async def add(self, memories: Sequence[Memory], embedded: Embedded) -> None:
        """Rows for memories that are not in the table yet, each with what was made of it."""
        if not memories:
            return
        rows = self._rows(memories, embedded)
        async with self._adding:
            with self._known(), _translated(self._folder):
                await self._table.add(rows)
            if self._resident is not None:
                self._resident.add(rows)
                if self._resident.bytes > self._resident_bytes:
                    self._resident = None
        self._writes_since_optimize += 1
        self._rows_waiting += len(memories)

    async def replace(self, memories: Sequence[Memory], embedded: Embedded) -> None:
        """The same for memories that may be there: what a crash left half done is done again."""
        await self.delete([memory.id for memory in memories])
        await self.add(memories, embedded)

    async def delete(self, ids: Sequence[str]) -> None:
        """By id only: LanceDB keeps a predicate in its log, so it must not hold what is forgotten."""
        async with self._rewriting:
            if self._resident is not None:
                self._resident.remove(ids)
            for start in range(0, len(ids), IDS_PER_FILTER):
                with self._known(), _translated(self._folder):
                    await self._table.delete(col("id").isin(list(ids[start : start + IDS_PER_FILTER])))
            self._writes_since_optimize += 1
            self._rows_waiting += len(ids)

    async def erase(self, ids: Iterable[str]) -> list[bytes]:
        """Leave no trace of these rows: all others are copied to a new table, and this one is deleted.

        Answers a piece of each erased vector that no other row has, for a look whether one is left. Deleting
        rows alone would leave them in old versions, in fragments and in indexes. Nothing may be written
        meanwhile; searches wait only while the folders change places.
        """
        gone = pa.array(sorted(ids), pa.string())
        new, old = _neighbour(self._folder, "new"), _neighbour(self._folder, "old")
        remove(new)
        pieces, others = set[bytes](), set[bytes]()
        async with self._rewriting:
            if self._resident is not None:
                self._resident.remove(gone.to_pylist())
            with _translated(self._folder):
                connection = await _connect(new)
                # The schema brings its primary key and its embedder along.
                table = await connection.create_table(TABLE, schema=await self._table.schema())
                async for kept, erased in self._split(gone):
                    pieces |= _pieces(erased)
                    others |= _pieces(kept)
                    if kept.num_rows:
                        await table.add(kept)
                await _create_indexes(table)
                table.close()
                connection.close()
            async with self._alone():
                with _translated(self._folder):
                    self.close()
                    self._folder.rename(old)
                    new.rename(self._folder)
                    remove(old)
                    self._connection = await _connect(self._folder)
                    self._table = await self._connection.open_table(TABLE)
            self._writes_since_optimize = self._rows_waiting = 0
            self._may_reside = self._resident is None
            self._has_old_versions = True
            self._last_optimize = time.monotonic()
        return sorted(pieces - others)

    async def hold(self) -> None:
        """Take the rows into memory, if they are not there and few enough."""
        if not self._may_reside:
            return
        async with self._rewriting, self._adding, self._reading() as table:
            self._may_reside = False
            count = await table.count_rows()
            if count * (4 * self._dimension + ROW_BYTES) > self._resident_bytes:
                return
            rows = ResidentRows(self._dimension, count)
            async for batch in await table.query().select(list(COLUMNS)).to_batches():
                rows.add(batch)
                if rows.bytes > self._resident_bytes:
                    return
            self._resident = rows

    @contextmanager
    def _known(self) -> Generator[None]:
        """Of a write that failed nobody knows how much is in the files: what is in memory is read anew."""
        try:
            yield
        except BaseException:
            self._resident, self._may_reside = None, True
            raise

    async def _split(self, gone: pa.Array) -> AsyncIterator[tuple[pa.Table, pa.Table]]:
        """The table in large pieces, each as what stays and what goes."""
        waiting: list[pa.RecordBatch] = []
        rows = 0
        async for batch in await self._table.query().to_batches():
            waiting.append(batch)
            rows += batch.num_rows
            if rows >= COPY_ROWS:
                yield _parted(waiting, gone)
                waiting, rows = [], 0
        if rows:
            yield _parted(waiting, gone)

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[Any]:
        async with self._turn:
            self._readers += 1
        try:
            with _translated(self._folder):
                yield self._table
        finally:
            self._readers -= 1
            if self._readers == 0:
                self._no_readers.set()

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        async with self._turn:
            while self._readers:
                self._no_readers = anyio.Event()
                await self._no_readers.wait()
            yield

    async def ids(self) -> frozenset[str]:
        """Of every row."""
        found: set[str] = set()
        async with self._reading() as table:
            async for batch in await table.query().select(["id"]).to_batches():
                found.update(batch["id"].to_pylist())
        return frozenset(found)

    async def rows(self) -> AsyncIterator[tuple[str, str, str]]:
        """(id, owner, full text) of every row, for comparing with the ledger."""
        async with self._reading() as table:
            async for batch in await table.query().select(["id", "owner", "text"]).to_batches():
                for row in zip(*(batch[name].to_pylist() for name in ("id", "owner", "text")), strict=True):
                    yield row

    async def read_through(self) -> None:
        """Raises IndexFailed when a row or an index cannot be read."""
        async with self._reading() as table:
            async for _ in await table.query().to_batches():
                pass
            await table.query().nearest_to_text(MatchQuery("a", "text")).limit(1).to_arrow()

    async def dense(self, vector: NDArray[np.float32], where: Filter, limit: int) -> tuple[Candidate, ...]:
        """The nearest in meaning; score is the cosine, from −1 to 1."""
        if self._resident is not None:
            # Half a millisecond for most; handing it to a thread and back would take as long.
            return self._resident.nearest(vector, where, limit)
        return await self._dense_in_files(vector, where, limit)

    async def _dense_in_files(
        self, vector: NDArray[np.float32], where: Filter, limit: int
    ) -> tuple[Candidate, ...]:
        async with self._reading() as table:
            query = table.query().nearest_to(vector).distance_type("dot").where(_expression(where))
            found = await query.select([*_CANDIDATE_COLUMNS, "_distance"]).limit(limit).to_arrow()
        # LanceDB's dot distance is 1 − dot, and the vectors are normalised.
        return _candidates(found, [1.0 - distance for distance in found["_distance"].to_pylist()])

    async def tokens(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The packed tokens of these rows, by id."""
        if not ids:
            return {}
        if self._resident is not None and not self._resident.lacks_tokens:
            return self._resident.tokens(ids)
        async with self._reading() as table:
            query = table.query().where(col("id").isin(list(ids))).select(["id", "tokens"])
            found = await query.limit(len(ids)).to_arrow()
        pairs = zip(found["id"].to_pylist(), found["tokens"].to_pylist(), strict=True)
        return {memory_id: packed for memory_id, packed in pairs if packed}

    async def full_text(
        self, words: str, where: Filter, limit: int, *, every_word: bool = False
    ) -> tuple[Candidate, ...]:
        """The best by shared words; score is BM25. `every_word` finds only those that have all of them."""
        # A quotation mark would begin a phrase, and an unclosed one finds nothing.
        text = words.replace('"', " ")
        match = MatchQuery(text, "text", operator=FullTextOperator.AND if every_word else FullTextOperator.OR)
        async with self._reading() as table:
            query = table.query().nearest_to_text(match).where(_expression(where))
            found = await query.select([*_CANDIDATE_COLUMNS, "_score"]).limit(limit).to_arrow()
        return _candidates(found, found["_score"].to_pylist())

    @property
    def resident_rows(self) -> int:
        """How many rows are held in memory."""
        return 0 if self._resident is None else len(self._resident)

    async def recall(self, now: datetime) -> float | None:
        """Of the `NEAREST` that an exact search in the files finds, the share that `dense` finds, asked for
        `SAMPLE` rows spread over the table; None when it is empty."""
        async with self._reading() as table:
            count = await table.count_rows()
            places = sorted({number * count // SAMPLE for number in range(SAMPLE)}) if count else []
            if not places:
                return None
            columns = ["vector", "user_id", "agent_id", "session_id"]
            sample = await table.take_offsets(places).select(columns).to_arrow()
        shares: list[float] = []
        for row in sample.to_pylist():
            where = Filter(Scope(**{name: row[name] for name in columns[1:]}), now)
            vector = np.asarray(row["vector"], np.float32)
            exact = await self._dense_in_files(vector, where, NEAREST)
            found = await self.dense(vector, where, NEAREST)
            # What is as near as the last may stand in its place.
            near = [one for one in found if one.score >= exact[-1].score - 1e-5] if exact else []
            shares += [len(near) / len(exact)] if exact else []
        return sum(shares) / len(shares) if shares else None

    async def count(self) -> int:
        async with self._reading() as table:
            return int(await table.count_rows())

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())

    def needs_optimize(self, after_writes: int, after_seconds: float) -> bool:
        """Whether there were so many writes, or any so long ago, since the last `optimize`, or it left
        something.

        A compaction cannot drop the version it replaced at once, as a search may read it; the next one does.
        """
        writes, waited = self._writes_since_optimize, time.monotonic() - self._last_optimize
        many_rows = max(after_writes * ROWS_PER_WRITE, self._rows_at_optimize // WAITING_SHARE)
        if writes >= after_writes or self._rows_waiting >= many_rows:
            return True
        return (writes > 0 or self._has_old_versions) and waited >= after_seconds

    async def optimize(self, *, keep_versions: timedelta = KEEP_VERSIONS) -> None:
        """Join small fragments, bring the indexes up to date, drop versions older than `keep_versions`."""
        async with self._rewriting:
            writes, rows = self._writes_since_optimize, self._rows_waiting
            with _translated(self._folder):
                await self._table.optimize(cleanup_older_than=keep_versions)
                self._rows_at_optimize = await self._table.count_rows()
            self._writes_since_optimize -= writes
            self._rows_waiting -= rows
            self._has_old_versions = writes > 0 and keep_versions > NO_VERSIONS
            self._last_optimize = time.monotonic()

    def _rows(self, memories: Sequence[Memory], embedded: Embedded) -> pa.Table:
        flat = pa.array(np.ascontiguousarray(embedded.vectors, np.float32).ravel())
        columns: dict[str, Any] = {
            "id": [memory.id for memory in memories],
            "owner": [_owner(memory) for memory in memories],
            "user_id": [memory.user_id for memory in memories],
            "agent_id": [memory.agent_id for memory in memories],
            "session_id": [memory.session_id for memory in memories],
            "level": [memory.level for memory in memories],
            "kind": [memory.kind for memory in memories],
            "state": [memory.state for memory in memories],
            "role": [memory.role for memory in memories],
            "speaker": [memory.speaker for memory in memories],
            "observed_at": [memory.observed_at for memory in memories],
            "valid_from": [memory.valid_from for memory in memories],
            "valid_until": [memory.valid_until for memory in memories],
            "expires_at": [memory.expires_at or NEVER for memory in memories],
            "text": [memory.worded for memory in memories],
            "vector": pa.FixedSizeListArray.from_arrays(flat, self._dimension),
            "tokens": embedded.tokens or [None] * len(memories),
        }
        return pa.table(columns, schema=self._schema.remove_metadata())


def remove(folder: Path) -> None:
    """Delete a table that is closed; the ledger has everything that was in it. What is left of it shows in
    the look that follows a forgetting."""
    shutil.rmtree(folder, ignore_errors=True)


def _neighbour(folder: Path, suffix: str) -> Path:
    return folder.with_name(f"{folder.name}.{suffix}")


def _finish_swap(folder: Path) -> None:
    """Tidy up after a process that died while it replaced a table: the new one was whole before the old one
    moved."""
    new, old = _neighbour(folder, "new"), _neighbour(folder, "old")
    if old.exists() and new.exists() and not folder.exists():
        new.rename(folder)
    remove(old)
    remove(new)


async def _connect(folder: Path) -> Any:
    session = lancedb.Session(
        index_cache_size_bytes=INDEX_CACHE_BYTES, metadata_cache_size_bytes=METADATA_CACHE_BYTES
    )
    return await lancedb.connect_async(str(folder), session=session)


async def _create_indexes(table: Any) -> None:
    await table.create_index("text", config=FULL_TEXT)
    for column in ("owner", "kind"):
        await table.create_index(column, config=Bitmap())
    for column in ("id", "observed_at", "expires_at"):
        await table.create_index(column, config=BTree())


def _parted(batches: Sequence[pa.RecordBatch], gone: pa.Array) -> tuple[pa.Table, pa.Table]:
    table = pa.Table.from_batches(batches)
    goes = pc.is_in(table["id"], value_set=gone)
    return table.filter(pc.invert(goes)), table.filter(goes)


def _pieces(rows: pa.Table) -> set[bytes]:
    """Eight numbers of each vector, as they stand in a file."""
    flat = np.asarray(rows["vector"].combine_chunks().flatten(), np.float32)
    return {row.tobytes() for row in flat.reshape(rows.num_rows, -1)[:, :8]} if rows.num_rows else set()


_CANDIDATE_COLUMNS = ["id", "session_id", "role", "speaker"]
_MOMENT = pa.timestamp("us", "UTC")
_PLAIN = {"lance-encoding:compression": "none"}
"""Uncompressed, so that looking for forgotten bytes in the files proves something."""


def _schema(dimension: int, embedder: str) -> pa.Schema:
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("owner", pa.string(), nullable=False),
            pa.field("user_id", pa.string(), nullable=False),
            pa.field("agent_id", pa.string()),
            pa.field("session_id", pa.string()),
            pa.field("level", pa.string(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("state", pa.string(), nullable=False),
            pa.field("role", pa.string()),
            pa.field("speaker", pa.string(), metadata=_PLAIN),
            pa.field("observed_at", _MOMENT, nullable=False),
            pa.field("valid_from", _MOMENT),
            pa.field("valid_until", _MOMENT),
            pa.field("expires_at", _MOMENT, nullable=False),
            pa.field("text", pa.string(), nullable=False, metadata=_PLAIN),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
            # Signs look like noise: trying to compress them costs time alone.
            pa.field("tokens", pa.binary(), metadata=_PLAIN),
        ],
        metadata={EMBEDDER_KEY: embedder},
    )


def _owner(memory: Memory) -> str:
    scope = Scope.model_construct(
        user_id=memory.user_id, agent_id=memory.agent_id, session_id=memory.session_id
    )
    return scope.owner(memory.level)


def _expression(where: Filter) -> Expr:
    """A bound expression: no caller's text is ever glued into one."""
    expression = col("owner").isin(list(where.scope.owners)) & (col("expires_at") > lit(where.now))
    if where.kinds:
        expression &= col("kind").isin(list(where.kinds))
    if where.levels:
        expression &= col("level").isin(list(where.levels))
    if where.since is not None:
        expression &= col("observed_at") >= lit(where.since)
    if where.until is not None:
        expression &= col("observed_at") <= lit(where.until)
    if where.ids is not None:
        expression &= col("id").isin(list(where.ids[:IDS_PER_FILTER]))
    return expression


def _candidates(found: pa.Table, scores: list[float]) -> tuple[Candidate, ...]:
    columns = (found[name].to_pylist() for name in _CANDIDATE_COLUMNS)
    return tuple(
        Candidate(memory_id, score, session_id, role, speaker)
        for memory_id, session_id, role, speaker, score in zip(*columns, scores, strict=True)
    )


@contextmanager
def _translated(folder: Path) -> Generator[None]:
    try:
        yield
    except (RuntimeError, ValueError, OSError, pa.ArrowException) as error:  # all that lancedb raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "No space left" in str(error):
            raise DiskFull(folder) from error
        raise IndexFailed("vectors", reason[:200]) from error
