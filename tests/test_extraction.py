"""Entities found by rules: what must be found, what must not, and what no text may do."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_memory.extraction import find_entities


def found(text: str) -> dict[str, str]:
    return {entity.name: entity.type for entity in find_entities(text)}


@pytest.mark.parametrize(
    ("text", "name", "entity_type"),
    [
        ("Write to ann.lee+news@mail.example.org today.", "ann.lee+news@mail.example.org", "email"),
        ("See https://example.org/a?b=1#c.", "https://example.org/a?b=1#c", "url"),
        ("(see www.example.org/plan)", "www.example.org/plan", "url"),
        ("It is at http://example.org/a_(b), as ever.", "http://example.org/a_(b)", "url"),
        ("Ask @octocat about it.", "@octocat", "handle"),
        ('She read "The Left Hand of Darkness" twice.', "The Left Hand of Darkness", "title"),
        ("We watched “Spirited Away”.", "Spirited Away", "title"),
        ("「吾輩は猫である」を読んだ。", "吾輩は猫である", "title"),
        ("The bug is in get_user_by_id, I think.", "get_user_by_id", "code"),
        ("Call parseHeaders before it.", "parseHeaders", "code"),
        ("It raises in client.send() at night.", "client.send()", "code"),
        ("Set MAX_RETRY_COUNT to 3.", "MAX_RETRY_COUNT", "code"),
        ("Use `git rebase` for it.", "git rebase", "code"),
        ("It is in src/app.py.", "src/app.py", "file"),
        ("Edit config.toml first.", "config.toml", "file"),
        ("Look at /etc/nginx/nginx.conf.", "/etc/nginx/nginx.conf", "file"),
        (r"Open C:\Users\ann\notes.txt now", r"C:\Users\ann\notes.txt", "file"),
        ("My friend Ben Okri called.", "Ben Okri", "person"),
        ("I spoke with Dr. Smith about it.", "Dr. Smith", "person"),
        ("Ann likes figs.", "Ann", "person"),
        ("That is Melanie's bike.", "Melanie", "person"),
        ("Hey Mel! Good to see you.", "Mel", "person"),
        ("She works at Zenith now.", "Zenith", "organisation"),
        ("He joined Acme Corp in May.", "Acme Corp", "organisation"),
        ("She studied at the University of New Mexico.", "University of New Mexico", "organisation"),
        ("I moved to Lisbon last year.", "Lisbon", "place"),
        ("We hiked around Lake Tahoe.", "Lake Tahoe", "place"),
        ("They live in Berlin, Germany.", "Germany", "place"),
        ("We love New York City.", "New York City", "place"),
        ("We switched to Kubernetes.", "Kubernetes", "tool"),
        ("Our project Phoenix starts soon.", "Phoenix", "project"),
        ("I talked to the NASA engineers.", "NASA", "organisation"),
        ("Ich traf Jürgen Müller gestern.", "Jürgen Müller", "concept"),
        ("Met Okonkwo for tea.", "Okonkwo", "person"),
        ("Left Vandelay in spring.", "Vandelay", "place"),
        ("Cancelled Hulu at last.", "Hulu", "concept"),
        ("Drew Baxter called.", "Drew Baxter", "person"),
        ("Ingrid resigned from the board.", "Ingrid", "person"),
        ("Rohan quit Vandelay", "Vandelay", "concept"),
    ],
)
def test_an_entity_is_found_with_its_type(text: str, name: str, entity_type: str) -> None:
    assert found(text).get(name) == entity_type


@pytest.mark.parametrize(
    "text",
    [
        "Yesterday was fun. Tomorrow will be better.",
        "I'm OK, and I don't watch TV on Mondays.",
        "Wow! That's great. Thanks. Looking forward to it!",
        "Running is good for you.",
        "It is 5/6 done, and/or late, e.g. by 10 a.m. today.",
        "He said 'never' and \"I will not do that again.\"",
        "In March we speak French, in April German.",
        "Prices dropped again.",
        "Met them. Quit early.",
        "",
        "   ",
    ],
)
def test_ordinary_words_name_nobody(text: str) -> None:
    assert found(text) == {}


def test_a_name_at_the_beginning_counts_when_it_is_one_elsewhere() -> None:
    assert "Miso" in found("Miso sleeps. I fed Miso twice.")


def test_two_people_joined_by_and_are_two() -> None:
    assert list(found("Maria and John went hiking.")) == ["Maria", "John"]


def test_the_more_specific_reading_wins() -> None:
    assert found("Mail ann@example.org or see https://example.org/@ann/src/app.py") == {
        "ann@example.org": "email",
        "https://example.org/@ann/src/app.py": "url",
    }


def test_each_is_told_once_in_order_and_at_most_so_many() -> None:
    names = [entity.name for entity in find_entities("I saw Ben, then Ann, then BEN, then Cleo.", limit=2)]
    assert names == ["Ben", "Ann"]


@given(st.text(max_size=300) | st.text(alphabet="aA .@/\\_\"'`“”(:", max_size=300))
def test_any_text_gives_clean_names_that_stand_in_it(text: str) -> None:
    flat = " ".join("".join(" " if unicodedata.category(one)[0] == "C" else one for one in text).split())
    entities = find_entities(text, limit=10)
    assert len(entities) <= 10
    for entity in entities:
        assert 0 < len(entity.name) <= 128
        assert not any(unicodedata.category(one)[0] == "C" for one in entity.name)
        assert entity.name in flat


@pytest.mark.parametrize(
    "unit",
    ["@", "a.", "A ", '"', "/", "(", "`", "A_", "http://", "Aa ", "a@", "..", "“", "aB", "~/", "A of ", "A'"],
)
def test_hostile_repetition_is_answered(unit: str) -> None:
    assert len(find_entities(unit * (32_000 // len(unit)))) <= 32


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Called Dr. Okafor about my knee.", "Dr. Okafor"),
        ("Met Mrs. Hall today.", "Mrs. Hall"),
        ("Sold the Volvo.", "Volvo"),
        ("Painted the Eiffel Tower.", "Eiffel Tower"),
        ("I read Chasing the Dragon.", "Chasing the Dragon"),
    ],
)
def test_a_verb_before_a_title_or_an_article_is_no_part_of_a_name(text: str, name: str) -> None:
    assert [one.name for one in find_entities(text)] == [name]
