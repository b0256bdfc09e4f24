"""What somebody has that has a name of its own, and what they have no more."""

from __future__ import annotations

from mcp_memory.extraction.entities import UPPER, FoundEntity
from mcp_memory.extraction.forms import END, HAVE, Form, Match, Statement, form
from mcp_memory.extraction.phrases import NEVER_NAMES, object_key, self_contained

MAKE = rf"(?:[{UPPER}][\w'&.+-]{{1,40}}|[ei][A-Z][a-z]{{2,20}})(?: (?:[{UPPER}\d][\w.+-]{{0,20}})){{0,3}}"
"""What a thing is called by who makes it: "Volvo V60", "iPhone 12"."""


def slot_of(key: str) -> str:
    """Who drives a car has it, and who sold it does neither."""
    return f"has: {key}"


def _has(match: Match) -> list[Statement] | None:
    thing = match["thing"]
    if match.said.is_ahead or match.said.has_time or not _is_made(thing):
        return None
    return [_having(thing)]


def _having(thing: str) -> Statement:
    article = "an" if thing[0].lower() in "aeiou" else "a"
    key = object_key(thing) or thing.casefold()
    target = FoundEntity(thing, "product")
    return Statement(f"has {article} {thing}", "fact", "has", target, slot_of(key), importance=0.5)


def _is_made(thing: str) -> bool:
    """Whether it is a make, of more words than one or well known."""
    first, *others = thing.split()
    if first.casefold() in NEVER_NAMES or thing.casefold() in _NO_MAKES:
        return False
    return bool(others) or first.casefold() in _MAKES


_NO_MAKES = frozenset({"big mac", "happy meal"})
_MAKES = frozenset(
    """
    audi bmw chevrolet citroen dacia fiat ford honda hyundai jaguar jeep kia lexus mazda mercedes mini nissan
    opel peugeot porsche renault seat skoda subaru suzuki tesla toyota vespa volkswagen volvo
    chromebook fitbit ipad iphone imac kindle macbook nintendo peloton playstation roomba xbox
    """.split()
)
"""Of one word, as others are a drink, a degree or a ride."""


def _gone(match: Match) -> list[Statement] | None:
    """ "Sold the Volvo", "traded in my Volvo for a Tesla", "sold my car"."""
    words = self_contained(f"the {match['thing']}", longest=6)
    if match.said.is_ahead or words is None or (key := object_key(words)) is None:
        return None
    verb, whose = match["verb"], "the" if match["whose"] == "the" else "their"
    # A thing by its common name is "their car", whichever it was.
    is_common = match["thing"].islower() and whose == "their"
    slot = f"own {key}" if is_common else slot_of(key)
    says = f"{verb} {whose} {match['thing']}"
    new = match["new"]
    if new:
        says += f" for {match['article']}{new}"
    # The day it went is no end of its being gone.
    gone = Statement(says, "event", None, None, slot, negates=True, importance=0.45)
    return [gone, _having(new)] if new and _is_made(new) else [gone]


FORMS: tuple[Form, ...] = (
    form(
        rf"(?:{HAVE}(?: got)?|owns?) an? (?:(?:brand )?new |used |second-?hand |old )?(?P<thing>{MAKE}){END}",
        _has,
    ),
    form(
        rf"(?:{HAVE} )?(?P<verb>sold|traded in|gave away|given away|donated|got rid of|scrapped) "
        rf"(?P<whose>the|my|our) (?:old )?(?P<thing>{MAKE}|[a-z]+)"
        rf"(?: for (?P<article>an? )(?:new |used )?(?P<new>{MAKE}))?{END}",
        _gone,
    ),
)
"""The first that fits decides."""
