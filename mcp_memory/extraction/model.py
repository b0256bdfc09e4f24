"""A language model that draws facts: Anthropic's, or any server that speaks its Messages API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcp_memory.config import ExtractionConfig, LlmConfig
from mcp_memory.extraction.checking import understood
from mcp_memory.extraction.comparing import Comparison, ReplyPairs, compared
from mcp_memory.extraction.facts import USER, Extraction, Known, Passage, Turn
from mcp_memory.extraction.messages import ModelClient, Read
from mcp_memory.extraction.reply import ReadFacts, Reply, ReplyUnreadable, json_in, read_facts
from mcp_memory.models import iso
from mcp_memory.prompting import PromptFile
from mcp_memory.usage import Usage

TURN_CHARACTERS = 8_000
EARLIER_CHARACTERS = 400
"""Of one turn that is read, or that only helps to understand; the rest is left out."""
FACT_CHARACTERS = 1_000
"""Of one fact that is compared with others."""
MAX_QUERIES = 3

_Reply = TypeVar("_Reply", bound=BaseModel)


class ModelExtractor:
    """Draws facts with one call for a passage, and a second one only when the first reply cannot be read."""

    def __init__(
        self,
        config: LlmConfig,
        extraction: ExtractionConfig,
        prompts_dir: Path | None,
        is_suspicious: Callable[[str], bool],
    ) -> None:
        """`is_suspicious` says whether a text reads like an instruction. Raises ConfigError for a prompt file
        that does not hold together."""
        self.name = config.model
        self._client = ModelClient(config)
        self._is_suspicious = is_suspicious
        matters = extraction.custom_instructions.strip() or "nothing in particular."
        self._rewriting = PromptFile("rewriting", own=prompts_dir).fill()
        self._consolidation = PromptFile("consolidation", own=prompts_dir).fill()
        self._profile = PromptFile("profile", "custom_instructions", own=prompts_dir).fill(
            custom_instructions=matters
        )
        self._system = PromptFile("extraction", "update", "custom_instructions", own=prompts_dir).fill(
            update=PromptFile("update", own=prompts_dir).fill(), custom_instructions=matters
        )

    async def extract(self, passage: Passage) -> Extraction:
        """Raises ExtractionFailed, with what was spent all the same."""
        if not passage.turns:
            return Extraction()
        read, usage = await self._client.ask(self._system, passage_text(passage), Reply, _facts)
        return understood(read.facts, passage, self._is_suspicious, malformed=read.malformed, usage=usage)

    async def rewrite(self, query: str, now: datetime) -> tuple[tuple[str, ...], Usage]:
        """At most three other ways to ask a question, and what they cost. Raises ExtractionFailed."""
        content = f"<question>{_line(query, TURN_CHARACTERS)}</question>\nAsked at {iso(now)}."
        rewritten, usage = await self._client.ask(self._rewriting, content, _Rewritten, _form(_Rewritten))
        asked = {query.strip().casefold()}
        others = dict.fromkeys(" ".join(one.split()) for one in rewritten.queries)
        return tuple(one for one in others if one.casefold() not in asked)[:MAX_QUERIES], usage

    async def compare(self, facts: Sequence[Known]) -> Comparison:
        """Which of some facts about one subject, in order of time, belong together. Raises
        ExtractionFailed."""
        lines = [
            f"{number}. {one.observed_at:%Y-%m-%d}: {_line(one.text, FACT_CHARACTERS)}"
            for number, one in enumerate(facts, 1)
        ]
        content = f"<facts>\n{_joined(lines)}</facts>"
        reply, usage = await self._client.ask(self._consolidation, content, ReplyPairs, _form(ReplyPairs))
        return compared(reply, facts, usage)

    async def portray(self, facts: Sequence[Known]) -> tuple[str, Usage]:
        """A profile in prose of whom these facts, in order of time, are about; empty when they say too
        little. Raises ExtractionFailed."""
        lines = [f"{one.observed_at:%Y-%m-%d}: {_line(one.text, FACT_CHARACTERS)}" for one in facts]
        content = f"<facts>\n{_joined(lines)}</facts>"
        portrait, usage = await self._client.ask(self._profile, content, _Portrait, _form(_Portrait))
        return portrait.profile.strip(), usage

    async def aclose(self) -> None:
        await self._client.aclose()


class _Rewritten(BaseModel):
    model_config = ConfigDict(extra="ignore")

    queries: list[Annotated[str, Field(max_length=1_000)]]


class _Portrait(BaseModel):
    model_config = ConfigDict(extra="ignore")

    profile: Annotated[str, Field(max_length=4_000)]


def passage_text(passage: Passage) -> str:
    """A passage as the model reads it. What was said can neither end a part nor begin a line of its own."""
    parts = (
        ("known", [_known_line(known) for known in passage.known]),
        ("earlier", [_turn_line(turn, EARLIER_CHARACTERS) for turn in passage.earlier]),
        ("turns", [_turn_line(turn, TURN_CHARACTERS) for turn in passage.turns]),
    )
    return "\n".join(f"<{tag}>\n{_joined(lines)}</{tag}>" for tag, lines in parts if lines)


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _known_line(known: Known) -> str:
    return f"[{known.id}] {known.observed_at:%Y-%m-%d} {_line(known.text, TURN_CHARACTERS)}"


def _turn_line(turn: Turn, limit: int) -> str:
    who = "statement" if turn.is_statement else turn.speaker or turn.first_person or turn.role or USER
    said_at = iso(turn.observed_at.replace(microsecond=0))
    return f"[{turn.id}] {said_at} {_line(who, 128)}: {_line(turn.text, limit)}"


_TAG = re.compile(r"<(?=\s*/?\s*(?:known|earlier|turns|question|facts)\b)", re.IGNORECASE)


def _line(text: str, limit: int) -> str:
    """On one line, cut, and without the tags that delimit it."""
    said = _TAG.sub("‹", " ".join(text.split()))
    return said if len(said) <= limit else said[: limit - 1] + "…"


def _facts(text: str) -> Read[ReadFacts]:
    try:
        read = read_facts(text)
    except ReplyUnreadable as problem:
        return Read(None, str(problem))
    return Read(read if read.facts or not read.malformed else None, read.problem)


def _form(reply: type[_Reply]) -> Callable[[str], Read[_Reply]]:
    """Reads the first JSON in a text that has the form of `reply`."""

    def read(text: str) -> Read[_Reply]:
        for value in json_in(text):
            try:
                return Read(reply.model_validate(value))
            except ValidationError:
                continue
        names = ", ".join(f'"{name}": ...' for name in reply.model_fields)
        return Read(None, f"there is no complete JSON object {{{names}}} in it")

    return read
