"""Which of the ranked memories an answer shows: what the ledger lets the scope see and what holds, facts
joined to the words they were drawn from, and restatements to the best of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mcp_memory.answer import words_key
from mcp_memory.models import Memory, Scope
from mcp_memory.retrieval import Query, Ranked
from mcp_memory.store.candidates import Filter
from mcp_memory.store.ledger import Ledger, facts, memories


@dataclass(frozen=True, slots=True)
class Chosen:
    """A ranked memory as the ledger has it; `times` and `last` count its restatements, itself among them.
    `ranked` is the place of the best of all that is shown as one with it, such as a fact drawn from it."""

    memory: Memory
    ranked: Ranked
    times: int = 1
    last: datetime | None = None
    facts: tuple[Memory, ...] = ()
    """Drawn from it, and found too."""
    ended: tuple[str, ...] = ()
    """Ids of such facts as hold no longer, the best found first."""


async def choose(
    ledger: Ledger,
    query: Query,
    where: Filter,
    ranked: Sequence[Ranked],
    allowed: Mapping[str, int] | None,
    enough: int,
) -> tuple[list[Chosen], int]:
    """The best `enough`, and how many there may be in all."""
    choice = _Choice(is_about_now=not query.asks_past and where.valid_since is None)
    for start in range(0, len(ranked), enough):
        some = ranked[start : start + enough]
        rows = await ledger.read(memories.by_id, where.scope, [one.memory_id for one in some])
        if allowed is not None:
            rows = {memory_id: row for memory_id, row in rows.items() if memory_id in allowed}
        said = {} if where.kinds else await _words_of(ledger, where.scope, rows)
        for one in some:
            choice.offer(one, rows.get(one.memory_id), said.get(one.memory_id))
        if len(choice) >= enough:
            break
    return choice.made, len(ranked) - choice.left_out


async def _words_of(ledger: Ledger, scope: Scope, rows: Mapping[str, Memory]) -> dict[str, Memory]:
    """By id of a fact that was drawn from words, the first of them."""
    drawn = [one.id for one in rows.values() if one.origin in facts.DRAWN]
    if not drawn:
        return {}
    origins = await ledger.read(facts.origins, drawn)
    wanted = list(dict.fromkeys(one for sources in origins.values() for one in sources if one not in rows))
    said = {**rows, **await ledger.read(memories.by_id, scope, wanted)}
    return {fact_id: said[sources[-1]] for fact_id, sources in origins.items() if sources[-1] in said}


class _Choice:
    """What is chosen so far, best first."""

    def __init__(self, *, is_about_now: bool) -> None:
        self._is_about_now = is_about_now
        self._by_words: dict[str, Chosen] = {}
        self._words_of: dict[str, str] = {}
        """Of each memory that is shown, the key of its words."""
        self._ended: dict[str, list[str]] = {}
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._by_words)

    @property
    def made(self) -> list[Chosen]:
        return [
            replace(one, ended=tuple(self._ended.get(one.memory.id, ()))) for one in self._by_words.values()
        ]

    def offer(self, one: Ranked, memory: Memory | None, words: Memory | None) -> None:
        """Take the next best. `words` is what it was drawn from, which is shown in its place."""
        if memory is None:
            self.left_out += 1
            return
        if self._is_about_now and memory.state == "superseded":
            self.left_out += 1
            if words is not None:
                self._ended.setdefault(words.id, []).append(memory.id)
            return
        drawn = () if words is None else (memory,)
        shown = memory if words is None else words
        # What is true again is no restatement of what was true before.
        key = f"{words_key(shown)}\x1f{shown.valid_until}"
        known = self._by_words.get(key)
        if known is None:
            self._by_words[key] = Chosen(shown, one, facts=drawn)
            self._words_of[shown.id] = key
            return
        self.left_out += 1
        if shown.id in self._words_of:
            self._by_words[key] = replace(known, facts=(*known.facts, *drawn))
            return
        self._words_of[shown.id] = key
        last = max(shown.observed_at, known.last or known.memory.observed_at)
        self._by_words[key] = replace(known, times=known.times + 1, last=last)
