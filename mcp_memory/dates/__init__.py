"""Dates that are named: "in May 2023", "last week", "on 8 May", "two months ago".

`dates_in` reads a question, which may mean any year; `resolve` and `times_in` read what was said at a known
time, and mean one span of days.
"""

from mcp_memory.dates.questions import Dates, dates_in
from mcp_memory.dates.spans import Tense
from mcp_memory.dates.times import MAX_EXPRESSION, Time, resolve, times_in

__all__ = ["MAX_EXPRESSION", "Dates", "Tense", "Time", "dates_in", "resolve", "times_in"]
