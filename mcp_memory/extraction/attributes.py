"""What somebody's something is, by its name: "my e-mail is", "the trip is cancelled"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from mcp_memory.dates import resolve, times_in
from mcp_memory.extraction import plans, versions
from mcp_memory.extraction.drawing import day_value, days_of, fact_of
from mcp_memory.extraction.entities import UPPER, FoundEntity, find_entities
from mcp_memory.extraction.facts import FoundFact
from mcp_memory.extraction.forms import Statement
from mcp_memory.extraction.kinship import is_of_a_kind, kin_fact
from mcp_memory.extraction.people import (
    KIN,
    KIND_OF,
    MY_KIN,
    OPENERS,
    PETS,
    Reader,
    Who,
    kin_of,
    me_of,
    named_thing,
    one_named,
)
from mcp_memory.extraction.phrases import (
    NAME,
    NEVER_NAMES,
    WORD,
    event_key,
    named,
    object_key,
    plan_key,
    self_contained,
)
from mcp_memory.extraction.tastes import prefers
from mcp_memory.models import EntityType, name_key


def of_attributes(text: str, reader: Reader) -> list[FoundFact]:
    """What a clause says of an attribute by its name: "my e-mail is", "the trip is cancelled"."""
    text = _TRAILING_NOW.sub("", text)
    for pattern, read_it in _ATTRIBUTES:
        if match := pattern.match(text):
            found = read_it(match, reader)
            if found:
                return found
    return []


_TRAILING_NOW = re.compile(
    r"(?:,? (?:now|these days|nowadays|at the moment|currently|instead|from now on|again))+$"
)


def of_contacts(sentence: str, reader: Reader) -> list[FoundFact]:
    """Where the speaker is reached, wherever in a sentence that stands: "reach me at", "a new number: "."""
    if match := _REACH_ME.search(sentence):
        return _read_reach_me(match, reader)
    if match := _NEW_PHONE.search(sentence):
        return _read_new_phone(match, reader)
    return []


def _owner(whose: str, reader: Reader) -> Who | None:
    lower = whose.lower()
    if lower in ("my", "our", "i") or lower == "the user's":
        return me_of(reader)
    if pronoun := {"his": "he", "her": "she", "their": "they", "he": "he", "she": "she"}.get(lower):
        return one_named(reader, pronoun)
    if match := MY_KIN.match(f"{whose.removesuffix(chr(39) + 's')} "):
        return kin_of(match, reader)
    return named_thing(whose.removesuffix("'s"), f"{whose} x")


def _stated(
    one: Statement, who: Who | None, reader: Reader, *, valid_from: datetime | None = None
) -> list[FoundFact]:
    if who is None:
        return []
    if who.name != reader.me:
        reader.people.append(who)
    fact = fact_of(one, who, None, None, reader)
    return [] if fact is None else [replace(fact, valid_from=fact.valid_from or valid_from)]


def _read_name(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    whose = match.groupdict().get("whose")
    value = named(match["value"])
    who = me_of(reader) if whose is None else _owner(whose, reader)
    if who is None or name_key(value) == name_key(who.name):
        return []
    is_name = whose is not None and "nick" not in match.group()
    goes_by = whose is None and re.search(r"\b(?:call me|go by)\b", match.group(), re.IGNORECASE) is not None
    if who.name != reader.me and "'s " in who.name:
        # "My sister's name is Maria": she is Maria from now on.
        who = Who(value, "person", (who.name,) if who.is_one else ())
        return [kin_fact(who, match["whose"], reader)] if who.aliases else []
    called = Who(who.name, who.type, (*who.aliases, value))
    statement = Statement(
        f"is called {value}",
        "fact",
        slot="is called" if is_name else "goes by" if goes_by else None,
        importance=0.75,
        dated="undated",
        value=value,
    )
    return _stated(statement, called, reader)


def _read_email(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    kind = (match["kind"] or "").strip()
    predicate = f"has {kind} email" if kind else "has email"
    value = match["value"].rstrip(".")
    entity = FoundEntity(value, "email")
    negates = re.search(r"is (?:no longer|not)", match.group()) is not None
    says = f"{'no longer has' if negates else 'has'} {kind + ' ' if kind else 'the '}email {value}"
    return _stated(
        Statement(says, "fact", predicate, entity, predicate, negates, 0.75, "undated"),
        _owner(match["whose"], reader),
        reader,
    )


def _read_phone(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    kind = (match["kind"] or "").strip()
    slot = f"has {kind} phone" if kind in ("work", "office", "home") else "has phone"
    statement = Statement(
        f"has {kind + ' ' if kind else 'the '}phone number {match['value']}",
        "fact",
        slot=slot,
        importance=0.75,
        dated="undated",
        value=_digits(match["value"]),
    )
    return _stated(statement, _owner(match["whose"], reader), reader)


def _read_new_phone(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    kind = (match["kind"] or "").strip()
    says = f"has the {kind + ' ' if kind else ''}phone number {match['value']}"
    slot = f"has {kind} phone" if kind in ("work", "office") else "has phone"
    one = Statement(says, "fact", slot=slot, importance=0.75, dated="undated", value=_digits(match["value"]))
    return _stated(one, me_of(reader), reader)


def _digits(number: str) -> str:
    return re.sub(r"[^\d+]", "", number)


def _read_changed_name(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = named(match["value"])
    who = me_of(reader)
    called = Who(who.name, who.type, (*who.aliases, value))
    one = Statement(
        f"is called {value}", "fact", slot="is called", importance=0.75, dated="undated", value=value
    )
    return _stated(one, called, reader)


def _read_called(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "Our team is called Falcon", "we renamed the project to Eagle"."""
    noun, value = match["noun"] or match["noun2"], named(match["value"] or match["value2"])
    is_ours = not match.group().lower().startswith("the ") or noun.split()[-1] in _OURS
    if not is_ours or re.match(rf"(?:{KIND_OF})(?:{KIN})$", noun) or noun.split()[-1] in PETS:
        return []
    who = Who(f"{reader.me}'s {noun}", "concept", (value,))
    one = Statement(
        f"is called {value}", "fact", slot="is called", importance=0.65, dated="undated", value=value
    )
    return _stated(one, who, reader)


