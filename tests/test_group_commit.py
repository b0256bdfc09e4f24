"""Writers that wait for each other share one write, and none pays for another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa
import sqlalchemy.event

from mcp_memory.config import Config
from mcp_memory.group_commit import GroupCommit
from mcp_memory.models import AddRequest, Scope, SearchRequest
from mcp_memory.service import Service
from mcp_memory.store.ledger import Ledger


class Doing:
    """Notes each group, and holds the first one until `go`."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.go = anyio.Event()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        await self.go.wait()
        if 13 in items:
            raise ValueError("13")
        return [item * 10 for item in items]


async def test_who_comes_meanwhile_is_done_together_in_groups_of_a_size() -> None:
    doing = Doing()
    together = GroupCommit(doing, most=8, size=lambda item: item)
    answers: dict[int, int] = {}

    async def ask(item: int) -> None:
        answers[item] = await together(item)

    async with anyio.create_task_group() as tasks:
        for item in (1, 2, 3, 4, 9, 5):
            tasks.start_soon(ask, item)
        await anyio.wait_all_tasks_blocked()
        doing.go.set()
    assert doing.groups == [[1, 2, 3], [4], [9], [5]]
    assert answers == {item: item * 10 for item in (1, 2, 3, 4, 9, 5)}


async def test_who_goes_away_is_not_done_and_takes_nobody_along() -> None:
    doing = Doing()
    together = GroupCommit(doing, most=10)
    answers: list[int] = []

    async def ask(item: int) -> None:
        answers.append(await together(item))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, 1)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, 2)
        with anyio.move_on_after(0.05) as impatient:
            await together(3)
        assert impatient.cancelled_caught
        doing.go.set()
    assert doing.groups == [[1], [2]]
    assert answers == [10, 20]


async def test_who_goes_away_while_others_do_it_is_just_gone() -> None:
    doing = Doing()
    together = GroupCommit(doing, most=10)
    answers: list[int] = []

    async def ask(item: int) -> None:
        answers.append(await together(item))

    impatient = anyio.CancelScope()

    async def ask_impatiently() -> None:
        with impatient:
            await ask(2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, 1)
        tasks.start_soon(ask_impatiently)
        await anyio.wait_all_tasks_blocked()
        assert doing.groups == [[1, 2]]
        impatient.cancel()
        await anyio.wait_all_tasks_blocked()
        doing.go.set()
    assert impatient.cancelled_caught
    assert answers == [10]


async def test_what_goes_wrong_is_raised_by_each_of_the_group_and_by_nobody_else() -> None:
    doing = Doing()
    doing.go.set()
    together = GroupCommit(doing, most=10)
    with pytest.raises(ValueError, match="13"):
        await together(13)
    assert await together(4) == 40


async def test_writes_that_wait_share_a_transaction_and_a_failing_one_undoes_itself_alone(
    tmp_path: Path,
) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.db")
    commits: list[sa.Connection] = []
    sqlalchemy.event.listen(ledger._engine, "commit", commits.append)  # pyright: ignore[reportPrivateUsage]
    await ledger.write(lambda connection: connection.exec_driver_sql("CREATE TABLE said (n INTEGER)").close())
    commits.clear()
    refused: list[int] = []

    def say(connection: sa.Connection, number: int) -> int:
        connection.exec_driver_sql("INSERT INTO said VALUES (?)", (number,))
        if number == 7:
            raise LookupError(number)
        return number

    async def write(number: int) -> None:
        try:
            assert await ledger.write(say, number) == number
        except LookupError:
            refused.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(20, 60):
            tasks.start_soon(write, number)
    shared = len(commits)
    assert shared < 10
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(write, number)
    assert refused == [7]
    kept = await ledger.read(
        lambda connection: connection.exec_driver_sql("SELECT n FROM said ORDER BY n").scalars().all()
    )
    assert kept == [number for number in range(60) if number != 7]
    await ledger.close()


async def test_many_who_write_and_search_at_once_lose_nothing(config: Config) -> None:
    scope, other = Scope(user_id="u", session_id="s"), Scope(user_id="other")
    async with Service.open(config) as service:

        async def write(number: int) -> None:
            for line in range(3):
                text = f"Note {number}-{line}: the heron stood at pond {number} again."
                result = await service.add(scope, AddRequest(content=text))
                assert not result.degraded

        async def search() -> None:
            for _ in range(6):
                found = await service.search(other, SearchRequest(query="Where did the heron stand?"))
                # What waits to be indexed is another's, and nobody else's business.
                assert not found.degraded
                await service.search(scope, SearchRequest(query="Where did the heron stand?"))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(write, number)
                tasks.start_soon(search)
        assert (await service.compare()).differences == ()
        assert (await service.stats(scope)).memories >= 24
