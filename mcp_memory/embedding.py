"""Turns text into vectors: the model inside this package, or any endpoint that speaks `/v1/embeddings`."""

# onnxruntime and tokenizers publish few types; what leaves this module is typed.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, ValidationError

from mcp_memory import onnx
from mcp_memory.config import EmbeddingConfig
from mcp_memory.embedded import Embedded, EmbeddedQuery, pack, rotated
from mcp_memory.errors import EmbeddingEndpointFailed, ModelMissing
from mcp_memory.models import Memory

# numpy, too, is imported late: its tenth of a second would delay the first write after a start.
if TYPE_CHECKING:
    import httpx2

    from mcp_memory.embedded import Vectors
    from mcp_memory.onnx import Loaded

MODEL_FOLDER = Path(__file__).parent / "assets" / "all-MiniLM-L6-v2"
MAX_TOKENS = 256
"""What the model was trained to read at once; the rest of a longer text is found by its words alone."""


class Embedder(Protocol):
    """Makes vectors. It knows nothing of memories; `identity` tells whether two embedders' vectors may be
    compared, `replaces` whose vectors are made anew without asking."""

    @property
    def identity(self) -> str: ...

    @property
    def replaces(self) -> tuple[str, ...]: ...

    @property
    def dimension(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, in their order. Raises EmbeddingError."""
        ...

    async def embed_tokens(self, texts: Sequence[str]) -> Embedded:
        """The same with the tokens of each, where the embedder makes any. Raises EmbeddingError."""
        ...

    async def embed_query(self, text: str) -> EmbeddedQuery:
        """A query, to be compared with such texts. Raises EmbeddingError."""
        ...

    async def aclose(self) -> None: ...


def create_embedder(config: EmbeddingConfig) -> Embedder:
    """The configured embedder, not yet loaded: `embed` loads it."""
    match config.provider:
        case "local":
            return LocalEmbedder(MODEL_FOLDER, threads=config.threads)
        case "openai":
            return EndpointEmbedder(config)


class MemoryEmbedder:
    """Embeds memories with who said them and when inside the text: worth 17 points of recall (design
    study)."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def identity(self) -> str:
        return self._embedder.identity

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    @property
    def replaces(self) -> tuple[str, ...]:
        return self._embedder.replaces

    async def check(self) -> None:
        await self._embedder.embed(["ready?"])

    async def embed_memories(self, memories: Sequence[Memory]) -> Embedded:
        return await self._embedder.embed_tokens([spoken(memory) for memory in memories])


def spoken(memory: Memory) -> str:
    """`[date] speaker: text`; where no name is known the role speaks, and a statement has no speaker."""
    said = f"{memory.role}: {memory.text}" if memory.role and not memory.speaker else memory.said
    return f"[{memory.observed_at:%Y-%m-%d}] {said}"


class LocalEmbedder:
    """all-MiniLM-L6-v2 in int8, run by onnxruntime; pooling and normalisation are inside the model file.

    One text at a time: the model scales its int8 activations by the whole batch, so in company a text gets
    another vector (cosine .99 to its own). Alone it depends on nothing but its words, and a rebuild changes
    no answer.
    """

    dimension = 384

    def __init__(self, folder: Path, *, threads: int) -> None:
        self._folder = folder
        self._threads = threads
        self._limiter = anyio.CapacityLimiter(1)
        self._loaded: Loaded | None = None

    @property
    def identity(self) -> str:
        return "local all-MiniLM-L6-v2 int8 (384, tokens)"

    @property
    def replaces(self) -> tuple[str, ...]:
        return ("local all-MiniLM-L6-v2 int8 (384)",)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return (await self.embed_tokens(texts)).vectors

    async def embed_tokens(self, texts: Sequence[str]) -> Embedded:
        return await anyio.to_thread.run_sync(self._embed, list(texts), limiter=self._limiter)

    async def embed_query(self, text: str) -> EmbeddedQuery:
        return await anyio.to_thread.run_sync(self._embed_query, text, limiter=self._limiter)

    async def aclose(self) -> None:
        self._loaded = None

    def _embed(self, texts: list[str]) -> Embedded:
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), np.float32)
        packed: list[bytes] = []
        if texts:
            tokenizer, _ = self._loaded or self._load()
            for row, encoding in enumerate(tokenizer.encode_batch(texts)):
                vectors[row], tokens = self._run(encoding.ids)
                packed.append(pack(tokens))
        return Embedded(vectors, packed)

    def _embed_query(self, text: str) -> EmbeddedQuery:
        tokenizer, _ = self._loaded or self._load()
        encoding = tokenizer.encode(text)
        vector, tokens = self._run(encoding.ids)
        return EmbeddedQuery(vector, tuple(encoding.tokens), rotated(tokens))

    def _run(self, ids: Sequence[int]) -> tuple[Any, Any]:
        """The vector, and the tokens of shape `(len(ids), 384)`."""
        import numpy as np

        _, session = self._loaded or self._load()
        input_ids = np.asarray([ids], np.int64)
        inputs = {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)}
        outputs: Any = session.run(["embedding", "tokens"], inputs)
        return outputs[0][0], outputs[1][0]

    def _load(self) -> Loaded:
        try:
            loaded = onnx.load(self._folder, "model_int8.onnx", max_tokens=MAX_TOKENS, threads=self._threads)
        except onnx.NotLoaded as error:
            raise ModelMissing(self._folder, str(error)) from error
        self._loaded = loaded
        return loaded


