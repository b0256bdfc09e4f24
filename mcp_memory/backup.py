"""A backup: the ledger at one moment and the settings it was used with, in one file, sealed if one likes.

Without a passphrase it is a ZIP archive that any tool opens. With one, the archive is encrypted with
AES-256-GCM under a key that scrypt (RFC 7914) makes of the passphrase.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcp_memory import __version__
from mcp_memory.config import Config
from mcp_memory.errors import BackupError, DataFolderUnusable, StoreError
from mcp_memory.folder import Folder, OwnerRecord, held
from mcp_memory.models import Moment
from mcp_memory.store.ledger import Ledger, backups, forgetting, index_work, tokens

MAGIC = b"mcp-memory sealed backup 1\n"
FORMAT = 1
KEY_BYTES, SALT_BYTES, NONCE_BYTES, TAG_BYTES = 32, 16, 12, 16
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**17, 8, 1
"""128 MiB and some tenths of a second for each guess: OWASP's Password Storage Cheat Sheet, 2024."""
BLOCK = 1 << 20
MAX_HEADER = 4_096
LEDGER, MANIFEST = "ledger.db", "manifest.json"

Progress = Callable[[int, int], None]


class Manifest(BaseModel):
    """What a backup says of itself."""

    model_config = ConfigDict(extra="ignore")

    format: Literal[1] = FORMAT
    program: str
    created_at: Moment
    schema_version: int
    memories: int
    entities: int
    relations: int
    ledger_bytes: int = Field(ge=0)
    ledger_sha256: str
    settings: dict[str, object]
    """As they were in use, secrets left out."""


class _Seal(BaseModel):
    """The head of a sealed backup: all that is needed to open it, but the passphrase."""

    salt: str
    nonce: str
    n: int = Field(ge=2**14, le=2**20)
    r: int = Field(ge=1, le=16)
    p: int = Field(ge=1, le=4)


