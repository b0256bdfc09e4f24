"""Dates that are named: "in May 2023", "last week", "on 8 May", "two months ago".

`dates_in` reads a question, which may mean any year; `resolve` and `times_in` read what was said at a known
time, and mean one span of days.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta

Tense = Literal["past", "future"]
"""Which way a time lies that its words leave open: "on Friday", "in May"."""
MAX_EXPRESSION = 80
"""Characters of the longest words that are taken for one time."""


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
_SHORT_DAYS = {
    "mon": 0,
    "tue": 1,
    "tues": 1,
    "wed": 2,
    "thu": 3,
    "thur": 3,
    "thurs": 3,
    "fri": 4,
    "sat": 5,
    "sun": 6,
}
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
    rf"\b(?:(?P<word>{'|'.join(sorted(_DAYS_AGO, key=len, reverse=True))})"
    rf"|(?P<which>last|past|this) (?P<unit>week|month|year|weekend)"
    rf"|(?P<at>last|this|on(?: this| the)?) (?P<weekday>{'|'.join(_DAYS)})"
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
    rf"\blast (?:{_MONTH}(?: (?:the )?{_DAY}|(?! (?:the )?\d))"
    rf"|{_DAY.replace('day', 'before')} (?:of )?{_MONTH.replace('month', 'after')})(?!,? \d{{4}})(?!\w)",
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
            month = _MONTHS.get((parts.get("month") or "").lower()) or _number(parts.get("m"))
            yield Dates(_number(parts.get("year")), month, _number(parts.get("day") or parts.get("d")))
        # What one form has read no other reads again: "8 May 2023" names no year by itself.
        rest = form.sub(" ", rest)


def _last_months(text: str, today: date) -> Iterator[Dates]:
    for match in _LAST_MONTH.finditer(text):
        month = _MONTHS[(match["month"] or match["after"]).lower()]
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
        back = (today.weekday() - _DAYS[weekday.lower()] - least) % 7 + least
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


@dataclass(frozen=True, slots=True)
class Time:
    """A time that a sentence names, and where it stands there."""

    first: datetime
    last: datetime
    """First and last instant, UTC, of whole days."""
    expression: str
    """The words without their preposition."""
    preposition: str
    """`since`, `until`, `in` and the like, lower case; empty where there is none."""
    start: int
    end: int
    """Of the characters, with the preposition."""


def resolve(
    expression: str, observed_at: datetime, tense: Tense | None = None
) -> tuple[datetime, datetime] | None:
    """First and last instant (UTC, whole days) of what a time expression means, said at `observed_at`.

    English by our own forms, other languages by `dateparser`. `tense` decides what the words leave open,
    past where it is None. None for what is no time, or lies outside the years 1 to 9999.
    """
    words = " ".join(expression.split()).strip(" .,;:!?").replace("’", "'")
    if not words or len(words) > MAX_EXPRESSION:
        return None
    today = _day_of(observed_at)
    prepared = _LEADING_PREPOSITION.match(words)
    preposition = prepared[1].lower() if prepared else ""
    tense = "past" if preposition == "since" else tense
    try:
        days = _days(words, today, tense)
        if days is None and prepared:
            days = _days(words[prepared.end() :], today, tense)
        days = days or _days_in_other_words(words, today, tense)
    except (OverflowError, ValueError):
        return None
    if days is None:
        return None
    if preposition == "since":
        days = (min(days[0], today), today)
    return _instants(days)


def times_in(text: str, observed_at: datetime, tense: Tense | None = None) -> tuple[Time, ...]:
    """The times that an English sentence names, in order, none inside another."""
    if not _ANY_TIME.search(text):
        return ()
    today = _day_of(observed_at)
    rest, found = text.replace("’", "'"), list[Time]()
    for form in _FORMS:
        for match in form.pattern.finditer(rest):
            if time_found := _time_found(form, match, rest, today, tense):
                found.append(time_found)
                # A mark that is no letter: what one form has read no other reads again.
                length = match.end() - match.start()
                rest = f"{rest[: match.start()]}{chr(0x1F) * length}{rest[match.end() :]}"
    return tuple(sorted(found, key=lambda one: one.start))


def _time_found(
    form: _Form, match: re.Match[str], text: str, today: date, tense: Tense | None
) -> Time | None:
    before = _PREPOSITION.search(text[max(0, match.start() - 24) : match.start()])
    preposition = before[1].lower() if before else ""
    if form.alone_is_doubtful and not preposition and not _STANDS_APART.match(text, match.end()):
        return None
    if _REPEATED.search(text[max(0, match.start() - 24) : match.start()]):
        return None
    try:
        days = form.read(_Said(match, today, "past" if preposition == "since" else tense))
    except (OverflowError, ValueError):
        return None
    if days is None or (form.needs_preposition and not preposition):
        return None
    first, last = _instants(days)
    start = match.start() - (len(before[0]) if before else 0)
    # "20 May." ends a sentence; "20 Jan. 2023" does not end in its dot.
    expression = match.group().rstrip(".")
    return Time(first, last, expression, preposition, start, match.start() + len(expression))


def _day_of(moment: datetime) -> date:
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).date()


def _instants(days: _Days) -> tuple[datetime, datetime]:
    return datetime.combine(days[0], time.min, UTC), datetime.combine(days[1], time.max, UTC)


def _days(words: str, today: date, tense: Tense | None) -> _Days | None:
    for form in _FORMS:
        if match := form.pattern.fullmatch(words):
            return form.read(_Said(match, today, tense))
    return None


_Days = tuple[date, date]


@dataclass(frozen=True, slots=True)
class _Said:
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


_Reader = Callable[[_Said], _Days | None]


@dataclass(frozen=True, slots=True)
class _Form:
    pattern: re.Pattern[str]
    read: _Reader
    needs_preposition: bool = False
    """In a sentence it is no time without one: "in May", but not "May I"."""
    alone_is_doubtful: bool = False
    """Without a preposition it is one only where no word follows: not in "Sunday school"."""


def _whole_month(year: int, month: int) -> _Days:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _whole_year(year: int) -> _Days:
    return date(year, 1, 1), date(year, 12, 31)


def _whole_week(day: date) -> _Days:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)


def _one_day(day: date) -> _Days:
    return day, day


def _count(text: str) -> int:
    word = " ".join(text.lower().split())
    return _COUNTS.get(word) or int(word)


def _yearly(spans: Callable[[int], _Days], today: date, which: str, tense: Tense | None) -> _Days:
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


def _read_iso(said: _Said) -> _Days | None:
    return _one_day(date(int(said["y"]), int(said["m"]), int(said["d"])))


def _read_day(said: _Said) -> _Days | None:
    month, day = _MONTHS[said["month"]], int(said["day"])
    if said["year"]:
        return _one_day(date(int(said["year"]), month, day))
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
                return _one_day(there)
    return None


def _read_month(said: _Said) -> _Days | None:
    month = _MONTHS[said["month"]]
    if year := said["year"]:
        return _whole_month(int(year), month)
    which = said["which"]
    return _yearly(lambda year: _whole_month(year, month), said.today, which, said.tense)


def _read_part(said: _Said) -> _Days | None:
    days = _days(said["base"], said.today, said.tense)
    if days is None:
        unit = said["base"].removeprefix("the ")
        days = _units(unit, said.today, 0) if unit in _UNITS else None
    if days is None:
        return None
    third = timedelta(days=(days[1] - days[0]).days // 3)
    match said["part"].removesuffix(" of").rstrip("- "):
        case "early" | "beginning" | "start":
            return days[0], days[0] + third
        case "mid" | "middle":
            return days[0] + third, days[1] - third
        case _:
            return days[1] - third, days[1]


def _read_beside(said: _Said) -> _Days | None:
    """ "The week before 9 June 2023", "two days after Christmas", "the Friday before 8 May"."""
    base = _days(said["base"], said.today, said.tense)
    if base is None:
        return None
    unit, count = said["unit"].removesuffix("s"), said["number"]
    match said["side"]:
        case "of":
            return _units(unit, base[0], 0) if unit in ("week", "weekend") else None
        case "before":
            if count and unit in _DAYS:
                return None
            return _away(-_count(count), unit, base[0]) if count else _just_before(unit, base[0])
        case _:
            if count and unit in _DAYS:
                return None
            return _away(_count(count), unit, base[1]) if count else _just_after(unit, base[1])


def _just_before(unit: str, day: date) -> _Days | None:
    if unit == "week":
        return day - timedelta(days=7), day - timedelta(days=1)
    if unit == "weekend":
        sunday = day - timedelta(days=day.weekday() + 1)
        return sunday - timedelta(days=1), sunday
    if unit in _DAYS:
        return _one_day(day - timedelta(days=(day.weekday() - _DAYS[unit] - 1) % 7 + 1))
    return _units(unit, day, -1)


def _just_after(unit: str, day: date) -> _Days | None:
    if unit == "week":
        return day + timedelta(days=1), day + timedelta(days=7)
    if unit == "weekend":
        saturday = day + timedelta(days=(5 - day.weekday() - 1) % 7 + 1)
        return saturday, saturday + timedelta(days=1)
    if unit in _DAYS:
        return _one_day(day + timedelta(days=(_DAYS[unit] - day.weekday() - 1) % 7 + 1))
    return _units(unit, day, 1)


def _units(unit: str, day: date, away: int) -> _Days | None:
    """The calendar unit `away` from that of `day`: last week is the week -1 away."""
    match unit:
        case "day":
            return _one_day(day + timedelta(days=away))
        case "week":
            return _whole_week(day + timedelta(weeks=away))
        case "weekend":
            monday, sunday = _whole_week(day + timedelta(weeks=away))
            return monday + timedelta(days=5), sunday
        case "month":
            there = day + relativedelta(months=away)
            return _whole_month(there.year, there.month)
        case "year":
            return _whole_year(day.year + away)
        case "decade":
            return date(day.year // 10 * 10 + 10 * away, 1, 1), date(
                day.year // 10 * 10 + 10 * away + 9, 12, 31
            )
        case _:
            return None


def _away(count: int, unit: str, day: date) -> _Days | None:
    """So many units from a day: the day itself, or the whole month or year, for so people round."""
    match unit:
        case "minute" | "hour":
            return _one_day(day)
        case "day" | "night":
            return _one_day(day + timedelta(days=count))
        case "week" | "fortnight":
            return _one_day(day + timedelta(weeks=count * (1 + (unit == "fortnight"))))
        case "weekend":
            return _units("weekend", day, count)
        case "month":
            return _units("month", day, count)
        case "decade":
            return _whole_year(day.year + 10 * count)
        case _:
            return _whole_year(day.year + count)


def _read_day_word(said: _Said) -> _Days | None:
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
    return _one_day(said.today + timedelta(days=away))


def _read_which(said: _Said) -> _Days | None:
    which, unit = said["which"], said["unit"]
    if which.endswith("past") or which in ("last", "previous"):
        # On Monday "last weekend" was yesterday; on Sunday "the past weekend" is not this one.
        return _units(unit, said.today, -1)
    if which in ("next", "following", "coming", "upcoming", "this coming"):
        is_now = unit == "weekend" and which != "next"
        return _units(unit, said.today, 0 if is_now else 1)
    if which in ("the", "this") and unit == "weekend" and said.tense != "future" and said.today.weekday() < 5:
        return _units(unit, said.today, -1 if which == "the" or said.tense == "past" else 0)
    return _units(unit, said.today, 0)


def _read_weekday(said: _Said) -> _Days | None:
    number, which = {**_DAYS, **_SHORT_DAYS}[said["weekday"]], said["which"]
    back, ahead = (said.today.weekday() - number - 1) % 7 + 1, (number - said.today.weekday() - 1) % 7 + 1
    if which in ("last", "past", "previous", "this past"):
        return _one_day(said.today - timedelta(days=back))
    if which in ("next", "coming", "this coming", "upcoming"):
        return _one_day(said.today + timedelta(days=ahead))
    if which == "this":
        there = said.today + timedelta(days=number - said.today.weekday())
        if there >= said.today or said.tense == "past":
            return _one_day(there)
        return _one_day(said.today + timedelta(days=ahead))
    return _one_day(
        said.today + timedelta(days=ahead) if said.tense == "future" else said.today - timedelta(days=back)
    )


def _read_ago(said: _Said) -> _Days | None:
    unit, words = said["unit"].removesuffix("s"), said["number"]
    if unit == "day" and words in _VAGUE:
        return said.today - timedelta(days=6), said.today - timedelta(days=2)
    if said["half"] and unit == "year":
        there = said.today - relativedelta(months=12 * _count(words) + 6)
        return _whole_month(there.year, there.month)
    return _away(-_count(words), unit, said.today)


def _read_ahead(said: _Said) -> _Days | None:
    unit, words = said["unit"].removesuffix("s"), said["number"]
    if unit == "day" and words in _VAGUE:
        return said.today + timedelta(days=2), said.today + timedelta(days=6)
    return _away(_count(words), unit, said.today)


def _read_stretch(said: _Said) -> _Days | None:
    """ "The last three weeks", "for two years": up to today; "the next few days": from today."""
    unit, which = said["unit"].removesuffix("s"), said["which"]
    count = _count(said["number"]) if said["number"] else 1
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
        steps += relativedelta(months=_count(said["months"]))
    if which in ("next", "coming") or (which == "for" and said.tense == "future"):
        return said.today, said.today + steps
    return said.today - steps, said.today


def _read_season(said: _Said) -> _Days | None:
    start = _SEASONS[said["season"]]

    def season(year: int) -> _Days:
        end = date(year, start, 1) + relativedelta(months=3, days=-1)
        return date(year, start, 1), end

    if said["year"]:
        return season(int(said["year"]))
    return _yearly(season, said.today, said["which"], said.tense)


def _read_holiday(said: _Said) -> _Days | None:
    day_in = _HOLIDAYS[said["holiday"]]
    if said["year"]:
        return _one_day(day_in(int(said["year"])))
    which = said["which"]
    return _yearly(lambda year: _one_day(day_in(year)), said.today, which, said.tense)


def _read_decade(said: _Said) -> _Days | None:
    written = said["decade"]
    year = int(written) if len(written) == 4 else int(f"{19 if int(written) > 20 else 20}{written}")
    return date(year, 1, 1), date(year + 9, 12, 31)


def _read_year(said: _Said) -> _Days | None:
    return _whole_year(int(said["year"]))


def _read_ordinal(said: _Said) -> _Days | None:
    day = int(said["day"])
    for away in range(12):
        there = said.today + relativedelta(months=away if said.tense == "future" else -away)
        if day <= calendar.monthrange(there.year, there.month)[1]:
            that = there.replace(day=day)
            if (that >= said.today) if said.tense == "future" else (that <= said.today):
                return _one_day(that)
    return None


def _read_other_day(said: _Said) -> _Days | None:
    return said.today - timedelta(days=7), said.today - timedelta(days=1)


def _read_before_last(said: _Said) -> _Days | None:
    """ "The week before last", "the Friday before last"."""
    unit = said["unit"]
    if unit not in _DAYS:
        return _units(unit, said.today, -2)
    back = (said.today.weekday() - _DAYS[unit] - 1) % 7 + 1
    return _one_day(said.today - timedelta(days=back + 7))


def _read_weekdays_ago(said: _Said) -> _Days | None:
    """ "Two Saturdays ago"."""
    back = (said.today.weekday() - _DAYS[said["weekday"]] - 1) % 7 + 1
    return _one_day(said.today - timedelta(days=back + 7 * (_count(said["number"]) - 1)))


def _read_first_of(said: _Said) -> _Days | None:
    """ "The first of April", "the first of the month", "the first of next month"."""
    base = _days(re.sub("^the", "this", said["base"]), said.today, said.tense)
    return None if base is None else _one_day(base[0])


def _read_week_from(said: _Said) -> _Days | None:
    """ "A week from Friday"."""
    day = _days(said["base"], said.today, "future")
    return None if day is None else _one_day(day[0] + timedelta(days=7))


def _read_weekday_the(said: _Said) -> _Days | None:
    """ "Friday the 12th": the nearest day that is both."""
    wanted = int(said["day"]), _DAYS[said["weekday"]]
    sides = (-1, 1) if said.tense != "future" else (1, -1)
    near = (said.today + timedelta(days=side * away) for away in range(366) for side in sides)
    return next((_one_day(day) for day in near if (day.day, day.weekday()) == wanted), None)


def _read_place_in(said: _Said) -> _Days | None:
    """ "The first weekend of June", "the last Friday in May 2023"."""
    month = _days(said["base"], said.today, said.tense)
    if month is None:
        return None
    unit, place = said["unit"], _PLACES[said["place"]]
    weekday = {"week": 0, "weekend": 5, **_DAYS}[unit]
    if place < 0:
        there = month[1] - timedelta(days=(month[1].weekday() - weekday) % 7)
    else:
        there = month[0] + timedelta(days=(weekday - month[0].weekday()) % 7 + 7 * place)
    length = {"week": 6, "weekend": 1}.get(unit, 0)
    return there, there + timedelta(days=length)


def _weekday_in(year: int, month: int, weekday: int, place: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * place)


_COUNTS = {
    word: number
    for number, word in enumerate(
        """
        one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty
        """.split(),
        start=1,
    )
} | {"a": 1, "an": 1, "a couple": 2, "a couple of": 2, "couple of": 2, "a few": 3, "few": 3, "several": 3}
_VAGUE = frozenset({"a couple", "a couple of", "couple of", "a few", "few", "several"})
_UNITS = frozenset({"day", "week", "weekend", "month", "year", "decade"})
_PLACES = {
    "first": 0,
    "1st": 0,
    "second": 1,
    "2nd": 1,
    "third": 2,
    "3rd": 2,
    "fourth": 3,
    "4th": 3,
    "last": -1,
}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""First months of the meteorological seasons of the northern half, which most who write it mean."""
_HOLIDAYS: dict[str, Callable[[int], date]] = {
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


def _either(words: Any) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_N = rf"(?:\d{{1,4}}|{_either(_COUNTS)})"
_ANY_MONTH = rf"(?:{_either(_MONTHS)})\.?"
_ANY_WEEKDAY = rf"(?:{_either(_DAYS)})"
_WHICH = r"(?:this past|this coming|last|past|this|next|coming|upcoming|previous)"
_PART_OF_DAY = r"(?: (?:early |late )?(?:morning|afternoon|evening|night|noon))?"
_YEAR4 = r"(?:19|20)\d\d"
_ORDINAL_DAY = r"[0-3]?\d(?:st|nd|rd|th)?"
_ANY_HOLIDAY = rf"(?:{_either(_HOLIDAYS)})"
_ABSOLUTE = (
    rf"(?:{_YEAR4}-[01]?\d-[0-3]?\d|(?:the )?{_ORDINAL_DAY} (?:of )?{_ANY_MONTH}(?:,? {_YEAR4})?"
    rf"|{_ANY_MONTH} {_ORDINAL_DAY}(?:,? {_YEAR4})?|{_ANY_MONTH},? {_YEAR4}"
    rf"|(?:{_WHICH} )?{_ANY_HOLIDAY}(?: {_YEAR4})?|(?:last|next) {_ANY_WEEKDAY}|yesterday|tomorrow)"
)
_STRETCHED = r"(?P<unit>minute|hour|day|week|month|year|decade)s?"
_MEASURED = r"(?P<unit>minute|hour|day|night|week|fortnight|weekend|month|year|decade)s?"


def _form(pattern: str, read: _Reader, *, prepared: bool = False, doubtful: bool = False) -> _Form:
    return _Form(
        re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-]|'s\b)", re.IGNORECASE), read, prepared, doubtful
    )


