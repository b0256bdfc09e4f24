"""What a question is about, and which sentences of a text say something of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, takewhile

from mcp_memory.extraction.sentences import is_stated, stated_before
from mcp_memory.staleness.measures import CALENDAR, COUNTING, MEASURED_BY, SPANS, Measure, measures
from mcp_memory.staleness.vocabulary import (
    ADVERBS,
    ADVISES,
    ANCHORS,
    BEGINS,
    BEING,
    CHANGES,
    DETERMINERS,
    FIELD_PHRASES,
    FIELDS_OF,
    HINTED_ANCHORS,
    HINTED_PHRASE,
    INSTRUCTS,
    KIN,
    LEFT,
    LIGHT,
    LONG_AGO,
    MOVES,
    MOVES_HOME,
    NEW,
    OTHERS,
    OVER,
    PAST,
    PERSONAL,
    PLAIN_PHRASE,
    PRESENT,
    SPEAKER,
    TITLES,
    UNDECIDED,
    UNREAL,
    USED_TO,
    Change,
)
from mcp_memory.words import FUNCTION_WORDS, stemmer

READ = 2_000
"""Characters of one text that are looked at: more is pasted or dictated, and costs time."""
REACH = 4
"""Words before and behind "sold" or "was cancelled" among which stands what was."""

_ENDS = re.compile(
    # Behind a title no sentence ends.
    r"(?<=[.!?…])(?<!\b[DM]r\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bSt\.)(?<!\bProf\.)\s+|\n+|;|(?<=…)"
)
_TOKEN = re.compile(r"[$£€]?\d[\d,]*(?:[.:]\d+)*\w*|[^\W\d_][^\W_]*(?:['&][^\W\d_]+)?")
_OWN = frozenset(("i", "my", "me", "mine", "we", "our", "i'm", "i've"))
_ASKING = frozenset(("does", "do", "did", "is", "has", "are", "was", "were", "will", "can", "should"))
_LIVING = re.compile(r"\bfor a living\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Topic:
    """What a question is about: its words by their stems, those of them that name a person, and fields of
    life. `words` are as written, those of the fields among them."""

    stems: frozenset[str]
    people: frozenset[str]
    full_names: frozenset[tuple[str, str]]
    """Of two words, the first of them a person's."""
    fields: frozenset[str]
    words: frozenset[str]
    things: frozenset[str]
    """Of the stems those that do not only say what measure is asked for: "the date of the recital"."""
    measured: frozenset[str]
    """The kinds of measures that answer it."""
    counted: str
    """The stem of what is counted: of followers in "How many new followers do I have?"."""
    asks_of_self: bool
    pattern: re.Pattern[str] | None
    """Finds what speaks of it; None where it is about nothing."""
    also: Mapping[str, str]
    """By stem of a word by which somebody in it is called too, that of the name it has for them."""

    @property
    def is_empty(self) -> bool:
        """Whether it is about nothing that could be told apart: "What changed?"."""
        return not self.stems and not self.fields

    def names(self, speaker: str | None) -> bool:
        """Whether the question is about this speaker, who says "I" of it."""
        return speaker is not None and not self.stems.isdisjoint(_stems(_folded(speaker)))


def read_topic(question: str, also_called: Mapping[str, str] | None = None) -> Topic:
    """What a question is about. `also_called` gives by other names of those it names the name it has for
    them."""
    question = _straight(question[:READ])
    tokens = _TOKEN.findall(question)
    fields: set[str] = set()
    called: set[str] = set()
    words: list[str] = []
    for place, token in enumerate(tokens):
        word = token.lower().removesuffix("'s")
        fields |= FIELDS_OF.get(word, frozenset())
        if _is_worth(word):
            words.append(word)
            # "Where does Ravi work?", "Ravi's job": who has many sides; the other words say which is meant.
            if (
                token[0].isupper()
                and place
                and (token.endswith("'s") or tokens[place - 1].lower() in _ASKING)
            ):
                called.add(word)
    if _LIVING.search(question):
        fields = (fields - {"home"}) | {"work"}
        words = [one for one in words if one != "living"]
    roots = _stems(words)
    people = frozenset(root for word, root in zip(words, roots, strict=True) if word in called)
    # "What changed about the rent?" is about the rent.
    changes = frozenset(_stems([word for word in words if word in CHANGES]))
    stems = frozenset(root for root in roots if root not in _LIGHT_STEMS and root not in changes)
    of_fields = frozenset(word for word, of in FIELDS_OF.items() if of & fields)
    heads = {word[: max(len(root) - 1, 3)] for word, root in zip(words, roots, strict=True)} | of_fields
    others: Mapping[str, str] = also_called or {}
    also = {
        stem: _stems(_folded(name))[0]
        for other, name in others.items()
        for stem in _stems(_folded(other))
        if stem not in roots and stem not in _LIGHT_STEMS
    }
    heads.update(word for other in others for word in _folded(other) if _is_worth(word))
    return Topic(
        stems=stems,
        people=people,
        full_names=_full_names(tokens, people),
        fields=frozenset(fields),
        words=frozenset(words) | of_fields,
        things=stems - frozenset(_stems([word for word in words if word in MEASURED_BY])),
        measured=frozenset(chain.from_iterable(MEASURED_BY.get(token.lower(), ()) for token in tokens)),
        counted=_counted(tokens),
        asks_of_self=not _OWN.isdisjoint(token.lower() for token in tokens),
        pattern=re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(heads)))})", re.IGNORECASE)
        if heads
        else None,
        also=also,
    )


