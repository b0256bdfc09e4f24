"""What rules notice of changes as people tell them, and which words must end nothing: `data/changes.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcp_memory.extraction import Passage, Turn
from mcp_memory.extraction.corrections import corrected
from mcp_memory.extraction.rules import understand
from mcp_memory.models import Memory, name_key
from mcp_memory.reconciling import reconcile
from mcp_memory.store.ledger.facts import takes_place
from mcp_memory.timeline import Claim, endings

TOLD = (Path(__file__).parent / "data" / "changes.txt").read_text(encoding="utf-8").splitlines()
CHANGES = [line for line in TOLD if line and not line.startswith(("#", "-"))]
NO_CHANGES = [line.removeprefix("- ") for line in TOLD if line.startswith("-")]
FIRST_SAID_AT = datetime(2024, 3, 26, 12, tzinfo=UTC)
LATER = timedelta(days=20)


def turns_of(line: str) -> tuple[tuple[Turn, ...], ...]:
    """Of a line two talks, or one that corrects itself."""
    before, after = line.split(" ;; ")
    is_one_talk = after.startswith("~")
    first = Turn("before", before, "user", None, FIRST_SAID_AT)
    said_at = FIRST_SAID_AT + (timedelta(minutes=1) if is_one_talk else LATER)
    second = Turn("after", after.lstrip("~ "), "user", None, said_at)
    return ((first, second),) if is_one_talk else ((first,), (second,))


def claims(talks: tuple[tuple[Turn, ...], ...]) -> Iterator[tuple[tuple[str, str], str, Claim]]:
    """By what they fill: from which turn each comes, and the claim."""
    order = 0
    names: dict[str, str] = {}
    for talk in talks:
        said = {turn.id: _memory(turn) for turn in talk}
        understood = reconcile(
            Passage(talk), understand(Passage(talk)), said, origin="rules", now=talk[0].observed_at
        )
        for draft in understood.drafts:
            if (statement := draft.statement) is None or statement.slot is None:
                continue
            order += 1
            about = name_key(statement.subject)
            known = (one for one in draft.entities if name_key(one.name) == about)
            names.update((name_key(alias), about) for one in known for alias in one.aliases)
            memory = draft.memory
            claim = Claim(
                f"{order}",
                statement.value,
                statement.negates,
                memory.observed_at,
                takes_place(memory.kind, memory.observed_at, memory.valid_from),
                statement.until,
                order,
                "one" if len(talks) == 1 else talk[0].id,
            )
            yield (names.get(about, about), statement.slot), draft.sources[0], claim


def _memory(turn: Turn) -> Memory:
    return Memory(
        id=turn.id,
        text=turn.text,
        kind="message",
        level="user",
        user_id="u",
        observed_at=turn.observed_at,
        recorded_at=turn.observed_at,
    )


def ended_by_the_later(line: str) -> bool:
    slots: dict[tuple[str, str], list[Claim]] = {}
    source: dict[str, str] = {}
    for slot, turn_id, claim in claims(turns_of(line)):
        slots.setdefault(slot, []).append(claim)
        source[claim.memory_id] = turn_id
    found = [pair for one in slots.values() for pair in endings(one).items()]
    return any(source[old] == "before" and source[ending.by_id] == "after" for old, ending in found)


@pytest.mark.parametrize("line", CHANGES)
def test_a_change_that_is_told_ends_what_was(line: str) -> None:
    assert ended_by_the_later(line)


@pytest.mark.parametrize("line", NO_CHANGES)
def test_what_tells_of_no_change_ends_nothing(line: str) -> None:
    assert not ended_by_the_later(line)


@pytest.mark.parametrize(
    ("before", "said", "anew"),
    [
        ("I live in Lyon.", "Sorry, I meant Nantes, not Lyon.", "I live in Nantes."),
        ("The meeting is on May 6.", "Actually it's on May 7, not May 6.", "The meeting is on May 7."),
        ("I live in Graz.", "Not Graz, Linz.", "I live in Linz."),
        ("My train is on May 20.", "Wait, no, it's on May 21.", "My train is on May 21."),
        # Nothing of it was said, or it was said twice.
        ("I live in Lyon.", "I meant Nantes, not Rennes.", None),
        ("I drove from Lyon to Lyon.", "I meant Nantes, not Lyon.", None),
        ("Do you know Lyon?", "I meant Nantes, not Lyon.", None),
        ("I live in Lyon.", "Actually, I like it there.", None),
        ("I live in Lyon.", "No, thanks.", None),
    ],
)
def test_a_correction_says_again_what_was_said(before: str, said: str, anew: str | None) -> None:
    turn = Turn("m", said, "user", None, FIRST_SAID_AT)
    assert corrected(said, turn, [before]) == anew


def test_a_plan_that_is_told_again_is_the_same_plan() -> None:
    again = "I'm flying to Rome on June 5. ;; I'm flying to Rome on June 5 and need a hotel."
    assert not ended_by_the_later(again)
    assert ended_by_the_later("I'm flying to Rome on June 5. ;; I'm flying to Rome on June 6.")
