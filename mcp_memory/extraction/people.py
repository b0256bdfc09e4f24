"""Whom a clause is about: the speaker, their kin, somebody named, or the one whom "she" means."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mcp_memory.extraction.entities import UPPER, find_entities
from mcp_memory.extraction.facts import USER, USER_ALIASES, FoundFact, Passage, Turn
from mcp_memory.extraction.phrases import NAME, NEVER_NAMES, named
from mcp_memory.extraction.verbs import CHANGED
from mcp_memory.models import MAX_IDENTIFIER, EntityType, name_key

MAX_READ = 8_000
"""Characters of a turn that are read for facts; behind them stands what was pasted. Entities are found in
all of it."""
PETS = frozenset(
    "dog cat puppy kitten rabbit bunny hamster parrot bird fish goldfish horse pony turtle tortoise "
    "lizard snake ferret gecko chinchilla budgie canary".split()
)


@dataclass(frozen=True, slots=True)
class Who:
    """Whom or what something is said of."""

    name: str
    type: EntityType = "person"
    aliases: tuple[str, ...] = ()
    is_one: bool = True
    """Whether the words mean the same one whenever they are said: "my wife", but not "my friend"."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What is known of a whole passage."""

    speakers: frozenset[str]
    """Keys of the names of those who speak: whom one addresses is not "she"."""
    shared_kin: frozenset[tuple[str, str]]
    """(speaker, kin word) that more than one person is: with two sisters "my sister" names nobody."""
    employers: frozenset[str]
    """Keys of names that somebody works at: what one leaves may also be a town."""

    @classmethod
    def of(cls, passage: Passage) -> Talk:
        speakers = frozenset(
            name_key(turn.speaker) for turn in (*passage.earlier, *passage.turns) if turn.speaker
        )
        names: dict[tuple[str, str], set[str]] = {}
        for turn in (*passage.earlier, *passage.turns):
            me = turn.first_person
            if me is None:
                continue
            for match in _KIN_NAMED.finditer(turn.text[:MAX_READ]):
                names.setdefault((me, match["kin"].lower()), set()).add(name_key(match["name"]))
            for match in _KIN_PLURAL.finditer(turn.text[:MAX_READ]):
                names.setdefault((me, match["kin"].lower()), set()).update(("", " "))
        return cls(
            speakers,
            frozenset(key for key, known in names.items() if len(known) > 1),
            frozenset(
                name_key(named(match["name"]))
                for text in (
                    *(turn.text[:MAX_READ] for turn in (*passage.earlier, *passage.turns)),
                    *(known.text for known in passage.known),
                )
                for match in _EMPLOYER.finditer(text)
            ),
        )


@dataclass(slots=True)
class Reader:
    """Reads one turn, sentence by sentence, and remembers who was named last."""

    turn: Turn
    talk: Talk
    me: str
    speaks_of_work: bool
    speaks_of_home: bool = False
    speaks_of_tools: bool = False
    people: list[Who] = field(default_factory=list[Who])
    """Named in this sentence."""
    people_before: list[Who] = field(default_factory=list[Who])
    is_they: bool = False
    """Whether the subject is told as "they", with the verb of several."""
    facts: list[FoundFact] = field(default_factory=list[FoundFact])


def subject_of(text: str, before: Who | None, reader: Reader) -> tuple[Who | None, str]:
    """Whom a clause is about, and the rest of it; None where that is not certain."""
    if match := re.match(r"(?:I|[Ww]e)(?: both| all)? (?=\S)", text):
        return me_of(reader), text[match.end() :]
    if match := re.match(
        rf"(?:(?:[Mm]y [a-z]+|{NAME}) and I|(?:[Mm]e|I) and (?:my [a-z]+|{NAME})) (?=\S)", text
    ):
        return me_of(reader), text[match.end() :]
    reader.is_they = text[:5].lower() == "they "
    if match := re.match(r"(?P<who>[Hh]e|[Ss]he|[Tt]hey) (?=\S)", text):
        return one_named(reader, match["who"].lower()), text[match.end() :]
    if match := MY_KIN.match(text):
        reader.is_they = match["kin"].lower() in _SEVERAL_AS_ONE
        return kin_of(match, reader), text[match.end() :].lstrip()
    if match := re.match(r"(?:[Tt]he user|User)(?:'s)? (?=\S)", text):
        return (me_of(reader) if reader.turn.is_statement else None), text[match.end() :]
    if match := _MY_THING.match(text):
        return Who(f"{reader.me}'s {match['thing']}", "concept"), text[match.end() :]
    if match := _I_LEFT_OUT.match(text):
        return me_of(reader), f"{match['did'].lower()} {text[match.end() :]}"
    if match := re.match(
        rf"(?P<name>[{UPPER}][\w'-]{{1,30}}(?: [{UPPER}][\w'-]{{1,30}}){{0,2}})"
        rf"(?P<nick> \([{UPPER}]\w+\))? (?=[a-z])",
        text,
    ):
        return named_thing(match["name"], text), text[match.end() :]
    if before is not None and re.match(_VERBS_FIRST, text):
        return before, text
    return None, text


