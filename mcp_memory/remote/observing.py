"""What is seen of a server from outside: lines of log, numbers and spans. Never what is remembered."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import CallToolResult
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from mcp_memory import __version__
from mcp_memory.config import RemoteConfig
from mcp_memory.errors import ConfigError, McpMemoryError, Unavailable, log_crash
from mcp_memory.remote.callers import caller_of
from mcp_memory.routes import failed, failure
from mcp_memory.server.tools import TOOLS

logger = logging.getLogger(__name__)

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names, to the Prometheus library, the folder in which several workers put their numbers together."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

REQUESTS = Counter("mcp_memory_requests", "Requests, by kind of endpoint and status.", ("endpoint", "status"))
CALLS = Histogram("mcp_memory_call_seconds", "Time of a call.", ("call", "outcome"), buckets=BUCKETS)
REFUSED = Counter("mcp_memory_refused", "Requests that a limit has ended.", ("why",))

_TOOLS = frozenset(tool.name for tool in TOOLS)
_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Observed:
    """The outermost layer: gives each request an id, counts it, and says what has gone wrong in a word."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        if connection["type"] != "http":
            return await self._app(connection, receive, send)
        request_id = uuid4().hex
        connection["mcp_memory.request_id"] = request_id
        status = 0
        begun = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(connection, receive, noting)
        except McpMemoryError as error:
            # The memory could not even be asked who is calling.
            logger.error("a request was not answered: %s", error)
            if not status:
                told = error if isinstance(error, Unavailable) else Unavailable()
                await failed(told)(connection, receive, noting)
        except Exception as error:  # noqa: BLE001 - the outermost loop of a request: one crash ends no server
            log_crash(logger, "a request", error)
            if not status:
                sentence = "This server failed; its log says where."
                await failure(500, "McpMemoryError", sentence)(connection, receive, noting)
        finally:
            endpoint = _endpoint(connection["path"])
            REQUESTS.labels(endpoint, str(status)).inc()
            if status >= 400 or endpoint == "api":
                _say(
                    connection,
                    endpoint=_operation(connection["path"]) if endpoint == "api" else endpoint,
                    status=status,
                    ms=round((time.perf_counter() - begun) * 1000, 1),
                )


async def observed_call(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Measures and logs one message of the protocol."""
    if ctx.request is None or ctx.request_id is None:
        return await call_next(ctx)
    call = _named(ctx.method, ctx.params or {})
    begun = time.perf_counter()
    outcome: Literal["done", "refused", "error"] = "error"
    try:
        result = await call_next(ctx)
        match result:
            case CallToolResult(is_error=True) | {"isError": True}:
                outcome = "refused"
            case _:
                outcome = "done"
        return result
    finally:
        seconds = time.perf_counter() - begun
        CALLS.labels(call, outcome).observe(seconds)
        _say(ctx.request.scope, call=call, outcome=outcome, ms=round(seconds * 1000, 1))


def _named(method: str, params: Any) -> str:
    """The tool, or else the method; a name that nobody here gave is not repeated."""
    if method == "tools/call":
        name = params.get("name")
        return name if name in _TOOLS else "tools/call"
    return method if method in _METHODS else "other"


_METHODS = frozenset(
    """initialize ping server/discover tools/list resources/list resources/templates/list resources/read
    resources/subscribe resources/unsubscribe subscriptions/listen prompts/list prompts/get
    completion/complete""".split()
)


def _say(connection: Connection, **what: object) -> None:
    caller = caller_of(connection)
    if caller is None:
        # Whoever keeps strangers out must know where they come from.
        subject = {"client": (connection.get("client") or ("unknown",))[0]}
    else:
        subject = {"token": caller.name, "subject": caller.subject}
    logger.info("request", extra={"request_id": connection["mcp_memory.request_id"], **subject, **what})


def _endpoint(path: str) -> str:
    first = path.split("/", 2)[1] if "/" in path else ""
    known = {"mcp", "sse", "messages", "healthz", "readyz", "metrics"}
    return "api" if first == "v1" else first if first in known else "other"


def _operation(path: str) -> str:
    from mcp_memory import api

    return next((one.name for one in api.REMOTE if one.path == path), "other")


async def metrics() -> Response:
    """The numbers of all workers, in the text that Prometheus reads."""
    registry: CollectorRegistry = REGISTRY
    if METRICS_FOLDER in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def log_to_stderr(remote: RemoteConfig, level: str) -> None:
    """A line per call on stderr, whatever the level; of other libraries only errors, for their lower levels
    repeat arguments."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Objects() if remote.log_format == "json" else _Lines())
    logging.basicConfig(handlers=[handler], level=logging.ERROR, force=True)
    logging.getLogger("mcp_memory").setLevel(level)
    logger.setLevel(logging.INFO)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _RECORD}


class _Objects(logging.Formatter):
    """A JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            said["error"] = record.exc_info[0].__name__
        return json.dumps(said, ensure_ascii=False, default=str)


class _Lines(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items())
        error = f" ({record.exc_info[0].__name__})" if record.exc_info and record.exc_info[0] else ""
        return f"{at} {record.levelname} {record.getMessage()}{extra}{error}"


def send_spans(endpoint: str) -> Callable[[], None]:
    """Send the spans that the SDK makes of each message; what is answered sends what is left. Raises
    ConfigError."""
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        problem = 'needs more packages: pip install "mcp-memory-layer[telemetry]"'
        raise ConfigError("settings", "remote.telemetry_endpoint", problem) from error
    named = Resource.create({"service.name": "mcp-memory", "service.version": __version__})
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    return provider.shutdown
