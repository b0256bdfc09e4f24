"""Where no model compares what is said, an answer about now shows beside a statement what its speaker said
later of the same thing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_memory import text
from mcp_memory.config import Config
from mcp_memory.models import AddRequest, Hit, Memory, Scope, SearchRequest, SearchResult, parse
from mcp_memory.service import Service
from mcp_memory.staleness import later_told

pytestmark = pytest.mark.anyio

SCOPE = Scope(user_id="u")
FIRST, SECOND, THIRD = "2024-03-01T10:00:00Z", "2024-05-20T18:00:00Z", "2024-07-30T09:00:00Z"


@pytest.fixture
async def service(config: Config) -> AsyncGenerator[Service]:
    async with Service.open(config) as opened:
        yield opened


async def say(
    service: Service, content: str, time: str, *, name: str | None = None, role: str = "user"
) -> str:
    message = {"role": role, "content": content, "time": time} | ({"name": name} if name else {})
    scope = SCOPE.model_copy(update={"session_id": time})
    return (await service.add(scope, parse(AddRequest, {"messages": [message]}))).memories[0].id


async def search(service: Service, query: str, **arguments: Any) -> SearchResult:
    return await service.search(SCOPE, parse(SearchRequest, {"query": query, **arguments}))


def hit(result: SearchResult, memory_id: str) -> Hit:
    (found,) = (one for one in result.hits if one.memory.id == memory_id)
    return found


@pytest.mark.parametrize(
    ("earlier", "later", "question"),
    [
        ("The allotment costs us 40 a year.", "We've given up the allotment.", "Do we have an allotment?"),
        (
            "I take the pottery class.",
            "I quit the pottery class, the kiln is broken.",
            "Which class do I take?",
        ),
        ("My phone is a Fairphone 4.", "Switched from the Fairphone to a Nokia.", "Is my phone a Fairphone?"),
        (
            "There are 20 titles on my watchlist.",
            "My watchlist is at 25 titles.",
            "How many titles are on my watchlist?",
        ),
        ("The build needs Python 3.9.", "The build needs Python 3.12.", "Which Python does the build need?"),
        ("The recital is on 18 May.", "The recital is on 7 September.", "When is the recital?"),
        (
            "My piano lessons are on Mondays.",
            "My piano lessons are on Thursdays.",
            "When are my piano lessons?",
        ),
        ("Our huddle is at 3pm.", "We finally moved the huddle to 11.", "What time is our huddle?"),
        (
            "When you summarise for me, use emojis.",
            "I've had enough of emojis in there.",
            "How should you summarise for me?",
        ),
        (
            "Ask Benedetta Conti, but she insists on Benny. Sits in Turin.",
            "Benny relocated to Bari this month.",
            "Where is Benedetta Conti based?",
        ),
    ],
)
async def test_what_was_said_later_stands_above_what_it_may_have_made_stale_and_is_named_there(
    service: Service, earlier: str, later: str, question: str
) -> None:
    old, new = await say(service, earlier, FIRST), await say(service, later, THIRD)
    await say(service, "My sister came by with plum cake.", SECOND)
    result = await search(service, question)
    found = hit(result, old)
    if not found.followed:
        assert found.later is not None
        assert found.later.memory.id == new
        assert f"   later, 2024-07-30: [{new}]\n" in f"{text.searched(result)}\n"
    ranks = [one.memory.id for one in result.hits]
    assert ranks.index(new) < ranks.index(old)
    assert hit(result, new).later is None


@pytest.mark.parametrize(
    ("earlier", "later", "question"),
    [
        # What was ended is named, and nothing else of the question.
        (
            "The Vespa needs a new chain.",
            "Goodbye Vespa! Sold it to a neighbour.",
            "Which scooter do I ride?",
        ),
        ("My starter is oysters.", "I've gone off oysters completely.", "What is my favourite starter?"),
        ("Seeing The Tin Foxes on June 3rd.", "the Foxes gig is off", "What about my concert?"),
        ("Piet just started at Quillon.", "Piet left Quillon after a year.", "What does Piet do?"),
        ("My tablet is a Lumo 3.", "Got a Vireo 7, the old Lumo goes to Tim.", "What tablet do I have?"),
        (
            "my bike is a Gazelle and the gears slip uphill, anything I could adjust myself?",
            "Got a Batavus, the old Gazelle goes to my brother.",
            "Which bike do I ride?",
        ),
        # A field of life is told of without its words.
        ("I sort parcels for Northern Post.", "That was my last week. I'm retired!", "What's my job?"),
        (
            "I'm a junior editor at Halcyon Books.",
            "The house has made me art director, would you believe it.",
            "What is my position?",
        ),
        (
            "Do I need a visa? I'm in Graz.",
            "We landed in Turin. This is home now.",
            "What city am I based in?",
        ),
        ("She lives in Metz.", "my sister has moved up to Lille with the twins", "Where does Zoé live?"),
        # Who it is about is named before "my".
        (
            "Nora Voss, my aunt, keeps bees in her garden in Kiel.",
            "news: Nora Voss and my cousin have moved to Husum, so somebody else has the bees",
            "Where does Nora Voss live?",
        ),
        # Another value of what is asked for, or beside a plain change.
        ("The regatta is set: 3 to 5 June.", "ok the regatta, 10 to 12 July.", "Which days is the regatta?"),
        ("I'm vegan since spring.", "I eat cheese again, so vegetarian.", "What is my diet?"),
        ("I walk 4,000 steps a day.", "By the way, I'm at 7,000 steps.", "How many steps do I walk?"),
        ("I own 14 records.", "I own 21 Polish jazz records.", "How many records do I own?"),
        ("I have 2 dogs.", "We adopted another, so I'm at 3 dogs.", "How many dogs do I have?"),
        # The same name, and the same side of them.
        ("Bruno lives in Malmö.", "Bruno moved to Lund.", "What about Bruno?"),
        ("My lessons are on Mondays at 4.", "Ines moved my lessons to Fridays.", "When are my lessons?"),
        (
            "I've got the physio on Monday the 3rd.",
            "My physio appointment has been pushed to Friday the 7th.",
            "What about my appointments?",
        ),
    ],
)
async def test_a_change_is_noticed_however_it_is_told(
    service: Service, earlier: str, later: str, question: str
) -> None:
    old, new = await say(service, earlier, FIRST), await say(service, later, THIRD)
    await say(service, "My sister came by with plum cake.", SECOND)
    found = hit(await search(service, question), old).later
    assert found is not None
    assert found.memory.id == new


async def test_a_rule_that_was_told_anew_does_not_stand_before_the_answer(service: Service) -> None:
    question = "How do I want answers formatted?"
    old = await say(service, "Always answer me in bullet points. I skim.", FIRST)
    (standing,) = (await search(service, question)).standing
    assert standing.kind == "procedure"
    new = await say(service, "I've had enough of bullet points. Write me proper paragraphs.", THIRD)
    found = await search(service, question)
    later = hit(found, old).later
    assert later is not None
    assert later.memory.id == new
    assert standing.id not in {one.id for one in found.standing}
    # It ended nothing: whoever asks something else may need it.
    assert standing.id in {one.id for one in (await search(service, "What is a monad?")).standing}


async def test_what_was_said_later_is_quoted_where_it_is_no_hit_itself(service: Service) -> None:
    old = await say(service, "There are 20 titles on my watchlist.", FIRST)
    new = await say(service, "My watchlist is at 25 titles.", THIRD)
    page = await search(service, "How many titles are on my watchlist?", limit=1)
    assert [one.memory.id for one in page.hits] == [new]
    rest = await search(service, "How many titles are on my watchlist?", limit=1, cursor=page.cursor)
    assert hit(rest, old).later is not None
    assert f"   later, 2024-07-30: [{new}] “My watchlist is at 25 titles.”" in text.searched(rest)


async def test_of_several_the_last_is_named_and_it_names_none(service: Service) -> None:
    told = [
        await say(service, f"My watchlist is at {number} titles.", time)
        for number, time in ((20, FIRST), (25, SECOND), (31, THIRD))
    ]
    result = await search(service, "How many titles are on my watchlist?")
    named = [None if (later := hit(result, one).later) is None else later.memory.id for one in told]
    assert named == [told[2], told[2], None]
    assert result.hits[0].memory.id == told[2]


@pytest.mark.parametrize(
    ("earlier", "later", "question"),
    [
        # A question, an order, something imagined, a joke.
        ("I take the pottery class.", "Should I quit the pottery class?", "Which class do I take?"),
        ("I take the pottery class.", "Imagine I quit the pottery class.", "Which class do I take?"),
        ("I take the pottery class.", "I quit the pottery class, just kidding.", "Which class do I take?"),
        # Somebody else's.
        ("I take the pottery class.", "My sister quit the pottery class.", "Which class do I take?"),
        ("I settled in Gdynia in May.", "Halina moved in with her uncle in Sopot.", "Where do I live?"),
        ("Halina moved in with her uncle in Sopot.", "I moved to Gdynia.", "Where does Halina live?"),
        ("My cousin Bruno lives in Malmö.", "Ines moved to the back desk.", "Where does Bruno live?"),
        ("Nan lives in Bath.", "The move to Leeds is off.", "Where does Nan live?"),
        # Moved, but not house.
        ("My rent is 700 euros.", "We moved the christening to 9 May.", "What is my rent?"),
        # Told of him, and no word of where he lives; of her, and no word of tennis.
        ("Bruno lives in Malmö.", "Bruno quit smoking.", "What about Bruno?"),
        ("I play tennis with Ines on weekends.", "Ines no longer eats fish.", "Do I play tennis with Ines?"),
        # Dreamt, joked, seen, denied, long over, or elsewhere.
        ("I work at Quillon.", "I dreamt I quit my job at Quillon.", "Where do I work?"),
        ("I work at Quillon.", "I joked that I quit my job at Quillon.", "Where do I work?"),
        ("I live in Metz.", "I read a novel about a baker who moved from Metz to Lille.", "Where do I live?"),
        ("I sing in the choir.", "I'd never quit the choir.", "Do I sing in the choir?"),
        ("I play the oboe.", "I used to play the oboe as a boy.", "Do I play the oboe?"),
        ("Bruno lives in Paris.", "Bruno used to live in Paris, Texas.", "Where does Bruno live?"),
        # Of what was seen or bought there is another number than of what one has.
        ("I have 2 dogs.", "I saw 6 dogs in the park.", "How many dogs do I have?"),
        ("I have 2 sons.", "I bought 3 sons' coats for 90 euros.", "How many sons do I have?"),
        # The same person, and another thing.
        ("Ravi loves hiking in the Alps.", "Ravi left SpaceX.", "Does Ravi love hiking?"),
        (
            "Playing Zelda took me 30 hours.",
            "Playing Tetris took me 5 hours.",
            "How many hours did games take?",
        ),
        # The same number again.
        (
            "There are 20 titles on my watchlist.",
            "The watchlist has 20 titles.",
            "How many titles are on my watchlist?",
        ),
        # Another person of that first name.
        (
            "Took the cat to Dr. Ida Brandt.",
            "Ida Brandt's practice has moved to Elm Street.",
            "Where does Ida Moll live?",
        ),
        # Who changes something is not what is changed.
        (
            "Ms. Okoye told me that her first name is Ada.",
            "Ada moved my lessons to Mondays.",
            "When are my violin lessons?",
        ),
        # The same change again.
        (
            "Had my last shift on Friday. I'm retired!",
            "any advice for a retired man who's bored by noon",
            "What do I do for a living?",
        ),
        # A journey, and coming home.
        ("I'm in Rome this week.", "We sold the flat! Off to Turku.", "Where do I live?"),
        ("We rent a flat by the harbour.", "I'm home now, what a day.", "Where do I live?"),
        # Times are counted of everything.
        ("I waited 3 weeks for it.", "The course takes 8 weeks.", "How many weeks did I wait?"),
        # An idiom of nobody in particular.
        (
            "My work is mending bikes at the shop.",
            "Radio helps with bike work. However old it may look it gets the job done.",
            "What is my work with bikes?",
        ),
        # Only advice.
        (
            "You should check out the pottery class.",
            "I quit the pottery class.",
            "What about the pottery class?",
        ),
    ],
)
async def test_what_is_no_update_is_not_shown_as_one(
    service: Service, earlier: str, later: str, question: str
) -> None:
    old = await say(service, earlier, FIRST)
    await say(service, later, THIRD)
    assert hit(await search(service, question), old).later is None


async def test_only_the_same_speaker_can_tell_and_no_assistant(service: Service) -> None:
    own = await say(service, "There are 20 titles on my watchlist.", FIRST)
    anns = await say(service, "There are 40 titles on my watchlist.", SECOND, name="Ann")
    await say(service, "There are 25 titles on your watchlist.", THIRD, role="assistant")
    result = await search(service, "How many titles are on my watchlist?")
    assert hit(result, own).later is None
    assert hit(result, anns).later is None


async def test_a_mistake_is_corrected_within_a_talk_and_nothing_else_changes_there(service: Service) -> None:
    question = "How many titles are on my watchlist?"
    said = await say(service, "There are 20 titles on my watchlist.", FIRST)
    await say(service, "My watchlist is at 21 titles.", "2024-03-01T10:20:00Z")
    assert hit(await search(service, question), said).later is None
    right = await say(service, "I mixed it up, my watchlist is at 25 titles.", "2024-03-01T10:30:00Z")
    later = hit(await search(service, question), said).later
    assert later is not None
    assert later.memory.id == right


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("How many titles were on my watchlist before?", {}),
        ("How many titles are on my watchlist?", {"as_of": "2024-08-30"}),
        ("How many titles are on my watchlist?", {"since": "2024-01-01"}),
        ("How many titles are on my watchlist?", {"until": "2024-12-31"}),
    ],
)
async def test_a_question_about_the_past_pairs_nothing(
    service: Service, query: str, arguments: dict[str, str]
) -> None:
    await say(service, "There are 20 titles on my watchlist.", FIRST)
    await say(service, "My watchlist is at 25 titles.", THIRD)
    result = await search(service, query, **arguments)
    assert result.hits
    assert all(one.later is None for one in result.hits)


async def test_nothing_is_paired_where_nobody_is_asked_to_understand(words_only: Config) -> None:
    async with Service.open(words_only) as service:
        await say(service, "There are 20 titles on my watchlist.", FIRST)
        await say(service, "My watchlist is at 25 titles.", THIRD)
        result = await search(service, "How many titles are on my watchlist?")
        assert result.hits
        assert all(one.later is None for one in result.hits)


@pytest.mark.parametrize("max_tokens", [100, 130, 170, 230, 400, 1_000])
async def test_what_stands_beside_a_hit_counts_in_the_size_of_the_answer(
    service: Service, max_tokens: int
) -> None:
    for number, month in enumerate(range(1, 12)):
        padding = "and the shelf by the window is full " * number
        await say(
            service, f"My watchlist is at {20 + number} titles {padding}.", f"2023-{month:02}-01T10:00:00Z"
        )
    result = await search(service, "How many titles are on my watchlist?", max_tokens=max_tokens)
    assert len(text.searched(result)) <= max_tokens * text.CHARACTERS_PER_TOKEN
    assert result.hits


async def told(service: Service, query: str, **arguments: Any) -> list[tuple[str, str]]:
    """The ids of what changes show as told anew, each with what had been told before."""
    result = await search(service, query, changes=True, **arguments)
    pairs = ((one, one.earlier) for one in result.changes if one.event == "told")
    return [(one.memory.id, earlier.id) for one, earlier in pairs if earlier is not None]


async def test_changes_show_what_was_told_anew_with_what_was_told_before_the_time_asked_about(
    service: Service,
) -> None:
    old = await say(service, "The allotment costs us 40 a year.", FIRST, name="Ann")
    new = await say(service, "We've given up the allotment.", THIRD, name="Ann")
    result = await search(service, "What changed about the allotment?", since="2024-06-01", changes=True)
    assert (
        f"- 2024-07-30 told: [{new}] Ann: “We've given up the allotment.”\n"
        f"   earlier, 2024-03-01: [{old}] Ann: “The allotment costs us 40 a year.”\n"
    ) in text.searched(result)


async def test_each_change_is_shown_with_what_was_told_just_before_it(service: Service) -> None:
    first, second, third = [
        await say(service, f"My watchlist is at {number} titles.", time)
        for number, time in ((20, FIRST), (25, SECOND), (31, THIRD))
    ]
    query = "What changed about the titles on my watchlist?"
    assert await told(service, query, since="2024-01-01") == [(third, second), (second, first)]
    assert await told(service, query, since="2024-07-01") == [(third, second)]
    assert await told(service, query, since="2024-01-01", until="2024-06-30") == [(second, first)]
    assert await told(service, query, since="2024-08-15") == []


async def test_changes_that_were_told_fit_the_filters(service: Service) -> None:
    await say(service, "My watchlist is at 20 titles.", FIRST)
    await say(service, "My watchlist is at 25 titles.", THIRD)
    query, since = "What changed about the titles on my watchlist?", "2024-06-01"
    assert len(await told(service, query, since=since, kinds=["message"], levels=["user"])) == 1
    assert await told(service, query, since=since, kinds=["preference"]) == []
    assert await told(service, query, since=since, levels=["agent"]) == []


async def test_what_merely_adds_is_no_change(service: Service) -> None:
    await say(service, "I take the pottery class.", FIRST)
    await say(service, "The pottery class is run by a nice couple.", SECOND)
    await say(service, "There were twelve of us at the pottery class.", THIRD)
    assert await told(service, "What changed about the pottery class?", since="2024-04-01") == []


async def test_a_question_that_names_nothing_pairs_nothing(service: Service) -> None:
    await say(service, "We rent an allotment by the canal bridge.", FIRST)
    await say(service, "We've given up the allotment by the canal bridge.", THIRD)
    assert len(await told(service, "What changed about our allotment?", since="2024-06-01")) == 1
    assert await told(service, "What changed?", since="2024-06-01") == []


async def test_what_is_understood_to_have_changed_is_told_once(service: Service) -> None:
    await say(service, "I live in Lyon.", FIRST)
    await say(service, "I moved to Nantes.", THIRD)
    result = await search(service, "What changed about where I live?", since="2024-06-01", changes=True)
    assert {one.event for one in result.changes} == {"began", "ended"}


async def test_changes_stand_in_order_of_time_the_latest_first(service: Service) -> None:
    await say(service, "I live in Lyon and work at Quillon.", FIRST)
    await say(service, "I moved to Nantes.", SECOND)
    await say(service, "I quit my job at Quillon and joined Brandt.", THIRD)
    query = "What changed about where I live and work?"
    result = await search(service, query, since="2024-04-01", changes=True)
    times = [one.at for one in result.changes]
    assert len(set(times)) > 1
    assert {one.event for one in result.changes} >= {"began", "ended"}
    assert times == sorted(times, reverse=True)


async def test_changes_are_those_until_the_day_asked_for(service: Service) -> None:
    await say(service, "I live in Lyon.", FIRST)
    await say(service, "I moved to Nantes.", THIRD)
    query = "What changed about where I live?"
    assert (await search(service, query, since="2024-06-01", as_of="2024-08-30", changes=True)).changes
    assert not (await search(service, query, since="2024-06-01", as_of="2024-06-30", changes=True)).changes


async def test_a_plan_that_was_cancelled_before_its_day_never_began(service: Service) -> None:
    await say(service, "I'm flying to Iceland on July 10.", FIRST)
    query = "What changed about my trip to Iceland?"
    held = await search(service, query, since="2024-02-01", until="2024-12-31", changes=True)
    assert "began" in {one.event for one in held.changes if "Iceland" in one.memory.text}
    await say(service, "I'm not flying to Iceland after all.", SECOND)
    found = await search(service, query, since="2024-02-01", until="2024-12-31", changes=True)
    began = [one.memory.text for one in found.changes if one.event == "began"]
    assert not [one for one in began if "July" in one or "07-10" in one]


async def test_what_is_beside_the_query_is_not_told_as_a_change_of_it(service: Service) -> None:
    await say(service, "The allotment costs us 40 a year.", FIRST)
    await say(service, "We've given up the allotment.", THIRD)
    assert await told(service, "What changed about the allotment?", since="2024-06-01")
    assert await told(service, "what is the weather like", since="2024-06-01") == []


async def test_of_a_long_statement_the_part_that_changed_is_shown(service: Service) -> None:
    padding = "The shelf by the window is full of plants again. " * 12
    await say(service, f"{padding}My watchlist is at 20 titles. {padding}", FIRST)
    await say(service, f"{padding}My watchlist is at 25 titles. {padding}", THIRD)
    query, since = "What changed about the titles on my watchlist?", "2024-06-01"
    (change,) = (await search(service, query, since=since, changes=True)).changes
    assert change.earlier is not None
    assert "My watchlist is at 25 titles." in change.memory.text
    assert "My watchlist is at 20 titles." in change.earlier.text
    assert max(len(change.memory.text), len(change.earlier.text)) <= text.SHOWN
    (whole,) = (
        await search(service, query, since=since, changes=True, detail="full", max_tokens=4_000)
    ).changes
    assert whole.memory.text.count("The shelf") == 24


async def test_changes_that_do_not_fit_are_counted(service: Service) -> None:
    for place, month in enumerate(range(1, 12)):
        await say(service, f"My watchlist is at {20 + place} titles.", f"2023-{month:02}-01T10:00:00Z")
    result = await search(
        service,
        "What changed about the titles on my watchlist?",
        since="2023-01-15",
        changes=True,
        max_tokens=400,
    )
    assert 0 < len(result.changes) < 10
    assert len(result.changes) + result.changes_left_out == 10
    assert len(text.searched(result)) <= 400 * text.CHARACTERS_PER_TOKEN


async def test_changes_are_only_those_understood_where_nobody_is_asked_to_understand(
    words_only: Config,
) -> None:
    async with Service.open(words_only) as service:
        await say(service, "My watchlist is at 20 titles.", FIRST)
        await say(service, "My watchlist is at 25 titles.", THIRD)
        assert await told(service, "What changed about my watchlist?", since="2024-06-01") == []


SAID = st.text(alphabet="abc 0123456789.?!,;'’$:-\n", max_size=120) | st.sampled_from(
    ("quit", "no longer on 3 May", "my job", "at 9:30", "every 2 weeks", "v1.2.3", "$4,000")
)


@given(said=st.lists(SAID.map(str.strip).filter(bool), max_size=8), question=SAID)
def test_pairs_run_forward_in_time_whatever_was_said(said: list[str], question: str) -> None:
    memories = [
        Memory(
            id=f"m_{place}",
            text=one,
            kind="message",
            level="user",
            user_id="u",
            role="user",
            observed_at=datetime(2024, 1, 1 + place, tzinfo=UTC),
            recorded_at=datetime(2024, 1, 1 + place, tzinfo=UTC),
        )
        for place, one in enumerate(said)
    ]
    by_id = {one.id: one for one in memories}
    for earlier, later in later_told(memories, question, None).items():
        assert later.observed_at > by_id[earlier].observed_at
