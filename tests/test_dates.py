"""Dates that a question names."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_memory.dates import Tense, dates_in, resolve, times_in

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("question", "inside", "outside"),
    [
        ("What did Ann do in May 2023?", "2023-05-31", "2023-06-01"),
        ("What happened on 8 May?", "2021-05-08", "2021-05-09"),
        ("What happened on May 8th, 2023?", "2023-05-08", "2022-05-08"),
        ("the meeting of 2023-05-08", "2023-05-08", "2023-05-09"),
        ("Where were we in 2022?", "2022-01-01", "2023-01-01"),
        ("Who called last May?", "2026-05-12", "2025-05-12"),
        ("Who called last December?", "2025-12-12", "2026-12-12"),
        ("What did I say last week?", "2026-11-09", "2026-11-16"),
        ("this week's plan", "2026-11-16", "2026-11-15"),
        ("last weekend", "2026-11-14", "2026-11-13"),
        ("What did I eat yesterday?", "2026-11-20", "2026-11-21"),
        ("two weeks ago", "2026-11-07", "2026-11-20"),
        ("a few months ago", "2026-08-21", "2026-11-21"),
        ("3 years ago", "2023-01-01", "2024-01-01"),
        ("last Friday", "2026-11-20", "2026-11-13"),
        ("What happened on Friday?", "2026-11-20", "2026-11-13"),
        ("What happened on Saturday?", "2026-11-21", "2026-11-14"),
        ("last Saturday", "2026-11-14", "2026-11-21"),
        ("Who called on Sunday evening?", "2026-11-15", "2026-11-20"),
        ("Where was I a fortnight ago?", "2026-11-07", "2026-11-14"),
        ("two fortnights ago", "2026-10-24", "2026-11-07"),
        ("Who called on May 14th?", "2024-05-14", "2024-05-15"),
        ("Who called last May 14?", "2026-05-14", "2025-05-14"),
        ("Who called last May 14th?", "2026-05-14", "2026-05-15"),
        ("Who called last 14 May?", "2026-05-14", "2025-05-14"),
        ("Who called last November 20?", "2026-11-20", "2025-11-20"),
        ("Who called last November 21?", "2025-11-21", "2026-11-21"),
        ("Who called last May 2023?", "2023-05-14", "2026-05-14"),
        ("last night", "2026-11-20", "2026-11-21"),
        ("What did I say this morning?", "2026-11-21", "2026-11-20"),
        ("the day before yesterday", "2026-11-19", "2026-11-20"),
        ("last month", "2026-10-31", "2026-11-01"),
        ("last year", "2025-06-01", "2026-06-01"),
    ],
)
def test_a_date_that_a_question_names_is_understood(question: str, inside: str, outside: str) -> None:
    found = dates_in(question, NOW)
    assert found
    for day, expected in ((inside, True), (outside, False)):
        moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
        assert any(dates.include(moment) for dates in found) is expected, day


@pytest.mark.parametrize(
    "question",
    [
        "Monday meeting notes",
        "What do I do on Mondays?",
        "May I come in?",
        "Who marches?",
        "What is 12345?",
        "the second one",
        "",
    ],
)
def test_what_is_no_date_is_not_taken_for_one(question: str) -> None:
    assert dates_in(question, NOW) == ()


@given(st.text(max_size=200))
def test_no_text_is_too_strange(text: str) -> None:
    for dates in dates_in(text, NOW):
        dates.include(NOW)


@given(st.integers(0, 999), st.sampled_from(["days", "weeks", "months", "years"]))
def test_long_ago_is_no_error(number: int, unit: str) -> None:
    for dates in dates_in(f"{number} {unit} ago", NOW):
        dates.include(NOW)


SAID_AT = datetime(2023, 5, 10, 12, tzinfo=UTC)  # a Wednesday


def days(expression: str, tense: Tense | None = None, said_at: datetime = SAID_AT) -> str | None:
    found = resolve(expression, said_at, tense)
    if found is None:
        return None
    first, last = found[0].date().isoformat(), found[1].date().isoformat()
    return first if first == last else f"{first}..{last}"


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ("yesterday", "2023-05-09"),
        ("yesterday evening", "2023-05-09"),
        ("last night", "2023-05-09"),
        ("today", "2023-05-10"),
        ("this morning", "2023-05-10"),
        ("tonight", "2023-05-10"),
        ("tomorrow", "2023-05-11"),
        ("the day before yesterday", "2023-05-08"),
        ("the day after tomorrow", "2023-05-12"),
        ("last Friday", "2023-05-05"),
        ("the Friday before last", "2023-04-28"),
        ("the week before last", "2023-04-24..2023-04-30"),
        ("the month before last", "2023-03-01..2023-03-31"),
        ("two Saturdays ago", "2023-04-29"),
        ("the first of April", "2023-04-01"),
        ("the first of the month", "2023-05-01"),
        ("a week from Friday", "2023-05-19"),
        ("Friday the 12th", "2023-05-12"),
        ("last Wednesday", "2023-05-03"),
        ("last Tues", "2023-05-09"),
        ("next Tuesday", "2023-05-16"),
        ("this Friday", "2023-05-12"),
        ("last week", "2023-05-01..2023-05-07"),
        ("this week", "2023-05-08..2023-05-14"),
        ("next week", "2023-05-15..2023-05-21"),
        ("last weekend", "2023-05-06..2023-05-07"),
        ("next weekend", "2023-05-20..2023-05-21"),
        ("last month", "2023-04-01..2023-04-30"),
        ("next month", "2023-06-01..2023-06-30"),
        ("last year", "2022-01-01..2022-12-31"),
        ("next year", "2024-01-01..2024-12-31"),
        ("three days ago", "2023-05-07"),
        ("two weeks ago", "2023-04-26"),
        ("a couple of weeks ago", "2023-04-26"),
        ("a month ago", "2023-04-01..2023-04-30"),
        ("3 years ago", "2020-01-01..2020-12-31"),
        ("a year and a half ago", "2021-11-01..2021-11-30"),
        ("a few days ago", "2023-05-04..2023-05-08"),
        ("an hour ago", "2023-05-10"),
        ("in three days", "2023-05-13"),
        ("in two weeks", "2023-05-24"),
        ("in a month", "2023-06-01..2023-06-30"),
        ("two days from now", "2023-05-12"),
        ("since 2021", "2021-01-01..2023-05-10"),
        ("since March", "2023-03-01..2023-05-10"),
        ("for three years", "2020-05-10..2023-05-10"),
        ("for 4 years and 3 months", "2019-02-10..2023-05-10"),
        ("the past two weeks", "2023-04-26..2023-05-10"),
        ("the next few days", "2023-05-10..2023-05-13"),
        ("May 2021", "2021-05-01..2021-05-31"),
        ("in early June 2023", "2023-06-01..2023-06-10"),
        ("2021", "2021-01-01..2021-12-31"),
        ("the 1990s", "1990-01-01..1999-12-31"),
        ("8 May 2021", "2021-05-08"),
        ("May 8th, 2021", "2021-05-08"),
        ("the 8th of May 2021", "2021-05-08"),
        ("2021-05-08", "2021-05-08"),
        ("29 February 2024", "2024-02-29"),
        ("29 February", "2020-02-29"),
        ("the week before 9 June 2023", "2023-06-02..2023-06-08"),
        ("the weekend before 9 June 2023", "2023-06-03..2023-06-04"),
        ("the Friday before 9 June 2023", "2023-06-02"),
        ("two days after Christmas 2022", "2022-12-27"),
        ("a week before Black Friday", "2022-11-18"),
        ("the week of 8 May 2023", "2023-05-08..2023-05-14"),
        ("the first weekend of June 2023", "2023-06-03..2023-06-04"),
        ("the last Friday in April", "2023-04-28"),
        ("last summer", "2022-06-01..2022-08-31"),
        ("summer 2019", "2019-06-01..2019-08-31"),
        ("last Christmas", "2022-12-25"),
        ("Easter 2023", "2023-04-09"),
        ("last Thanksgiving", "2022-11-24"),
        ("the other day", "2023-05-03..2023-05-09"),
        ("until next Friday", "2023-05-12"),
        ("the beginning of next month", "2023-06-01..2023-06-10"),
    ],
)
def test_a_time_means_the_days_it_meant_when_it_was_said(expression: str, meant: str) -> None:
    assert days(expression) == meant


@pytest.mark.parametrize(
    ("expression", "past", "future"),
    [
        ("on Friday", "2023-05-05", "2023-05-12"),
        ("on Wednesday", "2023-05-03", "2023-05-17"),
        ("in May", "2023-05-01..2023-05-31", "2023-05-01..2023-05-31"),
        ("in June", "2022-06-01..2022-06-30", "2023-06-01..2023-06-30"),
        ("8 May", "2023-05-08", "2024-05-08"),
        ("on the 8th", "2023-05-08", "2023-06-08"),
        ("at the weekend", "2023-05-06..2023-05-07", "2023-05-13..2023-05-14"),
        ("in the summer", "2022-06-01..2022-08-31", "2023-06-01..2023-08-31"),
        ("Christmas", "2022-12-25", "2023-12-25"),
        ("for two weeks", "2023-04-26..2023-05-10", "2023-05-10..2023-05-24"),
    ],
)
def test_what_the_words_leave_open_is_decided_by_tense(expression: str, past: str, future: str) -> None:
    assert (days(expression, "past"), days(expression, "future")) == (past, future)
    assert days(expression) == past


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ("gestern", "2023-05-09"),
        ("vor zwei Wochen", "2023-04-26"),
        ("im Mai 2022", "2022-05-01..2022-05-31"),
        ("hier", "2023-05-09"),
        ("dans deux semaines", "2023-05-24"),
        ("mañana", "2023-05-11"),
        ("вчера", "2023-05-09"),
        ("昨日", "2023-05-09"),
    ],
)
def test_a_time_in_another_language_is_understood(expression: str, meant: str) -> None:
    assert days(expression) == meant


@pytest.mark.parametrize(
    "expression",
    ["", " ", "hello", "banana", "dark mode", "to the moon", "12", "3.5", "5/8/2023", "second", "x" * 500,
     "31 February 2023", "2023-13-45", "10000 years ago", "in 9999 years", "every Friday"],
)  # fmt: skip
def test_what_is_no_day_has_none(expression: str) -> None:
    assert resolve(expression, SAID_AT) is None


def test_the_day_is_that_of_utc() -> None:
    late = datetime(2023, 5, 10, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert days("today", said_at=late) == "2023-05-11"


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        (
            "I moved last month and started on Monday.",
            [("last month", "", "2023-04-01"), ("Monday", "on", "2023-05-08")],
        ),
        ("I've lived here since 2021.", [("2021", "since", "2021-01-01")]),
        (
            "From May 2020 to June 2021 I was away.",
            [("May 2020", "from", "2020-05-01"), ("June 2021", "", "2021-06-01")],
        ),
        ("It lasts until 20 May.", [("20 May", "until", "2022-05-20")]),
        ("We met in the summer of 2019", [("the summer of 2019", "in", "2019-06-01")]),
        ("Two weeks ago I ran.", [("Two weeks ago", "", "2023-04-26")]),
        ("May I ask?", []),
        ("I run every Friday.", []),
        ("Sunday school is fun.", []),
        ("Today's news", []),
        ("They march to the second house, number 12345.", []),
        ("", []),
    ],
)  # fmt: skip
def test_the_times_of_a_sentence_are_found_where_they_stand(
    sentence: str, found: list[tuple[str, str, str]]
) -> None:
    times = times_in(sentence, SAID_AT)
    assert [(one.expression, one.preposition, one.first.date().isoformat()) for one in times] == found
    for one in times:
        assert sentence[one.start : one.end].lower().startswith(one.preposition)
        assert sentence[one.start : one.end].endswith(one.expression)


_WORDS = st.lists(
    st.sampled_from(
        "last next this week month year Friday May June 2021 8 31 the of in on since for two a few "
        "days ago "
        "before after Christmas summer early end . , 's tomorrow yesterday 9999 0".split()
    ),
    max_size=12,
).map(" ".join)
_MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(st.one_of(_WORDS, st.text(max_size=60)), _MOMENTS, st.sampled_from([None, "past", "future"]))
def test_a_time_never_ends_before_it_begins(text: str, said_at: datetime, tense: Tense | None) -> None:
    found = resolve(text, said_at, tense)
    assert found is None or found[0] <= found[1]
    for one in times_in(text, said_at, tense):
        assert one.first <= one.last
        assert 0 <= one.start < one.end <= len(text)


@pytest.mark.parametrize(
    "part", ["last ", "1", "in 2 ", "the week before ", "May ", "a ", " ", "20 ", "ago "]
)
def test_time_to_read_grows_with_the_text_and_no_faster(part: str) -> None:
    text = (part * 40_000)[:40_000]
    began = time.process_time()
    times_in(text, SAID_AT)
    resolve(text, SAID_AT)
    assert time.process_time() - began < 5
