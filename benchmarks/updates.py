"""Whether memory knows what is true now, what was true then and what has changed: sixty stories, told and
asked through stdio, with facts drawn by rules, by an extractor that understands everything, and by nobody."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import machine
import measure
import report
import results
import stats
import stdio
import typer
import updates_judgement as judgement
import updates_stories
from rich.progress import Progress
from scripted_model import ScriptedModel
from stats import Estimate
from updates_judgement import Judged, Merges
from updates_perfect import PerfectModel
from updates_stories import Question, QuestionKind, Story

TITLE = "What is true now, what was true then, what has changed"
DRAWN = ["fact", "preference", "event", "plan"]
"""Kinds of what is drawn from words."""
MOST_TOKENS = 20_000
"""More than all facts of a story take."""
WHOLE = 100
"""Entities asked for: more than any story has."""


class Provider(StrEnum):
    """Who draws the facts."""

    RULES = "rules"
    PERFECT = "perfect"
    OFF = "off"


@dataclass(slots=True)
class Outcome:
    """What one provider brought. `notes`: what its reader must know."""

    provider: Provider
    judged: list[Judged] = field(default_factory=list[Judged])
    merges: list[Merges] = field(default_factory=list[Merges])
    notes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure in percent. `values`: of the stories of one category, or of all, one for each thing asked;
    `bars`: what each provider is to reach."""

    name: str
    values: Callable[[Outcome, str | None], list[bool]]
    bars: Mapping[Provider, str] = field(default_factory=dict[Provider, str])


def _judged(kind: QuestionKind) -> Callable[[Outcome, str | None], list[bool]]:
    return lambda outcome, category: [
        one.right for one in outcome.judged if one.kind == kind and category in (None, one.story.category)
    ]


def _clear(outcome: Outcome, category: str | None) -> list[bool]:
    return [
        not one.failed
        for one in outcome.judged
        if one.kind == "now" and category in (None, one.story.category)
    ]


def _denied(kind: QuestionKind) -> Callable[[Outcome, str | None], list[bool]]:
    return lambda outcome, category: [
        one.denied for one in outcome.judged if one.kind == kind and category in (None, one.story.category)
    ]


def _stale(outcome: Outcome, category: str | None) -> list[bool]:
    return [
        one.stale
        for one in outcome.judged
        if one.stale is not None and category in (None, one.story.category)
    ]


def _stale_alone(outcome: Outcome, category: str | None) -> list[bool]:
    return [
        one.stale_alone
        for one in outcome.judged
        if one.stale_alone is not None and category in (None, one.story.category)
    ]


def _followed(outcome: Outcome, category: str | None) -> list[bool]:
    of = (one for one in outcome.judged if one.kind == "now" and category in (None, one.story.category))
    return [followed for one in of for followed in one.followed]


def _held_outdated(outcome: Outcome, category: str | None) -> list[bool]:
    return [
        outdated
        for one in outcome.judged
        if one.stale is not None and category in (None, one.story.category)
        for outdated in one.outdated
    ]


def _stale_first(outcome: Outcome, category: str | None) -> list[bool]:
    return [
        one.stale_first
        for one in outcome.judged
        if one.stale is not None and category in (None, one.story.category)
    ]


def _merged(outcome: Outcome, category: str | None) -> list[bool]:
    of = (one for one in outcome.merges if category in (None, one.story.category))
    return [not apart for one in of for apart in one.apart]


def _unmerged(outcome: Outcome, category: str | None) -> list[bool]:
    of = (one for one in outcome.merges if category in (None, one.story.category))
    return [not joined for one in of for joined in one.joined]


MEASURES = (
    Measure("now: right", _judged("now"), {Provider.RULES: "≥ 85", Provider.PERFECT: "≥ 98"}),
    Measure("now: stale as current", _stale, {Provider.RULES: "≤ 5"}),
    Measure("now: stale with nothing later beside it", _stale_alone, {Provider.RULES: "≤ 5"}),
    Measure("true, but marked as followed", _followed),
    Measure("now: stale before right", _stale_first),
    Measure("facts held that are outdated", _held_outdated),
    Measure("now: right, nothing stale", _clear),
    Measure("now: called unknown", _denied("now")),
    Measure("then: right", _judged("then")),
    Measure("then: called unknown", _denied("then")),
    Measure("changed: right", _judged("changed")),
    Measure("dates: right", _judged("when")),
    Measure("wrong merges", _merged, {Provider.RULES: "0"}),
    Measure("missed merges", _unmerged),
)


