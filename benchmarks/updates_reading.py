"""Answers about what is true now, was true then and has changed, read as an assistant reads them: as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import Literal

FIRST = 5
"""Hits of an answer that are read."""

Place = Literal["hit", "standing", "against", "replacing", "later", "beside"]
"""A hit, a memory that holds whatever is asked, what contradicts a hit, what replaced it, what was told later
of the same thing, a turn beside it."""

_DAY = r"\d{4}-\d\d-\d\d"
_SAID = r"\[(?P<id>m_\w+)\](?P<by>[^“]*)“(?P<text>.*)”(?P<after>[^”]*)$"
_HIT = re.compile(rf"(?P<rank>\d+)\. (?:\w+ )?{_SAID}")
_STANDING = re.compile(rf"- {_SAID}")
_LATER = re.compile(rf" +later, {_DAY}: \[(?P<id>m_\w+)\](?: “(?P<text>.*)”(?P<after>[^”]*))?$")
_UNDER = re.compile(rf" +(?:(?P<word>since|but) (?P<day>{_DAY}):? )?{_SAID}")
_TRUE = re.compile(rf"\(true(?: from (?P<since>{_DAY}))?(?: until (?P<until>{_DAY}))?\)")
_MEANT = re.compile(rf"\(= ({_DAY}(?:, {_DAY})*)\)")
_CHANGE = re.compile(rf"- (?P<day>{_DAY}) (?P<word>began|ended): {_SAID}")
_TOLD = re.compile(rf"- {_DAY} told: {_SAID}")
_EARLIER = re.compile(rf" +earlier, {_DAY}: {_SAID}")
_ENTITY = re.compile(r"\[(?P<id>e_\w+)\] (?P<name>.+) \([a-z]+(?:, also (?P<aliases>.*?))?\): mentioned")
_KIND = re.compile(r"\((?!message)\w+\):")


@dataclass(frozen=True, slots=True)
class Statement:
    """A line of an answer with what it says of its truth: the day since which it is true, the day since which
    it no longer is, and the day since which something else is, which is shown under it. `meant` are the days
    that its words tell relatively."""

    memory_id: str
    text: str
    place: Place
    is_drawn: bool
    """Whether it is a fact, a preference and so on, and not somebody's words."""
    since: date | None = None
    until: date | None = None
    replaced: date | None = None
    meant: tuple[date, ...] = ()
    later: str | None = None
    """Id of what is shown as told later of the same thing, which leaves open whether it is true no longer."""


@dataclass(frozen=True, slots=True)
class Change:
    """A line that says what began or ended, and when."""

    began: bool
    day: date
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """What was told anew, and what had been told of it before. The day on which somebody tells of a change is
    not the day of the change."""

    text: str
    earlier: str


@dataclass(frozen=True, slots=True)
class Entity:
    id: str
    name: str
    aliases: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(one.casefold() for one in (self.name, *self.aliases))


@dataclass(slots=True)
class _Block:
    """A hit with what stands under it."""

    rank: int
    statements: list[Statement] = field(default_factory=list[Statement])


def statements(answer: str, first: int = FIRST) -> list[Statement]:
    """What holds whatever is asked, and the `first` hits with all that is shown with them, best first."""
    standing: list[Statement] = []
    blocks: list[_Block] = []
    for line in answer.splitlines():
        if hit := _HIT.match(line):
            blocks.append(_Block(int(hit["rank"]), [_statement(hit, "hit")]))
        elif (later := _LATER.match(line)) and blocks:
            _put_later(blocks[-1].statements, later)
        elif (under := _UNDER.match(line)) and blocks:
            _put_under(blocks[-1].statements, under)
        elif said := _STANDING.match(line):
            standing.append(_statement(said, "standing"))
    blocks.sort(key=lambda block: block.rank)
    return [*standing, *(one for block in blocks if block.rank <= first for one in block.statements)]


def changes(answer: str) -> list[Change]:
    return [
        Change(found["word"] == "began", date.fromisoformat(found["day"]), found["text"])
        for found in map(_CHANGE.match, answer.splitlines())
        if found
    ]


def told(answer: str) -> list[Told]:
    """What an answer shows as told anew."""
    found: list[Told] = []
    for line, following in pairwise(answer.splitlines()):
        if (later := _TOLD.match(line)) and (earlier := _EARLIER.match(following)):
            found.append(Told(later["text"], earlier["text"]))
    return found


def dated(answer: str) -> Iterator[Change]:
    """What an answer's marks say of when something began and ended, as far as it is read."""
    for one in statements(answer):
        for began in (*([one.since] if one.since else []), *one.meant):
            yield Change(True, began, one.text)
        if ended := one.until or one.replaced:
            yield Change(False, ended, one.text)


def entities(answer: str) -> list[Entity]:
    return [
        Entity(
            found["id"],
            found["name"],
            tuple((found["aliases"] or "").split(", ")) if found["aliases"] else (),
        )
        for found in map(_ENTITY.match, answer.splitlines())
        if found
    ]


def _statement(found: re.Match[str], place: Place) -> Statement:
    true = _TRUE.search(found["after"])
    meant = _MEANT.search(found["after"])
    return Statement(
        memory_id=found["id"],
        text=found["text"],
        place=place,
        is_drawn=_KIND.search(found["by"]) is not None,
        since=_day(true and true["since"]),
        until=_day(true and true["until"]),
        meant=tuple(map(date.fromisoformat, meant[1].split(", "))) if meant else (),
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _put_under(block: list[Statement], found: re.Match[str]) -> None:
    match found["word"]:
        case "since":
            since = date.fromisoformat(found["day"])
            block[0] = replace(block[0], replaced=block[0].replaced or since)
            block.append(replace(_statement(found, "replacing"), since=since))
        case "but":
            block.append(_statement(found, "against"))
        case _:
            block.append(_statement(found, "beside"))


def _put_later(block: list[Statement], found: re.Match[str]) -> None:
    block[0] = replace(block[0], later=found["id"])
    # One that is a hit itself stands there in full.
    if found["text"] is not None:
        block.append(Statement(found["id"], found["text"], "later", is_drawn=False))


def is_denied(answer: str) -> bool:
    """Whether it says that nothing remembered answers the question."""
    return answer.startswith("Nothing")
