"""Conditions on metadata: how they are written, and what they let through."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_memory.conditions import read_condition
from mcp_memory.config import Config
from mcp_memory.errors import InvalidInput
from mcp_memory.models import AddRequest, Scope, SearchRequest, parse
from mcp_memory.service import Service

SCOPE = Scope(user_id="u")
NOTES: dict[str, dict[str, Any]] = {
    "plain": {},
    "three": {"stars": 3, "project": "atlas", "tags": ["red", "round"]},
    "five": {"stars": 5.0, "project": "borealis", "tags": ["blue"], "done": True},
    "text": {"stars": "5", "project": None, "done": False},
    "strange": {'a"b.$[0]': "quoted", "o'hara": 1},
    "joined": {"and": 1, "or": "x", "not": True},
}


@pytest.fixture
async def notes(config: Config) -> AsyncGenerator[Service]:
    async with Service.open(config) as service:
        for name, metadata in NOTES.items():
            await service.add(SCOPE, AddRequest(content=f"A note called {name}.", metadata=metadata))
        yield service


async def found(service: Service, where: dict[str, Any]) -> set[str]:
    request = parse(SearchRequest, {"query": "note", "where": where, "limit": 50})
    result = await service.search(SCOPE, request)
    return {hit.memory.text.removeprefix("A note called ").rstrip(".") for hit in result.hits}


CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({"project": "atlas"}, {"three"}),
    ({"project": {"eq": None}}, {"text"}),
    ({"project": {"ne": "atlas"}}, {"five", "text"}),
    ({"stars": {"gte": 3}}, {"three", "five"}),
    ({"stars": {"gt": 3, "lt": 6}}, {"five"}),
    ({"stars": {"lte": "5"}}, {"text"}),
    ({"stars": 5}, {"five"}),
    ({"stars": {"in": [3, "5"]}}, {"three", "text"}),
    ({"tags": {"contains": "red"}}, {"three"}),
    ({"project": {"contains": "real"}}, {"five"}),
    ({"done": True}, {"five"}),
    ({"done": {"in": [True, False]}}, {"five", "text"}),
    ({"and": [{"stars": {"gte": 3}}, {"project": "atlas"}]}, {"three"}),
    ({"or": [{"done": True}, {"tags": {"contains": "red"}}]}, {"three", "five"}),
    ({"not": {"stars": {"gte": 0}}}, {"plain", "text", "strange", "joined"}),
    ({'a"b.$[0]': "quoted"}, {"strange"}),
    ({"o'hara": 1}, {"strange"}),
    ({"nothing": 1}, set()),
    ({"and": {"eq": 1}}, {"joined"}),
    ({"or": {"in": ["x", "y"]}, "not": {"eq": True}}, {"joined"}),
    ({"and": [{"and": {"gte": 1}}, {"not": {"or": {"eq": "y"}}}]}, {"joined"}),
]


@pytest.mark.parametrize(("where", "expected"), CASES)
async def test_a_condition_lets_through_what_fulfils_it(
    notes: Service, where: dict[str, Any], expected: set[str]
) -> None:
    assert await found(notes, where) == expected


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ({}, "is no condition"),
        ({"stars": {"about": 4}}, "use one of eq, ne"),
        ({"stars": {"in": 4}}, "takes a list"),
        ({"stars": {"gt": True}}, "takes a number or text"),
        ({"stars": {}}, "compared with nothing"),
        ({"stars": [1]}, "text, a number, true, false or null only"),
        ({"and": {"a": 1}}, "takes a list of conditions"),
        ({"not": 4}, "compared in full"),
        ({"or": "x"}, "compared in full"),
        ({"not": {}}, "is no condition"),
        ({"or": [{"a": n} for n in range(60)]}, "at most 50"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(where: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        parse(SearchRequest, {"query": "x", "where": where})


def test_nesting_without_end_is_refused() -> None:
    where: dict[str, Any] = {"a": 1}
    for _ in range(200):
        where = {"not": where}
    with pytest.raises(ValueError, match="nested deeper"):
        read_condition(where)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["and", "or", "not", "eq", "in", "contains"]) | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6), _json, max_size=3))
def test_any_object_is_read_or_refused_with_a_sentence(where: dict[str, Any]) -> None:
    with suppress(ValueError):
        read_condition(where)
