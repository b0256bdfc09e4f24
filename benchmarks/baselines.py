"""Plain retrieval to compare with: shared words, BM25 and nearest vectors, each over one user's lines."""

# PyStemmer publishes no types, and only the benchmarks need it.
# pyright: reportMissingImports=false, reportMissingTypeStubs=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import re
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import Stemmer
from dataset import Query, Session
from embeddings import Embeddings
from numpy.typing import NDArray
from systems import PACKED, Footprint, Found, Shelf, found

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


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def content_words(query: str) -> list[str]:
    """The words of a question that may tell something, each once."""
    return list(dict.fromkeys(word for word in words(query) if word not in FUNCTION_WORDS))


class _Baseline(ABC):
    """In this process, in memory, without a start or an end."""

    name: str

    def __init__(self) -> None:
        self._shelf = Shelf()

    async def add(self, user: str, session: Session) -> None:
        self._shelf.put(user, session)
        await self._index(user, session)

    async def settle(self) -> None:
        return

    async def search(self, user: str, query: Query) -> Found:
        began = time.perf_counter()
        scores = await self._scores(user, query.text)
        order = np.argsort(-scores, kind="stable")[:PACKED]
        turns = [self._shelf.turns[user][position] for position in order if scores[position] > 0]
        return found(turns, time.perf_counter() - began)

    async def knows(self, user: str, query: Query) -> bool:
        return bool(((await self._scores(user, query.text)) > 0).any())

    async def footprint(self) -> Footprint:
        return Footprint()

    @abstractmethod
    async def _index(self, user: str, session: Session) -> None: ...

    @abstractmethod
    async def _scores(self, user: str, query: str) -> NDArray[np.floating]:
        """Of the user's turns; 0 or less: not found."""


class Grep(_Baseline):
    """Turns by how many distinct words of the question they contain, the earlier first."""

    name = "grep"

    def __init__(self) -> None:
        super().__init__()
        self._words: defaultdict[str, list[frozenset[str]]] = defaultdict(list)

    async def _index(self, user: str, session: Session) -> None:
        self._words[user] += [frozenset(words(turn.line)) for turn in session.turns]

    async def _scores(self, user: str, query: str) -> NDArray[np.floating]:
        asked = frozenset(content_words(query))
        return np.asarray([len(asked & held) for held in self._words[user]], np.float64)


@dataclass(slots=True)
class _Postings:
    lengths: list[int] = field(default_factory=list[int])
    by_stem: defaultdict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """Positions of turns, and how often the stem is in each."""


class Bm25(_Baseline):
    """BM25 over English word stems, function words left out of the question."""

    name = "BM25"

    def __init__(self) -> None:
        super().__init__()
        self._stemmer = Stemmer.Stemmer("english")
        self._postings: defaultdict[str, _Postings] = defaultdict(_Postings)

    async def _index(self, user: str, session: Session) -> None:
        postings = self._postings[user]
        for turn in session.turns:
            stems = self._stemmer.stemWords(words(turn.line))
            for stem, count in Counter[str](stems).items():
                postings.by_stem[stem].append((len(postings.lengths), count))
            postings.lengths.append(len(stems))

    async def _scores(self, user: str, query: str) -> NDArray[np.floating]:
        postings = self._postings[user]
        lengths = np.asarray(postings.lengths, np.float64)
        norms = K1 * (1 - B + B * lengths / lengths.mean())
        scores = np.zeros(len(lengths), np.float64)
        for stem in set(self._stemmer.stemWords(content_words(query))) & postings.by_stem.keys():
            having = np.asarray(postings.by_stem[stem])
            positions, counts = having[:, 0], having[:, 1]
            rarity = math.log(1 + (len(lengths) - len(having) + 0.5) / (len(having) + 0.5))
            scores[positions] += rarity * counts * (K1 + 1) / (counts + norms[positions])
        return scores


class Dense(_Baseline):
    """The nearest turns by cosine, by the shipped model; it always finds something."""

    name = "dense"

    def __init__(self, embeddings: Embeddings) -> None:
        super().__init__()
        self._embeddings = embeddings
        self._vectors: defaultdict[str, list[NDArray[np.float32]]] = defaultdict(list)

    async def _index(self, user: str, session: Session) -> None:
        self._vectors[user].append(await self._embeddings.embed([turn.line for turn in session.turns]))

    async def _scores(self, user: str, query: str) -> NDArray[np.floating]:
        (asked,) = await self._embeddings.embed([query])
        vectors = np.concatenate(self._vectors[user])
        self._vectors[user] = [vectors]
        # A cosine may be negative; here the sign says whether something is found at all.
        return vectors @ asked + 1.0


def opening(make: Callable[[], _Baseline]) -> Callable[[Path], AbstractAsyncContextManager[_Baseline]]:
    """A baseline is started as any system is, and needs no folder."""
    return lambda _folder: nullcontext(make())
