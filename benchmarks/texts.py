"""What a store is filled with and asked when its speed is measured: made-up texts, or people talking."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import locomo_data
import synthetic
from synthetic import Message

SEED = 5


@dataclass(frozen=True, slots=True)
class Texts:
    """As many messages of one user, and questions, as are asked for; the same at every run."""

    about: str
    messages: Callable[[int], Iterable[Message]]
    questions: Callable[[int], list[str]]


MADE_UP = Texts("made up from templates", synthetic.messages, synthetic.questions)


def of_locomo(place: Path) -> Texts:
    """The turns of all conversations as one user's, from the first again with a number when there are too
    few, and questions drawn from all of them. Raises DataMissing."""
    locomo = locomo_data.read(place)
    turns = [
        Message(session.id, turn.role, turn.name, turn.text, turn.said_at)
        for conversation in locomo.conversations
        for session in conversation.sessions
        for turn in session.turns
        if turn.text.strip()
    ]
    asked = [
        question.query.text for conversation in locomo.conversations for question in conversation.questions
    ]

    def messages(count: int) -> Iterator[Message]:
        return itertools.islice(_repeated(turns), count)

    def questions(count: int) -> list[str]:
        return random.Random(SEED).sample(asked, count)

    return Texts(f"LoCoMo, {len(turns):,} turns of {locomo.file.path.name}", messages, questions)


def _repeated(turns: list[Message]) -> Iterator[Message]:
    yield from turns
    for number in itertools.count(2):
        for turn in turns:
            yield replace(turn, session_id=f"{turn.session_id} ({number})", text=f"{turn.text} ({number})")
