"""Prompt files: their variables are declared, and what does not hold together is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_memory.errors import ConfigError
from mcp_memory.prompting import PromptFile


def test_a_prompt_is_filled_and_values_are_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("About $topic, for $$5.\n", encoding="utf-8")
    assert PromptFile("x", "topic", folders=(tmp_path,)).fill(topic="$tea") == "About $tea, for $5."


def test_a_file_of_ones_own_goes_before_the_shipped_one(tmp_path: Path) -> None:
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    for folder in (own, shipped):
        folder.mkdir()
        (folder / "x.md").write_text(folder.name, encoding="utf-8")
    (shipped / "y.md").write_text("shipped", encoding="utf-8")
    assert PromptFile("x", own=own, folders=(shipped,)).fill() == "own"
    assert PromptFile("y", own=own, folders=(shipped,)).fill() == "shipped"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        PromptFile("x", folders=(tmp_path,))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("About $topic and $tone.", r"\$tone: is no variable"),
        ("About nothing.", r"\$topic: is missing"),
        ("About $topic for $ 5.", "begins no variable"),
    ],
)
def test_a_prompt_that_does_not_hold_together_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "x.md").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        PromptFile("x", "topic", folders=(tmp_path,))


def test_a_prompt_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such prompt file"):
        PromptFile("x", folders=(tmp_path,))
