"""Searching: what is found, how sure it is, how it fits, and what it leaves for the next page."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_memory import text
from mcp_memory.config import Config
from mcp_memory.errors import InvalidInput, MemoryNotFound
from mcp_memory.models import AddRequest, ForgetRequest, Scope, SearchRequest, SearchResult, parse
from mcp_memory.service import Service

SCOPE = Scope(user_id="u")


@pytest.fixture
async def service(config: Config) -> AsyncGenerator[Service]:
    async with Service.open(config) as opened:
        yield opened


async def add(service: Service, content: str, scope: Scope = SCOPE, **arguments: Any) -> str:
    request = parse(AddRequest, {"content": content, **arguments})
    return (await service.add(scope, request)).memories[0].id


async def say(
    service: Service, session_id: str, *turns: tuple[str, str], day: str = "2024-03-01"
) -> list[str]:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    messages = [
        {"name": name, "content": content, "time": start + timedelta(minutes=minute)}
        for minute, (name, content) in enumerate(turns)
    ]
    scope = SCOPE.model_copy(update={"session_id": session_id})
    result = await service.add(scope, parse(AddRequest, {"messages": messages}))
    return [one.id for one in result.memories]


async def search(service: Service, query: str, scope: Scope = SCOPE, **arguments: Any) -> SearchResult:
    return await service.search(scope, parse(SearchRequest, {"query": query, **arguments}))


def ids(result: SearchResult) -> list[str]:
    return [hit.memory.id for hit in result.hits]


async def garden(service: Service, size: int = 60) -> None:
    for number in range(size):
        await add(service, f"Note {number}: on day {number} the garden grew and plant {number} was watered.")


async def test_an_answer_fits_its_tokens_and_pages_show_everything_once(service: Service) -> None:
    await garden(service)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(30):
        result = await search(service, "garden plants", max_tokens=200, cursor=cursor)
        assert text.tokens(text.searched(result)) == result.tokens <= 200
        assert result.left_out == result.total - len(seen) - len(result.hits)
        seen += ids(result)
        if (cursor := result.cursor) is None:
            break
    assert len(seen) == len(set(seen)) == 60


@pytest.mark.parametrize("max_tokens", [100, 101, 150, 1_000, 20_000])
async def test_even_a_long_text_fits_the_smallest_answer(service: Service, max_tokens: int) -> None:
    await add(service, "The lighthouse story: " + "the keeper climbed the stairs again and again. " * 600)
    result = await search(service, "lighthouse keeper", max_tokens=max_tokens, detail="full")
    assert len(result.hits) == 1
    assert result.tokens <= max_tokens


async def test_a_long_text_shows_the_part_that_was_asked_for(service: Service) -> None:
    filler = "We talked about nothing in particular for a while. " * 30
    await add(service, f"{filler} The vault code hint is a blue heron. {filler}")
    (hit,) = (await search(service, "What is the vault code hint?")).hits
    assert "blue heron" in hit.shown
    assert len(hit.shown) <= text.SHOWN + 4
    (whole,) = (await search(service, "What is the vault code hint?", detail="full", max_tokens=9_000)).hits
    assert whole.shown == text.one_line(whole.memory.text, None)


@pytest.mark.parametrize("cursor", ["", "x", "MTIz", "💥", "a" * 5_000])
async def test_a_cursor_that_is_none_is_refused(service: Service, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await search(service, "anything", cursor=cursor)


async def test_a_cursor_of_another_question_or_user_is_refused(service: Service) -> None:
    await garden(service, 20)
    cursor = (await search(service, "garden", max_tokens=150)).cursor
    assert cursor is not None
    with pytest.raises(InvalidInput, match="another question"):
        await search(service, "plants", cursor=cursor)
    with pytest.raises(InvalidInput, match="another question"):
        await search(service, "garden", Scope(user_id="v"), cursor=cursor)
    altered = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    with pytest.raises(InvalidInput, match="none that a search has answered"):
        await search(service, "garden", cursor=altered)


async def test_a_page_repeats_and_loses_nothing_when_memory_changes_in_between(service: Service) -> None:
    await garden(service, 40)
    first = await search(service, "garden plants", max_tokens=300)
    seen, cursor = ids(first), first.cursor
    assert cursor is not None
    gone = seen[2]
    await service.forget(SCOPE, parse(ForgetRequest, {"ids": [gone]}))
    added = {await add(service, f"Garden plants: the garden of plants number {n}.") for n in range(5)}
    while cursor is not None:
        result = await search(service, "garden plants", max_tokens=300, cursor=cursor)
        assert result.tokens <= 300
        assert result.first == len(seen) + 1
        assert f"\n{len(seen) + 1}. " in text.searched(result)
        seen, cursor = [*seen, *ids(result)], result.cursor
    assert len(seen) == len(set(seen)) == 45
    assert added < set(seen)


async def test_what_came_again_in_the_same_words_is_not_shown_on_the_next_page(service: Service) -> None:
    (said,) = await say(service, "s", ("Ann", "The garden plants grew well."), day="2024-03-01")
    await garden(service, 30)
    first = await search(service, "garden plants grew well", max_tokens=200)
    assert ids(first)[0] == said
    await say(service, "t", ("Ann", "The garden plants grew well."), day="2024-03-02")
    rest = await search(service, "garden plants grew well", max_tokens=5_000, cursor=first.cursor)
    assert not any("grew well" in hit.memory.text for hit in rest.hits)


async def test_standing_memories_are_shown_once_and_pages_go_on_after_them(service: Service) -> None:
    liked = await add(service, "Ann likes garden plants to be watered at night.", kind="preference")
    await garden(service, 30)
    first = await search(service, "What was watered in the garden on day 3?", max_tokens=300)
    shown = [*ids(first), *(one.id for one in first.standing)]
    assert liked in shown
    rest = await search(
        service, "What was watered in the garden on day 3?", max_tokens=9_000, cursor=first.cursor
    )
    assert (rest.standing, rest.cursor) == ((), None)
    assert sorted([*shown, *ids(rest)]) == sorted({*shown, *ids(rest)})
    assert len(shown) + len(rest.hits) == 31


async def test_it_says_when_nothing_is_known(service: Service) -> None:
    await garden(service, 30)
    await say(service, "s", ("Ann", "I moved to Lisbon in March."), ("Bob", "How do you like it there?"))
    result = await search(service, "What is Zbigniew Quark's favourite chess opening?")
    assert not result.known
    assert text.searched(result).startswith("Nothing that is remembered answers this.")
    assert "strong" not in {hit.confidence for hit in result.hits}
    known = await search(service, "Where did Ann move to?")
    assert known.known
    assert known.hits[0].memory.text == "I moved to Lisbon in March."
    assert known.hits[0].confidence in ("strong", "likely")


async def test_a_small_memory_knows_what_it_was_told_and_not_what_it_was_not(service: Service) -> None:
    await say(
        service,
        "s",
        ("Ann", "We finally got the keys, the boxes are all in the new place by the river."),
        ("Bob", "Nice! Still with the same company?"),
        ("Ann", "No, since Monday I do the accounts for a bakery."),
        ("Bob", "Fresh rolls every day then."),
    )
    for told in ("Where does Ann's new home lie?", "Who does Ann do the accounts for?"):
        assert (await search(service, told)).known, told
    for strange in ("What is the capital of Mongolia?", "Which guitar did Zbigniew buy?"):
        assert not (await search(service, strange)).known, strange


async def test_what_is_known_has_a_hit_that_is_likely_and_what_is_not_has_none(service: Service) -> None:
    await garden(service, 30)
    await say(service, "s", ("Ann", "I moved to Lisbon in March."), ("Bob", "How do you like it there?"))
    for question in (
        "Where did Ann move to?",
        "plants",
        "What did Bob ask about?",
        "Who likes chess?",
        "When was plant 7 watered, and by whom?",
        "What happened yesterday?",
        "Tell me of the sea.",
    ):
        result = await search(service, question)
        assert any(hit.confidence != "weak" for hit in result.hits) is result.known, question


async def test_what_a_filter_asks_for_is_not_denied(service: Service) -> None:
    told = await add(
        service, "Lunch was soup.", metadata={"trip": "Oslo"}, entities=[{"name": "Kari", "type": "person"}]
    )
    await garden(service, 30)
    question = "What is Zbigniew Quark's favourite chess opening?"
    assert not (await search(service, question)).known
    filters: tuple[dict[str, Any], ...] = ({"where": {"trip": "Oslo"}}, {"entity": "Kari"})
    for asked in filters:
        result = await search(service, question, **asked)
        assert (ids(result), result.known, result.hits[0].confidence) == ([told], True, "weak")
        assert text.searched(result).startswith("1 memory, numbered")
    missing = await search(service, question, where={"trip": "Rome"})
    assert (missing.hits, missing.known) == ((), False)


async def test_what_took_the_place_of_another_is_as_sure_as_its_own_words(service: Service) -> None:
    def home(place: str) -> list[dict[str, str]]:
        return [{"subject": "Ann", "predicate": "lives in", "object": place}]

    old = "Ann lives in a flat in Lisbon, near the harbour."
    await add(service, old, relations=home("Lisbon"), observed_at="2023-01-01")
    new = await add(service, "A move to Porto.", relations=home("Porto"), observed_at="2024-01-01")
    await garden(service, 30)
    together = await search(service, "Does Ann live in a flat in Lisbon, near the harbour?", explain=True)
    shown = next(hit for hit in together.hits if hit.memory.id == new)
    assert "text" not in {one.signal for one in shown.signals}
    assert together.hits[0].memory.id == new


async def test_under_a_denial_what_holds_anyway_stands_apart_from_what_is_nearest(service: Service) -> None:
    await add(service, "Always answer in French.", kind="preference")
    await garden(service, 30)
    result = await search(service, "What is Zbigniew Quark's favourite chess opening?")
    assert not result.known
    lines = text.searched(result).splitlines()
    assert lines[0] == "Nothing that is remembered answers this."
    assert lines[1] == text.STANDING_TITLE
    assert "Always answer in French." in lines[2]
    assert re.fullmatch(r"The \d+ nearest, which are likely beside the point:", lines[3])


async def test_full_detail_shows_all_texts_whole_while_they_fit(service: Service) -> None:
    long = " ".join(f"word{number}" for number in range(120))
    await add(service, f"Prefers plain words. {long}", kind="preference")
    await say(
        service, "s", ("Bob", f"Before. {long}"), ("Ann", "The boat is blue."), ("Bob", f"After. {long}")
    )
    await garden(service, 10)
    whole = text.searched(await search(service, "What colour is the boat?", detail="full", max_tokens=5_000))
    assert whole.count("word119”") == 3
    for size in (100, 300, 600, 900):
        result = await search(service, "What colour is the boat?", detail="full", max_tokens=size)
        assert result.tokens <= size
        assert "The boat is blue." in text.searched(result)
    small = await search(service, "What colour did plant 3 have?", detail="full", max_tokens=700)
    assert [one.text.partition(" word")[0] for one in small.standing] == ["Prefers plain"]
    assert "characters, see get_memory)" in text.searched(small)


async def test_an_empty_memory_knows_nothing(service: Service) -> None:
    result = await search(service, "Where do I live?")
    assert (result.hits, result.known, result.total, result.cursor) == ((), False, 0, None)
    assert text.searched(result) == text.NOTHING


async def test_turns_beside_a_hit_come_along_when_they_fit(service: Service) -> None:
    asked, answered, thanked = await say(
        service,
        "s",
        ("Ann", "What should I cook tonight?"),
        ("Bob", "Try the lentil stew."),
        ("Ann", "Will do!"),
    )
    result = await search(service, "lentil stew", limit=1)
    (hit,) = result.hits
    assert hit.memory.id == answered
    assert [one.id for one in hit.neighbours] == [asked, thanked]
    assert text.searched(result).count("[m_") == 3
    small = await search(service, "lentil stew", limit=1, max_tokens=100)
    assert small.tokens <= 100


async def test_hits_of_one_session_stand_in_order_of_time(service: Service) -> None:
    said = await say(
        service,
        "s",
        ("Ann", "The boat trip starts at the harbour."),
        ("Bob", "Fine."),
        ("Ann", "And the boat trip ends at the island, boat trips always do."),
        day="2024-05-06",
    )
    shown = text.searched(await search(service, "boat trip"))
    places = [shown.index(one) for one in said]
    assert places == sorted(places)
    assert shown.count("2024-05-06:") == 1


async def test_what_is_said_again_and_again_is_shown_once(service: Service) -> None:
    for month in range(1, 5):
        await say(service, f"s{month}", ("Ann", "I am allergic to nuts!"), day=f"2024-0{month}-02")
    await add(service, "The nut tree grows behind the house.")
    result = await search(service, "nuts allergic")
    hits = [hit for hit in result.hits if "allergic" in hit.memory.text]
    assert len(hits) == 1
    assert hits[0].repeated is not None
    assert hits[0].repeated.times == 4
    assert "(said 4×, last 2024-04-02)" in text.searched(result)


async def test_a_contradiction_that_no_time_resolves_is_shown_as_a_pair(service: Service) -> None:
    def job(company: str) -> list[dict[str, str]]:
        return [{"subject": "Bob", "predicate": "works at", "object": company}]

    day = "2024-01-02"
    both = {
        await add(service, "Bob works at Acme.", relations=job("Acme"), observed_at=day),
        await add(service, "Bob works at Globex now.", relations=job("Globex"), observed_at=day),
    }
    await add(
        service, "Bob likes tea.", relations=[{"subject": "Bob", "predicate": "likes", "object": "tea"}]
    )
    result = await search(service, "Where does Bob work, at Acme?")
    (shown,) = both.intersection(ids(result))
    hit = next(hit for hit in result.hits if hit.memory.id == shown)
    assert {one.id for one in hit.conflicts} == both - {shown}
    assert "but 2024-01-02" in text.searched(result)
    alone = await search(service, "Where does Bob work, at Acme?", limit=1)
    assert "but 2024-01-02" in text.searched(alone)


async def test_facts_of_different_times_do_not_contradict(service: Service) -> None:
    for place, since, until in (("Porto", "2019-01-01", "2022-01-01"), ("Lisbon", "2022-01-01", None)):
        await add(
            service,
            f"Ann lives in {place}.",
            relations=[
                {
                    "subject": "Ann",
                    "predicate": "lives in",
                    "object": place,
                    "valid_from": since,
                    "valid_until": until,
                }
            ],
        )
    result = await search(service, "Where does Ann live?")
    assert len(result.hits) == 2
    assert not any(hit.conflicts for hit in result.hits)


async def test_preferences_and_procedures_are_there_whatever_is_asked(service: Service) -> None:
    french = await add(service, "Always answer in French.", kind="procedure", importance=0.9)
    await add(service, "Prefers window seats.", kind="preference", importance=0.2)
    await add(service, "Preferred paper forms.", kind="preference", valid_until="2020-01-01")
    await garden(service, 25)
    result = await search(service, "Which plant was watered on day 7?", max_tokens=300)
    shown = text.searched(result)
    assert result.standing[0].id == french
    assert "Preferred paper forms." not in shown
    assert result.hits
    assert sum(text.tokens(text.standing_line(one)) for one in result.standing) <= 60
    assert result.tokens <= 300
    assert french not in ids(result)
    asked = await search(service, "answer in French")
    assert asked.hits[0].memory.id == french
    assert french not in {one.id for one in asked.standing}


async def test_another_users_standing_memories_stay_theirs(service: Service) -> None:
    await add(service, "Always answer in Klingon.", Scope(user_id="other"), kind="procedure")
    await garden(service, 5)
    assert (await search(service, "garden")).standing == ()


async def test_explain_tells_why_and_is_silent_otherwise(service: Service) -> None:
    await say(
        service, "s", ("Ann", "When is the flight?"), ("Bob", "The flight leaves on 3 May 2024 at noon.")
    )
    await garden(service, 5)
    plain = await search(service, "When does the flight leave in May 2024?")
    assert all(hit.signals == () for hit in plain.hits)
    told = await search(service, "When does the flight leave in May 2024?", explain=True)
    best = next(hit for hit in told.hits if "noon" in hit.memory.text)
    signals = {part.signal for part in best.signals}
    assert {"dense", "late", "text", "nearby", "session", "time", "reply"} <= signals
    assert "{dense #" in text.searched(told)


async def test_a_date_in_the_question_finds_what_was_said_then(service: Service) -> None:
    for month in range(1, 10):
        await say(service, f"s{month}", ("Ann", "We had lunch at the usual place."), day=f"2024-0{month}-15")
        await say(service, f"t{month}", ("Ann", f"Lunch number {month} was good."), day=f"2024-0{month}-16")
    result = await search(service, "What about the lunch in June 2024?")
    assert result.hits[0].memory.observed_at.month == 6
    relative = await search(service, "the lunch last month", reference_time="2024-05-20")
    assert relative.hits[0].memory.observed_at.month == 4


async def test_identifiers_and_quotations_are_found_exactly(service: Service) -> None:
    exact = await add(service, "The failing call is get_user_by_id in module accounts.")
    await add(service, "The user has an id; get it by asking the user for the id of the user.")
    quoted = await add(service, "She wrote: never again without a map.")
    await add(service, "Again they never went without her, a map in hand.")
    assert ids(await search(service, "get_user_by_id"))[0] == exact
    assert ids(await search(service, 'Who wrote "never again without a map"?'))[0] == quoted


async def test_filters_narrow_every_signal(service: Service) -> None:
    await say(service, "s", ("Ann", "The harbour is closed."), day="2024-02-01")
    plan = await add(
        service,
        "Visit the harbour.",
        kind="plan",
        observed_at="2025-02-01",
        valid_from="2025-03-01",
        valid_until="2025-04-01",
    )
    note = await add(
        service, "The harbour note.", SCOPE.model_copy(update={"session_id": "x"}), level="session"
    )
    inside = SCOPE.model_copy(update={"session_id": "x"})
    assert ids(await search(service, "harbour", kinds=["plan"])) == [plan]
    assert ids(await search(service, "harbour", inside, levels=["session"])) == [note]
    assert plan in ids(await search(service, "harbour", valid_since="2025-03-15"))
    assert plan not in ids(await search(service, "harbour", valid_since="2025-04-02"))
    assert plan not in ids(await search(service, "harbour", valid_until="2025-02-15"))
    assert plan in ids(await search(service, "harbour", as_of="2025-03-15"))
    assert plan not in ids(await search(service, "harbour", as_of="2025-01-15"))
    assert len(ids(await search(service, "harbour", until="2024-12-31"))) == 1


async def test_the_forgotten_is_in_no_part_of_an_answer(service: Service) -> None:
    gone, stays = await say(
        service, "s", ("Ann", "The code word is xanthic."), ("Bob", "Noted, the code word.")
    )
    assert gone in ids(await search(service, "xanthic code word"))
    await service.forget(SCOPE, ForgetRequest(ids=(gone,)))
    result = await search(service, "xanthic code word")
    assert ids(result) == [stays]
    assert "xanthic" not in text.searched(result).replace("cursor", "")


async def test_words_of_others_change_no_score(service: Service) -> None:
    await say(
        service, "s", ("Ann", "The kiln was fired."), ("Bob", "The pot broke."), ("Ann", "A rare glaze.")
    )
    before = await search(service, "rare kiln glaze")
    for number in range(30):
        await add(service, f"Rare kiln glaze number {number}.", Scope(user_id="other"))
    after = await search(service, "rare kiln glaze")
    assert [(hit.memory.id, hit.score) for hit in before.hits] == [
        (hit.memory.id, hit.score) for hit in after.hits
    ]


async def test_what_is_written_while_words_are_read_is_counted_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write between the question how far the ledger is and the reading of what is new."""
    await add(service, "The heron stands in the reeds.")
    store: Any = service._store  # pyright: ignore[reportPrivateUsage]  # the race is in its innermost
    read = store.ledger.read
    late: list[str] = []

    async def read_late(work: Any, *args: Any, **named: Any) -> Any:
        found = await read(work, *args, **named)
        if getattr(work, "__name__", "") == "last_seq" and not late:
            late.append("")
            late[0] = (await say(service, "s", ("Ann", "Another heron came late.")))[0]
        return found

    monkeypatch.setattr(store.ledger, "read", read_late)
    await store.read_words(SCOPE, "heron")
    found = (await store.read_words(SCOPE, "heron")).best(10)
    assert len(found) == len({one.memory_id for one in found}) == 2
    assert late[0] in {one.memory_id for one in found}


