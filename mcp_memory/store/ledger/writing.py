"""What is about to be remembered, and how it is written: once, with what it mentions, states and rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mcp_memory.models import AddStatus, EntityRef, HistoryEvent, Memory, NewEntity, NewRelation, iso
from mcp_memory.store.ledger import (
    entities,
    extractions,
    facts,
    index_work,
    meaning,
    merging,
    naming,
    schema,
    writes,
)
from mcp_memory.store.ledger.facts import Statement
from mcp_memory.store.ledger.rows import COLUMNS, NOW, alive, memory_of, owner_of


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory about to be written, with what it mentions. Entities and relations live in its owner's
    domain."""

    memory: Memory
    entities: tuple[NewEntity, ...] = ()
    relations: tuple[NewRelation, ...] = ()
    told_apart_by: str = ""
    """What beside owner, kind, speaker and text makes it another memory: a turn's session and time, for
    one."""
    sources: tuple[str, ...] = ()
    """Ids of the memories it was drawn from."""
    statement: Statement | None = None
    verdicts: tuple[tuple[str, Literal["supersedes", "contradicts"]], ...] = ()
    """What it does to facts that are known already, by their ids."""
    is_guessed: bool = False
    """Whether the types of its entities are guesses of rules."""
    openers: tuple[str, ...] = ()
    """Words that may be names: they are, where a person of that name is known."""
    is_worth_reading: bool = True
    """Whether facts may be drawn from it."""
    fingerprint: str = ""
    """Of a memory that comes from another ledger, with `history`; else it is computed here."""
    history: tuple[HistoryEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """What is understood of a memory that is written already, such as a statement of the caller."""

    memory_id: str
    entities: tuple[NewEntity, ...] = ()
    relations: tuple[NewRelation, ...] = ()
    statement: Statement | None = None
    verdicts: tuple[tuple[str, Literal["supersedes", "contradicts"]], ...] = ()
    valid_from: datetime | None = None
    """Since when it is true, where it does not say so itself."""
    is_guessed: bool = False
    """Whether the types of its entities are guesses of rules."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A known fact that was said again, and by which messages."""

    memory_id: str
    sources: tuple[str, ...]
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Understood:
    """All that one pass adds to what is remembered."""

    drafts: tuple[Draft, ...] = ()
    notes: tuple[Note, ...] = ()
    repeats: tuple[Repeat, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a draft: `id` is the new memory's, or the one that already said the same."""

    id: str
    status: AddStatus
    entities: tuple[EntityRef, ...]
    work_id: str | None = None
    """Of the pass in which facts are to be drawn from it."""
    regrouped: tuple[str, ...] = ()
    """Ids of other memories, to be indexed anew: it told that two whom they name are one."""

    @property
    def is_new(self) -> bool:
        return self.status == "stored"


def write(
    connection: sa.Connection,
    drafts: Sequence[Draft],
    write_id: str | None = None,
    *,
    read_together: int = 0,
) -> tuple[Written, ...]:
    """Store all drafts, or none. An exact duplicate becomes an event in the history of the one we have.

    A write that was acknowledged before under this `write_id` is not repeated: it is answered again. Facts
    are to be drawn from what is new, `read_together` memories at a time; 0 leaves the words alone. Raises
    InvalidInput when that was another write.
    """
    if write_id is not None and (outcome := writes.find(connection, write_id)) is not None:
        return _answered_again(connection, outcome, drafts)
    written = tuple(_write_draft(connection, draft) for draft in drafts)
    _settle(connection, written)
    if read_together:
        worth = {draft.memory.id for draft in drafts if draft.is_worth_reading}
        written = _to_be_read(connection, written, worth, read_together)
    if write_id is not None:
        marks = " ".join(f"{one.id}:{one.status}" for one in written)
        writes.save(connection, write_id, marks, datetime.now(UTC))
    return written


def say_again(
    connection: sa.Connection,
    memory_id: str,
    entities_named: Sequence[NewEntity],
    relations: Sequence[NewRelation],
    event: HistoryEvent,
) -> tuple[tuple[EntityRef, ...], tuple[str, ...]]:
    """Note in its history that a memory was said again, and what it mentions beside what is known; answers
    what it mentions, and what else is to be indexed anew."""
    regrouped = _note(connection, Note(memory_id, tuple(entities_named), tuple(relations)))
    connection.execute(_ADD_HISTORY, [_as_row(memory_id, event)])
    return entities.mentioned_by(connection, memory_id), regrouped or ()


_ADD_HISTORY = insert(schema.history)


def _as_row(memory_id: str, event: HistoryEvent) -> dict[str, Any]:
    return {"memory_id": memory_id, **event.model_dump(mode="python")}


def _to_be_read(
    connection: sa.Connection, written: Sequence[Written], worth: Container[str], together: int
) -> tuple[Written, ...]:
    new = [one.id for one in written if one.is_new and one.id in worth]
    work: dict[str, str] = {}
    for start in range(0, len(new), together):
        some = new[start : start + together]
        work.update(dict.fromkeys(some, extractions.enqueue(connection, some, datetime.now(UTC))))
    return tuple(replace(one, work_id=work.get(one.id)) for one in written)


def understand(
    connection: sa.Connection, work_id: str, understood: Understood
) -> tuple[tuple[Written, ...], tuple[str, ...]]:
    """Store what was drawn from the words of some work, and take the work off the list, or neither; nothing
    when it is done already. Answers what became of the drafts, and what else is to be indexed anew."""
    if not extractions.done(connection, work_id):
        return (), ()
    # What tells whom a name means comes before what only uses it.
    order = sorted(understood.drafts, key=lambda one: meaning.turn_of(one.entities, one.relations))
    done = {id(draft): _write_draft(connection, draft) for draft in order}
    written = tuple(done[id(draft)] for draft in understood.drafts)
    regrouped = {memory_id for one in written for memory_id in one.regrouped}
    noted: list[str] = []
    for note in understood.notes:
        if (concerned := _note(connection, note)) is not None:
            noted.append(note.memory_id)
            regrouped.update(concerned)
    for repeat in understood.repeats:
        noted += [repeat.memory_id] if _repeat(connection, repeat) else []
    _settle(connection, written)
    facts.settle(connection, facts.concerned(connection, noted))
    return written, tuple(sorted(regrouped.union(noted)))


def _repeat(connection: sa.Connection, repeat: Repeat) -> bool:
    """Note that something was said again; whether it is still there."""
    if _here(connection, repeat.memory_id) is None or not _draw(connection, repeat.memory_id, repeat.sources):
        return False
    event = HistoryEvent(event="repeated", at=repeat.said_at)
    connection.execute(_ADD_HISTORY, [_as_row(repeat.memory_id, event)])
    return True


def _here(connection: sa.Connection, memory_id: str) -> Memory | None:
    """A memory, unless it has expired or is forgotten."""
    row = connection.execute(_HERE, {"this_memory": memory_id, "now": datetime.now(UTC)}).first()
    return None if row is None else memory_of(row)


_HERE = sa.select(*COLUMNS).where(schema.memory.c.id == sa.bindparam("this_memory"), alive(now=NOW))


def _note(connection: sa.Connection, note: Note) -> tuple[str, ...] | None:
    """Add to a memory what is understood of it; answers which others are to be indexed anew, or None where it
    is not there any more."""
    memory = _here(connection, note.memory_id)
    if memory is None:
        return None
    if note.valid_from is not None and memory.valid_from is None:
        connection.execute(
            sa.update(schema.memory).where(schema.memory.c.id == memory.id).values(valid_from=note.valid_from)
        )
    joined = naming.join(connection, memory, note.entities, note.relations, is_guessed=note.is_guessed)
    regrouped = merging.join_told(connection, memory, joined)
    _state(connection, memory, note.statement, note.verdicts)
    if joined.is_new:
        index_work.enqueue(connection, [memory.id], "index", datetime.now(UTC))
    return regrouped


def _state(
    connection: sa.Connection,
    memory: Memory,
    statement: Statement | None,
    verdicts: Sequence[tuple[str, Literal["supersedes", "contradicts"]]],
) -> None:
    if statement is not None:
        if statement.until is None:
            statement = replace(statement, until=memory.valid_until)
        named = naming.named(connection, memory, statement.subject)
        if named is not None:
            facts.state(connection, memory.id, *named, statement)
    at = facts.takes_place(memory.kind, memory.observed_at, memory.valid_from)
    for known_id, judgement in verdicts:
        facts.judge(connection, memory.id, known_id, judgement, at)


def _settle(connection: sa.Connection, written: Sequence[Written]) -> None:
    facts.settle(connection, facts.concerned(connection, [one.id for one in written]))


def _answered_again(connection: sa.Connection, outcome: str, drafts: Sequence[Draft]) -> tuple[Written, ...]:
    marks = [tuple(mark.split(":")) for mark in outcome.split()]
    writes.require_same(len(marks) == len(drafts) and all(len(mark) == 2 for mark in marks))
    columns = schema.memory.c
    for (memory_id, _), draft in zip(marks, drafts, strict=True):
        said = connection.execute(
            sa.select(columns.owner, columns.text).where(columns.id == memory_id)
        ).first()
        # No words are left to compare with of what was erased since.
        is_same = said is None or (
            said.owner == owner_of(draft.memory) and said.text.split() == draft.memory.text.split()
        )
        writes.require_same(is_same)
    return tuple(
        Written(memory_id, cast(AddStatus, status), entities.mentioned_by(connection, memory_id))
        for memory_id, status in marks
    )


def _write_draft(connection: sa.Connection, draft: Draft) -> Written:
    memory = draft.memory
    owner = owner_of(memory)
    mark = draft.fingerprint or fingerprint(draft)
    existing = _same(connection, owner, mark)
    if existing is not None and existing.state == "superseded" and not draft.fingerprint:
        # What is true again, after something else was, is another fact: the first one stays ended.
        mark = fingerprint(
            replace(draft, told_apart_by=f"{draft.told_apart_by}\x1f{iso(memory.observed_at)}")
        )
        existing = _same(connection, owner, mark)
    memory_id = memory.id if existing is None else cast(str, existing.id)
    revived = existing is not None and (existing.expires_at, existing.forgetting_id) != (None, None)
    # A short-term memory that is said again before it expires is known, and lives on.
    is_back = existing is not None and (
        existing.forgetting_id is not None
        or (existing.expires_at is not None and existing.expires_at <= memory.recorded_at)
    )
    if existing is None:
        values = memory.model_dump(mode="python")
        connection.execute(_ADD_MEMORY, {**values, "owner": owner, "fingerprint": mark})
    elif revived:
        # Said again, it lives on: it is the words that expired or were forgotten, not their repetition.
        connection.execute(
            sa.update(schema.memory)
            .where(schema.memory.c.id == memory_id)
            .values(expires_at=memory.expires_at, forgetting_id=None)
        )
    events = draft.history or (
        HistoryEvent(
            event="created" if existing is None else "repeated", at=memory.recorded_at, source=memory.source
        ),
    )
    connection.execute(_ADD_HISTORY, [_as_row(memory_id, event) for event in events])
    drawn = _draw(connection, memory_id, draft.sources)
    here = memory.model_copy(update={"id": memory_id})
    named_entities = (*draft.entities, *naming.people_called(connection, here, draft.openers))
    joined = naming.join(
        connection, here, named_entities, draft.relations, draft.sources, is_guessed=draft.is_guessed
    )
    regrouped = merging.join_told(connection, here, joined, draft.sources)
    _state(connection, here, draft.statement, draft.verdicts)
    if existing is None or joined.is_new or drawn or revived:
        index_work.enqueue(connection, [memory_id], "index", memory.recorded_at)
    status: AddStatus = "stored" if existing is None else "restored" if is_back else "duplicate"
    # Whoever was told to be another counts as that one now.
    named = entities.mentioned_by(connection, memory_id) if joined.told else joined.entities
    return Written(memory_id, status, named, regrouped=regrouped)


def _same(connection: sa.Connection, owner: str, mark: str) -> sa.Row[Any, Any, Any, Any] | None:
    return connection.execute(_SAME, {"whose": owner, "mark": mark}).first()


_MEMORY = schema.memory.c
_ADD_MEMORY = insert(schema.memory)
_SAME = sa.select(_MEMORY.id, _MEMORY.expires_at, _MEMORY.forgetting_id, _MEMORY.state).where(
    _MEMORY.owner == sa.bindparam("whose"), _MEMORY.fingerprint == sa.bindparam("mark")
)


def _draw(connection: sa.Connection, memory_id: str, sources: Sequence[str]) -> bool:
    """Note what a memory was drawn from; answers whether that was new."""
    new = False
    for source_id in sources:
        new |= connection.execute(_DRAW, {"drawn": memory_id, "origin": source_id}).rowcount > 0
    return new


_drawn = sa.bindparam("drawn", type_=sa.Text)
_DRAW = (
    insert(schema.source)
    .from_select(
        ["memory_id", "source_id"],
        sa.select(_drawn, _MEMORY.id).where(_MEMORY.id == sa.bindparam("origin"), _MEMORY.id != _drawn),
    )
    .on_conflict_do_nothing()
)


def fingerprint(draft: Draft) -> str:
    """Equal for two drafts of one owner that say exactly the same. White space does not count."""
    memory = draft.memory
    parts = (
        memory.kind,
        memory.speaker or memory.role or "",
        " ".join(memory.text.split()),
        draft.told_apart_by,
    )
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
