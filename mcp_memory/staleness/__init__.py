"""Which of the statements that answer a question are likely stale, as far as words alone can tell: those of
which the same speaker told something newer.

It is update detection for where no model compares what is said. A later statement is taken for an update of
an earlier one when it tells of a change and both speak of the thing asked about, or when both measure that
thing and the measures differ. What comes out is a hint and no judgement: nothing is ended by it, and the
earlier statement is shown with the later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import Protocol

from mcp_memory.models import Kind, Memory
from mcp_memory.staleness.statements import Statement, Topic, read_statements, read_topic
from mcp_memory.staleness.vocabulary import CORRECTS, OTHERS, Change

KINDS: frozenset[Kind] = frozenset({"message", "fact", "preference", "event", "plan"})
"""What somebody states; what is always to be done, and summaries, go stale in other ways."""
FIRST = 5
"""Memories, the best of those found, in which a change may be told without a word of the question."""
ENOUGH = {Change.DENIED: 2.0, Change.HINTED: 1.5, Change.BESIDE: 1.5, Change.PLAIN: 1.4}
"""Weight of what two statements must share, by how plainly the later one tells of a change. These and the
weights below were set by reading what they pair in four conversations of LoCoMo, in LongMemEval and in half
of the stories of `benchmarks/updates.py`."""
ENOUGH_CHANGED = 1.2
"""The same where what was ended or replaced is among it ("I sold the Vespa"), or where a plain change gives
another measure."""
ENOUGH_MEASURED, ENOUGH_PLAIN = 1.2, 1.0
"""The same of two measures; and if what is counted is asked for, both speak of all that is asked about, or
the change is plain."""
ENOUGH_UNASKED = 1.2
"""Weight of shared words of which the question has none."""
FIELD, CHANGED, AROUND = 1.0, 0.5, 0.5
"""Weight of one field of life, of a word that is what was ended, and of words of the question that stand in
both texts, though not in both sentences."""
ASKED, NAMED, OTHER, PERSON = 1.0, 1.4, 0.7, 0.6
"""Weight of a rare word: one of the question, a name in it, any other word, and the name of whom it asks
about, of whom much else is said too."""
COVERED = 0.3
"""Share of the question's words that both must speak of, unless the change is plain."""
FEW, SCARCE, COMMON = 8, 0.04, 0.12
"""Memories that may have a rare word in any case; the share of them up to which it is rare, and from which it
weighs least."""
LEAST_ASKED = 0.5
"""Of the weight of a word of the question, however common it is."""
ONE_TALK, ONE_DAY = timedelta(hours=1), timedelta(hours=12)
"""Within a talk only mistakes are corrected, and within a day little changes but measures."""


