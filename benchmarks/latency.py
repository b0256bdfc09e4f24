"""How fast and how large the server is: start-up, import, add, search and memory, through stdio."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Annotated

import machine
import report
import stdio
import synthetic
import texts
import typer
from dataset import DataMissing
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from texts import Texts

from mcp_memory.config import EmbeddingConfig
from mcp_memory.embedding import create_embedder
from mcp_memory.store.allocator import tune

SPAWNS = 5
ADDS = 100
SEARCHES = 200
FORGETS = 5
TURNS = 3
WARM_UP = 10
"""Calls before the clock runs: a warm server is measured, and the client has listed the tools."""
IMPORT_BATCH = 100
"""Texts that the embedder is given at once when it is measured alone."""
STEPS = 2 * SPAWNS + 5
"""Of the progress bar, for one size."""

Row = dict[str, float | None]
"""By the name of a measure; None where this system does not tell."""

MEASURES = {
    "initialize_ms": "spawn → `initialize` answered (2025 handshake), p50, ms",
    "initialize_max_ms": "the same, slowest, ms",
    "discover_ms": "spawn → `server/discover` answered (2026), p50, ms",
    "first_search_ms": "spawn → first search answered, no owner yet, p50, ms",
    "first_search_max_ms": "the same, slowest, ms",
    "joined_search_ms": "spawn → first search answered, an owner running, p50, ms",
    "stop_ms": "stdin closed → process gone, p50, ms",
    "import_per_s": "`import`, whole command, messages/s",
    "import_peak_mb": "`import`, peak memory, MB",
    "disk_mb": "data folder after the import, MB",
    "add_p50_ms": "`add_memory`, p50, ms",
    "add_p95_ms": "`add_memory`, p95, ms",
    "search_p50_ms": "`search_memory`, p50, ms",
    "search_p95_ms": "`search_memory`, p95, ms",
    "answer_tokens": "its answer, mean size, tokens (asked for: the default)",
    "owner_add_costs_ms": "`add_memory`, p50 more than in one process, by turns, ms",
    "owner_search_costs_ms": "`search_memory`, p50 more than in one process, by turns, ms",
    "forget_p50_ms": "`forget` of one memory, erased and looked for, p50, ms",
    "front_peak_mb": "server, peak memory, MB",
    "owner_peak_mb": "owner, peak memory, MB",
    "in_process_peak_mb": "server without an owner, peak memory, MB",
    "embed_import_per_s": "embedding alone: the imported texts in batches, texts/s",
    "embed_add_p50_ms": "embedding alone: one added text, p50, ms",
    "embed_search_p50_ms": "embedding alone: one query, p50, ms",
}


def main(
    sizes: Annotated[str, typer.Option(help="Memories in the store, comma-separated.")] = "1000,10000",
    config: Annotated[
        Path | None, typer.Option(exists=True, help="A config.toml for the server; else its defaults.")
    ] = None,
    locomo: Annotated[
        Path | None, typer.Option(exists=True, help="LoCoMo's file or folder: its turns and questions.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure start-up, import, add and search latency and memory of mcp-memory at several sizes."""
    counts = _sizes(sizes)
    try:
        given = texts.MADE_UP if locomo is None else texts.of_locomo(locomo)
    except DataMissing as error:
        raise typer.BadParameter(str(error)) from error
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            rows = {size: stdio.run(_measure, size, given, config, progress) for size in counts}
    except stdio.ProgramFailed as error:
        print(f"The program failed: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    head = machine.describe() | {
        "texts": given.about,
        "measured": f"{SPAWNS} spawns of each kind, {ADDS} adds, {SEARCHES} searches, one after another",
        "peak memory": "VmHWM in /proc, of the server and of the owner"
        + ("" if sys.platform == "linux" else ": absent on this system"),
    }
    print(_as_json(head, rows) if as_json else _as_markdown(head, rows))


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part.replace("_", "")) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no list of numbers such as 1000,10000") from error
    if min(sizes) < 1:
        raise typer.BadParameter("a size is at least 1")
    return sizes


