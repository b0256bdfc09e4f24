"""Who is who: one under all names, two of one name, merged and split again, and forgotten under each name."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
import sqlalchemy.event
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_memory import resolving, text
from mcp_memory.config import Config, load
from mcp_memory.errors import EntityNotFound, InvalidInput
from mcp_memory.models import (
    AddRequest,
    EntitiesRequest,
    EntityDetail,
    EntityType,
    ForgetRequest,
    Memory,
    NewEntity,
    NewRelation,
    Scope,
    SearchRequest,
    name_key,
    parse,
)
from mcp_memory.resolving import Called, compare, written_form
from mcp_memory.service import Service
from mcp_memory.store.ledger import entities, facts, forgetting, merging, naming, schema, writing
from mcp_memory.store.ledger.facts import Statement
from mcp_memory.store.ledger.writing import Draft

from .conftest import GRAPH_ENGINE

SCOPE = Scope(user_id="u")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def _engine() -> sa.Engine:
    engine = sa.create_engine("sqlite://")

    def enforce(connection: Any, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    sqlalchemy.event.listen(engine, "connect", enforce)
    with engine.begin() as connection:
        schema.create(connection)
    return engine


@contextmanager
def ledger() -> Generator[sa.Connection]:
    """An empty ledger; what is written into it is gone afterwards."""
    with _engine().connect() as connection:
        yield connection
        connection.rollback()


@dataclass(frozen=True)
class Said:
    """A memory to write: whom it names, how it relates them, whom it is about, and from what it was drawn."""

    entities: tuple[NewEntity, ...]
    relations: tuple[NewRelation, ...] = ()
    subject: int | None = None
    is_guessed: bool = False
    source: int | None = None
    """Number of a memory that was written before."""


def write(connection: sa.Connection, number: int, said: Said) -> str:
    memory = Memory(
        id=f"m_{number}",
        text=f"memory {number}",
        kind="fact",
        level="user",
        user_id="u",
        observed_at=NOW + timedelta(days=number),
        recorded_at=NOW,
    )
    sources = () if said.source is None or not number else (f"m_{said.source % number}",)
    draft = Draft(memory, said.entities, said.relations, is_guessed=said.is_guessed, sources=sources)
    writing.write(connection, [draft])
    if said.subject is not None:
        subject = said.entities[said.subject % len(said.entities)].name
        named = naming.named(connection, memory, subject)
        assert named is not None
        facts.state(connection, memory.id, *named, Statement(subject, "slot", f"value {number}"))
        facts.settle(connection, facts.concerned(connection, [memory.id]))
    return memory.id


TABLES = (
    schema.entity,
    schema.alias,
    schema.spelling,
    schema.mention,
    schema.relation,
    schema.statement,
    schema.succession,
)


def everything(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row about entities, and what holds of them."""
    rows = {
        table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
        for table in TABLES
    }
    held = sa.select(schema.memory.c.id, schema.memory.c.state, schema.memory.c.valid_until)
    return {**rows, "memory": [tuple(row) for row in connection.execute(held.order_by(schema.memory.c.id))]}


def check(connection: sa.Connection) -> None:
    """What holds of every ledger: nothing is called what nobody calls it, mentions follow from names."""
    aliases = {(row.domain, row.key, row.home_id): row for row in connection.execute(sa.select(schema.alias))}
    spelled = connection.execute(sa.select(schema.spelling)).all()
    rows = {row.id: row for row in connection.execute(sa.select(schema.entity))}
    roots = {one: one for one in rows}
    for one in rows:
        while (into := rows[roots[one]].merged_into) is not None:
            roots[one] = into
    assert {(row.domain, row.key, row.home_id) for row in spelled} == set(aliases)
    assert all(row.entity_id == roots[row.home_id] for row in aliases.values())
    assert {row.home_id for row in spelled} | set(roots.values()) == set(rows)
    mentions = {(row.memory_id, roots[row.home_id]) for row in spelled}
    assert mentions == {tuple(row) for row in connection.execute(sa.select(schema.mention))}
    names = {row.name for row in spelled}
    assert {row.name for row in rows.values()} <= names
    assert {row.alias for row in aliases.values()} <= names
    for relation in connection.execute(sa.select(schema.relation)):
        assert relation.subject_id == roots[relation.subject_home]
        assert relation.object_id == roots[relation.object_home]
    for statement in connection.execute(sa.select(schema.statement)):
        assert statement.subject_id == roots[statement.home_id]
        assert (statement.memory_id, statement.subject_id) in mentions