def main(
    provider: Annotated[list[Provider], typer.Option(help="Who draws the facts; may be repeated.")] = [  # noqa: B006 - typer reads it once
        Provider.RULES,
        Provider.PERFECT,
        Provider.OFF,
    ],
    of: Annotated[
        Path, typer.Option("--stories", exists=True, dir_okay=False, help="The stories told.")
    ] = updates_stories.FILE,
    story: Annotated[str, typer.Option(help="Only stories whose id begins so.")] = "",
    failures: Annotated[bool, typer.Option(help="Show each answer that fails, on stderr.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
    out: Annotated[Path, typer.Option(help="Where the results are written.")] = results.FOLDER,
) -> None:
    """Tell stories to the program and ask it what is true now, was true then and has changed."""
    stories = [one for one in updates_stories.read(of) if one.id.startswith(story)]
    if not stories:
        raise typer.BadParameter(f"no story's id begins with {story}")
    # Before the run: what is measured is the commit that stands here now.
    head = machine.describe() | updates_stories.facts(stories, of)
    try:
        with measure.progress_bars() as progress:
            outcomes = [stdio.run(_outcome, one, stories, progress) for one in provider]
    except stdio.ProgramFailed as error:
        print(f"The program failed: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    if failures:
        print("\n\n".join(_failures(outcomes)), file=sys.stderr)
    page, manifest = _as_markdown(head, outcomes), _as_json(head, outcomes)
    out.mkdir(parents=True, exist_ok=True)
    name = of.stem.removesuffix("_stories")
    (out / f"{name}.md").write_text(page + "\n", encoding="utf-8")
    (out / f"{name}.json").write_text(manifest + "\n", encoding="utf-8")
    print(manifest if as_json else page)


async def _outcome(provider: Provider, stories: Sequence[Story], progress: Progress) -> Outcome:
    outcome = Outcome(provider)
    with (
        tempfile.TemporaryDirectory(prefix="mcp-memory-updates-") as folder,
        _settings(provider, stories, outcome.notes) as settings,
    ):
        config = Path(folder) / "config.toml"
        config.write_text(settings, encoding="utf-8")
        program = stdio.Program.under(Path(folder), config)
        try:
            async with stdio.running(program) as server:
                memory = await _Memory.of(server)
                for story in progress.track(stories, description=f"{provider}: telling"):
                    await memory.tell(story)
            # Asked of a program that has read it all from disk.
            stdio.stop(program)
            async with stdio.running(program) as server:
                memory = memory.now_at(server)
                for story in progress.track(stories, description=f"{provider}: asking"):
                    outcome.judged += [
                        judged
                        for question in story.questions
                        if (judged := await memory.ask(story, question))
                    ]
                    if story.people:
                        outcome.merges.append(await memory.people(story))
        finally:
            stdio.stop(program)
        outcome.notes += memory.notes
    return outcome


@contextmanager
def _settings(provider: Provider, stories: Sequence[Story], notes: list[str]) -> Generator[str]:
    """The config file's text, while what it names is there."""
    match provider:
        case Provider.RULES:
            yield ""
        case Provider.OFF:
            yield '[extraction]\nprovider = "off"\n'
        case Provider.PERFECT:
            answer = PerfectModel(stories)
            with ScriptedModel(answer) as model:
                yield (
                    '[extraction]\nprovider = "anthropic"\n'
                    f'[llm]\nbase_url = "{model.url}"\napi_key = "scripted"\ndaily_token_limit = 0\n'
                )
                notes.append(
                    f"{len(model.requests)} requests, {answer.facts} facts; {answer.unseen_targets} of those "
                    "they repeat or replace were not among what the model was shown"
                )


@dataclass(slots=True)
class _Memory:
    """The program, and which memory is which turn. Arguments that this version does not know are left out,
    and what needs them is not asked."""

    server: stdio.Server
    can_wait: bool
    can_tell_changes: bool
    turns: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """By story, numbers of turns by the ids of their memories."""
    degraded: list[str] = field(default_factory=list[str])

    @classmethod
    async def of(cls, server: stdio.Server) -> _Memory:
        return cls(
            server,
            can_wait="wait" in await server.arguments_of("add_memory"),
            can_tell_changes="changes" in await server.arguments_of("search_memory"),
        )

    def now_at(self, server: stdio.Server) -> _Memory:
        """The same after a restart."""
        return _Memory(server, self.can_wait, self.can_tell_changes, self.turns, self.degraded)

    @property
    def notes(self) -> Iterable[str]:
        if not self.can_wait:
            yield "this version of add_memory cannot wait for facts"
        if not self.can_tell_changes:
            yield "this version of search_memory tells no changes: these and dates are not asked"
        if self.degraded:
            yield f"answered in part {len(self.degraded)} times; the first: {self.degraded[0]}"

    async def tell(self, story: Story) -> None:
        numbers = self.turns.setdefault(story.id, {})
        for place, session in enumerate(story.sessions, 1):
            turns = [story.turn(number) for number in session]
            answer = await self._call(
                "add_memory",
                story,
                session_id=f"{story.id}-{place}",
                messages=[
                    {"role": turn.role, "content": turn.text, "time": turn.at.isoformat()}
                    | ({"name": turn.speaker} if turn.speaker else {})
                    for turn in turns
                ],
                **({"wait": True} if self.can_wait else {}),
            )
            numbers |= dict(zip(answer.content["ids"], session, strict=True))

    async def ask(self, story: Story, question: Question) -> Judged | None:
        """None for what this version cannot be asked."""
        match question.kind:
            case "now":
                answer = await self._search(story, question)
                judged = judgement.truth(story, question, answer, self.turns[story.id])
                facts = await self._search(story, question, kinds=DRAWN, limit=WHOLE, max_tokens=MOST_TOKENS)
                return replace(judged, outdated=judgement.held(story, question, facts))
            case "then":
                answer = await self._search(story, question, as_of=str(question.as_of))
                return judgement.truth(story, question, answer, self.turns[story.id])
            case _ if not self.can_tell_changes:
                return None
            case "changed":
                answer = await self._search(story, question, changes=True, since=str(question.since))
                return judgement.change(story, question, answer)
            case "when":
                answer = await self._search(story, question)
                since = judgement.changes_from(story).isoformat()
                changes = await self._search(story, question, changes=True, since=since)
                return judgement.moment(story, question, answer, changes)

    async def people(self, story: Story) -> Merges:
        every = await self._call("list_entities", story, limit=WHOLE)
        alone = {name: await self._entity(story, name) for names in story.people for name in names}
        return judgement.merges(story, every.text, alone)

    async def _entity(self, story: Story, name: str) -> str:
        try:
            return (await self._call("list_entities", story, entity=name)).text
        except stdio.ProgramFailed as error:
            if "No entity" not in str(error):
                raise
            return ""

    async def _search(self, story: Story, question: Question, **arguments: Any) -> str:
        return (await self._call("search_memory", story, query=question.text, **arguments)).text

    async def _call(self, tool: str, story: Story, **arguments: Any) -> stdio.Told:
        told = await self.server.ask(tool, {"user_id": story.id, **arguments})
        self.degraded += told.content.get("degraded", [])
        return told


def _as_markdown(head: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    names = [one.provider for one in outcomes]
    rows = [
        [measure.name, *(_cell(measure, one, None) + _bar(measure, one.provider) for one in outcomes)]
        for measure in MEASURES
    ]
    notes = {f"facts by {one.provider}": "; ".join(one.notes) for one in outcomes if one.notes}
    parts = [
        f"# {TITLE}",
        report.facts({**head, **notes}),
        "Of the questions asked, %, with its 95 % interval, and how many of how many.",
        report.table(["measure", *names], rows),
    ]
    for one in outcomes:
        parts += [f"## By kind of story: facts by {one.provider}", _by_category(one)]
    return "\n\n".join(parts)


def _by_category(outcome: Outcome) -> str:
    stories = [one.story for one in outcome.judged]
    counts = {
        category: len({story.id for story in stories if story.category == category})
        for category in dict.fromkeys(story.category for story in stories)
    }
    return report.table(
        ["stories", *(measure.name for measure in MEASURES)],
        [
            [f"{category} ({number})", *(_cell(measure, outcome, category) for measure in MEASURES)]
            for category, number in counts.items()
        ],
    )


def _cell(measure: Measure, outcome: Outcome, category: str | None) -> str:
    values = measure.values(outcome, category)
    if not values:
        return results.ABSENT
    one = _estimate(values)
    count = f"{sum(values)}/{len(values)}"
    return f"{one.mean:.1f} ({one.low:.1f}–{one.high:.1f}), {count}" if category is None else count


def _bar(measure: Measure, provider: Provider) -> str:
    bar = measure.bars.get(provider)
    return f"; bar {bar}" if bar else ""


def _as_json(head: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    return json.dumps(
        {
            "title": TITLE,
            **head,
            "providers": {
                one.provider: {
                    "notes": one.notes,
                    "measures": {measure.name: _plain(measure, one, None) for measure in MEASURES},
                    "by_category": {
                        category: {measure.name: _plain(measure, one, category) for measure in MEASURES}
                        for category in dict.fromkeys(judged.story.category for judged in one.judged)
                    },
                    "failed": [
                        f"{judged.story.id}, {judged.kind}: {judged.question.text}"
                        for judged in one.judged
                        if judged.failed
                    ],
                }
                for one in outcomes
            },
        },
        indent=1,
        ensure_ascii=False,
    )


def _plain(measure: Measure, outcome: Outcome, category: str | None) -> dict[str, float | int] | None:
    values = measure.values(outcome, category)
    if not values:
        return None
    one = _estimate(values)
    return {
        "percent": round(one.mean, 1),
        "low": round(one.low, 1),
        "high": round(one.high, 1),
        "count": sum(values),
        "of": len(values),
    }


def _estimate(values: Sequence[bool]) -> Estimate:
    return stats.bootstrap([100.0 * value for value in values])


def _failures(outcomes: Sequence[Outcome]) -> Iterable[str]:
    for outcome in outcomes:
        for one in outcome.judged:
            if one.failed:
                why = " and ".join(
                    [*(["not right"] if not one.right else []), *(["stale as current"] if one.stale else [])]
                )
                asked = one.question.model_dump(exclude_defaults=True, exclude={"kind", "text"}, mode="json")
                yield (
                    f"{outcome.provider} {one.story.id}, {one.kind}, {why}: {one.question.text} {asked}\n"
                    f"{one.answer}"
                )
        for pair in outcome.merges:
            if not all((*pair.apart, *pair.joined)):
                yield (
                    f"{outcome.provider} {pair.story.id}: apart {pair.apart}, joined {pair.joined}\n"
                    f"{pair.answer}"
                )


if __name__ == "__main__":
    typer.run(main)
