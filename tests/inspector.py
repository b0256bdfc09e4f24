"""The Inspector's command lines against our program: every tool, resource, prompt and completion, by every
transport, in both eras of the protocol.

`python -m tests.inspector` starts a server in a temporary folder, asks all of that, and prints a line a call.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from mcp_memory.models import AddRequest, NewEntity, Scope
from mcp_memory.processes import environment, python_command
from mcp_memory.server import uris

from .node import NodeAbsent, Package, installed, node
from .served import Served, bearer, serving

INSPECTOR = Package(
    "@modelcontextprotocol/inspector",
    "2.12.0",
    "sha512-ppfN5+HnVWo6dY7jz5RMFUFTfEYPnFUjN3XN2w6PI6nmB/AFFXPGPfLBRvCeSx+qIH6kpi7Nsz5HYRp49loHpA==",
)
AT_ONCE = 2
"""Calls; each starts Node, and over stdio our server."""
CALL_SECONDS, ALL_SECONDS = 60.0, 540.0
CALLS = "100000"
"""A minute: more than are made."""
SESSION = "the first evening"


@dataclass(frozen=True, slots=True)
class Door:
    """A way into our program."""

    transport: str
    era: str

    def __str__(self) -> str:
        return f"{self.transport}, {self.era}"


DOORS = (
    Door("stdio", "legacy"),
    Door("stdio", "modern"),
    Door("http", "legacy"),
    Door("http", "modern"),
    Door("sse", "legacy"),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One call, and what its answer must say."""

    method: str
    about: str = ""
    flags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


async def run() -> int:
    """How many calls went wrong. Raises NodeAbsent."""
    program = await anyio.to_thread.run_sync(installed, INSPECTOR)
    with tempfile.TemporaryDirectory(prefix="mcp-memory-inspector-") as name, anyio.fail_after(ALL_SECONDS):
        folder = Path(name)
        async with serving(folder, LIMITS__REQUESTS_PER_MINUTE=CALLS) as served:
            inspector = _Inspector(program, folder)
            inspector.config.write_text(json.dumps(await _servers(served)))
            calls = [(door, ask) for door in DOORS for ask in await _asks(served, door)]
            limit = anyio.Semaphore(AT_ONCE)

            async def one(door: Door, ask: Ask) -> None:
                async with limit:
                    await inspector.ask(door, ask)

            async with anyio.create_task_group() as tasks:
                for door, ask in calls:
                    tasks.start_soon(one, door, ask)
            await inspector.complete(DOORS, await _completions(served))
    print(f"{inspector.asked} calls, {len(inspector.wrong)} went wrong", flush=True)
    return len(inspector.wrong)


async def _servers(served: Served) -> dict[str, Any]:
    """Our program as a host's settings name it."""
    config = served.config
    headers = bearer((await served.token(config.user_id)).secret)
    command, *arguments = python_command("mcp_memory", "--data-dir", str(config.data_dir))
    # The Inspector hands a server nothing of its own environment, as some hosts do.
    own = {name: value for name, value in environment().items() if name.startswith(("PYTHON", "MCP_MEMORY_"))}
    return {
        "mcpServers": {
            "stdio": {"command": command, "args": arguments, "env": own},
            "http": {"type": "streamable-http", "url": f"{served.base}/mcp", "headers": headers},
            "sse": {"type": "sse", "url": f"{served.base}/sse", "headers": headers},
        }
    }


async def _remembered(served: Served, text: str) -> tuple[str, str]:
    """A memory of a session and its entity, by their ids."""
    scope = Scope(user_id=served.config.user_id, session_id=SESSION)
    request = AddRequest(content=text, entities=(NewEntity(name="Quokka Harbour", type="place"),))
    added = await served.owner.add(scope, request)
    return added.memories[0].id, added.entities[0].id


async def _asks(served: Served, door: Door) -> list[Ask]:
    """Everything that one door offers; each has a memory of its own to forget."""
    memory_id, entity_id = await _remembered(served, "Ann keeps her boat at Quokka Harbour.")
    gone, _ = await _remembered(served, f"Ann met a plumber by {door}.")
    tools: dict[str, tuple[dict[str, Any], str]] = {
        "add_memory": (
            {
                "messages": [{"role": "user", "content": f"I bought a kayak by {door}.", "name": "Ann"}],
                "session_id": SESSION,
            },
            '"stored":1',
        ),
        "search_memory": ({"query": "Where is the boat?", "explain": True}, "Quokka Harbour"),
        "list_entities": ({"entity": "Quokka Harbour"}, entity_id),
        "get_memory": ({"memory_id": memory_id, "session_id": SESSION}, "her boat"),
        "rate_memory": ({"memory_id": memory_id, "rating": "useful"}, memory_id),
        "forget": ({"ids": [gone]}, '"status":"erased"'),
    }
    plan = ({"entity": "Quokka Harbour"}, '"status":"planned"')
    resources = {
        uris.PROFILE: "boat",
        uris.RECENT: "boat",
        uris.STATS: '\\"memories\\"',
        uris.memory_uri(memory_id): "her boat",
        uris.entity_uri(entity_id): "Quokka Harbour",
        uris.session_uri(SESSION): "her boat",
    }
    prompts = {
        "recall": ("topic=boats", "boats"),
        "remember_conversation": ("", "conversation"),
        "review_memories": ("about=harbours", "harbours"),
    }
    return [
        Ask("tools/list", "--strict", ("--strict",), tuple(tools)),
        *(_tool(name, *one) for name, one in tools.items()),
        _tool("forget", *plan),
        Ask("resources/list", words=(uris.PROFILE, uris.RECENT, uris.STATS)),
        Ask("resources/templates/list", words=(uris.MEMORY, uris.ENTITY, uris.SESSION)),
        *(Ask("resources/read", uri, ("--uri", uri), (word,)) for uri, word in resources.items()),
        Ask("prompts/list", words=tuple(prompts)),
        *(_prompt(name, *one) for name, one in prompts.items()),
    ]


