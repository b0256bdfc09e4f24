"""How a process of this package is started from within it: the same Python, the same code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PARENT = Path(__file__).resolve().parent.parent


def python_command(module: str, *arguments: str) -> list[str]:
    """`python -m module`, without the current folder among the places where modules are looked for."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Ours, and where this package lies, so that the child runs the same code, installed or not."""
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = os.pathsep.join(dict.fromkeys([str(_PARENT), *(one for one in others if one)]))
    # Pipes on Windows are cp1252 unless told otherwise.
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
