"""What somebody likes and dislikes, and what they prefer to what."""

from __future__ import annotations

import re

from mcp_memory.extraction.entities import UPPER, FoundEntity
from mcp_memory.extraction.forms import BE, HAVE, Form, Match, Statement, form
from mcp_memory.extraction.phrases import entity_of, listed, object_key, self_contained, singular


def _used_to_like(match: Match) -> list[Statement]:
    return _attitude(f"used to {match['verb']}", match["what"], positive=match["verb"] == "hate")


_ATTITUDES = {
    "like": "likes", "love": "loves", "enjoy": "enjoys", "adore": "adores", "hate": "hates",
    "dislike": "dislikes", "despise": "despises", "detest": "detests",
}  # fmt: skip


_DISLIKES = frozenset(
    {
        "hates",
        "dislikes",
        "despises",
        "detests",
        "can not stand",
        "does not like",
        "no longer likes",
        "is not a fan of",
    }
)


def _attitude(says: str, phrase: str, *, positive: bool) -> list[Statement]:
    words = self_contained(phrase, longest=7)
    if words is None or (key := object_key(words)) is None:
        return []
    # "I love the idea" is said of what lies before them, not of what they are like.
    if re.match(r"(?:the|some|all) ", words) and not re.search(rf"\b[{UPPER}]", words):
        return []
    if len(parts := listed(words)) > 1:
        return [one for part in parts for one in _attitude(says, part, positive=positive)]
    predicate = "likes" if positive else "dislikes"
    target = entity_of(words)
    return [
        Statement(
            f"{says} {words}", "preference", predicate if target else None, target, f"likes: {key}",
            negates=not positive, importance=0.55, dated="undated",
        )
    ]  # fmt: skip


def _likes(match: Match) -> list[Statement]:
    verb = match["verb"].rstrip("d") if match["verb"] not in _ATTITUDES else match["verb"]
    says = _ATTITUDES.get(verb.removesuffix("s")) or _ATTITUDES.get(verb) or ""
    if not says:
        return []
    phrase = match["what"]
    if over := _MORE_THAN.match(phrase):
        return prefers(over["a"], over["b"])
    return _attitude(says, phrase, positive=says not in _DISLIKES)


def _is_fond(match: Match) -> list[Statement]:
    says = {"into": "is into", "fond of": "is fond of", "obsessed with": "is obsessed with"}.get(
        match["how"], "is a fan of"
    )
    return _attitude(says, match["what"], positive=True)


def _does_not_like(match: Match) -> list[Statement]:
    verb = match["verb"] or ""
    ended = (
        "no longer" in match.group() or re.search(r"\bany ?(?:more|longer)\b", match.said.rest) is not None
    )
    if (
        "gone off" in match.group()
        or "stand" in match.group()
        or "fan of" in match.group()
        or "into" in match.group()
    ):
        says = "has gone off" if "gone off" in match.group() else "is not a fan of"
        says = "can not stand" if "stand" in match.group() else says
    else:
        says = f"no longer {_ATTITUDES[verb]}" if ended and verb in _ATTITUDES else f"does not {verb}"
    return _attitude(says, match["what"], positive=False)


_MORE_THAN = re.compile(r"(?P<a>[\w' -]{2,40}?) (?:more|better) than (?P<b>[\w' -]{2,40})$")


def prefers(a: str, b: str, says: str | None = None) -> list[Statement]:
    """A choice of one over another; it replaces any earlier choice between the two."""
    chosen, other = self_contained(a, longest=5), self_contained(b, longest=5)
    if chosen is None or other is None:
        return []
    one, two = _one_of(chosen), _one_of(other)
    if one is not None and two is not None and one[1] == two[1]:
        return [_of_kind(chosen, one, says or f"prefers {chosen} to {other}")]
    keys = object_key(chosen), object_key(other)
    if keys[0] is None or keys[1] is None or keys[0] == keys[1]:
        return []
    slot = f"prefers: {' | '.join(sorted((keys[0], keys[1])))}"
    entity = FoundEntity(chosen, "concept")
    return [
        Statement(
            says or f"prefers {chosen} to {other}",
            "preference",
            "prefers",
            entity,
            slot,
            importance=0.65,
            dated="undated",
        )
    ]


_NOUN_OF_TASTE = re.compile(
    r"(?!(?:to|the|a|an|my|their|when|how|having|being|not|more|less|\w+ing) )(?P<which>[\w-]+)"
    r" (?P<of>[a-z]+)$"
)


def _one_of(words: str) -> tuple[str, str] | None:
    """ "Window seats": which, and of what."""
    match = _NOUN_OF_TASTE.match(words)
    return None if match is None or match["of"].endswith("ing") else (match["which"], singular(match["of"]))


