"""Who is called otherwise too: "Robert, everyone calls him Bob"; and who is another of a name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mcp_memory.extraction.drawing import fact_of
from mcp_memory.extraction.entities import UPPER, find_entities
from mcp_memory.extraction.facts import FoundFact
from mcp_memory.extraction.forms import Statement
from mcp_memory.extraction.kinship import inside
from mcp_memory.extraction.people import KIN, KIND_OF, MY_KIN, OPENERS, Reader, Who, kin_of
from mcp_memory.extraction.phrases import NAME, NEVER_NAMES, named
from mcp_memory.models import EntityType, NewEntity, NewRelation, name_key
from mcp_memory.ties import ANOTHER


def called_otherwise(sentence: str, reader: Reader) -> Iterator[FoundFact]:
    """Who goes by another name too: "Robert, everyone calls him Bob", "Kasia is short for Katarzyna"."""
    if _UNREAL.search(sentence):
        return
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
    others = people - {name, name_key(reader.me)}
    # Of "Robin Day" only the first may have been taken for a name.
    is_alone = all(name.startswith(f"{one} ") for one in others)
    return is_told and ("person" not in match.groupdict() or is_alone)


_PRONOUNS = frozenset(
    """
    i me myself mine you yourself yours he him himself his she her herself hers it itself we us ourselves they
    them themselves who everyone everybody people friends
    """.split()
)


def _also_called(name: str, match: re.Match[str], sentence: str, reader: Reader) -> Iterator[FoundFact]:
    alias = named(match["alias"])
    says = f"is also called {alias}"
    kin = MY_KIN.match(f"{alias} ")
    if kin is not None:
        whose = kin_of(kin, reader)
        if whose is None or not whose.is_one:
            return
        alias, says = whose.name, f"is {inside(whose.name)}"
    elif alias.split()[0] in OPENERS or alias.casefold() in NEVER_NAMES | _PRONOUNS:
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


def another_of_a_name(sentence: str, reader: Reader) -> Iterator[FoundFact]:
    """Who is none of those known by that name: "I met another Bob", "a different Bob"."""
    match = next((found for one in _ANOTHER_ONE if (found := one.search(sentence))), None)
    if match is None:
        return
    name = named(match["name"])
    is_person = any(
        name_key(one.name) == name_key(name) and one.type in ("person", "concept")
        for one in find_entities(sentence, limit=8)
    )
    if not is_person or name.casefold() in NEVER_NAMES or name_key(name) == name_key(reader.me):
        return
    yield FoundFact(
        text=f"Somebody else is called {name}, too.",
        kind="fact",
        sources=(reader.turn.id,),
        subject=name,
        importance=0.4,
        entities=(NewEntity(name=name, type="person"),),
        relations=(NewRelation(subject=reader.me, predicate=ANOTHER, object=name),),
    )


_OTHER_NAME = (
    rf"(?:another|a different|some other|a second|a new) (?P<name>[{UPPER}][a-z][\w-]{{1,30}}"
    rf"(?: [{UPPER}][a-z][\w-]{{1,30}})?)"
)
# One meets people, and buys another Apple.
BEGINS_WITH_ANOTHER = re.compile(
    rf"^(?:Another|A different|Some other|A second) (?P<name>[{UPPER}][a-z][\w-]{{1,30}}"
    rf"(?: [{UPPER}][a-z][\w-]{{1,30}})?) (?=(?:lives|works|moved|came|called|joined|said|told"
    r"|wrote|met|likes|loves|hates|plays|studies|teaches|bought|sold|quit|left)\b)"
)
_ANOTHER_ONE = (
    BEGINS_WITH_ANOTHER,
    re.compile(
        r"\b(?:met|meet|meeting|know|knows|knew|saw|ran into|hired|befriended|invited"
        rf"|talk(?:ed|ing)? (?:to|with)|spoke (?:to|with)|work(?:s|ed|ing)? with"
        rf"|(?:lunch|dinner|coffee|tea) with) {_OTHER_NAME}\b"
    ),
    re.compile(
        rf"\b[Tt]here (?:is|was) (?:also )?{_OTHER_NAME}"
        r"(?= (?:at work|at school|who\b|(?:in|on|at) (?:my|our)\b))"
    ),
)
_UNREAL = re.compile(
    r"\b(?:dream(?:t|ed|s|ing)?|nightmares?|jok(?:e|es|ed|ing)|kidding|pretend\w*|imagin\w*|suppos(?:e|ing)"
    r"|hypothetical\w*|wish(?:es|ed)?|fictional|make-believe|if|would|could|might"
    r"|(?:in|of|from|for) (?:the|a|an|my|our|this|that|his|her|their) (?:[\w-]+ ){0,2}"
    r"(?:plays?|films?|movies?|books?|novels?|games?|shows?|series|story|stories|sitcoms?|musicals?|operas?"
    r"|comics?|anime|cartoons?|campaigns?|scripts?|sketch|fantasy)"
    # People are met at the book club.
    r"(?! (?:clubs?|shops?|stores?|groups?|fairs?|nights?|rooms?|cent(?:er|re)s?)\b))\b",
    re.IGNORECASE,
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
        rf"(?P<name>{NAME}),? (?:but|and|though) (?P<person>he|she|they) insists? on (?P<alias>{NAME}){_ENDS}"
    ),
    re.compile(
        rf"^(?P<name>{NAME}) (?P<person>[a-z][^,;]{{2,60}}?) and (?:now |just |usually )?{_GOES_BY} "
        rf"(?P<alias>{NAME}){_ENDS}"
    ),
    re.compile(
        rf"(?P<name>{NAME}),? whose (?:first |given |full |real |nick)name is (?P<alias>{NAME}){_ENDS}"
    ),
    re.compile(
        rf"\bcalls? (?:my|our) {KIND_OF}(?:{KIN}) (?P<name>[{UPPER}][\w-]{{1,30}}) "
        rf"(?P<alias>[{UPPER}][\w-]{{1,30}}){_ENDS}"
    ),
    re.compile(
        rf"(?P<name>{NAME}), that is(?: to say)?,? "
        rf"(?P<alias>(?:[Mm]y|[Oo]ur|{NAME}'s) {KIND_OF}(?:{KIN})|{NAME}){_ENDS}"
    ),
)
