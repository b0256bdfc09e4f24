"""The short form of `benchmarks/soak.py`: hosts on one memory while owners and servers are killed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from soak import Plan, soak, told
from stdio import Program


@pytest.mark.skipif(sys.platform != "linux", reason="it finds the processes it kills in /proc")
async def test_nothing_acknowledged_is_lost_or_stored_twice_while_processes_die(tmp_path: Path) -> None:
    plan = Plan(
        fronts=3, adds=40, searches=8, kills=6, kill_seconds=1.5, front_kill_seconds=4.0, seconds=120.0
    )
    outcome = await soak(Program.under(tmp_path), plan)
    assert outcome.is_right, told(outcome, plan)
    assert outcome.owners_killed >= plan.kills
    assert outcome.fronts_killed >= 1
    assert len(outcome.acknowledged) >= plan.adds - outcome.unknown
