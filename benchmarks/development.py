"""The development questions, asked of the program's own signals: LoCoMo, and LongMemEval in two sizes.

Kept in a store of its own between runs, since most of the time goes into embedding it.
"""

from __future__ import annotations

import json
import lzma
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import locomo_data

from mcp_memory.config import Config
from mcp_memory.models import AddRequest, NewMessage, Scope
from mcp_memory.retrieval import Query, Signals, read_query
from mcp_memory.search import Searcher
from mcp_memory.service import Service
from mcp_memory.store.candidates import Background, Filter

LOCOMO = "LoCoMo"
POOL = "LongMemEval, one pool"
HAYSTACKS = "LongMemEval, 50 sessions"
HAYSTACK = 50
"""Sessions of one LongMemEval haystack."""
FOLDS = 6
SEED = 7
CATCH_UP_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what the signals found, and which memories are its evidence: none if it is somebody
    else's."""

    set: str
    kind: str
    fold: int
    query: Query
    found: Signals
    background: Background
    evidence: frozenset[str]


async def ask(data: Path, store: Path, *, strangers: bool = False) -> list[Asked]:
    """Every question; with `strangers` as many again that another conversation answers, and this one does
    not."""
    asked: list[Asked] = []
    async with Service.open(Config(data_dir=store.absolute())) as service:
        await service.caught_up(CATCH_UP_SECONDS)
        asked += await _locomo(service, data, strangers=strangers)
        asked += await _longmemeval(service, data, strangers=strangers)
    return asked


async def _locomo(service: Service, data: Path, *, strangers: bool) -> list[Asked]:
    asked: list[Asked] = []
    conversations = locomo_data.read(data).conversations
    order = random.Random(SEED)
    for number, conversation in enumerate(conversations):
        scope = Scope(user_id=conversation.id)
        ids: dict[str, str] = {}
        for session in conversation.sessions:
            messages = [
                NewMessage(name=turn.name, content=turn.text, time=turn.said_at) for turn in session.turns
            ]
            added = await _add(service, scope, session.id, messages)
            ids.update(zip((turn.id for turn in session.turns), added, strict=True))
        print(f"{conversation.id}: {len(ids)} turns", file=sys.stderr)
        last = max(turn.said_at for turn in conversation.turns.values())
        for question in conversation.questions:
            evidence = {ids[one] for one in question.evidence}
            asked.append(
                await _ask(
                    service, scope, question.text, evidence, LOCOMO, question.group, number % FOLDS, last
                )
            )
        if strangers:
            others = [one for other in conversations if other is not conversation for one in other.questions]
            for question in order.sample(others, len(conversation.questions)):
                asked.append(
                    await _ask(service, scope, question.text, set(), LOCOMO, "none", number % FOLDS, last)
                )
    return asked


async def _longmemeval(service: Service, data: Path, *, strangers: bool) -> list[Asked]:
    """In haystacks of 50 sessions that share none, and in one pool of all."""
    with lzma.open(data / "longmemeval_oracle_dev.json.xz") as file:
        questions: list[Any] = [one for one in json.load(file) if not one["question_id"].endswith("_abs")]
    sessions: dict[str, tuple[str, list[Any]]] = {}
    for one in questions:
        for date, name, turns in zip(
            one["haystack_dates"], one["haystack_session_ids"], one["haystack_sessions"], strict=True
        ):
            sessions[name] = (date, turns)
    order = random.Random(SEED)
    order.shuffle(questions)
    haystack_of: dict[str, int] = {}
    filled, haystack = 0, 0
    for one in questions:
        own = [name for name in one["haystack_session_ids"] if name not in haystack_of]
        if filled + len(own) > HAYSTACK:
            filled, haystack = 0, haystack + 1
        haystack_of.update(dict.fromkeys(own, haystack))
        filled += len(own)
    ids: dict[tuple[str, str, int], str] = {}
    for user in ("pool", "haystack"):
        for name, (date, turns) in sessions.items():
            scope = Scope(user_id=user if user == "pool" else f"haystack {haystack_of[name]}")
            kept = [(place, turn) for place, turn in enumerate(turns) if turn["content"].strip()]
            said_at = datetime.strptime(date[:10], "%Y/%m/%d").replace(tzinfo=UTC)
            messages = [
                NewMessage(
                    role=turn["role"],
                    content=turn["content"][:32_000],
                    time=said_at + timedelta(seconds=place),
                )
                for place, turn in kept
            ]
            added = await _add(service, scope, name, messages)
            ids.update({(user, name, place): one for (place, _), one in zip(kept, added, strict=True)})
        print(f"LongMemEval {user}: {len(sessions)} sessions", file=sys.stderr)
    asked: list[Asked] = []
    for number, one in enumerate(questions):
        names = one["haystack_session_ids"]
        gold = [
            (name, place)
            for name in names
            for place, turn in enumerate(sessions[name][1])
            if turn.get("has_answer")
        ]
        now = datetime.strptime(one["question_date"][:10], "%Y/%m/%d").replace(tzinfo=UTC)
        homes = {haystack_of[name] for name in names}
        for user, label in (("pool", POOL), ("haystack", HAYSTACKS)):
            if not gold or (user == "haystack" and len(homes) > 1):
                continue
            scope = Scope(user_id=user if user == "pool" else f"haystack {homes.copy().pop()}")
            evidence = {ids[user, name, place] for name, place in gold if (user, name, place) in ids}
            asked.append(
                await _ask(
                    service,
                    scope,
                    one["question"],
                    evidence,
                    label,
                    one["question_type"],
                    number % FOLDS,
                    now,
                )
            )
            if strangers and user == "haystack":
                other = Scope(user_id=f"haystack {(homes.copy().pop() + 1) % (haystack + 1)}")
                asked.append(
                    await _ask(service, other, one["question"], set(), label, "none", number % FOLDS, now)
                )
    return asked


async def _add(service: Service, scope: Scope, session_id: str, messages: Sequence[NewMessage]) -> list[str]:
    inside = scope.model_copy(update={"session_id": session_id})
    result = await service.add(inside, AddRequest(messages=tuple(messages)))
    return [one.id for one in result.memories]


async def _ask(
    service: Service,
    scope: Scope,
    text: str,
    evidence: set[str],
    name: str,
    kind: str,
    fold: int,
    now: datetime,
) -> Asked:
    query = read_query(text, now)
    searcher: Searcher = service.searcher
    found, degraded = await searcher.signals(query, Filter(scope=scope, now=datetime.now(UTC)))
    if degraded:
        raise RuntimeError("; ".join(degraded))
    background = await searcher.background(scope)
    return Asked(name, kind, fold, query, found, background, frozenset(evidence))
