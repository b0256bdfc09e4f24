"""What a language model replies about a passage: the form that is asked of it, read out of whatever it wrote
around that."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mcp_memory.extraction.facts import Judgement
from mcp_memory.models import EntityType

MAX_FACTS = 40
"""Facts of one passage; a model that finds more is listing, not choosing."""
_TRIES = 40
"""Places in a reply where JSON is looked for: hostile text costs time in proportion to its length."""


class ReplyUnreadable(ValueError):
    """A reply that holds no JSON of the asked form. Its sentence is for the model, and quotes nothing."""


def _as_list(value: object) -> object:
    if value is None:
        return []
    return [cast("object", value)] if isinstance(value, str | dict) else value


def _as_text(value: object) -> object:
    """Models write "nothing" in many ways."""
    if isinstance(value, str) and value.strip().casefold() in ("", "null", "none", "n/a", "unknown"):
        return None
    return str(value) if isinstance(value, int | float) else value


def _as_named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _as_relation(value: object) -> object:
    parts = cast("list[object]", value) if isinstance(value, list) else []
    if len(parts) != 3:
        return cast("object", value)
    return {"subject": parts[0], "predicate": parts[1], "object": parts[2]}


def _as_flag(value: object) -> object:
    return False if value is None else value


def _as_share(value: object) -> object:
    try:
        share = float(cast("float", value))
    except (TypeError, ValueError):
        return 0.5
    # Some count to ten, whatever they are told.
    return 0.5 if math.isnan(share) else min(max(share / 10 if share > 1 else share, 0.0), 1.0)


def _one_of(known: tuple[str, ...], otherwise: str) -> BeforeValidator:
    def choose(value: object) -> str:
        chosen = value.strip().casefold() if isinstance(value, str) else ""
        return chosen if chosen in known else otherwise

    return BeforeValidator(choose)


_DrawnKind = Literal["fact", "preference", "event", "plan", "procedure"]
_Kind = Annotated[_DrawnKind, _one_of(get_args(_DrawnKind), "fact")]
_EntityType = Annotated[EntityType, _one_of(get_args(EntityType), "concept")]
_Text = Annotated[str | None, BeforeValidator(_as_text)]
_Texts = Annotated[list[str], BeforeValidator(_as_list)]


class _Part(BaseModel):
    """What is asked of the model. Only what cannot be done without is required: the rest may be left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ReplyEntity(_Part):
    name: str
    type: _EntityType = "concept"
    aliases: _Texts = Field(default_factory=list[str])


class ReplyRelation(_Part):
    subject: str
    predicate: str
    object: str


class ReplyVerdict(_Part):
    id: str
    verdict: Judgement


_Entities = Annotated[list[Annotated[ReplyEntity, BeforeValidator(_as_named)]], BeforeValidator(_as_list)]
_Relations = Annotated[
    list[Annotated[ReplyRelation, BeforeValidator(_as_relation)]], BeforeValidator(_as_list)
]


class ReplyFact(_Part):
    text: str
    kind: _Kind = "fact"
    sources: _Texts
    subject: _Text = None
    attribute: _Text = None
    ends: Annotated[bool, BeforeValidator(_as_flag)] = False
    importance: Annotated[float, BeforeValidator(_as_share)] = 0.5
    since: _Text = None
    until: _Text = None
    entities: _Entities = Field(default_factory=list[ReplyEntity])
    relations: _Relations = Field(default_factory=list[ReplyRelation])
    verdicts: Annotated[list[ReplyVerdict], BeforeValidator(_as_list)] = Field(
        default_factory=list[ReplyVerdict]
    )


class Reply(_Part):
    facts: list[ReplyFact]


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """The facts of a reply that have the asked form, how many have not, and why, for the model."""

    facts: tuple[ReplyFact, ...]
    malformed: int = 0
    problem: str = ""


def reply_schema(reply: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a reply, without what no model needs: titles and defaults."""
    return cast("dict[str, Any]", _bare(reply.model_json_schema(), inside_properties=False))


def _bare(schema: object, *, inside_properties: bool) -> object:
    if isinstance(schema, list):
        return [_bare(one, inside_properties=False) for one in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    # A property may itself be called "title".
    dropped = () if inside_properties else ("title", "default", "description")
    return {
        key: _bare(value, inside_properties=key == "properties" and not inside_properties)
        for key, value in cast("dict[str, object]", schema).items()
        if key not in dropped
    }


def read_facts(text: str) -> ReadFacts:
    """The facts in a reply, wherever in it their JSON stands: alone, fenced, in prose, or as the arguments of
    a tool call. Raises ReplyUnreadable."""
    listed = next((facts for value in json_in(text) if (facts := _listed(value)) is not None), None)
    if listed is None:
        raise ReplyUnreadable('there is no complete JSON object {"facts": [...]} in it')
    good: list[ReplyFact] = []
    problems: list[str] = []
    # What lies beyond what is kept need not be understood to be counted.
    for place, value in enumerate(listed[: 2 * MAX_FACTS]):
        try:
            good.append(ReplyFact.model_validate(value))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in ("facts", place, *first["loc"]))
            problems.append(f"{where}: {first['msg'][:100]}")
    beyond = max(0, len(listed) - 2 * MAX_FACTS)
    return ReadFacts(tuple(good), len(problems) + beyond, "; ".join(problems[:5]))


def json_in(text: str) -> Iterator[Any]:
    """What in a text is JSON, outermost first, in order."""
    decoder = json.JSONDecoder(strict=False)
    position = 0
    for _ in range(_TRIES):
        opening = re.compile(r"[{\[]").search(text, position)
        if opening is None:
            return
        try:
            value, position = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            position = opening.end()
        else:
            yield value


def _listed(value: object) -> list[Any] | None:
    """The list of facts that a piece of JSON is, or holds as the arguments of a tool call."""
    if isinstance(value, list):
        facts = cast("list[Any]", value)
        # A list inside JSON that is cut must not pass for the whole.
        return facts if facts and all(isinstance(one, dict) and "text" in one for one in facts) else None
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    if isinstance(facts := fields.get("facts"), list):
        return cast("list[Any]", facts)
    for key in ("arguments", "input", "parameters"):
        inner = fields.get(key)
        pieces = json_in(inner) if isinstance(inner, str) else iter([inner])
        if (
            isinstance(inner, str | dict)
            and (found := next((_listed(one) for one in pieces), None)) is not None
        ):
            return found
    return None
