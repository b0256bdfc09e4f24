"""Made-up vectors of texts, alike where texts share words, served on loopback as `POST /v1/embeddings`.

For sizes at which a model would compute for hours: what is measured is the store. The same text has the same
vector at every run.
"""

from __future__ import annotations

import json
import re
import threading
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSION = 384
NOISE = 0.5
"""Of a vector's length, what is the text's own: no two texts are equally far from a third."""

_WORD = re.compile(r"\w+")


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Shape `(len(texts), 384)`, rows normalised: the sum of a random direction for each word, and some of
    the text's own."""
    made = np.stack([_sum_of_words(text) for text in texts])
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@contextmanager
def served() -> Generator[str]:
    """The address of the endpoint, up to and including /v1, for as long as the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def _sum_of_words(text: str) -> NDArray[np.float32]:
    words = [_direction(word) for word in _WORD.findall(text.casefold())]
    own = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIMENSION, np.float32)
    return np.sum(words, axis=0) / max(len(words), 1) ** 0.5 + NOISE * own if words else own


@lru_cache(maxsize=100_000)
def _direction(word: str) -> NDArray[np.float32]:
    return np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIMENSION, np.float32)


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        # Five digits, as many as matter; a third of the bytes.
        rows = np.round(vectors(asked["input"]), 5).tolist()
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
        body = json.dumps({"object": "list", "data": data}, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: stderr is for the progress bar."""
