"""The use-cases over real stores: what is added is found, what is forgotten is gone, each sees his own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from mcp_memory.config import Config, load
from mcp_memory.errors import (
    DataFolderUnusable,
    EntityNotFound,
    InvalidInput,
    LedgerDamaged,
    LedgerTooNew,
    MemoryNotFound,
    PlanExpired,
    PlanNotFound,
    SessionNotFound,
    StoreLocked,
)
from mcp_memory.models import (
    AddRequest,
    EntitiesRequest,
    ForgetRequest,
    Scope,
    SearchRequest,
    parse,
)
from mcp_memory.service import Service

from .conftest import GRAPH_ENGINE


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    """One memory for the module: each test is a user of its own in it."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    flags = {"data_dir": folder, "graph": {"engine": GRAPH_ENGINE}, "extraction": {"provider": "off"}}
    config = load(flags=flags)
    async with Service.open(config) as opened:
        yield opened


@pytest.fixture
def scope() -> Scope:
    return Scope(user_id=uuid4().hex)


async def add(service: Service, scope: Scope, content: str, **more: Any) -> str:
    result = await service.add(scope, parse(AddRequest, {"content": content, **more}))
    return result.memories[0].id


async def say(service: Service, scope: Scope, *messages: dict[str, Any], **more: Any) -> list[str]:
    result = await service.add(scope, parse(AddRequest, {"messages": messages, **more}))
    return [one.id for one in result.memories]


async def found(service: Service, scope: Scope, query: str, **more: Any) -> list[str]:
    result = await service.search(scope, parse(SearchRequest, {"query": query, **more}))
    assert result.degraded == ()
    return [hit.memory.text for hit in result.hits]


async def test_what_was_added_is_found_by_meaning_and_by_words(service: Service, scope: Scope) -> None:
    await add(service, scope, "Tomorrow the plumber mends the boiler.")
    await add(service, scope, "The cat is called Miso.")
    assert (await found(service, scope, "What is my pet's name?"))[0] == "The cat is called Miso."
    assert (await found(service, scope, "boiler"))[0] == "Tomorrow the plumber mends the boiler."


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("I was running along the river.", "run"),
        ("The bug is in get_user_by_id, line 40.", "user"),
        ("The bug is in get_user_by_id, line 40.", "get_user_by_id"),
        ("来週は東京へ行きます。", "東京"),
        ("Her café opens at nine.", "cafe"),
        ('She said "never again" twice.', 'again" never'),
    ],
)
async def test_words_are_found_in_other_forms_and_scripts(
    service: Service, scope: Scope, text: str, query: str
) -> None:
    target = await add(service, scope, text)
    for n in range(5):
        await add(service, scope, f"Something else entirely, number {n}.")
    result = await service.search(scope, SearchRequest(query=query, explain=True))
    by_words = [hit.memory.id for hit in result.hits if any(part.signal == "text" for part in hit.signals)]
    assert target in by_words


async def test_a_message_keeps_its_words_its_speaker_and_its_date(service: Service, scope: Scope) -> None:
    (memory_id,) = await say(
        service,
        scope,
        {"role": "user", "name": "Ann", "content": "I moved to Lisbon.", "time": "2023-05-08T13:56:00+02:00"},
    )
    memory = (await service.get(scope, memory_id)).memory
    assert (memory.text, memory.kind, memory.role, memory.speaker) == (
        "I moved to Lisbon.",
        "message",
        "user",
        "Ann",
    )
    assert memory.observed_at == datetime(2023, 5, 8, 11, 56, tzinfo=UTC)


async def test_the_client_that_stored_a_memory_is_remembered(service: Service, scope: Scope) -> None:
    result = await service.add(scope, AddRequest(content="Ann likes figs."), source="some-editor")
    detail = await service.get(scope, result.memories[0].id)
    assert detail.memory.source == "some-editor"
    assert [(event.event, event.source) for event in detail.history] == [("created", "some-editor")]


