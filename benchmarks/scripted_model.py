"""A language model that says what it is told to: a real server on loopback, spoken to by the real client.

    with ScriptedModel(lambda request: Reply({"facts": []})) as model:
        config = {"llm": {"base_url": model.url}, "extraction": {"provider": "anthropic"}}
        ...
        assert len(model.requests) == 1

It answers POST /v1/messages in the shape of the Anthropic Messages API, not streamed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self, cast

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]
Request = dict[str, Any]
"""The JSON body of one request."""

MAX_REQUEST_BYTES = 16 * 1024 * 1024
MAX_REQUESTS = 10_000
"""Requests one server answers; a loop that never ends is refused."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says, and how well the line carries it."""

    content: str | Mapping[str, Any] | Sequence[Any] = ""
    """Text as it is; anything else as JSON."""
    tool: str | None = None
    """The name of a tool that `content` is the input of, instead of text."""
    stop_reason: StopReason = "end_turn"
    input_tokens: int | None = None
    output_tokens: int | None = None
    """None: one for every four characters."""
    cache_read: int = 0
    cache_written: int = 0
    keep: int | None = None
    """Characters of the text that are said; the rest is cut as at the token limit."""
    raw: bytes | None = None
    """A body that is sent instead, whatever it is."""
    is_dropped: bool = False
    """The line drops in the middle of the body."""
    hang: float = 0.0
    """Seconds before it says anything; the end of the server ends the waiting."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the service says instead of the model."""

    status: int
    message: str = "no"
    type: str = "api_error"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """As {"retry-after": "7"}."""


Answer = Callable[[Request], Reply | Failure]


class ScriptedModel:
    """The server; it runs in a thread of its own while the context is open.

    `answer` is called in the order in which requests come, one at a time, and its result depends on the
    request alone or on what it remembers itself. What it raises is raised when the context ends.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._requests: list[Request] = []
        self._headers: list[dict[str, str]] = []
        self._crash: Exception | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.model = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """What goes into `llm.base_url`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """What was asked so far, in order."""
        with self._lock:
            return tuple(self._requests)

    @property
    def headers(self) -> tuple[dict[str, str], ...]:
        """The headers of every request, their names in small letters."""
        with self._lock:
            return tuple(self._headers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        if self._crash is not None and error is None:
            raise self._crash

    def answer(self, request: Request, headers: dict[str, str]) -> Reply | Failure:
        """For the server's threads."""
        with self._lock:
            if len(self._requests) >= MAX_REQUESTS:
                return Failure(HTTPStatus.TOO_MANY_REQUESTS, f"more than {MAX_REQUESTS} requests")
            self._requests.append(request)
            self._headers.append(headers)
            try:
                return self._answer(request)
            except Exception as crash:  # noqa: BLE001 - raised again in the test's own thread
                self._crash = self._crash or crash
                return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, "the script crashed")

    def wait(self, seconds: float) -> None:
        """For the server's threads: until then, or until the server ends."""
        self._ended.wait(seconds)


def in_turn(*answers: Reply | Failure) -> Answer:
    """One answer after another; the last stays."""
    rest = list(answers)
    return lambda _: rest.pop(0) if len(rest) > 1 else rest[0]


def asked(request: Request) -> str:
    """The text of all messages of a request, without the system's."""
    return "\n".join(_text(message["content"]) for message in request["messages"])


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text", "")) for block in content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A thread that hangs is woken by the event, and a client that keeps its line open must not hold the end.
    block_on_close = False
    model: ScriptedModel

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the script."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] - the only server it is given to

    def do_POST(self) -> None:
        if self.path.split("?")[0].rstrip("/") != "/v1/messages":
            self._send(HTTPStatus.NOT_FOUND, _failure(Failure(404, "no such path", "not_found_error")))
            return
        size = int(self.headers.get("content-length", 0))
        if size > MAX_REQUEST_BYTES:
            self.close_connection = True
            self._send(413, _failure(Failure(413, "too large", "request_too_large")))
            return
        request = cast("Request", json.loads(self.rfile.read(size)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        match self.server.model.answer(request, headers):
            case Failure() as failure:
                self._send(failure.status, _failure(failure), failure.headers)
            case reply:
                self.server.model.wait(reply.hang)
                body = reply.raw if reply.raw is not None else _message(request, reply)
                self._send(HTTPStatus.OK, body, is_dropped=reply.is_dropped)

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, is_dropped: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if is_dropped else body)
        self.close_connection = self.close_connection or is_dropped

    def log_message(self, format: str, *args: Any) -> None:
        """stderr belongs to the tests."""


def _failure(failure: Failure) -> bytes:
    error = {"type": failure.type, "message": failure.message}
    return json.dumps({"type": "error", "error": error, "request_id": "req_scripted"}).encode()


def _message(request: Request, reply: Reply) -> bytes:
    content = reply.content
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    text = text[: reply.keep]
    block: dict[str, Any] = {"type": "text", "text": text}
    if reply.tool is not None:
        block = {"type": "tool_use", "id": "toolu_scripted", "name": reply.tool, "input": content}
    is_cut = reply.keep is not None
    usage = {
        "input_tokens": _tokens(asked(request)) if reply.input_tokens is None else reply.input_tokens,
        "output_tokens": _tokens(text) if reply.output_tokens is None else reply.output_tokens,
        "cache_read_input_tokens": reply.cache_read,
        "cache_creation_input_tokens": reply.cache_written,
    }
    message = {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", ""),
        "content": [block],
        "stop_reason": "max_tokens" if is_cut else reply.stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }
    return json.dumps(message).encode()


def _tokens(text: str) -> int:
    return (len(text) + 3) // 4
