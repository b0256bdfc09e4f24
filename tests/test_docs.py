"""What the README promises exists: commands, settings, tools, links."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from mcp_memory.cli import app
from mcp_memory.config import EmbeddingConfig
from mcp_memory.server.tools import TOOLS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_two_commands_stand_where_ci_takes_them_from() -> None:
    marked = README.partition("<!-- commands -->")[2].partition("<!-- /commands -->")[0]
    commands = [line for line in marked.splitlines() if line.startswith("python -m pip install")]
    assert commands == [
        "python -m pip install . && mcp-memory demo",
        'python -m pip install ".[dev]" && python -m pytest',
    ]


def test_every_command_that_is_shown_exists_and_the_reverse() -> None:
    commands = set(getattr(get_command(app), "commands"))  # noqa: B009 - typer's class is not public
    shown = set(re.findall(r"^mcp-memory ([a-z]+)", README, re.MULTILINE))
    assert shown <= commands
    assert all(command in README for command in commands)


def test_every_tool_is_in_the_table() -> None:
    assert re.findall(r"^\| `([a-z_]+)` \|", README, re.MULTILINE)[: len(TOOLS)] == [
        tool.name for tool in TOOLS
    ]


def test_the_embedding_example_is_valid() -> None:
    (example,) = re.findall(r"```toml\n(\[embedding\].*?)```", README, re.DOTALL)
    EmbeddingConfig.model_validate(tomllib.loads(example)["embedding"])


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (ROOT / page).parent.joinpath(target).exists(), target


def test_changes_are_announced_before_they_are_released() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
