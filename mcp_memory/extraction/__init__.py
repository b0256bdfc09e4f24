"""Turns what was said into facts about entities: by rules, or by a model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

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
from mcp_memory.usage import NOTHING_SPENT, Usage

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
    "rewrite_query",
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


async def rewrite_query(
    extractor: Extractor | None, query: str, now: datetime
) -> tuple[tuple[str, ...], Usage]:
    """At most three other ways to ask a question, and what they cost; none where no model is asked. Raises
    ExtractionFailed."""
    from mcp_memory.extraction.model import ModelExtractor

    return (
        await extractor.rewrite(query, now) if isinstance(extractor, ModelExtractor) else ((), NOTHING_SPENT)
    )
