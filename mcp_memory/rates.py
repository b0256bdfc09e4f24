"""How often each remote caller calls: one count for all processes that serve them."""

from __future__ import annotations

import time
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
