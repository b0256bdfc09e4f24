"""How sure a hit is to answer: what the signals say in themselves, not beside each other.

The ranking compares the candidates of one query; the best of nothing is still the first. Here similarity is
measured against a background, the similarity of random pairs of this store under this embedder, and beside it
counts how much of the query was ever said here at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mcp_memory.models import Confidence
from mcp_memory.retrieval import Ranked, Signals
from mcp_memory.store.candidates import Background

STRONG, LIKELY = 0.6, 0.3
"""Chance of being evidence from which a hit is called so."""
KNOWN = 0.17
"""Chance that the best hit must have, or nothing answers: chosen for the best F1 of both sets together."""
LOOKED_AT = 5
"""Hits among which the best is looked for."""


@dataclass(frozen=True, slots=True)
class Chances:
    """A logistic regression: the chance that a hit is evidence."""

    base: float
    late: float
    dense: float
    coverage: float
    unknown: float
    strangers: float

    def of(self, features: Features) -> float:
        total = (
            self.base
            + self.late * features.late
            + self.dense * features.dense
            + self.coverage * features.coverage
            + self.unknown * features.unknown
            + self.strangers * features.strangers
        )
        return 1 / (1 + math.exp(-max(min(total, 50.0), -50.0)))


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of one hit: `late` about 0 to 1; `dense` in deviations above the background; `coverage`,
    `unknown` and `strangers` as shares, 0 to 1."""

    late: float
    dense: float
    coverage: float
    unknown: float
    strangers: float


WITH_WORDS = Chances(base=-7.5, late=9.0, dense=0.2, coverage=1.5, unknown=-1.0, strangers=-3.0)
"""Where words were compared one by one."""
WITHOUT_WORDS = Chances(base=-3.5, late=0.0, dense=0.6, coverage=2.0, unknown=-1.5, strangers=-3.0)
"""Where only whole texts could be compared."""
BY_WORDS_ALONE = Chances(base=-2.5, late=0.0, dense=0.0, coverage=4.0, unknown=-2.0, strangers=-3.0)
"""Where no model was at hand."""


def features_of(memory_id: str, found: Signals, background: Background) -> Features:
    dense = found.cosines.get(memory_id)
    worded = found.worded.get(memory_id)
    return Features(
        late=found.late.get(memory_id, min(found.late.values(), default=0.0)),
        dense=0.0 if dense is None else (dense - background.mean) / background.deviation,
        coverage=0.0 if worded is None else worded.coverage,
        unknown=found.unknown,
        strangers=found.strangers,
    )


def chances(ranked: Sequence[Ranked], found: Signals, background: Background) -> dict[str, float]:
    """By memory id, the chance that it is evidence."""
    model = WITH_WORDS if found.late else WITHOUT_WORDS if found.dense else BY_WORDS_ALONE
    return {
        one.memory_id: 1.0
        if one.memory_id in found.exact
        else model.of(features_of(one.memory_id, found, background))
        for one in ranked
    }


def is_known(ranked: Iterable[Ranked], chance_of: Mapping[str, float]) -> bool:
    """Whether any of the best hits is likely enough to answer."""
    best = [chance_of[one.memory_id] for one in list(ranked)[:LOOKED_AT]]
    return max(best, default=0.0) >= KNOWN


def band(chance: float) -> Confidence:
    return "strong" if chance >= STRONG else "likely" if chance >= LIKELY else "weak"
