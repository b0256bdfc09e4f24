"""The closed sets, the bounds and the checked types that the nouns are made of."""

from __future__ import annotations

import json
import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from mcp_memory.conditions import read_condition

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

Detail = Literal["concise", "full"]
Confidence = Literal["strong", "likely", "weak"]
Rating = Literal["useful", "useless", "wrong"]

MAX_CONTENT = 32_000
"""Characters of one memory: about 8,000 tokens, more than a host lets one tool argument carry."""
MAX_IDENTIFIER = 128
MAX_METADATA_BYTES = 8_192
MAX_LIMIT = 100
MIN_ANSWER_TOKENS, MAX_ANSWER_TOKENS = 100, 20_000
"""Of one answer, in tokens of four characters. Hosts warn above 10,000."""


class Value(BaseModel):
    """Immutable, and an argument nobody knows is an error rather than a silent nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


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


def _is_blank(text: str) -> bool:
    """Whether nobody could see any of it: spaces, and marks without width."""
    return not any(character.isprintable() and not character.isspace() for character in text)


def _content(value: str) -> str:
    text = _printable(value)
    if _is_blank(text):
        raise ValueError("is empty; give the words to remember")
    if len(text) > MAX_CONTENT:
        raise ValueError(
            f"has {len(text):,} characters; at most {MAX_CONTENT:,} are kept in one memory: split it"
        )
    return text


def _words(value: str) -> str:
    text = _printable(value)
    if _is_blank(text):
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


Identifier = Annotated[str, AfterValidator(_identifier)]
Content = Annotated[str, AfterValidator(_content)]
Words = Annotated[str, AfterValidator(_words)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_metadata)]
Importance = Annotated[float, Field(ge=0.0, le=1.0)]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT)]
AnswerTokens = Annotated[int, Field(ge=MIN_ANSWER_TOKENS, le=MAX_ANSWER_TOKENS)]
Where = Annotated[dict[str, JsonValue], AfterValidator(_where)]


def name_key(name: str) -> str:
    """The form under which two spellings of a name are one: compatibility form, case folded, single
    spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
