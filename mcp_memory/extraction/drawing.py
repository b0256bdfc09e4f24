"""Draws a fact from a statement: its words with the time worked out, whom it mentions, what it relates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mcp_memory.dates import Tense, Time, times_in
from mcp_memory.extraction import statements
from mcp_memory.extraction.entities import find_entities
from mcp_memory.extraction.facts import EITHER, FoundFact
from mcp_memory.extraction.forms import Said, Statement
from mcp_memory.extraction.people import ADVERBS, Reader, Who
from mcp_memory.models import MAX_IDENTIFIER, NewEntity, NewRelation, name_key


def said_of(who: Who, rest: str, led: Time | None, reader: Reader, *, is_olden: bool) -> list[FoundFact]:
    """What the rest of a clause states of its subject, as facts."""
    is_beside = _BESIDE.search(rest) is not None
    rest = _IN_THE_END.sub(lambda match: _PAST[match["did"]], rest)
    rest = _INNER_ADVERBS.sub(r"\1", _LEADING_ADVERBS.sub("", rest))
    if who.name != reader.me and _NOT_THIRD.match(rest) and not reader.is_they:
        return []
    if rest.startswith(("never ", "hardly ", "rarely ", "barely ")):
        rest = f"do not {rest.partition(' ')[2]}"
    tense: Tense = "future" if _AHEAD.search(rest) else "past"
    observed_at = reader.turn.observed_at
    found = times_in(rest, observed_at, tense)
    spans = [one for one in found if one.preposition not in ("before", "after", "over", "about")]
    # "From" a day that is past may also be where something comes from.
    begun = [one for one in spans if one.preposition != "from" or one.first > observed_at]
    times = spans if _since_until(spans) else begun
    bare = _TRAILING_NOW.sub("", _without(rest, times))
    time = led or (times[0] if len(times) == 1 else None)
    since_until = _since_until(times)
    is_ahead = any(one.first > observed_at for one in (*times, *([led] if led else [])))
    said = Said(
        bare,
        employers=reader.talk.employers,
        speaks_of_work=reader.speaks_of_work,
        is_ahead=is_ahead,
        has_time=bool(times or led),
        lasts=any(_lasts(one) for one in times),
        is_now=_NOW.search(rest) is not None,
        is_over=_OVER.search(rest) is not None,
        is_long=any(_lasts(one) and (one.last - one.first).days >= _LONG for one in times),
        speaks_of_home=reader.speaks_of_home,
        speaks_of_tools=reader.speaks_of_tools,
    )
    stated = statements.read(said)
    if is_beside:
        stated = [replace(one, slot=None) if one.slot in _MAY_HAVE_TWO else one for one in stated]
    if _FOR_A_TIME.search(rest) is not None:
        stated = [replace(one, slot=None) if one.slot == "lives in" else one for one in stated]
    facts: list[FoundFact] = []
    for one in stated:
        if who.name == reader.me and one.says in ("died", "passed away"):
            # Of embarrassment.
            continue
        if is_olden and one.slot is not None and one.kind == "fact":
            continue
        fact = fact_of(one, who, time, since_until, reader)
        if fact is not None:
            facts.append(fact)
    return facts


_LONG = 60
"""Days from which on being somewhere is no visit."""
_NOW = re.compile(r"\b(?:now|these days|nowadays|currently|at the moment|any ?more|any longer)\b")
_OVER = re.compile(r"\b(?:no longer|any ?more|any longer|after all)\b")
_TRAILING_NOW = re.compile(
    r"(?:,? (?:now|these days|nowadays|at the moment|right now|currently|already|lately|for good|permanently"
    r"|as of now|by now|for now|so far))+$"
)
# One who works there too works elsewhere still.
_BESIDE = re.compile(
    r"\b(?:also|too|as well|on the side|side (?:job|gig)|second (?:job|home)|(?:on|at) weekends|evenings"
    r"|sometimes|occasionally|seasonally|temporarily|in addition)\b"
)
_PAST = {
    told: past
    for past, tellings in {
        "moved": "moving|move",
        "cancelled": "cancelling|canceling|cancel",
        "quit": "quitting|quit",
        "left": "leaving|leave",
        "switched": "switching|switch",
        "gave up": "giving up|give up",
        "stopped": "stop",
        "dropped": "dropping|drop",
        "uses": "staying with|going with",
        "postponed": "postponing|postpone",
        "sold": "selling|sell",
        "downgraded": "downgrade",
        "relocated": "relocate|relocating",
        "took": "taking",
        "joined": "joining",
        "resigned": "resign",
    }.items()
    for told in tellings.split("|")
}
_IN_THE_END = re.compile(
    rf"^(?:(?:have |has )?(?:ended up|wound up)|(?:have |has )?had to|managed to)"
    rf" (?P<did>{'|'.join(_PAST)})\b"
)
_MAY_HAVE_TWO = frozenset({"works at", "works as", "studies at"})
_FOR_A_TIME = re.compile(
    r"\b(?:temporarily|seasonally|sometimes|part of the year|half the year|second home"
    r"|(?:on|at) weekends|in the (?:summers|winters))\b"
)
# "Themes like love" and "Unconditional love is" are about nobody of that name.
_NOT_THIRD = re.compile(
    r"(?:live|work|like|love|enjoy|hate|prefer|use|play|speak|drink|eat|own|study|have|am|are|do|plan"
    r"|want|hope|report|"
    r"drive|teach|collect|smoke|adore|dislike|practice)\b"
)
_AHEAD = re.compile(
    r"\bstarting\b|\b(?:signed up for|registered for|booked|entered|tickets (?:to|for))\b|"
    r"^(?:will|am|is|are|plans?|(?:have|has) (?!been\b|lived|worked|had)|wants?|would|intends?|hopes?"
    r"|do not|no longer)\b|\btomorrow\b|\bnext\b"
)


def _lasts(time: Time) -> bool:
    return time.preposition == "since" or time.expression.lower().startswith(
        ("for ", "the past", "the last", "past", "last few")
    )


def _since_until(times: Sequence[Time]) -> tuple[Time, Time] | None:
    """ "From 2015 to 2019", "since May until June"."""
    if (
        len(times) == 2
        and times[0].preposition in ("from", "since", "between")
        and times[1].preposition in ("to", "until", "till")
    ):
        return times[0], times[1]
    return None


def _without(text: str, times: Sequence[Time]) -> str:
    parts: list[str] = []
    position = 0
    for time in times:
        parts.append(text[position : time.start].rstrip(" ,"))
        position = time.end
    parts.append(text[position:])
    return " ".join(" ".join(parts).split()).replace(" ,", ",").strip(" ,.")


def fact_of(
    one: Statement, who: Who, time: Time | None, span: tuple[Time, Time] | None, reader: Reader
) -> FoundFact | None:
    subject = one.subject or who
    if not _is_storable(one, subject):
        return None
    observed_at = reader.turn.observed_at
    valid_from, valid_until, when = None, None, ""
    if one.dated != "undated":
        valid_from, valid_until, when = _dated(one, time, span)
    if one.slot == "is aged":
        valid_from = observed_at
    says = _of_several(one.says) if subject.name.endswith(_SEVERAL) else one.says
    text = one.whole or f"{subject.name} {says}{when}."
    if one.slot == "is aged":
        text = f"{subject.name} was {one.says.removeprefix('is ')} on {observed_at:%Y-%m-%d}."
    slot = one.slot if subject.is_one else None
    relations = _relations(one, subject, valid_from, observed_at)
    others = [NewEntity(name=thing.name, type=thing.type) for thing in (one.object, *one.entities) if thing]
    return FoundFact(
        text=text,
        kind=one.kind,
        sources=(reader.turn.id,),
        subject=subject.name,
        slot=slot,
        importance=one.importance,
        valid_from=valid_from,
        valid_until=valid_until,
        entities=entities_in(text, (entity(subject), *others)),
        relations=relations,
        value=_value(one, valid_from, valid_until),
        negates=one.negates,
    )


_SEVERAL = ("parents", "grandparents", "in-laws")


def _of_several(says: str) -> str:
    """ "lives in" as "live in", said of several."""
    words = says.split(" ")
    at = 2 if words[:2] == ["no", "longer"] else 0
    verb = words[at]
    if verb in _OF_SEVERAL:
        words[at] = _OF_SEVERAL[verb]
    elif verb.endswith(("ches", "shes", "sses", "oes", "xes")):
        words[at] = verb[:-2]
    elif verb.endswith("s"):
        words[at] = verb[:-1]
    return " ".join(words)


_OF_SEVERAL = {"is": "are", "has": "have", "was": "were", "studies": "study", "flies": "fly"}


def _value(one: Statement, valid_from: datetime | None, valid_until: datetime | None) -> str | None:
    if one.value is not None or one.slot is None:
        return one.value
    if one.slot.startswith("plan: "):
        # A plan that is told again in other words is the same; it is another on another day.
        return "" if one.negates else _days_between(valid_from, valid_until)
    is_either_so_or_not = ": " in one.slot and not one.slot.startswith("prefers: ")
    return EITHER if is_either_so_or_not else None


def day_value(time: Time) -> str:
    """What a plan's slot is filled with: its days."""
    return _days_between(time.first, time.last)


