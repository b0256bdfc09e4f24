"""Whose memory is read and written."""

from __future__ import annotations

from mcp_memory.errors import InvalidInput
from mcp_memory.models.values import Identifier, Level, Value


class Scope(Value):
    """Whose memory: every read and every write carries one.

    A memory is visible when its level's id equals the scope's: user level, the same user; session level, the
    same user and session; agent level, the same agent.
    """

    user_id: Identifier
    agent_id: Identifier | None = None
    session_id: Identifier | None = None

    def owner(self, level: Level) -> str:
        """The key under which memories of `level` are kept, equal exactly for scopes that share them.

        Each id carries its length, so no id can be made to read like two.
        """
        match level:
            case "user":
                return f"user:{self.user_id}"
            case "session":
                if self.session_id is None:
                    raise InvalidInput("session_id", "a memory of level session needs one; give session_id")
                return f"session:{len(self.user_id)}:{self.user_id}:{self.session_id}"
            case "agent":
                if self.agent_id is None:
                    raise InvalidInput(
                        "agent_id", "a memory of level agent needs one; give agent_id or set it in the config"
                    )
                return f"agent:{self.agent_id}"

    @property
    def owners(self) -> tuple[str, ...]:
        """The keys of all that is visible here, user level first."""
        keys = [self.owner("user")]
        if self.session_id is not None:
            keys.append(self.owner("session"))
        if self.agent_id is not None:
            keys.append(self.owner("agent"))
        return tuple(keys)
