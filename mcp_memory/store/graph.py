"""The graph of entities in embedded Kùzu (or its fork ladybug): who is mentioned where, and how they are
joined.

Its file carries ids, codes and times, no text; rows are created and deleted, never updated; on any doubt it
is thrown away and built anew from the ledger, because faults of the engine can only be avoided, not mended:
every checkpoint uses up 8 MiB of the address space, updates swell the file, and deleted strings stay in it.
A connection of kuzu 0.11 keeps every statement it was ever given, 6 to 19 KB each time. Deleting an edge
leaves others, or takes others with it, so that edges go only with a node at their end, and a relation is one.
And -(2**63), in a column with other numbers, is 0 after a checkpoint.

A node is looked up by its key only where the key is a parameter: for keys out of UNWIND or IN all nodes are
read, which at 200,000 takes 25 ms instead of 1, and to join two kinds of nodes more than 256 MiB.
"""

# kuzu and ladybug publish no types; what leaves this module is typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownParameterType=false

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import anyio
import anyio.to_thread
import pyarrow as pa

from mcp_memory.errors import ConfigError, DiskFull, IndexFailed
from mcp_memory.store.ledger.index_work import GraphRows, RelationRow

_Result = TypeVar("_Result")

Engine = Literal["kuzu", "ladybug"]
MAX_DB_SIZE = 64 << 30
"""Address space, not disk: the default of 8 TiB fails where address space is limited."""
BEGINNING, END = -(2**62), 2**62
"""Open ends of a relation's validity, so that a range test needs no null; far beyond all years in
microseconds."""

_SCHEMA = (
    "CREATE NODE TABLE Entity(id STRING, PRIMARY KEY(id))",
    "CREATE NODE TABLE Memory(id STRING, PRIMARY KEY(id))",
    "CREATE NODE TABLE Relation(id STRING, type INT64, valid_from INT64, valid_until INT64,"
    " memory_id STRING, PRIMARY KEY(id))",
    "CREATE REL TABLE MENTIONS(FROM Memory TO Entity)",
    "CREATE REL TABLE SUBJECT(FROM Relation TO Entity)",
    "CREATE REL TABLE OBJECT(FROM Relation TO Entity)",
)
_ADD_ENTITY = "MERGE (:Entity {id: $id})"
_ADD_MENTION = "MATCH (m:Memory {id: $memory}), (e:Entity {id: $entity}) CREATE (m)-[:MENTIONS]->(e)"
_ADD_RELATION = """
    MATCH (s:Entity {id: $subject}), (o:Entity {id: $object})
    CREATE (s)<-[:SUBJECT]-(:Relation {id: $id, type: $type, valid_from: $valid_from,
    valid_until: $valid_until, memory_id: $memory})-[:OBJECT]->(o)"""
_DELETE_RELATIONS = "MATCH (r:Relation) WHERE r.memory_id IN $ids DETACH DELETE r"
_DELETE_MEMORY = "MATCH (m:Memory {id: $id}) DETACH DELETE m"
_DELETE_MEMORIES = "MATCH (m:Memory) WHERE m.id IN $ids DETACH DELETE m"
_DELETE_ENTITIES = "MATCH (e:Entity) WHERE e.id IN $ids DETACH DELETE e"
_MENTIONING = """
    MATCH (m:Memory)-[:MENTIONS]->(e:Entity {id: $id}) RETURN m.id ORDER BY m.id LIMIT $limit"""
# Without an order it stops at the last that is wanted, however many there are.
_SOME_MENTIONING = "MATCH (m:Memory)-[:MENTIONS]->(e:Entity {id: $id}) RETURN m.id LIMIT $limit"
_RELATED = """
    MATCH (a:Entity)<-[:SUBJECT|:OBJECT]-(:Relation)-[:SUBJECT|:OBJECT]->(b:Entity)
    WHERE a.id = $id AND b.id <> a.id RETURN DISTINCT b.id ORDER BY b.id LIMIT $limit"""
_TOGETHER = """
    MATCH (a:Entity)<-[:MENTIONS]-(m:Memory)-[:MENTIONS]->(b:Entity) WHERE a.id = $id AND b.id <> a.id
    RETURN b.id, count(m) AS often ORDER BY often DESC, b.id LIMIT $limit"""
