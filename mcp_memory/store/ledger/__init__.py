"""The ledger: every word ever remembered, in SQLite. A write is acknowledged when it is on disk here.

LanceDB and Kùzu are derived from it. What can be asked of it stands beside, by noun: `memories`, `entities`,
`plans`, `index_work`; how a memory is written, in `writing`, and whom its names mean, in `naming`. Each
function takes an open transaction, and `Ledger.read` and `Ledger.write` give it one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
import sqlalchemy.event
import sqlalchemy.exc

from mcp_memory.errors import DataFolderUnusable, DiskFull, LedgerDamaged, LedgerTooNew, StoreError
from mcp_memory.group_commit import GroupCommit
from mcp_memory.store.ledger import schema

Connection = sa.Connection
"""An open transaction, for whoever asks several things in one reading."""

_Asked = ParamSpec("_Asked")
_Result = TypeVar("_Result")

_Outcome = tuple[Any, Exception | None]
"""What a piece of work answered, or else raised."""

READERS = 4
"""Threads that read at once; SQLite in WAL mode lets them beside the one writer."""

TOGETHER = 64
"""Writes that become one transaction, at most."""
CHECKPOINT_TRIES = 3
"""Each waits up to five seconds for readers to finish."""
PAGES = 1_000
"""Pages, of 4 KiB, copied between two reports of progress."""


class Ledger:
    """One ledger file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            pool_size=READERS + 1,
            max_overflow=0,
            # What is bound in a statement is what is remembered: it stays out of every error.
            hide_parameters=True,
        )
        sqlalchemy.event.listen(self._engine, "connect", _prepare_connection)
        self._write_together = GroupCommit(self._commit, most=TOGETHER)
        self._readers = anyio.CapacityLimiter(READERS)

    @classmethod
    async def open(cls, path: Path) -> Ledger:
        """The ledger at `path`, made or migrated if need be. Raises StoreError."""
        ledger = cls(path)
        await ledger.write(ledger._migrate)
        return ledger

    async def close(self) -> None:
        await anyio.to_thread.run_sync(self._engine.dispose)

    @property
    def bytes(self) -> int:
        """Size on disk, with the write-ahead log."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def schema_version(self) -> int:
        return await self.read(_schema_version)

    async def write(
        self,
        work: Callable[Concatenate[sa.Connection, _Asked], _Result],
        *args: _Asked.args,
        **kwargs: _Asked.kwargs,
    ) -> _Result:
        """Run `work` in a transaction: on disk when this returns, undone when it raises.

        Writes that wait for each other share a transaction, since most of its time is the disk's. If anything
        goes wrong in it, each is run again in one of its own: `work` does nothing but ask the ledger.
        """
        outcome, error = await self._write_together(lambda connection: work(connection, *args, **kwargs))
        if error is not None:
            raise error
        return outcome

    async def _commit(self, works: Sequence[Callable[[sa.Connection], Any]]) -> Sequence[_Outcome]:
        return await anyio.to_thread.run_sync(self._committed, works)

    def _committed(self, works: Sequence[Callable[[sa.Connection], Any]]) -> Sequence[_Outcome]:
        try:
            with self._translated(), self._engine.begin() as connection:
                return [(work(connection), None) for work in works]
        except Exception as error:  # noqa: BLE001 - raised where its work was asked for
            if len(works) == 1:
                return [(None, error)]
        return [outcome for work in works for outcome in self._committed([work])]

    async def read(
        self,
        work: Callable[Concatenate[sa.Connection, _Asked], _Result],
        *args: _Asked.args,
        **kwargs: _Asked.kwargs,
    ) -> _Result:
        """Run `work` on one consistent state, beside whoever writes."""

        def run() -> _Result:
            with self._translated(), self._engine.connect() as connection:
                # Python's driver begins a transaction before the first write only: each statement would see
                # what was written since the one before, and lock the file by itself.
                connection.exec_driver_sql("BEGIN")
                return work(connection, *args, **kwargs)

        return await anyio.to_thread.run_sync(run, limiter=self._readers)

    async def checkpoint(self) -> bool:
        """Move the write-ahead log into the ledger and empty it; whether no reader kept it from that."""

        def checkpoint() -> bool:
            for _ in range(CHECKPOINT_TRIES):
                with self._translated(), self._engine.connect() as connection:
                    busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
                if not busy:
                    return True
            return False

        async with self._write_together.turn:
            return await anyio.to_thread.run_sync(checkpoint)

    async def vacuum(self) -> None:
        """Write the whole file anew, without anything that was deleted."""

        def vacuum() -> None:
            with self._translated(), self._engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")

        async with self._write_together.turn:
            await anyio.to_thread.run_sync(vacuum)

    async def snapshot(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """A copy of one consistent state, made beside whoever writes; `progress` gets (pages, of all)."""

        def report(_: int, left: int, total: int) -> None:
            progress(total - left, total)

        def copy() -> None:
            with self._translated(), self._engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                into = sqlite3.connect(target)
                try:
                    # An open transaction keeps this state for all steps of the copy.
                    driver.execute("BEGIN")
                    driver.execute("SELECT 1 FROM memory LIMIT 1").fetchall()
                    driver.backup(into, pages=PAGES, progress=report)
                    driver.execute("ROLLBACK")
                finally:
                    into.close()

        await anyio.to_thread.run_sync(copy, limiter=self._readers)

    async def problems(self) -> tuple[str, ...]:
        """What SQLite finds wrong with the file, page by page and reference by reference."""

        def check(connection: sa.Connection) -> tuple[str, ...]:
            said = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
            loose = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            return (
                *(one for one in said if one != "ok"),
                *(f"a row of {row[0]} points to a row of {row[2]} that is not there" for row in loose[:20]),
            )

        return await self.read(check)

    def _migrate(self, connection: sa.Connection) -> None:
        version = _schema_version(connection)
        if version > schema.VERSION:
            raise LedgerTooNew(self._path, version, schema.VERSION)
        if version == 0:
            schema.create(connection)
        else:
            for migration in schema.MIGRATIONS[version - 1 :]:
                migration(connection)
        if version != schema.VERSION:
            connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")

    @contextmanager
    def _translated(self) -> Generator[None]:
        """SQLite's errors in our words. The statement and its values stay out: they are what is
        remembered."""
        try:
            yield
        except sqlalchemy.exc.DBAPIError as error:
            reason = str(error.orig)
            if "full" in reason:
                raise DiskFull(self._path) from error
            if "readonly" in reason or "unable to open" in reason:
                raise DataFolderUnusable(self._path.parent, reason) from error
            if "malformed" in reason or "not a database" in reason:
                raise LedgerDamaged(self._path, reason) from error
            raise StoreError(
                f"The ledger {self._path} refused: {reason}. Nothing was stored; try again."
            ) from error


def _prepare_connection(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL: an acknowledged write survives a power cut, not only a crash of the process.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Overwrites what is deleted with zeros instead of leaving it on free pages.
    cursor.execute("PRAGMA secure_delete = ON")
    # A sort or a VACUUM would put what is remembered into a file elsewhere.
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.close()


def _schema_version(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
