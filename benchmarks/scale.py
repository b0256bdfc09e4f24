"""How search, add and full text hold at size, through stdio: with the rows in memory, and in files alone."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated

import anyio
import anyio.to_thread
import machine
import made_vectors
import numpy as np
import report
import stats
import stdio
import synthetic
import typer
from rich.console import Console

from mcp_memory.config import Config, load
from mcp_memory.embedded import Embedded
from mcp_memory.embedding import create_embedder, spoken
from mcp_memory.folder import Folder
from mcp_memory.models import AddRequest, Memory, Scope
from mcp_memory.retrieval import CANDIDATES
from mcp_memory.service import Service
from mcp_memory.store import Draft, Store
from mcp_memory.store.candidates import Candidate, Filter
from mcp_memory.store.ledger import Ledger, index_work, writing
from mcp_memory.store.ledger.schema import new_id
from mcp_memory.store.vectors import VectorTable

WARM_UP = 20
WRITTEN_AT_ONCE = 5_000
SEARCHES = 200
ADDS = 1_000
TURNS = 3
"""In memory and in files are searched by turns, for other programs of the machine slow both."""
NEAREST = 10
SAMPLE = 50
"""Queries whose nearest are compared with the exact ones."""

Row = dict[str, float | None]

MEASURES = {
    "build_s": "built, by `import` with the shipped model, else by the stores, s",
    "disk_mb": "data folder, MB",
    "search_p50_ms": "`search_memory`, p50, ms",
    "search_p95_ms": "the same, p95, ms",
    "files_p50_ms": "`search_memory` with `vectors.resident_mib = 0`, exact in files, p50, ms",
    "files_p95_ms": "the same, p95, ms",
    "recall": f"dense signal: of the exact {NEAREST} nearest, found",
    "owner_peak_mb": "owner after the searches, peak memory, MB",
    "files_peak_mb": "the same with `vectors.resident_mib = 0`, MB",
    "add_p50_ms": f"`add_memory`, {ADDS:,} one after another, p50, ms",
    "add_p95_ms": "the same, p95, ms",
    "after_p50_ms": "`search_memory` right after them, p50, ms",
    "words_without_ms": "words in memory (`search.words_mib`) alone, in process, without the adds, p50, ms",
    "words_after_ms": "the same right after them, p50, ms",
    "words_ratio": "after / without, median of the questions'",
    "text_without_ms": "full text on disk, for who has more words than that, without the adds, p50, ms",
    "text_after_ms": "the same right after them, p50, ms",
    "text_ratio": "after / without, median of the questions'",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    memories: int
    users: int
    real_model: bool

    @property
    def name(self) -> str:
        whose = "one user" if self.users == 1 else f"{self.users} users"
        return f"{self.memories:,} of {whose}, {'shipped model' if self.real_model else 'made vectors'}"


def main(
    cases: Annotated[
        str, typer.Option(help="`memories:users`, comma-separated.")
    ] = "10000:1,100000:1,1000000:100",
    real_up_to: Annotated[int, typer.Option(help="Largest case embedded by the shipped model.")] = 10_000,
    adds: Annotated[int, typer.Option(help="Single adds after which full text is timed again.")] = ADDS,
    words_alone: Annotated[
        bool,
        typer.Option(
            "--words-alone", help="Time nothing but full text and words, with the adds and without."
        ),
    ] = False,
) -> None:
    """Measure mcp-memory at several sizes, and print Markdown."""
    chosen = [_case(text, real_up_to) for text in cases.split(",")]
    console = Console(stderr=True)
    rows: dict[str, Row] = {}
    for case in chosen:
        console.print(f"{case.name} …")
        try:
            rows[case.name] = _measure(case, adds, words_alone=words_alone)
        except stdio.ProgramFailed as error:
            print(f"The program failed: {error}", file=sys.stderr)
            raise typer.Exit(1) from error
        console.print_json(data=rows[case.name])
    head = machine.describe() | {
        "load of the machine": ", ".join(f"{one:.1f}" for one in os.getloadavg()) + " (1, 5, 15 minutes)",
        "measured": f"{SEARCHES} searches in {TURNS} turns, {adds} adds, one after another, by one client",
        "made vectors": "384 numbers of the words of a text, from a loopback /v1/embeddings; "
        "such an embedder gives no tokens, so there is no late interaction",
    }
    print("\n\n".join(("# Speed at size", report.facts(head), _table(rows))))


def _case(text: str, real_up_to: int) -> Case:
    count, _, users = text.partition(":")
    return Case(int(count), int(users or "1"), int(count) <= real_up_to)


def _measure(case: Case, adds: int, *, words_alone: bool) -> Row:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mcp-memory-scale-")))
        address = None if case.real_model else stack.enter_context(made_vectors.served())
        resident, files = (_program(folder, address, mib) for mib in (None, 0))
        row = _imported(resident, folder, case) if case.real_model else anyio.run(_written, resident, case)
        if words_alone:
            return row | anyio.run(_by_words, resident, adds)
        row |= stdio.run(_searched, resident, files)
        row |= anyio.run(_recall, resident, files)
        row |= anyio.run(_by_words, resident, adds)
        row |= stdio.run(_added, resident, adds)
        stdio.stop(resident)
    return row


def _program(folder: Path, address: str | None, resident_mib: int | None) -> stdio.Program:
    config = folder / f"config-{resident_mib}.toml"
    settings = ""
    if address is not None:
        settings += f'[embedding]\nprovider = "openai"\nmodel = "made"\nbase_url = "{address}"\n'
    if resident_mib is not None:
        settings += f"[vectors]\nresident_mib = {resident_mib}\n"
    config.write_text(settings, encoding="utf-8")
    return stdio.Program.under(folder, config)


async def _written(program: stdio.Program, case: Case) -> Row:
    """Ledger and table by their own roads, thousands at once and without entities, which would take an hour;
    the program makes the graph anew when it starts."""
    began = time.perf_counter()
    config = _config(program)
    folder = Folder(config.data_dir)
    folder.path.mkdir(parents=True)
    embedder = create_embedder(config.embedding)
    ledger = await Ledger.open(folder.ledger)
    table, _ = await VectorTable.open(
        folder.vectors, embedder=embedder.identity, dimension=embedder.dimension
    )
    now = datetime.now(UTC)
    each = case.memories // case.users
    for user in range(case.users):
        whose = _user(user) or "me"
        # Users say the same things, each at a time of their own.
        said = [
            Memory(
                id=new_id("m"),
                text=one.text,
                kind="message",
                level="user",
                user_id=whose,
                session_id=one.session_id,
                role="user" if one.role == "user" else "assistant",
                speaker=one.name,
                observed_at=one.said_at,
                recorded_at=now,
            )
            for one in synthetic.messages(each)
        ]
        for start in range(0, each, WRITTEN_AT_ONCE):
            some = said[start : start + WRITTEN_AT_ONCE]
            told_apart = [Draft(one, told_apart_by=f"{one.session_id}{one.observed_at}") for one in some]
            written = await ledger.write(writing.write, told_apart)
            new = {one.id for one in written if one.is_new}
            rows = [one for one in some if one.id in new]
            await table.add(rows, Embedded(made_vectors.vectors([spoken(one) for one in rows])))
            await ledger.write(index_work.mark_done, sorted(new))
    await table.optimize()
    table.close()
    await ledger.close()
    await embedder.aclose()
    return {"build_s": time.perf_counter() - began, "disk_mb": _disk_mb(program)}


def _imported(program: stdio.Program, folder: Path, case: Case) -> Row:
    began = time.perf_counter()
    for user in range(case.users):
        file = folder / "messages.jsonl"
        with file.open("w", encoding="utf-8") as lines:
            # Each user has conversations of their own.
            for number, one in enumerate(synthetic.messages(case.memories // case.users)):
                text = one.text if case.users == 1 else f"{one.text} ({user}, {number})"
                line = {"session_id": one.session_id, "role": one.role, "name": one.name, "content": text}
                lines.write(json.dumps({**line, "time": one.said_at.isoformat()}) + "\n")
        name = _user(user)
        stdio.run_import(program, file, *(("--user-id", name) if name else ()))
    stdio.stop(program)
    return {"build_s": time.perf_counter() - began, "disk_mb": _disk_mb(program)}


def _user(number: int) -> str | None:
    """The first is who it is when a call does not say."""
    return f"user-{number}" if number else None


def _disk_mb(program: stdio.Program) -> float:
    return sum(file.stat().st_size for file in program.data.rglob("*") if file.is_file()) / 1e6


async def _searched(resident: stdio.Program, files: stdio.Program) -> Row:
    seconds: dict[str, list[float]] = {"search": [], "files": []}
    peaks: dict[str, int] = {}
    for _ in range(TURNS):
        for name, program in (("search", resident), ("files", files)):
            async with stdio.running(program) as server:
                timed: list[float] = []
                for query in synthetic.questions(WARM_UP + SEARCHES // TURNS):
                    began = time.perf_counter()
                    await server.call("search_memory", {"query": query})
                    timed.append(time.perf_counter() - began)
                seconds[name] += timed[WARM_UP:]
                peaks[name] = max(peaks.get(name, 0), stdio.owner_peak_bytes(program.data) or 0)
            stdio.stop(program)
    row: Row = {
        f"{name}_p{share}_ms": 1000 * stats.percentile(timed, share)
        for name, timed in seconds.items()
        for share in (50, 95)
    }
    return row | {"owner_peak_mb": peaks["search"] / 1e6, "files_peak_mb": peaks["files"] / 1e6}


async def _recall(resident: stdio.Program, files: stdio.Program) -> Row:
    """Inside the program, on the same folder: what similarity in meaning alone finds."""
    where = Filter(Scope(user_id="me"), datetime.now(UTC))
    found: list[list[tuple[Candidate, ...]]] = []
    for program in (files, resident):
        config = _config(program)
        embedder = create_embedder(config.embedding)
        vectors = [(await embedder.embed_query(query)).vector for query in synthetic.questions(SAMPLE)]
        await embedder.aclose()
        async with _opened(config) as (_, store):
            found.append([await store.dense(vector, where, NEAREST) for vector in vectors])
    recall: list[float] = []
    for exact, ours in zip(*found, strict=True):
        # What is as near as the last of the exact ones may stand in its place.
        near = [one for one in ours if one.score >= exact[-1].score - 1e-5]
        recall.append(len(near) / len(exact))
    return {"recall": float(np.mean(recall))}


async def _by_words(program: stdio.Program, adds: int) -> Row:
    """Inside the program: both roads by which words are found, right after single adds, and in a copy of the
    same folder without them. All four are asked by turns, for other programs of the machine slow all."""
    config = _config(program)
    # However many words there are: what is measured is either road, not which of them is taken.
    search = config.search.model_copy(update={"words_mib": 16_384})
    config = config.model_copy(update={"search": search})
    with tempfile.TemporaryDirectory(prefix="mcp-memory-scale-", dir=program.data.parent) as folder:
        copy = Path(folder) / "data"
        await anyio.to_thread.run_sync(shutil.copytree, program.data, copy)
        async with (
            _opened(config.model_copy(update={"data_dir": copy})) as (_, untouched),
            _opened(config) as (service, grown),
        ):
            for statement in synthetic.statements(adds):
                await service.add(Scope(user_id="me"), AddRequest(content=f"{statement} In process."))
            return await _both_roads(untouched, grown)


async def _both_roads(untouched: Store, grown: Store) -> Row:
    where = Filter(Scope(user_id="me"), datetime.now(UTC))
    timed: dict[str, list[float]] = {}

    async def words(store: Store, query: str) -> None:
        reading = await store.read_words(where.scope, query)
        assert reading is not None
        reading.best(CANDIDATES)

    async def text(store: Store, query: str) -> None:
        await store.full_text(query, where, CANDIDATES)

    for query in synthetic.questions(WARM_UP + SEARCHES):
        for state, store in (("without", untouched), ("after", grown)):
            for road, ask in (("words", words), ("text", text)):
                began = time.perf_counter()
                await ask(store, query)
                timed.setdefault(f"{road}_{state}_ms", []).append(time.perf_counter() - began)
    row: Row = {name: 1000 * stats.percentile(one[WARM_UP:], 50) for name, one in timed.items()}
    ratios = {
        f"{road}_ratio": median(
            after / before
            for before, after in zip(timed[f"{road}_without_ms"], timed[f"{road}_after_ms"], strict=True)
        )
        for road in ("words", "text")
    }
    return row | ratios


@asynccontextmanager
async def _opened(config: Config) -> AsyncGenerator[tuple[Service, Store]]:
    async with Service.open(config) as service:
        await service.caught_up(600)
        await anyio.sleep(2)
        yield service, service._store  # pyright: ignore[reportPrivateUsage] - one signal has no other door


def _config(program: stdio.Program) -> Config:
    return load(program.config, {"data_dir": program.data, "in_process": True})


async def _added(program: stdio.Program, adds: int) -> Row:
    async with stdio.running(program) as server:
        added: list[float] = []
        for statement in synthetic.statements(adds):
            began = time.perf_counter()
            await server.call("add_memory", {"content": statement})
            added.append(time.perf_counter() - began)
        searched: list[float] = []
        for query in synthetic.questions(SEARCHES):
            began = time.perf_counter()
            await server.call("search_memory", {"query": query})
            searched.append(time.perf_counter() - began)
    return {
        "add_p50_ms": 1000 * stats.percentile(added, 50),
        "add_p95_ms": 1000 * stats.percentile(added, 95),
        "after_p50_ms": 1000 * stats.percentile(searched, 50),
    }


def _table(rows: Mapping[str, Row]) -> str:
    def shown(measure: str, value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}" if measure == "recall" else f"{value:,.1f}"

    body = [[words, *(shown(one, row.get(one)) for row in rows.values())] for one, words in MEASURES.items()]
    return report.table(["measure", *rows], body)


if __name__ == "__main__":
    typer.run(main)
