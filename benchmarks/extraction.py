"""How well facts are drawn from short dialogues, and at what price: by a live model, or by rules.

ANTHROPIC_BASE_URL=http://127.0.0.1:11434 python benchmarks/extraction.py --model qwen2.5
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import anyio
import report
import typer
from dialogues import DIALOGUES, Dialogue, Gold

from mcp_memory.config import Config, load
from mcp_memory.errors import ExtractionFailed
from mcp_memory.extraction import Extraction, Extractor, FoundFact, RulesExtractor, Usage, create_model


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of one dialogue."""

    dialogue: Dialogue
    extraction: Extraction
    seconds: float
    failure: str = ""

    @property
    def recalled(self) -> list[tuple[Gold, FoundFact]]:
        """Facts that were to be noted and were, each with the fact that notes it."""
        pairs = ((gold, _noting(gold, self.extraction.facts)) for gold in self.dialogue.gold)
        return [(gold, fact) for gold, fact in pairs if fact is not None]

    @property
    def wrong(self) -> int:
        """Facts that say what none may say, or anything where there is nothing to note."""
        forms = self.dialogue.never if self.dialogue.gold else (".",)
        return sum(any(_matches(form, fact.text) for form in forms) for fact in self.extraction.facts)


def main(
    provider: Annotated[
        Literal["anthropic", "rules"], typer.Option(help="Who draws the facts.")
    ] = "anthropic",
    model: Annotated[str, typer.Option(help="The model's name.")] = "claude-haiku-5-5",
    dialogues: Annotated[int, typer.Option(help="Take the first so many.", min=1)] = len(DIALOGUES),
    timeout: Annotated[float, typer.Option(help="Seconds for one answer.")] = 120.0,
    minutes: Annotated[float, typer.Option(help="Begin no dialogue after so long.")] = 60.0,
    show: Annotated[bool, typer.Option(help="Print every fact, too.")] = False,
) -> None:
    """Measure the drawing of facts on dialogues with known answers. ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY
    say which endpoint is asked."""
    llm = {
        "model": model,
        "timeout": timeout,
        "base_url": os.environ.get("ANTHROPIC_BASE_URL", ""),
        "api_key": os.environ.get("ANTHROPIC_API_KEY") or None,
    }
    config = load(flags={"extraction": {"provider": provider}, "llm": llm})
    drawn = anyio.run(_draw, config, DIALOGUES[:dialogues], minutes)
    if show:
        print("\n".join(_facts_of(drawn)), end="\n\n")
    title = f"Facts drawn by {model if provider == 'anthropic' else 'rules'} from {len(drawn)} dialogues"
    print(f"{title}\n\n{report.table(('', ''), _rows(drawn))}")


async def _draw(config: Config, dialogues: Sequence[Dialogue], minutes: float) -> list[Drawn]:
    model = create_model(config, _is_suspicious)
    extractor: Extractor = RulesExtractor(_is_suspicious) if model is None else model
    end = time.monotonic() + minutes * 60
    drawn: list[Drawn] = []
    for place, dialogue in enumerate(dialogues, start=1):
        if time.monotonic() > end:
            break
        drawn.append(await _drawn(extractor, dialogue))
        note = drawn[-1].failure or f"{len(drawn[-1].extraction.facts)} facts"
        print(f"{place} of {len(dialogues)}: {drawn[-1].seconds:.0f} s, {note}", file=sys.stderr, flush=True)
    await extractor.aclose()
    return drawn


def _is_suspicious(_: str) -> bool:
    return False


async def _drawn(extractor: Extractor, dialogue: Dialogue) -> Drawn:
    began = time.perf_counter()
    try:
        extraction, failure = await extractor.extract(dialogue.passage()), ""
    except ExtractionFailed as error:
        extraction, failure = Extraction(usage=error.usage), str(error)
    return Drawn(dialogue, extraction, time.perf_counter() - began, failure)


def _noting(gold: Gold, facts: Sequence[FoundFact]) -> FoundFact | None:
    """The fact that notes what was to be noted; of several, one that has its date and its verdict."""
    noting = [fact for fact in facts if all(_matches(words, _said(fact)) for words in gold.words)]
    return max(noting, key=lambda fact: (_is_dated(gold, fact), _is_judged(gold, fact)), default=None)


def _said(fact: FoundFact) -> str:
    return f"{fact.subject or ''}: {fact.text}"


def _matches(form: str, text: str) -> bool:
    return re.search(form, text, re.IGNORECASE) is not None


def _is_dated(gold: Gold, fact: FoundFact) -> bool:
    return (
        gold.since is not None and f"{fact.valid_from:%Y-%m-%d}" == gold.since if fact.valid_from else False
    )


def _is_judged(gold: Gold, fact: FoundFact) -> bool:
    return any(verdict.judgement == gold.judgement for verdict in fact.verdicts)


def _rows(drawn: Sequence[Drawn]) -> list[tuple[str, str]]:
    facts = [fact for one in drawn for fact in one.extraction.facts]
    messages = sum(len(one.dialogue.lines) for one in drawn)
    unsupported = sum(one.extraction.unsupported for one in drawn)
    invalid = sum(one.extraction.invalid for one in drawn)
    gold = [gold for one in drawn for gold in one.dialogue.gold]
    recalled = [pair for one in drawn for pair in one.recalled]
    dated = [_is_dated(*pair) for pair in recalled if pair[0].since is not None]
    judged = [_is_judged(*pair) for pair in recalled if pair[0].judgement is not None]
    usage = sum((one.extraction.usage for one in drawn), Usage())
    return [
        ("messages", str(messages)),
        ("dialogues that failed", str(sum(bool(one.failure) for one in drawn))),
        ("facts per message", f"{len(facts) / messages:.2f}"),
        ("unsupported, of all facts", _share(unsupported, len(facts) + unsupported)),
        ("invalid parts per fact", f"{invalid / max(1, len(facts) + unsupported):.2f}"),
        ("facts to be noted that were", _share(len(recalled), len(gold))),
        ("of these with a date: right", _share(sum(dated), len(dated))),
        ("of these about something known: judged right", _share(sum(judged), len(judged))),
        ("facts that none may draw", str(sum(one.wrong for one in drawn))),
        ("calls per dialogue", f"{usage.calls / max(1, len(drawn)):.2f}"),
        ("tokens in per message", f"{usage.input_tokens / messages:.0f}"),
        ("of them from the provider's cache", _share(usage.cached_tokens, usage.input_tokens)),
        ("tokens out per message", f"{usage.output_tokens / messages:.0f}"),
        ("seconds per message", f"{sum(one.seconds for one in drawn) / messages:.1f}"),
    ]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "–"


def _facts_of(drawn: Sequence[Drawn]) -> list[str]:
    lines: list[str] = []
    for one in drawn:
        extraction = one.extraction
        counts = f"{extraction.unsupported} unsupported, {extraction.invalid} invalid"
        lines.append(f"{one.dialogue.name}: {one.failure or counts}")
        for fact in extraction.facts:
            since = f"{fact.valid_from:%Y-%m-%d}" if fact.valid_from else "–"
            verdicts = ", ".join(verdict.judgement for verdict in fact.verdicts)
            lines.append(f"  [{fact.kind}; {since}; {fact.slot or '–'}; {verdicts or '–'}] {_said(fact)}")
    return lines


if __name__ == "__main__":
    typer.run(main)
