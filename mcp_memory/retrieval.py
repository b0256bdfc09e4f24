"""From a query to ranked memories: what the query asks for, the signals that answer it, and their sum."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, cast, get_args

from mcp_memory.config import Weights
from mcp_memory.dates import Dates, dates_in, times_in
from mcp_memory.embedded import EmbeddedQuery, nearest_tokens
from mcp_memory.models import Signal, SignalScore, name_key
from mcp_memory.store.candidates import NUMBER, QUESTION, TIME, Candidate, Worded
from mcp_memory.words import FUNCTION_WORDS

# Imported where it is used: whoever only reads a query needs none of it.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ABOUT_TIME = 5.0
"""Times the weight of a date, where a query asks for nothing but what was in a time: then what was said in
it leads, whatever it is about."""
SHARED_WORDS: frozenset[Signal] = frozenset({"text", "nearby", "session"})
"""Signals that count `words_alone` times more where there is no similarity in meaning."""
CANDIDATES = 100
"""Memories that each signal brings: ten times what is usually shown, so that fusion has something to choose
from."""
MAX_NAME_WORDS = 4
"""Longest name looked for in a query: "University of New Mexico"."""

GRAMMAR_WEIGHT = 0.3
CONTINUED = "##"
"""Begins a piece of a word that is not its first."""
LEAST_SPREAD = 0.25
"""Between the best and the worst by late interaction, at least: where all are alike, chance would decide."""
PHRASE = 60
"""Characters of a phrase that is looked for exactly: a longer quotation is meant, not its every comma."""

UNHEARD = Worded("", 0.0, 0.0, 0.0, 0.0, None, None, 0, 0)
"""What is said of a memory whose words are not known."""

SIGNALS: tuple[Signal, ...] = get_args(Signal)

_WORD = re.compile(r"[^\W_]+(?:[._@/'’-][^\W_]+)*")
_PUNCTUATION = ".,;:!?'’\"()"
_POSSESSIVE = re.compile(r"['’]s?$")
_FIRST_PERSON = frozenset({"i", "me", "my", "mine", "myself", "i'm", "i've", "i'd", "i'll"})
_WHEN = re.compile(r"\b(?:when|what (?:date|day|month|year|time)|which (?:day|month|year)|how long)\b", re.I)
_PAST = re.compile(
    r"\b(?:used to|previous(?:ly)?|former(?:ly)?|before|earlier|originally|once|past|no longer|any ?more"
    r"|history|was|were|did|had|been|ever|first|old)\b",
    re.I,
)
_HOW_MANY = re.compile(r"\bhow (?:many|much|old|long|often|far|tall|big)\b", re.I)
_QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]{2,})[\"“”„«»]")
# get_user, v1.2, ERR-4032, main.py, a/b: words that are joined or mixed as no plain word is.
_IDENTIFIER = re.compile(
    r"(?<!\S)(?=[\w./\\:#@+-]*(?:[\d_]|[./\\-]\w))(?=\S*[^\W\d_])[\w./\\:#@+-]{3,}(?<![.,:/-])"
)
_CAPITAL = re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][\w'’-]+")


@dataclass(frozen=True, slots=True)
class Query:
    """What a query asks for: `words` are those worth searching for, `names` all runs of words that could name
    an entity, in the form of `name_key`."""

    text: str
    words: str
    names: tuple[str, ...]
    is_first_person: bool
    dates: tuple[Dates, ...] = ()
    zone: tzinfo = UTC
    """Whose days "yesterday" and the like are."""
    is_about_time: bool = False
    """Whether it asks for nothing but what was in a time: "What happened yesterday?"."""
    asks_when: bool = False
    asks_past: bool = False
    """Whether it asks what was, so that what holds no longer may answer."""
    asks_number: bool = False
    phrases: tuple[str, ...] = ()
    """What must stand there exactly to count: quotations and identifiers, in the form of `name_key`."""
    capitals: tuple[str, ...] = ()
    """Words with a capital inside a sentence: likely names."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What each signal found. `mentions` are pairs of memory id and the id of an entity that the query
    names."""

    dense: tuple[Candidate, ...] = ()
    text: tuple[Candidate, ...] = ()
    late: Mapping[str, float] = field(default_factory=dict[str, float])
    """By memory id, how near its words are to those of the query, about 0 to 1."""
    near: Mapping[str, Floats] = field(default_factory=dict[str, "Floats"])
    """The same in its parts, one for each word of the query."""
    worded: Mapping[str, Worded] = field(default_factory=dict[str, Worded])
    """By memory id, what its words say; empty where words are too many to be held in memory."""
    mentions: tuple[tuple[str, str], ...] = ()
    said_at: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    """By memory id; asked for only when the query names dates."""
    exact: frozenset[str] = frozenset()
    """Ids of memories in which a phrase of the query stands."""
    rated: Mapping[str, float] = field(default_factory=dict[str, float])
    """By memory id, how useful it was found: −1 to 1."""
    unknown: float = 0.0
    """How much of the query nobody ever said here, each word weighed by its rarity; 0 to 1."""
    strangers: float = 0.0
    """How many of the names in the query nobody ever said here; 0 to 1."""
    size: int | None = None
    """Memories that the scope sees; None where they are too many to be held in memory."""

    @property
    def ids(self) -> tuple[str, ...]:
        """All candidates, whichever signal brought them."""
        found = (*(one.memory_id for one in (*self.dense, *self.text)), *(pair[0] for pair in self.mentions))
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Scores:
    """What each signal says of each candidate: arrays of shape `(len(ids),)`, about 0 to 1."""

    ids: tuple[str, ...]
    of: Mapping[Signal, Floats]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A memory in its place: the candidate at `place` of `among`."""

    memory_id: str
    score: float
    place: int = field(repr=False)
    among: Scores = field(repr=False, compare=False)

    @property
    def signals(self) -> tuple[SignalScore, ...]:
        """Rank and score in each signal that found it; equals share the better rank."""
        return tuple(
            SignalScore(
                signal=signal, rank=1 + int((values > values[self.place]).sum()), score=round(score, 4)
            )
            for signal, values in self.among.of.items()
            if (score := float(values[self.place])) > 0
        )

    @property
    def is_on_date(self) -> bool:
        """Whether it was said on a date that the query names."""
        return bool(self.among.of["date"][self.place] > 0)


