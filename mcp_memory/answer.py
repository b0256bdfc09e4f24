"""What of all that was found goes into an answer: packed best first into its size, and continued by a
cursor."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from mcp_memory import text
from mcp_memory.errors import InvalidInput
from mcp_memory.models import Change, Hit, Memory, Scope, SearchRequest, SearchResult, name_key

_Shown = TypeVar("_Shown")

HEAD_TOKENS = 45
"""Room for the sentence above the hits."""
CHANGES_SHARE = 0.6
"""Of an answer, at most, for what began and ended, when that was asked for."""
STANDING_SHARE = 0.2
"""Of an answer, at most, for what holds whatever is asked."""
NEAREST = 10
"""Hits that an answer shows when nothing answers the query: to look at, not to be read as an answer."""
SMALLEST_LINE = 12
"""Tokens of the shortest line there is: how many hits a size can hold at most."""

_WORD = re.compile(r"[^\W_]+")


def most_hits(limit: int, max_tokens: int) -> int:
    """How many hits an answer of this size may need."""
    return min(limit, max_tokens // SMALLEST_LINE)


def pack(
    hits: Iterable[Hit],
    standing: Iterable[Memory],
    changes: Sequence[Change],
    *,
    known: bool,
    total: int,
    offset: int,
    max_tokens: int,
    cursor: Callable[[int], str],
    degraded: Sequence[str],
) -> SearchResult:
    """As many hits as fit, best first, and at least one; before them what of `standing` fits its share, and
    is then no hit besides.

    `hits` begin at `offset` of `total`, and no more of them are made than are looked at; `cursor` says where
    the next page begins after so many hits.
    """
    room = max_tokens - HEAD_TOKENS - sum(text.tokens(f"Partly answered: {one}") for one in degraded)
    told, cost = _that_fit(changes, text.change_line, int(max_tokens * CHANGES_SHARE))
    room -= cost
    always, cost = _that_fit(standing, text.standing_line, min(room, int(max_tokens * STANDING_SHARE)))
    # Later pages leave out what the first one has shown.
    room -= 0 if offset else cost
    standing_ids = {memory.id for memory in always}
    chosen: list[Hit] = []
    groups: set[str] = set()
    seen = 0
    for hit in islice(hits, None if known else NEAREST):
        if hit.memory.id in standing_ids:
            seen += 1
            continue
        cost = text.tokens("\n".join(text.hit_lines(len(chosen) + 1, hit)))
        group = text.group(hit)
        cost += 0 if group in groups else text.tokens(text.group_line(hit))
        if cost > room and chosen:
            break
        if cost > room:
            # Rather the whole of it without its contradiction than a part of both.
            hit = hit.model_copy(update={"conflicts": ()})  # noqa: PLW2901 - the same, but less of it
            cost = text.tokens("\n".join(text.hit_lines(1, hit))) + text.tokens(text.group_line(hit))
        chosen.append(hit if cost <= room else _cut(hit, room))
        groups.add(group)
        seen += 1
        room -= cost
    left_out = max(total - offset - seen, 0)
    result = SearchResult(
        hits=tuple(chosen),
        known=known,
        total=total,
        left_out=left_out,
        cursor=cursor(seen) if left_out and known else None,
        standing=() if offset else tuple(always),
        changes=tuple(told),
        degraded=tuple(degraded),
    )
    return sized(result)


def _that_fit(things: Iterable[_Shown], line: Callable[[_Shown], str], room: int) -> tuple[list[_Shown], int]:
    """Those whose lines fit, each in turn; and what they cost."""
    fitting: list[_Shown] = []
    spent = 0
    for one in things:
        cost = text.tokens(line(one))
        if spent + cost <= room:
            fitting.append(one)
            spent += cost
    return fitting, spent


def sized(result: SearchResult) -> SearchResult:
    """With the size of the answer as it will be read."""
    return result.model_copy(update={"tokens": text.tokens(text.searched(result))})


def with_neighbours(
    result: SearchResult, beside: dict[str, tuple[Memory, ...]], max_tokens: int
) -> SearchResult:
    """Each hit with the turns beside it, best first, as far as they fit; none is shown twice."""
    room = max_tokens - result.tokens
    seen = {one.memory.id for one in result.hits} | {one.id for one in result.standing}
    hits: list[Hit] = []
    for hit in result.hits:
        joined: list[Memory] = []
        for neighbour in beside.get(hit.memory.id, ()):
            cost = text.tokens(text.neighbour_line(neighbour))
            if neighbour.id not in seen and cost <= room:
                joined.append(neighbour)
                seen.add(neighbour.id)
                room -= cost
        hits.append(hit.model_copy(update={"neighbours": tuple(joined)}) if joined else hit)
    return sized(result.model_copy(update={"hits": tuple(hits)}))


def words_key(memory: Memory) -> str:
    """Equal for two memories in which the same one says the same words: a restatement."""
    words = _WORD.findall(name_key(memory.text))
    return f"{memory.speaker or memory.role or ''}\x1f{' '.join(words)}"


def _cut(hit: Hit, room: int) -> Hit:
    fixed = text.tokens("\n".join(text.hit_lines(1, hit.model_copy(update={"shown": ""}))))
    characters = max((room - fixed - text.tokens(text.group_line(hit))) * text.CHARACTERS_PER_TOKEN, 20)
    return hit.model_copy(update={"shown": hit.shown[: characters - 1].rstrip() + "…", "conflicts": ()})


def make_cursor(scope: Scope, request: SearchRequest, offset: int) -> str:
    """Where the next page begins, and of which question."""
    body = f"{offset}.{_digest(scope, request)}"
    return base64.urlsafe_b64encode(f"{body}.{zlib.crc32(body.encode()):08x}".encode()).decode().rstrip("=")


def read_cursor(scope: Scope, request: SearchRequest) -> int:
    """How many hits were shown before. Raises InvalidInput for a cursor of another question, or none of
    ours."""
    if request.cursor is None:
        return 0
    try:
        padded = request.cursor + "=" * (-len(request.cursor) % 4)
        body, _, check = base64.urlsafe_b64decode(padded.encode()).decode().rpartition(".")
        offset, _, digest = body.partition(".")
        if f"{zlib.crc32(body.encode()):08x}" != check:
            raise ValueError(check)
        place = int(offset)
    except ValueError as error:
        raise InvalidInput("cursor", "is none that a search has answered; search without it") from error
    if digest != _digest(scope, request):
        raise InvalidInput(
            "cursor", "belongs to another question; ask the same again with it, or search without it"
        )
    return place


def _digest(scope: Scope, request: SearchRequest) -> str:
    # Another page may be larger or shorter, and more or less explained.
    asked = request.model_dump_json(exclude={"cursor", "limit", "max_tokens", "detail", "explain"})
    return hashlib.sha256(f"{scope.model_dump_json()}{asked}".encode()).hexdigest()[:16]
