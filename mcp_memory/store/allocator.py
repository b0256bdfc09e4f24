"""Keeps the C library from hoarding memory for the many threads of the stores."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""glibc's parameter number, from its malloc.h."""
ARENAS = 2
"""Heaps that threads share: with glibc's default of eight a core, 10,000 memories took 680 MB instead of 430,
most of it freed and kept. One heap costs a little speed."""


def limit_arenas() -> None:
    """Share few heaps among all threads, where the C library is glibc; elsewhere there is nothing to do."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, ARENAS)
