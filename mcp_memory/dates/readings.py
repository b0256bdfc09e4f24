"""What the words of a time mean that stand for themselves: "yesterday", "8 May", "two weeks ago"."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

from mcp_memory.dates.holidays import HOLIDAYS
from mcp_memory.dates.spans import (
    Days,
    Tense,
    calendar_unit,
    counted_from,
    one_day,
    whole_month,
    whole_year,
    yearly,
)
from mcp_memory.dates.vocabulary import MONTHS, SHORT_WEEKDAYS, WEEKDAYS, number_of


@dataclass(frozen=True, slots=True)
class Said:
    """What one form found, and when it was said."""

    match: re.Match[str]
    today: date
    tense: Tense | None

    def __getitem__(self, group: str) -> str:
        """A part in lower case and single spaces; empty where the form has none."""
        return " ".join((self.match.groupdict().get(group) or "").lower().split())

    @property
    def words(self) -> str:
        return " ".join(self.match.group().lower().split())


def read_iso(said: Said) -> Days | None:
    return one_day(date(int(said["y"]), int(said["m"]), int(said["d"])))


def read_day(said: Said) -> Days | None:
    month, day = MONTHS[said["month"]], int(said["day"])
    if said["year"]:
        return one_day(date(int(said["year"]), month, day))
    # 29 February is not in every year.
    years = (
        range(said.today.year, said.today.year + 9)
        if said.tense == "future"
        else range(said.today.year, said.today.year - 9, -1)
    )
    for year in years:
        if day <= calendar.monthrange(year, month)[1]:
            there = date(year, month, day)
            if (there >= said.today) if said.tense == "future" else (there <= said.today):
                return one_day(there)
    return None


def read_month(said: Said) -> Days | None:
    month = MONTHS[said["month"]]
    if year := said["year"]:
        return whole_month(int(year), month)
    which = said["which"]
    return yearly(lambda year: whole_month(year, month), said.today, which, said.tense)


def read_day_word(said: Said) -> Days | None:
    word = said.words
    away = 0
    if "before yesterday" in word:
        away = -2
    elif "after tomorrow" in word:
        away = 2
    elif "yesterday" in word or "last night" in word:
        away = -1
    elif "tomorrow" in word:
        away = 1
    return one_day(said.today + timedelta(days=away))


def read_which(said: Said) -> Days | None:
    which, unit = said["which"], said["unit"]
    if which.endswith("past") or which in ("last", "previous"):
        # On Monday "last weekend" was yesterday; on Sunday "the past weekend" is not this one.
        return calendar_unit(unit, said.today, -1)
    if which in ("next", "following", "coming", "upcoming", "this coming"):
        is_now = unit == "weekend" and which != "next"
        return calendar_unit(unit, said.today, 0 if is_now else 1)
    if which in ("the", "this") and unit == "weekend" and said.tense != "future" and said.today.weekday() < 5:
        return calendar_unit(unit, said.today, -1 if which == "the" or said.tense == "past" else 0)
    return calendar_unit(unit, said.today, 0)


def read_weekday(said: Said) -> Days | None:
    number, which = {**WEEKDAYS, **SHORT_WEEKDAYS}[said["weekday"]], said["which"]
    back, ahead = (said.today.weekday() - number - 1) % 7 + 1, (number - said.today.weekday() - 1) % 7 + 1
    if which in ("last", "past", "previous", "this past"):
        return one_day(said.today - timedelta(days=back))
    if which in ("next", "coming", "this coming", "upcoming"):
        return one_day(said.today + timedelta(days=ahead))
    if which == "this":
        there = said.today + timedelta(days=number - said.today.weekday())
        if there >= said.today or said.tense == "past":
            return one_day(there)
        return one_day(said.today + timedelta(days=ahead))
    return one_day(
        said.today + timedelta(days=ahead) if said.tense == "future" else said.today - timedelta(days=back)
    )


def read_ago(said: Said) -> Days | None:
    unit, words = said["unit"].removesuffix("s"), said["number"]
    if unit == "day" and words in _VAGUE:
        return said.today - timedelta(days=6), said.today - timedelta(days=2)
    if said["half"] and unit == "year":
        there = said.today - relativedelta(months=12 * number_of(words) + 6)
        return whole_month(there.year, there.month)
    return counted_from(-number_of(words), unit, said.today)


def read_ahead(said: Said) -> Days | None:
    unit, words = said["unit"].removesuffix("s"), said["number"]
    if unit == "day" and words in _VAGUE:
        return said.today + timedelta(days=2), said.today + timedelta(days=6)
    return counted_from(number_of(words), unit, said.today)


def read_stretch(said: Said) -> Days | None:
    """ "The last three weeks", "for two years": up to today; "the next few days": from today."""
    unit, which = said["unit"].removesuffix("s"), said["which"]
    count = number_of(said["number"]) if said["number"] else 1
    steps = {
        "minute": relativedelta(),
        "hour": relativedelta(),
        "day": relativedelta(days=count),
        "week": relativedelta(weeks=count),
        "month": relativedelta(months=count),
        "year": relativedelta(years=count),
        "decade": relativedelta(years=10 * count),
    }[unit]
    if said["months"]:
        steps += relativedelta(months=number_of(said["months"]))
    if which in ("next", "coming") or (which == "for" and said.tense == "future"):
        return said.today, said.today + steps
    return said.today - steps, said.today


def read_season(said: Said) -> Days | None:
    start = _SEASONS[said["season"]]

    def season(year: int) -> Days:
        end = date(year, start, 1) + relativedelta(months=3, days=-1)
        return date(year, start, 1), end

    if said["year"]:
        return season(int(said["year"]))
    return yearly(season, said.today, said["which"], said.tense)


def read_holiday(said: Said) -> Days | None:
    day_in = HOLIDAYS[said["holiday"]]
    if said["year"]:
        return one_day(day_in(int(said["year"])))
    which = said["which"]
    return yearly(lambda year: one_day(day_in(year)), said.today, which, said.tense)


def read_decade(said: Said) -> Days | None:
    written = said["decade"]
    year = int(written) if len(written) == 4 else int(f"{19 if int(written) > 20 else 20}{written}")
    return date(year, 1, 1), date(year + 9, 12, 31)


def read_year(said: Said) -> Days | None:
    return whole_year(int(said["year"]))


def read_ordinal(said: Said) -> Days | None:
    day = int(said["day"])
    for away in range(12):
        there = said.today + relativedelta(months=away if said.tense == "future" else -away)
        if day <= calendar.monthrange(there.year, there.month)[1]:
            that = there.replace(day=day)
            if (that >= said.today) if said.tense == "future" else (that <= said.today):
                return one_day(that)
    return None


def read_other_day(said: Said) -> Days | None:
    return said.today - timedelta(days=7), said.today - timedelta(days=1)


def read_before_last(said: Said) -> Days | None:
    """ "The week before last", "the Friday before last"."""
    unit = said["unit"]
    if unit not in WEEKDAYS:
        return calendar_unit(unit, said.today, -2)
    back = (said.today.weekday() - WEEKDAYS[unit] - 1) % 7 + 1
    return one_day(said.today - timedelta(days=back + 7))


def read_weekdays_ago(said: Said) -> Days | None:
    """ "Two Saturdays ago"."""
    back = (said.today.weekday() - WEEKDAYS[said["weekday"]] - 1) % 7 + 1
    return one_day(said.today - timedelta(days=back + 7 * (number_of(said["number"]) - 1)))


def read_weekday_the(said: Said) -> Days | None:
    """ "Friday the 12th": the nearest day that is both."""
    wanted = int(said["day"]), WEEKDAYS[said["weekday"]]
    sides = (-1, 1) if said.tense != "future" else (1, -1)
    near = (said.today + timedelta(days=side * away) for away in range(366) for side in sides)
    return next((one_day(day) for day in near if (day.day, day.weekday()) == wanted), None)


_VAGUE = frozenset({"a couple", "a couple of", "couple of", "a few", "few", "several"})
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""First months of the meteorological seasons of the northern half, which most who write it mean."""
