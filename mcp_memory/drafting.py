"""What is to be kept of a request to add: each memory with whom it mentions and what it states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from mcp_memory.extraction import find_entities, is_procedure, opening_words
from mcp_memory.guard import is_small_talk, reads_like_instruction
from mcp_memory.models import (
    FUNCTIONAL,
    AddRequest,
    Kind,
    Memory,
    NewEntity,
    NewRelation,
    Scope,
    iso,
    name_key,
)
from mcp_memory.store import Draft
from mcp_memory.store.ledger.facts import Statement, digest
from mcp_memory.store.ledger.schema import new_id


def drafts_of(
    scope: Scope, request: AddRequest, source: str | None, now: datetime, session_ttl_days: float
) -> list[Draft]:
    """One draft of each statement or message. Raises InvalidInput for a level whose id the scope has not."""
    scope.owner(request.level)  # a level without its id is refused before anything is made
    single = _single_valued(request)
    valid_from = request.valid_from or (None if single is None else single.valid_from)
    valid_until = request.valid_until or (None if single is None else single.valid_until)

    def memory(text: str, default_kind: Kind, said_at: datetime | None, **said_by: str | None) -> Memory:
        suspicious = reads_like_instruction(text)
        kind = request.kind or default_kind
        return Memory.model_validate(
            {
                "id": new_id("m"),
                "text": text,
                # A text that gives orders must not come back as a rule to follow.
                "kind": "fact" if suspicious and kind == "procedure" else kind,
                "level": request.level,
                **scope.model_dump(),
                **said_by,
                "source": source,
                "observed_at": said_at or now,
                "recorded_at": now,
                "valid_from": valid_from,
                "valid_until": valid_until,
                "expires_at": now + timedelta(days=session_ttl_days) if request.level == "session" else None,
                "importance": request.importance,
                "metadata": request.metadata,
                "origin": "given" if request.content is not None else "said",
                "suspicious": suspicious,
            }
        )

    if request.content is not None:
        # An order that stands is to be followed, though who hands it on does not say what it is.
        kind: Kind = "procedure" if is_procedure(request.content) else "fact"
        said = [(memory(request.content, kind, request.observed_at), request.observed_at)]
    else:
        said = [
            (memory(message.content, "message", time, role=message.role, speaker=message.name), time)
            for message in request.messages
            for time in (message.time or request.observed_at,)
        ]
    named = _named_by_caller([one for one, _ in said], request.entities, request.relations)
    return [
        Draft(
            one,
            entities,
            relations,
            _told_apart_by(one, said_at),
            sources=request.sources,
            statement=None if single is None else _given_statement(single, one),
            is_guessed=not request.entities,
            openers=() if request.entities else opening_words(one.text),
            is_worth_reading=not is_small_talk(one.text),
        )
        for (one, said_at), (entities, relations) in zip(said, named, strict=True)
    ]


def _single_valued(request: AddRequest) -> NewRelation | None:
    """The one relation of a statement of which there is one at a time; None where it names several or
    none."""
    single = [one for one in request.relations if name_key(one.predicate) in FUNCTIONAL]
    return single[0] if request.content is not None and len(single) == 1 else None


def _given_statement(relation: NewRelation, memory: Memory) -> Statement:
    slot, value = digest(relation.predicate), digest(relation.object)
    return Statement(relation.subject, slot, value, until=memory.valid_until)


def _told_apart_by(memory: Memory, said_at: datetime | None) -> str:
    """What happens at a time happens again at another; a fact said twice is one fact."""
    if memory.kind not in ("message", "event"):
        return ""
    return f"{memory.session_id or ''}\x1f{iso(said_at) if said_at else ''}"


def _named_by_caller(
    memories: Sequence[Memory], entities: tuple[NewEntity, ...], relations: tuple[NewRelation, ...]
) -> list[tuple[tuple[NewEntity, ...], tuple[NewRelation, ...]]]:
    """Who is mentioned where: what the caller named where its words stand, or else what the rules find.

    What the caller named and no text contains belongs to the last memory: a conversation is about it all the
    same.
    """
    if not entities and not relations:
        return [(tuple(_found_by_rules(memory)), ()) for memory in memories]
    texts = [f" {' '.join(_WORDS.findall(name_key(memory.text)))} " for memory in memories]

    def places(*names: str) -> list[int]:
        keys = [" ".join(_WORDS.findall(name_key(name))) for name in names]
        found = [place for place, text in enumerate(texts) if any(key and f" {key} " in text for key in keys)]
        return found or [len(texts) - 1]

    # Relations alone say nothing of what else is mentioned, nor of what type their ends are.
    mentioned = _speaker if entities else _found_by_rules
    named: list[tuple[list[NewEntity], list[NewRelation]]] = [(mentioned(memory), []) for memory in memories]
    for entity in entities:
        for place in places(entity.name, *entity.aliases):
            named[place][0].append(entity)
    for relation in relations:
        both = set(places(relation.subject)) & set(places(relation.object))
        named[max(both or places(relation.subject, relation.object))][1].append(relation)
    return [(tuple(of_entities), tuple(of_relations)) for of_entities, of_relations in named]


_WORDS = re.compile(r"\w+")


def _found_by_rules(memory: Memory) -> list[NewEntity]:
    found = [NewEntity(name=one.name, type=one.type) for one in find_entities(memory.text)]
    return [*_speaker(memory), *found]


def _speaker(memory: Memory) -> list[NewEntity]:
    return [] if memory.speaker is None else [NewEntity(name=memory.speaker, type="person")]
