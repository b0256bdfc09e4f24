"""The figures of `benchmarks/` are what its README says they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dataset
import locomo_data
import longmemeval_data
import metrics
import pytest
import stats
from dataset import Haystack, Query, Question, Session, Turn
from systems import BUDGETS, CHARACTERS_PER_TOKEN, Found, Shown, packed

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def turn(name: str, text: str = "Words.") -> Turn:
    return Turn(name, "user", "Ann", text, NOON)


HAYSTACK = Haystack(
    id="Ann",
    sessions=(
        Session("s1", (turn("a1", "I moved to Riga.\nIn May."), turn("a2"))),
        Session("s2", (turn("b1"), turn("b2", "With my dog, Otto."))),
    ),
    questions=(Question(Query("Where?"), "plain", frozenset({"a1", "b2"}), frozenset({"s1", "s2"})),),
)


def scored(hits: list[str], text: str = "", shown: frozenset[str] = frozenset()) -> dict[str, float]:
    found = Found(
        hits=tuple(frozenset({hit}) for hit in hits),
        shown={budget: Shown(shown, text) for budget in BUDGETS},
        known=True,
        seconds=0.0,
        tokens=0.0,
    )
    return metrics.score(HAYSTACK, HAYSTACK.questions[0], found).values


def test_recall_is_the_share_of_the_evidence_among_the_first_hits() -> None:
    values = scored(["a2", "b1", *["a2"] * 4, "b2", "a1"])
    assert (values["recall@5"], values["recall@10"]) == (0, 100)
    assert values["mrr"] == pytest.approx(1 / 7)


def test_sessions_stand_where_their_first_turn_does() -> None:
    values = scored(["a2", "a1"])
    assert (values["session any@5"], values["session all@5"]) == (100, 0)
    assert scored(["a2", "b1"])["session all@5"] == 100


def test_a_turn_cut_short_is_in_the_answer_and_not_whole() -> None:
    text = "2024-03-01 Ann: “I moved to Riga. ⏎ In May.”\n2024-03-01 Ann: “With my dog…"
    values = scored([], text, frozenset({"a1", "b2"}))
    assert (values["evidence@1000"], values["all evidence@1000"], values["whole@1000"]) == (100, 100, 50)
    assert values["tokens@1000"] == len(text) / CHARACTERS_PER_TOKEN


def test_lines_are_packed_whole_until_one_does_not_fit() -> None:
    ranked = [turn(str(number), "x" * length) for number, length in enumerate((100, 200, 4_000, 10))]
    shown = packed(ranked, 500)
    assert shown.turns == {"0", "1"}
    assert packed(ranked[2:], 500).turns == {"2"}
    assert len(packed(ranked[2:], 500).text) == 500 * CHARACTERS_PER_TOKEN


def test_who_always_says_that_nothing_is_known_is_right_half_the_time() -> None:
    rates = stats.bootstrap_rates([True, False] * 20, [True] * 40)
    assert (rates["precision"].mean, rates["recall"].mean) == (50, 100)
    assert rates["f1"].mean == pytest.approx(200 / 3)
    assert rates["f1"].low < rates["f1"].mean < rates["f1"].high
    assert stats.bootstrap_rates([True, False], [False, False])["f1"].mean == 0


def test_evidence_is_read_however_it_is_written() -> None:
    assert locomo_data.turn_ids("D8:6; D9:17") == {"D8:6", "D9:17"}
    assert locomo_data.turn_ids("D:11:26") | locomo_data.turn_ids("D30:05") == {"D11:26", "D30:5"}


def test_a_haystack_holds_what_answers_and_others_questions_have_no_answer_in_it(tmp_path: Path) -> None:
    file = tmp_path / "longmemeval_oracle.json"
    file.write_text(json.dumps([_sample(number) for number in range(40)]), encoding="utf-8")
    data = longmemeval_data.read(tmp_path)
    stacks = dataset.with_elsewhere(longmemeval_data.haystacks(data, 40, 10, seed=1), 1, seed=1)
    assert stacks == dataset.with_elsewhere(longmemeval_data.haystacks(data, 40, 10, seed=1), 1, seed=1)
    sessions_of = {question.query: question.sessions for one in stacks for question in one.questions}
    for one in stacks:
        held = {session.id for session in one.sessions}
        assert len(held) == 10
        assert all(question.evidence <= one.turns.keys() for question in one.questions)
        assert not any(sessions_of[query] & held for query in one.elsewhere)
    assert sum(len(one.tricks) for one in stacks) == 4


def test_a_question_is_asked_when_the_data_says_so(tmp_path: Path) -> None:
    file = tmp_path / "longmemeval_oracle.json"
    file.write_text(json.dumps([_sample(number) for number in (0, 1)]), encoding="utf-8")
    pool = longmemeval_data.pooled(longmemeval_data.read(tmp_path))
    assert [one.query.asked_at for one in pool.questions] == [NOON + timedelta(days=2)]
    assert [one.asked_at for one in pool.elsewhere] == [NOON + timedelta(days=1)]


def _written(moment: datetime) -> str:
    return moment.strftime("%Y/%m/%d (%a) %H:%M")


def _sample(number: int) -> dict[str, object]:
    nothing = number % 10 == 0
    said = [
        {"role": "user", "content": f"Thing {number}", "has_answer": not nothing},
        {"role": "assistant", "content": "Noted."},
    ]
    return {
        "question_id": f"q{number}{'_abs' if nothing else ''}",
        "question_type": "single-session-user",
        "question": f"What is thing {number}?",
        "question_date": _written(NOON + timedelta(days=number + 1)),
        "haystack_dates": [_written(NOON + timedelta(days=number))],
        "haystack_session_ids": [f"answer_{number}"],
        "haystack_sessions": [said],
        "answer_session_ids": [f"answer_{number}"],
    }
