"""What became of what was to be forgotten: plans, results, what can be undone, and receipts."""

from __future__ import annotations

from typing import Literal

from mcp_memory.models.memories import Memory
from mcp_memory.models.moments import Moment
from mcp_memory.models.values import Value


class ForgetPlan(Value):
    plan_id: str
    count: int
    examples: tuple[Memory, ...]
    expires_at: Moment


class Kept(Value):
    """What stays because another memory still says it."""

    id: str
    name: str
    """An entity's name, or the words of a memory."""
    said_by: tuple[str, ...]
    """Ids of memories that say it, three at most."""


class ForgetResult(Value):
    """What became of a forget.

    `planned`: nothing yet, see `plan`. `hidden`: out of sight at once, erased at `erase_at`. `erased`: gone
    from every file, which the program has looked through when `verified`. `nothing`: there was nothing to
    forget.
    """

    status: Literal["planned", "hidden", "erased", "nothing"]
    plan: ForgetPlan | None = None
    receipt_id: str | None = None
    """Of the receipt that is kept, or will be when what is hidden is erased."""
    forgotten: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    """Ids of what was drawn from nothing but the forgotten, and went with it."""
    not_found: tuple[str, ...] = ()
    entities_removed: tuple[str, ...] = ()
    """Ids of entities that nothing mentions any more."""
    entities_left: tuple[str, ...] = ()
    """Ids of entities that were mentioned there and still are elsewhere."""
    kept: tuple[Kept, ...] = ()
    """What was said there and stays, since another memory says it: twenty at most."""
    sessions: tuple[str, ...] = ()
    """Sessions that something was forgotten of."""
    erase_at: Moment | None = None
    verified: bool | None = None
    """Whether every file of the data folder was looked through and held nothing of it."""
    found: tuple[str, ...] = ()
    """Where something of it was still found, or why it could not be looked for."""
    backups: tuple[str, ...] = ()
    """Files that may still hold it, out of reach."""
    degraded: tuple[str, ...] = ()


class Receipt(Value):
    """Proof of one erasure: ids, counts and times, no content. `digest` seals it together with the receipt
    before."""

    id: str
    made_at: Moment
    """When it was asked for."""
    erased_at: Moment
    memory_ids: tuple[str, ...]
    entity_ids: tuple[str, ...]
    looked_for: int
    """Pieces of forgotten text, names and vectors that were looked for."""
    files: int
    """Files that were looked through."""
    bytes: int
    verified: bool
    found: tuple[str, ...] = ()
    previous: str = ""
    """Digest of the receipt before; empty for the first."""
    digest: str = ""
    """SHA-256 of all of the above, as hexadecimal digits."""


class Hidden(Value):
    """A forgetting that can still be undone, until `due_at`."""

    id: str
    made_at: Moment
    due_at: Moment
    memory_ids: tuple[str, ...]


class Unforgotten(Value):
    """What an undone forgetting brought back."""

    memory_ids: tuple[str, ...]
