"""The development questions, asked of the program's own signals: LoCoMo, LongMemEval in two sizes, and small
memories cut from both.

Kept in a store of its own between runs, since most of the time goes into embedding it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import dataset
import locomo_data
import longmemeval_data
from dataset import Haystack, Question, Session
from longmemeval_data import LongMemEval

from mcp_memory.config import Config, ExtractionConfig
from mcp_memory.models import AddRequest, NewMessage, Scope
from mcp_memory.retrieval import Query, Signals, read_query
from mcp_memory.service import Service
from mcp_memory.store.candidates import Filter

LOCOMO = "LoCoMo"
POOL = "LongMemEval, one pool"
HAYSTACKS = "LongMemEval, 50 sessions"
SMALL = {"LoCoMo, cut small": LOCOMO, "LongMemEval, cut small": POOL}
"""Sets of small memories, and what each is cut from."""
HAYSTACK = 50
"""Sessions of one LongMemEval haystack."""
SIZES = (5, 10, 20, 40, 80)
"""Turns of a small memory: one that is some minutes, hours or days old."""
OF_EACH_SIZE = 24
FOLDS = 6
SEED = 7
CATCH_UP_SECONDS = 600.0
NONE = "none"
"""The kind of a question that nothing here answers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what the signals found, and which memories are its evidence: none if it is somebody
    else's."""

    set: str
    kind: str
    fold: int
    query: Query
    found: Signals
    evidence: frozenset[str]
    sessions: frozenset[str]
    """Those that the evidence is from."""


async def ask(data: Path, store: Path, *, strangers: bool = False) -> list[Asked]:
    """Every question; with `strangers` as many again that another haystack answers, and this one does not,
    and questions of small memories."""
    chats = longmemeval_data.read(data)
    sets = {
        LOCOMO: locomo_data.read(data).conversations,
        POOL: (replace(longmemeval_data.pooled(chats), elsewhere=()),),
        HAYSTACKS: _parted(chats),
    }
    small = {name: _cut_small(sets[whole]) for name, whole in SMALL.items()} if strangers else {}
    asked: list[Asked] = []
    # Words alone: facts drawn from them would stand in the places of the turns they are shown as.
    config = Config(data_dir=store.absolute(), extraction=ExtractionConfig(provider="off"))
    async with Service.open(config) as service:
        await service.caught_up(CATCH_UP_SECONDS)
        for name, haystacks in sets.items():
            if strangers and len(haystacks) > 1:
                haystacks = dataset.with_elsewhere(haystacks, sys.maxsize, SEED)  # noqa: PLW2901
            for number, haystack in enumerate(haystacks):
                # Of one haystack every sixth question is a fold, of several every sixth haystack.
                asked += await _ask_of(service, name, haystack, number if len(haystacks) > 1 else None)
                print(f"{name}, {haystack.id}: {len(haystack.questions)} questions", file=sys.stderr)
        for name, haystacks in small.items():
            for number, haystack in enumerate(haystacks):
                asked += await _ask_of(service, name, haystack, number)
            print(f"{name}: {len(haystacks)} memories", file=sys.stderr)
    return asked


def _cut_small(haystacks: Sequence[Haystack]) -> tuple[Haystack, ...]:
    """Memories of few turns, each with one question that they answer, and two that they do not: one of
    the same haystack, one of any."""
    numbers = random.Random(SEED)
    every = [(stack, question) for stack in haystacks for question in stack.questions]
    cut: list[Haystack] = []
    for number, (stack, question) in enumerate(numbers.sample(every, OF_EACH_SIZE * len(SIZES))):
        sessions = tuple(_around(stack, question, SIZES[number % len(SIZES)], numbers))
        held = {session.id for session in sessions}
        beside = [one.query for one in stack.questions if not one.sessions & held]
        anywhere = [one.query for _, one in every if not one.sessions & held]
        strange = (numbers.choice(beside), numbers.choice(anywhere))
        cut.append(Haystack(f"{stack.id} {number}", sessions, (question,), strange))
    return tuple(cut)


def _around(stack: Haystack, question: Question, size: int, numbers: random.Random) -> Iterator[Session]:
    """The evidence of a question, the turns beside it, and the beginnings of other sessions, `size` turns in
    all."""
    kept = set(question.evidence)
    for session in numbers.sample(stack.sessions, len(stack.sessions)):
        places = [place for place, turn in enumerate(session.turns) if turn.id in question.evidence]
        beside = [
            session.turns[near].id for at in places for near in (at - 1, at + 1) if _is_in(session, near)
        ]
        kept.update(beside[: max(size - len(kept), 0)])
    for session in numbers.sample(stack.sessions, len(stack.sessions)):
        if session.id not in question.sessions:
            kept.update(turn.id for turn in session.turns[: min(size - len(kept), size // 4 + 1)])
        if len(kept) >= size:
            break
    for session in stack.sessions:
        turns = tuple(turn for turn in session.turns if turn.id in kept)
        if turns:
            yield Session(session.id, turns)


def _is_in(session: Session, place: int) -> bool:
    return 0 <= place < len(session.turns)


def _parted(chats: LongMemEval) -> tuple[Haystack, ...]:
    """Haystacks of about `HAYSTACK` sessions that share none, each with all questions it has the evidence
    of: embedding one for every question would take hours."""
    haystacks: list[Haystack] = []
    placed: set[str] = set()
    own: dict[str, Session] = {}
    for number, one in enumerate(chats.asked):
        own |= {session.id: session for session in one.sessions if session.id not in placed}
        if len(own) >= HAYSTACK or number == len(chats.asked) - 1:
            questions = [
                other.question
                for other in chats.asked
                if other.question and all(session.id in own for session in other.sessions)
            ]
            haystacks.append(Haystack(f"part {len(haystacks)}", tuple(own.values()), tuple(questions)))
            placed |= own.keys()
            own = {}
    return tuple(haystacks)


async def _ask_of(service: Service, name: str, haystack: Haystack, fold: int | None) -> list[Asked]:
    scope = Scope(user_id=f"{name} {haystack.id}")
    ids: dict[str, str] = {}
    for session in haystack.sessions:
        ids |= await _added(service, scope, session)
    asked: list[Asked] = []
    strange = (Question(query, NONE, frozenset(), frozenset()) for query in haystack.elsewhere)
    for number, question in enumerate((*haystack.questions, *strange)):
        query = read_query(question.query.text, question.query.asked_at)
        found, degraded = await service.searcher.signals(query, Filter(scope=scope, now=datetime.now(UTC)))
        if degraded:
            raise RuntimeError("; ".join(degraded))
        asked.append(
            Asked(
                set=name,
                kind=question.group,
                fold=(number if fold is None else fold) % FOLDS,
                query=query,
                found=found,
                evidence=frozenset(ids[turn] for turn in question.evidence if turn in ids),
                sessions=question.sessions,
            )
        )
    return asked


async def _added(service: Service, scope: Scope, session: Session) -> dict[str, str]:
    """Memory ids by turn; turns that say nothing are left out."""
    turns = [turn for turn in session.turns if turn.text.strip()]
    messages = tuple(
        NewMessage(role=turn.role, name=turn.name, content=turn.text, time=turn.said_at) for turn in turns
    )
    inside = scope.model_copy(update={"session_id": session.id})
    result = await service.add(inside, AddRequest(messages=messages))
    return _by_turn([turn.id for turn in turns], [one.id for one in result.memories])


def _by_turn(turns: Sequence[str], memories: Sequence[str]) -> dict[str, str]:
    return dict(zip(turns, memories, strict=True))
