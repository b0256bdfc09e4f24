"""Many users of one server: does anything of one ever reach another, by whichever door they try?

`python benchmarks/isolation.py` fills one server with 50 users of 200 memories each. Then each of them tries,
over Streamable HTTP or SSE, to get at twenty others with the ids, words, plans and cursors that only the
other should know, and watches what the other remembers. No answer may hold anything of another, and what is
another's must be answered, byte for byte, like what is not there.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import anyio
import remote
import stats
from mcp import Client, MCPError
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import PromptReference, ResourceTemplateReference, ResourceUpdatedNotification
from remote import Remote, Transport, told
from stdio import Program, ProgramFailed

NOBODYS = {"m": "m_0000000000000", "e": "e_0000000000000", "p": "p_0000000000000"}
"""Ids of what never was, by what they would be."""
HEAR_SECONDS, TELL_SECONDS = 60.0, 10.0
AT_ONCE = 8
"""Users who try at the same time: what is looked for is a leak, not how much the server carries."""
KEPT = 20
"""Of what went wrong, to be shown."""


@dataclass(frozen=True, slots=True)
class Plan:
    users: int = 50
    memories: int = 200
    others: int = 20
    """At whom each of them tries."""


@dataclass
class Outcome:
    tries: int = 0
    leaks: list[str] = field(default_factory=list[str])
    """Answers that hold something of another."""
    unlike: list[str] = field(default_factory=list[str])
    """Answers that tell what is another's from what is not there."""
    anothers_seconds: list[float] = field(default_factory=list[float])
    nobodys_seconds: list[float] = field(default_factory=list[float])
    seconds: float = 0.0

    @property
    def is_right(self) -> bool:
        return self.tries > 0 and not self.leaks and not self.unlike


@dataclass
class Resident:
    """A user, and all that only they should know."""

    number: int
    token: str
    word: str
    """In each of their memories, and in nobody else's."""
    memory_id: str = ""
    entity_id: str = ""
    plan_id: str = ""
    cursor: str = ""
    ids: list[str] = field(default_factory=list[str])

    @property
    def name(self) -> str:
        return f"user {self.number}"

    @property
    def session(self) -> str:
        return f"den of {self.word}"

    @property
    def watched(self) -> str:
        return f"memory://memories/{self.memory_id}"


_Ask = Callable[[Client, str], Awaitable[str]]


async def measure(program: Program, plan: Plan) -> Outcome:
    """Fill an empty folder, and let everybody try everything."""
    outcome = Outcome()
    async with remote.served(program) as server:

        async def move_in(number: int, token: str, client: Client) -> Resident:
            return await _resident(Resident(number, token, f"quokka{number}q"), client, plan.memories)

        residents = await remote.settled(server, plan.users, move_in)
        began = time.perf_counter()
        street = _Street(server, residents, plan.others, outcome)
        async with anyio.create_task_group() as tasks:
            for one in residents:
                tasks.start_soon(street.live, one)
            tasks.start_soon(street.tell)
        outcome.seconds = time.perf_counter() - began
    return outcome


async def _resident(one: Resident, client: Client, memories: int) -> Resident:
    """With all that is remembered of them."""
    texts = [f"The {one.word} keeps thing {number} under the bridge." for number in range(memories - 1)]
    one.ids = await remote.fill(client, texts, session_id=one.session)
    entity = {"name": one.word.title(), "aliases": [f"Alias{one.word}"]}
    added = await told(client, "add_memory", content=f"The {one.word} lives here.", entities=[entity])
    (one.memory_id,) = added["ids"]
    one.ids.append(one.memory_id)
    entities = (await told(client, "list_entities", entity=one.word.title()))["entities"]
    one.entity_id = entities[0]["id"]
    one.plan_id = (await told(client, "forget", everything=True))["plan_id"]
    one.cursor = (await told(client, "search_memory", query="What is kept?", limit=1))["cursor"]
    one.ids += [one.entity_id, one.plan_id]
    return one