async def test_the_same_statement_again_is_answered_with_the_id_we_have(
    service: Service, scope: Scope
) -> None:
    first = await add(service, scope, "Ann likes figs.")
    again = await service.add(scope, AddRequest(content="Ann  likes figs. "))
    assert [(one.id, one.status) for one in again.memories] == [(first, "duplicate")]
    assert (await service.stats(scope)).memories == 1
    history = (await service.get(scope, first)).history
    assert [event.event for event in history] == ["created", "repeated"]


async def test_the_same_words_twice_in_one_call_are_stored_once(service: Service, scope: Scope) -> None:
    ids = await say(service, scope, {"content": "Bye!"}, {"content": "Bye!"})
    assert ids[0] == ids[1]
    assert (await service.stats(scope)).memories == 1


async def test_the_same_words_on_another_day_are_another_message(service: Service, scope: Scope) -> None:
    messages = [{"content": "Bye!", "time": f"2024-01-0{day}T10:00:00Z"} for day in (1, 2)]
    await say(service, scope, *messages)
    again = await service.add(scope, parse(AddRequest, {"messages": messages}))
    assert (await service.stats(scope)).memories == 2
    assert {one.status for one in again.memories} == {"duplicate"}


async def test_a_repeated_statement_may_bring_entities_that_were_not_known(
    service: Service, scope: Scope
) -> None:
    first = await add(service, scope, "she moved in with him", entities=[{"name": "Ann", "type": "person"}])
    relation = {"subject": "Ann", "predicate": "lives with", "object": "Ben"}
    assert await add(service, scope, "she moved in with him", relations=[relation]) == first
    detail = await service.get(scope, first)
    assert {entity.name for entity in detail.entities} == {"Ann", "Ben"}
    assert [one.predicate for one in detail.relations] == ["lives with"]


async def test_filters_confine_a_search(service: Service, scope: Scope) -> None:
    await add(service, scope, "Ann climbed Ben Nevis.", kind="event", observed_at="2023-06-01")
    await add(service, scope, "Ann will climb the Eiger.", kind="plan", observed_at="2024-06-01")
    assert await found(service, scope, "climb", kinds=["plan"]) == ["Ann will climb the Eiger."]
    assert await found(service, scope, "climb", until="2023-12-31") == ["Ann climbed Ben Nevis."]
    assert await found(service, scope, "climb", since="2023-12-31") == ["Ann will climb the Eiger."]
    assert await found(service, scope, "climb", since="2025-01-01") == []
    assert len(await found(service, scope, "climb", limit=1)) == 1


async def test_a_date_as_the_end_of_a_range_includes_its_day(service: Service, scope: Scope) -> None:
    await add(service, scope, "Ann called.", observed_at="2023-06-01T18:00:00Z")
    assert await found(service, scope, "call", until="2023-06-01") == ["Ann called."]
    assert await found(service, scope, "call", until="2023-05-31") == []


async def test_a_search_confined_to_an_entity_finds_only_what_mentions_it(
    service: Service, scope: Scope
) -> None:
    acme = {"name": "Acme", "type": "organisation", "aliases": ["Acme Corp"]}
    await add(service, scope, "The office moved to the harbour.", entities=[acme])
    await add(service, scope, "The office party is on Friday.", entities=[{"name": "Zenith"}])
    for name in ("Acme", "acme corp"):
        assert await found(service, scope, "office", entity=name) == ["The office moved to the harbour."]
    with pytest.raises(EntityNotFound, match="Nobody"):
        await found(service, scope, "office", entity="Nobody")


async def test_rules_find_entities_when_the_caller_names_none(service: Service, scope: Scope) -> None:
    await add(service, scope, "Mail ann@example.org about src/app.py and see https://example.org/plan.")
    names = {entity.name for entity in (await service.entities(scope, EntitiesRequest())).entities}
    assert {"ann@example.org", "src/app.py", "https://example.org/plan"} <= names


async def test_entities_are_one_under_all_their_spellings(service: Service, scope: Scope) -> None:
    await add(service, scope, "one", entities=[{"name": "Zoë Quinn", "type": "person", "aliases": ["Zo"]}])
    await add(service, scope, "two", entities=[{"name": "ZOË  QUINN", "type": "person"}])
    await add(service, scope, "three", entities=[{"name": "zo"}])
    page = await service.entities(scope, EntitiesRequest())
    assert [(one.name, one.mentions, one.aliases) for one in page.entities] == [("Zoë Quinn", 3, ("Zo",))]


