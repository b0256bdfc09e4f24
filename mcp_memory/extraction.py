"""Finds the entities a text names, by rules alone: no model, no key, no network.

English first. Addresses, code and quoted titles are found in any language; names by capital letters only
where capital letters tell names, so other scripts keep their words and simple entities.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_memory.models import MAX_IDENTIFIER, EntityType, name_key


@dataclass(frozen=True, slots=True)
class FoundEntity:
    """A name as a reader would write it: on one line, without what surrounds it."""

    name: str
    type: EntityType


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    entity: FoundEntity


def find_entities(text: str, *, limit: int = 32) -> tuple[FoundEntity, ...]:
    """The entities named, in order of first appearance, each once, at most `limit`."""
    taken = _without_overlaps(_exact_spans(text))
    # What is already understood is blanked, so that the name of a file is not read as a person.
    rest = _blanked(text, taken)
    spans = sorted([*taken, *_name_spans(rest)], key=lambda span: span.start)
    found: dict[str, FoundEntity] = {}
    for span in spans:
        key = name_key(span.entity.name)
        if key and len(span.entity.name) <= MAX_IDENTIFIER:
            found.setdefault(key, span.entity)
    return tuple(found.values())[:limit]


# Repetitions are bounded, so that hostile text costs time in proportion to its length.
_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"“”«»`]{2,2000}", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+-])[\w+-][\w.+-]{0,63}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}", re.ASCII)
_HANDLE = re.compile(r"(?<![\w@./])@[A-Za-z_]\w{1,38}(?![\w@])", re.ASCII)
_BACKTICKED = re.compile(r"`([^`\n]{1,80})`")
_QUOTED = re.compile(
    r"“([^“”\n]{2,100})”|\"([^\"\n]{2,100})\"|«\s?([^«»\n]{2,100}?)\s?»|„([^„“\n]{2,100})“"
    r"|「([^「」\n]{1,60})」|『([^『』\n]{1,60})』|(?<!\w)‘([^‘’\n]{2,100})’(?!\w)"
)
_PATH = re.compile(
    r"(?<![\w/\\.:~])(?:"
    r"(?:~|\.{1,2})?(?:/[\w.@+-]{1,64}){1,16}/?"
    r"|[A-Za-z]:(?:\\[\w.@+-]{1,64}){1,16}"
    r"|[\w.@+-]{1,64}(?:/[\w.@+-]{1,64}){0,15}"
    r")(?![\w/\\])",
    re.ASCII,
)
_EXTENSIONS = frozenset(
    """
    bash c cfg conf cpp cs css csv db dll docx env exe go h hpp html ini ipynb java jpeg jpg js json
    jsonl jsx kt lock log lua md mjs mp3 mp4 onnx pdf php png ppt pptx ps1 py pyi rb rs rst scss sh so
    sql sqlite svg swift tar tex toml ts tsv tsx txt vue wav xls xlsx xml yaml yml zip
    """.split()
)
_CODE = re.compile(
    r"(?<![\w.])(?:"
    r"[A-Za-z_]\w{0,60}(?:\.[A-Za-z_]\w{0,60}){0,8}\(\)"
    r"|_{0,2}[A-Za-z][A-Za-z0-9]{0,40}(?:_[A-Za-z0-9]{1,40}){1,12}_{0,2}"
    r"|[a-z][a-z0-9]{1,30}(?:[A-Z][a-z0-9]{1,30}){1,8}"
    r"|[A-Z][a-z0-9]{1,30}(?:[A-Z][a-z0-9]{1,30}){2,8}"
    r"|[a-z_]\w{1,40}(?:\.[a-z_]\w{1,40}){1,8}"
    r")(?![\w(])",
    re.ASCII,
)


def _exact_spans(text: str) -> Iterator[_Span]:
    """Addresses, paths, code and titles, the more specific first."""
    for match in _URL.finditer(text):
        url = _trimmed_url(match.group())
        yield _Span(match.start(), match.start() + len(url), FoundEntity(url, "url"))
    for match in _EMAIL.finditer(text):
        yield _span(match, match.group().rstrip("."), "email")
    for match in _HANDLE.finditer(text):
        yield _span(match, match.group(), "handle")
    for match in _BACKTICKED.finditer(text):
        inside = match.group(1).strip()
        yield _span(match, inside, "file" if _is_path(inside) else "code")
    for match in _QUOTED.finditer(text):
        title = next(group for group in match.groups() if group is not None)
        if _is_title(title):
            yield _span(match, title.rstrip(" ,"), "title")
    for match in _PATH.finditer(text):
        path = match.group().rstrip(".")
        if _is_path(path):
            yield _Span(match.start(), match.start() + len(path), FoundEntity(path, "file"))
    for match in _CODE.finditer(text):
        if match.group().lower() not in _ABBREVIATIONS:
            yield _span(match, match.group(), "code")


_ABBREVIATIONS = frozenset({"e.g", "i.e", "a.m", "p.m", "etc.and"})


def _span(match: re.Match[str], name: str, entity_type: EntityType) -> _Span:
    return _Span(match.start(), match.end(), FoundEntity(_clean(name), entity_type))


def _clean(name: str) -> str:
    printable = "".join(" " if unicodedata.category(one)[0] == "C" else one for one in name)
    return " ".join(printable.split())


def _trimmed_url(url: str) -> str:
    """Without the sentence's punctuation, and without a bracket that was opened before it."""
    while url and (url[-1] in ".,;:!?'’…*_" or _closes_nothing(url)):
        url = url[:-1]
    return url


