"""What the clauses of English sentences state of whom: where somebody lives and works, what they like, did
and plan. Pure; what is not understood for certain is left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from mcp_memory.extraction.entities import UPPER, FoundEntity
from mcp_memory.extraction.people import PETS, Who
from mcp_memory.extraction.phrases import (
    NAME,
    NEVER_NAMES,
    WORD,
    entity_of,
    listed,
    named,
    object_key,
    plan_key,
    self_contained,
    singular,
)
from mcp_memory.models import Kind, name_key

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
    is_now: bool = False


@dataclass(frozen=True, slots=True)
class _Match:
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


_Read = Callable[[_Match], list[Statement]]


@dataclass(frozen=True, slots=True)
class _Form:
    pattern: re.Pattern[str]
    read: _Read = field(repr=False)


def read(said: Said) -> list[Statement]:
    """What is stated of the clause's subject by its verb; the first form that fits decides."""
    for form in _FORMS:
        if match := form.pattern.match(said.rest):
            return form.read(_Match(match, said))
    return []


_PLACE = rf"(?:the )?(?P<place>{NAME})(?P<further>(?:, {NAME}){{0,2}})"


_ORG = rf"(?:the |a company called |a startup called )?(?P<org>{NAME})"


_ROLE = (
    r"(?:an? |the |their |our )?(?P<role>(?!the\b)[A-Za-z][\w/-]*(?: (?!at\b|for\b|with\b|in\b"
    r"|and\b|on\b|by\b|but\b|to\b|from\b|there\b|here\b|who\b|that\b)[\w/-]+){0,4})"
)


_BE = r"(?:am|is|are)"


_HAVE = r"(?:have|has)"


_END = r"(?=[\s.!,]*$)"


_NOT_A_PLACE = re.compile(
    r"\s(?:team|department|division|office|project|group|side|branch|tier|plan|mode|version|server"
    r"|cluster|room|"
    r"model|app|platform|account|database|stack|board|list|folder|column|tab|page|section|stage|level"
    r"|phase|round|"
    r"class|squad|track|role|position)\b"
)


def _is_name(name: str) -> bool:
    return len(named(name)) > 1 and named(name).casefold() not in NEVER_NAMES


def _lives(match: _Match) -> list[Statement]:
    place = match["place"]
    if not _is_name(place) or _NOT_A_PLACE.match(match.said.rest, match.end()):
        return []
    if match["perfect"] and not match.said.lasts:
        return []
    says = "has lived in" if match.said.lasts else "lives in"
    return [_living(f"{says} {_with_article(match)}{place}{match['further']}", place)]


def _with_article(match: _Match) -> str:
    written = match.group()
    return "the " if written[: match.start("place") - match.start()].endswith("the ") else ""


def _living(says: str, place: str) -> Statement:
    return Statement(says, "fact", "lives in", FoundEntity(named(place), "place"), "lives in", importance=0.7)


def _moved(match: _Match) -> list[Statement]:
    place = match["place"]
    if not _is_name(place) or _NOT_A_PLACE.match(match.said.rest, match.end()) or match.said.is_ahead:
        return []
    return [_living(f"moved to {_with_article(match)}{place}{match['further']}", place)]


def _will_move(match: _Match) -> list[Statement]:
    place = match["place"]
    if not _is_name(place) or _NOT_A_PLACE.match(match.said.rest, match.end()):
        return []
    return [_plan(f"move to {place}{match['further']}", FoundEntity(named(place), "place"))]


def _is_from(match: _Match) -> list[Statement]:
    place = match["place"]
    if not _is_name(place) or _NOT_A_PLACE.match(match.said.rest, match.end()):
        return []
    entity = FoundEntity(named(place), "place")
    return [Statement(f"is from {_with_article(match)}{place}", "fact", "is from", entity, dated="undated")]


def _reports_to(match: _Match) -> list[Statement]:
    if not _is_name(match["who"]):
        return []
    entity = FoundEntity(named(match["who"]), "person")
    return [
        Statement(f"reports to {match['who']}", "fact", "reports to", entity, "reports to", importance=0.6)
    ]


def _single(_: _Match) -> list[Statement]:
    return [Statement("is single", "fact", slot="is partner of", negates=True, importance=0.6)]


def _intolerant(match: _Match) -> list[Statement]:
    what = match["what"]
    return [
        Statement(
            f"is {what} intolerant",
            "fact",
            slot=f"is intolerant to: {what}",
            importance=0.75,
            dated="undated",
        )
    ]


def _does_instead(match: _Match) -> list[Statement]:
    third = _DOING_STEMS.get(match["verb"]) or {"reading": "reads"}.get(match["verb"], "uses")
    instead = _INSTEAD.match(match["what"])
    return [] if instead is None else _instead(third, instead["a"], instead["b"])


def _gave_up(match: _Match) -> list[Statement]:
    third = _DOING_STEMS[match["verb"]]
    return [Statement(f"stopped {match['verb']}", "fact", slot=third, negates=True)]


def _comes_from(match: _Match) -> list[Statement]:
    place = match["place"]
    if not _is_name(place):
        return []
    verb = "was born in" if "born" in match["verb"] else "grew up in"
    entity = FoundEntity(named(place), "place")
    says = f"{verb} {_with_article(match)}{place}{match['further']}"
    return [Statement(says, "fact", verb, entity, verb if "born" in verb else None, dated="event")]


def _used_to_like(match: _Match) -> list[Statement]:
    return _attitude(f"used to {match['verb']}", match["what"], positive=match["verb"] == "hate")