def me_of(reader: Reader) -> Who:
    return Who(reader.me, "person", USER_ALIASES if reader.me == USER else ())


def note_people(sentence: str, reader: Reader) -> None:
    """Remember who is named in a sentence, so that two of them are no "she"."""
    plain = _ADDRESSED.sub(" ", sentence)
    reader.people_before, reader.people = reader.people, []
    for one in find_entities(plain, limit=8):
        if one.type in ("person", "concept") and name_key(one.name) not in reader.talk.speakers:
            reader.people.append(Who(one.name, "person"))


_ADDRESSED = re.compile(
    r"\b(?:[Hh]i|[Hh]ey|[Hh]ello|[Tt]hanks|[Tt]hank you|[Dd]ear|[Ww]ow|[Cc]ongrats|[Ss]orry|[Bb]ye"
    r"|[Oo]h),? "
    rf"[{UPPER}][\w'-]{{1,30}}|,\s?[{UPPER}][\w'-]{{1,30}}(?=[!?.]*$)"
)


def one_named(reader: Reader, pronoun: str) -> Who | None:
    """Whom "she" means: the only one named in this sentence or the one before."""
    known: dict[str, Who] = {}
    for who in (*reader.people, *reader.people_before):
        known.setdefault(name_key(who.name), who)
    if len(known) != 1:
        return None
    (who,) = known.values()
    if name_key(who.name) in reader.talk.speakers:
        return None
    kin = who.name.rpartition("'s ")[2].split()[-1:] or [""]
    if kin[0] in (_MEN if pronoun == "she" else _WOMEN if pronoun == "he" else ()):
        return None
    return who


_SEVERAL_AS_ONE = frozenset({"parents", "grandparents", "in-laws"})
"""Told with the verb of several, and known as one."""
_MEN = frozenset("brother father son husband boyfriend uncle nephew grandfather grandson".split())
_WOMEN = frozenset("sister mother daughter wife girlfriend aunt niece grandmother granddaughter".split())


def kin_of(match: re.Match[str], reader: Reader) -> Who | None:
    whose = match["whose"]
    owner = reader.me if whose.lower() in ("my", "our") else named(whose)
    if whose.lower() not in ("my", "our") and owner in _NOBODY:
        return None
    word = match["kin"].lower()
    kin = CANONICAL.get(word) or word
    kind = " ".join(one for one in match["kind"].lower().split() if one in TELLING)
    descriptive = f"{owner}'s {kind} {kin}".replace("  ", " ")
    is_shared = (reader.me, word) in reader.talk.shared_kin or (kin in SEVERAL and not kind)
    if len(descriptive) > MAX_IDENTIFIER:
        return None
    if name := match["name"]:
        name = named(name)
        return Who(name, "person", () if is_shared or word in SEVERAL else (descriptive,))
    return Who(descriptive, "person", is_one=not is_shared)


def named_thing(name: str, text: str) -> Who | None:
    """A name that a clause begins with, if it names somebody or something."""
    name = named(name)
    if name.split()[0] in OPENERS or name_key(name) in ("i",):
        return None
    entities = {name_key(one.name): one for one in find_entities(text, limit=8)}
    found = entities.get(name_key(name))
    if " " not in name and _COMMON.search(name):
        return None
    if found is None:
        is_person = _PERSONS_DO.match(text) is not None and name_key(name) not in NEVER_NAMES
        return Who(name, "person") if is_person else None
    return Who(name, found.type)


KIN = (
    "parents|grandparents|in-laws|sister|brother|mother|mom|mum|father|dad|daughter|son|wife|husband|partner|girlfriend|boyfriend"
    "|fiancée|"
    "fiancé|fiancee|fiance|friend|boss|manager|colleague|coworker|co-worker|roommate|flatmate"
    "|housemate|neighbour|neighbor|"
    "cousin|uncle|aunt|niece|nephew|grandmother|grandfather|grandma|grandpa|granddaughter|grandson"
    "|stepmother|"
    "stepfather|stepsister|stepbrother|sister-in-law|brother-in-law|mother-in-law|father-in-law"
    "|teacher|mentor|"
    "doctor|dentist|therapist|trainer|landlord|landlady|classmate|teammate|assistant|coach|tutor"
    "|godmother|godfather"
)
KIND_OF = (
    r"(?:best |good |close |old |oldest |dear |new |little |big |older |younger |elder |eldest "
    r"|youngest |twin |late |"
    r"beloved |lovely |amazing |wonderful |first |second |third |dearest |childhood |college |school )*"
)
SEVERAL = frozenset(
    """
    friend colleague coworker co-worker cousin uncle aunt niece nephew neighbour neighbor classmate teammate
    roommate flatmate housemate boss manager girlfriend boyfriend partner fiancé fiancée fiancee fiance
    landlord landlady dentist teacher doctor therapist trainer grandmother grandfather grandma grandpa
    granddaughter grandson mentor assistant coach tutor
    """.split()
)
"""Kin of which one has several, at once or one after another: "my friend" and "my boss" name nobody."""
CANONICAL: dict[str, str] = {
    "mom": "mother", "mum": "mother", "dad": "father", "co-worker": "colleague", "coworker": "colleague",
    "flatmate": "roommate", "housemate": "roommate", "neighbor": "neighbour", "grandma": "grandmother",
    "grandpa": "grandfather", "fiancée": "fiancé", "fiancee": "fiancé", "fiance": "fiancé",
}  # fmt: skip
"""One word for each kind of kin, so that "my mum" and "my mother" are one."""

