"""Understanding by rules alone: no model, no key, no network, no download.

English statements are read sentence by sentence. What is asked, imagined, joked about or pasted states
nothing; of a text in another language only the entities are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import anyio.to_thread

from mcp_memory.dates import Time, times_in
from mcp_memory.extraction.attributes import of_attributes, of_contacts
from mcp_memory.extraction.corrections import corrected, sentences_of
from mcp_memory.extraction.drawing import said_of
from mcp_memory.extraction.entities import UPPER, find_entities
from mcp_memory.extraction.facts import Extraction, FoundFact, Passage, Turn
from mcp_memory.extraction.forms import SPEAKS_OF_TOOLS
from mcp_memory.extraction.kinship import KIN_CALLED, KIN_IS, kin_in
from mcp_memory.extraction.nicknames import BEGINS_WITH_ANOTHER, another_of_a_name, called_otherwise
from mcp_memory.extraction.people import MAX_READ, Reader, Talk, Who, note_people, subject_of
from mcp_memory.extraction.phrases import NAME, named
from mcp_memory.extraction.procedures import procedure
from mcp_memory.extraction.sentences import (
    Clause,
    clauses,
    hands_over,
    is_stated,
    sentences,
    stated_before,
    takes_back,
    written_out,
)
from mcp_memory.models import NewEntity, name_key

MAX_FACTS = 12
"""Of one turn: who says more at once is quoting, or listing."""


MAX_MENTIONS = 32
_CORRECTABLE = 3
"""Turns of the same speaker, back from a correction, in which what it corrects is looked for."""


def _never(_: str) -> bool:
    return False


class RulesExtractor:
    """Understands English by rules. `is_suspicious` says of a text that it reads like an order to an
    assistant; such a text never becomes a procedure."""

    name = "rules"

    def __init__(self, is_suspicious: Callable[[str], bool] = _never) -> None:
        self._is_suspicious = is_suspicious

    async def extract(self, passage: Passage) -> Extraction:
        """What is stated in the turns of a passage, and whom they mention. Raises nothing."""
        return await anyio.to_thread.run_sync(understand, passage, self._is_suspicious)

    async def aclose(self) -> None:
        """Nothing is held."""


def understand(passage: Passage, is_suspicious: Callable[[str], bool] = _never) -> Extraction:
    """The facts and mentions of a passage."""
    talk = Talk.of(passage)
    by_turn: list[tuple[Turn, list[FoundFact]]] = []
    said = list(passage.earlier)
    for turn in passage.turns:
        if takes_back(turn.text.strip()):
            _take_back(by_turn, turn)
        mine = [one for one in said if (one.speaker, one.role) == (turn.speaker, turn.role)]
        by_turn.append((turn, _facts_of(turn, talk, is_suspicious, mine[-_CORRECTABLE:])))
        said.append(turn)
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
    found = [NewEntity(name=one.name, type=one.type) for one in find_entities(turn.text, limit=MAX_MENTIONS)]
    speaker = [] if turn.speaker is None else [NewEntity(name=turn.speaker, type="person")]
    return [*speaker, *found]


def _facts_of(
    turn: Turn, talk: Talk, is_suspicious: Callable[[str], bool], before: Sequence[Turn]
) -> list[FoundFact]:
    me = turn.first_person
    if me is None or (turn.role not in (None, "user") and not turn.is_statement):
        return []
    text = _UNPRINTABLE.sub(" ", turn.text[:MAX_READ])
    if not _is_english(text):
        return []
    reader = Reader(
        turn,
        talk,
        me,
        speaks_of_work=_SPEAKS_OF_WORK.search(text) is not None,
        speaks_of_home=_SPEAKS_OF_HOME.search(text) is not None,
        speaks_of_tools=SPEAKS_OF_TOOLS.search(text) is not None,
    )
    said = sentences_of(before)
    for sentence in sentences(text):
        anew = corrected(sentence, turn, said)
        said.append(sentence)
        if anew is not None:
            _read_sentence(written_out(anew.rstrip("!.… ")), reader)
            continue
        if takes_back(sentence):
            reader.facts.clear()
            continue
        if hands_over(sentence) and not turn.is_statement:
            break
        if len(reader.facts) >= MAX_FACTS:
            break
        note_people(sentence, reader)
        if standing := procedure(sentence, turn, is_suspicious):
            reader.facts.append(standing)
            plain = written_out(sentence.rstrip("!.… "))
            reader.facts.extend(of_contacts(plain, reader) or of_attributes(plain, reader))
        elif sentence.endswith("?") and (stated := stated_before(sentence)) and is_stated(stated):
            _read_sentence(written_out(stated.rstrip("!.… ")), reader)
        elif is_stated(sentence):
            _read_sentence(written_out(sentence.rstrip("!.… ")), reader)
    return _without_repeats(reader.facts)[:MAX_FACTS]


def _without_repeats(facts: Sequence[FoundFact]) -> list[FoundFact]:
    found: dict[str, FoundFact] = {}
    for fact in facts:
        found.setdefault(name_key(fact.text), fact)
    return list(found.values())


def _is_english(text: str) -> bool:
    """Whether common English words are among its first: other languages keep their words and names."""
    words = re.findall(r"[^\W\d_]+(?:'[a-z]+)?", text[:600])
    latin = sum(word.isascii() for word in words)
    return bool(words) and latin * 5 >= len(words) * 4 and len(_ENGLISH.findall(text[:600])) * 8 >= len(words)


def _read_sentence(sentence: str, reader: Reader) -> None:
    sentence = _PARENT.sub(r"My \g<who>", sentence)
    sentence = _WRITTEN_LARGE.sub(lambda match: match.group().lower(), sentence)
    sentence = _BOTH_OF_US.sub(_as_mine, sentence)
    if (who := _WHO.match(sentence)) and (rest := sentence[who.end() :]):
        # "Priya, who lives in Leeds, came by" says two things of her.
        _read_plain(f"{who['who']} {who['is']}", reader)
        sentence = f"{who['who']} {rest}"
    _read_plain(sentence, reader)


def _read_plain(sentence: str, reader: Reader) -> None:
    if _MISSES.search(sentence):
        return
    sentence = _SINCE_DOING.sub(_as_clause, _BEFORE_I.sub("", sentence))
    sentence = _MADE_ME.sub(lambda match: f"I was {match['did'] or match['took']} ", sentence)
    reader.facts.extend(of_contacts(sentence, reader))
    reader.facts.extend(another_of_a_name(sentence, reader))
    sentence = BEGINS_WITH_ANOTHER.sub(r"\g<name> ", sentence)
    for fact in kin_in(sentence, reader):
        reader.facts.append(fact)
    sentence = _BESIDE_NAME.sub(r"\g<who> ", sentence)
    is_olden = _OLDEN.search(sentence) is not None and "used to" not in sentence
    reader.facts.extend(called_otherwise(sentence, reader))
    subject: Who | None = None
    low = _UNSURE.match(sentence) is not None
    for clause in clauses(sentence):
        subject = _read_clause(clause, subject, reader, is_olden=is_olden, is_unsure=low)


def _read_clause(
    clause: Clause, before: Who | None, reader: Reader, *, is_olden: bool, is_unsure: bool
) -> Who | None:
    """The facts of one clause; answers its subject, which the next may leave out."""
    if clause.link not in _DEPENDS and (facts := of_attributes(clause.text, reader)):
        reader.facts.extend(facts)
        return before
    text = _without_lead_ins(clause.text)
    if called := KIN_CALLED.match(text) or KIN_IS.match(text):
        return Who(named(called["name"]), "person")
    if clause.link in _DEPENDS or re.match(
        r"(?:if|unless|whether|when|whenever|once|until|before|after)\b", text, re.IGNORECASE
    ):
        return before
    if not text or _DOUBTED.search(text):
        return before
    if facts := of_attributes(text, reader):
        reader.facts.extend(facts)
        return before
    led = _without_leading_time(text, reader.turn.observed_at)
    subject, rest = subject_of(led[0], before, reader)
    if subject is None or not rest:
        return subject
    time = led[1]
    if (report := _REPORTS.match(rest)) and subject.name != reader.me:
        reader.people.append(subject)
        inner, inner_rest = subject_of(rest[report.end() :], None, reader)
        if inner is None or inner.name == reader.me:
            return subject
        for one in said_of(inner, inner_rest, time, reader, is_olden=is_olden):
            reader.facts.append(replace(one, importance=min(one.importance, 0.3)))
        return subject
    if _REPORTS.match(rest) and not re.match(r"(?:thinks?|thought|believes?|heard)\b", rest):
        return subject
    if subject.name != reader.me:
        reader.people.append(subject)
    found = said_of(subject, rest, time, reader, is_olden=is_olden)
    if is_unsure:
        found = [replace(one, slot=None, importance=min(one.importance, 0.3)) for one in found]
    reader.facts.extend(found)
    return subject


def _as_mine(match: re.Match[str]) -> str:
    """ "Lena and I got married" as "I married Lena": to each other."""
    return f"I {_TO_EACH_OTHER[match['did']]} {match['who'] or match['other']}"


_TO_EACH_OTHER = {
    "married": "married", "engaged": "am engaged to", "broke up": "broke up with",
    "broken up": "broke up with", "dating": "am dating",
}  # fmt: skip


def _as_clause(match: re.Match[str]) -> str:
    """ "Since moving to Porto last month, I" as "I moved to Porto last month, I"."""
    past = _DID[match["doing"].lower()]
    return f"{match['who']} {past} {match['rest']}, {match['who']} "


_DID = {
    "moving": "moved", "relocating": "relocated", "joining": "joined", "starting": "started",
    "leaving": "left", "switching": "switched", "quitting": "quit", "upgrading": "upgraded",
}  # fmt: skip


# "I used to love hiking, but it's been a while": who misses it loves it still.
_MISSES = re.compile(r"\bused to\b.*\bit (?:is|has) been (?:a while|ages|so long|too long|forever|years)\b")
_PARENT = re.compile(r"^(?P<who>Mom|Mum|Dad|Grandma|Grandpa)(?= (?:[a-z]|[A-Z][a-z]+ed\b))")
# "My Mom": the word, and no name.
_WRITTEN_LARGE = re.compile(
    r"(?<=\b[Mm]y )(?:Mom|Mum|Dad|Mother|Father|Grandma|Grandpa|Sister|Brother|Wife|Husband|Uncle|Aunt)\b"
)
_BOTH_OF_US = re.compile(
    rf"^(?:(?P<who>{NAME}) and I|I and (?P<other>{NAME})) (?:have |are )?"
    rf"(?:just |finally |officially |recently |now )?(?:got |gotten )?(?P<did>{'|'.join(_TO_EACH_OTHER)})"
    r"(?=\s*(?:$|[,.;!]|(?:on|in|last|this|yesterday|today|two|three|a (?:week|month|year))\b))"
)
_WHO = re.compile(
    rf"^(?P<who>(?:[Mm]y [a-z-]+(?: [a-z-]+)? )?[{UPPER}]\w+(?: [{UPPER}]\w+)?|[Mm]y [a-z-]+(?:"
    rf" [a-z-]+)?), who (?P<is>[a-z][^,]{{3,80}}), "
    r"(?=[a-z])"
)
_BESIDE_NAME = re.compile(
    rf"^(?P<who>[{UPPER}]\w+(?: [{UPPER}]\w+)?)(?:, (?:my|our|the|an?) [^,]{{2,40}},| from (?:work"
    rf"|school|uni|college|church|the \w+"
    rf"|accounting|marketing|sales|yoga|\w+ class)) (?=[a-z])"
)
_BEFORE_I = re.compile(
    r"^(?:After|Following|For) (?![^,]{0,60}\b(?:I|we|he|she|they)\b[^,]*,)[^,]{3,60}?,? (?=(?:I|we) [a-z])"
)
_SINCE_DOING = re.compile(
    r"^(?:[Ss]o,? )?(?:[Ee]ver since|[Ss]ince|[Aa]fter|[Hh]aving just|[Hh]aving) (?P<doing>moving"
    r"|relocating|joining|starting|leaving"
    r"|switching|quitting|upgrading) (?P<rest>[^,]{2,60}?),? (?P<who>I|we) (?=[a-z])"
)


# Who did it is not kept.
_MADE_ME = re.compile(
    rf"^(?:(?:[Tt]hey|[Mm]y (?:boss|manager|company|employer)|{NAME}) (?:have |has )?(?:just |finally )?"
    r"(?P<did>made|named|appointed|promoted) me "
    rf"|(?:[Mm]y (?:new )?[a-z]+|[Tt]he (?:doctor|clinic|hospital|specialist)|[Tt]hey|{NAME}) (?:have |has )?"
    r"(?:just |now )?(?P<took>put|started|switched|prescribed) me (?=(?:on |to )?\d))"
)


def _without_lead_ins(text: str) -> str:
    text = _STANDING_FACT.sub("", text)
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


_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ENGLISH = re.compile(
    r"\b(?:the|and|i|i'm|my|we|our|is|are|am|was|to|of|in|at|for|with|he|she|they|has|have|had|no|not"
    r"|on|a|an|from|"
    r"moved|lives|works|likes|prefers|it|now|new|please|never|always|use|you|that|this|me|do|don't|so"
    r"|be|will|would|can|if|"
    r"what|how|when|like|love|hate|prefer|just|but|by|name|call|quit|left|joined|got|only"
    r"|his|her|their|were|had|been|went|died|turned|last|next|yesterday|today|tomorrow|week|month|years?)\b",
    re.IGNORECASE,
)
_SPEAKS_OF_WORK = re.compile(
    r"\b(?:jobs?|work(?:s|ed|ing)?|career|employ(?:er|ed|ment)|compan(?:y|ies)|hired|salary|colleagues?|"
    r"coworkers?|boss|resign(?:ed|ation)?|position|promotion|promoted|startup|firm|office|notice"
    r"|engineer|developer|badge|onboarding|freelanc\w*|self-employed|laid off|employee|hiring|business)\b",
    re.IGNORECASE,
)
_SPEAKS_OF_HOME = re.compile(
    r"\b(?:(?:I|we)(?:'ve| have)? (?:just |finally |recently )?moved(?=[.,!]| in )|mov(?:ed|ing)"
    r" (?:house|home|in|out|away|back)|relocat\w+|flats?|apartments?|hous(?:e|es|ing)"
    r"|landlord|landlady|rent(?:s|ed|ing)?|leases?|mortgage|unpack\w*|boxes|neighbou?r\w*|new place|our place"
    r"|my place|keys|settl(?:ed|ing) in|furniture|live|living|lives|lived|home|hometown|city|town|village)\b",
    re.IGNORECASE,
)
_DOUBTED = re.compile(
    r"\b(?:might|maybe|perhaps|possibly|may|could|should|would(?! (?:like|love|rather|prefer|really)\b|"
    r" (?:take|pick|choose|go for) .* over )"
    r"|wish|wished|"
    r"imagine|suppose|supposed to|hopefully|pretend|dreamt?|dreamed|almost|nearly|not sure|"
    r"hypothetically|thinking (?:of|about)|considering|as if|like I am)\b"
)
_OLDEN = re.compile(
    r"\b(?:when (?:I|we|he|she|they) (?:was|were)|as a (?:kid|child|teenager|teen|student|boy|girl|young)|"
    r"growing up|back in|back then|back when|in my (?:teens|twenties|thirties|youth|childhood)|at the time|"
    r"in those days|those days|years ago when|once upon|before that|temporarily|for a (?:while|bit"
    r"|summer|semester))\b"
)
_UNSURE = re.compile(
    r"^(?:I think|I believe|I guess|I suppose|I heard|apparently|supposedly|probably|rumou?r has it"
    r"|I feel like)\b",
    re.IGNORECASE,
)
_STANDING_FACT = re.compile(r"^(?:[Nn]ow that|[Ss]eeing as|[Gg]iven that) ")
_LEAD_INS = re.compile(
    r"^(?:(?:oh|ah|well|so|yeah|yes|yep|no|nope|hey|hi|hello|wow|actually|also|anyway|anyways|btw"
    r"|by the way|and|but|guess what|"
    r"fyi|update|news|good news|big news|bad news|honestly|luckily|finally|fortunately|unfortunately"
    r"|sadly|now|then|"
    r"turns out|it turns out|turns out that|I think|I think that|I believe|I believe that|I guess"
    r"|you know|you see|"
    r"I(?: have)? changed my mind(?: again)?(?! about)|we(?: have)? changed our minds?(?! about)|changed"
    r" my mind|on second thought|correction|ok|okay"
    r"|sure|thanks|thank you|great|cool|"
    r"as you know|as I said|as I mentioned|for the record|for context|just so you know"
    r"|just to let you know|quick update|"
    r"to be honest|in fact|of course|I mean|plus|still|today|these days|nowadays|currently|recently|lately|"
    r"apparently|I heard|I heard that|I am (?:happy|glad|excited|proud|pleased|thrilled|sad|sorry) to "
    r"(?:say|announce|report|share)(?: that)?|"
    r"I (?:just )?wanted to (?:say|tell you|let you know|share)(?: that)?|remember(?: that)?"
    r"|I (?:got (?:it|that)|was) wrong|(?:please )?keep in mind(?: that)?|(?:the|my) (?:\w+ )?(?:tests?"
    r"|results?|doctor|allergist|scan)"
    r" (?:showed|shows|confirmed|found)(?: that)?|please note(?: that)?|note(?: that)?|"
    r"the thing is|one thing|first|second|firstly|hopefully|since)(?:[,:!-]+\s+|\s+))(?=\S)",
    re.IGNORECASE,
)
_REPORTS = re.compile(
    r"^(?:says?|said|tells? me|told me|told us|mentioned|claims?|claimed|announced|wrote|texted me"
    r"|texted|thinks?|"
    r"thought|believes?|heard|was told)(?: to me)?(?: that)? "
)
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