async def test_without_words_in_memory_the_full_text_index_answers(config: Config) -> None:
    searching = config.search.model_copy(update={"words_mib": 0})
    async with Service.open(config.model_copy(update={"search": searching})) as service:
        target = await add(service, "The heron stands in the reeds.")
        await garden(service, 5)
        result = await search(service, "heron reeds", explain=True)
        assert result.hits[0].memory.id == target
        assert {"text", "late"} <= {part.signal for part in result.hits[0].signals}
        assert "nearby" not in {part.signal for part in result.hits[0].signals}


async def test_a_rating_is_a_tie_break_and_is_kept_once_for_each_rater(service: Service) -> None:
    first = await add(service, "The red bicycle stands in the shed.")
    second = await add(service, "The red bicycle stands in this shed.")
    await add(service, "A red bicycle was in the shed.")
    for rater in ("desktop", "desktop", "editor"):
        await service.rate(SCOPE, second, "useful", source=rater)
    await service.rate(SCOPE, first, "wrong", source="desktop")
    history = (await service.get(SCOPE, second)).history
    assert [event.event for event in history].count("useful") == 2
    result = await search(service, "red bicycle shed", explain=True)
    assert second in ids(result)
    with pytest.raises(MemoryNotFound):
        await service.rate(Scope(user_id="other"), second, "wrong")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_tokens": 99}, "too small"),
        ({"max_tokens": 20_001}, "too large"),
        ({"detail": "everything"}, "use one of"),
        ({"as_of": "2024-01-01", "until": "2024-01-01"}, "as_of"),
        ({"valid_since": "2025-01-01", "valid_until": "2024-01-01"}, "later than"),
        ({"where": "stars > 3"}, "where: must be an object; got 'stars > 3'"),
        ({"kinds": "fact"}, "kinds: must be a list; got 'fact'"),
        ({"limit": float("nan")}, "limit: must be a number; got NaN"),
        ({"explain": [1]}, r"explain: must be true or false; got \[1\]"),
    ],
)
async def test_an_argument_that_makes_no_sense_is_refused(
    service: Service, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        await search(service, "x", **arguments)


_words = st.text(min_size=1, max_size=300).filter(
    lambda words: any(one.isprintable() and one != " " for one in words)
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=_words, max_tokens=st.integers(100, 2_000), limit=st.none() | st.integers(1, 100))
async def test_no_query_is_too_strange(
    service: Service, query: str, max_tokens: int, limit: int | None
) -> None:
    if not (await service.stats(SCOPE)).memories:
        await garden(service, 12)
        await say(service, "s", ("Ann", "“Quoted” text\nwith lines"), ("Bob", "日本語 and café, x_y-z v1.2"))
    result = await search(service, query, max_tokens=max_tokens, limit=limit)
    shown = text.searched(result)
    assert result.tokens == text.tokens(shown) <= max_tokens
    assert len(result.hits) <= (limit or 50)
    assert len(re.findall(r"^\d+\. ", shown, re.MULTILINE)) == len(result.hits)


def test_an_excerpt_begins_and_ends_where_words_do() -> None:
    long = f"{'word ' * 250}lighthouse {'word ' * 150}"
    part = text.excerpt(long, ["lighthouses"])
    assert "lighthouse" in part
    assert part.startswith("… word")
    assert part.endswith("…")
    assert text.excerpt("short", ["x"]) == "short"


async def test_a_question_for_nothing_but_a_time_is_led_by_it_and_known(service: Service) -> None:
    await garden(service)
    for day, words in (("2025-06-08", "The gutter leaks again."), ("2025-06-09", "Nina brought plum cake.")):
        await say(service, day, ("Ann", words), day=day)
    result = await search(service, "What happened yesterday?", reference_time="2025-06-10T12:00:00Z")
    assert result.known
    assert result.hits[0].memory.text == "Nina brought plum cake."


async def test_yesterday_is_that_of_the_time_zone_asked_from(service: Service) -> None:
    for day, words in (("2025-06-05", "Nina brought plum cake."), ("2025-06-06", "The gutter leaks again.")):
        await say(service, day, ("Ann", words), day=f"{day}T12:00:00")
    late = await search(service, "What happened today?", reference_time="2025-06-05T23:30:00-05:00")
    # In Greenwich it is the sixth already.
    assert late.hits[0].memory.text == "Nina brought plum cake."


@pytest.mark.parametrize("query", ["What happened last week?", "And 999 months ago?", "two weeks ago"])
async def test_before_the_first_year_there_is_no_day_and_no_crash(service: Service, query: str) -> None:
    await add(service, "The gutter leaks again.")
    assert (await search(service, query, reference_time="0001-01-03T00:00:00Z")).hits


@pytest.mark.parametrize("number", ["9223372036854775808", "1e400", "NaN"])
def test_a_number_that_cannot_be_compared_is_refused(number: str) -> None:
    with pytest.raises(InvalidInput, match="stars"):
        parse(SearchRequest, {"query": "x", "where": {"stars": json.loads(number)}})


async def test_a_preference_that_proved_wrong_is_not_put_before_every_answer(service: Service) -> None:
    wrong = await add(service, "Always answer in French.", kind="preference")
    kept = await add(service, "Ann likes short answers.", kind="preference")
    await garden(service, 10)
    await service.rate(SCOPE, wrong, "wrong", source="desktop")
    standing = {one.id for one in (await search(service, "Which boat is red?")).standing}
    assert wrong not in standing
    assert kept in standing