def _days_between(first: datetime | None, last: datetime | None) -> str:
    return " ".join(f"{day:%F}" for day in (first, last) if day is not None)


def _is_storable(one: Statement, subject: Who) -> bool:
    """Whether its names are as long as names may be, and it relates nothing to itself."""
    names = [subject.name, *(thing.name for thing in (one.object, *one.entities) if thing is not None)]
    if any(not 0 < len(name.strip()) <= MAX_IDENTIFIER for name in names):
        return False
    return one.object is None or name_key(one.object.name) != name_key(subject.name)


def entity(who: Who) -> NewEntity:
    aliases = tuple(alias for alias in who.aliases if 0 < len(alias) <= MAX_IDENTIFIER)
    return NewEntity(name=who.name, type=who.type, aliases=aliases)


def entities_in(text: str, first: Sequence[NewEntity]) -> tuple[NewEntity, ...]:
    found: dict[str, NewEntity] = {}
    for one in first:
        found.setdefault(name_key(one.name), one)
    known = {name_key(name) for one in first for name in (one.name, *one.aliases)} | {name_key("user")}
    for one in find_entities(text, limit=8):
        if name_key(one.name) not in known:
            found.setdefault(name_key(one.name), NewEntity(name=one.name, type=one.type))
    return tuple(found.values())