def _of_kind(words: str, one: tuple[str, str], says: str) -> Statement:
    """ "Prefers window seats" until they prefer other seats."""
    entity = FoundEntity(words, "concept")
    return Statement(
        says, "preference", "prefers", entity, f"prefers: {one[1]}", importance=0.65, dated="undated"
    )


def _grew_to_like(match: Match) -> list[Statement]:
    return _attitude("likes", match["what"], positive=True)


def _grew_tired(match: Match) -> list[Statement]:
    return _attitude("is tired of", match["what"], positive=False)


def _prefers(match: Match) -> list[Statement]:
    if match["b"]:
        return prefers(match["a"] or "", match["b"] or "")
    words = self_contained(match["a"], longest=9)
    if words is None:
        return []
    if (one := _one_of(words)) is not None:
        return [_of_kind(words, one, f"prefers {words}")]
    return [Statement(f"prefers {words}", "preference", importance=0.6, dated="undated")]


def _not_like(match: Match) -> list[Statement]:
    verb = match["verb"] or match["verb2"]
    ended = bool(match["verb2"]) or re.search(r"\bany ?(?:more|longer)\b", match.said.rest) is not None
    says = f"no longer {_ATTITUDES[verb]}" if ended else f"does not {verb}"
    return _attitude(says, match["what"], positive=False)


FORMS: tuple[Form, ...] = (
    form(
        rf"(?:(?:{HAVE} )?(?:come|came|grown|grew|learned|learnt|started|begun|began) to (?:really"
        rf" )?(?:like|love"
        rf"|enjoy|appreciate|prefer)|(?:{HAVE} )?(?:started|begun|began) (?:liking|loving|enjoying)"
        rf"|(?:{HAVE} )?(?:come|came) (?:around|round) to|(?:{HAVE} )?(?:warmed|warmed up) to"
        rf"|(?:{HAVE} )?(?:developed|acquired|got|gotten) a taste for|(?:{BE}|{HAVE} been) (?:won over by"
        r"|converted to)) (?P<what>.+)",
        _grew_to_like,
    ),
    form(
        rf"(?:(?:{HAVE} )?(?:grown|grew|got|gotten|become|became)|{BE}) (?:so |really |a bit )?(?:tired"
        rf"|sick|bored) "
        rf"(?:of|with) (?P<what>.+)|(?:{BE}|{HAVE} got) (?:so )?fed up with (?P<what2>.+)"
        rf"|(?:{HAVE} )?(?:lost interest in|lost (?:my|their) taste for|stopped (?:liking|enjoying"
        rf"|loving)|fallen out "
        r"of love with|fell out of love with) (?P<what3>.+)",
        lambda match: (
            _grew_tired(match)
            if match["what"]
            else _attitude("no longer likes", match["what2"] or match["what3"], positive=False)
        ),
    ),
    form(
        r"(?:would )?(?:take|pick|choose|go for) (?P<a>[^,;]{2,60}?) over (?P<b>[^,;.!]{2,40}?)"
        r"(?: any day| every time| any time)",
        _prefers,
    ),
    form(rf"(?:{HAVE} )?gone off (?P<what>.+)", _does_not_like),
    form(r"used to (?:really )?(?P<verb>love|like|enjoy|hate) (?P<what>.+)", _used_to_like),
    form(
        r"(?:would )?(?:prefers?|(?:would )?rather(?: have| use| drink| eat)?) (?P<a>[^,;]{2,60}?) "
        r"(?:over|to|rather than|instead of|than) (?!(?:go|do|be|have|use|get|make|see|eat|work|stay"
        r"|read|keep|take)\b)(?P<b>[^,;.!]{2,60})",
        _prefers,
    ),
    form(r"(?:prefers?) (?P<a>[^,;]{2,90})(?P<b>)", _prefers),
    form(
        rf"(?:{BE} )?(?:not|no longer) (?:an? )?(?:big |huge )?(?:fan of|into|fond of) (?P<what>.+)",
        _does_not_like,
    ),
    form(
        rf"{BE} (?:not|no longer) (?:an? )?(?:big |huge |really )?(?:fan of|into|fond of) (?P<what>.+)",
        _does_not_like,
    ),
    form(r"can not stand (?P<what>.+)", _does_not_like),
    form(
        r"(?:(?:do|does) not (?:really )?(?P<verb>like|love|enjoy)|no longer (?P<verb2>like|love"
        r"|enjoy)s?) (?P<what>.+)",
        _not_like,
    ),
    form(r"(?P<verb>likes?|loves?|enjoys?|adores?|hates?|dislikes?|despises?|detests?) (?P<what>.+)", _likes),
    form(
        rf"{BE} (?:a |an )?(?:really |big |huge |so |such a )*(?P<how>into|fond of|obsessed with"
        r"|fan of|lover of) (?P<what>.+)",
        _is_fond,
    ),
)
"""The first that fits decides."""
