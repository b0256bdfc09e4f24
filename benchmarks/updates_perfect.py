"""An extractor that understands everything: a scripted language model that answers with what the stories say
there was to understand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import scripted_model
from scripted_model import Reply, Request
from updates_stories import Fact, Story

from mcp_memory.models import name_key

_SECTION = r"<{0}>(.*?)</{0}>"
_LINE = re.compile(r"\[(?P<id>m_\w+)\] \S+ (?P<said>.*)")
"""Of a turn its time, speaker and words; of what is known its day and words."""


class PerfectModel:
    """Answers a request with the facts of the story whose turns it shows."""

    def __init__(self, stories: Sequence[Story]) -> None:
        self._told = {
            _key(story.turn(number).text): (story, number)
            for story in stories
            for fact in story.facts
            for number in fact.turns
        }
        self.facts = 0
        """Answered so far."""
        self.unseen_targets = 0
        """Facts that one repeats or replaces, but that the request did not show."""

    def __call__(self, request: Request) -> Reply:
        text = scripted_model.asked(request)
        known = {_key(said): memory_id for memory_id, said in _lines(text, "known")}
        shown: dict[int, str] = {}
        stories: dict[str, Story] = {}
        for memory_id, said in _lines(text, "turns"):
            if found := self._told.get(_key(said.partition(": ")[2])):
                story, number = found
                stories[story.id] = story
                shown[number] = memory_id
        if len(stories) > 1:
            raise ValueError(f"one request shows the stories {', '.join(stories)}")
        facts = [
            self._fact(story, fact, shown, known)
            for story in stories.values()
            for fact in story.facts
            if fact.turns[-1] in shown
        ]
        self.facts += len(facts)
        return Reply({"facts": facts})

    def _fact(self, story: Story, fact: Fact, shown: dict[int, str], known: dict[str, str]) -> dict[str, Any]:
        ids = {one.id: known.get(_key(one.text)) for one in story.facts}
        verdicts = [
            {"id": ids[target], "verdict": verdict}
            for verdict, targets in (
                ("repeats", fact.repeats),
                ("supersedes", fact.supersedes),
                ("contradicts", fact.contradicts),
            )
            for target in targets
            if ids[target] is not None
        ]
        self.unseen_targets += len(fact.targets) - len(verdicts)
        return {
            "text": fact.text,
            "kind": fact.kind,
            "subject": fact.subject,
            "attribute": fact.attribute,
            "importance": 0.5,
            "sources": [shown[number] for number in fact.turns if number in shown],
            "since": fact.since,
            "until": fact.until,
            "entities": [one.model_dump(mode="json") for one in fact.entities],
            "relations": [],
            "verdicts": verdicts,
            "ends": fact.ends,
        }


def _lines(text: str, section: str) -> list[tuple[str, str]]:
    """The ids and words of the last section of that name."""
    sections = re.findall(_SECTION.format(section), text, re.DOTALL)
    if not sections:
        return []
    return [(found["id"], found["said"]) for found in _LINE.finditer(sections[-1])]


def _key(text: str) -> str:
    """The same for a text however its quotes, spaces and markup were written for the model."""
    return "".join(character for character in name_key(text) if character.isalnum())
