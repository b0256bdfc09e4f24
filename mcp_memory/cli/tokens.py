"""Commands about the tokens of remote callers: create, list, revoke."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import BaseModel

from mcp_memory.cli.command import AsJson, app, print_result, with_memory
from mcp_memory.errors import InvalidInput, shown
from mcp_memory.models import DEFAULT_PERMISSIONS, Token, TokenRequest, iso, parse

_tokens = typer.Typer(
    help="Let remote callers in, and out: who may use `mcp-memory serve`.",
    epilog="Example: mcp-memory token create --user ann --expires 90d",
    rich_markup_mode=None,
)
app.add_typer(_tokens, name="token")

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
NEVER = "never"


@_tokens.command("create", epilog="Example: mcp-memory token create --user ann --scopes memory.read")
def create(
    context: typer.Context,
    user: Annotated[str, typer.Option(help="Whose memory it opens.")],
    agent: Annotated[str | None, typer.Option(help="The agent whose memory is joined.")] = None,
    scopes: Annotated[
        str, typer.Option(help="memory.read, memory.write, memory.forget, memory.admin; by commas.")
    ] = ",".join(DEFAULT_PERMISSIONS),
    expires: Annotated[str, typer.Option(help="12h, 90d, 52w, or never.")] = "90d",
    as_json: AsJson = False,
) -> None:
    """Make a token, shown this once: only a digest of it is kept."""
    request = parse(
        TokenRequest,
        {
            "user_id": user,
            "agent_id": agent,
            "permissions": tuple(dict.fromkeys(filter(None, re.split(r"[\s,]+", scopes)))),
            "expires_at": _moment(expires),
        },
    )
    made = with_memory(context, lambda memory, _: memory.create_token(request))
    until = "for ever" if made.expires_at is None else f"until {iso(made.expires_at)}"
    told = f"{made.id} opens the memory of {shown(made.user_id)}, {until}. It is shown this once:"
    print_result(made, as_json, lambda: [told, made.secret])


@_tokens.command("list", epilog="Example: mcp-memory token list")
def list_tokens(context: typer.Context, as_json: AsJson = False) -> None:
    """List tokens: whose they are, what they may do, until when. Never themselves."""
    tokens = with_memory(context, lambda memory, _: memory.tokens())
    print_result(
        TokenList(tokens=tokens), as_json, lambda: list(map(_line, tokens)) or ["There are no tokens."]
    )


@_tokens.command("revoke", epilog="Example: mcp-memory token revoke t_0123456789abc")
def revoke(
    context: typer.Context,
    token_id: Annotated[str, typer.Argument(help="As `token list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Let a token in no more, at once."""
    token = with_memory(context, lambda memory, _: memory.revoke_token(token_id))
    print_result(token, as_json, lambda: [_line(token)])


class TokenList(BaseModel):
    tokens: tuple[Token, ...]


def _line(token: Token) -> str:
    agent = "" if token.agent_id is None else f" with agent {shown(token.agent_id)}"
    if token.revoked_at is not None:
        until = f"revoked {iso(token.revoked_at)}"
    elif token.expires_at is None:
        until = "for ever"
    else:
        until = f"{'until' if token.is_good(datetime.now(UTC)) else 'expired'} {iso(token.expires_at)}"
    return f"{token.id} {shown(token.user_id)}{agent}: {', '.join(token.permissions)}; {until}"


def _moment(expires: str) -> str | None:
    """When that much time has gone by from now; None for never."""
    if expires == NEVER:
        return None
    found = re.fullmatch(r"(\d{1,5})([hdw])", expires)
    if found is None:
        raise InvalidInput("expires", f"{shown(expires)} is no time; give 12h, 90d, 52w or never")
    return (datetime.now(UTC) + int(found[1]) * UNITS[found[2]]).isoformat()
