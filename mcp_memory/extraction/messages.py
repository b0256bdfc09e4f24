"""A connection to a server that speaks Anthropic's Messages API, asked for replies of one form."""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.to_thread
from pydantic import BaseModel, JsonValue

from mcp_memory.config import LlmConfig
from mcp_memory.errors import ExtractionFailed
from mcp_memory.extraction.reply import reply_schema
from mcp_memory.usage import NOTHING_SPENT, Usage

# Imported where it is used: half a second that a start without a model does not have to wait.
if TYPE_CHECKING:
    import anthropic
    from anthropic.types import MessageParam, OutputConfigParam

ANTHROPIC = "https://api.anthropic.com"
KEYRING = ("mcp-memory", "anthropic")
"""Service and name under which `keyring set` stores the key."""
KEYRING_PATIENCE = 5.0
"""Seconds a keyring may take: a locked one waits for a person who is not there."""
NO_KEY = "none"
"""For servers that want no key, of a client that wants one."""
MAX_PAUSE = 86_400.0
"""Seconds: a longer `retry-after` is a mistake, or tomorrow's business."""
_SHOWN_AGAIN = 4_000
"""Characters of a reply that the model is shown when it is asked to mend it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Read(Generic[_T]):
    """What was read of a reply, None for nothing, and what the model should mend, for the model."""

    value: _T | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    usage: Usage
    is_cut: bool


class ModelClient:
    """A connection to the model under [llm]; made when it is first asked, with the key that is found then."""

    def __init__(self, config: LlmConfig) -> None:
        self._config = config
        self._sdk: anthropic.AsyncAnthropic | None = None
        self._is_plain = False
        """Whether the server refused to be told of a schema and is asked without."""

    async def ask(
        self, system: str, content: str, reply: type[BaseModel], read: Callable[[str], Read[_T]]
    ) -> tuple[_T, Usage]:
        """What the model answers, read, and what it cost. A reply that cannot be read, or is cut at the token
        limit, is asked for once more. Raises ExtractionFailed."""
        spent = NOTHING_SPENT
        try:
            said = await self._say(system, [{"role": "user", "content": content}], reply)
            spent += said.usage
            first: Read[_T] = Read(None) if said.is_cut else read(said.text)
            if first.value is not None and not first.problem:
                return first.value, spent
            said = await self._say(system, _asked_again(content, said, first.problem), reply)
            spent += said.usage
            second: Read[_T] = Read(None) if said.is_cut else read(said.text)
            best = first.value if second.value is None else second.value
            if best is None:
                raise self._failed(self._unreadable(said))
        except ExtractionFailed as error:
            error.usage += spent
            raise
        return best, spent

    async def aclose(self) -> None:
        if self._sdk is not None:
            await self._sdk.close()

    async def _say(self, system: str, messages: list[MessageParam], reply: type[BaseModel]) -> _Said:
        message = None if self._is_plain else await self._create(system, messages, reply)
        if message is None:
            # Known for good once it has answered so.
            message = await self._create(system, messages, None)
            self._is_plain = True
        if message is None:
            raise self._failed("the server refused the request; check llm.model", is_final=True)
        said = _said(message)
        if message.stop_reason == "refusal":
            raise self._failed("the model declined to read the passage", usage=said.usage)
        return said

    async def _create(
        self, system: str, messages: list[MessageParam], reply: type[BaseModel] | None
    ) -> _Message | None:
        """One request, to be answered in the form of `reply`, or as the prompt alone says. None when a server
        of another make refuses to be told of the form."""
        import anthropic

        sdk = await self._connected()
        try:
            # The client's own limit is for each piece that is read; a server may dribble.
            with anyio.fail_after(self._config.timeout):
                response = await sdk.messages.with_raw_response.create(
                    model=self._config.model,
                    max_tokens=self._config.max_output_tokens,
                    # The same for every passage: the provider may keep it.
                    system=[{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
                    messages=messages,
                    output_config=anthropic.omit if reply is None else _form(reply),
                    # Small models invent less so. Anthropic's refuse to be told.
                    extra_body={"temperature": 0.0} if reply is not None and self._config.base_url else None,
                )
            return _Message.model_validate_json(await response.read())
        # None of these is kept as a cause: they hold the request, and what a server says may repeat it.
        except (TimeoutError, anthropic.APITimeoutError):
            raise self._failed(
                f"no answer within {self._config.timeout:g} seconds; see llm.timeout"
            ) from None
        except anthropic.APIStatusError as error:
            if reply is not None and self._config.base_url and _may_be_the_form(error):
                return None
            raise self._refused(error) from None
        except anthropic.APIConnectionError:
            raise self._failed(f"the line to {self._place} failed; see llm.base_url") from None
        except (anthropic.AnthropicError, ValueError):
            raise self._failed(f"{self._place} does not answer as the Messages API does") from None

    async def _connected(self) -> anthropic.AsyncAnthropic:
        if self._sdk is None:
            import anthropic

            key, url = await self._key_and_url()
            self._sdk = anthropic.AsyncAnthropic(
                api_key=key,
                base_url=url,
                timeout=self._config.timeout,
                # The ledger tries again, with pauses.
                max_retries=0,
                open_telemetry=False,
            )
            # At DEBUG it writes whole requests, which are what is remembered.
            sdk_logger = logging.getLogger("anthropic")
            sdk_logger.setLevel(max(sdk_logger.level, logging.WARNING))
        return self._sdk

    async def _key_and_url(self) -> tuple[str, str]:
        """The key that belongs to a server, and the server: a key for Anthropic is sent nowhere else, and one
        of the environment where the environment says."""
        configured = self._config.api_key.get_secret_value().strip() if self._config.api_key else ""
        if self._config.base_url:
            key, url = configured or NO_KEY, re.sub(r"(?:/v1(?:/messages)?)?/*$", "", self._config.base_url)
        elif configured:
            key, url = configured, ANTHROPIC
        elif key := os.environ.get("ANTHROPIC_API_KEY", "").strip():
            url = os.environ.get("ANTHROPIC_BASE_URL", "").strip() or ANTHROPIC
        else:
            key, url = await _key_from_keyring(), ANTHROPIC
        if not key:
            raise self._failed(f"there is no key; {_SET_KEY}", is_final=True)
        if not (key.isascii() and key.isprintable()):
            raise self._failed(f"the key has characters that no key has; {_SET_KEY}", is_final=True)
        return key, url

    @property
    def _place(self) -> str:
        return "the server at llm.base_url" if self._config.base_url else "Anthropic's server"

    def _failed(
        self,
        reason: str,
        *,
        retry_after: float | None = None,
        is_final: bool = False,
        usage: Usage = NOTHING_SPENT,
    ) -> ExtractionFailed:
        return ExtractionFailed(
            self._config.model, reason, retry_after=retry_after, is_final=is_final, usage=usage
        )

    def _refused(self, error: anthropic.APIStatusError) -> ExtractionFailed:
        """What a status means and what to do; a server's own words are not repeated."""
        status = error.status_code
        is_server = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        otherwise = "the server failed" if is_server else "the server refused the request; check llm.model"
        return self._failed(
            f"{_reason(error) or otherwise} (HTTP {status})",
            retry_after=_pause(error.response.headers.get("retry-after"), datetime.now(UTC)),
            is_final=not is_server and status not in _PASSING,
        )

    def _unreadable(self, said: _Said) -> str:
        if said.is_cut:
            return (
                f"the reply was cut at {self._config.max_output_tokens} tokens, twice; raise "
                "llm.max_output_tokens"
            )
        return "the reply was no JSON of the form that was asked for, twice; a larger llm.model may do better"


