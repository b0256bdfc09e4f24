"""Dates that a question names: "in May 2023", "last week", "on 8 May", "two months ago"."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dateutil.relativedelta import relativedelta


@dataclass(frozen=True, slots=True)
class Dates:
    """Some days: those of a calendar whose parts fit (None fits all), from `first` to `last`, inclusive."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    first: date = date.min
    last: date = date.max

    def include(self, moment: datetime) -> bool:
        said = moment.date()
        parts = ((self.year, said.year), (self.month, said.month), (self.day, said.day))
        return all(wanted in (None, found) for wanted, found in parts) and self.first <= said <= self.last


_MONTHS = {
    name[:letters].lower(): number
    for number, name in enumerate(calendar.month_name)
    if name
    for letters in (3, None)
}
_DAYS = {name.lower(): number for number, name in enumerate(calendar.day_name)}
_NUMBERS = {
    word: number
    for number, word in enumerate(
        "one two three four five six seven eight nine ten eleven twelve".split(),
        start=1,
    )
} | {"a": 1, "an": 1, "a couple of": 2, "a few": 3}

_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_NUMBER = rf"(?P<number>\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_NAMED = (
    rf"{_YEAR}-(?P<m>[01]?\d)-(?P<d>[0-3]?\d)",
    rf"{_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?",
    rf"{_MONTH} {_DAY}(?:,? {_YEAR})?(?!\d)",
    rf"{_MONTH},? {_YEAR}",
    # "May" alone is also a verb: it needs a word before it that makes it a month.
    r"(?:in|during|since|this|early|late|mid|of|by|until|last|next|throughout) (?:early |late |mid )?"
    rf"{_MONTH}",
    _YEAR,
)
_NAMED_DATES = tuple(re.compile(rf"\b{form}(?!\w)", re.IGNORECASE) for form in _NAMED)
_RELATIVE = re.compile(
    rf"\b(?:(?P<word>today|yesterday)|(?P<which>last|past|this) (?P<unit>week|month|year|weekend)"
    rf"|last (?P<weekday>{'|'.join(_DAYS)})|{_NUMBER} (?P<units>days?|weeks?|months?|years?) ago)\b",
    re.IGNORECASE,
)
_SPAN = {"day": timedelta(days=0), "week": timedelta(days=3), "month": timedelta(days=15)}
"""How far beside the day it means "two weeks ago" may lie: people round."""
_LAST_MONTH = re.compile(rf"\blast {_MONTH}(?!\w)", re.IGNORECASE)


def dates_in(text: str, now: datetime) -> tuple[Dates, ...]:
    """All dates that a text names; those that are told relatively, from `now`."""
    today = now.date()
    # "Last May" is one May, not every one.
    return (*_last_months(text, today), *_named(_LAST_MONTH.sub(" ", text)), *_relative(text, today))


def _named(text: str) -> Iterator[Dates]:
    rest = text
    for form in _NAMED_DATES:
        for match in form.finditer(rest):
            parts = match.groupdict()
            month = _MONTHS.get((parts.get("month") or "").lower()) or _number(parts.get("m"))
            yield Dates(_number(parts.get("year")), month, _number(parts.get("day") or parts.get("d")))
        # What one form has read no other reads again: "8 May 2023" names no year by itself.
        rest = form.sub(" ", rest)


def _last_months(text: str, today: date) -> Iterator[Dates]:
    for match in _LAST_MONTH.finditer(text):
        month = _MONTHS[match["month"].lower()]
        yield Dates(today.year - (month >= today.month), month)


def _relative(text: str, today: date) -> Iterator[Dates]:
    for match in _RELATIVE.finditer(text):
        if word := match["word"]:
            day = today - timedelta(days=word.lower() == "yesterday")
            yield Dates(first=day, last=day)
        elif unit := match["unit"]:
            yield _period(unit.lower(), today, is_past=match["which"].lower() != "this")
        elif weekday := match["weekday"]:
            back = (today.weekday() - _DAYS[weekday.lower()] - 1) % 7 + 1
            day = today - timedelta(days=back)
            yield Dates(first=day, last=day)
        else:
            yield _ago(match["number"].lower(), match["units"].lower().rstrip("s"), today)


def _ago(number: str, unit: str, today: date) -> Dates:
    count = _NUMBERS.get(number) or int(number)
    if unit == "year":
        return Dates(year=max(today.year - count, 1))
    steps = {"day": relativedelta(days=count), "week": relativedelta(weeks=count)}
    day = today - steps.get(unit, relativedelta(months=count))
    return Dates(first=day - _SPAN[unit], last=day + _SPAN[unit])


def _period(unit: str, today: date, *, is_past: bool) -> Dates:
    if unit == "year":
        return Dates(year=today.year - is_past)
    if unit == "month":
        there = today - relativedelta(months=int(is_past))
        return Dates(there.year, there.month)
    monday = today - timedelta(days=today.weekday() + 7 * is_past)
    first = monday + timedelta(days=5) if unit == "weekend" else monday
    return Dates(first=first, last=monday + timedelta(days=6))


def _number(text: str | None) -> int | None:
    return int(text) if text else None
