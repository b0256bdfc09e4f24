"""Which of several claims about one thing holds: worked out from what was said, in whatever order it came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mcp_memory.timeline import Claim, endings

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def claim(
    name: str,
    value: str | None,
    day: int,
    *,
    negates: bool = False,
    since: int | None = None,
    until: int | None = None,
    order: int = 0,
    session: str | None = None,
) -> Claim:
    return Claim(
        memory_id=name,
        value=value,
        negates=negates,
        said_at=DAY + timedelta(days=day),
        begins_at=DAY + timedelta(days=day if since is None else since),
        until=None if until is None else DAY + timedelta(days=until),
        order=order,
        session_id=session,
    )


def ended(*claims: Claim) -> dict[str, tuple[str, int]]:
    return {name: (one.by_id, (one.at - DAY).days) for name, one in endings(claims).items()}


def test_a_later_claim_ends_an_earlier_one_when_it_begins() -> None:
    assert ended(claim("a", "Lisbon", 0), claim("b", "Porto", 100, since=90)) == {"a": ("b", 90)}


def test_the_same_said_again_ends_nothing() -> None:
    assert ended(claim("a", "Lisbon", 0), claim("b", "Lisbon", 100)) == {}


def test_of_two_said_at_one_moment_neither_ends_the_other() -> None:
    assert ended(claim("a", "Lisbon", 0), claim("b", "Porto", 0)) == {}


def test_in_one_conversation_what_is_said_later_counts() -> None:
    here = claim("a", "Lisbon", 0, order=1, session="s")
    assert ended(here, claim("b", "Porto", 0, order=2, session="s")) == {"a": ("b", 0)}


def test_a_claim_about_the_past_ends_nothing() -> None:
    assert ended(claim("a", "Porto", 0), claim("b", "Lisbon", 10, since=-500, until=-100)) == {}


def test_what_was_so_before_but_is_told_later_ends_from_when_it_was_told() -> None:
    assert ended(claim("a", "Lisbon", 100), claim("b", "Porto", 200, since=0)) == {"a": ("b", 200)}


def test_a_negation_empties_the_slot_of_its_value_alone() -> None:
    leaves = claim("b", "Acme", 10, negates=True)
    assert ended(claim("a", "Acme", 0), leaves) == {"a": ("b", 10)}
    assert ended(claim("a", "Globex", 0), leaves) == {}


def test_a_negation_of_anything_empties_the_slot() -> None:
    assert ended(claim("a", "Acme", 0), claim("b", None, 10, negates=True)) == {"a": ("b", 10)}


def test_what_is_true_again_ends_its_negation() -> None:
    leaves = claim("b", "Acme", 10, negates=True)
    assert ended(claim("a", "Acme", 0), leaves, claim("c", "Acme", 20)) == {"a": ("b", 10), "b": ("c", 20)}


claims = st.lists(
    st.builds(
        claim,
        name=st.uuids().map(str),
        value=st.sampled_from(["Lisbon", "Porto", "Rome", None]),
        day=st.integers(0, 5),
        negates=st.booleans(),
        since=st.none() | st.integers(-5, 10),
        until=st.none() | st.integers(-5, 10),
        order=st.integers(0, 3),
        session=st.sampled_from([None, "s"]),
    ),
    unique_by=lambda one: one.memory_id,
    max_size=8,
)


@given(claims)
def test_no_chain_of_endings_is_a_circle(made: list[Claim]) -> None:
    found = endings(made)
    for first in found:
        seen, name = {first}, first
        while name in found:
            name = found[name].by_id
            assert name not in seen
            seen.add(name)


@given(claims)
def test_the_order_of_arrival_does_not_matter(made: list[Claim]) -> None:
    shuffled = sorted(made, key=lambda one: one.memory_id)
    assert endings(shuffled) == endings(sorted(made, key=lambda one: one.memory_id, reverse=True))


@given(claims)
def test_of_what_was_said_last_something_holds(made: list[Claim]) -> None:
    if made:
        last = max(made, key=lambda one: (one.said_at, one.order, one.memory_id))
        assert last.memory_id not in endings(made) or any(
            one.is_later_than(last) for one in made if one is not last
        )
