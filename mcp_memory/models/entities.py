"""Who and what memories speak of, how these are related, and which of them are one."""

from __future__ import annotations

from mcp_memory.models.memories import Memory
from mcp_memory.models.moments import Moment
from mcp_memory.models.values import EntityType, Value, name_key


class EntityRef(Value):
    id: str
    name: str
    type: EntityType


class Entity(EntityRef):
    aliases: tuple[str, ...] = ()
    mentions: int
    first_mentioned: Moment
    last_mentioned: Moment


class Relation(Value):
    id: str
    subject: EntityRef
    predicate: str
    object: EntityRef
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    is_current: bool = True
    """Whether it holds now, as far as anybody said."""
    memory_id: str


FUNCTIONAL = frozenset(
    name_key(name)
    for name in (
        "lives in", "works at", "works for", "works as", "is employed by", "is called", "is named",
        "is married to", "is partner of", "has email", "has work email", "has phone", "has birthday",
        "was born on", "was born in", "is aged", "has version", "has diet", "is located in", "has address",
        "reports to", "studies at",
    )
)  # fmt: skip
"""Relations of which there is one at a time: two of them contradict each other. Slots bear the same names;
`prefers` is no such relation, for one prefers tea to coffee and trains to planes."""


class EntityDetail(Value):
    entity: Entity
    relations: tuple[Relation, ...]
    memories: tuple[Memory, ...]
    """The latest that mention it, newest first."""
    neighbours: tuple[EntityRef, ...]
    """Entities one step away: joined by a relation, or mentioned by the same memory."""
    facts: tuple[Memory, ...] = ()
    """What holds of it now, newest first."""
    timeline: tuple[Memory, ...] = ()
    """All that was ever said to be true of it, by when it became so, oldest first: the latest of them."""
    earlier: int = 0
    """Facts before those."""
    namesakes: tuple[EntityRef, ...] = ()
    """Other entities that are called what was asked for."""


class EntitiesResult(Value):
    entities: tuple[Entity, ...]
    total: int
    detail: EntityDetail | None = None
    near: tuple[Entity, ...] = ()
    """Where no name has the query in it: who and what is most spoken of in the memories nearest to it in
    meaning."""
    degraded: tuple[str, ...] = ()


class EntitiesMerged(Value):
    """All that spoke of `gone` speaks of `kept` now; a split takes it back."""

    kept: EntityRef
    gone: EntityRef
    memories: int
    """That mention the one that is gone."""


class EntitySplit(Value):
    """An entity that is one of its own again."""

    entity: EntityRef
    memories: int
    """That mention it."""
    kept: EntityRef | None
    """Whom it counted as; None where nothing else is left of that one."""


class MaybeOne(Value):
    """Two entities that may be one. `score`, 0 to 1, orders such pairs and says no more."""

    one: Entity
    other: Entity
    score: float
    why: str


class EntitiesReview(Value):
    pairs: tuple[MaybeOne, ...]
    """Likeliest first."""
    total: int
    degraded: tuple[str, ...] = ()


class EntitiesParted(Value):
    """Two entities that are two, and are not asked about again."""

    one: EntityRef
    other: EntityRef
