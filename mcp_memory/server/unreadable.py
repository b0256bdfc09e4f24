"""Messages that the transport cannot read: each that asks for an answer gets one.

The SDK reads a line of stdin as JSON and passes on an exception where it cannot, which nobody answers: the
host would wait for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Self, cast

import anyio
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

NOT_JSON = (
    "This message cannot be read as JSON: {reason}. Send it anew, with lists and objects nested no deeper "
    "than 100 and no half of a character pair such as \\ud800."
)
NO_REQUEST = (
    'This message is no JSON-RPC request: it needs "jsonrpc": "2.0", an id that is text or a whole number, a '
    "method that is text, and params, if any, that are an object."
)
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|[\[\]{}]|[^\s"\[\]{},:]+', re.DOTALL)
_COLON = re.compile(r"\s*:")


class AnsweredStream:
    """What comes from a client; what of it cannot be read is answered with an error and not passed on."""

    def __init__(
        self, received: ReadStream[SessionMessage | Exception], answers: WriteStream[SessionMessage]
    ) -> None:
        self._received = received
        self._answers = answers

    async def receive(self) -> SessionMessage | Exception:
        while True:
            item = await self._received.receive()
            if not isinstance(item, ValidationError):
                return item
            if (answer := answer_to(item)) is not None:
                await self._answers.send(SessionMessage(answer))

    async def aclose(self) -> None:
        await self._received.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()


def answer_to(failure: ValidationError) -> JSONRPCError | None:
    """The error to answer an unreadable message with; None for what wants no answer: an empty line, a
    notification, a response."""
    problems = failure.errors(include_url=False)
    if problems[0]["type"] == "json_invalid":
        line = str(problems[0]["input"])
        if not line.strip():
            return None
        reason = str(problems[0].get("ctx", {}).get("error", problems[0]["msg"]))
        return _error(_id_in(line), PARSE_ERROR, NOT_JSON.format(reason=reason))
    # A message is one of several models, and each says what it misses of the whole.
    message = next((one for problem in problems if (one := _object(problem["input"])) is not None), None)
    if message is None:
        return _error(None, INVALID_REQUEST, NO_REQUEST)
    if "id" not in message or ("method" not in message and ("result" in message or "error" in message)):
        return None
    return _error(_request_id(message["id"]), INVALID_REQUEST, NO_REQUEST)


def _object(value: object) -> Mapping[str, object] | None:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else None


def _error(request_id: str | int | None, code: int, sentence: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=sentence))


def _request_id(value: object) -> str | int | None:
    if isinstance(value, str):
        # Half of a character pair cannot be sent back.
        return value if value.isascii() or value == value.encode(errors="replace").decode() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _id_in(line: str) -> str | int | None:
    """The id of a message that is no JSON for the transport, read without descending into it."""
    depth, is_next = 0, False
    for token in _TOKEN.finditer(line):
        word = token.group()
        if is_next:
            try:
                return _request_id(json.loads(word))
            except ValueError:
                return None
        if word in ("{", "["):
            depth += 1
        elif word in ("}", "]"):
            depth -= 1
        else:
            is_next = depth == 1 and word == '"id"' and _COLON.match(line, token.end()) is not None
    return None
