"""Prompt files: their variables are declared, and what does not hold together is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_memory.errors import ConfigError
from mcp_memory.prompting import PromptFile


def test_a_prompt_is_filled_and_values_are_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("About $topic, for $$5.\n", encoding="utf-8")
    assert PromptFile("x", "topic", folders=(tmp_path,)).fill(topic="$tea") == "About $tea, for $5."


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
