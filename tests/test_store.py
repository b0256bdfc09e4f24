"""What must hold whatever happens: a full disk, a killed process, another graph engine."""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psutil
import pytest
import sqlalchemy as sa
import sqlalchemy.event

from mcp_memory.background import side_by_side
from mcp_memory.config import Config
from mcp_memory.errors import DiskFull
from mcp_memory.folder import Folder
from mcp_memory.models import AddRequest, Memory, Scope, SearchRequest
from mcp_memory.service import Service
from mcp_memory.store.allocator import release
from mcp_memory.store.graph import MAX_DB_SIZE, Graph, remove
from mcp_memory.store.ledger import Ledger, entities, index_work, memories, writing
from mcp_memory.store.ledger.index_work import GraphRows, RelationRow
from mcp_memory.store.ledger.schema import new_id
from mcp_memory.store.ledger.writing import Draft

from .conftest import GRAPH_ENGINE

ROOT = Path(__file__).parent.parent


def draft(text: str) -> Draft:
    now = datetime.now(UTC)
    return Draft(
        Memory(
            id=new_id("m"),
            text=text,
            kind="fact",
            level="user",
            user_id="u",
            observed_at=now,
            recorded_at=now,
        )
    )


async def test_a_full_disk_stores_nothing_by_halves_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    def limit_pages(connection: sa.Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    ledger = await Ledger.open(tmp_path / "ledger.db")
    await ledger.write(writing.write, [draft("before")])
    await ledger.write(limit_pages, 60)
    with pytest.raises(DiskFull, match="Make room"):
        await ledger.write(writing.write, [draft(f"{n} " + "long " * 2_000) for n in range(100)])
    assert await ledger.read(index_work.counts) == (1, 0, 0)
    await ledger.write(limit_pages, 1_000_000)
    await ledger.write(writing.write, [draft("after")])
    assert {memory.text for memory in await ledger.read(memories.recent, Scope(user_id="u"), (), 9, 0)} == {
        "before",
        "after",
    }
    await ledger.close()


async def test_a_reading_sees_one_state_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    begun, written = threading.Event(), threading.Event()

    def counted_twice(connection: sa.Connection) -> tuple[int, int]:
        before, _, _ = index_work.counts(connection)
        begun.set()
        assert written.wait(30)
        after, _, _ = index_work.counts(connection)
        return before, after

    ledger = await Ledger.open(tmp_path / "ledger.db")
    await ledger.write(writing.write, [draft("before")])
    async with side_by_side() as tasks:
        reading = tasks.start_soon(ledger.read, counted_twice)
        assert await anyio.to_thread.run_sync(begun.wait, 30)
        await ledger.write(writing.write, [draft("meanwhile")])
        written.set()
    assert reading.return_value == (1, 1)
    assert await ledger.read(index_work.counts) == (2, 0, 0)
    await ledger.close()


def _request(number: int, method: str, **params: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n"


async def test_what_was_acknowledged_survives_a_killed_server(config: Config) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "mcp_memory", "--data-dir", str(config.data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, "MCP_MEMORY_GRAPH__ENGINE": GRAPH_ENGINE},
    )
    assert server.stdin is not None
    assert server.stdout is not None
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    acknowledged: list[str] = []
    try:
        server.stdin.write(_request(0, "initialize", **hello))
        server.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
        for n in range(1, 9):
            arguments = {"user_id": "u", "content": f"Beacon number {n} is lit."}
            server.stdin.write(_request(n, "tools/call", name="add_memory", arguments=arguments))
        server.stdin.flush()
        while len(acknowledged) < 5:
            answer = json.loads(server.stdout.readline())
            if "structuredContent" in answer.get("result", {}):
                acknowledged += answer["result"]["structuredContent"]["ids"]
    finally:
        server.kill()
        server.wait(10)
        owner = json.loads((config.data_dir / "owner.json").read_text())
        os.kill(owner["pid"], signal.SIGKILL)
        server.stdin.close()
        server.stdout.close()
    async with Service.open(config) as service:
        scope = Scope(user_id="u")
        for memory_id in acknowledged:
            assert "Beacon" in (await service.get(scope, memory_id)).memory.text
        found = await service.search(scope, SearchRequest(query="beacon", limit=100))
        assert set(acknowledged) <= {hit.memory.id for hit in found.hits} or found.degraded


def test_the_same_holds_on_the_other_graph_engine() -> None:
    """In a process of its own: kuzu and ladybug in one crash."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/test_service.py", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "TEST_GRAPH_ENGINE": "kuzu" if GRAPH_ENGINE == "ladybug" else "ladybug"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2_000:]


async def test_a_graph_that_is_asked_all_day_takes_no_more_memory(tmp_path: Path) -> None:
    graph, _ = await Graph.open(tmp_path / "graph" / "graph.db", engine=GRAPH_ENGINE, buffer_pool_mib=64)
    rows = GraphRows(("m_1", "m_2"), ("e_1",), (("m_1", "e_1"), ("m_2", "e_1")), ())
    await graph.add(rows)

    async def grown(calls: int) -> int:
        release()
        before = psutil.Process().memory_info().rss
        for _ in range(calls):
            assert await graph.rare_mentions(["e_1"], 9) == (("m_1", "e_1"), ("m_2", "e_1"))
        release()
        return psutil.Process().memory_info().rss - before

    await grown(100)
    # A connection that keeps what it is asked kept 16 KB of each call, and more.
    assert await grown(1_000) < 1_000 * 4_000
    await graph.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_graph_is_what_was_written_whatever_was_deleted_and_whenever_it_was_closed(
    tmp_path: Path, seed: int
) -> None:
    """Kùzu, asked to delete edges, left some and took others; closed, it made a number of another."""
    chance = random.Random(seed)
    path, people = tmp_path / "graph" / "graph.db", [f"e_{n}" for n in range(8)]
    graph, _ = await Graph.open(path, engine=GRAPH_ENGINE, buffer_pool_mib=64)
    kept: dict[str, GraphRows] = {}

    def said(memory_id: str) -> GraphRows:
        mentions = tuple((memory_id, one) for one in chance.sample(people, chance.randint(0, 3)))
        relations = tuple(
            RelationRow(
                *(chance.choice(people), chance.choice(people), f"r_{memory_id}_{n}", chance.randint(1, 5)),
                *(chance.choice((None, 1_700_000_000_000_000 + n)), chance.choice((None, 10**15)), memory_id),
            )
            for n in range(chance.randint(0, 3))
        )
        named = {one for _, one in mentions} | {
            one for row in relations for one in (row.subject_id, row.object_id)
        }
        return GraphRows((memory_id,), tuple(sorted(named)), mentions, relations)

    def together(ids: Iterable[str]) -> GraphRows:
        rows = [kept[one] for one in ids]
        return GraphRows(
            tuple(one for row in rows for one in row.memory_ids),
            tuple(sorted({one for row in rows for one in row.entity_ids})),
            tuple(one for row in rows for one in row.mentions),
            tuple(one for row in rows for one in row.relations),
        )

    for step in range(40):
        some = chance.sample(sorted(kept), min(len(kept), chance.randint(1, 5)))
        match chance.choice(("add", "add", "replace", "replace", "delete", "close")):
            case "replace" if some:
                kept.update((one, said(one)) for one in some)
                await graph.replace(together(some))
            case "delete":
                await graph.delete(some)
                for one in some:
                    del kept[one]
            case "close":
                await graph.close()
                graph, is_new = await Graph.open(path, engine=GRAPH_ENGINE, buffer_pool_mib=64)
                assert not is_new
            case _:
                new = [f"m_{step}_{n}" for n in range(chance.randint(1, 3))]
                kept.update((one, said(one)) for one in new)
                await graph.add(together(new))
        there, expected = await graph.topology(), together(kept)
        assert sorted(there.memory_ids) == sorted(expected.memory_ids)
        assert sorted(there.mentions) == sorted(expected.mentions)
        assert set(there.relations) == set(expected.relations)
        assert len(there.relations) == len(expected.relations)
    await graph.close()


async def test_a_graph_of_an_older_make_is_made_anew(config: Config) -> None:
    async with Service.open(config) as service:
        await service.caught_up(30)
        await service.add(Scope(user_id="u"), AddRequest(content="Ann works at Acme."))
    folder = Folder(config.data_dir)
    remove(folder.graph)
    engine: Any = importlib.import_module(GRAPH_ENGINE)
    database = engine.Database(str(folder.graph), max_db_size=MAX_DB_SIZE)
    with engine.Connection(database) as connection:
        connection.execute("CREATE NODE TABLE Memory(id STRING, PRIMARY KEY(id))")
        connection.execute("CREATE (:Memory {id: 'm_1'})")
    database.close()
    async with Service.open(config) as service:
        await service.caught_up(30)
        assert (await service.compare()).total == 0


async def test_what_a_search_reads_is_found_without_reading_all_of_its_owner(tmp_path: Path) -> None:
    plans: list[str] = []

    def planned(connection: sa.Connection, ids: list[str]) -> None:
        def note(*called: Any) -> None:
            cursor, statement, values = called[1:4]
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values))

        sqlalchemy.event.listen(connection, "before_cursor_execute", note)
        memories.by_id(connection, Scope(user_id="u"), ids)
        entities.resolve(connection, Scope(user_id="u"), ids)
        memories.standing(connection, Scope(user_id="u"), 9)

    ledger = await Ledger.open(tmp_path / "ledger.db")
    some = [draft(f"{n}") for n in range(9)]
    await ledger.write(writing.write, some)
    await ledger.read(planned, [one.memory.id for one in some])
    # The lists of ids are tables to SQLite, too.
    of_tables = [
        plan for plan in plans if plan.startswith(("SEARCH", "SCAN")) and "VIRTUAL TABLE" not in plan
    ]
    assert len(of_tables) == 5
    used = ("id=?", "key=?", "id=?", "home_id=?", "memory_standing")
    assert all(name in plan for name, plan in zip(used, of_tables, strict=True)), plans
    await ledger.close()


async def test_a_large_graph_takes_a_memory_without_reading_all_it_has(tmp_path: Path) -> None:
    """As it would have to, where keys are not looked up: then this many do not fit."""
    graph, _ = await Graph.open(tmp_path / "graph.db", engine=GRAPH_ENGINE, buffer_pool_mib=64)
    many, known = ([f"{kind}_{number:06d}" for number in range(150_000)] for kind in "me")
    await graph.load(GraphRows(tuple(many), tuple(known), tuple(zip(many, known, strict=True)), ()))
    relation = RelationRow(known[1], known[2], "r_1", 1, None, None, "m_new")
    mentions = (("m_new", known[1]), ("m_new", "e_new"))
    await graph.add(GraphRows(("m_new",), (known[1], known[2], "e_new"), mentions, (relation,)))
    found = await graph.rare_mentions([known[1], known[2], "e_new"], 2)
    assert found == ((many[1], known[1]), (many[2], known[2]), *mentions)
    await graph.delete(["m_new"])
    assert await graph.rare_mentions(["e_new"], 2) == ()
    await graph.close()
