"""Past forms by which people tell what they did: with them a sentence begins that leaves out "I", and whoever
stands before one of them is somebody."""

from __future__ import annotations

CHANGED = frozenset(
    """
    moved relocated upgraded updated switched quit left started joined got settled cancelled canceled stopped
    downgraded migrated resigned retired graduated dropped replaced ditched postponed rescheduled bumped
    """.split()
)
"""After which something is otherwise than before."""
DEEDS = frozenset(
    """
    bought adopted sold won graduated finished completed launched published released founded passed failed
    broke earned received inherited built opened closed hosted organized organised attended visited hiked
    climbed ran travelled traveled married met celebrated donated volunteered started began joined enrolled
    signed booked planted painted baked cooked repaired fixed renovated moved lost found
    """.split()
)
"""Worth telling also where nobody says when it was."""
IRREGULAR = frozenset(
    """
    bought sold won met saw went took got gave made had read wrote built broke lost found ran swam drove flew
    rode spent taught learned began came caught chose drew ate drank held heard led left sent sang slept spoke
    threw woke wore
    """.split()
)
PAST = CHANGED | DEEDS | IRREGULAR
PERSONAL = PAST - frozenset(
    """
    moved upgraded updated left started got settled stopped migrated dropped replaced bumped won finished
    completed launched released passed failed broke earned received built opened closed hosted organized
    organised climbed ran began lost found painted repaired fixed saw went took gave made had came caught drew
    held led sent threw
    """.split()
)
"""What only people do: "Prices dropped" names nobody."""
