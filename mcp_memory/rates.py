"""How often each remote caller calls, and how much at once: one count for all processes that serve them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

FORGOTTEN_SECONDS = 120.0
"""Longer than it takes any bucket to fill: who has not called for so long is like who never did."""
CALLERS = 10_000
"""Callers that are counted before those who have gone are looked for."""


@dataclass(slots=True)
class _Bucket:
    calls: float
    at: float


class CallRates:
    """A token bucket for each caller: it holds a minute's calls, and fills as time goes by."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def count(self, caller: str, per_minute: int, now: float | None = None) -> float:
        """Count one call at `now`, in seconds of a clock that only goes forward; answers the seconds to wait
        first, and counts nothing when that is more than 0."""
        now = time.monotonic() if now is None else now
        bucket = self._buckets.get(caller)
        if bucket is None:
            self._forget(now)
            bucket = self._buckets[caller] = _Bucket(float(per_minute), now)
        per_second = per_minute / 60
        bucket.calls = min(float(per_minute), bucket.calls + (now - bucket.at) * per_second)
        bucket.at = now
        if bucket.calls < 1:
            return (1 - bucket.calls) / per_second
        bucket.calls -= 1
        return 0.0

    def _forget(self, now: float) -> None:
        if len(self._buckets) < CALLERS:
            return
        for caller in [one for one, bucket in self._buckets.items() if now - bucket.at > FORGOTTEN_SECONDS]:
            del self._buckets[caller]


class Places:
    """What each caller has under way, of which there may be so much at once."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._by: dict[str, Counter[str]] = {}

    def take(self, place: str, most: int, by: str = "") -> bool:
        """Take one of the `most` there are of a place, for a process; whether there was one left."""
        if self._taken[place] >= most:
            return False
        self._taken[place] += 1
        self._by.setdefault(by, Counter())[place] += 1
        return True

    def leave(self, place: str, by: str = "") -> None:
        """Give one back. Of what is not taken, as from before the count began, there is nothing to give."""
        if self._by.get(by, Counter())[place]:
            self._give_back(place, 1, by)

    def leave_all(self, by: str) -> None:
        """Give back all that a process has taken, which is gone."""
        for place, count in list(self._by.get(by, Counter()).items()):
            self._give_back(place, count, by)

    def _give_back(self, place: str, count: int, by: str) -> None:
        for counter in (self._taken, self._by[by]):
            counter[place] -= count
            if not counter[place]:
                del counter[place]
        if not self._by[by]:
            del self._by[by]
