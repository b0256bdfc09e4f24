"""The forms that English clauses take: a pattern, and what it states; and the parts that patterns share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from mcp_memory.extraction.entities import FoundEntity
from mcp_memory.extraction.people import Who
from mcp_memory.extraction.phrases import NAME, NEVER_NAMES, named
from mcp_memory.models import Kind

Dated = Literal["state", "event", "plan", "undated"]
"""What a time in the clause tells: since when it is so, when it happened, when it will."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing said of a subject; its text is the subject's name, `says`, and the time."""

    says: str
    kind: Kind
    predicate: str | None = None
    object: FoundEntity | None = None
    slot: str | None = None
    negates: bool = False
    importance: float = 0.5
    dated: Dated = "state"
    subject: Who | None = None
    """Another than the clause's."""
    entities: tuple[FoundEntity, ...] = ()
    whole: str | None = None
    """The text, where it is not of the form above."""
    value: str | None = None
    """As of a found fact."""


@dataclass(frozen=True, slots=True)
class Said:
    """A clause without its subject and its times, and what is known beside it."""

    rest: str
    employers: frozenset[str] = frozenset()
    """Keys of names that are known to employ somebody."""
    speaks_of_work: bool = False
    """Whether the turn is about a job, so that one joins and leaves employers in it."""
    is_ahead: bool = False
    """Whether the clause's time lies after it was said."""
    has_time: bool = False
    lasts: bool = False
    """Whether the time is a stretch up to now: "for two years", "since May"."""
    is_long: bool = False
    """Whether that stretch is of months, and no visit."""
    is_now: bool = False
    """Whether it says that it is so by now: "these days"."""
    is_over: bool = False
    """Whether it says that it was so until now: "no longer", "any more", "after all"."""
    speaks_of_home: bool = False
    """Whether the turn is about where one lives, so that being somewhere is living there."""
    speaks_of_tools: bool = False
    """Whether the turn is about software and services, so that one moves from one of them to another."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a form found in a clause."""

    raw: re.Match[str]
    said: Said

    def __getitem__(self, group: str) -> str:
        """A part; empty where the form has none."""
        return self.raw.groupdict().get(group) or ""

    def group(self) -> str:
        return self.raw.group()

    def start(self, group: str | int = 0) -> int:
        return self.raw.start(group)

    def end(self) -> int:
        return self.raw.end()


Read = Callable[[Match], list[Statement] | None]
"""Of what a pattern found; None where, looked at closely, it is another form."""


@dataclass(frozen=True, slots=True)
class Form:
    pattern: re.Pattern[str]
    read: Read = field(repr=False)


def form(pattern: str, read_it: Read) -> Form:
    return Form(re.compile(pattern), read_it)


PLACE = rf"(?:the )?(?P<place>{NAME})(?P<further>(?:, {NAME}){{0,2}})"


ORG = rf"(?:the |a company called |a startup called )?(?P<org>{NAME})"


ROLE = (
    r"(?:an? |the |their |our )?(?P<role>(?!the\b)[A-Za-z][\w/-]*(?: (?!at\b|for\b|with\b|in\b"
    r"|and\b|on\b|by\b|but\b|to\b|from\b|there\b|here\b|who\b|that\b)[\w/-]+){0,4})"
)


BE = r"(?:am|is|are)"


HAVE = r"(?:have|has)"


END = r"(?=[\s.!,]*$)"


def is_name(name: str) -> bool:
    return len(named(name)) > 1 and named(name).casefold() not in NEVER_NAMES


def with_article(match: Match) -> str:
    written = match.group()
    return "the " if written[: match.start("place") - match.start()].endswith("the ") else ""


SPEAKS_OF_TOOLS = re.compile(
    r"\b(?:apps?|tools?|chats?|channels?|tickets?|software|browsers?|editors?|databases?|servers?|repos?|repository|code|deploy"
    r"\w*|pipelines?|framework|stack|cloud|hosting|subscriptions?|accounts?|provider|bank(?:ing)?|plugins?|notes"
    r"|tracker|calendar|workflow|platform|passwords?|spreadsheets?|backend|frontend|website|docs|streaming"
    r"|search engine|operating system|laptop|phone|migrat\w+)\b",
    re.IGNORECASE,
)
