"""Prompts that a user can pick in their host: small programs for an assistant with this memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mcp_types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from mcp_memory.errors import InvalidInput, NotFound, shown
from mcp_memory.models import MAX_CONTENT
from mcp_memory.prompting import PromptFile


@dataclass(frozen=True, slots=True)
class _Argument:
    name: str
    description: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class _UserPrompt:
    name: str
    title: str
    description: str
    arguments: tuple[_Argument, ...] = ()


_PROMPTS = (
    _UserPrompt(
        "recall",
        "What do you remember about …?",
        "Look into memory for a subject and tell what is known, since when, and what is not",
        (_Argument("topic", "A person, project, place or question"),),
    ),
    _UserPrompt(
        "remember_conversation",
        "Remember this conversation",
        "Save what will matter later from the conversation so far",
    ),
    _UserPrompt(
        "review_memories",
        "Review my memories",
        "Find what is outdated, contradictory or too private, and suggest what to do",
        (_Argument("about", "A subject; everything if left out", default="everything"),),
    ),
)


class Prompts:
    """The prompts, with their files read and checked; files in `own`, the user's folder, go before those that
    are shipped."""

    def __init__(self, own: Path | None = None) -> None:
        self._prompts = {prompt.name: prompt for prompt in _PROMPTS}
        self._files = {
            prompt.name: PromptFile(prompt.name, *(argument.name for argument in prompt.arguments), own=own)
            for prompt in _PROMPTS
        }

    def list(self) -> list[Prompt]:
        return [
            Prompt(
                name=prompt.name,
                title=prompt.title,
                description=prompt.description,
                arguments=[
                    PromptArgument(
                        name=argument.name,
                        description=argument.description,
                        required=argument.default is None,
                    )
                    for argument in prompt.arguments
                ],
            )
            for prompt in _PROMPTS
        ]

    def get(self, name: str, given: Mapping[str, str]) -> GetPromptResult:
        """A prompt filled with its arguments. Raises NotFound, InvalidInput."""
        prompt = self._prompts.get(name)
        if prompt is None:
            raise NotFound(f"No prompt {shown(name)}; there are {', '.join(self._prompts)}.")
        known = {argument.name: argument for argument in prompt.arguments}
        if unknown := sorted(given.keys() - known.keys()):
            raise InvalidInput(unknown[0], f"is no argument of the prompt {name}")
        values = {argument.name: _value(argument, given.get(argument.name)) for argument in prompt.arguments}
        message = PromptMessage(
            role="user", content=TextContent(type="text", text=self._files[name].fill(**values))
        )
        return GetPromptResult(description=prompt.description, messages=[message])


def _value(argument: _Argument, given: str | None) -> str:
    value = (given or "").strip() or argument.default
    if value is None:
        raise InvalidInput(argument.name, "is missing; say what it is about")
    if len(value) > MAX_CONTENT:
        raise InvalidInput(
            argument.name, f"has {len(value):,} characters; at most {MAX_CONTENT:,} are allowed"
        )
    return value
