"""Whom somebody is married to or loves, whom they have, and how old they are."""

from __future__ import annotations

import re

from mcp_memory.extraction.entities import FoundEntity
from mcp_memory.extraction.forms import BE, END, HAVE, Form, Match, Statement, form, is_name
from mcp_memory.extraction.people import PETS
from mcp_memory.extraction.phrases import NAME, named, singular


def _single(_: Match) -> list[Statement]:
    return [Statement("is single", "fact", slot="is partner of", negates=True, importance=0.6)]


def _married(match: Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    name = match["who"]
    if not is_name(name):
        return []
    return [
        _spouse(
            f"is married to {name}" if match.group().startswith(("am", "is", "are")) else f"married {name}",
            name,
        )
    ]


def _spouse(says: str, name: str) -> Statement:
    return Statement(
        says,
        "fact",
        "is married to",
        FoundEntity(named(name), "person"),
        "is married to",
        importance=0.7,
    )


def _dating(match: Match) -> list[Statement]:
    name = match["who"]
    if not is_name(name):
        return []
    entity = FoundEntity(named(name), "person")
    how = "engaged to" if "engaged" in match.group() else "dating"
    return [Statement(f"is {how} {name}", "fact", "is partner of", entity, "is partner of", importance=0.6)]


def _divorced(match: Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    return [Statement("got divorced", "fact", slot="is married to", negates=True, importance=0.7)]


def _broke_up(match: Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    name = match["who"] or ""
    says = f"broke up with {name}" if is_name(name) else "broke up with their partner"
    entity = FoundEntity(named(name), "person") if is_name(name) else None
    return [
        Statement(
            says,
            "fact",
            "is partner of" if entity else None,
            entity,
            "is partner of",
            negates=True,
            importance=0.65,
        )
    ]


def _aged(match: Match) -> list[Statement]:
    age = int(match["age"])
    if not 0 < age < 120 or match.said.is_ahead:
        return []
    return [Statement(f"is {age} years old", "fact", slot="is aged", importance=0.55, dated="undated")]


_PET = "|".join(sorted(PETS, key=len, reverse=True))


_FAMILY = (
    "sisters?|brothers?|siblings?|sons?|daughters?|kids?|child|children|twins|grandchildren"
    "|nephews?|nieces?|cousins?"
)


def _has(match: Match) -> list[Statement]:
    words, names = match["what"], match["names"]
    if not names and (
        number := _NUMBERS.get(words.split()[0], words.split()[0] if words[0].isdigit() else "")
    ):
        slot = f"number of {_noun(words)}"
        return [Statement(f"has {words}", "fact", slot=slot, importance=0.55, value=number)]
    if not names:
        return [Statement(f"has {words}", "fact", importance=0.55)]
    noun = _noun(words)
    predicate = "has pet" if noun in PETS else f"has {noun}"
    others = [
        FoundEntity(named(name), "concept" if noun in PETS else "person")
        for name in re.split(r",? and |, ", names)
    ]
    says = f"has {words} named {names}"
    return [Statement(says, "fact", predicate, others[0], importance=0.6, entities=tuple(others))]


_NUMBERS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}


def _got_married(match: Match) -> list[Statement]:
    """To whom it does not say."""
    if match.said.is_ahead:
        return []
    return [Statement("got married", "fact", slot="is married to", importance=0.65, value="")]


def _died(match: Match) -> list[Statement] | None:
    if match.said.is_ahead:
        return None
    says = "passed away" if "passed" in match.group() else "died"
    return [Statement(says, "event", importance=0.7, dated="event")]


def _had_baby(match: Match) -> list[Statement] | None:
    if match.said.is_ahead:
        return None
    name = match["name"] if match["name"] and is_name(match["name"]) else ""
    child = match["child"] or "baby"
    says = f"had a {child}{f' named {name}' if name else ''}"
    others = (FoundEntity(named(name), "person"),) if name else ()
    return [Statement(says, "event", importance=0.6, dated="event", entities=others)]


def _noun(words: str) -> str:
    return singular(words.rsplit(maxsplit=1)[-1].lower())


FORMS: tuple[Form, ...] = (
    form(rf"{BE} (?:engaged to|in a relationship with|together with) (?P<who>{NAME}){END}", _dating),
    form(rf"{BE} single{END}", _single),
    form(rf"(?:{BE} married to|married|got married to) (?P<who>{NAME}){END}", _married),
    form(rf"{BE} (?:dating|seeing) (?P<who>{NAME}){END}", _dating),
    form(rf"(?:{HAVE} )?(?:passed away|died)(?:{END}| (?:peacefully|suddenly)\b)", _died),
    form(
        rf"(?:{HAVE} )?(?:just )?had (?:an?|our|their|her) "
        r"(?P<child>(?:baby|boy|girl|son|daughter)(?: boy| girl)?)"
        rf"(?:,? (?:(?:named|called) )?(?P<name>{NAME}))?{END}",
        _had_baby,
    ),
    form(
        rf"{HAVE} (?:an? )(?:new )?(?P<who>boyfriend|girlfriend|partner|fiancée?){END}",
        lambda match: [
            Statement(f"has a {match['who']}", "fact", slot="is partner of", importance=0.55, value="")
        ],
    ),
    form(rf"(?:{HAVE} )?(?:got|gotten) married{END}|{BE} married{END}", _got_married),
    form(rf"(?:got|{BE}|{HAVE} gotten|{HAVE}) divorced\b", _divorced),
    form(rf"(?:{HAVE} )?(?:separated|split up with (?:my|their) (?:husband|wife)){END}", _divorced),
    form(
        rf"(?:broke|split) up(?: with (?:my \w+(?: )?)?(?P<who>{NAME})?)?"
        rf"(?:{END}|,| (?:because|after|and|but|when)\b)",
        _broke_up,
    ),
    form(rf"(?:{BE}|just turned|turned) (?P<age>\d{{1,3}})(?: years old| years of age)?{END}", _aged),
    form(rf"(?:{BE} )(?P<age>\d{{1,3}})(?: years old| yo\b| years of age)", _aged),
    form(
        rf"{HAVE} (?P<what>(?:an?|one|two|three|four|five|\d) (?:\w+ ){{0,3}}(?:{_FAMILY}|"
        rf"(?:{_PET})s?))(?:(?: (?:named|called)|,|:) (?P<names>{NAME}(?:(?:,|,? and) {NAME})*))?{END}",
        _has,
    ),
    form(
        rf"(?:{HAVE} )?(?:adopted|got|bought) (?P<what>an? (?:\w+ ){{0,3}}(?:{_PET}))(?: (?:named|called) "
        rf"(?P<names>{NAME})){END}",
        _has,
    ),
)
"""The first that fits decides."""