_OURS = frozenset("project team app product company startup band service website site podcast group".split())


def _read_birthday(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = match["value"].strip()
    found = re.match(
        r"(?:the )?(?:\d{1,2}(?:st|nd|rd|th)? (?:of )?[A-Za-z]+|[A-Za-z]+ \d{1,2}(?:st|nd|rd|th)?)", value
    )
    days = resolve(found.group(), reader.turn.observed_at) if found else None
    if days is None or days[0].date() != days[1].date():
        return []
    return _birthday(days[0], _owner(match["whose"], reader), reader)


def _read_birthday_today(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    away = {"tomorrow": 1, "yesterday": -1}.get(match["day"].lower(), 0)
    return _birthday(reader.turn.observed_at + timedelta(days=away), _owner(match["whose"], reader), reader)


def _read_favourite(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value, what = self_contained(match["value"], longest=8), match["what"].strip()
    if (
        value is None
        or object_key(value) is None
        or what.startswith(("one ", "one", "to "))
        or what.startswith(("thing", "part", "memor", "time", "moment"))
        or what.endswith("s ")
        or value.endswith("ing")
    ):
        return []
    plural = what.endswith("s") and not what.endswith("ss")
    slot = (
        None
        if plural or value.startswith(("to ", "when ", "how "))
        else f"favourite {what.replace('color', 'colour')}"
    )
    statement = Statement(
        f"has the favourite {what} {value}", "preference", slot=slot, importance=0.6, dated="undated"
    )
    who = _owner(match["whose"], reader)
    if who is None:
        return []
    verb = "are" if plural else "is"
    whole = f"{who.name}'s favourite {what} {verb} {value}."
    return _stated(replace(statement, whole=whole), who, reader)


def _read_job(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = re.sub(r"^(?:an?|the) ", "", match["value"].strip())
    words = value.lower().split()
    is_title = "title" in match.group()
    if not words or words[-1].endswith("ing") or not (is_title or re.match(r"(?:an?|the) ", match["value"])):
        return []
    article = "an" if value[0].lower() in "aeiou" else "a"
    return _stated(
        Statement(
            f"works as {article} {value}", "fact", slot="works as", importance=0.65, value=value.lower()
        ),
        _owner(match["whose"], reader),
        reader,
    )


def _read_employer(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = named(match["value"])
    entity = FoundEntity(value, "organisation")
    return _stated(
        Statement(f"works at {value}", "fact", "works at", entity, "works at", importance=0.7),
        _owner(match["whose"], reader),
        reader,
    )


def _read_home(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    if "town" in match.group().split(" is ")[0]:
        return []
    value = named(match["value"])
    entity = FoundEntity(value, "place")
    return _stated(
        Statement(f"lives in {value}", "fact", "lives in", entity, "lives in", importance=0.7),
        _owner(match["whose"], reader),
        reader,
    )


def _read_own_home(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "Home is Lund"."""
    value = named(match["place"])
    entity = FoundEntity(value, "place")
    one = Statement(f"lives in {value}", "fact", "lives in", entity, "lives in", importance=0.7)
    return _stated(one, me_of(reader), reader)


def _read_version(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    if _CLOCK.fullmatch(match["version"]) and _HELD.search(match["thing"]):
        # "My meeting is at 14.30."
        return []
    thing = re.sub(r"^(?:[Mm]y|[Oo]ur|[Tt]he) (?=[a-z])", f"{reader.me}'s ", match["thing"])
    thing = re.sub(r"^(?:[Mm]y|[Oo]ur|[Tt]he) ", "", thing)
    one = versions.version_of(named(thing), match["version"].rstrip("."))
    return _stated(one, one.subject, reader)


_CLOCK = re.compile(r"(?:[01]?\d|2[0-3])\.[0-5]\d")
_HELD = re.compile(
    r"\b(?:meeting|appointment|flight|train|bus|class|lesson|course|exam|interview|call|standup|dinner|lunch"
    r"|breakfast|party|concert|match|game|shift|check-?up|session|practice|rehearsal|ceremony|wedding)s?$"
)
"""What takes place at a time of day and has no version."""


def _read_renamed(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    old, new = named(match["mine"] or match["old"] or match["itself"]), named(match["new"])
    if name_key(old) == name_key(new) or old.split()[0] in OPENERS:
        return []
    found: dict[str, EntityType] = {
        name_key(one.name): one.type for one in find_entities(match.group(), limit=8)
    }
    kind: EntityType = "project" if old.startswith("Project ") else found.get(name_key(old), "concept")
    who = Who(old, kind, (new,))
    one = Statement(f"is now called {new}", "fact", slot="is called", importance=0.7, dated="undated")
    return _stated(one, who, reader)


def _read_i_am(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "Hi, I'm Bob": a name only where somebody greets."""
    if _GREETS.match(reader.turn.text) is None or named(match["value"]).casefold() in NEVER_NAMES:
        return []
    return _read_name(match, reader)


def _read_reach_me(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = (match["value"] or match["new"]).rstrip(".")
    kind = (match["kind"] or match["kind2"] or match["kind3"] or "").strip()
    predicate = f"has {kind} email" if kind else "has email"
    says = f"has {kind} email {value}" if kind else f"has the email {value}"
    one = Statement(
        says, "fact", predicate, FoundEntity(value, "email"), predicate, importance=0.75, dated="undated"
    )
    return _stated(one, me_of(reader), reader)


def _read_address(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    who, value = _owner(match["whose"], reader), match["value"].strip(" .,")
    if who is None or not any(one.isdigit() for one in value):
        return []
    one = Statement("", "fact", slot="has address", importance=0.7, dated="undated")
    return _stated(replace(one, whole=f"{who.name}'s address is {value}."), who, reader)


def _read_expiry(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "My passport expires in June 2036"."""
    who, noun = _owner(match["whose"], reader), match["noun"]
    times = times_in(f"in {match['when']}", reader.turn.observed_at, "future")
    if who is None or not times or times[0].start > 4 or noun.split()[-1] not in _EXPIRING:
        return []
    if len(match["when"]) - len(times[0].expression) > 12:
        return []
    days = days_of(times[0])
    whole = f"{who.name}'s {noun} expires {'on' if len(days) == 10 else 'in'} {days}."
    one = Statement(
        "",
        "fact",
        slot=f"end of {noun}",
        importance=0.55,
        dated="undated",
        whole=whole,
        value=day_value(times[0]),
    )
    return _stated(one, who, reader)


_EXPIRING = frozenset(
    """
    card certificate contract domain insurance lease licence license membership pass passport permit policy
    registration subscription trial visa warranty
    """.split()
)


def _read_day_at_work(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value, is_last = named(match["value"]), match["which"] == "last"
    days = resolve(match["day"] or "today", reader.turn.observed_at, "past")
    if days is not None and days[0] > reader.turn.observed_at:
        return []
    says = f"{'left' if is_last else 'started working at'} {value}"
    entity = FoundEntity(value, "organisation")
    one = Statement(says, "fact", "works at", entity, "works at", is_last, 0.7, "undated")
    since = reader.turn.observed_at if days is None else days[0]
    return _stated(one, me_of(reader), reader, valid_from=since)


def _read_let_go(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = named(match["value"])
    entity = FoundEntity(value, "organisation")
    one = Statement(
        f"lost their job at {value}", "fact", "works at", entity, "works at", True, 0.7, "undated"
    )
    return _stated(one, me_of(reader), reader)


def _read_boss(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = named(match["value"])
    if is_of_a_kind(value):
        return []
    entity = FoundEntity(value, "person")
    one = Statement(
        f"reports to {value}", "fact", "reports to", entity, "reports to", importance=0.6, dated="undated"
    )
    return _stated(one, me_of(reader), reader)


def _read_takes_place(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "The meeting with Tom is on Friday": a plan with its day."""
    words = self_contained(match["what"], longest=10)
    times = times_in(f"on {match['when']}", reader.turn.observed_at, "future")
    if words is None or not times or times[0].start > 4 or times[0].first < reader.turn.observed_at:
        return []
    if (key := event_key(words)) is None or len(match["when"]) - len(times[0].expression) > 12:
        return []
    time = times[0]
    whole = f"{_theirs(words, reader.me)} is on {days_of(time)}."
    one = Statement(
        "", "plan", slot=f"plan: {key}", importance=0.5, dated="undated", whole=whole, value=day_value(time)
    )
    return [
        replace(fact, valid_from=time.first, valid_until=time.last)
        for fact in _stated(one, me_of(reader), reader)
    ]


def _read_hours(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "The standup is at 10": what it fills is the hour, and not the day."""
    words = self_contained(match["what"], longest=8)
    if words is None or (key := event_key(words)) is None:
        return []
    hour = re.sub(r"\s|\.", "", match["hour"].lower())
    whole = f"{_theirs(words, reader.me)} is at {match['hour']}."
    one = Statement("", "fact", slot=f"hour of: {key}", dated="undated", whole=whole, value=hour)
    return _stated(one, me_of(reader), reader)


def _read_weekly(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "Our book club meets on Tuesdays"."""
    words = self_contained(match["what"], longest=8)
    if words is None or (key := event_key(words)) is None:
        return []
    whole = f"{_theirs(words, reader.me)} is {match['days']}."
    days = plans.weekdays_in(match["days"])
    one = Statement("", "fact", slot=f"days of: {key}", dated="undated", whole=whole, value=days)
    return _stated(one, me_of(reader), reader)


def _read_own_version(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "We released 2.2 of our app", "our app to 2.2": of a thing that is theirs."""
    thing = match["thing"] or match["thing2"]
    version = (match["version"] or match["version2"]).rstrip(".")
    one = versions.version_of(f"{reader.me}'s {thing}", version)
    return _stated(one, one.subject, reader)


def _read_host(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "My phone is on iOS 17"."""
    thing = named(match["thing"])
    if thing.split()[0].casefold() in NEVER_NAMES or match["host"].split()[0] in _NO_HOSTS:
        return []
    one = versions.version_on(match["host"].lower(), thing, match["version"].rstrip("."))
    return _stated(one, one.subject or me_of(reader), reader)


_NO_HOSTS = frozenset("flight meeting appointment train room seat exam game match class".split())


def _read_upgrade_done(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    one = versions.version_of(named(match["thing"]), match["version"].rstrip("."))
    return _stated(one, one.subject, reader)


def _read_hired(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "Globex hired me as a product manager"."""
    value = named(match["value"])
    entity = FoundEntity(value, "organisation")
    one = Statement(f"works at {value}", "fact", "works at", entity, "works at", importance=0.7)
    return _stated(one, me_of(reader), reader)


def _read_own_thing(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "My dentist is Dr. Lee": one of which they name the one they have."""
    noun, value = (match["noun"] or match["noun2"]).lower(), named(match["value"] or match["value2"])
    who = me_of(reader)
    head = noun.split()[-1]
    if (
        head in _NOT_ONE
        or head.endswith("s")
        or noun.split()[0] in _NOT_ONE
        or value.casefold() in NEVER_NAMES
    ):
        return []
    whole = f"{who.name}'s {noun} is {match['kind'] or ''}{value}."
    one = Statement(
        "", "fact", slot=f"own {noun}", importance=0.6, dated="undated", whole=whole, value=value,
        entities=(FoundEntity(value, "concept"),),
    )  # fmt: skip
    return _stated(one, who, reader)


def _read_measure(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "My rent is 900 euros", "our rent went up to 950": one figure, or one place, at a time."""
    noun, who = match["noun"].lower(), _owner(match["whose"], reader)
    if who is None or noun.split()[-1] in _NOT_MEASURED or noun.split()[0] in _NOT_ONE:
        return []
    value = match["value"] or match["place"]
    if times_in(f"on {value}", reader.turn.observed_at) or self_contained(value, longest=6) is None:
        return []
    whole = f"{who.name}'s {noun} is {value}."
    slot = f"own {noun}" if match["value"] else f"place of {noun}"
    plain = re.sub(r"^(?:about|around|only|up to|over|almost|the) ", "", value.lower())
    one = Statement("", "fact", slot=slot, importance=0.5, dated="undated", whole=whole, value=plain)
    return _stated(one, who, reader)


_NOT_MEASURED = frozenset(
    "age birthday email e-mail number phone mind heart flight trip train goal sister brother".split()
)
_NOT_ONE = frozenset(
    """
    favourite favorite name problem point question thing friend guess hope answer dream idea plan goal
    concern advice choice pick theory worry fear bet thought birthday colleague cousin uncle aunt niece
    nephew neighbour neighbor sister brother mother father mom dad mum wife husband partner girlfriend
    boyfriend son daughter boss manager supervisor email e-mail number phone address job title role employer
    company home hometown city go-to next first last second other best son's one nickname recommendation
    suggestion preference inspiration hero idol book song movie film show game band artist author character
    day month season weekend version release mail understanding focus project passion hobby weakness
    strength roommate team crush dog cat pet kid child
    """.split()
)


def _read_over(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "Coffee over tea", of who speaks of what they prefer."""
    if not _CHOOSES.search(reader.turn.text):
        return []
    a = (
        match["a"][0].lower() + match["a"][1:]
        if match["a"].istitle() and " " not in match["a"]
        else match["a"]
    )
    return [fact for one in prefers(a, match["b"]) for fact in _stated(one, me_of(reader), reader)]


_CHOOSES = re.compile(
    r"\b(?:chang\w+ (?:my|our) minds?|prefer\w*|rather|any day|these days|every time|for me)\b", re.IGNORECASE
)
_OVER = re.compile(
    r"^(?:it is )?(?!.*\b(?:I|we|prefers?|takes?|likes?|all|moved?|went|these|days)\b)(?P<a>[A-Za-z][\w"
    r" '-]{1,30}?) over (?P<b>[a-zA-Z][\w '-]{1,30}?)"
    r"(?:,? (?:any day|every time|for me|these days|always|all the way))*$"
)


def _read_cancelled(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    words = self_contained(match["what"], longest=10)
    if words is None or (key := event_key(words)) is None:
        return []
    whole = f"{_theirs(words, reader.me)} is cancelled."
    statement = Statement(
        "cancelled", "plan", slot=f"plan: {key}", negates=True, importance=0.6, dated="undated", whole=whole
    )
    return _stated(statement, me_of(reader), reader)


def _read_postponed(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    by = match.groupdict().get("by") or ""
    # "The dentist moved me to Friday": what is hers.
    what = match["what"] if match["what"] not in ("me", "us") else by
    words = self_contained(what, longest=10)
    times = times_in(f"on {match['when']}", reader.turn.observed_at, "future")
    if words is None or not times or times[0].start > 4:
        return []
    # "The dentist moved my appointment" says by whom which one.
    key = plan_key(words) or (plan_key(by) if by[:1].islower() or by.startswith(("The ", "My ")) else None)
    if (key := key or event_key(words)) is None:
        return []
    time = times[0]
    whole = f"{_theirs(words, reader.me)} is moved to {days_of(time)}."
    statement = Statement(
        "postponed",
        "plan",
        slot=f"plan: {key}",
        importance=0.6,
        dated="undated",
        whole=whole,
        value=day_value(time),
    )
    return [
        replace(one, valid_from=time.first, valid_until=time.last)
        for one in _stated(statement, me_of(reader), reader)
    ]


def _birthday(day: datetime, who: Who | None, reader: Reader) -> list[FoundFact]:
    if who is None:
        return []
    whole = f"{who.name}'s birthday is {day.day} {day:%B}."
    one = Statement("", "fact", slot="has birthday", importance=0.7, dated="undated", whole=whole)
    return _stated(one, who, reader)


def _theirs(words: str, name: str) -> str:
    """ "The trip to Rome" as "Ann's trip to Rome"; "Tom's party" stays his."""
    bare = re.sub(r"^(?:the|their|a|an) ", "", words, flags=re.IGNORECASE)
    return words if bare == words and words[0].isupper() else f"{name}'s {bare}"


_WHOSE = (
    rf"(?P<whose>[Mm]y|[Oo]ur|[Hh]is|[Hh]er|[Tt]heir|[Tt]he user's|{NAME}'s|[Mm]y {KIND_OF}"
    rf"(?:{KIN})(?: [{UPPER}]\w+)?'s)"
)
_ADJ = r"(?:new |current |full |real |first |main |actual |usual )*"
_NOW = (
    r"(?: is| are|'s| was changed to| has changed to| changed to| is now| is still| is currently"
    r"| is actually| is no longer| is not)"
)
_NAME_IS = re.compile(rf"^{_WHOSE} {_ADJ}(?:name|nickname) is (?:now )?(?P<value>{NAME})\.?$")
_CALL_ME = re.compile(
    r"^(?:please |just |you can )*(?:call me|everyone calls me|everybody calls me|people call me"
    rf"|my friends call me|I go by) (?P<value>{NAME})(?:,? (?:and )?not {NAME})?\.?$",
    re.IGNORECASE,
)
_CHANGED_NAME = re.compile(
    rf"^(?:I|[Ww]e) (?:have )?(?:legally |officially )?changed my (?:full )?name to (?P<value>{NAME})$"
)
_CALLED = re.compile(
    rf"^(?:(?:[Mm]y|[Oo]ur|[Tt]he) (?P<noun>[a-z][a-z-]+(?: [a-z-]+)?) (?:is|was|has been|got) (?:now"
    rf" )?(?:called|named|renamed"
    rf"(?: to)?) (?P<value>{NAME})|(?:I|[Ww]e) (?:have )?renamed (?:my|our|the)"
    rf" (?P<noun2>[a-z][a-z-]+(?: [a-z-]+)?)"
    rf" (?:to|as) (?P<value2>{NAME}))$"
)
_EMAIL_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?P<kind>work |personal |private |business |school )?{_ADJ}(?:e-?mail"
    rf"(?: address)?)(?:{_NOW}):? (?P<value>[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,4}})"
)
_PHONE_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?P<kind>work |personal |private |home |office |mobile |cell )?{_ADJ}(?:phone"
    rf"(?: number)?|number|cell|mobile|telephone(?: number)?|phone no)(?:{_NOW}):? (?P<value>\+?[\d"
    rf"(][\d ()./-]{{5,20}}\d)"
)
_NEW_PHONE = re.compile(
    r"(?:\b(?:[Nn]ew (?:phone |cell |mobile )?number(?: is)?|[Mm]y (?:phone |cell |mobile )?number"
    r" (?:has )?changed"
    r"|changed my (?:phone |cell |mobile )?number)|\bI (?:have |got |have got |just got )*(?:an? |my"
    r" )new (?P<kind>work |mobile |office )?(?:phone |cell )?number"
    r"(?: is)?|(?:call|text|ring|reach|phone) me (?:at|on|under))[:,]? ?(?:to |it is (?:now )?)?"
    r"(?P<value>\+?[\d(][\d ()./-]{5,20}\d)"
)
_BIRTHDAY_IS = re.compile(
    rf"^{_WHOSE} (?:birthday|date of birth|birth date)(?: is|:)(?: on)? (?P<value>.{{3,40}})$"
)
_BORN_ON = re.compile(rf"^(?P<whose>I|[Hh]e|[Ss]he|{NAME}) (?:was|am|is) born on (?P<value>.{{3,40}})$")
_FAVOURITE_IS = re.compile(
    rf"^{_WHOSE} (?:new |current |all-time |all time |absolute |personal |number one )*favou?rite "
    rf"(?P<what>[a-z][a-z -]{{1,30}}?) (?:these days |right now |now |at the moment )?(?:is|are|has to"
    rf" be|would be|remains) (?:now |still |definitely "
    rf"|probably |actually )*(?P<value>.{{2,80}})$"
)
_IS_FAVOURITE = re.compile(
    rf"^(?P<value>[{UPPER}].{{1,60}}?|[a-z][\w' -]{{2,40}}?) (?:is|are) (?:now |still |definitely )*"
    rf"(?P<whose>my|our) (?:new |current |all-time |absolute )*favou?rite (?P<what>[a-z][a-z -]{{1,30}})$"
)
_JOB_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:job|role|position|occupation|profession|job title|title) is (?:now )?(?:as )?"
    rf"(?P<value>(?:an? |the )?[a-z][\w -]{{2,50}})$"
)
_EMPLOYER_IS = re.compile(rf"^{_WHOSE} {_ADJ}(?:employer|company|workplace) is (?:now )?(?P<value>{NAME})$")
_HOME_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:home|hometown|home town|house|place|flat|apartment) is (?:now )?in"
    rf" (?P<value>{NAME})$"
)
_HOME = re.compile(rf"^[Hh]ome is (?:now )?(?P<place>{NAME})(?: for (?:me|us))?$")
_VERSION_IS = re.compile(
    r"^(?:[Tt]he |[Oo]ur |[Mm]y )?(?:current|latest|newest|installed|deployed) (?:stable )?(?:version"
    rf"|release) of (?:the (?=[{UPPER}]))?(?P<thing>(?:(?:our|my|the) )?[{UPPER}]?[\w.-]{{1,40}}(?:"
    rf" [{UPPER}][\w-]{{1,30}})?) (?:is"
    rf"|we use is)(?: now)? (?:version |v)?(?P<version>\d[\w.-]{{0,20}})"
)
_THING_AT = re.compile(
    rf"^(?P<thing>(?:(?:[Mm]y|[Oo]ur|[Tt]he) )?(?:[{UPPER}][\w-]{{1,40}}(?: [{UPPER}][\w-]{{1,30}})?|"
    rf"(?<=[yre] )[a-z][\w-]{{1,30}}(?: [a-z][\w-]{{1,30}})?)) "
    r"(?:is|runs|moved|(?:was|has been|got) (?:upgraded|updated|bumped|downgraded|reverted|rolled back"
    r"|moved))"
    r"(?: now| currently| back)? (?:at|on|to) "
    rf"(?:version |v|release )?(?P<version>\d+\.[\w.-]{{1,20}}|(?<=version )\d+|(?<=v)\d+)"
)
_RENAMED = re.compile(
    rf"^(?:(?:we|I) (?:have )?renamed (?:the )?(?P<mine>{NAME}) (?:to|as) "
    rf"|(?:[Tt]he )?(?P<old>{NAME}) (?:was|is|has been|got|is being) renamed (?:to|as) "
    rf"|(?P<itself>{NAME}) changed (?:its|his|her|their) name to )(?P<new>{NAME})$"
)
_I_AM = re.compile(rf"^(?:I am|[Tt]his is|[Mm]y name is) (?P<value>{NAME})$")
_GREETS = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|nice to meet you|greetings)\b", re.IGNORECASE
)
_CANCELLED = re.compile(
    rf"^(?P<what>(?:(?:[Tt]he|[Mm]y|[Oo]ur) |[{UPPER}]\w+'s |(?=[{UPPER}]))[^,;]{{1,60}}?) (?:(?:is|was"
    rf"|got|has been|are"
    r"|were|have been"
    r"|had to be) (?:now )?(?:cancelled|canceled|called off|scrapped)\b|is (?:now )?off(?: the"
    r" table)?(?=$|,))"
)
_FELL_THROUGH = re.compile(
    rf"^(?P<what>(?:(?:[Tt]he|[Mm]y|[Oo]ur) |(?=[{UPPER}]))[^,;]{{2,60}}?) (?:(?:has |have )?(?:fell"
    rf"|fallen) through|is not happening|will not happen|"
    r"is no longer happening|will not take place)\b"
)
_HIRED = re.compile(
    rf"^(?P<value>{NAME}) (?:has |have )?(?:just )?(?:hired me|took me on|offered me a job and I (?:took"
    rf"|accepted) it)"
)
_OWN_VERSION = re.compile(
    r"^(?:I|[Ww]e) (?:have )?(?:just )?(?:released|shipped|launched|published|deployed|rolled out"
    r"|upgraded|updated"
    r"|bumped|took) (?:(?:version |v)?(?P<version>\d[\w.]*) of (?:our|my|the) (?P<thing>[a-z][\w-]*(?:"
    r" [a-z]+)?)"
    r"|(?:our|my|the) (?P<thing2>[a-z][\w-]*(?: [a-z]+)?) to (?:version |v)?(?P<version2>\d[\w.]*))$"
)
_HOST_RUNS = re.compile(
    rf"^(?:(?:[Mm]y|[Oo]ur|[Tt]he) |(?=[Pp]rod|[Ss]taging|[Ee]verything))"
    rf"(?P<host>[A-Za-z][A-Za-z -]{{1,25}}?) (?:(?:is|are) (?:still |now |currently )*"
    rf"(?:on|at|running)|(?:now |still |currently )*(?:runs|uses)(?: on)?) (?:now )?(?P<thing>{WORD}(?:"
    rf" {WORD})?|[a-z]{{1,4}}[A-Z]\w*) "
    r"(?:version |v)?(?P<version>\d[\w.]*)$"
)
_IS_LIVE = re.compile(
    rf"^(?:[Tt]he |[Oo]ur )?(?P<thing>{WORD}(?: {WORD})?) (?:version |v)?(?P<version>\d[\w.]*) (?:(?:is"
    rf" (?:now )?(?:live|deployed"
    r"|in production)|went (?:live|out)|has gone live)|(?:upgrade|migration|rollout|update) (?:is (?:now"
    r" )?(?:done|complete"
    r"|finished|live|through|behind)|went (?:fine|well|through|smoothly)|has (?:been )?(?:completed"
    r"|landed)|finished))\b"
)
_OURS_AT = re.compile(
    rf"^(?:[Mm]y|[Oo]ur|[Tt]he) (?P<thing>{WORD}) (?:cluster|instance|database|server|setup"
    rf"|install(?:ation)?|deployment|app)"
    r" (?:is|runs)(?: now| still| currently)? (?:at|on) (?:version |v)?(?P<version>\d[\w.]*)$"
)
_UPGRADE_DONE = re.compile(
    rf"^(?:[Tt]he |[Oo]ur )?(?:upgrade|migration|update|move|switch) (?:from [\w. ]{{2,30}} )?to "
    rf"(?P<thing>{WORD}(?: {WORD})?) (?:version |v)?(?P<version>\d[\w.]*) (?:went|is (?:now )?(?:done"
    rf"|complete"
    r"|finished|live|through|behind)|was (?:a success|successful|completed)|has (?:been )?(?:completed"
    r"|gone|landed)"
    r"|finished|succeeded|landed)\b"
)
_HOUR = re.compile(
    r"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur) [a-z][\w' -]{2,40}?) (?:is|starts|begins|was moved|has been"
    r" moved|moved"
    r"|has moved)(?: now)?(?: daily)? (?:at|to) (?P<hour>(?:[01]?\d|2[0-3])(?::[0-5]\d)?(?:"
    r" ?[ap]\.?m\.?)?|noon|midday)"
    r"(?: now| instead| every day| from now on)?$"
)
_WEEKLY = re.compile(
    rf"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur) [a-z][\w' -]{{2,40}}?) (?:is|meets|takes place|happens|runs|was"
    rf" moved to"
    rf"|has been moved to|moved to|has moved to)(?: now)? (?P<days>{plans.EACH_WEEK}|{plans.DAYS})"
    r"(?: now| instead| from now on)?$"
)
_MEASURE = re.compile(
    rf"^{_WHOSE} (?:new |current |monthly |weekly |daily )?(?P<noun>(?!favou?rite)[a-z][a-z-]+(?:"
    rf" [a-z][a-z-]+)?) "
    r"(?:is|are|was (?:raised|lowered|changed|increased|cut|set) to|(?:has )?(?:gone|went) (?:up|down)"
    r" to|rose to|dropped to"
    r"|increased to|changed to|costs)(?: now| currently| actually| back| up| down)* "
    r"(?:(?P<value>(?:about |around |only |up to |over |almost )?[$€£]?\d[\d.,:]*(?:[a-z%€$£]{1,4}|"
    r" [a-z%€$£]+(?: (?:a|per) [a-z]+)?| (?:a|per) [a-z]+)?)"
    r"|(?P<place>(?:in|on|at) (?:the|room|floor|building|our|my) [\w ]{2,30}))$"
)
_OWN_THING = re.compile(
    rf"^(?:[Mm]y|[Oo]ur) (?:new |current )?(?P<noun>[A-Za-z][A-Za-z-]+(?: [a-z][a-z-]+)?) is (?:now "
    rf"|currently |actually )?"
    r"(?P<kind>(?:an? |the )?(?:(?:[a-z]+ )?(?:red|blue|black|white|gr[ae]y|silver|green|yellow|orange|brown"
    rf"|new|used) )?)(?P<value>{NAME}(?: \d{{1,4}}[a-z]?)?)$"
    rf"|^(?P<value2>{NAME}) is (?:now )?(?:my|our) (?:new |current )(?P<noun2>[A-Za-z][A-Za-z-]+(?:"
    rf" [a-z][a-z-]+)?)$"
)
_I_POSTPONED = re.compile(
    rf"^(?P<by>I|[Ww]e|[Tt]hey|[Hh]e|[Ss]he|[Tt]he [a-z]+|[Mm]y [a-z]+|{NAME}) (?:have |has )?(?:just"
    rf" )?(?:had to )?"
    r"(?:postponed?|rescheduled?|moved?|push(?:ed)?|shift(?:ed)?|delay(?:ed)?|bump(?:ed)?|chang(?:ed)?"
    r"|put off) "
    r"(?P<what>(?:the|my|our) [^,;]{2,60}?|me|us) (?:back |forward |out |up )?(?:from [\w ]{3,20}"
    r" )?(?:to|until|till|for) "
    r"(?P<when>.{3,40})$"
)
_TAKES_PLACE = re.compile(
    rf"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur|[{UPPER}]\w+'s) [\w][\w' ]{{2,50}}?) (?:is|will be|takes place"
    rf"|starts) "
    r"(?:now |actually )?(?:planned |scheduled |set |due )?(?:on |for |in |at )?(?P<when>.{3,40})$"
)
_EXPIRES = re.compile(
    rf"^{_WHOSE} (?:new |current )?(?P<noun>[a-z][a-z'-]+(?: [a-z]+)?) (?:expires?|runs out|ends"
    r"|is valid until|(?:has been |was |got )?(?:renewed|extended) until|will expire)(?: on| in| at)?"
    r" (?P<when>.{3,40})$"
)
_ADDRESS_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:home |postal |mailing )?address is (?:now )?(?P<value>[\w][\w .,'/-]{{5,100}})$"
)
_REACH_ME = re.compile(
    r"(?:(?:reach|e-?mail|contact|write(?: to)?) me (?:at|on|under)|(?<!not )(?<!n't )(?:use|write"
    r" to)(?: this (?:one|address):?)?"
    r"|(?:[Nn]ew|[Cc]urrent) (?P<kind2>work |personal |private )?e-?mail(?: address)?(?: is(?: now)?)?:?"
    r"|[Mm]y (?P<kind3>work |personal |private )?e-?mail(?: address)? (?:has )?changed(?:,| to|:)?(?: it"
    r" is(?: now)?)?) (?P<value>[\w.+-]{1,64}@[\w-]{1,63}"
    r"(?:\.[\w-]{1,63}){1,4})"
    r"|(?:changed|switched|updated) (?:my|our) (?P<kind>work |personal )?e-?mail(?: address)? to "
    r"(?P<new>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})"
)
_DAY_AT_WORK = re.compile(
    r"^(?:(?P<day>[Tt]oday|[Yy]esterday|[Ll]ast \w+|[Oo]n \w+|[Mm]onday|[Tt]uesday|[Ww]ednesday"
    r"|[Tt]hursday|[Ff]riday|it) "
    rf"(?:is|was)|I (?:just )?had) my (?P<which>first|last) day(?: of work)? at (?P<value>{NAME})"
)
_DAY_AT_WORK_WAS = re.compile(
    rf"^[Mm]y (?P<which>first|last) day at (?P<value>{NAME}) (?:is|was) (?P<day>[\w ]{{3,20}})$"
)
_LET_GO = re.compile(rf"^(?P<value>{NAME}) (?:let me go|laid me off|fired me|made me redundant)\b")
_JOB_AT = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:job|role|position) (?:is (?:now )?)?(?:at|with) (?P<value>{NAME})"
    r"(?:$| (?:started|began|is (?:going|great|good|fun|amazing|hard)|has been)\b)"
)
_KIN_IS = re.compile(
    rf"^(?P<whose>[Mm]y|[Oo]ur) {_ADJ}(?P<kin>boss|manager|supervisor) is (?:now |currently )?"
    rf"(?P<value>{NAME})$"
)
_POSTPONED = re.compile(
    rf"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur|[{UPPER}]\w+'s|(?=[{UPPER}]\w+ with)) ?[^,;]{{2,60}}?) (?:is|was"
    rf"|got|has been|are|were|had to be)? ?"
    r"(?:now )?(?:postponed|rescheduled|moved|pushed(?: back)?|brought forward|delayed|extended|put off"
    r"|shifted|changed"
    r"|bumped)(?: (?:back|forward|up))?(?: from [\w ]{3,20})?(?: to| until| till| for)? (?P<when>.{3,40})$"
)
_BIRTHDAY_TODAY = re.compile(
    rf"^(?:(?P<day>[Tt]oday|[Tt]omorrow|[Yy]esterday|it) (?:is|was) {_WHOSE} birthday)(?: today)?$"
)

_ATTRIBUTES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Reader], list[FoundFact]]], ...] = (
    (_NAME_IS, _read_name),
    (_CALL_ME, _read_name),
    (_EMAIL_IS, _read_email),
    (_PHONE_IS, _read_phone),
    (_BIRTHDAY_TODAY, _read_birthday_today),
    (_BIRTHDAY_IS, _read_birthday),
    (_BORN_ON, _read_birthday),
    (_FAVOURITE_IS, _read_favourite),
    (_IS_FAVOURITE, _read_favourite),
    (_JOB_IS, _read_job),
    (_EMPLOYER_IS, _read_employer),
    (_HOME_IS, _read_home),
    (_HOME, _read_own_home),
    (_CHANGED_NAME, _read_changed_name),
    (_CALLED, _read_called),
    (_RENAMED, _read_renamed),
    (_I_AM, _read_i_am),
    (_VERSION_IS, _read_version),
    (_THING_AT, _read_version),
    (_ADDRESS_IS, _read_address),
    (_EXPIRES, _read_expiry),
    (_DAY_AT_WORK, _read_day_at_work),
    (_DAY_AT_WORK_WAS, _read_day_at_work),
    (_LET_GO, _read_let_go),
    (_JOB_AT, _read_employer),
    (_KIN_IS, _read_boss),
    (_OVER, _read_over),
    (_HIRED, _read_hired),
    (_OWN_VERSION, _read_own_version),
    (_HOST_RUNS, _read_host),
    (_UPGRADE_DONE, _read_upgrade_done),
    (_IS_LIVE, _read_upgrade_done),
    (_OURS_AT, _read_upgrade_done),
    (_HOUR, _read_hours),
    (_WEEKLY, _read_weekly),
    (_CANCELLED, _read_cancelled),
    (_FELL_THROUGH, _read_cancelled),
    (_I_POSTPONED, _read_postponed),
    (_POSTPONED, _read_postponed),
    (_TAKES_PLACE, _read_takes_place),
    (_OWN_THING, _read_own_thing),
    (_MEASURE, _read_measure),
)
