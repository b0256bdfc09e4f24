"""Finds the entities a text names, by rules alone: no model, no key, no network.

English first. Addresses, code and quoted titles are found in any language; names by capital letters only
where capital letters tell names, so other scripts keep their words and simple entities.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mcp_memory.extraction.trades import OCCUPATIONS
from mcp_memory.extraction.verbs import PAST, PERSONAL
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


def opening_words(text: str, *, limit: int = 16) -> tuple[str, ...]:
    """Words in capitals that open a sentence and are not told to be names by anything in it, each once: those
    who know a person of that name may read them as one."""
    rest = _blanked(text, _without_overlaps(_exact_spans(text)))
    named = {name_key(reading.name) for reading in _readings(rest)}
    found: dict[str, None] = {}
    for match in _NAME.finditer(rest):
        start, name = _trimmed_name(match, opens=_begins_sentence(rest, match.start()))
        if name and _opens_alone(rest, match, start, name) and name_key(name) not in named:
            found[_clean(name)] = None
    return tuple(found)[:limit]


# Repetitions are bounded, so that hostile text costs time in proportion to its length.
# Scripts without spaces write an address right behind a word, so only Latin letters bar one.
_URL = re.compile(
    r"(?<![A-Za-z0-9])(?:https?://|www\.)[^\s<>\"“”«»„`。、，；！？「」『』（）【】]{2,2000}", re.IGNORECASE
)
_HANDLE = re.compile(
    r"(?<![\w@./+-])@[A-Za-z_](?:\w|-(?=\w)){1,38}(?:@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})?(?![\w@/])", re.ASCII
)
# A domain ends in letters, so "left-pad@1.3.0" is no address.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_+-][A-Za-z0-9_.+-]{0,63}@"
    r"(?:[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}"
    r"|[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[^\W\d_]{2,24})"
)
_BACKTICKED = re.compile(r"`([^`\n]{1,80})`")
# A straight mark opens before a word and closes behind one, so that pairs do not go astray.
_QUOTED = re.compile(
    r"“([^“”\n]{2,100})”|(?<!\w)\"(?=\S)([^\"\n]{1,99}[^\"\s])\"(?!\w)|«\s?([^«»\n]{2,100}?)\s?»"
    r"|„([^„“”\n]{2,100})[“”]|「([^「」\n]{1,60})」|『([^『』\n]{1,60})』|(?<!\w)‘([^‘’\n]{2,100})’(?!\w)"
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
    r"|__[a-z][a-z0-9]{0,40}__"
    r"|_{0,2}[A-Za-z][A-Za-z0-9]{0,40}(?:_[A-Za-z0-9]{1,40}){1,12}_{0,2}"
    r"|[a-z][a-z0-9]{1,30}(?:[A-Z][a-z0-9]{1,30}){1,8}"
    # "McDonald", "LeBron" and "FedEx Office" are names.
    r"|(?!(?:Mc|Mac|De|Di|Du|La|Le|Van|Von|Fitz)[A-Z])[A-Z][a-z0-9]{1,30}(?:[A-Z][a-z0-9]{1,30}){1,8}"
    r"(?!['’\w]|[ \t][A-Z])"
    r"|[a-z_]\w{1,40}(?:\.[a-z_]\w{1,40}){1,8}"
    r")(?!\w)",
    re.ASCII,
)


def _exact_spans(text: str) -> Iterator[_Span]:
    """Addresses, paths, code and titles, the more specific first."""
    for match in _URL.finditer(text):
        url = _trimmed_url(match.group())
        yield _Span(match.start(), match.start() + len(url), FoundEntity(_clean(url), "url"))
    for match in _HANDLE.finditer(text):
        yield _span(match, match.group(), "handle")
    for match in _EMAIL.finditer(text):
        yield _span(match, match.group(), "email")
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
        if _is_code(match.group()):
            yield _span(match, match.group(), "url" if _DOMAIN.fullmatch(match.group()) else "code")


def _span(match: re.Match[str], name: str, entity_type: EntityType) -> _Span:
    return _Span(match.start(), match.end(), FoundEntity(_clean(name), entity_type))


def _clean(name: str) -> str:
    printable = "".join(" " if unicodedata.category(one) in ("Cc", "Cs") else one for one in name)
    return " ".join(printable.split())


def _trimmed_url(url: str) -> str:
    """Without the sentence's punctuation, and without a bracket that was opened before it."""
    while url and (url[-1] in ".,;:!?'’‘…*_" or _closes_nothing(url)):
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
    """Whether the quoted words are called something and not said by somebody."""
    title = text.strip()
    words = title.split()
    if not title or title[-1] in ".!?…。！？" or len(words) > MAX_TITLE_WORDS:
        return False
    if not title[0].isupper() and (not title[0].isalpha() or title[0].islower()):
        return False
    # "Let's go," he said; a "Perfect" day.
    spoken = len(words) == 1 or any(word.islower() and len(word) > 3 for word in words)
    return not (spoken and (_is_ordinary(words[0].strip(",")) or title.endswith(",")))