def _counted(tokens: Sequence[str]) -> str:
    """The last of the words behind "how many", up to the next that carries grammar; of time none, which is
    counted of everything."""
    folded = [token.lower() for token in tokens]
    starts = (at + 1 for at, pair in enumerate(pairwise(folded), 1) if pair == ("how", "many"))
    if (start := next(starts, None)) is None:
        return ""
    noun = list(takewhile(lambda word: word not in FUNCTION_WORDS, folded[start:]))
    counted = _stems(noun[-1:])[0] if noun else ""
    return "" if counted in SPANS else counted


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence. `words` are those worth sharing, by their stems as they are written; `around`, of the
    whole text, the stems of the topic; `subject` is `I`, one of kin, `he` and the like, or empty."""

    text: str
    words: dict[str, str]
    around: frozenset[str]
    names: frozenset[str]
    """Stems of names, as far as capitals tell."""
    full_names: frozenset[tuple[str, str]]
    """Those whose first word the question has as a person's."""
    changed: frozenset[str]
    """Stems of what was ended or replaced."""
    tells: frozenset[str]
    """The words that plainly tell of a change."""
    change: Change
    fields: frozenset[str]
    changed_fields: frozenset[str]
    """Those of them that what ended or was replaced belongs to."""
    subject: str
    agent: str
    """The stem of the name of whom or what it is about, as far as its first words tell, else empty."""
    is_own: bool
    """Whether behind the agent it speaks of who speaks too: "Yuki moved my lessons"."""
    is_of_asked: bool
    """Whether who speaks is whom the question is about."""
    measures: tuple[Measure, ...]

    @property
    def is_stated(self) -> bool:
        is_told = is_stated(self.text) or INSTRUCTS.match(self.text) is not None
        return is_told and UNREAL.search(self.text) is None

    @property
    def is_undecided(self) -> bool:
        return UNDECIDED.search(self.text) is not None

    @property
    def is_former(self) -> bool:
        """Whether it only tells how things had been, and not what became of them."""
        return self.change <= Change.HINTED and USED_TO.search(self.text) is not None

    @property
    def is_long_ago(self) -> bool:
        return LONG_AGO.search(self.text) is not None

    @property
    def is_over(self) -> bool:
        """Whether it tells of what happened once, or only comments: "We had lunch at Gino's"."""
        if ADVISES.search(self.text):
            return True
        folded = _folded(self.text)
        return (
            PRESENT.isdisjoint(folded)
            and BEGINS.isdisjoint(folded)
            and PAST.search(self.text.lower()) is not None
        )


def read_statements(text: str, topic: Topic, *, is_of_asked: bool, is_whole: bool) -> list[Statement]:
    """The sentences that speak of the topic, or all; of those that ask what they state before they do."""
    text = _straight(text[:READ])
    pattern = topic.pattern
    if not is_whole and (pattern is None or not pattern.search(text)):
        return []
    parts = [part for part in _ENDS.split(text) if part and not part.isspace()]
    about = [place for place, part in enumerate(parts) if is_whole or (pattern and pattern.search(part))]
    stated = [stated_before(part) if part.rstrip().endswith("?") else part for part in parts]
    tokens = list(map(_TOKEN.findall, stated))
    stems = {
        token: topic.also.get(stem, stem) for token, stem in _stems_by_word(_TOKEN.findall(text)).items()
    }
    around = topic.stems.intersection(stems.values())
    changes = {
        place: _change(stated[place], tokens[place], topic)
        for place in sorted({near for place in about for near in (place - 1, place, place + 1)})
        if 0 <= place < len(parts)
    }
    found: list[Statement] = []
    for place in about:
        if not tokens[place]:
            continue
        change = changes[place]
        beside = (changes.get(place - 1), changes.get(place + 1))
        if change < Change.BESIDE and Change.PLAIN in beside:
            change = Change.BESIDE
        found.append(
            _statement(stated[place], tokens[place], stems, change, around, topic, is_of_asked=is_of_asked)
        )
    return found


