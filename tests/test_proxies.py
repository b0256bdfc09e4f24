"""Behind reverse proxies that end TLS: one that the settings name, and one that they do not."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest

from mcp_memory.config import load
from mcp_memory.errors import ConfigError

from .certificates import OwnCertificate, own_certificate
from .served import TRANSPORTS, Served, Transport, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is this machine's there")

NAMED, OTHER = "127.0.0.2", "127.0.0.3"
CLIENT = "203.0.113.7"
"""An address of nobody (RFC 5737)."""
RESOURCE = "https://memory.example.org/mcp"


@asynccontextmanager
async def proxy(served: Served, own: OwnCertificate, address: str) -> AsyncGenerator[Served]:
    """The server as clients reach it through a proxy that asks from `address`: it says the client's address,
    the scheme and the name it was asked for, and asks by its own name for the server."""
    upstream = urlsplit(served.base)

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
            request, *lines = head.rstrip("\r\n").split("\r\n")
            said = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
            host = next(value for name, value in said if name.lower() == "host")
            forwarded = {
                "Host": upstream.netloc,
                "X-Forwarded-For": CLIENT,
                "X-Forwarded-Proto": "https",
                "Connection": "close",
            }
            kept = [(name, value) for name, value in said if name.title() not in forwarded]
            # It adds to what is there already, which the client may have made up.
            before = [value for name, value in kept if name.lower() == "x-forwarded-host"]
            kept = [(name, value) for name, value in kept if name.lower() != "x-forwarded-host"]
            headers = [*kept, *forwarded.items(), ("X-Forwarded-Host", ", ".join([*before, host]))]
            inner_reader, inner_writer = await asyncio.open_connection(
                upstream.hostname, upstream.port, local_addr=(address, 0)
            )
            inner_writer.write("\r\n".join([request, *map(": ".join, headers), "", ""]).encode("latin1"))
            await asyncio.gather(_piped(reader, inner_writer), _piped(inner_reader, writer))
        finally:
            writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own.chain, own.key)
    listening = await asyncio.start_server(passed_on, "127.0.0.1", 0, ssl=context)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield replace(served, base=f"https://127.0.0.1:{port}", verify=own.trusting)


async def _piped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


@dataclass
class Doors:
    """One server, directly and through two proxies."""

    served: Served
    named: Served
    other: Served


@pytest.fixture(scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Doors]:
    folder = tmp_path_factory.mktemp("proxies")
    own = own_certificate(folder)
    async with (
        serving(
            folder,
            *("--allowed-host", "memory.example.org"),
            REMOTE__PROXIES=json.dumps([NAMED, "10.0.0.0/8"]),
            REMOTE__LOG_FORMAT="json",
            OAUTH__ISSUER="https://id.example.org",
            OAUTH__RESOURCE=RESOURCE,
        ) as served,
        proxy(served, own, NAMED) as named,
        proxy(served, own, OTHER) as other,
    ):
        yield Doors(served, named, other)


async def test_the_scheme_and_the_name_are_those_that_a_named_proxy_was_asked_by(doors: Doors) -> None:
    public = {"host": "memory.example.org"}
    async with doors.named.http() as http:
        moved = await http.get("/healthz/", headers=public)
        assert moved.headers["location"] == "https://memory.example.org/healthz"
    async with doors.other.http() as http:
        moved = await http.get("/healthz/", headers=public)
        assert moved.headers["location"] == f"{doors.served.base}/healthz"


async def test_a_client_behind_a_proxy_is_sent_to_the_public_address_for_a_token(doors: Doors) -> None:
    metadata = "https://memory.example.org/.well-known/oauth-protected-resource/mcp"
    async with doors.named.http() as http:
        refused = await http.post("/mcp", json={}, headers={"host": "memory.example.org"})
        assert refused.status_code == 401
        assert f'resource_metadata="{metadata}"' in refused.headers["www-authenticate"]
        told = await http.get(urlsplit(metadata).path, headers={"host": "memory.example.org"})
        assert told.json()["resource"] == RESOURCE


async def test_who_is_not_let_in_is_logged_by_the_address_a_named_proxy_says(doors: Doors) -> None:
    for served, address in ((doors.named, CLIENT), (doors.other, OTHER)):
        async with served.http("of-nobody") as http:
            answer = await http.post("/v1/stats", json={})
        assert answer.status_code == 401
        assert json.loads(await served.logged(answer.headers["x-request-id"]))["client"] == address


@pytest.mark.parametrize("forged", [{}, {"X-Forwarded-Host": "memory.example.org"}])
async def test_a_proxy_that_was_asked_for_a_foreign_name_opens_nothing(
    doors: Doors, forged: dict[str, str]
) -> None:
    """As by a page that had its own name resolved to us; such a page may also send what it likes."""
    token = await doors.served.token("ann")
    async with doors.named.http(token.secret) as http:
        body = {"scope": {"user_id": "ann"}}
        for host, status in (("evil.example", 421), ("memory.example.org", 200)):
            answer = await http.post("/v1/stats", json=body, headers={**forged, "host": host})
            assert answer.status_code == status


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_transport_works_through_a_proxy(doors: Doors, transport: Transport) -> None:
    token = await doors.served.token("ann")
    async with doors.named.client(token, transport) as client:
        answer = await client.call_tool("add_memory", {"content": f"A bilby came by {transport}."})
        assert not answer.is_error, answer.content


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="proxies has 'nginx': give addresses or networks"):
        load(flags={"remote": {"proxies": ["nginx"]}})
