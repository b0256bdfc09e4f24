"""Indexes that are lost or damaged are noticed, set aside and made anew, while the ledger answers."""

# Damage is done where only the store itself could do it.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_memory.background import side_by_side
from mcp_memory.client import OwnerClient
from mcp_memory.config import Config
from mcp_memory.errors import EmbeddingEndpointFailed, LedgerDamaged, LedgerMissing
from mcp_memory.folder import Folder
from mcp_memory.models import AddRequest, EntitiesRequest, Scope, SearchRequest, parse
from mcp_memory.service import Service

from .test_service import found

SCOPE = Scope(user_id="u")
QUERIES = ("Which instrument does Ben play?", "lighthouse", "Who lives in Lisbon?", "plumber on Tuesday")


async def fill(service: Service) -> None:
    for text in (
        "Ann lives in Lisbon.",
        "Ben plays the cello in Lisbon.",
        "The plumber comes on Tuesday.",
        "The lighthouse is white.",
        "Ann met Ben at the lighthouse.",
        *(f"Train {n} leaves platform {n % 9} of the station." for n in range(60)),
    ):
        await service.add(SCOPE, parse(AddRequest, {"content": text}))
    assert await service.caught_up(20)


async def answers(memory: Service | OwnerClient) -> list[list[str]]:
    hits = [(await memory.search(SCOPE, SearchRequest(query=query, limit=3))).hits for query in QUERIES]
    return [[hit.memory.text for hit in some] for some in hits]


def remove(path: Path) -> None:
    shutil.rmtree(path)