_names = st.sampled_from(
    ["Ann", "ann", "Ánn", "Bo", "Ann Miller", "Dr. Ann Miller", "Apple", "apple", "Apple Inc."]
)
# The last four tell whom a name means.
_predicates = st.sampled_from(["knows", "is aunt of", "is brother of", "has pet", "knows another"])
_types: st.SearchStrategy[EntityType] = st.sampled_from(["person", "organisation", "concept", "place"])
_entity = st.builds(NewEntity, name=_names, type=_types, aliases=st.lists(_names, max_size=2).map(tuple))


@st.composite
def _said(draw: st.DrawFn) -> Said:
    named = tuple(draw(st.lists(_entity, min_size=1, max_size=3)))
    ends = draw(st.lists(st.tuples(_names, _names), max_size=2))
    relations = tuple(
        NewRelation(subject=one, predicate=draw(_predicates), object=other)
        for one, other in ends
        if name_key(one) != name_key(other)
    )
    return Said(
        named,
        relations,
        draw(st.none() | st.integers(0, 2)),
        draw(st.booleans()),
        draw(st.none() | st.integers(0, 4)),
    )


_places = st.tuples(st.integers(0, 5), st.integers(0, 5))


def _merge(connection: sa.Connection, places: tuple[int, int]) -> str | None:
    """Merge two of those there are; the id of the one that is gone."""
    page, _ = entities.page(connection, SCOPE)
    if len(page) < 2:
        return None
    kept, gone = page[places[0] % len(page)], page[places[1] % len(page)]
    if kept.id == gone.id:
        return None
    done = merging.merge(connection, SCOPE, kept.id, gone.id, NOW)
    assert done is not None
    return gone.id


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(_said(), min_size=2, max_size=5), st.lists(_places, max_size=3), _places)
def test_a_merge_that_is_split_again_leaves_everything_as_it_was(
    world: list[Said], before: list[tuple[int, int]], places: tuple[int, int]
) -> None:
    with ledger() as connection:
        for number, said in enumerate(world):
            write(connection, number, said)
        check(connection)
        for earlier in before:
            _merge(connection, earlier)
        check(connection)
        was = everything(connection)
        gone = _merge(connection, places)
        check(connection)
        if gone is not None:
            assert everything(connection) != was
            assert merging.split(connection, SCOPE, gone, NOW) is not None
        assert everything(connection) == was


@settings(max_examples=40, deadline=None, database=None)
@given(
    st.lists(_said(), min_size=2, max_size=5),
    st.lists(_places, max_size=3),
    st.sets(st.integers(0, 4), max_size=3),
    st.lists(_said(), max_size=2),
)
def test_names_that_only_forgotten_memories_used_are_gone_whatever_was_merged(
    world: list[Said], merges: list[tuple[int, int]], forgotten: set[int], later: list[Said]
) -> None:
    with ledger() as connection:
        ids = [write(connection, number, said) for number, said in enumerate(world)]
        gone = [one for one in (_merge(connection, places) for places in merges) if one is not None]
        hiding = forgetting.hide(
            connection, SCOPE, [ids[n] for n in forgotten if n < len(ids)], now=NOW, due_at=NOW
        )
        if hiding.id:
            forgetting.erase(connection, hiding.id)
        check(connection)
        for number, said in enumerate(later, start=len(world)):
            write(connection, number, said)
        check(connection)
        for one in reversed(gone):
            merging.split(connection, SCOPE, one, NOW)
            check(connection)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("José Núñez", "Jose Nunez"),
        ("Jean-Luc Picard", "Jean Luc Picard"),
        ("O'Brien", "O’Brien"),
        ("OBrien", "O'Brien"),
        ("Dr. Ann Miller", "Ann Miller"),
        ("Acme GmbH", "Acme"),
        ("U.S.A.", "USA"),
        ("Łukasz Bødker", "Lukasz Bodker"),
        ("Yahoo!", "Yahoo"),
        ("Node.js", "Nodejs"),
    ],
)
def test_a_name_has_one_form_however_it_is_written(one: str, other: str) -> None:
    assert written_form(one) == written_form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C++", "C#"),
        ("C", "C++"),
        ("v1.2", "v12"),
        ("GPT-4", "GPT-5"),
        ("2024-03", "202403"),
        ("ガラス", "カラス"),
        ("й", "и"),
        ("John Smith Jr.", "John Smith"),
        ("Dr. Miller", "Miller"),
        ("Tiffany & Co.", "Tiffany"),
        ("Ann Eli", "Anne Li"),
    ],
)
def test_signs_that_make_another_name_are_kept(one: str, other: str) -> None:
    assert written_form(one) != written_form(other)