def _tool(name: str, arguments: dict[str, Any], word: str) -> Ask:
    flags = ("--tool-name", name, "--tool-args-json", json.dumps(arguments))
    return Ask("tools/call", f"{name} {', '.join(arguments)}", flags, (word, '"isError":false'))


def _prompt(name: str, argument: str, word: str) -> Ask:
    flags = ("--prompt-name", name, *(("--prompt-args", argument) if argument else ()))
    return Ask("prompts/get", name, flags, (word,))


async def _completions(served: Served) -> list[Ask]:
    memory_id, entity_id = await _remembered(served, "Ann paints her boat at Quokka Harbour in May.")

    def of(kind: str, ref: str, name: str, value: str, word: str) -> Ask:
        chosen = ("--complete-ref-type", f"ref/{kind}", "--complete-ref", ref)
        flags = (*chosen, "--complete-arg-name", name, "--complete-arg-value", value)
        return Ask("prompts/complete", f"{ref} {name}", flags, (word,))

    return [
        of("resource", uris.MEMORY + "{id}", "id", memory_id[:-2], memory_id),
        of("resource", uris.ENTITY + "{id}", "id", entity_id[:-2], entity_id),
        of("resource", uris.SESSION + "{session_id}", "session_id", SESSION[:3], SESSION),
        of("prompt", "recall", "topic", "Quo", "Quokka Harbour"),
        of("prompt", "review_memories", "about", "Quo", "Quokka Harbour"),
    ]


@dataclass
class _Inspector:
    """Its two command lines: one connects for each call, the other keeps connections in a process beside."""

    program: Path
    folder: Path
    asked: int = 0
    wrong: list[str] = field(default_factory=list[str])

    @property
    def config(self) -> Path:
        return self.folder / "servers.json"

    async def ask(self, door: Door, ask: Ask) -> None:
        server = ("--config", str(self.config), "--server", door.transport, "--protocol-era", door.era)
        script = self.program / "clients" / "cli" / "build" / "index.js"
        await self._run(door, ask, script, *server, "--format", "json", "--method", ask.method, *ask.flags)

    async def complete(self, doors: Sequence[Door], asks: Sequence[Ask]) -> None:
        """Only the second completes, and in spite of its word for it not only prompts."""
        script = self.program / "clients" / "mcpdo" / "build" / "mcp-bin.js"
        try:
            for door in doors:
                name = ("--connection", f"{door.transport}-{door.era}")
                connect = Ask("connect", flags=("--server", door.transport, "--era", door.era))
                await self._run(
                    door, connect, script, "--config", str(self.config), *name, "connect", *connect.flags
                )
                for ask in asks:
                    await self._run(door, ask, script, *name, "--format", "json", ask.method, *ask.flags)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(CALL_SECONDS):
                await anyio.run_process([node(), str(script), "daemon", "stop"], env=self._environment)

    async def _run(self, door: Door, ask: Ask, script: Path, *arguments: str) -> None:
        began = time.monotonic()
        problem = f"no answer in {CALL_SECONDS:.0f} s"
        with anyio.move_on_after(CALL_SECONDS):
            done = await anyio.run_process(
                [node(), str(script), *arguments], check=False, cwd=self.folder, env=self._environment
            )
            problem = _problem(done.returncode, done.stdout.decode(), done.stderr.decode(), ask)
        took = (time.monotonic() - began) * 1000
        name = f"{ask.method} {ask.about}"
        print(f"{door!s:<14} {name:<64} {took:6.0f} ms  {problem or 'ok'}", flush=True)
        self.asked += 1
        if problem:
            self.wrong.append(name)

    @property
    def _environment(self) -> dict[str, str]:
        """A home without anybody's settings, and a process of the second command line for us alone."""
        own = {
            "HOME": str(self.folder),
            "MCP_INSPECTOR_SECRET_STORE": "memory",
            "MCP_INSPECTOR_DAEMON_DIR": str(self.folder / "kept"),
            "MCP_INSPECTOR_DAEMON_TOKEN": "of-this-run-alone",
        }
        return {**os.environ, **own}


def _problem(code: int, answer: str, said: str, ask: Ask) -> str:
    """What is wrong with an answer; nothing when it is as it must be."""
    if code != 0:
        return f"ended with {code}: {said.strip() or answer.strip()}"
    if "schemaFindings" in answer:
        return f"portability: {answer[answer.index('schemaFindings') :]}"
    missing = [word for word in ask.words if word not in answer]
    return f"without {', '.join(missing)}: {answer.strip()}" if missing else ""


def main() -> int:
    try:
        return 1 if anyio.run(run) else 0
    except NodeAbsent as absent:
        sys.stderr.write(f"the Inspector is not asked: {absent}\n")
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
