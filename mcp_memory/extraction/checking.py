"""How much is believed of what a language model has drawn from a passage.

A model may invent ids, dates and names, and cite what says nothing of the kind. Whatever can be checked
against the passage is checked here; what fails is dropped and counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from mcp_memory.dates import Tense, resolve, times_in
from mcp_memory.extraction.facts import (
    USER,
    USER_ALIASES,
    Extraction,
    FoundFact,
    Known,
    Passage,
    Turn,
    Verdict,
)
from mcp_memory.extraction.reply import MAX_FACTS, ReplyEntity, ReplyFact, ReplyRelation
from mcp_memory.models import EntityType, Identifier, NewEntity, NewRelation, name_key
from mcp_memory.usage import NOTHING_SPENT, Usage
from mcp_memory.words import FUNCTION_WORDS, stemmer, words_of

MAX_FACT = 1_000
"""Characters of one fact; what is longer is a text, not a statement."""
MAX_ALIASES = 20
FAR = timedelta(days=366)
"""How long after it is told of something may begin; farther off only plans lie."""


def understood(
    facts: Sequence[ReplyFact],
    passage: Passage,
    is_suspicious: Callable[[str], bool],
    *,
    malformed: int = 0,
    usage: Usage = NOTHING_SPENT,
) -> Extraction:
    """What of a model's facts holds against the passage they were drawn from.

    `is_suspicious` says whether a text reads like an instruction: that never becomes a procedure.
    `malformed` facts were dropped before.
    """
    check = _Check(passage, is_suspicious)
    kept = [found for fact in facts[:MAX_FACTS] if (found := check.fact(fact)) is not None]
    distinct = {name_key(fact.text): fact for fact in reversed(kept)}
    return Extraction(
        facts=tuple(reversed(distinct.values())),
        mentions=tuple(check.mentions.values()),
        unsupported=check.unsupported,
        invalid=check.invalid + malformed + max(0, len(facts) - MAX_FACTS),
        usage=usage,
    )


_NAME = TypeAdapter[str](Identifier)
_USER_KEYS = frozenset(map(name_key, (USER, *USER_ALIASES, "my", "mine", "speaker", "the speaker")))
_PRONOUNS = frozenset(
    "he she it they we you him her them us this that someone everyone none assistant".split()
)


class _Check:
    """Checks facts against one passage, counting what it drops."""

    def __init__(self, passage: Passage, is_suspicious: Callable[[str], bool]) -> None:
        self._turns = {turn.id: turn for turn in passage.turns}
        self._known = {known.id: known for known in passage.known}
        self._is_suspicious = is_suspicious
        spoken = (*passage.earlier, *passage.turns)
        said = [one.text for one in (*spoken, *passage.known)]
        self._all_said = name_key("\n".join((*said, *(turn.speaker or "" for turn in spoken))))
        self.mentions: dict[tuple[str, str], tuple[str, NewEntity]] = {}
        self.unsupported = 0
        self.invalid = 0

    def fact(self, fact: ReplyFact) -> FoundFact | None:
        """What is left of a fact; None when it cannot be believed at all."""
        text = " ".join(_printable(fact.text).split())
        turns = self._cited(fact.sources)
        if not turns:
            return None
        if not text or len(text) > MAX_FACT:
            self.invalid += 1
            return None
        if not _is_supported(text, fact.entities, turns):
            self.unsupported += 1
            return None
        entities = self._entities(fact.entities, text, turns)
        subject = self._subject(fact.subject, turns)
        first, last = self._validity(fact, turns)
        self._mention(entities, turns)
        return FoundFact(
            text=text,
            kind="fact" if fact.kind == "procedure" and self._reads_like_orders(text, turns) else fact.kind,
            sources=tuple(turn.id for turn in turns),
            subject=subject,
            slot=self._slot(fact, text),
            importance=fact.importance,
            valid_from=first,
            valid_until=last,
            entities=entities,
            # What is no longer so joins nothing.
            relations=() if fact.ends else self._relations(fact.relations, text, turns, first, last),
            verdicts=self._verdicts(fact, text, subject, entities),
            negates=fact.ends,
        )

    def _cited(self, sources: Iterable[str]) -> list[Turn]:
        ids = dict.fromkeys(_bare_id(source) for source in sources)
        if not ids and len(self._turns) == 1:
            return list(self._turns.values())
        unknown = sum(one not in self._turns for one in ids)
        self.invalid += unknown if ids else 1
        return [self._turns[one] for one in ids if one in self._turns]

    def _reads_like_orders(self, text: str, turns: Sequence[Turn]) -> bool:
        return self._is_suspicious(text) or any(self._is_suspicious(turn.text) for turn in turns)

    def _name(self, name: str, turns: Sequence[Turn]) -> str | None:
        """A name as it is kept; "I" is whoever says it. None for what is no name, or too long for one."""
        said = " ".join(name.split())
        key = name_key(said)
        if key in _USER_KEYS:
            return next((who for turn in turns if (who := turn.first_person)), USER)
        try:
            return None if key in _PRONOUNS else _NAME.validate_python(said)
        except ValidationError:
            self.invalid += 1
            return None

    def _subject(self, subject: str | None, turns: Sequence[Turn]) -> str | None:
        return None if subject is None else self._name(subject, turns)

    def _entities(
        self, entities: Iterable[ReplyEntity], text: str, turns: Sequence[Turn]
    ) -> tuple[NewEntity, ...]:
        found: dict[str, NewEntity] = {}
        for entity in entities:
            name = self._name(entity.name, turns)
            if name is None:
                continue
            if not _is_named(name, text, turns):
                self.invalid += 1
                continue
            entity_type: EntityType = "person" if name == USER else entity.type
            aliases = tuple(self._aliases(entity.aliases, name))[:MAX_ALIASES]
            found.setdefault(name_key(name), NewEntity(name=name, type=entity_type, aliases=aliases))
        return tuple(found.values())

    def _aliases(self, aliases: Iterable[str], name: str) -> Iterator[str]:
        """Other names that were really said: one that a model knows from elsewhere could join two people."""
        for alias in dict.fromkeys(" ".join(one.split()) for one in aliases):
            key = name_key(alias)
            if key in _USER_KEYS or key in _PRONOUNS or key == name_key(name) or not key:
                continue
            try:
                kept = _NAME.validate_python(alias)
            except ValidationError:
                self.invalid += 1
                continue
            if _stands_in(key, self._all_said):
                yield kept

    def _relations(
        self,
        relations: Iterable[ReplyRelation],
        text: str,
        turns: Sequence[Turn],
        first: datetime | None,
        last: datetime | None,
    ) -> tuple[NewRelation, ...]:
        found: list[NewRelation] = []
        for relation in relations:
            subject, target = self._name(relation.subject, turns), self._name(relation.object, turns)
            if subject is None or target is None:
                continue
            try:
                joined = NewRelation(
                    subject=subject,
                    predicate=" ".join(relation.predicate.split()),
                    object=target,
                    valid_from=first,
                    valid_until=last,
                )
            except ValidationError:
                self.invalid += 1
                continue
            if all(_is_named(name, text, turns) for name in (subject, target)):
                found.append(joined)
            else:
                self.invalid += 1
        return tuple(dict.fromkeys(found))

    def _slot(self, fact: ReplyFact, text: str) -> str | None:
        """The slot of a fact, if what it names fits what is said: models copy what they were shown."""
        slot = slot_of(fact.attribute)
        if slot is None or slot in _ATTRIBUTES.values():
            told = _TOLD.get(slot or "")
            return None if told and _ENGLISH.search(text) and not told.search(text) else slot
        if slot.startswith(_PREFERS):
            options = slot.removeprefix(_PREFERS).split(" | ")
            return slot if all(_stands_in(option, self._all_said) for option in options) else None
        # What happened, once, is no state that something else could take the place of.
        is_deed = re.match(r"\w+(?:ed|ing)\b", slot) is not None
        return None if is_deed or fact.kind not in ("fact", "preference") else slot

    def _verdicts(
        self, fact: ReplyFact, text: str, subject: str | None, entities: Sequence[NewEntity]
    ) -> tuple[Verdict, ...]:
        found: dict[str, Verdict] = {}
        for verdict in fact.verdicts:
            known = self._known.get(_bare_id(verdict.id))
            if (
                known is None
                or not _is_about(known, subject, entities)
                or (verdict.verdict == "repeats" and (fact.ends or not says_nothing_new(text, known)))
            ):
                self.invalid += 1
            else:
                found.setdefault(known.id, Verdict(known.id, verdict.verdict))
        return tuple(found.values())

    def _validity(self, fact: ReplyFact, turns: Sequence[Turn]) -> tuple[datetime | None, datetime | None]:
        first, _ = self._time(fact.since, turns, "future" if fact.kind == "plan" else "past")
        # "Until May" lies ahead of what is so, and behind what was.
        is_over = fact.kind != "plan" and _TELLS_THE_PAST.search(fact.text) is not None
        _, last = self._time(fact.until, turns, "past" if is_over else "future")
        if first is not None and fact.kind != "plan" and first > turns[-1].observed_at + FAR:
            self.invalid += 1
            first = None
        if first is not None and last is not None and last < first:
            self.invalid += 1
            last = None
        return first, last

    def _time(
        self, expression: str | None, turns: Sequence[Turn], tense: Tense
    ) -> tuple[datetime | None, datetime | None]:
        """The time that an expression names, if one of the turns says it."""
        if expression is None:
            return None, None
        for turn in turns:
            if _stands_in(name_key(expression), name_key(turn.text)):
                return _resolved(expression, turn, tense) or (None, None)
        # A model that reckons instead of quoting is believed where the reckoning is right.
        for turn in turns:
            days = resolve(expression, turn.observed_at, tense)
            said = times_in(turn.text, turn.observed_at, tense)
            if days is not None and any(one.first <= days[0] <= one.last for one in said):
                return days
        self.invalid += 1
        return None, None

    def _mention(self, entities: Iterable[NewEntity], turns: Iterable[Turn]) -> None:
        for turn in turns:
            said = name_key(turn.text)
            for entity in entities:
                if any(_stands_in(name_key(name), said) for name in (entity.name, *entity.aliases)):
                    self.mentions.setdefault((turn.id, name_key(entity.name)), (turn.id, entity))


def _resolved(expression: str, turn: Turn, tense: Tense) -> tuple[datetime, datetime] | None:
    """A time that a turn says. "From February 1st", said in January, is days ahead and not a year ago."""
    days = resolve(expression, turn.observed_at, tense)
    named = re.sub(f"^{_BEGINS}", "", name_key(expression))
    begins = rf"{_BEGINS}{re.escape(named)}(?!\w)"
    if tense == "past" and re.search(begins, name_key(turn.text)):
        ahead = resolve(expression, turn.observed_at, "future")
        if ahead and (days is None or ahead[0] - turn.observed_at < turn.observed_at - days[0]):
            return ahead
    return days


_BEGINS = r"\b(?:from|starting|beginning|effective|as of)(?: on)?(?: the)? "
_TELLS_THE_PAST = re.compile(r"\b(?:was|were|had|used to|\w+ed)\b", re.IGNORECASE)
_ATTRIBUTES = {
    alias: slot
    for slot, aliases in {
        "lives in": "based in|is based in|residence|home|home town|city|lives|lives at",
        "works at": "works for|employer|workplace|is employed by|company",
        "works as": "job|job title|occupation|profession|role at work",
        "is called": "name|is named|full name",
        "is married to": "married to|spouse|husband|wife",
        "has email": "email|e-mail|email address|e-mail address|has e-mail",
        "has phone": "phone|phone number|telephone|mobile|mobile number",
        "has birthday": "birthday|birth date|date of birth|was born on",
        "has version": "version|current version",
        "has address": "address|postal address",
        "reports to": "boss|manager",
        "studies at": "school|university|college",
    }.items()
    for alias in (slot, *aliases.split("|"))
}
"""Words for what there is one of at a time, by the one that is kept."""
_MANY = frozenset(
    """
    activity activities bought children does dislikes enjoys event events experience feels feeling friend
    friends goal goals has hates hobbies hobby interest interests is kind knows likes loves mentioned needs
    opinion owns pet pets plan plans preference preferences prefers relation relationship said skill skills
    speaks thinks topic trait type visited visits wants went
    """.split()
)
"""What may be true several times over, whatever a model says."""
_PREFERS = "prefers: "
_ENGLISH = re.compile(r"\b(?:the|is|has|and|of|with|was)\b", re.IGNORECASE)
_TOLD = {
    slot: re.compile(rf"\b(?:{words})", re.IGNORECASE)
    for slot, words in {
        "is called": "(?:re)?(?:nick)?name|call|goes by|known as",
        "lives in": "liv|mov|home|resid|hous|apartment|flat|based|stay|settl|relocat|back (?:in|to)",
        "works at": "work|job|employ|hir|join|start|position|career|intern|teach|quit|left|promot|found",
        "works as": "work|job|employ|hir|is an?|as an?|became|becom|position|career|profession|promot",
        "is married to": "marri|wife|husband|spouse|wed|divorc",
    }.items()
}
"""How English tells of what matters most: without any of it the slot is merely copied by a model."""
_MAX_SLOT_WORDS = 5
"""A longer attribute is the statement itself."""


def slot_of(attribute: str | None) -> str | None:
    """The slot that a model's attribute names, as `lives in` or `prefers: coffee | tea`; None where several
    may be true together."""
    if attribute is None:
        return None
    said = name_key(attribute.replace("_", " ")).strip(" .")
    if said.startswith(_PREFERS.strip()):
        options = sorted({one.strip() for one in said.removeprefix(_PREFERS.strip()).split("|")} - {""})
        return f"{_PREFERS}{' | '.join(options)}" if len(options) > 1 and len(said) <= 128 else None
    if said in _ATTRIBUTES:
        return _ATTRIBUTES[said]
    words = said.split()
    is_many = said in _MANY or not words or len(words) > _MAX_SLOT_WORDS or words[0] in _MANY - {"has", "is"}
    return None if is_many or len(said) > 60 else said


def _is_about(known: Known, subject: str | None, entities: Iterable[NewEntity]) -> bool:
    """Whether a known fact has the same subject, by one of its names."""
    if subject is None:
        return False
    key = name_key(subject)
    keys = {key} | {name_key(alias) for one in entities if name_key(one.name) == key for alias in one.aliases}
    if known.subject is None:
        return any(_stands_in(one, name_key(known.text)) for one in keys)
    known_key = name_key(known.subject)
    return known_key in keys or (known_key in _USER_KEYS and key in _USER_KEYS)


SAME_WORDS = 0.6
"""Share of a fact's words that a known fact must have for it to say nothing new. Strict: what is kept twice
does less harm than what is lost, and "prefers tea" has half the words of "prefers coffee"."""


def says_nothing_new(text: str, known: Known) -> bool:
    """Whether a fact may be a known one in other words: with its numbers, names and most of its words."""
    said, before = _content(text), _content(known.text)
    capitals = _content(" ".join(re.findall(r"(?<!^)\b[^\W\d_a-z]\w*", text)))
    numbers = {word for word in said if any(one.isdecimal() for one in word)}
    return (
        bool(said)
        and (capitals & said) | numbers <= before
        and _is_denied(text) == _is_denied(known.text)
        and _shared(said, before) >= SAME_WORDS * _shared(said, said)
    )


def _is_denied(text: str) -> bool:
    return _DENIAL.search(text) is not None


_DENIAL = re.compile(
    r"\b(?:no|not|never|cannot|without|kein\w*|nicht|nie|jamais|pas|nunca|ya no|non|не|нет)\b|n['’]t\b",
    re.IGNORECASE,
)


def _is_supported(text: str, entities: Iterable[ReplyEntity], turns: Sequence[Turn]) -> bool:
    """Whether a fact shares words with the turns it cites, beside the name of who said them, or they name one
    of its entities."""
    said = "\n".join(turn.text for turn in turns)
    speakers = _content(" ".join(turn.first_person or "" for turn in turns))
    own = _content(text) - speakers
    if _shared(own, _content(said)) >= 1:
        return True
    key = name_key(said)
    return any(
        len(name := name_key(one.name)) > 1
        and name not in _USER_KEYS
        and not _content(name) <= speakers
        and _stands_in(name, key)
        for one in entities
    )


def _is_named(name: str, text: str, turns: Sequence[Turn]) -> bool:
    """Whether a name is in the fact or in what it rests on, or is who said it."""
    said = " ".join((text, *(f"{turn.text} {turn.first_person or ''}" for turn in turns)))
    return (
        name == USER
        or _stands_in(name_key(name), name_key(said))
        or _shared(_content(name), _content(said)) >= 1
    )


_PREFIX = 5
"""Letters by which words of other languages than English are compared: their endings change."""
_WITHOUT_SPACES = re.compile(r"[぀-ヿ㐀-鿿가-힯]")


def _content(text: str) -> set[str]:
    """The stems of the words that carry content."""
    stem = stemmer().stemWord
    words = {word for word in words_of(text) if word not in FUNCTION_WORDS and word != "user"}
    return {
        stem(word) if word.isascii() else word[:_PREFIX] for word in words if len(word) > 1 or _is_sign(word)
    }


def _is_sign(word: str) -> bool:
    return word.isdecimal() or _WITHOUT_SPACES.fullmatch(word) is not None


def _shared(one: set[str], other: set[str]) -> float:
    """How many words two texts share; a character of a script without spaces is half a word."""
    return sum(0.5 if _WITHOUT_SPACES.fullmatch(word) else 1.0 for word in one & other)


def _stands_in(key: str, text_key: str) -> bool:
    """Whether a name or phrase is in a text, as whole words; both in the form of `name_key`."""
    if not key:
        return False
    if _WITHOUT_SPACES.search(key):
        return key in text_key
    start = text_key.find(key)
    while start >= 0:
        end = start + len(key)
        before, after = text_key[start - 1 : start], text_key[end : end + 1]
        if not (before.isalnum() and key[0].isalnum()) and not (after.isalnum() and key[-1].isalnum()):
            return True
        start = text_key.find(key, start + 1)
    return False


def _bare_id(written: str) -> str:
    """An id without the brackets and the date that stand around it in the passage."""
    return next(iter(written.replace("[", " ").replace("]", " ").split()), "")


def _printable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
