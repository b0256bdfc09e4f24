"""Other memories in the same run, each installed in a folder of its own; as a command it installs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import platformdirs
import stdio
from anyio.streams.buffered import BufferedByteReceiveStream
from baselines import content_words
from dataset import Query, Session, Turn
from embeddings import DIMENSION, MODEL, Embeddings, endpoint
from systems import PACKED, Footprint, Found, Shelf, found, tokens

MEM0 = "mem0ai"
MEM0_VERSION = "2.2.1"
KNOWLEDGE_GRAPH = "@modelcontextprotocol/server-memory"
KNOWLEDGE_GRAPH_VERSION = "2026.8.31"
CACHE = platformdirs.user_cache_path("mcp-memory-benchmarks", appauthor=False)
INSTALL_SECONDS = 900.0
ANSWER_SECONDS = 300.0
"""After which a peer counts as failed; adding a long session to mem0 embeds it turn by turn."""
MOST_BYTES = 64 * 2**20
"""Of one line of mem0's door."""


class PeerAbsent(Exception):
    """A peer that cannot be installed or started here."""

    def __init__(self, package: str, reason: str) -> None:
        super().__init__(f"{package} is {reason}")


def versions() -> dict[str, str]:
    return {"peers": f"{MEM0} {MEM0_VERSION}, {KNOWLEDGE_GRAPH} {KNOWLEDGE_GRAPH_VERSION}"}


def install_mem0() -> Path:
    """The Python of an environment that holds mem0 and nothing else. Raises PeerAbsent."""
    home = CACHE / f"mem0-{MEM0_VERSION}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (home / "installed").exists():
        shutil.rmtree(home, ignore_errors=True)
        _run(MEM0, [sys.executable, "-m", "venv", str(home)])
        _run(MEM0, [str(python), "-m", "pip", "install", "--quiet", f"{MEM0}=={MEM0_VERSION}"])
        (home / "installed").touch()
    return python


def install_knowledge_graph() -> list[str]:
    """The command of the reference knowledge-graph server. Raises PeerAbsent."""
    home = CACHE / f"server-memory-{KNOWLEDGE_GRAPH_VERSION}"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PeerAbsent(KNOWLEDGE_GRAPH, "not installed: node and npm are not here")
    if not (home / "installed").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(home)]
        _run(KNOWLEDGE_GRAPH, [npm, "install", *options, f"{KNOWLEDGE_GRAPH}@{KNOWLEDGE_GRAPH_VERSION}"])
        (home / "installed").touch()
    return [node, str(home / "node_modules" / KNOWLEDGE_GRAPH / "dist" / "index.js")]


