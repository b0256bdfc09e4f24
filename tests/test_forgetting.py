"""What is forgotten is gone from the ledger, from both indexes, from every file; the program has looked."""

# lancedb and pyarrow publish few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_memory import backup, residue
from mcp_memory.config import Config
from mcp_memory.errors import NothingHidden
from mcp_memory.models import AddRequest, EntitiesRequest, ForgetRequest, Scope, SearchRequest, parse
from mcp_memory.service import Service
from mcp_memory.store.ledger import Ledger, forgetting, schema

SCOPE = Scope(user_id="u")


@pytest.fixture
async def service(words_only: Config) -> AsyncGenerator[Service]:
    async with Service.open(words_only) as service:
        yield service


async def add(service: Service, content: str, **more: Any) -> str:
    request = parse(AddRequest, {"content": content, **more})
    return (await service.add(SCOPE, request)).memories[0].id


async def forget(service: Service, *ids: str) -> Any:
    return await service.forget(SCOPE, ForgetRequest(ids=ids))


def files_with(folder: Path, word: str) -> list[str]:
    """Every file below `folder` that holds these bytes in any case."""
    found: list[str] = []
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        if word.lower().encode() in file.read_bytes().lower():
            found.append(file.relative_to(folder).as_posix())
    return found


async def test_no_file_holds_what_was_forgotten_and_all_else_is_still_found(config: Config) -> None:
    """A hundred marked memories among others, half of them facts with entities, as an import leaves them."""
    async with Service.open(config) as service:
        marked: list[str] = []
        for n in range(100):
            more: dict[str, Any] = {}
            if n % 2:
                more = {
                    "kind": "fact",
                    "metadata": {"note": f"Zubmeta{n:03}"},
                    "entities": [{"name": f"Zubname{n:03}", "aliases": [f"Zubalias{n:03}"]}],
                    "relations": [
                        {"subject": f"Zubname{n:03}", "predicate": f"zubverbs{n:03}", "object": "Lisbon"}
                    ],
                }
            else:
                more = {"kind": "message"}
            marked.append(await add(service, f"The word is Zubmark{n:03}, said under the oak.", **more))
            if n % 10 == 0:
                beacons = [{"content": f"Beacon {n}.{k} in Lisbon."} for k in range(490)]
                await service.add(SCOPE, parse(AddRequest, {"messages": beacons}))
        assert await service.caught_up(20)
    # Closed and opened, everything is in the files and not only in memory: looking proves something.
    assert {Path(one).parts[0] for one in files_with(config.data_dir, "Zubmark050")} == {
        "ledger.db",
        "vectors",
    }
    async with Service.open(config) as service:
        result = await forget(service, *marked)
        assert (result.status, result.verified, result.found) == ("erased", True, ())
        assert len(result.forgotten) == 100
        assert len(result.entities_removed) >= 50
        for word in ("Zubmark", "Zubmeta", "Zubname", "Zubalias", "zubverbs"):
            assert files_with(config.data_dir, word) == []
        assert files_with(config.data_dir, "Beacon 90.489") != []
        for n in range(0, 100, 10):
            found = await service.search(SCOPE, SearchRequest(query=f"Beacon {n}.7", limit=1))
            assert found.hits[0].memory.text == f"Beacon {n}.7 in Lisbon."
            assert found.degraded == ()
        assert (await service.compare()).agrees
    assert files_with(config.data_dir, "zubmark") == []


async def test_no_file_holds_the_vector_of_what_was_forgotten(config: Config) -> None:
    import lancedb
    import numpy as np

    async with Service.open(config) as service:
        gone = await add(service, "The lighthouse keeper collects blue glass.")
        await add(service, "The baker sings.")
    table = await (await lancedb.connect_async(str(config.data_dir / "vectors"))).open_table("memories")
    rows = (await table.query().select(["id", "vector"]).to_arrow()).to_pylist()
    piece = np.asarray(next(row["vector"] for row in rows if row["id"] == gone)[:8], np.float32).tobytes()
    vectors = [file for file in (config.data_dir / "vectors").rglob("*") if file.is_file()]
    assert any(piece in file.read_bytes() for file in vectors)
    async with Service.open(config) as service:
        assert (await forget(service, gone)).verified
        assert all(piece not in file.read_bytes() for file in config.data_dir.rglob("*") if file.is_file())


async def test_facts_drawn_only_from_what_is_forgotten_go_with_it(service: Service) -> None:
    first = await add(service, "I have moved to Porto.", kind="message")
    second = await add(service, "Porto is where I live now.", kind="message")
    only = await add(service, "Nora moved house.", sources=[first])
    deeper = await add(service, "Nora is settled.", sources=[only])
    both = await add(service, "Nora lives in Porto.", sources=[first, second])
    result = await forget(service, first)
    assert set(result.derived) == {only, deeper}
    assert [(one.id, one.said_by) for one in result.kept if one.id.startswith("m_")] == [(both, (second,))]
    assert {one.id for one in await service.recent(SCOPE)} == {second, both}


