"""Commands about the store: sizes, health, indexes, backups, receipts, and the process that holds it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, cast

import anyio
import typer
from pydantic import BaseModel

from mcp_memory.cli.command import (
    AsJson,
    Exit,
    app,
    flags,
    open_memory,
    opened,
    print_result,
    progress,
    with_memory,
)
from mcp_memory.config import default_config_file
from mcp_memory.errors import InvalidInput, StoreError
from mcp_memory.models import Hidden, Merged, Rebuilding, Receipt, Scope

if TYPE_CHECKING:
    from mcp_memory.backup import Manifest
    from mcp_memory.cli.command import MemoryAccess


STALLED_SECONDS = 60.0
"""Without any progress for so long, an index is waited for no more."""

PassphraseFile = Annotated[Path | None, typer.Option(help="A file whose first line is the passphrase.")]


@app.command(epilog="Example: mcp-memory stats --json")
def stats(context: typer.Context, as_json: AsJson = False) -> None:
    """Say how much is remembered."""
    result = with_memory(context, lambda memory, scope: memory.stats(scope))
    from mcp_memory import text as shown

    print_result(result, as_json, lambda: [shown.stats(result)])


class Retried(BaseModel):
    """What `retry` answers as JSON."""

    writes: int


@app.command(epilog="Example: mcp-memory retry")
def retry(context: typer.Context, as_json: AsJson = False) -> None:
    """Draw facts again from what could not be read, as after a wrong key was put right."""
    writes = with_memory(context, lambda memory, _: memory.retry())
    said = f"{writes} writes are read again, in the background." if writes else "Nothing waits to be read."
    print_result(Retried(writes=writes), as_json, lambda: [said])


@app.command(epilog="Example: mcp-memory rebuild")
def rebuild(context: typer.Context, as_json: AsJson = False) -> None:
    """Make the indexes anew from the ledger, with the configured embedder."""

    async def run(memory: MemoryAccess, _: Scope) -> Rebuilding:
        begun = await memory.rebuild()
        await _indexed(memory, "rebuilding")
        return begun

    done = with_memory(context, run)
    from mcp_memory import text as shown

    print_result(
        done,
        as_json,
        lambda: [f"Rebuilt {shown.count(done.memories)} and {done.entities} entities with {done.embedder}."],
    )


@app.command(epilog="Example: mcp-memory doctor --deep")
def doctor(
    context: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Compare the three stores row by row.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="And make the indexes what the ledger says.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check versions, paths, sizes, and whether the three stores agree."""
    from mcp_memory.doctor import diagnose

    given = flags(context)
    config = given.config()
    with progress("comparing") as _:
        file = given.config_file or default_config_file()
        report = anyio.run(diagnose, config, file, lambda: open_memory(config), deep or repair, repair)
    print_result(report, as_json, report.lines)
    if not report.is_well:
        raise SystemExit(Exit.FAILED)