def read_query(text: str, now: datetime | None = None) -> Query:
    """What a query asks for. Dates told relatively ("last week") count from `now`, in its time zone; without
    it from this moment where this process is."""
    now = now or datetime.now().astimezone()
    dates = dates_in(text, now)
    words = [_POSSESSIVE.sub("", word) for word in _WORD.findall(name_key(text))]
    runs = {
        " ".join(words[start : start + length])
        for length in range(1, MAX_NAME_WORDS + 1)
        for start in range(len(words) - length + 1)
    }
    content = [word for word in text.split() if word.strip(_PUNCTUATION).casefold() not in FUNCTION_WORDS]
    phrases = [one for one in _QUOTED.findall(text) if len(one) <= PHRASE]
    return Query(
        text=text,
        words=" ".join(content) or text,
        names=tuple(sorted(runs, key=lambda run: (-run.count(" "), run))),
        is_first_person=not _FIRST_PERSON.isdisjoint(words),
        dates=dates,
        zone=now.tzinfo or UTC,
        is_about_time=bool(dates) and _says_only_when(text, now),
        asks_when=_WHEN.search(text) is not None,
        asks_past=_PAST.search(text) is not None,
        asks_number=_HOW_MANY.search(text) is not None,
        phrases=tuple(dict.fromkeys(map(name_key, (*phrases, *_IDENTIFIER.findall(text))))),
        capitals=tuple(dict.fromkeys(_POSSESSIVE.sub("", one) for one in _CAPITAL.findall(text))),
    )


def _is_in(query: Query, said_at: datetime) -> bool:
    return any(dates.include(said_at.astimezone(query.zone)) for dates in query.dates)


def _says_only_when(text: str, now: datetime) -> bool:
    """Whether a question holds, beside a time and names, one word of content at most, which is its verb."""
    for time in reversed(times_in(text, now)):
        text = f"{text[: time.start]} {text[time.end :]}"
    words = [word.strip(_PUNCTUATION) for word in text.split()]
    return sum(word.casefold() not in FUNCTION_WORDS and word[:1].islower() for word in words) <= 1


def fuse(query: Query, found: Signals, weights: Weights) -> tuple[Ranked, ...]:
    """All candidates, best first: the weighted sum of what each signal says of them, as 0 to 1 within this
    query.

    A sum, because it beat reciprocal rank fusion on every set of the design study (65 against 59).
    """
    import numpy as np

    scores = signal_scores(query, found)
    ids = scores.ids
    if not ids:
        return ()
    applied = {signal: weight_of(signal, weights, found) for signal in SIGNALS}
    if query.is_about_time:
        applied["date"] *= ABOUT_TIME
    most = sum(weight for weight in applied.values() if weight > 0) or 1.0
    weighed = [applied[signal] * scores.of[signal] for signal in SIGNALS]
    total = (np.sum(weighed, axis=0) / most).tolist()
    ranked = [Ranked(memory_id, total[place], place, scores) for place, memory_id in enumerate(ids)]
    ranked.sort(key=lambda one: (-one.score, one.memory_id))
    return tuple(ranked)


