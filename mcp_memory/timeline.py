"""Which of several claims about one thing holds when: what was said later ends what was said before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """One fact that fills a slot, or, with `negates`, empties it."""

    memory_id: str
    value: str | None
    """What it fills the slot with, None when it does not say: a negation of None empties the slot of
    whatever is in it, and what fills it with None takes no other's place, nor leaves its own."""
    negates: bool
    said_at: datetime
    """When it was said last."""
    begins_at: datetime
    """Since when it is true: when it says so, or else when it was said first."""
    until: datetime | None
    """Until when it says it is true."""
    order: int
    """Place among what was said, for two claims of one session and moment."""
    session_id: str | None

    @property
    def is_past(self) -> bool:
        """Whether it was over when it was said: it tells of the past and ends nothing."""
        return self.until is not None and self.until <= self.said_at

    def is_later_than(self, other: Claim) -> bool:
        """Of two that were said at the same moment neither is later, unless one conversation orders them."""
        if self.said_at != other.said_at:
            return self.said_at > other.said_at
        together = self.session_id is not None and self.session_id == other.session_id
        return together and self.order > other.order

    def contradicts(self, other: Claim) -> bool:
        """Whether both cannot be true at once."""
        if other.until is not None and other.until <= self.begins_at:
            return False
        if self.negates and other.negates:
            return False
        if self.negates or other.negates:
            return None in (self.value, other.value) or self.value == other.value
        return None not in (self.value, other.value) and self.value != other.value


@dataclass(frozen=True, slots=True)
class Ending:
    """What took a claim's place, and since when."""

    by_id: str
    at: datetime


def endings(claims: Sequence[Claim]) -> dict[str, Ending]:
    """For each claim of one slot that holds no longer, the first that was said later and cannot be true
    beside it."""
    in_order = sorted(claims, key=lambda one: (one.said_at, one.order, one.memory_id))
    found: dict[str, Ending] = {}
    for claim in in_order:
        ends = (
            other
            for other in in_order
            if not other.is_past and other.is_later_than(claim) and other.contradicts(claim)
        )
        if (first := next(ends, None)) is not None:
            at = first.begins_at if first.begins_at > claim.begins_at else first.said_at
            found[claim.memory_id] = Ending(first.memory_id, at)
    return found
