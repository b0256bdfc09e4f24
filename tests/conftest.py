"""What every test stands on: asyncio, a home of its own, and a data folder of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcp_memory.config import Config, load

if TYPE_CHECKING:
    from mcp_memory.store.graph import Engine

GRAPH_ENGINE: Engine = "ladybug" if os.environ.get("TEST_GRAPH_ENGINE") == "ladybug" else "kuzu"
"""The whole suite runs on ladybug too: TEST_GRAPH_ENGINE=ladybug. Never both in one process: they crash."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - autouse
    """No test reads or writes the home or the settings of who runs it."""
    for variable in list(os.environ):
        if variable.startswith(("MCP_MEMORY_", "CLAUDE_", "XDG_")):
            monkeypatch.delenv(variable)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("MCP_MEMORY_GRAPH__ENGINE", GRAPH_ENGINE)
    # An owner that a test's server started outlives it, but not for long.
    monkeypatch.setenv("MCP_MEMORY_OWNER__IDLE_SECONDS", "2")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(flags={"data_dir": tmp_path / "data"})


@pytest.fixture
def words_only(tmp_path: Path) -> Config:
    """The same without facts, for what is told of the words alone."""
    return load(flags={"data_dir": tmp_path / "data", "extraction": {"provider": "off"}})
