"""Whatever is sent, the answer is one: requests made up from the API's own description, hostile arguments of
tools, and bytes that are no request at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client

from mcp_memory.config import load
from mcp_memory.models import PERMISSIONS, NewToken
from mcp_memory.server import MemoryHandle, create_server
from mcp_memory.server.tools import TOOLS
from mcp_memory.service import Service

from .conftest import GRAPH_ENGINE
from .served import Served, bearer, serving

SECONDS = int(os.environ.get("TEST_FUZZ_SECONDS", "40"))
"""For each of both halves; more by hand."""
EXAMPLES = max(100, 5 * SECONDS)
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
BODY_BYTES = 65_536


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Served]:
    async with serving(
        tmp_path_factory.mktemp("fuzzing"),
        LIMITS__REQUESTS_PER_MINUTE="100000",
        LIMITS__BODY_BYTES=str(BODY_BYTES),
    ) as served:
        yield served


@pytest.fixture(scope="module")
async def token(served: Served) -> NewToken:
    return await served.token("ann", *PERMISSIONS)


async def test_the_api_answers_as_it_describes_itself(
    served: Served, token: NewToken, tmp_path: Path
) -> None:
    async with served.http(token.secret) as http:
        described = (await http.get("/v1/openapi.json")).json()
    # Another user is refused before anything else is looked at.
    described["components"]["schemas"]["Scope"]["properties"]["user_id"] = {"const": "ann"}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(described))
    done = await anyio.to_thread.run_sync(_made_up_requests, served.base, token.secret, file)
    assert done.returncode == 0, done.stdout[-6_000:]
    assert "failed inside" not in served.log.read_text()


def _made_up_requests(base: str, secret: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", base),
            *("--header", f"Authorization: Bearer {secret}", "--checks", CHECKS),
            *("--phases", "coverage,fuzzing", "--max-time", str(SECONDS), "--no-shrink"),
            *("--suppress-health-check", "all", "--warnings", "off"),
        ],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=4 * SECONDS + 120,
        check=False,
    )


DEEP = "[" * 20_000 + "]" * 20_000
NO_REQUESTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "application/json"),
    "half an object": (b'{"scope": {"user_id": "ann"', "application/json"),
    "a list": (b"[]", "application/json"),
    "nested deeply": (DEEP.encode(), "application/json"),
    "nested deeply inside": (b'{"where": ' + DEEP.encode() + b"}", "application/json"),
    "no text": (b"\xff\xfe\x00\xd8" * 100, "application/json"),
    "half a character": (b'{"scope": {"user_id": "\\ud800"}}', "application/json"),
    "a form": (b"scope=ann&query=x", "application/x-www-form-urlencoded"),
    "another type": (b"<memory/>", "application/xml"),
    "no type": (b"{}", ""),
    "a number without end": (b'{"limit": ' + b"9" * 5_000 + b"}", "application/json"),
    "too much": (b'{"query": "' + b"x" * (2 * BODY_BYTES) + b'"}', "application/json"),
}
PATHS = ("/mcp", "/messages", "/v1/search", "/v1/add", "/v1/forget")
STRANGE_PATHS = ("/v1/../healthz", "/v1/%00", "/v1/%2e%2e%2fowner.json", "/v1/search/../../etc/passwd")


@pytest.mark.parametrize("noun", NO_REQUESTS)
async def test_what_is_no_request_is_refused(served: Served, token: NewToken, noun: str) -> None:
    body, content_type = NO_REQUESTS[noun]
    accepted = {"Accept": "application/json, text/event-stream"}
    async with served.http() as http:
        for path in PATHS:
            headers = (
                bearer(token.secret) | accepted | ({"Content-Type": content_type} if content_type else {})
            )
            answer = await http.post(path, content=body, headers=headers)
            assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text[:300])
        for path in STRANGE_PATHS:
            # Clients may shorten such paths before they send them.
            strange = await http.post(path, content=body, headers=bearer(token.secret))
            assert strange.status_code in (404, 405)
        assert (await http.get("/readyz")).status_code == 200


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Client]:
    folder = tmp_path_factory.mktemp("tools") / "data"
    config = load(flags={"data_dir": folder, "graph": {"engine": GRAPH_ENGINE}})
    async with (
        MemoryHandle.holding(lambda: Service.open(config)) as handle,
        Client(create_server(handle, config)) as client,
    ):
        await client.call_tool("add_memory", {"content": "The otter lives in Lisbon."})
        yield client


_hostile = st.sampled_from(
    [
        *("", " ", "\x00", "%00", "../../etc/passwd", "..\\..\\boot.ini", "😀" * 50),
        *("\u202eevil", "a" * 9_000),
        *("' OR 1=1 --", '"; DROP TABLE memories; --', "id IN (SELECT id FROM memories)", "text LIKE '%'"),
        *(
            "') RETURN n //",
            "MATCH (n) DETACH DELETE n",
            "}) DETACH DELETE (n",
            "true) OR (true",
            "_rowid >= 0",
        ),
        *("NaN", "-1", "1e999", "2024-02-31", "9999-12-31T23:59:59Z", "0000-00-00"),
        *("tomorrow^", '"', "*", "AND OR NOT"),
    ]
)
_values = st.recursive(
    _hostile | st.text(max_size=30) | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_hostile | st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A tool, and for some of its arguments what is nearly right or not at all."""
    tool = draw(st.sampled_from(TOOLS)).definition
    properties: dict[str, dict[str, Any]] = tool.input_schema["properties"]
    names = draw(st.lists(st.sampled_from(sorted(properties)), unique=True, max_size=5))
    names = sorted({*names, *tool.input_schema.get("required", [])})
    return tool.name, {name: draw(_hostile | _fitting(properties[name]) | _values) for name in names}


def _fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    match schema:
        case {"enum": [*choices]}:
            return st.sampled_from(choices)
        case {"type": "integer"}:
            return st.integers(-2, 2**70)
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "array"}:
            return st.lists(_values, max_size=3)
        case {"type": "object"}:
            return st.dictionaries(_hostile, _values, max_size=3)
        case _:
            return _hostile


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=_calls())
async def test_no_argument_of_a_tool_makes_it_fail(client: Client, asked: tuple[str, dict[str, Any]]) -> None:
    tool, arguments = asked
    answer = await client.call_tool(tool, arguments)
    assert "failed inside the memory server" not in str(answer.content), answer.content
