"""Percentiles and intervals of measured values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
