"""Which names are one: the same person or thing written otherwise, and what only looks alike.

Pure: names, types and vectors in, a verdict out. Similarity alone never makes two entities one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from mcp_memory.models import EntityType, name_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

USER = "The user"
"""Who "I" is, where nobody says a name."""
USER_ALIASES = ("User", "I", "me", "myself")

NEAR = 0.72
"""Cosine of two names, each embedded alone by the shipped model, from which they are worth a look. Of 30
pairs of names of one thing (Dave, David; NYC, New York City) 24 lie above, of 32 of two things (Tuesday,
Thursday; Maria and Mario Silva) four: it finds what to ask about, and decides nothing."""
MARGIN = 0.08
"""What is this much farther than the nearest candidate is not looked at; what is nearer than that is as
likely, so both are listed. The standard deviation of the 24 pairs above is .07."""
TOLD = 0.95
"""Score of two whom somebody told to be one while something else speaks against it: above all that only looks
alike."""
SHORTEST = 3
"""Letters and digits of a name that may be taken for another form of a name: with fewer, too much is."""

Verdict = Literal["same", "review", "different"]


@dataclass(frozen=True, slots=True)
class Called:
    """What is known of an entity here: its type, and every name it goes by."""

    type: EntityType
    names: tuple[str, ...]
    is_guessed: bool = False
    """Its type is a guess, and tells it apart from nobody."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How two entities compare. `score`, 0 to 1, orders what is to be reviewed; `why` is for a person."""

    verdict: Verdict
    score: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two of the entities compared, by their places, that may be one."""

    one: int
    other: int
    score: float
    why: str


_USER_KEYS = frozenset(map(name_key, (USER, *USER_ALIASES)))


def is_user(name: str, entity_type: EntityType) -> bool:
    """Whether the name stands for whoever is remembered: "I", "me", "the user"."""
    return entity_type in ("person", "concept") and name_key(name) in _USER_KEYS


def asked_for(name: str) -> str:
    """A name as it is stored, of somebody that the user calls theirs: "my sister" is "The user's sister"."""
    first, _, rest = name.strip().partition(" ")
    return f"{USER}'s {rest.strip()}" if rest and first.casefold() in ("my", "our") else name


_WAVERING: tuple[frozenset[EntityType], ...] = (
    frozenset({"organisation", "product", "project", "tool", "title", "code", "file", "url"}),
    frozenset({"organisation", "place"}),
)
"""Types that extractors give to one thing by turns: a maker and what it makes, a house and who runs it."""
_EXACT: frozenset[EntityType] = frozenset({"email", "url", "handle", "code", "file"})
"""Names in which every sign counts."""


def is_compatible(one: Called, other: Called) -> bool:
    """Whether two types may be one entity's. "concept" is also what is said by who knows no better."""
    types = {one.type, other.type}
    is_unknown = one.is_guessed or other.is_guessed or "concept" in types
    return is_unknown or len(types) == 1 or any(types <= group for group in _WAVERING)


def may_share(one: Called, other: Called) -> bool:
    """Whether two may be one whose first names differ in capitals at most: the fruit "apple" is not Apple.

    People are called in small letters too, so that tells nothing of them.
    """
    return is_compatible(one, other) and not (_is_noun_beside(one, other) or _is_noun_beside(other, one))


def _is_noun_beside(noun: Called, name: Called) -> bool:
    return (
        noun.type == "concept"
        and name.type not in ("concept", "person")
        and noun.names[0] == noun.names[0].lower()
        and name.names[0] != name.names[0].lower()
    )


