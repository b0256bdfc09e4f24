"""The forms of English in which times are told, each with what it means: by itself, or told from another time
within it, as in "the week before Christmas"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from mcp_memory.dates.holidays import HOLIDAYS
from mcp_memory.dates.readings import (
    Said,
    read_ago,
    read_ahead,
    read_before_last,
    read_day,
    read_day_word,
    read_decade,
    read_holiday,
    read_iso,
    read_month,
    read_ordinal,
    read_other_day,
    read_season,
    read_stretch,
    read_weekday,
    read_weekday_the,
    read_weekdays_ago,
    read_which,
    read_year,
)
from mcp_memory.dates.spans import Days, Tense, calendar_unit, counted_from, just_after, just_before, one_day
from mcp_memory.dates.vocabulary import (
    COUNTS,
    MONTH,
    MONTHS,
    SHORT_WEEKDAYS,
    WEEKDAYS,
    YEAR,
    either,
    number_of,
)


def days_meant(words: str, today: date, tense: Tense | None) -> Days | None:
    """What words mean that are one time as a whole; None where no form fits them. Raises OverflowError and
    ValueError for a day that cannot be."""
    for form in FORMS:
        if match := form.pattern.fullmatch(words):
            return form.read(Said(match, today, tense))
    return None


_Reader = Callable[[Said], Days | None]


@dataclass(frozen=True, slots=True)
class Form:
    pattern: re.Pattern[str]
    read: _Reader
    needs_preposition: bool = False
    """In a sentence it is no time without one: "in May", but not "May I"."""
    alone_is_doubtful: bool = False
    """Without a preposition it is one only where no word follows: not in "Sunday school"."""


def _read_part(said: Said) -> Days | None:
    days = days_meant(said["base"], said.today, said.tense)
    if days is None:
        unit = said["base"].removeprefix("the ")
        days = calendar_unit(unit, said.today, 0) if unit in _UNITS else None
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


def _read_beside(said: Said) -> Days | None:
    """ "The week before 9 June 2023", "two days after Christmas", "the Friday before 8 May"."""
    base = days_meant(said["base"], said.today, said.tense)
    if base is None:
        return None
    unit, count = said["unit"].removesuffix("s"), said["number"]
    match said["side"]:
        case "of":
            return calendar_unit(unit, base[0], 0) if unit in ("week", "weekend") else None
        case "before":
            if count and unit in WEEKDAYS:
                return None
            return counted_from(-number_of(count), unit, base[0]) if count else just_before(unit, base[0])
        case _:
            if count and unit in WEEKDAYS:
                return None
            return counted_from(number_of(count), unit, base[1]) if count else just_after(unit, base[1])


def _read_first_of(said: Said) -> Days | None:
    """ "The first of April", "the first of the month", "the first of next month"."""
    base = days_meant(re.sub("^the", "this", said["base"]), said.today, said.tense)
    return None if base is None else one_day(base[0])


def _read_week_from(said: Said) -> Days | None:
    """ "A week from Friday"."""
    day = days_meant(said["base"], said.today, "future")
    return None if day is None else one_day(day[0] + timedelta(days=7))


def _read_place_in(said: Said) -> Days | None:
    """ "The first weekend of June", "the last Friday in May 2023"."""
    month = days_meant(said["base"], said.today, said.tense)
    if month is None:
        return None
    unit, place = said["unit"], _PLACES[said["place"]]
    weekday = {"week": 0, "weekend": 5, **WEEKDAYS}[unit]
    if place < 0:
        there = month[1] - timedelta(days=(month[1].weekday() - weekday) % 7)
    else:
        there = month[0] + timedelta(days=(weekday - month[0].weekday()) % 7 + 7 * place)
    length = {"week": 6, "weekend": 1}.get(unit, 0)
    return there, there + timedelta(days=length)


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
_N = rf"(?:\d{{1,4}}|{either(COUNTS)})"
_ANY_MONTH = rf"(?:{either(MONTHS)})\.?"
_ANY_WEEKDAY = rf"(?:{either(WEEKDAYS)})"
_WHICH = r"(?:this past|this coming|last|past|this|next|coming|upcoming|previous)"
_PART_OF_DAY = r"(?: (?:early |late )?(?:morning|afternoon|evening|night|noon))?"
_YEAR4 = r"(?:19|20)\d\d"
_ORDINAL_DAY = r"[0-3]?\d(?:st|nd|rd|th)?"
_ANY_HOLIDAY = rf"(?:{either(HOLIDAYS)})"
_ABSOLUTE = (
    rf"(?:{_YEAR4}-[01]?\d-[0-3]?\d|(?:the )?{_ORDINAL_DAY} (?:of )?{_ANY_MONTH}(?:,? {_YEAR4})?"
    rf"|{_ANY_MONTH} {_ORDINAL_DAY}(?:,? {_YEAR4})?|{_ANY_MONTH},? {_YEAR4}"
    rf"|(?:{_WHICH} )?{_ANY_HOLIDAY}(?: {_YEAR4})?|(?:last|next) {_ANY_WEEKDAY}|yesterday|tomorrow)"
)
_STRETCHED = r"(?P<unit>minute|hour|day|week|month|year|decade)s?"
_MEASURED = r"(?P<unit>minute|hour|day|night|week|fortnight|weekend|month|year|decade)s?"


def _form(pattern: str, read: _Reader, *, prepared: bool = False, doubtful: bool = False) -> Form:
    return Form(
        re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-]|'s\b)", re.IGNORECASE), read, prepared, doubtful
    )


FORMS = (
    _form(rf"the (?P<unit>week|weekend|month|year|{_ANY_WEEKDAY}) before last", read_before_last),
    _form(rf"(?P<number>{_N}) (?P<weekday>{_ANY_WEEKDAY})s ago", read_weekdays_ago),
    _form(rf"(?:the )?first of (?P<base>{_ANY_MONTH}|(?:the|this|next|last) (?:month|year))", _read_first_of),
    _form(rf"a week (?:from|on) (?P<base>{_ANY_WEEKDAY}|today|tomorrow)", _read_week_from),
    _form(rf"(?P<weekday>{_ANY_WEEKDAY}),? the (?P<day>[0-3]?\d)(?:st|nd|rd|th)", read_weekday_the),
    _form(
        rf"(?:the |(?P<number>{_N}) )?(?P<unit>(?:day|week|weekend|month|year)s?|{_ANY_WEEKDAY}) "
        rf"(?P<side>before|after|of) (?P<base>{_ABSOLUTE})",
        _read_beside,
    ),
    _form(
        rf"the (?P<place>{either(_PLACES)}) (?P<unit>week|weekend|{_ANY_WEEKDAY}) (?:of|in) "
        rf"(?P<base>{_ANY_MONTH}(?: {_YEAR4})?|(?:last|this|next) month)",
        _read_place_in,
    ),
    _form(
        rf"(?:the )?(?P<part>early|mid|late|beginning of|start of|middle of|end of)[- ]"
        rf"(?P<base>{_ANY_MONTH}(?:,? {_YEAR4})?|{_YEAR4}|(?:this|next|last) (?:week|month|year)"
        rf"|the (?:week|month|year)|(?:{_WHICH} )?(?:spring|summer|autumn|winter))",
        _read_part,
    ),
    _form(rf"(?P<y>{_YEAR4})[-/](?P<m>[01]?\d)[-/](?P<d>[0-3]?\d)", read_iso),
    _form(rf"(?:the )?(?P<day>[0-3]?\d)(?:st|nd|rd|th)? (?:of )?{MONTH}(?:,? {YEAR})?(?!\d)", read_day),
    _form(rf"{MONTH} (?:the )?(?P<day>[0-3]?\d)(?:st|nd|rd|th)?(?:,? {YEAR})?(?![\d:])", read_day),
    _form(rf"{MONTH}(?:,| of)? {YEAR}", read_month),
    _form(
        rf"the day (?:before yesterday|after tomorrow)|(?:earlier |late )?yesterday{_PART_OF_DAY}"
        rf"|tomorrow{_PART_OF_DAY}|last night|tonight|(?:earlier |later )?today"
        r"|(?:earlier |later )?this (?:morning|afternoon|evening)",
        read_day_word,
    ),
    _form(
        r"(?P<which>this past|this coming|last|past|this|next|coming|upcoming|previous|the following)"
        r" (?P<unit>week|weekend|month|year|decade)(?! (?:before|after))",
        read_which,
    ),
    _form(r"(?P<which>the) (?P<unit>weekend)(?! (?:before|after))", read_which, prepared=True),
    _form(
        rf"(?P<number>{_N}) {_MEASURED}(?P<half> and a half)? (?:or so )?(?:ago|back(?! (?:to|in|from|at)))",
        read_ago,
    ),
    _form(rf"in (?:about |around )?(?P<number>{_N}) {_MEASURED}(?:' time)?(?! (?:of|ago))", read_ahead),
    _form(rf"(?P<number>{_N}) {_MEASURED} from (?:now|today)", read_ahead),
    _form(
        rf"(?:for |over |in |during )?(?:the )?(?P<which>past|last|next|coming) (?P<number>{_N})"
        rf" {_STRETCHED}",
        read_stretch,
    ),
    _form(
        rf"(?P<which>for) (?:about |around |over |almost |nearly )?(?P<number>{_N}) {_STRETCHED}"
        rf"(?: and (?P<months>{_N}) months?)?(?: now)?"
        r"(?! (?:of|ago))",
        read_stretch,
    ),
    _form(
        rf"(?:(?P<which>{_WHICH}) )?(?P<holiday>{_ANY_HOLIDAY})(?:,? (?:of )?(?P<year>{_YEAR4}))?",
        read_holiday,
        doubtful=True,
    ),
    _form(
        rf"(?:(?P<which>{_WHICH}) |the (?:{_WHICH} )?)?(?P<season>spring|summer|autumn|winter)"
        rf"(?:,? (?:of )?(?P<year>{_YEAR4}))",
        read_season,
    ),
    _form(
        rf"(?P<which>{_WHICH}) (?P<season>spring|summer|autumn|fall|winter)(?P<year>)(?! (?:before|after))",
        read_season,
    ),
    _form(
        r"(?:the )?(?P<which>)(?P<season>spring|summer|autumn|winter)(?P<year>)",
        read_season,
        prepared=True,
        doubtful=True,
    ),
    _form(rf"(?P<which>{_WHICH}) {MONTH}", read_month),
    _form(
        rf"(?P<which>{_WHICH}) (?P<weekday>{_ANY_WEEKDAY}|{either(SHORT_WEEKDAYS)}){_PART_OF_DAY}",
        read_weekday,
    ),
    _form(rf"(?P<which>)(?P<weekday>{_ANY_WEEKDAY}){_PART_OF_DAY}", read_weekday, doubtful=True),
    _form(rf"{MONTH}(?! \d| (?:or|and|to|through) )", read_month, prepared=True, doubtful=True),
    _form(r"(?:the )?(?P<decade>(?:19|20)\d0|[1-9]0)'?s", read_decade, prepared=True),
    _form(rf"(?:the year )?{YEAR}", read_year, prepared=True),
    # "On the 3rd I moved", but not "on the 3rd floor".
    _form(
        r"the (?P<day>[0-3]?\d)(?:st|nd|rd|th)"
        r"(?! (?!(?:I|we|you|he|she|they|it|my|our|and|but|so|to|at|in|with|for)\b)\w)",
        read_ordinal,
        prepared=True,
    ),
    _form(r"the other (?:day|night)", read_other_day),
)
