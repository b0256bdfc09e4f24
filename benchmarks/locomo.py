"""How much of the evidence is found: LoCoMo in by add_memory, a restart, its questions by search_memory."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import baselines
import dataset
import machine
import report
import stats
import stdio
import typer
from dataset import CATEGORIES, Conversation, Dataset, Question, Turn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mcp_memory.config import EmbeddingConfig
from mcp_memory.embedding import create_embedder

OURS = "mcp-memory"
FIRST = 5
"""The last column asks for any evidence among so many."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one question went: how many evidence turns were found, and whether one is among the first few."""

    conversation: str
    category: int
    evidence: int
    found: int
    any_in_first: bool

    @property
    def recall(self) -> float:
        return 100 * self.found / self.evidence


@dataclass(slots=True)
class Measured:
    """Answers by system, in the same order for each, and what the server did beside."""

    answers: dict[str, list[Answer]] = field(default_factory=dict[str, list[Answer]])
    add_seconds: float = 0.0
    search_seconds: list[float] = field(default_factory=list[float])
    hits: int = 0
    other_hits: int = 0
    """Hits that are no turn of the conversation, such as a summary."""


def main(
    data: Annotated[Path, typer.Option(help="The LoCoMo file or its folder.")] = dataset.DEFAULT_FOLDER,
    conversations: Annotated[int | None, typer.Option(min=1, help="Only so many, from the first.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Hits of one search.")] = 10,
    config: Annotated[
        Path | None, typer.Option(exists=True, help="A config.toml for the server; else its defaults.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every question.")] = False,
) -> None:
    """Measure evidence recall of mcp-memory and of plain dense and BM25 search on LoCoMo."""
    try:
        measured_on = dataset.read(data, conversations)
    except dataset.DataMissing as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    try:
        with _progress() as progress:
            measured = stdio.run(_measure, measured_on.conversations, limit, config, progress)
    except stdio.ProgramFailed as error:
        print(f"The program failed: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    head = machine.describe() | _data_facts(measured_on, limit)
    print(_as_json(head, measured) if as_json else _as_markdown(head, measured, limit))


async def _measure(
    conversations: Sequence[Conversation], limit: int, config: Path | None, progress: Progress
) -> Measured:
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="mcp-memory-locomo-", ignore_cleanup_errors=True) as folder:
        program = stdio.Program.under(Path(folder), config)
        async with stdio.running(program) as server:
            memory_ids = await _add(server, conversations, measured, progress)
        async with stdio.running(program) as server:
            measured.answers[OURS] = await _ask(server, conversations, memory_ids, limit, measured, progress)
    measured.answers |= await _baselines(conversations, limit, progress)
    return measured


async def _add(
    server: stdio.Server, conversations: Sequence[Conversation], measured: Measured, progress: Progress
) -> dict[str, dict[str, str]]:
    """Each session in one call. By conversation, the memory id of each turn."""
    bar = _bar(progress, "adding turns", sum(len(one.turns) for one in conversations))
    memory_ids: dict[str, dict[str, str]] = {}
    for conversation in conversations:
        ids = memory_ids[conversation.id] = {}
        for session in conversation.sessions:
            arguments = {
                "messages": [_message(turn) for turn in session.turns],
                "session_id": session.id,
                "user_id": conversation.id,
            }
            began = time.perf_counter()
            answer = await server.call("add_memory", arguments)
            measured.add_seconds += time.perf_counter() - began
            ids.update(zip((turn.id for turn in session.turns), answer["ids"], strict=True))
            progress.advance(bar, len(session.turns))
    return memory_ids


def _message(turn: Turn) -> dict[str, str]:
    return {"role": "user", "name": turn.speaker, "content": turn.text, "time": turn.said_at.isoformat()}


async def _ask(
    server: stdio.Server,
    conversations: Sequence[Conversation],
    memory_ids: Mapping[str, Mapping[str, str]],
    limit: int,
    measured: Measured,
    progress: Progress,
) -> list[Answer]:
    bar = _bar(progress, "asking", sum(len(one.questions) for one in conversations))
    owner = {memory_id: user for user, ids in memory_ids.items() for memory_id in ids.values()}
    answers: list[Answer] = []
    for conversation in conversations:
        ids = memory_ids[conversation.id]
        for question in conversation.questions:
            arguments = {"query": question.text, "limit": limit, "user_id": conversation.id}
            began = time.perf_counter()
            answer = await server.call("search_memory", arguments)
            measured.search_seconds.append(time.perf_counter() - began)
            hits = [hit["id"] for hit in answer["hits"]]
            owners = [owner.get(memory_id) for memory_id in hits]
            if any(user not in (None, conversation.id) for user in owners):
                raise stdio.ProgramFailed(f"a search as {conversation.id} gave another user's memory")
            measured.hits += len(hits)
            measured.other_hits += owners.count(None)
            ranks = {memory_id: rank for rank, memory_id in enumerate(hits)}
            answers.append(
                _answer(conversation, question, [ranks.get(ids[one]) for one in question.evidence])
            )
            progress.advance(bar)
    return answers