async def write(
    config: Config, file: Path, passphrase: str | None, progress: Progress, *, overwrite: bool = False
) -> Manifest:
    """Write a backup of the data folder of `config`, beside whoever works in it; it appears whole or not at
    all. Raises BackupError, StoreError."""
    folder = Folder(config.data_dir)
    if not folder.ledger.is_file():
        raise BackupError(file, f"was not written: there is no memory in {folder.path} yet")
    if file.absolute().is_relative_to(folder.path):
        problem = f"is not written into {folder.path}, where it could replace what is remembered"
        raise BackupError(file, f"{problem} and where forgetting would not see into it; choose another place")
    if file.exists() and not overwrite:
        raise BackupError(file, "is there already; choose another name, or give --overwrite")
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / LEDGER
        ledger = Ledger(folder.ledger)
        try:
            await ledger.snapshot(copy, progress)
            manifest = await _described(copy, config)
            with (
                _written(file, passphrase) as target,
                zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                archive.writestr(MANIFEST, manifest.model_dump_json(indent=2))
                archive.write(copy, LEDGER)
            await ledger.write(backups.note, str(file.absolute()), datetime.now(UTC))
        except StoreError as error:
            raise BackupError(file, f"was not written from {folder.ledger}: {error}") from error
        except OSError as error:
            raise BackupError(file, f"was not written: {error.strerror or error}") from error
        finally:
            await ledger.close()
    return manifest


async def verify(file: Path, passphrase: str | None) -> Manifest:
    """Whether a backup can be restored, without restoring it. Raises BackupError."""
    with tempfile.TemporaryDirectory() as temporary:
        return await _opened(file, passphrase, Path(temporary))


async def restore(config: Config, file: Path, passphrase: str | None) -> Manifest:
    """Put the ledger of a backup into the data folder of `config`, which must hold none; the indexes are made
    from it by the next owner. Raises BackupError, StoreError; then nothing was changed."""
    folder = Folder(config.data_dir)
    _refuse_a_memory(folder, file)
    with tempfile.TemporaryDirectory() as temporary:
        manifest = await _opened(file, passphrase, Path(temporary))
        with held(folder, OwnerRecord(os.getpid(), __version__)):
            _refuse_a_memory(folder, file)
            arriving = folder.ledger.with_name("ledger.db.new")
            try:
                _copy_to_disk(Path(temporary) / LEDGER, arriving)
                arriving.replace(folder.ledger)
            except OSError as error:
                arriving.unlink(missing_ok=True)
                raise DataFolderUnusable(folder.path, error.strerror or str(error)) from error
    return manifest


def _refuse_a_memory(folder: Folder, file: Path) -> None:
    if folder.ledger.exists():
        problem = f"was not restored: {folder.path} holds a memory already"
        raise BackupError(file, f"{problem}. Give --merge to add to it, or another --data-dir")


async def open_into(file: Path, passphrase: str | None, folder: Path) -> tuple[Manifest, Path]:
    """A verified backup and the path of its ledger, unpacked into `folder`. Raises BackupError."""
    return await _opened(file, passphrase, folder), folder / LEDGER


async def _described(copy: Path, config: Config) -> Manifest:
    ledger = Ledger(copy)
    try:
        await ledger.write(tokens.drop_all)
        memories, entities, relations = await ledger.read(index_work.counts)
        version = await ledger.schema_version()
    finally:
        await ledger.close()
    return Manifest(
        program=__version__,
        created_at=datetime.now(UTC),
        schema_version=version,
        memories=memories,
        entities=entities,
        relations=relations,
        ledger_bytes=copy.stat().st_size,
        ledger_sha256=_digest(copy),
        settings=config.model_dump(mode="json", exclude={"data_dir"}),
    )


async def _opened(file: Path, passphrase: str | None, folder: Path) -> Manifest:
    """The ledger, unpacked into `folder` and checked through."""
    copy = folder / LEDGER
    try:
        manifest = _unpacked(file, passphrase, folder)
    except (zipfile.BadZipFile, KeyError, EOFError, ValidationError, zlib.error) as error:
        raise BackupError(file, "is damaged, or no backup of mcp-memory; nothing was changed") from error
    except OSError as error:
        raise BackupError(file, f"cannot be read: {error.strerror or error}") from error
    if copy.stat().st_size != manifest.ledger_bytes or _digest(copy) != manifest.ledger_sha256:
        raise BackupError(file, "is damaged: its ledger is not the one it describes; nothing was changed")
    try:
        ledger = await Ledger.open(copy)
        try:
            problems = await ledger.problems()
            _, broken = await ledger.read(forgetting.broken_receipts)
        finally:
            await ledger.close()
    except StoreError as error:
        raise BackupError(file, f"cannot be restored: {error}") from error
    if problems or broken:
        raise BackupError(file, f"is damaged: {'; '.join((*problems, *broken))}")
    # Opened, it may have been brought to today's schema: that is what is restored.
    return manifest


def is_sealed(file: Path) -> bool:
    """Whether it takes a passphrase. Raises BackupError."""
    try:
        with file.open("rb") as source:
            return source.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise BackupError(file, f"cannot be read: {error.strerror or error}") from error


def _unpacked(file: Path, passphrase: str | None, folder: Path) -> Manifest:
    archive_file = file
    if is_sealed(file):
        if passphrase is None:
            raise BackupError(file, "is sealed: give its passphrase")
        archive_file = folder / "archive.zip"
        _unseal(file, passphrase, archive_file)
    with zipfile.ZipFile(archive_file) as archive:
        manifest = Manifest.model_validate_json(archive.read(MANIFEST))
        if archive.getinfo(LEDGER).file_size != manifest.ledger_bytes:
            raise BackupError(file, "is damaged: its ledger is not as long as it says; nothing was changed")
        with archive.open(LEDGER) as packed, (folder / LEDGER).open("wb") as ledger:
            left = manifest.ledger_bytes
            # No more than it says: a hostile file may unpack to more than any disk holds.
            while left and (block := packed.read(min(BLOCK, left))):
                ledger.write(block)
                left -= len(block)
    return manifest


@contextmanager
def _written(file: Path, passphrase: str | None) -> Generator[BinaryIO]:
    """A file for the archive that takes its place whole when the block ends, and else leaves no trace."""
    partial = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as target:
            if passphrase is None:
                yield target
            else:
                with tempfile.TemporaryFile() as plain:
                    yield plain
                    plain.seek(0)
                    _seal(plain, passphrase, target)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(file)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _seal(source: BinaryIO, passphrase: str, target: BinaryIO) -> None:
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    seal = _Seal(salt=salt.hex(), nonce=nonce.hex(), n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P)
    head = MAGIC + seal.model_dump_json().encode() + b"\n"
    encryptor = Cipher(algorithms.AES(_key(passphrase, seal)), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(head)
    target.write(head)
    while block := source.read(BLOCK):
        target.write(encryptor.update(block))
    target.write(encryptor.finalize())
    target.write(encryptor.tag)


def _unseal(file: Path, passphrase: str, target: Path) -> None:
    """What is written to `target` counts only when this returns: the tag is checked last."""
    with file.open("rb") as source:
        source.read(len(MAGIC))
        line = source.readline(MAX_HEADER)
        try:
            seal = _Seal.model_validate_json(line)
            nonce = bytes.fromhex(seal.nonce)
            key = _key(passphrase, seal)
        except ValueError as error:
            raise BackupError(file, "is damaged: its head cannot be read; nothing was changed") from error
        start = source.tell()
        left = source.seek(0, os.SEEK_END) - start - TAG_BYTES
        if left < 0 or len(nonce) != NONCE_BYTES:
            raise BackupError(file, "is damaged: it is cut off; nothing was changed")
        source.seek(start + left)
        tag = source.read(TAG_BYTES)
        source.seek(start)
        decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce, tag)).decryptor()
        decryptor.authenticate_additional_data(MAGIC + line)
        with target.open("wb") as plain:
            while left and (block := source.read(min(BLOCK, left))):
                plain.write(decryptor.update(block))
                left -= len(block)
            try:
                decryptor.finalize()
            except InvalidTag as error:
                raise BackupError(
                    file, "the passphrase is wrong, or the file is damaged; nothing was changed"
                ) from error


def _key(passphrase: str, seal: _Seal) -> bytes:
    derive = Scrypt(salt=bytes.fromhex(seal.salt), length=KEY_BYTES, n=seal.n, r=seal.r, p=seal.p)
    return derive.derive(passphrase.encode())


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy_to_disk(source: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as copy, source.open("rb") as stream:
        while block := stream.read(BLOCK):
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())


def other_settings(manifest: Manifest, config: Config) -> list[str]:
    """Settings that were others when the backup was made, as `table.key = value`."""
    here = config.model_dump(mode="json", exclude={"data_dir"})
    return sorted(_differing(manifest.settings, here, ""))


def _differing(then: dict[str, object], now: dict[str, object], prefix: str) -> Generator[str]:
    for key, value in then.items():
        present = now.get(key)
        if isinstance(value, dict) and isinstance(present, dict):
            yield from _differing(
                cast("dict[str, object]", value), cast("dict[str, object]", present), f"{prefix}{key}."
            )
        elif value != present and key in now:
            yield f"{prefix}{key} = {json.dumps(value)}"