async def test_an_entity_shows_relations_neighbours_and_memories(service: Service, scope: Scope) -> None:
    relation = {"subject": "Ann", "predicate": "works at", "object": "Acme", "valid_from": "2024-01-01"}
    people = [{"name": "Ann", "type": "person"}, {"name": "Acme", "type": "organisation"}, {"name": "Ben"}]
    memory_id = await add(service, scope, "Ann and Ben met at Acme.", entities=people, relations=[relation])
    detail = (await service.entities(scope, EntitiesRequest(entity="ann"))).detail
    assert detail is not None
    (shown,) = detail.relations
    assert (shown.subject.name, shown.predicate, shown.object.name) == ("Ann", "works at", "Acme")
    assert shown.valid_from == datetime(2024, 1, 1, tzinfo=UTC)
    assert [one.name for one in detail.neighbours] == ["Acme", "Ben"]
    assert [one.id for one in detail.memories] == [memory_id]


async def test_entities_are_paged_and_filtered(service: Service, scope: Scope) -> None:
    for n in range(5):
        entity = {"name": f"Thing {n}", "type": "tool" if n % 2 else "project"}
        await add(service, scope, f"about {n}", entities=[entity])
    first = await service.entities(scope, EntitiesRequest(limit=2))
    rest = await service.entities(scope, EntitiesRequest(limit=10, offset=2))
    assert (first.total, len(first.entities), len(rest.entities)) == (5, 2, 3)
    assert len({one.id for one in (*first.entities, *rest.entities)}) == 5
    tools = await service.entities(scope, EntitiesRequest(types=("tool",)))
    assert {one.name for one in tools.entities} == {"Thing 1", "Thing 3"}
    named = await service.entities(scope, EntitiesRequest(query="thing 4"))
    assert [one.name for one in named.entities] == ["Thing 4"]


async def test_levels_decide_who_sees_a_memory(service: Service) -> None:
    user, agent = uuid4().hex, uuid4().hex
    here = Scope(user_id=user, agent_id=agent, session_id="s1")
    for level in ("user", "session", "agent"):
        await add(service, here, f"Kept at level {level}.", level=level)

    async def seen(**ids: str) -> set[str]:
        return {text.split()[-1] for text in await found(service, Scope(**ids), "kept at level")}

    assert await seen(user_id=user, agent_id=agent, session_id="s1") == {"user.", "session.", "agent."}
    assert await seen(user_id=user) == {"user."}
    assert await seen(user_id=user, session_id="s2") == {"user."}
    assert await seen(user_id="another", agent_id=agent) == {"agent."}
    assert await seen(user_id="another", session_id="s1") == set()


@pytest.mark.parametrize("level", ["session", "agent"])
async def test_a_level_without_its_id_is_refused_and_stores_nothing(
    service: Service, scope: Scope, level: str
) -> None:
    with pytest.raises(InvalidInput, match=f"{level}_id"):
        await add(service, scope, "x", level=level)
    assert (await service.stats(scope)).memories == 0


async def test_another_users_memory_does_not_exist(service: Service, scope: Scope) -> None:
    memory_id = await add(service, scope, "Secret of one user.", entities=[{"name": "Vault"}])
    other = Scope(user_id=uuid4().hex)
    with pytest.raises(MemoryNotFound):
        await service.get(other, memory_id)
    with pytest.raises(EntityNotFound):
        await service.entities(other, EntitiesRequest(entity="Vault"))
    result = await service.forget(other, ForgetRequest(ids=(memory_id,)))
    assert (result.forgotten, result.not_found) == ((), (memory_id,))
    assert (await service.get(scope, memory_id)).memory.text == "Secret of one user."