async def test_sources_must_be_visible(service: Service) -> None:
    theirs = (await service.add(Scope(user_id="other"), AddRequest(content="x"))).memories[0].id
    with pytest.raises(Exception, match="sources: no memory"):
        await add(service, "y", sources=[theirs])


async def test_an_entity_keeps_only_the_names_that_others_call_it(service: Service, config: Config) -> None:
    gone = await add(
        service,
        "Quentin, whom friends call Quibbler, came.",
        entities=[{"name": "Quentin", "aliases": ["Quibbler"]}],
    )
    stays = await add(service, "QUENTIN rang.", entities=[{"name": "QUENTIN"}])
    result = await forget(service, gone)
    assert [(one.name.casefold(), one.said_by) for one in result.kept] == [("quentin", (stays,))]
    (entity,) = (await service.entities(SCOPE, EntitiesRequest(entity="quentin"))).entities
    assert (entity.name, entity.aliases) == ("QUENTIN", ())
    assert files_with(config.data_dir, "Quibbler") == []
    assert all(b"Quentin" not in file.read_bytes() for file in config.data_dir.rglob("*") if file.is_file())


async def test_days_of_grace_hide_at_once_and_can_be_undone(config: Config) -> None:
    graced = config.model_copy(update={"forget": config.forget.model_copy(update={"grace_days": 3.0})})
    async with Service.open(graced) as service:
        one = await add(service, "The key is under the stone.")
        other = await add(service, "The key is under the mat.")
        result = await forget(service, one)
        assert (result.status, result.verified) == ("hidden", None)
        assert result.erase_at > datetime.now(UTC) + timedelta(days=2.9)
        found = await service.search(SCOPE, SearchRequest(query="key"))
        assert [hit.memory.id for hit in found.hits] == [other]
        assert [memory.id for memory in await service.recent(SCOPE)] == [other]
        assert (await service.stats(SCOPE)).hidden == 1
        assert [hidden.memory_ids for hidden in await service.hidden(SCOPE)] == [(one,)]
        assert await service.hidden(Scope(user_id="other")) == ()
        with pytest.raises(NothingHidden):
            await service.unforget(Scope(user_id="other"), result.receipt_id)
        assert (await service.unforget(SCOPE, result.receipt_id)).memory_ids == (one,)
        with pytest.raises(NothingHidden):
            await service.unforget(SCOPE, result.receipt_id)
        found = await service.search(SCOPE, SearchRequest(query="key"))
        assert {hit.memory.id for hit in found.hits} == {one, other}
        assert [event.event for event in (await service.get(SCOPE, one)).history] == ["created", "restored"]
        assert await service.receipts() == ()


async def test_what_is_hidden_can_be_erased_before_its_days_are_over(config: Config) -> None:
    graced = config.model_copy(update={"forget": config.forget.model_copy(update={"grace_days": 3.0})})
    async with Service.open(graced) as service:
        first = await forget(service, await add(service, "The marker is xanthic."))
        await forget(service, await add(service, "The marker is vermilion."))
        with pytest.raises(NothingHidden):
            await service.forget(Scope(user_id="other"), ForgetRequest(ids=(first.receipt_id,)))
        done = await service.forget(SCOPE, ForgetRequest(ids=(first.receipt_id,)))
        assert (done.status, done.verified, done.forgotten) == ("erased", True, first.forgotten)
        assert len(await service.hidden(SCOPE)) == 1
        assert files_with(config.data_dir, "xanthic") == []
    async with Service.open(config) as service:
        planned = await service.forget(SCOPE, ForgetRequest(everything=True))
        assert planned.plan is not None
        assert planned.plan.count == 1
        assert (await service.forget(SCOPE, ForgetRequest(plan_id=planned.plan.plan_id))).verified
        assert await service.hidden(SCOPE) == ()
        assert files_with(config.data_dir, "vermilion") == []


async def test_what_is_hidden_is_erased_when_its_days_are_over(config: Config) -> None:
    moment = 2 / 86_400
    graced = config.model_copy(update={"forget": config.forget.model_copy(update={"grace_days": moment})})
    async with Service.open(graced) as service:
        hidden = await add(service, "The marker is xanthic.")
        assert (await forget(service, hidden)).status == "hidden"
    await anyio.sleep(2.1)
    async with Service.open(config) as service:
        with anyio.fail_after(20):
            while not await service.receipts():
                await anyio.sleep(0.05)
        (receipt,) = await service.receipts()
        assert (receipt.memory_ids, receipt.verified) == ((hidden,), True)
        assert files_with(config.data_dir, "xanthic") == []


