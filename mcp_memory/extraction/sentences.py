"""Sentences and clauses of what people write, and which of them state nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_memory.extraction.entities import UPPER

MAX_SENTENCE = 400
"""Characters of the longest sentence that is read: a longer one is a list, a log or pasted text."""
MAX_SENTENCES = 200
"""Of one turn that are read: some 3,000 words."""

_ENDS = re.compile(
    # Behind an abbreviation, an initial or a number no sentence ends.
    r"(?<!\b[A-Z])(?<!\b[Dd]r)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)(?<!\bProf)(?<!\bvs)(?<!\be\.g)"
    r"(?<!\bi\.e)"
    r"(?<!\bInc)(?<!\bapprox)(?<!\betc)(?<!\b[ap]\.m)[.!?…]{1,12}[\"”’)\]]{0,2}(?=\s|$)|\n{1,8}"
    r"|[\U0001F300-\U0001FAFF\u2600-\u27BF\uFE0F]{1,12}(?=\s|$)"
)


_FENCED = re.compile(r"```[^`]{0,20000}(?:```|$)")


def sentences(text: str) -> Iterator[str]:
    """Sentences in order, with the marks that end them; time in proportion to the text."""
    position = found = 0
    text = _FENCED.sub("\n", text)
    for end in _ENDS.finditer(text):
        sentence = text[position : end.end()].strip()
        position = end.end()
        if sentence:
            yield sentence
            found += 1
            if found >= MAX_SENTENCES:
                return
    if rest := text[position:].strip():
        yield rest


_QUESTION = re.compile(r"\?[\"”’)\s]*$")
_ASKS = re.compile(
    r"^(?:(?:and|but|so|hey|hi|oh|well|ok|okay|wow),? )?(?:who|whom|whose|what|which|when|where|why|how|"
    r"can you|could you|would you|will you|do you|did you|are you|have you|is there|are there|should I|"
    r"can I|may I|do I|am I|did I|is it|is my|was I|have I)\b",
    re.IGNORECASE,
)
_JOKES = re.compile(
    r"\b(?:just kidding|only kidding|i(?:'m| am) kidding|just joking|only joking|i(?:'m| am) joking|jk"
    r"|i wish|"
    r"in my dreams|in another life|not really|sarcasm|as a joke|april fools?)\b"
    r"|(?<!\w)/s(?!\w)|\b(?:yeah|oh),? right\b",
    re.IGNORECASE,
)
_LAUGHS = re.compile(
    r"\b(?:(?:ha){2,10}h?|lo+l|lmao|rofl|hehe)\b|[\U0001F602\U0001F923\U0001F61C]", re.IGNORECASE
)
_IMAGINES = re.compile(
    r"^(?:(?:so|and|but|ok|okay|well|now),? )?(?:if|imagine|suppose|supposing|assume|assuming|say that"
    r"|let's say|"
    r"pretend|what if|picture|hypothetically|in theory|for example|for instance|e\.g\.)\b",
    re.IGNORECASE,
)
_PASTED = re.compile(r"^\s*(?:>|```|\||#{1,6}\s|\{|\[|<\w|//|\$ |def |class |import |SELECT )")
_TAKES_BACK = re.compile(
    r"^(?:haha,? |lol,? |nah,? |no,? |ok,? )?(?:i(?:'m| am) )?(?:just |only )?(?:kidding|joking|jk"
    r"|messing with you)\b"
    r"|^(?:jk|psych|not)[!.]*$",
    re.IGNORECASE,
)
_HANDS_OVER = re.compile(
    r"\b(?:translate|rewrite|rephrase|paraphrase|proofread|summari[sz]e|correct|edit|improve|review"
    r"|check|analy[sz]e|"
    r"explain|write|draft|generate|create|continue|complete|pretend|act as|role-?play|you are"
    r"|following|below|"
    r"story|poem|essay|letter|script|dialogue|lyrics)\b[^.!?]{0,200}:\s*$"
    r"|\b(?:translate|rewrite|rephrase|paraphrase|proofread|summari[sz]e)\b[^.!?:]{0,80}:"
    r"|^(?:write|draft|compose|generate|create)(?: me)? (?:an?|the|some|my) "
    r"|\b(?:act as|pretend (?:that |to be )|role-?play|you are an? )",
    re.IGNORECASE,
)


def takes_back(sentence: str) -> bool:
    """Whether it says that what was said just before was no more than a joke."""
    return _TAKES_BACK.search(sentence) is not None


def hands_over(sentence: str) -> bool:
    """Whether what follows is somebody's text to work on and not what the speaker states: "Translate:"."""
    return _HANDS_OVER.search(sentence) is not None


