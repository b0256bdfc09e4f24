"""Plain retrieval to compare with: nearest vectors, and BM25, each over a list of texts and nothing else."""

# PyStemmer publishes no types, and only the benchmarks need it.
# pyright: reportMissingImports=false, reportMissingTypeStubs=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import Stemmer
from numpy.typing import NDArray

from mcp_memory.embedding import Embedder

K1 = 1.2
B = 0.75
"""Lucene's constants, and LanceDB's."""

FUNCTION_WORDS = frozenset(
    """
    a an and are as at be been but by can could did do does for from had has have how if in into is
    it its no not of on or should such that the their then there these they this to was were what
    when where which who whom whose why will with would
    """.split()
)
"""Left out of questions: every turn shares them and none is found by them."""

_WORD = re.compile(r"\w+")


async def dense(
    embedder: Embedder, texts: Sequence[str], queries: Sequence[str], limit: int
) -> list[tuple[int, ...]]:
    """For each query the positions of the `limit` nearest texts by cosine, best first."""
    similarities = await embedder.embed(queries) @ (await embedder.embed(texts)).T
    return [_best(row, limit) for row in similarities]


def bm25(texts: Sequence[str], queries: Sequence[str], limit: int) -> list[tuple[int, ...]]:
    """The same by BM25 over English word stems; fewer when fewer texts share a word with the query."""
    stem = Stemmer.Stemmer("english")
    documents: list[list[str]] = [stem.stemWords(_WORD.findall(text.lower())) for text in texts]
    mean_length = sum(map(len, documents)) / len(documents)
    postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for position, words in enumerate(documents):
        norm = K1 * (1 - B + B * len(words) / mean_length)
        for word, count in Counter(words).items():
            postings[word].append((position, count * (K1 + 1) / (count + norm)))
    found: list[tuple[int, ...]] = []
    for query in queries:
        words = [word for word in _WORD.findall(query.lower()) if word not in FUNCTION_WORDS]
        scores = np.zeros(len(texts), np.float64)
        for word in set(stem.stemWords(words)) & postings.keys():
            having = postings[word]
            rarity = math.log(1 + (len(texts) - len(having) + 0.5) / (len(having) + 0.5))
            for position, weight in having:
                scores[position] += rarity * weight
        found.append(tuple(position for position in _best(scores, limit) if scores[position] > 0))
    return found


def _best(scores: NDArray[np.floating], limit: int) -> tuple[int, ...]:
    return tuple(int(position) for position in np.argsort(-scores, kind="stable")[:limit])
