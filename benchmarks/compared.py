"""The measured systems, one after another: ours, the baselines, the peers that are there."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import anyio
import machine
import measure
import ours
import peers
import results
import stdio
import typer
from baselines import Bm25, Dense, Grep, opening
from dataset import File, Haystack
from embeddings import Embeddings
from mcp import MCPError
from measure import Measured, Opening
from peers import PeerAbsent
from results import Form
from rich.progress import Progress
from stdio import ProgramFailed

OURS = "ours"
SYSTEMS = (OURS, "grep", "bm25", "dense", "mem0", "server-memory", "server-memory-as-asked")
EMBEDDING = ("dense", "mem0")
"""Their times of adding are mostly the embedding's."""

EVERY = ",".join(SYSTEMS)

Systems = Annotated[str, typer.Option(help=f"Which, comma-separated, of {', '.join(SYSTEMS)}.")]
Settings = Annotated[
    Path | None, typer.Option(exists=True, help="A config.toml for the server; else its defaults.")
]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]
Allowance = Annotated[
    float,
    typer.Option(
        min=0.1,
        help="Minutes for each system and form; a peer or baseline that takes more "
        "is left out, and the results say so.",
    ),
]
ALLOWANCE = 60.0
Out = Annotated[Path, typer.Option(help="Where the results are written.")]
SEED = 7


@dataclass(frozen=True, slots=True)
class Plan:
    """A way to ask the data. `shared`: the haystacks share most of their turns; these are embedded once for
    baselines and peers, whose times of adding are then not told."""

    title: str
    haystacks: Sequence[Haystack]
    shared: bool = False


def head(file: File, seed: int) -> dict[str, str]:
    """What is measured, and on what. Asked before the run: it is the commit that stands here then."""
    return machine.describe() | peers.versions() | file.facts | {"seed": str(seed)}


@dataclass(frozen=True, slots=True)
class Run:
    """What is measured, how, and where it is written. `allowance`: minutes."""

    name: str
    title: str
    head: Mapping[str, str]
    plans: Sequence[Plan]
    systems: str
    config: Path | None
    seed: int
    allowance: float
    out: Path

    def carry_out(self) -> None:
        """Measure one plan after the other, and print what was written in the end. Written after each: an
        hour's figures are not lost with the next hour's.

        Ends this process with a message where mcp-memory failed.
        """
        chosen = [name.strip() for name in self.systems.split(",")]
        if unknown := set(chosen) - set(SYSTEMS):
            raise typer.BadParameter(
                f"no system is called {', '.join(unknown)}; there are {', '.join(SYSTEMS)}"
            )
        if not self.plans:
            raise typer.BadParameter("no form is asked for")
        page: Path | None = None
        forms: list[Form] = []
        try:
            with measure.progress_bars() as progress:
                for plan in self.plans:
                    forms.append(stdio.run(_form, self, plan, chosen, progress))
                    page = results.write(self.name, self.title, self.head, forms, self.out)
        except ProgramFailed as error:
            print(f"The program failed: {error}", file=sys.stderr)
            raise typer.Exit(1) from error
        assert page is not None
        print(page.read_text(encoding="utf-8"))


async def _form(run: Run, plan: Plan, chosen: Sequence[str], progress: Progress) -> Form:
    embeddings = Embeddings()
    if plan.shared and any(name in chosen for name in EMBEDDING):
        lines = {turn.line for one in plan.haystacks for turn in one.turns.values()}
        for line in progress.track(lines, description="embedding once"):
            await embeddings.prepare(line)
    measured: list[Measured] = []
    skipped: list[str] = []
    for name, start in _openings(embeddings, run.config).items():
        if name not in chosen:
            skipped.append(f"{name}: not chosen for this run")
            continue
        timed = not (plan.shared and name in EMBEDDING)
        try:
            with anyio.fail_after(None if name == OURS else 60 * run.allowance):
                one = await measure.measure(start, plan.haystacks, run.seed, progress, timed=timed)
            measured.append(one)
            # Bars are drawn at a terminal alone.
            progress.console.print(f"{plan.title}: {one.name} is done")
        except TimeoutError:
            if name == OURS:
                raise
            skipped.append(f"{name}: not done within {run.allowance:g} minutes")
        except (PeerAbsent, ProgramFailed, MCPError, ExceptionGroup) as error:
            cause = stdio.first_cause(error)
            if name == OURS or not isinstance(cause, PeerAbsent | ProgramFailed | MCPError):
                raise
            skipped.append(f"{name}: {cause}")
    await embeddings.aclose()
    if not measured:
        raise ProgramFailed(f"nothing was measured; {'; '.join(skipped)}")
    return Form(plan.title, _facts(plan.haystacks), measured, skipped)


def _openings(embeddings: Embeddings, config: Path | None) -> dict[str, Opening]:
    """By the names in `SYSTEMS`, in their order."""
    every: Sequence[Opening] = (
        partial(ours.mcp_memory, config=config),
        opening(Grep),
        opening(Bm25),
        opening(partial(Dense, embeddings)),
        partial(peers.mem0, embeddings=embeddings),
        peers.knowledge_graph,
        peers.knowledge_graph_as_asked,
    )
    return dict(zip(SYSTEMS, every, strict=True))


def _facts(haystacks: Sequence[Haystack]) -> dict[str, str]:
    sessions = sum(len(one.sessions) for one in haystacks)
    turns = sum(len(one.turns) for one in haystacks)
    return {
        "memories": f"{len(haystacks)}, of {sessions:,} sessions and {turns:,} turns together",
        "asked": f"{sum(len(one.questions) for one in haystacks):,} questions with an answer, "
        f"{sum(len(one.elsewhere) for one in haystacks)} without, "
        f"{sum(len(one.tricks) for one in haystacks)} that only sound as if they had one",
    }