def stated_before(question: str) -> str:
    """What a question states before it asks: "I moved to Porto, can you recommend a vet?"; empty where it
    only asks."""
    asks = _ASKS_BEHIND.search(question)
    if asks is None or _SUPPOSES.search(question) or _JOKES.search(question) or _LAUGHS.search(question):
        return ""
    return question[: asks.start()].strip(" ,;:-–—")


_SUPPOSES = re.compile(
    r"^(?:so |ok |okay |well |and |but )?(?:say|let's say|when|once|unless|in case|as soon as)\b"
    r"|\b(?:would(?! you (?:recommend|suggest|mind))|if|imagine|suppose|hypothetical\w*|pretend|what"
    r" happens)\b",
    re.IGNORECASE,
)


_ASKS_BEHIND = re.compile(
    r"(?:[,;:–—-]|\band|\bso|\bbut)\s+(?:(?:and|so|but|then|now|please) )?(?:(?:can|could|would|will|do"
    r"|did) you|what|which"
    r"|where|how|who|when|why|any(?:thing|one|body|where)?"
    r"|is there"
    r"|are there|should I|do I|am I|can I|(?:I )?(?:was|am|were) (?:wondering|curious|hoping)|I wonder|I"
    r" need (?:to know|help"
    r"|advice|some)|(?:I am |I'm )?looking for|do we|what's|how's|where's)\b"
)


def is_stated(sentence: str) -> bool:
    """Whether a sentence says how things are: no question, no joke, nothing imagined, nothing pasted."""
    if len(sentence) > MAX_SENTENCE or _PASTED.match(sentence) or _QUESTION.search(sentence):
        return False
    if _ASKS.match(sentence) or _IMAGINES.match(sentence) or _JOKES.search(sentence):
        return False
    return not _LAUGHS.search(sentence)


_CONTRACTED = (
    (re.compile(r"\b(?:wo)n't\b"), "will not"),
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (
        re.compile(
            r"\b([Ii]s|[Aa]re|[Ww]as|[Ww]ere|[Dd]oes|[Dd]o|[Dd]id|[Hh]as|[Hh]ave|[Hh]ad|[Ww]ould"
            r"|[Cc]ould|[Ss]hould)n't\b"
        ),
        r"\1 not",
    ),
    (re.compile(r"\b[Ii]'m\b|\b[Ii]m (?=[a-z])"), "I am"),
    (re.compile(r"\b([Ii]|[Ww]e|[Tt]hey|[Yy]ou)'ve\b"), r"\1 have"),
    (
        re.compile(
            r"\b([Ii]|[Ww]e|[Tt]hey|[Hh]e|[Ss]he)'d (?=(?:really |also |much )?(?:like|love|rather"
            r"|prefer|be|have to|want|take|pick|choose|go for)\b)"
        ),
        r"\1 would ",
    ),
    (re.compile(r"\b([Ii]|[Ww]e|[Tt]hey|[Hh]e|[Ss]he|[Ii]t)'d\b"), r"\1 had"),
    (re.compile(r"\b([Ii]|[Ww]e|[Tt]hey|[Hh]e|[Ss]he|[Ii]t|[Yy]ou)'ll\b"), r"\1 will"),
    (re.compile(r"\b([Ww]e|[Tt]hey|[Yy]ou)'re\b"), r"\1 are"),
    (
        re.compile(
            r"\b([Hh]e|[Ss]he)'s (?=(?:just |already |recently |finally |always )?(?:moved|got|been"
            r"|had|left|joined|started|quit|\w{3,12}ed)\b)"
        ),
        r"\1 has ",
    ),
    (
        re.compile(
            r"(?<=\w)'s (?=(?:just |already |recently |finally |now |also )?(?:moved|left|quit|joined|started"
            r"|gone off|switched|become|retired|been|got a|given up|stopped|accepted|changed|bought)\b)"
        ),
        " has ",
    ),
    (
        re.compile(
            r"(?<=\w)'s (?=(?:now |just |also |still |currently |no longer |not )?(?:living|working"
            r"|moving to|dating"
            r"|staying|studying at|engaged|married|pregnant|based|vegan|vegetarian)\b)"
        ),
        " is ",
    ),
    (re.compile(r"(?<=\w)'s (?=(?:now )?(?:at|on) (?:version |v)?\d)"), " is "),
    (re.compile(r"(?<=\w)'s been (?=\w+ed\b)"), " has been "),
    (re.compile(r"\b([Hh]e|[Ss]he|[Ii]t|[Tt]hat|[Tt]here|[Nn]ame|[Hh]ere)'s\b"), r"\1 is"),
    (re.compile(r"\bgonna\b"), "going to"),
    (re.compile(r"\bwanna\b"), "want to"),
    (re.compile(r"(?<![\w'-])i(?= \w)"), "I"),
)


