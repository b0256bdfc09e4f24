"""How sure a hit is to answer: what the signals say in themselves, not beside each other.

The ranking compares the candidates of one query, and the best of nothing is still the first. Here counts how
near a memory's words are to the question's, how much of the question they cover, and how much of it was ever
said here at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mcp_memory.models import Confidence
from mcp_memory.retrieval import Query, Ranked, Signals

STRONG, LIKELY = 0.5, 0.25
"""Chance of being evidence from which a hit is called so: of those called strong about two in three were, of
those called likely two in five, of the rest one in twelve (`benchmarks/calibration.py`)."""
FEW = 30
"""Memories from which on their number tells nothing. The best of a few is less near by chance than the
best of many, and most words of any question were never said among them."""
LOOKED_AT = 5
"""Hits among which the best is looked for."""


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of one hit: `late` about 0 to 1; `coverage`, `unknown` and `strangers` as shares, 0 to 1;
    `few` how small the memory is, in powers of ten below `FEW`; `score` the weighted sum of all signals, at
    most 1."""

    late: float
    coverage: float
    unknown: float
    strangers: float
    few: float
    score: float


@dataclass(frozen=True, slots=True)
class Chances:
    """A logistic regression over `Features`."""

    base: float
    late: float
    coverage: float
    unknown: float
    strangers: float
    few: float
    score: float

    def of(self, features: Features) -> float:
        total = (
            self.base
            + self.late * features.late
            + self.coverage * features.coverage
            + self.unknown * features.unknown
            + self.strangers * features.strangers
            + self.few * features.few
            + self.score * features.score
        )
        return 1 / (1 + math.exp(-max(min(total, 50.0), -50.0)))


@dataclass(frozen=True, slots=True)
class Model:
    """`evidence` tells hits of one answer apart. `answer` tells whether there is one: without the score,
    which is high or low beside the other memories; unless one of the best has `known` of it, nothing
    answers."""

    evidence: Chances
    answer: Chances
    known: float


WITH_WORDS = Model(
    evidence=Chances(
        base=-9.99, late=4.31, coverage=0.57, unknown=0.72, strangers=-1.5, few=3.79, score=12.34
    ),
    answer=Chances(base=-6.51, late=9.95, coverage=0.45, unknown=0.39, strangers=-2.14, few=2.38, score=0.0),
    known=0.11,
)
"""Where words were compared one by one."""
WITHOUT_WORDS = Model(
    evidence=Chances(
        base=-7.28, late=0.0, coverage=3.94, unknown=0.06, strangers=-1.78, few=2.9, score=12.84
    ),
    answer=Chances(base=-3.86, late=0.0, coverage=4.95, unknown=-0.07, strangers=-2.31, few=2.12, score=0.0),
    known=0.10,
)
"""Where only whole texts could be compared, or no model was at hand."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether anything answers a query, and how sure each hit is. What holds a phrase of the query exactly is
    sure."""

    known: bool
    model: Model
    found: Signals

    def band(self, hit: Ranked) -> Confidence:
        is_exact = hit.memory_id in self.found.exact
        chance = 1.0 if is_exact else self.model.evidence.of(features_of(hit, self.found))
        return band_of(chance)


def band_of(chance: float) -> Confidence:
    return "strong" if chance >= STRONG else "likely" if chance >= LIKELY else "weak"


def judge(query: Query, ranked: Sequence[Ranked], found: Signals) -> Judgement:
    """What the signals say of the whole answer, and are to be asked of each hit. What was said in a time
    answers a question for nothing else."""
    model = WITH_WORDS if found.late else WITHOUT_WORDS
    known = any(
        one.memory_id in found.exact or model.answer.of(features_of(one, found)) >= model.known
        for one in ranked[:LOOKED_AT]
    ) or (query.is_about_time and any(one.is_on_date for one in ranked[:LOOKED_AT]))
    return Judgement(known, model, found)


def features_of(one: Ranked, found: Signals) -> Features:
    worded = found.worded.get(one.memory_id)
    late = found.late.get(one.memory_id)
    return Features(
        late=min(found.late.values(), default=0.0) if late is None else late,
        coverage=0.0 if worded is None else worded.coverage,
        unknown=found.unknown,
        strangers=found.strangers,
        few=0.0 if found.size is None else math.log10(FEW / max(1, min(found.size, FEW))),
        score=one.score,
    )
