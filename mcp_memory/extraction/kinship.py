"""Who is whose: "my sister Maria", "Rex is my dog"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from mcp_memory.extraction.drawing import entities_in, entity
from mcp_memory.extraction.entities import UPPER, find_entities
from mcp_memory.extraction.facts import EITHER, USER, FoundFact
from mcp_memory.extraction.people import (
    CANONICAL,
    KIN,
    KIND_OF,
    OPENERS,
    PETS,
    SEVERAL,
    TELLING,
    Reader,
    Who,
    me_of,
)
from mcp_memory.extraction.phrases import NEVER_NAMES, named
from mcp_memory.models import MAX_IDENTIFIER, NewEntity, NewRelation, name_key
from mcp_memory.ties import BLOOD, IS_OF_SPECIES


def kin_in(sentence: str, reader: Reader) -> Iterator[FoundFact]:
    """Who is whose: "my sister Maria", "Maria is my sister", "my sister is called Maria"."""
    yield from _once_kin(sentence, reader)
    yield from _no_longer_kin(sentence, reader)
    if match := _THE_PET_CALLED.match(sentence):
        yield _is_animal(named(match["name"]), match["kin"].lower(), reader)
    is_over = _OVER.search(sentence) is not None
    for pattern in (_ANY_KIN, KIN_CALLED, _IS_MY_KIN, KIN_IS):
        for match in pattern.finditer(sentence):
            name, word = named(match["name"]), match["kin"].lower()
            if pattern is KIN_IS and (word in _ROLES or is_of_a_kind(name)):
                continue
            if _CALLS.search(sentence[: match.start()]):
                # "Everyone calls my sister Helen Nell": the second is what they call her.
                name = name.split(maxsplit=1)[0]
            if not _is_name(name, reader):
                continue
            kin = CANONICAL.get(word) or word
            if is_over and kin not in BLOOD:
                if word in PETS:
                    yield _is_animal(name, word, reader)
                continue
            kind = " ".join(one for one in match["kind"].lower().split() if one in TELLING)
            is_shared = (reader.me, word) in reader.talk.shared_kin or word in SEVERAL
            alias = () if is_shared else (f"{reader.me}'s {kind} {kin}".replace("  ", " "),)
            alias = tuple(one for one in alias if len(one) <= MAX_IDENTIFIER)
            who = Who(name, "concept" if word in PETS else "person", alias)
            if word not in PETS:
                reader.people.append(who)
            yield _is_kin_of(who, kin, reader)


def _is_name(name: str, reader: Reader) -> bool:
    first = name.split(maxsplit=1)[0]
    return (
        first not in OPENERS and first.casefold() not in NEVER_NAMES and name_key(name) != name_key(reader.me)
    )


def is_of_a_kind(name: str) -> bool:
    """Whether "my wife is …" says what she is and not who: "Canadian", "Catholic", "CEO"."""
    first = name.split(maxsplit=1)[0]
    if first.casefold() in _NAMES_LIKE_KINDS:
        return False
    if first.casefold().strip(".") in _KINDS or "-" in first:
        return True
    return first.isupper() or _KIND_OF_PEOPLE.search(first) is not None or not find_entities(f"Met {name}.")


_KINDS = frozenset(
    """
    aquarius aries away beagle black blind brave busy cancer capricorn chihuahua corgi dachshund deaf fine
    free gay gemini happy home husky ill labrador late libra mad mr mrs ms ok pisces poodle pregnant pug sad
    sagittarius scorpio sick single straight taurus team tired trans vegan virgo white
    """.split()
)
_KIND_OF_PEOPLE = re.compile(r"(?:[ei]an|[ae]se|ish|ic|ist|ican|ew|lim|indu|awake|asleep)$")
_NAMES_LIKE_KINDS = frozenset(
    """
    adrian brian christian cillian damian dean dorian evan fabian florian gillian ian jean jillian julian
    kilian lilian lillian marian matthew andrew drew nick dominic eric frederic sean sebastian vivian hamish
    """.split()
)


def _is_kin_of(who: Who, kin: str, reader: Reader) -> FoundFact:
    is_pet = kin in PETS
    if is_pet:
        text, relation = (
            f"{reader.me} has a {kin} called {who.name}.",
            NewRelation(subject=reader.me, predicate="has pet", object=who.name),
        )
        return FoundFact(
            text=text,
            kind="fact",
            sources=(reader.turn.id,),
            subject=reader.me,
            importance=0.55,
            entities=(entity(me_of(reader)), NewEntity(name=who.name, aliases=who.aliases)),
            relations=(relation,),
        )
    relation = NewRelation(subject=who.name, predicate=f"is {kin} of", object=reader.me)
    if (slot := _slot_of(kin)) is not None:
        relation = NewRelation(subject=reader.me, predicate=slot, object=who.name)
    once = _slot_of(kin.removeprefix("ex-")) if kin.startswith("ex-") else None
    subject = reader.me if slot or once else who.name
    return FoundFact(
        text=f"{who.name} is {inside(reader.me)}'s {kin}.",
        kind="fact",
        sources=(reader.turn.id,),
        subject=subject,
        slot=slot or once or _also(kin, reader),
        # Who was it is not any more; whoever else is stays.
        value=who.name if once else None if slot else EITHER,
        negates=once is not None,
        importance=0.6,
        entities=entities_in("", (entity(who), entity(me_of(reader)))),
        relations=(relation,),
    )


def _also(kin: str, reader: Reader) -> str:
    """What one may be beside others, until it is over: a friend, a neighbour, a landlord."""
    return f"is {kin} of: {name_key(reader.me)}"


def _slot_of(kin: str) -> str | None:
    """What there is one of at a time; None for kin, of whom there may be several."""
    return next((slot for slot, words in _ONE_AT_A_TIME.items() if kin in words), None)


_ROLES = frozenset(
    """
    doctor dentist therapist trainer landlord landlady teacher mentor assistant coach tutor boss manager
    """.split()
)
"""Of whom "my dentist is Dr. Lee" is read as of any thing that one has, and the next takes their place."""

_ONE_AT_A_TIME = {
    "is married to": ("wife", "husband"),
    "reports to": ("boss", "manager"),
    "is partner of": ("girlfriend", "boyfriend", "partner", "fiancé"),
}

# Who has died is an uncle still, but nobody's boss.
_OVER = re.compile(r"\b(?:ex|former|late)[- ]|\b(?:broke up|split up|divorced|died|passed away)\b")


def _once_kin(sentence: str, reader: Reader) -> Iterator[FoundFact]:
    """Who was whose: "my ex-wife Stacy" is no wife, and somebody of her own all the same."""
    for match in _EX.finditer(sentence):
        name = named(match["name"])
        if not _is_name(name, reader):
            continue
        word = (match["kin"] or "partner").lower()
        kin = f"ex-{CANONICAL.get(word) or word}"
        reader.people.append(Who(name, "person"))
        yield _is_kin_of(Who(name, "person"), kin, reader)


def _no_longer_kin(sentence: str, reader: Reader) -> Iterator[FoundFact]:
    """Who is whose no more: "Ines is no longer my boss"."""
    for match in _NO_LONGER.finditer(sentence):
        if _ONLY_THOUGHT.search(sentence[: match.start()]):
            continue
        name, word = named(match["name"]), match["kin"].lower()
        kin = CANONICAL.get(word) or word
        if not _is_name(name, reader) or not (match["over"] or match["more"]):
            continue
        who = Who(name, "person")
        over = FoundFact(
            text=f"{name} is no longer {inside(reader.me)}'s {kin}.",
            kind="fact",
            sources=(reader.turn.id,),
            subject=reader.me,
            slot=_slot_of(kin),
            value=name,
            negates=True,
            importance=0.6,
            entities=entities_in("", (entity(who), entity(me_of(reader)))),
        )
        if over.slot is not None:
            yield over
            continue
        yield replace(over, subject=name, slot=_also(kin, reader), value=EITHER)
        if word in _ROLES:
            # "My dentist is Dr. Lee" is told of the speaker.
            text = f"{reader.me}'s {word} is no longer {name}."
            yield replace(over, text=text, slot=f"own {word}")


_ONLY_THOUGHT = re.compile(
    r"\b(?:dream\w*|wonder\w*|hop(?:e|es|ed|ing)|wish\w*|if|imagin\w*|th(?:ink|ought)|guess|suppose|pretend)\b",
    re.I,
)


def _is_animal(name: str, species: str, reader: Reader) -> FoundFact:
    """What "the cat's name is Tom" says, which may be anybody's."""
    return FoundFact(
        text=f"{name} is a {species}.",
        kind="fact",
        sources=(reader.turn.id,),
        subject=name,
        importance=0.5,
        entities=(NewEntity(name=name), NewEntity(name=species)),
        relations=(NewRelation(subject=name, predicate=IS_OF_SPECIES, object=species),),
    )


