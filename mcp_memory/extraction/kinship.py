"""Who is whose: "my sister Maria", "Rex is my dog", and who is called otherwise too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mcp_memory.extraction.drawing import entities_in, entity, fact_of
from mcp_memory.extraction.entities import UPPER, find_entities
from mcp_memory.extraction.facts import USER, FoundFact
from mcp_memory.extraction.forms import Statement
from mcp_memory.extraction.people import (
    CANONICAL,
    KIN,
    KIND_OF,
    MY_KIN,
    OPENERS,
    PETS,
    SEVERAL,
    TELLING,
    Reader,
    Who,
    kin_of,
    me_of,
)
from mcp_memory.extraction.phrases import NAME, NEVER_NAMES, named
from mcp_memory.models import MAX_IDENTIFIER, EntityType, NewEntity, NewRelation, name_key


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


def called_otherwise(sentence: str, reader: Reader) -> Iterator[FoundFact]:
    """Who goes by another name too: "Robert, everyone calls him Bob", "Kasia is short for Katarzyna"."""
    for pattern in _ALSO:
        if (match := pattern.search(sentence)) and _is_one_alone(match, sentence, reader):
            yield from _also_called(named(match["name"]), match, sentence, reader)
            return


def _is_one_alone(match: re.Match[str], sentence: str, reader: Reader) -> bool:
    """Whether it is a name, and nobody else is named before, who could be meant by "him"."""
    name = name_key(named(match["name"]))
    before = find_entities(sentence[: match.end("name")], limit=8)
    people = {name_key(one.name) for one in before if one.type in ("person", "concept")}
    is_told = name not in _PRONOUNS
    return is_told and ("person" not in match.groupdict() or people <= {name, name_key(reader.me)})


_PRONOUNS = frozenset("i he she it they we you who everyone everybody people friends".split())


def _also_called(name: str, match: re.Match[str], sentence: str, reader: Reader) -> Iterator[FoundFact]:
    alias = named(match["alias"])
    says = f"is also called {alias}"
    kin = MY_KIN.match(f"{alias} ")
    if kin is not None:
        whose = kin_of(kin, reader)
        if whose is None or not whose.is_one:
            return
        alias, says = whose.name, f"is {_inside(whose.name)}"
    elif alias.split()[0] in OPENERS or alias.casefold() in NEVER_NAMES:
        return
    is_name = name.split(maxsplit=1)[0] not in OPENERS and name.casefold() not in NEVER_NAMES
    if not is_name or name_key(name) == name_key(alias):
        return
    is_person = kin is not None or bool(match.groupdict().get("person"))
    who = Who(name, _type_of(name, sentence, reader, is_person=is_person), (alias,))
    one = Statement(says, "fact", importance=0.6, dated="undated")
    if (fact := fact_of(one, who, None, None, reader)) is not None:
        yield fact


def _type_of(name: str, sentence: str, reader: Reader, *, is_person: bool) -> EntityType:
    """What somebody is of whom one says "him", which may be a dog."""
    relations = [one for fact in reader.facts for one in fact.relations]
    if any(one.predicate == "has pet" and one.object == name for one in relations):
        return "concept"
    if is_person:
        return "person"
    for one in find_entities(sentence, limit=8):
        if name_key(one.name) == name_key(name):
            return one.type
    return "concept"


def kin_fact(who: Who, whose: str, reader: Reader) -> FoundFact:
    word = re.findall(rf"{KIN}", whose)[-1]
    return _is_kin_of(who, CANONICAL.get(word) or word, reader)


def _inside(name: str) -> str:
    """A name as it stands inside a sentence."""
    return f"the user{name.removeprefix(USER)}" if name.startswith(USER) else name


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
_ENDS = r"(?=\)?\s*(?:$|[,.;!?)]|and\b|but\b|so\b|now\b|these days\b))"
_ALL = r"(?:everyone|everybody|people|friends|(?:his|her|their|my|our) \w+|we(?: all)?|they(?: all)?|all)"
_GOES_BY = r"(?:goes by|go by|(?:likes?|prefers?|wants?) to be called|insists? on being called)"
_ALSO = (
    re.compile(
        rf"(?P<name>{NAME})(?:,| -|:)? \(?(?:is |we |which is |who is )?(?:also |now |usually )?"
        r"(?:also known as|also called|better known as|aka|a\.k\.a\.|nicknamed|short for|"
        r"call (?P<person>him|her|them)) "
        rf"(?P<alias>{NAME}){_ENDS}"
    ),
    re.compile(
        rf"(?P<name>{NAME}),? (?:who |whom |but |and )?{_ALL} (?:just )?calls? (?:(?P<person>him|her|them) )?"
        rf"(?P<alias>{NAME}){_ENDS}"
    ),
    re.compile(
        rf"(?P<name>{NAME}),? (?:or |\()?(?P<alias>{NAME}) (?:for short|to (?P<person>his|her|their|all|most"
        rf"|my) (?:friends|family|mates|colleagues))\b"
    ),
    # Only the nearest name: "Ana has a new assistant, he goes by Chip" says nothing of Ana.
    re.compile(
        rf"(?P<name>{NAME})[,;]? (?:(?:but|and|though|who) )?(?:(?P<person>he|she|they) )?"
        rf"(?:now |just |usually )?{_GOES_BY} (?P<alias>{NAME}){_ENDS}"
    ),
    re.compile(
        rf"^(?P<name>{NAME}) (?P<person>[a-z][^,;]{{2,60}}?) and (?:now |just |usually )?{_GOES_BY} "
        rf"(?P<alias>{NAME}){_ENDS}"
    ),
    re.compile(
        rf"(?P<name>{NAME}),? whose (?:first |given |full |real |nick)name is (?P<alias>{NAME}){_ENDS}"
    ),
    re.compile(
        rf"(?P<name>{NAME}), that is(?: to say)?,? "
        rf"(?P<alias>(?:[Mm]y|[Oo]ur|{NAME}'s) {KIND_OF}(?:{KIN})|{NAME}){_ENDS}"
    ),
)