def empty_files(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file():
            os.truncate(file, 0)


def scramble(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file():
            file.write_bytes(os.urandom(max(file.stat().st_size, 64)))


async def test_lost_indexes_are_noticed_under_a_running_owner_and_come_back(config: Config) -> None:
    async with OwnerClient.open(config) as client:
        for text in ("Ann lives in Lisbon.", "Ben plays the cello in Lisbon.", "The lighthouse is white."):
            await client.add(SCOPE, AddRequest(content=text))
        for n in range(40):
            await client.add(SCOPE, AddRequest(content=f"Train {n} leaves platform {n % 9}."))
        before = await answers(client)
        shutil.rmtree(config.data_dir / "vectors")
        shutil.rmtree(config.data_dir / "graph")
        at_once = await client.search(SCOPE, SearchRequest(query="lighthouse"))
        assert at_once.hits[0].memory.text == "The lighthouse is white."
        assert at_once.degraded
        near = await client.entities(SCOPE, EntitiesRequest(entity="Lisbon"))
        assert near.detail is not None
        assert {one.name for one in near.detail.neighbours} >= {"Ann", "Ben"}
        assert await client.caught_up(30)
        with anyio.fail_after(20):
            while not (await client.health()).agrees:
                await anyio.sleep(0.05)
        assert await answers(client) == before
        assert (await client.search(SCOPE, SearchRequest(query="lighthouse"))).degraded == ()
        assert (await client.compare()).agrees
    await OwnerClient.stop(config)


@pytest.mark.parametrize("index", ["vectors", "graph"])
@pytest.mark.parametrize("damage", [remove, empty_files, scramble])
async def test_damaged_indexes_are_set_aside_at_the_next_start(
    config: Config, index: str, damage: Callable[[Path], None]
) -> None:
    async with Service.open(config) as service:
        await fill(service)
        before = await answers(service)
    damage(config.data_dir / index)
    async with Service.open(config) as service:
        assert [
            hit.memory.text for hit in (await service.search(SCOPE, SearchRequest(query="lighthouse"))).hits
        ]
        assert await service.caught_up(30)
        assert (await service.compare()).agrees
        assert await answers(service) == before
        aside = [path.name.partition(".")[0] for path in Folder(config.data_dir).set_aside]
        assert aside == ([] if damage is remove else [index])
        assert (await service.health()).set_aside == tuple(
            path.name for path in Folder(config.data_dir).set_aside
        )


async def test_files_damaged_under_a_running_service_are_noticed_when_they_are_compared(
    config: Config,
) -> None:
    async with Service.open(config) as service:
        await fill(service)
    async with Service.open(config) as service:
        await service.health()
        scramble(config.data_dir / "vectors" / "memories.lance" / "data")
        result = await service.search(SCOPE, SearchRequest(query="lighthouse white"))
        assert result.hits[0].memory.text == "The lighthouse is white."
        with anyio.fail_after(30):
            assert (await service.compare()).agrees
        assert (await service.health()).agrees


async def test_a_comparison_names_every_difference_and_repair_mends_them(config: Config) -> None:
    async with Service.open(config) as service:
        await fill(service)
        store: Any = service._store
        recent = await service.recent(SCOPE, limit=100)
        lost, changed, ghost = recent[0], recent[1], recent[2].model_copy(update={"id": "m_ghost"})
        table, graph = store._indexes.vectors.index, store._indexes.graph.index
        await table.delete([lost.id])
        embedded = await service._embedder.embed_tokens(["other words"] * 2)
        await table.replace([changed.model_copy(update={"text": "other words"})], embedded.at([0]))
        await table.add([ghost, recent[3]], embedded)
        await graph.delete([recent[4].id])
        compared = await service.compare()
        assert {
            (one.index, one.id, one.problem) for one in compared.differences if one.index == "vectors"
        } == {
            ("vectors", lost.id, "missing"),
            ("vectors", changed.id, "not as in the ledger"),
            ("vectors", "m_ghost", "left over"),
            ("vectors", recent[3].id, "twice"),
        }
        assert ("graph", recent[4].id, "missing") in {
            (one.index, one.id, one.problem) for one in compared.differences
        }
        assert compared.total == len(compared.differences)
        repaired = await service.compare(repair=True)
        assert repaired.repaired
        assert (await service.compare()).agrees
        assert (await service.health()).agrees


async def test_a_missing_ledger_is_no_empty_memory(config: Config) -> None:
    async with Service.open(config) as service:
        await fill(service)
    ledger = (config.data_dir / "ledger.db").read_bytes()
    (config.data_dir / "ledger.db").unlink()
    with pytest.raises(LedgerMissing, match="restore a backup"):
        async with Service.open(config):
            pass
    (config.data_dir / "ledger.db").write_bytes(ledger)
    async with Service.open(config) as service:
        assert (await service.compare()).agrees


async def test_a_rebuild_that_cannot_embed_throws_nothing_away(config: Config) -> None:
    async with Service.open(config) as service:
        await fill(service)
    other = {"provider": "openai", "model": "m", "dimension": 8, "base_url": "http://127.0.0.1:9/v1"}
    endpoint = config.embedding.model_copy(update=other)
    async with Service.open(config.model_copy(update={"embedding": endpoint})) as service:
        with pytest.raises(EmbeddingEndpointFailed):
            await service.rebuild()
    async with Service.open(config) as service:
        assert (await service.compare()).agrees


async def test_what_fails_side_by_side_is_raised_as_it_is() -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def both(error: Exception) -> None:
        async with side_by_side() as tasks:
            tasks.start_soon(fail, error)
            tasks.start_soon(anyio.sleep, 5)

    with pytest.raises(LedgerDamaged, match="do not delete it"):
        await both(LedgerDamaged(Path("ledger.db"), "malformed"))
    with pytest.raises(ExceptionGroup):
        await both(ZeroDivisionError())


async def test_the_ledger_finds_by_words_what_no_index_has(config: Config) -> None:
    async with Service.open(config) as service:
        await fill(service)
        await service.add(SCOPE, AddRequest(content="猫は日本語で話す。"))
        store: Any = service._store
        for query, text in (
            ("the lighthouses", "The lighthouse is white."),
            ("playing cello", "Ben plays the cello in Lisbon."),
            ("猫", "猫は日本語で話す。"),
            ("platform 7 train 52", "Train 52 leaves platform 7 of the station."),
        ):
            best = (await store.read_words(SCOPE, query)).best(3)[0]
            assert (await service.get(SCOPE, best.memory_id)).memory.text == text
        assert (await store.read_words(Scope(user_id="other"), "lighthouse")).best(3) == ()
        assert (await store.read_words(SCOPE, "?!")).best(3) == ()
        assert await found(service, SCOPE, "lighthouse", limit=1)
