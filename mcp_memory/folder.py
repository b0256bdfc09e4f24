"""The data folder: its places, its lock, and who owns it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import anyio
from filelock import FileLock, Timeout

from mcp_memory.errors import DataFolderUnusable, StoreLocked

NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "9p", "fuse.sshfs", "fuse.rclone", "webdav"}
)
"""File systems whose locks and write-ahead logs cannot be relied on."""
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Folder:
    """Where things lie in one data folder."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held, by the operating system, for whom owns the folder; freed by it when the process dies."""
        return self.path / "lock"

    @property
    def start_lock(self) -> Path:
        """Held by the one front that is starting an owner."""
        return self.path / "start.lock"

    @property
    def owner(self) -> Path:
        return self.path / "owner.json"

    @property
    def log(self) -> Path:
        return self.path / "owner.log"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.db"

    @property
    def vectors(self) -> Path:
        return self.path / "vectors"

    @property
    def graph(self) -> Path:
        return self.path / "graph" / "graph.db"

    @property
    def set_aside(self) -> tuple[Path, ...]:
        """Damaged indexes that were moved out of the way."""
        return tuple(sorted(self.path.glob("*.damaged-*")))

    def make(self) -> None:
        """Raises DataFolderUnusable."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataFolderUnusable(self.path, error.strerror or str(error)) from error

    def put_aside(self, index: Path) -> Path | None:
        """Move a damaged index out of the way; answers where to, None when nothing was there."""
        moved = index.with_name(
            f"{index.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        )
        try:
            return index.rename(moved)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataFolderUnusable(self.path, f"{index.name} cannot be moved: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """Who owns a data folder, as `owner.json` says it. Without `shared` it is a process that serves nobody
    else; without `port` one that does not serve yet, or not any more."""

    pid: int
    version: str
    shared: bool = False
    port: int | None = None
    token: str | None = None

    def __repr__(self) -> str:
        return f"OwnerRecord(pid={self.pid}, version={self.version!r}, port={self.port})"


def read_owner(folder: Folder) -> OwnerRecord | None:
    """What `owner.json` says, whether or not that process lives; None for a file that says nothing usable."""
    try:
        said = json.loads(folder.owner.read_text(encoding="utf-8"))
        return OwnerRecord(
            int(said["pid"]), str(said["version"]), said["shared"], said["port"], said["token"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_owner(folder: Folder, record: OwnerRecord) -> None:
    """At once and whole, readable by this user alone. Raises DataFolderUnusable."""
    temporary = folder.owner.with_name(f"owner.{os.getpid()}.new")
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file)
        temporary.replace(folder.owner)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataFolderUnusable(folder.path, error.strerror or str(error)) from error


def is_locked(path: Path) -> bool:
    """Whether a living process holds this lock file."""
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


@contextmanager
def held(folder: Folder, record: OwnerRecord, wait: float = 1.0) -> Generator[None]:
    """The folder, made if need be and locked for this process; one that is about to be freed is waited for,
    `wait` seconds. Raises StoreLocked, DataFolderUnusable."""
    lock = FileLock(folder.lock, timeout=wait, poll_interval=POLL_SECONDS, thread_local=False)
    folder.make()
    try:
        lock.acquire()
    except Timeout as error:
        owner = read_owner(folder)
        raise StoreLocked(folder.path, "" if owner is None else f" (process {owner.pid})") from error
    except OSError as error:
        raise DataFolderUnusable(folder.path, error.strerror or str(error)) from error
    try:
        write_owner(folder, record)
        yield
    finally:
        # What another wrote since is not ours to remove.
        if (now := read_owner(folder)) is not None and now.pid == record.pid:
            with suppress(OSError):
                folder.owner.unlink(missing_ok=True)
        lock.release()


@contextmanager
def turn_to_start(folder: Folder) -> Generator[bool]:
    """Whether it is ours to start an owner, as long as the block lasts. Raises DataFolderUnusable."""
    lock = FileLock(folder.start_lock, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise DataFolderUnusable(folder.path, error.strerror or str(error)) from error
    try:
        yield True
    finally:
        lock.release()


def is_running(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def released(folder: Folder, seconds: float) -> bool:
    """Wait until nobody holds the folder; whether that came true in time."""
    with anyio.move_on_after(seconds):
        while is_locked(folder.lock):
            await anyio.sleep(POLL_SECONDS)
        return True
    return False


def file_system_warning(folder: Path) -> str | None:
    """A sentence when the folder lies on a network file system."""
    import psutil

    resolved = folder.resolve()
    mounts = sorted(psutil.disk_partitions(all=True), key=lambda one: len(one.mountpoint), reverse=True)
    for mount in mounts:
        if resolved.is_relative_to(mount.mountpoint):
            return network_warning(folder, mount.fstype, mount.opts)
    return None


def network_warning(folder: Path, kind: str, options: str) -> str | None:
    if kind.lower() in NETWORK or "remote" in options.split(","):
        return (
            f"{folder} lies on a network file system ({kind}): its locks cannot be relied on, and two "
            "machines that use it may damage the ledger. Choose a local folder with --data-dir."
        )
    return None