_EMPLOYER = re.compile(
    r"\b(?:[Ww]ork(?:s|ed|ing)? (?:at|for)|started (?:working )?at|joined|job at|hired by) "
    rf"(?P<name>{NAME})"
)
_KIN_NAMED = re.compile(rf"\b[Mm]y {KIND_OF}(?P<kin>{KIN}),? (?P<name>[{UPPER}][\w'-]{{1,30}})")
_KIN_PLURAL = re.compile(
    rf"\b(?:[Mm]y|two|three|several|both|of my|other|another) {KIND_OF}(?P<kin>{KIN})s\b"
)
MY_KIN = re.compile(
    rf"^(?P<whose>[Mm]y|[Oo]ur|{NAME}'s) (?P<kind>{KIND_OF})(?P<kin>{KIN})(?![\w'-])"
    rf"(?:,? (?P<name>[{UPPER}][\w'-]{{1,30}}(?: [{UPPER}][\w'-]{{1,30}})?))?,?(?=\s)"
)
ADVERBS = (
    "also|just|recently|now|still|really|actually|finally|currently|already|officially|always|usually"
    "|absolutely|"
    "definitely|honestly|totally|both|all|so|truly|simply|lately|mostly|generally|typically|often"
    "|sometimes|"
    "kinda|only|happily|proudly|soon|eventually|then|too|quite|pretty much|basically|even|strongly"
    "|much|personally|"
    "secretly|genuinely|particularly|especially|normally|primarily|mainly"
)
TELLING = frozenset(
    "best older younger elder eldest youngest twin little big oldest first second third".split()
)
_NOBODY = frozenset("It That What Today Tomorrow Here There He She Let Who".split())
# "Networking plays a role", "Education is key": a thing done, and nobody.
_COMMON = re.compile(r"(?:ing|[ts]ion|ment|ness|ity|ship)s?$")
# What only people do, told of the third person: whoever is said to is one, though no other word says so.
_PERSONS_DO = re.compile(
    rf"(?!(?:{KIN})s?\b)[{UPPER}][a-z'-]{{2,30}} (?:(?:has|is) )?(?:(?:just|now|also|finally|recently"
    rf"|no longer) )?(?:moved to"
    r"|relocated to|lives in|loves|hates|prefers|works (?:at|as|for)|left|quit|joined|retired|gone off"
    r"|gave up|given up"
    r"|stopped|switched|drinks|plays|drives|got (?:a job|married|hired|promoted)|turned \d+|passed away|died"
    r"|(?:not |no longer )?(?:an? )?(?:vegan"
    r"|vegetarian|engaged|married|divorced|single|pregnant|dating|working|living|studying))\b",
    re.IGNORECASE,
)
# What was done to one's own things.
_MY_THING = re.compile(
    r"(?:[Mm]y|[Oo]ur) (?P<thing>(?!own\b)[a-z][a-z-]{1,20}(?: [a-z][a-z-]{1,20})?) "
    r"(?=(?:was|were|got|has been|have been) (?:just |finally )?[a-z]+(?: |$))"
)
# "Moved to Porto last week!": who writes so leaves out "I".
_I_LEFT_OUT = re.compile(
    r"(?:(?:Just|Finally|Recently|Officially|Already|Also|Now|So) )*"
    rf"(?P<did>(?i:{'|'.join(sorted(CHANGED))}|gave up|rolled back)) "
)
OPENERS = frozenset(
    "The This That These Those It Its There Here What My Our Your His Her Their A An Some Any Every "
    "All Both Most Many "
    "No Not Never Always Please Thanks Everyone Everybody Someone Nobody Anyone People Life Work "
    "Maybe Since If When "
    "Just Only Also But And So Or".split()
)
_VERBS_FIRST = re.compile(rf"(?:(?:{ADVERBS}) )*[a-z]+\b")
