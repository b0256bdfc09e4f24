"""The indexes compared with the ledger, row by row."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Literal

from mcp_memory.models import Difference
from mcp_memory.store.ledger.index_work import GraphRows

_Problem = Literal["missing", "left over", "twice", "not as in the ledger"]


def graph_differences(theirs: GraphRows, ours: GraphRows, pending: frozenset[str]) -> list[Difference]:
    found: list[Difference] = []

    def compare(of_theirs: Iterable[tuple[str, object]], of_ours: Iterable[tuple[str, object]]) -> None:
        """Pairs of the id a difference is told by and what is compared."""
        listed, expected = list(of_theirs), set(of_ours)
        there = set(listed)
        left_over: Iterable[tuple[str, _Problem]] = ((one, "left over") for one, _ in there - expected)
        missing: Iterable[tuple[str, _Problem]] = ((one, "missing") for one, _ in expected - there)
        seen: set[tuple[str, object]] = set()
        twice: Iterable[tuple[str, _Problem]] = (
            (row[0], "twice") for row in listed if row in seen or seen.add(row)
        )
        found.extend(
            Difference(index="graph", id=one, problem=problem)
            for one, problem in sorted({*left_over, *missing, *twice})
            if one not in pending
        )

    compare(((one, one) for one in theirs.memory_ids), ((one, one) for one in ours.memory_ids))
    compare(theirs.mentions, ours.mentions)
    compare(
        ((row.memory_id, row) for row in theirs.relations), ((row.memory_id, row) for row in ours.relations)
    )
    # An entity that a pending memory brings may be there already, or not yet.
    waiting = {entity for memory_id, entity in ours.mentions if memory_id in pending}
    compare(
        ((one, one) for one in theirs.entity_ids if one not in waiting),
        ((one, one) for one in ours.entity_ids if one not in waiting),
    )
    return found


async def row_differences(
    theirs: AsyncIterable[tuple[str, str, str]],
    expected: dict[str, tuple[str, str]],
    pending: frozenset[str],
) -> list[Difference]:
    """Of the table's rows, each an id, an owner and a text; what waits to be indexed is left out."""
    found: list[Difference] = []
    seen: set[str] = set()

    def differs(memory_id: str, problem: _Problem) -> None:
        found.append(Difference(index="vectors", id=memory_id, problem=problem))

    async for memory_id, owner, text in theirs:
        if memory_id in pending:
            continue
        if memory_id in seen:
            differs(memory_id, "twice")
        elif memory_id not in expected:
            differs(memory_id, "left over")
        elif expected[memory_id] != (owner, text):
            differs(memory_id, "not as in the ledger")
        seen.add(memory_id)
    for memory_id in sorted(expected.keys() - seen - pending):
        differs(memory_id, "missing")
    return found
