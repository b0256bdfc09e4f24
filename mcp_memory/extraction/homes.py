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
    SPEAKS_OF_TOOLS,
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


NAMES_NO_PLACE = frozenset(
    """
    premium pro plus basic standard enterprise free business starter lite gold silver platinum firefox
    chrome chromium safari brave edge opera vivaldi linux windows macos ubuntu debian fedora android ios
    gmail outlook proton protonmail fastmail slack teams discord zoom signal telegram whatsapp notion
    obsidian evernote trello jira asana github gitlab bitbucket aws azure heroku vercel netlify postgres
    postgresql mysql sqlite mongodb redis docker kubernetes react vue angular svelte django python
    typescript javascript kotlin rust vim neovim emacs vscode spotify netflix
    """.split()
)
"""What people move to and do not live in, though it is written as a place is: plans that are paid for, and
programs that are known by their name alone."""


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


def _moved(match: Match) -> list[Statement] | None:
    place = match["place"]
    tools = match.said.speaks_of_tools if match["from"] else SPEAKS_OF_TOOLS.search(match.said.rest)
    if tools and not match.said.speaks_of_home:
        return None
    if not is_name(place) or NOT_A_PLACE.match(match.said.rest, match.end()) or match.said.is_ahead:
        return []
    if place.casefold() in NAMES_NO_PLACE and not (match["further"] or match.said.speaks_of_home):
        return None
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


def _lived_once(match: Match) -> list[Statement] | None:
    """ "Lived in Paris for three years": for how long, and not since when."""
    place = match["place"]
    if not is_name(place) or match.said.is_ahead or not match.said.lasts:
        return None
    entity = FoundEntity(named(place), "place")
    says = f"lived in {with_article(match)}{place}{match['further']}"
    return [Statement(says, "fact", entities=(entity,), dated="undated")]


def _no_longer_there(match: Match) -> list[Statement] | None:
    """ "No longer in Rome", of one's home."""
    return _lived(match) if match.said.speaks_of_home and match.said.is_over else None


def _dwells(match: Match) -> list[Statement]:
    """ "Rents a flat in Rome", for no holiday."""
    if match.said.is_ahead or (match.said.has_time and not match.said.lasts):
        return []
    return _lives(match)


def _is_there(match: Match) -> list[Statement] | None:
    """ "I have been in Porto for a year": who speaks of homes, or stays long, lives there."""
    is_back = "back" in match.group() and match.said.lasts
    is_home = is_back or (match.said.speaks_of_home and (not match.said.has_time or match.said.lasts))
    if match.said.is_ahead or not (is_home or (match.said.is_long and match["been"])):
        return None
    return _lives(match)


def _moved_out(match: Match) -> list[Statement]:
    place = match["place"]
    if match.said.is_ahead or not is_name(place):
        return []
    gone = replace(_living(f"moved out of {place}", place), negates=True)
    to = match["to"]
    return [_living(f"moved to {to}", to)] if to and is_name(to) else [gone]


def _left_for(match: Match) -> list[Statement] | None:
    """ "Left Oslo for Bergen", of one's home."""
    place, to = match["place"], match["to"]
    if not match.said.speaks_of_home or match.said.speaks_of_work or match.said.is_ahead:
        return None
    return [_living(f"moved to {to}", to)] if is_name(place) and is_name(to) else []


def _at_address(match: Match) -> list[Statement]:
    """ "Live at 14 Mill Lane, Oxford"."""
    if match.said.is_ahead:
        return []
    address = match["address"].strip(" .,")
    return [
        Statement(
            f"lives at {address}", "fact", slot="has address", importance=0.7, value=address, dated="state"
        )
    ]


AWAY = r"(?: (?:back|out|down|over|up|here|away|house|home|all the way|again|in))*"


FROM = rf"(?P<from> from (?:the )?{NAME}(?:, {NAME})?)?"


_WITHIN = (
    r"(?:(?:alone|together|here|permanently|full[- ]time|with [\w' -]{1,40}?) )?(?:in (?:an?|the"
    r"|my|our) [\w' -]{1,40}? )?"
)


_DWELLING = (
    r"(?:flat|apartment|house|home|place|condo|studio|cottage|bungalow|townhouse|loft|room|duplex|houseboat"
    r"|terrace)"
)
# Of a holiday house, an office and a house that is let nobody says that it is their home.
_OWN = (
    r"(?:an?|our|their|my|the) (?:(?!holiday|summer|vacation|second|weekend|beach|rental|investment|guest"
    r"|office|ski|meeting|hotel|conference)[\w-]+ ){0,3}"
)


FORMS: tuple[Form, ...] = (
    form(
        rf"(?:rents?|{BE} renting|{BE} sharing|shares?|{HAVE}) {_OWN}{_DWELLING}"
        rf"(?: with [\w' ]{{1,30}}?)? in {PLACE}(?P<perfect>)",
        _dwells,
    ),
    form(
        rf"(?:{HAVE} )?(?:got|picked up|collected) the keys (?:to|for|of) {_OWN}{_DWELLING} in {PLACE}",
        _moved,
    ),
    form(rf"(?:{HAVE} )?moved in(?:to)?(?: with [\w' ]{{1,30}}?)?(?: {_OWN}{_DWELLING})? in {PLACE}", _moved),
    form(rf"(?:{HAVE} )?(?:made|completed|finished) (?:the|our|my|their) move to {PLACE}", _moved),
    form(
        rf"(?:{HAVE} )?moved (?:out of|away from) (?:the )?(?P<place>{NAME})(?: to (?P<to>{NAME}))?",
        _moved_out,
    ),
    form(rf"(?:{HAVE} )?left (?:the )?(?P<place>{NAME}) for (?P<to>{NAME}){END}", _left_for),
    form(rf"calls? {PLACE} home{END}(?P<perfect>)", _lives),
    form(
        rf"(?:(?P<been>{HAVE} been)|{BE})(?: living)?(?: back| settled| at home)? in"
        rf" {PLACE}(?P<perfect>)(?:{END}|,)",
        _is_there,
    ),
    form(
        rf"(?:{BE} living|lives?|(?:{HAVE} )?moved)(?: (?:at|to))? "
        rf"(?P<address>\d{{1,5}}[a-zA-Z]? {NAME}(?:, ?[\w .-]{{2,40}}){{0,3}}){END}",
        _at_address,
    ),
    form(
        rf"(?:{BE} (?:living|based|residing|located)|lives?|resides?|(?P<perfect>{HAVE} "
        rf"(?:been living|lived|been based|been settled|resided))) {_WITHIN}in {PLACE}",
        _lives,
    ),
    form(rf"lived in {PLACE}", _lived_once),
    form(rf"{BE} (?:no longer|not) in {PLACE}(?P<perfect>){END}", _no_longer_there),
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
