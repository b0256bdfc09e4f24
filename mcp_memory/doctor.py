"""What `mcp-memory doctor` finds out: versions, places, sizes, and whether the three stores agree."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from mcp_memory import __version__, text
from mcp_memory.config import Config
from mcp_memory.errors import McpMemoryError
from mcp_memory.folder import Folder, read_owner
from mcp_memory.models import Comparison, Health, iso

if TYPE_CHECKING:
    from mcp_memory.client import OwnerClient
    from mcp_memory.service import Service

LIBRARIES = ("mcp", "lancedb", "pyarrow", "kuzu", "ladybug", "onnxruntime", "sqlalchemy", "pydantic")


class Diagnosis(BaseModel):
    """A report. `health` is absent when the store cannot be opened; `problem` then says why."""

    version: str
    python: str
    platform: str
    libraries: dict[str, str]
    config_file: str
    config_file_exists: bool
    data_dir: str
    graph_engine: str
    owner: str | None = None
    """The process that holds the folder, unless it is this one."""
    health: Health | None = None
    comparison: Comparison | None = None
    problem: str | None = None

    @property
    def is_well(self) -> bool:
        compared = self.comparison is None or self.comparison.agrees or self.comparison.repaired
        return self.health is not None and self.health.agrees and compared

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        libraries = ", ".join(f"{name} {number}" for name, number in self.libraries.items())
        yield f"mcp-memory  {self.version} on Python {self.python}, {self.platform}"
        yield f"libraries   {libraries}"
        yield f"settings    {self.config_file}{'' if self.config_file_exists else ' (not there: defaults)'}"
        yield f"data        {self.data_dir}"
        if self.problem is not None:
            yield f"PROBLEM     {self.problem}"
        if self.owner is not None:
            yield f"owner       {self.owner}"
        if (health := self.health) is not None:
            yield from (f"WARNING     {warning}" for warning in health.warnings)
            yield f"embedder    {health.embedder}"
            size, schema = _size(health.ledger_bytes), health.schema_version
            yield f"ledger      {health.ledger_memories} memories, {size}, schema version {schema}"
            for index in health.indexes:
                count = "cannot be read" if index.rows is None else f"{index.rows} memories"
                verdict = (
                    "agrees" if index.agrees else f"DISAGREES: {index.problem or 'run mcp-memory rebuild'}"
                )
                name = f"graph ({self.graph_engine})" if index.name == "graph" else "vectors (lancedb)"
                held = f", {index.resident} of them in memory" if index.resident else ""
                yield f"{name:<19} {count}, {_size(index.bytes)}{held}: {verdict}"
            if health.pending:
                since = (
                    "" if health.pending_since is None else f", the oldest since {iso(health.pending_since)}"
                )
                yield f"pending     {health.pending} memories wait to be indexed{since}"
            if health.extraction is not None:
                yield f"facts       {text.extraction(health.extraction)}"
            if health.hidden:
                yield f"hidden      {health.hidden} memories are forgotten and not erased yet"
            yield from (f"set aside   {name}: damaged; delete it when you like" for name in health.set_aside)
            if self.comparison is not None:
                yield from _compared(self.comparison)
            yield "All three stores agree." if self.is_well else "The stores do not agree yet."


def _compared(comparison: Comparison) -> Iterator[str]:
    yield (
        f"compared    {comparison.memories} memories, {comparison.entities} entities, {comparison.mentions} "
        f"mentions, {comparison.relations} relations, {comparison.receipts} receipts, row by row"
    )
    if comparison.recall is not None:
        yield f"recall      {comparison.recall:.1%} of the nearest in meaning, against an exact search"
    yield from (f"LEDGER      {problem}" for problem in comparison.ledger_problems)
    yield from (f"NOT ERASED  {one}" for one in comparison.unverified)
    yield from (f"DIFFERENCE  {one.index} {one.id}: {one.problem}" for one in comparison.differences)
    if comparison.total > len(comparison.differences):
        yield f"            and {comparison.total - len(comparison.differences)} more"
    if comparison.repaired:
        yield f"repaired    {comparison.total} differences, from the ledger"
    elif comparison.total:
        yield "            mcp-memory doctor --repair mends them from the ledger"


async def diagnose(
    config: Config,
    config_file: Path,
    open_memory: Callable[[], AbstractAsyncContextManager[OwnerClient | Service]],
    deep: bool,
    repair: bool,
) -> Diagnosis:
    """Look at everything; what cannot be opened is reported, not raised."""
    report = Diagnosis(
        version=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        libraries={name: number for name in LIBRARIES if (number := _version(name))},
        config_file=str(config_file),
        config_file_exists=config_file.is_file(),
        data_dir=str(config.data_dir),
        graph_engine=config.graph.engine,
    )
    try:
        async with open_memory() as memory:
            compared = await memory.compare(repair=repair) if deep else None
            health = await memory.health()
            record = None if config.in_process else read_owner(Folder(config.data_dir))
            owner = None if record is None else f"process {record.pid}, version {record.version}"
            return report.model_copy(update={"health": health, "comparison": compared, "owner": owner})
    except McpMemoryError as error:
        return report.model_copy(update={"problem": str(error)})


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