class Words(Protocol):
    """The words of all memories of an owner."""

    @property
    def size(self) -> int:
        """How many memories there are."""
        ...

    def share(self, word: str) -> float:
        """The part of them that have a word, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Update:
    """What somebody said, and what the same one said later of the same thing, as far as words tell; with the
    sentences that show it."""

    old: Memory
    new: Memory
    before: str
    after: str
    weight: float
    """Of what the two share."""


def later_told(
    memories: Sequence[Memory],
    question: str,
    known: Words | None,
    called: Mapping[str, str] | None = None,
) -> dict[str, Memory]:
    """By id of a memory, the last of the others in which its speaker tells what became of the same thing.

    `memories` are what was found, best first. Without `known` words, where they are too many to be held, each
    counts as rare. `called` gives by other names of those the question names the name it has for them.
    """
    topic = read_topic(question, called)
    weigh = _Weighing(topic, known)
    first = {one.id for one in memories[:FIRST]}
    found: dict[str, Memory] = {}
    for told in _by_speaker(memories, topic, first):
        for place, old in enumerate(told):
            updates = (weigh.update(old, new) for new in reversed(told[place + 1 :]))
            if (last := next(filter(None, updates), None)) is not None:
                found[last.old.id] = last.new
    return found


def told_anew(
    later: Sequence[Memory],
    ever: Sequence[Memory],
    question: str,
    known: Words | None,
    called: Mapping[str, str] | None = None,
) -> list[Update]:
    """Of each memory of `later` that tells what became of something, that and the one of `ever` that had told
    most of it before, the last of several; none where the question names nothing. Both are what was found,
    best first; `known` and `called` as above."""
    topic = read_topic(question, called)
    if topic.is_empty:
        return []
    weigh = _Weighing(topic, known)
    first = {one.id for one in (*later[:FIRST], *ever[:FIRST])}
    is_later = {one.id for one in later}
    every = {one.id: one for one in (*ever, *later)}
    found: list[Update] = []
    for told in _by_speaker(every.values(), topic, first):
        for place, new in enumerate(told):
            if new.memory.id in is_later:
                updates = (weigh.update(old, new) for old in reversed(told[:place]))
                found += sorted(filter(None, updates), key=lambda one: -one.weight)[:1]
    return found


@dataclass(frozen=True, slots=True)
class _Told:
    """A memory with what it states of the thing asked about."""

    memory: Memory
    statements: Sequence[Statement]


def _by_speaker(memories: Iterable[Memory], topic: Topic, first: Collection[str]) -> Iterable[list[_Told]]:
    """What each speaker stated, in order of time. `first`: those that are read whole."""
    found: dict[str | None, list[_Told]] = {}
    for memory in sorted(memories, key=lambda one: one.observed_at):
        if memory.kind not in KINDS or memory.role not in (None, "user"):
            continue
        is_of_asked = topic.asks_of_self or topic.names(memory.speaker)
        read = read_statements(memory.text, topic, is_of_asked=is_of_asked, is_whole=memory.id in first)
        if read:
            found.setdefault(memory.speaker, []).append(_Told(memory, read))
    return found.values()


class _Weighing:
    """How much of what is asked about two statements share."""

    def __init__(self, topic: Topic, known: Words | None) -> None:
        self._topic = topic
        self._known = known
        self._weights: dict[str, float] = {}

    def update(self, earlier: _Told, later: _Told) -> Update | None:
        """The first of the later statements that updates any of the earlier ones, with the first of those."""
        apart = later.memory.observed_at - earlier.memory.observed_at
        if apart <= timedelta(0):
            return None
        for new in later.statements:
            if not new.change and not new.measures:
                continue
            corrects = apart < ONE_DAY and CORRECTS.search(new.text) is not None
            if apart < ONE_TALK and not corrects:
                continue
            may_change = apart >= ONE_DAY or corrects
            for old in earlier.statements:
                if weight := self._updates(new, old, may_change=may_change):
                    return Update(earlier.memory, later.memory, old.text, new.text, weight)
        return None

    def _updates(self, new: Statement, old: Statement, *, may_change: bool) -> float:
        """The weight of what they share if the later one updates the earlier, else nothing."""
        if not _may_be_of_one(new, old):
            return 0.0
        updates = (may_change and self._changes(new, old)) or self._measures_anew(new, old)
        # What costs most is asked last.
        if not updates or self._is_of_namesakes(new, old) or not (new.is_stated and old.is_stated):
            return 0.0
        return self._shared(new, old)

    def _is_of_namesakes(self, new: Statement, old: Statement) -> bool:
        """Whether one of the question, the later and the earlier speaks of another of the same first name."""
        named = (self._topic.full_names, new.full_names, old.full_names)
        return any(
            one.isdisjoint(other) and not {first for first, _ in one}.isdisjoint(first for first, _ in other)
            for one, other in combinations(named, 2)
        )

    def _changes(self, new: Statement, old: Statement) -> bool:
        if not new.change:
            return False
        shared = self._shared(new, old)
        if shared < min(ENOUGH_CHANGED, ENOUGH[new.change]):
            return False
        is_sure = new.change is Change.PLAIN and (
            not new.changed.isdisjoint(old.words) or _measure_apart(new, old)
        )
        if shared < (ENOUGH_CHANGED if is_sure else ENOUGH[new.change]):
            return False
        if old.is_over or _is_said_again(new, old):
            return False
        # "Used to live in Cairo, Illinois": that was before, and elsewhere.
        if new.is_former and (new.is_long_ago or not new.names <= old.names | {old.agent}):
            return False
        return new.change >= Change.BESIDE or not (new.is_undecided or old.is_undecided)

    def _measures_anew(self, new: Statement, old: Statement) -> bool:
        # "30 hours of Zelda, 5 hours of Tetris" are two things.
        if not new.measures or not old.measures:
            return False
        if new.names and old.names and not new.names & old.names and not new.names <= old.around:
            return False
        # "The rent of Tom" is not mine.
        if self._topic.asks_of_self and new.subject != "I" and new.names - old.names - self._topic.stems:
            return False
        stems, things = self._topic.stems, self._topic.things
        both = new.words.keys() & old.words.keys()
        speaks_of_all = bool(stems) and stems <= both
        speaks_of_thing = things <= both
        for one in new.measures:
            for other in old.measures:
                if one.differs(other):
                    counts_asked = not (stems | {self._topic.counted}).isdisjoint(one.of & other.of)
                    is_plain = counts_asked or speaks_of_all or new.change is Change.PLAIN
                    is_plain |= speaks_of_thing and one.kind in self._topic.measured
                    if self._shared(new, old) >= (ENOUGH_PLAIN if is_plain else ENOUGH_MEASURED):
                        return True
        return False

    def _shared(self, new: Statement, old: Statement) -> float:
        topic = self._topic
        shared = new.words.keys() & old.words.keys()
        fields = new.fields & old.fields if _is_of_asked(new, old, topic.people) else frozenset[str]()
        if topic.fields or not new.agent or new.agent != old.agent:
            fields &= topic.fields
        # Who does something has many sides, and one of them says nothing of another.
        people = topic.people | ({new.agent, old.agent} - new.changed)
        if not fields and shared <= people and not _measure_apart(new, old):
            return 0.0
        weight = sum(self._weight(stem, new.words[stem]) for stem in shared)
        if fields:
            weight += FIELD
        if around := (new.around & old.around) - shared - topic.people:
            weight += AROUND
        # "Followers" are a word of talk, but not where their number is asked for.
        counted = (
            frozenset({topic.counted} - shared) if _count_apart(new, old, topic.counted) else frozenset[str]()
        )
        weight += ASKED * len(counted)
        changed = not new.changed.isdisjoint(shared) or not new.changed_fields.isdisjoint(fields)
        changed = changed or (new.change is Change.PLAIN and _measure_apart(new, old))
        if not fields and not changed:
            asked = (shared & topic.stems) | counted
            if not asked and weight < ENOUGH_UNASKED:
                return 0.0
            covered = len(asked) + len(around) / 2
            if new.change is not Change.PLAIN and covered < COVERED * len(topic.stems):
                return 0.0
        return weight + CHANGED * changed

    def _weight(self, stem: str, word: str) -> float:
        known = self._weights.get(stem)
        if known is None:
            known = self._weights[stem] = self._weigh(stem, word)
        return known

    def _weigh(self, stem: str, word: str) -> float:
        if stem in self._topic.people:
            return PERSON
        rare = 1.0
        part = 0.0 if self._known is None else self._known.share(word)
        if self._known is not None and part * self._known.size > FEW:
            rare -= min(max((part - SCARCE) / (COMMON - SCARCE), 0.0), 1.0)
        if stem in self._topic.stems:
            weight = NAMED if word[0].isupper() else ASKED
            return weight * (LEAST_ASKED + (1 - LEAST_ASKED) * rare)
        return OTHER * rare


def _is_said_again(new: Statement, old: Statement) -> bool:
    """Whether the earlier told the same change, and the later gives no other name or measure."""
    is_told = bool(new.tells) and new.tells <= old.tells
    return is_told and new.names <= old.names and not _measure_apart(new, old)


def _measure_apart(new: Statement, old: Statement) -> bool:
    return any(one.differs(other) for one in new.measures for other in old.measures)


def _count_apart(new: Statement, old: Statement, counted: str) -> bool:
    """Whether both give a number of that, and not the same."""
    return bool(counted) and any(
        one.differs(other) and counted in one.of & other.of for one in new.measures for other in old.measures
    )


def _may_be_of_one(new: Statement, old: Statement) -> bool:
    """Whether two statements may be about the same person. Who "she" is nobody says: not the speaker."""
    agent, former = _agent(new, old), _agent(old, new)
    if agent and former and not (new.is_own and old.is_own):
        return agent == former
    for one, other, name in ((new, old, agent), (old, new, former)):
        if name and other.subject == "I" and not one.is_own and name not in other.words:
            return False
    some, others = new.subject, old.subject
    if not some or not others or some == others:
        return True
    return not OTHERS.isdisjoint((some, others)) and "I" not in (some, others)


def _agent(one: Statement, other: Statement) -> str:
    """Whom a statement is about, unless the other writes it small: then it is no name, though it begins a
    sentence."""
    return "" if other.words.get(one.agent, "X")[0].islower() else one.agent


def _is_of_asked(new: Statement, old: Statement, people: frozenset[str]) -> bool:
    """Whether both are about whom the question is about, as far as subjects tell, or the names in it."""
    if new.is_of_asked:
        # "The flat is sold": whose it is need not be said where the change is plain.
        is_own = new.subject == "I" or (not new.subject and not new.agent and new.change is Change.PLAIN)
        return old.subject == "I" and is_own
    if "I" in (new.subject, old.subject):
        return False
    # "The move is off": whose, nobody says.
    is_of_nobody = not (new.subject or new.agent) and people.isdisjoint(new.words)
    is_of_somebody = old.subject or old.agent or not people.isdisjoint(old.words)
    return not (is_of_nobody and is_of_somebody)
