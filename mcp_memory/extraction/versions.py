"""Which version of a thing is in use."""

from __future__ import annotations

from mcp_memory.extraction.forms import BE, END, HAVE, Form, Match, Statement, form, is_name
from mcp_memory.extraction.people import Who
from mcp_memory.extraction.phrases import WORD, named


def _released(match: Match) -> list[Statement]:
    thing = match["thing"] or match["thing2"]
    version = match["version"] or match["version2"]
    return (
        [] if match.said.is_ahead or not is_name(thing) else [version_of(named(thing), version.rstrip("."))]
    )


def _upgraded(match: Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    thing, version = named(match["thing2"] or match["thing"]), match["version"].rstrip(".")
    return [version_of(thing, version)] if is_name(thing) else []


def version_of(thing: str, version: str) -> Statement:
    """The version of a thing that is in use now; of the thing, not of who uses it."""
    return Statement(
        f"is at version {version}", "fact", slot="has version", importance=0.6, subject=Who(thing, "product")
    )


FORMS: tuple[Form, ...] = (
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
        rf"(?:{BE} (?:now )?(?:on|using|running)|use|uses|run|runs) (?P<thing>{WORD}(?: {WORD})?) "
        rf"(?:version |v)?(?P<version>\d+(?:\.[\w.]+)?){END}",
        _upgraded,
    ),
)
"""The first that fits decides."""
