"""What an owner is asked over loopback HTTP: one operation per use-case, as types both sides share."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mcp_memory import __version__
from mcp_memory.config import Config
from mcp_memory.models import (
    AddRequest,
    AddResult,
    Comparison,
    Consolidated,
    EntitiesMerged,
    EntitiesParted,
    EntitiesRequest,
    EntitiesResult,
    EntitiesReview,
    EntitySplit,
    ForgetRequest,
    ForgetResult,
    FoundToken,
    Health,
    Hidden,
    Identifier,
    Kind,
    Limit,
    Memory,
    MemoryDetail,
    Merged,
    NewToken,
    Permission,
    Profile,
    Quota,
    Rating,
    Rebuilding,
    Receipt,
    Scope,
    SearchRequest,
    SearchResult,
    SessionSummary,
    Stats,
    Token,
    TokenRequest,
    Unforgotten,
)

_Answer = TypeVar("_Answer")

PREFIX = "/v1"
HELLO, ATTACH, RETIRE, OPENAPI = (
    f"{PREFIX}/hello",
    f"{PREFIX}/attach",
    f"{PREFIX}/retire",
    f"{PREFIX}/openapi.json",
)
MAX_BODY = 256 << 20
"""Bytes of one request: a thousand messages of the longest kind, in an escaped script, and some room."""
LEAVING = 503
"""Status of an owner that is about to end: ask the next one."""


Patience = Annotated[float, Field(ge=0, le=30)]
"""Seconds to wait for indexes that are being opened."""
PageSize = Annotated[int, Field(ge=1, le=1_000)]
Offset = Annotated[int, Field(ge=0, le=2**31)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Nothing(_Body):
    pass


class Scoped(_Body):
    scope: Scope


class Add(Scoped):
    request: AddRequest
    source: str | None = None
    write_id: Identifier | None = None
    patience: Patience = 30.0
    quota: Quota | None = None


class Search(Scoped):
    request: SearchRequest
    patience: Patience = 30.0


class Entities(Scoped):
    request: EntitiesRequest
    patience: Patience = 30.0


class MergeEntities(Scoped):
    kept: Identifier
    gone: Identifier


class SplitEntity(Scoped):
    entity: Identifier


class ReviewEntities(Scoped):
    limit: Limit = 20


class PartEntities(Scoped):
    one: Identifier
    other: Identifier


class Consolidate(Scoped):
    entity: Identifier | None = None


class ShowProfile(Scoped):
    wait: Annotated[float, Field(ge=0, le=120)] = 0.0


class Forget(Scoped):
    request: ForgetRequest
    write_id: Identifier | None = None


class Unforget(Scoped):
    receipt_id: str


class Get(Scoped):
    memory_id: str


class Rate(Scoped):
    memory_id: str
    rating: Rating
    source: str | None = None


class Recent(Scoped):
    kinds: tuple[Kind, ...] = ()
    limit: PageSize = 20
    offset: Offset = 0


class Session(Scoped):
    session_id: str
    limit: PageSize = 200
    offset: Offset = 0


class Sessions(Scoped):
    prefix: str = ""
    limit: PageSize = 20
    offset: Offset = 0


class Ids(Scoped):
    noun: Literal["memories", "entities"]
    prefix: str
    limit: PageSize = 20


class Limited(_Body):
    limit: PageSize = 20


class Compare(_Body):
    repair: bool = False


class Merge(_Body):
    ledger: Path


class CaughtUp(_Body):
    seconds: Annotated[float, Field(ge=0, le=3_600)]


class CreateToken(_Body):
    request: TokenRequest


class RevokeToken(_Body):
    token_id: str


class FindToken(_Body):
    digest: str
    per_minute: int = 0


class CountCall(_Body):
    caller: str
    per_minute: int


class TakePlace(_Body):
    place: str
    most: int
    by: str


class LeavePlace(_Body):
    place: str
    by: str


@dataclass(frozen=True, slots=True)
class Operation(Generic[_Answer]):
    """A method of the service: `body` has its arguments by name, `answer` is what it returns."""

    name: str
    body: type[BaseModel]
    returns: type[_Answer]
    summary: str
    seconds: float = 120.0
    """After this long without an answer the caller gives up."""
    needs: Permission | None = None
    """What a remote caller must be permitted; None is for processes of this machine alone."""

    @property
    def path(self) -> str:
        return f"{PREFIX}/{self.name}"

    @property
    def answer(self) -> TypeAdapter[_Answer]:
        return _adapter(self.returns)


@cache
def _adapter(returns: Any) -> TypeAdapter[Any]:
    # Made when first used: all of them would take a tenth of a second of every start.
    return TypeAdapter(returns)


LONG = 3_600.0

ADD = Operation("add", Add, AddResult, "Remember one statement or a conversation.", needs="memory.write")
SEARCH = Operation(
    "search", Search, SearchResult, "The memories that answer a query, best first.", needs="memory.read"
)
ENTITIES = Operation(
    "entities", Entities, EntitiesResult, "A page of entities, or one whole.", needs="memory.read"
)
MERGE_ENTITIES = Operation(
    "merge_entities", MergeEntities, EntitiesMerged, "Let one count as another.", LONG, needs="memory.write"
)
SPLIT_ENTITY = Operation(
    "split_entity", SplitEntity, EntitySplit, "Take a merge back.", LONG, needs="memory.write"
)
REVIEW_ENTITIES = Operation(
    "review_entities", ReviewEntities, EntitiesReview, "Who may be one.", LONG, needs="memory.read"
)
PART_ENTITIES = Operation(
    "part_entities", PartEntities, EntitiesParted, "Note that two are two.", needs="memory.write"
)
CONSOLIDATE = Operation(
    "consolidate",
    Consolidate,
    Consolidated,
    "Compare the facts about one entity.",
    LONG,
    needs="memory.write",
)
UNCONSOLIDATE = Operation(
    "unconsolidate", Scoped, int, "Take back what comparing facts has found.", LONG, needs="memory.write"
)
PROFILE = Operation(
    "profile", ShowProfile, Profile, "What holds whatever is asked.", LONG, needs="memory.read"
)
FORGET = Operation("forget", Forget, ForgetResult, "Forget, or plan to.", LONG, needs="memory.forget")
UNFORGET = Operation("unforget", Unforget, Unforgotten, "Bring back what is hidden.", needs="memory.forget")
HIDDEN = Operation(
    "hidden", Scoped, tuple[Hidden, ...], "What can still be brought back.", needs="memory.forget"
)
RECEIPTS = Operation("receipts", Limited, tuple[Receipt, ...], "The latest erasures.", needs="memory.admin")
GET = Operation("get", Get, MemoryDetail, "One memory whole.", needs="memory.read")
RATE = Operation("rate", Rate, type(None), "Note what somebody thinks of a memory.", needs="memory.write")
RECENT = Operation(
    "recent", Recent, tuple[Memory, ...], "The latest said, newest first.", needs="memory.read"
)
SESSION = Operation(
    "session", Session, tuple[Memory, ...], "What was said in one session.", needs="memory.read"
)
SESSIONS = Operation(
    "sessions", Sessions, tuple[SessionSummary, ...], "Sessions, latest first.", needs="memory.read"
)
IDS = Operation("ids", Ids, tuple[str, ...], "Ids by how they begin, for completion.", needs="memory.read")
RETRY = Operation(
    "retry", Nothing, int, "Draw facts again from what waits or has failed.", needs="memory.admin"
)
STATS = Operation("stats", Scoped, Stats, "How much is remembered in a scope.", needs="memory.read")
HEALTH = Operation(
    "health", Nothing, Health, "Places, sizes, and how far the indexes are.", needs="memory.admin"
)
COMPARE = Operation(
    "compare", Compare, Comparison, "The stores row by row; or mended.", LONG, needs="memory.admin"
)
REBUILD = Operation(
    "rebuild", Nothing, Rebuilding, "Begin to make the indexes anew.", LONG, needs="memory.admin"
)
MERGE = Operation("merge", Merge, Merged, "Add what another ledger holds.", LONG)
CREATE_TOKEN = Operation("create_token", CreateToken, NewToken, "Make a token for a remote caller.")
TOKENS = Operation("tokens", Nothing, tuple[Token, ...], "All tokens, without themselves.")
REVOKE_TOKEN = Operation("revoke_token", RevokeToken, Token, "Let a token in no more.")
FIND_TOKEN = Operation("find_token", FindToken, FoundToken, "Whom a token stands for.")
COUNT_CALL = Operation("count_call", CountCall, float, "Count a call; the seconds to wait before it.")
TAKE_PLACE = Operation("take_place", TakePlace, bool, "Begin what a caller may have so much of at once.")
LEAVE_PLACE = Operation("leave_place", LeavePlace, type(None), "End it.")
CAUGHT_UP = Operation(
    "caught_up", CaughtUp, bool, "Wait until the indexes have everything.", LONG, needs="memory.admin"
)

OPERATIONS: tuple[Operation[Any], ...] = (
    ADD,
    SEARCH,
    ENTITIES,
    MERGE_ENTITIES,
    SPLIT_ENTITY,
    REVIEW_ENTITIES,
    PART_ENTITIES,
    CONSOLIDATE,
    UNCONSOLIDATE,
    PROFILE,
    FORGET,
    UNFORGET,
    HIDDEN,
    RECEIPTS,
    GET,
    RATE,
    RECENT,
    SESSION,
    SESSIONS,
    IDS,
    RETRY,
    STATS,
    HEALTH,
    COMPARE,
    REBUILD,
    MERGE,
    CREATE_TOKEN,
    TOKENS,
    REVOKE_TOKEN,
    FIND_TOKEN,
    COUNT_CALL,
    TAKE_PLACE,
    LEAVE_PLACE,
    CAUGHT_UP,
)
REMOTE = tuple(one for one in OPERATIONS if one.needs is not None)
"""What is also served to callers elsewhere."""


class Failure(BaseModel):
    """What went wrong: the class of the error, and its sentence for a person."""

    error: str
    message: str


class Hello(BaseModel):
    """Who answers. `proof` shows that it knows the token without telling it."""

    proof: str
    version: str
    settings: str


def proof(token: str, port: int, nonce: str) -> str:
    """HMAC-SHA-256 (RFC 2104) of the nonce and the port with the token: nobody else's answer can be passed
    on."""
    return hmac.new(token.encode(), f"mcp-memory owner {port} {nonce}".encode(), hashlib.sha256).hexdigest()


def settings_digest(config: Config) -> str:
    """Equal for settings with which an owner works alike; whose memory is asked for is not among them."""
    own = {"data_dir", "user_id", "agent_id", "session_id", "log_level", "in_process", "owner"}
    own |= {"remote", "oauth", "limits"}
    return hashlib.sha256(config.model_dump_json(exclude=own).encode()).hexdigest()[:16]


SET_BY_SERVER = ("source", "quota")
"""What an operation is told about a remote caller, whatever they say of themselves."""


def openapi(
    operations: tuple[Operation[Any], ...] = OPERATIONS, *, of_caller: bool = False
) -> dict[str, Any]:
    """The OpenAPI 3.1 description of operations, from their types. With `of_caller` for those who need not
    say whose memory they mean."""
    inputs = [(one.name, "validation", TypeAdapter(one.body)) for one in operations]
    outputs = [(one.name, "serialization", one.answer) for one in operations]
    failure = [("failure", "serialization", TypeAdapter(Failure))]
    schemas, definitions = TypeAdapter.json_schemas(
        [*inputs, *outputs, *failure],  # pyright: ignore[reportArgumentType] - modes are inferred as str
        ref_template="#/components/schemas/{model}",
    )
    described: dict[str, Any] = definitions.get("$defs", {})
    if of_caller:
        for body in {one.body for one in operations if issubclass(one.body, Scoped)}:
            _leave_to_server(described[body.__name__], ("scope", *SET_BY_SERVER))
            for name in SET_BY_SERVER:
                described[body.__name__]["properties"].pop(name, None)
        _leave_to_server(described["Scope"], ("user_id",))
        described["Scope"]["description"] = "Whose memory; without `user_id`, that of whose token it is."

    def content(name: str, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": schemas[name, mode]}}}

    def answers(name: str) -> dict[str, Any]:
        wrong = {"description": "What went wrong", **content("failure", "serialization")}
        # Whoever lets in says so in the words of OAuth, not in ours.
        nobody = {
            "description": "No token that lets in",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
        return {
            "200": {"description": "Done", **content(name, "serialization")},
            "401": nobody,
            "default": wrong,
        }

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mcp-memory",
            "version": __version__,
            "description": "The use-cases of a memory, one operation each.",
        },
        "security": [{"token": []}],
        "paths": {
            one.path: {
                "post": {
                    "operationId": one.name,
                    "summary": one.summary,
                    "requestBody": {"required": True, **content(one.name, "validation")},
                    "responses": answers(one.name),
                }
            }
            for one in operations
        },
        "components": {
            "schemas": described,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _leave_to_server(schema: dict[str, Any], names: Sequence[str]) -> None:
    """Ask for none of these."""
    schema["required"] = [name for name in schema.get("required", ()) if name not in names]
