"""Two users' memories never meet, whatever one asks of any tool or resource."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp_types import ResourceTemplateReference

from mcp_memory.config import load
from mcp_memory.server import MemoryHandle, create_server
from mcp_memory.server.tools import TOOLS
from mcp_memory.service import Service

from .conftest import GRAPH_ENGINE


@dataclass
class Household:
    """The server is configured for Ann; Ben's memories are in the same store, each with a word of his own."""

    client: Client
    ids: list[str] = field(default_factory=list[str])
    """Everything of Ben's that has an id: memories, entities, a plan."""
    secrets: tuple[str, ...] = ("quokka", "wombat", "numbat", "bilby", "Dunnart", "Potoroo")


@pytest.fixture(scope="module")
async def household(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Household]:
    folder = tmp_path_factory.mktemp("isolation") / "data"
    config = load(flags={"data_dir": folder, "user_id": "ann", "graph": {"engine": GRAPH_ENGINE}})
    async with (
        MemoryHandle.holding(lambda: Service.open(config)) as handle,
        Client(create_server(handle, config)) as client,
    ):
        home = Household(client)
        ben = {"user_id": "ben", "agent_id": "bot", "session_id": "den"}
        for level, secret in zip(("user", "session", "agent"), home.secrets, strict=False):
            added = await client.call_tool(
                "add_memory",
                {
                    **ben,
                    "level": level,
                    "content": f"Ben hides a {secret} in Lisbon.",
                    "metadata": {"animal": "bilby"},
                    "entities": [
                        {"name": "Dunnart", "aliases": ["Potoroo"]},
                        {"name": "Lisbon", "type": "place"},
                    ],
                    "relations": [{"subject": "Dunnart", "predicate": "hides in", "object": "Lisbon"}],
                },
            )
            assert added.structured_content is not None
            home.ids += added.structured_content["ids"]
        entities = await client.call_tool("list_entities", ben)
        plan = await client.call_tool("forget", {**ben, "everything": True})
        assert entities.structured_content is not None
        assert plan.structured_content is not None
        home.ids += [one["id"] for one in entities.structured_content["entities"]]
        home.ids.append(plan.structured_content["plan_id"])
        for text in ("Ann lives in Lisbon.", "Ann keeps a cat.", "Hides and animals are Ann's trade."):
            await client.call_tool("add_memory", {"content": text, "session_id": "den2"})
        yield home


# Words that Ben's memories hold besides his own, so that a search comes as near to them as it can.
_text = st.sampled_from(
    ["hides", "Lisbon", "Ben", "animal", "in", "Dunnart", "*", "%", "' OR 1=1 --", "m_", "e_"]
)
_user = st.sampled_from(
    [None, "ann", "ben.", "BEN", "ben'--", "*", "%", "ann\x1fben", "user:ben", "3:ben:den"]
)
_time = st.sampled_from(["1990-01-01", "2020-01-01T00:00:00Z", "2100-01-01"])


def _arguments(ids: st.SearchStrategy[str]) -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    """Arguments of every tool. Nobody says `user_id="ben"`: over stdio that is how to be Ben."""
    anyone = {
        "user_id": _user,
        "agent_id": st.sampled_from([None, "bot2", "bo", "%"]),
        "session_id": st.sampled_from([None, "den", "den2", "%"]),
    }
    a_name = _text | ids
    return {
        "search_memory": st.fixed_dictionaries(
            {**anyone, "query": _text},
            optional={
                "entity": a_name,
                "since": _time,
                "until": _time,
                "limit": st.just(100),
                "max_tokens": st.just(20_000),
                "levels": st.just(["session", "agent"]),
                "where": st.just({"not": {"nothing": 1}}),
                "explain": st.just(True),
            },
        ),
        "list_entities": st.fixed_dictionaries(anyone, optional={"entity": a_name, "query": _text}),
        "get_memory": st.fixed_dictionaries({**anyone, "memory_id": ids}),
        "rate_memory": st.fixed_dictionaries(
            {**anyone, "memory_id": ids, "rating": st.sampled_from(["useful", "useless", "wrong"])}
        ),
        "forget": st.fixed_dictionaries({**anyone, "ids": st.lists(ids, min_size=1, max_size=3)})
        | st.fixed_dictionaries({**anyone, "plan_id": ids})
        | st.fixed_dictionaries({**anyone, "query": _text})
        | st.fixed_dictionaries({**anyone, "entity": a_name})
        | st.fixed_dictionaries({**anyone, "session": st.sampled_from(["den", "%"])})
        | st.fixed_dictionaries({**anyone, "before": _time}),
        "add_memory": st.fixed_dictionaries(
            # Somebody else's session of the same name would be listed, and rightly.
            {
                **anyone,
                "session_id": st.sampled_from([None, "den2", "%"]),
                "content": _text.filter(lambda text: text != "Dunnart"),
            },
            optional={"entities": st.just([{"name": "Lisbon"}])},
        ),
    }


