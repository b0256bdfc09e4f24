"""Who somebody is to somebody else, as far as it tells one bearer of a name from another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mcp_memory.models import name_key

PET = "pet"
SPOUSE = "spouse"
BLOOD = frozenset(
    """
    mother father sister brother daughter son aunt uncle niece nephew cousin
    grandmother grandfather granddaughter grandson
    """.split()
)
"""Who is that to somebody is nothing else to them, alive or dead: neither kin of another degree, nor their
spouse, boss or friend, as people speak of them."""
IS_OF_SPECIES = "is of species"
"""Predicate of an animal of which nobody says whose it is."""
ALSO_CALLED = "is also called"
"""Relation of two whom a memory tells to be one, where something else speaks against it."""
ANOTHER = "knows another"
"""Predicate of whoever speaks and of "another Bob", who is none of those known by that name."""

LOOSE = frozenset(
    """
    friend colleague coworker co-worker neighbour neighbor roommate flatmate housemate classmate teammate mate
    buddy acquaintance
    """.split()
)
"""What anybody may become to one who knows them by name: it tells one of several, and excludes nobody but
kin."""
_TIED_TO = {"has pet": PET, "reports to": "boss", "is married to": SPOUSE, "is partner of": SPOUSE}
"""What the object is to the subject, by predicate."""
_IS_OF = re.compile(r"is (?:an? |the )?(?P<kin>[^\W\d_]+(?:-[^\W\d_]+)*) of")
_SPOUSES = frozenset(
    f"{ex}{kin}"
    for ex in ("", "ex-")
    for kin in ("partner", "wife", "husband", "spouse", "girlfriend", "boyfriend", "fiancé", "fiancée")
)


@dataclass(frozen=True, slots=True)
class Tie:
    """Who somebody is to another: kin, spouse, boss, or a pet."""

    kind: str
    to: str
    """Id of the other; empty of a pet, whoever keeps it, and where nobody knows the other yet."""


def kind_of(predicate: str, *, is_subject: bool) -> str | None:
    """What the subject of a relation is to its object, or the object to the subject; None where the relation
    does not say who somebody is."""
    plain = name_key(predicate)
    if not is_subject:
        return _TIED_TO.get(plain)
    if plain == IS_OF_SPECIES:
        return PET
    match = None if plain in _TIED_TO else _IS_OF.fullmatch(plain)
    if match is None or match["kin"] in ("part", "member", "fan"):
        return None
    return SPOUSE if match["kin"] in _SPOUSES else match["kin"]


def may_be(told: Iterable[Tie], known: frozenset[Tie], *, is_own_name: bool) -> bool:
    """Whether one of whom these ties are known may be the one of whom those are told.

    By a nickname only whoever is known to be that: my aunt Nell is not my manager Ines, who goes by Nell;
    but my friend Nell may be. By their own name all but a pet where a person is known, or the other way
    round, and kin that is known to be something else.
    """
    return all(
        tie in known
        or ((is_own_name or tie.kind in LOOSE) and not any(_excludes(tie, other) for other in known))
        for tie in told
    )


def _excludes(one: Tie, other: Tie) -> bool:
    if PET in (one.kind, other.kind):
        return one.kind != other.kind
    return one.to == other.to and one.kind != other.kind and (_is_kin(one.kind) or _is_kin(other.kind))


def _is_kin(kind: str) -> bool:
    return kind in BLOOD or kind.startswith("step") or kind.endswith("-in-law")
