"""The addresses of memory resources. Ids are percent-encoded whole: a session may be called anything."""

from __future__ import annotations

from urllib.parse import quote, unquote

PROFILE = "memory://profile"
RECENT = "memory://recent"
STATS = "memory://stats"
MEMORY = "memory://memories/"
ENTITY = "memory://entities/"
SESSION = "memory://sessions/"


def memory_uri(memory_id: str) -> str:
    return MEMORY + quote(memory_id, safe="")


def entity_uri(entity_id: str) -> str:
    return ENTITY + quote(entity_id, safe="")


def session_uri(session_id: str) -> str:
    return SESSION + quote(session_id, safe="")


def named(uri: str, prefix: str) -> str | None:
    """The id in a URI of that kind, or None if it is of another."""
    rest = uri.removeprefix(prefix)
    return unquote(rest) if rest != uri and rest and "/" not in rest else None
