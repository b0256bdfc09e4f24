"""The dates that a question names, which may mean any year."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dateutil.relativedelta import relativedelta

from mcp_memory.dates.vocabulary import MONTH, MONTHS, WEEKDAYS, YEAR


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


_DAYS_AGO = {
    "today": 0,
    "tonight": 0,
    "this morning": 0,
    "this afternoon": 0,
    "this evening": 0,
    "yesterday": 1,
    "last night": 1,
    "the day before yesterday": 2,
}
_NUMBERS = {
    word: number
    for number, word in enumerate(
        "one two three four five six seven eight nine ten eleven twelve".split(),
        start=1,
    )
} | {"a": 1, "an": 1, "a couple of": 2, "a few": 3}
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_NUMBER = rf"(?P<number>\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_NAMED = (
    rf"{YEAR}-(?P<m>[01]?\d)-(?P<d>[0-3]?\d)",
    rf"{_DAY} (?:of )?{MONTH}(?:,? {YEAR})?",
    rf"{MONTH} {_DAY}(?:,? {YEAR})?(?!\d)",
    rf"{MONTH},? {YEAR}",
    # "May" alone is also a verb: it needs a word before it that makes it a month.
    r"(?:in|during|since|this|early|late|mid|of|by|until|last|next|throughout) (?:early |late |mid )?"
    rf"{MONTH}",
    YEAR,
)
_NAMED_DATES = tuple(re.compile(rf"\b{form}(?!\w)", re.IGNORECASE) for form in _NAMED)
_RELATIVE = re.compile(
    rf"\b(?:(?P<word>{'|'.join(sorted(_DAYS_AGO, key=len, reverse=True))})"
    rf"|(?P<which>last|past|this) (?P<unit>week|month|year|weekend)"
    rf"|(?P<at>last|this|on(?: this| the)?) (?P<weekday>{'|'.join(WEEKDAYS)})"
    rf"|{_NUMBER} (?P<units>days?|weeks?|fortnights?|months?|years?) ago)\b",
    re.IGNORECASE,
)
_SPAN = {
    "day": timedelta(days=0),
    "week": timedelta(days=3),
    "fortnight": timedelta(days=3),
    "month": timedelta(days=15),
}
"""How far beside the day it means "two weeks ago" may lie: people round."""
_LAST_MONTH = re.compile(
    rf"\blast (?:{MONTH}(?: (?:the )?{_DAY}|(?! (?:the )?\d))"
    rf"|{_DAY.replace('day', 'before')} (?:of )?{MONTH.replace('month', 'after')})(?!,? \d{{4}})(?!\w)",
    re.IGNORECASE,
)
"""One of what comes every year: a month, or a day of one."""


def dates_in(text: str, now: datetime) -> tuple[Dates, ...]:
    """All dates that a text names; those that are told relatively, from `now`, whose time zone says which
    day it is."""
    today = now.date()
    # "Last May" is one May, not every one.
    return (*_last_months(text, today), *_named(_LAST_MONTH.sub(" ", text)), *_relative(text, today))


def _named(text: str) -> Iterator[Dates]:
    rest = text
    for form in _NAMED_DATES:
        for match in form.finditer(rest):
            parts = match.groupdict()
            month = MONTHS.get((parts.get("month") or "").lower()) or _number(parts.get("m"))
            yield Dates(_number(parts.get("year")), month, _number(parts.get("day") or parts.get("d")))
        # What one form has read no other reads again: "8 May 2023" names no year by itself.
        rest = form.sub(" ", rest)


def _last_months(text: str, today: date) -> Iterator[Dates]:
    for match in _LAST_MONTH.finditer(text):
        month = MONTHS[(match["month"] or match["after"]).lower()]
        day = _number(match["day"] or match["before"])
        # A month that has begun is not the last one yet; of its days those before today have been.
        is_to_come = (month, day or 0) >= (today.month, today.day if day else 0)
        yield Dates(today.year - is_to_come, month, day)


def _relative(text: str, today: date) -> Iterator[Dates]:
    for match in _RELATIVE.finditer(text):
        try:
            yield _relative_dates(match, today)
        except (OverflowError, ValueError):
            # Before the first year there is no day.
            continue


def _relative_dates(match: re.Match[str], today: date) -> Dates:
    if word := match["word"]:
        day = today - timedelta(days=_DAYS_AGO[" ".join(word.lower().split())])
        return Dates(first=day, last=day)
    if unit := match["unit"]:
        return _period(unit.lower(), today, is_past=match["which"].lower() != "this")
    if weekday := match["weekday"]:
        # "Last Friday" is never today, "on Friday" may be.
        least = int(match["at"].lower() == "last")
        back = (today.weekday() - WEEKDAYS[weekday.lower()] - least) % 7 + least
        day = today - timedelta(days=back)
        return Dates(first=day, last=day)
    return _ago(match["number"].lower(), match["units"].lower().rstrip("s"), today)


def _ago(number: str, unit: str, today: date) -> Dates:
    count = _NUMBERS.get(number) or int(number)
    if unit == "year":
        return Dates(year=max(today.year - count, 1))
    steps = {
        "day": relativedelta(days=count),
        "week": relativedelta(weeks=count),
        "fortnight": relativedelta(weeks=2 * count),
    }
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
