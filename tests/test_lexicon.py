"""The words of one owner in memory: what is read with what was said beside it."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from mcp_memory.store.ledger.words import Said
from mcp_memory.store.lexicon import Lexicon, Reading

WORDS = ("lamp", "boat", "Tuesday", "kettle", "orchard")
TURNS = st.lists(st.tuples(st.sampled_from([None, "s1", "s2"]), st.integers(0, 5)), max_size=20)


@given(TURNS, st.integers(1, 20))
def test_turns_stand_beside_each_other_in_order_of_time_however_they_were_written(
    turns: list[tuple[str | None, int]], at_once: int
) -> None:
    rows = [_said(seq, session, at, "a lamp") for seq, (session, at) in enumerate(turns, 1)]
    said = Reading([_written(rows, at_once)], "lamp").describe(row.id for row in rows)

    in_order = sorted(rows, key=lambda row: (row.session_id or "", row.observed_at, row.seq))
    for session, group in groupby(in_order, key=lambda row: row.session_id):
        ids = [row.id for row in group]
        for at, memory_id in enumerate(ids):
            beside = (said[memory_id].previous, said[memory_id].following)
            before, after = [None, *ids][at], [*ids, None][at + 1]
            assert beside == ((None, None) if session is None else (before, after))


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=5), max_size=60), st.integers(1, 60))
def test_words_are_found_alike_however_many_were_written_at_once(
    texts: list[list[str]], at_once: int
) -> None:
    rows = [_said(seq, "s", seq, " ".join(words)) for seq, words in enumerate(texts, 1)]
    ids = [row.id for row in rows]
    whole, parts = (Reading([_written(rows, size)], " ".join(WORDS)) for size in (len(rows) or 1, at_once))
    assert parts.best(len(rows)) == whole.best(len(rows))
    assert parts.describe(ids) == whole.describe(ids)


def _said(seq: int, session: str | None, at: int, text: str) -> Said:
    return Said(
        id=f"m{seq}",
        seq=seq,
        session_id=session,
        observed_at=at,
        role=None,
        speaker=None,
        text=text,
        words=text,
    )


def _written(rows: list[Said], at_once: int) -> Lexicon:
    lexicon = Lexicon()
    for start in range(0, len(rows), at_once):
        lexicon.extend(rows[start : start + at_once])
    return lexicon
