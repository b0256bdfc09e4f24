"""The words of one owner's memories, in memory: what full text scores are made of.

An index on disk counts how rare a word is over everybody it serves. Here it is counted over those whose
memory it is, so an answer neither depends on what others say nor tells anything of it; and turns can be read
with what was said beside them. Made from the ledger when first asked, grown by what is written, and thrown
away when something is forgotten.
"""

from __future__ import annotations

import math
import re
import zlib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
import numpy as np

from mcp_memory.models import Scope
from mcp_memory.store.candidates import NUMBER, QUESTION, TIME, Candidate, Worded
from mcp_memory.store.ledger import Ledger, words
from mcp_memory.store.ledger.words import Said
from mcp_memory.words import stemmer, stems, words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int64]

K1, B = 1.2, 0.75
"""BM25's constants, as LanceDB has them; Robertson & Zaragoza, The Probabilistic Relevance Framework (2009).
"""
SEGMENTS = 8
"""Pieces an index is kept in before they are joined: each write adds one, each query reads all."""
FIRST_LARGER = 4
"""Times that the first piece is larger than the others together as long as these are joined without it: to
join 100,000 postings anew takes 20 ms, and was done with every eighth add."""
REACH = 1
"""Turns before and after that are read with a turn."""

_DIGIT = re.compile(r"\d")
_TIME = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|ago|last|next|week(?:end)?s?|months?|years?|morning|evening"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july|august|september"
    r"|october|november|december|(?:19|20)\d\d)\b",
    re.IGNORECASE,
)


def _term(stem: str) -> int:
    # Numbers instead of strings keep the index small; two of 50,000 stems share one once in three stores.
    return zlib.crc32(stem.encode())


@dataclass(frozen=True, slots=True)
class _Segment:
    """An inverted index: of `terms[i]` the documents and how often it stands there, from `starts[i]` on."""

    terms: Ints
    starts: Ints
    documents: Ints
    counts: Floats

    @classmethod
    def of(cls, terms: Ints, documents: Ints, counts: Floats) -> _Segment:
        """From postings in any order, each pair of term and document once."""
        order = np.lexsort((documents, terms))
        terms, documents, counts = terms[order], documents[order], counts[order]
        different, starts = np.unique(terms, return_index=True)
        return cls(different, np.append(starts, len(terms)), documents, counts)

    @classmethod
    def joined(cls, segments: Sequence[_Segment]) -> _Segment:
        flat = [one.flat for one in segments]
        return cls.of(*(np.concatenate(column) for column in zip(*flat, strict=True)))

    def __len__(self) -> int:
        """Postings."""
        return len(self.documents)

    def postings(self, term: int) -> tuple[Ints, Floats]:
        place = int(np.searchsorted(self.terms, term))
        if place == len(self.terms) or self.terms[place] != term:
            return self.documents[:0], self.counts[:0]
        here = slice(int(self.starts[place]), int(self.starts[place + 1]))
        return self.documents[here], self.counts[here]

    @property
    def flat(self) -> tuple[Ints, Ints, Floats]:
        return np.repeat(self.terms, np.diff(self.starts)), self.documents, self.counts


