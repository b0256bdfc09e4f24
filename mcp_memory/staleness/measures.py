"""Numbers, amounts, days and times in a sentence, with what they are a number of; and diets, which are told
in one word of few."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mcp_memory.words import FUNCTION_WORDS, stems

BEFORE, BEHIND = 3, 3
"""Words before and behind a number among which stands what is counted: "20 more titles", "episode 10"."""

_CARDINALS = {
    word: str(number)
    for number, word in enumerate(
        """
        zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty
        """.split()
    )
}
_ORDINALS = {
    word: str(number)
    for number, word in enumerate(
        "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(), 3
    )
}
_NUMBERS = {
    **_CARDINALS,
    **_ORDINALS,
    **{"once": "1", "twice": "2", "thrice": "3", "dozen": "12", "every": "1"},
    **{
        "thirty": "30",
        "forty": "40",
        "fifty": "50",
        "sixty": "60",
        "seventy": "70",
        "eighty": "80",
        "ninety": "90",
    },
}
_TIMES = frozenset(("once", "twice", "thrice"))
_WEEKDAYS = {
    form: day
    for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    for form in (day, f"{day}s")
}
_MONTHS = {
    form: name[:3]
    for name in (
        "january february march april may june july august september october november december".split()
    )
    for form in (name, name[:3])
} | {"sept": "sep"}
CALENDAR = frozenset((*_WEEKDAYS, *_MONTHS))
"""Days and months, which are written with a capital and are nobody's names."""
SPANS = frozenset("minut hour day week month year time".split())
"""Stems of times, of which there are so many that a number of them says little."""
_HOURS = frozenset(map(str, range(1, 13)))
_MOVED = frozenset(
    "move moves moved moving push pushed pushing shift shifted bring brought rescheduled postponed".split()
)
_PASSING = frozenset(("last", "next", "this", "past"))
"""Before a weekday: then it is one day, and not the day on which something always is."""
_DIETS = {
    form: name
    for name in ("vegetarian", "vegan", "pescatarian", "flexitarian", "omnivore", "keto", "paleo")
    for form in (name, f"{name}s")
}
COUNTING = frozenset((*_NUMBERS, *_WEEKDAYS, *_DIETS))
"""Words that are measures though they have no digit."""

_HOLDING = frozenset(
    """
    have has had having i've we've own owns owned owning keep keeps kept is are am i'm we're was were hold
    holds held got reached raised increased lowered reduced doubled tripled moved changed switched dropped
    upgraded
    adopted need needs needed used
    """.split()
)
_DOING = frozenset(
    """
    saw bought met fed ate drank heard took gave sold made drew wrote found lost caught sent won ran drove
    flew told built
    """.split()
)
"""What there is, and what was done once: only the second is a number of something else than the first."""
_DONE = re.compile(r"[a-z]{3,}ed")
_DIGITS = re.compile(r"[$£€]?v?(\d[\d,]*(?:[.:]\d+)*)(.*)", re.DOTALL)
_ORDINAL_ENDS = frozenset(("st", "nd", "rd", "th"))


MeasureKind = Literal["count", "money", "clock", "date", "weekday", "diet"]
MEASURED_BY: Mapping[str, frozenset[MeasureKind]] = {
    **dict.fromkeys(("when", "date", "dates", "day", "days"), frozenset[MeasureKind](("date", "weekday"))),
    **dict.fromkeys(("time", "times"), frozenset[MeasureKind](("clock",))),
    **dict.fromkeys(("price", "cost", "costs", "fee"), frozenset[MeasureKind](("money",))),
    "diet": frozenset[MeasureKind](("diet",)),
}
"""By word of a question, the kinds of measures that answer it."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A value of a kind. `of` are the stems of the words beside a count, which say what is counted."""

    kind: MeasureKind
    value: str
    of: frozenset[str] = frozenset()
    by: str = ""
    """The stem of the verb before a count that tells of a deed, and not of what there is: "saw 8 cats"."""

    @property
    def counts_time(self) -> bool:
        """Whether nothing but time is counted: "for six months"."""
        return self.of <= SPANS

    def differs(self, other: Measure) -> bool:
        """Whether it is another value of what may be the same thing."""
        if self.kind != other.kind or self.value == other.value:
            return False
        return self.kind != "count" or (self.by == other.by and not self.of.isdisjoint(other.of))