def _released(match: _Match) -> list[Statement]:
    thing = match["thing"] or match["thing2"]
    version = match["version"] or match["version2"]
    return (
        [] if match.said.is_ahead or not _is_name(thing) else [version_of(named(thing), version.rstrip("."))]
    )


def _will_work(match: _Match) -> list[Statement]:
    org = match["org"]
    if not _is_name(org):
        return []
    entity = FoundEntity(named(org), "organisation")
    return [_plan(f"work at {org}", entity)]


def _lived(match: _Match) -> list[Statement]:
    """ "Used to live in Berlin": wherever they live now, it is not there."""
    place = match["place"]
    if not _is_name(place):
        return []
    says = "used to live in" if "used to" in match.group() else "no longer lives in"
    return [replace(_living(f"{says} {place}", place), negates=True, importance=0.5)]


def _works(match: _Match) -> list[Statement]:
    found: list[Statement] = []
    role = match["role"] or match["role2"]
    org = match["org"]
    if match["perfect"] and not match.said.lasts:
        return []
    if match.said.is_ahead and match["change"]:
        return []
    if org and _is_name(org) and org.lower() not in ("me", "you"):
        verb = match["change"] or "works at"
        says = {"joined": "joined", "works at": "works at"}.get(verb, "started working at")
        found.append(_working(f"{says} {org}", org))
    if role and (cleaned := _role(role)):
        found.append(_working_as(cleaned))
    return found


def _working(says: str, org: str) -> Statement:
    employer = FoundEntity(named(org), "organisation")
    return Statement(says, "fact", "works at", employer, "works at", importance=0.7)


def _working_as(role: str, verb: str = "works as") -> Statement:
    article = "an" if role[0].lower() in "aeiou" else "a"
    return Statement(f"{verb} {article} {role}", "fact", None, None, "works as", importance=0.65)


def _role(text: str) -> str | None:
    words = text.split()
    if (
        not words
        or words[-1].lower() in _NO_ROLE
        or words[0].lower() in ("it", "this", "that", "much", "well", "hard", "me")
    ):
        return None
    return " ".join(words)


_NO_ROLE = frozenset(
    "well team hard kid child part result way favor favour day week reminder thing bit lot".split()
)


def _is_role(match: _Match) -> list[Statement]:
    """ "Am a nurse": only of words that are an occupation."""
    words = match["role"].lower().split()
    head = next((word for word in reversed(words) if word in _OCCUPATIONS), None)
    if head is None or words[-1] != head or set(words) & _NOT_BY_TRADE:
        return _is_something(match)
    found = [_working_as(match["role"])]
    org = match["org"]
    if org and _is_name(org):
        found.insert(0, _working(f"works at {org}", org))
    return found


_NOT_BY_TRADE = frozenset(
    "former ex retired aspiring amateur wannabe hobby future big great good terrible bad better real".split()
)


_OCCUPATIONS = frozenset(
    """
    accountant actor actress actuary administrator analyst anesthesiologist architect archivist artist
    assistant astronomer attorney auditor author baker banker barber barista bartender biologist bookkeeper
    bricklayer broker builder butcher caregiver carpenter cashier chef chemist cleaner clerk coach composer
    consultant contractor cook copywriter counselor curator dentist designer developer dietitian director
    doctor economist editor electrician engineer entrepreneur farmer filmmaker firefighter fisherman florist
    freelancer gardener geologist hairdresser historian illustrator instructor interpreter investor janitor
    journalist judge landscaper lawyer lecturer librarian lifeguard linguist machinist manager mathematician
    mechanic midwife miner musician nanny nurse nutritionist optician optometrist painter paralegal paramedic
    pharmacist photographer physicist physiotherapist pilot plumber policeman postman potter principal
    producer professor programmer psychiatrist psychologist publicist radiologist realtor receptionist
    recruiter reporter researcher salesman salesperson scientist sculptor secretary seamstress singer
    sociologist soldier statistician stylist superintendent surgeon surveyor tailor teacher technician
    therapist trainer translator tutor upholsterer veterinarian videographer waiter waitress warden welder
    woodworker writer zoologist
    """.split()
)


def _is_something(match: _Match) -> list[Statement]:
    words = match["role"].split()
    if match["org"] or len(words) > 3 or not set(map(str.lower, words)).isdisjoint(_PASSING):
        return []
    if match.group().split()[1].lower() not in ("a", "an"):
        return []
    if words[-1].lower() not in _LASTING:
        return []
    return [Statement(f"is {match.group().split()[1]} {match['role']}", "fact")]


_LASTING = frozenset(
    """
    student freshman sophomore parent father mother widow widower twin veteran immigrant refugee introvert
    extrovert perfectionist gamer runner cyclist hiker climber vegan christian muslim buddhist jew atheist
    republican democrat volunteer homeowner citizen feminist pacifist minimalist
    """.split()
)


_PASSING = frozenset("bit little huge big not such total complete bad good".split())


def _left(match: _Match) -> list[Statement]:
    org = match["org"]
    sure = bool(match["sure"])
    if match.said.is_ahead or not _is_name(org):
        return []
    if not (sure or match.said.speaks_of_work or name_key(named(org)) in match.said.employers):
        return []
    verb = match["verb"]
    says = {
        "left": "left", "quit": "quit", "resigned from": "resigned from", "retired from": "retired from",
    }.get(verb, "no longer works at")  # fmt: skip
    if "used to" in match.group():
        says = "used to work at"
    return [replace(_working(f"{says} {org}", org), negates=True)]


