"""Many hosts on one memory while processes are killed: is anything acknowledged lost, or stored twice?

`python benchmarks/soak.py` runs eight servers over stdio, as eight hosts would start them, on one data
folder. Each adds and searches; meanwhile the owner is killed every second and a random server now and then,
both with SIGKILL. In the end every acknowledged memory must be there once, and the three stores must agree.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import anyio
import machine
import report
from stdio import Program, ProgramFailed, Server, owner_pid, running

CALL_LIMIT_SECONDS = 10.0
"""The longest a call may wait while owners die."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done. `kills` owners are killed, one every `kill_seconds`, however long the calls take."""

    fronts: int = 8
    adds: int = 2_000
    searches: int = 500
    kills: int = 50
    kill_seconds: float = 1.0
    front_kill_seconds: float = 7.0
    seconds: float = 600.0
    """After this long the run is given up."""


@dataclass
class Outcome:
    """What happened. `acknowledged` holds the text of every memory that a server said is stored, by id."""

    acknowledged: dict[str, str] = field(default_factory=dict[str, str])
    unknown: int = 0
    """Adds whose server was killed before it answered: stored or not, both are right."""
    answered_twice: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])
    add_seconds: list[float] = field(default_factory=list[float])
    search_seconds: list[float] = field(default_factory=list[float])
    owners_killed: int = 0
    fronts_killed: int = 0
    degraded: int = 0
    seconds: float = 0.0
    lost: list[str] = field(default_factory=list[str])
    twice: list[str] = field(default_factory=list[str])
    agree: bool = False

    @property
    def is_right(self) -> bool:
        slowest = max((*self.add_seconds, *self.search_seconds), default=0.0)
        wrong = (self.lost, self.twice, self.answered_twice, self.failed)
        return not any(wrong) and self.agree and slowest <= CALL_LIMIT_SECONDS


class _Soak:
    def __init__(self, program: Program, plan: Plan) -> None:
        self.program = program
        self.plan = plan
        self.outcome = Outcome()
        self.fronts: dict[int, int] = {}
        self.adds_left = plan.adds
        self.searches_left = plan.searches
        self.killed: set[int] = set()
        self.random = random.Random(20_261_121)

    @property
    def is_done(self) -> bool:
        calls = self.adds_left <= 0 and self.searches_left <= 0
        return calls and self.outcome.owners_killed >= self.plan.kills

    async def host(self, number: int) -> None:
        """One host: a server after the other, whenever the last one was killed."""
        for life in itertools.count():
            # A settings file of its own is how its process is told from the others.
            mine = self.program.config.with_name(f"front-{number}-{life}.toml")
            mine.touch()
            pid = None
            try:
                async with running(replace(self.program, config=mine), "auto") as server:
                    pid = _process_with(str(mine))
                    if pid is not None:
                        self.fronts[number] = pid
                    await self._work(number, server)
            except Exception as error:  # noqa: BLE001 - whatever a killed server raises is expected of it
                if pid not in self.killed:
                    self.outcome.failed.append(f"front {number}: {_cause(error)!r}")
            if self.is_done:
                return

    async def _work(self, number: int, server: Server) -> None:
        while not self.is_done:
            is_search = self.random.random() < self.plan.searches / (self.plan.searches + self.plan.adds)
            started_at = time.perf_counter()
            if (is_search and self.searches_left > 0) or self.adds_left <= 0:
                self.searches_left -= 1
                known = self.outcome.acknowledged
                marker = self.random.choice(list(known.values())) if known else "beacon"
                answer = await server.call("search_memory", {"query": marker, "limit": 5})
                self.outcome.search_seconds.append(time.perf_counter() - started_at)
                self.outcome.degraded += bool(answer.get("degraded"))
            else:
                self.adds_left -= 1
                text = f"Beacon {number}-{self.adds_left}-{self.random.randrange(10**9)} is lit."
                self.outcome.unknown += 1
                answer = await server.call("add_memory", {"content": text})
                self.outcome.unknown -= 1
                self.outcome.add_seconds.append(time.perf_counter() - started_at)
                self.outcome.acknowledged[answer["ids"][0]] = text
                if answer.get("duplicates"):
                    self.outcome.answered_twice.append(text)
            # As many calls a second as the kills leave time for, so that both last equally long.
            kills_left = max(self.plan.kills - self.outcome.owners_killed, 0)
            calls_left = max(self.adds_left + self.searches_left, 1)
            pause = kills_left * self.plan.kill_seconds * self.plan.fronts / calls_left
            await anyio.sleep(min(pause * self.random.random() * 1.5, 1.0))

    async def tell(self) -> None:
        """How far it is, on stderr."""
        while not self.is_done:
            await anyio.sleep(5)
            done = f"{len(self.outcome.acknowledged)} stored, {len(self.outcome.search_seconds)} searched"
            kills = f"{self.outcome.owners_killed} owners and {self.outcome.fronts_killed} servers killed"
            sys.stderr.write(f"  {done}, {kills}, {len(self.outcome.failed)} failed\n")

    async def kill_owners(self) -> None:
        last = None
        while not self.is_done:
            await anyio.sleep(self.plan.kill_seconds)
            pid = owner_pid(self.program.data)
            if pid is not None and pid != last and _kill(pid):
                last = pid
                self.outcome.owners_killed += 1

    async def kill_fronts(self) -> None:
        while not self.is_done:
            await anyio.sleep(self.plan.front_kill_seconds)
            number = self.random.choice(list(self.fronts) or [-1])
            pid = self.fronts.pop(number, None)
            if pid is not None:
                self.killed.add(pid)
                self.outcome.fronts_killed += _kill(pid)


