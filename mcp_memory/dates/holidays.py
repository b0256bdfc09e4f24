"""Days that come every year under a name of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from dateutil.easter import easter

HOLIDAYS: dict[str, Callable[[int], date]] = {
    "christmas eve": lambda year: date(year, 12, 24),
    "christmas day": lambda year: date(year, 12, 25),
    "christmas": lambda year: date(year, 12, 25),
    "boxing day": lambda year: date(year, 12, 26),
    "new year's eve": lambda year: date(year, 12, 31),
    "new year's day": lambda year: date(year, 1, 1),
    "new year's": lambda year: date(year, 1, 1),
    "valentine's day": lambda year: date(year, 2, 14),
    "st. patrick's day": lambda year: date(year, 3, 17),
    "st patrick's day": lambda year: date(year, 3, 17),
    "good friday": lambda year: easter(year) - timedelta(days=2),
    "easter sunday": easter,
    "easter monday": lambda year: easter(year) + timedelta(days=1),
    "easter": easter,
    "independence day": lambda year: date(year, 7, 4),
    "labor day": lambda year: _weekday_in(year, 9, 0, 0),
    "memorial day": lambda year: date(year, 5, 31) - timedelta(days=date(year, 5, 31).weekday()),
    "mother's day": lambda year: _weekday_in(year, 5, 6, 1),
    "father's day": lambda year: _weekday_in(year, 6, 6, 2),
    "halloween": lambda year: date(year, 10, 31),
    "thanksgiving": lambda year: _weekday_in(year, 11, 3, 3),
    "ash wednesday": lambda year: easter(year) - timedelta(days=46),
    "palm sunday": lambda year: easter(year) - timedelta(days=7),
    "cyber monday": lambda year: _weekday_in(year, 11, 3, 3) + timedelta(days=4),
    "black friday": lambda year: _weekday_in(year, 11, 3, 3) + timedelta(days=1),
}
"""Days that come every year; those whose day differs by country as in the United States."""


def _weekday_in(year: int, month: int, weekday: int, place: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * place)
