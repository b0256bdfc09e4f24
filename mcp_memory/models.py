"""The nouns of memory, as values: what crosses a border (tool, command, file) and is validated there,
once."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from mcp_memory.conditions import read_condition
from mcp_memory.errors import InvalidInput, shown

Kind = Literal["message", "fact", "preference", "event", "plan", "procedure", "summary"]
Level = Literal["user", "session", "agent"]
State = Literal["active", "superseded", "expired", "archived"]
Origin = Literal["said", "given", "rules", "model"]
"""Where a memory's words come from: a message word for word, a statement of the calling assistant, or drawn
from messages by rules or by a model."""
Role = Literal["user", "assistant", "system", "tool"]
EntityType = Literal[
    "person",
    "organisation",
    "place",
    "product",
    "project",
    "tool",
    "event",
    "concept",
    "email",
    "url",
    "handle",
    "title",
    "code",
    "file",
]
Signal = Literal[
    "dense",
    "late",
    "text",
    "nearby",
    "session",
    "nearby_late",
    "session_late",
    "entity",
    "speaker",
    "own",
    "date",
    "time",
    "number",
    "question",
    "reply",
    "exact",
    "rating",
]
"""What speaks for a memory; `mcp_memory.config.Weights` says what each is."""

Permission = Literal["memory.read", "memory.write", "memory.forget", "memory.admin"]
"""What a token may do: look; add, rate and join; forget; and what concerns all users or a whole agent."""

_Model = TypeVar("_Model", bound=BaseModel)

PERMISSIONS: tuple[Permission, ...] = ("memory.read", "memory.write", "memory.forget", "memory.admin")
DEFAULT_PERMISSIONS = PERMISSIONS[:3]

MAX_CONTENT = 32_000
"""Characters of one memory: about 8,000 tokens, more than a host lets one tool argument carry."""
MAX_IDENTIFIER = 128
MAX_METADATA_BYTES = 8_192
MAX_MESSAGES = 1_000
"""Messages of one call: a long day of conversation, embedded in some seconds, well inside a host's
time-out."""
MAX_NAMED = 200
"""Entities, and relations, that one call may bring."""
MAX_LIMIT = 100
MIN_ANSWER_TOKENS, MAX_ANSWER_TOKENS = 100, 20_000
"""Of one answer, in tokens of four characters. Hosts warn above 10,000."""
FUTURE_TOLERANCE = timedelta(days=1)
"""How far ahead of our clock a time of saying may lie: clocks differ, and so do days around the globe."""


def _identifier(value: str) -> str:
    text = value.strip()
    if not text:
        raise ValueError("must not be empty")
    if len(text) > MAX_IDENTIFIER:
        raise ValueError(f"has {len(text)} characters; at most {MAX_IDENTIFIER} are allowed")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("contains a control character; use printable characters only")
    return text


def _printable(value: str) -> str:
    # NUL ends a string for some readers and a lone surrogate cannot be written as UTF-8 at all.
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()


def _content(value: str) -> str:
    text = _printable(value)
    if not text:
        raise ValueError("is empty; give the words to remember")
    if len(text) > MAX_CONTENT:
        raise ValueError(
            f"has {len(text):,} characters; at most {MAX_CONTENT:,} are kept in one memory: split it"
        )
    return text


def _words(value: str) -> str:
    text = _printable(value)
    if not text:
        raise ValueError("is empty; give a question, or words to look for")
    if len(text) > MAX_CONTENT:
        raise ValueError(f"has {len(text):,} characters; at most {MAX_CONTENT:,} are looked for")
    return text


def _metadata(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "strict"))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            "is not JSON; use text, finite numbers, true, false, null, lists and objects"
        ) from error
    if size > MAX_METADATA_BYTES:
        raise ValueError(
            f"is {size:,} bytes as JSON; at most {MAX_METADATA_BYTES:,} are kept: put long text in content"
        )
    return value


def _where(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    read_condition(value)
    return value


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


def iso(moment: datetime) -> str:
    """UTC, to the second unless it has a fraction: `2026-03-02T14:05:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


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
Identifier = Annotated[str, AfterValidator(_identifier)]
Content = Annotated[str, AfterValidator(_content)]
Words = Annotated[str, AfterValidator(_words)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_metadata)]
Importance = Annotated[float, Field(ge=0.0, le=1.0)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
AnswerTokens = Annotated[int, Field(ge=MIN_ANSWER_TOKENS, le=MAX_ANSWER_TOKENS)]
Where = Annotated[dict[str, JsonValue], AfterValidator(_where)]
Detail = Literal["concise", "full"]
Confidence = Literal["strong", "likely", "weak"]
Rating = Literal["useful", "useless", "wrong"]


class _Value(BaseModel):
    """Immutable, and an argument nobody knows is an error rather than a silent nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Scope(_Value):
    """Whose memory: every read and every write carries one.

    A memory is visible when its level's id equals the scope's: user level, the same user; session level, the
    same user and session; agent level, the same agent.
    """

    user_id: Identifier
    agent_id: Identifier | None = None
    session_id: Identifier | None = None

    def owner(self, level: Level) -> str:
        """The key under which memories of `level` are kept, equal exactly for scopes that share them.

        Each id carries its length, so no id can be made to read like two.
        """
        match level:
            case "user":
                return f"user:{self.user_id}"
            case "session":
                if self.session_id is None:
                    raise InvalidInput("session_id", "a memory of level session needs one; give session_id")
                return f"session:{len(self.user_id)}:{self.user_id}:{self.session_id}"
            case "agent":
                if self.agent_id is None:
                    raise InvalidInput(
                        "agent_id", "a memory of level agent needs one; give agent_id or set it in the config"
                    )
                return f"agent:{self.agent_id}"

    @property
    def owners(self) -> tuple[str, ...]:
        """The keys of all that is visible here, user level first."""
        keys = [self.owner("user")]
        if self.session_id is not None:
            keys.append(self.owner("session"))
        if self.agent_id is not None:
            keys.append(self.owner("agent"))
        return tuple(keys)


class NewEntity(_Value):
    name: Identifier
    type: EntityType = "concept"
    aliases: Annotated[tuple[Identifier, ...], Field(max_length=20)] = ()


class NewRelation(_Value):
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
        _check_range(self.valid_from, self.valid_until, "valid_from", "valid_until")
        return self


class NewMessage(_Value):
    """One verbatim turn. `name` is the speaker; `time` is when it was said."""

    role: Role = "user"
    content: Content
    name: Identifier | None = None
    time: ObservedAt | None = None


class AddRequest(_Value):
    """Either one statement (`content`) or a conversation (`messages`), with what the caller already
    understood."""

    content: Content | None = Field(
        default=None, description="One self-contained statement, third person, names for pronouns"
    )
    messages: tuple[NewMessage, ...] = Field(
        default=(), max_length=MAX_MESSAGES, description="Or: turns, word for word"
    )
    kind: Kind | None = Field(default=None, description="Default fact; for messages message")
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
        _check_range(self.valid_from, self.valid_until, "valid_from", "valid_until")
        return self


_KindByName = Annotated[Kind, WithJsonSchema({"type": "string"})]
_LevelByName = Annotated[Level, WithJsonSchema({"type": "string"})]
_EntityTypeByName = Annotated[EntityType, WithJsonSchema({"type": "string"})]
"""The same without their names in the schema: what may be filtered by is what an answer showed."""


class SearchRequest(_Value):
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
    changes: bool = Field(default=False, description="What began and ended since `since`")
    explain: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range(self.since, self.until, "since", "until")
        _check_range(self.valid_since, self.valid_until, "valid_since", "valid_until")
        if self.changes and self.since is None:
            raise ValueError("changes needs since: from when on to look for them")
        if self.as_of is not None and (self.until or self.valid_since or self.valid_until):
            raise ValueError("as_of says until when and what was true; leave out until and valid_…")
        return self


class EntitiesRequest(_Value):
    """A page of entities, or one of them whole (`entity`: its name, an alias or its id)."""

    entity: Identifier | None = Field(default=None, description="One whole: name or id")
    query: Identifier | None = Field(default=None, description="Name or topic")
    types: tuple[_EntityTypeByName, ...] = Field(default=(), description="Only these")
    limit: Limit = Field(default=20, description="1 to 100")
    offset: int = Field(default=0, ge=0, le=2**31, description="To skip")


class ForgetRequest(_Value):
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


class Memory(_Value):
    """One remembered thing. `source` is the client it came through, taken from the connection."""

    id: str
    text: str
    kind: Kind
    level: Level
    user_id: str
    agent_id: str | None = None
    session_id: str | None = None
    role: Role | None = None
    speaker: str | None = None
    source: str | None = None
    observed_at: Moment
    recorded_at: Moment
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    expires_at: Moment | None = None
    importance: float = 0.5
    state: State = "active"
    origin: Origin = "given"
    suspicious: bool = False
    """It reads like an instruction to an assistant."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def said(self) -> str:
        """The text with who said it, when that is known: `Ann: I moved to Lisbon.`"""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text

    @property
    def worded(self) -> str:
        return worded(self.observed_at, self.speaker, self.text)


def worded(observed_at: datetime, speaker: str | None, text: str) -> str:
    """What full text searches: `8 May 2023 Ann: I moved to Lisbon.`

    Who and when are among the words that are asked for: on LoCoMo the speaker was worth 3 points, the date 3
    more.
    """
    said = f"{speaker}: {text}" if speaker else text
    return f"{observed_at.day} {_MONTHS[observed_at.month - 1]} {observed_at.year} {said}"


_MONTHS = "January February March April May June July August September October November December".split()
"""Whatever the machine's language is."""


class SignalScore(_Value):
    """Where one signal ranked a hit: `rank` from 1, `score` normalised to 0–1 within the query."""

    signal: Signal
    rank: int
    score: float


class Repetition(_Value):
    """The same words said more than once."""

    times: int
    last: Moment


class Succession(_Value):
    """A fact, and what took its place, or says otherwise of the same thing, or the same again."""

    old: Memory
    new: Memory
    at: Moment
    """Since when the old one is no longer true, if it is not."""
    judgement: Literal["supersedes", "contradicts", "repeats"] = "supersedes"


class Change(_Value):
    """A fact that became true, or ceased to be."""

    memory: Memory
    event: Literal["began", "ended"]
    at: Moment


class Hit(_Value):
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
    facts: tuple[Memory, ...] = ()
    """Facts drawn from it that were found too and are shown as one with it."""


AddStatus = Literal["stored", "duplicate", "restored"]


class Added(_Value):
    """One memory of an add: `stored`, or `duplicate` with the id of the one we have, or `restored` if that
    was forgotten or expired and not erased yet."""

    id: str
    status: AddStatus


class EntityRef(_Value):
    id: str
    name: str
    type: EntityType


class AddResult(_Value):
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


class SearchResult(_Value):
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
    """When asked for: what began and what ended, the latest first."""
    tokens: int = 0
    """Of the answer as an assistant reads it (`mcp_memory.text.searched`), at four characters each."""
    degraded: tuple[str, ...] = ()


class Entity(EntityRef):
    aliases: tuple[str, ...] = ()
    mentions: int
    first_mentioned: Moment
    last_mentioned: Moment


class Relation(_Value):
    id: str
    subject: EntityRef
    predicate: str
    object: EntityRef
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    is_current: bool = True
    """Whether it holds now, as far as anybody said."""
    memory_id: str


class Consolidated(_Value):
    """What comparing the facts about one entity has found; `entity` is None when nothing was left to do."""

    entity: EntityRef | None = None
    facts: int = 0
    """How many were compared."""
    found: tuple[Succession, ...] = ()
    left: int = 0
    """Entities whose facts are still to be compared."""


class Profile(_Value):
    """What is known of the user whatever is asked."""

    portrait: str = ""
    """In prose, by the model; empty when none is asked, or it is being written."""
    memories: tuple[Memory, ...] = ()
    """Preferences, procedures and facts that hold, each kind newest first."""
    degraded: tuple[str, ...] = ()


class EntityDetail(_Value):
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


class EntitiesResult(_Value):
    entities: tuple[Entity, ...]
    total: int
    detail: EntityDetail | None = None
    near: tuple[Entity, ...] = ()
    """Where no name has the query in it: who and what is most spoken of in the memories nearest to it in
    meaning."""
    degraded: tuple[str, ...] = ()


class EntitiesMerged(_Value):
    """All that spoke of `gone` speaks of `kept` now; a split takes it back."""

    kept: EntityRef
    gone: EntityRef
    memories: int
    """That mention the one that is gone."""


class EntitySplit(_Value):
    """An entity that is one of its own again."""

    entity: EntityRef
    memories: int
    """That mention it."""
    kept: EntityRef | None
    """Whom it counted as; None where nothing else is left of that one."""


class MaybeOne(_Value):
    """Two entities that may be one. `score`, 0 to 1, orders such pairs and says no more."""

    one: Entity
    other: Entity
    score: float
    why: str


class EntitiesReview(_Value):
    pairs: tuple[MaybeOne, ...]
    """Likeliest first."""
    total: int
    degraded: tuple[str, ...] = ()


class EntitiesParted(_Value):
    """Two entities that are two, and are not asked about again."""

    one: EntityRef
    other: EntityRef


class ForgetPlan(_Value):
    plan_id: str
    count: int
    examples: tuple[Memory, ...]
    expires_at: Moment


class Kept(_Value):
    """What stays because another memory still says it."""

    id: str
    name: str
    """An entity's name, or the words of a memory."""
    said_by: tuple[str, ...]
    """Ids of memories that say it, three at most."""


class ForgetResult(_Value):
    """What became of a forget.

    `planned`: nothing yet, see `plan`. `hidden`: out of sight at once, erased at `erase_at`. `erased`: gone
    from every file, which the program has looked through when `verified`. `nothing`: there was nothing to
    forget.
    """

    status: Literal["planned", "hidden", "erased", "nothing"]
    plan: ForgetPlan | None = None
    receipt_id: str | None = None
    """Of the receipt that is kept, or will be when what is hidden is erased."""
    forgotten: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    """Ids of what was drawn from nothing but the forgotten, and went with it."""
    not_found: tuple[str, ...] = ()
    entities_removed: tuple[str, ...] = ()
    """Ids of entities that nothing mentions any more."""
    entities_left: tuple[str, ...] = ()
    """Ids of entities that were mentioned there and still are elsewhere."""
    kept: tuple[Kept, ...] = ()
    """What was said there and stays, since another memory says it: twenty at most."""
    sessions: tuple[str, ...] = ()
    """Sessions that something was forgotten of."""
    erase_at: Moment | None = None
    verified: bool | None = None
    """Whether every file of the data folder was looked through and held nothing of it."""
    found: tuple[str, ...] = ()
    """Where something of it was still found, or why it could not be looked for."""
    backups: tuple[str, ...] = ()
    """Files that may still hold it, out of reach."""
    degraded: tuple[str, ...] = ()


class Receipt(_Value):
    """Proof of one erasure: ids, counts and times, no content. `digest` seals it together with the receipt
    before."""

    id: str
    made_at: Moment
    """When it was asked for."""
    erased_at: Moment
    memory_ids: tuple[str, ...]
    entity_ids: tuple[str, ...]
    looked_for: int
    """Pieces of forgotten text, names and vectors that were looked for."""
    files: int
    """Files that were looked through."""
    bytes: int
    verified: bool
    found: tuple[str, ...] = ()
    previous: str = ""
    """Digest of the receipt before; empty for the first."""
    digest: str = ""
    """SHA-256 of all of the above, as hexadecimal digits."""


class Hidden(_Value):
    """A forgetting that can still be undone, until `due_at`."""

    id: str
    made_at: Moment
    due_at: Moment
    memory_ids: tuple[str, ...]


class Unforgotten(_Value):
    """What an undone forgetting brought back."""

    memory_ids: tuple[str, ...]


class HistoryEvent(_Value):
    event: Literal["created", "repeated", "restored", "useful", "useless", "wrong"]
    at: Moment
    source: str | None = None


class MemoryDetail(_Value):
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


class SessionSummary(_Value):
    session_id: str
    memories: int
    first: Moment
    last: Moment


class UsageOfDay(_Value):
    """What a provider cost on one day (UTC, ISO 8601), for one purpose."""

    day: str
    provider: str
    purpose: str
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    unsupported: int = 0
    """Facts dropped because the words they cite do not say it."""
    invalid: int = 0
    """Facts and names dropped because they cannot be."""


class ExtractionHealth(_Value):
    """How far facts are drawn from what was said."""

    provider: str
    waiting: int = 0
    failed: int = 0
    """Writes whose facts wait for `mcp-memory retry`."""
    error: str | None = None
    """Why the latest of them is not done."""
    usage: tuple[UsageOfDay, ...] = ()
    """What the latest days cost, the newest first."""
    daily_token_limit: int = 0


class Stats(_Value):
    """How much is remembered in a scope."""

    memories: int
    by_kind: dict[str, int]
    by_level: dict[str, int]
    entities: int
    relations: int
    sessions: int
    oldest: Moment | None = None
    newest: Moment | None = None
    hidden: int = 0
    """Forgotten here, and not erased before their days of grace are over."""
    pending: int = 0
    """Memories acknowledged but not yet indexed, in the whole store."""
    superseded: int = 0
    """Facts that hold no longer, here."""
    extraction: ExtractionHealth | None = None
    """How far facts are drawn and what that cost, in the whole store."""


class IndexHealth(_Value):
    """One derived index against the ledger. `rows` is None when it could not be read; `problem` says why."""

    name: Literal["vectors", "graph"]
    rows: int | None
    expected: int
    bytes: int
    problem: str | None = None
    resident: int = 0
    """Rows held in memory, where search by meaning is exact."""

    @property
    def agrees(self) -> bool:
        return self.problem is None and self.rows == self.expected


class Difference(_Value):
    """One thing in which an index is not what the ledger says."""

    index: Literal["vectors", "graph"]
    id: str
    problem: Literal["missing", "left over", "twice", "not as in the ledger"]


class Comparison(_Value):
    """The three stores compared row by row."""

    memories: int
    entities: int
    mentions: int
    relations: int
    ledger_problems: tuple[str, ...] = ()
    """What SQLite's own check found, and receipts whose chain is broken."""
    receipts: int = 0
    differences: tuple[Difference, ...] = ()
    """The first 200."""
    total: int = 0
    """How many differences there are."""
    recall: float | None = None
    """Of the ten nearest that an exact search in the files finds, the share that a search finds, over 50
    memories; None when there are none."""
    repaired: bool = False
    unverified: tuple[str, ...] = ()
    """Receipts of erasures after which something was still found, and where."""

    @property
    def agrees(self) -> bool:
        return not self.total and not self.ledger_problems


class Health(_Value):
    """What `doctor` shows: where things are, how large, which embedder, and whether the three stores
    agree."""

    data_dir: str
    schema_version: int
    ledger_bytes: int
    ledger_memories: int
    pending: int
    """Acknowledged, not yet indexed."""
    pending_since: Moment | None = None
    """Since when the oldest of it waits."""
    hidden: int = 0
    """Forgotten, and to be erased when their days of grace are over."""
    extraction: ExtractionHealth | None = None
    embedder: str
    indexes: tuple[IndexHealth, ...]
    set_aside: tuple[str, ...] = ()
    """Damaged indexes that were moved out of the way."""
    warnings: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return self.pending == 0 and all(index.agrees for index in self.indexes)


class Merged(_Value):
    """What came from another ledger."""

    added: int
    known: int
    """Memories that were here already."""
    forgotten: int
    """Memories that were left out because they were forgotten here."""


class Rebuilding(_Value):
    """What is being made anew from the ledger, in the background."""

    memories: int
    entities: int
    relations: int
    embedder: str


def name_key(name: str) -> str:
    """The form under which two spellings of a name are one: compatibility form, case folded, single
    spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


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


def parse(model: type[_Model], arguments: dict[str, Any]) -> _Model:
    """`model` from plain arguments; raises InvalidInput with one sentence for the first thing that is
    wrong."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        raise invalid_input(error, model) from error


def invalid_input(error: ValidationError, model: type[BaseModel]) -> InvalidInput:
    """The first problem of a failed validation, as one sentence that says what was wrong and what is
    expected."""
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or "arguments"
    context = problem.get("ctx", {})
    match problem["type"]:
        case "extra_forbidden":
            known = f" (known: {', '.join(model.model_fields)})" if len(problem["loc"]) == 1 else ""
            text = f"is not known here; check its spelling{known}"
        case "missing":
            text = "is missing; it is required"
        case "value_error":
            text = str(context.get("error", problem["msg"]))
        case "literal_error":
            text = f"{_given(problem['input'])} is unknown; use one of {context['expected']}"
        case "greater_than_equal" if not _is_nan(problem["input"]):
            text = f"{_given(problem['input'])} is too small; the least is {context['ge']}"
        case "less_than_equal" if not _is_nan(problem["input"]):
            text = f"{_given(problem['input'])} is too large; the most is {context['le']}"
        case "too_long":
            text = f"has {context['actual_length']} items; at most {context['max_length']} go into one call"
        case kind:
            expected = next((words for kinds, words in _EXPECTED.items() if kind in kinds), None)
            said = f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"
            text = f"{f'must be {expected}' if expected else said}; got {_given(problem['input'])}"
    return InvalidInput(field, text)


_EXPECTED = {
    ("tuple_type", "list_type", "iterable_type"): "a list",
    ("dict_type", "mapping_type", "model_type", "model_attributes_type"): "an object",
    ("string_type",): "text",
    ("int_type", "int_parsing", "int_from_float", "int_parsing_size"): "a whole number",
    ("float_type", "float_parsing", "finite_number", "greater_than_equal", "less_than_equal"): "a number",
    ("bool_type", "bool_parsing"): "true or false",
}
"""What a caller is to give, in the words of JSON, by pydantic's types of error."""


def _given(value: object) -> str:
    """A caller's value for a sentence, as JSON writes it."""
    if isinstance(value, str):
        return shown(value)
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = str(value)
    return shown(text)[1:-1]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _check_range(first: datetime | None, last: datetime | None, first_name: str, last_name: str) -> None:
    if first is not None and last is not None and first > last:
        raise ValueError(
            f"{first_name} ({iso(first)}) is later than {last_name} ({iso(last)}); swap or correct them"
        )


class Quota(_Value):
    """How much one user may keep; 0 is no bound."""

    memories: int = Field(default=0, ge=0)
    bytes: int = Field(default=0, ge=0)
    """Of text, in UTF-8."""


TOKEN_PREFIX = "mcpm_"  # noqa: S105 - how all begin, and none is
"""By which a person, and a scanner of secrets, knows what it is."""


def token_digest(secret: str) -> str:
    """SHA-256, all that is kept of a token: it has 256 random bits, so that a fast digest is no easier to
    guess through."""
    return hashlib.sha256(secret.encode()).hexdigest()


class TokenRequest(_Value):
    """Whom a token stands for, what it may do, and until when."""

    user_id: Identifier
    agent_id: Identifier | None = None
    permissions: tuple[Permission, ...] = Field(default=DEFAULT_PERMISSIONS, min_length=1)
    expires_at: Moment | None = None


class Token(_Value):
    """A token as it is listed: everything but itself."""

    id: str
    user_id: str
    agent_id: str | None = None
    permissions: tuple[Permission, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class NewToken(Token):
    """The only time that the token itself is told."""

    secret: str


class FoundToken(_Value):
    """The token of a digest, if there is one that lets in, and the seconds to wait before its next call."""

    token: Token | None = None
    wait: float = 0.0
