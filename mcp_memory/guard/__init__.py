"""What is looked at before words are kept: secrets, orders to an assistant, and talk that says nothing."""

from mcp_memory.guard.admission import Mode, admit
from mcp_memory.guard.instructions import reads_like_instruction
from mcp_memory.guard.secrets import Guarded, guarded
from mcp_memory.guard.small_talk import is_small_talk

__all__ = ["Guarded", "Mode", "admit", "guarded", "is_small_talk", "reads_like_instruction"]