def kin_fact(who: Who, whose: str, reader: Reader) -> FoundFact:
    word = re.findall(rf"{KIN}", whose)[-1]
    return _is_kin_of(who, CANONICAL.get(word) or word, reader)


def inside(name: str) -> str:
    """A name as it stands inside a sentence."""
    return f"the user{name.removeprefix(USER)}" if name.startswith(USER) else name


_FULL = rf"(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?[{UPPER}][\w-]{{1,30}}(?: [{UPPER}][\w-]{{1,30}})?"
_CALLS = re.compile(r"\b[Cc]all(?:s|ed)? $")
A_PET = "|".join(sorted(PETS, key=len, reverse=True))
_ANY_KIN = re.compile(
    rf"\b(?P<whose>[Mm]y|[Oo]ur) (?P<kind>{KIND_OF})(?P<kin>{KIN}|{A_PET}),? "
    rf"(?:named |called |is called |is named )?(?P<name>{_FULL})(?='s|\b)"
)
_IS_MY_KIN = re.compile(
    rf"^(?P<name>{_FULL}) is (?:actually |also |now )?"
    rf"(?P<whose>my|our) (?P<kind>{KIND_OF})(?P<kin>{KIN}|{A_PET})(?=\s*$|,| and\b| from\b)"
)
KIN_CALLED = re.compile(
    rf"^(?P<whose>[Mm]y|[Oo]ur) (?P<kind>{KIND_OF})(?P<kin>{KIN}|{A_PET})(?:'s name is| is (?:called"
    rf"|named)| goes by) (?P<name>{_FULL})"
)
KIN_IS = re.compile(
    rf"\b(?P<whose>[Mm]y|[Oo]ur) (?P<kind>{KIND_OF})(?P<kin>{KIN}|{A_PET}) is (?:now )?(?P<name>{_FULL})"
    r"(?=\s*(?:$|[,.;!)]|and (?:my|our|I|we|he|she|they)\b|but\b))"
)
_THE_PET_CALLED = re.compile(
    rf"^[Tt]he (?:little |old |new )?(?P<kin>{A_PET})(?:'s name is| is (?:called|named)| goes by) "
    rf"(?P<name>[{UPPER}][\w-]{{1,30}})(?=\s*(?:$|[,.;!)]|and\b|but\b))"
)
_NO_LONGER = re.compile(
    rf"\b(?P<name>{_FULL}) (?:is|was) (?:(?P<over>no longer)|not) (?:my|our) (?P<kin>{KIN})\b"
    rf"(?P<more>,? any ?(?:more|longer)\b)?"
)
_EX = re.compile(rf"\b(?:[Mm]y|[Oo]ur) (?:ex|former)(?:[- ](?P<kin>{KIN}))?,? (?P<name>{_FULL})(?='s|\b)")
