"""A benchmark's figures as files: Markdown to read, JSON as its manifest, a plot to look at."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import metrics
import plot
import report
import stats
from measure import Measured
from stats import Estimate
from systems import BUDGETS, DEFAULT_BUDGET

FOLDER = Path(__file__).parent / "results"
GROUP_METRIC = metrics.RECALL.format(10)
"""By which groups of questions are compared."""
ABSENT = "–"

_FLAT_LIST = re.compile(r"\[[^\[\]{}\"]*\]")


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which the data was asked: of each system the figures; `skipped` says which are missing and
    why."""

    title: str
    facts: Mapping[str, str]
    measured: Sequence[Measured]
    skipped: Sequence[str]

    @property
    def groups(self) -> list[str]:
        return sorted({scored.group for scored in self.measured[0].scored})


def write(name: str, title: str, head: Mapping[str, str], forms: Sequence[Form], folder: Path) -> Path:
    """NAME.md, NAME.json and NAME.png in `folder`. The path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    plot.draw(folder / f"{name}.png", [(form.title, _curves(form), _bars(form)) for form in forms])
    manifest = {"title": title, **head, "forms": [_as_json(form) for form in forms]}
    # Each estimate on one line: the file is read by people too, and compared between commits.
    text = _FLAT_LIST.sub(_on_one_line, json.dumps(manifest, indent=1, ensure_ascii=False))
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    parts = [f"# {title}", report.facts(head), f"![{title}]({name}.png)", *map(_as_markdown, forms)]
    page = folder / f"{name}.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return page


def _as_markdown(form: Form) -> str:
    return "\n\n".join(
        (
            f"## {form.title}",
            report.facts(dict(form.facts) | {f"skipped {n}": one for n, one in enumerate(form.skipped, 1)}),
            "**Found**: evidence turns among the first hits, % of a question's; reciprocal rank of the "
            "first; questions with any, with all of their evidence sessions among the first five, %.",
            _found(form),
            f"**By kind of question**: {GROUP_METRIC}, %.",
            _by_group(form),
            "**Within an answer of so many tokens**: evidence turns in it, % of a question's; questions "
            f"with all of theirs in it, %; evidence turns in it with their whole text, at {DEFAULT_BUDGET}; "
            "its true size.",
            _within(form),
            "**Saying that nothing is known**: of questions that nothing here answers and as many that "
            "something does, how well the first are told apart, %. Then how often it is said, % of all "
            "questions with an answer (mistakes) and of questions that only sound as if they had one.",
            _abstention(form),
            "**Costs**: of adding one session, of one search; the answer as it is given unasked.",
            _costs(form),
        )
    )


def _found(form: Form) -> str:
    names = [*map(metrics.RECALL.format, metrics.DEPTHS), metrics.MRR]
    names += [metrics.SESSION_ANY, metrics.SESSION_ALL]
    rows = [[one.name, *(_cell(one, name, with_interval=True) for name in names)] for one in form.measured]
    return report.table(["system", *names], rows)


def _by_group(form: Form) -> str:
    counts = [
        f"{group} ({sum(one.group == group for one in form.measured[0].scored)})" for group in form.groups
    ]
    rows = [
        [one.name, *(_cell(one, GROUP_METRIC, group, with_interval=True) for group in form.groups)]
        for one in form.measured
    ]
    return report.table(["system", *counts], rows)


def _within(form: Form) -> str:
    kinds = (metrics.EVIDENCE, metrics.ALL_EVIDENCE)
    names = [kind.format(budget) for kind in kinds for budget in BUDGETS]
    names.append(metrics.WHOLE.format(DEFAULT_BUDGET))
    sizes = [metrics.TOKENS.format(budget) for budget in BUDGETS]
    rows = [
        [one.name]
        + [_cell(one, name) for name in names]
        + [" / ".join(_cell(one, size, digits=0) for size in sizes)]
        for one in form.measured
    ]
    return report.table(["system", *names, "tokens " + " / ".join(map(str, BUDGETS))], rows)


def _abstention(form: Form) -> str:
    header = ["system", "precision", "recall", "F1", "own, mistaken", "tricks"]
    rows = [
        [
            one.name,
            *(_interval(rate) for rate in _rates(one).values()),
            *map(_share, (one.own_abstained, one.tricks_abstained)),
        ]
        for one in form.measured
    ]
    return report.table(header, rows)


def _costs(form: Form) -> str:
    header = ["system", "build s", "add p50 / p95 ms", "search p50 / p95 ms", "answer tokens", "disk MB"]
    rows = [[one.name, *_cost_cells(one)] for one in form.measured]
    return report.table([*header, "peak memory MB", "load"], rows)


def _cost_cells(one: Measured) -> list[str]:
    return [
        ABSENT if one.add_seconds is None else f"{sum(one.add_seconds):.1f}",
        _milliseconds(one.add_seconds),
        _milliseconds(one.search_seconds),
        f"{stats.bootstrap(one.answer_tokens).mean:.0f}",
        _megabytes(one.footprint.disk),
        _megabytes(one.footprint.peak_memory),
        ABSENT if one.load is None else f"{one.load:.1f}",
    ]


def _cell(
    one: Measured, metric: str, group: str | None = None, *, with_interval: bool = False, digits: int = 1
) -> str:
    estimate = _estimate(one, metric, group)
    if estimate is None:
        return ABSENT
    digits = 3 if metric == metrics.MRR else digits
    return _interval(estimate, digits) if with_interval else f"{estimate.mean:.{digits}f}"


def _interval(estimate: Estimate | None, digits: int = 1) -> str:
    if estimate is None:
        return ABSENT
    return f"{estimate.mean:.{digits}f} ({estimate.low:.{digits}f}–{estimate.high:.{digits}f})"


def _share(said: Sequence[bool]) -> str:
    return _interval(stats.bootstrap([100.0 * one for one in said])) if said else ABSENT


def _milliseconds(seconds: Sequence[float] | None) -> str:
    if not seconds:
        return ABSENT
    values = [1_000 * one for one in seconds]
    return f"{stats.percentile(values, 50):.1f} / {stats.percentile(values, 95):.1f}"


def _megabytes(size: int | None) -> str:
    return ABSENT if size is None else f"{size / 1e6:.1f}"


def _estimate(one: Measured, metric: str, group: str | None = None) -> Estimate | None:
    values = [scored.values[metric] for scored in one.scored if group in (None, scored.group)]
    return stats.bootstrap(values) if values else None


def _rates(one: Measured) -> dict[str, Estimate | None]:
    if not one.unanswerable:
        return dict.fromkeys(("precision", "recall", "f1"))
    return dict(stats.bootstrap_rates(one.unanswerable, one.abstained))


def _as_json(form: Form) -> dict[str, Any]:
    return {
        "title": form.title,
        **form.facts,
        "skipped": list(form.skipped),
        "systems": {one.name: _system_as_json(one, form.groups) for one in form.measured},
    }


def _system_as_json(one: Measured, groups: Sequence[str]) -> dict[str, Any]:
    names = list(one.scored[0].values)
    return {
        "metrics": {name: _plain(_estimate(one, name)) for name in names},
        "by_group": {group: {GROUP_METRIC: _plain(_estimate(one, GROUP_METRIC, group))} for group in groups},
        "abstention": {name: _plain(rate) for name, rate in _rates(one).items()}
        | {"own_abstained": _counted(one.own_abstained), "tricks_abstained": _counted(one.tricks_abstained)},
        "costs": {
            "build_s": None if one.add_seconds is None else round(sum(one.add_seconds), 2),
            "add_ms": _quantiles(one.add_seconds),
            "search_ms": _quantiles(one.search_seconds),
            "answer_tokens": round(stats.bootstrap(one.answer_tokens).mean, 1),
            "disk_bytes": one.footprint.disk,
            "peak_memory_bytes": one.footprint.peak_memory,
            "load": one.load,
        },
    }


def _plain(estimate: Estimate | None) -> list[float] | None:
    """Mean, low and high end of the interval, number of values."""
    return estimate and [*(round(one, 3) for one in (estimate.mean, estimate.low, estimate.high)), estimate.n]


def _on_one_line(found: re.Match[str]) -> str:
    return " ".join(found[0].split())


def _counted(said: Sequence[bool]) -> dict[str, int]:
    return {"yes": sum(said), "of": len(said)}


def _quantiles(seconds: Sequence[float] | None) -> dict[str, float] | None:
    if not seconds:
        return None
    values = [1_000 * one for one in seconds]
    return {f"p{share}": round(stats.percentile(values, share), 2) for share in (50, 95)}


def _curves(form: Form) -> dict[str, list[tuple[float, float, float]]]:
    """By system, the true size of its answers, the evidence in them, and what of it is whole."""
    return {one.name: [_point(one, budget) for budget in BUDGETS] for one in form.measured}


def _point(one: Measured, budget: int) -> tuple[float, float, float]:
    size, shown, whole = (
        stats.bootstrap([scored.values[kind.format(budget)] for scored in one.scored]).mean
        for kind in (metrics.TOKENS, metrics.EVIDENCE, metrics.WHOLE)
    )
    return size, shown, whole


def _bars(form: Form) -> dict[str, list[tuple[str, Estimate]]]:
    """By system, recall of all questions at each depth."""
    return {
        one.name: [
            (name, stats.bootstrap([scored.values[name] for scored in one.scored]))
            for name in map(metrics.RECALL.format, metrics.DEPTHS)
        ]
        for one in form.measured
    }