_ALL_MEMORIES = "MATCH (m:Memory) RETURN m.id"
_ALL_ENTITIES = "MATCH (e:Entity) RETURN e.id"
_ALL_MENTIONS = "MATCH (m:Memory)-[:MENTIONS]->(e:Entity) RETURN m.id, e.id"
_ALL_RELATIONS = """
    MATCH (s:Entity)<-[:SUBJECT]-(r:Relation)-[:OBJECT]->(o:Entity)
    RETURN s.id, o.id, r.id, r.type, r.valid_from, r.valid_until, r.memory_id"""
MENTIONS_AT_ONCE = 8
"""Entities that one statement joins to a new memory."""
ONE_BY_ONE = 50
"""Nodes up to which each is deleted by its key; more are found in one reading of all."""
_COUNT_MEMORIES = "MATCH (m:Memory) RETURN count(m)"
_COUNT_RELATIONS = "MATCH (r:Relation) RETURN count(r)"


class _Session:
    """A database while it is open, and the statements it has been given: each is prepared once."""

    def __init__(self, database: Any, connection: Any, prepare: Callable[[str], Any]) -> None:
        self.connection = connection
        self._database = database
        self._prepared = cache(prepare)

    def execute(self, statement: str, parameters: Mapping[str, object]) -> list[list[Any]]:
        """All rows of the answer. `statement` is one of ours, of which there are few."""
        prepared = self._prepared(statement) if parameters else statement
        result = self.connection.execute(prepared, dict(parameters))
        rows: list[list[Any]] = result.get_all()
        result.close()
        return rows

    def close(self) -> None:
        self._prepared.cache_clear()
        self.connection.close()
        self._database.close()


