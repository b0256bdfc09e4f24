"""Keeps the C library from hoarding memory for the many threads of the stores. Elsewhere than glibc: nothing
to do."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_M_ARENA_MAX = -8
"""glibc's parameter number, from its malloc.h."""
ARENAS = 1
"""Heaps that threads share: with glibc's default of eight a core, 10,000 memories took 680 MB instead of 500,
most of it freed and kept. Searches are as fast with one."""


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
