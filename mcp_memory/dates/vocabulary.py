"""The English words and figures that times are told in."""

from __future__ import annotations

import calendar
import re
from typing import Any

MONTHS = {
    name[:letters].lower(): number
    for number, name in enumerate(calendar.month_name)
    if name
    for letters in (3, None)
}
WEEKDAYS = {name.lower(): number for number, name in enumerate(calendar.day_name)}
SHORT_WEEKDAYS = {
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
COUNTS = {
    word: number
    for number, word in enumerate(
        """
        one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty
        """.split(),
        start=1,
    )
} | {"a": 1, "an": 1, "a couple": 2, "a couple of": 2, "couple of": 2, "a few": 3, "few": 3, "several": 3}
MONTH = rf"(?P<month>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\.?"
YEAR = r"(?P<year>(?:19|20)\d\d)"
"""Patterns with one group, of that name."""


def number_of(text: str) -> int:
    """Two for "2", "two" and "a couple of". Raises ValueError."""
    word = " ".join(text.lower().split())
    return COUNTS.get(word) or int(word)


def either(words: Any) -> str:
    """A pattern of any of these words, the longest first: a shorter one would hide them."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