_ABBREVIATIONS = frozenset({"e.g", "i.e", "a.m", "p.m"})
_DOMAIN = re.compile(r"[a-z0-9.]+\.(?:com|org|net|edu|gov)")


def _is_code(text: str) -> bool:
    """Whether it is written as code is, and is no "e.g." and no sentence.and another without a space."""
    if "." not in text or text.endswith(")"):
        return True
    first, *_, last = text.lower().split(".")
    return text.lower() not in _ABBREVIATIONS and first not in _NO_NAME and last not in _NO_NAME


def _without_overlaps(spans: Iterable[_Span]) -> list[_Span]:
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


UPPER = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĘĚĞĢĪĮİŁŃŇŌŐŒŘŚŠŞŤŪŮŰŹŻŽ"
_CAPITALISED = rf"[{UPPER}](?:[^\W_]|['’](?=[^\W\d_]{{2}})|-(?=[^\W_])){{0,40}}"
_INITIALS = rf"(?!I\.\s)(?:[{UPPER}]\.[ \t]?){{1,3}}"
_TITLES = "Dr|Mr|Mrs|Ms|Prof|Professor|Sir|Herr|Frau|Aunt|Auntie|Uncle"
# What follows a number that is not part of a name: "I met Ann 2 years ago", "at 5:30".
_MEASURE = (
    r"(?!\w|[:/.,-]\d|%"
    r"|\s?(?:am|pm|seconds|minutes|hours?|days?|weeks?|months?|years?|times|people|of|more)\b)"
)
_NAME = re.compile(
    # "iPhone" and "eBay" begin with a small letter.
    rf"(?<![\w'’-])(?:(?:(?:{_TITLES}|St)\.?[ \t])?(?:{_INITIALS})?{_CAPITALISED}|[ei][A-Z][a-z]{{2,20}})"
    # "Called Dr. Okafor": a verb may open the sentence.
    rf"(?:[ \t](?:{_TITLES})\.[ \t]{_CAPITALISED}"
    rf"|[ \t](?:(?:of|the|de|del|della|di|da|van|von|der|den|la|le|du|for|&)[ \t]){{0,2}}"
    rf"(?:{_INITIALS}|[dl]['’])?{_CAPITALISED}"
    rf"|[ \t]?&[ \t]?{_CAPITALISED}|['’]s[ \t](?:Cathedral|Church|College|Day|Hospital|Park|School|Square)\b"
    rf"|[ \t]\d{{1,4}}{_MEASURE}){{0,6}}"
)
_TITLED = re.compile(rf"(?:{_TITLES})\.?\s")
_SENTENCE_END = re.compile(r"[.!?…:;\n\r\x1f\"“”‘«»()\[\]•*>—–-]\s*$|^\s*$")
_POSSESSED = re.compile(r"['’]s(?!\w)|(?<=[sxz])['’](?=\s\w)")

_ORGANISATION = frozenset(
    """
    academy ag agency airlines airways association authority bank bureau center centre church clinic club
    college committee company co consulting cooperative corp corporation council department foundation
    gmbh group hospital inc industries institute international kg labs llc ltd magazine ministry museum
    orchestra organisation organization party plc press records school society solutions studios systems
    team technologies trust union university ventures
    """.split()
)
_PLACE = frozenset(
    """
    airport alley avenue bay beach boulevard bridge canyon castle city coast county creek desert falls
    forest gardens harbor harbour heights hill hills island islands lake lane mountain mountains ocean
    park peninsula plaza port province republic ridge river road sea square stadium station street tower
    town trail valley village
    """.split()
)
_PLACE_HEADS = frozenset(
    """
    lake mount mt port fort cape isle san santa saint new north south east west
    """.split()
)
_EVENT = frozenset(
    """
    championship conference convention cup day fair festival games marathon month olympics parade summit
    tournament war week workshop
    """.split()
)
_NUMBERED = frozenset(
    """
    chapter day episode exercise figure game grade group issue item lesson level number option page part
    phase q question room round season section stage step table task type unit version volume week
    """.split()
)
"""Words that a number makes a position and not a name: "Chapter 3", "Version 2"."""