def _statement(
    text: str,
    tokens: Sequence[str],
    stems: Mapping[str, str],
    change: Change,
    around: frozenset[str],
    topic: Topic,
    *,
    is_of_asked: bool,
) -> Statement:
    folded = [token.lower() for token in tokens]
    by_stem = {stems[token]: token for token in tokens if token in stems}
    fields = frozenset(chain.from_iterable(FIELDS_OF[word] for word in folded if word in FIELDS_OF))
    fields |= _told_by_phrase(text, topic)
    if "home" in fields and MOVES_HOME.search(text) is None:
        # "We moved the wedding."
        fields = frozenset(
            chain.from_iterable(FIELDS_OF.get(word, ()) for word in folded if word not in MOVES)
        )
        fields |= _told_by_phrase(text, topic)
    named = _named_first(tokens, folded)
    agent = "" if named is None else stems.get(tokens[named], "")
    changed = set(_changed(text, folded) if change is Change.PLAIN else _left(tokens))
    if named is not None and _acts(folded, named):
        changed -= {named}
    counts = not COUNTING.isdisjoint(folded) or any(not word[0].isalpha() for word in folded)
    return Statement(
        text=text,
        words=by_stem,
        around=around,
        names=frozenset(stem for stem, token in by_stem.items() if token[0].isupper() and token != tokens[0]),
        full_names=_full_names(tokens, topic.people),
        # Of a yoga getaway that was cancelled the getaway, and not yoga.
        changed=frozenset(
            stems[tokens[at]]
            for at in changed
            if tokens[at] in stems
            and (
                at + 1 == len(tokens)
                or tokens[at + 1] not in stems
                or folded[at + 1].endswith("ly")
                or tokens[at + 1][0].isupper()
                # "The Lanterns gig is off": a name says which.
                or (at > 0 and tokens[at][0].isupper())
            )
        ),
        tells=frozenset(word for word in folded if CHANGES.get(word) is Change.PLAIN),
        change=change,
        fields=fields,
        changed_fields=frozenset(chain.from_iterable(FIELDS_OF.get(folded[at], ()) for at in changed)),
        subject="" if stems.get(tokens[0]) in topic.people else _subject(tokens, folded),
        agent=agent,
        is_own=named is not None and not SPEAKER.isdisjoint(folded[named + 1 :]),
        is_of_asked=is_of_asked,
        measures=tuple(measures(folded)) if counts else (),
    )


def _change(text: str, tokens: Sequence[str], topic: Topic) -> Change:
    """How plainly a sentence tells of a change."""
    words = {token.lower() for token in tokens}
    change = max((CHANGES[word] for word in words & CHANGES.keys()), default=Change.NONE)
    if change < Change.PLAIN and not ANCHORS.isdisjoint(words) and PLAIN_PHRASE.search(text):
        return Change.PLAIN
    if change < Change.HINTED:
        if not HINTED_ANCHORS.isdisjoint(words) and HINTED_PHRASE.search(text):
            return Change.HINTED
        if not NEW.isdisjoint(words):
            near = (
                tokens[place + 1 : place + 3] for place, token in enumerate(tokens) if token.lower() in NEW
            )
            if not topic.words.isdisjoint(token.lower() for token in chain.from_iterable(near)):
                return Change.HINTED
    return change


def _changed(text: str, folded: Sequence[str]) -> range:
    """Places of the words that what ended or was replaced stands among: around "sold", "was cancelled"."""
    verbs = [place for place, word in enumerate(folded) if CHANGES.get(word) is Change.PLAIN]
    phrase = PLAIN_PHRASE.search(text)
    places = [*verbs, *([len(_TOKEN.findall(text[: phrase.end()])) - 1] if phrase else [])]
    first, last = min(places, default=0), max(places, default=-1)
    # "Tom moved my lessons": of these the lessons, and not Tom.
    is_active = first in verbs and not DETERMINERS.isdisjoint(folded[first + 1 : first + 2])
    return range(first if is_active else max(first - REACH, 0), min(last + 1 + REACH, len(folded)))


def _left(tokens: Sequence[str]) -> range:
    """Place of the name of what somebody left."""
    for place, token in enumerate(tokens[1:], 1):
        if token[0].isupper() and tokens[place - 1].lower() in LEFT:
            return range(place, place + 1)
    return range(0)


