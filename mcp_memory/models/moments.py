"""Points in time: read from ISO 8601, kept in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from mcp_memory.errors import shown

FUTURE_TOLERANCE = timedelta(days=1)
"""How far ahead of our clock a time of saying may lie: clocks differ, and so do days around the globe."""


def parse_moment(value: object, *, end_of_day: bool = False) -> datetime:
    """A point in time from ISO 8601 text, in UTC.

    A time of day needs its offset; a date alone means that day in UTC, its first instant or, with
    `end_of_day`, its last. Raises ValueError with a sentence for a person.
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time.max if end_of_day else time.min, UTC)
    elif isinstance(value, str):
        text = value.strip()
        try:
            if len(text) == len("2026-01-31"):
                day = date.fromisoformat(text)
                return datetime.combine(day, time.max if end_of_day else time.min, UTC)
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(
                f"{shown(text)} is not a possible time; write ISO 8601 such as 2026-03-02T14:05:00+01:00"
            ) from error
    else:
        raise ValueError("is not a time; write ISO 8601 text such as 2026-03-02T14:05:00Z")
    if moment.tzinfo is None:
        raise ValueError(
            f"{shown(str(value))} says no time zone; end it with Z for UTC or an offset such as +02:00"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{shown(str(value))} lies outside the years 1 to 9999") from error


def iso(moment: datetime) -> str:
    """UTC, to the second unless it has a fraction: `2026-03-02T14:05:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def check_range(first: datetime | None, last: datetime | None, first_name: str, last_name: str) -> None:
    if first is not None and last is not None and first > last:
        raise ValueError(
            f"{first_name} ({iso(first)}) is later than {last_name} ({iso(last)}); swap or correct them"
        )


def _moment(value: object) -> object:
    return None if value is None else parse_moment(value)


def _local_moment(value: object) -> object:
    if value is None:
        return None
    moment = parse_moment(value)
    told = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    zone = told.tzinfo if isinstance(told, datetime) else None
    return moment.astimezone(zone or UTC)


def _moment_until(value: object) -> object:
    return None if value is None else parse_moment(value, end_of_day=True)


def _observed(value: datetime) -> datetime:
    if value > datetime.now(UTC) + FUTURE_TOLERANCE:
        raise ValueError(
            f"{iso(value)} lies in the future; it is when this was said (for a plan's date use valid_from)"
        )
    return value


_as_iso = PlainSerializer(iso, return_type=str, when_used="json-unless-none")
Moment = Annotated[datetime, BeforeValidator(_moment), _as_iso]
"""A point in time, UTC; text is parsed by `parse_moment`."""
MomentUntil = Annotated[datetime, BeforeValidator(_moment_until), _as_iso]
"""The same, as the inclusive end of a range: a date alone means the end of that day."""
ObservedAt = Annotated[datetime, AfterValidator(_observed), BeforeValidator(_moment), _as_iso]
"""When something was said: not in the future."""
LocalMoment = Annotated[
    datetime,
    BeforeValidator(_local_moment),
    PlainSerializer(datetime.isoformat, return_type=str, when_used="json-unless-none"),
]
"""A point in time that keeps its offset, which says whose day it is."""
