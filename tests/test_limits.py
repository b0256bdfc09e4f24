"""How much one caller may use, over two workers; slow and vanished clients; the end of a server."""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import psutil
import pytest
from anyio.abc import SocketStream
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.types import Message, Receive, Scope, Send

from mcp_memory import models
from mcp_memory.config import LimitsConfig, load
from mcp_memory.models import PERMISSIONS, NewToken
from mcp_memory.remote import gate
from mcp_memory.remote.callers import Caller, CallersToken, Door
from mcp_memory.usecases import UseCases

from .served import STOP_SECONDS, Served, serving

PER_MINUTE = 30
IDLE = 1_000


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    async with serving(
        tmp_path_factory.mktemp("limits"),
        "--workers",
        "2",
        LIMITS__REQUESTS_PER_MINUTE=str(PER_MINUTE),
        LIMITS__BODY_BYTES="4096",
        LIMITS__ANSWER_BYTES="4096",
        LIMITS__MEMORIES_PER_USER="3",
        LIMITS__BYTES_PER_USER="2000",
        REMOTE__LOG_FORMAT="json",
    ) as served:
        yield served


async def post(served: Served, token: NewToken, operation: str, **body: Any) -> tuple[int, Any]:
    async with served.http(token.secret) as http:
        answer = await http.post(f"/v1/{operation}", json={"scope": {"user_id": token.user_id}, **body})
        return answer.status_code, answer.json()


async def test_more_calls_than_a_minute_has_are_told_when_to_come_again(served: Served) -> None:
    """Each on a connection of its own, so that both workers count."""
    busy, calm = await served.token("busy"), await served.token("busy")
    began, let_in = time.monotonic(), 0
    while True:
        async with served.http(busy.secret) as http:
            answer = await http.post("/v1/stats", json={"scope": {"user_id": "busy"}})
        if answer.status_code != 200:
            break
        let_in += 1
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60 / PER_MINUTE + 1
    assert f"{PER_MINUTE} requests a minute; try again in" in answer.json()["message"]
    assert PER_MINUTE <= let_in <= PER_MINUTE * (1 + (time.monotonic() - began) / 60) + 1
    assert (await post(served, calm, "stats"))[0] == 200


async def test_what_one_user_may_keep_has_an_end(served: Served) -> None:
    ann, ben = await served.token("ann"), await served.token("ben")
    for number in range(3):
        assert (await post(served, ann, "add", request={"content": f"Note {number}."}))[0] == 200
    status, told = await post(served, ann, "add", request={"content": "One more."})
    assert (status, told["error"]) == (413, "QuotaReached")
    assert "may keep 3 memories" in told["message"]
    async with served.client(ann) as client:
        result = await client.call_tool("add_memory", {"content": "One more."})
        assert result.is_error
        assert "may keep 3 memories" in str(result.content)
    status, told = await post(served, ben, "add", request={"content": "ü" * 1_001})
    assert (status, told["message"][:31]) == (413, "You may keep 2,000 bytes of tex")
    assert (await post(served, ben, "stats"))[1]["memories"] == 0


async def test_what_is_too_large_is_refused_either_way(served: Served) -> None:
    cid = await served.token("cid")
    assert (await post(served, cid, "add", request={"content": "x" * 1_500}))[0] == 200
    async with served.http(cid.secret) as http:
        for path in ("/mcp", "/v1/add"):
            assert (await http.post(path, content=b"x" * 5_000)).status_code == 413

            async def pieces() -> AsyncGenerator[bytes]:
                for _ in range(5):
                    yield b"x" * 1_000

            assert (await http.post(path, content=pieces())).status_code == 413
    async with served.client(cid) as client:
        for number in range(2):
            await client.call_tool(
                "add_memory", {"content": f"{number} is told.", "metadata": {"n": "y" * 1_500}}
            )
        status, told = await post(served, cid, "recent")
        assert (status, told["error"]) == (413, "AnswerTooLarge")
        assert "at most 4,096 are given" in told["message"]
        assert (await post(served, cid, "recent", limit=1))[0] == 200


async def test_a_token_is_revoked_in_every_worker(served: Served) -> None:
    dot = await served.token("dot")
    statuses = [(await post(served, dot, "stats"))[0] for _ in range(6)]
    await served.owner.revoke_token(dot.id)
    assert statuses == [200] * 6
    async with served.http(dot.secret) as http:
        assert [(await http.post("/v1/stats", json={})).status_code for _ in range(6)] == [401] * 6


async def test_calls_of_both_eras_may_land_in_any_worker(served: Served) -> None:
    eve = await served.token("eve")
    for transport in ("modern", "handshake"):
        async with served.client(eve, transport) as client:
            added = await client.call_tool("add_memory", {"content": "Eve keeps bees."})
            found = await client.call_tool("search_memory", {"query": "bees"})
            assert "Eve keeps bees." in str(found.content), added
    async with served.http(eve.secret) as http:
        answer = await http.get("/sse")
    assert (answer.status_code, answer.json()["error"]) == (501, "ConfigError")