def _run(peer: str, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerAbsent(peer, f"not installed: {error}") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise PeerAbsent(peer, f"not installed: {' '.join(last)}")


class Mem0:
    """mem0 without inference: it stores each line as it is, embeds it by the shipped model, and keeps it in
    its own local store."""

    name = "mem0"

    def __init__(self, folder: Path, process: anyio.abc.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._folder = folder
        self._process = process
        self._asking = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)
        self._turns: dict[str, Turn] = {}

    async def add(self, user: str, session: Session) -> None:
        answer = await self._ask({"add": [turn.line for turn in session.turns], "user": user})
        self._turns.update(zip(answer["ids"], session.turns, strict=True))

    async def settle(self) -> None:
        pass

    async def search(self, user: str, query: Query) -> Found:
        answer = await self._ask({"search": query.text, "user": user, "limit": PACKED})
        return found([self._turns[one] for one in answer["ids"]], answer["seconds"])

    async def knows(self, user: str, query: Query) -> bool:
        return bool((await self._ask({"search": query.text, "user": user, "limit": PACKED}))["ids"])

    async def footprint(self) -> Footprint:
        files = (file for file in self._folder.rglob("*") if file.is_file())
        disk = sum(file.stat().st_size for file in files)
        return Footprint(disk, stdio.peak_bytes(self._process.pid))

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                await self._asking.send(json.dumps(question).encode() + b"\n")
                return json.loads(await self._answers.receive_until(b"\n", MOST_BYTES))
        except (TimeoutError, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
            raise stdio.ProgramFailed(f"mem0 did not answer: {type(error).__name__}") from error


@asynccontextmanager
async def mem0(folder: Path, embeddings: Embeddings) -> AsyncGenerator[Mem0]:
    """Raises PeerAbsent."""
    python = await anyio.to_thread.run_sync(install_mem0)
    store, log = folder / "mem0", folder / "mem0.log"
    store.mkdir()
    async with endpoint(embeddings) as address:
        door = str(Path(__file__).with_name("mem0_door.py"))
        command = [str(python), door, str(store), address, MODEL, str(DIMENSION)]
        with log.open("wb") as errors:
            process = await anyio.open_process(command, stderr=errors, env=_bare_environment())
            try:
                yield Mem0(store, process)
            finally:
                await process.aclose()


def _bare_environment() -> dict[str, str]:
    """Without this process's Python path, which would hand the peer our packages, and without proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.lower().endswith("_proxy")
    }


class KnowledgeGraph:
    """The reference server: an entity for each turn, its line the observation, one graph for each user.

    It looks for the whole query as one string and ranks nothing. So it is asked the way an assistant that
    knows it would: one search for each word of the question that may tell something, and what they bring is
    ranked by how many of them brought it.
    """

    name = "server-memory, word by word"

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._shelf = Shelf()
        self._running = AsyncExitStack()
        self._server: stdio.Server | None = None
        self._user = ""
        self._peak: int | None = None

    async def add(self, user: str, session: Session) -> None:
        server = await self._server_of(user)
        entities = [_entity(turn) for turn in session.turns]
        await server.call("create_entities", {"entities": entities})
        self._shelf.put(user, session)

    async def settle(self) -> None:
        await self.end()

    async def search(self, user: str, query: Query) -> Found:
        ranked, told = await self._find(user, query.text)
        seconds = sum(one.seconds for one in told)
        return found(ranked, seconds, sum(tokens(one.text) for one in told))

    async def knows(self, user: str, query: Query) -> bool:
        return bool((await self._find(user, query.text))[0])

    async def footprint(self) -> Footprint:
        self._note_peak()
        files = (file for file in self._folder.rglob("*") if file.is_file())
        return Footprint(sum(file.stat().st_size for file in files), self._peak)

    async def end(self) -> None:
        self._note_peak()
        await self._running.aclose()
        self._server = None

    async def _find(self, user: str, query: str) -> tuple[list[Turn], list[stdio.Told]]:
        server = await self._server_of(user)
        told = [await server.ask("search_nodes", {"query": part}) for part in self._parts(query)]
        named = [{entity["name"] for entity in one.content["entities"]} for one in told]
        counted = [(sum(turn.id in names for names in named), turn) for turn in self._shelf.turns[user]]
        having = [(count, turn) for count, turn in counted if count]
        return [turn for _, turn in sorted(having, key=lambda one: -one[0])], told

    def _parts(self, query: str) -> list[str]:
        return content_words(query) or [query]

    async def _server_of(self, user: str) -> stdio.Server:
        """It serves one file for its whole life."""
        if self._server is None or self._user != user:
            await self.end()
            self._user = user
            environment = {"MEMORY_FILE_PATH": str(self._folder / f"{user}.jsonl")}
            running = stdio.connected(self._command, environment)
            self._server = await self._running.enter_async_context(running)
        return self._server

    def _note_peak(self) -> None:
        held = self._server.peak_bytes() if self._server else None
        self._peak = max(self._peak or 0, held or 0) or None


class KnowledgeGraphAsAsked(KnowledgeGraph):
    """The same, asked the question as it stands."""

    name = "server-memory"

    def _parts(self, query: str) -> list[str]:
        return [query]


def _entity(turn: Turn) -> dict[str, Any]:
    return {"name": turn.id, "entityType": turn.name or turn.role, "observations": [turn.line]}


@asynccontextmanager
async def knowledge_graph(
    folder: Path, kind: type[KnowledgeGraph] = KnowledgeGraph
) -> AsyncGenerator[KnowledgeGraph]:
    """Raises PeerAbsent."""
    command = await anyio.to_thread.run_sync(install_knowledge_graph)
    system = kind(command, folder)
    try:
        yield system
    finally:
        await system.end()


knowledge_graph_as_asked = partial(knowledge_graph, kind=KnowledgeGraphAsAsked)


def main() -> None:
    """Install the peers, and say where."""
    for install in (install_mem0, install_knowledge_graph):
        try:
            print(install())
        except PeerAbsent as error:
            print(f"skipped: {error}")


if __name__ == "__main__":
    main()
