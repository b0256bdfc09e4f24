"""How sure an answer is: the regressions of `mcp_memory.confidence`, and what its bands and its "nothing is
known" are worth.

Each question is asked where it is answered and, from another conversation, where it is not. The first hits of
all of them, evidence or not, are what the chance of being evidence is learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import anyio
import dataset
import development
import numpy as np
import report
import typer
from numpy.typing import NDArray

from mcp_memory import confidence
from mcp_memory.confidence import Chances, Features
from mcp_memory.config import Weights
from mcp_memory.retrieval import fuse

Floats = NDArray[np.float64]

FIRST = 10
"""Hits of each question that are learned from."""
STEPS = 3_000
RATE = 0.3
PULL = 1e-3
MODELS = {"WITH_WORDS": ("late", "coverage"), "WITHOUT_WORDS": ("coverage",)}
"""What tells hits of one answer apart, beside what is always there."""
ALWAYS = ("unknown", "strangers", "few")
BANDS = ("strong", "likely", "weak")


@dataclass(frozen=True, slots=True)
class Judged:
    """The first hits of one question."""

    set: str
    fold: int
    is_answerable: bool
    features: Floats
    """Shape `(hits, features)`."""
    is_evidence: NDArray[np.bool_]

    @classmethod
    def of(cls, one: development.Asked, *, by_word: bool) -> Judged:
        found = one.found if by_word else replace(one.found, late={}, near={})
        ranked = fuse(one.query, found, Weights())[:FIRST]
        rows = [confidence.features_of(hit, found) for hit in ranked]
        names = [field.name for field in fields(Features)]
        return cls(
            set=one.set,
            fold=one.fold,
            is_answerable=bool(one.evidence),
            features=np.array([[getattr(row, name) for name in names] for row in rows], float),
            is_evidence=np.array([hit.memory_id in one.evidence for hit in ranked]),
        )


def main(
    data: Annotated[Path, typer.Option(help="The folder of the data files.")] = dataset.DEFAULT_FOLDER,
    store: Annotated[Path, typer.Option(help="Where the memories are kept between runs.")] = Path(
        "weights-store"
    ),
) -> None:
    """Learn how sure a hit is, and say what the bands and the silence are worth."""
    asked = anyio.run(lambda: development.ask(data, store, strangers=True))
    for name, some in MODELS.items():
        every = (Judged.of(one, by_word="late" in some) for one in asked)
        judged = [one for one in every if len(one.features)]
        of_answer = (*some, *ALWAYS)
        evidence, answer = _learned(judged, (*of_answer, "score")), _learned(judged, of_answer)
        known = _best_threshold(judged, answer)
        print(f"{name} = Model(\n    evidence={evidence},\n    answer={answer},\n    known={known:.2f},\n)\n")
        print(_silence_table(judged, answer, _by_fold(judged, of_answer), known), "\n")
        print(_bands(judged, evidence, answer, known), "\n")


def _silence_table(
    judged: Sequence[Judged], model: Chances, by_fold: Mapping[int, Chances], known: float
) -> str:
    rows: list[list[str]] = []
    for name in _sets(judged):
        of_set = [one for one in judged if one.set == name]
        if any(not one.is_answerable for one in of_set):
            rows.append([name, "set on all", *_silence(of_set, lambda _: model, known)])
            rows.append([name, "cross-validated", *_silence(of_set, lambda one: by_fold[one.fold], known)])
    return report.table(["set", "weights", "precision", "recall", "F1 of silence", "answers denied"], rows)


def _learned(judged: Sequence[Judged], used: Sequence[str]) -> Chances:
    """A logistic regression; each set counts alike."""
    names = [field.name for field in fields(Features)]
    columns = [names.index(one) for one in used]
    features = np.concatenate([one.features for one in judged])[:, columns]
    wanted = np.concatenate([one.is_evidence for one in judged]).astype(float)
    sizes = {name: sum(len(one.features) for one in judged if one.set == name) for name in _sets(judged)}
    share = np.concatenate([np.full(len(one.features), 1 / sizes[one.set]) for one in judged])
    share /= share.sum()
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-9
    scaled = np.c_[(features - mean) / deviation, np.ones(len(features))]
    weights = np.zeros(scaled.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-scaled @ weights))
        weights -= RATE * (scaled.T @ ((chance - wanted) * share) + PULL * np.r_[weights[:-1], 0])
    slopes = weights[:-1] / deviation
    found = dict(zip(used, slopes, strict=True))
    values = {name: round(float(found.get(name, 0.0)), 2) for name in names}
    return Chances(base=round(float(weights[-1] - slopes @ mean), 2), **values)


def _sets(judged: Sequence[Judged]) -> list[str]:
    return list(dict.fromkeys(one.set for one in judged))


def _by_fold(judged: Sequence[Judged], used: Sequence[str]) -> dict[int, Chances]:
    return {
        fold: _learned([one for one in judged if one.fold != fold], used)
        for fold in sorted({one.fold for one in judged})
    }


def _best_chance(one: Judged, model: Chances) -> float:
    return max(model.of(Features(*row)) for row in one.features[: confidence.LOOKED_AT].tolist())


def _best_threshold(judged: Sequence[Judged], model: Chances) -> float:
    """Where the F1 of silence, averaged over the sets, is best."""
    sets = [name for name in _sets(judged) if any(not one.is_answerable for one in judged if one.set == name)]
    chances = {
        name: [
            (_best_chance(one, model), one.is_answerable)
            for one in _balanced([one for one in judged if one.set == name])
        ]
        for name in sets
    }
    thresholds = np.linspace(0.02, 0.6, 59)
    return float(
        max(thresholds, key=lambda at: float(np.mean([_f1(chances[name], float(at))[2] for name in sets])))
    )


def _f1(chances: Sequence[tuple[float, bool]], threshold: float) -> tuple[float, float, float]:
    silent = [answerable for chance, answerable in chances if chance < threshold]
    right = sum(not answerable for answerable in silent)
    wanted = sum(not answerable for _, answerable in chances)
    precision = right / len(silent) if silent else 0.0
    recall = right / wanted if wanted else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


def _silence(judged: Sequence[Judged], model_of: Callable[[Judged], Chances], known: float) -> list[str]:
    some = _balanced(judged)
    found = _f1([(_best_chance(one, model_of(one)), one.is_answerable) for one in some], known)
    denied = np.mean([_best_chance(one, model_of(one)) < known for one in judged if one.is_answerable])
    return [*(f"{value:.2f}" for value in found), f"{100 * denied:.0f} %"]


def _balanced(judged: Sequence[Judged]) -> list[Judged]:
    """As many of both kinds, or the more frequent one decides."""
    answered = [one for one in judged if one.is_answerable]
    silent = [one for one in judged if not one.is_answerable]
    size = min(len(answered), len(silent))
    rng = np.random.default_rng(development.SEED)
    return [of[int(n)] for of in (answered, silent) for n in rng.permutation(len(of))[:size]]


def _bands(judged: Sequence[Judged], model: Chances, answer: Chances, known: float) -> str:
    """As an answer says it: one that knows nothing is sure of nothing, one that knows something of its first
    hit at least."""
    counts: dict[tuple[str, str], list[bool]] = {}
    for one in judged:
        if one.is_answerable:
            chances = [model.of(Features(*row)) for row in one.features.tolist()]
            is_known = _best_chance(one, answer) >= known
            bands = [confidence.band_of(chance) if is_known else "weak" for chance in chances]
            if is_known and set(bands[: confidence.LOOKED_AT]) == {"weak"}:
                bands[0] = "likely"
            for band, is_evidence in zip(bands, one.is_evidence.tolist(), strict=True):
                counts.setdefault((one.set, band), []).append(is_evidence)
    rows = [
        [
            name,
            *(
                f"{100 * np.mean(found):.0f} % of {len(found)}" if (found := counts.get((name, one))) else "–"
                for one in BANDS
            ),
        ]
        for name in _sets(judged)
    ]
    return report.table(["evidence among hits called", *BANDS], rows)


if __name__ == "__main__":
    typer.run(main)
