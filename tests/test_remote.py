"""Clients elsewhere, over every transport: each sees their own memory, and nothing of anybody else's."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import PromptReference, ResourceTemplateReference, ResourceUpdatedNotification, TextContent

from mcp_memory import api
from mcp_memory.models import PERMISSIONS, NewToken, Scope
from mcp_memory.processes import environment, python_command

from .served import TRANSPORTS, Served, Transport, serving

USERS = {"ann": "quokka", "ben": "wombat", "cid": "numbat"}
"""Each with a word that only their memories hold."""
NOBODYS = {"m": "m_0000000000000", "e": "e_0000000000000", "p": "p_0000000000000", "f": "f_0000000000000"}


@dataclass
class Town:
    """Three users of one server, each with memories, entities, a session and a plan; all use one agent."""

    served: Served
    tokens: dict[str, NewToken] = field(default_factory=dict[str, NewToken])
    ids: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    cursors: dict[str, str] = field(default_factory=dict[str, str])


@pytest.fixture(scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Town]:
    async with serving(tmp_path_factory.mktemp("remote"), LIMITS__REQUESTS_PER_MINUTE="100000") as served:
        town = Town(served)
        for user, secret in USERS.items():
            town.tokens[user] = await served.token(user, agent="bot")
            async with served.client(town.tokens[user]) as client:
                ids: list[str] = []
                for level in ("user", "session", "user"):
                    added = await call(
                        client,
                        "add_memory",
                        level=level,
                        session_id=f"den of {user}",
                        content=f"A {secret} of the {level} hides in Lisbon, number {len(ids)}.",
                        entities=[{"name": secret.title()}, {"name": "Lisbon", "type": "place"}],
                    )
                    ids += added["ids"]
                ids += [one["id"] for one in (await call(client, "list_entities"))["entities"]]
                ids.append((await call(client, "forget", everything=True))["plan_id"])
                town.ids[user] = ids
                found = await call(client, "search_memory", query="Where does it hide?", limit=1)
                town.cursors[user] = found["cursor"]
        yield town


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    return request.param


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that must succeed."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def said(client: Client, tool: str, **arguments: Any) -> str:
    """All that a call is answered with, well or badly."""
    result = await client.call_tool(tool, arguments)
    return f"{result.is_error} {result.content} {result.structured_content}"


async def failed(work: Awaitable[Any]) -> str:
    with pytest.raises(MCPError) as caught:
        await work
    return f"{caught.value.error.code} {caught.value.error.message} {caught.value.error.data}"


async def test_every_transport_serves_everything(town: Town, transport: Transport) -> None:
    async with town.served.client(town.tokens["ann"], transport) as client:
        assert len((await client.list_tools()).tools) == 6
        found = await call(client, "search_memory", query="What hides in Lisbon?")
        assert all("quokka" in hit["text"] for hit in found["hits"])
        assert "quokka" in str((await client.read_resource("memory://recent")).contents)
        assert len((await client.list_resource_templates()).resource_templates) == 3
        assert {one.name for one in (await client.list_prompts()).prompts} >= {"recall"}
        (message,) = (await client.get_prompt("recall", {"topic": "tea"})).messages
        assert "tea" in cast(TextContent, message.content).text


ARGUMENTS: dict[str, dict[str, Any]] = {
    "add_memory": {"content": "x"},
    "search_memory": {"query": "x"},
    "list_entities": {},
    "forget": {"everything": True},
    "get_memory": {"memory_id": NOBODYS["m"]},
    "rate_memory": {"memory_id": NOBODYS["m"], "rating": "useful"},
}


async def test_another_user_or_agent_is_an_error_whether_or_not_they_exist(
    town: Town, transport: Transport
) -> None:
    async with town.served.client(town.tokens["ann"], transport) as client:
        assert {one.name for one in (await client.list_tools()).tools} == set(ARGUMENTS)
        for tool, arguments in ARGUMENTS.items():
            answers = {
                await said(client, tool, **arguments, user_id=user) for user in ("ben", "nobody", "Ann", "%")
            }
            assert len(answers) == 1
            assert "your token is another user's" in answers.pop()
            agents = {await said(client, tool, **arguments, agent_id=agent) for agent in ("bot2", "%", "BOT")}
            assert len(agents) == 1
            assert "your token is not this agent's" in agents.pop()
        await call(client, "search_memory", query="x", user_id="ann", agent_id="bot")


async def test_what_is_anothers_is_answered_like_what_is_not_there(town: Town, transport: Transport) -> None:
    """By tools, resources, plans and completions, byte for byte, but for the id that was asked for."""
    tried = 0
    for user in ("ann", "cid"):
        async with town.served.client(town.tokens[user], transport) as client:
            for one in town.ids["ben"]:
                nobodys = NOBODYS[one[0]]
                for ask in _ways_to_ask(client):
                    theirs, nothing = await ask(one), await ask(nobodys)
                    assert theirs.replace(one, "ID") == nothing.replace(nobodys, "ID")
                    assert USERS["ben"] not in theirs
                    tried += 1
            for uri in ("memory://sessions/den%20of%20ben", "memory://sessions/none"):
                assert "No memories of a session" in await failed(client.read_resource(uri))
    assert tried == 2 * len(town.ids["ben"]) * 8


def _ways_to_ask(client: Client) -> list[Callable[[str], Awaitable[str]]]:
    def read(noun: str) -> Callable[[str], Awaitable[str]]:
        return lambda one: failed(client.read_resource(f"memory://{noun}/{one}"))

    async def completed(one: str) -> str:
        ref = ResourceTemplateReference(type="ref/resource", uri="memory://memories/{id}")
        values = (await client.complete(ref, {"name": "id", "value": one})).completion.values
        assert values == []
        return str(values)

    return [
        lambda one: said(client, "get_memory", memory_id=one),
        lambda one: said(client, "rate_memory", memory_id=one, rating="wrong"),
        lambda one: said(client, "forget", ids=[one]),
        lambda one: said(client, "forget", plan_id=one),
        lambda one: said(client, "list_entities", entity=one),
        read("memories"),
        read("entities"),
        completed,
    ]


async def test_nothing_of_others_is_found_listed_or_completed(town: Town, transport: Transport) -> None:
    async with town.served.client(town.tokens["ann"], transport) as client:
        answers = [
            await said(client, "search_memory", query=query, limit=100, max_tokens=20_000, explain=True)
            for query in (*USERS.values(), "den of ben", "What hides in Lisbon?")
        ]
        answers.append(await said(client, "search_memory", query="hides", session_id="den of ben"))
        answers.append(await said(client, "list_entities"))
        answers.append(await said(client, "list_entities", query="w"))
        answers += [
            str(await client.read_resource(f"memory://{one}")) for one in ("profile", "recent", "stats")
        ]
        cursor = None
        while True:
            page = await client.list_resources(cursor=cursor)
            answers.append(str(page.resources))
            if (cursor := page.next_cursor) is None:
                break
        for prefix in ("", "w", "den", "e_", "m_"):
            for uri, name in (
                ("memories/{id}", "id"),
                ("entities/{id}", "id"),
                ("sessions/{session_id}", "session_id"),
            ):
                ref = ResourceTemplateReference(type="ref/resource", uri=f"memory://{uri}")
                answers.append(str((await client.complete(ref, {"name": name, "value": prefix})).completion))
            of_prompt = PromptReference(type="ref/prompt", name="recall")
            answers.append(
                str((await client.complete(of_prompt, {"name": "topic", "value": prefix})).completion)
            )
    # A search says again what was asked for only where it has found it.
    for answer in answers:
        for user in ("ben", "cid"):
            assert f"den of {user}" not in answer
            assert not any(one in answer for one in town.ids[user])
            assert f"{USERS[user]} of" not in answer
            assert USERS[user].title() not in answer
    assert any("quokka" in answer for answer in answers)


async def test_anothers_cursor_goes_nowhere(town: Town, transport: Transport) -> None:
    async with town.served.client(town.tokens["ann"], transport) as client:
        question = {"query": "Where does it hide?", "limit": 1}
        assert (await call(client, "search_memory", **question, cursor=town.cursors["ann"]))["hits"]
        assert "belongs to another question" in await said(
            client, "search_memory", **question, cursor=town.cursors["ben"]
        )
        own = town.cursors["ann"]
        for place in range(0, len(own), 5):
            altered = own[:place] + chr(ord(own[place]) ^ 1) + own[place + 1 :]
            answer = await said(client, "search_memory", **question, cursor=altered)
            assert "cursor: " in answer


async def test_an_altered_cursor_of_the_list_of_resources_is_refused_or_shows_ones_own(town: Town) -> None:
    """By one bit, wherever it is."""
    refusals, shown = list[MCPError](), set[str]()
    async with town.served.client(town.tokens["ann"]) as client:
        cursor = (await client.list_resources()).next_cursor
        assert cursor is not None
        for place, bit in itertools.product(range(len(cursor)), range(7)):
            altered = cursor[:place] + chr(ord(cursor[place]) ^ 1 << bit) + cursor[place + 1 :]
            try:
                shown.update(one.name for one in (await client.list_resources(cursor=altered)).resources)
            except MCPError as error:
                refusals.append(error)
    assert len(refusals) > len(cursor)
    assert {one.error.code for one in refusals} == {-32602}
    assert all("begin again without it" in one.error.message for one in refusals)
    assert not any(USERS[other] in name for name in shown for other in ("ben", "cid"))


@pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning")
async def test_who_watches_hears_of_their_own_changes_alone(town: Town) -> None:
    """Whichever transport they watch by, and whichever the change comes by."""
    served, heard = town.served, dict[str, list[str]]()
    bens = f"memory://memories/{town.ids['ben'][0]}"

    def hearing(who: str) -> Callable[[Any], Awaitable[None]]:
        async def hear(message: Any) -> None:
            if isinstance(message, ResourceUpdatedNotification):
                heard.setdefault(who, []).append(message.params.uri)

        return hear

    ann, ben = town.tokens["ann"], town.tokens["ben"]
    async with (
        served.client(ann, "handshake", message_handler=hearing("handshake")) as handshake,
        served.client(ann, "sse", message_handler=hearing("sse")) as sse,
        served.client(ann) as modern,
        served.client(ben) as other,
        modern.listen(resource_subscriptions=["memory://recent", bens]) as events,
    ):
        for client in (handshake, sse):
            for uri in ("memory://recent", bens):
                await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated] - that era
        await call(other, "add_memory", content="Ben's news.")
        await call(other, "rate_memory", memory_id=town.ids["ben"][0], rating="useful")
        await call(sse, "add_memory", content="Ann's news.")
        with anyio.fail_after(60):
            event = await anext(aiter(events))
            while len(heard) < 2:
                await anyio.sleep(0.02)
    assert cast(Any, event).uri == "memory://recent"
    assert heard == {"handshake": ["memory://recent"], "sse": ["memory://recent"]}


async def test_a_change_is_heard_whichever_door_it_came_by(town: Town) -> None:
    """The JSON API, a command, a host on stdio, which asks the same owner: all tell the same."""
    mine, bens = town.ids["ann"][0], town.ids["ben"][0]
    watched = [f"memory://memories/{one}" for one in (mine, bens)]
    watched.append("memory://sessions/den%20of%20ann")

    async def by_api(user: str, operation: str, **body: Any) -> None:
        async with town.served.http(town.tokens[user].secret) as http:
            answer = await http.post(f"/v1/{operation}", json={"scope": {"user_id": user}, **body})
            assert answer.status_code == 200, answer.text

    async with (
        town.served.client(town.tokens["ann"]) as client,
        client.listen(resource_subscriptions=watched) as events,
    ):
        heard = aiter(events)
        with anyio.fail_after(60):
            await by_api("ben", "rate", memory_id=bens, rating="useful")
            await by_api("ann", "rate", memory_id=mine, rating="useful")
            assert cast(Any, await anext(heard)).uri == watched[0]
            for user in ("ben", "ann"):
                await _command(town.served, user, "add", f"{user} came by a command.", "--level", "session")
            assert cast(Any, await anext(heard)).uri == watched[2]
            await town.served.owner.rate(Scope(user_id="ann"), mine, "useful")
            assert cast(Any, await anext(heard)).uri == watched[0]


async def _command(served: Served, user: str, *arguments: str) -> None:
    """`mcp-memory` as a person types it, in the session that this user has here."""
    own = ("--data-dir", str(served.config.data_dir), "--user-id", user, "--session-id", f"den of {user}")
    done = await anyio.run_process(
        python_command("mcp_memory", *own, *arguments), check=False, env=environment()
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("transport", ["modern", "sse"])
async def test_a_revoked_tokens_open_streams_end(town: Town, transport: Transport) -> None:
    made = await town.served.token("ann")
    ended = anyio.Event()

    async def listen() -> None:
        path = "/sse"
        async with town.served.http(made.secret) as http:
            if transport == "sse":
                async with http.stream("GET", path) as stream:
                    async for _ in stream.aiter_bytes():
                        pass
            else:
                body: dict[str, Any] = {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "method": "subscriptions/listen",
                    "params": {
                        "notifications": {"resourcesListChanged": True},
                        "_meta": {
                            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                            "io.modelcontextprotocol/clientCapabilities": {},
                        },
                    },
                }
                headers = {
                    "mcp-protocol-version": "2026-07-28",
                    "mcp-method": "subscriptions/listen",
                    "accept": "application/json, text/event-stream",
                }
                async with http.stream("POST", "/mcp", json=body, headers=headers) as stream:
                    assert stream.headers["content-type"].startswith("text/event-stream")
                    async for _ in stream.aiter_bytes():
                        pass
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await anyio.sleep(0.5)
        assert not ended.is_set()
        await town.served.owner.revoke_token(made.id)
        with anyio.fail_after(60):
            await ended.wait()


async def test_a_session_of_another_is_no_session(town: Town) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    }
    accept = {"accept": "application/json, text/event-stream"}
    async with town.served.http(town.tokens["ann"].secret) as http:
        session = (await http.post("/mcp", json=hello, headers=accept)).headers["mcp-session-id"]
    ask = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    async with town.served.http(town.tokens["ben"].secret) as http:
        theirs = await http.post("/mcp", json=ask, headers={**accept, "mcp-session-id": session})
        nobodys = await http.post("/mcp", json=ask, headers={**accept, "mcp-session-id": "0" * 32})
    assert (theirs.status_code, theirs.content) == (nobodys.status_code, nobodys.content)
    assert theirs.status_code == 404


async def test_each_scope_permits_what_it_says_and_no_more(town: Town, transport: Transport) -> None:
    served = town.served
    reader, writer = await served.token("dot", "memory.read"), await served.token("dot", "memory.write")
    async with served.client(reader, transport) as client:
        await call(client, "search_memory", query="x")
        for tool in ("add_memory", "rate_memory"):
            assert "the scope memory.write" in await said(client, tool, **ARGUMENTS[tool])
        assert "the scope memory.forget" in await said(client, "forget", everything=True)
    async with served.client(writer, transport) as client:
        (memory_id,) = (await call(client, "add_memory", content=f"Dot writes by {transport}."))["ids"]
        for tool in ("search_memory", "list_entities", "get_memory"):
            assert "the scope memory.read" in await said(client, tool, **ARGUMENTS[tool])
        assert "the scope memory.forget" in await said(client, "forget", ids=[memory_id])
        assert "memory.read" in await failed(client.read_resource("memory://recent"))


async def test_an_agents_memory_is_forgotten_by_administrators_alone(town: Town) -> None:
    served = town.served
    maker = await served.token("eve", agent="guide")
    other = await served.token("fay", agent="guide")
    admin = await served.token("gus", *PERMISSIONS, agent="guide")
    async with served.client(maker) as eve, served.client(other) as fay, served.client(admin) as gus:
        added = await call(eve, "add_memory", content="Guides begin at the harbour.", level="agent")
        (memory_id,) = added["ids"]
        assert "harbour" in await said(fay, "get_memory", memory_id=memory_id)
        for client in (eve, fay):
            assert (await call(client, "forget", ids=[memory_id]))["not_found"] == [memory_id]
            assert (await call(client, "forget", everything=True))["count"] == 0
        assert (await call(gus, "forget", ids=[memory_id]))["status"] == "erased"


async def test_the_json_api_takes_whose_memory_it_is_from_the_token(town: Town) -> None:
    guide = await town.served.token("eve", agent="warden")
    async with town.served.http(guide.secret) as http:
        added = await http.post(
            "/v1/add", json={"request": {"content": "Gates shut at ten.", "level": "agent"}}
        )
        (memory,) = added.json()["memories"]
        whole = (await http.post("/v1/get", json={"memory_id": memory["id"]})).json()["memory"]
        assert (whole["user_id"], whole["agent_id"], whole["level"]) == ("eve", "warden", "agent")
        described = (await http.get("/v1/openapi.json")).json()["components"]["schemas"]
        assert described["Add"]["required"] == ["request"]
        assert set(described["Add"]["properties"]) == {"scope", "request", "write_id", "patience"}
        assert "user_id" not in described["Scope"]["required"]


async def test_the_json_api_keeps_to_the_same_rules(town: Town) -> None:
    served = town.served
    ann, ben = {"user_id": "ann"}, {"user_id": "ben"}
    async with served.http(town.tokens["ann"].secret) as http:
        described = (await http.get("/v1/openapi.json")).json()
        assert set(described["paths"]) == {one.path for one in api.REMOTE}
        for one in api.REMOTE:
            if issubclass(one.body, api.Scoped):
                answer = await http.post(one.path, json={"scope": ben, **_least(one.name)})
                assert (answer.status_code, answer.json()["error"]) == (403, "OtherUser"), one.name
        for path in ("/v1/merge", "/v1/create_token", "/v1/tokens", "/v1/find_token", "/v1/count_call"):
            assert (await http.post(path, json={})).status_code == 404
        for path in ("/v1/health", "/v1/receipts", "/v1/retry", "/v1/compare", "/v1/rebuild"):
            answer = await http.post(path, json={})
            assert (answer.status_code, answer.json()["error"]) == (403, "PermissionMissing")
        stats = (await http.post("/v1/stats", json={"scope": ann})).json()
        assert stats["extraction"] is None
        added = {"scope": ann, "request": {"content": "By the API."}, "source": "Claude", "write_id": "1"}
        mine = (await http.post("/v1/add", json=added)).json()["memories"][0]["id"]
        whole = (await http.post("/v1/get", json={"scope": ann, "memory_id": mine})).json()
        assert whole["memory"]["source"] == "api"
        for own in ("", ', "scope": {}', ', "scope": {"session_id": "s"}'):
            found = await http.post("/v1/get", content=f'{{"memory_id": "{mine}"{own}}}')
            assert found.json()["memory"]["user_id"] == "ann"
        assert (await http.post("/v1/stats", content=b"")).status_code == 200
        for strange in (b"[]", b"null", b"{", b'{"scope": []}', b'{"scope": null}'):
            assert (await http.post("/v1/stats", content=strange)).status_code == 422, strange
        wrong = await http.post("/v1/recent", json={"scope": ann, "limit": -1})
        assert (wrong.status_code, wrong.json()["error"]) == (422, "InvalidInput")
    async with served.http(town.tokens["ben"].secret) as http:
        added = {"scope": ben, "request": {"content": "By the API, Ben."}, "write_id": "1"}
        assert (await http.post("/v1/add", json=added)).json()["memories"][0] != {
            "id": mine,
            "status": "stored",
        }


def _least(operation: str) -> dict[str, Any]:
    """The fewest arguments besides the scope."""
    memory = {"memory_id": NOBODYS["m"]}
    two = {"one": "Wombat", "other": "Lisbon", "kept": "Wombat", "gone": "Lisbon", "entity": "Wombat"}
    least: dict[str, dict[str, Any]] = {
        "add": {"request": {"content": "x"}},
        "search": {"request": {"query": "x"}},
        "entities": {"request": {}},
        "merge_entities": {name: two[name] for name in ("kept", "gone")},
        "split_entity": {"entity": two["entity"]},
        "part_entities": {name: two[name] for name in ("one", "other")},
        "forget": {"request": {"everything": True}},
        "unforget": {"receipt_id": NOBODYS["f"]},
        "get": memory,
        "rate": {**memory, "rating": "wrong"},
        "session": {"session_id": "den of ben"},
        "ids": {"noun": "memories", "prefix": ""},
    }
    return least.get(operation, {})


async def test_health_is_told_to_anybody_and_numbers_to_administrators(town: Town) -> None:
    admin = await town.served.token("gus", "memory.admin")
    async with town.served.http() as http:
        assert (await http.get("/healthz")).json() == {"status": "alive"}
        assert (await http.get("/readyz")).json() == {"status": "ready"}
        assert (await http.get("/metrics")).status_code == 401
    async with town.served.http(town.tokens["ann"].secret) as http:
        assert (await http.get("/metrics")).status_code == 403
    async with town.served.http(admin.secret) as http:
        numbers = (await http.get("/metrics")).text
    assert 'mcp_memory_call_seconds_count{call="search_memory",outcome="done"}' in numbers
    assert 'mcp_memory_requests_total{endpoint="mcp",status="200"}' in numbers
    assert not any(word in numbers for word in (*USERS, *USERS.values()))


async def test_the_log_tells_of_calls_and_not_what_they_are_about(town: Town) -> None:
    async with town.served.client(town.tokens["ann"]) as client:
        await client.call_tool("search_memory", {"query": "Is a bilby here?"})
        with pytest.raises(MCPError):
            await client.call_tool("bilby", {})
    log = town.served.log.read_text()
    assert "call=search_memory outcome=done" in log
    assert "call=tools/call outcome=error" in log
    assert f"token={town.tokens['ann'].id} subject=" in log
    secrets = [one.secret for one in town.tokens.values()]
    assert not any(word in log for word in (*secrets, *USERS.values(), "bilby", "Lisbon", "'ann'", "user_id"))
    assert "Traceback" not in log
