"""Understanding by rules alone: no model, no key, no network, no download.

English statements are read sentence by sentence. What is asked, imagined, joked about or pasted states
nothing; of a text in another language only the entities are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import anyio.to_thread

from mcp_memory.dates import Tense, Time, resolve, times_in
from mcp_memory.extraction import statements
from mcp_memory.extraction.entities import UPPER, find_entities
from mcp_memory.extraction.facts import USER, USER_ALIASES, Extraction, FoundFact, Passage, Turn
from mcp_memory.extraction.sentences import (
    Clause,
    clauses,
    hands_over,
    is_stated,
    sentences,
    takes_back,
    written_out,
)
from mcp_memory.extraction.statements import NAME, Said, Statement, Who, named
from mcp_memory.models import (
    MAX_CONTENT,
    MAX_IDENTIFIER,
    GuessedEntity,
    NewEntity,
    NewRelation,
    name_key,
)

MAX_FACTS = 12
"""Of one turn: who says more at once is quoting, or listing."""
MAX_READ = 8_000
"""Characters of a turn that are read for facts; behind them stands what was pasted. Entities are found in
all of it."""
MAX_MENTIONS = 32


class RulesExtractor:
    """Understands English by rules. `is_suspicious` says of a text that it reads like an order to an
    assistant; such a text never becomes a procedure."""

    name = "rules"

    def __init__(self, is_suspicious: Callable[[str], bool] = lambda text: False) -> None:
        self._is_suspicious = is_suspicious

    async def extract(self, passage: Passage) -> Extraction:
        """What is stated in the turns of a passage, and whom they mention. Raises nothing."""
        return await anyio.to_thread.run_sync(understand, passage, self._is_suspicious)

    async def aclose(self) -> None:
        """Nothing is held."""


def understand(passage: Passage, is_suspicious: Callable[[str], bool] = lambda text: False) -> Extraction:
    """The facts and mentions of a passage."""
    talk = _Talk.of(passage)
    by_turn: list[tuple[Turn, list[FoundFact]]] = []
    for turn in passage.turns:
        if turn.speaker is not None and by_turn and takes_back(turn.text.strip()):
            _take_back(by_turn, turn)
        by_turn.append((turn, _facts_of(turn, talk, is_suspicious)))
    facts = tuple(fact for _, found in by_turn for fact in found)
    mentions = tuple((turn.id, entity) for turn in passage.turns for entity in _mentioned(turn))
    return Extraction(facts=facts, mentions=mentions)


def _take_back(by_turn: list[tuple[Turn, list[FoundFact]]], turn: Turn) -> None:
    """ "Just kidding!": what the speaker said last is no fact."""
    for earlier, found in reversed(by_turn):
        if earlier.speaker == turn.speaker and earlier.role == turn.role:
            found.clear()
            return


def _mentioned(turn: Turn) -> list[NewEntity]:
    found = [
        GuessedEntity(name=one.name, type=one.type) for one in find_entities(turn.text, limit=MAX_MENTIONS)
    ]
    speaker = [] if turn.speaker is None else [NewEntity(name=turn.speaker, type="person")]
    return [*speaker, *found]


@dataclass(frozen=True, slots=True)
class _Talk:
    """What is known of a whole passage."""

    speakers: frozenset[str]
    """Keys of the names of those who speak: whom one addresses is not "she"."""
    shared_kin: frozenset[tuple[str, str]]
    """(speaker, kin word) that more than one person is: with two sisters "my sister" names nobody."""

    @classmethod
    def of(cls, passage: Passage) -> _Talk:
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
        return cls(speakers, frozenset(key for key, known in names.items() if len(known) > 1))


@dataclass(slots=True)
class _Reader:
    """Reads one turn, sentence by sentence, and remembers who was named last."""

    turn: Turn
    talk: _Talk
    me: str
    speaks_of_work: bool
    people: list[Who] = field(default_factory=list)
    """Named in this sentence."""
    people_before: list[Who] = field(default_factory=list)
    facts: list[FoundFact] = field(default_factory=list)


def _facts_of(turn: Turn, talk: _Talk, is_suspicious: Callable[[str], bool]) -> list[FoundFact]:
    me = turn.first_person
    if me is None or (turn.role not in (None, "user") and not turn.is_statement and turn.role == "assistant"):
        return []
    text = turn.text[:MAX_READ]
    if not _is_english(text):
        return []
    reader = _Reader(turn, talk, me, _SPEAKS_OF_WORK.search(text) is not None)
    for sentence in sentences(text):
        if takes_back(sentence):
            reader.facts.clear()
            continue
        if hands_over(sentence) and not turn.is_statement:
            break
        if len(reader.facts) >= MAX_FACTS:
            break
        reader.people_before, reader.people = reader.people, []
        if procedure := _procedure(sentence, turn, is_suspicious):
            reader.facts.append(procedure)
        elif is_stated(sentence):
            _read_sentence(written_out(sentence.rstrip("!.… ")), reader)
        else:
            reader.people = []
    return _without_repeats(reader.facts)[:MAX_FACTS]


def _without_repeats(facts: Sequence[FoundFact]) -> list[FoundFact]:
    found: dict[str, FoundFact] = {}
    for fact in facts:
        found.setdefault(name_key(fact.text), fact)
    return list(found.values())


_ENGLISH = re.compile(
    r"\b(?:the|and|i|i'm|my|we|our|is|are|am|was|to|of|in|at|for|with|he|she|they|has|have|had|no|not|on|a|an|from|"
    r"moved|lives|works|likes|prefers|it|now|new)\b",
    re.IGNORECASE,
)
_SPEAKS_OF_WORK = re.compile(
    r"\b(?:jobs?|work(?:s|ed|ing)?|career|employ(?:er|ed|ment)|compan(?:y|ies)|hired|salary|colleagues?|"
    r"coworkers?|boss|resign(?:ed|ation)?|position|promotion|promoted|startup|firm|office|notice|engineer|developer)\b",
    re.IGNORECASE,
)


def _is_english(text: str) -> bool:
    """Whether common English words are among its first: other languages keep their words and names."""
    words = re.findall(r"[^\W\d_]+(?:'[a-z]+)?", text[:600])
    latin = sum(word.isascii() for word in words)
    return bool(words) and latin * 5 >= len(words) * 4 and len(_ENGLISH.findall(text[:600])) * 8 >= len(words)


# --- procedures ---

_ORDERS = (
    "add|address|answer|apply|ask|attach|avoid|backup|back up|begin|book|build|bring|call|cc|check|choose|close|commit|"
    "compile|confirm|copy|create|delete|deploy|disable|do|double-check|draft|edit|email|enable|end|enter|exclude|"
    "execute|export|fetch|filter|fix|follow|format|forward|give|greet|ignore|include|install|keep|let|lint|list|log|make|mention|"
    "merge|mock|notify|offer|open|order|pin|press|print|prefix|pull|push|put|quote|rebase|record|reboot|refer|reload|remind|remove|"
    "rename|reply|reserve|reset|respond|restart|retry|return|review|rotate|round|run|save|schedule|send|set|shorten|show|sign|skip|"
    "sort|speak|squash|start|state|stop|store|suggest|summari[sz]e|switch|tag|tell|test|translate|turn|update|upload|"
    "use|validate|verify|wait|warn|write"
)
"""Verbs by which one says how something is to be done."""
_POLITELY = r"(?:please,? |and |also,? |just |remember(?: to|:)? |note: |rule: )*"
_STANDING = re.compile(
    rf"^{_POLITELY}(?:always|never|don't ever|do not ever|never ever)(?: please)? (?:{_ORDERS})\b(?! (?:it|that|so)\b[^,]{{0,10}}$)",
    re.IGNORECASE,
)
_FROM_NOW_ON = re.compile(
    rf"^(?:from now on|going forward|in (?:the )?future),? {_POLITELY}(?:always |never |don't |do not )?(?:{_ORDERS})\b"
    rf"|^{_POLITELY}(?:{_ORDERS})\b.{{3,200}}\bfrom now on[.!]?$",
    re.IGNORECASE,
)
_WHENEVER = re.compile(
    rf"^(?:whenever|every time|each time|when|if) (?:I|you|we) [^,]{{3,80}}, {_POLITELY}(?:always |then |don't |never )*(?:{_ORDERS})\b"
    rf"|^{_POLITELY}(?:{_ORDERS})\b[^,]{{3,120}} (?:whenever|every time|each time) (?:I|you|we) ",
    re.IGNORECASE,
)
_HOW_TO = re.compile(
    r"^(?:in order )?to (?!be\b|me\b|my\b|him\b|her\b|us\b|the\b|a\b|whom\b|this\b|that\b|date\b)[a-z]+[^,]{0,80}, "
    r"(?:you (?:need to|have to|must|should) |we (?:need to|have to|must|should)? ?|first |just |simply |always )*"
    rf"(?:click|hold|go to|select|type|{_ORDERS})\b",
    re.IGNORECASE,
)


def _procedure(sentence: str, turn: Turn, is_suspicious: Callable[[str], bool]) -> FoundFact | None:
    """An order that stands, or how something is done; kept as it was said."""
    if len(sentence) > 400 or sentence.rstrip().endswith("?"):
        return None
    text = " ".join(sentence.split())
    fits = any(form.search(text) for form in (_STANDING, _FROM_NOW_ON, _WHENEVER, _HOW_TO))
    if not fits or is_suspicious(text) or (turn.is_statement and is_suspicious(turn.text)):
        return None
    return FoundFact(
        text=text, kind="procedure", sources=(turn.id,), importance=0.65, entities=_entities_in(text, ())
    )


# --- sentences ---

_DOUBTED = re.compile(
    r"\b(?:might|maybe|perhaps|possibly|may|could|should|would(?! (?:like|love|rather|prefer|really))|wish|wished|"
    r"imagine|suppose|supposed to|hopefully|pretend|dreamt?|dreamed|almost|nearly|not sure|"
    r"hypothetically|thinking (?:of|about)|considering|as if|like I am)\b"
)
_OLDEN = re.compile(
    r"\b(?:when (?:I|we|he|she|they) (?:was|were)|as a (?:kid|child|teenager|teen|student|boy|girl|young)|"
    r"growing up|back in|back then|back when|in my (?:teens|twenties|thirties|youth|childhood)|at the time|"
    r"in those days|those days|years ago when|once upon|before that|temporarily|for a (?:while|bit|summer|semester))\b"
)
_UNSURE = re.compile(
    r"^(?:I think|I believe|I guess|I suppose|I heard|apparently|supposedly|probably|rumou?r has it|I feel like)\b",
    re.IGNORECASE,
)
_LEAD_INS = re.compile(
    r"^(?:(?:oh|ah|well|so|yeah|yes|yep|no|nope|hey|hi|hello|wow|actually|also|anyway|anyways|btw|by the way|and|but|guess what|"
    r"fyi|update|news|good news|big news|bad news|honestly|luckily|finally|fortunately|unfortunately|sadly|now|then|"
    r"turns out|it turns out|turns out that|I think|I think that|I believe|I believe that|I guess|you know|you see|"
    r"I changed my mind|we changed our minds?|changed my mind|on second thought|correction|ok|okay|sure|thanks|thank you|great|cool|"
    r"as you know|as I said|as I mentioned|for the record|for context|just so you know|just to let you know|quick update|"
    r"to be honest|in fact|of course|I mean|plus|still|today|these days|nowadays|currently|recently|lately|"
    r"apparently|I heard|I heard that|I am (?:happy|glad|excited|proud|pleased|thrilled|sad|sorry) to (?:say|announce|report|share)(?: that)?|"
    r"I (?:just )?wanted to (?:say|tell you|let you know|share)(?: that)?|remember(?: that)?|please note(?: that)?|note(?: that)?|"
    r"the thing is|one thing|first|second|firstly|hopefully|since)(?:[,:!-]+\s+|\s+))(?=\S)",
    re.IGNORECASE,
)
_ADVERBS = (
    "also|just|recently|now|still|really|actually|finally|currently|already|officially|always|usually|absolutely|"
    "definitely|honestly|totally|both|all|so|truly|simply|lately|mostly|generally|typically|often|sometimes|"
    "kinda|only|happily|proudly|soon|eventually|then|too|quite|pretty much|basically|even|strongly|much|personally|"
    "secretly|genuinely|particularly|especially|normally|primarily|mainly"
)
_LEADING_ADVERBS = re.compile(rf"^(?:(?:{_ADVERBS}),? )+")
_INNER_ADVERBS = re.compile(
    rf"^((?:am|is|are|have|has|had|was|were|do|does|did|will|would|can)(?: not)? )(?:(?:{_ADVERBS}) )+"
)
_REPORTS = re.compile(
    r"^(?:says?|said|tells? me|told me|told us|mentioned|claims?|claimed|announced|wrote|texted me|texted|thinks?|"
    r"thought|believes?|heard|was told)(?: to me)?(?: that)? "
)
_KIN = (
    "sister|brother|mother|mom|mum|father|dad|daughter|son|wife|husband|partner|girlfriend|boyfriend|fiancée|"
    "fiancé|fiancee|fiance|friend|boss|manager|colleague|coworker|co-worker|roommate|flatmate|housemate|neighbour|neighbor|"
    "cousin|uncle|aunt|niece|nephew|grandmother|grandfather|grandma|grandpa|granddaughter|grandson|stepmother|"
    "stepfather|stepsister|stepbrother|sister-in-law|brother-in-law|mother-in-law|father-in-law|teacher|mentor|"
    "doctor|dentist|therapist|trainer|landlord|landlady|classmate|teammate|assistant|coach|tutor|godmother|godfather"
)
_PETS = "|".join(sorted(statements.PETS, key=len, reverse=True))
_KIND_OF = (
    r"(?:best |good |close |old |oldest |dear |new |little |big |older |younger |elder |eldest |youngest |twin |late |"
    r"beloved |lovely |amazing |wonderful |first |second |third |dearest |childhood |college |school )*"
)
_SEVERAL = frozenset(
    "friend colleague coworker co-worker cousin uncle aunt niece nephew neighbour neighbor classmate teammate roommate "
    "flatmate housemate teacher doctor therapist trainer grandmother grandfather grandma grandpa granddaughter "
    "grandson mentor assistant coach tutor".split()
)
"""Kin of which most people have more than one: "my friend" names nobody."""
_PREDICATES = {
    "mom": "mother", "mum": "mother", "dad": "father", "co-worker": "colleague", "coworker": "colleague",
    "flatmate": "roommate", "housemate": "roommate", "neighbor": "neighbour", "grandma": "grandmother",
    "grandpa": "grandfather", "fiancé": "fiancé", "fiancée": "fiancé", "fiancee": "fiancé", "fiance": "fiancé",
}  # fmt: skip
_KIN_NAMED = re.compile(rf"\b[Mm]y {_KIND_OF}(?P<kin>{_KIN}),? (?P<name>[{UPPER}][\w'-]{{1,30}})")
_KIN_PLURAL = re.compile(
    rf"\b(?:[Mm]y|two|three|several|both|of my|other|another) {_KIND_OF}(?P<kin>{_KIN})s\b"
)
_MY_KIN = re.compile(
    rf"^(?P<whose>[Mm]y|[Oo]ur|{NAME}'s) (?P<kind>{_KIND_OF})(?P<kin>{_KIN})(?![\w'-])"
    rf"(?:,? (?P<name>[{UPPER}][\w'-]{{1,30}}(?: [{UPPER}][\w'-]{{1,30}})?))?,?(?=\s)"
)
_ANY_KIN = re.compile(
    rf"\b(?P<whose>[Mm]y|[Oo]ur) (?P<kind>{_KIND_OF})(?P<kin>{_KIN}|{_PETS}),? "
    rf"(?:named |called |is called |is named )?(?P<name>[{UPPER}][\w-]{{1,30}}(?: [{UPPER}][\w-]{{1,30}})?)(?='s|\b)"
)
_IS_MY_KIN = re.compile(
    rf"^(?P<name>[{UPPER}][\w-]{{1,30}}(?: [{UPPER}][\w-]{{1,30}})?) is (?:actually |also )?(?P<whose>my|our) (?P<kind>{_KIND_OF})(?P<kin>{_KIN}|{_PETS})(?=\s*$|,| and\b| from\b)"
)
_KIN_CALLED = re.compile(
    rf"^(?P<whose>[Mm]y|[Oo]ur) (?P<kind>{_KIND_OF})(?P<kin>{_KIN}|{_PETS})(?:'s name is| is (?:called|named)| goes by) (?P<name>[{UPPER}][\w-]{{1,30}}(?: [{UPPER}][\w-]{{1,30}})?)"
)


def _read_sentence(sentence: str, reader: _Reader) -> None:
    for fact in _kin_in(sentence, reader):
        reader.facts.append(fact)
    if _OLDEN.search(sentence) and not re.search(r"\bused to\b", sentence):
        is_olden = True
    else:
        is_olden = False
    if match := _ALSO_KNOWN.match(sentence):
        reader.facts.extend(_read_alias(match, reader))
    subject: Who | None = None
    low = _UNSURE.match(sentence) is not None
    for clause in clauses(sentence):
        subject = _read_clause(clause, subject, reader, is_olden=is_olden, is_unsure=low)


_DEPENDS = frozenset(
    {
        "if",
        "unless",
        "when",
        "whenever",
        "once",
        "before",
        "after",
        "until",
        "whether",
        "where",
        "which",
        "who",
        "or",
        "even though",
    }
)


def _read_clause(
    clause: Clause, before: Who | None, reader: _Reader, *, is_olden: bool, is_unsure: bool
) -> Who | None:
    """The facts of one clause; answers its subject, which the next may leave out."""
    text = _without_lead_ins(clause.text)
    if clause.link in _DEPENDS or re.match(
        r"(?:if|unless|whether|when|whenever|once|until|before|after)\b", text, re.IGNORECASE
    ):
        return before
    if not text or _DOUBTED.search(text):
        return before
    if facts := _of_attributes(text, reader):
        reader.facts.extend(facts)
        return before
    led = _without_leading_time(text, reader.turn.observed_at)
    subject, rest = _subject(led[0], before, reader)
    if subject is None or not rest:
        return subject
    time = led[1]
    if (report := _REPORTS.match(rest)) and subject.name != reader.me:
        reader.people.append(subject)
        inner, inner_rest = _subject(rest[report.end() :], None, reader)
        if inner is None or inner.name == reader.me:
            return subject
        for one in _said_of(inner, inner_rest, time, reader, is_olden=is_olden):
            reader.facts.append(replace(one, importance=min(one.importance, 0.3)))
        return subject
    if _REPORTS.match(rest) and not re.match(r"(?:thinks?|thought|believes?|heard)\b", rest):
        return subject
    if subject.name != reader.me:
        reader.people.append(subject)
    found = _said_of(subject, rest, time, reader, is_olden=is_olden)
    if is_unsure:
        found = [replace(one, slot=None, importance=min(one.importance, 0.3)) for one in found]
    reader.facts.extend(found)
    return subject


def _without_lead_ins(text: str) -> str:
    for _ in range(5):
        match = _LEAD_INS.match(text)
        if match is None:
            break
        text = text[match.end() :]
    return text


def _without_leading_time(text: str, observed_at: datetime) -> tuple[str, Time | None]:
    """ "Last month I moved": the time apart."""
    found = times_in(text[:80], observed_at, "past")
    if found and found[0].start <= 1:
        rest = text[found[0].end :].lstrip(" ,")
        if rest and found[0].end < len(text):
            return rest, found[0]
    return text, None


# --- subjects ---


def _subject(text: str, before: Who | None, reader: _Reader) -> tuple[Who | None, str]:
    """Whom a clause is about, and the rest of it; None where that is not certain."""
    if match := re.match(r"(?:I|[Ww]e)(?: both| all)? (?=\S)", text):
        return _me(reader), text[match.end() :]
    if match := re.match(
        rf"(?:(?:[Mm]y [a-z]+|{NAME}) and I|(?:[Mm]e|I) and (?:my [a-z]+|{NAME})) (?=\S)", text
    ):
        return _me(reader), text[match.end() :]
    if match := re.match(r"(?P<who>[Hh]e|[Ss]he|[Tt]hey) (?=\S)", text):
        return _one_named(reader, match["who"].lower()), text[match.end() :]
    if match := _MY_KIN.match(text):
        return _kin(match, reader), text[match.end() :].lstrip()
    if match := re.match(r"(?:[Tt]he user|User)(?:'s)? (?=\S)", text):
        return (_me(reader) if reader.turn.is_statement else None), text[match.end() :]
    if match := re.match(
        rf"(?P<name>[{UPPER}][\w'-]{{1,30}}(?: [{UPPER}][\w'-]{{1,30}}){{0,2}})(?P<nick> \([{UPPER}]\w+\))? (?=[a-z])",
        text,
    ):
        return _named(match["name"], text, reader), text[match.end() :]
    if before is not None and re.match(_VERBS_FIRST, text):
        return before, text
    return None, text


_VERBS_FIRST = re.compile(rf"(?:(?:{_ADVERBS}) )*[a-z]+\b")


def _me(reader: _Reader) -> Who:
    return Who(reader.me, "person", USER_ALIASES if reader.me == USER else ())


def _one_named(reader: _Reader, pronoun: str) -> Who | None:
    """Whom "she" means: the only one named in this sentence or the one before."""
    known: dict[str, Who] = {}
    for who in (*reader.people, *reader.people_before):
        known.setdefault(name_key(who.name), who)
    if len(known) != 1:
        return None
    (who,) = known.values()
    kin = who.name.rpartition("'s ")[2].split()[-1:] or [""]
    male, female = {"brother", "father", "son", "husband", "boyfriend", "uncle", "nephew", "grandfather", "grandson"}, {
        "sister", "mother", "daughter", "wife", "girlfriend", "aunt", "niece", "grandmother", "granddaughter",
    }  # fmt: skip
    if (pronoun == "she" and kin[0] in male) or (pronoun == "he" and kin[0] in female):
        return None
    return who


def _kin(match: re.Match[str], reader: _Reader) -> Who | None:
    whose = match["whose"]
    owner = reader.me if whose.lower() in ("my", "our") else named(whose)
    if whose.lower() not in ("my", "our") and owner in _NOBODY:
        return None
    word = match["kin"].lower()
    kin = _PREDICATES.get(word, word)
    kind = " ".join(one for one in match["kind"].lower().split() if one in _TELLING)
    descriptive = f"{owner}'s {kind} {kin}".replace("  ", " ")
    is_shared = (reader.me, word) in reader.talk.shared_kin or (kin in _SEVERAL and not kind)
    if name := match["name"]:
        name = named(name)
        return Who(name, "person", () if is_shared or word in _SEVERAL else (descriptive,))
    return Who(descriptive, "person", is_one=not is_shared)


_TELLING = frozenset(
    "best older younger elder eldest youngest twin little big oldest first second third".split()
)
_NOBODY = frozenset("It That What Today Tomorrow Here There He She Let Who".split())


def _named(name: str, text: str, reader: _Reader) -> Who | None:
    """A name that a clause begins with, if it names somebody or something."""
    name = named(name)
    if name.split()[0] in _OPENERS or name_key(name) in ("i",):
        return None
    entities = {name_key(one.name): one for one in find_entities(text, limit=8)}
    found = entities.get(name_key(name))
    if found is None:
        return None
    if found.type in ("person", "concept"):
        return Who(name, found.type)
    return Who(name, found.type)


_OPENERS = frozenset(
    "The This That These Those It Its There Here What My Our Your His Her Their A An Some Any Every All Both Most Many "
    "No Not Never Always Please Thanks Everyone Everybody Someone Nobody Anyone People Life Work Maybe Since If When "
    "Just Only Also But And So Or".split()
)

# --- facts ---


def _said_of(who: Who, rest: str, led: Time | None, reader: _Reader, *, is_olden: bool) -> list[FoundFact]:
    """What the rest of a clause states of its subject, as facts."""
    rest = _INNER_ADVERBS.sub(r"\1", _LEADING_ADVERBS.sub("", rest))
    if rest.startswith(("never ", "hardly ", "rarely ", "barely ")):
        rest = f"do not {rest.partition(' ')[2]}"
    tense: Tense = "future" if _AHEAD.search(rest) else "past"
    observed_at = reader.turn.observed_at
    found = times_in(rest, observed_at, tense)
    spans = [one for one in found if one.preposition not in ("before", "after", "over", "about")]
    times = spans if _since_until(spans) else [one for one in spans if one.preposition != "from"]
    bare = _without(rest, times)
    time = led or (times[0] if len(times) == 1 else None)
    since_until = _since_until(times)
    is_ahead = any(one.first > observed_at for one in (*times, *([led] if led else [])))
    said = Said(
        bare,
        speaks_of_work=reader.speaks_of_work,
        is_ahead=is_ahead,
        has_time=bool(times or led),
        lasts=any(_lasts(one) for one in times),
        is_now=re.search(r"\b(?:now|these days|nowadays|currently)\b", rest) is not None,
    )
    stated = statements.read(said)
    facts: list[FoundFact] = []
    for one in stated:
        if is_olden and one.slot is not None and one.kind == "fact":
            continue
        fact = _fact(one, who, time, since_until, reader)
        if fact is not None:
            facts.append(fact)
    return facts


_AHEAD = re.compile(
    r"^(?:will|am|is|are|plans?|(?:have|has) (?!been\b|lived|worked|had)|wants?|would|intends?|hopes?|do not|no longer)\b|\btomorrow\b|\bnext\b"
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


def _fact(
    one: Statement, who: Who, time: Time | None, span: tuple[Time, Time] | None, reader: _Reader
) -> FoundFact | None:
    subject = one.subject or who
    observed_at = reader.turn.observed_at
    valid_from, valid_until, when = None, None, ""
    if one.dated != "undated":
        valid_from, valid_until, when = _dated(one, time, span, observed_at)
    if one.slot == "is aged":
        valid_from = observed_at
    text = one.whole or f"{subject.name} {one.says}{when}."
    if one.slot == "is aged":
        text = f"{subject.name} was {one.says.removeprefix('is ')} on {observed_at:%Y-%m-%d}."
    slot = one.slot if subject.is_one else None
    relations = _relations(one, subject, valid_from, observed_at)
    mentioned = [one.object] if one.object is not None else []
    if one.object is not None and name_key(one.object.name) == name_key(subject.name):
        return None
    return _checked(
        FoundFact(
            text=text,
            kind=one.kind,
            sources=(reader.turn.id,),
            subject=subject.name,
            slot=slot,
            importance=one.importance,
            valid_from=valid_from,
            valid_until=valid_until,
            entities=_entities_in(text, (_entity(subject), *mentioned, *one.entities)),
            relations=relations,
            negates=one.negates,
        )
    )


def _checked(fact: FoundFact) -> FoundFact | None:
    names = [fact.subject or "", *(one.name for one in fact.entities)]
    if (
        any(len(name) > MAX_IDENTIFIER for name in names)
        or not fact.text.strip()
        or len(fact.text) > MAX_CONTENT
    ):
        return None
    return fact


def _entity(who: Who) -> NewEntity:
    return NewEntity(name=who.name, type=who.type, aliases=who.aliases)


def _entities_in(text: str, first: Sequence[NewEntity]) -> tuple[NewEntity, ...]:
    found: dict[str, NewEntity] = {}
    for one in first:
        found.setdefault(name_key(one.name), one)
    for one in find_entities(text, limit=8):
        found.setdefault(name_key(one.name), GuessedEntity(name=one.name, type=one.type))
    found.pop(name_key("user"), None)
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
    one: Statement, time: Time | None, span: tuple[Time, Time] | None, observed_at: datetime
) -> tuple[datetime | None, datetime | None, str]:
    """Since when, until when, and the words for it."""
    if span is not None and not one.negates:
        return span[0].first, span[1].last, f" from {_days(span[0])} to {_days(span[1])}"
    if time is None:
        return None, None, ""
    words = _when(time)
    match one.dated:
        case "state" if time.preposition in ("until", "till", "by"):
            return None, (None if one.negates else time.last), words
        case "state":
            return time.first, None, words
        case "plan" if time.preposition in ("until", "till", "by"):
            return None, time.last, words
        case _:
            if time.preposition in ("since", "from", "starting"):
                return time.first, None, words
            return time.first, time.last, words


def _when(time: Time) -> str:
    if time.expression.lower().startswith(
        ("for ", "the past", "the last", "past", "over the", "in the past", "in the last")
    ):
        return (
            f" since about {time.first:%Y-%m}"
            if (time.last - time.first).days > 60
            else f" since about {time.first:%Y-%m-%d}"
        )
    days = _days(time)
    preposition = time.preposition
    if preposition in ("since", "until", "till", "by", "from", "starting"):
        return f" {preposition} {days}"
    if days.startswith(("the ", "between ", "summer", "spring", "autumn", "winter")):
        return f" {days}" if days.startswith("between") else f" in {days}"
    return f" on {days}" if len(days) == 10 else f" in {days}"


def _days(time: Time) -> str:
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


# --- what somebody's something is ---

_WHOSE = rf"(?P<whose>[Mm]y|[Oo]ur|[Hh]is|[Hh]er|[Tt]heir|[Tt]he user's|{NAME}'s|[Mm]y {_KIND_OF}(?:{_KIN})(?: [{UPPER}]\w+)?'s)"
_ADJ = r"(?:new |current |full |real |first |main |actual |usual )*"
_NOW = r"(?: is| are| was changed to| has changed to| changed to| is now| is still| is currently| is actually| is no longer| is not)"
_NAME_IS = re.compile(rf"^{_WHOSE} {_ADJ}(?:name|nickname) is (?:now )?(?P<value>{NAME})\.?$")
_CALL_ME = re.compile(
    rf"^(?:please |just |you can )*(?:call me|everyone calls me|everybody calls me|people call me|my friends call me|I go by) (?P<value>{NAME})\.?$",
    re.IGNORECASE,
)
_EMAIL_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?P<kind>work |personal |private |business |school )?{_ADJ}(?:e-?mail(?: address)?)(?:{_NOW}):? (?P<value>[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,4}})"
)
_PHONE_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?P<kind>work |personal |private |home |office |mobile |cell )?{_ADJ}(?:phone(?: number)?|number|cell|mobile|telephone(?: number)?|phone no)(?:{_NOW}):? (?P<value>\+?[\d(][\d ()./-]{{5,20}}\d)"
)
_BIRTHDAY_IS = re.compile(
    rf"^{_WHOSE} (?:birthday|date of birth|birth date)(?: is|:)(?: on)? (?P<value>.{{3,40}})$"
)
_BORN = re.compile(r"^(?:was|were) born (?:on )(?P<value>.{3,40}?)(?: in .*)?$")
_FAVOURITE_IS = re.compile(
    rf"^{_WHOSE} (?:new |current |all-time |all time |absolute |personal |number one )*favou?rite (?P<what>[a-z][a-z -]{{1,30}}?) (?:is|are|has to be|would be|remains) (?:now |still |definitely |probably |actually )*(?P<value>.{{2,80}})$"
)
_IS_FAVOURITE = re.compile(
    rf"^(?P<value>[{UPPER}].{{1,60}}?|[a-z][\w' -]{{2,40}}?) (?:is|are) (?:now |still |definitely )*(?P<whose>my|our) (?:new |all-time |absolute )*favou?rite (?P<what>[a-z][a-z -]{{1,30}})$"
)
_JOB_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:job|role|position|occupation|profession|job title|title) is (?:now )?(?:as )?(?P<value>(?:an? |the )?[a-z][\w -]{{2,50}})$"
)
_EMPLOYER_IS = re.compile(rf"^{_WHOSE} {_ADJ}(?:employer|company|workplace) is (?:now )?(?P<value>{NAME})$")
_HOME_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:home|hometown|home town|house|place) is (?:now )?in (?P<value>{NAME})$"
)
_VERSION_IS = re.compile(
    rf"^(?:[Tt]he |[Oo]ur |[Mm]y )?(?:current|latest|newest|installed|deployed) (?:stable )?(?:version|release) of (?:the )?(?P<thing>[{UPPER}]?[\w.-]{{1,40}}(?: [{UPPER}][\w-]{{1,30}})?) (?:is|we use is)(?: now)? (?:version |v)?(?P<version>\d[\w.-]{{0,20}})"
)
_THING_AT = re.compile(
    rf"^(?P<thing>[{UPPER}][\w-]{{1,40}}(?: [{UPPER}][\w-]{{1,30}})?) (?:is|runs)(?: now| currently)? (?:at|on) (?:version |v|release )(?P<version>\d[\w.-]{{0,20}})"
)
_RENAMED = re.compile(
    rf"^(?:(?:we|I) (?:have )?renamed |)(?P<old>(?:[Pp]roject )?{NAME})(?: (?:was|is|has been|got|is now) (?:renamed|called)| changed its name|)(?: to| as|) (?P<new>{NAME})$"
)
_ALSO_KNOWN = re.compile(
    rf"^(?:[Mm]y {_KIND_OF}(?:{_KIN}) )?(?P<name>{NAME})(?:,| -|:)? \(?(?:is |we |which is |who is )?(?:also known as|also called|better known as|aka|a\.k\.a\.|goes by|nicknamed|short for|(?:whom? )?(?:everyone|everybody|people|friends) calls? (?:him|her|them)|call (?:him|her|them)) (?P<alias>{NAME})\)?(?=$|,|\.)"
)
_CANCELLED = re.compile(
    r"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur|[A-Z][\w']+(?:'s)?) ?[^,;]{0,60}?) (?:is|was|got|has been|are|were|have been|had to be) (?:now )?(?:cancelled|canceled|called off|off|scrapped)\b"
)
_POSTPONED = re.compile(
    r"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur) [^,;]{2,60}?) (?:is|was|got|has been|are|were|had to be)? ?(?:now )?(?:postponed|rescheduled|moved|pushed back|brought forward|delayed)(?: to| until| till)? (?P<when>.{3,40})$"
)
_BIRTHDAY_TODAY = re.compile(
    rf"^(?:(?P<day>[Tt]oday|[Tt]omorrow|[Yy]esterday|it) (?:is|was) {_WHOSE} birthday)(?: today)?$"
)


def _of_attributes(text: str, reader: _Reader) -> list[FoundFact]:
    """What a clause says of an attribute by its name: "my e-mail is", "the trip is cancelled"."""
    for pattern, read_it in _ATTRIBUTES:
        if match := pattern.match(text):
            found = read_it(match, reader)
            if found:
                return found
    return []


def _owner(whose: str, reader: _Reader) -> Who | None:
    lower = whose.lower()
    if lower in ("my", "our") or lower == "the user's":
        return _me(reader)
    if lower in ("his", "her", "their"):
        return _one_named(reader, {"his": "he", "her": "she", "their": "they"}[lower])
    if match := _MY_KIN.match(f"{whose.removesuffix(chr(39) + 's')} "):
        return _kin(match, reader)
    return _named(whose.removesuffix("'s"), f"{whose} x", reader)


def _stated(
    one: Statement, who: Who | None, reader: _Reader, *, valid_from: datetime | None = None
) -> list[FoundFact]:
    if who is None:
        return []
    if who.name != reader.me:
        reader.people.append(who)
    fact = _fact(one, who, None, None, reader)
    return [] if fact is None else [replace(fact, valid_from=fact.valid_from or valid_from)]


def _read_name(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    whose = match.groupdict().get("whose")
    value = named(match["value"])
    who = _me(reader) if whose is None else _owner(whose, reader)
    if who is None or name_key(value) == name_key(who.name):
        return []
    is_name = whose is not None and "nick" not in match.group()
    if who.name != reader.me and "'s " in who.name:
        # "My sister's name is Maria": she is Maria from now on.
        who = Who(value, "person", (who.name,) if who.is_one else ())
        return [_kin_fact(who, match["whose"], reader)] if who.aliases else []
    called = Who(who.name, who.type, (*who.aliases, value))
    statement = Statement(
        f"is called {value}", "fact", slot="is called" if is_name else None, importance=0.75, dated="undated"
    )
    return _stated(statement, called, reader)


def _kin_fact(who: Who, whose: str, reader: _Reader) -> FoundFact:
    word = re.findall(rf"{_KIN}", whose)[-1]
    return _is_kin_of(who, _PREDICATES.get(word, word), reader)


def _is_kin_of(who: Who, kin: str, reader: _Reader) -> FoundFact:
    is_pet = kin in statements.PETS
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
            entities=(_entity(_me(reader)), NewEntity(name=who.name, aliases=who.aliases)),
            relations=(relation,),
        )
    relation = NewRelation(subject=who.name, predicate=f"is {kin} of", object=reader.me)
    slot = None
    if kin in ("wife", "husband"):
        slot = "is married to"
        relation = NewRelation(subject=reader.me, predicate="is married to", object=who.name)
    subject = reader.me if slot else who.name
    return FoundFact(
        text=f"{who.name} is {_inside(reader.me)}'s {kin}.", kind="fact", sources=(reader.turn.id,), subject=subject, slot=slot,
        importance=0.6, entities=_entities_in("", (_entity(who), _entity(_me(reader)))), relations=(relation,),
    )  # fmt: skip


def _inside(name: str) -> str:
    """A name as it stands inside a sentence."""
    return "the user" if name == USER else name


def _kin_in(sentence: str, reader: _Reader) -> Iterator[FoundFact]:
    """Who is whose: "my sister Maria", "Maria is my sister", "my sister is called Maria"."""
    if re.search(r"\b(?:ex|former|late)[- ]", sentence):
        return
    for pattern in (_ANY_KIN, _KIN_CALLED, _IS_MY_KIN):
        for match in pattern.finditer(sentence):
            name, word = named(match["name"]), match["kin"].lower()
            first = name.split()[0]
            if (
                first in _OPENERS
                or first.casefold() in statements_never_names
                or name_key(name) == name_key(reader.me)
            ):
                continue
            kin = _PREDICATES.get(word, word)
            kind = " ".join(one for one in match["kind"].lower().split() if one in _TELLING)
            is_shared = (reader.me, word) in reader.talk.shared_kin or word in _SEVERAL
            alias = () if is_shared else (f"{reader.me}'s {kind} {kin}".replace("  ", " "),)
            who = Who(name, "concept" if word in statements.PETS else "person", alias)
            if word not in statements.PETS:
                reader.people.append(who)
            yield _is_kin_of(who, kin, reader)


statements_never_names = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december christmas i".split()
)


def _read_email(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    kind = (match["kind"] or "").strip()
    predicate = f"has {kind} email" if kind else "has email"
    value = match["value"].rstrip(".")
    entity = NewEntity(name=value, type="email")
    negates = re.search(r"is (?:no longer|not)", match.group()) is not None
    says = f"{'no longer has' if negates else 'has'} {kind + ' ' if kind else 'the '}email {value}"
    return _stated(
        Statement(says, "fact", predicate, entity, predicate, negates, 0.75, "undated"),
        _owner(match["whose"], reader),
        reader,
    )


def _read_phone(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    kind = (match["kind"] or "").strip()
    slot = f"has {kind} phone" if kind in ("work", "office", "home") else "has phone"
    statement = Statement(
        f"has {kind + ' ' if kind else 'the '}phone number {match['value']}",
        "fact",
        slot=slot,
        importance=0.75,
        dated="undated",
    )
    return _stated(statement, _owner(match["whose"], reader), reader)


def _read_birthday(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    value = match["value"].strip()
    found = re.match(
        r"(?:the )?(?:\d{1,2}(?:st|nd|rd|th)? (?:of )?[A-Za-z]+|[A-Za-z]+ \d{1,2}(?:st|nd|rd|th)?)", value
    )
    days = resolve(found.group(), reader.turn.observed_at) if found else None
    if days is None or days[0].date() != days[1].date():
        return []
    return _birthday(days[0], _owner(match["whose"], reader), reader)


def _birthday(day: datetime, who: Who | None, reader: _Reader) -> list[FoundFact]:
    statement = Statement(
        f"has their birthday on {day.day} {day:%B}",
        "fact",
        slot="has birthday",
        importance=0.7,
        dated="undated",
    )
    return _stated(statement, who, reader)


def _read_birthday_today(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    away = {"tomorrow": 1, "yesterday": -1}.get(match["day"].lower(), 0)
    return _birthday(reader.turn.observed_at + timedelta(days=away), _owner(match["whose"], reader), reader)


def _read_favourite(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    value, what = statements.self_contained(match["value"], longest=8), match["what"].strip()
    if (
        value is None
        or what.startswith(("thing", "part", "memor", "time", "moment"))
        or what.endswith("s ")
        or value.endswith("ing")
    ):
        return []
    plural = what.endswith("s") and not what.endswith("ss")
    slot = None if plural or value.startswith(("to ", "when ", "how ")) else f"favourite {what}"
    statement = Statement(
        f"has the favourite {what} {value}", "preference", slot=slot, importance=0.6, dated="undated"
    )
    who = _owner(match["whose"], reader)
    if who is None:
        return []
    verb = "are" if plural else "is"
    whole = f"{who.name}'s favourite {what} {verb} {value}."
    return _stated(replace(statement, whole=whole), who, reader)


def _read_job(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    value = re.sub(r"^(?:an?|the) ", "", match["value"].strip())
    words = value.lower().split()
    if not words or words[-1].endswith("ing") or not re.match(r"(?:an?|the) ", match["value"]):
        return []
    article = "an" if value[0].lower() in "aeiou" else "a"
    return _stated(
        Statement(f"works as {article} {value}", "fact", slot="works as", importance=0.65),
        _owner(match["whose"], reader),
        reader,
    )


def _read_employer(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    value = named(match["value"])
    entity = NewEntity(name=value, type="organisation")
    return _stated(
        Statement(f"works at {value}", "fact", "works at", entity, "works at", importance=0.7),
        _owner(match["whose"], reader),
        reader,
    )


def _read_home(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    if "town" in match.group().split(" is ")[0]:
        return []
    value = named(match["value"])
    entity = NewEntity(name=value, type="place")
    return _stated(
        Statement(f"lives in {value}", "fact", "lives in", entity, "lives in", importance=0.7),
        _owner(match["whose"], reader),
        reader,
    )


def _read_version(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    one = statements.version_of(named(match["thing"]), match["version"].rstrip("."))
    return _stated(one, one.subject, reader)


def _read_alias(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    name, alias = named(match["name"]), named(match["alias"])
    if name_key(name) == name_key(alias) or name.split()[0] in _OPENERS:
        return []
    who = Who(name, "person", (alias,))
    return _stated(Statement(f"is also called {alias}", "fact", importance=0.6, dated="undated"), who, reader)


def _read_cancelled(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    words = statements.self_contained(match["what"], longest=10)
    if words is None or (key := statements.plan_key(words)) is None:
        return []
    whole = f"{_theirs(words, reader.me)} is cancelled."
    statement = Statement(
        "cancelled", "plan", slot=f"plan: {key}", negates=True, importance=0.6, dated="undated", whole=whole
    )
    return _stated(statement, _me(reader), reader)


def _theirs(words: str, name: str) -> str:
    """ "The trip to Rome" as "Ann's trip to Rome"; "Tom's party" stays his."""
    bare = re.sub(r"^(?:the|their|a|an) ", "", words, flags=re.IGNORECASE)
    return words if bare == words and words[0].isupper() else f"{name}'s {bare}"


def _read_postponed(match: re.Match[str], reader: _Reader) -> list[FoundFact]:
    words = statements.self_contained(match["what"], longest=10)
    times = times_in(match["when"], reader.turn.observed_at, "future")
    if words is None or not times or times[0].start > 4 or (key := statements.plan_key(words)) is None:
        return []
    time = times[0]
    whole = f"{_theirs(words, reader.me)} is moved to {_days(time)}."
    statement = Statement(
        "postponed", "plan", slot=f"plan: {key}", importance=0.6, dated="undated", whole=whole
    )
    return [
        replace(one, valid_from=time.first, valid_until=time.last)
        for one in _stated(statement, _me(reader), reader)
    ]


_ATTRIBUTES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], _Reader], list[FoundFact]]], ...] = (
    (_NAME_IS, _read_name),
    (_CALL_ME, _read_name),
    (_EMAIL_IS, _read_email),
    (_PHONE_IS, _read_phone),
    (_BIRTHDAY_TODAY, _read_birthday_today),
    (_BIRTHDAY_IS, _read_birthday),
    (_FAVOURITE_IS, _read_favourite),
    (_IS_FAVOURITE, _read_favourite),
    (_JOB_IS, _read_job),
    (_EMPLOYER_IS, _read_employer),
    (_HOME_IS, _read_home),
    (_VERSION_IS, _read_version),
    (_THING_AT, _read_version),
    (_CANCELLED, _read_cancelled),
    (_POSTPONED, _read_postponed),
)
