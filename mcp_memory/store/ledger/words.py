"""Search by words in the ledger itself: slower than an index, and there when the index is not."""

from __future__ import annotations

import math
import re
from collections import Counter

import sqlalchemy as sa

from mcp_memory.store.candidates import Candidate, Filter
from mcp_memory.store.ledger import schema
from mcp_memory.store.ledger.rows import visible

K1, B = 1.2, 0.75
"""BM25 as LanceDB computes it; Robertson & Zaragoza, The Probabilistic Relevance Framework (2009)."""

# Chinese, Japanese and Korean are written without spaces: each of their characters counts as a word.
_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\W぀-ヿ㐀-鿿가-힯]+")
_ENDING = re.compile(r"(?<=\w{3})(?:ings?|e[ds]|s|e)$")


def best_by_words(
    connection: sa.Connection, where: Filter, words: str, limit: int, *, only_pending: bool = False
) -> tuple[Candidate, ...]:
    """The best by shared words among all that `where` allows, or among what is not indexed yet; score is
    BM25."""
    wanted = set(_words(words))
    if not wanted:
        return ()
    conditions = [visible(where.scope)]
    if where.kinds:
        conditions.append(schema.memory.c.kind.in_(where.kinds))
    if where.since is not None:
        conditions.append(schema.memory.c.observed_at >= where.since)
    if where.until is not None:
        conditions.append(schema.memory.c.observed_at <= where.until)
    if only_pending:
        conditions.append(schema.memory.c.id.in_(sa.select(schema.pending.c.memory_id)))
    query = sa.select(
        schema.memory.c.id,
        schema.memory.c.session_id,
        schema.memory.c.role,
        schema.memory.c.speaker,
        schema.memory.c.observed_at,
        schema.memory.c.text,
    ).where(*conditions)
    allowed = None if where.ids is None else set(where.ids)
    matches: list[tuple[Candidate, Counter[str], int]] = []
    documents = total_length = 0
    frequency: Counter[str] = Counter()
    for row in connection.execution_options(yield_per=1_000).execute(query):
        said = _words(f"{row.observed_at.day} {row.observed_at:%B %Y} {row.speaker or ''} {row.text}")
        documents += 1
        total_length += len(said)
        counts = Counter(word for word in said if word in wanted)
        frequency.update(counts.keys())
        if counts and (allowed is None or row.id in allowed):
            candidate = Candidate(row.id, 0.0, row.session_id, row.role, row.speaker)
            matches.append((candidate, counts, len(said)))
    if not matches:
        return ()
    average = total_length / documents
    rarity = {word: math.log(1 + (documents - n + 0.5) / (n + 0.5)) for word, n in frequency.items()}
    scored = [
        Candidate(
            one.memory_id,
            sum(
                rarity[word] * n * (K1 + 1) / (n + K1 * (1 - B + B * length / average))
                for word, n in counts.items()
            ),
            one.session_id,
            one.role,
            one.speaker,
        )
        for one, counts, length in matches
    ]
    return tuple(sorted(scored, key=lambda one: -one.score)[:limit])


def _words(text: str) -> list[str]:
    """Folded, and without the commonest English endings: "runs" finds "run"."""
    return [_ENDING.sub("", word) for word in _WORD.findall(text.casefold())]