def chosen(new: Called, known: Sequence[Called], *, is_typed: bool = True) -> int | None:
    """The place of the one who is meant, of those whose first names are equal to the new one's but for
    capitals.

    Of several, the one of the same type, then the one spelled the same; None where none fits, or two fit
    alike. Where the type is a guess, spelling tells more; without `is_typed` nobody said what the name is of,
    as in a relation, and small letters tell nothing.
    """
    fits = [place for place, other in enumerate(known) if not is_typed or may_share(new, other)]
    of_type = {place for place in fits if known[place].type == new.type}
    spelled = {place for place in fits if known[place].names[0] == new.names[0]}
    for better in (of_type, spelled) if is_typed and not new.is_guessed else (spelled, of_type):
        fits = [place for place in fits if place in better] or fits
    # Two of one name and type are told apart by nothing; a third one would not help.
    return fits[0] if len(fits) == 1 or (fits and fits[0] in of_type) else None


_TITLES = frozenset(
    "dr prof professor mr mrs ms miss mx sir herr frau monsieur madame senor senora dott".split()
)
_LEGAL = frozenset(
    """
    inc incorporated corp corporation ltd limited llc llp plc gmbh ag kg ug sarl srl spa bv nv oy oyj asa pty
    """.split()
)
"""Without "co" and "sa", which end other names too: "Tiffany & Co." is not Tiffany."""
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})
_APOSTROPHE = re.compile(r"(?<=\w)['’ʼ`´](?=\w)")
# "v1.2" is not "v12", and ".NET" is not "net".
_DOT = re.compile(r"(?<=\w)\.(?!(?<=\d\.)\d)")
_HYPHEN = re.compile(r"(?<=[^\W\d])[-‐‑‒–—](?=\w)|(?<=\d)[-‐‑‒–—](?=[^\W\d])")
_MARKS = re.compile(r"[,;:!?\"“”„«»‘()\[\]{}]|(?<!\w)['’]|['’](?!\w)")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Form:
    words: tuple[str, ...]
    title: str
    legal: str

    @property
    def text(self) -> str:
        return " ".join(self.words)


def written_form(name: str) -> str:
    """What is left of a name without accents, punctuation, title and legal form: equal for the forms in which
    one name is written. It is stored: another rule needs a migration.

    `Dr. José Müller-Roth` → `jose muller roth`, `Acme Inc.` → `acme`; `C++` and `C#` stay what they are.
    """
    return _form(name).text


def _form(name: str) -> _Form:
    text = _MARKS.sub(" ", _HYPHEN.sub(" ", _DOT.sub("", _APOSTROPHE.sub("", _plain(name)))))
    words = text.split()
    # "Dr. Miller" may be anybody's doctor: without a first name the title is part of who is meant.
    title = words.pop(0) if len(words) > 2 and words[0] in _TITLES else ""
    legal: list[str] = []
    while len(words) > 1 and words[-1] in _LEGAL:
        legal.insert(0, words.pop())
    return _Form(tuple(words), title, " ".join(legal))


def _plain(name: str) -> str:
    """Latin letters without their accents. In other scripts such marks make other letters."""
    plain: list[str] = []
    for character in unicodedata.normalize("NFD", name_key(name)):
        if unicodedata.combining(character) and plain and "a" <= plain[-1] <= "z":
            continue
        plain.append(character)
    return unicodedata.normalize("NFC", "".join(plain)).translate(_LETTERS)


def compare(one: Called, other: Called) -> Likeness:
    """What the names and types of two entities say of whether they are one.

    `same` needs one name in another written form, compatible types, and no two names that speak against it.
    """
    if not is_compatible(one, other):
        return Likeness("different")
    found = Likeness("different")
    disagree = False
    for name in one.names:
        for other_name in other.names:
            a, b = replace(one, names=(name,)), replace(other, names=(other_name,))
            likeness = _compared(a, b)
            disagree |= _disagree(_form(name), _form(other_name))
            found = max(found, likeness, key=lambda likeness: likeness.score)
    if found.verdict == "same" and disagree:
        return Likeness("review", 0.8, f"{found.why}, but another title or legal form is known")
    return found


