"""Both embedders: the one inside the package, and any endpoint, here a scripted server on loopback."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcp_memory.config import EmbeddingConfig
from mcp_memory.embedded import nearest_tokens, pack, rotated, rotation
from mcp_memory.embedding import (
    MODEL_FOLDER,
    EndpointEmbedder,
    LocalEmbedder,
    create_embedder,
    spoken,
)
from mcp_memory.errors import EmbeddingEndpointFailed, ModelMissing
from mcp_memory.models import Memory
from mcp_memory.retrieval import nearness


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    return LocalEmbedder(MODEL_FOLDER, threads=2)


async def test_the_shipped_model_knows_what_means_the_same(local: LocalEmbedder) -> None:
    vectors = await local.embed(["My cat is ill.", "The kitten feels sick.", "Interest rates rose."])
    assert vectors.shape == (3, local.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    alike, unlike = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert alike > 0.5
    assert unlike < 0.2


async def test_a_text_has_the_same_vector_alone_and_in_any_batch(local: LocalEmbedder) -> None:
    texts = ["short", "a somewhat longer sentence about boats", "word " * 400, "x", "y", "tea", ""]
    together = await local.embed(texts)
    for position, text in enumerate(texts):
        (alone,) = await local.embed([text])
        np.testing.assert_array_equal(alone, together[position])


async def test_each_word_of_a_query_finds_the_word_nearest_to_it(local: LocalEmbedder) -> None:
    texts = ["The kitten sleeps on the sofa.", "The bank raised its interest rates.", "", "ok"]
    embedded = await local.embed_tokens(texts)
    assert embedded.tokens is not None
    np.testing.assert_array_equal(embedded.vectors, await local.embed(texts))
    query = await local.embed_query("Where does the cat nap?")
    np.testing.assert_array_equal(query.vector, (await local.embed(["Where does the cat nap?"]))[0])
    assert query.tokens is not None
    assert query.words[4:6] == ("cat", "nap")
    nearest = nearest_tokens(query.tokens, embedded.tokens)
    assert nearest.shape == (len(texts), len(query.words))
    assert nearest[0, 4] > nearest[1, 4] + 0.1
    assert nearest[0, 5] > nearest[1, 5] + 0.1
    near = nearness(query, dict(zip(texts, embedded.tokens, strict=True)))
    assert max(near, key=lambda text: near[text].sum()) == texts[0]


async def test_words_of_a_query_count_by_their_rarity(local: LocalEmbedder) -> None:
    query = await local.embed_query("Can you suggest a fjording?")
    assert query.words == ("[CLS]", "can", "you", "suggest", "a", "fjord", "##ing", "?", "[SEP]")
    text = "Nothing like it."
    embedded = await local.embed_tokens([text])
    assert embedded.tokens is not None
    (evenly,) = nearness(query, {text: embedded.tokens[0]}).values()
    (rarely,) = nearness(query, {text: embedded.tokens[0]}, lambda word: 6.0 * (word == "fjording")).values()
    assert len(evenly) == len("can you suggest a fjord ing".split())
    assert len(rarely) == len("fjord ing".split())


def test_what_is_stored_of_tokens_means_the_same_on_every_machine() -> None:
    turned = rotation(384)
    np.testing.assert_allclose(turned @ turned.T, np.eye(384), atol=1e-5)
    tokens = np.sin(np.arange(2 * 384, dtype=np.float32)).reshape(2, 384)
    rounded = np.round(turned * 1e4).astype("<i2").tobytes()
    assert hashlib.sha256(rounded).hexdigest()[:16] == "7fc796427e4ca6c4"
    (nearest,) = nearest_tokens(rotated(tokens), [pack(tokens)])
    assert (nearest > 0.75).all()


async def test_nothing_to_embed_is_no_vectors(local: LocalEmbedder) -> None:
    assert (await local.embed([])).shape == (0, local.dimension)


@pytest.mark.parametrize("broken", ["missing", "damaged"])
async def test_a_model_that_cannot_be_loaded_is_named(tmp_path: Path, broken: str) -> None:
    if broken == "damaged":
        (tmp_path / "tokenizer.json").write_bytes((MODEL_FOLDER / "tokenizer.json").read_bytes())
        (tmp_path / "model_int8.onnx").write_bytes(b"no model")
    with pytest.raises(ModelMissing, match="Reinstall"):
        await LocalEmbedder(tmp_path, threads=1).embed(["x"])


def test_who_and_when_are_part_of_what_is_embedded() -> None:
    moment = datetime(2023, 5, 8, tzinfo=UTC)
    statement = Memory(
        id="m",
        text="Hello.",
        kind="message",
        level="user",
        user_id="u",
        observed_at=moment,
        recorded_at=moment,
    )
    turn = statement.model_copy(update={"role": "assistant"})
    assert spoken(statement) == "[2023-05-08] Hello."
    assert spoken(turn) == "[2023-05-08] assistant: Hello."
    assert spoken(turn.model_copy(update={"speaker": "Ann"})) == "[2023-05-08] Ann: Hello."


class Endpoint:
    """A scripted `/v1/embeddings`: answers with the next of `replies`, keeps what it was asked."""

    def __init__(self, *replies: tuple[int, Any]) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []
        self.url = ""


@contextmanager
def serving(endpoint: Endpoint) -> Generator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append((self.path, self.headers["Authorization"], body))
            status, reply = endpoint.replies.pop(0)
            content = reply(body["input"]) if callable(reply) else reply
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def embeddings(texts: list[str]) -> dict[str, Any]:
    """A reply out of order, as the interface allows; vector n points towards its text's length."""
    rows = [{"index": n, "embedding": [float(len(text)), 1.0]} for n, text in enumerate(texts)]
    return {"object": "list", "data": rows[::-1], "usage": {"total_tokens": 3}}


