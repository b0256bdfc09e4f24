"""JSON schemas for tools, made lean: an assistant pays for every token of them in every conversation."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import BaseModel

_NOISE = frozenset(
    "title default format additionalProperties maxLength minLength maxItems minimum maximum".split()
)
"""Said by nobody who reads a schema to call a tool: names said twice, and bounds that a clear error
explains."""


def lean_schema(model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """The schema of a model as one plain object: references inlined, nullable fields plain and optional.

    Some hosts refuse unions and references in a tool's schema. Unknown arguments are refused. Of an answer
    only the outer shape is told: who parses the rest reads it, and an assistant needs none of it.
    """
    schema = model.model_json_schema(mode=mode)
    definitions: dict[str, Any] = schema.pop("$defs", {})
    lean = cast(dict[str, Any], _lean(schema, definitions))
    lean.pop("description", None)
    if mode == "validation":
        return {**lean, "additionalProperties": False}
    for value in lean["properties"].values():
        value.get("items", {}).pop("properties", None)
        value.get("items", {}).pop("required", None)
    return lean


def _lean(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_lean(item, definitions) for item in cast(list[Any], node)]
    if not isinstance(node, dict):
        return node
    schema = cast(dict[str, Any], node)
    if reference := schema.get("$ref"):
        return _lean(definitions[str(reference).rpartition("/")[2]] | _without(schema, "$ref"), definitions)
    if options := schema.get("anyOf"):
        (option,) = [option for option in options if option != {"type": "null"}]
        return _lean(option | _without(schema, "anyOf"), definitions)
    lean = {key: _lean(value, definitions) for key, value in schema.items() if key not in _NOISE}
    if isinstance(properties := schema.get("properties"), dict):
        # Their names are no keywords: a property may well be called "title".
        named = cast(dict[str, Any], properties)
        lean["properties"] = {name: _lean(value, definitions) for name, value in named.items()}
    if schema.get("type") == "object" and "properties" in schema:
        lean.pop("description", None)
    return lean


def _without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}
