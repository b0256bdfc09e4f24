"""Facts that were never compared, compared by a model; and the portrait it writes of the user."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from scripted_model import Failure, Reply, Request, ScriptedModel
from typer.testing import CliRunner

from mcp_memory import text
from mcp_memory.cli import app
from mcp_memory.config import Config, load
from mcp_memory.consolidating import windows
from mcp_memory.errors import ExtractionFailed, NoModel
from mcp_memory.models import AddRequest, EntitiesRequest, ForgetRequest, Memory, Profile, Scope, parse
from mcp_memory.service import Service

ANN = Scope(user_id="ann")
SAID = (
    ("2023-01-04", "Ann lives in Rome."),
    ("2023-02-10", "Ann likes sushi."),
    ("2023-03-01", "Ann likes sushi very much."),
    ("2023-05-08", "Ann moved to Berlin."),
)


def asked(request: Request) -> str:
    return json.dumps(request["messages"], ensure_ascii=False)


def drawing(pairs: Callable[[Request], Any]) -> Callable[[Request], Reply | Failure]:
    """A model that takes every turn for a fact about Ann, and answers a comparison with `pairs`."""

    def answer(request: Request) -> Reply | Failure:
        said = asked(request)
        if "<facts>" in said:
            found = pairs(request)
            return found if isinstance(found, Failure) else Reply(found)
        turns = re.findall(r"\[(m_\w+)\] [\dTZ:-]+ Ann: ([^\\]+)", said.partition("<turns>")[2])
        facts = [{"text": t, "kind": "fact", "subject": "Ann", "sources": [one]} for one, t in turns]
        return Reply({"facts": facts})

    return answer


def of(*numbers: tuple[int, int, str]) -> dict[str, Any]:
    return {"pairs": [{"newer": new, "older": old, "verdict": verdict} for new, old, verdict in numbers]}


def with_model(tmp_path: Path, model: ScriptedModel, **extraction: Any) -> Config:
    flags: dict[str, Any] = {
        "data_dir": tmp_path / "data",
        "extraction": {"provider": "anthropic", **extraction},
        "llm": {"base_url": model.url, "timeout": 20},
    }
    return load(flags=flags)


async def tell(service: Service, said: tuple[tuple[str, str], ...] = SAID) -> dict[str, Memory]:
    for day, words in said:
        message = {"role": "user", "name": "Ann", "content": words, "time": f"{day}T10:00:00Z"}
        await service.add(ANN, parse(AddRequest, {"messages": [message], "wait": True}))
    return {one.text: one for one in await service.recent(ANN, limit=100) if one.origin == "model"}


async def test_facts_that_were_never_compared_are_linked_and_a_second_time_nothing_is_asked(
    tmp_path: Path,
) -> None:
    with ScriptedModel(drawing(lambda _: of((3, 2, "repeats"), (4, 1, "supersedes")))) as model:
        async with Service.open(with_model(tmp_path, model)) as service:
            known = await tell(service)
            done = await service.consolidate(ANN)
            calls = len(model.requests)
            again = await service.consolidate(ANN)
            rome = await service.get(ANN, known["Ann lives in Rome."].id)
            detail = (await service.entities(ANN, EntitiesRequest(entity="Ann"))).detail
            health = (await service.stats(ANN)).extraction
    assert done.entity is not None
    assert (done.entity.name, done.facts, done.left) == ("Ann", 4, 0)
    assert {(one.new.text, one.judgement, one.old.text) for one in done.found} == {
        ("Ann likes sushi very much.", "repeats", "Ann likes sushi."),
        ("Ann moved to Berlin.", "supersedes", "Ann lives in Rome."),
    }
    assert (again.entity, len(model.requests)) == (None, calls)
    assert rome.memory.state == "superseded"
    assert "Since 2023-05-08 in its place:" in text.detail(rome)
    assert detail is not None
    assert [one.text for one in detail.facts] == ["Ann moved to Berlin.", "Ann likes sushi very much."]
    assert health is not None
    assert "consolidation" in {one.purpose for one in health.usage}


async def test_what_comparing_has_found_can_be_taken_back(tmp_path: Path) -> None:
    with ScriptedModel(drawing(lambda _: of((4, 1, "supersedes")))) as model:
        async with Service.open(with_model(tmp_path, model)) as service:
            known = await tell(service)
            await service.consolidate(ANN)
            undone = await service.unconsolidate(ANN)
            rome = await service.get(ANN, known["Ann lives in Rome."].id)
            due = await service.consolidate(ANN)
    assert undone == 1
    assert (rome.memory.state, rome.memory.valid_until, rome.after) == ("active", None, ())
    assert due.facts == 4


@pytest.mark.parametrize(
    "pair",
    [
        (9, 1, "repeats"),
        (0, 1, "repeats"),
        (2, 2, "repeats"),
        (1, 4, "supersedes"),
        (4, 1, "repeats"),
        (4, 2, "is nicer than"),
    ],
)
async def test_pairs_that_cannot_be_are_dropped(tmp_path: Path, pair: tuple[int, int, str]) -> None:
    with ScriptedModel(drawing(lambda _: of(pair))) as model:
        async with Service.open(with_model(tmp_path, model)) as service:
            known = await tell(service)
            try:
                found = (await service.consolidate(ANN)).found
            except ExtractionFailed:
                found = ()
            still = {one.text: one for one in await service.recent(ANN, limit=100) if one.origin == "model"}
    assert found == ()
    assert still == known


async def test_a_comparison_that_fails_is_made_again_the_next_time(tmp_path: Path) -> None:
    answers: list[Any] = [Failure(529), of((3, 2, "repeats"))]
    with ScriptedModel(drawing(lambda _: answers.pop(0))) as model:
        async with Service.open(with_model(tmp_path, model)) as service:
            await tell(service)
            with pytest.raises(ExtractionFailed, match="overloaded"):
                await service.consolidate(ANN)
            done = await service.consolidate(ANN)
    assert len(done.found) == 1


async def test_another_users_facts_are_not_compared(tmp_path: Path) -> None:
    with ScriptedModel(drawing(lambda _: of())) as model:
        async with Service.open(with_model(tmp_path, model)) as service:
            await tell(service)
            done = await service.consolidate(Scope(user_id="ben"))
            assert await service.unconsolidate(Scope(user_id="ben")) == 0
    assert done.entity is None


async def test_without_a_model_comparing_says_what_to_set(config: Config) -> None:
    async with Service.open(config) as service:
        with pytest.raises(NoModel, match="provider"):
            await service.consolidate(ANN)


async def test_many_facts_are_compared_in_windows_of_what_is_near(tmp_path: Path) -> None:
    said = tuple(("2023-01-04", f"Ann visited town number {n}.") for n in range(60))
    with ScriptedModel(drawing(lambda _: of())) as model:
        async with Service.open(with_model(tmp_path, model)) as service:
            messages = [{"role": "user", "name": "Ann", "content": words} for _, words in said]
            for start in (0, 30):
                some = messages[start : start + 30]
                await service.add(ANN, parse(AddRequest, {"messages": some, "wait": True}))
            before = len(model.requests)
            done = await service.consolidate(ANN)
        compared = [asked(one) for one in model.requests[before:]]
    assert done.facts == 60
    assert len(compared) == 2
    assert all(any(words in one for one in compared) for _, words in said)


def test_windows_hold_everything_and_what_is_near_together() -> None:
    angles = np.array([0.0, 1.5, 0.05, 1.45, 0.1, 1.4], dtype=np.float32)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert windows(vectors, 3, 0) == [[0, 2, 4], [1, 3, 5]]
    assert {one for window in windows(vectors, 4, 2) for one in window} == set(range(6))
    assert windows(vectors[:1], 4, 2) == [[0]]


def test_the_command_tells_what_goes_together(tmp_path: Path) -> None:
    with ScriptedModel(drawing(lambda _: of((4, 1, "supersedes")))) as model:
        config = with_model(tmp_path, model)

        async def run() -> None:
            async with Service.open(config) as service:
                await tell(service)

        anyio.run(run)
        file = tmp_path / "config.toml"
        file.write_text(
            f'user_id = "ann"\nin_process = true\ndata_dir = "{config.data_dir}"\n[extraction]\n'
            f'provider = "anthropic"\n[llm]\nbase_url = "{model.url}"\n',
            encoding="utf-8",
        )
        told = CliRunner().invoke(app, ["--config", str(file), "consolidate"])
        again = CliRunner().invoke(app, ["--config", str(file), "consolidate"])
        undone = CliRunner().invoke(app, ["--config", str(file), "consolidate", "--undo"])
    assert told.exit_code == 0, told.output
    assert re.search(
        r"Compared 4 facts about 1 entity; 1 go together\.\n- .*moved to Berlin.*\n"
        r"  took the place of .*Rome",
        told.output,
    )
    assert "Nothing new to compare." in again.output
    assert "Took back 1 link" in undone.output


# the portrait


def painting(words: list[str]) -> Callable[[Request], Reply | Failure]:
    return drawing(lambda _: {"profile": words.pop(0)} if words else Failure(500))


async def until_painted(service: Service, is_painted: Callable[[Profile], bool]) -> Profile:
    with anyio.fail_after(20):
        while True:
            profile = await service.profile(ANN, wait=1.0)
            if is_painted(profile):
                return profile


async def test_the_profile_begins_with_a_portrait_that_is_written_once(tmp_path: Path) -> None:
    with ScriptedModel(painting(["Ann lives in Berlin.", "Another."])) as model:
        async with Service.open(with_model(tmp_path, model, profile=True)) as service:
            await tell(service)
            profile = await service.profile(ANN, wait=20)
            again = await service.profile(ANN)
    assert profile.portrait == again.portrait == "Ann lives in Berlin."
    assert text.profile(profile).startswith("Ann lives in Berlin.\n\n# Facts\n")


async def test_a_portrait_is_not_shown_once_something_of_it_is_forgotten(tmp_path: Path) -> None:
    with ScriptedModel(painting(["Ann lives in Berlin.", "Ann likes sushi."])) as model:
        async with Service.open(with_model(tmp_path, model, profile=True)) as service:
            known = await tell(service)
            await service.profile(ANN, wait=20)
            await service.forget(ANN, ForgetRequest(ids=(known["Ann moved to Berlin."].id,)))
            at_once = await service.profile(ANN)
            later = await until_painted(service, lambda one: bool(one.portrait))
    assert at_once.portrait == ""
    assert later.portrait == "Ann likes sushi."


async def test_a_portrait_that_fails_leaves_the_list_and_says_why(tmp_path: Path) -> None:
    with ScriptedModel(painting([])) as model:
        async with Service.open(with_model(tmp_path, model, profile=True)) as service:
            await tell(service)
            profile = await service.profile(ANN, wait=20)
    assert len(profile.memories) == 4
    assert "Partly answered: without a portrait: " in text.profile(profile)


async def test_no_portrait_is_asked_for_unless_it_is_wanted(tmp_path: Path) -> None:
    with ScriptedModel(painting(["Ann."])) as model:
        async with Service.open(with_model(tmp_path, model)) as service:
            await tell(service)
            calls = len(model.requests)
            profile = await service.profile(ANN, wait=5)
            assert len(model.requests) == calls
    assert (profile.portrait, len(profile.memories)) == ("", 4)


async def test_what_holds_no_longer_is_not_in_the_profile(config: Config) -> None:
    async with Service.open(config) as service:
        for day, place in (("2023-05-08", "Lisbon"), ("2024-03-01", "Porto")):
            message = {"role": "user", "content": f"I live in {place}.", "time": f"{day}T10:00:00Z"}
            await service.add(ANN, parse(AddRequest, {"messages": [message]}))
        profile = await service.profile(ANN)
    assert [one.text for one in profile.memories] == ["The user lives in Porto."]