async def test_an_entity_known_only_from_another_session_is_not_shown(service: Service, scope: Scope) -> None:
    here = scope.model_copy(update={"session_id": "s1"})
    await add(service, here, "x", level="session", entities=[{"name": "Hidden"}])
    await add(service, scope, "y", entities=[{"name": "Shown"}])
    assert {one.name for one in (await service.entities(here, EntitiesRequest())).entities} == {
        "Hidden",
        "Shown",
    }
    assert [one.name for one in (await service.entities(scope, EntitiesRequest())).entities] == ["Shown"]
    with pytest.raises(EntityNotFound):
        await service.entities(scope, EntitiesRequest(entity="Hidden"))


async def test_sessions_are_read_in_order_and_neighbours_with_them(service: Service, scope: Scope) -> None:
    here = scope.model_copy(update={"session_id": "2024-03"})
    messages = [{"content": f"turn {n}", "time": f"2024-03-01T10:0{n}:00Z"} for n in range(6)]
    ids = await say(service, here, *reversed(messages))
    in_order = list(reversed(ids))
    assert [one.id for one in await service.session(scope, "2024-03")] == in_order
    neighbours = (await service.get(scope, in_order[2])).neighbours
    assert [one.text for one in neighbours] == ["turn 0", "turn 1", "turn 3", "turn 4"]
    (summary,) = await service.sessions(scope)
    assert (summary.session_id, summary.memories) == ("2024-03", 6)
    with pytest.raises(SessionNotFound):
        await service.session(scope, "another")


async def test_recent_memories_come_newest_first(service: Service, scope: Scope) -> None:
    await add(service, scope, "older", observed_at="2024-01-01")
    await add(service, scope, "newer", observed_at="2024-02-01", kind="preference")
    assert [one.text for one in await service.recent(scope)] == ["newer", "older"]
    assert [one.text for one in await service.recent(scope, kinds=("preference",))] == ["newer"]
    assert [one.text for one in await service.recent(scope, limit=1, offset=1)] == ["older"]


async def test_ids_complete_from_their_beginning(service: Service, scope: Scope) -> None:
    memory_id = await add(service, scope, "x", entities=[{"name": "Ann"}])
    (entity,) = (await service.entities(scope, EntitiesRequest())).entities
    assert await service.ids(scope, "memories", memory_id[:5]) == (memory_id,)
    assert await service.ids(scope, "entities", "") == (entity.id,)
    assert await service.ids(scope, "memories", "%") == ()


async def test_forgetting_by_id_acts_at_once_and_takes_lonely_entities_along(
    service: Service, scope: Scope
) -> None:
    gone = await add(service, scope, "Ann keeps a fox.", entities=[{"name": "Ann"}, {"name": "Fox"}])
    await add(service, scope, "Ann keeps a hen.", entities=[{"name": "Ann"}, {"name": "Hen"}])
    result = await service.forget(scope, ForgetRequest(ids=(gone, "m_unknown")))
    assert (result.forgotten, result.not_found) == ((gone,), ("m_unknown",))
    assert (len(result.entities_removed), len(result.entities_left)) == (1, 1)
    assert await found(service, scope, "keeps a fox") == ["Ann keeps a hen."]
    names = {one.name for one in (await service.entities(scope, EntitiesRequest())).entities}
    assert names == {"Ann", "Hen"}


