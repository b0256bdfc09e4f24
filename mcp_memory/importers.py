"""Reads conversations from files: JSON Lines, one message a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

from mcp_memory.errors import InvalidInput
from mcp_memory.models import Identifier, NewMessage, parse

BATCH = 64
"""Messages stored in one transaction: few enough to lose little when stopped, enough to be fast."""


class ImportedMessage(NewMessage):
    """A line of the file: a message, and the session it belongs to."""

    session_id: Identifier | None = None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read, by its number from 1, and why."""

    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive messages of one session."""

    session_id: str | None
    messages: tuple[NewMessage, ...]


def read_jsonl(lines: Iterable[bytes]) -> Iterator[ImportedMessage | BadLine]:
    """One message or one complaint a line, in order; empty lines are skipped."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _message(line)
            except InvalidInput as error:
                yield BadLine(number, str(error))


def in_batches(messages: Iterable[ImportedMessage]) -> Iterator[Batch]:
    """The messages in order, in batches that are each of one session."""
    for session_id, of_session in groupby(messages, key=lambda message: message.session_id):
        batch: list[NewMessage] = []
        for message in of_session:
            batch.append(NewMessage.model_construct(**_fields(message)))
            if len(batch) == BATCH:
                yield Batch(session_id, tuple(batch))
                batch = []
        if batch:
            yield Batch(session_id, tuple(batch))


def _message(line: bytes) -> ImportedMessage:
    try:
        value: Any = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidInput("line", "is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput("line", f"is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise InvalidInput("line", 'is not an object; write {"content": "…", "role": "user"}')
    return parse(ImportedMessage, cast(dict[str, Any], value))


def _fields(message: ImportedMessage) -> dict[str, Any]:
    return {name: getattr(message, name) for name in NewMessage.model_fields}
