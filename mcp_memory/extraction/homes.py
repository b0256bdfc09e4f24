"""Where somebody lives, moved to and comes from."""

from __future__ import annotations

import re
from dataclasses import replace

from mcp_memory.extraction.entities import FoundEntity
from mcp_memory.extraction.forms import (
    BE,
    END,
    HAVE,
    PLACE,
    Form,
    Match,
    Statement,
    form,
    is_name,
    with_article,
)
from mcp_memory.extraction.phrases import NAME, named

NOT_A_PLACE = re.compile(
    r"\s(?:team|department|division|office|project|group|side|branch|tier|plan|mode|version|server"
    r"|cluster|room|"
    r"model|app|platform|account|database|stack|board|list|folder|column|tab|page|section|stage|level"
    r"|phase|round|"
    r"class|squad|track|role|position)\b"
)


def _lives(match: Match) -> list[Statement]:
    place = match["place"]
    if not is_name(place) or NOT_A_PLACE.match(match.said.rest, match.end()):
        return []
    if match["perfect"] and not match.said.lasts:
        return []
    says = "has lived in" if match.said.lasts else "lives in"
    return [_living(f"{says} {with_article(match)}{place}{match['further']}", place)]


def _living(says: str, place: str) -> Statement:
    return Statement(says, "fact", "lives in", FoundEntity(named(place), "place"), "lives in", importance=0.7)


def _moved(match: Match) -> list[Statement]:
    place = match["place"]
    if not is_name(place) or NOT_A_PLACE.match(match.said.rest, match.end()) or match.said.is_ahead:
        return []
    return [_living(f"moved to {with_article(match)}{place}{match['further']}", place)]


def _is_from(match: Match) -> list[Statement]:
    place = match["place"]
    if not is_name(place) or NOT_A_PLACE.match(match.said.rest, match.end()):
        return []
    entity = FoundEntity(named(place), "place")
    return [Statement(f"is from {with_article(match)}{place}", "fact", "is from", entity, dated="undated")]


def _comes_from(match: Match) -> list[Statement]:
    place = match["place"]
    if not is_name(place):
        return []
    verb = "was born in" if "born" in match["verb"] else "grew up in"
    entity = FoundEntity(named(place), "place")
    says = f"{verb} {with_article(match)}{place}{match['further']}"
    return [Statement(says, "fact", verb, entity, verb if "born" in verb else None, dated="event")]


def _lived(match: Match) -> list[Statement]:
    """ "Used to live in Berlin": wherever they live now, it is not there."""
    place = match["place"]
    if not is_name(place):
        return []
    says = "used to live in" if "used to" in match.group() else "no longer lives in"
    return [replace(_living(f"{says} {place}", place), negates=True, importance=0.5)]


AWAY = r"(?: (?:back|out|down|over|up|here|away|house|home|all the way|again|in))*"


FROM = rf"(?: from (?:the )?{NAME}(?:, {NAME})?)?"


_WITHIN = (
    r"(?:(?:alone|together|here|permanently|full[- ]time|with [\w' -]{1,40}?) )?(?:in (?:an?|the"
    r"|my|our) [\w' -]{1,40}? )?"
)


FORMS: tuple[Form, ...] = (
    form(
        rf"(?:{BE} (?:living|based|residing|located)|lives?|resides?|(?P<perfect>{HAVE} "
        rf"(?:been living|lived|been based|resided))) {_WITHIN}in {PLACE}",
        _lives,
    ),
    form(
        r"(?:(?:used to live|no longer lives?|(?:do|does) not live"
        rf"|{BE} no longer living) {_WITHIN}in {PLACE})",
        _lived,
    ),
    form(
        rf"(?:{HAVE} )?(?:moved|relocated|emigrated|immigrated)"
        rf"(?: with [\w' ]{{1,30}}?)?{AWAY}{FROM}{AWAY} to {PLACE}",
        _moved,
    ),
    form(rf"(?:{HAVE} )?(?:settled|settled down) in {PLACE}", _moved),
    form(rf"(?P<verb>grew up|was born|were born|was raised) in {PLACE}", _comes_from),
    form(rf"{BE} (?:based out of|based at) {PLACE}(?P<perfect>)", _lives),
    form(rf"{BE} (?:originally )?from {PLACE}{END}", _is_from),
)
"""The first that fits decides."""
