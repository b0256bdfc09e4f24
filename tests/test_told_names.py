"""Who goes by another name because somebody said so: one where nothing speaks against it, and else listed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from mcp_memory.config import Config, load
from mcp_memory.embedding import MemoryEmbedder, create_embedder
from mcp_memory.errors import EntityNotFound, InvalidInput
from mcp_memory.models import (
    AddRequest,
    EntitiesRequest,
    EntityDetail,
    ForgetRequest,
    Memory,
    NewEntity,
    Scope,
    SearchRequest,
    parse,
)
from mcp_memory.service import Service
from mcp_memory.store import Draft, Later, Store, Written
from mcp_memory.store.ledger.schema import new_id
from mcp_memory.store.ledger.writing import Understood

from .conftest import GRAPH_ENGINE


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    """One memory for the module, understood by rules; each test is a user of its own in it."""
    folder = tmp_path_factory.mktemp("told") / "data"
    async with Service.open(load(flags={"data_dir": folder, "graph": {"engine": GRAPH_ENGINE}})) as opened:
        yield opened


@pytest.fixture
def scope() -> Scope:
    return Scope(user_id=uuid4().hex)


async def say(service: Service, scope: Scope, *said: str) -> list[str]:
    """Each in a session of its own; answers the ids of the messages."""
    ids: list[str] = []
    for number, words in enumerate(said, 1):
        message = {"role": "user", "content": words, "time": f"2024-0{number}-05T12:00:00Z"}
        added = await service.add(scope, parse(AddRequest, {"messages": [message]}))
        ids.append(added.memories[0].id)
    return ids


async def whole(service: Service, scope: Scope, name: str) -> EntityDetail:
    detail = (await service.entities(scope, EntitiesRequest(entity=name))).detail
    assert detail is not None
    return detail


async def are_one(service: Service, scope: Scope, one: str, other: str) -> bool:
    return (await whole(service, scope, one)).entity.id == (await whole(service, scope, other)).entity.id


async def listed(service: Service, scope: Scope) -> list[set[str]]:
    review = await service.review_entities(scope)
    return [{pair.one.name, pair.other.name} for pair in review.pairs]


@pytest.mark.parametrize(
    ("said", "one", "other"),
    [
        ("At the gym I saw Cornelius Vane, everyone calls him Neil.", "Cornelius Vane", "Neil"),
        ("My neighbour Philippa, whom we all call Pip, keeps bees.", "Philippa", "Pip"),
        ("Sasha is short for Alexandra.", "Alexandra", "Sasha"),
        ("Henrietta Stone (Hettie for short) runs the choir.", "Henrietta Stone", "Hettie"),
        ("Bartholomew, Bart to his friends, sold me a kayak.", "Bartholomew", "Bart"),
        ("Mr. Okoro's first name is Emeka.", "Mr. Okoro", "Emeka"),
        ("My coach is Ignatius, but he goes by Iggy.", "Ignatius", "Iggy"),
        ("Wilhelmina prefers to be called Billie.", "Wilhelmina", "Billie"),
        ("Our project is called Heron.", "The user's project", "Heron"),
    ],
)
async def test_who_is_told_to_go_by_another_name_is_found_by_both(
    service: Service, scope: Scope, said: str, one: str, other: str
) -> None:
    await say(service, scope, said)
    assert await are_one(service, scope, one, other)


async def test_an_alias_that_is_kin_makes_one_of_both(service: Service, scope: Scope) -> None:
    await say(
        service,
        scope,
        "Lena's mother lives in Tartu.",
        "I met Dr. Ames today.",
        "Dr. Ames, that is, Lena's mother, came by.",
    )
    assert await are_one(service, scope, "Dr. Ames", "Lena's mother")
    assert [one.text for one in (await whole(service, scope, "Dr. Ames")).facts] == [
        "Dr. Ames is Lena's mother.",
        "Lena's mother lives in Tartu.",
    ]


async def test_whom_the_user_calls_theirs_is_found_as_they_say_it(service: Service, scope: Scope) -> None:
    await say(service, scope, "My sister Tilde lives in Umeå.")
    assert (await whole(service, scope, "my sister")).entity.name == "Tilde"
    with pytest.raises(EntityNotFound, match="my brother"):
        await whole(service, scope, "my brother")


async def test_a_nickname_that_was_spoken_of_before_is_joined_and_split_again(
    service: Service, scope: Scope
) -> None:
    before, _, after = await say(
        service,
        scope,
        "I met Mags at the market, she moved to Bergen.",
        "I had tea with Margaret Hollis, everyone calls her Mags.",
        "Mags sent me a postcard.",
    )
    found = await service.search(scope, SearchRequest(query="postcard market", entity="Margaret Hollis"))
    assert {before, after} <= {hit.memory.id for hit in found.hits}
    assert await service.caught_up(20)
    assert (await service.compare()).agrees
    done = await service.split_entity(scope, "Mags")
    assert done.entity.name == "Mags"
    assert not await are_one(service, scope, "Mags", "Margaret Hollis")
    assert (await service.compare()).agrees
    # Whoever took it back is not overruled by who says it again, nor asked again.
    await say(service, scope, "As I said: Margaret Hollis, everyone calls her Mags.")
    assert not await are_one(service, scope, "Mags", "Margaret Hollis")
    assert {"Mags", "Margaret Hollis"} not in await listed(service, scope)


_TOLD = "I had tea with Margaret Hollis, everyone calls her Mags."


@pytest.mark.parametrize(
    "before",
    [
        ("My cousin Mags is a nurse.",),
        ("We have a dog called Mags.",),
        ("Mags and Margaret Hollis came to dinner.",),
        ("Mags lives in Bergen.", "Margaret Hollis lives in Leeds."),
        ("Mags is married to Tom.",),
    ],
)
async def test_what_is_known_otherwise_keeps_a_told_name_apart_and_lists_it(
    service: Service, scope: Scope, before: tuple[str, ...]
) -> None:
    await say(service, scope, *before, _TOLD)
    assert not await are_one(service, scope, "Mags", "Margaret Hollis")
    assert {"Mags", "Margaret Hollis"} in await listed(service, scope)
    review = await service.review_entities(scope)
    assert "“Margaret Hollis” is said to be called “Mags” too" in [pair.why for pair in review.pairs]
    assert await service.caught_up(20)
    assert (await service.compare()).agrees


async def test_two_who_share_a_nickname_stay_two(service: Service, scope: Scope) -> None:
    await say(service, scope, _TOLD, "I met Magnolia Reyes, everyone calls her Mags.")
    both = {(await whole(service, scope, one)).entity.id for one in ("Magnolia Reyes", "Margaret Hollis")}
    mags = await whole(service, scope, "Mags")
    assert {mags.entity.id, *(one.id for one in mags.namesakes)} == both
    # Whose nickname was told is whom the words meant.
    found = await service.search(scope, SearchRequest(query="Mags", entity="Margaret Hollis"))
    assert [hit.memory.text for hit in found.hits if "Magnolia" in hit.memory.text] == []


@pytest.mark.parametrize(
    ("said", "one", "other"),
    [
        ("I met Odile with Cornelius Vane, everyone calls her Dilly.", "Cornelius Vane", "Dilly"),
        ("My boss Odile has a new assistant, he goes by Chip.", "Odile", "Chip"),
        ("Odile had a boy, he's called Rufus.", "Odile", "Rufus"),
        ("Everyone calls Odile on Sundays, Rufus too.", "Odile", "Rufus"),
        ("Odile goes by Lyft to the office.", "Odile", "Lyft"),
        ("I wish everyone called Odile, Dilly.", "Odile", "Dilly"),
    ],
)
async def test_a_name_that_is_not_told_of_somebody_is_not_theirs(
    service: Service, scope: Scope, said: str, one: str, other: str
) -> None:
    await say(service, scope, said)
    ids = set[str]()
    for name in (one, other):
        try:
            ids.add((await whole(service, scope, name)).entity.id)
        except EntityNotFound:
            ids.add(name)
    assert len(ids) == 2


async def called(service: Service, scope: Scope, name: str) -> list[EntityDetail]:
    """All whose own name or alias this is, who has it for a name first."""
    page = await service.entities(scope, EntitiesRequest())
    found = [one for one in page.entities if name in (one.name, *one.aliases)]
    return [await whole(service, scope, one.id) for one in sorted(found, key=lambda one: one.name != name)]


@pytest.mark.parametrize(
    ("nickname", "told", "name"),
    [
        ("My boss, Odette Marsh, goes by Dot.", "My grandmother Dot lives in Hull.", "Dot"),
        ("My horse Sergeant goes by Sarge.", "My cousin Sarge works at Ikea.", "Sarge"),
        ("I met Augustus Lind, everyone calls him Gus.", "My parrot Gus is loud.", "Gus"),
        ("I met Augustus Lind, everyone calls him Gus.", "The goldfish is called Gus.", "Gus"),
        ("I met Augustus Lind, everyone calls him Gus.", "My landlord Gus moved to Nice.", "Gus"),
        ("I met Theresa Bell, everyone calls her Tess.", "My ex-wife Tess sued me.", "Tess"),
        ("I met Theresa Bell, everyone calls her Tess.", "My aunt Tess died in May.", "Tess"),
        ("I met Theresa Bell, everyone calls her Tess.", "I met another Tess today.", "Tess"),
    ],
)
async def test_who_somebody_is_to_the_user_tells_them_from_whoever_goes_by_their_name(
    service: Service, scope: Scope, nickname: str, told: str, name: str
) -> None:
    await say(service, scope, nickname, told)
    other, known = await called(service, scope, name)
    assert (other.entity.name, known.entity.name != name) == (name, True)
    # What was written before anything was understood of it is moved to whom it means.
    found = await service.search(scope, SearchRequest(query=told, entity=known.entity.id))
    assert told not in [hit.memory.text for hit in found.hits]
    assert await service.caught_up(20)
    assert (await service.compare()).agrees


async def homes_of_each(service: Service, scope: Scope, name: str) -> list[list[str]]:
    """Where those live who are called so."""
    return sorted(
        [one.object.name for one in detail.relations if one.predicate == "lives in" and one.is_current]
        for detail in await called(service, scope, name)
    )


@pytest.mark.parametrize(
    ("said", "name", "each"),
    [
        (
            (
                "My aunt Tibby lives in Leeds.",
                "My manager Tabitha Okoro goes by Tibby.",
                "My manager Tibby moved to Rhyl.",
                "My aunt Tibby moved to Hull.",
            ),
            "Tibby",
            [["Hull"], ["Rhyl"]],
        ),
        (
            (
                "My colleague Samuel Reyes goes by Sam.",
                "My neighbour Samantha Kline goes by Sam.",
                "My neighbour Sam moved to Reno.",
                "My colleague Sam moved to Dallas.",
            ),
            "Sam",
            [["Dallas"], ["Reno"]],
        ),
        (
            (
                "My stepmother Jo lives in Kent.",
                "My mother-in-law Jo lives in Fife.",
                "My mother Jo lives in Bonn.",
            ),
            "Jo",
            [["Bonn"], ["Fife"], ["Kent"]],
        ),
        (
            ("My brother Paul lives in Metz.", "My boss Paul lives in Nantes."),
            "Paul",
            [["Metz"], ["Nantes"]],
        ),
        (
            ("My boss Nell lives in Ghent.", "Another Nell moved to Bonn."),
            "Nell",
            [["Bonn"], ["Ghent"]],
        ),
    ],
)
async def test_who_is_who_is_told_by_ties_where_several_have_the_name(
    service: Service, scope: Scope, said: tuple[str, ...], name: str, each: list[list[str]]
) -> None:
    await say(service, scope, *said)
    assert await homes_of_each(service, scope, name) == each
    assert await service.caught_up(20)
    assert (await service.compare()).agrees


async def test_a_tie_that_is_told_again_by_another_name_ends_nothing(service: Service, scope: Scope) -> None:
    await say(
        service,
        scope,
        "My wife Josephine goes by Posy.",
        "My wife Posy works at Zara.",
        "My wife Josephine moved to Hove.",
    )
    relations = (await whole(service, scope, "Posy")).relations
    assert [one.is_current for one in relations if one.predicate == "is married to"] == [True]
    await say(service, scope, "I slept.", "I slept well.", "I slept in.", "My wife Dagmar is a baker.")
    ended = (await whole(service, scope, "Posy")).relations
    assert {one.is_current for one in ended if one.predicate == "is married to"} == {False}


async def test_the_answer_to_what_is_said_names_whom_it_was_understood_to_mean(
    service: Service, scope: Scope
) -> None:
    await say(service, scope, "My boss, Odette Marsh, goes by Dot.")
    message = {"role": "user", "content": "My grandmother Dot lives in Hull."}
    added = await service.add(scope, parse(AddRequest, {"messages": [message]}))
    assert {one.name for one in added.entities} == {"Dot", "Hull"}


async def test_what_is_true_of_one_ends_nothing_of_another_who_has_the_nickname(
    service: Service, scope: Scope
) -> None:
    await say(
        service,
        scope,
        "My boss, Odette Marsh, goes by Dot.",
        "My grandmother Dot lives in Hull.",
        "Odette Marsh lives in Leeds.",
        "My grandmother Dot is 90.",
    )
    dot, odette = await called(service, scope, "Dot")
    assert {"Dot lives in Hull.", "Dot was 90 years old on 2024-04-05."} <= {one.text for one in dot.facts}
    assert "Odette Marsh lives in Leeds." in [one.text for one in odette.facts]


async def test_the_nickname_of_whom_the_tie_is_known_means_them(service: Service, scope: Scope) -> None:
    await say(
        service,
        scope,
        "My brother Matthias goes by Matti.",
        "My brother Matti lives in Turku.",
    )
    assert await are_one(service, scope, "Matthias", "Matti")


@pytest.mark.parametrize(
    "said",
    [
        ("Polly is short for Mary.", "My mother Mary is 70.", "My daughter Polly is 9."),
        ("My mother Mary is 70.", "My daughter Polly is 9.", "Polly is short for Mary."),
        ("My friend Mary is 70.", "My friend Polly is 50.", "Polly is short for Mary."),
    ],
)
async def test_that_a_name_is_short_for_another_makes_nobody_one(
    service: Service, scope: Scope, said: tuple[str, ...]
) -> None:
    await say(service, scope, *said)
    own = {
        one.entity.name: one.entity.id
        for name in ("Mary", "Polly")
        for one in await called(service, scope, name)
    }
    assert {"Mary", "Polly"} <= set(own)


async def test_what_was_told_of_two_names_and_not_believed_is_listed_first(
    service: Service, scope: Scope
) -> None:
    await say(service, scope, "My mother Mary is 70.", "My daughter Polly is 9.", "Polly is short for Mary.")
    first, *_ = (await service.review_entities(scope)).pairs
    assert first.why == "“Polly” is said to be called “Mary” too"


async def test_a_short_name_that_stands_for_two_full_ones_is_of_two(service: Service, scope: Scope) -> None:
    await say(
        service,
        scope,
        "My friend Sam, short for Samantha, lives in Bern.",
        "My friend Sam, short for Samuel, lives in Ulm.",
    )
    assert len(await called(service, scope, "Sam")) == 2
    ids = {(await whole(service, scope, name)).entity.id for name in ("Samantha", "Samuel")}
    assert len(ids) == 2


@pytest.mark.parametrize(
    "said",
    [
        "I dreamt that Cornelius Vane goes by Neil.",
        "I was joking that Cornelius Vane goes by Neil.",
        "In the school play, Cornelius Vane goes by Neil.",
        "In our game Cornelius Vane goes by Neil.",
        "We pretend that Cornelius Vane goes by Neil.",
        "I imagine Cornelius Vane goes by Neil.",
    ],
)
async def test_what_is_not_so_gives_nobody_a_name(service: Service, scope: Scope, said: str) -> None:
    await say(service, scope, said, "Neil lives in Kent.", "Cornelius Vane lives in Rome.")
    assert not await are_one(service, scope, "Neil", "Cornelius Vane")


async def test_another_one_of_a_name_is_somebody_else(service: Service, scope: Scope) -> None:
    await say(
        service,
        scope,
        "Neil lives in Kent.",
        "I met a different Neil today, he lives in Oslo.",
    )
    texts = [{fact.text for fact in one.facts} for one in await called(service, scope, "Neil")]
    assert sorted(texts, key=len) == [
        {"Neil lives in Kent."},
        {"Neil lives in Oslo.", "Somebody else is called Neil, too."},
    ]


async def test_a_sentence_that_begins_with_a_known_name_is_about_them(service: Service, scope: Scope) -> None:
    before, _, after, other = await say(
        service,
        scope,
        "Neil lives in Kent.",
        "Coffee is what Neil lives on.",
        "Neil raised the rent. Coffee tasted bad.",
        "Odile raised the rent.",
    )
    assert {before, after} <= {one.id for one in (await whole(service, scope, "Neil")).memories}
    page = await service.entities(scope, EntitiesRequest())
    assert "Odile" not in [one.name for one in page.entities]
    assert other not in [one.id for one in (await whole(service, scope, "Neil")).memories]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("My teacher, Mr. Okafor, retired.", {"Mr. Okafor"}),
        ("My dentist Dr. Kovacs retired.", {"Dr. Kovacs"}),
        ("Everyone calls my sister Solveig Sol.", {"Solveig", "Sol"}),
        ("Fired Stefan today.", {"Stefan"}),
        ("Dumped Kurt last night.", {"Kurt"}),
    ],
)
async def test_a_name_is_all_of_a_name_and_no_more(
    service: Service, scope: Scope, said: str, named: set[str]
) -> None:
    await say(service, scope, said)
    page = await service.entities(scope, EntitiesRequest())
    called = {name for one in page.entities for name in (one.name, *one.aliases)}
    assert named <= called
    assert not {"Mr", "Dr", "Fired Stefan", "Dumped Kurt"} & called


async def test_a_pronoun_is_nobodys_nickname(service: Service, scope: Scope) -> None:
    await say(service, scope, "My mother Ilse goes by Me.", "My mother goes by Me.", "I live in Ghent.")
    ilse = await whole(service, scope, "Ilse")
    assert "Me" not in ilse.entity.aliases
    given = {
        "content": "Ilse is Me.",
        "entities": [{"name": "Ilse", "type": "person", "aliases": ["me", "Ili"]}],
    }
    await service.add(scope, parse(AddRequest, given))
    assert (await whole(service, scope, "Ili")).entity.id == ilse.entity.id
    assert (await whole(service, scope, "me")).entity.name != "Ilse"


async def test_what_an_assistant_says_of_two_who_are_known_joins_them_if_they_are_of_one_type(
    service: Service, scope: Scope
) -> None:
    async def add(content: str, *named: dict[str, Any]) -> None:
        await service.add(scope, parse(AddRequest, {"content": content, "entities": named}))

    await add("one", {"name": "Theodora", "type": "person"})
    await add("two", {"name": "Dory", "type": "person"}, {"name": "Teddy", "type": "place"})
    await add("three", {"name": "Theodora", "type": "person", "aliases": ["Dory", "Teddy"]})
    assert await are_one(service, scope, "Theodora", "Dory")
    page = await service.entities(scope, EntitiesRequest())
    assert {(entity.name, entity.type) for entity in page.entities} == {
        ("Theodora", "person"),
        ("Teddy", "place"),
    }


async def test_who_is_joined_after_the_graph_was_loaded_is_not_left_there(config: Config) -> None:
    def draft(text: str, *named: NewEntity, sources: tuple[str, ...] = ()) -> Draft:
        now = datetime.now(UTC)
        memory = Memory(
            id=new_id("m"),
            text=text,
            kind="fact",
            level="user",
            user_id="u",
            observed_at=now,
            recorded_at=now,
        )
        return Draft(memory, named, sources=sources)

    said = draft(_TOLD, *(NewEntity(name=name, type="person") for name in ("Margaret Hollis", "Mags")))
    told = draft(
        "Margaret Hollis is also called Mags.",
        NewEntity(name="Margaret Hollis", type="person", aliases=("Mags",)),
        sources=(said.memory.id,),
    )
    async with Store.open(config, MemoryEmbedder(create_embedder(config.embedding))) as store:

        async def understand(written: Sequence[Written], later: Later) -> None:
            # What is loaded now knows of two.
            await store.opened(20)
            assert written[0].work_id is not None
            await store.understand(written[0].work_id, Understood(drafts=(told,)), later=later)

        await store.write([said], patience=20, read_together=1, understand=understand)
        assert await store.caught_up(20)
        assert (await store.compare()).agrees


async def test_nothing_is_left_of_who_was_joined_when_all_is_forgotten(
    service: Service, scope: Scope
) -> None:
    await say(service, scope, "I met Mags at the market.", _TOLD)
    plan = (await service.forget(scope, ForgetRequest(entity="Mags"))).plan
    assert plan is not None
    assert (await service.forget(scope, ForgetRequest(plan_id=plan.plan_id))).verified
    with pytest.raises(EntityNotFound):
        await whole(service, scope, "Mags")
    assert (await service.compare()).agrees


@pytest.mark.parametrize(
    "said",
    [
        (
            "My neighbour Zachary Blythe goes by Moonbeam.",
            "Moonbeam lives in Crewe.",
            "Zachary Blythe works at Asda.",
        ),
        (
            "Moonbeam lives in Crewe.",
            "My neighbour Zachary Blythe goes by Moonbeam.",
            "Zachary Blythe works at Asda.",
        ),
    ],
)
async def test_that_two_are_one_is_forgotten_with_all_that_told_it(
    service: Service, scope: Scope, said: tuple[str, ...]
) -> None:
    ids = await say(service, scope, *said)
    told = ids[said.index("My neighbour Zachary Blythe goes by Moonbeam.")]
    assert await are_one(service, scope, "Moonbeam", "Zachary Blythe")
    assert await service.caught_up(20)
    await service.forget(scope, ForgetRequest(ids=(told,)))
    assert not await are_one(service, scope, "Moonbeam", "Zachary Blythe")
    for name, texts in (
        ("Moonbeam", {"Moonbeam lives in Crewe."}),
        ("Zachary Blythe", {"Zachary Blythe works at Asda."}),
    ):
        detail = await whole(service, scope, name)
        assert (detail.entity.aliases, {one.text for one in detail.facts}) == ((), texts)
    assert await service.caught_up(20)
    assert (await service.compare()).agrees


async def test_what_another_memory_still_tells_stays_when_one_that_told_it_is_forgotten(
    service: Service, scope: Scope
) -> None:
    first, _, _ = await say(
        service,
        scope,
        "I met Zachary Blythe, everyone calls him Moonbeam.",
        "Moonbeam lives in Crewe.",
        "As I said, Zachary Blythe goes by Moonbeam.",
    )
    await service.forget(scope, ForgetRequest(ids=(first,)))
    assert await are_one(service, scope, "Moonbeam", "Zachary Blythe")


async def test_whom_to_forget_is_asked_where_several_have_the_name_and_the_other_is_left(
    service: Service, scope: Scope
) -> None:
    await say(service, scope, "My boss Ines Duarte goes by Nell.", "My aunt Nell lives in Hull.")
    with pytest.raises(InvalidInput, match="several are called 'Nell'; give an id"):
        await service.forget(scope, ForgetRequest(entity="Nell"))
    planned = await service.forget(scope, ForgetRequest(entity="Ines Duarte"))
    assert planned.plan is not None
    assert "My aunt Nell lives in Hull." not in [one.text for one in planned.plan.examples]
    await service.forget(scope, ForgetRequest(plan_id=planned.plan.plan_id))
    (aunt,) = await called(service, scope, "Nell")
    assert {"Nell lives in Hull.", "Nell is the user's aunt."} <= {one.text for one in aunt.facts}


async def test_nobody_is_kin_of_themselves(service: Service, scope: Scope) -> None:
    await say(service, scope, "Call me Maya.", "My friend Maya lives in Fife.")
    assert await homes_of_each(service, scope, "Maya") == [[], ["Fife"]]
    assert (await service.compare()).agrees