_OPENS = {")": "(", "]": "[", "}": "{"}


def _closes_nothing(url: str) -> bool:
    opening = _OPENS.get(url[-1])
    return opening is not None and url.count(url[-1]) > url.count(opening)


def _is_path(text: str) -> bool:
    """Whether it is a file or folder and not "and/or": it is rooted, or ends as files do."""
    if " " in text:
        return False
    if re.match(r"(?:~/|\./|\.\./|[A-Za-z]:\\)\S", text):
        return True
    stem, dot, extension = text.rpartition(".")
    if dot and extension.lower() in _EXTENSIONS and stem.strip("./") and not stem.endswith("."):
        return True
    return text.startswith("/") and text.count("/") >= 2 and any(one.isalpha() for one in text)


MAX_TITLE_WORDS = 8
"""A longer quotation is a sentence that somebody said."""


def _is_title(text: str) -> bool:
    title = text.strip()
    if not title or title[-1] in ".!?…。！？" or len(title.split()) > MAX_TITLE_WORDS:
        return False
    first = title[0]
    return first.isupper() or (first.isalpha() and not first.islower())


def _without_overlaps(spans: Iterator[_Span]) -> list[_Span]:
    """The first that claims a stretch of text keeps it."""
    kept: list[_Span] = []
    claimed: set[int] = set()
    for span in spans:
        stretch = range(span.start, span.end)
        if claimed.isdisjoint(stretch):
            claimed.update(stretch)
            kept.append(span)
    return kept


def _blanked(text: str, spans: list[_Span]) -> str:
    parts: list[str] = []
    position = 0
    for span in sorted(spans, key=lambda one: one.start):
        # A mark that is no letter, so that names on either side are not joined across it.
        parts += [text[position : span.start], "\x1f" * (span.end - span.start)]
        position = span.end
    return "".join((*parts, text[position:]))


_UPPER = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĘĚĞĢĪĮİŁŃŇŌŐŒŘŚŠŞŤŪŮŰŹŻŽ"
_CAPITALISED = rf"[{_UPPER}](?:[^\W\d_]|['’](?=[^\W\d_]{{2}})|-(?=[^\W\d_])){{0,40}}"
_NAME = re.compile(
    rf"(?<![\w'’-])(?:(?:Dr|Mr|Mrs|Ms|Prof|St)\.\s)?{_CAPITALISED}"
    rf"(?:[ \t](?:(?:of|the|de|del|della|di|da|van|von|der|den|la|le|du|for|&)[ \t]){{0,2}}{_CAPITALISED}"
    rf"|[ \t]?&[ \t]?{_CAPITALISED}|[ \t]\d{{1,4}}(?!\w)){{0,6}}"
)
_TITLED = re.compile(r"(?:Dr|Mr|Mrs|Ms|Prof)\.?\s")
_SENTENCE_END = re.compile(r"[.!?…:;\n\r\x1f\"“”‘«»()\[\]•*>—–-]\s*$|^\s*$")
_POSSESSED = re.compile(r"['’]s?(?!\w)")

