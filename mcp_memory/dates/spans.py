"""Whole days, weeks, months and years, and those beside a day."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import date, timedelta
from typing import Literal

from dateutil.relativedelta import relativedelta

from mcp_memory.dates.vocabulary import WEEKDAYS

Tense = Literal["past", "future"]
"""Which way a time lies that its words leave open: "on Friday", "in May"."""
Days = tuple[date, date]
"""First and last, both included."""


def one_day(day: date) -> Days:
    return day, day


def whole_week(day: date) -> Days:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)


def whole_month(year: int, month: int) -> Days:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def whole_year(year: int) -> Days:
    return date(year, 1, 1), date(year, 12, 31)


def calendar_unit(unit: str, day: date, away: int) -> Days | None:
    """The calendar unit `away` from that of `day`: last week is the week -1 away."""
    match unit:
        case "day":
            return one_day(day + timedelta(days=away))
        case "week":
            return whole_week(day + timedelta(weeks=away))
        case "weekend":
            monday, sunday = whole_week(day + timedelta(weeks=away))
            return monday + timedelta(days=5), sunday
        case "month":
            there = day + relativedelta(months=away)
            return whole_month(there.year, there.month)
        case "year":
            return whole_year(day.year + away)
        case "decade":
            return date(day.year // 10 * 10 + 10 * away, 1, 1), date(
                day.year // 10 * 10 + 10 * away + 9, 12, 31
            )
        case _:
            return None


def counted_from(count: int, unit: str, day: date) -> Days | None:
    """So many units from a day: the day itself, or the whole month or year, for so people round."""
    match unit:
        case "minute" | "hour":
            return one_day(day)
        case "day" | "night":
            return one_day(day + timedelta(days=count))
        case "week" | "fortnight":
            return one_day(day + timedelta(weeks=count * (1 + (unit == "fortnight"))))
        case "weekend":
            return calendar_unit("weekend", day, count)
        case "month":
            return calendar_unit("month", day, count)
        case "decade":
            return whole_year(day.year + 10 * count)
        case _:
            return whole_year(day.year + count)


def just_before(unit: str, day: date) -> Days | None:
    """The last such unit, or weekday, before a day; a week is the seven days before it."""
    if unit == "week":
        return day - timedelta(days=7), day - timedelta(days=1)
    if unit == "weekend":
        sunday = day - timedelta(days=day.weekday() + 1)
        return sunday - timedelta(days=1), sunday
    if unit in WEEKDAYS:
        return one_day(day - timedelta(days=(day.weekday() - WEEKDAYS[unit] - 1) % 7 + 1))
    return calendar_unit(unit, day, -1)


def just_after(unit: str, day: date) -> Days | None:
    """The first such unit, or weekday, after a day; a week is the seven days after it."""
    if unit == "week":
        return day + timedelta(days=1), day + timedelta(days=7)
    if unit == "weekend":
        saturday = day + timedelta(days=(5 - day.weekday() - 1) % 7 + 1)
        return saturday, saturday + timedelta(days=1)
    if unit in WEEKDAYS:
        return one_day(day + timedelta(days=(WEEKDAYS[unit] - day.weekday() - 1) % 7 + 1))
    return calendar_unit(unit, day, 1)


def yearly(spans: Callable[[int], Days], today: date, which: str, tense: Tense | None) -> Days:
    """The one of what comes every year: the last, this year's or the next, or else by tense."""
    last, this, coming = spans(today.year - 1), spans(today.year), spans(today.year + 1)
    if which == "this":
        return this
    if which in ("last", "past", "previous", "this past"):
        ended = (year for year in (this, last) if year[1] < today)
        return next(ended, spans(today.year - 2))
    if which in ("next", "coming", "this coming", "upcoming"):
        return this if this[0] > today else coming
    if tense == "future":
        return this if this[1] >= today else coming
    return this if this[0] <= today else last