class _Street:
    def __init__(self, server: Remote, residents: list[Resident], others: int, outcome: Outcome) -> None:
        self._server = server
        self._residents = residents
        self._others = min(others, len(residents) - 1)
        self._outcome = outcome
        self._at_once = anyio.CapacityLimiter(AT_ONCE)
        self._ready = _Meeting(len(residents))
        self._changed = _Meeting(len(residents))

    async def live(self, one: Resident) -> None:
        """Try at everybody else, each by one of both transports, then change something, and hear of it."""
        heard: list[str] = []
        hears = anyio.Event()

        async def hear(message: Any) -> None:
            if isinstance(message, ResourceUpdatedNotification):
                heard.append(message.params.uri)
                if message.params.uri == one.watched:
                    hears.set()

        async with AsyncExitStack() as stack:
            async with self._at_once:
                http = await stack.enter_async_context(self._server.client(one.token))
                sse = await stack.enter_async_context(
                    self._server.client(one.token, "sse", message_handler=hear)
                )
                await self._try_everything(one, http, sse)
            await self._ready.all_here()
            await told(http, "rate_memory", memory_id=one.memory_id, rating="useful")
            with anyio.fail_after(HEAR_SECONDS):
                await hears.wait()
            await self._changed.all_here()
            await told(http, "search_memory", query="What is kept?")
        for other in self._tried_by(one):
            self._outcome.tries += 1
            if other.watched in heard:
                self._leak(one, other, "watch", other.watched)

    async def _try_everything(self, one: Resident, http: Client, sse: Client) -> None:
        clients: dict[Transport, Client] = {"http": http, "sse": sse}
        await self._see_themselves(clients, one)
        await sse.subscribe_resource(one.watched)  # pyright: ignore[reportDeprecated] - that era
        for other in self._tried_by(one):
            await sse.subscribe_resource(other.watched)  # pyright: ignore[reportDeprecated]
            transport: Transport = "sse" if (one.number + other.number) % 2 else "http"
            await self._try(clients[transport], one, other)

    async def tell(self) -> None:
        while not self._ready.is_over:
            await anyio.sleep(TELL_SECONDS)
            sys.stderr.write(f"  {self._outcome.tries} tries, {len(self._outcome.leaks)} leaks\n")

    def _tried_by(self, one: Resident) -> list[Resident]:
        everybody = self._residents * 2
        return everybody[one.number + 1 : one.number + 1 + self._others]

    async def _see_themselves(self, clients: dict[Transport, Client], one: Resident) -> None:
        """Whoever could not see their own would not see another's either. Raises ProgramFailed."""
        for client in clients.values():
            for noun, ask, value in (
                ("get_memory", _WITH_AN_ID[0][1], one.memory_id),
                ("search_memory", _WITH_WORDS[0][1], one.word),
                ("recent", _WITH_WORDS[6][1], ""),
            ):
                answer = await ask(client, value)
                if not _holds(answer, one):
                    raise ProgramFailed(f"{one.name} does not see their own by {noun}: {answer[:300]}")

    async def _try(self, client: Client, one: Resident, other: Resident) -> None:
        for number, (noun, ask) in enumerate(_WITH_AN_ID):
            # Each door with each kind of id, but not each of them at everybody.
            theirs = (other.memory_id, other.entity_id, other.plan_id)[(number + other.number) % 3]
            await self._compare(client, one, other, noun, ask, theirs, NOBODYS[theirs[0]])
        await self._compare(client, one, other, "session", _read_session, other.session, "den of quokkaxq")
        await self._compare(client, one, other, "user", _as_user, other.name, "nobody")
        for noun, ask in _WITH_WORDS:
            self._outcome.tries += 1
            answer = await ask(client, other.word)
            self._look(one, other, noun, answer)
        self._outcome.tries += 1
        answer = await _answered(
            client.call_tool("search_memory", {"query": "What is kept?", "limit": 1, "cursor": other.cursor})
        )
        self._look(one, other, "cursor", answer)
        if "belongs to another question" not in answer:
            self._unlike(one, other, "cursor", answer, "")

    async def _compare(
        self, client: Client, one: Resident, other: Resident, noun: str, ask: _Ask, theirs: str, nobodys: str
    ) -> None:
        began = time.perf_counter()
        of_another = await ask(client, theirs)
        between = time.perf_counter()
        of_nobody = await ask(client, nobodys)
        self._outcome.anothers_seconds.append(between - began)
        self._outcome.nobodys_seconds.append(time.perf_counter() - between)
        self._outcome.tries += 1
        self._look(one, other, noun, of_another.replace(theirs, ""))
        if of_another.replace(theirs, "ID") != of_nobody.replace(nobodys, "ID"):
            self._unlike(one, other, noun, of_another, of_nobody)

    def _look(self, one: Resident, other: Resident, noun: str, answer: str) -> None:
        if _holds(answer, other):
            self._leak(one, other, noun, answer)

    def _leak(self, one: Resident, other: Resident, noun: str, answer: str) -> None:
        self._outcome.leaks.append(f"{one.name} of {other.name} by {noun}: {answer[:300]}")

    def _unlike(self, one: Resident, other: Resident, noun: str, theirs: str, nobodys: str) -> None:
        self._outcome.unlike.append(f"{one.name} of {other.name} by {noun}: {theirs[:200]} | {nobodys[:200]}")