async def _measure(size: int, given: Texts, config: Path | None, progress: Progress) -> Row:
    bar = progress.add_task(f"{size:,} memories", total=STEPS)
    with tempfile.TemporaryDirectory(prefix="mcp-memory-latency-", ignore_cleanup_errors=True) as folder:
        program = stdio.Program.under(Path(folder), config)
        row = _import(program, Path(folder) / "messages.jsonl", given.messages(size), size)
        progress.advance(bar)
        row |= await _start_up(program, given, progress, bar)
        row |= await _warm(program, given)
        progress.advance(bar, 3)
    row |= await _embedding_alone(given, size)
    progress.advance(bar)
    return row


def _import(program: stdio.Program, file: Path, messages: Iterable[synthetic.Message], size: int) -> Row:
    with file.open("w", encoding="utf-8") as lines:
        for message in messages:
            lines.write(json.dumps(_line(message), ensure_ascii=False) + "\n")
    done = stdio.run_import(program, file)
    stdio.settle(program)
    stdio.stop(program)
    return {
        "import_per_s": size / done.seconds,
        "import_peak_mb": _megabytes(done.peak_bytes),
        "disk_mb": _megabytes(sum(file.stat().st_size for file in program.data.rglob("*") if file.is_file())),
    }


def _line(message: synthetic.Message) -> dict[str, str | None]:
    return {
        "session_id": message.session_id,
        "role": message.role,
        "name": message.name,
        "content": message.text,
        "time": message.said_at.isoformat(),
    }


async def _start_up(program: stdio.Program, given: Texts, progress: Progress, bar: TaskID) -> Row:
    """Each spawn finds the store as a host does after a restart; its files are in the system's cache."""
    initialize: list[float] = []
    discover: list[float] = []
    first_search: list[float] = []
    stop: list[float] = []
    joined: list[float] = []
    for query in given.questions(SPAWNS):
        stdio.stop(program)
        spawned_at = time.perf_counter()
        async with stdio.running(program) as server:
            initialize.append(server.ready_seconds)
            await server.call("search_memory", {"query": query})
            first_search.append(time.perf_counter() - spawned_at)
            closing_at = time.perf_counter()
        stop.append(time.perf_counter() - closing_at)
        spawned_at = time.perf_counter()
        async with stdio.running(program, "auto") as server:
            discover.append(server.ready_seconds)
            await server.call("search_memory", {"query": query})
            joined.append(time.perf_counter() - spawned_at)
        progress.advance(bar, 2)
    return {
        "initialize_ms": _p50(initialize),
        "initialize_max_ms": 1000 * max(initialize),
        "discover_ms": _p50(discover),
        "first_search_ms": _p50(first_search),
        "first_search_max_ms": 1000 * max(first_search),
        "joined_search_ms": _p50(joined),
        "stop_ms": _p50(stop),
    }


