"""Which of the ranked memories an answer shows, and in which order: what the ledger lets the scope see and
what holds, facts joined to the words they were drawn from, and what holds now before what it took the place
of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mcp_memory.answer import words_key
from mcp_memory.models import Memory, Succession
from mcp_memory.retrieval import Query, Ranked
from mcp_memory.store.candidates import Filter
from mcp_memory.store.ledger import Connection, facts, memories
from mcp_memory.words import stems


@dataclass(frozen=True, slots=True)
class Chosen:
    """A ranked memory as the ledger has it; `times` and `last` count its restatements, itself among them.
    `ranked` is what the signals say of it, or of a restatement or a fact drawn from it if that is found
    better; `score` also counts what it took the place of, which says where it stands and not how sure it is.
    """

    memory: Memory
    ranked: Ranked
    score: float
    times: int = 1
    last: datetime | None = None
    facts: tuple[Memory, ...] = ()
    """Drawn from it, and holding."""
    restated: tuple[str, ...] = ()
    """Ids of its restatements."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all memories that say what it says."""
        return (self.memory.id, *self.restated)


def choose(
    connection: Connection,
    query: Query,
    where: Filter,
    allowed: Mapping[str, int] | None,
    ranked: Sequence[Ranked],
    enough: int,
) -> tuple[list[Chosen], int]:
    """The best `enough`, and how many there may be in all."""
    choice = _Choice(is_about_now=not query.asks_past and where.valid_since is None)
    for start in range(0, len(ranked), enough):
        some = ranked[start : start + enough]
        rows = memories.by_id(connection, where.scope, [one.memory_id for one in some])
        if allowed is not None:
            rows = {memory_id: row for memory_id, row in rows.items() if memory_id in allowed}
        said = {} if where.kinds else _words_of(connection, where, rows)
        for one in some:
            choice.offer(one, rows.get(one.memory_id), said.get(one.memory_id))
        if len(choice) >= enough:
            break
    chosen = choice.made
    drawn = facts.drawn(connection, where.scope, [one.memory.id for one in chosen])
    return (
        [replace(one, facts=drawn[one.memory.id]) if one.memory.id in drawn else one for one in chosen],
        len(ranked) - choice.left_out,
    )


def _words_of(connection: Connection, where: Filter, rows: Mapping[str, Memory]) -> dict[str, Memory]:
    """By id of a fact that was drawn from words, the last of them that were said in the time asked about."""
    drawn = [one.id for one in rows.values() if one.origin in facts.DRAWN]
    if not drawn:
        return {}
    origins = facts.origins(connection, drawn)
    wanted = list(dict.fromkeys(one for sources in origins.values() for one in sources if one not in rows))
    said = {**rows, **memories.by_id(connection, where.scope, wanted)}
    found: dict[str, Memory] = {}
    for fact_id, sources in origins.items():
        for source in sources:
            if source in said and (where.until is None or said[source].observed_at <= where.until):
                found[fact_id] = said[source]
    return found


class _Choice:
    """What is chosen so far, best first."""

    def __init__(self, *, is_about_now: bool) -> None:
        self._is_about_now = is_about_now
        self._by_words: dict[str, Chosen] = {}
        self._shown: set[str] = set()
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._by_words)

    @property
    def made(self) -> list[Chosen]:
        return list(self._by_words.values())

    def offer(self, one: Ranked, memory: Memory | None, words: Memory | None) -> None:
        """Take the next best. `words` is what it was drawn from, which is shown in its place."""
        if memory is None or (self._is_about_now and memory.state == "superseded"):
            self.left_out += 1
            return
        shown = memory if words is None else words
        # What is true again is no restatement of what was true before.
        key = f"{words_key(shown)}\x1f{shown.valid_until}"
        known = self._by_words.get(key)
        if known is None:
            self._by_words[key] = Chosen(shown, one, one.score)
        else:
            self.left_out += 1
            if shown.id not in self._shown:
                last = max(shown.observed_at, known.last or known.memory.observed_at)
                self._by_words[key] = replace(
                    known, times=known.times + 1, last=last, restated=(*known.restated, shown.id)
                )
        self._shown.add(shown.id)


def current_first(
    query: Query, chosen: Sequence[Chosen], followed: Mapping[str, Sequence[Succession]]
) -> list[Chosen]:
    """What holds now before what it took the place of, where that is what the query is about."""
    if query.asks_past:
        return list(chosen)
    shown_as = {memory.id: one for one in chosen for memory in (*one.facts, one.memory)}
    ordered: dict[str, Chosen] = {}
    for one in chosen:
        for end in by_relevance(query, followed.get(one.memory.id, ()))[:1]:
            current = shown_as.get(end.new.id)
            if current is not None and (end.old.id == one.memory.id or _shared(query, end.old)):
                better = max(one.score, current.score)
                ordered.setdefault(current.memory.id, _scored(current, better))
        ordered.setdefault(one.memory.id, one)
    return list(ordered.values())


def by_relevance(query: Query, followed: Sequence[Succession]) -> tuple[Succession, ...]:
    """Successions of one hit, those first whose ended fact shares most words with the query."""
    if len(followed) < 2:
        return tuple(followed)
    return tuple(sorted(followed, key=lambda one: -_shared(query, one.old)))


def _shared(query: Query, memory: Memory) -> int:
    return len(set(stems(query.words)).intersection(stems(memory.text)))


def newest_first(
    connection: Connection, chosen: Sequence[Chosen]
) -> tuple[list[Chosen], dict[str, list[Memory]]]:
    """What is left when of two that contradict each other the later one shows the earlier and takes the
    better place of the two; and those that are shown so, by the id of the later."""
    by_id = {one.memory.id: one for one in chosen}
    # What holds no longer contradicts nothing: it was true in its time.
    ids = [one.memory.id for one in chosen if one.memory.state == "active"]
    earlier: dict[str, list[Memory]] = {}
    below: dict[str, str] = {}
    for pair in facts.contradictions(connection, ids):
        old, new = sorted((by_id[one].memory for one in pair), key=lambda one: (one.observed_at, one.id))
        earlier.setdefault(new.id, []).append(old)
        below[old.id] = new.id
    places: dict[str, Chosen] = {}
    for one in chosen:
        newest = one.memory.id
        # Times order every chain of contradictions, so each ends.
        while newest in below:
            newest = below[newest]
        places.setdefault(newest, _scored(by_id[newest], one.score))
    return list(places.values()), earlier


def later_first(chosen: Sequence[Chosen], later: Mapping[str, Memory]) -> list[Chosen]:
    """What was told later of the same thing before what it may have made stale, in the better place of the
    two. `later`: by the id of the earlier, as far as it is among them."""
    by_id = {one.memory.id: one for one in chosen}
    ordered: dict[str, Chosen] = {}
    for one in chosen:
        told = [one]
        # Times order every chain of such pairs, so each ends.
        while (newer := later.get(told[-1].memory.id)) is not None and newer.id in by_id:
            told.append(by_id[newer.id])
        for newest in reversed(told):
            better = max(newest.score, one.score)
            ordered.setdefault(newest.memory.id, _scored(newest, better))
    return list(ordered.values())


def _scored(one: Chosen, score: float) -> Chosen:
    """The same with this score. Most have it already, and every search asks of all: a copy takes longer than
    the comparing."""
    return one if one.score == score else replace(one, score=score)
