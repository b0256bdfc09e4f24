"""Keeps the C library from hoarding memory for the many threads of the stores. Elsewhere than glibc: nothing
to do."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_M_ARENA_MAX = -8
"""glibc's parameter number, from its malloc.h."""
ARENAS = 1
"""Heaps that threads share: 210 searches over 10,000 memories peaked at 590 MB with glibc's default of eight
a core and at 416 with two; filling a store, at 492 with two and 484 with one, searches alike (one run
each)."""


def limit_arenas() -> None:
    """Share few heaps among all threads."""
    if mallopt := _glibc("mallopt"):
        mallopt(_M_ARENA_MAX, ARENAS)


def release() -> None:
    """Give freed memory back to the system, after work that needed much of it for a moment."""
    if trim := _glibc("malloc_trim"):
        trim(0)


def _glibc(function: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
