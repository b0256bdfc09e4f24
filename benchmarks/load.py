"""Many clients of one server at once: how many calls a second, how slow the slow ones, how much memory?

`python benchmarks/load.py` fills one server with 10,000 memories of 50 users. Then one client of each, over
Streamable HTTP, asks as fast as it is answered for five minutes: four searches to one added memory. With
`--kill` the server and the process that holds its memory are killed with SIGKILL half-way, and started again:
clients connect anew, and in the end every memory whose adding was acknowledged must be there.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import httpx2
import remote
import report
import stats
import synthetic
from mcp import Client, MCPError
from remote import Remote, told
from stdio import Program, ProgramFailed

SHARE_OF_ADDS = 0.2
QUESTIONS = 500
FIRST_LOOK_SECONDS = 60.0
"""After which memory is measured first: by then everything is loaded that ever will be."""
RECONNECT_SECONDS = 0.2
BACK_SECONDS = 30.0
"""In which a client must have an answer again after a kill."""


@dataclass(frozen=True, slots=True)
class Plan:
    clients: int = 50
    memories: int = 10_000
    seconds: float = 300.0
    kill: bool = False
    """Whether the server and its owner are killed half-way."""


@dataclass
class Outcome:
    searches: list[float] = field(default_factory=list[float])
    """Seconds of each call that was answered; so for `adds`."""
    adds: list[float] = field(default_factory=list[float])
    errors: list[str] = field(default_factory=list[str])
    cut_off: int = 0
    """Calls and connections that failed because the server was killed, or not yet back."""
    acknowledged: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """By id: whose it is, and its text."""
    lost: list[str] = field(default_factory=list[str])
    resident: list[tuple[float, dict[str, int]]] = field(default_factory=list[tuple[float, dict[str, int]]])
    """At so many seconds, bytes by process."""
    killed_at: float | None = None
    back_seconds: float | None = None
    """From the kill to the first answer after it."""
    seconds: float = 0.0

    @property
    def is_right(self) -> bool:
        return not self.errors and not self.lost and bool(self.searches) and bool(self.adds)


class _Load:
    def __init__(self, server: Remote, plan: Plan, tokens: Sequence[str]) -> None:
        self.outcome = Outcome()
        self._server = server
        self._plan = plan
        self._tokens = tokens
        self._questions = synthetic.questions(QUESTIONS)
        self._statements = synthetic.statements(QUESTIONS)
        self._began = 0.0

    async def run(self) -> Outcome:
        self._began = time.perf_counter()
        with anyio.move_on_after(self._plan.seconds + remote.START_SECONDS):
            async with anyio.create_task_group() as tasks:
                for number in range(self._plan.clients):
                    tasks.start_soon(self._client, number)
                tasks.start_soon(self._look)
                if self._plan.kill:
                    tasks.start_soon(self._kill)
        self.outcome.seconds = min(self._now(), self._plan.seconds)
        await self._examine()
        return self.outcome

    def _now(self) -> float:
        return time.perf_counter() - self._began

    @property
    def _is_over(self) -> bool:
        return self._now() >= self._plan.seconds

    async def _client(self, number: int) -> None:
        """One client after the other: whoever is cut off connects anew."""
        words = random.Random(number)
        while not self._is_over:
            try:
                async with self._server.client(self._tokens[number]) as client:
                    while not self._is_over:
                        await self._call(client, number, words)
            except* (httpx2.TransportError, MCPError, ProgramFailed, TimeoutError, OSError) as failed:
                self._failed(failed)
                await anyio.sleep(RECONNECT_SECONDS)

    def _failed(self, failed: BaseExceptionGroup[Exception]) -> None:
        killed_at = self.outcome.killed_at
        if killed_at is not None and self._now() - killed_at < BACK_SECONDS:
            self.outcome.cut_off += 1
        else:
            self.outcome.errors.append(repr(failed.exceptions[0]))

    async def _call(self, client: Client, number: int, words: random.Random) -> None:
        began = time.perf_counter()
        if words.random() < SHARE_OF_ADDS:
            text = f"{words.choice(self._statements)} It was note {words.randrange(10**12)}."
            (memory_id,) = (await told(client, "add_memory", content=text))["ids"]
            self.outcome.acknowledged[memory_id] = (number, text)
            self.outcome.adds.append(time.perf_counter() - began)
        else:
            await told(client, "search_memory", query=words.choice(self._questions))
            self.outcome.searches.append(time.perf_counter() - began)
        killed_at = self.outcome.killed_at
        if killed_at is not None and self.outcome.back_seconds is None and began - self._began > killed_at:
            self.outcome.back_seconds = self._now() - killed_at

    async def _look(self) -> None:
        """At the memory of each process, after the first minute (or half the time) and at the end."""
        first = min(FIRST_LOOK_SECONDS, self._plan.seconds / 2)
        for moment in (first, self._plan.seconds - 1):
            await anyio.sleep(max(0.0, moment - self._now()))
            done = len(self.outcome.searches) + len(self.outcome.adds)
            sys.stderr.write(f"  {done} calls in {self._now():.0f} s, {len(self.outcome.errors)} errors\n")
            self.outcome.resident.append((self._now(), self._server.resident_bytes()))

    async def _kill(self) -> None:
        await anyio.sleep(self._plan.seconds / 2)
        self.outcome.killed_at = self._now()
        self._server.kill()
        await self._server.start()

    async def _examine(self) -> None:
        """Whether everything acknowledged is there, word for word."""
        for number, token in enumerate(self._tokens):
            async with self._server.client(token) as client:
                for memory_id, (whose, text) in self.outcome.acknowledged.items():
                    if whose != number:
                        continue
                    try:
                        is_there = (await told(client, "get_memory", memory_id=memory_id))["text"] == text
                    except ProgramFailed:
                        is_there = False
                    if not is_there:
                        self.outcome.lost.append(text)


async def measure(program: Program, plan: Plan) -> Outcome:
    """Fill an empty folder, and load it."""
    async with remote.served(program) as server:
        texts = [message.text for message in synthetic.messages(plan.memories)]
        each = len(texts) // plan.clients

        async def move_in(number: int, token: str, client: Client) -> str:
            await remote.fill(client, texts[number * each : (number + 1) * each])
            return token

        tokens = await remote.settled(server, plan.clients, move_in)
        async with server.client(tokens[0]) as client:
            await _settled(client)
        return await _Load(server, plan, tokens).run()


async def _settled(client: Client) -> None:
    """Until the first search by meaning is answered, which waits for the indexes to be opened."""
    while (await told(client, "search_memory", query="What is planned?")).get("degraded"):
        await anyio.sleep(0.5)


def shown(outcome: Outcome, plan: Plan) -> str:
    def row(name: str, seconds: list[float]) -> list[str]:
        if not seconds:
            return [name, "0", "", "", ""]
        times = (f"{stats.percentile(seconds, share) * 1e3:.0f} ms" for share in (50, 95, 99))
        return [name, f"{len(seconds)}", *times]

    both = outcome.searches + outcome.adds
    lines = [
        report.table(
            ["call", "answered", "p50", "p95", "p99"],
            [row("search", outcome.searches), row("add", outcome.adds), row("both", both)],
        ),
        "",
        f"- {plan.clients} clients, {plan.memories} memories before, {outcome.seconds:.0f} s",
        f"- calls/s: {len(both) / max(outcome.seconds, 1e-9):.1f}",
        f"- errors: {len(outcome.errors)} {' '.join(outcome.errors[:3])}",
        f"- acknowledged and lost: {len(outcome.lost)} of {len(outcome.acknowledged)}",
    ]
    for moment, held in outcome.resident:
        parts = (f"{name} {bytes_ / 2**20:.0f} MiB" for name, bytes_ in held.items())
        lines.append(f"- memory after {moment:.0f} s: {', '.join(parts)}")
    if outcome.killed_at is not None:
        back = "never" if outcome.back_seconds is None else f"{outcome.back_seconds:.1f} s later"
        cut = f"{outcome.cut_off} calls and connections failed meanwhile"
        lines.append(f"- killed after {outcome.killed_at:.0f} s, first answer {back}; {cut}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(remote.main(__doc__, Plan(), measure, shown))
