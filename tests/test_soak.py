"""The short form of `benchmarks/soak.py`: hosts on one memory while owners and servers are killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from soak import Plan, soak, told
from stdio import Program, running


async def seconds_of_a_first_call(program: Program) -> float:
    """From nothing at all to the first answer, on this machine as it is now."""
    started_at = time.perf_counter()
    async with running(program, "auto") as server:
        await server.call("add_memory", {"content": "The kettle is on."})
    return time.perf_counter() - started_at


@pytest.mark.skipif(sys.platform != "linux", reason="it finds the processes it kills in /proc")
async def test_nothing_acknowledged_is_lost_or_stored_twice_while_processes_die(tmp_path: Path) -> None:
    for folder in ("measured", "soaked"):
        (tmp_path / folder).mkdir()
    one_call = await seconds_of_a_first_call(Program.under(tmp_path / "measured"))
    plan = Plan(
        fronts=3,
        adds=40,
        searches=8,
        kills=6,
        # On a machine that is busy with other things, nobody would live to answer.
        kill_seconds=max(1.5, one_call),
        front_kill_seconds=max(4.0, 3 * one_call),
        seconds=300.0,
    )
    outcome = await soak(Program.under(tmp_path / "soaked"), plan)
    assert outcome.is_right, told(outcome, plan)
    assert outcome.owners_killed >= plan.kills
    assert outcome.fronts_killed >= 1
    assert len(outcome.acknowledged) >= plan.adds - outcome.unknown