async def _baselines(
    conversations: Sequence[Conversation], limit: int, progress: Progress
) -> dict[str, list[Answer]]:
    """Outside the server: each conversation's turns alone, as bare text and with date and speaker."""
    bar = _bar(progress, "baselines", len(conversations))
    forms: dict[str, Callable[[Turn], str]] = {
        "bare text": lambda turn: turn.text,
        "`[date] speaker: text`": lambda turn: f"[{turn.said_at:%Y-%m-%d}] {turn.speaker}: {turn.text}",
    }
    embedder = create_embedder(EmbeddingConfig())
    answers: dict[str, list[Answer]] = {f"{kind}, {form}": [] for kind in ("dense", "BM25") for form in forms}
    for conversation in conversations:
        position = {turn.id: number for number, turn in enumerate(conversation.turns)}
        queries = [question.text for question in conversation.questions]
        for form, write in forms.items():
            texts = [write(turn) for turn in conversation.turns]
            found = {
                "dense": await baselines.dense(embedder, texts, queries, limit),
                "BM25": baselines.bm25(texts, queries, limit),
            }
            for kind, hits_of_all in found.items():
                for question, hits in zip(conversation.questions, hits_of_all, strict=True):
                    ranks = {hit: rank for rank, hit in enumerate(hits)}
                    evidence = [ranks.get(position[one]) for one in question.evidence]
                    answers[f"{kind}, {form}"].append(_answer(conversation, question, evidence))
        progress.advance(bar)
    await embedder.aclose()
    return answers


def _answer(conversation: Conversation, question: Question, ranks: Sequence[int | None]) -> Answer:
    """`ranks`: where each evidence turn was found, from 0; None where it was not."""
    found = [rank for rank in ranks if rank is not None]
    return Answer(
        conversation=conversation.id,
        category=question.category,
        evidence=len(ranks),
        found=len(found),
        any_in_first=any(rank < FIRST for rank in found),
    )


def _data_facts(data: Dataset, limit: int) -> dict[str, str]:
    turns = sum(len(one.turns) for one in data.conversations)
    sessions = sum(len(one.sessions) for one in data.conversations)
    asked = sum(len(one.questions) for one in data.conversations)
    dropped = data.dropped
    return {
        "data": f"{data.file.name}, sha256 {data.sha256}",
        "size": f"{len(data.conversations)} conversations, {sessions} sessions, {turns} turns",
        "asked": f"{asked} questions, limit {limit}",
        "left out": f"{dropped.adversarial} adversarial questions, {dropped.without_evidence} without "
        f"evidence; {dropped.unknown_evidence} evidence entries that name no turn",
    }


def _as_markdown(head: Mapping[str, str], measured: Measured, limit: int) -> str:
    systems = list(measured.answers)
    ours = measured.answers[OURS]
    metric = f"Evidence turns in the first {limit} hits: % of a question's, mean, 95 % bootstrap interval."
    by_category = report.table(
        ["system", "all", *CATEGORIES.values(), f"any in first {FIRST}"],
        [[system, *_category_cells(measured.answers[system])] for system in systems],
    )
    by_conversation = report.table(
        ["conversation", "questions", *systems],
        [
            [name, str(len(_of_conversation(ours, name)))]
            + [_cell(_of_conversation(measured.answers[system], name)) for system in systems]
            for name in dict.fromkeys(answer.conversation for answer in ours)
        ],
    )
    counts = ", ".join(
        f"{sum(answer.category == category for answer in ours)} {name}"
        for category, name in CATEGORIES.items()
    )
    milliseconds = [1000 * seconds for seconds in measured.search_seconds]
    return "\n\n".join(
        (
            "# LoCoMo: evidence recall",
            report.facts(head),
            f"{metric} Questions: {counts}.",
            by_category,
            by_conversation,
            f"Through stdio: turns added in {measured.add_seconds:.1f} s; search p50 "
            f"{stats.percentile(milliseconds, 50):.1f} ms, p95 {stats.percentile(milliseconds, 95):.1f} ms; "
            f"{measured.hits} hits, {measured.other_hits} of them no turn of the conversation.",
        )
    )


def _category_cells(answers: Sequence[Answer]) -> list[str]:
    groups = [
        answers,
        *([one for one in answers if one.category == category] for category in CATEGORIES),
    ]
    any_in_first = stats.bootstrap([100.0 * answer.any_in_first for answer in answers])
    return [*map(_cell, groups), f"{any_in_first.mean:.1f}"]


def _of_conversation(answers: Sequence[Answer], name: str) -> list[Answer]:
    return [answer for answer in answers if answer.conversation == name]


def _cell(answers: Sequence[Answer]) -> str:
    if not answers:
        return "–"
    estimate = stats.bootstrap([answer.recall for answer in answers])
    return f"{estimate.mean:.1f} ({estimate.low:.1f}–{estimate.high:.1f})"


def _as_json(head: Mapping[str, str], measured: Measured) -> str:
    content: dict[str, Any] = {
        **head,
        "recall": {
            system: dataclasses.asdict(stats.bootstrap([answer.recall for answer in answers]))
            for system, answers in measured.answers.items()
        },
        "add_seconds": measured.add_seconds,
        "search_seconds": measured.search_seconds,
        "hits": measured.hits,
        "other_hits": measured.other_hits,
        "answers": {
            system: [dataclasses.asdict(answer) for answer in answers]
            for system, answers in measured.answers.items()
        },
    }
    return json.dumps(content, indent=2)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _bar(progress: Progress, description: str, total: int) -> TaskID:
    return progress.add_task(description, total=total)


if __name__ == "__main__":
    typer.run(main)