_ORGANISATION = frozenset(
    """
    academy agency airlines airways association authority bank bureau center centre church clinic club
    college committee company co consulting cooperative corp corporation council department foundation
    gmbh group hospital inc industries institute international kg labs llc ltd magazine ministry museum
    office organisation organization orchestra party plc press records school society solutions studios
    systems team technologies trust union university ventures
    """.split()
)
_PLACE = frozenset(
    """
    airport alley avenue bay beach boulevard bridge canyon castle city coast county creek desert falls
    forest gardens harbor harbour heights hill hills island islands lake lane mountain mountains ocean
    park peninsula plaza port province republic ridge river road sea square station street town trail
    valley village
    """.split()
)
_PLACE_HEADS = frozenset(
    """
    lake mount mt port fort cape san santa saint new north south east west
    """.split()
)
_EVENT = frozenset(
    """
    championship conference convention cup fair festival games marathon olympics parade summit
    tournament week workshop
    """.split()
)
_PLACE_CUE = re.compile(
    r"\b(?:in|near|from|to|at|around|across|outside|towards?|via|visit(?:ed|ing)?|reach(?:ed)?|left|leaving|toured?)"
    r"\s(?:the\s)?$"
)
_MOVING_CUE = re.compile(
    r"\b(?:li[vf](?:es?|ed|ing)|mov(?:es?|ed|ing)|travel(?:s|led|ed|ling|ing)?|fl(?:y|ew|ies|ying|ights?)|trip|"
    r"born|based|located|driv(?:e|es|ing)|drove|go(?:es|ing)?|went|been|stay(?:s|ed|ing)?|arriv(?:e|ed|ing)|"
    r"return(?:s|ed|ing)?|relocat(?:e|ed|ing)|vacation|holiday|back|office|hotel|flat|apartment|house|home)"
    r"\s(?:\w+\s){0,2}(?:in|to|from|near|at|around)\s(?:the\s)?$"
)
_WORK_CUE = re.compile(
    r"\b(?:work(?:s|ed|ing)?|job|intern(?:s|ed|ship)?|hired|employed|employer)\s(?:at|for|by|with)\s$"
)
_TOOL_CUE = re.compile(
    r"\b(?:us(?:e|es|ed|ing)|switch(?:ed|es|ing)?\sto|migrat(?:e|ed|es|ing)\sto|install(?:s|ed|ing)?|upgrad(?:e|ed|ing)"
    r"\sto|written\sin|built\s(?:with|on))\s$"
)
_PERSON_CUE = re.compile(
    r"\b(?:friends?|wife|husband|partner|boss|manager|colleague|coworker|brother|sister|mother|father|mom|mum|"
    r"dad|son|daughter|uncle|aunt|cousin|neighbou?r|teacher|doctor|with|met|meet|meeting|called|named|thanks|"
    r"wow|hi|hey|hello|dear|told|tell|asked?|by),?\s$",
    re.IGNORECASE,
)
_PROJECT_CUE = re.compile(r"\b[Pp]roject\s$")
_COUNTRY_CUE = re.compile(rf"\b(?:in|to|from|near|at)\s[{_UPPER}][\w ]{{1,30}},\s$")
_VERB_AFTER = re.compile(
    r"\s(?:is|was|has|had|will|would|can|could|did|does|says?|said|tells?|told|asks?|asked|wants?|wanted|likes?|"
    r"liked|loves?|loved|hates?|prefers?|preferred|thinks?|thought|knows?|knew|lives?|lived|works?|worked|moved?|"
    r"moves|went|goes|got|gets|came|comes|made|makes|met|meets|bought|buys|started|starts|plans?|planned|plays?|"
    r"played|called|calls|sent|sends|gave|gives|keeps?|kept|needs?|needed|enjoys?|enjoyed|joined|left|became|"
    r"released|announced|launched|married)\b|\sand\s[A-Z]"
)

_NO_NAME = frozenset(
    """
    a about above across actually after afterwards again against ago ah aha all almost along already also
    although always am amazing among an and another any anybody anyone anything anyway apparently are
    around as ask at away awesome back basically be because been before behind being believe below beside
    besides best better between beyond big both bring but by bye call can cause certainly check cheers
    come congrats congratulations cool could course currently dad daddy day days dear definitely did do
    does doing done dont down due during each earlier easy either else enjoy enough especially even
    eventually ever every everybody everyone everything exactly excited excuse family fantastic few final
    finally fine first five follow following for four friend friends from full fun further generally get
    getting give glad go going good goodbye got grandma grandpa great had half happy hard has have having
    he hello help hence her here hers hey hi him his hmm hope hopefully how however huge hurry i idk if im
    imagine in indeed initially inside instead into is it its ive just keep kids kind know last lastly
    later lately least less let lets life like likewise little lol long look looking looks lots love
    lovely made make many may maybe me mean meanwhile might mine mom mommy more moreover most mostly
    mother mum music must my myself near need never nevertheless new next nice no nobody none nope not
    note nothing now nowadays obviously of off often oh ok okay old on once one only onto or other others
    otherwise ouch our ours out outside over overall perhaps person please plus pretty probably put quick
    quite rather really recently regarding remember right sad said same say see seems several shall she
    should similarly since sir six so some somebody someone something sometimes somewhere soon sorry sound
    sounds speaking still stop such super sure surely take tell ten than thank thanks that thats the their
    theirs them then there therefore these they thing things think this those though three through
    throughout thus till time times to today together tomorrow tonight too totally towards true truly try
    trying two under unfortunately unless until up upon us use used user users usually very via wait want
    was watch way we welcome well were what whatever when whenever where whereas wherever whether which
    while who whoever whole whom whose why will wish with within without woah wonderful work wow yeah year
    years yep yes yesterday yet you your yours yourself yay yup monday tuesday wednesday thursday friday
    saturday sunday january february march april may june july august september october november december
    mon tue wed thu fri sat sun jan feb mar apr jun jul aug sep sept oct nov dec spring summer autumn fall
    winter christmas easter halloween thanksgiving english french german spanish italian portuguese dutch
    swedish norwegian danish finnish polish russian czech greek turkish arabic hebrew hindi chinese
    japanese korean american british canadian australian indian mexican european african asian latin irish
    scottish swiss austrian brazilian ok am pm tv diy faq fyi asap lol omg btw imo imho tbh idk aka id ps
    pc cd dvd uk's
    """.split()
)
"""Words that begin sentences, and calendar and language words: in capitals they still name nobody."""


