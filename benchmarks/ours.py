"""mcp-memory among the measured systems: `add_memory` and `search_memory` over stdio."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import stdio
from dataset import Query, Session, Turn
from systems import BUDGETS, DEFAULT_BUDGET, HITS, Footprint, Found, Shown, tokens

NAME = "mcp-memory"
WHOLE = 20_000
"""Tokens of answer that leave room for any `HITS` hits; the most that may be asked for."""

_ID = re.compile(r"\bm_\w+")


class McpMemory:
    """One server on one folder for all users; it is ended, with its owner, and started again to settle."""

    name = NAME

    def __init__(self, program: stdio.Program) -> None:
        self._program = program
        self._running = AsyncExitStack()
        self._server: stdio.Server | None = None
        self._arguments = frozenset[str]()
        self._turns: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        """By memory id, whose and which: equal turns may become one memory."""
        self._peak: int | None = None

    async def start(self) -> None:
        self._server = await self._running.enter_async_context(stdio.running(self._program))
        self._arguments = await self._server.arguments_of("search_memory")

    async def end(self) -> None:
        self._note_peak()
        await self._running.aclose()
        stdio.stop(self._program)

    async def add(self, user: str, session: Session) -> None:
        arguments = {
            "messages": [_message(turn) for turn in session.turns],
            "session_id": session.id,
            "user_id": user,
        }
        answer = await self._call.call("add_memory", arguments)
        for turn, memory_id in zip(session.turns, answer["ids"], strict=True):
            self._turns[memory_id].add((user, turn.id))

    async def settle(self) -> None:
        await self.end()
        await self.start()

    async def search(self, user: str, query: Query) -> Found:
        ranked = await self._ask(user, query, limit=HITS, max_tokens=WHOLE)
        answers = {budget: await self._ask(user, query, max_tokens=budget) for budget in BUDGETS}
        usual = answers[DEFAULT_BUDGET]
        return Found(
            hits=tuple(self._named(user, hit["id"]) for hit in ranked.content["hits"]),
            shown={budget: self._shown(user, answer.text) for budget, answer in answers.items()},
            known=_known(usual.content),
            seconds=usual.seconds,
            tokens=tokens(usual.text),
        )

    async def knows(self, user: str, query: Query) -> bool:
        return _known((await self._ask(user, query, max_tokens=DEFAULT_BUDGET)).content)

    async def footprint(self) -> Footprint:
        self._note_peak()
        files = (file for file in self._program.data.rglob("*") if file.is_file())
        return Footprint(disk=sum(file.stat().st_size for file in files), peak_memory=self._peak)

    @property
    def _call(self) -> stdio.Server:
        if self._server is None:
            raise stdio.ProgramFailed("it was not started")
        return self._server

    async def _ask(self, user: str, query: Query, **options: int) -> stdio.Told:
        """Options that this version does not know are left out: then it answers as it does unasked."""
        moment = {} if query.asked_at is None else {"reference_time": query.asked_at.isoformat()}
        known = {name: value for name, value in (options | moment).items() if name in self._arguments}
        return await self._call.ask("search_memory", {"query": query.text, "user_id": user, **known})

    def _shown(self, user: str, text: str) -> Shown:
        turns = (self._named(user, memory_id) for memory_id in set(_ID.findall(text)))
        return Shown(frozenset[str]().union(*turns), text)

    def _named(self, user: str, memory_id: str) -> frozenset[str]:
        """The turns that a memory is; none, when it is something else, such as a summary. Raises
        ProgramFailed when it is another user's."""
        owned = self._turns.get(memory_id, set())
        if any(owner != user for owner, _ in owned):
            raise stdio.ProgramFailed(f"a search as {user} gave another user's memory")
        return frozenset(turn for _, turn in owned)

    def _note_peak(self) -> None:
        marks = (self._call.peak_bytes(), stdio.owner_peak_bytes(self._program.data))
        held = sum(mark for mark in marks if mark is not None)
        self._peak = max(self._peak or 0, held) or None


@asynccontextmanager
async def mcp_memory(folder: Path, config: Path | None = None) -> AsyncGenerator[McpMemory]:
    system = McpMemory(stdio.Program.under(folder, config))
    await system.start()
    try:
        yield system
    finally:
        await system.end()


def _message(turn: Turn) -> dict[str, str]:
    named = {"name": turn.name} if turn.name else {}
    return {"role": turn.role, "content": turn.text, "time": turn.said_at.isoformat(), **named}


def _known(content: Mapping[str, Any]) -> bool:
    return content.get("known", bool(content["hits"]))
