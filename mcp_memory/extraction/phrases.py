"""Phrases of English clauses: names, things, and what a phrase has to say to stand by itself."""

from __future__ import annotations

import re

from mcp_memory.extraction.entities import UPPER, FoundEntity

WORD = rf"[{UPPER}][\w'&.+-]{{0,40}}"


NAME = (
    rf"(?:{WORD}(?: (?:(?:of|the|de|del|della|di|da|van|von|der|la|le|du|for|&|and "
    rf"(?=[{UPPER}][\w]+ (?:Inc|LLC|Ltd|Co)\b)) ?){{0,2}}{WORD}){{0,4}})"
)


def named(name: str) -> str:
    """A name without the marks a sentence leaves on it."""
    return name.strip().rstrip(".,'").removesuffix("'s")


GENERIC_PLANS = frozenset(
    """
    trip trips visit plan plans appointment vacation holiday flight flights reservation booking event
    thing day time weekend bit lot couple way tickets ticket
    """.split()
)


_PLAN_VERBS = frozenset(
    """
    go going visit visiting travel traveling travelling fly flying take taking have having attend attending do
    doing get getting make making meet see seeing run running host hosting start starting join joining
    move moving buy buying be being drive driving to for the a an my our their his her some in at on with of
    and from by up out back over another new big first next plan planning throw throwing organize organizing
    hold holding book booking put putting together that this these those your trip
    """.split()
)


_EDGES = frozenset(
    """
    for with in at on from by after before during because so and but or about into near around until again
    soon later together instead alone first as twice once
    """.split()
)


def plan_key(text: str) -> str | None:
    """The head word of what is planned, by which it is known again: "the trip to Rome" and "visit Rome" are
    both `rome`, "a party for Tom" and "the party" both `party`."""
    phrase: list[str] = []
    for place, word in enumerate(re.findall(r"[\w'-]+", text)):
        plain = word.casefold().removesuffix("'s")
        if plain in _PLAN_VERBS or plain in GENERIC_PLANS or (place == 0 and plain.endswith("ing")):
            if phrase:
                break
            continue
        if phrase and plain in _EDGES:
            break
        if phrase and phrase[-1][0].isupper() != word[0].isupper() and phrase[-1][0].islower():
            break
        phrase.append(word)
        if len(phrase) == 4:
            break
    if not phrase:
        return None
    head = phrase[-1]
    # One has many meetings: this one is known by whom it is with.
    if head.casefold() in _MEETINGS and (
        other := re.search(rf"\bwith (?:the |their )?(?P<who>{NAME}|[a-z]+)", text)
    ):
        return f"{head.casefold()} with {named(other['who']).casefold()}"
    key = " ".join(phrase) if all(one[0].isupper() for one in phrase) else head
    return singular(key.casefold().removesuffix("'s"))


_MEETINGS = frozenset(
    "meeting call dinner lunch breakfast brunch coffee interview date drinks session lesson chat"
    " catch-up".split()
)


def event_key(words: str) -> str | None:
    """As `plan_key`, of what the speaker points at: "my flight" is the one they spoke of."""
    if key := plan_key(words):
        return key
    match = re.fullmatch(r"(?:[Tt]he|[Mm]y|[Oo]ur|[Tt]heir) (?P<noun>[a-z]+)", words)
    return singular(match["noun"]) if match and singular(match["noun"]) in _POINTED_AT else None


_POINTED_AT = frozenset("flight trip appointment reservation booking vacation holiday event visit".split())


_IN_IE = frozenset(
    "movies cookies zombies calories selfies hoodies brownies smoothies veggies newbies".split()
)


def singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies") and word not in _IN_IE:
        return f"{word[:-3]}y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def object_key(words: str) -> str | None:
    """How two mentions of one thing are known to be one: without articles, in the singular."""
    plain = re.sub(r"^(?:the|a|an|my|our|their|some|to)\s", "", words.casefold()).strip(" .,!'\"")
    plain = " ".join(plain.split())
    if not plain or plain in _POINTING or len(plain) < 2:
        return None
    first, _, last = plain.rpartition(" ")
    return f"{first} {singular(last)}".strip()


