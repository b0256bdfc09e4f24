"""What of all that was found goes into an answer: packed best first into its size, and continued by a
cursor."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import TypeVar

from mcp_memory import text
from mcp_memory.errors import InvalidInput
from mcp_memory.models import Change, Detail, Hit, Memory, Scope, SearchRequest, SearchResult, name_key

HEAD_TOKENS = 35
"""Room for the sentence above the hits, and for what they add to the cursor in it."""
CHANGES_SHARE = 0.6
"""Of an answer, at most, for what changed, when that was asked for."""
STANDING_SHARE = 0.2
"""Of an answer, at most, for what holds whatever is asked."""
DEGRADED_SHARE = 0.3
"""Of an answer, at most, for what could not be done."""
NEAREST = 10
"""Hits that an answer shows when nothing answers the query: to look at, not to be read as an answer."""
SMALLEST_LINE = 12
"""Tokens of the shortest line there is: how many hits a size can hold at most."""
SHORTEST = 20
"""Characters of a text that is cut, at least."""
DIGEST_BYTES = 8
"""Of a question in its cursor: enough to notice another one."""

_WORD = re.compile(r"[^\W_]+")


def most_hits(limit: int, max_tokens: int) -> int:
    """How many hits an answer of this size may need."""
    return min(limit, max_tokens // SMALLEST_LINE)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the pages before have shown: how many hits, and the numbers (seq) of all memories in them. An
    answer that goes on leaves those out, whatever was remembered or forgotten in between."""

    hits: int = 0
    numbers: frozenset[int] = frozenset()


def pack(
    hits: Iterable[Hit],
    standing: Iterable[Memory],
    changes: Sequence[Change],
    *,
    known: bool,
    detail: Detail,
    total: int,
    before: Shown,
    max_tokens: int,
    passed_over: int,
    cursor: Callable[[int, Sequence[Memory]], str],
    degraded: Sequence[str],
) -> SearchResult:
    """As many hits as fit, best first, and at least one; before them what of `standing` fits its share, and
    is then no hit besides.

    `hits` are what is left of `total` candidates without the `passed_over` that `before` has shown, and no
    more of them are made than are looked at; `cursor` says where the next page begins once so many hits, and
    all these memories, have been shown too.
    """
    is_whole = detail == "full"
    degraded = _cut_sentences(degraded, int(max_tokens * DEGRADED_SHARE))
    room = max_tokens - HEAD_TOKENS - text.tokens(cursor(0, ())) - text.tokens(text.degraded_lines(degraded))
    told, cost = _that_fit(
        changes,
        lambda one, whole: text.tokens("\n".join(text.change_lines(one, whole))),
        _cut_change,
        int(max_tokens * CHANGES_SHARE),
        is_whole=is_whole,
    )
    room -= cost
    always, cost = _that_fit(
        standing,
        lambda one, whole: text.tokens(text.standing_line(one, whole)),
        text.cut,
        min(room, int(max_tokens * STANDING_SHARE)),
        is_whole=is_whole,
    )
    room -= cost
    standing_ids = {memory.id for memory in always}
    chosen: list[Hit] = []
    groups: set[str] = set()
    met: list[Memory] = []
    """All that need not be met again: hits, and those that are shown as standing."""
    upto: list[int] = []
    """How many of these each hit ends."""
    for hit in islice(hits, None if known else NEAREST):
        if hit.memory.id in standing_ids:
            met.append(hit.memory)
            continue
        if hit.later is not None and any(one.memory.id == hit.later.memory.id for one in chosen):
            hit = hit.model_copy(update={"later": hit.later.model_copy(update={"is_hit": True})})  # noqa: PLW2901 - the same, told shorter
        cost = text.tokens("\n".join(text.hit_lines(before.hits + len(chosen) + 1, hit, is_whole)))
        group = text.group(hit)
        cost += 0 if group in groups else text.tokens(text.group_line(hit))
        if cost > room and chosen:
            break
        if cost > room:
            # Rather the whole of it without what stands beside it than a part of both.
            hit = hit.model_copy(update={"conflicts": (), "followed": hit.followed[:1], "later": None})  # noqa: PLW2901 - less of it
            lines = text.hit_lines(before.hits + 1, hit, is_whole)
            cost = text.tokens("\n".join(lines)) + text.tokens(text.group_line(hit))
        chosen.append(hit)
        met.append(hit.memory)
        upto.append(len(met))
        groups.add(group)
        room -= cost

    def packed() -> SearchResult:
        over = met if not upto else met[: upto[len(chosen) - 1]]
        left_out = max(total - passed_over - len(over), 0)
        goes_on = cursor(len(chosen), [*over, *always]) if left_out and known and over else None
        return sized(
            SearchResult(
                hits=tuple(chosen),
                first=before.hits + 1,
                known=known,
                detail=detail,
                total=total,
                left_out=left_out,
                cursor=goes_on,
                standing=tuple(always),
                changes=tuple(sorted(told, key=lambda one: one.at, reverse=True)),
                changes_left_out=len(changes) - len(told),
                degraded=tuple(degraded),
            )
        )

    while (over := (result := packed()).tokens - max_tokens) > 0 and chosen:
        # Costs are added up by lines; a long cursor, or one text larger than all, is more than was reckoned.
        if len(chosen) > 1:
            chosen.pop()
        elif (smaller := _smaller(chosen[0], over)) is not None:
            chosen[0] = smaller
        else:
            break
    return result


