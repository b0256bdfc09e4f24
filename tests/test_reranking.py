"""The second look at the best hits: an endpoint, a model in a file, and what happens when they fail."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mcp_memory.config import Config, RerankerConfig
from mcp_memory.embedding import MODEL_FOLDER
from mcp_memory.errors import RerankerFailed
from mcp_memory.models import AddRequest, Scope, SearchRequest, SearchResult
from mcp_memory.reranking import EndpointReranker, LocalReranker
from mcp_memory.service import Service

SCOPE = Scope(user_id="u")
MODEL = Path(__file__).parent / "data" / "shortest-first.onnx"
"""Gives a pair the number of its tokens, negated: made by hand, to see which order it brings."""
NOTES = ("The heron stands in the reeds by the old mill.", "Herons eat fish.", "The heron left.")


@contextmanager
def endpoint(status: int, reply: Any) -> Generator[tuple[str, list[dict[str, Any]]]]:
    """A `/v1/rerank` that always answers the same; its address, and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({"path": self.path, "key": self.headers["Authorization"], **body})
            content = json.dumps(reply(body) if callable(reply) else reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def longest_first(body: dict[str, Any]) -> dict[str, Any]:
    rows = [{"index": n, "relevance_score": len(one)} for n, one in enumerate(body["documents"])]
    return {"results": rows[::-1]}


async def found(config: Config, reranker: dict[str, Any]) -> SearchResult:
    searching = config.search.model_copy(update={"reranker": RerankerConfig.model_validate(reranker)})
    async with Service.open(config.model_copy(update={"search": searching})) as service:
        for note in NOTES:
            await service.add(SCOPE, AddRequest(content=note))
        return await service.search(SCOPE, SearchRequest(query="What does the heron do?"))


def texts(result: SearchResult) -> list[str]:
    return [hit.memory.text for hit in result.hits]


async def test_an_endpoint_decides_the_order_of_the_best(config: Config) -> None:
    with endpoint(200, longest_first) as (url, asked):
        result = await found(
            config, {"provider": "endpoint", "base_url": url, "model": "m", "api_key": "secret"}
        )
    assert texts(result) == sorted(NOTES, key=len, reverse=True)
    (request,) = asked
    assert (request["path"], request["model"], request["key"]) == ("/v1/rerank", "m", "Bearer secret")
    assert request["query"] == "What does the heron do?"


async def test_only_the_first_few_are_looked_at(config: Config) -> None:
    with endpoint(200, longest_first) as (url, asked):
        result = await found(config, {"provider": "endpoint", "base_url": url, "depth": 2})
    assert len(asked[0]["documents"]) == 2
    assert len(result.hits) == 3


async def test_a_model_in_a_file_decides_the_order(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(MODEL, folder / "model.onnx")
    shutil.copy(MODEL_FOLDER / "tokenizer.json", folder)
    result = await found(config, {"provider": "local", "folder": str(folder)})
    assert result.degraded == ()
    assert texts(result)[-1] == NOTES[0]
    scores = await LocalReranker(folder, 1).scores("x", ["one", "one two three"])
    assert scores[0] == scores[1] + 2


@pytest.mark.parametrize(
    ("status", "reply", "reason"),
    [
        (500, {}, "status 500"),
        (200, {"data": []}, "not a rerank reply"),
        (200, {"results": [{"index": 0, "relevance_score": 1.0}]}, "asked for 3 scores, got 1"),
    ],
)
async def test_a_reranker_that_fails_leaves_the_order_and_is_named(
    config: Config, status: int, reply: Any, reason: str
) -> None:
    with endpoint(status, reply) as (url, _):
        result = await found(config, {"provider": "endpoint", "base_url": url, "api_key": "secret"})
    assert set(texts(result)) == set(NOTES)
    (degraded,) = result.degraded
    assert reason in degraded
    assert "secret" not in degraded


async def test_nobody_listening_and_a_missing_file_are_told(tmp_path: Path) -> None:
    nobody = EndpointReranker(RerankerConfig(provider="endpoint", base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(RerankerFailed, match=r"127\.0\.0\.1:9"):
        await nobody.scores("x", ["y"])
    await nobody.aclose()
    with pytest.raises(RerankerFailed, match=str(tmp_path)):
        await LocalReranker(tmp_path, 1).scores("x", ["y"])
