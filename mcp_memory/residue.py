"""Looks through files for bytes that must not be there any more.

A process of its own (`python -m mcp_memory.residue`): to open and close a file of SQLite or Kùzu inside the
process that has it locked would release its lock.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ahocorasick_rs import BytesAhoCorasick

from mcp_memory.processes import environment, python_command

PIECE = 32
"""Bytes of one piece that is looked for: a text may be split between two pages of a file, its pieces are
not."""
SHORTEST = 6
"""A shorter text, such as "Yes.", would be found by chance anywhere and is not looked for."""
MOST = 20_000
"""Pieces looked for at once; of more text than that, evenly spread ones."""
BLOCK = 16 << 20
"""Bytes read at once."""
FOUND = 20
"""Files named at most."""
SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a look gave. `found` names files and how often, `unread` files that could not be read and why."""

    files: int
    bytes: int
    found: tuple[str, ...]
    unread: tuple[str, ...]


def pieces(words: Iterable[str]) -> list[bytes]:
    """What to look for, to prove that none of these texts is left."""
    every: dict[bytes, None] = {}
    for text in words:
        encoded = text.encode()
        last = max(len(encoded) - PIECE, 0)
        for start in (*range(0, last, PIECE), last):
            piece = encoded[start : start + PIECE]
            if len(piece) >= SHORTEST:
                every[piece] = None
    found = list(every)
    return found if len(found) <= MOST else found[:: -(-len(found) // MOST)]


def unexplained(wanted: Sequence[bytes], left: Iterable[str]) -> list[bytes]:
    """Those pieces that nothing which is kept contains: only these prove something when found."""
    explained: set[int] = set()
    search = BytesAhoCorasick(wanted)
    for text in left:
        matches = search.find_matches_as_indexes(text.encode("utf-8", "replace"), overlapping=True)
        explained.update(index for index, _, _ in matches)
    return [piece for index, piece in enumerate(wanted) if index not in explained]


def look(folder: Path, wanted: Sequence[bytes]) -> Look:
    """Every file below `folder`, in a process of its own."""
    request = {"folder": str(folder), "pieces": [base64.b64encode(piece).decode() for piece in wanted]}
    try:
        done = subprocess.run(
            python_command("mcp_memory.residue"),
            input=json.dumps(request),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=True,
            env=environment(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Look(0, 0, (), (f"any file, for the look failed ({type(error).__name__})",))
    answer = json.loads(done.stdout)
    return Look(answer["files"], answer["bytes"], tuple(answer["found"]), tuple(answer["unread"]))


def look_here(folder: Path, wanted: Sequence[bytes]) -> Look:
    search = BytesAhoCorasick(wanted)
    overlap = max(map(len, wanted), default=1) - 1
    files = size = 0
    found: list[str] = []
    unread: list[str] = []
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = file.relative_to(folder).as_posix()
        try:
            with file.open("rb") as stream:
                hits, before = 0, b""
                while block := stream.read(BLOCK):
                    size += len(block)
                    hits += len(search.find_matches_as_indexes(before + block))
                    before = block[-overlap:] if overlap else b""
        except FileNotFoundError:
            # A compaction deletes files while we look; what it wrote instead is found by its own name.
            continue
        except OSError as error:
            unread.append(f"{name}: {error.strerror or type(error).__name__}")
            continue
        files += 1
        if hits:
            found.append(f"{name} ({hits}×)")
    return Look(files, size, tuple(found[:FOUND]), tuple(unread[:FOUND]))


def main() -> None:
    """Read `{"folder", "pieces"}` from stdin, write what was found to stdout."""
    request = json.loads(sys.stdin.read())
    wanted = [base64.b64decode(piece) for piece in request["pieces"]]
    seen = look_here(Path(request["folder"]), wanted)
    answer = {"files": seen.files, "bytes": seen.bytes, "found": seen.found, "unread": seen.unread}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
