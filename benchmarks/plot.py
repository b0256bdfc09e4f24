"""Draws a benchmark: recall at three depths, and the evidence in answers of three sizes."""

# Only the benchmarks need matplotlib, and much of it is untyped.
# pyright: reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from stats import Estimate

mpl.use("Agg")

Curves = Mapping[str, Sequence[tuple[float, float, float]]]
"""By system: tokens of answer, % of the evidence in it, % in it with the whole text."""
Bars = Mapping[str, Sequence[tuple[str, Estimate]]]
"""By system: a measure and its value."""

WIDTH, HEIGHT = 13.0, 4.2
DOTS_PER_INCH = 110
TITLE = 10
"""Points."""


def draw(file: Path, rows: Sequence[tuple[str, Curves, Bars]]) -> None:
    """A PNG with a row for each title."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(rows), 2, figsize=(WIDTH, HEIGHT * len(rows)), squeeze=False, layout="constrained"
    )
    for (title, curves, bars), (left, right) in zip(rows, axes, strict=True):
        _bars(left, bars)
        left.set_title(f"{title}: first hits, with 95 % intervals", fontsize=TITLE)
        _curves(right, curves)
        right.set_title(f"{title}: in the answer; dashed: with its whole text", fontsize=TITLE)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(file, dpi=DOTS_PER_INCH, metadata={"Software": None})
    pyplot.close(figure)


def _bars(axis: Any, bars: Bars) -> None:
    width = 0.8 / len(bars)
    for number, (system, measures) in enumerate(bars.items()):
        places = np.arange(len(measures)) + (number - (len(bars) - 1) / 2) * width
        means = [estimate.mean for _, estimate in measures]
        ends = [[one.mean - one.low for _, one in measures], [one.high - one.mean for _, one in measures]]
        axis.bar(places, means, width, yerr=ends, label=system, error_kw={"linewidth": 0.8})
    names = [name for name, _ in next(iter(bars.values()))]
    axis.set_xticks(range(len(names)), names)
    axis.set_ylim(0, 100)
    axis.set_ylabel("% of a question's evidence turns")


def _curves(axis: Any, curves: Curves) -> None:
    for system, points in curves.items():
        sizes, shares, whole = zip(*points, strict=True)
        (line,) = axis.plot(sizes, shares, marker="o", label=system)
        axis.plot(sizes, whole, marker="x", linestyle="--", color=line.get_color())
    axis.set_xlim(left=0)
    axis.set_ylim(0, 100)
    axis.set_xlabel("tokens of answer (characters / 4), mean")
    axis.set_ylabel("% of a question's evidence turns")
