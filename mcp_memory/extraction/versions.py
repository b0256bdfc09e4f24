"""Which version of a thing is in use."""

from __future__ import annotations

from mcp_memory.extraction.forms import BE, END, HAVE, Form, Match, Statement, form, is_name
from mcp_memory.extraction.people import Who
from mcp_memory.extraction.phrases import WORD, named
from mcp_memory.models import name_key


def _released(match: Match) -> list[Statement]:
    thing = match["thing"] or match["thing2"]
    version = match["version"] or match["version2"]
    return (
        [] if match.said.is_ahead or not is_name(thing) else [version_of(named(thing), version.rstrip("."))]
    )


def _upgraded(match: Match) -> list[Statement] | None:
    if match.said.is_ahead:
        return []
    thing, version = named(match["thing2"] or match["thing"]), match["version"].rstrip(".")
    return [version_of(thing, version)] if is_name(thing) else None


def _by_host(match: Match) -> list[Statement] | None:
    """ "Updated my phone to iOS 17": of many hosts each has its own."""
    if match.said.is_ahead or not is_name(match["thing"]):
        return []
    return [version_on(match["host"], named(match["thing"]), match["version"].rstrip("."))]


def version_on(host: str, thing: str, version: str) -> Statement:
    """The version that runs on one of somebody's things; wherever there can be but one of it, of the"
    " thing."""
    if host.rsplit(maxsplit=1)[-1] in _THE_ONE:
        return version_of(thing, version)
    says, slot = f"has {thing} {version} on their {host}", f"version of {name_key(thing)} on {host}"
    return Statement(says, "fact", slot=slot, importance=0.6, value=version)


_THE_ONE = frozenset(
    "database db project app stack backend codebase production prod company team site website service api "
    "infrastructure everything cluster frontend product application".split()
)


def version_of(thing: str, version: str) -> Statement:
    """The version of a thing that is in use now; of the thing, not of who uses it."""
    return Statement(
        f"is at version {version}",
        "fact",
        slot="has version",
        importance=0.6,
        subject=Who(thing, "product"),
        value=version.lower(),
    )


_RAISED = (
    r"(?:have |has )?(?:had to |managed to |finally )?(?:upgraded?|updated?|migrated?|moved?|bump(?:ed)?"
    r"|switch(?:ed)?"
    r"|went|downgraded?|roll(?:ed)?|revert(?:ed)?|go|gone)"
)


FORMS: tuple[Form, ...] = (
    form(
        rf"{_RAISED} (?:(?:my|our|the|their) )?(?P<host>(?!to\b|from\b|back\b|over\b|up\b)(?:[a-z]+(?:"
        rf" [a-z]+)?|Mac|iPhone|iPad))(?: from [\w. ]{{2,30}}?)? to "
        rf"(?P<thing>{WORD}(?: {WORD})?|[a-z]{{1,4}}[A-Z]\w*) (?:version |v)?(?P<version>\d[\w.]*)",
        _by_host,
    ),
    form(
        rf"{_RAISED}(?: back| over| up)? from (?P<thing>{WORD}(?: {WORD})?) (?:version |v)?\d[\w.]* to "
        rf"(?:(?P<thing2>{WORD}) )?(?:version |v)?(?P<version>\d[\w.]*)",
        _upgraded,
    ),
    form(
        rf"{_RAISED}(?: the)? (?P<thing>{WORD}(?: {WORD})?) (?:back|down|up) to (?:version "
        rf"|v)?(?P<version>\d[\w.]*)",
        _upgraded,
    ),
    form(
        rf"{_RAISED}(?: back| over| up)? to (?P<thing>{WORD}(?: {WORD})?) (?:version "
        rf"|v)?(?P<version>\d[\w.]*)",
        _upgraded,
    ),
    form(
        rf"(?:{HAVE} )?(?:upgraded|updated|migrated|moved|bumped|switched|went|downgraded|rolled back)"
        r"(?: (?:the )?"
        rf"(?P<thing>{WORD}(?: {WORD})?))?(?: from (?:{WORD} )?[vV]?\d[\w.]*)? to (?P<thing2>{WORD}"
        rf"(?: {WORD})? )?"
        r"(?:version |v)?(?P<version>\d[\w.]*)",
        _upgraded,
    ),
    form(
        rf"(?:{HAVE} )?(?:upgraded|updated|bumped) to (?P<thing>{WORD}(?: {WORD})?) (?P<version>\d[\w.]*)",
        _upgraded,
    ),
    form(
        rf"(?:{HAVE} )?(?:released|shipped|launched|published|deployed|rolled out)(?: the)? (?:"
        rf"(?:version |v)?(?P<version>\d[\w.]*) of (?:the )?(?P<thing>{WORD}(?: {WORD})?)|"
        rf"(?P<thing2>{WORD}(?: {WORD})?) (?:version |v)?(?P<version2>\d[\w.]*)){END}",
        _released,
    ),
    form(
        rf"(?:{BE} (?:now |still )?(?:on|using|running|pinned to|at)|use|uses|run|runs)"
        rf" (?P<thing>{WORD}(?: {WORD})?) "
        rf"(?:version |v)?(?P<version>\d+(?:\.[\w.]+)?)(?: in prod(?:uction)?)?{END}",
        _upgraded,
    ),
)
"""The first that fits decides."""