async def test_what_was_forgotten_may_be_said_again(service: Service, scope: Scope) -> None:
    first = await add(service, scope, "Ann keeps a fox.")
    await service.forget(scope, ForgetRequest(ids=(first,)))
    assert await add(service, scope, "Ann keeps a fox.") != first
    assert await found(service, scope, "fox") == ["Ann keeps a fox."]


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        ({"query": "fox"}, {"Hens are kept by Ben.", "Old news."}),
        ({"entity": "Ben"}, {"Ann keeps a fox.", "Old news."}),
        ({"session": "s9"}, {"Hens are kept by Ben.", "Old news."}),
        ({"before": "2020-01-01"}, {"Ann keeps a fox.", "Hens are kept by Ben."}),
        (
            {"query": "fox", "before": "2020-01-01"},
            {"Ann keeps a fox.", "Hens are kept by Ben.", "Old news."},
        ),
        ({"everything": True}, set[str]()),
    ],
)
async def test_anything_wider_is_planned_first_and_done_with_the_plan(
    service: Service, scope: Scope, selector: dict[str, Any], left: set[str]
) -> None:
    await add(service, scope.model_copy(update={"session_id": "s9"}), "Ann keeps a fox.")
    await add(service, scope, "Hens are kept by Ben.", entities=[{"name": "Ben"}])
    await add(service, scope, "Old news.", observed_at="2019-06-01")
    planned = await service.forget(scope, parse(ForgetRequest, selector))
    assert planned.plan is not None
    assert planned.forgotten == ()
    assert (await service.stats(scope)).memories == 3
    assert planned.plan.count == len(planned.plan.examples) == 3 - len(left)
    done = await service.forget(scope, ForgetRequest(plan_id=planned.plan.plan_id))
    assert len(done.forgotten) == planned.plan.count
    assert {one.text for one in await service.recent(scope)} == left
    with pytest.raises(PlanNotFound):
        await service.forget(scope, ForgetRequest(plan_id=planned.plan.plan_id))


async def test_everything_includes_what_sessions_kept_for_themselves(service: Service, scope: Scope) -> None:
    await add(service, scope.model_copy(update={"session_id": "s1"}), "x", level="session")
    planned = await service.forget(scope, ForgetRequest(everything=True))
    assert planned.plan is not None
    await service.forget(scope, ForgetRequest(plan_id=planned.plan.plan_id))
    assert (await service.stats(scope.model_copy(update={"session_id": "s1"}))).memories == 0


async def test_a_plan_is_not_there_for_another_scope(service: Service, scope: Scope) -> None:
    await add(service, scope, "x")
    planned = await service.forget(scope, ForgetRequest(everything=True))
    assert planned.plan is not None
    for other in (Scope(user_id=uuid4().hex), scope.model_copy(update={"session_id": "s1"})):
        with pytest.raises(PlanNotFound):
            await service.forget(other, ForgetRequest(plan_id=planned.plan.plan_id))
    assert (await service.stats(scope)).memories == 1


async def test_many_at_once_are_all_stored_once(service: Service, scope: Scope) -> None:
    async def one(n: int) -> None:
        await add(service, scope, f"Fact number {n % 10} about the lighthouse.")

    async with anyio.create_task_group() as tasks:
        for n in range(30):
            tasks.start_soon(one, n)
    assert (await service.stats(scope)).memories == 10
    assert len(await found(service, scope, "lighthouse", limit=50)) == 10


async def test_hostile_text_is_only_text(service: Service, scope: Scope) -> None:
    texts = ["'); DROP TABLE memory; --", "MATCH (n) DETACH DELETE n", "' OR 1=1", '"', "\\", "%_%", "a\x00b"]
    ids = [await add(service, scope, text, entities=[{"name": text.replace("\x00", "")}]) for text in texts]
    for text in texts:
        await found(service, scope, text, entity=text.replace("\x00", ""))
        await service.entities(scope, EntitiesRequest(query=text.replace("\x00", "")))
        await service.forget(scope, parse(ForgetRequest, {"query": text}))
    assert {one.id for one in await service.recent(scope)} == set(ids)
    other = Scope(user_id="' OR '1'='1")
    assert await found(service, other, "memory") == []


async def test_a_long_text_is_kept_whole_and_found_by_its_last_words(service: Service, scope: Scope) -> None:
    text = "word " * 6_000 + "zanzibar"
    memory_id = await add(service, scope, text)
    assert (await service.get(scope, memory_id)).memory.text == text
    assert (await found(service, scope, "zanzibar"))[0] == text


async def test_memory_survives_a_restart(config: Config, scope: Scope) -> None:
    async with Service.open(config) as service:
        memory_id = await add(service, scope, "The cat is called Miso.", entities=[{"name": "Miso"}])
    async with Service.open(config) as service:
        assert await found(service, scope, "cat") == ["The cat is called Miso."]
        assert await found(service, scope, "cat", entity="Miso") == ["The cat is called Miso."]
        assert (await service.get(scope, memory_id)).memory.text == "The cat is called Miso."
        assert (await service.health()).agrees


