"""The pure half of search: reading a query and fusing what the signals found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_memory.config import Weights
from mcp_memory.retrieval import Ranked, Signals, fuse, read_query, signal_scores
from mcp_memory.store.candidates import Candidate, Worded


def candidate(memory_id: str, score: float, **said: str) -> Candidate:
    return Candidate(memory_id, score, said.get("session_id"), said.get("role"), said.get("speaker"))


def order(ranked: tuple[Ranked, ...]) -> list[str]:
    return [one.memory_id for one in ranked]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What did Caroline research?", "Caroline research?"),
        ("Where is the get_user_by_id function?", "get_user_by_id function?"),
        ("who are you", "who are you"),
        ("The Who", "The Who"),
        ("東京はどこ", "東京はどこ"),
    ],
)
def test_words_of_grammar_are_not_searched_for_unless_there_are_no_others(text: str, words: str) -> None:
    assert read_query(text).words == words


def test_every_run_of_words_may_be_a_name_longest_first() -> None:
    names = read_query("What did Ann Lee's boss say?").names
    assert "ann lee" in names
    assert "ann lee boss say" in names
    assert names.index("ann lee") < names.index("ann")


def test_a_query_about_me_is_noticed() -> None:
    assert read_query("Where do I live?").is_first_person
    assert not read_query("Where does Ima live?").is_first_person


def test_a_memory_found_by_one_signal_alone_is_an_answer() -> None:
    found = Signals(dense=(candidate("near", 0.9),), text=(candidate("worded", 7.0),))
    assert set(order(fuse(read_query("x"), found, Weights()))) == {"near", "worded"}


def test_a_memory_found_by_both_meaning_and_words_comes_first() -> None:
    found = Signals(
        dense=(candidate("near", 0.62), candidate("both", 0.60), candidate("far", 0.2)),
        text=(candidate("both", 7.0), candidate("worded", 6.9)),
    )
    assert order(fuse(read_query("x"), found, Weights()))[0] == "both"


def test_each_hit_tells_its_rank_and_score_in_each_signal() -> None:
    found = Signals(
        dense=(candidate("a", 0.8), candidate("b", 0.4)),
        text=(candidate("b", 3.0),),
        mentions=(("b", "e_1"),),
    )
    ranked = {one.memory_id: one for one in fuse(read_query("x"), found, Weights())}
    told = {part.signal: (part.rank, part.score) for part in ranked["b"].signals}
    assert told == {
        "dense": (2, 0.5),
        "text": (1, 1.0),
        "session": (1, 1.0),
        "entity": (1, 1.0),
    }


def test_similarity_word_by_word_decides_between_what_is_alike_as_a_whole() -> None:
    dense = (candidate("whole", 0.61), candidate("words", 0.60), candidate("neither", 0.3))
    near = {"whole": np.array([0.4, 0.1]), "words": np.array([0.4, 0.5])}
    ranked = fuse(read_query("x"), Signals(dense=dense, near=near), Weights())
    assert order(ranked) == ["words", "whole", "neither"]
    told = {part.signal: (part.rank, part.score) for part in ranked[0].signals}
    assert told == {"dense": (2, 0.9836)} | dict.fromkeys(("late", "nearby_late", "session_late"), (1, 1.0))
    assert order(fuse(read_query("x"), Signals(dense=dense), Weights()))[0] == "whole"


def test_words_of_a_query_are_looked_for_in_the_turns_beside_and_in_the_whole_session() -> None:
    ids = ("asked", "answered", "later", "alone")
    dense = tuple(candidate(one, 0.5, session_id="t" if one == "alone" else "s") for one in ids)
    parts = ([0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0])
    found = Signals(
        dense=dense,
        near=dict(zip(ids, map(np.array, parts), strict=True)),
        worded={"answered": Worded("answered", 0.0, 0.0, 0.0, 0.0, "asked", None, 0, 0)},
    )
    scores = signal_scores(read_query("x"), found).of
    assert scores["late"].tolist() == [1.0, 1.0, 1.0, 0.0]
    assert scores["nearby_late"].tolist() == [0.5, 1.0, 0.5, 0.0]
    assert scores["session_late"].tolist() == [1.0, 1.0, 1.0, 0.0]


def test_what_the_person_asked_about_said_counts_more() -> None:
    found = Signals(
        dense=(candidate("theirs", 0.50, speaker="Ben Okri"), candidate("hers", 0.49, speaker="Ann Lee"))
    )
    for query in ("What did Ann say?", "What did Ann Lee say?", "Ann's words"):
        assert order(fuse(read_query(query), found, Weights()))[0] == "hers"
    assert order(fuse(read_query("What was said?"), found, Weights()))[0] == "theirs"


def test_a_question_about_me_prefers_what_the_user_said() -> None:
    found = Signals(
        dense=(candidate("answered", 0.50, role="assistant"), candidate("told", 0.49, role="user"))
    )
    assert order(fuse(read_query("Where do I live?"), found, Weights()))[0] == "told"


def test_turns_of_a_session_that_answers_are_lifted() -> None:
    found = Signals(
        dense=(candidate("elsewhere", 0.50, session_id="s2"), candidate("beside", 0.49, session_id="s1")),
        text=(candidate("answer", 9.0, session_id="s1"),),
    )
    ranked = order(fuse(read_query("x"), found, Weights()))
    assert ranked.index("beside") < ranked.index("elsewhere")


def test_a_rare_entity_says_more_than_one_that_is_everywhere() -> None:
    mentions = (*((f"m{n}", "e_common") for n in range(50)), ("rare", "e_rare"))
    assert order(fuse(read_query("x"), Signals(mentions=mentions), Weights()))[0] == "rare"


def test_nothing_found_is_an_empty_answer() -> None:
    assert fuse(read_query("x"), Signals(), Weights()) == ()


_scores = st.floats(-1, 1, allow_nan=False)
_found = st.lists(st.tuples(st.sampled_from("abcdefgh"), _scores), max_size=8, unique_by=lambda pair: pair[0])


@given(_found, _found, st.sampled_from([0.0, 0.3, 1.0]))
def test_fusion_loses_nobody_and_is_ordered(
    dense: list[tuple[str, float]], text: list[tuple[str, float]], weight: float
) -> None:
    found = Signals(
        dense=tuple(candidate(one, score, session_id="s") for one, score in dense),
        text=tuple(candidate(one, score + 1) for one, score in text),
    )
    ranked = fuse(read_query("ann"), found, Weights(text=weight))
    assert {one.memory_id for one in ranked} == {one for one, _ in (*dense, *text)}
    scores = [one.score for one in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= part.score <= 1.0 for one in ranked for part in one.signals)


def test_identifiers_are_words_joined_or_mixed_as_no_plain_word_is() -> None:
    query = "I use get_user. Where is main.py of v1.2, and what of ERR-4032/a: is it well-known? Yes."
    assert read_query(query).phrases == ("get_user", "main.py", "v1.2", "err-4032/a", "well-known")
    assert read_query("I moved to Riga. Where is my dog...").phrases == ()
