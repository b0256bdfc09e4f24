"""Memory for clients elsewhere: one HTTP application, and who may do what in it."""

from __future__ import annotations

from mcp_memory.remote.application import create_app
from mcp_memory.remote.serving import serve

__all__ = ["create_app", "serve"]