def entity_of(words: str) -> FoundEntity | None:
    """A relation's end, where the words are a thing of its own and no clause."""
    if len(words.split()) > 3 or len(words) > 60 or re.match(r"(?:to|when|how|that|being|having)\b", words):
        return None
    return FoundEntity(re.sub(r"^(?:the|a|an) ", "", words), "concept")


def listed(words: str) -> list[str]:
    """ "French and German" as two; a longer "and" joins what is said as one."""
    parts = re.split(r" and ", words)
    fits = len(parts) == 2 and all(0 < len(part.split()) <= 2 for part in parts)
    return parts if fits and not parts[1].endswith("ing") else [words]


_POINTING = frozenset(
    """
    it this that them these those one ones him her you us me what which who everything something anything
    nothing all so there here such same thought each other others someone everyone people things thing stuff
    more most idea sound look way how your their few lot lots couple bit
    """.split()
)


_CUT = re.compile(
    # Behind a title no thought ends: "Dr. Lee".
    r"\s*(?:[,;:!?(—–]|(?<!\b[DM]r)(?<!\bMrs)(?<!\bMs)(?<!\bProf)(?<!\bSt)\.(?=\s|$)|\s-\s"
    r"|\s(?:because|so that|since|while|although|though|but|which|who"
    r"|whom|if|unless|"
    r"whenever|when|where|as|than|and (?:I|we|it|he|she|they|that|then|now|am|is|are|was|have|need|want"
    r"|would|could|wonder\w*)|so|I|we"
    r"|you|he|she|they)\b"
    # "To that world" points; "a book that helps" goes on.
    r"|(?<! to)(?<! of)(?<! in)(?<! on)(?<! for)(?<! at)(?<! with)(?<! from)(?<! about)(?<! like)\sthat\b)"
)


_TAIL = re.compile(
    r"(?:\s(?:ages ago|a (?:long )?while ago|a long time ago|long ago|some time ago|too|also|though|now"
    r"|lately|recently|again|any ?more|any longer|these days|nowadays|a lot"
    r"|so much|very much|"
    r"as well|haha|lol|today|already|really|myself|right now|at the moment|currently|actually|instead"
    r"|together|so far|"
    r"rather|after all|to be honest|honestly|all the time|of course|and|or|with|for|in|on|at|of|to|the"
    r"|a|an|by|from))+[\s.]*$"
)


_OURS = (
    (re.compile(r"\b(?:[Mm]y|[Oo]ur)\b"), "their"),
    (re.compile(r"\b(?:me|us)\b"), "them"),
    (re.compile(r"\b(?:myself|ourselves)\b"), "themselves"),
    (re.compile(r"\bmine\b"), "theirs"),
)


_UNCLEAR = re.compile(
    r"(?:^|\s)(?:it|this|that|these|those|he|she|they|him|her|his|hers|you|your|yours|them|its|their|I"
    r"|one|ones|"
    r"something|anything|everything|somewhere|someone|somebody|there|here|such|what|which|same|more)"
    r"(?=\s|$|'|[,.])"
)


def self_contained(phrase: str, *, longest: int) -> str | None:
    """The words up to where another thought begins, with "my" as "their"; None when they point at something
    outside of them ("it", "that one", "your") or go on for too long."""
    cut = _CUT.search(phrase)
    words = _TAIL.sub("", f" {' '.join((phrase[: cut.start()] if cut else phrase).split())}").strip(" .,'")
    if not words or _UNCLEAR.search(words) or len(words.split()) > longest:
        return None
    for pattern, replacement in _OURS:
        words = pattern.sub(replacement, words)
    return words


NEVER_NAMES = frozenset(
    """
    i i'm i've monday tuesday wednesday thursday friday saturday sunday january february march april may june
    july august september october november december spring summer autumn winter christmas easter english
    french german spanish italian god ok okay pm am tv mom dad mum
    """.split()
)
