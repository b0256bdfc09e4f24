"""What a time means that was told at a known time: one span of days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from mcp_memory.dates.forms import FORMS, Form, days_meant
from mcp_memory.dates.holidays import HOLIDAYS
from mcp_memory.dates.languages import days_in_other_words
from mcp_memory.dates.readings import Said
from mcp_memory.dates.spans import Days, Tense
from mcp_memory.dates.vocabulary import MONTHS, WEEKDAYS, either

MAX_EXPRESSION = 80
"""Characters of the longest words that are taken for one time."""


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
        days = days_meant(words, today, tense)
        if days is None and prepared:
            days = days_meant(words[prepared.end() :], today, tense)
        days = days or days_in_other_words(words, today, tense)
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
    for form in FORMS:
        for match in form.pattern.finditer(rest):
            if time_found := _time_found(form, match, rest, today, tense):
                found.append(time_found)
                # A mark that is no letter: what one form has read no other reads again.
                length = match.end() - match.start()
                rest = f"{rest[: match.start()]}{chr(0x1F) * length}{rest[match.end() :]}"
    return tuple(sorted(found, key=lambda one: one.start))


def _time_found(form: Form, match: re.Match[str], text: str, today: date, tense: Tense | None) -> Time | None:
    before = _PREPOSITION.search(text[max(0, match.start() - 24) : match.start()])
    preposition = before[1].lower() if before else ""
    if form.alone_is_doubtful and not preposition and not _STANDS_APART.match(text, match.end()):
        return None
    if _REPEATED.search(text[max(0, match.start() - 24) : match.start()]):
        return None
    try:
        if tense == "past" and preposition in _BEGINS:
            days = _nearest(form, match, today)
        else:
            days = form.read(Said(match, today, "past" if preposition == "since" else tense))
    except (OverflowError, ValueError):
        return None
    if days is None or (form.needs_preposition and not preposition):
        return None
    first, last = _instants(days)
    start = match.start() - (len(before[0]) if before else 0)
    # "20 May." ends a sentence; "20 Jan. 2023" does not end in its dot.
    expression = match.group().rstrip(".")
    return Time(first, last, expression, preposition, start, match.start() + len(expression))


def _nearest(form: Form, match: re.Match[str], today: date) -> Days | None:
    """The day from which something is so, before or after it is told: "from June 1st", said in May, is days
    ahead and not a year ago. Of two that are as near the one that is past."""
    past, ahead = (form.read(Said(match, today, tense)) for tense in ("past", "future"))
    if past is None or ahead is None:
        return past or ahead
    return ahead if ahead[0] - today < today - past[0] else past


def _day_of(moment: datetime) -> date:
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).date()


def _instants(days: Days) -> tuple[datetime, datetime]:
    return datetime.combine(days[0], time.min, UTC), datetime.combine(days[1], time.max, UTC)


_ANY_TIME = re.compile(
    r"\d|\b(?:ago|last|next|this|past|coming|upcoming|previous|for|in|today|tonight|yesterday|tomorrow"
    r"|other|weekend"
    rf"|spring|summer|autumn|winter|{either(MONTHS)}|{either(WEEKDAYS)}|{either(HOLIDAYS)})\b",
    re.IGNORECASE,
)
_PREPOSITIONS = (
    "since|until|till|by|before|after|from|starting|beginning|as of|in|on|at|during|around|about|over"
    "|throughout"
)
_BEGINS = frozenset({"from", "starting", "beginning", "as of"})
_PREPOSITION = re.compile(
    rf"(?<![\w-])({_PREPOSITIONS})(?: (?:early|late|mid|on|in|about|around|the))? $", re.IGNORECASE
)
_LEADING_PREPOSITION = re.compile(rf"({_PREPOSITIONS})(?: (?:on|in))? ", re.IGNORECASE)
_REPEATED = re.compile(r"(?<!\w)(?:every|each|most|on alternate)(?: other| single)? $", re.IGNORECASE)
_STANDS_APART = re.compile(
    r"\s*(?:[^\w\s]|$)"
    r"|\s(?:and|but|so|with|to|for|at|after|before|because|I|we|he|she|they|is|was|will)\b"
)
