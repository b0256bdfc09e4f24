"""Rows held in memory answer as the table does, and hold what the table holds."""

# The two roads of one table are compared, which only the table itself tells apart.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_memory.config import Config
from mcp_memory.embedded import Embedded
from mcp_memory.models import AddRequest, ForgetRequest, Level, Memory, Scope, SearchRequest
from mcp_memory.service import Service
from mcp_memory.store import resident
from mcp_memory.store.candidates import Candidate, Filter
from mcp_memory.store.vectors import VectorTable

DIMENSION = 8
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("fact", "preference", "message")
LEVELS: tuple[Level, ...] = ("user", "session", "agent")
WORDS = ("lighthouse", "cello", "plumber", "Lisbon")


def memory(number: int) -> Memory:
    level = LEVELS[number % 3]
    return Memory.model_validate(
        {
            "id": f"m_{number}",
            "text": f"{WORDS[number % 4]} {WORDS[number % 3]} {number}",
            "kind": KINDS[number % 3],
            "level": level,
            "user_id": f"u{number % 2}",
            "agent_id": f"a{number % 2}",
            "session_id": f"s{number % 4}",
            "role": "user" if number % 5 else None,
            "speaker": "Ann" if number % 7 else None,
            "observed_at": NOW - timedelta(days=number),
            "recorded_at": NOW,
            "expires_at": NOW + timedelta(days=number - 10) if number % 4 == 0 else None,
        }
    )


def embedded(memories: Sequence[Memory]) -> Embedded:
    made = np.stack(
        [np.random.default_rng(int(one.id[2:])).standard_normal(DIMENSION, np.float32) for one in memories]
    )
    tokens = [one.id.encode() for one in memories]
    return Embedded(made / np.linalg.norm(made, axis=1, keepdims=True), tokens)


async def opened(folder: Path, resident_bytes: int = 1 << 20) -> VectorTable:
    table, _ = await VectorTable.open(
        folder, embedder="made", dimension=DIMENSION, resident_bytes=resident_bytes
    )
    return table


async def filled(folder: Path, resident_bytes: int = 1 << 20) -> VectorTable:
    table = await opened(folder, resident_bytes)
    memories = [memory(number) for number in range(60)]
    await table.add(memories, embedded(memories))
    return table


def rounded(found: Sequence[Candidate]) -> list[tuple[object, ...]]:
    return sorted(
        (one.memory_id, round(one.score, 4), one.session_id, one.role, one.speaker) for one in found
    )


filters = st.builds(
    Filter,
    scope=st.builds(
        Scope,
        user_id=st.sampled_from(["u0", "u1", "nobody"]),
        agent_id=st.sampled_from([None, "a0", "a1"]),
        session_id=st.sampled_from([None, "s0", "s3"]),
    ),
    now=st.sampled_from([NOW, NOW + timedelta(days=20), NOW - timedelta(days=20)]),
    kinds=st.lists(st.sampled_from(KINDS), max_size=2, unique=True).map(tuple),
    levels=st.lists(st.sampled_from(LEVELS), max_size=2, unique=True).map(tuple),
    since=st.sampled_from([None, NOW - timedelta(days=30)]),
    until=st.sampled_from([None, NOW - timedelta(days=5)]),
    ids=st.none() | st.lists(st.integers(0, 70).map("m_{}".format), unique=True, min_size=1).map(tuple),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(where=filters, limit=st.integers(1, 70), seed=st.integers(0, 9), has_room=st.booleans())
def test_memory_and_table_answer_alike_whatever_is_asked(
    tmp_path: Path, where: Filter, limit: int, seed: int, has_room: bool
) -> None:
    import anyio

    async def both() -> None:
        folder = tmp_path / "vectors"
        table = await (opened(folder) if folder.exists() else filled(folder))
        vector = embedded([memory(seed)]).vectors[0]
        named = [f"m_{number}" for number in range(seed, seed + limit)]
        from_table = await table.dense(vector, where, limit), await table.tokens(named)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(resident, "TOKEN_BYTES", 1 << 20 if has_room else 1)
            await table.hold()
            assert table._resident is not None
            assert table._resident.lacks_tokens is not has_room
            from_memory = await table.dense(vector, where, limit), await table.tokens(named)
        table.close()
        assert rounded(from_memory[0]) == rounded(from_table[0])
        assert from_memory[1] == from_table[1]

    anyio.run(both)


async def test_what_is_written_is_held_and_what_is_deleted_or_erased_is_not(tmp_path: Path) -> None:
    everything = Filter(Scope(user_id="u0", agent_id="a0", session_id="s0"), NOW - timedelta(days=20))
    table = await filled(tmp_path / "vectors")
    await table.hold()
    more = [memory(number) for number in range(60, 90)]
    await table.add(more, embedded(more))
    await table.delete(["m_2", "m_60"])
    again = [memory(number) for number in (4, 62)]
    await table.replace(again, embedded(again))
    await table.erase(["m_6", "m_64"])
    vector = embedded(more).vectors[0]
    held = await table.dense(vector, everything, 100)
    assert table._resident is not None
    table._resident = None
    assert rounded(held) == rounded(await table.dense(vector, everything, 100))
    assert {"m_4", "m_62"} < {one.memory_id for one in held}
    assert {one.memory_id for one in held}.isdisjoint({"m_2", "m_60", "m_6", "m_64"})
    table.close()


async def test_a_table_that_outgrows_memory_is_searched_in_its_files(tmp_path: Path) -> None:
    table = await filled(tmp_path / "vectors", 40_000)
    await table.hold()
    assert table._resident is not None
    more = [memory(number) for number in range(60, 90)]
    await table.add(more, embedded(more))
    assert table._resident is None
    await table.hold()
    assert table._resident is None
    found = await table.dense(embedded(more).vectors[0], Filter(Scope(user_id="u0"), NOW), 1)
    assert found[0].memory_id == "m_60"
    table.close()


async def test_the_service_holds_a_small_table_and_forgets_from_memory_too(config: Config) -> None:
    scope = Scope(user_id="u")
    async with Service.open(config) as service:
        kept = (await service.add(scope, AddRequest(content="Ben plays the cello."))).memories[0].id
        gone = (await service.add(scope, AddRequest(content="Ann keeps the lighthouse."))).memories[0].id
        await service.forget(scope, ForgetRequest(ids=(gone,)))
        table = service._store._indexes.vectors.get()
        assert table._resident is not None
        assert table._resident._ids == [kept]
        found = await service.search(scope, SearchRequest(query="Who keeps the lighthouse?"))
        assert [hit.memory.id for hit in found.hits] == [kept]


async def test_doctor_tells_what_is_in_memory_and_measures_recall(config: Config) -> None:
    scope = Scope(user_id="u")
    async with Service.open(config) as service:
        assert (await service.compare()).recall is None
        for number in range(30):
            await service.add(scope, AddRequest(content=f"{WORDS[number % 4]} number {number}"))
        assert (await service.health()).indexes[0].resident == 30
        assert (await service.compare()).recall == 1.0
        # Were memory to lose rows, the measure would tell.
        table = service._store._indexes.vectors.get()
        assert table._resident is not None
        table._resident.remove(table._resident._ids[:15])
        assert ((await service.compare()).recall or 0) < 0.9