_SET_KEY = (
    "set ANTHROPIC_API_KEY or llm.api_key, or store one with `keyring set mcp-memory anthropic`, and run "
    "`mcp-memory retry`"
)
_TOO_LONG = "the passage is too long for the model"
_REASONS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: f"the key was refused; {_SET_KEY}",
    HTTPStatus.PAYMENT_REQUIRED: "the account has no credit; add some and run `mcp-memory retry`",
    HTTPStatus.FORBIDDEN: f"the key may not use this model; choose another llm.model, or {_SET_KEY}",
    HTTPStatus.NOT_FOUND: "there is no such model or no Messages API; check llm.model and llm.base_url",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _TOO_LONG,
    HTTPStatus.TOO_MANY_REQUESTS: "the provider's limit is reached",
    HTTPStatus.SERVICE_UNAVAILABLE: "the server is not available",
    529: "the provider is overloaded",
}
_PASSING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""Refusals of the moment: the same may be tried again."""


def _reason(error: anthropic.APIStatusError) -> str | None:
    """What went wrong, in our own words, where that can be told."""
    said = str(error.api_message or "").lower()
    is_bad_request = error.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
    if error.type == "billing_error" or (is_bad_request and "credit" in said):
        return _REASONS[HTTPStatus.PAYMENT_REQUIRED]
    if is_bad_request and re.search(r"too long|too many tokens|context (?:size|length|window)", said):
        return _TOO_LONG
    return _REASONS.get(error.status_code)


def _may_be_the_form(error: anthropic.APIStatusError) -> bool:
    is_bad_request = error.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
    return is_bad_request and _reason(error) is None


def _form(reply: type[BaseModel]) -> OutputConfigParam:
    import anthropic

    return {"format": {"type": "json_schema", "schema": anthropic.transform_schema(reply_schema(reply))}}


def _pause(written: str | None, now: datetime) -> float | None:
    """Seconds until a `retry-after`, given in seconds or as a date."""
    if written is None:
        return None
    try:
        seconds = float(written)
    except ValueError:
        try:
            moment = parsedate_to_datetime(written)
        except ValueError:
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (aware - now).total_seconds()
    return min(max(seconds, 0.0), MAX_PAUSE) if math.isfinite(seconds) else None


async def _key_from_keyring() -> str:
    """The stored key; empty when there is none, or no keyring that can be opened now."""
    with anyio.move_on_after(KEYRING_PATIENCE):
        return await anyio.to_thread.run_sync(_stored_key, abandon_on_cancel=True)
    return ""


def _stored_key() -> str:
    import keyring

    try:
        return (keyring.get_password(*KEYRING) or "").strip()
    except Exception:  # noqa: BLE001 - each system's keyring raises errors of its own; then there is no key
        return ""


class _Block(BaseModel):
    """A part of a message: text, or the call of a tool; others are nothing to us."""

    type: str
    text: str = ""
    input: JsonValue = None


class _Tokens(BaseModel):
    """Servers of other makes leave some out."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None

    def usage(self) -> Usage:
        cached = self.cache_read_input_tokens or 0
        read = (self.input_tokens or 0) + (self.cache_creation_input_tokens or 0) + cached
        return Usage(1, read, self.output_tokens or 0, cached)