def weight_of(signal: Signal, weights: Weights, found: Signals) -> float:
    """The weight of one signal for what was found: similarity of the whole counts more where words could not
    be compared, and shared words more where nothing could be."""
    if signal == "dense" and not found.late:
        return weights.dense_alone
    weight = cast(float, getattr(weights, signal))
    return weight * weights.words_alone if signal in SHARED_WORDS and not found.dense else weight


def signal_scores(query: Query, found: Signals) -> Scores:
    """Every signal for every candidate, each brought to a common scale within this query."""
    import numpy as np

    candidates = {one.memory_id: one for one in (*found.dense, *found.text)}
    mentioned = _entity_scores(found.mentions)
    ids = tuple(dict.fromkeys((*candidates, *mentioned, *found.worded)))
    said = [found.worded.get(memory_id, UNHEARD) for memory_id in ids]

    def column(values: Mapping[str, float], missing: float = 0.0) -> Floats:
        return np.array([values.get(memory_id, missing) for memory_id in ids], np.float64)

    def marked(mark: int) -> Floats:
        return np.array([bool(one.marks & mark) for one in said], np.float64)

    dense = {one.memory_id: one.score for one in found.dense}
    # A memory outside the nearest is at most as near as the last of them, which is far from not near at all:
    # counting it as 0 would let similarity in meaning outvote all the rest (56 against 63 on LoCoMo).
    near = _near(ids, found)
    late = _spread(near.sum(axis=1))
    text = column({one.memory_id: one.score for one in found.text})
    sessions = _sessions(ids, candidates)
    # Without the words of all in memory, a session is as good as the best of its turns by words; what was
    # said in none is one by itself.
    text_share = _share(text)
    by_session = _best(text_share, sessions)
    if found.worded:
        is_of_one = column({one.memory_id: one.session_id is not None for one in candidates.values()})
        by_session = np.where(is_of_one, _share(np.array([one.session for one in said])), text_share)
    before, after = _beside(ids, said)
    asked = np.array([bool(one.previous_marks & QUESTION) for one in said], np.bool_)
    named = {speaker: _is_named(speaker, query) for speaker in {one.speaker for one in candidates.values()}}
    nothing = np.zeros(len(ids))
    return Scores(
        ids,
        {
            "dense": _share(column(dense, min(dense.values(), default=0.0))),
            "late": late,
            "text": text_share,
            "nearby": _share(np.array([one.nearby for one in said])),
            "session": by_session,
            "nearby_late": _spread(np.maximum(near, np.maximum(near[before], near[after])).sum(axis=1)),
            "session_late": _spread(_best(near, sessions).sum(axis=1)),
            "entity": _share(column(mentioned)),
            "speaker": column({one.memory_id: named[one.speaker] for one in candidates.values()}),
            "own": column({one.memory_id: _is_own(one, query) for one in candidates.values()}),
            "date": column({memory_id: _is_in(query, at) for memory_id, at in found.said_at.items()}),
            "time": marked(TIME) if query.asks_when else nothing,
            "number": marked(NUMBER) if query.asks_number else nothing,
            "question": marked(QUESTION),
            "reply": np.where(asked & (before != np.arange(len(ids))), late[before], 0.0),
            "exact": column(dict.fromkeys(found.exact, 1.0)),
            "rating": column(found.rated),
        },
    )


def nearness(
    query: EmbeddedQuery, tokens: Mapping[str, bytes], rarity: Callable[[str], float] | None = None
) -> dict[str, Floats]:
    """By late interaction: for each word of the query, how near the nearest word of a memory is, in parts
    whose sum is a weighted mean. `tokens` are packed, by memory id.

    Words count by their `rarity`, those of grammar three tenths of it, marks nothing (LoCoMo, MaxSim alone:
    65 → 69 → 72).
    """
    import numpy as np

    if query.tokens is None or not tokens:
        return {}
    weights = np.array([_token_weight(piece) for piece in query.words])
    if rarity is not None:
        weights *= [rarity(word) for word in _whole_words(query.words)]
    if not weights.any():
        weights[:] = 1.0
    # What weighs nothing need not be compared: marks, and where a text begins and ends.
    counted = np.flatnonzero(weights)
    nearest = nearest_tokens(query.tokens[counted], list(tokens.values()))
    return dict(zip(tokens, nearest * (weights[counted] / weights.sum()), strict=True))