def _subject(tokens: Sequence[str], folded: Sequence[str]) -> str:
    """Whom a sentence is about, as far as its first words tell."""
    if CHANGES.get(folded[0]) is Change.PLAIN:
        # "Quit my job."
        return "I"
    if folded[0] in KIN and SPEAKER.isdisjoint(folded):
        # "Gran lives in Exeter."
        return folded[0]
    for place, word in enumerate(folded):
        if tokens[place][0].isupper() and _is_name(tokens, place):
            # "Tom and my sister", "Tom from my club": him of the name, and not who speaks.
            return ""
        if word in SPEAKER:
            owned = (one.removesuffix("'s") for one in folded[place + 1 : place + 3])
            return next((one for one in owned if one in KIN), "I") if word in ("my", "our") else "I"
        if word in OTHERS and place < 3:
            # "They made me manager."
            return "I" if "me" in folded[place + 1 : place + 3] else word
    return ""


def _told_by_phrase(text: str, topic: Topic) -> frozenset[str]:
    return frozenset(
        field for field in topic.fields & FIELD_PHRASES.keys() if FIELD_PHRASES[field].search(text)
    )


def _named_first(tokens: Sequence[str], folded: Sequence[str]) -> int | None:
    """Place of the name with which a sentence begins, before a verb or as an owner, or which stands behind
    its "my friend"."""
    for place, word in enumerate(folded):
        is_of_kin = place > 1 and folded[place - 1] in KIN and folded[place - 2] in ("my", "our")
        bare = word.removesuffix("'s")
        if tokens[place][0].isupper() and bare not in (TITLES | _NO_NAMES if is_of_kin else _LEADS):
            is_name = is_of_kin or (bare not in _IDLE and bare not in FIELDS_OF and bare not in CHANGES)
            return place if is_name and (is_of_kin or _has_verb(tokens, folded, place)) else None
        if word not in _LEADS:
            return None
    return None


def _has_verb(tokens: Sequence[str], folded: Sequence[str], place: int) -> bool:
    if folded[place].endswith("'s"):
        return True
    rest = range(place + 1, len(folded))
    at = next((at for at in rest if not tokens[at][0].isupper() and folded[at] not in ADVERBS), None)
    if at is None:
        return False
    word = folded[at]
    if word in ("are", "were"):
        # "Lessons are".
        return False
    is_other = word in PRESENT or word in BEGINS or word in CHANGES
    return is_other or (word.endswith("s") and word not in FUNCTION_WORDS) or PAST.fullmatch(word) is not None


def _acts(folded: Sequence[str], named: int) -> bool:
    """Whether who is named does something and is not what something is done to: "Yoga is cancelled"."""
    if folded[named].endswith("'s"):
        return True
    behind = folded[named + 1 : named + 2]
    return BEING.isdisjoint(behind) or not (PERSONAL | OVER).isdisjoint(folded)


def _full_names(tokens: Sequence[str], people: frozenset[str]) -> frozenset[tuple[str, str]]:
    """Two capitals in a row, the first of a person of the question."""
    if not people:
        return frozenset()
    pairs = [(one, other) for one, other in pairwise(tokens) if one[0].isupper() and other[0].isupper()]
    first = _stems([one.lower() for one, _ in pairs])
    second = _stems([other.lower().removesuffix("'s") for _, other in pairs])
    return frozenset(pair for pair in zip(first, second, strict=True) if pair[0] in people)


def _is_name(tokens: Sequence[str], place: int) -> bool:
    """Whether a word with a capital may be a name with which begins what a sentence is about: no day, and not
    "in Graz"."""
    if tokens[place].lower() in _NO_NAMES:
        return False
    if place == 0:
        # Every sentence begins with a capital.
        return len(tokens) > 1 and tokens[1][0].isupper() and tokens[1].lower() not in _NO_NAMES
    return tokens[place - 1].lower() not in FUNCTION_WORDS


def _is_worth(word: str) -> bool:
    return len(word) > 1 and word not in _IDLE and word[0].isalpha() and "'" not in word


def _stems_by_word(tokens: Iterable[str]) -> dict[str, str]:
    """The stems of the words worth sharing, by how they are written."""
    worth = {
        token: word
        for token in dict.fromkeys(tokens)
        if (word := token.lower().removesuffix("'s")) not in CHANGES and _is_worth(word)
    }
    found = zip(worth, _stems(list(worth.values())), strict=True)
    return {token: stem for token, stem in found if stem not in _LIGHT_STEMS}


def _folded(text: str) -> list[str]:
    return [token.lower() for token in _TOKEN.findall(text)]


def _straight(text: str) -> str:
    return text.replace("\u2019", "'")


def _stems(words: list[str]) -> list[str]:
    return stemmer().stemWords(words)


_IDLE = LIGHT | FUNCTION_WORDS
_NO_NAMES = SPEAKER | CALENDAR
_LEADS = (KIN | LIGHT | CALENDAR | TITLES | frozenset(("my", "our", "and", "but", "so"))) - {"i"}
"""Words before the name with which a sentence begins: "Last week my cousin Tova …"."""
_LIGHT_STEMS = frozenset(_stems(sorted(LIGHT)))
