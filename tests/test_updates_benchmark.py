"""The stories of `benchmarks/updates.py` hold together, and answers are read as its README says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
import updates_judgement as judgement
import updates_reading as reading
import updates_stories
from scripted_model import Reply, ScriptedModel
from updates_perfect import PerfectModel
from updates_stories import Fact, Question, Story, has_any

from mcp_memory.config import ExtractionConfig, LlmConfig
from mcp_memory.extraction import Passage, Turn
from mcp_memory.extraction.model import ModelExtractor

STORIES = updates_stories.read()
HELD_OUT = updates_stories.read(updates_stories.HELD_OUT)
EVERY = (*STORIES, *HELD_OUT)
BY_ID = {story.id: story for story in STORIES}
PORTO = BY_ID["house-porto"]
NOW, THEN, CHANGED, WHEN = PORTO.questions
TURNS = {f"m_{number}": number for number in range(1, len(PORTO.turns) + 1)}

LISBON = "1. likely [m_1] user: “I live in Lisbon, up in Graça.”"
MOVED = "2. [m_8] user: “We've been living in Porto since last Saturday.”"


def test_there_are_sixty_stories_and_at_least_five_of_each_kind() -> None:
    assert len(BY_ID) == len(STORIES) == 60
    kinds = Counter(story.category for story in STORIES)
    assert len(kinds) == 11
    assert min(kinds.values()) >= 5
    assert Counter(story.category for story in HELD_OUT) == dict.fromkeys(kinds, 3)
    assert len({story.id for story in EVERY}) == len(EVERY)


@pytest.mark.parametrize("story", EVERY, ids=lambda story: story.id)
def test_a_story_is_told_in_order_and_in_the_past(story: Story) -> None:
    times = [turn.at for turn in story.turns]
    assert 3 <= len(times) <= 10
    assert times == sorted(set(times))
    assert times[-1] < datetime.now(UTC)
    assert times[-1] - times[0] > timedelta(days=1)
    assert len(story.sessions) > 1
    assert any(turn.role == "user" for turn in story.turns)


@pytest.mark.parametrize("story", EVERY, ids=lambda story: story.id)
def test_facts_rest_on_turns_and_speak_of_earlier_facts(story: Story) -> None:
    seen: set[str] = set()
    for fact in story.facts:
        assert any(set(fact.turns) <= set(session) for session in story.sessions)
        assert set(fact.targets) <= seen
        assert all(told.lower() in _words(story, fact).lower() for told in (fact.since, fact.until) if told)
        assert fact.supersedes or not fact.ends
        assert fact.id not in seen
        seen.add(fact.id)


def _words(story: Story, fact: Fact) -> str:
    return " ".join(story.turn(number).text for number in fact.turns)


@pytest.mark.parametrize("story", EVERY, ids=lambda story: story.id)
def test_questions_can_be_answered_from_the_facts(story: Story) -> None:
    assert {"now", "changed"} & {question.kind for question in story.questions}
    for question in story.questions:
        at = story.asked_at(question)
        current = " / ".join(_told(story, fact) for fact in story.current(at))
        match question.kind:
            case "now" | "then":
                assert has_any(current, question.right)
                assert (question.as_of is not None) == (question.kind == "then")
            case "changed":
                assert question.since is not None
                later = [one for one in story.facts if story.told_at[one.id].date() >= question.since]
                began = " / ".join(_told(story, fact) for fact in later)
                ended = " / ".join(_told(story, fact) for fact in story.outdated(at))
                assert not question.right or has_any(began, question.right)
                assert not question.stale or has_any(ended, question.stale)
                assert question.right or question.stale or question.unchanged
            case "when":
                days = question.began or question.ended
                assert days is not None
                assert days[0] <= days[1]
                assert has_any(" / ".join(_told(story, fact) for fact in story.facts), question.right)


def _told(story: Story, fact: Fact) -> str:
    return " ".join([fact.text, *(story.turn(number).text for number in fact.turns)])


def test_turns_that_tell_a_fact_are_told_apart_by_their_words() -> None:
    told = Counter(
        story.turn(number).text
        for story in EVERY
        for number in {number for fact in story.facts for number in fact.turns}
    )
    assert set(told.values()) == {1}


def test_what_is_repeated_is_outdated_with_what_it_repeats() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)

    def fact(name: str, turn: int, **targets: tuple[str, ...]) -> dict[str, object]:
        return {"id": name, "text": name, "turns": (turn,), **targets}

    story = Story.model_validate(
        {
            "id": "s",
            "category": "c",
            "turns": [{"at": at + timedelta(days=day), "user": str(day)} for day in range(3)],
            "facts": [
                fact("a", 1),
                fact("again", 2, repeats=("a",)),
                fact("b", 3, supersedes=("a",)),
            ],
            "questions": [],
        }
    )
    assert [one.id for one in story.outdated(at + timedelta(days=1))] == []
    assert [one.id for one in story.outdated(at + timedelta(days=2))] == ["a", "again"]


def judged(question: Question, *lines: str) -> judgement.Judged:
    return judgement.truth(PORTO, question, "\n".join(["2 memories.", *lines]), TURNS)


def test_an_old_statement_without_a_mark_is_stale_and_with_one_is_not() -> None:
    assert judged(NOW, LISBON, MOVED).stale
    assert judged(NOW, f"{LISBON} (true until 2024-06-08)", MOVED).stale is False
    assert judged(NOW, LISBON, "   since 2024-06-08: [m_8] user: “We are in Porto.”", MOVED).stale is False
    assert judged(NOW, f"{LISBON} (true from 2023-01-01 until 2024-06-08)", MOVED).stale is False
    # A time still to come when it is asked ends nothing yet.
    assert judged(NOW, f"{LISBON} (true until 9025-06-08)", MOVED).stale


def test_what_is_stale_is_first_when_nothing_right_stands_before_it() -> None:
    assert judged(NOW, LISBON, MOVED).stale_first
    assert not judged(NOW, LISBON.replace("1.", "3."), MOVED).stale_first


def test_what_replaced_a_hit_answers_and_what_stands_beside_it_does_not() -> None:
    assert not judged(NOW, LISBON).right
    assert judged(NOW, LISBON, "   since 2024-06-08: [m_8] user: “We are in Porto.”").right
    assert not judged(NOW, LISBON, "   [m_8] user: “We are in Porto.”").right


def test_a_right_statement_that_is_marked_as_past_is_no_answer() -> None:
    assert judged(NOW, MOVED).right
    assert not judged(NOW, f"{MOVED} (true until 2024-06-09)").right


def test_drawn_facts_are_judged_by_what_they_say() -> None:
    assert judged(NOW, "1. [m_x] (fact): “The user lives in Lisbon.”").stale
    assert judged(NOW, "- [m_x] (preference): “The user likes Lisbon best.”").stale
    assert judged(NOW, "1. [m_x] (fact): “The user moved from Lisbon to Porto.”").stale is False
    assert judged(NOW, "1. [m_x] (fact): “The user no longer lives in Lisbon.”").stale is False


def test_facts_that_are_held_are_counted_where_they_are_about_the_thing_asked() -> None:
    lisbon, porto = "The user lives in Lisbon.", "The user lives in Porto."

    def held(*lines: str) -> tuple[bool, ...]:
        return judgement.held(PORTO, NOW, "\n".join(["3 memories.", *lines]))

    assert held(f"1. [m_x] (fact): “{lisbon}”", f"2. [m_y] (fact): “{porto}”") == (True, False)
    # Ended, somebody's words, or about something else.
    assert held(f"1. [m_x] (fact): “{lisbon}” (true until 2024-06-08)") == ()
    assert held(f"1. [m_x] (fact): “{lisbon}”", f"   since 2024-06-08: [m_y] (fact): “{porto}”") == (False,)
    assert held(LISBON, "2. [m_z] (fact): “The user has a bicycle.”") == ()
    # All of them are read, not the first alone.
    assert held(*(f"{rank}. [m_{rank}] (fact): “{lisbon}”" for rank in range(1, 9))) == (True,) * 8


def test_only_the_first_hits_by_rank_are_read() -> None:
    assert judged(NOW, LISBON.replace("1.", "6.")).stale is False
    assert judged(NOW, LISBON.replace("1.", "5.")).stale


def test_an_answer_about_then_shows_nothing_that_came_later() -> None:
    assert judged(THEN, LISBON).right
    assert not judged(THEN, LISBON, MOVED).right
    assert judged(THEN, f"{LISBON} (true until 2024-06-08)").right
    assert not judged(THEN, f"{LISBON} (true until 2024-01-20)").right


def test_an_answer_that_calls_it_unknown_is_noted() -> None:
    denied = "Nothing that is remembered answers this. The nearest, which is likely beside the point:"
    told = judgement.truth(PORTO, NOW, f"{denied}\n{MOVED}", TURNS)
    assert (told.right, told.denied) == (True, True)


def test_a_change_is_right_when_what_began_and_what_ended_are_told() -> None:
    began = "- 2024-06-08 began: [m_x] (fact): “The user lives in Porto.”"
    ended = "- 2024-06-08 ended: [m_y] (fact): “The user lives in Lisbon.”"
    assert judgement.change(PORTO, CHANGED, f"{began}\n{ended}").right
    assert not judgement.change(PORTO, CHANGED, began).right
    assert not judgement.change(PORTO, CHANGED, ended).right


def test_a_change_is_right_when_what_was_told_anew_is_shown_with_what_was_told_before() -> None:
    told = "- 2024-06-10 told: [m_x] user: “We live in Porto now.”"
    earlier = "   earlier, 2024-01-14: [m_y] user: “I live in Lisbon.”"
    assert judgement.change(PORTO, CHANGED, f"{told}\n{earlier}").right
    assert not judgement.change(PORTO, CHANGED, told).right
    assert not judgement.change(PORTO, CHANGED, f"{earlier}\n{told}").right


def test_the_day_on_which_something_is_told_is_no_date_of_it() -> None:
    told = "- 2024-06-08 told: [m_x] user: “The user lives in Porto.”"
    earlier = "   earlier, 2024-01-14: [m_y] user: “I live in Lisbon.”"
    assert not judgement.moment(PORTO, WHEN, "", f"{told}\n{earlier}").right


def test_a_date_is_right_within_the_days_it_can_mean() -> None:
    line = "- 2024-06-0{} began: [m_x] (fact): “The user lives in Porto.”"
    assert judgement.moment(PORTO, WHEN, "", line.format(8)).right
    assert not judgement.moment(PORTO, WHEN, "", line.format(9)).right
    marked = f"{LISBON}\n   since 2024-06-08: [m_8] user: “We are in Porto.”"
    assert judgement.moment(PORTO, WHEN, marked, "").right
    assert judgement.moment(PORTO, WHEN, f"{MOVED} (= 2024-06-08)", "").right
    assert judgement.moment(PORTO, WHEN, f"{MOVED} (true from 2024-06-08)", "").right


def test_merges_are_read_from_the_names_of_entities() -> None:
    line = "[{}] {}: mentioned 2×, last 2024-11-02"
    berg, ito = line.format("e_1", "Ann Berg (person)"), line.format("e_2", "Ann Ito (person, also Ann)")
    both = line.format("e_1", "Ann Berg (person, also Ann, Ann Ito)")
    anns = BY_ID["names-two-anns"]
    assert all(judgement.merges(anns, f"{berg}\n{ito}", {}).apart)
    assert not all(judgement.merges(anns, both, {}).apart)
    # Somebody asked for is shown as another.
    assert not all(judgement.merges(anns, f"{berg}\n{ito}", {"Ann Ito": berg}).apart)
    bob = BY_ID["alias-bob"]
    assert judgement.merges(bob, line.format("e_1", "Robert Castellano (person, also Bob)"), {}).joined == (
        True,
    )
    assert judgement.merges(bob, line.format("e_1", "Robert Castellano (person)"), {}).joined == (False,)


def test_a_hit_that_quotes_is_read_whole() -> None:
    (one,) = reading.statements("3. strong [m_1] Ann: ““Hm”, I said.” (true until 2024-03-01) (said 2×)")
    assert (one.text, one.until, one.is_drawn) == ("“Hm”, I said.", date(2024, 3, 1), False)


def test_the_perfect_model_answers_with_the_facts_of_the_turns_it_is_shown() -> None:
    model = PerfectModel(STORIES)
    moved = PORTO.turn(8)
    request = (
        "<known>\n[m_old] 2024-01-14 The user lives in Lisbon, in Graça.\n</known>\n"
        f"<turns>\n[m_new] 2024-06-12T08:50:00Z user: {moved.text}\n</turns>"
    )
    reply = model({"messages": [{"role": "user", "content": request}]})
    assert isinstance(reply, Reply)
    assert isinstance(reply.content, dict)
    (fact,) = reply.content["facts"]
    assert (fact["text"], fact["sources"]) == ("The user lives in Porto.", ["m_new"])
    assert fact["verdicts"] == [{"id": "m_old", "verdict": "supersedes"}]
    assert (model.facts, model.unseen_targets) == (1, 0)


async def test_every_fact_of_the_stories_is_borne_out_by_its_turns() -> None:
    model = PerfectModel(EVERY)
    with ScriptedModel(model) as server:
        config = LlmConfig.model_validate({"base_url": server.url, "api_key": "scripted"})
        extractor = ModelExtractor(config, ExtractionConfig(), None, lambda _: False)
        for story in EVERY:
            found = await extractor.extract(Passage(_turns(story)))
            assert (found.unsupported, found.invalid) == (0, 0), story.id
            assert [one.text for one in found.facts] == [fact.text for fact in story.facts]
        await extractor.aclose()
    assert model.facts == sum(len(story.facts) for story in EVERY)


def _turns(story: Story) -> tuple[Turn, ...]:
    return tuple(
        Turn(f"m_{number}", one.text, one.role, one.speaker, one.at)
        for number, one in enumerate(story.turns, 1)
    )


def test_what_is_named_as_later_marks_nothing_as_past_and_is_counted_by_itself() -> None:
    alone = judgement.truth(PORTO, NOW, f"{LISBON}\n{MOVED}", TURNS)
    paired = judgement.truth(PORTO, NOW, f"{MOVED}\n{LISBON}\n   later, 2024-06-12: [m_8]", TURNS)
    assert (alone.stale, alone.stale_alone) == (True, True)
    assert (paired.stale, paired.stale_alone) == (True, False)
    assert paired.right


def test_what_is_named_as_later_must_tell_what_became_of_it() -> None:
    beside_the_point = judgement.truth(PORTO, NOW, f"{MOVED}\n{LISBON}\n   later, 2024-04-09: [m_6]", TURNS)
    assert beside_the_point.stale_alone


def test_a_true_statement_that_is_named_as_followed_is_a_false_alarm() -> None:
    answer = judgement.truth(PORTO, NOW, f"{MOVED}\n   later, 2024-06-12: [m_7] “Anything”", TURNS)
    assert answer.followed == (True,)
    assert judgement.truth(PORTO, NOW, MOVED, TURNS).followed == (False,)