@given(st.text(max_size=40))
def test_every_text_has_a_form_and_it_is_its_own(name: str) -> None:
    assert written_form(name).split() == written_form(name).split(" ") or not written_form(name)
    assert compare(Called("concept", (name,)), Called("concept", (name,))).verdict != "same"


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (Called("person", ("Dr. Ann Miller",)), Called("person", ("Ann Miller",)), "same"),
        (Called("organisation", ("Acme Inc.",)), Called("concept", ("Acme",)), "same"),
        (Called("person", ("Mr. Jo Smith", "Jo Smith")), Called("person", ("Mrs. Jo Smith",)), "review"),
        (Called("organisation", ("Acme", "Acme Inc.")), Called("organisation", ("Acme GmbH",)), "review"),
        (Called("concept", ("apple",)), Called("organisation", ("Apple Inc.",)), "review"),
        (Called("place", ("Reno",)), Called("place", ("Reno NV",)), "review"),
        (Called("person", ("Ann",)), Called("person", ("Ann Miller",)), "review"),
        (Called("person", ("Miller",)), Called("person", ("Ann Miller",)), "review"),
        (Called("person", ("Ann Miller",)), Called("person", ("Ann Lee",)), "different"),
        (Called("place", ("Lisbon",)), Called("place", ("Lisbon Airport",)), "different"),
        (Called("person", ("Paris",)), Called("place", ("Paris",)), "different"),
        (Called("email", ("a.b@c.org",)), Called("email", ("ab@c.org",)), "different"),
        (Called("tool", ("Python 3.1",)), Called("tool", ("Python 3.10",)), "different"),
    ],
)
def test_names_and_types_say_whether_two_may_be_one(one: Called, other: Called, verdict: str) -> None:
    assert compare(one, other).verdict == compare(other, one).verdict == verdict


def test_a_near_vector_alone_makes_a_pair_to_look_at_and_never_one() -> None:
    import numpy as np

    days = [Called("event", ("Tuesday",)), Called("event", ("Thursday",)), Called("person", ("Friday",))]
    same = np.ones((3, 1), np.float32)
    assert all(compare(one, other).verdict == "different" for one in days for other in days if one != other)
    (pair,) = resolving.to_review(days, same)
    assert (pair.one, pair.other) == (0, 1)
    versions = [Called("product", ("GPT-3",)), Called("product", ("GPT-4",))]
    assert resolving.to_review(versions, same[:2]) == ()


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    """One memory for the module: each test is a user of its own in it. Only what a test says is known."""
    folder = tmp_path_factory.mktemp("entities") / "data"
    config = load(
        flags={
            "data_dir": folder,
            "graph": {"engine": GRAPH_ENGINE},
            "extraction": {"provider": "off"},
        }
    )
    async with Service.open(config) as opened:
        yield opened


@pytest.fixture
def scope() -> Scope:
    return Scope(user_id=uuid4().hex)


async def add(service: Service, scope: Scope, content: str, *named: dict[str, Any], **more: Any) -> str:
    request = parse(AddRequest, {"content": content, "entities": named, **more})
    return (await service.add(scope, request)).memories[0].id


async def names(service: Service, scope: Scope, **request: Any) -> list[str]:
    page = await service.entities(scope, parse(EntitiesRequest, request))
    return sorted(one.name for one in page.entities)


async def whole(service: Service, scope: Scope, name: str) -> EntityDetail:
    detail = (await service.entities(scope, EntitiesRequest(entity=name))).detail
    assert detail is not None
    return detail