@app.command(epilog="Example: mcp-memory unforget f_0123456789abc")
def unforget(
    context: typer.Context,
    receipt_id: Annotated[str | None, typer.Argument(help="Which; without it, all that can be.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what was forgotten, within its days of grace; or list it."""
    from mcp_memory import text as shown

    if receipt_id is not None:
        back = with_memory(context, lambda memory, scope: memory.unforget(scope, receipt_id))
        print_result(back, as_json, lambda: [f"Brought back: {shown.count(len(back.memory_ids))}."])
        return
    hidden = with_memory(context, lambda memory, scope: memory.hidden(scope))
    print_result(
        HiddenList(hidden=hidden), as_json, lambda: list(map(shown.hidden, hidden)) or ["Nothing is hidden."]
    )


@app.command(epilog="Example: mcp-memory receipts --limit 5")
def receipts(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="The latest so many.", min=1, max=1_000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List what was erased: ids, counts and times, sealed one onto the other."""
    from mcp_memory import text as shown

    kept = with_memory(context, lambda memory, _: memory.receipts(limit))
    print_result(
        ReceiptList(receipts=kept),
        as_json,
        lambda: list(map(shown.receipt, kept)) or ["Nothing was erased yet."],
    )


@app.command(epilog="Example: mcp-memory backup memory.backup --encrypt")
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write it.")],
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Ask for a passphrase and seal it.")] = False,
    passphrase_file: PassphraseFile = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write everything remembered, and the settings, into one file, while hosts go on."""
    from mcp_memory import backup as backups

    config = flags(context).config()
    passphrase = _passphrase(passphrase_file, ask=encrypt, twice=True)

    async def run() -> Manifest:
        with progress("writing") as advance:
            return await backups.write(config, file, passphrase, advance, overwrite=overwrite)

    done = anyio.run(run)
    sealed = "sealed with your passphrase, without which nobody opens it" if passphrase else "not encrypted"
    print_result(done, as_json, lambda: [f"Wrote {file}, {_described(done)}; {sealed}."])


@app.command(epilog="Example: mcp-memory verify memory.backup")
def verify(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Check that a backup can be restored, without restoring it."""
    from mcp_memory import backup as backups

    passphrase = _passphrase(passphrase_file, ask=backups.is_sealed(file))
    done = anyio.run(backups.verify, file, passphrase)
    print_result(done, as_json, lambda: [f"{file} is whole: {_described(done)}."])


@app.command(epilog="Example: mcp-memory --data-dir ~/other restore memory.backup")
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup.")],
    merge: Annotated[bool, typer.Option("--merge", help="Add to what is remembered here.")] = False,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty data folder, or add it to one."""
    from mcp_memory import backup as backups

    config = flags(context).config()
    passphrase = _passphrase(passphrase_file, ask=backups.is_sealed(file))

    async def run() -> Restored:
        with TemporaryDirectory() as temporary:
            if merge:
                manifest, ledger = await backups.open_into(file, passphrase, Path(temporary))
                async with open_memory(config) as memory:
                    merged = await memory.merge(ledger)
                    await _indexed(memory, "indexing")
            else:
                manifest = await backups.restore(config, file, passphrase)
                merged = Merged(added=manifest.memories, known=0, forgotten=0)
                async with open_memory(config) as memory:
                    await _indexed(memory, "indexing")
        others = backups.other_settings(manifest, config)
        return Restored(**merged.model_dump(), other_settings=tuple(others))

    done = anyio.run(run)

    def lines() -> Iterator[str]:
        from mcp_memory import text as shown

        yield (
            f"Restored {shown.count(done.added)}; {done.known} were here already, {done.forgotten} were left "
            "out because they were forgotten here."
        )
        if done.other_settings:
            yield f"Settings that were others then: {', '.join(done.other_settings)}."

    print_result(done, as_json, lines)


@app.command(epilog="Example: mcp-memory stop")
def stop(context: typer.Context, as_json: AsJson = False) -> None:
    """End the process that holds the memory; the next host or command starts another."""
    from mcp_memory.client import OwnerClient

    ended = anyio.run(OwnerClient.stop, flags(context).config())
    print_result(
        Stopped(pid=None if ended is None else ended.pid),
        as_json,
        lambda: ["No process holds the memory." if ended is None else f"Process {ended.pid} has ended."],
    )


@app.command(epilog="Example: mcp-memory demo")
def demo(as_json: AsJson = False) -> None:
    """Show in some seconds, in a temporary folder, what a memory does."""
    from mcp_memory.demo import run_demo

    done = anyio.run(run_demo, as_json)
    if as_json:
        print(done.model_dump_json())
    if not done.is_right:
        raise SystemExit(Exit.FAILED)


class HiddenList(BaseModel):
    hidden: tuple[Hidden, ...]


class ReceiptList(BaseModel):
    receipts: tuple[Receipt, ...]


class Restored(Merged):
    """What a restore brought, and what was set otherwise when the backup was made."""

    other_settings: tuple[str, ...] = ()


class Stopped(BaseModel):
    """The process that was ended."""

    pid: int | None


async def _indexed(memory: MemoryAccess, doing: str) -> None:
    """Wait, with a bar, until the indexes have everything."""
    with progress(doing) as advance:
        most = least = 0
        since = time.monotonic()
        while not await memory.caught_up(1.0):
            pending = (await memory.health()).pending
            if pending > most or pending < least:
                since = time.monotonic()
            most, least = max(most, pending), pending
            if time.monotonic() - since > STALLED_SECONDS:
                raise StoreError(
                    f"{pending} memories still wait to be indexed, and none was in {STALLED_SECONDS:.0f} s. "
                    "It goes on in the background; owner.log in the data folder says what keeps it."
                )
            advance(most - pending, most)


def _described(manifest: Manifest) -> str:
    from mcp_memory import text as shown

    size = f"{manifest.ledger_bytes / (1 << 20):.1f} MiB"
    return f"{shown.count(manifest.memories)} and {manifest.entities} entities, a ledger of {size}"


def _passphrase(file: Path | None, *, ask: bool, twice: bool = False) -> str | None:
    """From a file's first line, or asked for at the terminal; None when none is needed."""
    if file is None and not ask:
        return None
    if file is not None:
        with opened(str(file)) as stream:
            said = stream.readline().decode("utf-8", "replace").rstrip("\r\n")
    elif sys.stdin.isatty():
        said = cast(str, typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True))
    else:
        said = sys.stdin.readline().rstrip("\r\n")
    if not said:
        raise InvalidInput("passphrase", "is empty")
    return said
