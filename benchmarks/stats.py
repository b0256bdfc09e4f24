"""Percentiles and intervals of measured values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
SEED = 20_230_508


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval, and of how many values."""

    mean: float
    low: float
    high: float
    n: int


def bootstrap(values: Sequence[float]) -> Estimate:
    """The mean of `values` with its percentile bootstrap interval, the same at every run."""
    sample = np.asarray(values, np.float64)
    picks = np.random.default_rng(SEED).integers(0, len(sample), (RESAMPLES, len(sample)))
    low, high = np.percentile(sample[picks].mean(axis=1), (2.5, 97.5))
    return Estimate(float(sample.mean()), float(low), float(high), len(sample))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` percent of `values` lie."""
    return float(np.percentile(np.asarray(values, np.float64), share))


def bootstrap_rates(unanswerable: Sequence[bool], abstained: Sequence[bool]) -> dict[str, Estimate]:
    """Precision, recall and F1 of abstaining, in percent, with their intervals; abstaining where nothing
    answers is the positive class. A rate without a denominator is 0."""
    truth, said = np.asarray(unanswerable, bool), np.asarray(abstained, bool)
    picks = np.random.default_rng(SEED).integers(0, len(truth), (RESAMPLES, len(truth)))
    measured = _rates(truth[None], said[None])
    resampled = _rates(truth[picks], said[picks])
    estimates: dict[str, Estimate] = {}
    for name, (value,) in measured.items():
        low, high = np.percentile(resampled[name], (2.5, 97.5))
        estimates[name] = Estimate(float(value), float(low), float(high), len(truth))
    return estimates


def _rates(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Of each row."""
    right = (truth & said).sum(axis=1)
    precision = 100 * right / np.maximum(1, said.sum(axis=1))
    recall = 100 * right / np.maximum(1, truth.sum(axis=1))
    both = precision + recall
    return {
        "precision": precision,
        "recall": recall,
        "f1": np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0),
    }