def person(name: str, *aliases: str) -> dict[str, Any]:
    return {"name": name, "type": "person", "aliases": aliases}


async def test_a_fruit_and_a_company_of_one_name_are_two(service: Service, scope: Scope) -> None:
    company = await add(service, scope, "one", {"name": "Apple", "type": "organisation"})
    fruit = await add(service, scope, "two", {"name": "apple", "type": "concept"})
    phones = await add(service, scope, "three", {"name": "Apple", "type": "product"})
    pie = await add(service, scope, "four", {"name": "apple"})
    assert [one.id for one in (await whole(service, scope, "Apple")).memories] == [phones, company]
    detail = await whole(service, scope, "apple")
    assert [one.id for one in detail.memories] == [pie, fruit]
    assert [one.type for one in detail.namesakes] == ["organisation"]


async def test_a_person_and_a_place_of_one_name_are_two(service: Service, scope: Scope) -> None:
    await add(service, scope, "one", person("Paris"))
    await add(service, scope, "two", {"name": "Paris", "type": "place"})
    page = await service.entities(scope, EntitiesRequest(query="paris"))
    assert {one.type for one in page.entities} == {"person", "place"}
    with pytest.raises(InvalidInput, match="several are called 'Paris'"):
        await service.merge_entities(scope, "Paris", "Paris")


async def test_a_type_that_rules_guess_makes_nobody_two(service: Service, scope: Scope) -> None:
    await add(service, scope, "I went to Tomás and Pixel in Porto.")
    await add(service, scope, "Tomás said that Pixel sleeps.")
    assert await names(service, scope) == ["Pixel", "Porto", "Tomás"]
    await add(service, scope, "three", person("Tomás"))
    assert (await whole(service, scope, "Tomás")).entity.type == "person"
    assert len(await names(service, scope)) == 3


async def test_a_name_that_two_have_finds_both_and_forgets_neither(service: Service, scope: Scope) -> None:
    one = await add(service, scope, "The office moved.", person("Paris"))
    two = await add(service, scope, "The office is new.", {"name": "Paris", "type": "place"})
    found = await service.search(scope, SearchRequest(query="office", entity="Paris"))
    assert {hit.memory.id for hit in found.hits} == {one, two}
    with pytest.raises(InvalidInput, match="several are called 'Paris'; give an id"):
        await service.forget(scope, ForgetRequest(entity="Paris"))
    for entity in (await service.entities(scope, EntitiesRequest(query="Paris"))).entities:
        plan = (await service.forget(scope, ForgetRequest(entity=entity.id))).plan
        assert plan is not None
        assert plan.count == 1


async def test_a_type_that_was_not_known_is_learned(service: Service, scope: Scope) -> None:
    await add(service, scope, "one", {"name": "Zed"})
    await add(service, scope, "two", person("Zed"))
    assert [one.type for one in (await service.entities(scope, EntitiesRequest())).entities] == ["person"]


async def test_a_name_written_otherwise_is_the_same_and_can_be_split(service: Service, scope: Scope) -> None:
    await add(service, scope, "one", person("José Núñez"))
    other = await add(service, scope, "two", person("Dr. Jose Nunez"))
    detail = await whole(service, scope, "Dr. Jose Nunez")
    assert (detail.entity.name, detail.entity.aliases) == ("José Núñez", ("Dr. Jose Nunez",))
    done = await service.split_entity(scope, "Dr. Jose Nunez")
    assert done.memories == 1
    assert [one.id for one in (await whole(service, scope, "Dr. Jose Nunez")).memories] == [other]
    assert await service.review_entities(scope) == (await service.review_entities(scope)).model_copy(
        update={"pairs": (), "total": 0}
    )


async def test_two_whom_a_name_could_mean_stay_apart_and_are_listed(service: Service, scope: Scope) -> None:
    await add(service, scope, "one", {"name": "Acme Inc.", "type": "organisation"})
    await add(service, scope, "two", {"name": "Acme GmbH", "type": "organisation"})
    await add(service, scope, "three", {"name": "Acme", "type": "organisation"})
    assert await names(service, scope) == ["Acme", "Acme GmbH", "Acme Inc."]
    review = await service.review_entities(scope)
    assert {frozenset((pair.one.name, pair.other.name)) for pair in review.pairs} >= {
        frozenset(("Acme", "Acme Inc.")),
        frozenset(("Acme", "Acme GmbH")),
    }


