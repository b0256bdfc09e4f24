"""Facts that were never compared with each other: which of them a model says belong together, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from mcp_memory.extraction.checking import says_nothing_new
from mcp_memory.extraction.facts import Judgement, Known
from mcp_memory.usage import Usage


class ReplyPair(BaseModel):
    """Two facts by their numbers, from 1, and what the newer does to the older."""

    model_config = ConfigDict(extra="ignore")

    newer: int
    older: int
    verdict: Judgement


class ReplyPairs(BaseModel):
    model_config = ConfigDict(extra="ignore")

    pairs: list[ReplyPair]


@dataclass(frozen=True, slots=True)
class Pair:
    newer_id: str
    older_id: str
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Comparison:
    """`invalid`: pairs dropped because they cannot be."""

    pairs: tuple[Pair, ...]
    invalid: int
    usage: Usage


def compared(reply: ReplyPairs, facts: Sequence[Known], usage: Usage) -> Comparison:
    """The pairs that hold, each two facts at most once: both are there, what takes a place was said later,
    and what is said again says nothing new. `facts` are of one subject, in the order they are numbered in."""
    found: dict[frozenset[str], Pair] = {}
    invalid = 0
    for one in reply.pairs:
        pair = _checked(one, facts)
        if pair is None:
            invalid += 1
        else:
            found.setdefault(frozenset((pair.newer_id, pair.older_id)), pair)
    return Comparison(tuple(found.values()), invalid, usage)


def _checked(pair: ReplyPair, facts: Sequence[Known]) -> Pair | None:
    places = {pair.newer, pair.older}
    if len(places) < 2 or not places <= set(range(1, len(facts) + 1)):
        return None
    newer, older = facts[pair.newer - 1], facts[pair.older - 1]
    if newer.observed_at < older.observed_at:
        if pair.verdict == "supersedes":
            return None
        newer, older = older, newer
    holds = {
        "repeats": says_nothing_new(newer.text, older),
        "supersedes": newer.observed_at > older.observed_at,
        "contradicts": True,
    }
    return Pair(newer.id, older.id, pair.verdict) if holds[pair.verdict] else None
