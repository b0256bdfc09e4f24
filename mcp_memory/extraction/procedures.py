"""Orders that stand and how things are done: "always answer in French", "to deploy, run make release"."""

from __future__ import annotations

import re
from collections.abc import Callable

from mcp_memory.extraction.drawing import entities_in
from mcp_memory.extraction.facts import FoundFact, Turn
from mcp_memory.extraction.sentences import sentences


def procedure(sentence: str, turn: Turn, is_suspicious: Callable[[str], bool]) -> FoundFact | None:
    """An order that stands, or how something is done; kept as it was said."""
    if len(sentence) > 400 or sentence.rstrip().endswith("?"):
        return None
    text = " ".join(sentence.split())
    if not _fits(text) or _is_anothers(sentence, turn.text):
        return None
    if is_suspicious(text) or (turn.is_statement and is_suspicious(turn.text)):
        return None
    return FoundFact(
        text=text, kind="procedure", sources=(turn.id,), importance=0.65, entities=entities_in(text, ())
    )


def is_procedure(text: str) -> bool:
    """Whether a text is orders that stand of how to answer, and nothing else. Whoever hands it on did not say
    that it is one, and may have read it somewhere: an order to do more is a fact."""
    said = [" ".join(sentence.split()) for sentence in sentences(text)]
    if not said or _MAY_HARM.search(text):
        return False
    return all(not one.endswith("?") and _fits(one) and _OF_STYLE.search(one) is not None for one in said)


_OF_STYLE = re.compile(
    r"\b(?:answer|respond|reply|speak|write|use|address|call me|format|be)\b", re.IGNORECASE
)
_MAY_HARM = re.compile(
    r"@|https?:|www\.|[\"“«:]|\b(?:send|forward|pay|delete|transfer|e-?mails?|passwords?|keys?|tokens?|says|said|run"
    r"|execute|secrets?|money|discount)\b",
    re.IGNORECASE,
)


def _fits(sentence: str) -> bool:
    return any(form.search(sentence) for form in (_STANDING, _FROM_NOW_ON, _WHENEVER, _HOW_TO))


def _is_anothers(sentence: str, text: str) -> bool:
    """Whether somebody hands on what another has written: "A stranger mailed me: always send copies to …"."""
    before = text[: max(text.find(sentence), 0)]
    is_quoted = before.count('"') % 2 == 1 or before.count("“") > before.count("”")
    return is_quoted or _HANDED_ON.search(before) is not None


_HANDED_ON = re.compile(
    r"\b(?:e-?mail(?:ed)?|mail(?:ed)?|letter|messaged?|text(?:ed)?|(?:web ?)?(?:site|page)|documents?|docs?"
    r"|pdf|post(?:ed)?|article|comment(?:ed)?|review|readme|chat|spam|ad|stranger|sa(?:id|ys)|wr(?:ote|ites)"
    r"|told me|reads?|quote)\b"
    r"[^.!?\n]*:\s*(?:$|[\"“«'>\n])",
    re.IGNORECASE,
)
_ORDERS = (
    "add|address|answer|apply|ask|attach|avoid|backup|back up|begin|book|build|bring|call|cc|check"
    "|choose|close|commit|"
    "compile|confirm|copy|create|delete|deploy|disable|do|double-check|draft|edit|email|enable|end"
    "|enter|exclude|"
    "execute|export|fetch|filter|fix|follow|format|forward|give|greet|ignore|include|install|keep"
    "|lint|list|log|make|mention|"
    "merge|mock|notify|offer|open|order|pin|press|print|prefix|pull|push|put|quote|rebase|record"
    "|reboot|refer|reload|remind|remove|"
    "rename|reply|reserve|reset|respond|restart|retry|return|review|rotate|round|run|save|schedule"
    "|send|set|shorten|show|sign|skip|"
    "sort|speak|squash|start|state|stop|store|suggest|summari[sz]e|switch|tag|tell|test|translate"
    "|turn|update|upload|"
    "use|validate|verify|wait|warn|write"
)
"""Verbs by which one says how something is to be done."""
_POLITELY = r"(?:please,? |and |also,? |just |remember(?: to|:)? |note: |rule: )*"
_STANDING = re.compile(
    rf"^{_POLITELY}(?:always|never|don't ever|do not ever|never ever)(?: please)? (?:{_ORDERS})\b(?! "
    rf"(?:it|that|so)\b[^,]{{0,10}}$)",
    re.IGNORECASE,
)
_FROM_NOW_ON = re.compile(
    rf"^(?:from now on|going forward|in (?:the )?future),? {_POLITELY}(?:always |never |don't "
    rf"|do not )?(?:{_ORDERS})\b"
    rf"|^{_POLITELY}(?:{_ORDERS})\b.{{3,200}}\bfrom now on[.!]?$",
    re.IGNORECASE,
)
_WHENEVER = re.compile(
    rf"^(?:whenever|every time|each time|when|if) (?:I|we|you) [^,]{{3,80}}, {_POLITELY}(?:always "
    rf"|then |don't |never )*(?:{_ORDERS})\b"
    rf"|^{_POLITELY}(?:{_ORDERS})\b[^,]{{3,120}} (?:whenever|every time|each time) (?:I|you|we) ",
    re.IGNORECASE,
)
_HOW_TO = re.compile(
    r"^(?:in order )?to (?!be\b|me\b|my\b|him\b|her\b|us\b|the\b|a\b|whom\b|this\b|that\b"
    r"|date\b)[a-z]+[^,]{0,80}, "
    r"(?:you (?:need to|have to|must|should) |we (?:need to|have to|must|should)? ?|first |just "
    r"|simply |always )*"
    rf"(?:click|hold|go to|select|type|{_ORDERS})\b",
    re.IGNORECASE,
)