async def test_a_clock_that_is_set_back_delays_no_forgetting(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2020, 1, 1, tzinfo=UTC)

    gone = await add(service, "The marker is xanthic.")
    monkeypatch.setattr("mcp_memory.store.datetime", Earlier)
    assert (await forget(service, gone)).status == "erased"


async def test_what_is_said_again_while_hidden_is_remembered(config: Config) -> None:
    graced = config.model_copy(update={"forget": config.forget.model_copy(update={"grace_days": 3.0})})
    async with Service.open(graced) as service:
        one = await add(service, "The key is under the stone.")
        await forget(service, one)
        again = await service.add(SCOPE, AddRequest(content="The key is under the stone."))
        assert [(back.id, back.status) for back in again.memories] == [(one, "restored")]
        assert [memory.id for memory in await service.recent(SCOPE)] == [one]


async def test_an_interrupted_forgetting_is_finished_by_the_next_owner(config: Config) -> None:
    """As a process leaves it that dies after it promised and before it erased."""
    async with Service.open(config) as service:
        gone = await add(service, "The marker is xanthic.")
        stays = await add(service, "The sky is grey.")
    ledger = sqlite3.connect(config.data_dir / "ledger.db")
    with ledger:
        past = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1e6)
        ledger.execute("INSERT INTO forgetting (id, made_at, due_at) VALUES ('f_1', ?, ?)", (past, past))
        ledger.execute("UPDATE memory SET forgetting_id = 'f_1' WHERE id = ?", (gone,))
    ledger.close()
    async with Service.open(config) as service:
        assert [memory.id for memory in await service.recent(SCOPE)] == [stays]
        with anyio.fail_after(20):
            while not await service.receipts():
                await anyio.sleep(0.05)
        (receipt,) = await service.receipts()
        assert (receipt.id, receipt.memory_ids, receipt.verified) == ("f_1", (gone,), True)
    assert files_with(config.data_dir, "xanthic") == []


async def test_an_erasure_that_nobody_looked_after_is_never_called_verified(config: Config) -> None:
    """As a process leaves it that dies between the deletion and the receipt."""
    async with Service.open(config) as service:
        gone = await add(service, "The marker is xanthic.")
        _, ledger = await add(service, "The sky is grey."), Ledger(config.data_dir / "ledger.db")
        now = datetime.now(UTC)
        hiding = await ledger.write(forgetting.hide, SCOPE, [gone], now=now, due_at=now)
        await ledger.write(forgetting.erase, hiding.id)
        await ledger.close()
    async with Service.open(config) as service:
        with anyio.fail_after(20):
            while not await service.receipts():
                await anyio.sleep(0.05)
        (receipt,) = await service.receipts()
        assert (receipt.id, receipt.memory_ids, receipt.verified) == (hiding.id, (gone,), False)
        assert "not looked for" in receipt.found[0]
        assert (await service.compare()).unverified
    assert files_with(config.data_dir, "xanthic") == []


async def test_a_look_that_fails_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residue, "SECONDS", 0.0)
    result = await forget(service, await add(service, "The marker is xanthic."))
    assert (result.status, result.verified) == ("erased", False)
    assert "the look failed" in result.found[0]


async def test_what_another_still_says_may_be_found_and_proves_nothing(service: Service) -> None:
    mine = await add(service, "Our flat is at 7 Rua das Flores, Porto, third floor.")
    await service.add(
        Scope(user_id="other"), AddRequest(content="Our flat is at 7 Rua das Flores, Porto, third floor.")
    )
    result = await forget(service, mine)
    assert (result.verified, result.found) == (True, ())
    assert len(await service.recent(Scope(user_id="other"))) == 1


async def test_what_is_left_somewhere_is_found_and_told(service: Service, config: Config) -> None:
    gone = await add(service, "The marker is xanthic, said the gardener.")
    (config.data_dir / "copy.txt").write_text("... The marker is xanthic, said the gardener. ...")
    result = await forget(service, gone)
    assert (result.status, result.verified) == ("erased", False)
    assert [one.split(" ")[0] for one in result.found] == ["copy.txt"]
    (receipt,) = await service.receipts()
    assert not receipt.verified
    assert [one.partition(":")[0] for one in (await service.compare()).unverified] == [receipt.id]