def _is_clean(answer: str, home: Household, asked: str) -> bool:
    """No word of Ben's and no id of his, but for what was asked with."""
    return not any(secret in answer and secret not in asked for secret in (*home.secrets, *home.ids))


async def test_no_tool_shows_one_user_what_is_anothers(household: Household) -> None:
    tools = _arguments(st.sampled_from(household.ids))
    assert set(tools) == {tool.name for tool in TOOLS}
    calls: list[tuple[str, dict[str, Any]]] = []

    @settings(max_examples=120, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(sorted(tools)).flatmap(lambda name: st.tuples(st.just(name), tools[name])))
    def collect(call: tuple[str, dict[str, Any]]) -> None:
        calls.append(call)

    collect()
    for name, arguments in calls:
        given_arguments = {key: value for key, value in arguments.items() if value is not None}
        result = await household.client.call_tool(name, given_arguments)
        answer = f"{result.content} {result.structured_content}"
        assert _is_clean(answer, household, str(given_arguments)), (name, given_arguments, answer)
    kept = await household.client.call_tool(
        "search_memory",
        {"user_id": "ben", "agent_id": "bot", "session_id": "den", "query": "hides", "limit": 100},
    )
    assert all(secret in str(kept.structured_content) for secret in ("quokka", "wombat", "numbat"))


async def test_no_resource_completion_or_list_shows_anothers(household: Household) -> None:
    client = household.client
    uris = ["memory://profile", "memory://recent", "memory://stats", "memory://sessions/den"]
    uris += [
        f"memory://{noun}/{one}" for noun in ("memories", "entities", "sessions") for one in household.ids
    ]
    for uri in uris:
        try:
            answer = str((await client.read_resource(uri)).contents)
        except MCPError as error:
            answer = str(error)
        assert _is_clean(answer, household, uri), uri
    cursor = None
    while True:
        page = await client.list_resources(cursor=cursor)
        assert _is_clean(str(page.resources), household, "")
        assert not any(one.uri == "memory://sessions/den" for one in page.resources)
        if (cursor := page.next_cursor) is None:
            break
    for template, argument in (("memories", "id"), ("entities", "id"), ("sessions", "session_id")):
        ref = ResourceTemplateReference(type="ref/resource", uri=f"memory://{template}/{{{argument}}}")
        for prefix in ("", "m", "m_", "e_", "d", "den", "%"):
            values = (await client.complete(ref, {"name": argument, "value": prefix})).completion.values
            assert _is_clean(str(values), household, "")
            assert "den" not in values


async def test_what_is_anothers_and_what_is_not_there_are_answered_alike(household: Household) -> None:
    theirs = household.ids[0]
    nobodys = "m_" + "0" * (len(theirs) - 2)

    async def answers(memory_id: str) -> list[str]:
        got = await household.client.call_tool("get_memory", {"memory_id": memory_id})
        gone = await household.client.call_tool("forget", {"ids": [memory_id]})
        with pytest.raises(MCPError) as caught:
            await household.client.read_resource(f"memory://memories/{memory_id}")
        return [str(one).replace(memory_id, "ID") for one in (got.content, gone.content, caught.value)]

    assert await answers(theirs) == await answers(nobodys)
