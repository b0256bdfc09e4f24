"""Markdown as the benchmarks print it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def facts(values: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in values.items())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column reads to the left, the others to the right, as numbers do."""
    lines = [_line(header), _line(["---", *["---:"] * (len(header) - 1)]), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