async def test_receipts_hold_no_content_and_a_changed_one_is_noticed(
    service: Service, config: Config
) -> None:
    for n in range(4):
        await forget(service, await add(service, f"The marker {n} is xanthic.", metadata={"tag": "ochre"}))
    receipts = await service.receipts()
    text = json.dumps([one.model_dump(mode="json") for one in receipts])
    assert not any(word in text for word in ("xanthic", "ochre", '"u"', "marker"))
    assert [one.previous for one in receipts[:-1]] == [one.digest for one in receipts[1:]]
    assert (await service.compare()).agrees
    ledger = sqlite3.connect(config.data_dir / "ledger.db")
    for change, said in (
        (
            "UPDATE receipt SET body = replace(body, '\"files\": ', '\"files\": 1') WHERE seq = 2",
            "was changed",
        ),
        ("DELETE FROM receipt WHERE seq = 2", "are missing"),
        ("DELETE FROM receipt WHERE seq = 4", "1 of the latest receipts are missing"),
    ):
        with ledger:
            ledger.execute(change)
        assert any(said in problem for problem in (await service.compare()).ledger_problems)
    ledger.close()


async def test_damaged_indexes_that_were_set_aside_are_erased_too(service: Service, config: Config) -> None:
    gone = await add(service, "The marker is xanthic.")
    aside = config.data_dir / "vectors.damaged-20260101T000000-aaaa"
    aside.mkdir()
    (aside / "part").write_text("The marker is xanthic.")
    assert (await forget(service, gone)).verified
    assert not aside.exists()


def _quietly(*_: object) -> None:
    """Progress nobody looks at."""


async def test_backups_made_since_are_named_as_the_place_it_cannot_reach(
    service: Service, config: Config, tmp_path: Path
) -> None:
    await add(service, "a b c")
    await backup.write(config, tmp_path / "sunday", None, _quietly)
    memory = await add(service, "x y z")
    await backup.write(config, tmp_path / "monday", None, _quietly)
    assert (await forget(service, memory)).backups == (str(tmp_path / "monday"),)


async def test_nothing_to_forget_is_told(service: Service) -> None:
    result = await forget(service, "m_none")
    assert (result.status, result.not_found, result.receipt_id) == ("nothing", ("m_none",), None)
    assert await service.receipts() == ()


@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=5))
def test_every_part_of_a_text_is_looked_for(texts: list[str]) -> None:
    wanted = residue.pieces(texts)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        if len(encoded) >= residue.PIECE:
            for start in range(0, len(encoded) - 2 * residue.PIECE + 1):
                window = encoded[start : start + 2 * residue.PIECE]
                assert any(piece in window for piece in wanted)
        elif len(encoded) >= residue.SHORTEST:
            assert encoded in wanted


def test_a_look_finds_what_stands_across_two_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residue, "BLOCK", 64)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"." * 60 + b"a secret word" + b"." * 60)
    seen = residue.look_here(tmp_path, [b"a secret word"])
    assert (seen.files, seen.found) == (1, ("a/file (1×)",))
    assert residue.look(tmp_path, [b"a secret word"]) == seen


async def test_an_older_ledger_is_brought_to_what_a_new_one_is(tmp_path: Path) -> None:
    """A ledger as version 1 wrote it, with a memory, an entity and its alias."""
    new = await Ledger.open(tmp_path / "new.db")
    await new.close()
    old = sqlite3.connect(tmp_path / "old.db")
    with old:
        old.executescript((Path(__file__).parent / "data" / "ledger-v1.sql").read_text(encoding="utf-8"))
    old.close()
    migrated = await Ledger.open(tmp_path / "old.db")
    assert await migrated.schema_version() == schema.VERSION
    await migrated.close()

    def shape(path: Path) -> dict[str, set[tuple[Any, ...]]]:
        database = sqlite3.connect(path)
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        shapes = {
            table: {row[1:] for row in database.execute(f"PRAGMA table_info({table})")} for table in tables
        }
        shapes["indexes"] = set(
            database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'"
            )
        )
        names = set(database.execute("SELECT key, name FROM spelling"))
        database.close()
        return {**shapes, "spelled": names}

    old_shape, new_shape = shape(tmp_path / "old.db"), shape(tmp_path / "new.db")
    assert old_shape.pop("spelled") == {("ann", "Ann"), ("annie", "Annie")}
    assert new_shape.pop("spelled") == set()
    assert old_shape == new_shape


async def test_forgetting_somebody_takes_all_that_names_them_and_nobody_of_the_same_name(
    service: Service,
) -> None:
    for words in (
        "Priya lives in Malmö.",
        "PRIYA IS ANGRY",
        "Priya quit.",
        "Tom's dog bit Priya.",
        "Tom cried.",
    ):
        await add(service, words)
    await add(service, "Priyanka sang.")
    planned = await service.forget(SCOPE, ForgetRequest(entity="Priya"))
    assert planned.plan is not None
    await service.forget(SCOPE, ForgetRequest(plan_id=planned.plan.plan_id))
    left = {one.text for one in await service.recent(SCOPE, limit=50)}
    assert left == {"Tom cried.", "Priyanka sang."}
