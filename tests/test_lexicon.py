"""The words of one owner in memory: what is read with what was said beside it."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from mcp_memory.store.ledger.words import Said
from mcp_memory.store.lexicon import Lexicon, Reading

TURNS = st.lists(st.tuples(st.sampled_from([None, "s1", "s2"]), st.integers(0, 5)), max_size=20)


@given(TURNS, st.integers(1, 20))
def test_turns_stand_beside_each_other_in_order_of_time_however_they_were_written(
    turns: list[tuple[str | None, int]], at_once: int
) -> None:
    rows = [
        Said(
            id=f"m{seq}",
            seq=seq,
            session_id=session,
            observed_at=at,
            role=None,
            speaker=None,
            text="a lamp",
            words="a lamp",
        )
        for seq, (session, at) in enumerate(turns, 1)
    ]
    lexicon = Lexicon()
    for start in range(0, len(rows), at_once):
        lexicon.extend(rows[start : start + at_once])
    said = Reading([lexicon], "lamp").describe(row.id for row in rows)

    in_order = sorted(rows, key=lambda row: (row.session_id or "", row.observed_at, row.seq))
    for session, group in groupby(in_order, key=lambda row: row.session_id):
        ids = [row.id for row in group]
        for at, memory_id in enumerate(ids):
            beside = (said[memory_id].previous, said[memory_id].following)
            before, after = [None, *ids][at], [*ids, None][at + 1]
            assert beside == ((None, None) if session is None else (before, after))
