"""Times told in other words than our forms of English, and in other languages: by `dateparser`."""

from __future__ import annotations

import re
from datetime import date, datetime, time

from mcp_memory.dates.spans import Days, Tense, one_day, whole_month, whole_year

_LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "ru", "uk", "tr", "ja", "zh", "ko")
"""Whose times are understood through `dateparser`: with all of its 200 one first call took 2.9 s, and it
sees dates where there are none."""


def days_in_other_words(words: str, today: date, tense: Tense | None) -> Days | None:
    """What words mean said today; None for what is no time."""
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
            return whole_year(day.year)
        case "month":
            return whole_month(day.year, day.month)
        case _:
            return one_day(day)


_PERHAPS_A_TIME = re.compile(r"[^\W\d_]{2}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
