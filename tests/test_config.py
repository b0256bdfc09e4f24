"""Settings: the example file, who goes before whom, and errors that name where a value stands."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mcp_memory.config import Config, load
from mcp_memory.errors import ConfigError

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"


def keys_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys |= keys_of(section, f"{prefix}{name}.")
        else:
            keys.add(prefix + name)
    return keys


def keys_in(text: str) -> set[str]:
    """Every key of the example, those that are commented out for want of a default included."""
    table, keys = "", set[str]()
    for line in text.splitlines():
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif " = " in line and line.removeprefix("# ").partition(" = ")[0].isidentifier():
            keys.add(table + line.removeprefix("# ").partition(" = ")[0])
    return keys


def test_the_example_shows_every_setting_and_no_other() -> None:
    assert keys_in(EXAMPLE.read_text(encoding="utf-8")) == keys_of(Config)


def test_the_example_is_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCP_MEMORY_OWNER__IDLE_SECONDS")
    assert load(EXAMPLE) == load()
    shown = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    defaults = load().model_dump(mode="json", exclude_none=True)
    assert shown | {name: defaults[name] for name in ("data_dir", "prompts_dir")} == defaults


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_file_environment_and_flags_override_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, 'user_id = "file"\nagent_id = "file"\nsession_id = "file"\n[search]\nlimit = 5')
    monkeypatch.setenv("MCP_MEMORY_AGENT_ID", "environment")
    monkeypatch.setenv("MCP_MEMORY_SESSION_ID", "environment")
    monkeypatch.setenv("MCP_MEMORY_SEARCH__WEIGHTS__TEXT", "0.5")
    config = load(path, {"session_id": "flag"})
    assert (config.user_id, config.agent_id, config.session_id) == ("file", "environment", "flag")
    assert (config.search.limit, config.search.weights.text, config.search.max_tokens) == (5, 0.5, 1_000)


def test_the_session_of_claude_code_is_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_SESSION_ID", "abc")
    assert load().session_id == "abc"
    monkeypatch.setenv("MCP_MEMORY_SESSION_ID", "mine")
    assert load().session_id == "mine"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user_id = ", "is not valid TOML"),
        ("usr_id = 'x'", "usr_id: is no setting"),
        ("[search]\nlimit = 0", "search.limit"),
        ("[embedding]\nmodel = 'other'", 'set provider = "openai"'),
        ("log_level = 'LOUD'", "log_level"),
        ("[graph]\nbuffer_pool_mib = 1", "graph.buffer_pool_mib"),
        ("[search.weights]\ndense = nan", "search.weights.dense: input should be a finite number"),
    ],
)
def test_a_bad_file_is_named_with_its_key(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_variable_and_a_bad_flag_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"command line, --log-level"):
        load(flags={"log_level": "LOUD"})
    monkeypatch.setenv("MCP_MEMORY_SEARCH__LIMIT", "many")
    with pytest.raises(ConfigError, match="environment, MCP_MEMORY_SEARCH__LIMIT"):
        load()
    monkeypatch.delenv("MCP_MEMORY_SEARCH__LIMIT")
    monkeypatch.setenv("MCP_MEMORY_SERACH__LIMIT", "3")
    with pytest.raises(ConfigError, match="MCP_MEMORY_SERACH__LIMIT: names no setting"):
        load()


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "wrong", [{"api_key": ["sk-secret"]}, {"api_key": "sk-secret", "timeout": "sk-secret"}]
)
def test_a_secret_is_in_no_error_and_no_repr(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags={"embedding": wrong})
    assert "sk-secret" not in str(caught.value)
    assert "sk-secret" not in repr(load(flags={"embedding": {"api_key": "sk-secret"}}))