def _name_spans(text: str) -> Iterator[_Span]:
    """Runs of capitalised words that are a name and not merely the beginning of a sentence."""
    matches = list(_NAME.finditer(text))
    inside = {match.group() for match in matches if not _begins_sentence(text, match.start())}
    for match in matches:
        start, name = _trimmed_name(match)
        if not name:
            continue
        before, after = text[max(0, start - 40) : start], text[match.end() : match.end() + 24]
        if _begins_sentence(text, start) and " " not in name and not _is_acronym(name):
            acts = _POSSESSED.match(after) is not None or _VERB_AFTER.match(after) is not None
            # "Running is fun" begins with no name.
            if match.group() not in inside and (not acts or name.endswith("ing")):
                continue
        entity_type = _type_of(name, match.group(), before, after)
        yield _Span(start, match.end(), FoundEntity(_clean(name), entity_type))


def _begins_sentence(text: str, position: int) -> bool:
    return (
        _SENTENCE_END.search(text[max(0, position - 4) : position]) is not None or not text[:position].strip()
    )


def _trimmed_name(match: re.Match[str]) -> tuple[int, str]:
    """A name without the ordinary words around it, and where it then begins; empty if nothing is left."""
    whole = match.group()
    # "Dr. Smith of the University": the title's bearer ends before the "of".
    words = (whole.partition(" of ")[0] if _TITLED.match(whole) else whole).split()
    start = match.start()
    while words and _is_ordinary(words[0]) and not _is_head(words):
        cut = match.group().find(words[1], start - match.start() + len(words[0])) if len(words) > 1 else 0
        start = match.start() + cut
        words = words[1:]
    while words and (_is_ordinary(words[-1]) or words[-1] == "&" or words[-1].islower()):
        words = words[:-1]
    if len(words) > 1 and words[0].isdigit():
        return start, ""
    name = " ".join(words)
    return start, name if sum(one.isalpha() for one in name) > 1 else ""


def _is_ordinary(word: str) -> bool:
    plain = word.casefold().replace("’", "").replace("'", "")
    return plain in _NO_NAME or plain.removesuffix("s") in _NO_NAME or word.islower()


def _is_head(words: list[str]) -> bool:
    """Whether an ordinary word begins a name: "New York", "North Sea"."""
    return len(words) > 1 and words[0].casefold() in _PLACE_HEADS


def _is_acronym(name: str) -> bool:
    return name.isupper() and 2 <= len(name) <= 8


def _type_of(name: str, written: str, before: str, after: str) -> EntityType:
    """The most likely type; "concept" is what is said when nothing tells."""
    words = [word.casefold().strip(".") for word in name.split()]
    first, last = words[0], words[-1]
    if _TITLED.match(written):
        return "person"
    if last in _ORGANISATION or (first in _ORGANISATION and " of " in name) or "&" in name:
        return "organisation"
    if len(words) > 1 and (last in _EVENT or first in _EVENT):
        return "event"
    if len(words) > 1 and (last in _PLACE or first in _PLACE_HEADS):
        return "place"
    if _WORK_CUE.search(before):
        return "organisation"
    if _PROJECT_CUE.search(before):
        return "project"
    if _MOVING_CUE.search(before) or _COUNTRY_CUE.search(before):
        return "place"
    if re.match(r",\s[A-Z][a-z]+", after) and _PLACE_CUE.search(before):
        return "place"
    if _TOOL_CUE.search(before):
        return "tool"
    if _is_acronym(name):
        return "organisation" if _PLACE_CUE.search(before) else "concept"
    if _PLACE_CUE.search(before) and len(words) <= 3 and not _PERSON_CUE.search(before):
        return "person" if re.search(r"\b(?:from|to)\s$", before) else "place"
    if _POSSESSED.match(after) or _PERSON_CUE.search(before) or _VERB_AFTER.match(after):
        return "person"
    return "concept"
