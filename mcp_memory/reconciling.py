"""What becomes of the facts that were found in a passage: new memories, notes on what is there, or a
repetition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from mcp_memory.extraction.facts import EITHER, USER, USER_ALIASES, Extraction, FoundFact, Passage
from mcp_memory.models import Memory, NewEntity, Origin, iso, name_key
from mcp_memory.store.ledger.facts import Statement, digest
from mcp_memory.store.ledger.schema import new_id
from mcp_memory.store.ledger.writing import Draft, Note, Repeat, Understood


def reconcile(
    passage: Passage,
    extraction: Extraction,
    said: Mapping[str, Memory],
    *,
    origin: Origin,
    now: datetime,
) -> Understood:
    """What to write of an extraction. `said` has the memories of the passage's turns by id: a turn that is
    not among them was forgotten meanwhile, and so is what rests on nothing else."""
    statements = {turn.id for turn in passage.turns if turn.is_statement}
    drafts: list[Draft] = []
    notes: list[Note] = []
    repeats: list[Repeat] = []
    filling = _filling(extraction.facts)
    # Statements whose own slot is noted; what else they fill is a fact beside them.
    noted: set[str] = set()
    for fact in extraction.facts:
        sources = tuple(one for one in fact.sources if one in said)
        if not sources:
            continue
        repeated = [one.known_id for one in fact.verdicts if one.judgement == "repeats"]
        if repeated:
            said_at = max(said[one].observed_at for one in sources)
            repeats.append(Repeat(repeated[0], tuple(sorted(set(sources) - set(repeated))), said_at))
        elif statements.issuperset(sources) and noted.isdisjoint(sources):
            note = _note(fact, sources[0], origin)
            says_less = filling.get(sources[0], fact) is not fact
            notes.append(replace(note, statement=None) if says_less else note)
            noted.update(sources[:1] if fact is filling.get(sources[0]) else ())
        else:
            drafts.append(_draft(fact, [said[one] for one in sources], origin, now))
    # What rules find in a text was noted when it was written, unless the caller named it better.
    if origin != "rules":
        mentioned: dict[str, list[NewEntity]] = {}
        for turn_id, entity in extraction.mentions:
            mentioned.setdefault(turn_id, []).append(entity)
        notes += [Note(one, entities=tuple(named)) for one, named in mentioned.items() if one in said]
    return Understood(tuple(drafts), tuple(notes), tuple(repeats))


def _filling(found: Sequence[FoundFact]) -> dict[str, FoundFact]:
    """By source, the fact whose slot a statement fills: one that takes another's place before one that may
    stand beside others."""
    filling: dict[str, FoundFact] = {}
    for fact in sorted(found, key=lambda one: one.value == EITHER):
        if fact.slot is not None:
            for source in fact.sources:
                filling.setdefault(source, fact)
    return filling


def _note(fact: FoundFact, memory_id: str, origin: Origin) -> Note:
    return Note(
        memory_id,
        entities=_entities(fact),
        relations=fact.relations,
        statement=_statement(fact),
        verdicts=_verdicts(fact),
        valid_from=fact.valid_from,
        is_guessed=origin == "rules",
    )


def _draft(fact: FoundFact, sources: list[Memory], origin: Origin, now: datetime) -> Draft:
    first, last = sources[0], max(sources, key=lambda one: one.observed_at)
    memory = Memory(
        id=new_id("m"),
        text=fact.text,
        kind=fact.kind,
        level=first.level,
        user_id=first.user_id,
        agent_id=first.agent_id,
        # A lasting fact belongs to no session: that one it was said in is its sources'.
        session_id=first.session_id if first.level == "session" else None,
        source=last.source,
        observed_at=last.observed_at,
        recorded_at=now,
        valid_from=fact.valid_from,
        valid_until=fact.valid_until,
        expires_at=last.expires_at,
        importance=fact.importance,
        origin=origin,
        suspicious=any(one.suspicious for one in sources),
    )
    happens = fact.kind in ("event", "plan")
    return Draft(
        memory,
        _entities(fact),
        fact.relations,
        told_apart_by=iso(fact.valid_from or last.observed_at) if happens else "",
        sources=tuple(one.id for one in sources),
        statement=_statement(fact),
        verdicts=_verdicts(fact),
        is_guessed=origin == "rules",
    )


def _entities(fact: FoundFact) -> tuple[NewEntity, ...]:
    """What a fact mentions, its subject first."""
    if fact.subject is None:
        return fact.entities
    key = name_key(fact.subject)
    if key in _keys(fact.entities):
        return fact.entities
    if key == name_key(USER):
        return (NewEntity(name=USER, type="person", aliases=USER_ALIASES), *fact.entities)
    return (NewEntity(name=fact.subject), *fact.entities)


def _keys(entities: Iterable[NewEntity]) -> set[str]:
    return {name_key(name) for one in entities for name in (one.name, *one.aliases)}


def _statement(fact: FoundFact) -> Statement | None:
    if fact.subject is None:
        return None
    value = None if fact.slot is None else _value(fact)
    slot = None if fact.slot is None else digest(fact.slot)
    return Statement(fact.subject, slot, value, fact.negates, fact.valid_until)


def _value(fact: FoundFact) -> str | None:
    """What fills the slot: what the fact says itself, or else the object of the relation that the slot is
    named after, or of any; a negation without one empties the slot of whatever is in it."""
    if fact.value is not None:
        return digest(fact.value) if fact.value else None
    assert fact.subject is not None
    assert fact.slot is not None
    subject, slot = name_key(fact.subject), name_key(fact.slot)
    mine = [one for one in fact.relations if name_key(one.subject) == subject]
    named = [one for one in mine if slot.startswith(name_key(one.predicate))]
    for relation in (*named, *mine):
        return digest(relation.object)
    return None if fact.negates else digest(fact.text)


def _verdicts(fact: FoundFact) -> tuple[tuple[str, Literal["supersedes", "contradicts"]], ...]:
    return tuple((one.known_id, one.judgement) for one in fact.verdicts if one.judgement != "repeats")


def says_the_same(text: str, memory: Memory) -> bool:
    """Whether a text is a memory in its own words, with or without who said it and when. Letters' case,
    marks, spaces and articles do not count; every other word does, and their order."""
    words = _words(text)
    return bool(words) and words in (_words(memory.text), _words(memory.said), _words(memory.worded))


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(name_key(text)) if word not in _ARTICLES]


_WORD = re.compile(r"\w+")
_ARTICLES = ("a", "an", "the")
