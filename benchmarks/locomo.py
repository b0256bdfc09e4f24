"""LoCoMo, people talking over months: what is found of the turns that answer questions about them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import compared
import dataset
import locomo_data
import results
import typer
from compared import Plan

ELSEWHERE = 50
"""Questions of the other conversations that each conversation is asked."""


def main(
    data: Annotated[Path, typer.Option(help="The LoCoMo file or its folder.")] = dataset.DEFAULT_FOLDER,
    conversations: Annotated[int | None, typer.Option(min=1, help="Only so many, from the first.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many questions, drawn.")] = None,
    seed: compared.Seed = compared.SEED,
    systems: compared.Systems = compared.EVERY,
    config: compared.Settings = None,
    allowance: compared.Allowance = compared.ALLOWANCE,
    out: compared.Out = results.FOLDER,
) -> None:
    """Measure mcp-memory, plain baselines and peers on LoCoMo."""
    try:
        read = locomo_data.read(data, conversations)
    except dataset.DataMissing as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    dropped = read.dropped
    left_out = (
        f"{dropped.without_evidence} questions without evidence, {dropped.unknown_evidence} evidence entries "
        "that name no turn"
    )
    head = compared.head(read.file, seed) | {"left out": left_out}
    asked = dataset.with_elsewhere(dataset.sampled(read.conversations, sample, seed), ELSEWHERE, seed)
    plans = [Plan("All conversations", asked)]
    compared.Run("locomo", "LoCoMo", head, plans, systems, config, seed, allowance, out).carry_out()


if __name__ == "__main__":
    typer.run(main)