def _cut_change(change: Change) -> Change:
    earlier = None if change.earlier is None else text.cut(change.earlier)
    return change.model_copy(update={"memory": text.cut(change.memory), "earlier": earlier})


_Told = TypeVar("_Told")


def _that_fit(
    things: Iterable[_Told],
    cost: Callable[[_Told, bool], int],
    cut: Callable[[_Told], _Told],
    room: int,
    *,
    is_whole: bool,
) -> tuple[list[_Told], int]:
    """Those whose lines fit, each in turn, cut where they do not fit whole; and what they cost."""
    fitting: list[_Told] = []
    spent = 0
    for one in things:
        shown = one
        if is_whole and spent + cost(one, True) > room:
            shown = cut(one)
        price = cost(shown, is_whole)
        if spent + price <= room:
            fitting.append(shown)
            spent += price
    # The line above them.
    return fitting, spent + (text.tokens(text.STANDING_TITLE) if fitting else 0)


def _cut_sentences(sentences: Sequence[str], room: int) -> tuple[str, ...]:
    """Each as long as its share of the room lets it be."""
    if text.tokens(text.degraded_lines(sentences)) <= room:
        return tuple(sentences)
    share = max(room * text.CHARACTERS_PER_TOKEN // len(sentences) - len(text.degraded_lines(("",))), 20)
    return tuple(one if len(one) <= share else f"{one[: share - 1].rstrip()}…" for one in sentences)


def _smaller(hit: Hit, over: int) -> Hit | None:
    """A hit that is `over` tokens shorter, as far as it can be; None for one that cannot."""
    if hit.conflicts or hit.followed or hit.later:
        return hit.model_copy(update={"conflicts": (), "followed": (), "later": None})
    characters = max(len(hit.shown) - over * text.CHARACTERS_PER_TOKEN - 1, SHORTEST)
    if characters >= len(hit.shown) - 1:
        return None
    return hit.model_copy(update={"shown": f"{hit.shown[:characters].rstrip()}…"})


def sized(result: SearchResult) -> SearchResult:
    """With the size of the answer as it will be read."""
    return result.model_copy(update={"tokens": text.tokens(text.searched(result))})


def with_neighbours(
    result: SearchResult, beside: dict[str, tuple[Memory, ...]], max_tokens: int
) -> SearchResult:
    """Each hit with the turns beside it, best first, as far as they fit; none is shown twice."""
    is_whole = result.detail == "full"
    room = max_tokens - result.tokens
    seen = {one.memory.id for one in result.hits} | {one.id for one in result.standing}
    seen |= {one.later.memory.id for one in result.hits if one.later is not None}
    hits: list[Hit] = []
    for hit in result.hits:
        joined: list[Memory] = []
        for one in beside.get(hit.memory.id, ()):
            fits = text.tokens(text.neighbour_line(one, is_whole)) <= room
            neighbour = one if fits else text.cut(one)
            cost = text.tokens(text.neighbour_line(neighbour, is_whole))
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


def make_cursor(scope: Scope, request: SearchRequest, shown: Shown) -> str:
    """What the next page is to leave out, and of which question."""
    # Numbers in order, each as its distance from the one before: mostly one byte or two.
    numbers = sorted(shown.numbers)
    steps = [number - last for last, number in pairwise((0, *numbers))]
    body = _digest(scope, request) + b"".join(map(_packed, (shown.hits, *steps)))
    return base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4) + body).decode().rstrip("=")


def read_cursor(scope: Scope, request: SearchRequest) -> Shown:
    """What was shown before. Raises InvalidInput for a cursor of another question, or none of ours."""
    if request.cursor is None:
        return Shown()
    try:
        raw = base64.urlsafe_b64decode(request.cursor + "=" * (-len(request.cursor) % 4))
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != request.cursor:
            raise ValueError(request.cursor)
        body = raw[4:]
        if zlib.crc32(body).to_bytes(4) != raw[:4]:
            raise ValueError(request.cursor)
        hits, *steps = _unpacked(body[DIGEST_BYTES:])
    except ValueError as error:
        raise InvalidInput("cursor", "is none that a search has answered; search without it") from error
    if body[:DIGEST_BYTES] != _digest(scope, request):
        raise InvalidInput(
            "cursor", "belongs to another question; ask the same again with it, or search without it"
        )
    return Shown(hits, frozenset(accumulate(steps)))


def _packed(number: int) -> bytes:
    """A whole number in as many bytes as it needs, seven bits in each, the lowest first."""
    packed = bytearray()
    while number > 0x7F:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)
    return bytes(packed)


def _unpacked(packed: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0


def _digest(scope: Scope, request: SearchRequest) -> bytes:
    # Another page may be larger or shorter, and more or less explained.
    asked = request.model_dump_json(exclude={"cursor", "limit", "max_tokens", "detail", "explain"})
    return hashlib.sha256(f"{scope.model_dump_json()}{asked}".encode()).digest()[:DIGEST_BYTES]