def embedder(endpoint: Endpoint, **more: Any) -> EndpointEmbedder:
    settings = {
        "provider": "openai",
        "model": "some-model",
        "dimension": 2,
        "base_url": endpoint.url,
        "timeout": 5,
    }
    created = create_embedder(EmbeddingConfig.model_validate(settings | more))
    assert isinstance(created, EndpointEmbedder)
    return created


async def test_an_endpoint_is_asked_in_batches_and_answers_in_order() -> None:
    with serving(Endpoint((200, embeddings), (200, embeddings))) as endpoint:
        client = embedder(endpoint, batch_size=2, api_key="sk-secret")
        texts = ["ccc", "a", "bb"]
        vectors = await client.embed(texts)
        await client.aclose()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], [3, 1, 2], rtol=1e-5)
    assert [(path, key) for path, key, _ in endpoint.asked] == [("/v1/embeddings", "Bearer sk-secret")] * 2
    assert all(body["model"] == "some-model" for _, _, body in endpoint.asked)
    assert sorted(text for _, _, body in endpoint.asked for text in body["input"]) == sorted(texts)


@pytest.mark.parametrize(
    ("status", "reply", "told"),
    [
        (401, {"error": "no such key sk-secret"}, "status 401"),
        (500, b"", "status 500"),
        (200, b"not json", "not an embeddings reply"),
        (200, {"data": [{"index": 0}]}, "not an embeddings reply"),
        (200, {"data": []}, "got 0"),
        (200, {"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]}, "2 numbers, got 1 of [3]"),
        (200, {"data": [{"index": 0, "embedding": [0.0, 0.0]}]}, "zero or not finite"),
    ],
)
async def test_an_endpoint_that_fails_is_named_and_the_key_is_not(status: int, reply: Any, told: str) -> None:
    with serving(Endpoint((status, reply))) as endpoint:
        client = embedder(endpoint, api_key="sk-secret")
        with pytest.raises(EmbeddingEndpointFailed) as caught:
            await client.embed(["x"])
        await client.aclose()
    assert told in str(caught.value)
    assert endpoint.url in str(caught.value)
    assert "sk-secret" not in str(caught.value)


async def test_an_endpoint_that_is_not_there_is_named() -> None:
    client = embedder(Endpoint(), base_url="http://127.0.0.1:9/v1")
    with pytest.raises(EmbeddingEndpointFailed, match=r"http://127\.0\.0\.1:9/v1/embeddings"):
        await client.embed(["x"])
    await client.aclose()


def test_the_same_model_elsewhere_makes_the_same_vectors() -> None:
    here, there = (
        EndpointEmbedder(EmbeddingConfig(provider="openai", model="m", dimension=8, base_url=url))
        for url in ("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1")
    )
    assert here.identity == there.identity
    assert here.identity != LocalEmbedder(MODEL_FOLDER, threads=1).identity


async def test_where_an_embedder_makes_no_tokens_there_is_no_late_interaction() -> None:
    with serving(Endpoint((200, embeddings), (200, embeddings))) as endpoint:
        client = embedder(endpoint)
        assert (await client.embed_tokens(["a"])).tokens is None
        query = await client.embed_query("b")
        assert nearness(query, {"m": b""}) == {}
        await client.aclose()