async def test_lost_indexes_come_back_from_the_ledger(config: Config, scope: Scope) -> None:
    async with Service.open(config) as service:
        relation = {"subject": "Ann", "predicate": "feeds", "object": "Miso"}
        for n in range(20):
            await add(service, scope, f"Ann feeds Miso at {n}.", relations=[relation])
    shutil.rmtree(config.data_dir / "vectors")
    shutil.rmtree(config.data_dir / "graph")
    async with Service.open(config) as service:
        with anyio.fail_after(20):
            while not (await service.health()).agrees:
                await anyio.lowlevel.checkpoint()
        assert len(await found(service, scope, "feeds", entity="Miso", limit=50)) == 20


async def test_rebuild_makes_the_same_answers_from_the_ledger_alone(config: Config, scope: Scope) -> None:
    async with Service.open(config) as service:
        for n in range(30):
            await add(
                service, scope, f"Ann met person {n} in town {n % 7}.", entities=[{"name": f"Town {n % 7}"}]
            )
        before = await found(service, scope, "Whom did Ann meet? Number 24.", limit=50)
        assert (await service.rebuild()).memories == 30
        assert await service.caught_up(20)
        assert (await service.compare()).agrees
        assert (await service.health()).agrees
        after = await found(service, scope, "Whom did Ann meet? Number 24.", limit=50)
    assert (after[0], set(after)) == (before[0], set(before))
    assert after[0] == "Ann met person 24 in town 3."


async def test_a_second_process_is_told_who_holds_the_folder(config: Config) -> None:
    async with Service.open(config):
        with pytest.raises(StoreLocked, match=r"in use by another mcp-memory process \(process \d+\)"):
            async with Service.open(config):
                pass


async def test_vectors_of_another_embedder_are_never_mixed(config: Config, scope: Scope) -> None:
    async with Service.open(config) as service:
        await add(service, scope, "x")
    other = config.model_copy(
        update={
            "embedding": config.embedding.model_copy(
                update={"provider": "openai", "model": "m", "dimension": 8}
            )
        }
    )
    async with Service.open(other) as service:
        result = await service.search(scope, SearchRequest(query="x"))
        assert [hit.memory.text for hit in result.hits] == ["x"]
        assert "mcp-memory rebuild" in result.degraded[0]
        later = await service.add(scope, AddRequest(content="y"))
        assert "mcp-memory rebuild" in later.degraded[0]
    async with Service.open(config) as service:
        assert await service.caught_up(20)
        assert (await service.compare()).agrees


async def test_a_plan_that_is_too_old_is_refused(
    config: Config, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Service.open(config) as service:
        await add(service, scope, "x")
        planned = await service.forget(scope, ForgetRequest(everything=True))
        assert planned.plan is not None

        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime(2100, 1, 1, tzinfo=UTC)

        monkeypatch.setattr("mcp_memory.forgetting.datetime", Later)
        with pytest.raises(PlanExpired, match="10 minutes"):
            await service.forget(scope, ForgetRequest(plan_id=planned.plan.plan_id))
        assert (await service.stats(scope)).memories == 1


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderUnusable, match="--data-dir"):
        async with Service.open(load(flags={"data_dir": tmp_path / "file" / "data"})):
            pass


async def test_a_ledger_that_is_no_database_is_left_alone(config: Config) -> None:
    config.data_dir.mkdir()
    (config.data_dir / "ledger.db").write_bytes(b"not a database, but somebody's file" * 100)
    with pytest.raises(LedgerDamaged, match="do not delete it"):
        async with Service.open(config):
            pass
    assert (config.data_dir / "ledger.db").read_bytes().startswith(b"not a database")


async def test_a_ledger_of_a_newer_program_is_left_alone(config: Config) -> None:
    import sqlite3

    async with Service.open(config):
        pass
    with sqlite3.connect(config.data_dir / "ledger.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerTooNew, match="schema version 99"):
        async with Service.open(config):
            pass