async def test_who_is_also_called_what_somebody_is_called_is_that_one_if_nothing_speaks_against_it(
    service: Service, scope: Scope
) -> None:
    await add(service, scope, "one", person("Bob"))
    await add(service, scope, "two", person("Robert", "Bob"))
    assert await names(service, scope) == ["Bob"]
    await add(service, scope, "three", person("Rupert", "Bob"))
    assert await names(service, scope) == ["Bob", "Rupert"]


async def test_first_names_alone_are_nobodys_full_name(service: Service, scope: Scope) -> None:
    for name in ("Ann", "Ann Miller", "Ann Lee"):
        await add(service, scope, name, person(name))
    assert await names(service, scope) == ["Ann", "Ann Lee", "Ann Miller"]
    review = await service.review_entities(scope)
    assert {frozenset((pair.one.name, pair.other.name)) for pair in review.pairs} == {
        frozenset(("Ann", "Ann Miller")),
        frozenset(("Ann", "Ann Lee")),
    }
    assert "part of the other" in review.pairs[0].why
    await service.part_entities(scope, "Ann", "Ann Lee")
    left = await service.review_entities(scope)
    assert [{pair.one.name, pair.other.name} for pair in left.pairs] == [{"Ann", "Ann Miller"}]


async def test_names_near_in_meaning_are_listed_and_stay_apart(service: Service, scope: Scope) -> None:
    for name in ("Katherine Miller", "Catherine Miller"):
        await add(service, scope, name, person(name))
    assert len(await names(service, scope)) == 2
    (pair,) = (await service.review_entities(scope)).pairs
    assert "near in meaning" in pair.why


async def test_a_name_of_which_nobody_knows_what_it_is_is_listed_beside_one_that_is_near(
    service: Service, scope: Scope
) -> None:
    for named in ({"name": "Mike"}, {"name": "michelin"}, {"name": "Oslo", "type": "place"}):
        await add(service, scope, named["name"], named)
    await add(service, scope, "Michael", person("Michael"))
    review = await service.review_entities(scope)
    assert [{pair.one.name, pair.other.name} for pair in review.pairs] == [{"Michael", "Mike"}]
    assert "near in meaning" in review.pairs[0].why


@pytest.mark.parametrize("name", ["I", "me", "User", "The user", "the USER", "myself"])
async def test_the_user_is_one_by_whatever_name(service: Service, scope: Scope, name: str) -> None:
    await add(service, scope, "first", {"name": "The user"})
    memory_id = await add(service, scope, "second", {"name": name})
    await add(service, scope, "third", relations=[{"subject": name, "predicate": "likes", "object": "figs"}])
    assert await names(service, scope) == ["The user", "figs"]
    detail = await whole(service, scope, name)
    assert detail.entity.type == "person"
    assert memory_id in [one.id for one in detail.memories]


async def test_a_merge_moves_all_that_is_known_and_a_split_gives_it_back(
    service: Service, scope: Scope
) -> None:
    one = await add(
        service,
        scope,
        "Robin works at Acme.",
        person("Robin"),
        relations=[{"subject": "Robin", "predicate": "works at", "object": "Acme"}],
    )
    other = await add(service, scope, "Red Hood keeps bees.", person("Red Hood"), {"name": "bees"})
    before = [await whole(service, scope, name) for name in ("Robin", "Red Hood")]
    done = await service.merge_entities(scope, "Robin", "Red Hood")
    assert (done.kept.name, done.gone.name, done.memories) == ("Robin", "Red Hood", 1)
    detail = await whole(service, scope, "red hood")
    assert (detail.entity.name, detail.entity.aliases, detail.entity.mentions) == ("Robin", ("Red Hood",), 2)
    assert {memory.id for memory in detail.memories} == {one, other}
    assert {near.name for near in detail.neighbours} == {"Acme", "bees"}
    # Whoever kept the id of the one that is gone is shown whom it counts as.
    assert (await whole(service, scope, done.gone.id)).entity.id == done.kept.id
    found = await service.search(scope, SearchRequest(query="bees", entity="Robin"))
    assert [hit.memory.id for hit in found.hits][:1] == [other]
    assert (await service.compare()).agrees
    # A call that is repeated is answered again, and changes nothing.
    assert (await service.merge_entities(scope, "Robin", "Red Hood")).gone == done.gone
    with pytest.raises(InvalidInput, match="that entity already"):
        await service.merge_entities(scope, "Red Hood", "Robin")
    split = await service.split_entity(scope, "Red Hood")
    assert (split.entity.name, split.memories) == ("Red Hood", 1)
    assert [await whole(service, scope, name) for name in ("Robin", "Red Hood")] == before
    assert (await service.compare()).agrees
    with pytest.raises(InvalidInput, match="was not merged"):
        await service.split_entity(scope, "Red Hood")


