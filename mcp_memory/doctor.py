"""What `mcp-memory doctor` finds out: versions, places, sizes, and whether the three stores agree."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel

from mcp_memory import __version__
from mcp_memory.config import Config
from mcp_memory.errors import McpMemoryError
from mcp_memory.models import Health

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
    health: Health | None = None
    problem: str | None = None

    @property
    def is_well(self) -> bool:
        return self.health is not None and self.health.agrees

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        libraries = ", ".join(f"{name} {number}" for name, number in self.libraries.items())
        yield f"mcp-memory  {self.version} on Python {self.python}, {self.platform}"
        yield f"libraries   {libraries}"
        yield f"settings    {self.config_file}{'' if self.config_file_exists else ' (not there: defaults)'}"
        yield f"data        {self.data_dir}"
        if self.problem is not None:
            yield f"PROBLEM     {self.problem}"
        if (health := self.health) is not None:
            yield f"embedder    {health.embedder}"
            size, schema = _size(health.ledger_bytes), health.schema_version
            yield f"ledger      {health.ledger_memories} memories, {size}, schema version {schema}"
            for index in health.indexes:
                count = "cannot be read" if index.rows is None else f"{index.rows} memories"
                verdict = (
                    "agrees" if index.agrees else f"DISAGREES: {index.problem or 'run mcp-memory rebuild'}"
                )
                name = f"graph ({self.graph_engine})" if index.name == "graph" else "vectors (lancedb)"
                yield f"{name:<19} {count}, {_size(index.bytes)}: {verdict}"
            if health.pending:
                yield f"pending     {health.pending} memories wait to be indexed"
            yield "All three stores agree." if health.agrees else "The stores do not agree yet."


async def diagnose(config: Config, config_file: Path) -> Diagnosis:
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
        from mcp_memory.service import Service

        async with Service.open(config) as service:
            return report.model_copy(update={"health": await service.health()})
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