_FORMS = (
    _form(rf"the (?P<unit>week|weekend|month|year|{_ANY_WEEKDAY}) before last", _read_before_last),
    _form(rf"(?P<number>{_N}) (?P<weekday>{_ANY_WEEKDAY})s ago", _read_weekdays_ago),
    _form(rf"(?:the )?first of (?P<base>{_ANY_MONTH}|(?:the|this|next|last) (?:month|year))", _read_first_of),
    _form(rf"a week (?:from|on) (?P<base>{_ANY_WEEKDAY}|today|tomorrow)", _read_week_from),
    _form(rf"(?P<weekday>{_ANY_WEEKDAY}),? the (?P<day>[0-3]?\d)(?:st|nd|rd|th)", _read_weekday_the),
    _form(
        rf"(?:the |(?P<number>{_N}) )?(?P<unit>(?:day|week|weekend|month|year)s?|{_ANY_WEEKDAY}) "
        rf"(?P<side>before|after|of) (?P<base>{_ABSOLUTE})",
        _read_beside,
    ),
    _form(
        rf"the (?P<place>{_either(_PLACES)}) (?P<unit>week|weekend|{_ANY_WEEKDAY}) (?:of|in) "
        rf"(?P<base>{_ANY_MONTH}(?: {_YEAR4})?|(?:last|this|next) month)",
        _read_place_in,
    ),
    _form(
        rf"(?:the )?(?P<part>early|mid|late|beginning of|start of|middle of|end of)[- ]"
        rf"(?P<base>{_ANY_MONTH}(?:,? {_YEAR4})?|{_YEAR4}|(?:this|next|last) (?:week|month|year)"
        rf"|the (?:week|month|year)|(?:{_WHICH} )?(?:spring|summer|autumn|winter))",
        _read_part,
    ),
    _form(rf"(?P<y>{_YEAR4})[-/](?P<m>[01]?\d)[-/](?P<d>[0-3]?\d)", _read_iso),
    _form(rf"(?:the )?(?P<day>[0-3]?\d)(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? {_YEAR})?(?!\d)", _read_day),
    _form(rf"{_MONTH} (?:the )?(?P<day>[0-3]?\d)(?:st|nd|rd|th)?(?:,? {_YEAR})?(?![\d:])", _read_day),
    _form(rf"{_MONTH}(?:,| of)? {_YEAR}", _read_month),
    _form(
        rf"the day (?:before yesterday|after tomorrow)|(?:earlier |late )?yesterday{_PART_OF_DAY}"
        rf"|tomorrow{_PART_OF_DAY}|last night|tonight|(?:earlier |later )?today"
        r"|(?:earlier |later )?this (?:morning|afternoon|evening)",
        _read_day_word,
    ),
    _form(
        r"(?P<which>this past|this coming|last|past|this|next|coming|upcoming|previous|the following)"
        r" (?P<unit>week|weekend|month|year|decade)(?! (?:before|after))",
        _read_which,
    ),
    _form(r"(?P<which>the) (?P<unit>weekend)(?! (?:before|after))", _read_which, prepared=True),
    _form(
        rf"(?P<number>{_N}) {_MEASURED}(?P<half> and a half)? (?:or so )?(?:ago|back(?! (?:to|in|from|at)))",
        _read_ago,
    ),
    _form(rf"in (?:about |around )?(?P<number>{_N}) {_MEASURED}(?:' time)?(?! (?:of|ago))", _read_ahead),
    _form(rf"(?P<number>{_N}) {_MEASURED} from (?:now|today)", _read_ahead),
    _form(
        rf"(?:for |over |in |during )?(?:the )?(?P<which>past|last|next|coming) (?P<number>{_N})"
        rf" {_STRETCHED}",
        _read_stretch,
    ),
    _form(
        rf"(?P<which>for) (?:about |around |over |almost |nearly )?(?P<number>{_N}) {_STRETCHED}"
        rf"(?: and (?P<months>{_N}) months?)?(?: now)?"
        r"(?! (?:of|ago))",
        _read_stretch,
    ),
    _form(
        rf"(?:(?P<which>{_WHICH}) )?(?P<holiday>{_ANY_HOLIDAY})(?:,? (?:of )?(?P<year>{_YEAR4}))?",
        _read_holiday,
        doubtful=True,
    ),
    _form(
        rf"(?:(?P<which>{_WHICH}) |the (?:{_WHICH} )?)?(?P<season>spring|summer|autumn|winter)"
        rf"(?:,? (?:of )?(?P<year>{_YEAR4}))",
        _read_season,
    ),
    _form(
        rf"(?P<which>{_WHICH}) (?P<season>spring|summer|autumn|fall|winter)(?P<year>)(?! (?:before|after))",
        _read_season,
    ),
    _form(
        r"(?:the )?(?P<which>)(?P<season>spring|summer|autumn|winter)(?P<year>)",
        _read_season,
        prepared=True,
        doubtful=True,
    ),
    _form(rf"(?P<which>{_WHICH}) {_MONTH}", _read_month),
    _form(
        rf"(?P<which>{_WHICH}) (?P<weekday>{_ANY_WEEKDAY}|{_either(_SHORT_DAYS)}){_PART_OF_DAY}",
        _read_weekday,
    ),
    _form(rf"(?P<which>)(?P<weekday>{_ANY_WEEKDAY}){_PART_OF_DAY}", _read_weekday, doubtful=True),
    _form(rf"{_MONTH}(?! \d| (?:or|and|to|through) )", _read_month, prepared=True, doubtful=True),
    _form(r"(?:the )?(?P<decade>(?:19|20)\d0|[1-9]0)'?s", _read_decade, prepared=True),
    _form(rf"(?:the year )?{_YEAR}", _read_year, prepared=True),
    _form(r"the (?P<day>[0-3]?\d)(?:st|nd|rd|th)(?! (?:of|\w+))", _read_ordinal, prepared=True),
    _form(r"the other (?:day|night)", _read_other_day),
)
_ANY_TIME = re.compile(
    r"\d|\b(?:ago|last|next|this|past|coming|upcoming|previous|for|in|today|tonight|yesterday|tomorrow"
    r"|other|weekend"
    rf"|spring|summer|autumn|winter|{_either(_MONTHS)}|{_either(_DAYS)}|{_either(_HOLIDAYS)})\b",
    re.IGNORECASE,
)
_PREPOSITIONS = (
    "since|until|till|by|before|after|from|starting|beginning|as of|in|on|at|during|around|about|over"
    "|throughout"
)
_PREPOSITION = re.compile(
    rf"(?<![\w-])({_PREPOSITIONS})(?: (?:early|late|mid|on|in|about|around|the))? $", re.IGNORECASE
)
_LEADING_PREPOSITION = re.compile(rf"({_PREPOSITIONS})(?: (?:on|in))? ", re.IGNORECASE)
_REPEATED = re.compile(r"(?<!\w)(?:every|each|most|on alternate)(?: other| single)? $", re.IGNORECASE)
_STANDS_APART = re.compile(
    r"\s*(?:[^\w\s]|$)"
    r"|\s(?:and|but|so|with|to|for|at|after|before|because|I|we|he|she|they|is|was|will)\b"
)


_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "ru", "uk", "tr", "ja", "zh", "ko")
"""Whose times are understood through `dateparser`: with all of its 200 one first call took 2.9 s, and it
sees dates where there are none."""


def _days_in_other_words(words: str, today: date, tense: Tense | None) -> _Days | None:
    if not _PERHAPS_A_TIME.search(words):
        return None
    # Importing it takes 0.2 s, and most of what is said names its times in our own forms.
    from dateparser.date import DateDataParser

    parser = DateDataParser(
        languages=list(_LANGUAGES),
        settings={
            "RELATIVE_BASE": datetime.combine(today, time(12)),
            "PREFER_DATES_FROM": tense or "past",
            "RETURN_AS_TIMEZONE_AWARE": False,
        },
    )
    found = parser.get_date_data(words)
    if found.date_obj is None:
        return None
    day = found.date_obj.date()
    match found.period:
        case "year":
            return _whole_year(day.year)
        case "month":
            return _whole_month(day.year, day.month)
        case _:
            return _one_day(day)


_PERHAPS_A_TIME = re.compile(r"[^\W\d_]{2}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