def written_out(sentence: str) -> str:
    """With straight marks, single spaces and no contractions: "I'm" is "I am"."""
    plain = " ".join(sentence.replace("’", "'").replace("‘", "'").split())
    for pattern, replacement in _CONTRACTED:
        plain = pattern.sub(replacement, plain)
    return plain


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence with a verb. `link` is the word that joins it to the one before, lower case."""

    text: str
    link: str = ""


_STARTS = (
    rf"(?:(?:today|yesterday) (?:is|was)|I|[Ww]e|[Hh]e|[Ss]he|[Tt]hey|it|you|[Mm]y|[Oo]ur|their|his|her"
    rf"|your|its|this|that|there|the(?! \d))\b"
    rf"|[{UPPER}][\w-]{{1,30}} (?:is|was|has|had|will|lives|works|moved|said|says|told|got|likes|loves"
    r"|left|joined|and I)\b"
)
_VERBS = (
    "moved|relocated|started|joined|left|quit|got|works?(?= (?:at|for|as) )|lives?(?= in )|bought"
    "|sold|am|is|have|has|"
    "loves|hates|love(?= (?:to|my|\\w+ing) )|prefer|prefers|enjoy|adopted|married|became|began"
    "|finished|went|visited|"
    "graduated|switched|upgraded|will|plan(?= to )|uses|speak|stopped|can not|do not|does not|did not"
    "|no longer|never|was|"
    "were|studies|study(?= at )|goes(?= by )"
)
_LINKS = (
    "and|but|so|because|although|though|while|whereas|since|as|if|unless|when|whenever|once|before"
    "|after|until|"
    "whether|where|which|who|yet|or|cause|cuz|plus|even though|so that|now that"
)
_BREAKS = re.compile(
    rf"\s*[,;:]?\s+(?P<link>{_LINKS}) (?=(?:then |now |also |recently |just |maybe |perhaps )*"
    rf"(?:{_STARTS}))"
    r"|,?\s+(?P<and>and|but|so|then|and then) (?=(?:then |now |also |recently |just |really "
    rf"|finally )*(?:{_VERBS})\b)"
    r"|,?\s+(?:and|but|so) (?=now (?:work|works|live|lives|use|uses|drive|drives|drink|drinks|eat|eats"
    r"|play|plays|prefer"
    r"|prefers|run|study|am|is)\b)"
    rf"|\s*(?:;|—|–|\.\.\.|…|:(?!(?<=\d:)\d)|\s-|\()\s*"
    rf"|,\s+(?=(?:{_STARTS}))"
)


# "My wife and I moved" is one clause.
_JOINED = re.compile(rf"(?:^|,\s?|\b(?:me|I|you|he|she)|\b[Mm]y \w+|(?<![\w,] )[{UPPER}]\w+)$")


def clauses(sentence: str) -> Iterator[Clause]:
    """The clauses of a sentence that is written out."""
    position, link = 0, ""
    for match in _BREAKS.finditer(sentence):
        if match["link"] == "and" and _JOINED.search(sentence, position, match.start()):
            continue
        if text := sentence[position : match.start()].strip(" ,;:()"):
            yield Clause(text, link)
            link = ""
        link = match["link"] or match["and"] or link
        position = match.end()
    if text := sentence[position:].strip(" ,;:()"):
        yield Clause(text, link)
