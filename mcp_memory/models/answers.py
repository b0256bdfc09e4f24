"""What a memory answers: what was stored, what was found, one memory whole, and what is known of the user."""

from __future__ import annotations

from typing import Literal

from mcp_memory.models.entities import EntityRef, Relation
from mcp_memory.models.memories import Memory, Succession
from mcp_memory.models.moments import Moment
from mcp_memory.models.values import Confidence, Detail, Signal, Value

AddStatus = Literal["stored", "duplicate", "restored"]


class Added(Value):
    """One memory of an add: `stored`, or `duplicate` with the id of the one we have, or `restored` if that
    was forgotten or expired and not erased yet."""

    id: str
    status: AddStatus


class AddResult(Value):
    memories: tuple[Added, ...]
    entities: tuple[EntityRef, ...] = ()
    """What the memories mention."""
    facts: tuple[Memory, ...] = ()
    """What was drawn from them, as far as that is done."""
    ended: tuple[Succession, ...] = ()
    """What holds no longer, since these say otherwise."""
    waiting: bool = False
    """Whether facts are still to be drawn from them."""
    notes: tuple[str, ...] = ()
    """What was changed before anything was stored."""
    degraded: tuple[str, ...] = ()


class SignalScore(Value):
    """Where one signal ranked a hit: `rank` from 1, `score` normalised to 0–1 within the query."""

    signal: Signal
    rank: int
    score: float


class Repetition(Value):
    """The same words said more than once."""

    times: int
    last: Moment


class Change(Value):
    """A fact that became true, or ceased to be; or, where no model compares what is said, a statement that
    tells anew of the same thing, as far as words alone can tell: nothing began or ended by it."""

    memory: Memory
    event: Literal["began", "ended", "told"]
    at: Moment
    earlier: Memory | None = None
    """What its speaker said of it before: of what was `told`, and of nothing else."""


class Later(Value):
    """What the speaker of a hit told later of the same thing, as far as words alone can tell: nobody has
    compared the two."""

    memory: Memory
    shown: str
    """The text as the answer quotes it: whole, or the part of it that the query is about."""
    is_hit: bool = False
    """Whether it is a hit of the answer itself, and need not be quoted."""


class Hit(Value):
    """A memory that answers a query. `score` is the weighted sum of its signals: it orders the hits of one
    query, and no more than that."""

    memory: Memory
    score: float
    confidence: Confidence
    """strong: three in five of such are evidence; likely: two in five; weak: one in twelve."""
    shown: str
    """The text as the answer shows it: whole, or the part of it that the query is about."""
    signals: tuple[SignalScore, ...] = ()
    """Only when asked to explain."""
    neighbours: tuple[Memory, ...] = ()
    """Turns just before and after it, in order of time, as far as they fit the answer."""
    repeated: Repetition | None = None
    conflicts: tuple[Memory, ...] = ()
    """What says otherwise of the same thing, said before it."""
    followed: tuple[Succession, ...] = ()
    """What took the place of it, or of facts that were drawn from it, what the query is about first."""
    later: Later | None = None
    """Only where no model compares what is said, and nothing is known to have taken the place of it."""
    facts: tuple[Memory, ...] = ()
    """Facts drawn from it that were found too and are shown as one with it."""


class SearchResult(Value):
    hits: tuple[Hit, ...]
    """Best first."""
    first: int = 1
    """The rank of the first of them; pages before have shown those above."""
    known: bool = True
    """Whether anything answers the query, or fits a filter by entity or metadata that asked for it; if not,
    `hits` are the nearest and no more than that."""
    detail: Detail = "concise"
    """With `full`, texts are whole as far as they fit; one that did not is cut, and says so."""
    total: int
    """How many memories were considered a candidate, of which `hits` are the best."""
    left_out: int = 0
    """Candidates weaker than those shown, here and on the pages before."""
    cursor: str | None = None
    """Asks for the next page."""
    standing: tuple[Memory, ...] = ()
    """Preferences and procedures of the scope, which hold whatever is asked."""
    changes: tuple[Change, ...] = ()
    """When asked for: what began, ended or was told anew, the latest first; what does not fit is what the
    query is least about."""
    changes_left_out: int = 0
    """More that did not fit: a larger `max_tokens`, or a narrower `since` and `until`, shows them."""
    tokens: int = 0
    """Of the answer as an assistant reads it (`mcp_memory.text.searched`), at four characters each."""
    degraded: tuple[str, ...] = ()


class HistoryEvent(Value):
    event: Literal["created", "repeated", "restored", "useful", "useless", "wrong"]
    at: Moment
    source: str | None = None


class MemoryDetail(Value):
    memory: Memory
    history: tuple[HistoryEvent, ...]
    entities: tuple[EntityRef, ...]
    relations: tuple[Relation, ...]
    neighbours: tuple[Memory, ...]
    """The turns just before and after it in its session, in order of time."""
    sources: tuple[Memory, ...] = ()
    """What it was drawn from."""
    facts: tuple[Memory, ...] = ()
    """What was drawn from it."""
    before: tuple[Succession, ...] = ()
    after: tuple[Succession, ...] = ()
    """What it took the place of, and what took its place; contradictions too."""
    extraction: Literal["waiting", "failed"] | None = None
    """Whether facts are still to be drawn from it."""
    extraction_error: str | None = None


class SessionSummary(Value):
    session_id: str
    memories: int
    first: Moment
    last: Moment


class Consolidated(Value):
    """What comparing the facts about one entity has found; `entity` is None when nothing was left to do."""

    entity: EntityRef | None = None
    facts: int = 0
    """How many were compared."""
    found: tuple[Succession, ...] = ()
    left: int = 0
    """Entities whose facts are still to be compared."""


class Profile(Value):
    """What is known of the user whatever is asked."""

    portrait: str = ""
    """In prose, by the model; empty when none is asked, or it is being written."""
    memories: tuple[Memory, ...] = ()
    """Preferences, procedures and facts that hold, each kind newest first."""
    degraded: tuple[str, ...] = ()
