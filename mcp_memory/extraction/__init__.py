"""Turns what was said into facts about entities: by rules, or by a model."""

from __future__ import annotations

from mcp_memory.extraction.entities import FoundEntity, find_entities
from mcp_memory.extraction.facts import (
    Extraction,
    Extractor,
    FoundFact,
    Known,
    Passage,
    Turn,
    Verdict,
)
from mcp_memory.usage import Usage

__all__ = [
    "Extraction",
    "Extractor",
    "FoundEntity",
    "FoundFact",
    "Known",
    "Passage",
    "Turn",
    "Usage",
    "Verdict",
    "find_entities",
]
