"""The shipped embedding model for baselines and peers, in this process and on loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager

import anyio
import numpy as np
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mcp_memory.config import EmbeddingConfig
from mcp_memory.embedding import create_embedder

DIMENSION = EmbeddingConfig().dimension
MODEL = EmbeddingConfig().model
START_SECONDS = 10.0
POLL_SECONDS = 0.02


class Embeddings:
    """Vectors of texts; those of prepared texts are looked up."""

    def __init__(self) -> None:
        self._embedder = create_embedder(EmbeddingConfig())
        self._prepared: dict[str, NDArray[np.float32]] = {}

    async def prepare(self, text: str) -> None:
        """So that a text which many haystacks share is embedded once. The model reads any white space as one
        space, so texts that differ by nothing else are the same."""
        if _flat(text) not in self._prepared:
            (self._prepared[_flat(text)],) = await self._embedder.embed([text])

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape `(n, DIMENSION)`, L2-normalised."""
        if missing := [text for text in texts if _flat(text) not in self._prepared]:
            made = dict(zip(missing, await self._embedder.embed(missing), strict=True))
        else:
            made = {}
        return np.asarray(
            [made[text] if text in made else self._prepared[_flat(text)] for text in texts], np.float32
        )

    async def aclose(self) -> None:
        await self._embedder.aclose()


def _flat(text: str) -> str:
    return " ".join(text.split())


@asynccontextmanager
async def endpoint(embeddings: Embeddings) -> AsyncGenerator[str]:
    """The address of an endpoint on loopback that speaks OpenAI's `/v1/embeddings`, until the block ends."""

    async def answer(request: Request) -> JSONResponse:
        asked = (await request.json())["input"]
        texts: list[str] = [asked] if isinstance(asked, str) else asked
        vectors = await embeddings.embed(texts)
        rows = [
            {"object": "embedding", "index": number, "embedding": vector.tolist()}
            for number, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return JSONResponse({"object": "list", "model": MODEL, "data": rows, "usage": usage})

    app = Starlette(routes=[Route("/v1/embeddings", answer, methods=["POST"])])
    server = _Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        with anyio.fail_after(START_SECONDS):
            while not server.started:
                await anyio.sleep(POLL_SECONDS)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.should_exit = True


class _Server(uvicorn.Server):
    """Leaves the signals to the benchmark."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
