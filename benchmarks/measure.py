"""One system over all haystacks: everything in, everything asked, everything noted."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import machine
import metrics
from dataset import Haystack, Query
from metrics import Scored
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from systems import Footprint, System

WARM_UP = Query("Which day was it?")
"""Asked once and not counted: a model is loaded, a connection opened."""

Opening = Callable[[Path], AbstractAsyncContextManager[System]]
"""Starts a system in an empty folder, and ends it."""


@dataclass(slots=True)
class Measured:
    """Of one system. Seconds of adding are None where they would not be its own."""

    name: str
    scored: list[Scored] = field(default_factory=list[Scored])
    add_seconds: list[float] | None = field(default_factory=list[float])
    """Of each session."""
    search_seconds: list[float] = field(default_factory=list[float])
    answer_tokens: list[float] = field(default_factory=list[float])
    unanswerable: list[bool] = field(default_factory=list[bool])
    """Of own and other haystacks' questions, as many of each; beside it whether the system abstained."""
    abstained: list[bool] = field(default_factory=list[bool])
    own_abstained: list[bool] = field(default_factory=list[bool])
    """Of all questions that have an answer: each one is a mistake."""
    tricks_abstained: list[bool] = field(default_factory=list[bool])
    load: float | None = None
    """Processes that wanted a core, mean of the last minute, when all was asked; more than this machine's
    cores, and times are other programs' too."""
    footprint: Footprint = field(default_factory=Footprint)


async def measure(
    opening: Opening, haystacks: Sequence[Haystack], seed: int, progress: Progress, *, timed: bool = True
) -> Measured:
    """Raises ProgramFailed and PeerAbsent. Without `timed` the times of adding are not kept."""
    with tempfile.TemporaryDirectory(prefix="mcp-memory-benchmark-", ignore_cleanup_errors=True) as folder:
        async with opening(Path(folder)) as system:
            measured = Measured(system.name)
            await _add(system, haystacks, measured, progress)
            await system.settle()
            await _ask(system, haystacks, measured, seed, progress)
            measured.footprint = await system.footprint()
            measured.load = machine.load()
    if not timed:
        measured.add_seconds = None
    return measured


async def _add(system: System, haystacks: Sequence[Haystack], measured: Measured, progress: Progress) -> None:
    bar = progress.add_task(f"{system.name}: adding", total=sum(len(one.turns) for one in haystacks))
    assert measured.add_seconds is not None
    for haystack in haystacks:
        for session in haystack.sessions:
            began = time.perf_counter()
            await system.add(haystack.id, session)
            measured.add_seconds.append(time.perf_counter() - began)
            progress.advance(bar, len(session.turns))


async def _ask(
    system: System, haystacks: Sequence[Haystack], measured: Measured, seed: int, progress: Progress
) -> None:
    total = sum(len(one.questions) + len(one.elsewhere) + len(one.tricks) for one in haystacks)
    bar = progress.add_task(f"{system.name}: asking", total=total)
    numbers = random.Random(seed)
    for haystack in haystacks:
        await system.knows(haystack.id, WARM_UP)
        answerable: list[bool] = []
        for question in haystack.questions:
            found = await system.search(haystack.id, question.query)
            measured.scored.append(metrics.score(haystack, question, found))
            measured.search_seconds.append(found.seconds)
            measured.answer_tokens.append(found.tokens)
            answerable.append(found.known)
            progress.advance(bar)
        for query in haystack.elsewhere:
            measured.unanswerable.append(True)
            measured.abstained.append(not await system.knows(haystack.id, query))
            progress.advance(bar)
        for query in haystack.tricks:
            measured.tricks_abstained.append(not await system.knows(haystack.id, query))
            progress.advance(bar)
        measured.own_abstained += [not known for known in answerable]
        own = numbers.sample(answerable, min(len(answerable), len(haystack.elsewhere)))
        measured.unanswerable += [False] * len(own)
        measured.abstained += [not known for known in own]


def progress_bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))
