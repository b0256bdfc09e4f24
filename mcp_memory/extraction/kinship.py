"""Who is whose: "my sister Maria", "Rex is my dog", and who is called otherwise too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mcp_memory.extraction.drawing import entities_in, entity
from mcp_memory.extraction.entities import UPPER
from mcp_memory.extraction.facts import USER, FoundFact
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
from mcp_memory.extraction.phrases import NAME, NEVER_NAMES, named
from mcp_memory.models import MAX_IDENTIFIER, NewEntity, NewRelation, name_key


def kin_in(sentence: str, reader: Reader) -> Iterator[FoundFact]:
    """Who is whose: "my sister Maria", "Maria is my sister", "my sister is called Maria"."""
    if re.search(r"\b(?:ex|former|late)[- ]|\b(?:broke up|split up|divorced|died|passed away)\b", sentence):
        return
    for pattern in (_ANY_KIN, KIN_CALLED, _IS_MY_KIN):
        for match in pattern.finditer(sentence):
            name, word = named(match["name"]), match["kin"].lower()
            first = name.split()[0]
            if first in OPENERS or first.casefold() in NEVER_NAMES or name_key(name) == name_key(reader.me):
                continue
            kin = CANONICAL.get(word) or word
            kind = " ".join(one for one in match["kind"].lower().split() if one in TELLING)
            is_shared = (reader.me, word) in reader.talk.shared_kin or word in SEVERAL
            alias = () if is_shared else (f"{reader.me}'s {kind} {kin}".replace("  ", " "),)
            alias = tuple(one for one in alias if len(one) <= MAX_IDENTIFIER)
            who = Who(name, "concept" if word in PETS else "person", alias)
            if word not in PETS:
                reader.people.append(who)
            yield _is_kin_of(who, kin, reader)


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
    slot = None
    if kin in ("wife", "husband"):
        slot = "is married to"
        relation = NewRelation(subject=reader.me, predicate="is married to", object=who.name)
    if kin in ("boss", "manager"):
        slot = "reports to"
        relation = NewRelation(subject=reader.me, predicate="reports to", object=who.name)
    if kin in ("girlfriend", "boyfriend", "partner", "fiancé"):
        slot = "is partner of"
        relation = NewRelation(subject=reader.me, predicate="is partner of", object=who.name)
    subject = reader.me if slot else who.name
    return FoundFact(
        text=f"{who.name} is {_inside(reader.me)}'s {kin}.",
        kind="fact",
        sources=(reader.turn.id,),
        subject=subject,
        slot=slot,
        importance=0.6,
        entities=entities_in("", (entity(who), entity(me_of(reader)))),
        relations=(relation,),
    )


def kin_fact(who: Who, whose: str, reader: Reader) -> FoundFact:
    word = re.findall(rf"{KIN}", whose)[-1]
    return _is_kin_of(who, CANONICAL.get(word) or word, reader)


def _inside(name: str) -> str:
    """A name as it stands inside a sentence."""
    return "the user" if name == USER else name


A_PET = "|".join(sorted(PETS, key=len, reverse=True))
_ANY_KIN = re.compile(
    rf"\b(?P<whose>[Mm]y|[Oo]ur) (?P<kind>{KIND_OF})(?P<kin>{KIN}|{A_PET}),? "
    rf"(?:named |called |is called |is named )?(?P<name>[{UPPER}][\w-]{{1,30}}"
    rf"(?: [{UPPER}][\w-]{{1,30}})?)(?='s|\b)"
)
_IS_MY_KIN = re.compile(
    rf"^(?P<name>[{UPPER}][\w-]{{1,30}}(?: [{UPPER}][\w-]{{1,30}})?) is (?:actually |also |now )?"
    rf"(?P<whose>my|our) (?P<kind>{KIND_OF})(?P<kin>{KIN}|{A_PET})(?=\s*$|,| and\b| from\b)"
)
KIN_CALLED = re.compile(
    rf"^(?P<whose>[Mm]y|[Oo]ur) (?P<kind>{KIND_OF})(?P<kin>{KIN}|{A_PET})(?:'s name is| is (?:called"
    rf"|named)| goes by) (?P<name>[{UPPER}][\w-]{{1,30}}(?: [{UPPER}][\w-]{{1,30}})?)"
)
ALSO_KNOWN = re.compile(
    rf"^(?:[Mm]y {KIND_OF}(?:{KIN}) )?(?P<name>{NAME})(?:,| -|:)? \(?(?:is |we |which is |who is )?"
    r"(?:also known as|also called|better known as|aka|a\.k\.a\.|goes by|nicknamed|short for|"
    r"(?:whom? )?(?:everyone|everybody|people|friends) calls?(?: him| her| them)?|call (?:him|her|them)) "
    rf"(?P<alias>{NAME})\)?(?=$|,|\.)"
)
