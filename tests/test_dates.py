"""Dates that a question names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_memory.dates import dates_in

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
    "question", ["May I come in?", "Who marches?", "What is 12345?", "the second one", ""]
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
