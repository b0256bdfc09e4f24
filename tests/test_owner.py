"""Several hosts on one memory: one owner, found, proven, replaced when it dies, gone when nobody needs it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil
import pytest
from anyio.abc import SocketStream

from mcp_memory import api, owner
from mcp_memory.client import OwnerClient
from mcp_memory.config import Config, handed_over, load, taken_over
from mcp_memory.errors import DataFolderUnusable, InvalidInput, MemoryNotFound, OwnerError, StoreLocked, named
from mcp_memory.folder import Folder, OwnerRecord, is_locked, network_warning, read_owner, write_owner
from mcp_memory.models import AddRequest, ForgetRequest, NewMessage, Scope, SearchRequest
from mcp_memory.processes import environment, python_command
from mcp_memory.service import Service

SCOPE = Scope(user_id="u")


@pytest.fixture
async def config(tmp_path: Path) -> AsyncGenerator[Config]:
    config = load(flags={"data_dir": tmp_path / "data"})
    yield config
    await OwnerClient.stop(config)


def record_of(config: Config) -> OwnerRecord:
    record = read_owner(Folder(config.data_dir))
    assert record is not None
    return record


async def eventually(condition: Callable[[], bool], seconds: float = 15) -> None:
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.02)


async def texts(memory: OwnerClient | Service) -> set[str]:
    return {one.text for one in await memory.recent(SCOPE, limit=100)}


async def test_two_hosts_share_one_owner_and_one_memory(config: Config) -> None:
    async with OwnerClient.open(config) as one, OwnerClient.open(config) as other:
        await one.add(SCOPE, AddRequest(content="Ann lives in Lisbon."))
        found = await other.search(SCOPE, SearchRequest(query="Where does Ann live?"))
        assert [hit.memory.text for hit in found.hits] == ["Ann lives in Lisbon."]
        assert found.degraded == ()
        listening = psutil.Process(record_of(config).pid).net_connections("tcp")
        assert {one.laddr.ip for one in listening} == {"127.0.0.1"}


async def test_hosts_that_start_in_the_same_moment_get_one_owner(config: Config) -> None:
    pids: list[int] = []

    async def start() -> None:
        async with OwnerClient.open(config) as client:
            await client.stats(SCOPE)
            pids.append(record_of(config).pid)

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(start)
    assert len(set(pids)) == 1
    assert Folder(config.data_dir).log.read_text() == ""


async def test_a_call_outlives_the_owner_it_was_asked_of(config: Config) -> None:
    async with OwnerClient.open(config) as client:
        stored: set[str] = set()
        for n in range(3):
            killed = record_of(config).pid
            async with anyio.create_task_group() as tasks:

                async def add(text: str) -> None:
                    result = await client.add(SCOPE, AddRequest(content=text))
                    assert [one.status for one in result.memories] == ["stored"]
                    stored.add(text)

                for k in range(5):
                    tasks.start_soon(add, f"Beacon {n}.{k} is lit.")
                os.kill(killed, signal.SIGKILL)
            assert record_of(config).pid != killed
        assert await texts(client) == stored
        assert await client.caught_up(20)
        assert (await client.compare()).agrees


async def test_a_repeated_write_is_stored_once_and_answered_alike(config: Config) -> None:
    async with Service.open(config) as service:
        request = AddRequest(content="Ann met Ben in Porto.", kind="event")
        first = await service.add(SCOPE, request, write_id="w1")
        again = await service.add(SCOPE, request, write_id="w1")
        other = await service.add(SCOPE, request, write_id="w2")
        assert again.memories == first.memories
        assert {one.name for one in again.entities} == {one.name for one in first.entities}
        assert [one.status for one in other.memories] == ["duplicate"]
        ids = tuple(one.id for one in first.memories)
        gone = await service.forget(SCOPE, ForgetRequest(ids=ids), write_id="w3")
        repeated = await service.forget(SCOPE, ForgetRequest(ids=ids), write_id="w3")
        assert (gone.status, gone.forgotten, gone.receipt_id) == ("erased", ids, repeated.receipt_id)
        assert (repeated.status, repeated.forgotten, repeated.not_found) == ("erased", ids, ())


async def test_the_id_of_another_write_is_refused_and_nothing_is_lost_by_it(config: Config) -> None:
    async with Service.open(config) as service:
        ann, bo = AddRequest(content="Ann rows."), AddRequest(content="Bo swims.")
        (kept,) = (await service.add(SCOPE, ann, write_id="w1")).memories
        (other,) = (await service.add(SCOPE, bo)).memories
        for write in (
            service.add(SCOPE, bo, write_id="w1"),
            service.add(
                SCOPE, AddRequest(messages=(NewMessage(role="user", content="Ann rows."),) * 2), write_id="w1"
            ),
            service.add(Scope(user_id="somebody else"), ann, write_id="w1"),
            service.forget(SCOPE, ForgetRequest(ids=(kept.id,)), write_id="w1"),
        ):
            with pytest.raises(InvalidInput, match="write_id: was used for another write"):
                await write
        await service.forget(SCOPE, ForgetRequest(ids=(kept.id,)), write_id="w2")
        with pytest.raises(InvalidInput, match="write_id"):
            await service.forget(SCOPE, ForgetRequest(ids=(other.id,)), write_id="w2")
        assert (await service.get(SCOPE, other.id)).memory.text == "Bo swims."


async def test_an_owner_that_nobody_needs_leaves_and_takes_its_file_along(config: Config) -> None:
    short = config.model_copy(update={"owner": config.owner.model_copy(update={"idle_seconds": 0.3})})
    async with OwnerClient.open(short) as client:
        await client.add(SCOPE, AddRequest(content="x"))
        pid = record_of(config).pid
        await anyio.sleep(1)
        assert record_of(config).pid == pid
    await eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")
    assert read_owner(Folder(config.data_dir)) is None
    assert not is_locked(Folder(config.data_dir).lock)
    async with Service.open(config) as service:
        assert (await service.health()).agrees


async def test_errors_cross_the_wire_as_what_they_are(config: Config) -> None:
    async with OwnerClient.open(config) as client:
        with pytest.raises(MemoryNotFound, match="No memory with the id 'm_none' here"):
            await client.get(SCOPE, "m_none")
        with pytest.raises(InvalidInput, match="session_id"):
            await client.add(SCOPE, AddRequest(content="x", level="session"))


@asynccontextmanager
async def stranger(answer: bytes) -> AsyncGenerator[tuple[int, bytearray]]:
    """A program that listens where an owner did, and what it hears."""
    heard = bytearray()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def serve(stream: SocketStream) -> None:
        async with stream:
            heard.extend(await stream.receive())
            await stream.send(answer)

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), heard
        tasks.cancel_scope.cancel()


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    "answer",
    [
        http(b'{"proof": "00", "version": "99", "settings": ""}'),
        http(b"<html>"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 100_000,
        b"",
    ],
)
async def test_a_stranger_on_the_port_never_hears_the_token(config: Config, answer: bytes) -> None:
    folder = Folder(config.data_dir)
    folder.make()
    async with stranger(answer) as (port, heard):
        write_owner(folder, OwnerRecord(os.getpid(), "99", True, port, "the-token"))
        async with OwnerClient.open(config) as client:
            await client.add(SCOPE, AddRequest(content="a secret"))
            assert record_of(config).port != port
    assert heard
    assert b"the-token" not in heard
    assert b"secret" not in heard


async def test_the_owner_serves_nobody_without_its_token_and_no_page_of_a_browser(config: Config) -> None:
    async with OwnerClient.open(config):
        record = record_of(config)
        token = {"Authorization": f"Bearer {record.token}"}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{record.port}") as http:
            body = {"scope": {"user_id": "u"}}
            assert (await http.post("/v1/stats", json=body, headers=token)).status_code == 200
            for headers, status in (
                ({}, 401),
                ({"Authorization": "Bearer no"}, 401),
                ({"Authorization": f"Bearer {record.token}x"}, 401),
                ({**token, "Origin": f"http://127.0.0.1:{record.port}"}, 403),
                ({**token, "Origin": "null"}, 403),
                ({**token, "Host": "evil.example"}, 421),
            ):
                for path in ("/v1/stats", api.RETIRE, api.ATTACH, api.OPENAPI):
                    assert (await http.post(path, json=body, headers=headers)).status_code == status
            hello = (await http.get(api.HELLO, params={"nonce": "n"})).json()
            assert hello["proof"] == api.proof(record.token or "", record.port or 0, "n")
            assert str(record.token) not in str(hello)
            unknown = await http.post("/v1/stats", json={**body, "more": 1}, headers=token)
            assert (unknown.status_code, unknown.json()["error"]) == (422, "InvalidInput")
            broken = await http.post("/v1/stats", content=b"{", headers=token)
            assert broken.status_code == 422
            announced = f"POST /v1/stats HTTP/1.1\r\nHost: 127.0.0.1:{record.port}\r\n"
            announced += f"Authorization: Bearer {record.token}\r\nContent-Length: {api.MAX_BODY + 1}\r\n\r\n"
            async with await anyio.connect_tcp("127.0.0.1", record.port or 0) as raw:
                await raw.send(announced.encode())
                assert (await raw.receive()).startswith(b"HTTP/1.1 413")


async def test_the_api_is_described_from_its_types(config: Config) -> None:
    described = api.openapi()
    assert set(described["paths"]) == {one.path for one in api.OPERATIONS}
    text = json.dumps(described)
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in described["components"]["schemas"]
    assert {name for name, _ in vars(Service).items() if not name.startswith("_")} - {"open"} == {
        one.name for one in api.OPERATIONS
    }


@pytest.mark.parametrize(
    "left_behind",
    [
        "not json",
        "{}",
        '{"pid": 999999, "version": "0.1.0", "shared": true, "port": 9, "token": "t"}',
        '{"pid": 1, "version": "0.1.0", "shared": true, "port": null, "token": null}',
        '{"pid": 1, "version": "0.1.0", "shared": false, "port": null, "token": null}',
    ],
)
async def test_what_a_dead_owner_left_behind_is_harmless(config: Config, left_behind: str) -> None:
    folder = Folder(config.data_dir)
    folder.make()
    folder.owner.write_text(left_behind)
    async with OwnerClient.open(config) as client:
        assert (await client.stats(SCOPE)).memories == 0
        assert psutil.pid_exists(record_of(config).pid)


async def test_a_newer_host_retires_an_older_owner_and_an_older_host_does_not(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = 0
    async with anyio.create_task_group() as tasks:
        serving = anyio.Event()

        async def older() -> None:
            async with owner.serving(config):
                serving.set()

        with monkeypatch.context() as past:
            past.setattr(owner, "__version__", "0.0.1")
            tasks.start_soon(older)
            await serving.wait()
            ours = record_of(config)
            async with OwnerClient.open(config) as client:
                await client.add(SCOPE, AddRequest(content="kept"))
                newer = record_of(config).pid
                assert newer != ours.pid
                assert await texts(client) == {"kept"}
    with monkeypatch.context() as past:
        past.setattr("mcp_memory.client.__version__", "0.0.1")
        async with OwnerClient.open(config) as client:
            assert await texts(client) == {"kept"}
            assert record_of(config).pid == newer


async def test_one_who_holds_the_folder_alone_is_named(config: Config) -> None:
    async with Service.open(config):
        with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
            async with OwnerClient.open(config):
                pass


async def test_what_keeps_an_owner_from_starting_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderUnusable, match="--data-dir"):
        async with OwnerClient.open(load(flags={"data_dir": tmp_path / "file" / "data"})):
            pass
    damaged = load(flags={"data_dir": tmp_path / "data"})
    damaged.data_dir.mkdir()
    (damaged.data_dir / "ledger.db").write_bytes(b"somebody's file " * 1_000)
    with pytest.raises(type(named("LedgerDamaged", "")), match="do not delete it"):
        async with OwnerClient.open(damaged):
            pass
    assert not is_locked(damaged.data_dir / "lock")


async def test_an_owner_that_is_asked_by_the_system_ends_in_order(config: Config) -> None:
    async with OwnerClient.open(config) as client:
        await client.add(SCOPE, AddRequest(content="x"))
        pid = record_of(config).pid
        os.kill(pid, signal.SIGTERM)
        await eventually(lambda: not is_locked(Folder(config.data_dir).lock) or record_of(config).pid != pid)
        assert await texts(client) == {"x"}
    assert "Traceback" not in Folder(config.data_dir).log.read_text()


async def test_stop_ends_the_owner_and_says_when_there_is_none(config: Config) -> None:
    async with OwnerClient.open(config):
        pid = record_of(config).pid
    stopped = await OwnerClient.stop(config)
    assert stopped is not None
    assert stopped.pid == pid
    assert await OwnerClient.stop(config) is None


def test_settings_reach_the_owner_whole_and_its_record_shows_no_token() -> None:
    config = load(flags={"user_id": "u", "embedding": {"api_key": "k-1"}})
    assert taken_over(handed_over(config)) == config.model_copy(
        update={"data_dir": config.data_dir.absolute()}
    )
    assert "t-1" not in repr(OwnerRecord(1, "1", True, 2, "t-1"))


@pytest.mark.parametrize(
    ("kind", "options", "warns"), [("nfs4", "rw", True), ("ext4", "rw", False), ("NTFS", "rw,remote", True)]
)
def test_a_network_file_system_is_warned_of(kind: str, options: str, warns: bool) -> None:
    assert (network_warning(Path("/data"), kind, options) is not None) == warns


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
async def test_only_this_user_can_read_what_lets_one_in(config: Config) -> None:
    async with OwnerClient.open(config):
        assert Folder(config.data_dir).owner.stat().st_mode & 0o777 == 0o600
        assert Folder(config.data_dir).ledger.stat().st_mode & 0o777 == 0o600
        assert Folder(config.data_dir).path.stat().st_mode & 0o777 == 0o700


async def test_a_hung_owner_is_an_error_and_not_a_hang(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OwnerClient.open(config) as client:
        pid = record_of(config).pid
        impatient = api.Operation("stats", api.Scoped, api.STATS.returns, "", seconds=0.5)
        monkeypatch.setattr(api, "STATS", impatient)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(OwnerError, match="gave no answer"):
                await client.stats(SCOPE)
        finally:
            os.kill(pid, signal.SIGCONT)
        monkeypatch.undo()
        assert (await client.stats(SCOPE)).memories == 0


async def _spoken(config: Config, then: Callable[[anyio.abc.Process], Awaitable[None]]) -> int | None:
    """A server over stdio that has answered once; how it ended after `then`."""
    command = python_command("mcp_memory", "--data-dir", str(config.data_dir))
    process = await anyio.open_process(command, env=environment())
    assert process.stdin is not None
    assert process.stdout is not None
    hello: dict[str, Any] = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    request = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
    await process.stdin.send(json.dumps(request).encode() + b"\n")
    await process.stdout.receive()
    await then(process)
    with anyio.fail_after(10):
        return await process.wait()


async def test_a_server_ends_when_its_host_closes_stdin_or_dies(config: Config) -> None:
    async def close(process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        await process.stdin.aclose()

    async def die(process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.aclose()
        await process.stdout.aclose()

    assert await _spoken(config, close) == 0
    assert await _spoken(config, die) == 0
