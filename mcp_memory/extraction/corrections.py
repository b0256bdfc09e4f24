"""Corrections: "I meant Porto, not Lisbon" says again, with another word, what was said before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from mcp_memory.dates import times_in
from mcp_memory.extraction.entities import UPPER
from mcp_memory.extraction.facts import Turn
from mcp_memory.extraction.sentences import is_stated, sentences

MAX_WORDS = 6
"""Of what is put in another's place: who says more says it anew."""


def corrected(sentence: str, turn: Turn, before: Sequence[str]) -> str | None:
    """A sentence said `before`, the last one last, with what this one puts right in it; None where this one
    corrects nothing, or nothing that was said."""
    if match := _NOT_BUT.match(sentence) or _BUT_NOT.match(sentence) or _MIXED_UP.match(sentence):
        wrong, right = match["wrong"].strip(" .,"), match["right"].strip(" .,")
        return _with(wrong, right, before)
    if match := _TAKEN_BACK.match(sentence):
        return _with_another_time(match["right"], turn.observed_at, before)
    return None


def _with(wrong: str, right: str, before: Iterable[str]) -> str | None:
    if not 0 < len(right.split()) <= MAX_WORDS or wrong.casefold() == right.casefold():
        return None
    for said in reversed(list(before)):
        # Only whole words, once: with two of them nobody knows which is meant.
        found = list(re.finditer(rf"(?<![\w-]){re.escape(wrong)}(?![\w-])", said, re.IGNORECASE))
        if len(found) == 1 and is_stated(said):
            return f"{said[: found[0].start()]}{right}{said[found[0].end() :]}"
    return None


def _with_another_time(right: str, observed_at: datetime, before: Iterable[str]) -> str | None:
    """ "Scratch that, it's on Friday": in place of the only time of the last sentence that has one."""
    if not (times := times_in(f"on {right}", observed_at, "future")) or len(times[0].expression) + 4 < len(
        right
    ):
        return None
    for said in reversed(list(before)):
        if found := times_in(said, observed_at, "future"):
            one = found[0]
            if len(found) > 1 or not is_stated(said):
                return None
            parts = (said[: one.start].rstrip(), one.preposition, times[0].expression)
            return " ".join(part for part in parts if part) + said[one.end :]
    return None


def sentences_of(turns: Iterable[Turn]) -> list[str]:
    return [sentence for turn in turns for sentence in sentences(turn.text)]


_SORRY = (
    r"(?:(?:actually|sorry|wait|no|nope|oops|ah|oh|hmm|correction|my mistake|my bad|scratch that|strike that"
    r"|I take that back|I was wrong|typo|just to correct (?:that|myself)|to correct myself|I"
    r" misspoke)[,.:;!]? (?:- |— )?)"
)
_THING = (
    rf"(?:(?:the |an? )?[{UPPER}\d][\w'&.:@+-]*(?: [\w'&.:@+-]+){{0,4}}?|[a-z][\w'-]*(?: [\w'-]+){{0,3}}?)"
)
_IT_IS = (
    r"(?:I (?:meant|mean)(?: to (?:say|write))?|it(?: is|'s)|that(?: is|'s)|make (?:that|it)|should"
    r" be|it should be|rather)"
)
_BUT_NOT = re.compile(
    rf"^{_SORRY}*(?:{_IT_IS} )?(?:actually )?(?:on |in |at )?(?P<right>{_THING}),? (?:and )?not (?:on |in |at"
    rf" )?(?P<wrong>{_THING})[.!]*$",
    re.IGNORECASE,
)
_NOT_BUT = re.compile(
    rf"^{_SORRY}*(?:it(?: is|'s) )?not (?:on |in |at )?(?P<wrong>{_THING})(?:,? but|[,;:]| -| —|\.) "
    rf"(?:{_IT_IS} )?(?P<right>{_THING})[.!]*$",
    re.IGNORECASE,
)
_MIXED_UP = re.compile(
    rf"^{_SORRY}*(?:when )?I (?:said|wrote|typed) (?P<wrong>{_THING}),? (?:but )?(?:I )?(?:meant|it(?:"
    rf" is|'s)(?: actually)?)"
    rf" (?P<right>{_THING})[.!]*$",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    rf"^{_SORRY}+(?:{_IT_IS} )?(?:on |in |at )?(?P<right>[\w ]{{3,30}}?)[.!]*$", re.IGNORECASE
)