class Graph:
    """The one open graph of a data folder. One thread speaks to it; queries are fixed and parameterised."""

    name: Final = "graph"
    resident_rows: Final = 0
    """Kùzu holds its pages itself."""

    def __init__(self, path: Path, connect: Callable[[], _Session]) -> None:
        self._path = path
        self._connect = connect
        self._session = connect()
        self._file = path.stat().st_ino
        self._limiter = anyio.CapacityLimiter(1)

    @classmethod
    async def open(cls, path: Path, *, engine: Engine, buffer_pool_mib: int) -> tuple[Graph, bool]:
        """The graph at `path`, and whether it had to be made. Raises IndexFailed when it cannot be read."""
        return await anyio.to_thread.run_sync(partial(cls._open, path, engine, buffer_pool_mib))

    @classmethod
    def _open(cls, path: Path, engine: Engine, buffer_pool_mib: int) -> tuple[Graph, bool]:
        # Looked for in importlib.util, which kuzu itself uses without importing it.
        if importlib.util.find_spec(engine) is None:
            raise ConfigError("graph", "engine", f"{engine} is not installed; run pip install {engine}")
        module: Any = importlib.import_module(engine)
        is_new = not path.exists()

        def connect() -> _Session:
            path.parent.mkdir(parents=True, exist_ok=True)
            is_empty = not path.exists()
            database = module.Database(
                str(path), buffer_pool_size=buffer_pool_mib << 20, max_db_size=MAX_DB_SIZE
            )
            connection = module.Connection(database, num_threads=1)
            for statement in _SCHEMA if is_empty else ():
                connection.execute(statement)
            return _Session(database, connection, partial(module.PreparedStatement, connection))

        with _translated(path):
            return cls(path, connect), is_new

    async def close(self) -> None:
        await self._run(self._session.close)

    @property
    def is_there(self) -> bool:
        """Whether the file it has open is still the one at its place."""
        try:
            return self._path.stat().st_ino == self._file
        except OSError:
            return False

    async def add(self, rows: GraphRows) -> None:
        """Rows of memories that are not in the graph yet; entities may be."""

        def add() -> None:
            with self._transaction():
                self._insert(rows)

        await self._run(add)

    async def replace(self, rows: GraphRows) -> None:
        """The same for memories that may be there."""

        def replace() -> None:
            with self._transaction():
                self._delete(rows.memory_ids)
                self._insert(rows)

        await self._run(replace)

    async def delete(self, ids: Sequence[str]) -> None:
        """Memories and entities, with all their edges."""

        def delete() -> None:
            with self._transaction():
                self._delete(ids)
                self._execute(_DELETE_ENTITIES, ids=list(ids))

        await self._run(delete)

    async def load(self, rows: GraphRows) -> None:
        """Fill an empty graph: 10,000 entities and 20,000 relations in a tenth of a second."""
        await self._run(partial(self._load, rows))

    async def renew(self, rows: GraphRows) -> None:
        """Throw the file away and make a new one of `rows`: nothing of what was deleted is left in it."""

        def renew() -> None:
            self._session.close()
            remove(self._path)
            self._session = self._connect()
            self._file = self._path.stat().st_ino
            self._load(rows)

        await self._run(renew)

    def _load(self, rows: GraphRows) -> None:
        self._copy("Entity", pa.table({"id": pa.array(rows.entity_ids, pa.string())}))
        self._copy("Memory", pa.table({"id": pa.array(rows.memory_ids, pa.string())}))
        memory_ids, entity_ids = zip(*rows.mentions, strict=True) if rows.mentions else ((), ())
        self._copy(
            "MENTIONS",
            pa.table({"from": pa.array(memory_ids, pa.string()), "to": pa.array(entity_ids, pa.string())}),
        )
        relations = [*map(_bounded, rows.relations)]
        columns = [*zip(*relations, strict=True)] or [()] * 7
        subjects, objects, ids = (pa.array(column, pa.string()) for column in columns[:3])
        self._copy(
            "Relation",
            pa.table(
                {
                    "id": ids,
                    "type": pa.array(columns[3], pa.int64()),
                    "valid_from": pa.array(columns[4], pa.int64()),
                    "valid_until": pa.array(columns[5], pa.int64()),
                    "memory_id": pa.array(columns[6], pa.string()),
                }
            ),
        )
        self._copy("SUBJECT", pa.table({"from": ids, "to": subjects}))
        self._copy("OBJECT", pa.table({"from": ids, "to": objects}))

    async def mentioning(self, entity_id: str, limit: int) -> tuple[str, ...]:
        """Ids of memories that mention an entity."""
        rows = await self._run(partial(self._execute, _MENTIONING, id=entity_id, limit=limit))
        return tuple(row[0] for row in rows)

    async def rare_mentions(self, entity_ids: Sequence[str], at_most: int) -> tuple[tuple[str, str], ...]:
        """Pairs of memory and entity id, for those of the entities that at most so many memories mention."""

        def rare_mentions() -> tuple[tuple[str, str], ...]:
            pairs: list[tuple[str, str]] = []
            for one in dict.fromkeys(entity_ids):
                rows = self._execute(_SOME_MENTIONING, id=one, limit=at_most + 1)
                if len(rows) <= at_most:
                    pairs.extend((row[0], one) for row in rows)
            return tuple(sorted(pairs))

        return await self._run(rare_mentions)

    async def neighbours(self, entity_id: str, limit: int) -> tuple[str, ...]:
        """Entities one step away: joined by a relation first, then those mentioned together most often."""

        def neighbours() -> tuple[str, ...]:
            related = [row[0] for row in self._execute(_RELATED, id=entity_id, limit=limit)]
            together = [row[0] for row in self._execute(_TOGETHER, id=entity_id, limit=limit)]
            return tuple(dict.fromkeys((*related, *together)))[:limit]

        return await self._run(neighbours)

    async def topology(self) -> GraphRows:
        """Everything in the graph, for comparing with the ledger."""

        def topology() -> GraphRows:
            return GraphRows(
                tuple(row[0] for row in self._execute(_ALL_MEMORIES)),
                tuple(row[0] for row in self._execute(_ALL_ENTITIES)),
                tuple((row[0], row[1]) for row in self._execute(_ALL_MENTIONS)),
                tuple(_unbounded(RelationRow(*row)) for row in self._execute(_ALL_RELATIONS)),
            )

        return await self._run(topology)

    async def read_through(self) -> None:
        """Raises IndexFailed when anything in it cannot be read."""
        await self.topology()

    async def count(self) -> int:
        """Memories in the graph."""
        return await self._run(partial(self._number, _COUNT_MEMORIES))

    async def is_outdated(self) -> bool:
        """Whether it was made when relations were edges."""
        try:
            await self._run(partial(self._number, _COUNT_RELATIONS))
        except IndexFailed:
            return True
        return False

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self._path.parent.iterdir() if file.is_file())

    def _insert(self, rows: GraphRows) -> None:
        # A memory whose statement misses one of them would not be made, and nobody told.
        for entity_id in dict.fromkeys((*rows.entity_ids, *(one for _, one in rows.mentions))):
            self._execute(_ADD_ENTITY, id=entity_id)
        mentioned: dict[str, list[str]] = {memory_id: [] for memory_id in rows.memory_ids}
        for memory_id, entity_id in rows.mentions:
            mentioned[memory_id].append(entity_id)
        for memory_id, entity_ids in mentioned.items():
            first, others = entity_ids[:MENTIONS_AT_ONCE], entity_ids[MENTIONS_AT_ONCE:]
            named = {f"e{place}": entity_id for place, entity_id in enumerate(first)}
            self._execute(_add_memory(len(first)), memory=memory_id, **named)
            for entity_id in others:
                self._execute(_ADD_MENTION, memory=memory_id, entity=entity_id)
        names = ("subject", "object", "id", "type", "valid_from", "valid_until", "memory")
        for row in rows.relations:
            self._execute(_ADD_RELATION, **dict(zip(names, _bounded(row), strict=True)))

    def _delete(self, memory_ids: Sequence[str]) -> None:
        self._execute(_DELETE_RELATIONS, ids=list(memory_ids))
        if len(memory_ids) > ONE_BY_ONE:
            self._execute(_DELETE_MEMORIES, ids=list(memory_ids))
            return
        for memory_id in memory_ids:
            self._execute(_DELETE_MEMORY, id=memory_id)

    def _copy(self, table: str, rows: pa.Table) -> None:
        if rows.num_rows:
            # The table's name is one of ours; a COPY takes no parameter in its place.
            self._session.connection.execute(f"COPY {table} FROM $rows", {"rows": rows}).close()

    def _execute(self, statement: str, **parameters: object) -> list[list[Any]]:
        return self._session.execute(statement, parameters)

    def _number(self, statement: str, **parameters: object) -> int:
        return int(self._execute(statement, **parameters)[0][0])

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            # Some failures have ended the transaction by themselves.
            with suppress(RuntimeError):
                self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        def run() -> _Result:
            with _translated(self._path):
                return work()

        return await anyio.to_thread.run_sync(run, limiter=self._limiter)