def _compared(one: Called, other: Called) -> Likeness:
    """Two of one name each."""
    names = f"“{one.names[0]}” and “{other.names[0]}”"
    a, b = _form(one.names[0]), _form(other.names[0])
    types: set[EntityType] = {one.type, other.type}
    if name_key(one.names[0]) == name_key(other.names[0]):
        return Likeness("review", 0.9, f"{names} are the same word, of another type or in other letters")
    if types & _EXACT or _numbers(a) != _numbers(b):
        return Likeness("different")
    if a.words == b.words:
        is_explained = (a.title == b.title or "person" in types) and (
            a.legal == b.legal or "organisation" in types
        )
        if is_explained and len("".join(a.words)) >= SHORTEST and may_share(one, other):
            return Likeness("same", 1.0, f"{names} are one name in two written forms")
        return Likeness("review", 0.85, f"{names} are nearly one name")
    return _contained(types, a, b, names)


def _disagree(one: _Form, other: _Form) -> bool:
    """Mr. and Mrs. John Smith are two, and so are Acme Inc. and Acme GmbH."""
    titles, legal = {one.title, other.title} - {""}, {one.legal, other.legal} - {""}
    return one.words == other.words and (len(titles) > 1 or len(legal) > 1)


def _numbers(form: _Form) -> list[str]:
    return _NUMBER.findall(form.text)


_MADE: frozenset[EntityType] = frozenset({"organisation", "product", "project", "tool"})


def _contained(types: set[EntityType], one: _Form, other: _Form, names: str) -> Likeness:
    """Ann may be Ann Miller, and so may Miller; Acme may be Acme Robotics. Lisbon is not Lisbon Airport."""
    short, long = sorted((one.words, other.words), key=len)
    begins, ends = long[: len(short)] == short, long[-len(short) :] == short
    if not short or len("".join(short)) < SHORTEST or not (begins or ends):
        return Likeness("different")
    why = f"{names}: one is part of the other"
    if "person" in types:
        return Likeness("review", 0.7 if types == {"person"} else 0.6, why)
    if begins and types <= _MADE:
        return Likeness("review", 0.5, why)
    if begins and types == {"concept"} and (len(short), len(long)) == (1, 2):
        return Likeness("review", 0.3, why)
    return Likeness("different")


def only_same(new: Called, known: Sequence[Called]) -> int | None:
    """The place of the one entity that a new one is, by its first name in another written form. None where
    two come near."""
    name = replace(new, names=new.names[:1])
    near = [
        (place, likeness.verdict)
        for place, other in enumerate(known)
        if (likeness := compare(name, other)).verdict != "different"
    ]
    return near[0][0] if len(near) == 1 and near[0][1] == "same" else None


_DIMINUTIVE = re.compile(r"(?:y|ie|i|ey|o|z|zy|ster)$")


def is_full_name(full: str, short: str) -> bool:
    """Whether one word is what another may be short for: Samuel, and not Sammy, of Sam."""
    long, begins = _form(full).text, _form(short).text
    return (
        len(begins) >= SHORTEST
        and long.startswith(begins)
        and " " not in long
        and len(long) > len(begins) + 1
        and _DIMINUTIVE.search(long) is None
    )


def has_another_full_name(short: str, given: Iterable[str], names: Iterable[str]) -> bool:
    """Whether somebody of these names has a full name, and none of the `given` ones: a Chris who is Christine
    is no Christopher."""
    known = {_form(name).text for name in names if is_full_name(name, short)}
    told = {_form(name).text for name in given if is_full_name(name, short)}
    return bool(known and told and not known & told)


def is_meant_by(other: Called, one: Called) -> bool:
    """Whether `one`, who is told to go by other names too, may be the other who is known only by these: Bob,
    if Robert is "also Bob". Both are of one type, guessed or not, or nobody knows what one of them is.

    Capitals count, for "Ace" may be a name and "ace" is none; a part of a name says no more than the name.
    """
    given = set(one.names[1:])
    return (
        (one.type == other.type or "concept" in (one.type, other.type))
        and given.issuperset(other.names)
        and not any(is_user(called.names[0], called.type) for called in (one, other))
        and compare(replace(one, names=one.names[:1]), other).verdict == "different"
    )