class EndpointEmbedder:
    """Any server that answers `POST {base_url}/embeddings` as OpenAI's does: Ollama, LM Studio, vLLM, a
    hosted one."""

    def __init__(self, config: EmbeddingConfig) -> None:
        self._config = config
        self._client: httpx2.AsyncClient | None = None

    @property
    def identity(self) -> str:
        # Not the address: the same model behind another address makes the same vectors.
        return f"endpoint {self._config.model} ({self._config.dimension})"

    @property
    def replaces(self) -> tuple[str, ...]:
        return ()

    @property
    def dimension(self) -> int:
        return self._config.dimension

    async def embed_tokens(self, texts: Sequence[str]) -> Embedded:
        return Embedded(await self.embed(texts))

    async def embed_query(self, text: str) -> EmbeddedQuery:
        return EmbeddedQuery((await self.embed([text]))[0])

    async def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), np.float32)
        for batch in _batches([len(text) for text in texts], self._config.batch_size):
            vectors[batch] = await self._request([texts[position] for position in batch])
        return vectors

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _request(self, texts: list[str]) -> Vectors:
        import httpx2
        import numpy as np

        url = self._config.base_url.rstrip("/") + "/embeddings"
        if self._client is None:
            key = self._config.api_key
            headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
            self._client = httpx2.AsyncClient(headers=headers, timeout=self._config.timeout)
        try:
            response = await self._client.post(url, json={"model": self._config.model, "input": texts})
            if response.is_error:
                raise EmbeddingEndpointFailed(url, f"it answered status {response.status_code}")
            reply = _Reply.model_validate_json(response.content)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise EmbeddingEndpointFailed(url, str(error) or type(error).__name__) from error
        except ValidationError as error:
            raise EmbeddingEndpointFailed(url, "its answer is not an embeddings reply") from error
        rows = [row.embedding for row in sorted(reply.data, key=lambda row: row.index)]
        if len(rows) != len(texts) or any(len(row) != self.dimension for row in rows):
            found = sorted({len(row) for row in rows})
            raise EmbeddingEndpointFailed(
                url, f"asked for {len(texts)} vectors of {self.dimension} numbers, got {len(rows)} of {found}"
            )
        vectors = np.asarray(rows, np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or (norms == 0).any():
            raise EmbeddingEndpointFailed(url, "a vector was zero or not finite")
        return vectors / norms


class _Vector(BaseModel):
    model_config = ConfigDict(extra="ignore")
    index: int
    embedding: list[float]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="ignore")
    data: list[_Vector]


def _batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Positions in batches of alike length: a server pads each text to the longest of its batch."""
    by_length = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [by_length[start : start + size] for start in range(0, len(by_length), size)]
