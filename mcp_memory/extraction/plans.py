"""What somebody plans and wishes, and what they plan no longer."""

from __future__ import annotations

import re

from mcp_memory.extraction.entities import UPPER, FoundEntity
from mcp_memory.extraction.forms import BE, HAVE, PLACE, Form, Match, Statement, form, is_name
from mcp_memory.extraction.homes import AWAY, FROM, NOT_A_PLACE
from mcp_memory.extraction.phrases import named, object_key, plan_key, self_contained


def _will_move(match: Match) -> list[Statement]:
    place = match["place"]
    if not is_name(place) or NOT_A_PLACE.match(match.said.rest, match.end()):
        return []
    return [plan(f"move to {place}{match['further']}", FoundEntity(named(place), "place"))]


def plan(text: str, target: FoundEntity | None = None) -> Statement:
    key = plan_key(text.partition(" ")[2])
    return Statement(
        f"plans to {text}", "plan", slot=f"plan: {key}" if key else None, importance=0.55, dated="plan",
        entities=(target,) if target else (),
    )  # fmt: skip


def _plans(match: Match) -> list[Statement]:
    verb, what = match["verb"], match["what"]
    if verb in _NOT_PLANNED or verb.endswith("ly"):
        return []
    if match["will"] and not match.said.is_ahead:
        return []
    if match["ing"]:
        if (
            not match.said.is_ahead
            or verb in _NOT_PLANNED_ING
            or (verb == "going" and not _SOMEWHERE.match(what))
        ):
            return []
        text = f"{verb} {what}".strip()
        words = self_contained(text, longest=14)
        if words is None:
            return []
        key = plan_key(words)
        return [
            Statement(
                f"is {words}", "plan", slot=f"plan: {key}" if key else None, importance=0.55, dated="plan"
            )
        ]
    words = self_contained(f"{verb} {what}".strip(), longest=14)
    if words is None or len(words.split()) < 2:
        return []
    if "going to" in match.group() and not match.said.has_time and verb not in _LIFE:
        return []
    return [plan(words)]


def _wants(match: Match) -> list[Statement]:
    words = self_contained(f"{match['verb']} {match['what'] or ''}".strip(), longest=12)
    if words is None or match["verb"] in _NOT_WANTED or len(words.split()) < 2:
        return []
    if match["verb"] not in _LIFE or re.match(
        r"(?:learn|start|get|go) (?:more|about|how|what|with|by|into|over)\b", words
    ):
        return []
    return [Statement(f"wants to {words}", "plan", importance=0.4, dated="plan")]


_NOT_PLANNED = frozenset(
    "be need have say let see try ask give tell get know want use keep look make take check do "
    "assume guess stick miss pass need".split()
)


_NOT_PLANNED_ING = frozenset(
    "looking trying thinking wondering hoping getting having doing feeling being working planning "
    "considering using struggling writing asking wanting telling".split()
)


_SOMEWHERE = re.compile(rf" (?:to (?:the |an? |my |our |see )?[{UPPER}a-z]|on |out |back )")


_LIFE = frozenset(
    """
    visit travel move attend buy sell start go adopt marry learn study join open launch quit leave retire
    become build host run climb hike write publish volunteer switch upgrade migrate return propose apply
    enroll enrol renovate foster donate fly drive
    """.split()
)
"""What one plans and wishes for oneself, where other verbs ask something of an assistant."""


_NOT_WANTED = frozenset(
    "be know ask say see make sure understand thank share tell hear add clarify note mention find "
    "get focus use create include confirm discuss emphasize point start check let avoid explore".split()
)


def _has_date(match: Match) -> list[Statement]:
    """ "Have a dentist appointment" with a time ahead."""
    if not match.said.is_ahead:
        return []
    words = self_contained(match["what"], longest=10)
    if words is None:
        return []
    key = plan_key(words)
    return [
        Statement(f"has {words}", "plan", slot=f"plan: {key}" if key else None, importance=0.55, dated="plan")
    ]


