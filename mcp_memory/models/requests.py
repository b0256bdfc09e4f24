"""What a memory is asked: to add, to search, to show entities, to forget."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, WithJsonSchema, model_validator

from mcp_memory.models.moments import LocalMoment, Moment, MomentUntil, ObservedAt, check_range
from mcp_memory.models.values import (
    AnswerTokens,
    Content,
    Detail,
    EntityType,
    Identifier,
    Importance,
    Kind,
    Level,
    Limit,
    Metadata,
    Role,
    Value,
    Where,
    Words,
    name_key,
)

MAX_MESSAGES = 1_000
"""Messages of one call: a long day of conversation, embedded in some seconds, well inside a host's
time-out."""
MAX_NAMED = 200
"""Entities, and relations, that one call may bring."""


class NewEntity(Value):
    name: Identifier
    type: EntityType = "concept"
    aliases: Annotated[tuple[Identifier, ...], Field(max_length=20)] = ()


class NewRelation(Value):
    """`subject –predicate→ object`, as the calling assistant understood it."""

    subject: Identifier
    predicate: Identifier
    object: Identifier
    valid_from: Moment | None = None
    valid_until: Moment | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if name_key(self.subject) == name_key(self.object):
            raise ValueError("subject and object are the same; a relation joins two entities")
        check_range(self.valid_from, self.valid_until, "valid_from", "valid_until")
        return self


class NewMessage(Value):
    """One verbatim turn. `name` is the speaker; `time` is when it was said."""

    role: Role = "user"
    content: Content
    name: Identifier | None = None
    time: ObservedAt | None = None


class AddRequest(Value):
    """Either one statement (`content`) or a conversation (`messages`), with what the caller already
    understood."""

    content: Content | None = Field(
        default=None, description="One self-contained statement, third person, names for pronouns"
    )
    messages: tuple[NewMessage, ...] = Field(
        default=(), max_length=MAX_MESSAGES, description="Or: turns, word for word"
    )
    kind: Kind | None = Field(default=None, description="Default fact, procedure or message")
    level: Level = Field(
        default="user",
        description="user: lasts, everywhere; session: this session only; agent: what the agent learned",
    )
    observed_at: ObservedAt | None = Field(default=None, description="When said, if not now (ISO 8601)")
    valid_from: Moment | None = Field(default=None, description="True since")
    valid_until: Moment | None = Field(default=None, description="True until")
    importance: Importance = Field(default=0.5, description="0 to 1")
    metadata: Metadata = Field(default_factory=dict)
    entities: tuple[NewEntity, ...] = Field(
        default=(), max_length=MAX_NAMED, description="Who and what it mentions"
    )
    relations: tuple[NewRelation, ...] = Field(
        default=(), max_length=MAX_NAMED, description="Ann –works at→ Acme"
    )
    sources: tuple[Identifier, ...] = Field(
        default=(), max_length=MAX_NAMED, description="Memory ids it rests on"
    )
    wait: bool = Field(default=False, description="Until facts are drawn from it")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.content is None) == (not self.messages):
            raise ValueError(
                "give either content (one statement) or messages (a conversation), not both and not neither"
            )
        check_range(self.valid_from, self.valid_until, "valid_from", "valid_until")
        return self


_KindByName = Annotated[Kind, WithJsonSchema({"type": "string"})]
_LevelByName = Annotated[Level, WithJsonSchema({"type": "string"})]
_EntityTypeByName = Annotated[EntityType, WithJsonSchema({"type": "string"})]
"""The same without their names in the schema: what may be filtered by is what an answer showed."""


class SearchRequest(Value):
    query: Words = Field(description="A question, in full")
    limit: Limit | None = Field(default=None, description="1 to 100")
    max_tokens: AnswerTokens | None = Field(default=None, description="Of the answer; default 1000")
    detail: Detail = Field(default="concise", description="full: texts uncut")
    cursor: str | None = Field(default=None, description="Next page")
    kinds: tuple[_KindByName, ...] = ()
    levels: tuple[_LevelByName, ...] = ()
    entity: Identifier | None = Field(default=None, description="Mentions this name or id")
    since: Moment | None = Field(default=None, description="Said since")
    until: MomentUntil | None = None
    valid_since: Moment | None = Field(default=None, description="True since")
    valid_until: MomentUntil | None = None
    as_of: MomentUntil | None = Field(default=None, description="Known and true then")
    where: Where | None = Field(default=None, description='Metadata: {"stars": {"gte": 4}}; and, or, not')
    reference_time: LocalMoment | None = Field(default=None, description="Now, for 'last week'")
    changes: bool = Field(default=False, description="What changed since `since`")
    explain: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_range(self.since, self.until, "since", "until")
        check_range(self.valid_since, self.valid_until, "valid_since", "valid_until")
        if self.changes and self.since is None:
            raise ValueError("changes needs since: from when on to look for them")
        if self.as_of is not None and (self.until or self.valid_since or self.valid_until):
            raise ValueError("as_of says until when and what was true; leave out until and valid_…")
        return self


class EntitiesRequest(Value):
    """A page of entities, or one of them whole (`entity`: its name, an alias or its id)."""

    entity: Identifier | None = Field(default=None, description="One whole: name or id")
    query: Identifier | None = Field(default=None, description="Name or topic")
    types: tuple[_EntityTypeByName, ...] = Field(default=(), description="Only these")
    limit: Limit = Field(default=20, description="1 to 100")
    offset: int = Field(default=0, ge=0, le=2**31, description="To skip")


class ForgetRequest(Value):
    """By `ids` at once; by anything wider a plan first, then again with its `plan_id`."""

    ids: tuple[Identifier, ...] = Field(default=(), max_length=1_000, description="Forgotten at once")
    plan_id: Identifier | None = Field(default=None, description="Carry out this plan")
    query: Words | None = Field(default=None, description="What the words are about")
    entity: Identifier | None = Field(default=None, description="All that mentions it")
    session: Identifier | None = Field(default=None, description="All of a session")
    before: Moment | None = Field(default=None, description="All said before")
    everything: bool = Field(default=False, description="All of this user")

    @property
    def is_wide(self) -> bool:
        return any((self.query, self.entity, self.session, self.before, self.everything))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum((bool(self.ids), self.plan_id is not None, self.is_wide)) != 1:
            raise ValueError(
                "say what to forget in one way: ids, or plan_id, or one or more of "
                "query, entity, session, before, everything"
            )
        if self.everything and any((self.query, self.entity, self.session, self.before)):
            raise ValueError(
                "everything cannot be narrowed; leave it out and give query, entity, session or before alone"
            )
        return self