def _lost_job(match: _Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    verb = " ".join(match["verb"].split())
    says = {"left": "left their job", "quit": "quit their job", "lost": "lost their job"}.get(verb, verb)
    return [Statement(f"{says}", "fact", slot="works at", negates=True, importance=0.65)]


def _studies(match: _Match) -> list[Statement]:
    school = match["school"]
    if not _is_name(school) or match.said.is_ahead:
        return []
    what = match["what"]
    subject = f"studies {what.strip()} at" if what else "studies at"
    entity = FoundEntity(named(school), "organisation")
    return [Statement(f"{subject} {school}", "fact", "studies at", entity, "studies at", importance=0.65)]


def _graduated(match: _Match) -> list[Statement]:
    school = match["school"]
    if not _is_name(school) or match.said.is_ahead:
        return []
    entity = FoundEntity(named(school), "organisation")
    return [Statement(f"graduated from {school}", "fact", "studies at", entity, "studies at", negates=True)]


_ATTITUDES = {
    "like": "likes", "love": "loves", "enjoy": "enjoys", "adore": "adores", "hate": "hates",
    "dislike": "dislikes", "despise": "despises", "detest": "detests",
}  # fmt: skip


_DISLIKES = frozenset(
    {
        "hates",
        "dislikes",
        "despises",
        "detests",
        "can not stand",
        "does not like",
        "no longer likes",
        "is not a fan of",
    }
)


def _attitude(says: str, phrase: str, *, positive: bool) -> list[Statement]:
    words = self_contained(phrase, longest=7)
    if words is None or (key := object_key(words)) is None:
        return []
    # "I love the idea" is said of what lies before them, not of what they are like.
    if re.match(r"(?:the|some|all) ", words) and not re.search(rf"\b[{UPPER}]", words):
        return []
    if len(parts := listed(words)) > 1:
        return [one for part in parts for one in _attitude(says, part, positive=positive)]
    predicate = "likes" if positive else "dislikes"
    target = entity_of(words)
    return [
        Statement(
            f"{says} {words}", "preference", predicate if target else None, target, f"likes: {key}",
            negates=not positive, importance=0.55, dated="undated",
        )
    ]  # fmt: skip


def _likes(match: _Match) -> list[Statement]:
    verb = match["verb"].rstrip("d") if match["verb"] not in _ATTITUDES else match["verb"]
    says = _ATTITUDES.get(verb.removesuffix("s")) or _ATTITUDES.get(verb) or ""
    if not says:
        return []
    phrase = match["what"]
    if over := _MORE_THAN.match(phrase):
        return prefers(over["a"], over["b"])
    return _attitude(says, phrase, positive=says not in _DISLIKES)


def _is_fond(match: _Match) -> list[Statement]:
    says = {"into": "is into", "fond of": "is fond of", "obsessed with": "is obsessed with"}.get(
        match["how"], "is a fan of"
    )
    return _attitude(says, match["what"], positive=True)


def _does_not_like(match: _Match) -> list[Statement]:
    verb = match["verb"] or ""
    ended = (
        "no longer" in match.group() or re.search(r"\bany ?(?:more|longer)\b", match.said.rest) is not None
    )
    if (
        "gone off" in match.group()
        or "stand" in match.group()
        or "fan of" in match.group()
        or "into" in match.group()
    ):
        says = "has gone off" if "gone off" in match.group() else "is not a fan of"
        says = "can not stand" if "stand" in match.group() else says
    else:
        says = f"no longer {_ATTITUDES[verb]}" if ended and verb in _ATTITUDES else f"does not {verb}"
    return _attitude(says, match["what"], positive=False)


_MORE_THAN = re.compile(r"(?P<a>[\w' -]{2,40}?) (?:more|better) than (?P<b>[\w' -]{2,40})$")


def prefers(a: str, b: str, says: str | None = None) -> list[Statement]:
    """A choice of one over another; it replaces any earlier choice between the two."""
    chosen, other = self_contained(a, longest=5), self_contained(b, longest=5)
    if chosen is None or other is None:
        return []
    keys = object_key(chosen), object_key(other)
    if keys[0] is None or keys[1] is None or keys[0] == keys[1]:
        return []
    slot = f"prefers: {' | '.join(sorted((keys[0], keys[1])))}"
    entity = FoundEntity(chosen, "concept")
    return [
        Statement(
            says or f"prefers {chosen} to {other}",
            "preference",
            "prefers",
            entity,
            slot,
            importance=0.65,
            dated="undated",
        )
    ]


def _prefers(match: _Match) -> list[Statement]:
    if match["b"]:
        return prefers(match["a"] or "", match["b"] or "")
    words = self_contained(match["a"], longest=9)
    if words is None:
        return []
    return [Statement(f"prefers {words}", "preference", importance=0.6, dated="undated")]


def _switched(match: _Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    a, b = match["a"], match["b"]
    new, old = self_contained(a, longest=5), self_contained(b, longest=5)
    if new is None or old is None:
        return []
    if re.search(r"\d", new + old) and re.sub(r"[\d. v]", "", new) == re.sub(r"[\d. v]", "", old):
        return []
    key = object_key(old)
    found = prefers(new, old, f"switched from {old} to {new}")
    if found and key is not None:
        found += [_doing("uses", new), _no_longer("uses", old, key)]
    return [one for one in found if one is not None]


_DOINGS = {
    "use": "uses", "play": "plays", "speak": "speaks", "drive": "drives", "drink": "drinks", "eat": "eats",
    "smoke": "smokes", "practice": "practices", "practise": "practises", "teach": "teaches",
    "collect": "collects", "own": "owns",
}  # fmt: skip


_DOING_STEMS = {
    "using": "uses", "playing": "plays", "drinking": "drinks", "eating": "eats", "smoking": "smokes",
    "practicing": "practices", "teaching": "teaches", "collecting": "collects",
    "driving": "drives", "learning": "is learning",
}  # fmt: skip


def _doing_each(verb: str, words: str) -> list[Statement]:
    return [one for part in listed(words) if (one := _doing(verb, part)) is not None]


def _doing(verb: str, words: str) -> Statement | None:
    thing = re.split(r" (?:for|at|with|in|on|to|every|as) ", words)[0]
    key = object_key(thing)
    if key is None or re.match(r"(?:for|with|in|on|at|to|by|around|together|well|their) ", words):
        return None
    target = entity_of(thing)
    return Statement(
        f"{verb} {words}", "fact", verb if target else None, target, f"{verb}: {key}", importance=0.5
    )


def _no_longer(verb: str, words: str, key: str, says: str | None = None) -> Statement:
    return Statement(says or f"no longer {verb} {words}", "fact", None, None, f"{verb}: {key}", negates=True)


def _does(match: _Match) -> list[Statement]:
    verb = match["verb"]
    third = _DOINGS.get(verb) or _DOINGS.get(verb.removesuffix("s"), verb)
    phrase = match["what"]
    if instead := _INSTEAD.match(phrase):
        return _instead(third, instead["a"], instead["b"])
    words = self_contained(phrase, longest=6)
    if words is None or (third in ("teaches", "eats", "drinks") and not _is_lasting(words)):
        return []
    return _doing_each(third, words)


def _instead(third: str, a: str, b: str) -> list[Statement]:
    """They do it with one and no more with the other."""
    new, old = self_contained(a, longest=5), self_contained(b, longest=5)
    if new is None or old is None or (key := object_key(old)) is None:
        return []
    found = prefers(new, old, f"{third} {new} instead of {old}")
    if found and (doing := _doing(third, new)):
        found += [doing, _no_longer(third, old, key)]
    return found


def _is_lasting(words: str) -> bool:
    """Whether it is a thing in general ("coffee", "yoga classes") and not the one at hand ("a break")."""
    return not re.match(
        r"(?:an?|the|this|that|some|it|care|part|place|time|note|notes|advantage|breaks?|lunch|dinner"
        r"|breakfast)\b",
        words,
    )


_INSTEAD = re.compile(r"(?P<a>[\w'. +#-]{2,40}?) (?:instead of|rather than) (?P<b>[\w'. +#-]{2,40})$")


def _stopped(match: _Match) -> list[Statement]:
    third = _DOING_STEMS.get(match["verb"])
    words = self_contained(match["what"], longest=5) if match["what"] else None
    if third is None or words is None or (key := object_key(words)) is None or match.said.is_ahead:
        return []
    return [_no_longer(third, words, key, f"stopped {match['verb']} {words}")]


def _does_no_longer(match: _Match) -> list[Statement]:
    third = _DOINGS[match["verb"]]
    words = self_contained(match["what"], longest=5)
    if words is None or (key := object_key(words)) is None:
        return []
    ended = "no longer" in match.group() or re.search(r"\bany ?(?:more|longer)\b", match.said.rest)
    says = f"no longer {third} {words}" if ended else f"does not {match['verb']} {words}"
    return [_no_longer(third, words, key, says)]


def _allergic(match: _Match) -> list[Statement]:
    words = self_contained(match["what"], longest=5)
    if words is None:
        return []
    found: list[Statement] = []
    for one in re.split(r",? and |, | or ", words):
        if (key := object_key(one)) is None:
            continue
        negates = bool(match["not"])
        says = f"is not allergic to {one}" if negates else f"is allergic to {one}"
        predicate = None if negates else "is allergic to"
        entity = None if negates else FoundEntity(one, "concept")
        found.append(
            Statement(says, "fact", predicate, entity, f"is allergic to: {key}", negates, 0.8, "undated")
        )
    return found[:4]


_DIETS = {
    "vegan": "vegan",
    "vegetarian": "vegetarian",
    "pescatarian": "pescatarian",
    "pescetarian": "pescatarian",
}


def _diet(match: _Match) -> list[Statement]:
    diet = _DIETS[match["diet"].lower()]
    if bool(match["not"]):
        return [Statement(f"is no longer {diet}", "fact", slot="has diet", negates=True, importance=0.6)]
    return [Statement(f"is {diet}", "fact", slot="has diet", importance=0.7)]


def _eats_meat_again(_: _Match) -> list[Statement]:
    return [Statement("eats meat again", "fact", slot="has diet", negates=True, importance=0.6)]


def _married(match: _Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    name = match["who"]
    if not _is_name(name):
        return []
    return [
        _spouse(
            f"is married to {name}" if match.group().startswith(("am", "is", "are")) else f"married {name}",
            name,
        )
    ]


def _spouse(says: str, name: str) -> Statement:
    return Statement(
        says,
        "fact",
        "is married to",
        FoundEntity(named(name), "person"),
        "is married to",
        importance=0.7,
    )


def _dating(match: _Match) -> list[Statement]:
    name = match["who"]
    if not _is_name(name):
        return []
    entity = FoundEntity(named(name), "person")
    return [Statement(f"is dating {name}", "fact", "is partner of", entity, "is partner of", importance=0.6)]


def _divorced(match: _Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    return [Statement("got divorced", "fact", slot="is married to", negates=True, importance=0.7)]


def _broke_up(match: _Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    name = match["who"] or ""
    says = f"broke up with {name}" if _is_name(name) else "broke up with their partner"
    entity = FoundEntity(named(name), "person") if _is_name(name) else None
    return [
        Statement(
            says,
            "fact",
            "is partner of" if entity else None,
            entity,
            "is partner of",
            negates=True,
            importance=0.65,
        )
    ]


def _aged(match: _Match) -> list[Statement]:
    age = int(match["age"])
    if not 0 < age < 120 or match.said.is_ahead:
        return []
    return [Statement(f"is {age} years old", "fact", slot="is aged", importance=0.55, dated="undated")]


_PET = "|".join(sorted(PETS, key=len, reverse=True))


_FAMILY = (
    "sisters?|brothers?|siblings?|sons?|daughters?|kids?|child|children|twins|grandchildren"
    "|nephews?|nieces?|cousins?"
)


def _has(match: _Match) -> list[Statement]:
    words, names = match["what"], match["names"]
    if not names:
        return [Statement(f"has {words}", "fact", importance=0.55)]
    noun = _noun(words)
    predicate = "has pet" if noun in PETS else f"has {noun}"
    others = [
        FoundEntity(named(name), "concept" if noun in PETS else "person")
        for name in re.split(r",? and |, ", names)
    ]
    says = f"has {words} named {names}"
    return [Statement(says, "fact", predicate, others[0], importance=0.6, entities=tuple(others))]


def _noun(words: str) -> str:
    return singular(words.rsplit(maxsplit=1)[-1].lower())


def _upgraded(match: _Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    thing, version = named(match["thing2"] or match["thing"]), match["version"].rstrip(".")
    return [version_of(thing, version)] if _is_name(thing) else []


def version_of(thing: str, version: str) -> Statement:
    """The version of a thing that is in use now; of the thing, not of who uses it."""
    return Statement(
        f"is at version {version}", "fact", slot="has version", importance=0.6, subject=Who(thing, "product")
    )


def _plan(text: str, target: FoundEntity | None = None) -> Statement:
    key = plan_key(text.partition(" ")[2])
    return Statement(
        f"plans to {text}", "plan", slot=f"plan: {key}" if key else None, importance=0.55, dated="plan",
        entities=(target,) if target else (),
    )  # fmt: skip


def _plans(match: _Match) -> list[Statement]:
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
    return [_plan(words)]


def _wants(match: _Match) -> list[Statement]:
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


def _has_date(match: _Match) -> list[Statement]:
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


def _cancelled(match: _Match) -> list[Statement]:
    words = self_contained(match["what"], longest=10)
    if words is None or (key := plan_key(words)) is None:
        return []
    return [
        Statement(
            f"cancelled {words}", "plan", slot=f"plan: {key}", negates=True, importance=0.6, dated="undated"
        )
    ]


def _not_going(match: _Match) -> list[Statement]:
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


def _visited(match: _Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    place = match["place"]
    if not _is_name(place):
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
    article = _with_article(match)
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


def _happened(match: _Match) -> list[Statement]:
    """Something done: the past of a verb is the same for all persons."""
    if match.said.is_ahead:
        return []
    verb = match["verb"]
    if verb in _NO_EVENT:
        return []
    words = self_contained(match["what"], longest=14)
    if words is None or len(words.split()) < 2 or not (match.said.has_time or verb in _DEEDS):
        return []
    return [Statement(f"{verb} {words}", "event", importance=0.4, dated="event", entities=())]


_DEEDS = frozenset(
    """
    bought adopted sold won graduated finished completed launched published released founded passed failed
    broke earned received inherited built opened closed hosted organized organised attended visited hiked
    climbed ran travelled traveled married met celebrated donated volunteered started began joined enrolled
    signed booked planted painted baked cooked repaired fixed renovated moved lost found
    """.split()
)


_IRREGULAR = (
    "bought|sold|won|met|saw|went|took|got|gave|made|had|read|wrote|built|broke|lost|found|ran|swam"
    "|drove|flew|rode|"
    "spent|taught|learned|began|came|caught|chose|drew|ate|drank|held|heard|led|left|sent|sang|slept"
    "|spoke|threw|woke|wore"
)


_NO_EVENT = frozenset(
    """
    used wanted needed seemed looked liked loved hated enjoyed preferred hoped wished tried wondered noticed
    realized realised figured decided considered thought felt knew believed guessed supposed mentioned asked
    said told appreciated expected assumed agreed imagined remembered forgot had got heard interested excited
    tired confused worried concerned based related supposed allowed called named married moved stopped saw
    """.split()
)


def _form(pattern: str, read_it: _Read) -> _Form:
    return _Form(re.compile(pattern), read_it)


_AWAY = r"(?: (?:back|out|down|over|up|here|away|house|home|all the way|again|in))*"


_FROM = rf"(?: from (?:the )?{NAME}(?:, {NAME})?)?"


_WITHIN = (
    r"(?:(?:alone|together|here|permanently|full[- ]time|with [\w' -]{1,40}?) )?(?:in (?:an?|the"
    r"|my|our) [\w' -]{1,40}? )?"
)


_CHANGE = (
    r"(?:(?P<change>started)(?: (?:working|work|out|over|an?|my|the|new|job|position|role|gig"
    r"|internship|career))*"
    r"|(?P<got>got|landed|took|accepted|have got)(?: (?:an?|my|the|new|full-time|part-time|dream))* "
    r"(?:job|position|role|gig))"
)


def _became(match: _Match) -> list[Statement]:
    words = match["role"].lower().split()
    if match.said.is_ahead or ("promot" not in match.group() and words[-1] not in _OCCUPATIONS):
        return []
    return [_working_as(match["role"], "became")]


def _at_school(match: _Match) -> bool:
    return (
        " at " in match.group()
        or re.search(r"University|College|School|Institute|Academy", match["school"]) is not None
    )


def _not_like(match: _Match) -> list[Statement]:
    verb = match["verb"] or match["verb2"]
    ended = bool(match["verb2"]) or re.search(r"\bany ?(?:more|longer)\b", match.said.rest) is not None
    says = f"no longer {_ATTITUDES[verb]}" if ended else f"does not {verb}"
    return _attitude(says, match["what"], positive=False)


def _is_withdrawn(match: _Match) -> bool:
    """Whether a plan is given up, and not merely a habit denied."""
    return (
        match.said.is_ahead
        or "decided" in match.group()
        or "no longer" in match.group()
        or re.search(r"\bany ?more\b|\bafter all\b|\binstead\b", match.said.rest) is not None
    )


def _planning(match: _Match) -> list[Statement]:
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


def _now_doing(match: _Match) -> list[Statement]:
    verb, what = match["verb"], match["what"]
    third = _DOING_STEMS.get(verb)
    if third is None:
        return []
    words = self_contained(what, longest=6)
    if words is None or third in ("eats", "drinks", "drives") or not _is_lasting(words):
        return []
    return _doing_each(third, words)


_FORMS = (
    _form(
        rf"(?:{_BE} (?:living|based|residing|located)|lives?|resides?|(?P<perfect>{_HAVE} "
        rf"(?:been living|lived|been based|resided))) {_WITHIN}in {_PLACE}",
        _lives,
    ),
    _form(
        r"(?:(?:used to live|no longer lives?|(?:do|does) not live"
        rf"|{_BE} no longer living) {_WITHIN}in {_PLACE})",
        _lived,
    ),
    _form(
        rf"(?:{_HAVE} )?(?:upgraded|updated|migrated|moved|bumped|switched|went|downgraded|rolled back)"
        r"(?: (?:the )?"
        rf"(?P<thing>{WORD}(?: {WORD})?))?(?: from (?:{WORD} )?[vV]?\d[\w.]*)? to (?P<thing2>{WORD}"
        rf"(?: {WORD})? )?"
        r"(?:version |v)?(?P<version>\d[\w.]*)",
        _upgraded,
    ),
    _form(
        rf"(?:{_HAVE} )?(?:upgraded|updated|bumped) to (?P<thing>{WORD}(?: {WORD})?) (?P<version>\d[\w.]*)",
        _upgraded,
    ),
    _form(
        rf"(?:{_HAVE} )?(?:moved|relocated|emigrated|immigrated)"
        rf"(?: with [\w' ]{{1,30}}?)?{_AWAY}{_FROM}{_AWAY} to {_PLACE}",
        _moved,
    ),
    _form(rf"(?:{_HAVE} )?(?:settled|settled down) in {_PLACE}", _moved),
    _form(rf"(?P<verb>grew up|was born|were born|was raised) in {_PLACE}", _comes_from),
    _form(
        rf"(?:(?:will|{_BE} going to) (?:be )?(?:work|working|start|starting|join|joining)|{_BE} "
        r"(?:starting|joining)|starts?)(?: (?:working|work|an?|my|new|job|position|role))* (?:at "
        rf"|with |for )?{_ORG}{_END}",
        lambda match: (
            _will_work(match)
            if match.said.speaks_of_work or re.search(r"work|starts? at|starting at", match.group())
            else []
        ),
    ),
    _form(rf"{_BE} at {_ORG} as {_ROLE}", _works),
    _form(rf"{_BE} (?:based out of|based at) {_PLACE}(?P<perfect>)", _lives),
    _form(rf"{_BE} (?:originally )?from {_PLACE}{_END}", _is_from),
    _form(rf"(?:report|reports) to (?P<who>{NAME}){_END}", _reports_to),
    _form(rf"{_BE} (?:engaged to|in a relationship with|together with) (?P<who>{NAME}){_END}", _dating),
    _form(rf"{_BE} single{_END}", _single),
    _form(
        rf"{_HAVE} (?:an? )?(?:severe |bad |mild )?(?P<what>[a-z]+(?: [a-z]+)?) allerg(?:y|ies)"
        rf"(?P<not>){_END}",
        _allergic,
    ),
    _form(rf"{_BE} (?P<what>[a-z]+)[- ]intolerant\b", _intolerant),
    _form(r"(?:can not|can no longer) (?P<verb>eat|drink) (?P<what>.+)", _does_no_longer),
    _form(rf"(?:{_HAVE} )?gone off (?P<what>.+)", _does_not_like),
    _form(
        rf"(?:{_HAVE} )?(?:started|began|switched to|{_BE}) (?P<verb>using|drinking|eating|playing"
        r"|taking|reading) "
        r"(?P<what>.+ (?:instead of|rather than) .+)",
        _does_instead,
    ),
    _form(
        r"(?:stopped|quit|gave up|have stopped|has stopped|have quit|has quit) (?P<verb>smoking"
        r"|drinking){_END}".replace("{_END}", _END),
        _gave_up,
    ),
    _form(r"used to (?:really )?(?P<verb>love|like|enjoy|hate) (?P<what>.+)", _used_to_like),
    _form(
        rf"(?:{_HAVE} )?(?:released|shipped|launched|published|deployed|rolled out)(?: the)? (?:"
        rf"(?:version |v)?(?P<version>\d[\w.]*) of (?:the )?(?P<thing>{WORD}(?: {WORD})?)|"
        rf"(?P<thing2>{WORD}(?: {WORD})?) (?:version |v)?(?P<version2>\d[\w.]*)){_END}",
        _released,
    ),
    _form(
        rf"(?:{_BE} (?:moving|relocating)|(?:{_BE} going|plan|plans|{_BE} planning|decided|{_BE} about"
        rf"|{_BE} preparing|will)(?: to)? (?:move|relocate)){_AWAY}{_FROM} to {_PLACE}",
        _will_move,
    ),
    _form(
        r"(?:have |has )?(?P<verb>left|quit|resigned from|retired from)(?P<sure> (?:my|their|the|his"
        r"|her) (?:job"
        rf"|position|role)(?: as [\w ]{{2,30}}?)? (?:at|with))? {_ORG}{_END}",
        _left,
    ),
    _form(rf"(?P<verb>left) {_ORG} (?P<sure>(?:to join|for a (?:new )?(?:job|role|position)))\b", _left),
    _form(rf"(?P<verb>left|quit) {_ORG}(?P<sure>)(?= (?:after|because|in|for|to)\b)", _left),
    _form(
        r"(?P<verb>(?P<sure>used to work|no longer works?|(?:do|does) not work|stopped working"
        rf"|{_BE} no longer(?: working| employed)?)) (?:at|for|with|by) {_ORG}",
        _left,
    ),
    _form(
        rf"(?P<verb>(?P<sure>(?:was|got|{_HAVE} been) (?:laid off|fired|let go)))(?: from| by) {_ORG}", _left
    ),
    _form(
        r"(?P<verb>quit|left|lost) (?:my|their|his|her|the) job\b(?! (?:interview|offer|search|market"
        r"|application))",
        _lost_job,
    ),
    _form(rf"(?P<verb>(?:was|got) (?:laid off|fired)|retired){_END}", _lost_job),
    _form(
        rf"(?:{_BE} working|works?|(?P<perfect>{_HAVE} (?:worked|been working)))(?: part-time"
        rf"| full-time| remotely| as {_ROLE})? (?:at|for) {_ORG}"
        rf"(?: as {_ROLE.replace('<role>', '<role2>')})?",
        _works,
    ),
    _form(
        rf"{_CHANGE}(?: as {_ROLE})? (?:at|with|for) {_ORG}(?: as {_ROLE.replace('<role>', '<role2>')})?",
        _works,
    ),
    _form(
        rf"(?:(?:was|got|{_HAVE} been) hired)(?: as {_ROLE})? (?:at|by) {_ORG}"
        rf"(?: as {_ROLE.replace('<role>', '<role2>')})?",
        _works,
    ),
    _form(rf"(?P<change>joined) {_ORG}(?:'s team)? as {_ROLE}", _works),
    _form(
        rf"(?P<change>joined) (?:the team at )?{_ORG}{_END}",
        lambda match: _works(match) if match.said.speaks_of_work or "team at" in match.group() else [],
    ),
    _form(
        rf"(?:(?:{_BE} )?work(?:s|ing)?|started(?: working| out)?|got (?:a (?:new )?)?(?:job|work"
        rf"|position)|was hired|got hired) as {_ROLE}",
        _works,
    ),
    _form(
        rf"(?:{_BE}|became|went|turned|{_HAVE} become|{_HAVE} gone|{_HAVE} been) (?P<not>not "
        r"|no longer )?(?:an? )?(?:strict )?(?P<diet>vegan|vegetarian|pescatarian|pescetarian)\b(?! "
        r"(?:food|dish|meal|recipe|option|restaurant|diet))",
        _diet,
    ),
    _form(
        rf"(?:became|was promoted to|got promoted to|{_HAVE} been promoted to|got a promotion to) {_ROLE}",
        _became,
    ),
    _form(
        rf"(?:study|studies|{_BE} studying|{_BE} (?:an? )?(?:\w+ )?student|{_BE} enrolled|(?:have"
        rf"|has) been studying)(?P<what> [a-z][a-z ]{{2,40}}?)? (?:at|in) (?:the )?(?P<school>{NAME})",
        lambda match: _studies(match) if _at_school(match) else [],
    ),
    _form(rf"graduated(?: [a-z ]{{0,30}})? from (?:the )?(?P<school>{NAME})", _graduated),
    _form(
        r"(?:would )?(?:prefers?|(?:would )?rather(?: have| use| drink| eat)?) (?P<a>[^,;]{2,60}?) "
        r"(?:over|to|rather than|instead of|than) (?!(?:go|do|be|have|use|get|make|see|eat|work|stay"
        r"|read|keep|take)\b)(?P<b>[^,;.!]{2,60})",
        _prefers,
    ),
    _form(r"(?:prefers?) (?P<a>[^,;]{2,90})(?P<b>)", _prefers),
    _form(
        rf"(?:{_HAVE} )?(?:switched|migrated|moved|went|changed)(?: over)? from "
        rf"(?P<b>[\w'. +#-]{{2,40}}?) to (?P<a>[\w'. +#-]{{2,40}})",
        _switched,
    ),
    _form(
        rf"(?:{_HAVE} )?(?:replaced|swapped) (?P<b>[\w'. +#-]{{2,40}}?) (?:with|for|by) "
        rf"(?P<a>[\w'. +#-]{{2,40}})",
        _switched,
    ),
    _form(
        rf"(?:{_BE} )?(?:not|no longer) (?:an? )?(?:big |huge )?(?:fan of|into|fond of) (?P<what>.+)",
        _does_not_like,
    ),
    _form(
        rf"{_BE} (?:not|no longer) (?:an? )?(?:big |huge |really )?(?:fan of|into|fond of) (?P<what>.+)",
        _does_not_like,
    ),
    _form(r"can not stand (?P<what>.+)", _does_not_like),
    _form(
        r"(?:(?:do|does) not (?:really )?(?P<verb>like|love|enjoy)|no longer (?P<verb2>like|love"
        r"|enjoy)s?) (?P<what>.+)",
        _not_like,
    ),
    _form(
        r"(?P<verb>likes?|loves?|enjoys?|adores?|hates?|dislikes?|despises?|detests?) (?P<what>.+)", _likes
    ),
    _form(
        rf"{_BE} (?:a |an )?(?:really |big |huge |so |such a )*(?P<how>into|fond of|obsessed with"
        r"|fan of|lover of) (?P<what>.+)",
        _is_fond,
    ),
    _form(rf"{_BE} (?P<not>not |no longer )?(?:severely |very |highly )?allergic to (?P<what>.+)", _allergic),
    _form(r"(?:eat|eats|started eating|am eating|is eating) meat again", _eats_meat_again),
    _form(rf"(?:{_BE} married to|married|got married to) (?P<who>{NAME}){_END}", _married),
    _form(rf"{_BE} (?:dating|seeing) (?P<who>{NAME}){_END}", _dating),
    _form(rf"(?:got|{_BE}|{_HAVE} gotten) divorced\b", _divorced),
    _form(rf"(?:broke|split) up(?: with (?:my \w+(?: )?)?(?P<who>{NAME})?)?", _broke_up),
    _form(rf"(?:{_BE}|just turned|turned) (?P<age>\d{{1,3}})(?: years old| years of age)?{_END}", _aged),
    _form(rf"(?:{_BE} )(?P<age>\d{{1,3}})(?: years old| yo\b| years of age)", _aged),
    _form(
        rf"{_HAVE} (?P<what>(?:an?|one|two|three|four|five|\d) (?:\w+ ){{0,3}}(?:{_FAMILY}|"
        rf"(?:{_PET})s?))(?: (?:named|called) (?P<names>{NAME}(?:(?:,| and) {NAME})*))?{_END}",
        _has,
    ),
    _form(
        rf"(?:{_HAVE} )?(?:adopted|got|bought) (?P<what>an? (?:\w+ ){{0,3}}(?:{_PET}))(?: (?:named|called) "
        rf"(?P<names>{NAME})){_END}",
        _has,
    ),
    _form(
        rf"(?:{_BE} (?:now )?(?:on|using|running)|use|uses|run|runs) (?P<thing>{WORD}(?: {WORD})?) "
        rf"(?:version |v)?(?P<version>\d+(?:\.[\w.]+)?){_END}",
        _upgraded,
    ),
    _form(
        rf"(?:called off|cancelled|canceled|scrapped|{_HAVE} cancelled|{_HAVE} canceled|had to cancel"
        r"|dropped) (?P<what>(?:the|my|our) .+)",
        _cancelled,
    ),
    _form(
        rf"(?:{_BE} (?:not|no longer) (?:going to|planning to|planning on)|will not be|will not"
        rf"|(?:have |has )?decided not to|(?:have |has )?decided against|{_BE} not|{_BE} no longer) "
        r"(?P<verb>go|going|move|moving"
        r"|visit|visiting|travel|travelling|traveling|attend|attending|run|running|do|doing|take"
        r"|taking|buy|buying|have|having)\b ?(?P<what>.*)",
        lambda match: _not_going(match) if _is_withdrawn(match) else [],
    ),
    _form(
        rf"(?:{_BE} (?:going|planning|about|set|scheduled) to|plans? to|intends? to|have plans to|"
        r"(?P<will>will)) (?P<verb>(?!an?\b|the\b|my\b|our\b|some\b)[a-z]+)(?P<what> .+)?",
        _plans,
    ),
    _form(
        rf"{_BE} planning (?:on )?(?:an? |the |my |our )(?P<verb>)(?P<what>.+)",
        _planning,
    ),
    _form(
        rf"(?P<ing>{_BE}) (?P<verb>[a-z]+ing)(?P<what> .+)?",
        lambda match: _plans(match) if match.said.is_ahead else _now_doing(match),
    ),
    _form(
        r"(?:would (?:really )?(?:like|love)|wants?|hopes?|am hoping|is hoping) to (?P<verb>[a-z]+)"
        r"(?P<what> .+)?",
        _wants,
    ),
    _form(rf"{_HAVE} (?P<what>(?:an?|my|our) .+)", _has_date),
    _form(
        r"(?:stopped|quit|gave up|{_HAVE} stopped) (?P<verb>[a-z]+ing)(?: (?P<what>.+))?".replace(
            "{_HAVE}", _HAVE
        ),
        _stopped,
    ),
    _form(rf"(?:do not|does not|no longer) (?P<verb>{'|'.join(_DOINGS)})s? (?P<what>.+)", _does_no_longer),
    _form(rf"(?P<verb>(?:{'|'.join(_DOINGS)})s?) (?P<what>.+)", _does),
    _form(
        rf"(?P<verb>visited|went to|travell?ed to|flew to|{_HAVE} been to|drove to|toured"
        rf"|{_HAVE} visited|took a trip to) {_PLACE}",
        _visited,
    ),
    _form(rf"(?:{_HAVE} )?(?P<verb>[a-z]{{3,14}}ed|{_IRREGULAR}) (?P<what>.+)", _happened),
    _form(
        rf"{_BE} (?:an? |the )(?P<role>[A-Za-z][\w/-]*(?: (?!at\b|for\b|with\b|in\b|and\b|on\b|by\b|who\b"
        rf"|that\b|of\b|to\b)[\w/-]+){{0,4}})(?: (?:at|for|with) {_ORG})?",
        _is_role,
    ),
)
