"""Backups: written beside whoever works, opened only whole and with their passphrase, restored or merged."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_memory import backup
from mcp_memory.client import OwnerClient
from mcp_memory.config import Config
from mcp_memory.errors import BackupError
from mcp_memory.models import AddRequest, EntitiesRequest, ForgetRequest, Scope, SearchRequest, parse
from mcp_memory.service import Service

SCOPE = Scope(user_id="u")


def quiet(_: int, __: int) -> None:
    """Progress that nobody watches."""


def elsewhere(config: Config, tmp_path: Path, name: str = "other") -> Config:
    return config.model_copy(update={"data_dir": tmp_path / name})


async def add(service: Service, content: str, **more: Any) -> str:
    return (await service.add(SCOPE, parse(AddRequest, {"content": content, **more}))).memories[0].id


@pytest.fixture
async def filled(words_only: Config) -> Config:
    config = words_only
    async with Service.open(config) as service:
        said = await add(service, "I have moved to Porto.", kind="message")
        await add(
            service,
            "Nora lives in Porto.",
            sources=[said],
            metadata={"n": 1},
            entities=[
                {"name": "Nora", "type": "person", "aliases": ["Nori"]},
                {"name": "Porto", "type": "place"},
            ],
            relations=[
                {"subject": "Nora", "predicate": "lives in", "object": "Porto", "valid_from": "2024-01-01"}
            ],
        )
        await add(service, "Nora lives in Porto.")
    return config


async def everything(service: Service) -> list[Any]:
    recent = await service.recent(SCOPE, limit=100)
    details = [await service.get(SCOPE, one.id) for one in recent]
    nora = (await service.entities(SCOPE, EntitiesRequest(entity="Nori"))).detail
    assert nora is not None
    return [
        [(one.memory, one.history, {entity.name for entity in one.entities}) for one in details],
        (nora.entity.name, nora.entity.type, nora.entity.aliases),
        [(one.subject.name, one.predicate, one.object.name, one.valid_from) for one in nora.relations],
    ]


@pytest.mark.parametrize("passphrase", [None, "correct horse — battery"])
async def test_a_restored_backup_is_the_memory_it_was_made_of(
    filled: Config, tmp_path: Path, passphrase: str | None
) -> None:
    file = tmp_path / "memory.backup"
    written = await backup.write(filled, file, passphrase, quiet)
    assert (written.memories, file.stat().st_mode & 0o777) == (2, 0o600)
    assert backup.is_sealed(file) == (passphrase is not None)
    assert (b"Porto" in file.read_bytes()) is False
    assert await backup.verify(file, passphrase) == written
    other = elsewhere(filled, tmp_path)
    await backup.restore(other, file, passphrase)
    async with Service.open(filled) as ours, Service.open(other) as theirs:
        assert await everything(theirs) == await everything(ours)
        assert await theirs.caught_up(20)
        assert (await theirs.compare()).agrees
        said = tuple(one.id for one in await theirs.recent(SCOPE) if one.kind == "message")
        assert len((await theirs.forget(SCOPE, ForgetRequest(ids=said))).derived) == 1


async def test_a_backup_made_during_writes_is_one_consistent_state(config: Config, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.backup" for n in range(3)]
    async with Service.open(config) as service:
        done = anyio.Event()
        before: list[int] = []
        acknowledged: list[int] = []

        async def write() -> None:
            n = 0
            while not done.is_set():
                n += 1
                await add(service, f"Beacon number {n} is lit.", entities=[{"name": f"Beacon {n}"}])
                acknowledged.append(n)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(write)
            for file in files:
                await anyio.sleep(0.3)
                before.append(len(set(acknowledged)))
                await backup.write(config, file, None, quiet)
            done.set()
    for file, count in zip(files, before, strict=True):
        manifest = await backup.verify(file, None)
        assert manifest.memories >= count
        restored = elsewhere(config, tmp_path, file.stem)
        await backup.restore(restored, file, None)
        async with Service.open(restored) as service:
            assert await service.caught_up(30)
            assert (await service.compare()).agrees
            assert (await service.stats(SCOPE)).memories == manifest.memories


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _short(data: bytes) -> bytes:
    return data[:-1]


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _zeroed(data: bytes) -> bytes:
    return data[:40] + bytes(40) + data[80:]


def _head(data: bytes) -> bytes:
    return data[:10]


def _empty(_: bytes) -> bytes:
    return b""


def _other(_: bytes) -> bytes:
    return b"PK\x03\x04 not a backup"


@pytest.mark.parametrize("passphrase", [None, "p"])
@pytest.mark.parametrize("damage", [_empty, _cut, _short, _flipped, _zeroed, _head, _other])
async def test_a_damaged_backup_is_refused_and_changes_nothing(
    filled: Config, tmp_path: Path, damage: Callable[[bytes], bytes], passphrase: str | None
) -> None:
    file = tmp_path / "memory.backup"
    await backup.write(filled, file, passphrase, quiet)
    file.write_bytes(damage(file.read_bytes()))
    other = elsewhere(filled, tmp_path)
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: backup.verify(file, passphrase),
        lambda: backup.restore(other, file, passphrase),
    ]
    for attempt in attempts:
        with pytest.raises(BackupError, match=r"memory\.backup"):
            await attempt()
    assert not other.data_dir.exists()


async def test_a_wrong_passphrase_opens_nothing(filled: Config, tmp_path: Path) -> None:
    file = tmp_path / "memory.backup"
    await backup.write(filled, file, "right", quiet)
    for wrong in ("wrong", "", "right "):
        with pytest.raises(BackupError, match="passphrase is wrong"):
            await backup.verify(file, wrong)
    with pytest.raises(BackupError, match="sealed"):
        await backup.verify(file, None)


async def test_a_ledger_that_is_not_the_described_one_is_refused(filled: Config, tmp_path: Path) -> None:
    file, forged = tmp_path / "memory.backup", tmp_path / "forged.backup"
    await backup.write(filled, file, None, quiet)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(forged, "w") as target:
        manifest = json.loads(source.read("manifest.json"))
        target.writestr("manifest.json", json.dumps({**manifest, "ledger_sha256": "0" * 64}))
        target.writestr("ledger.db", source.read("ledger.db"))
    with pytest.raises(BackupError, match="damaged"):
        await backup.verify(forged, None)


async def test_a_folder_with_a_memory_is_not_overwritten(filled: Config, tmp_path: Path) -> None:
    file = tmp_path / "memory.backup"
    await backup.write(filled, file, None, quiet)
    before = (filled.data_dir / "ledger.db").read_bytes()
    with pytest.raises(BackupError, match="--merge"):
        await backup.restore(filled, file, None)
    assert (filled.data_dir / "ledger.db").read_bytes() == before
    with pytest.raises(BackupError, match="--overwrite"):
        await backup.write(filled, file, None, quiet)
    await backup.write(filled, file, None, quiet, overwrite=True)


async def test_a_backup_never_lands_in_the_data_folder(filled: Config, tmp_path: Path) -> None:
    before = (filled.data_dir / "ledger.db").read_bytes()
    for place in (filled.data_dir / "ledger.db", filled.data_dir / "lock", filled.data_dir / "b" / "c"):
        with pytest.raises(BackupError, match="choose another place"):
            await backup.write(filled, place, None, quiet, overwrite=True)
    with pytest.raises(BackupError, match="No such file"):
        await backup.write(filled, tmp_path / "nowhere" / "file", None, quiet)
    assert (filled.data_dir / "ledger.db").read_bytes() == before


async def test_nothing_to_back_up_is_told(config: Config, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no memory"):
        await backup.write(config, tmp_path / "file", None, quiet)


async def test_merging_adds_what_is_missing_and_nothing_that_was_forgotten(
    filled: Config, tmp_path: Path
) -> None:
    file = tmp_path / "memory.backup"
    await backup.write(filled, file, None, quiet)
    other = elsewhere(filled, tmp_path)
    async with Service.open(other) as service:
        own = await add(service, "Nora keeps bees.", entities=[{"name": "Nora"}])
        _, ledger = await backup.open_into(file, None, tmp_path)
        assert (await service.merge(ledger)).model_dump() == {"added": 2, "known": 0, "forgotten": 0}
        assert (await service.merge(ledger)).model_dump() == {"added": 0, "known": 2, "forgotten": 0}
        assert await service.caught_up(20)
        assert (await service.compare()).agrees
        assert len(await service.recent(SCOPE)) == 3
        nora = (await service.entities(SCOPE, EntitiesRequest(entity="Nori"))).entities
        assert [(one.name, one.mentions) for one in nora] == [("Nora", 2)]
        (fact,) = [one for one in await service.recent(SCOPE) if one.metadata]
        assert [event.event for event in (await service.get(SCOPE, fact.id)).history] == [
            "created",
            "repeated",
        ]
        await service.forget(SCOPE, ForgetRequest(ids=(fact.id, own)))
        assert (await service.merge(ledger)).model_dump() == {"added": 0, "known": 1, "forgotten": 1}
        found = await service.search(SCOPE, SearchRequest(query="Porto"))
        assert [hit.memory.kind for hit in found.hits] == ["message"]


async def test_what_took_whose_place_is_merged_too(config: Config, tmp_path: Path) -> None:
    async with Service.open(config) as service:
        await add(service, "Nora lives in Porto.", observed_at="2024-01-01")
        await add(service, "Nora lives in Rome.", observed_at="2025-01-01")
    file = tmp_path / "memory.backup"
    await backup.write(config, file, None, quiet)
    async with Service.open(elsewhere(config, tmp_path)) as service:
        await add(service, "Nora lives in Oslo.", observed_at="2024-06-01")
        _, ledger = await backup.open_into(file, None, tmp_path)
        await service.merge(ledger)
        states = {one.text: one.state for one in await service.recent(SCOPE)}
    assert states == {
        "Nora lives in Porto.": "superseded",
        "Nora lives in Oslo.": "superseded",
        "Nora lives in Rome.": "active",
    }


async def test_forgetting_names_the_backups_that_were_made(filled: Config, tmp_path: Path) -> None:
    file = tmp_path / "memory.backup"
    async with OwnerClient.open(filled) as client:
        await backup.write(filled, file, None, quiet)
        memory = (await client.recent(SCOPE))[0]
        result = await client.forget(SCOPE, ForgetRequest(ids=(memory.id,)))
        assert result.backups == (str(file),)
    await OwnerClient.stop(filled)


def test_settings_that_differ_are_told(config: Config) -> None:
    manifest = backup.Manifest.model_validate(
        {
            "program": "0",
            "created_at": "2026-01-01",
            "schema_version": 2,
            "memories": 0,
            "entities": 0,
            "relations": 0,
            "ledger_bytes": 0,
            "ledger_sha256": "",
            "settings": {"user_id": "ann", "search": {"limit": 3, "gone": 1}},
        }
    )
    assert backup.other_settings(manifest, config) == ["search.limit = 3", 'user_id = "ann"']
