"""Operations as HTTP endpoints: a body by its type in, an answer or a failure by its name out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from mcp_memory.api import Failure, Operation
from mcp_memory.errors import (
    ConfigError,
    EmbeddingError,
    InvalidInput,
    McpMemoryError,
    NoModel,
    NotFound,
    NotPermitted,
    OwnerError,
    StoreError,
    TooMuch,
    Unavailable,
    log_crash,
)
from mcp_memory.models import invalid_input

logger = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[McpMemoryError], int], ...] = (
    (InvalidInput, 422),
    (NotFound, 404),
    (NotPermitted, 403),
    (TooMuch, 413),
    (ConfigError, 400),
    (NoModel, 400),
    (StoreError, 507),
    (OwnerError, 503),
    (Unavailable, 503),
    (EmbeddingError, 502),
    (McpMemoryError, 500),
)


async def answered(
    body: bytes, operation: Operation[Any], ask: Callable[[BaseModel], Awaitable[Any]]
) -> Response:
    """What `ask` makes of the body of a request, whatever it raises."""
    try:
        answer = await ask(operation.body.model_validate_json(body))
    except ValidationError as error:
        return failure(422, "InvalidInput", str(invalid_input(error, operation.body)))
    except McpMemoryError as error:
        return failed(error)
    except Exception as error:  # noqa: BLE001 - the outermost loop of a call: one crash ends no process
        log_crash(logger, operation.name, error)
        return failure(
            500,
            "McpMemoryError",
            f"{operation.name} failed inside the memory's process; owner.log in the data folder says where.",
        )
    return Response(operation.answer.dump_json(answer), media_type="application/json")


def arguments_of(body: BaseModel) -> dict[str, Any]:
    """What an operation is asked with, by name."""
    return {name: getattr(body, name) for name in type(body).model_fields}


def failed(error: McpMemoryError) -> Response:
    """Our errors as HTTP's."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return failure(status, type(error).__name__, str(error))


def failure(status: int, error: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """A sentence, and the class of the error it comes from."""
    return JSONResponse(Failure(error=error, message=message).model_dump(), status, headers)