async def test_merges_of_merges_are_split_one_by_one(service: Service, scope: Scope) -> None:
    for name in ("Ada", "Countess", "Enchantress"):
        await add(service, scope, name, person(name))
    await service.merge_entities(scope, "Countess", "Enchantress")
    await service.merge_entities(scope, "Ada", "Countess")
    assert await names(service, scope) == ["Ada"]
    await service.split_entity(scope, "Countess")
    assert (await whole(service, scope, "Countess")).entity.aliases == ("Enchantress",)
    await service.split_entity(scope, "Enchantress")
    assert await names(service, scope) == ["Ada", "Countess", "Enchantress"]


async def test_what_is_anothers_cannot_be_merged_and_is_answered_like_what_is_not_there(
    service: Service, scope: Scope
) -> None:
    await add(service, scope, "mine", person("Mine"))
    here = scope.model_copy(update={"session_id": "s1", "agent_id": "bot"})
    await add(service, here, "hidden", person("Hidden"), level="session")
    await add(service, here, "the agent's", person("Agents"), level="agent")
    other = Scope(user_id=uuid4().hex)
    await add(service, other, "theirs", person("Theirs"))
    theirs = (await whole(service, other, "Theirs")).entity.id
    for name in ("Nobody", "Theirs", theirs, "Hidden"):
        for call in (
            service.merge_entities(scope, "Mine", name),
            service.merge_entities(scope, name, "Mine"),
            service.part_entities(scope, "Mine", name),
            service.split_entity(scope, name),
        ):
            with pytest.raises(EntityNotFound) as told:
                await call
            assert str(told.value) == str(EntityNotFound(name))
    # Both are visible here, and still not each other's kind: they are another's entities, too.
    with pytest.raises(EntityNotFound):
        await service.merge_entities(here, "Mine", "Agents")


async def test_facts_relations_and_timeline_tell_what_holds_and_what_did(
    service: Service, scope: Scope
) -> None:
    old = await add(
        service,
        scope,
        "Nora lives in Porto.",
        person("Nora"),
        observed_at="2023-01-02",
        relations=[{"subject": "Nora", "predicate": "lives in", "object": "Porto"}],
    )
    new = await add(
        service,
        scope,
        "Nora lives in Lisbon.",
        person("Nora"),
        observed_at="2024-05-06",
        relations=[{"subject": "Nora", "predicate": "lives in", "object": "Lisbon"}],
    )
    detail = await whole(service, scope, "Nora")
    assert [one.id for one in detail.facts] == [new]
    assert [one.id for one in detail.timeline] == [old, new]
    assert [(one.object.name, one.is_current) for one in detail.relations] == [
        ("Lisbon", True),
        ("Porto", False),
    ]
    told = text.entities(await service.entities(scope, EntitiesRequest(entity="Nora")), 0)
    assert f"What holds:\n- 2024-05-06 [{new}]" in told
    assert f"Before:\n- 2023-01-02, until 2024-05-06 [{old}]" in told
    assert "first 2023-01-02, last 2024-05-06" in told


async def test_facts_of_two_who_are_merged_take_each_others_place_until_they_are_split(
    service: Service, scope: Scope
) -> None:
    for name, place, day in (("Bruce", "Gotham", "2023-01-02"), ("The Bat", "Porto", "2024-05-06")):
        await add(
            service,
            scope,
            f"{name} lives in {place}.",
            person(name),
            observed_at=day,
            relations=[{"subject": name, "predicate": "lives in", "object": place}],
        )
    await service.merge_entities(scope, "Bruce", "The Bat")
    assert [one.text for one in (await whole(service, scope, "Bruce")).facts] == ["The Bat lives in Porto."]
    await service.split_entity(scope, "The Bat")
    assert [one.text for one in (await whole(service, scope, "Bruce")).facts] == ["Bruce lives in Gotham."]