class Lexicon:
    """The words of one owner. `extend` and reading it must not run at once."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.seqs: Ints = np.zeros(0, np.int64)
        self.lengths: Floats = np.zeros(0, np.float32)
        self.marks: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self.sessions: Ints = np.zeros(0, np.int64)
        """Which session each memory belongs to, −1 for none."""
        self.session_ids: list[str] = []
        self.said_by: list[tuple[str | None, str | None]] = []
        """Role and speaker of each."""
        self.last_seq = 0
        self._places: dict[str, int] = {}
        self._session_numbers: dict[str, int] = {}
        self._turns: list[list[tuple[int, int, int]]] = []
        """Of each session its turns in order: (time, seq, place)."""
        self.previous: list[int] = []
        self.following: list[int] = []
        """Places of the turns just before and after each in its session, −1 for none."""
        self._segments: list[_Segment] = []

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def bytes(self) -> int:
        postings = sum(map(len, self._segments))
        return len(self) * words.BYTES_PER_MEMORY + postings * words.BYTES_PER_POSTING

    def extend(self, rows: Iterable[Said]) -> None:
        """Add what was written since `last_seq`, in order of `seq`."""
        stem, memo = stemmer().stemWord, dict[str, int]()
        terms: list[Ints] = []
        documents: list[Ints] = []
        counts: list[Floats] = []
        lengths: list[int] = []
        marks: list[int] = []
        sessions: list[int] = []
        seqs: list[int] = []
        for row in rows:
            place = len(self.ids)
            found = words_of(row.words)
            for word in found:
                if word not in memo:
                    memo[word] = _term(stem(word))
            different, often = np.unique(
                np.fromiter((memo[word] for word in found), np.int64, len(found)), return_counts=True
            )
            terms.append(different)
            documents.append(np.full(len(different), place, np.int64))
            counts.append(often.astype(np.float32))
            lengths.append(len(found))
            marks.append(_marks(row.text))
            sessions.append(self._enter(row, place))
            seqs.append(row.seq)
            self.ids.append(row.id)
            self.said_by.append((row.role, row.speaker))
            self._places[row.id] = place
            self.last_seq = max(self.last_seq, row.seq)
        if not lengths:
            return
        self.lengths = np.append(self.lengths, np.asarray(lengths, np.float32))
        self.marks = np.append(self.marks, np.asarray(marks, np.uint8))
        self.sessions = np.append(self.sessions, np.asarray(sessions, np.int64))
        self.seqs = np.append(self.seqs, np.asarray(seqs, np.int64))
        self._segments.append(
            _Segment.of(np.concatenate(terms), np.concatenate(documents), np.concatenate(counts))
        )
        if len(self._segments) > SEGMENTS:
            first, *others = self._segments
            if len(first) < FIRST_LARGER * sum(map(len, others)):
                self._segments = [_Segment.joined(self._segments)]
            else:
                self._segments = [first, _Segment.joined(others)]

    def _enter(self, row: Said, place: int) -> int:
        self.previous.append(-1)
        self.following.append(-1)
        if row.session_id is None:
            return -1
        number = self._session_numbers.setdefault(row.session_id, len(self._turns))
        if number == len(self._turns):
            self._turns.append([])
            self.session_ids.append(row.session_id)
        turns, turn = self._turns[number], (row.observed_at, row.seq, place)
        at = bisect_left(turns, turn)
        turns.insert(at, turn)
        for (_, _, one), (_, _, next_one) in pairwise(turns[max(at - 1, 0) : at + 2]):
            self.following[one], self.previous[next_one] = next_one, one
        return number

    def candidate(self, place: int, score: float) -> Candidate:
        session, (role, speaker) = int(self.sessions[place]), self.said_by[place]
        return Candidate(
            self.ids[place], score, self.session_ids[session] if session >= 0 else None, role, speaker
        )

    def place(self, memory_id: str) -> int | None:
        return self._places.get(memory_id)

    def postings(self, term: int) -> tuple[Ints, Floats]:
        found = [segment.postings(term) for segment in self._segments]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])

    def having(self, term: int) -> int:
        """How many memories have it."""
        return sum(len(segment.postings(term)[0]) for segment in self._segments)


def _marks(text: str) -> int:
    return (
        QUESTION * text.rstrip().endswith(("?", "？"))
        + NUMBER * (_DIGIT.search(text) is not None)
        + TIME * (_TIME.search(text) is not None)
    )


class Reading:
    """A query read against the words of all owners that a scope sees."""

    def __init__(self, lexicons: Sequence[Lexicon], words: str) -> None:
        self._lexicons = [one for one in lexicons if len(one)]
        self._terms = list(dict.fromkeys(_term(stem) for stem in stems(words)))
        total = sum(len(one) for one in self._lexicons)
        self._postings = [[one.postings(term) for term in self._terms] for one in self._lexicons]
        having = np.array(
            [sum(len(of_one[n][0]) for of_one in self._postings) for n in range(len(self._terms))], float
        )
        self._rarity: Floats = np.log(1 + (total - having + 0.5) / (having + 0.5)).astype(np.float32)
        self._known = having > 0
        lengths = sum(float(one.lengths.sum()) for one in self._lexicons)
        self._mean_length = lengths / total if total else 1.0
        self._counts = [self._matrix(one, postings) for one, postings in self._each()]
        self._scores = [self._own_scores(one, postings) for one, postings in self._each()]
        self._sessions = [self._session_scores(one, postings) for one, postings in self._each()]

    @property
    def size(self) -> int:
        """How many memories the scope sees."""
        return sum(map(len, self._lexicons))

    @property
    def unknown(self) -> float:
        """How much of the query nobody has ever said here, each word weighed by its rarity; 0 to 1."""
        total = float(self._rarity.sum())
        return float(self._rarity[~self._known].sum()) / total if total else 0.0

    def strangers(self, names: Sequence[str]) -> float:
        """How many of these names have no word that anybody ever said here; 0 to 1."""
        if not names:
            return 0.0
        unheard = sum(not any(self._having(_term(stem)) for stem in stems(name)) for name in names)
        return unheard / len(names)

    def rarity(self, word: str) -> float:
        """How rare a word is here, as it counts in BM25; 0 for what is no word."""
        having = [self._having(_term(stem)) for stem in stems(word)]
        total = sum(len(one) for one in self._lexicons)
        return max((math.log(1 + (total - n + 0.5) / (n + 0.5)) for n in having), default=0.0)

    def share(self, word: str) -> float:
        """The part of the memories here that have a word, or the rarest part of it; 0 to 1."""
        return min((self._having(_term(stem)) for stem in stems(word)), default=0) / max(self.size, 1)

    def _having(self, term: int) -> int:
        """How many memories have it."""
        return sum(one.having(term) for one in self._lexicons)

    def best(self, limit: int, allowed: Collection[int] | None = None) -> tuple[Candidate, ...]:
        """The best by their own words; score is BM25. `allowed`: numbers (seq) of those that may be found;
        None for all."""
        seqs = None if allowed is None else np.fromiter(allowed, np.int64, len(allowed))
        found: list[Candidate] = []
        for lexicon, scores in zip(self._lexicons, self._scores, strict=True):
            places = np.flatnonzero(scores > 0)
            if seqs is not None:
                places = places[np.isin(lexicon.seqs[places], seqs)]
            if len(places) > limit:
                places = places[np.argpartition(-scores[places], limit - 1)[:limit]]
            found += [lexicon.candidate(int(place), float(scores[place])) for place in places]
        found.sort(key=lambda one: (-one.score, one.memory_id))
        return tuple(found[:limit])

    def describe(self, memory_ids: Iterable[str]) -> dict[str, Worded]:
        """What the words of each say; without those that are not known here."""
        found: dict[str, Worded] = {}
        wanted = list(memory_ids)
        for number, lexicon in enumerate(self._lexicons):
            known = self._counts[number].shape[1]
            places = [place for one in wanted if (place := lexicon.place(one)) is not None and place < known]
            if places:
                found.update((one.memory_id, one) for one in self._describe(number, places))
        return found

    def _describe(self, number: int, places: Sequence[int]) -> Iterable[Worded]:
        lexicon, counts, here = self._lexicons[number], self._counts[number], list(places)
        # What came since the query was read is not in its counts.
        known = counts.shape[1]
        earlier = [one if (one := lexicon.previous[place]) < known else -1 for place in here]
        later = [one if (one := lexicon.following[place]) < known else -1 for place in here]
        together, lengths = counts.take(here, axis=1), lexicon.lengths[here]
        for turns in np.array([earlier, later]):
            there = turns >= 0
            together[:, there] += counts[:, turns[there]]
            lengths[there] += lexicon.lengths[turns[there]]
        nearby = self._bm25(together, lengths, self._mean_length * (1 + 2 * REACH))
        covered = (counts[:, here] > 0).T @ self._rarity / (float(self._rarity.sum()) or 1.0)
        # Where there is no session or no turn, −1 finds the nothing that is added at the end.
        sessions = np.append(self._sessions[number], np.float32(0))[lexicon.sessions[here]]
        before = np.append(lexicon.marks, np.uint8(0))[earlier]
        ids = lexicon.ids
        return map(
            Worded,
            (ids[place] for place in here),
            self._scores[number][here].tolist(),
            nearby.tolist(),
            sessions.tolist(),
            covered.tolist(),
            (ids[place] if place >= 0 else None for place in earlier),
            (ids[place] if place >= 0 else None for place in later),
            lexicon.marks[here].tolist(),
            before.tolist(),
        )

    def _each(self) -> Iterable[tuple[Lexicon, list[tuple[Ints, Floats]]]]:
        return zip(self._lexicons, self._postings, strict=True)

    def _matrix(self, lexicon: Lexicon, postings: Sequence[tuple[Ints, Floats]]) -> Floats:
        """How often each term stands in each memory: shape `(terms, memories)`."""
        counts = np.zeros((len(self._terms), len(lexicon)), np.float32)
        for term, (documents, often) in enumerate(postings):
            counts[term, documents] = often
        return counts

    def _own_scores(self, lexicon: Lexicon, postings: Sequence[tuple[Ints, Floats]]) -> Floats:
        """BM25 of every memory by itself."""
        scores = np.zeros(len(lexicon), np.float32)
        for rarity, (documents, often) in zip(self._rarity, postings, strict=True):
            norm = K1 * (1 - B + B * lexicon.lengths[documents] / self._mean_length)
            scores[documents] += rarity * often * (K1 + 1) / (often + norm)
        return scores

    def _session_scores(self, lexicon: Lexicon, postings: Sequence[tuple[Ints, Floats]]) -> Floats:
        """BM25 of every session as one text."""
        within = lexicon.sessions >= 0
        size = len(lexicon.session_ids)
        if not size:
            return np.zeros(0, np.float32)
        lengths = np.bincount(lexicon.sessions[within], lexicon.lengths[within], size).astype(np.float32)
        counts = np.zeros((len(self._terms), size), np.float32)
        for term, (documents, often) in enumerate(postings):
            inside = lexicon.sessions[documents] >= 0
            counts[term] = np.bincount(lexicon.sessions[documents[inside]], often[inside], size)
        having = (counts > 0).sum(axis=1)
        rarity = np.log(1 + (size - having + 0.5) / (having + 0.5)).astype(np.float32)
        return self._bm25(counts, lengths, float(lengths.mean()), rarity)

    def _bm25(
        self, counts: Floats, lengths: Floats, mean_length: float, rarity: Floats | None = None
    ) -> Floats:
        """BM25 of texts given by how often each term stands in each, shape `(terms, texts)`."""
        weights = self._rarity if rarity is None else rarity
        norm = K1 * (1 - B + B * lengths / (mean_length or 1.0))
        return np.asarray(weights @ (counts * (K1 + 1) / (counts + norm)), np.float32)


class Lexicons:
    """Those of the owners that were asked for lately, as many as fit into `limit` bytes."""

    def __init__(self, ledger: Ledger, limit: int) -> None:
        self._ledger = ledger
        self._limit = limit
        self._held: dict[str, Lexicon] = {}
        """Least lately used first."""
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()
        """Of each owner that is being asked for: one waits for itself, not for all others."""

    async def read(self, scope: Scope, query: str) -> Reading | None:
        """A query against all that is visible in `scope`; None when that is too much to be held."""
        async with AsyncExitStack() as held:
            # In one order: two who want the same owners must not each hold what the other waits for.
            for owner in sorted(scope.owners):
                await held.enter_async_context(self._turns.setdefault(owner, anyio.Lock()))
            lexicons: list[Lexicon] = []
            for owner in scope.owners:
                lexicon = await self._get(owner)
                if lexicon is None:
                    return None
                lexicons.append(lexicon)
            return await anyio.to_thread.run_sync(Reading, lexicons, query)

    def clear(self) -> None:
        """Let go of every word."""
        # Whoever reads one now goes on with what it has; the next one is made anew from the ledger.
        self._held = {}

    async def _get(self, owner: str) -> Lexicon | None:
        held = self._held
        lexicon = held.pop(owner, None)
        if lexicon is None:
            if await self._ledger.read(words.size_of, owner) > self._limit:
                return None
            lexicon = Lexicon()
        held[owner] = lexicon
        last = await self._ledger.read(words.last_seq)
        if last > lexicon.last_seq:
            rows = await self._ledger.read(words.said_since, owner, lexicon.last_seq)
            await anyio.to_thread.run_sync(lexicon.extend, rows)
            # What was written between the two readings came along: it must not come again.
            lexicon.last_seq = max(lexicon.last_seq, last)
            if lexicon.bytes > self._limit:
                # Grown beyond what is held: from the next reading on its size alone says so.
                del held[owner]
                return None
            while len(held) > 1 and sum(one.bytes for one in held.values()) > self._limit:
                held.pop(next(one for one in held if one != owner))
        return lexicon