def _relations(
    one: Statement, subject: Who, valid_from: datetime | None, observed_at: datetime
) -> tuple[NewRelation, ...]:
    if one.predicate is None or one.object is None or name_key(one.object.name) == name_key(subject.name):
        return ()
    # What is over was true until it was ended.
    ended = (valid_from or observed_at) if one.negates and one.predicate != "dislikes" else None
    since = valid_from if not one.negates and one.dated in ("state", "event") else None
    return (
        NewRelation(
            subject=subject.name,
            predicate=one.predicate,
            object=one.object.name,
            valid_from=since,
            valid_until=ended,
        ),
    )


def _dated(
    one: Statement, time: Time | None, span: tuple[Time, Time] | None
) -> tuple[datetime | None, datetime | None, str]:
    """Since when, until when, and the words for it."""
    if span is not None and not one.negates:
        return span[0].first, span[1].last, f" from {days_of(span[0])} to {days_of(span[1])}"
    if time is None:
        return None, None, ""
    words = _when(time)
    if (
        one.dated == "state"
        and one.says.startswith(_HOLDS)
        and time.preposition not in ("until", "till", "by")
    ):
        # "Works at Acme on Monday" would be over on Tuesday.
        words = words if " since " in words else f" since {days_of(time)}"
    match one.dated:
        case "state" if time.preposition in ("until", "till", "by"):
            return None, (None if one.negates else time.last), words
        case "state":
            return time.first, None, words
        case "plan" if time.preposition in ("until", "till", "by"):
            return None, time.last, words
        case "event" if time.expression.lower().startswith("for ") and not one.says.startswith(_HOLDS):
            # "Drove for two hours" says how long it took, and not when it was.
            return None, None, ""
        case _:
            if time.preposition in ("since", "from", "starting"):
                return time.first, None, words
            return time.first, time.last, words


_HOLDS = ("works ", "lives ", "is ", "has ", "studies ", "uses ", "plays ", "speaks ", "owns ", "does ")


def _when(time: Time) -> str:
    if time.expression.lower().startswith(
        ("for ", "the past", "the last", "past", "over the", "in the past", "in the last")
    ):
        return (
            f" since about {time.first:%Y-%m}"
            if (time.last - time.first).days > 60
            else f" since about {time.first:%Y-%m-%d}"
        )
    days = days_of(time)
    preposition = time.preposition
    if preposition in ("since", "until", "till", "by", "from", "starting"):
        return f" {preposition} {days}"
    if days.startswith(("the ", "between ", "summer", "spring", "autumn", "winter")):
        return f" {days}" if days.startswith("between") else f" in {days}"
    return f" on {days}" if len(days) == 10 else f" in {days}"


def days_of(time: Time) -> str:
    first, last = time.first.date(), time.last.date()
    length = (last - first).days
    if length == 0:
        return f"{first}"
    if first.day == 1 and (last + timedelta(days=1)).day == 1 and last.year < 9999:
        if (first.month, last.month) == (1, 12) and first.year == last.year:
            return f"{first:%Y}"
        if (first.year, first.month) == (last.year, last.month):
            return f"{first:%Y-%m}"
    if first.year % 10 == 0 and (first.month, last.month, last.year - first.year) == (1, 12, 9):
        return f"the {first.year}s"
    if length == 6 and first.weekday() == 0:
        return f"the week of {first}"
    return f"between {first} and {last}"


_LEADING_ADVERBS = re.compile(rf"^(?:(?:{ADVERBS}),? )+")


_INNER_ADVERBS = re.compile(
    rf"^((?:am|is|are|have|has|had|was|were|do|does|did|will|would|can)(?: not)? )(?:(?:{ADVERBS}) )+"
)
