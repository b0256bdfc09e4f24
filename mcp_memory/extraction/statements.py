"""What the clauses of English sentences state of whom: where somebody lives and works, what they like, did
and plan. Pure; what is not understood for certain is left out."""

from __future__ import annotations

from mcp_memory.extraction import (
    body,
    deeds,
    family,
    habits,
    homes,
    plans,
    possessions,
    tastes,
    versions,
    work,
)
from mcp_memory.extraction.forms import Match, Said, Statement


def read(said: Said) -> list[Statement]:
    """What is stated of the clause's subject by its verb; the first form that fits decides."""
    for form in _FORMS:
        if (match := form.pattern.match(said.rest)) and (found := form.read(Match(match, said))) is not None:
            return found
    return []


# "Moved to Python 3" is no home, and "became vegan" no trade.
_FORMS = (
    *versions.FORMS,
    *homes.FORMS,
    *work.FORMS,
    *tastes.FORMS,
    *family.FORMS,
    *possessions.FORMS,
    *body.FORMS,
    *plans.FORMS,
    *habits.FORMS,
    *deeds.FORMS,
    *work.TRADES,
)
