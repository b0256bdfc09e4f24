"""What an embedder makes of a text: one vector, and where it can a vector for each token.

Tokens are compared by late interaction (Khattab & Zaharia, ColBERT, 2020): of each token of a query the
nearest token of a memory counts. A memory's tokens are kept as the signs of their 384 numbers, 48 bytes each;
a rotation before that spreads what they have in common over all numbers, so that the signs tell more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

# Imported where it is used: its tenth of a second would delay the first write after a start.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    """Shape `(n, dimension)`, each row L2-normalised, so that a dot product is a cosine."""

BLOCKS = 3
"""384 numbers are turned in three blocks of 128, the largest power of two that divides them."""
SEED = 0x9E3779B9
AT_ONCE = 128
"""Tokens that are made numbers and compared at once: few enough for a core's cache (of 6,000, in 2.1 ms
instead of 6.1)."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of some texts in their order; `tokens` holds the packed tokens of each, where the embedder
    makes any."""

    vectors: Vectors
    tokens: list[bytes] | None = None

    def at(self, positions: Sequence[int]) -> Embedded:
        """Of the texts at these positions alone."""
        tokens = None if self.tokens is None else [self.tokens[position] for position in positions]
        return Embedded(self.vectors[list(positions)], tokens)


@dataclass(frozen=True, slots=True)
class EmbeddedQuery:
    """A query's vector, shape `(dimension,)`, and its tokens: `words` as the model splits them, `tokens` of
    shape `(len(words), dimension)`, rotated."""

    vector: NDArray[np.float32]
    words: tuple[str, ...] = ()
    tokens: Vectors | None = None


def pack(tokens: Vectors) -> bytes:
    """The signs of a text's tokens after the rotation, a bit each."""
    import numpy as np

    return np.packbits(tokens @ rotation(tokens.shape[1]) > 0, axis=1).tobytes()


def rotated(tokens: Vectors) -> Vectors:
    """A query's tokens, normalised, as they are compared with packed ones."""
    import numpy as np

    turned = tokens @ rotation(tokens.shape[1])
    return (turned / np.linalg.norm(turned, axis=1, keepdims=True)).astype(np.float32)


def nearest_tokens(query: Vectors, packed: Sequence[bytes]) -> Vectors:
    """For each text and each token of the query, how near the text's nearest token is: shape
    `(len(packed), len(query))`, about −1 to 1."""
    import numpy as np

    dimension = query.shape[1]
    bits = np.unpackbits(np.frombuffer(b"".join(packed), np.uint8)).reshape(-1, dimension)
    shared = np.empty((len(bits), len(query)), np.float32)
    weights, numbers = np.ascontiguousarray(query.T), np.empty((AT_ONCE, dimension), np.float32)
    for start in range(0, len(bits), AT_ONCE):
        block = bits[start : start + AT_ONCE]
        numbers[: len(block)] = block
        np.matmul(numbers[: len(block)], weights, out=shared[start : start + AT_ONCE])
    # A bit stands for ±1; the sum of ±q is twice the sum over the set bits, less the sum over all.
    alike = 2.0 * shared - query.sum(axis=1)
    starts = np.cumsum([0, *(len(one) * 8 // dimension for one in packed[:-1])])
    return np.maximum.reduceat(alike, starts, axis=0) / np.sqrt(np.float32(dimension))


@cache
def rotation(dimension: int) -> Vectors:
    """An orthogonal matrix, the same on every machine: signs, Hadamard blocks and a permutation, twice.

    The signs come from a linear congruential generator (Numerical Recipes), for a library's random numbers
    or factorisations may differ from one version to the next, and what is stored would mean nothing.
    """
    import numpy as np

    size = dimension // BLOCKS
    hadamard = np.ones((1, 1))
    while len(hadamard) < size:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    hadamard /= np.sqrt(size)
    order = np.arange(dimension).reshape(BLOCKS, size).T.ravel()
    matrix = np.eye(dimension)
    state = SEED
    for turn in range(2):
        signs = np.empty(dimension)
        for place in range(dimension):
            state = (1_664_525 * state + 1_013_904_223) % 2**32
            signs[place] = 1.0 if state >> 31 else -1.0
        matrix = ((matrix * signs).reshape(dimension, BLOCKS, size) @ hadamard).reshape(dimension, dimension)
        if turn == 0:
            matrix = matrix[:, order]
    return matrix.astype(np.float32)