class _Message(BaseModel):
    """The answer of the Messages API, as far as it is used: the client hands on whatever a server answers."""

    content: list[_Block]
    stop_reason: str | None = None
    usage: _Tokens = _Tokens()


def _said(message: _Message) -> _Said:
    """What a message says: the calls of tools as JSON first, then its text."""
    called = [json.dumps(block.input) for block in message.content if block.type == "tool_use"]
    written = [block.text for block in message.content if block.type == "text"]
    return _Said(
        text="\n".join((*called, *written)),
        usage=message.usage.usage(),
        is_cut=message.stop_reason in ("max_tokens", "model_context_window_exceeded"),
    )


def _asked_again(content: str, said: _Said, problem: str) -> list[MessageParam]:
    if said.is_cut:
        shorter = "Your answer was cut at the limit. Give the most important facts alone, in short words."
        return [{"role": "user", "content": f"{content}\n\n{shorter}"}]
    mend = f"This cannot be used: {problem}. Answer with the whole corrected JSON object and nothing else."
    shown = said.text[:_SHOWN_AGAIN].strip()
    if not shown:
        return [{"role": "user", "content": f"{content}\n\n{mend}"}]
    return [
        {"role": "user", "content": content},
        {"role": "assistant", "content": shown},
        {"role": "user", "content": mend},
    ]
