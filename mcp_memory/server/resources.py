"""Memory as resources: mirrors of what the tools answer, for hosts that attach or watch them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, cast

from mcp_types import (
    Completion,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from mcp_memory import text
from mcp_memory.errors import InvalidInput, NotFound, shown
from mcp_memory.models import EntitiesRequest, Scope
from mcp_memory.server import uris
from mcp_memory.server.handle import MemoryService

PAGE = 50
"""Resources of one page of the list, and memories of one resource."""
COMPLETIONS = 20

_FIXED = (
    Resource(
        uri=uris.PROFILE,
        name="profile",
        title="Profile",
        description="Lasting preferences, how-tos and facts, newest first",
        mime_type="text/markdown",
    ),
    Resource(
        uri=uris.RECENT,
        name="recent",
        title="Recent memories",
        description="What was remembered last, newest first",
        mime_type="text/markdown",
    ),
    Resource(
        uri=uris.STATS,
        name="stats",
        title="Statistics",
        description="How much is remembered",
        mime_type="application/json",
    ),
)
TEMPLATES = ListResourceTemplatesResult(
    resource_templates=[
        ResourceTemplate(
            uri_template=uris.MEMORY + "{id}",
            name="memory",
            title="One memory",
            description="One memory whole: text, history, relations, neighbours",
            mime_type="text/markdown",
        ),
        ResourceTemplate(
            uri_template=uris.ENTITY + "{id}",
            name="entity",
            title="One entity",
            description="A person, place or thing: relations, neighbours, memories",
            mime_type="text/markdown",
        ),
        ResourceTemplate(
            uri_template=uris.SESSION + "{session_id}",
            name="session",
            title="One session",
            description="What was said in a session, in order of time",
            mime_type="text/markdown",
        ),
    ]
)


async def list_resources(memory: MemoryService, scope: Scope, cursor: str | None) -> ListResourcesResult:
    """A page: the fixed ones, then sessions, then memories, latest first. Raises InvalidInput for a bad
    cursor."""
    part, offset = _read_cursor(cursor)
    resources = list(_FIXED) if cursor is None else []
    if part == "sessions":
        sessions = await memory.sessions(scope, limit=PAGE, offset=offset)
        resources += [
            Resource(
                uri=uris.session_uri(one.session_id),
                name=f"session {text.one_line(one.session_id, 60)}",
                description=f"{one.memories} memories, {text.day(one.first)} to {text.day(one.last)}",
                mime_type="text/markdown",
            )
            for one in sessions
        ]
        if len(sessions) == PAGE:
            return ListResourcesResult(resources=resources, next_cursor=_cursor("sessions", offset + PAGE))
        return ListResourcesResult(resources=resources, next_cursor=_cursor("memories", 0))
    memories = await memory.recent(scope, limit=PAGE, offset=offset)
    resources += [
        Resource(
            uri=uris.memory_uri(one.id),
            name=text.one_line(one.text, 60),
            description=f"{one.kind} of {text.day(one.observed_at)}",
            mime_type="text/markdown",
        )
        for one in memories
    ]
    following = _cursor("memories", offset + PAGE) if len(memories) == PAGE else None
    return ListResourcesResult(resources=resources, next_cursor=following)


async def read_resource(memory: MemoryService, scope: Scope, uri: str) -> ReadResourceResult:
    """What a URI shows in this scope. Raises NotFound, alike for what is not there and what is another's."""
    mime_type, content = await _content(memory, scope, uri)
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=mime_type, text=content)])


async def _content(memory: MemoryService, scope: Scope, uri: str) -> tuple[str, str]:
    if uri == uris.PROFILE:
        return "text/markdown", text.profile(await memory.profile(scope))
    if uri == uris.RECENT:
        return "text/markdown", text.memories("Recent memories", await memory.recent(scope, limit=PAGE))
    if uri == uris.STATS:
        return "application/json", (await memory.stats(scope)).model_dump_json(exclude_none=True)
    if (memory_id := uris.named(uri, uris.MEMORY)) is not None:
        return "text/markdown", text.detail(await memory.get(scope, memory_id))
    if (entity_id := uris.named(uri, uris.ENTITY)) is not None:
        found = await memory.entities(scope, EntitiesRequest.model_construct(entity=entity_id))
        return "text/markdown", text.entities(found, 0)
    if (session_id := uris.named(uri, uris.SESSION)) is not None:
        said = await memory.session(scope, session_id)
        return "text/markdown", text.memories(f"Session {text.one_line(session_id, 128)}", said, limit=None)
    raise NotFound(
        f"No resource {shown(uri)}. resources/list and resources/templates/list show those there are."
    )


async def complete(memory: MemoryService, scope: Scope, uri_template: str, prefix: str) -> Completion:
    """Ids that a template's variable may take, by how they begin."""
    match uri_template.partition("{")[0]:
        case uris.MEMORY:
            values: Sequence[str] = await memory.ids(scope, "memories", prefix, COMPLETIONS)
        case uris.ENTITY:
            values = await memory.ids(scope, "entities", prefix, COMPLETIONS)
        case uris.SESSION:
            sessions = await memory.sessions(scope, prefix=prefix, limit=COMPLETIONS)
            values = [one.session_id for one in sessions]
        case _:
            values = []
    return Completion(values=list(values), has_more=len(values) == COMPLETIONS)


def _cursor(part: str, offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([part, offset]).encode()).decode()


def _read_cursor(cursor: str | None) -> tuple[str, int]:
    if cursor is None:
        return "sessions", 0
    try:
        decoded: Any = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, RecursionError):
        decoded = None
    match decoded:
        case ["sessions" | "memories" as part, int(offset)] if 0 <= offset < 2**31:
            return cast(str, part), offset
        case _:
            raise InvalidInput("cursor", "is not one that resources/list answered; begin again without it")