async def test_the_numbers_are_of_all_workers(served: Served) -> None:
    admin = await served.token("gus", *PERMISSIONS)

    async def counted() -> float:
        async with served.http(admin.secret) as http:
            text = (await http.get("/metrics")).text
        (line,) = [
            one
            for one in text.splitlines()
            if one.startswith('mcp_memory_requests_total{endpoint="api",status="200"}')
        ]
        return float(line.split()[-1])

    before = await counted()
    for _ in range(6):
        assert (await post(served, admin, "stats"))[0] == 200
    assert await counted() >= before + 6


async def test_the_log_is_an_object_a_line(served: Served) -> None:
    fay = await served.token("fay")
    await post(served, fay, "stats")
    mine = json.loads(await served.logged(fay.id))
    assert (mine["endpoint"], mine["status"], mine["level"]) == ("stats", 200, "INFO")
    assert set(mine) == {
        "time",
        "level",
        "message",
        "request_id",
        "token",
        "subject",
        "endpoint",
        "status",
        "ms",
    }


@pytest.mark.skipif(sys.platform == "win32", reason="it sets how many files a process may open")
async def test_a_thousand_connections_that_do_nothing_keep_nobody_out(tmp_path: Path) -> None:
    """Though the system gives a process fewer files than that, unless it asks. Soon they are dropped."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * IDLE:
        pytest.skip(f"this system lets no process open more than {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE // 2, hard))
    idle: list[SocketStream] = []
    try:
        async with serving(tmp_path) as served:
            resource.setrlimit(resource.RLIMIT_NOFILE, (2 * IDLE, hard))
            where = urlsplit(served.base)
            hal = await served.token("hal")
            for number in range(IDLE):
                idle.append(await anyio.connect_tcp(where.hostname or "", where.port or 0))
                if number % 2:
                    await idle[-1].send(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le")
            assert (await post(served, hal, "stats"))[0] == 200
            if sys.platform == "linux":
                assert psutil.Process(served.process.pid).rlimit(psutil.RLIMIT_NOFILE)[0] > IDLE
            with anyio.fail_after(60):
                for stream in idle:
                    # Until the server has closed it.
                    async for _ in stream:
                        pass
    finally:
        for stream in idle:
            await stream.aclose()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass
class Collector:
    """Hears what is sent to it by OTLP over HTTP."""

    endpoint: str
    heard: bytearray


@pytest.fixture
def collector() -> Iterator[Collector]:
    heard = bytearray()

    class Spans(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            is_packed = self.headers.get("content-encoding") == "gzip"
            heard.extend(gzip.decompress(body) if is_packed else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Spans)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Collector(f"http://127.0.0.1:{server.server_port}/v1/traces", heard)
    server.shutdown()
    server.server_close()


async def test_a_server_that_is_told_to_stop_does_so_soon(tmp_path: Path, collector: Collector) -> None:
    """Though a client listens, one holds a stream of the old transport, and one has not finished to ask. What
    it has seen is sent before."""
    async with serving(tmp_path, REMOTE__TELEMETRY_ENDPOINT=collector.endpoint) as served:
        ann = await served.token("ann")
        where = urlsplit(served.base)
        half = await anyio.connect_tcp(where.hostname or "", where.port or 0)
        head = f"POST /v1/stats HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ann.secret}\r\n"
        await half.send(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        async with (
            served.http(ann.secret) as http,
            http.stream("GET", "/sse") as stream,
            served.client(ann) as client,
            client.listen(resource_subscriptions=["memory://recent"]),
        ):
            assert stream.status_code == 200
            assert (await client.call_tool("add_memory", {"content": "A bilby."})).structured_content
            began = time.monotonic()
            await anyio.to_thread.run_sync(served.stop)
            assert time.monotonic() - began < STOP_SECONDS
        await half.aclose()
        assert "Traceback" not in served.log.read_text()
        assert (await served.owner.stats(models.Scope(user_id="ann"))).memories == 1
    assert b"tools/call add_memory" in collector.heard
    assert b"bilby" not in collector.heard


def connection(method: str = "POST", path: str = "/v1/stats") -> Scope:
    caller = Caller("t", "ann")
    token = CallersToken(token="t", client_id="t", scopes=[], caller=caller)
    return {"type": "http", "method": method, "path": path, "headers": [], "user": AuthenticatedUser(token)}


def gate_of(app: Any, **limits: Any) -> Any:
    async def memory() -> UseCases:
        raise AssertionError("a call that was let in is asked about no more")

    door = Door(load(), memory, is_local=True)
    return gate.Gate(LimitsConfig(**limits), door, gate.UnderWayHere(), anyio.Event()).before(app)


async def _echo(_: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


async def test_half_a_request_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.1)
    sent: list[Message] = []
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Message:
        if not pieces:
            await anyio.sleep_forever()
        return pieces.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    with anyio.fail_after(5):
        await gate_of(_echo)(connection(), receive, send)
    assert sent[0]["status"] == 408


async def test_a_client_that_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "SEND_SECONDS", 0.1)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        await gate_of(_echo)(connection(), receive, send)


async def test_calls_at_once_are_bounded_for_each_token() -> None:
    begun, go_on = anyio.Event(), anyio.Event()
    statuses: list[int] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await _echo(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    gated = gate_of(slow, concurrent_calls=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gated, connection(), receive, send)
        await begun.wait()
        await gated(connection(), receive, send)
        assert statuses == [429]
        go_on.set()
    await gated(connection(), receive, send)
    assert statuses == [429, 200, 200]
