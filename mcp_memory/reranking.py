"""A second look at the best hits, by a model that reads question and memory together; off by default."""

# onnxruntime and tokenizers publish few types; what leaves this module is typed.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import anyio.to_thread
from pydantic import BaseModel, ConfigDict, ValidationError

from mcp_memory import onnx
from mcp_memory.config import RerankerConfig
from mcp_memory.errors import RerankerFailed

if TYPE_CHECKING:
    import httpx2

    from mcp_memory.onnx import Loaded

MAX_TOKENS = 512
"""Of question and memory together; what cross-encoders of this size were trained on."""


class Reranker(Protocol):
    """Says how well texts answer a query. It knows nothing of memories."""

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """One number for each text, in their order; larger is better. Raises RerankerFailed."""
        ...

    async def aclose(self) -> None: ...


def create_reranker(config: RerankerConfig) -> Reranker | None:
    match config.provider:
        case "none":
            return None
        case "endpoint":
            return EndpointReranker(config)
        case "local":
            return LocalReranker(config.folder, config.threads)


class EndpointReranker:
    """Any server that answers `POST {base_url}/rerank` as Jina's does: vLLM, llama.cpp, Infinity."""

    def __init__(self, config: RerankerConfig) -> None:
        self._config = config
        self._client: httpx2.AsyncClient | None = None

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        import httpx2

        url = self._config.base_url.rstrip("/") + "/rerank"
        if self._client is None:
            key = self._config.api_key
            headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
            self._client = httpx2.AsyncClient(headers=headers, timeout=self._config.timeout)
        body = {"model": self._config.model, "query": query, "documents": list(texts)}
        try:
            response = await self._client.post(url, json=body)
            if response.is_error:
                raise RerankerFailed(url, f"it answered status {response.status_code}")
            reply = _Reply.model_validate_json(response.content)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise RerankerFailed(url, str(error) or type(error).__name__) from error
        except ValidationError as error:
            raise RerankerFailed(url, "its answer is not a rerank reply") from error
        found = {one.index: one.relevance_score for one in reply.results}
        if sorted(found) != list(range(len(texts))):
            raise RerankerFailed(url, f"asked for {len(texts)} scores, got {len(found)}")
        return [found[place] for place in range(len(texts))]

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()


class LocalReranker:
    """A cross-encoder as `model.onnx` and `tokenizer.json` in one folder."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        self._threads = threads
        self._loaded: Loaded | None = None
        self._limiter = anyio.CapacityLimiter(1)

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return await anyio.to_thread.run_sync(self._scores, query, list(texts), limiter=self._limiter)

    async def aclose(self) -> None:
        self._loaded = None

    def _scores(self, query: str, texts: list[str]) -> list[float]:
        import numpy as np

        tokenizer, session = self._loaded or self._load()
        wanted = {one.name for one in session.get_inputs()}
        scores: list[float] = []
        # One pair at a time: int8 activations scale with the batch, and answers would depend on neighbours.
        for text in texts:
            encoding = tokenizer.encode(query, text)
            values = {
                "input_ids": encoding.ids,
                "attention_mask": encoding.attention_mask,
                "token_type_ids": encoding.type_ids,
            }
            inputs = {name: np.asarray([values[name]], np.int64) for name in wanted if name in values}
            try:
                outputs: Any = session.run(None, inputs)
            except Exception as error:  # onnxruntime raises bare Exception for inputs it does not take
                raise RerankerFailed(str(self._folder), str(error).splitlines()[0]) from error
            scores.append(float(np.ravel(outputs[0])[-1]))
        return scores

    def _load(self) -> Loaded:
        try:
            loaded = onnx.load(self._folder, "model.onnx", max_tokens=MAX_TOKENS, threads=self._threads)
        except onnx.NotLoaded as error:
            raise RerankerFailed(str(self._folder), str(error)) from error
        self._loaded = loaded
        return loaded


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore")
    index: int
    relevance_score: float


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")
    results: list[_Result]
