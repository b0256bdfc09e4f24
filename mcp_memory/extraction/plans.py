"""What somebody plans and wishes, and what they plan no longer."""

from __future__ import annotations

import re

from mcp_memory.extraction.entities import UPPER, FoundEntity
from mcp_memory.extraction.forms import BE, END, HAVE, PLACE, Form, Match, Statement, form, is_name
from mcp_memory.extraction.homes import AWAY, FROM, NOT_A_PLACE
from mcp_memory.extraction.phrases import event_key, named, object_key, plan_key, self_contained


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
            or (verb in _NOT_PLANNED_ING and not (verb == "having" and _SOCIAL.match(what)))
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


_SOCIAL = re.compile(
    r" (?:an? |some |my |our )?(?:[a-z]+ )?(?:dinner|lunch|brunch|breakfast|coffee|drinks|party|guests"
    r"|people|friends|barbecue)\b"
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
    if words is None or (key := event_key(words)) is None:
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
    key = plan_key(
        re.sub(r"\s(?:after all|any ?more|any longer|instead)\b.*$", "", match["what"])
    ) or plan_key(text)
    if words is None or key is None:
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


def _given_up(match: Match) -> list[Statement] | None:
    """ "Pulled out of the marathon", "dropped the idea of learning Dutch"."""
    if match["what"] and re.match(r"(?:\w+ )?(?:ditched|dropped|abandoned)", match.group()):
        return None
    if re.match(rf"(?:{HAVE} )?(?:gave|given) up on [{UPPER}]", match.group()):
        # Spanish is learned, and planned by nobody.
        return None
    words = self_contained(match["what"] or match["idea"], longest=8)
    if (
        (match.said.is_ahead and not match.said.has_time)
        or words is None
        or (key := event_key(words)) is None
    ):
        return None
    says = f"no longer plans {'to ' if words.split()[0].endswith('ing') else ''}{_base(words)}"
    return [Statement(says, "plan", slot=f"plan: {key}", negates=True, importance=0.6, dated="undated")]


def _signed_up(match: Match) -> list[Statement] | None:
    """ "Signed up for the marathon in May": the time is that of the marathon."""
    words = self_contained(match["what"], longest=10)
    if not match.said.is_ahead or words is None or (key := plan_key(words)) is None:
        return None
    says = f"{match['verb']} {words}"
    return [Statement(says, "plan", slot=f"plan: {key}", importance=0.5, dated="plan")]


def _each_week(match: Match) -> list[Statement] | None:
    """ "Have a class on Thursdays"."""
    words = self_contained(match["what"], longest=6)
    if words is None or (key := plan_key(words)) is None:
        return None
    days = weekdays_in(match["days"])
    says = f"has {words} on {match['days']}"
    return [Statement(says, "fact", slot=f"days of: {key}", importance=0.5, dated="undated", value=days)]


def weekdays_in(text: str) -> str:
    """Which days of the week a text names, however it does."""
    return " ".join(day for day in _WEEKDAYS if re.search(rf"\b{day}", text.lower()))


_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = rf"(?:{'|'.join(one.capitalize() for one in _WEEKDAYS)})"
DAYS = rf"{_WEEKDAY}s(?:(?:, | and |, and ){_WEEKDAY}s)*"
EACH_WEEK = rf"(?:on {DAYS}|(?:on )?every (?:other )?{_WEEKDAY}(?:(?: and | and every ){_WEEKDAY})*)"


def _base(words: str) -> str:
    first, _, rest = words.partition(" ")
    return f"{_BASES.get(first) or first.removesuffix('ing')} {rest}".strip()


_BASES = {"moving": "move", "travelling": "travel", "running": "run", "having": "have", "taking": "take"}


def _is_withdrawn(match: Match) -> bool:
    """Whether a plan is given up, and not merely a habit denied."""
    return (
        match.said.is_ahead
        or "decided" in match.group()
        or re.match(r"(?:am|is|are) not \w+ing (?:the|my|our) ", match.group()) is not None
        or "will not be" in match.group()
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
        rf"(?:{HAVE} )?(?:had to )?(?:call(?:ed)? off|cancell?ed|cancel|scrapped|dropped) "
        r"(?P<what>(?:the|my|our|their|his|her) (?!(?:whole )?(?:idea|plans?) (?:of|to|for)).+)",
        _cancelled,
    ),
    form(
        rf"(?:{BE} (?:not|no longer) (?:going to|planning to|planning on)|will not be|will not"
        rf"|(?:have |has )?decided not to|(?:have |has )?decided against|{BE} not|{BE} no longer) "
        r"(?P<verb>go|going|move|moving"
        r"|visit|visiting|travel|travelling|traveling|attend|attending|run|running|fly|flying|adopt|adopting|join|joining|do|doing|take"
        r"|taking|buy|buying|have|having)\b ?(?P<what>.*)",
        lambda match: _not_going(match) if _is_withdrawn(match) else [],
    ),
    form(
        rf"(?:{HAVE} )?(?:had to )?(?:decided against|pull(?:ed)? out of|back(?:ed)? out of|bail(?:ed)? on"
        r"|(?:give|gave|given) up on|scrap(?:ped)?|shelved?|called off|call off|ditched|abandoned"
        r"|cancel(?:l?ed)?"
        r"|changed (?:my|our|their) minds? about|dropped|withdrew from|withdrawn from) "
        r"(?:(?:the|my|our|their|his|her) (?:whole )?(?:idea|plans?) (?:of|to|for) (?P<idea>.+)"
        rf"|(?P<what>(?:(?:the|my|our|his|her|their) |(?=[{UPPER}])|(?:going|moving|travell?ing|flying)"
        rf" to ).+))",
        _given_up,
    ),
    form(
        rf"(?:{HAVE} )?(?P<verb>signed up for|registered for|booked(?: tickets (?:to|for))?|entered"
        r"|got tickets (?:to|for)|have tickets (?:to|for)|has tickets (?:to|for)|bought tickets (?:to|for)) "
        r"(?P<what>(?:the|an?|my|our|their) .+)",
        _signed_up,
    ),
    form(rf"{HAVE} (?P<what>(?:an?|my|our|their) [\w' -]{{2,40}}?) (?P<days>{EACH_WEEK}){END}", _each_week),
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
