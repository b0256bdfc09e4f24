"""Several processes that answer as one: no call needs the one that answered the call before."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import httpx2
import psutil
import pytest
from anyio.abc import SocketStream

from mcp_memory.models import NewToken

from .served import Served, Transport, serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers share a socket as on POSIX")

WORKERS, AT_ONCE = 2, 3


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    async with serving(
        tmp_path_factory.mktemp("workers"), "--workers", str(WORKERS), LIMITS__CONCURRENT_CALLS=str(AT_ONCE)
    ) as served:
        yield served


def workers(served: Served) -> list[psutil.Process]:
    """Those that listen, and not what watches over them."""
    children = psutil.Process(served.process.pid).children()
    return [one for one in children if "spawn_main" in " ".join(one.cmdline())]


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended: one that has stays in the list where the first process of the machine, as in
    a container, does not ask how its orphans ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def connections(served: Served) -> dict[int, int]:
    """Which worker has which connection, by the client's port."""
    return {
        one.raddr.port: worker.pid
        for worker in workers(served)
        for one in worker.net_connections("tcp")
        if one.raddr
    }


@asynccontextmanager
async def asking_each(served: Served, token: NewToken) -> AsyncGenerator[dict[int, httpx2.AsyncClient]]:
    """A client of each worker, that keeps its one connection, by the worker's process."""
    found: dict[int, httpx2.AsyncClient] = {}
    others: list[httpx2.AsyncClient] = []
    try:
        with anyio.fail_after(60):
            while len(found) < WORKERS:
                http = served.http(token.secret)
                answer = await http.get("/healthz")
                stream = answer.extensions["network_stream"]
                pid = connections(served)[stream.get_extra_info("client_addr")[1]]
                if found.setdefault(pid, http) is not http:
                    # Kept open, for a worker with more connections is busier.
                    others.append(http)
        yield found
    finally:
        for http in (*found.values(), *others):
            await http.aclose()


async def stats(http: httpx2.AsyncClient, token: NewToken) -> int:
    return (await http.post("/v1/stats", json={"scope": {"user_id": token.user_id}})).status_code


async def half_a_call(served: Served, token: NewToken) -> SocketStream:
    """One that has begun, and does not end before this stream does."""
    where = urlsplit(served.base)
    stream = await anyio.connect_tcp(where.hostname or "", where.port or 0)
    head = ("POST /v1/stats HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token.secret}")
    await stream.send("\r\n".join((*head, "Content-Length: 100", "", "{")).encode())
    return stream


async def is_answered(stream: SocketStream) -> bool:
    """As what was refused is at once, and half a call is not."""
    with anyio.move_on_after(2):
        return bool(await stream.receive())
    return False


@pytest.mark.parametrize("transport", ["modern", "handshake"])
async def test_clients_of_both_eras_call_every_tool(served: Served, transport: Transport) -> None:
    token = await served.token(f"ann by {transport}")
    async with served.client(token, transport) as client:

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content
            return cast(dict[str, Any], result.structured_content)

        (memory_id,) = (await call("add_memory", content="Ann keeps a quokka in Lisbon."))["ids"]
        assert (await call("search_memory", query="Who keeps a quokka?"))["hits"][0]["id"] == memory_id
        assert "Lisbon" in str(await call("list_entities"))
        assert (await call("get_memory", memory_id=memory_id))["text"] == "Ann keeps a quokka in Lisbon."
        await call("rate_memory", memory_id=memory_id, rating="useful")
        plan_id = (await call("forget", everything=True))["plan_id"]
        assert (await call("forget", plan_id=plan_id))["status"] == "erased"
        assert (await client.read_resource("memory://stats")).contents


async def test_a_change_that_one_worker_made_is_heard_through_the_other(served: Served) -> None:
    token = await served.token("ben")
    async with (
        asking_each(served, token) as clients,
        served.client(token) as client,
        client.listen(resource_subscriptions=["memory://recent"]) as events,
    ):
        heard = aiter(events)
        # The stream is held by one of the two: a change by the other must pass through the owner.
        for pid, http in clients.items():
            body = {"scope": {"user_id": "ben"}, "request": {"content": f"Worker {pid} was here."}}
            assert (await http.post("/v1/add", json=body)).status_code == 200
            with anyio.fail_after(60):
                assert cast(Any, await anext(heard)).uri == "memory://recent"


async def test_calls_and_streams_at_once_are_bounded_over_all_workers(served: Served) -> None:
    token = await served.token("cid")
    async with asking_each(served, token) as clients:
        halves: list[SocketStream] = []
        with anyio.fail_after(60):
            for http in clients.values():
                while await stats(http, token) == 200:
                    halves.append(await half_a_call(served, token))
        told = await next(iter(clients.values())).post("/v1/stats", json={})
        assert f"Your token may make {AT_ONCE} calls at once" in told.json()["message"]
        assert len([half for half in halves if not await is_answered(half)]) == AT_ONCE
        for half in halves:
            await half.aclose()
        with anyio.fail_after(60):
            for http in clients.values():
                while await stats(http, token) != 200:
                    await anyio.sleep(0.05)


async def test_what_a_worker_had_begun_ends_with_it(served: Served) -> None:
    token = await served.token("dot")
    halves: list[SocketStream] = []
    async with served.http(token.secret) as http:
        with anyio.fail_after(60):
            while await stats(http, token) == 200:
                halves.append(await half_a_call(served, token))
    before = {one.pid for one in workers(served)}
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    with anyio.fail_after(60):
        while True:
            await anyio.sleep(0.1)
            try:
                async with served.http(token.secret) as http:
                    if await stats(http, token) == 200:
                        break
            except httpx2.TransportError:
                pass
    assert before.isdisjoint(one.pid for one in workers(served))
    for half in halves:
        await half.aclose()


async def test_workers_whose_parent_is_killed_end_and_free_the_port(tmp_path: Path) -> None:
    async with serving(tmp_path, "--workers", str(WORKERS)) as served:
        orphans = workers(served)
        assert len(orphans) == WORKERS
        served.process.kill()
        with anyio.fail_after(30):
            while any(runs(one) for one in orphans):
                await anyio.sleep(0.2)
        url = urlsplit(served.base)
        async with await anyio.create_tcp_listener(local_host=url.hostname, local_port=url.port or 0):
            pass
