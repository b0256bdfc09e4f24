"""Values from plain arguments, and one sentence for the first thing that is wrong with these."""

from __future__ import annotations

import json
import math
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mcp_memory.errors import InvalidInput, shown

_Model = TypeVar("_Model", bound=BaseModel)


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