async def _warm(program: stdio.Program, given: Texts) -> Row:
    """Calls of a server that shares an owner; then the same through an owner and in one process by turns, as
    each leaves the store in another state than it found."""
    row = await _calls(program, given)
    stdio.stop(program)
    alone = dataclasses.replace(program, in_process=True)
    seconds: dict[str, list[float]] = {
        "owner add": [],
        "owner search": [],
        "alone add": [],
        "alone search": [],
    }
    peaks: list[int] = []
    for turn in range(TURNS):
        for who, started in (("alone", alone), ("owner", program)):
            async with stdio.running(started) as server:
                told = [f"{text} Told to the {who}, {turn}." for text in synthetic.statements(WARM_UP + ADDS)]
                for name, tool, key, values in (
                    ("search", "search_memory", "query", given.questions(WARM_UP + ADDS)),
                    ("add", "add_memory", "content", told[: WARM_UP + ADDS // TURNS]),
                ):
                    timed = [await _timed(server.call(tool, {key: value})) for value in values]
                    seconds[f"{who} {name}"] += timed[WARM_UP:]
                peaks += [peak] if who == "alone" and (peak := server.peak_bytes()) else []
            stdio.stop(program)
    return row | {
        "owner_add_costs_ms": _p50(seconds["owner add"]) - _p50(seconds["alone add"]),
        "owner_search_costs_ms": _p50(seconds["owner search"]) - _p50(seconds["alone search"]),
        "in_process_peak_mb": _megabytes(max(peaks, default=None)),
    }


async def _calls(program: stdio.Program, given: Texts) -> Row:
    told = synthetic.statements(WARM_UP + ADDS)
    queries = given.questions(WARM_UP + SEARCHES)
    async with stdio.running(program) as server:
        adds = [await _timed(server.call("add_memory", {"content": text})) for text in told]
        stdio.settle(program)
        answers = [await server.ask("search_memory", {"query": query}) for query in queries][WARM_UP:]
        searches = [one.seconds for one in answers]
        ids = [
            (await server.call("add_memory", {"content": f"{text} Once more."}))["ids"]
            for text in told[:FORGETS]
        ]
        forgets = [await _timed(server.call("forget", {"ids": some})) for some in ids]
        peaks = server.peak_bytes(), None if program.in_process else stdio.owner_peak_bytes(program.data)
    return {
        "add_p50_ms": _p50(adds[WARM_UP:]),
        "add_p95_ms": _p95(adds[WARM_UP:]),
        "search_p50_ms": _p50(searches),
        "search_p95_ms": _p95(searches),
        "answer_tokens": fmean(one.content["tokens"] for one in answers),
        "forget_p50_ms": _p50(forgets),
        "front_peak_mb": _megabytes(peaks[0]),
        "owner_peak_mb": _megabytes(peaks[1]),
    }


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _embedding_alone(given: Texts, size: int) -> Row:
    """What of the above is the model's: the same texts, in this process, one after another."""
    # As the owner does, before numpy is imported: its threads would be measured beside the model.
    tune()
    embedder = create_embedder(EmbeddingConfig())
    await embedder.embed(given.questions(1))
    lines = [f"[{one.said_at:%Y-%m-%d}] {one.name or one.role}: {one.text}" for one in given.messages(size)]
    began = time.perf_counter()
    for start in range(0, size, IMPORT_BATCH):
        await embedder.embed(lines[start : start + IMPORT_BATCH])
    per_second = size / (time.perf_counter() - began)
    adds = [await _timed(embedder.embed([text])) for text in synthetic.statements(ADDS)]
    searches = [await _timed(embedder.embed_query(query)) for query in given.questions(SEARCHES)]
    await embedder.aclose()
    return {
        "embed_import_per_s": per_second,
        "embed_add_p50_ms": _p50(adds),
        "embed_search_p50_ms": _p50(searches),
    }


def _p50(seconds: Sequence[float]) -> float:
    return 1000 * median(seconds)


def _p95(seconds: Sequence[float]) -> float:
    return 1000 * quantiles(seconds, n=20, method="inclusive")[-1]


def _megabytes(size: int | None) -> float | None:
    return None if size is None else size / 1e6


def _as_markdown(head: Mapping[str, str], rows: Mapping[int, Row]) -> str:
    header = ["measure", *(f"{size:,} memories" for size in rows)]
    body = [
        [words, *("–" if (value := row[measure]) is None else f"{value:,.1f}" for row in rows.values())]
        for measure, words in MEASURES.items()
    ]
    return "\n\n".join(("# Latency and memory", report.facts(head), report.table(header, body)))


def _as_json(head: Mapping[str, str], rows: Mapping[int, Row]) -> str:
    return json.dumps({**head, "sizes": {str(size): row for size, row in rows.items()}}, indent=2)


if __name__ == "__main__":
    typer.run(main)
