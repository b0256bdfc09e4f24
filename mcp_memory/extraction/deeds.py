"""What somebody did."""

from __future__ import annotations

from mcp_memory.extraction.entities import FoundEntity
from mcp_memory.extraction.forms import END, HAVE, PLACE, Form, Match, Statement, form, is_name, with_article
from mcp_memory.extraction.phrases import named, self_contained
from mcp_memory.extraction.verbs import DEEDS, IRREGULAR


def _visited(match: Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    place = match["place"]
    if not is_name(place):
        return []
    says = (
        "has been to"
        if "been" in match["verb"]
        else match["verb"].split()[-1]
        if match["verb"].split()[-1] != "to"
        else match["verb"]
    )
    preposition = (
        ""
        if says.startswith(("visited", "has been", "toured", "explored")) or says.endswith(" to")
        else " to"
    )
    entity = FoundEntity(named(place), "place")
    article = with_article(match)
    return [
        Statement(
            f"{says}{preposition} {article}{place}{match['further']}",
            "event",
            "visited",
            entity,
            importance=0.5,
            dated="event",
        )
    ]


def _happened(match: Match) -> list[Statement]:
    """Something done: the past of a verb is the same for all persons."""
    if match.said.is_ahead:
        return []
    verb = match["verb"]
    if verb in _NO_EVENT:
        return []
    words = self_contained(match["what"], longest=14)
    if words is None or len(words.split()) < 2 or not (match.said.has_time or verb in DEEDS):
        return []
    return [Statement(f"{verb} {words}", "event", importance=0.4, dated="event", entities=())]


_NO_EVENT = frozenset(
    """
    used wanted needed seemed looked liked loved hated enjoyed preferred hoped wished tried wondered noticed
    realized realised figured decided considered thought felt knew believed guessed supposed mentioned asked
    said told appreciated expected assumed agreed imagined remembered forgot had got heard interested excited
    tired confused worried concerned based related supposed allowed called named married moved stopped saw
    """.split()
)


def _got(match: Match) -> list[Statement]:
    """ "Got a kayak yesterday": without a time it says what one has, or how one is."""
    words = self_contained(match["what"], longest=10)
    if match.said.is_ahead or not match.said.has_time or match.said.lasts or words is None:
        return []
    return [Statement(f"got {words}", "event", importance=0.4, dated="event")]


def _undergone(match: Match) -> list[Statement]:
    """ "Was spayed yesterday", "got stolen last night"."""
    if match.said.is_ahead or not match.said.has_time or match.said.lasts or match["verb"] in _NO_EVENT:
        return []
    where = self_contained(match["where"], longest=8) if match["where"] else ""
    if where is None:
        return []
    return [Statement(f"was {match['verb']} {where}".strip(), "event", importance=0.4, dated="event")]


_UNDERGONE = "stolen|broken|bitten|hurt|hit|sold|born|found|lost|built|taken|given|sent|torn|shot|run over"

FORMS: tuple[Form, ...] = (
    form(
        rf"(?P<verb>visited|went to|travell?ed to|flew to|{HAVE} been to|drove to|toured"
        rf"|{HAVE} visited|took a trip to) {PLACE}",
        _visited,
    ),
    form(
        rf"(?:(?:was|were|got|{HAVE} been) )(?:just |finally )?(?P<verb>[a-z]{{3,14}}ed|{_UNDERGONE})"
        rf"(?: (?P<where>(?:from|in|at|by|on|near|outside) .+)|{END})",
        _undergone,
    ),
    form(rf"(?:{HAVE} )?got (?P<what>(?:an?|the|my|our|his|her|their) (?:new )?.+)", _got),
    form(rf"(?:{HAVE} )?(?P<verb>[a-z]{{3,14}}ed|{'|'.join(sorted(IRREGULAR))}) (?P<what>.+)", _happened),
)
"""The first that fits decides."""
