"""How well one question was answered: figures by name, from what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataset import Haystack, Question
from systems import Found, Shown, tokens

DEPTHS = (5, 10, 20)
SESSION_DEPTH = 5

RECALL = "recall@{}"
"""Of the evidence turns, the share among the first so many hits, %."""
MRR = "mrr"
"""1 / the rank of the first evidence turn among the hits, 0 where there is none."""
SESSION_ANY = f"session any@{SESSION_DEPTH}"
SESSION_ALL = f"session all@{SESSION_DEPTH}"
"""Whether any, or every, evidence session is among the first sessions; 0 or 100. Sessions are ranked by the
first of their turns among the hits."""
EVIDENCE = "evidence@{}"
"""Of the evidence turns, the share whose turn is in an answer of so many tokens, %."""
ALL_EVIDENCE = "all evidence@{}"
"""Whether every evidence turn is in it; 0 or 100."""
WHOLE = "whole@{}"
"""Of the evidence turns, the share whose whole text is in it, %: what was cut short does not count."""
TOKENS = "tokens@{}"
"""The true size of that answer."""


@dataclass(frozen=True, slots=True)
class Scored:
    group: str
    values: dict[str, float]


def score(haystack: Haystack, question: Question, found: Found) -> Scored:
    ranks = [_rank(found.hits, turn) for turn in question.evidence]
    present = [rank for rank in ranks if rank is not None]
    sessions = _sessions(found.hits, haystack.session_of)[:SESSION_DEPTH]
    values = {
        RECALL.format(depth): 100 * sum(rank < depth for rank in present) / len(ranks) for depth in DEPTHS
    }
    values[MRR] = 1 / (1 + min(present)) if present else 0.0
    values[SESSION_ANY] = 100.0 * any(one in sessions for one in question.sessions)
    values[SESSION_ALL] = 100.0 * all(one in sessions for one in question.sessions)
    for budget, shown in found.shown.items():
        values |= _within(haystack, question, budget, shown)
    return Scored(question.group, values)


def _within(haystack: Haystack, question: Question, budget: int, shown: Shown) -> dict[str, float]:
    there = question.evidence & shown.turns
    text = _letters(shown.text)
    whole = [turn for turn in there if _letters(haystack.turns[turn].text) in text]
    return {
        EVIDENCE.format(budget): 100 * len(there) / len(question.evidence),
        ALL_EVIDENCE.format(budget): 100.0 * (there == question.evidence),
        WHOLE.format(budget): 100 * len(whole) / len(question.evidence),
        TOKENS.format(budget): tokens(shown.text),
    }


def _rank(hits: Sequence[frozenset[str]], turn: str) -> int | None:
    """From 0."""
    return next((rank for rank, turns in enumerate(hits) if turn in turns), None)


def _sessions(hits: Sequence[frozenset[str]], session_of: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(session_of[turn] for turns in hits for turn in sorted(turns)))


def _letters(text: str) -> str:
    """Letters and digits alone: line breaks and marks are shown in another way by each system."""
    return "".join(character for character in text.casefold() if character.isalnum())