def remove(path: Path) -> None:
    """Delete a graph that is closed, with its log; the ledger has everything that was in it."""
    for file in path.parent.glob(path.name + "*"):
        file.unlink()


@cache
def _add_memory(mentions: int) -> str:
    """The statement that makes a memory which mentions so many entities: `$e0` and so on."""
    ends = [f"e{place}" for place in range(mentions)]
    match = ", ".join(f"({end}:Entity {{id: ${end}}})" for end in ends)
    edges = "".join(f", (m)-[:MENTIONS]->({end})" for end in ends)
    return f"{'MATCH ' if ends else ''}{match} CREATE (m:Memory {{id: $memory}}){edges}"


def _bounded(row: RelationRow) -> RelationRow:
    return row._replace(
        valid_from=BEGINNING if row.valid_from is None else row.valid_from,
        valid_until=END if row.valid_until is None else row.valid_until,
    )


def _unbounded(row: RelationRow) -> RelationRow:
    return row._replace(
        valid_from=None if row.valid_from == BEGINNING else row.valid_from,
        valid_until=None if row.valid_until == END else row.valid_until,
    )


@contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except (RuntimeError, OSError) as error:  # all that the engines raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "No space left" in str(error):
            raise DiskFull(path) from error
        raise IndexFailed("graph", reason[:200]) from error
