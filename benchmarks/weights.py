"""The weights of the signals: found by a random search on development data, and checked on conversations they
were not found on.

Every question is asked of the program's own signals; a weighted sum of them ranks the candidates. The search
starts where every signal counts alike, moves a few weights at a time by chance, and keeps what finds at least
as much. Each conversation is then judged by weights that were found without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import anyio
import dataset
import development
import machine
import metrics
import numpy as np
import report
import typer
from development import HAYSTACKS, LOCOMO, POOL
from measure import progress_bars
from numpy.typing import NDArray
from rich.progress import Progress
from systems import HITS

from mcp_memory.config import Weights
from mcp_memory.models import Signal
from mcp_memory.retrieval import SHARED_WORDS, SIGNALS, signal_scores

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FIRST = 10
RECALL = metrics.RECALL.format(FIRST)
SETS = (LOCOMO, POOL, HAYSTACKS)
BY_HAND: frozenset[Signal] = frozenset({"exact", "rating"})
"""Not searched for: hardly a question of these sets quotes anything, and nothing in them was rated."""
WITHOUT_TOKENS: frozenset[Signal] = frozenset({"late", "nearby_late", "session_late", "reply"})
"""Silent with an embedder that gives no tokens: then `dense_alone` is the weight of `dense`. Without a model
`dense` is silent too, and shared words count `words_alone` times more."""
EITHER_WAY: frozenset[Signal] = frozenset({"question"})
"""May speak against a memory; all others get no weight below 0, which could only be chance."""
START = 0.5
STARTS = 3
"""Searches, of whose ends the mean counts: chance leads each to another place. Cross-validated, the mean
finds about as much as the best of them, and owes less to chance."""
STEPS = 600
WITHOUT_MODEL = 0.1
"""What finding without a model counts: else no weight is left for the words that its absence leaves."""
WIDEST, NARROWEST = 0.4, 0.05
"""Deviation of one move, at the start and at the end."""
MOST_MOVED = 3
"""Weights in one move."""
SUM = 7.0
"""Of all weights above 0 that are searched for. Only ratios matter; those set by hand stand beside them."""

Figures = Mapping[str, Floats]
"""By name, for each question, %: evidence turns among the first ten hits, and whether any and all evidence
sessions are among the first five, as `metrics.py` counts them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions as arrays: what the signals say of the candidates of each, and which of these are evidence.
    Where a question has fewer candidates than others, the rest is not `present`."""

    set: NDArray[np.str_]
    kind: NDArray[np.str_]
    fold: NDArray[np.int64]
    evidence: NDArray[np.int64]
    """How many turns are evidence, found or not."""
    sessions: NDArray[np.int64]
    """And how many sessions they are from."""
    scores: NDArray[np.float32]
    """Shape `(questions, candidates, signals)`."""
    present: Flags
    is_evidence: Flags
    session: NDArray[np.int64]
    """Which of the question's sessions a candidate is from, as a number."""
    is_of_evidence: Flags
    """Whether evidence is from that session."""

    @classmethod
    def of(cls, asked: Sequence[development.Asked]) -> Asked:
        candidates = [_candidates(one) for one in asked]
        return cls(
            set=np.array([one.set for one in asked]),
            kind=np.array([one.kind for one in asked]),
            fold=np.array([one.fold for one in asked]),
            evidence=np.array([len(one.evidence) for one in asked]),
            sessions=np.array([len(one.sessions) for one in asked]),
            **{name: _filled([one[name] for one in candidates]) for name in candidates[0]},
        )

    def __len__(self) -> int:
        return len(self.set)

    def where(self, chosen: Flags) -> Asked:
        return Asked(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def figures(self, weights: Floats) -> Figures:
        totals = self.scores @ weights.astype(np.float32)
        totals[~self.present] = -np.inf
        best = np.argpartition(-totals, HITS, axis=1)[:, :HITS]
        order = np.argsort(-np.take_along_axis(totals, best, 1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, 1)
        evidence = np.take_along_axis(self.is_evidence, best, 1)[:, :FIRST].sum(axis=1)
        session = np.take_along_axis(self.session, best, 1)
        is_new = np.ones_like(session, bool)
        for place in range(1, HITS):
            is_new[:, place] = (session[:, :place] != session[:, place, None]).all(axis=1)
        is_first = is_new & (is_new.cumsum(axis=1) <= metrics.SESSION_DEPTH)
        found = (is_first & np.take_along_axis(self.is_of_evidence, best, 1)).sum(axis=1)
        return {
            RECALL: 100 * evidence / self.evidence,
            metrics.SESSION_ANY: 100.0 * (found > 0),
            metrics.SESSION_ALL: 100.0 * (found == self.sessions),
        }

    def worth(self, weights: Floats) -> float:
        """What the search makes grow."""
        without = self.mean(weights * _IS_WORDS)
        return (1 - WITHOUT_MODEL) * self.mean(weights) + WITHOUT_MODEL * without

    def mean(self, weights: Floats) -> float:
        """Of the figures, each set counting alike."""
        figures = self.figures(weights)
        return float(np.mean([values[self.set == one].mean() for values in figures.values() for one in SETS]))


def _candidates(one: development.Asked) -> dict[str, NDArray[Any]]:
    """The columns of `Asked` that have a row for each candidate."""
    scores = signal_scores(one.query, one.found)
    sessions = {found.memory_id: found.session_id for found in (*one.found.dense, *one.found.text)}
    of = [sessions.get(memory_id) or memory_id for memory_id in scores.ids]
    numbers = {session: number for number, session in enumerate(dict.fromkeys(of))}
    return {
        "scores": np.stack([scores.of[signal] for signal in SIGNALS], axis=1).astype(np.float32),
        "present": np.ones(len(of), bool),
        "is_evidence": np.array([memory_id in one.evidence for memory_id in scores.ids]),
        "session": np.array([numbers[session] for session in of]),
        "is_of_evidence": np.array([session in one.sessions for session in of]),
    }


def _filled(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One under the other, the shorter ones filled up with nothing."""
    width = max(len(column) for column in columns)
    array = np.zeros((len(columns), width, *columns[0].shape[1:]), columns[0].dtype)
    for row, column in zip(array, columns, strict=True):
        row[: len(column)] = column
    return array


@dataclass(frozen=True, slots=True)
class Search:
    """A random search for weights."""

    steps: int
    seed: int
    progress: Progress

    def found(self, asked: Asked, label: str) -> Floats:
        """It begins where every signal counts alike."""
        ends = [self.refined(asked, _START, label, number) for number in range(STARTS)]
        scaled = [end * SUM / end[_IS_SEARCHED].clip(min=0).sum() for end in ends]
        return np.where(_IS_SEARCHED, np.mean(scaled, axis=0), _SHIPPED)

    def refined(
        self, asked: Asked, weights: Floats, label: str, number: int = 0, kept: Sequence[Signal] = ()
    ) -> Floats:
        """Weights near these that find more; those of `kept` stay."""
        numbers = np.random.default_rng((self.seed, number))
        free = [place for place, one in enumerate(SIGNALS) if one not in BY_HAND and one not in kept]
        best = asked.worth(weights)
        for step in self.progress.track(range(self.steps), description=label):
            moved = numbers.choice(free, numbers.integers(1, MOST_MOVED + 1), replace=False)
            width = WIDEST + (NARROWEST - WIDEST) * step / self.steps
            tried = weights.copy()
            tried[moved] += numbers.normal(0, width, len(moved))
            tried = np.maximum(tried, _LEAST)
            if (worth := asked.worth(tried)) >= best:
                best, weights = worth, tried
        return weights


_SHIPPED: Floats = np.array([getattr(Weights(), signal) for signal in SIGNALS])
_IS_SEARCHED: Flags = np.array([signal not in BY_HAND for signal in SIGNALS])
_IS_DENSE: Flags = np.array([signal == "dense" for signal in SIGNALS])
_NEEDS_NO_TOKENS: Flags = np.array([signal not in WITHOUT_TOKENS for signal in SIGNALS])
_IS_WORDS: Flags = _NEEDS_NO_TOKENS & ~_IS_DENSE
_IS_SHARED: Flags = np.array([signal in SHARED_WORDS for signal in SIGNALS])
_LEAST: Floats = np.array([-np.inf if signal in EITHER_WAY else 0.0 for signal in SIGNALS])
_START: Floats = np.where(_IS_SEARCHED, START, _SHIPPED)


def main(
    data: Annotated[Path, typer.Option(help="The folder of the data files.")] = dataset.DEFAULT_FOLDER,
    store: Annotated[Path, typer.Option(help="Where the memories are kept between runs.")] = Path(
        "weights-store"
    ),
    ablation: Annotated[
        bool, typer.Option(help="Say what each signal of the shipped weights is worth.")
    ] = False,
    steps: Annotated[int, typer.Option(help="Moves of one search.")] = STEPS,
    seed: Annotated[int, typer.Option(help="Of every search.")] = development.SEED,
) -> None:
    """Find the weights of the signals, and check them on conversations they were not found on."""
    head = machine.describe() | {"searches": f"{STARTS} of {steps} moves", "seed": str(seed)}
    asked = Asked.of([one for one in anyio.run(development.ask, data, store) if one.evidence])
    rows = {
        "shipped": asked.figures(_SHIPPED),
        "shipped, without a model": asked.figures(_without_model(_SHIPPED, Weights().words_alone)),
    }
    print(report.facts(head), "\n")
    with progress_bars() as progress:
        search = Search(steps, seed, progress)
        if ablation:
            rows |= dict(_ablation(asked, search))
        else:
            weights = search.found(asked, "all")
            rows |= {"found": asked.figures(weights), "cross-validated": _cross_validated(asked, search)}
            print("\n".join(("```toml", "[search.weights]", *_settings(asked, weights), "```")), "\n")
    print(_table(asked, rows), "\n")
    print(_by_kind(asked, rows))


def _cross_validated(asked: Asked, search: Search) -> Figures:
    """Of each question by the weights that were found without its conversation."""
    judged = {name: np.zeros(len(asked)) for name in asked.figures(_START)}
    for fold in sorted(set(asked.fold.tolist())):
        weights = search.found(asked.where(asked.fold != fold), f"without fold {fold}")
        here = asked.fold == fold
        for name, values in asked.where(here).figures(weights).items():
            judged[name][here] = values
    return judged


def _ablation(asked: Asked, search: Search) -> Iterator[tuple[str, Figures]]:
    for place, signal in enumerate(SIGNALS):
        without, alone = _SHIPPED.copy(), np.zeros(len(SIGNALS))
        without[place], alone[place] = 0.0, 1.0
        yield f"without {signal}", asked.figures(without)
        anew = search.refined(asked, without, f"without {signal}", kept=[signal])
        yield f"without {signal}, the others set anew", asked.figures(anew)
        yield f"{signal} alone", asked.figures(alone)


def _settings(asked: Asked, weights: Floats) -> Iterator[str]:
    for signal, weight in zip(SIGNALS, weights, strict=True):
        yield f"{signal} = {weight:.2f}"
    words = weights * _IS_WORDS
    best = max(np.arange(0.1, 3.0, 0.1), key=lambda one: asked.mean(np.where(_IS_DENSE, one, words)))
    yield f"dense_alone = {best:.2f}"
    best = max(np.arange(1.0, 6.0, 0.25), key=lambda one: asked.mean(_without_model(weights, one)))
    yield f"words_alone = {best:.2f}"


def _without_model(weights: Floats, words_alone: float) -> Floats:
    return weights * _IS_WORDS * np.where(_IS_SHARED, words_alone, 1.0)


def _table(asked: Asked, rows: Mapping[str, Figures]) -> str:
    header = ["weights", *(f"{one}, {name}" for one in SETS for name in next(iter(rows.values())))]
    body = [
        [label, *(f"{values[asked.set == one].mean():.1f}" for one in SETS for values in figures.values())]
        for label, figures in rows.items()
    ]
    return report.table(header, body)


def _by_kind(asked: Asked, rows: Mapping[str, Figures]) -> str:
    """Of the two sets that are asked every question once."""
    kinds = {kind: asked.kind == kind for kind in sorted(set(asked.kind[asked.set != HAYSTACKS].tolist()))}
    body = [
        [
            label,
            *(f"{figures[RECALL][here & (asked.set != HAYSTACKS)].mean():.1f}" for here in kinds.values()),
        ]
        for label, figures in rows.items()
    ]
    return report.table([f"{RECALL} of", *kinds], body)


if __name__ == "__main__":
    typer.run(main)
