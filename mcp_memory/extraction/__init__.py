"""Turns what was said into facts about entities: by rules, or by a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mcp_memory.config import Config
from mcp_memory.extraction.entities import FoundEntity, find_entities, opening_words
from mcp_memory.extraction.facts import (
    Extraction,
    Extractor,
    FoundFact,
    Known,
    Passage,
    Turn,
    Verdict,
)
from mcp_memory.extraction.procedures import is_procedure
from mcp_memory.extraction.rules import RulesExtractor
from mcp_memory.usage import Usage

if TYPE_CHECKING:
    from mcp_memory.extraction.model import ModelExtractor

__all__ = [
    "Extraction",
    "Extractor",
    "FoundEntity",
    "FoundFact",
    "Known",
    "Passage",
    "RulesExtractor",
    "Turn",
    "Usage",
    "Verdict",
    "create_model",
    "find_entities",
    "is_procedure",
    "opening_words",
]


def create_model(config: Config, is_suspicious: Callable[[str], bool]) -> ModelExtractor | None:
    """The language model that draws facts; None where rules do, or nobody. `is_suspicious` says whether a
    text reads like an instruction. Raises ConfigError for a prompt file that does not hold together."""
    if config.extraction.provider != "anthropic":
        return None
    from mcp_memory.extraction.model import ModelExtractor

    return ModelExtractor(config.llm, config.extraction, config.prompts_dir, is_suspicious)
