"""Whether an answer about a story is right, and whether it shows as true what is true no longer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

import updates_reading as reading
from updates_reading import Change, Statement
from updates_stories import USER, Question, QuestionKind, Story, has_any, straight

_TELLS_AN_END = re.compile(
    r"\b(no longer|not|never|\w+n't|stopped|quit|left|cancell?ed|former(ly)?|used to|previously|was|were|had"
    r"|ended|instead|any ?more|until)\b"
)
"""Words by which a sentence says itself that something is over."""
WHOLE = 100
"""Facts that are asked for: more than any story has."""
_USERS_NAMES = (USER, "User", "I", "me", "myself")


@dataclass(frozen=True, slots=True)
class Judged:
    """One question with its answer.

    `stale`: whether what is true no longer was shown as true; None where nothing could be, and for questions
    about changes and dates. `stale_first`: whether it stood before what is true. `denied`: whether the answer
    began by saying that nothing remembered answers the question.
    """

    story: Story
    question: Question
    answer: str
    right: bool
    stale: bool | None = None
    stale_first: bool = False
    denied: bool = False
    stale_alone: bool | None = None
    """Whether some of that had nothing beside it that was told later of the same thing."""
    followed: tuple[bool, ...] = ()
    """Of each statement shown that is still true, whether something was shown as told later of it."""
    outdated: tuple[bool, ...] = ()
    """Of each fact about the thing asked that was held to be current then, whether it was outdated."""

    @property
    def kind(self) -> QuestionKind:
        return self.question.kind

    @property
    def failed(self) -> bool:
        return not self.right or bool(self.stale)


@dataclass(frozen=True, slots=True)
class Merges:
    """Of a story: `apart`, for each two people, whether they are two; `joined`, for each person with several
    names, whether they are one."""

    story: Story
    answer: str
    apart: tuple[bool, ...]
    joined: tuple[bool, ...]


def truth(story: Story, question: Question, answer: str, turns: Mapping[str, int]) -> Judged:
    """Of a question about now or then. `turns`: numbers of turns by the ids of their memories.

    Right is an answer that has the right words in one of the first hits, or in what is said to have replaced
    it, and not marked as past. About then nothing that came later may be shown either, nor what was past
    already as if it were not.
    """
    asked = _Asked(story, question, turns)
    shown = reading.statements(answer)
    answering = list(map(asked.is_answered_by, shown))
    misleading = list(map(asked.is_misled_by, shown))
    right, stale = any(answering), any(misleading)
    denied = reading.is_denied(answer)
    if question.kind == "then":
        return Judged(story, question, answer, right and not stale, denied=denied)
    if not question.stale:
        followed = tuple(one.later is not None for one in shown if asked.is_true(one))
        return Judged(story, question, answer, right, denied=denied, followed=followed)
    stale_first = stale and not any(answering[: misleading.index(True)])
    alone = any(
        is_misleading and not asked.is_brought_up_to_date(one)
        for one, is_misleading in zip(shown, misleading, strict=True)
    )
    followed = tuple(one.later is not None for one in shown if asked.is_true(one))
    return Judged(story, question, answer, right, stale, stale_first, denied, alone, followed)


def held(story: Story, question: Question, answer: str) -> tuple[bool, ...]:
    """Of each drawn fact that `answer` shows as current and that is about the thing asked, whether it is
    outdated. About it are those that have the right words or the stale ones."""
    asked = _Asked(story, question, {})
    current = (one for one in reading.statements(answer, first=WHOLE) if one.is_drawn)
    facts = {one.memory_id: one for one in current if asked.holds(one)}
    return tuple(asked.is_stale(one.text) for one in facts.values() if asked.is_about(one.text))


def change(story: Story, question: Question, answer: str) -> Judged:
    """Of a question about what changed. Who reads that something was told anew, and what had been told of it
    before, knows both sides of the change as well as who reads what began and ended."""
    lines, told = reading.changes(answer), reading.told(answer)
    began = [*(line.text for line in lines if line.began), *(one.text for one in told)]
    ended = [*(line.text for line in lines if not line.began), *(one.earlier for one in told)]
    right = not any(has_any(text, question.unchanged) for text in (*began, *ended))
    if question.right:
        right = right and any(has_any(text, question.right) for text in began)
    if question.stale:
        right = right and any(has_any(text, question.stale) for text in ended)
    return Judged(story, question, answer, right)


def moment(story: Story, question: Question, answer: str, changes: str) -> Judged:
    """Of a question about when something began or ended: `answer` to it as it is, and with the changes since
    the story began."""
    claims = [*reading.changes(changes), *reading.dated(answer)]
    right = any(_tells(question, claim) for claim in claims)
    return Judged(story, question, f"{answer}\n\n{changes}", right)


def merges(story: Story, answer: str, alone: Mapping[str, str]) -> Merges:
    """Of the list of all entities, and for each name of a person of what is shown when it is asked for."""
    entities = reading.entities(answer)

    asked_for = {name: reading.entities(shown)[:1] for name, shown in alone.items()}
    known = [*entities, *(one for found in asked_for.values() for one in found)]

    def called(name: str) -> frozenset[str]:
        """Ids of the entities of that name."""
        listed = (one for one in entities if name.casefold() in one.names)
        return frozenset(one.id for one in [*listed, *asked_for.get(name, ())])

    people = [[called(name) for name in names] for names in story.people]
    joined = tuple(
        any(all(one.id in ids for ids in names) for one in known) for names in people if len(names) > 1
    )
    if not any(turn.speaker for turn in story.turns):
        people.append([called(name) for name in _USERS_NAMES])
    every = [frozenset[str]().union(*names) for names in people]
    return Merges(
        story, answer, tuple(not first & second for first, second in combinations(every, 2)), joined
    )


def _tells(question: Question, claim: Change) -> bool:
    days = question.began if claim.began else question.ended
    return days is not None and days[0] <= claim.day <= days[1] and has_any(claim.text, question.right)


class _Asked:
    """A question about now or then, and what of the story is true when it is asked."""

    def __init__(self, story: Story, question: Question, turns: Mapping[str, int]) -> None:
        self._story = story
        self._question = question
        self._turns = turns
        self._at: datetime = story.asked_at(question)
        outdated, current = story.outdated(self._at), story.current(self._at)
        self._current_texts = {straight(fact.text) for fact in current}
        current_turns = {number for fact in current for number in fact.turns}
        self._answering = {n for fact in current if has_any(fact.text, question.right) for n in fact.turns}
        told_outdated = {number for fact in outdated for number in fact.turns}
        self._outdated = told_outdated - current_turns
        self._current = current_turns - told_outdated
        self._stale = {
            number
            for fact in outdated
            for number in fact.turns
            if has_any(fact.text, question.stale) or has_any(story.turn(number).text, question.stale)
        } - self._answering

    def is_answered_by(self, shown: Statement) -> bool:
        """The turns beside a hit are no answer of its own."""
        return (
            shown.place != "beside"
            and has_any(shown.text, self._question.right)
            and not self._is_past(shown)
            and not (self._number(shown) in self._outdated or self._is_later(shown))
        )

    def is_misled_by(self, shown: Statement) -> bool:
        if self._is_past(shown):
            return False
        if shown.is_drawn:
            return self.is_stale(shown.text)
        return self._number(shown) in self._stale or self._is_later(shown)

    def is_brought_up_to_date(self, shown: Statement) -> bool:
        """Whether what is shown as told later of it tells, or repeats, what became of it."""
        number, later = self._number(shown), self._turns.get(shown.later or "")
        return number is not None and later is not None and later in self._story.told_after(number)

    def is_true(self, shown: Statement) -> bool:
        """Whether it is somebody's words, shown as a hit, of which nothing had become outdated by then."""
        number = self._number(shown)
        return shown.place == "hit" and number in self._current

    def holds(self, shown: Statement) -> bool:
        """Whether it is shown as true. What takes a hit's place is, what stands beside or against one is
        shown for itself."""
        return shown.place in ("hit", "standing", "replacing") and not self._is_past(shown)

    def is_about(self, text: str) -> bool:
        return has_any(text, (*self._question.right, *self._question.stale))

    def _is_past(self, shown: Statement) -> bool:
        today = self._at.date()
        if shown.until is not None and shown.until <= today:
            return True
        # What replaced a part of somebody's words is shown with them: the rest still holds.
        still_answers = not shown.is_drawn and self._number(shown) in self._answering
        return shown.replaced is not None and shown.replaced <= today and not still_answers

    def is_stale(self, text: str) -> bool:
        """Whether something drawn says what is no longer true, or never was, and not that it is over."""
        if not has_any(text, self._question.stale) or has_any(text, self._question.right):
            return False
        plain = straight(text)
        if plain in self._current_texts or _TELLS_AN_END.search(plain):
            return False
        told = (
            straight(turn.text)
            for number, turn in enumerate(self._story.turns, 1)
            if turn.at <= self._at and number not in self._stale
        )
        return not any(plain.strip(" .!") in words for words in told)

    def _is_later(self, shown: Statement) -> bool:
        number = self._number(shown)
        return number is not None and self._story.turn(number).at > self._at

    def _number(self, shown: Statement) -> int | None:
        return self._turns.get(shown.memory_id)


def changes_from(story: Story) -> datetime:
    """A moment before anything of the story was true."""
    return story.turns[0].at - timedelta(days=5 * 365)
