"""Conditions on metadata: `{"project": "atlas"}`, `{"stars": {"gte": 4}}`, joined by `and`, `or`, `not`.

A key that is itself called so is compared in full: `{"not": {"eq": 4}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, cast, get_args

from mcp_memory.errors import shown

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "contains"]
Plain = str | int | float | bool | None

OPERATORS: tuple[Operator, ...] = get_args(Operator)
MAX_DEPTH = 8
MAX_COMPARISONS = 50
"""Far more than anybody writes, and few enough for one statement."""
MAX_VALUES = 100
LARGEST = 2**63 - 1
"""Of whole numbers that SQLite compares."""


@dataclass(frozen=True, slots=True)
class Compare:
    """One key of the metadata against a value, or for `in` against some."""

    key: str
    operator: Operator
    values: tuple[Plain, ...]


@dataclass(frozen=True, slots=True)
class Every:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: Condition


Condition = Compare | Every | Either | Not


def read_condition(value: Mapping[str, Any]) -> Condition:
    """The condition that an object stands for. Raises ValueError with a sentence for a person."""
    condition = _read(value, 0)
    if (count := _count(condition)) > MAX_COMPARISONS:
        raise ValueError(f"compares {count} times; at most {MAX_COMPARISONS} comparisons go into one filter")
    return condition


def _read(value: object, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels; flatten it")
    if not isinstance(value, Mapping) or not value:
        found = shown(repr(cast("object", value)))
        raise ValueError(
            f'{found} is no condition; write {{"key": value}}, {{"key": {{"gte": 4}}}}, '
            'or join some with "and", "or", "not"'
        )
    conditions = tuple(
        _read_entry(str(key), of_key, depth) for key, of_key in cast("Mapping[str, object]", value).items()
    )
    return conditions[0] if len(conditions) == 1 else Every(conditions)


def _read_entry(key: str, value: object, depth: int) -> Condition:
    match key:
        case "and" | "or" if not _compares(value):
            if not isinstance(value, list) or not value:
                raise ValueError(f'"{key}" takes a list of conditions, at least one; {_in_full(key)}')
            parts = tuple(_read(one, depth + 1) for one in cast("list[object]", value))
            return Every(parts) if key == "and" else Either(parts)
        case "not" if not _compares(value):
            if not isinstance(value, Mapping):
                raise ValueError(f'"not" takes a condition; {_in_full(key)}')
            return Not(_read(cast("object", value), depth + 1))
        case _ if isinstance(value, Mapping):
            comparisons = tuple(
                _compare(key, str(name), operand)
                for name, operand in cast("Mapping[str, object]", value).items()
            )
            if not comparisons:
                raise ValueError(f"{shown(key)} is compared with nothing; use one of {', '.join(OPERATORS)}")
            return comparisons[0] if len(comparisons) == 1 else Every(comparisons)
        case _:
            return _compare(key, "eq", value)


def _compares(value: object) -> bool:
    """Whether this says how to compare one key, and nothing else."""
    if not isinstance(value, Mapping) or not value:
        return False
    return set(cast("Mapping[str, object]", value)) <= set(OPERATORS)


def _in_full(key: str) -> str:
    return f'a key of that name is compared in full, {{"{key}": {{"eq": …}}}}'


def _compare(key: str, operator: str, operand: object) -> Compare:
    if operator not in OPERATORS:
        raise ValueError(
            f"{shown(operator)} is no comparison for {shown(key)}; use one of {', '.join(OPERATORS)}"
        )
    if operator == "in":
        if not isinstance(operand, list) or not operand:
            raise ValueError(f'"in" for {shown(key)} takes a list of values, at least one')
        values = cast("list[object]", operand)
        if len(values) > MAX_VALUES:
            raise ValueError(f'"in" for {shown(key)} has {len(values)} values; at most {MAX_VALUES}')
    else:
        values = [operand]
    for one in values:
        if not isinstance(one, str | int | float | bool | None):
            raise ValueError(f"{shown(key)} can be compared with text, a number, true, false or null only")
        if isinstance(one, int) and abs(one) > LARGEST:
            raise ValueError(f"{shown(key)} is compared with a number beyond {LARGEST:,}")
        if isinstance(one, float) and not isfinite(one):
            raise ValueError(f"{shown(key)} is compared with what is no finite number")
    if operator in ("gt", "gte", "lt", "lte") and (isinstance(operand, bool) or operand is None):
        raise ValueError(f'"{operator}" for {shown(key)} takes a number or text')
    return Compare(key, operator, tuple(cast("list[Plain]", values)))


def _count(condition: Condition) -> int:
    match condition:
        case Compare():
            return 1
        case Not(inner):
            return _count(inner)
        case Every(parts) | Either(parts):
            return sum(map(_count, parts))
