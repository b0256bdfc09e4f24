"""Looks over facts that were never compared with each other: which say the same, and which ended which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcp_memory.embedding import Embedder
from mcp_memory.extraction import Known
from mcp_memory.metering import MeteredModel
from mcp_memory.models import Consolidated, Memory, Scope
from mcp_memory.store import Store
from mcp_memory.store.ledger import comparisons
from mcp_memory.store.ledger.comparisons import Linked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOGETHER = 40
"""Facts a model compares in one call: more of them, and small models lose count."""
OVERLAP = 8
"""Of those, how many it has seen in the call before."""


class Consolidating:
    """Compares the facts about one entity after another, what is nearest in meaning together."""

    def __init__(self, store: Store, embedder: Embedder, model: MeteredModel) -> None:
        self._store = store
        self._ledger = store.ledger
        self._embedder = embedder
        self._model = model

    async def next(self, scope: Scope, entity_id: str | None) -> Consolidated:
        """Compare the facts about one entity: the given one, or that with the newest fact. What was found is
        kept even when a later call fails. Raises ExtractionFailed."""
        due = await self._ledger.read(comparisons.due, scope, entity_id)
        if not due:
            return Consolidated()
        subject = due[0].entity
        facts = await self._ledger.read(comparisons.about, scope, subject.id)
        before = await self._ledger.read(comparisons.found, scope, subject.id)
        for place in await self._windows(facts):
            some = [facts[one] for one in place]
            pairs = await self._model.compare(scope.user_id, [Known.of(one, subject.name) for one in some])
            links = [Linked(one.newer_id, one.older_id, one.judgement) for one in pairs]
            await self._ledger.write(comparisons.link, links)
        await self._ledger.write(comparisons.done, subject.id, [one.id for one in facts])
        known = {(one.old.id, one.new.id) for one in before}
        after = await self._ledger.read(comparisons.found, scope, subject.id)
        return Consolidated(
            entity=subject,
            facts=len(facts),
            found=tuple(one for one in after if (one.old.id, one.new.id) not in known),
            left=len(due) - 1,
        )

    async def _windows(self, facts: Sequence[Memory]) -> list[list[int]]:
        if len(facts) <= TOGETHER:
            return [list(range(len(facts)))]
        return windows(await self._embedder.embed([one.text for one in facts]), TOGETHER, OVERLAP)


def windows(vectors: NDArray[np.float32], size: int, overlap: int) -> list[list[int]]:
    """Rows of `(n, d) float32, L2-normalised` in groups of at most `size`, each in order, those that are near
    each other in one: along a chain that goes from each to the nearest that is left."""
    # Not before the stores are tuned: it would make threads that take the cores from every search.
    import numpy as np

    chain = [0]
    left = np.ones(len(vectors), dtype=bool)
    left[0] = False
    while left.any():
        scores = np.where(left, vectors @ vectors[chain[-1]], -np.inf)
        chain.append(int(np.argmax(scores)))
        left[chain[-1]] = False
    starts = range(0, max(len(chain) - overlap, 1), size - overlap)
    return [sorted(chain[start : start + size]) for start in starts]