def _holds(answer: str, one: Resident) -> bool:
    """Whether an answer tells anything of somebody. A word alone is said again to whoever asks with it; with
    what follows, it was remembered."""
    kept = (f"{one.word} keeps", f"{one.word} lives", one.session, f"Alias{one.word}", *one.ids)
    return any(words in answer for words in kept)


class _Meeting:
    """Goes on when all are there."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self._all = anyio.Event()

    @property
    def is_over(self) -> bool:
        return self._all.is_set()

    async def all_here(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._all.set()
        await self._all.wait()


async def _answered(asking: Awaitable[Any]) -> str:
    """All that is answered, well or badly."""
    try:
        return str(await asking)
    except MCPError as error:
        return f"{error.error.code} {error.error.message} {error.error.data}"


def _tool(name: str, argument: str, **more: Any) -> _Ask:
    def ask(client: Client, value: str) -> Awaitable[str]:
        return _answered(client.call_tool(name, {argument: value, **more}))

    return ask


async def _forget(client: Client, value: str) -> str:
    return await _answered(client.call_tool("forget", {"ids": [value]}))


def _resource(prefix: str) -> _Ask:
    return lambda client, value: _answered(client.read_resource(prefix + value))


def _completed(uri: str, name: str) -> _Ask:
    reference = ResourceTemplateReference(type="ref/resource", uri=uri)
    return lambda client, value: _answered(client.complete(reference, {"name": name, "value": value}))


async def _read_session(client: Client, value: str) -> str:
    # The address says its spaces in another way.
    answer = await _answered(client.read_resource("memory://sessions/" + value.replace(" ", "%20")))
    return answer.replace(value.replace(" ", "%20"), value)


async def _as_user(client: Client, value: str) -> str:
    return await _answered(client.call_tool("search_memory", {"query": "kept", "user_id": value}))


async def _topic_completed(client: Client, value: str) -> str:
    reference = PromptReference(type="ref/prompt", name="recall")
    return await _answered(client.complete(reference, {"name": "topic", "value": value[:8]}))


async def _everything_listed(client: Client, _: str) -> str:
    return await _answered(client.list_resources())


_WITH_AN_ID: tuple[tuple[str, _Ask], ...] = (
    ("get_memory", _tool("get_memory", "memory_id")),
    ("rate_memory", _tool("rate_memory", "memory_id", rating="wrong")),
    ("forget", _forget),
    ("plan", _tool("forget", "plan_id")),
    ("list_entities", _tool("list_entities", "entity")),
    ("memory resource", _resource("memory://memories/")),
    ("entity resource", _resource("memory://entities/")),
    ("completion", _completed("memory://memories/{id}", "id")),
)
_WITH_WORDS: tuple[tuple[str, _Ask], ...] = (
    ("search_memory", _tool("search_memory", "query", limit=100, max_tokens=20_000, explain=True)),
    ("search in a session", _tool("search_memory", "session_id", query="kept")),
    ("list_entities", _tool("list_entities", "query")),
    ("session completion", _completed("memory://sessions/{session_id}", "session_id")),
    ("prompt completion", _topic_completed),
    ("prompt", lambda client, value: _answered(client.get_prompt("recall", {"topic": value}))),
    ("recent", lambda client, _: _answered(client.read_resource("memory://recent"))),
    ("profile", lambda client, _: _answered(client.read_resource("memory://profile"))),
    ("stats", lambda client, _: _answered(client.read_resource("memory://stats"))),
    ("list of resources", _everything_listed),
)


def shown(outcome: Outcome, plan: Plan) -> str:
    def times(seconds: list[float]) -> str:
        middle, late = (stats.percentile(seconds, share) * 1e3 for share in (50, 95))
        return f"p50 {middle:.1f} ms, p95 {late:.0f} ms"

    lines = [
        f"{plan.users} users with {plan.memories} memories each",
        f"tries                     {outcome.tries}, in {outcome.seconds:.0f} s",
        f"leaks                     {len(outcome.leaks)}",
        f"another's told from none  {len(outcome.unlike)}",
        f"answers to another's      {times(outcome.anothers_seconds)}",
        f"answers to nobody's       {times(outcome.nobodys_seconds)}",
        *outcome.leaks[:KEPT],
        *outcome.unlike[:KEPT],
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    # The old transport has no other way to watch.
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    raise SystemExit(remote.main(__doc__, Plan(), measure, shown))