def measures(words: Sequence[str]) -> Iterator[Measure]:
    """The measures among the words of a sentence, which are folded."""
    for place, word in enumerate(words):
        if word in COUNTING:
            yield from _named(words, place)
        elif not word[0].isalpha():
            yield from _written(words, place)


def _written(words: Sequence[str], place: int) -> Iterator[Measure]:
    """A measure with digits."""
    word = words[place]
    read = _DIGITS.match(word)
    if read is None:
        return
    digits, unit = read[1].replace(",", ""), read[2]
    if word[0] in "$£€":
        yield Measure("money", digits)
    elif _is_clock(words, place, digits, unit):
        yield Measure("clock", digits)
    elif month := next((_MONTHS[one] for one in _beside(words, place, 2) if one in _MONTHS), None):
        yield Measure("date", f"{month} {digits}")
    elif not (len(digits) == 4 and digits.startswith(("19", "20")) and not unit):
        # A number of four digits alone is a year more often than anything else.
        units = {unit} - {""} - _ORDINAL_ENDS
        yield from _count(digits, units, words, place)


def _is_clock(words: Sequence[str], place: int, digits: str, unit: str) -> bool:
    if ":" in digits or unit in ("am", "pm") or words[place + 1 : place + 2] in (["am"], ["pm"]):
        return True
    return not unit and _is_hour(words, place, digits)


def _is_hour(words: Sequence[str], place: int, digits: str) -> bool:
    """Whether a bare number is an hour to which something is moved: "we moved the call to 10"."""
    ends = not any(map(_is_content, words[place + 1 : place + 2]))
    is_to = place > 0 and words[place - 1] in ("to", "until", "till")
    return ends and is_to and digits in _HOURS and not _MOVED.isdisjoint(words[:place])


def _named(words: Sequence[str], place: int) -> Iterator[Measure]:
    """A measure in words."""
    word = words[place]
    if word in _WEEKDAYS:
        if place == 0 or words[place - 1] not in _PASSING:
            yield Measure("weekday", _WEEKDAYS[word])
        return
    if word in _DIETS:
        yield Measure("diet", _DIETS[word])
        return
    if word in _TIMES:
        yield Measure("count", _NUMBERS[word], frozenset(("time",)))
        return
    if word in ("one", "every"):
        # "One" alone is a pronoun, and "every" tells how often only before a time.
        following = [stem for one in words[place + 1 : place + 2] for stem in stems(one)]
        if not SPANS.isdisjoint(following):
            yield Measure("count", "1", frozenset(following))
        return
    yield from _count(_NUMBERS[word], set(), words, place)


def _count(value: str, units: set[str], words: Sequence[str], place: int) -> Iterator[Measure]:
    behind = [one for one in words[place + 1 : place + 1 + BEHIND] if _is_content(one)]
    before = [one for one in words[max(place - BEFORE, 0) : place] if _is_content(one)][-2:]
    of = units | {stem for one in (*before, *behind) for stem in stems(one)}
    if of:
        yield Measure("count", value, frozenset(of), _done(words[:place]))


def _done(before: Sequence[str]) -> str:
    """The stem of the verb next before a count, if it tells what was done once."""
    for word in reversed(before):
        if word in _HOLDING:
            return ""
        if word in _DOING or _DONE.fullmatch(word):
            return next(iter(stems(word)), word)
    return ""


def _is_content(word: str) -> bool:
    return word[0].isalpha() and "'" not in word and word not in FUNCTION_WORDS


def _beside(words: Sequence[str], place: int, reach: int) -> Iterator[str]:
    yield from words[max(place - reach, 0) : place]
    yield from words[place + 1 : place + 1 + reach]
