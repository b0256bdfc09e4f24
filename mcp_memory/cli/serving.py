"""The command that serves remote clients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mcp_memory.cli.command import app, flags


@app.command("serve", epilog="Example: mcp-memory serve --port 8765")
def serve_remote(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer.")] = None,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A name under which clients know it; may be repeated.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate chain in PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key in PEM.")] = None,
) -> None:
    """Serve memory over HTTP, to who has a token: Streamable HTTP, SSE and a JSON API."""
    given = flags(context)
    said = {
        "host": host,
        "port": port,
        "workers": workers,
        "allowed_hosts": allowed_host or None,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
    }
    given.values["remote"] = {name: value for name, value in said.items() if value is not None}
    from mcp_memory.remote.serving import serve

    serve(given.config())
