"""The commands as a person types them: real processes where the wire or the exit code counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from mcp_memory.config import Config, load
from mcp_memory.models import AddRequest, Scope
from mcp_memory.service import Service

from .conftest import GRAPH_ENGINE


class Terminal:
    """Types commands on one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder_of_command: Path | None = None
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder.parent),
            "MCP_MEMORY_GRAPH__ENGINE": GRAPH_ENGINE,
            # One owner for all commands: on a busy machine each would begin a new one, and find by words.
            "MCP_MEMORY_OWNER__IDLE_SECONDS": "60",
            "PYTHONIOENCODING": "cp1252",
        }

    def type(
        self, *words: str, stdin: str | bytes = b"", data_dir: Path | None = None
    ) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        done = subprocess.run(
            [sys.executable, "-m", "mcp_memory", "--data-dir", str(data_dir or self.folder), *words],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env=self.environment,
            cwd=self.folder_of_command,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def read(self, *words: str, stdin: str = "") -> str:
        code, out, err = self.type(*words, stdin=stdin)
        assert (code, err) == (0, "")
        return out

    def json(self, *words: str, stdin: str = "") -> Any:
        return json.loads(self.read(*words, "--json", stdin=stdin))


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Generator[Terminal]:
    terminal = Terminal(tmp_path_factory.mktemp("cli") / "data")
    yield terminal
    terminal.type("stop")


@pytest.fixture(scope="module")
def known(terminal: Terminal) -> str:
    """A memory that is there for all tests; its id."""
    added = terminal.json("add", "Zoë Quinn moved to Lisbon in May 2024.", "--kind", "event")
    return added["memories"][0]["id"]


def test_what_was_added_is_found_and_shown(terminal: Terminal, known: str) -> None:
    found = terminal.json("search", "Where does Zoë live?", "--kind", "event")
    assert [hit["memory"]["id"] for hit in found["hits"]] == [known]
    text = terminal.read("search", "Where does Zoë live?", "--explain")
    assert known in text
    assert "“Zoë Quinn moved to Lisbon in May 2024.”" in text
    assert "dense #1" in text
    assert "\x1b" not in text
    assert terminal.json("search", "-", "--kind", "event", stdin="Where does Zoë live?") == found
    shown = terminal.read("show", known)
    assert "History: created" in shown
    assert "command line" in shown


def test_entities_are_listed_and_one_is_shown_whole(terminal: Terminal, known: str) -> None:
    names = [one["name"] for one in terminal.json("entities")["entities"]]
    assert {"Zoë Quinn", "Lisbon"} <= set(names)
    whole = terminal.read("entities", "zoë quinn")
    assert "Near it: Lisbon" in whole
    assert known in whole


def test_two_entities_are_merged_shown_and_split_again(terminal: Terminal, known: str) -> None:
    ids = [
        terminal.json("add", text)["memories"][0]["id"]
        for text in ("Bartholomew Fenn met Barty yesterday.", "Katherine Fenn called Catherine Fenn.")
    ]
    listed = terminal.read("entities", "list", "--query", "fenn")
    assert "Bartholomew Fenn" in listed
    review = terminal.read("entities", "review")
    assert "“Catherine Fenn” and “Katherine Fenn” are near in meaning" in review.replace(
        "“Katherine Fenn” and “Catherine Fenn”", "“Catherine Fenn” and “Katherine Fenn”"
    )
    assert "are two" in terminal.read("entities", "apart", "Katherine Fenn", "Catherine Fenn")
    assert terminal.json("entities", "review")["total"] == review.count("   A ") - 1
    merged = terminal.read("entities", "merge", "Bartholomew Fenn", "Barty")
    gone = terminal.json("entities", "merge", "Bartholomew Fenn", "Barty")["gone"]["id"]
    assert merged == (
        f"Merged “Barty” (person) [{gone}] into “Bartholomew Fenn” (person) "
        f"[{terminal.json('entities', 'show', 'Barty')['entities'][0]['id']}]: 1 memory concerned. "
        f"To undo it: mcp-memory entities split {gone}\n"
    )
    assert "also Barty" in terminal.read("entities", "show", "Bartholomew Fenn")
    assert terminal.read("entities", "split", gone).startswith(f"“Barty” (person) [{gone}] is one of its own")
    assert [one["name"] for one in terminal.json("entities", "Barty")["entities"]] == ["Barty"]
    terminal.json("forget", *ids)


def test_a_dash_reads_the_statement_from_stdin(terminal: Terminal, known: str) -> None:
    added = terminal.json("add", "-", stdin="Zoë bakes sourdough — every Sunday.\n")
    memory_id = added["memories"][0]["id"]
    assert terminal.json("show", memory_id)["memory"]["text"] == "Zoë bakes sourdough — every Sunday."
    assert terminal.read("forget", memory_id).startswith(f"Forgotten: {memory_id}.\nErased; ")


def test_an_import_names_bad_lines_keeps_good_ones_and_can_be_repeated(
    terminal: Terminal, tmp_path: Path, known: str
) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_bytes(
        b'{"content": "I planted a fig tree.", "time": "2024-03-01T10:00:00Z", "session_id": "s1"}\n'
        b"broken\n"
        b'{"content": "Lovely!", "role": "assistant", "time": "2024-03-01T10:00:05Z", "session_id": "s1"}\n'
    )
    code, out, err = terminal.type("import", str(file))
    assert (code, out) == (1, "2 stored, 0 already known, 1 lines not read.\n")
    assert err.startswith("line 2: line: is not JSON")
    code, out, _ = terminal.type("import", "-", "--json", stdin=file.read_bytes())
    assert (code, json.loads(out)) == (1, {"stored": 0, "duplicates": 2, "bad_lines": [2]})
    (summary, *_) = terminal.json("search", "fig tree")["hits"]
    assert summary["memory"]["observed_at"] == "2024-03-01T10:00:00Z"
    planned = terminal.json("forget", "--session", "s1")["plan"]
    assert planned["count"] == 2
    assert len(terminal.json("forget", "--plan", planned["plan_id"])["forgotten"]) == 2


def test_forgetting_more_is_asked_first(terminal: Terminal, known: str) -> None:
    memory_id = terminal.json("add", "The spare key hangs in the shed.")["memories"][0]["id"]
    code, out, _ = terminal.type("forget", "--query", "spare key", stdin="n\n")
    assert code == 0
    assert "This would forget 1 memory" in out
    assert "Nothing was forgotten." in out
    assert terminal.read("show", memory_id)
    assert memory_id in terminal.read("forget", "--query", "spare key", "--yes")


def test_stats_and_doctor_tell_how_it_stands(terminal: Terminal, known: str) -> None:
    assert terminal.json("stats")["memories"] == 1
    assert terminal.read("stats").startswith("1 memory (1 event)")
    report = terminal.json("doctor")
    assert report["health"]["ledger_memories"] == 1
    assert {"mcp", "lancedb", "kuzu", "onnxruntime"} <= set(report["libraries"])
    text = terminal.read("doctor")
    assert "All three stores agree." in text
    assert str(terminal.folder) in text


def test_rebuild_makes_indexes_that_agree(terminal: Terminal, known: str) -> None:
    assert terminal.json("rebuild")["memories"] == 1
    assert "Rebuilt 1 memory and" in terminal.read("rebuild")
    assert "All three stores agree." in terminal.read("doctor")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["add", "  "], 2, "content: is empty"),
        (["add", "x", "--observed-at", "2024-02-30"], 2, "not a possible time"),
        (["add", "x", "--metadata", "{"], 2, "metadata: is not JSON"),
        (["add", "x", "--metadata", "[1]"], 2, "metadata"),
        (["add", "x", "--kind", "rumour"], 2, "'rumour' is unknown"),
        (["add", "x", "--level", "agent"], 2, "agent_id"),
        (["search", "x", "--limit", "0"], 2, "limit: 0 is too small"),
        (["search", "x", "--since", "2025-01-01", "--until", "2024-01-01"], 2, "later than until"),
        (["show", "m_nobody"], 1, "No memory with the id 'm_nobody'"),
        (["entities", "Nobody"], 1, "No entity 'Nobody'"),
        (["entities", "show", "Nobody"], 1, "No entity 'Nobody'"),
        (["entities", "merge", "Lisbon", "Nobody"], 1, "No entity 'Nobody'"),
        (["entities", "merge", "Lisbon", "Lisbon"], 2, "give two"),
        (["entities", "split", "Lisbon"], 2, "was not merged"),
        (["entities", "apart", "Lisbon", "Lisbon"], 2, "is the same entity"),
        (["entities", "review", "--limit", "0"], 2, "limit"),
        (["forget"], 2, "in one way"),
        (["forget", "--plan", "p_none"], 1, "No plan 'p_none'"),
        (["import", "/nowhere.jsonl"], 2, "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence_and_an_exit_code(
    terminal: Terminal, words: list[str], code: int, told: str
) -> None:
    exit_code, out, err = terminal.type(*words)
    assert (exit_code, out) == (code, "")
    assert told in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_used_is_told(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = terminal.type("stats", data_dir=tmp_path / "file" / "data")
    assert code == 3
    assert "cannot be used" in err
    code, out, _ = terminal.type("doctor", data_dir=tmp_path / "file" / "data")
    assert code == 1
    assert "PROBLEM" in out


def test_a_relative_folder_is_where_one_stands_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    here = Terminal(Path("data"))
    here.environment["HOME"] = str(tmp_path)
    here.folder_of_command = tmp_path
    assert here.json("stats")["memories"] == 0
    assert (tmp_path / "data" / "ledger.db").exists()
    assert here.type("stats", data_dir=Path("~/home"))[0] == 0
    assert (tmp_path / "home" / "ledger.db").exists()
    for folder in ("data", "~/home"):
        here.type("stop", data_dir=Path(folder))
    code, _, err = here.type("--data-dir", "", "stats")
    assert (code, "is empty" in err) == (2, True)


def test_a_corrupt_config_is_told(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("user_id = ")
    code, _, err = terminal.type("--config", str(tmp_path / "config.toml"), "stats")
    assert code == 2
    assert "is not valid TOML" in err


async def test_a_store_in_use_is_told_with_its_process(terminal: Terminal, config: Config) -> None:
    async with Service.open(config):
        code, _, err = terminal.type("stats", data_dir=config.data_dir)
    assert code == 3
    assert f"(process {os.getpid()})" in err


async def test_vectors_of_another_embedder_name_the_way_out(terminal: Terminal, tmp_path: Path) -> None:
    other = {"provider": "openai", "model": "m", "dimension": 8}
    config = load(
        flags={"data_dir": tmp_path / "data", "embedding": other, "graph": {"engine": GRAPH_ENGINE}}
    )
    async with Service.open(config) as service:
        await service.add(Scope(user_id="me"), AddRequest(content="x"))
    code, out, _ = terminal.type("search", "x", data_dir=config.data_dir)
    assert code == 0
    assert "mcp-memory rebuild" in out
    assert terminal.type("rebuild", data_dir=config.data_dir)[0] == 0
    assert "partly" not in terminal.type("search", "x", data_dir=config.data_dir)[1]


def test_help_shows_each_command_with_an_example(terminal: Terminal) -> None:
    commands = (
        "add search entities show forget unforget receipts import stats backup verify restore rebuild".split()
    )
    commands += ["doctor", "stop", "demo"]
    overview = terminal.read("--help")
    assert all(f"\n  {command}" in overview for command in commands)
    assert "Exit codes" in overview
    of_entities = terminal.read("entities", "--help")
    assert all(f"\n  {command}" in of_entities for command in "list show merge split review apart".split())
    assert "Example: mcp-memory entities merge" in terminal.read("entities", "merge", "--help")
    assert "Example: mcp-memory search" in terminal.read("search", "--help")


def test_the_demo_shows_that_it_works(terminal: Terminal) -> None:
    out = terminal.read("demo")
    assert "Asked again: 0 of" in out
    assert '"command": "mcp-memory"' in out
    assert "Kestrel Labs" in out
    code, out, _ = terminal.type("demo", "--json")
    assert (code, json.loads(out)["forgotten"]) == (0, True)
