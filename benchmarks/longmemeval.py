"""LongMemEval, a person's chats with an assistant: what is found of the turns that answer later questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import compared
import dataset
import longmemeval_data
import results
import typer
from compared import Plan

SESSIONS = 50
"""Of one haystack, about as many as in the set's own small form."""
HAYSTACKS = 50


def main(
    data: Annotated[Path, typer.Option(help="The LongMemEval file or its folder.")] = dataset.DEFAULT_FOLDER,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many pooled questions, drawn.")] = None,
    haystacks: Annotated[int, typer.Option(min=0, help="Questions with a memory of their own.")] = HAYSTACKS,
    pooled: Annotated[bool, typer.Option(help="Also all sessions as one memory.")] = True,
    seed: compared.Seed = compared.SEED,
    systems: compared.Systems = compared.EVERY,
    config: compared.Settings = None,
    allowance: compared.Allowance = compared.ALLOWANCE,
    out: compared.Out = results.FOLDER,
) -> None:
    """Measure mcp-memory, plain baselines and peers on LongMemEval."""
    try:
        read = longmemeval_data.read(data)
    except dataset.DataMissing as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    head = compared.head(read.file, seed)
    plans: list[Plan] = []
    if pooled:
        plans.append(
            Plan("One pooled memory", dataset.sampled([longmemeval_data.pooled(read)], sample, seed))
        )
    if haystacks:
        own = longmemeval_data.haystacks(read, haystacks, SESSIONS, seed)
        asked = dataset.with_elsewhere(own, 1, seed)
        plans.append(Plan(f"A memory of {SESSIONS} sessions for each question", asked, shared=True))
    compared.Run("longmemeval", "LongMemEval", head, plans, systems, config, seed, allowance, out).carry_out()


if __name__ == "__main__":
    typer.run(main)
