"""The suite of the protocol's own organisation against our server, as it ships and with its fixtures.

`python -m tests.conformance [RESULTS]` starts a server in a temporary folder, runs what each revision of the
protocol requires, compares with the failures that are expected, and ends all of it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import uvicorn

from mcp_memory.config import load
from mcp_memory.remote.application import create_app

from .conformance_fixtures import extend
from .node import NodeAbsent, Package, installed, node
from .served import serving

SUITE = Package(
    "@modelcontextprotocol/conformance",
    "0.2.0-alpha.12",
    "sha512-eXtZFgmtZiU5SsvXty+RGXGnyIqEVm3GLU/HZmg1wMjtKOocPZZgD9HQKd30oJhio5UB0wFJmsc6r8u48Q+EYA==",
)
REVISIONS = ("2025-11-25", "2026-07-28")
DATA = Path(__file__).parent / "data"
ALL_SECONDS = 540.0
CALLS = 100_000
"""A minute: the suite asks faster than a person's hosts do."""
ORIGIN = "http://127.0.0.1:*"
"""It asks as a page of this machine would, which is let in when the settings say so."""


async def run(results: Path | None) -> int:
    """How many of the four runs found what was not expected; what the suite saw is left in `results`. Raises
    NodeAbsent."""
    program = await anyio.to_thread.run_sync(installed, SUITE)
    wrong = 0
    with (
        tempfile.TemporaryDirectory(prefix="mcp-memory-conformance-") as folder,
        anyio.fail_after(ALL_SECONDS),
    ):
        many, origins = str(CALLS), json.dumps([ORIGIN])
        async with serving(
            Path(folder), LIMITS__REQUESTS_PER_MINUTE=many, REMOTE__ALLOWED_ORIGINS=origins
        ) as served:
            suite = _Suite(program, (await served.token("ann")).secret, results or Path(folder) / "results")
            for revision in REVISIONS:
                wrong += await suite.run("product", served.base, revision)
            async with _with_fixtures(served.config.data_dir) as base:
                for revision in REVISIONS:
                    wrong += await suite.run("fixtures", base, revision)
    return wrong


@dataclass(frozen=True, slots=True)
class _Suite:
    program: Path
    secret: str
    results: Path

    async def run(self, kind: str, base: str, revision: str) -> bool:
        """Whether anything was not as `conformance_<kind>.yml` expects."""
        print(f"\n== {kind}, {revision} ==", flush=True)
        done = await anyio.run_process(
            [
                node(),
                *(
                    "--import",
                    str(DATA / "with_token.mjs"),
                    str(self.program / "dist" / "index.js"),
                    "server",
                ),
                *("--url", f"{base}/mcp", "--requirements", revision),
                *("--expected-failures", str(DATA / f"conformance_{kind}.yml")),
                *("--output-dir", str(self.results / f"{kind}-{revision}")),
            ],
            check=False,
            stdout=None,
            stderr=None,
            env={**os.environ, "MCP_TOKEN": self.secret},
        )
        return done.returncode != 0


@asynccontextmanager
async def _with_fixtures(data_dir: Path) -> AsyncGenerator[str]:
    """The same application over the same memory, with what the suite asks for by name."""
    config = load(
        flags={
            "data_dir": data_dir,
            "limits": {"requests_per_minute": CALLS},
            "remote": {"allowed_origins": [ORIGIN]},
        }
    )
    server = uvicorn.Server(
        uvicorn.Config(create_app(config, extend), port=0, log_config=None, lifespan="on")
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:
            await anyio.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True


def main() -> int:
    try:
        return anyio.run(run, Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except NodeAbsent as absent:
        sys.stderr.write(f"conformance is not looked at: {absent}\n")
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
