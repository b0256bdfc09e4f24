"""The short form of `benchmarks/isolation.py`: everybody tries at everybody else, from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from isolation import Plan, measure, shown
from remote import program_under


@pytest.mark.filterwarnings("ignore:resources/:mcp.shared.exceptions.MCPDeprecationWarning")
async def test_nothing_of_one_user_reaches_another_by_any_door(tmp_path: Path) -> None:
    plan = Plan(users=3, memories=4)
    outcome = await measure(program_under(tmp_path), plan)
    assert outcome.is_right, shown(outcome, plan)
    # Eight doors for ids, a session, a user, ten for words, a cursor and a subscription.
    assert outcome.tries == 3 * 2 * 22
