"""Keeps the C library from hoarding memory for the many threads of the stores. Elsewhere than glibc: nothing
to do."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""glibc's parameter numbers, from its malloc.h."""
ARENAS = 1
"""Heaps that threads share: 210 searches over 10,000 memories peaked at 590 MB with glibc's default of eight
a core and at 416 with two; filling a store, at 492 with two and 484 with one (one run each)."""
KEPT_BYTES = 64 << 20
LARGEST_BYTES = 32 << 20
"""Free memory kept for the next search, and the largest piece taken from it. A search reads every vector of
its scope into pieces of megabytes; given back and faulted in again each time they cost 10 ms of 35 at 10,000
memories (160 searches, medians of two runs), and keeping them did not raise the peak."""


def tune() -> None:
    """Share one heap among all threads, and keep its free memory for the next search. Before numpy is
    imported."""
    # Its threads go on spinning after each small product and take the cores from LanceDB: 4 ms of a search.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if mallopt := _glibc("mallopt"):
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_MMAP_THRESHOLD, LARGEST_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def release() -> None:
    """Give freed memory back to the system, after work that needed much of it for a moment."""
    if trim := _glibc("malloc_trim"):
        trim(0)


def _glibc(function: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
