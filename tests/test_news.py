"""What changes is told by the use-case that changed it, whichever door it came by."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import anyio
from scripted_model import Failure, Reply, Request, ScriptedModel

from mcp_memory.config import Config, load
from mcp_memory.models import AddRequest, EntitiesRequest, ForgetRequest, Scope, parse
from mcp_memory.news import Touched
from mcp_memory.service import Service

ANN = Scope(user_id="ann", session_id="evening")
MESSAGE = {"role": "user", "name": "Ann", "content": "I live in Rome.", "time": "2023-01-04T10:00:00Z"}


def listening(service: Service) -> list[Touched]:
    heard: list[Touched] = []

    async def hear(touched: Touched) -> None:
        heard.append(touched)

    service.news.subscribe(hear)
    return heard


async def test_each_change_tells_what_it_touched_and_reading_tells_nothing(config: Config) -> None:
    config = config.model_copy(update={"forget": config.forget.model_copy(update={"grace_days": 1})})
    async with Service.open(config) as service:
        heard = listening(service)
        added = await service.add(ANN, parse(AddRequest, {"messages": [MESSAGE]}))
        (memory_id,) = [one.id for one in added.memories]
        (fact_id,) = [one.id for one in added.facts]
        first = heard.pop()
        assert first.user_id == "ann"
        assert {memory_id, fact_id} == set(first.memories)
        assert {one.id for one in added.entities} <= set(first.entities)
        assert first.sessions == ("evening",)

        await service.add(ANN, AddRequest(content="Tom Hill lives in Rome.", level="session"))
        rome = await service.entities(ANN, EntitiesRequest(entity="Rome"))
        assert rome.detail is not None
        assert rome.detail.entity.id in heard.pop().entities

        await service.rate(ANN, memory_id, "useful")
        assert heard.pop() == Touched(user_id="ann", memories=(memory_id,))

        known = {one.name: one.id for one in (await service.entities(ANN, EntitiesRequest())).entities}
        await service.merge_entities(ANN, "Ann", "Tom Hill")
        assert set(heard.pop().entities) == {known["Ann"], known["Tom Hill"]}
        await service.split_entity(ANN, "Tom Hill")
        assert known["Tom Hill"] in heard.pop().entities

        forgotten = await service.forget(ANN, ForgetRequest(ids=(memory_id,)))
        gone = heard.pop()
        assert {memory_id, fact_id} == set(gone.memories)
        assert gone.sessions == ("evening",)
        assert forgotten.receipt_id is not None
        await service.unforget(ANN, forgotten.receipt_id)
        back = heard.pop()
        assert {memory_id, fact_id} == set(back.memories)
        assert known["Ann"] in back.entities
        assert back.sessions == ("evening",)

        await service.get(ANN, memory_id)
        await service.recent(ANN)
        await service.forget(ANN, ForgetRequest(everything=True))
        assert heard == []


async def test_facts_that_a_model_draws_later_are_told_then(tmp_path: Path) -> None:
    let_go = threading.Event()

    def answer(request: Request) -> Reply | Failure:
        let_go.wait(20)
        (turn,) = re.findall(r"\[(m_\w+)\] [\dTZ:-]+ Ann: ", json.dumps(request["messages"]))
        return Reply({"facts": [{"text": "Ann lives in Rome.", "subject": "Ann", "sources": [turn]}]})

    with ScriptedModel(answer) as model:
        config = load(
            flags={
                "data_dir": tmp_path / "data",
                "extraction": {"provider": "anthropic"},
                "llm": {"base_url": model.url},
            }
        )
        async with Service.open(config) as service:
            heard = listening(service)
            added = await service.add(ANN, parse(AddRequest, {"messages": [MESSAGE]}))
            memory_id = added.memories[0].id
            assert [one.memories for one in heard] == [(memory_id,)]
            let_go.set()
            with anyio.fail_after(20):
                while len(heard) < 2:
                    await anyio.sleep(0.02)
            (fact,) = (await service.get(ANN, memory_id)).facts
    assert heard[1].user_id == "ann"
    assert set(heard[1].memories) == {memory_id, fact.id}
    assert heard[1].entities