def late_of(near: Mapping[str, Floats]) -> dict[str, float]:
    """By memory id, how near its words are to those of the query: what `nearness` answers, summed up."""
    import numpy as np

    return dict(zip(near, np.sum(list(near.values()), axis=1).tolist(), strict=True)) if near else {}


def _token_weight(word: str) -> float:
    if not any(character.isalnum() for character in word) or word in ("[CLS]", "[SEP]"):
        return 0.0
    return GRAMMAR_WEIGHT if word in FUNCTION_WORDS else 1.0


def _whole_words(pieces: Sequence[str]) -> list[str]:
    """For each piece the word that it is a piece of, as the model splits them."""
    words: list[str] = []
    places: list[int] = []
    for piece in pieces:
        if piece.startswith(CONTINUED) and words:
            words[-1] += piece.removeprefix(CONTINUED)
        else:
            words.append(piece)
        places.append(len(words) - 1)
    return [words[place] for place in places]


def _near(ids: Sequence[str], found: Signals) -> Floats:
    """Of all candidates how near each comes to each word of the query: shape `(len(ids), words)`."""
    import numpy as np

    if not found.near:
        return np.zeros((len(ids), 0))
    # As of similarity as a whole: who was not compared is as near as the last of those that were.
    late = late_of(found.near)
    last = found.near[min(late, key=late.__getitem__)]
    return np.stack([found.near.get(memory_id, last) for memory_id in ids])


def _beside(ids: Sequence[str], said: Sequence[Worded]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each the places of the turns just before and after it; its own where they are no candidates."""
    import numpy as np

    place = {memory_id: number for number, memory_id in enumerate(ids)}
    before = [place.get(one.previous or "", at) for at, one in enumerate(said)]
    after = [place.get(one.following or "", at) for at, one in enumerate(said)]
    return np.array(before, np.int64), np.array(after, np.int64)


def _is_named(speaker: str | None, query: Query) -> bool:
    """Whether the query names who said something, whole or by first name."""
    key = name_key(speaker or "")
    return key in query.names or key.split(" ")[0] in query.names


def _is_own(candidate: Candidate, query: Query) -> bool:
    """Whether who asks, as "I", said this."""
    return candidate.speaker is None and candidate.role == "user" and query.is_first_person


def _sessions(ids: Sequence[str], candidates: Mapping[str, Candidate]) -> NDArray[np.int64]:
    """Which session each memory belongs to, as a number; each that has none is one by itself."""
    import numpy as np

    numbers: dict[str, int] = {}
    found = [
        one.session_id if (one := candidates.get(memory_id)) and one.session_id else f"\x1f{memory_id}"
        for memory_id in ids
    ]
    return np.array([numbers.setdefault(one, len(numbers)) for one in found], np.int64)


def _best(scores: Floats, sessions: NDArray[np.int64]) -> Floats:
    """The best score in the session of each; of several scores each by itself."""
    import numpy as np

    best = np.full((int(sessions.max(initial=-1)) + 1, *scores.shape[1:]), -np.inf)
    np.maximum.at(best, sessions, scores)
    return best[sessions]


def _entity_scores(mentions: Sequence[tuple[str, str]]) -> dict[str, float]:
    """How much each memory is about the entities named, the rarer the more: who is mentioned everywhere says
    little."""
    often = Counter(entity_id for _, entity_id in mentions)
    sums: dict[str, float] = {}
    for memory_id, entity_id in mentions:
        sums[memory_id] = sums.get(memory_id, 0.0) + 1.0 / math.log2(1 + often[entity_id])
    return sums


def _share(scores: Floats) -> Floats:
    """Scaled so that the best is 1 and nothing stays 0: no shared word, or a cosine of nothing in common."""
    import numpy as np

    best = float(scores.max(initial=0.0))
    return np.maximum(scores, 0.0) / best if best > 0 else np.zeros(len(scores))


def _spread(scores: Floats) -> Floats:
    """From 0 for the worst to 1 for the best: late interaction tells candidates apart in a narrow band. Those
    that are all but alike stay so."""
    if not len(scores):
        return scores
    low, high = float(scores.min()), float(scores.max())
    return (scores - low) / max(high - low, LEAST_SPREAD)
