"""Turns what was said into facts about entities: by rules, or by a model."""

from __future__ import annotations

from collections.abc import Callable

from mcp_memory.config import Config
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
from mcp_memory.extraction.rules import RulesExtractor
from mcp_memory.usage import Usage

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
    "create_extractor",
    "find_entities",
]


def create_extractor(config: Config, is_suspicious: Callable[[str], bool]) -> Extractor | None:
    """Who draws facts as configured; None where only the words are kept. `is_suspicious` says whether a text
    reads like an instruction. Raises ConfigError for a prompt file that does not hold together."""
    match config.extraction.provider:
        case "off":
            return None
        case "rules":
            return RulesExtractor(is_suspicious)
        case "anthropic":
            from mcp_memory.extraction.model import ModelExtractor

            return ModelExtractor(config.llm, config.extraction, config.prompts_dir, is_suspicious)