def to_review(
    entities: Sequence[Called],
    vectors: NDArray[np.float32] | None = None,
    told: Iterable[tuple[int, int]] = (),
) -> tuple[Pair, ...]:
    """Pairs that may be one, best first: by what was told, by their names, and by what their names mean.

    `vectors` are those of each one's first name, `(n, d)` and normalised; None where nothing embeds. Of the
    places in `told` the first was said to be called as the second is.
    """
    found: dict[tuple[int, int], Pair] = {}
    for one, other in told:
        why = f"“{entities[one].names[0]}” is said to be called “{entities[other].names[0]}” too"
        found[min(one, other), max(one, other)] = Pair(min(one, other), max(one, other), TOLD, why)
    for one, other in _neighbours(entities):
        likeness = compare(entities[one], entities[other])
        if likeness.verdict != "different":
            found.setdefault((one, other), Pair(one, other, likeness.score, likeness.why))
    for pair in () if vectors is None else _near_in_meaning(entities, vectors):
        found.setdefault((pair.one, pair.other), pair)
    return tuple(sorted(found.values(), key=lambda pair: (-pair.score, pair.one, pair.other)))


def _neighbours(entities: Sequence[Called]) -> Iterable[tuple[int, int]]:
    """Pairs one of whose names begins or ends as another's does: all that `compare` can say anything of."""
    by_form: dict[tuple[str, ...], set[int]] = {}
    forms = [{form.words for form in map(_form, one.names)} for one in entities]
    for place, of_one in enumerate(forms):
        for words in of_one:
            by_form.setdefault(words, set()).add(place)
    pairs: set[tuple[int, int]] = set()
    for places in by_form.values():
        pairs.update(combinations(sorted(places), 2))
    for place, of_one in enumerate(forms):
        for words in of_one:
            for length in range(1, len(words)):
                for part in (words[:length], words[-length:]):
                    near = by_form.get(part, set()) - {place}
                    pairs.update((min(place, other), max(place, other)) for other in near)
    return sorted(pairs)


def _near_in_meaning(entities: Sequence[Called], vectors: NDArray[np.float32]) -> Iterable[Pair]:
    import numpy as np

    cosines = vectors @ vectors.T
    for entity_type, places in _by_type(entities):
        of_type = cosines[np.ix_(places, places)].copy()
        np.fill_diagonal(of_type, 0.0)
        nearest = of_type.max(axis=1)
        least = np.maximum(np.maximum(nearest[:, None], nearest[None, :]) - MARGIN, NEAR)
        for row, column in np.argwhere(np.triu(of_type >= least)):
            one, other = places[int(row)], places[int(column)]
            if not _may_be_near(entities[one], entities[other], entity_type):
                continue
            names = entities[one].names[0], entities[other].names[0]
            cosine = float(of_type[row, column])
            why = f"“{names[0]}” and “{names[1]}” are near in meaning ({cosine:.2f})"
            yield Pair(one, other, round(cosine * 0.8, 4), why)


def _by_type(entities: Sequence[Called]) -> Iterable[tuple[EntityType, list[int]]]:
    """Places of each type whose names may differ, with those of which nobody knows what they are."""
    types: set[EntityType] = {one.type for one in entities}
    for entity_type in types - _EXACT:
        places = [n for n, one in enumerate(entities) if one.type in (entity_type, "concept")]
        if len(places) > 1:
            yield entity_type, places


def _may_be_near(one: Called, other: Called, entity_type: EntityType) -> bool:
    """Whether two of these are worth a look, if their names are near: at least one of that type, with the
    same numbers, and not a noun beside a name."""
    if entity_type not in (one.type, other.type):
        return False
    if _numbers(_form(one.names[0])) != _numbers(_form(other.names[0])):
        return False
    is_noun = one.names[0].islower() != other.names[0].islower()
    return one.type == other.type or not is_noun