async def test_of_somebody_of_whom_much_is_known_a_sane_part_is_told(service: Service, scope: Scope) -> None:
    for n in range(40):
        await add(
            service,
            scope,
            f"Vera has read book {n}, of which she says that it is {'very ' * 30}long.",
            person("Vera"),
            {"name": f"Book {n}", "type": "title"},
            relations=[{"subject": "Vera", "predicate": "has read", "object": f"Book {n}"}],
        )
    told = text.entities(await service.entities(scope, EntitiesRequest(entity="Vera")), 0)
    assert 500 < text.tokens(told) <= text.ENTITY_TOKENS
    assert "more." in told


async def test_a_query_that_is_nobodys_name_finds_whom_it_is_about(service: Service, scope: Scope) -> None:
    await add(service, scope, "Greta repairs violins in her workshop.", person("Greta"))
    await add(service, scope, "Omar sells insurance.", person("Omar"))
    result = await service.entities(scope, EntitiesRequest(query="musical instruments"))
    assert (result.entities, result.total) == ((), 0)
    assert result.near[0].name == "Greta"
    assert text.entities(result, 0).startswith("No name has that in it.")
    assert (await service.entities(scope, EntitiesRequest(query="gret"))).near == ()
    assert (await service.entities(Scope(user_id=uuid4().hex), EntitiesRequest(query="music"))).near == ()


async def test_no_file_holds_a_name_that_only_forgotten_memories_used_once_merged(config: Config) -> None:
    scope = Scope(user_id="u")
    quiet = config.model_copy(update={"extraction": config.extraction.model_copy(update={"provider": "off"})})
    async with Service.open(quiet) as service:
        kept = await add(service, scope, "Somebody called.", person("Quentin Ashgrove"))
        gone = await add(service, scope, "Somebody came.", person("Zubrówka Kwiatkowski", "Zubek-Wolny"))
        await service.merge_entities(scope, "Quentin Ashgrove", "Zubek-Wolny")
        assert (await service.forget(scope, ForgetRequest(ids=(gone,)))).verified
        entity = (await whole(service, scope, "Quentin Ashgrove")).entity
        assert (entity.aliases, entity.mentions) == ((), 1)
        for word in ("Zubrówka", "zubrowka", "Kwiatkowski", "Zubek", "zubek wolny"):
            assert _files_with(config, word) == []
        back = await add(service, scope, "Somebody wrote.", person("Xerxes Voss"))
        await service.merge_entities(scope, "Quentin Ashgrove", "Xerxes Voss")
        assert (await service.forget(scope, ForgetRequest(ids=(kept,)))).verified
        assert _files_with(config, "ashgrove") == []
        assert [one.id for one in (await whole(service, scope, entity.id)).memories] == [back]
        assert (await service.compare()).agrees


def _files_with(config: Config, word: str) -> list[str]:
    files = (file for file in sorted(config.data_dir.rglob("*")) if file.is_file())
    return [file.name for file in files if word.lower().encode() in file.read_bytes().lower()]


async def test_another_memory_brings_its_merges_along(config: Config, tmp_path: Path) -> None:
    scope = Scope(user_id="u")
    theirs = load(flags={"data_dir": tmp_path / "theirs", "graph": {"engine": GRAPH_ENGINE}})
    async with Service.open(theirs) as service:
        await add(service, scope, "one", person("Robin"))
        await add(service, scope, "two", person("Red Hood"))
        await service.merge_entities(scope, "Robin", "Red Hood")
    async with Service.open(config) as service:
        await add(service, scope, "three", person("Red Hood"))
        await service.merge(theirs.data_dir / "ledger.db")
        assert await names(service, scope) == ["Robin"]
        assert await service.caught_up(20)
        assert (await service.compare()).agrees
        await service.split_entity(scope, "Red Hood")
        assert [len((await whole(service, scope, name)).memories) for name in ("Robin", "Red Hood")] == [1, 2]
