"""Who is let in: our tokens, an identity provider's, and nobody by any other way."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from mcp_memory import backup
from mcp_memory.config import OAuthConfig
from mcp_memory.errors import InvalidInput, TokenNotFound, Unavailable
from mcp_memory.folder import Folder, read_owner
from mcp_memory.models import TokenRequest
from mcp_memory.rates import CallRates
from mcp_memory.remote.oauth import IdentityProvider
from mcp_memory.store.ledger import Ledger, tokens

from .certificates import own_certificate
from .served import Served, serving

RESOURCE = "https://memory.example.org/mcp"
STATS = {"scope": {"user_id": "ann"}}


@dataclass
class Provider:
    """An identity provider: it publishes two keys, and signs with them or with others."""

    issuer: str
    rsa: rsa.RSAPrivateKey
    ec: ec.EllipticCurvePrivateKey
    asked: list[str]

    def token(self, *, alg: str = "RS256", key: Any = None, kid: str = "rsa", **claims: Any) -> str:
        """Right in everything that is not given; a claim that is None is left out."""
        now = datetime.now(UTC)
        said = {
            "iss": self.issuer,
            "aud": RESOURCE,
            "sub": "ann",
            "exp": now + timedelta(minutes=5),
            "scope": "openid memory.read memory.write",
            **claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.rsa if key is None else key, algorithm=alg, headers={"kid": kid})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    of_rsa = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    of_ec = ec.generate_private_key(ec.SECP256R1())
    keys = [
        {**json.loads(RSAAlgorithm.to_jwk(of_rsa.public_key())), "kid": "rsa", "use": "sig"},
        {**json.loads(ECAlgorithm.to_jwk(of_ec.public_key())), "kid": "ec", "use": "sig"},
    ]
    asked: list[str] = []

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": keys}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Provider(f"http://127.0.0.1:{server.server_port}", of_rsa, of_ec, asked)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> AsyncGenerator[Served]:
    async with serving(
        tmp_path_factory.mktemp("tokens"),
        OAUTH__ISSUER=provider.issuer,
        OAUTH__RESOURCE=RESOURCE,
        OAUTH__AGENT_CLAIM="agent",
    ) as served:
        yield served


async def status(served: Served, token: str | None, body: dict[str, Any] = STATS) -> int:
    async with served.http(token) as http:
        return (await http.post("/v1/stats", json=body)).status_code


async def test_a_token_opens_its_users_memory_until_it_is_revoked(served: Served) -> None:
    made = await served.token("ann")
    assert await status(served, made.secret) == 200
    assert (await served.owner.revoke_token(made.id)).revoked_at is not None
    assert await status(served, made.secret) == 401
    listed = {one.id: one for one in await served.owner.tokens()}
    assert listed[made.id].revoked_at is not None
    with pytest.raises(TokenNotFound):
        await served.owner.revoke_token("t_none")


async def test_a_token_that_expires_lets_in_until_then(served: Served) -> None:
    made = await served.token("ann", expires_at=datetime.now(UTC) + timedelta(seconds=3))
    assert await status(served, made.secret) == 200
    with anyio.fail_after(60):
        while await status(served, made.secret) == 200:
            await anyio.sleep(0.1)
    with pytest.raises(InvalidInput, match="is past"):
        await served.token("ann", expires_at=datetime.now(UTC) - timedelta(seconds=1))


def signed_with_text(token: str, key: bytes) -> str:
    """The same claims, signed by HMAC: the library makes none with a public key, and a stranger does."""
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"rsa"}').rstrip(b"=")
    signed = header + b"." + token.split(".")[1].encode()
    signature = base64.urlsafe_b64encode(hmac.new(key, signed, "sha256").digest()).rstrip(b"=")
    return (signed + b"." + signature).decode()


def bad_tokens(provider: Provider) -> dict[str, str | None]:
    public = provider.rsa.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    good = provider.token()
    return {
        "none": None,
        "one character": "a",
        "wrong": "mcpm_" + "A" * 43,
        "no prefix": "A" * 43,
        "oversized": "mcpm_" + "A" * 20_000,
        "oversized jwt": good + "A" * 20_000,
        "not ascii": "mcpm_\u00e9",
        "cut": good[:-5],
        "foreign audience": provider.token(aud="https://other.example.org/mcp"),
        "no audience": provider.token(aud=None),
        "foreign issuer": provider.token(iss="https://other.example.org"),
        "expired": provider.token(exp=datetime.now(UTC) - timedelta(minutes=2)),
        "without end": provider.token(exp=None),
        "not yet": provider.token(nbf=datetime.now(UTC) + timedelta(minutes=5)),
        "alg none": provider.token(alg="none", key=""),
        "signed with the public key": signed_with_text(good, public),
        "signed by a stranger": provider.token(key=stranger),
        "of an unknown key": provider.token(kid="other"),
        "without a user": provider.token(sub=None),
        "of no possible user": provider.token(sub="a\nb"),
        "not a jwt": "a.b.c",
        "deep": "e30." + "W" * 3_000 + ".x",
    }


async def test_every_bad_token_is_turned_away_alike(served: Served, provider: Provider) -> None:
    answers: set[tuple[int, bytes, str]] = set()
    for name, token in bad_tokens(provider).items():
        header = [] if token is None else [(b"Authorization", f"Bearer {token}".encode("latin-1"))]
        for path in ("/mcp", "/sse", "/messages?session_id=" + "0" * 32, "/metrics", "/v1/stats"):
            async with served.http() as http:
                method = "GET" if path in ("/sse", "/metrics") else "POST"
                answer = await http.request(method, path, headers=header, json=STATS)
            assert answer.status_code == 401, (name, path)
            answers.add((answer.status_code, answer.content, answer.headers["www-authenticate"]))
    ((_, _, challenge),) = answers
    assert (
        'resource_metadata="https://memory.example.org/.well-known/oauth-protected-resource/mcp"' in challenge
    )
    # Unknown keys are looked for now and then, not each time that a stranger names one.
    assert len(provider.asked) <= 2


async def test_a_providers_token_says_who_may_do_what(served: Served, provider: Provider) -> None:
    for token in (provider.token(), provider.token(alg="ES256", key=provider.ec, kid="ec")):
        assert await status(served, token) == 200
        assert await status(served, token, {"scope": {"user_id": "ben"}}) == 403
    assert await status(served, provider.token(sub="ben"), {"scope": {"user_id": "ben"}}) == 200
    assert await status(served, provider.token(scope="openid")) == 403
    assert await status(served, provider.token(scope=None, scp=["memory.read"])) == 200
    of_bot = {"scope": {"user_id": "ann", "agent_id": "bot"}}
    assert await status(served, provider.token(), of_bot) == 403
    assert await status(served, provider.token(agent="bot"), of_bot) == 200


async def test_without_the_providers_keys_nobody_is_judged(provider: Provider) -> None:
    issuer = "http://127.0.0.1:9"
    elsewhere = IdentityProvider(OAuthConfig(issuer=issuer, resource=RESOURCE))
    with pytest.raises(Unavailable, match="cannot be reached; try again"):
        await elsewhere.identity(provider.token(iss=issuer))


async def test_clients_are_told_where_to_get_a_token(served: Served, provider: Provider) -> None:
    async with served.http() as http:
        told = (await http.get("/.well-known/oauth-protected-resource/mcp")).json()
    assert (told["resource"], told["authorization_servers"]) == (RESOURCE, [provider.issuer])
    assert "memory.forget" in told["scopes_supported"]


async def test_the_owners_own_secret_is_let_in_on_this_machine(served: Served) -> None:
    record = read_owner(Folder(served.config.data_dir))
    assert record is not None
    assert await status(served, record.token, {"scope": {"user_id": "me"}}) == 200
    assert await status(served, record.token, {"scope": {"user_id": "ann"}}) == 403


@pytest.mark.parametrize(
    ("header", "refused"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
    ],
)
async def test_foreign_hosts_and_pages_are_refused_everywhere(
    served: Served, header: dict[str, str], refused: int
) -> None:
    made = await served.token("ann")
    async with served.http(made.secret) as http:
        for method, path in (
            ("POST", "/mcp"),
            ("GET", "/sse"),
            ("POST", "/messages"),
            ("GET", "/metrics"),
            ("POST", "/v1/stats"),
            ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ):
            answer = await http.request(method, path, headers=header)
            assert answer.status_code == refused, path
        assert (await http.get("/healthz", headers=header)).status_code == 200


def type_(folder: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mcp_memory", "--data-dir", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


async def test_a_token_is_told_once_and_kept_by_its_digest_alone(served: Served) -> None:
    folder = served.config.data_dir
    scopes = "memory.read,memory.admin"
    code, out, _ = type_(folder, "token", "create", "--user", "zoe", "--scopes", scopes, "--expires", "never")
    assert code == 0
    told, secret = out.splitlines()
    token_id = told.split()[0]
    assert await status(served, secret, {"scope": {"user_id": "zoe"}}) == 200
    _, listed, _ = type_(folder, "token", "list")
    assert f"{token_id} 'zoe': memory.read, memory.admin; for ever" in listed
    assert secret not in listed
    assert all(secret.encode() not in file.read_bytes() for file in folder.glob("ledger.db*"))
    code, out, _ = type_(folder, "token", "revoke", token_id, "--json")
    assert (code, json.loads(out)["id"]) == (0, token_id)
    assert await status(served, secret, {"scope": {"user_id": "zoe"}}) == 401
    for wrong in (("--scopes", "memory.all"), ("--expires", "soon"), ("--scopes", ""), ("--expires", "0d")):
        code, out, err = type_(folder, "token", "create", "--user", "zoe", *wrong)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith("mcp-memory: ")


async def test_a_backup_lets_nobody_in(served: Served, tmp_path: Path) -> None:
    await served.token("ann")
    await backup.write(served.config, tmp_path / "b", None, lambda _done, _total: None)
    _, ledger = await backup.open_into(tmp_path / "b", None, tmp_path)
    copy = Ledger(ledger)
    assert await copy.read(tokens.every) == ()
    await copy.close()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--host", "0.0.0.0"), "--allowed-host"),
        (("--host", "0.0.0.0", "--allowed-host", "memory.example.org"), "mcp-memory token create"),
        (("--tls-cert", "none.pem"), "tls_cert and tls_key belong together"),
        (("--tls-cert", "none.pem", "--tls-key", "none.pem"), "remote.tls_cert: none.pem cannot be read"),
        (("--port", "70000"), "command line, --port"),
        (("--host", "256.1.1.1"), "cannot listen on 256.1.1.1"),
    ],
)
def test_what_must_be_set_first_is_said(tmp_path: Path, flags: tuple[str, ...], told: str) -> None:
    if flags == ("--host", "256.1.1.1"):
        flags = (*flags, "--allowed-host", "x")
        code, _, err = type_(tmp_path, "token", "create", "--user", "ann")
        assert code == 0, err
    code, out, err = type_(tmp_path, "serve", *flags)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


async def test_it_serves_https_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    own = own_certificate(tmp_path)
    flags = ("--tls-cert", str(own.chain), "--tls-key", str(own.key))
    async with serving(tmp_path, *flags, verify=own.trusting) as served:
        assert served.base.startswith("https://127.0.0.1:")
        assert await status(served, (await served.token("ann")).secret) == 200


def test_serving_shares_the_memory(tmp_path: Path) -> None:
    code, _, err = type_(tmp_path, "--in-process", "serve")
    assert code == 2
    assert "leave out --in-process" in err


@given(st.integers(1, 1_000), st.lists(st.floats(0, 30), min_size=1, max_size=300))
def test_no_caller_gets_more_than_a_minutes_calls_beyond_what_time_brings(
    per_minute: int, pauses: list[float]
) -> None:
    rates, now, let_in = CallRates(), 0.0, 0
    for pause in pauses:
        now += pause
        wait = rates.count("ann", per_minute, now)
        let_in += wait == 0
        assert wait <= 60 / per_minute + 1e-6
        if wait:
            assert rates.count("ann", per_minute, now + wait + 1e-6) == 0
            now, let_in = now + wait + 1e-6, let_in + 1
        assert rates.count("ben", 1_000, now) == 0 or len(pauses) > 900
    assert let_in <= per_minute + now * per_minute / 60 + 1


def test_a_request_for_a_token_names_scopes_that_exist() -> None:
    with pytest.raises(ValueError, match="permissions"):
        TokenRequest.model_validate({"user_id": "ann", "permissions": []})
