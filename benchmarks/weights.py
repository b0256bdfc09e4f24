"""The weights of the signals: set on development data, and checked on conversations they were not set on.

Every question is asked of the program's own signals; a weighted sum of them ranks the candidates. The weights
are those under which the evidence is likeliest (softmax over a question's candidates), and each conversation
is judged by weights from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import anyio
import dataset
import development
import numpy as np
import report
import typer
from development import LOCOMO
from numpy.typing import NDArray

from mcp_memory.config import Weights
from mcp_memory.models import Signal
from mcp_memory.retrieval import SIGNALS, signal_scores

Floats = NDArray[np.float64]

SHARPNESS = 5.0
"""Of the softmax: weights come out near those that the defaults have had."""
STEPS = 300
RATE = 0.05
PULL = 1e-3
"""Towards zero: a signal that tells nothing gets no weight."""
CLIMB = (0.15, 0.07)
"""Steps by which single weights are then moved while recall itself grows, which the softmax resembles."""
LEAST_GAIN = 0.05
SHARES = {LOCOMO: 0.5, development.POOL: 0.25, development.HAYSTACKS: 0.25}
"""What each set counts: people talking one half, chats with an assistant the other."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: what each signal says of its candidates, and which of them are evidence."""

    set: str
    kind: str
    fold: int
    scores: Floats
    """Shape `(candidates, signals)`."""
    is_evidence: NDArray[np.bool_]
    evidence: int
    """How many turns are evidence, found or not."""

    @classmethod
    def of(cls, one: development.Asked) -> Asked:
        scores = signal_scores(one.query, one.found)
        return cls(
            set=one.set,
            kind=one.kind,
            fold=one.fold,
            scores=np.stack([scores.of[signal] for signal in SIGNALS], axis=1),
            is_evidence=np.array([memory_id in one.evidence for memory_id in scores.ids]),
            evidence=len(one.evidence),
        )

    def recall(self, weights: Floats, first: int = 10) -> float:
        best = np.argsort(-(self.scores @ weights), kind="stable")[:first]
        return 100.0 * float(self.is_evidence[best].sum()) / self.evidence


def main(
    data: Annotated[Path, typer.Option(help="The folder of the data files.")] = dataset.DEFAULT_FOLDER,
    store: Annotated[Path, typer.Option(help="Where the memories are kept between runs.")] = Path(
        "weights-store"
    ),
    without: Annotated[str, typer.Option(help="Signals to leave out, with commas.")] = "",
    ablation: Annotated[bool, typer.Option(help="Also leave out each signal in turn.")] = False,
) -> None:
    """Set the weights of the signals, and say what each is worth."""
    asked = [Asked.of(one) for one in anyio.run(development.ask, data, store) if one.evidence]
    left_out = {one.strip() for one in without.split(",") if one.strip()}
    signals: list[Signal] = [one for one in SIGNALS if one not in left_out]
    shipped = np.array([getattr(Weights(), one) for one in SIGNALS])
    weights = learned(asked, signals)
    rows = [
        _row("shipped", asked, _always(shipped)),
        _row("set on all of it", asked, _always(weights)),
    ]
    rows.append(_row("cross-validated", asked, _by_fold(asked, signals)))
    if ablation:
        for one in signals:
            rest: list[Signal] = [other for other in signals if other != one]
            rows.append(_row(f"without {one}, cross-validated", asked, _by_fold(asked, rest)))
    kinds = sorted({one.kind for one in asked if one.set == LOCOMO})
    sets = [one for one in dict.fromkeys(one.set for one in asked) if one != LOCOMO]
    print(report.table(["weights", LOCOMO, *kinds, *sets], rows))
    print("\n[search.weights]")
    for signal, weight in zip(SIGNALS, weights, strict=True):
        if signal not in left_out:
            print(f"{signal} = {weight:.2f}")


_WeightsOf = Callable[[Asked], Floats]


def _always(weights: Floats) -> _WeightsOf:
    return lambda one: weights  # noqa: ARG005


def _by_fold(asked: Sequence[Asked], signals: Sequence[Signal]) -> _WeightsOf:
    """For each question the weights that were set without its conversation."""
    found: dict[int, Floats] = {
        fold: learned([one for one in asked if one.fold != fold], signals)
        for fold in sorted({one.fold for one in asked})
    }
    return lambda one: found[one.fold]


def learned(asked: Sequence[Asked], signals: Sequence[Signal]) -> Floats:
    """Weights for all signals, 0 for those not among `signals`; each set counts alike."""
    columns = [SIGNALS.index(one) for one in signals]
    usable = [one for one in asked if one.is_evidence.any()]
    sizes = {name: sum(one.set == name for one in usable) for name in {one.set for one in usable}}
    starts = np.cumsum([0, *(len(one.scores) for one in usable[:-1])])
    lengths = [len(one.scores) for one in usable]
    scores = np.concatenate([one.scores for one in usable])[:, columns]
    wanted = np.concatenate([one.is_evidence / one.is_evidence.sum() for one in usable])
    share = np.repeat([1.0 / sizes[one.set] / len(sizes) for one in usable], lengths)
    question = np.repeat(np.arange(len(usable)), lengths)
    weights = np.zeros(len(columns))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        # Adam (Kingma & Ba, 2015): the signals differ much in how often they speak at all.
        sums = SHARPNESS * (scores @ weights)
        likely = np.exp(sums - np.maximum.reduceat(sums, starts)[question])
        likely /= np.add.reduceat(likely, starts)[question]
        slope = SHARPNESS * (scores.T @ ((likely - wanted) * share)) + PULL * weights
        mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
        weights = weights - RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    full = np.zeros(len(SIGNALS))
    full[columns] = weights
    return _climbed(asked, full, columns)


def _climbed(asked: Sequence[Asked], weights: Floats, columns: Sequence[int]) -> Floats:
    best = _worth(asked, weights)
    for step in CLIMB:
        for column in columns:
            for move in (step, -step):
                while True:
                    tried = weights.copy()
                    tried[column] += move
                    if (worth := _worth(asked, tried)) <= best + LEAST_GAIN:
                        break
                    best, weights = worth, tried
    return weights


def _worth(asked: Sequence[Asked], weights: Floats) -> float:
    recalls: dict[str, list[float]] = {}
    for one in asked:
        recalls.setdefault(one.set, []).append(one.recall(weights))
    return sum(share * float(np.mean(recalls[name])) for name, share in SHARES.items() if name in recalls)


def _row(name: str, asked: Sequence[Asked], weights_of: _WeightsOf) -> list[str]:
    recalls = [(one, one.recall(weights_of(one))) for one in asked]
    locomo = [(one, recall) for one, recall in recalls if one.set == LOCOMO]
    kinds = sorted({one.kind for one, _ in locomo})
    others = [one for one in dict.fromkeys(one.set for one, _ in recalls) if one != LOCOMO]
    cells = [[recall for _, recall in locomo]]
    cells += [[recall for one, recall in locomo if one.kind == kind] for kind in kinds]
    cells += [[recall for one, recall in recalls if one.set == other] for other in others]
    return [name, *(f"{np.mean(cell):.1f}" for cell in cells)]


if __name__ == "__main__":
    typer.run(main)