async def soak(program: Program, plan: Plan) -> Outcome:
    """Run `plan` on an empty data folder, then look what is there."""
    run = _Soak(program, plan)
    started_at = time.perf_counter()
    with anyio.move_on_after(plan.seconds) as limit:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.kill_owners)
            tasks.start_soon(run.kill_fronts)
            tasks.start_soon(run.tell)
            for number in range(plan.fronts):
                tasks.start_soon(run.host, number)
    outcome = run.outcome
    outcome.seconds = time.perf_counter() - started_at
    if limit.cancelled_caught:
        outcome.failed.append(f"not done after {plan.seconds:.0f} s")
    await _examine(program, outcome)
    return outcome


async def _examine(program: Program, outcome: Outcome) -> None:
    """Ask a new server, and the program's own comparison of its stores."""
    report = await anyio.run_process(program.command("doctor", "--deep", "--json"), check=False)
    outcome.agree = report.returncode == 0
    if not outcome.agree:
        outcome.failed.append(f"doctor: {(report.stdout or report.stderr)[-500:].decode()}")
    async with running(program, "auto") as server:
        for memory_id, text in outcome.acknowledged.items():
            try:
                answer = await server.call("get_memory", {"memory_id": memory_id})
            except ProgramFailed:
                outcome.lost.append(text)
            else:
                if answer["text"] != text:
                    outcome.lost.append(text)
        for text in random.Random(1).sample(
            sorted(outcome.acknowledged.values()), min(50, len(outcome.acknowledged))
        ):
            found = await server.call("search_memory", {"query": text, "limit": 5})
            same = [hit for hit in found["hits"] if hit["text"] == text]
            if not same:
                outcome.lost.append(f"not found: {text}")
            elif len(same) > 1:
                outcome.twice.append(text)
    await anyio.run_process(program.command("stop"), check=False)


def _cause(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _process_with(word: str) -> int | None:
    """The process that was started with this among its arguments."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in file.read_bytes().split(b"\0"):
                return int(file.parent.name)
    return None


def _kill(pid: int) -> bool:
    """Only a process that runs this program: the number may have been given to another by now."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"mcp_memory" not in words:
            return False
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def told(outcome: Outcome, plan: Plan) -> str:
    def times(seconds: list[float]) -> str:
        if not seconds:
            return "none"
        ordered = sorted(seconds)
        p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
        median = f"median {statistics.median(seconds) * 1e3:.0f} ms"
        return f"{len(seconds)}, {median}, p99 {p99:.2f} s, slowest {ordered[-1]:.2f} s"

    return "\n".join(
        [
            f"{plan.fronts} servers on one folder, {outcome.seconds:.0f} s: {outcome.owners_killed} owners "
            f"and {outcome.fronts_killed} servers killed",
            f"adds acknowledged   {times(outcome.add_seconds)}",
            f"searches answered   {times(outcome.search_seconds)}, {outcome.degraded} of them by words only",
            f"lost                {len(outcome.lost)}",
            f"stored twice        {len(outcome.twice) + len(outcome.answered_twice)}",
            f"failed calls        {len(outcome.failed)} {outcome.failed[:3] if outcome.failed else ''}",
            f"not answered, as their server was killed: {outcome.unknown}",
            f"stores agree        {'yes' if outcome.agree else 'NO'}",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--adds", type=int, default=2_000)
    parser.add_argument("--searches", type=int, default=500)
    parser.add_argument("--fronts", type=int, default=8)
    parser.add_argument("--kill-seconds", type=float, default=1.0)
    parser.add_argument("--keep", type=Path, help="use this folder, and leave it")
    given = parser.parse_args()
    plan = Plan(
        fronts=given.fronts,
        adds=given.adds,
        searches=given.searches,
        kills=given.kills,
        kill_seconds=given.kill_seconds,
    )
    print(report.facts(machine.describe()))
    with tempfile.TemporaryDirectory(prefix="mcp-memory-soak-") as temporary:
        outcome = anyio.run(soak, Program.under(given.keep or Path(temporary)), plan)
    print(told(outcome, plan))
    return 0 if outcome.is_right else 1


if __name__ == "__main__":
    raise SystemExit(main())