_PLACE_ACRONYMS = frozenset("dc eu la nyc sf uae uk us usa".split())
_OTHER_ACRONYMS = frozenset(
    """
    ai api apr asap atm bbq bpm ceo cfo cli coo covid cpu cs css cto cv diy dna dvd er gmt gpa gps gpu gui hp
    hr html http https id ide ip iq it iv json kpi lcd led lgbt lgbtq llm md ml mri oop orm pdf phd pt qa ram
    rpg sdk seo sms sql ssd ssh stem tcp todo ui url usb utc ux vip vpn vr wifi xml yaml
    """.split()
)
"""What people shorten that is no body of people, so that an acronym otherwise is one."""

_PLACE_CUE = re.compile(
    r"\b(?:(?<!traded\s)in|near|from|to|at|around|across|outside|towards?|via|visit(?:ed|ing)?|reach(?:ed)?|left|leaving|"
    r"toured?|explor(?:e|ed|ing))\s(?:the\s)?$",
    re.IGNORECASE,
)
_MOVING_CUE = re.compile(
    r"\b(?:li[vf](?:es?|ed|ing)|mov(?:es?|ed|ing)|travel(?:s|led|ed|ling|ing)?|fl(?:y|ew|ies|ying|ights?)|trip|"
    r"born|based|located|driv(?:e|es|ing)|drove|go(?:es|ing)?|went|been|stay(?:s|ed|ing)?|arriv(?:e|ed|ing)|"
    r"return(?:s|ed|ing)?|relocat(?:e|ed|ing)|vacation|holiday|back|office|hotel|flat|apartment|house|home)"
    r"\s(?:\w+\s){0,2}(?:in|to|from|near|at|around)\s(?:the\s)?$"
)
_PROJECT_CUE = re.compile(r"\b[Pp]roject\s$")
_COUNTRY_CUE = re.compile(rf"\b(?:in|to|from|near|at)\s[{UPPER}][\w ]{{1,30}},\s$")
# One speaks to people and hears from them, but travels to places and comes from them.
_EXCHANGE_CUE = re.compile(
    r"\b(?:talk(?:s|ed|ing)?|sp(?:eak|eaks|oke|oken|eaking)|listen(?:s|ed|ing)?|sa(?:y|id)|wr(?:ite|ote|itten|iting)|"
    r"s(?:end|ent|ending)|g(?:ive|ave|iven|ift|iving)|letter|message|text|e-?mail|call|thanks|married|engaged|"
    r"introduc(?:e|ed|ing)|show(?:ed|n|ing)?|lent|owe|belongs?|reply|next|close|according|congrats|h(?:ear|eard)|"
    r"news|advice|help|support|present|borrowed|regards|hug|shout-?out|happen(?:s|ed)?|reach(?:ed)?\sout)"
    r"\s(?:\w+\s){0,2}(?:to|from)\s$",
    re.IGNORECASE,
)
_WORK_CUE = re.compile(
    r"\b(?:(?:work(?:s|ed|ing)?|job|intern(?:s|ed|ship)?|hired|employed|employer)\s(?:at|for|by|with)"
    rf"|(?:{'|'.join(sorted(OCCUPATIONS))})\sat|bank(?:s|ed|ing)?\swith)\s$"
)
_TOOL_CUE = re.compile(
    r"\b(?:us(?:e|es|ed|ing)|(?:switch(?:ed|es|ing)?|migrat(?:e|ed|es|ing))\s(?:over\s)?(?:from|(?:from\s[\w.]{1,20}\s)?to)|install(?:s|ed|ing)?|"
    r"upgrad(?:e|ed|ing)\sto|written\sin|built\s(?:with|on)|running\son|deploy(?:ed|ing)?\s(?:with|on))\s$",
    re.IGNORECASE,
)
_PERSON_CUE = re.compile(
    r"\b(?:friends?|wife|husband|partner|boss|manager|colleague|coworker|brother|sister|mother|father|mom|mum|"
    r"dad|son|daughter|uncle|aunt|cousin|neighbou?r|teacher|doctor|with|met|meet|meeting|called|named|thanks|"
    r"wow|hi|hey|hello|dear|told|tell|asked?|by),?\s$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"\b(?:the|an?|this|that|my|our|your|his|her|their)\s$", re.IGNORECASE)
# "Sounds great, Dave!" calls Dave.
_CALLED_OUT = re.compile(r"[a-z'’],\s$")
_CALL_ENDS = re.compile(r"\s?(?:[!?.,…]|$)")
_PERSON_VERB = re.compile(
    r",?\s(?:also\s|just\s|never\s|always\s|really\s)?(?:says?|said|tells?|told|asks?|asked|wants?|wanted|likes?|"
    r"liked|loves?|loved|hates?|hated|prefers?|preferred|thinks?|thought|knows?|knew|lives?|lived|moved|went|goes|"
    r"met|meets|bought|buys|plays|played|called|calls|sent|sends|gave|plans|planned|enjoys?|enjoyed|joined|married|"
    r"texted|emailed|wrote|studies|studied|visited|mentioned|suggested|recommended|agreed|promised|invited)\b"
)
_STATE_VERB = re.compile(
    r"\s(?:is|was|isn['’]t|wasn['’]t|has|had|will|won['’]t|would|can|can['’]t|could|did|didn['’]t|does|doesn['’]t|"
    r"works?|worked|moves|gives|left|got|gets|made|makes|keeps?|kept|needs?|needed|started|starts|became)\b"
)
_DID = re.compile(rf"\s(?:just\s|finally\s|recently\s)?(?:{'|'.join(sorted(PERSONAL))})\b")
_OTHER_VERB = re.compile(
    r"\s(?:came|comes|runs?|ran|beats?|costs?|supports?|uses?|released|announced|launched)\b|\sand\s[A-Z]"
)
# "Nature is wonderful" and "Moments are short" begin with no name.
_COMMON_NOUN = re.compile(
    r"(?:ings?|[ts]ions?|ments?|ness|it(?:y|ies)|ance|ence|ship|hood|ism|ogy|ture|ics)$"
)
_LISTED = re.compile(r"\s?(?:,|&|,?\s(?:and|or))\s")

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
    saturday sunday january february march april june july august september october november december mon
    tue wed thu fri sat sun jan feb mar apr jun jul aug sep sept oct nov dec spring summer autumn fall
    winter christmas easter halloween thanksgiving english french german spanish italian portuguese dutch
    swedish norwegian danish finnish polish russian czech greek turkish arabic hebrew hindi chinese
    japanese korean american british canadian australian indian mexican european african asian latin irish
    scottish swiss austrian brazilian pm tv diy faq fyi asap omg btw imo imho tbh aka id ps pc cd dvd
    alright anytime aunt auntie aye bravo bro brother cousin cannot can't couldn cuz didn doesn don gonna
    gotta grandfather grandmother granny haha hahaha hasn haven hmmm hooray hurray isn kinda mama mummy
    nah nana oops oof papa people phew shh sis sister stuff til uh um uncle wanna wasn weren whoa won woo
    woohoo would wouldn wowza yikes yo aren shouldn ain absolutely agreed amen anyhow honestly frankly
    sadly luckily thankfully interestingly surprisingly suddenly specifically essentially ideally gladly
    seriously literally personally possibly previously originally normally feel feels felt kudos bless nor
    todo fixme nb re fwd cc bcc attn rsvp eta tba tbd tl etc ie eg msg pls plz thx ty np ukrainian
    norwegians icelandic hungarian romanian bulgarian serbian croatian thai vietnamese indonesian filipino
    persian iranian egyptian nigerian kenyan ethiopian argentinian colombian chilean peruvian cuban
    belgian catalan welsh israeli pakistani urdu bengali tamil swahili
    """.split()
)
"""Words that begin sentences, and calendar and language words: in capitals they still name nobody."""

_ORDERS = frozenset(
    """
    add allow avoid book buy cancel change choose click close copy create delete deploy discuss draft drop
    called dumped email emailed explain feed find fired fix forget ghosted give grab hate hire hired hugged
    import install interviewed introduced invite invited join keep kissed learn leave mail message messaged
    meet missed move open order paid paste pay phoned pick ping play prefer print read remind rename reply
    review run save schedule see send set show start stop study submit support talk teach text texted thank
    thanked told turn update upgrade use visit write
    """.split()
)
"""Verbs that open an order or a note; only there do they stand before a name in capitals."""

_CONTRACTED = re.compile(r"['’](?:ll|ve|re|d|m|s|all|t)$")


@dataclass(frozen=True, slots=True)
class _Reading:
    """A name where it stands, and of what type its surroundings make it, if they tell."""

    start: int
    end: int
    name: str
    certain: EntityType | None
    likely: EntityType


def _name_spans(text: str) -> Iterator[_Span]:
    """Runs of capitalised words that are a name; one that tells its type nowhere else than once, has it
    everywhere."""
    readings = list(_readings(text))
    certain: dict[str, EntityType] = {}
    likely: dict[str, EntityType] = {}
    for reading in readings:
        key = name_key(reading.name)
        if reading.certain is not None:
            certain.setdefault(key, reading.certain)
        if likely.get(key, "concept") == "concept":
            likely[key] = reading.likely
    for reading in readings:
        key = name_key(reading.name)
        entity_type = certain.get(key) or likely[key]
        yield _Span(reading.start, reading.end, FoundEntity(_clean(reading.name), entity_type))


def _readings(text: str) -> Iterator[_Reading]:
    matches = list(_NAME.finditer(text))
    inside = {match.group() for match in matches if not _begins_sentence(text, match.start())}
    end, listed = 0, None
    for match in matches:
        start, name = _trimmed_name(match, opens=_begins_sentence(text, match.start()))
        before, after = text[max(0, start - 40) : start], text[match.end() : match.end() + 24]
        opens_alone = _opens_alone(text, match, start, name)
        if not name or (opens_alone and match.group() not in inside and not _opens_as_name(name, after)):
            continue
        certain = _certain_type(name, text[start : match.end()], before, after)
        if certain is None and _LISTED.fullmatch(text, end, start):
            certain = listed
        end, listed = match.end(), certain
        yield _Reading(start, match.end(), name, certain, _likely_type(name, before, after))


def _begins_sentence(text: str, position: int) -> bool:
    return _SENTENCE_END.search(text[max(0, position - 4) : position]) is not None


def _opens_alone(text: str, match: re.Match[str], start: int, name: str) -> bool:
    return start == match.start() and " " not in name and _begins_sentence(text, start)


def _opens_as_name(name: str, after: str) -> bool:
    """Whether a sentence's first word is a name, by what it does there: "Ann likes", "Ann's"."""
    if _is_acronym(name) or _PERSON_VERB.match(after):
        return True
    acts = (
        _POSSESSED.match(after) or _STATE_VERB.match(after) or _OTHER_VERB.match(after) or _DID.match(after)
    )
    return acts is not None and _COMMON_NOUN.search(name) is None


def _trimmed_name(match: re.Match[str], *, opens: bool) -> tuple[int, str]:
    """A name without the ordinary words around it, and where it then begins; empty if nothing is left."""
    whole = match.group()
    if _TITLED.match(whole):
        # "Dr. Smith of the University": the title's bearer ends before the "of".
        return match.start(), whole.partition(" of ")[0].rstrip(".")
    start, words = match.start(), whole.split()
    if opens and len(words) > 1 and _opens_as_order(words):
        start, words = _after_first(whole, start, match.start(), words)
    while words and _is_ordinary(words[0]) and not _is_head(words):
        start, words = _after_first(whole, start, match.start(), words)
    while words and (_is_ordinary(words[-1]) or words[-1] == "&"):
        words = words[:-1]
    if not words or words[0].isdigit() or _is_numbered(words) or _is_shouted(words):
        return start, ""
    name = " ".join(words).rstrip(".")
    return start, name if sum(one.isalpha() for one in name) > 1 else ""


def _after_first(whole: str, start: int, offset: int, words: list[str]) -> tuple[int, list[str]]:
    """Where the second word begins, and the words from it on."""
    if len(words) == 1:
        return start, []
    return offset + whole.find(words[1], start - offset + len(words[0])), words[1:]


def _opens_as_order(words: list[str]) -> bool:
    """Whether a sentence begins with a verb and not yet with the name: "Email Ann", "Visiting Rome", "Met
    Ann"."""
    first, second = words[0].casefold(), words[1].casefold()
    if words[1].isdigit() or (words[1].islower() and second != "the"):
        return False
    # "Chasing the Dragon" is a title.
    does = len(first) > 5 and first.endswith("ing") and second not in _ORGANISATION | _PLACE | {"the"}
    return does or first in _ORDERS or (first in PAST and first not in _FIRST_NAMES)


_FIRST_NAMES = frozenset({"drew"})
"""Past forms that people are called, too."""


def _is_ordinary(word: str) -> bool:
    plain = word.casefold()
    stem = _CONTRACTED.sub("", plain)
    return (
        stem in _NO_NAME
        or stem.removesuffix("s") in _NO_NAME
        or (stem != plain and stem + "t" in _NO_NAME)
        or word.islower()
    )


def _is_head(words: list[str]) -> bool:
    """Whether an ordinary word begins a name: "New York", "North Sea"."""
    return len(words) > 1 and words[0].casefold() in _PLACE_HEADS


def _is_numbered(words: list[str]) -> bool:
    return len(words) == 2 and words[1].isdigit() and words[0].casefold() in _NUMBERED


def _is_shouted(words: list[str]) -> bool:
    """Whether capitals only make it loud: "FIX THE LOGIN", "AMAZING"."""
    letters = "".join(word for word in words if word.isalpha())
    return letters.isupper() and (len(words) > 2 or (len(words) == 1 and len(letters) > MAX_ACRONYM))


MAX_ACRONYM = 6
"""Letters of the longest common acronyms, as UNESCO and UNICEF."""


def _is_acronym(name: str) -> bool:
    return name.isupper() and 2 <= len(name) <= MAX_ACRONYM


def _certain_type(name: str, written: str, before: str, after: str) -> EntityType | None:
    """The type that the name itself or the words around it tell, the plainest sign first."""
    by_words = _type_by_words(name, written)
    if by_words is not None:
        return by_words
    if _WORK_CUE.search(before):
        return "organisation"
    if _PROJECT_CUE.search(before):
        return "project"
    if _TOOL_CUE.search(before):
        return "tool"
    if _is_acronym(name):
        return _type_of_acronym(name)
    if _MOVING_CUE.search(before) or _COUNTRY_CUE.search(before):
        return "place"
    if _is_person_in(before, after):
        return "person"
    if _PLACE_CUE.search(before) and len(name.split()) <= 3:
        return "place"
    return None


def _type_by_words(name: str, written: str) -> EntityType | None:
    words = [word.casefold().strip(".") for word in name.split()]
    first, last = words[0], words[-1]
    several = len(words) > 1
    if _TITLED.match(written):
        return "person"
    if several and first == "project":
        return "project"
    if (several and last in _ORGANISATION) or (first in _ORGANISATION and " of " in name) or "&" in name:
        return "organisation"
    if several and not _EVENT.isdisjoint((first, *words[-2:])):
        return "event"
    if several and (last in _PLACE or first in _PLACE_HEADS):
        return "place"
    if name[0].islower():
        return "product"
    return None


def _type_of_acronym(name: str) -> EntityType:
    plain = name.casefold()
    if plain in _PLACE_ACRONYMS:
        return "place"
    return "concept" if plain in _OTHER_ACRONYMS else "organisation"


def _is_person_in(before: str, after: str) -> bool:
    if _ARTICLE.search(before):
        return False
    called = _CALLED_OUT.search(before) is not None and _CALL_ENDS.match(after) is not None
    return (
        called
        or _EXCHANGE_CUE.search(before) is not None
        or _PERSON_CUE.search(before) is not None
        or _PERSON_VERB.match(after) is not None
    )


def _likely_type(name: str, before: str, after: str) -> EntityType:
    """What the name is when nothing tells for certain; "concept" says that nothing does."""
    acts = (
        _POSSESSED.match(after)
        or _STATE_VERB.match(after)
        or _DID.match(after)
        or re.match(r"\sand\s[A-Z]", after)
    )
    if acts is None or _ARTICLE.search(before) or name.casefold().startswith("the "):
        return "concept"
    return "person"