def _cancelled(match: Match) -> list[Statement]:
    words = self_contained(match["what"], longest=10)
    if words is None or (key := plan_key(words)) is None:
        return []
    return [
        Statement(
            f"cancelled {words}", "plan", slot=f"plan: {key}", negates=True, importance=0.6, dated="undated"
        )
    ]


def _not_going(match: Match) -> list[Statement]:
    text = f"{match['verb']} {match['what'] or ''}".strip()
    text = re.sub(r"\s(?:after all|any ?more|any longer|instead)\b.*$", "", text)
    words = self_contained(text, longest=12)
    if words is None or (key := plan_key(words)) is None:
        return []
    return [
        Statement(
            f"no longer plans to {_base(words)}",
            "plan",
            slot=f"plan: {key}",
            negates=True,
            importance=0.6,
            dated="undated",
        )
    ]


def _base(words: str) -> str:
    first, _, rest = words.partition(" ")
    return f"{_BASES.get(first) or first.removesuffix('ing')} {rest}".strip()


_BASES = {"moving": "move", "travelling": "travel", "running": "run", "having": "have", "taking": "take"}


def _is_withdrawn(match: Match) -> bool:
    """Whether a plan is given up, and not merely a habit denied."""
    return (
        match.said.is_ahead
        or "decided" in match.group()
        or "no longer" in match.group()
        or re.search(r"\bany ?more\b|\bafter all\b|\binstead\b", match.said.rest) is not None
    )


def _planning(match: Match) -> list[Statement]:
    words = self_contained(match["what"], longest=10)
    if words is None or object_key(words) is None:
        return []
    key = plan_key(words)
    article = match.group().split(" planning ")[1].removeprefix("on ").split()[0]
    article = "their" if article in ("my", "our") else article
    return [
        Statement(
            f"is planning {article} {words}",
            "plan",
            slot=f"plan: {key}" if key else None,
            importance=0.5,
            dated="plan",
        )
    ]


FORMS: tuple[Form, ...] = (
    form(
        rf"(?:{BE} (?:moving|relocating)|(?:{BE} going|plan|plans|{BE} planning|decided|{BE} about"
        rf"|{BE} preparing|will)(?: to)? (?:move|relocate)){AWAY}{FROM} to {PLACE}",
        _will_move,
    ),
    form(
        rf"(?:called off|cancelled|canceled|scrapped|{HAVE} cancelled|{HAVE} canceled|had to cancel"
        r"|dropped) (?P<what>(?:the|my|our) .+)",
        _cancelled,
    ),
    form(
        rf"(?:{BE} (?:not|no longer) (?:going to|planning to|planning on)|will not be|will not"
        rf"|(?:have |has )?decided not to|(?:have |has )?decided against|{BE} not|{BE} no longer) "
        r"(?P<verb>go|going|move|moving"
        r"|visit|visiting|travel|travelling|traveling|attend|attending|run|running|do|doing|take"
        r"|taking|buy|buying|have|having)\b ?(?P<what>.*)",
        lambda match: _not_going(match) if _is_withdrawn(match) else [],
    ),
    form(
        rf"(?:{BE} (?:going|planning|about|set|scheduled) to|plans? to|intends? to|have plans to|"
        r"(?P<will>will)) (?P<verb>(?!an?\b|the\b|my\b|our\b|some\b)[a-z]+)(?P<what> .+)?",
        _plans,
    ),
    form(
        rf"{BE} planning (?:on )?(?:an? |the |my |our )(?P<verb>)(?P<what>.+)",
        _planning,
    ),
    form(
        rf"(?P<ing>{BE}) (?P<verb>[a-z]+ing)(?P<what> .+)?",
        lambda match: _plans(match) if match.said.is_ahead else None,
    ),
    form(
        r"(?:would (?:really )?(?:like|love)|wants?|hopes?|am hoping|is hoping) to (?P<verb>[a-z]+)"
        r"(?P<what> .+)?",
        _wants,
    ),
    form(rf"{HAVE} (?P<what>(?:an?|my|our) .+)", _has_date),
)
"""The first that fits decides."""
