"""What somebody does, uses, eats and can not eat, and what they no longer do."""

from __future__ import annotations

import re

from mcp_memory.extraction import possessions
from mcp_memory.extraction.entities import FoundEntity
from mcp_memory.extraction.facts import EITHER
from mcp_memory.extraction.forms import BE, END, HAVE, Form, Match, Statement, form
from mcp_memory.extraction.phrases import (
    NAME,
    NEVER_NAMES,
    entity_of,
    listed,
    named,
    object_key,
    self_contained,
)
from mcp_memory.extraction.tastes import prefers
from mcp_memory.extraction.verbs import PAST


def _intolerant(match: Match) -> list[Statement]:
    what = match["what"]
    return [
        Statement(
            f"is {what} intolerant",
            "fact",
            slot=f"is intolerant to: {what}",
            importance=0.75,
            dated="undated",
        )
    ]


def _does_instead(match: Match) -> list[Statement]:
    third = _DOING_STEMS.get(match["verb"]) or {"reading": "reads"}.get(match["verb"], "uses")
    instead = _INSTEAD.match(match["what"])
    return [] if instead is None else _instead(third, instead["a"], instead["b"])


def _gave_up(match: Match) -> list[Statement]:
    third = _DOING_STEMS[match["verb"]]
    return [Statement(f"stopped {match['verb']}", "fact", slot=third, negates=True, dated="state")]


def _gave_up_thing(match: Match) -> list[Statement] | None:
    """ "Gave up coffee", "quit tennis", "went off sugar"."""
    words = self_contained(match["what"], longest=3)
    if (
        words is None
        or match.said.is_ahead
        or not _GIVEN_UP.match(words)
        or (key := object_key(words)) is None
    ):
        return None
    return [_no_longer("does", words, key, f"gave up {words}")]


_GIVEN_UP = re.compile(
    r"(?:the )?(?!(?:on|my|our|their|his|her|a|an|hope|trying|looking|job|work|school|college|time"
    r"|control|it)\b)"
    r"[a-z][\w-]*(?: (?!to\b|and\b|the\b)[a-z][\w-]*)?$"
)


def _gave_up_on(match: Match) -> list[Statement] | None:
    """ "Gave up on Spanish", which was learned, and no plan like "the trip"."""
    words = self_contained(match["what"], longest=3)
    if words is None or match.said.is_ahead or (key := object_key(words)) is None:
        return None
    return [_no_longer("does", words, key, f"gave up on {words}")]


def _took_up(match: Match) -> list[Statement] | None:
    """ "Took up tennis", "started smoking again", "began learning Dutch"."""
    if match.said.is_ahead:
        return None
    if verb := match["verb"]:
        if not match["what"]:
            return _does_again(verb)
        # What it was that they began is worth telling, be it a habit or not.
        return None if re.search(r"\bago\b", match["what"]) else _now_doing(match) or None
    thing = match["thing"].strip(" .!")
    return [Statement(f"does {thing}", "fact", slot=_slot("does", thing))] if thing in _TAKEN_UP else None


def _does_again(verb: str) -> list[Statement] | None:
    """A habit by its own name, as `_stopped` ends it."""
    if verb in ("smoking", "drinking"):
        return [Statement(_DOING_STEMS[verb], "fact", slot=_DOING_STEMS[verb], value=EITHER)]
    if verb not in _PASTIMES:
        return None
    return [Statement(f"does {verb}", "fact", slot=_slot("does", verb))]


_PASTIMES = frozenset(
    """
    baking boxing climbing cycling fencing fishing gambling gardening hiking jogging
    journaling juggling kayaking knitting meditating painting rowing running sailing sewing
    skateboarding skating skiing snowboarding surfing swimming vaping weightlifting
    """.split()
)


_TAKEN_UP = _PASTIMES | frozenset(
    """
    archery badminton ballet basketball chess crossfit football golf judo karate photography pilates
    pottery soccer squash tennis volleyball yoga
    """.split()
)


def _does_often(match: Match) -> list[Statement] | None:
    """ "Run every morning", "swims on Tuesdays": a habit by what is done, however often."""
    verb, often = match["verb"], self_contained(match["often"], longest=7)
    if match.said.is_ahead or verb in _NO_HABIT_VERBS | PAST or verb.endswith("ed") or often is None:
        return None
    is_third = verb.endswith("s") and not verb.endswith("ss")
    plain = verb.removesuffix("s") if is_third else verb
    third = verb if is_third else f"{verb}es" if verb.endswith(_HISSING) else f"{verb}s"
    return [Statement(f"{third} {often}", "fact", slot=_slot("does", _gerund(plain)), dated="undated")]


_HISSING = ("s", "sh", "ch", "x", "z", "o")
_NO_HABIT_VERBS = frozenset(
    """
    am is are was were be been have has had do does did go goes went get gets see sees say says take takes
    make makes feel feels think thinks know knows want wants need needs try tries look looks come comes leave
    leaves met meet meets happen happens cry cries forget forgets not will would can could should may might
    must work works call calls fall falls fell it there who that and or
    """.split()
)


def _gerund(verb: str) -> str:
    """ "running" of "run": a short vowel between two consonants doubles the last."""
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return f"{verb[:-1]}ing"
    is_short = re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb) is not None
    return f"{verb}{verb[-1]}ing" if is_short else f"{verb}ing"


def _goes_to(match: Match) -> list[Statement] | None:
    """ "Go to the gym on Mondays"."""
    where, often = match["where"], self_contained(match["often"], longest=7)
    if match.said.is_ahead or often is None:
        return None
    says = f"goes to {match['article']}{where} {often}"
    return [Statement(says, "fact", slot=_slot("does", where), dated="undated")]


def _goes_no_longer(match: Match) -> list[Statement] | None:
    where = match["where"]
    if match.said.is_ahead:
        return None
    ended = " not go " not in f" {match.group()} " or re.search(r"\bany ?(?:more|longer)\b", match.group())
    says = f"{'no longer goes' if ended else 'does not go'} to {match['article']}{where}"
    return [_no_longer("does", where, where, says)]


def _works_so(match: Match) -> list[Statement] | None:
    """ "Work from home on Fridays"."""
    how, often = match["how"], self_contained(match["often"], longest=6) if match["often"] else ""
    if match.said.is_ahead or often is None:
        return None
    if over := match["not"] or match["not2"]:
        ended = over.startswith("no longer") or "more" in match.group()
        said = f"{'no longer works' if ended else 'does not work'} {how}"
        return [Statement(said, "fact", slot=f"works {how}", negates=True)]
    return [
        Statement(f"works {how} {often}".rstrip(), "fact", slot=f"works {how}", dated="undated", value=EITHER)
    ]


def _banks(match: Match) -> list[Statement] | None:
    if match.said.is_ahead:
        return None
    bank = FoundEntity(named(match["bank"]), "organisation")
    return [Statement(f"banks with {bank.name}", "fact", "banks with", bank, "banks with", importance=0.5)]


def _does_sport(match: Match) -> list[Statement]:
    words = self_contained(match["what"], longest=6)
    return [] if words is None else _doing_each("does", words)


def _abandoned(match: Match) -> list[Statement] | None:
    """ "Ditched Notion for Obsidian"; what stands without a successor is only gone."""
    if match.said.is_ahead:
        return []
    if match["a"]:
        return _switched(match)
    old = self_contained(match["b"], longest=4)
    if (
        old is None
        or not (match.said.speaks_of_tools or old[0].isupper())
        or (key := object_key(old)) is None
    ):
        return None
    return [_no_longer("uses", old, key, f"gave up {old}")]


def _switched(match: Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    a, b = match["a"], match["b"]
    new, old = self_contained(a, longest=5), self_contained(b, longest=5)
    if new is None or old is None:
        return []
    if re.search(r"\d", new + old) and re.sub(r"[\d. v]", "", new) == re.sub(r"[\d. v]", "", old):
        return []
    key = object_key(old)
    found = prefers(new, old, f"switched from {old} to {new}")
    if found and key is not None:
        found += [_doing("uses", new), _no_longer("uses", old, key)]
        if not (match.said.speaks_of_tools or _IS_NAMED.search(f"{new} {old}")):
            # Coffee is drunk, and nobody says whether they drank it or only used to have it.
            found.append(_no_longer("does", old, key, f"gave up {old}"))
    return [one for one in found if one is not None]


def _switched_to(match: Match) -> list[Statement] | None:
    """ "Switched to oat milk", "to VS Code": from what it does not say, so it ends nothing."""
    words = self_contained(match["what"], longest=3)
    if words is None or match.said.is_ahead:
        return None
    if _IS_NAMED.search(words):
        is_tool = match.said.speaks_of_tools and re.fullmatch(possessions.MAKE, words) is not None
        is_tool = is_tool and words.split()[0].casefold() not in NEVER_NAMES
        return _doing_each("uses", words) if is_tool and "." not in words else None
    if match.said.speaks_of_tools:
        return None
    key = object_key(words)
    if key is None or not _GIVEN_UP.match(words):
        return None
    return [Statement(f"switched to {words}", "fact", slot=_slot("does", key), importance=0.5)]


_IS_NAMED = re.compile(r"[A-ZÀ-ÖØ-Þ\d]")
"""A tool or a brand: what is eaten, drunk or done has no name of its own."""


_DOINGS = {
    "use": "uses", "play": "plays", "speak": "speaks", "drive": "drives", "drink": "drinks", "eat": "eats",
    "smoke": "smokes", "practice": "practices", "practise": "practises", "teach": "teaches",
    "collect": "collects", "own": "owns",
}  # fmt: skip


_DOING_STEMS = {
    "doing": "does", "using": "uses", "playing": "plays", "drinking": "drinks", "eating": "eats",
    "smoking": "smokes",
    "practicing": "practices", "teaching": "teaches", "collecting": "collects",
    "driving": "drives", "learning": "is learning",
}  # fmt: skip


def _doing_each(verb: str, words: str) -> list[Statement]:
    return [one for part in listed(words) if (one := _doing(verb, part)) is not None]


def _doing(verb: str, words: str) -> Statement | None:
    thing = re.split(r" (?:for|at|with|in|on|to|every|each|as|a|per|once|twice|most) ", words)[0]
    thing = _HOW_MUCH.sub("", thing) if verb in _HABITS else thing
    key = object_key(thing)
    if key is None or re.match(r"(?:for|with|in|on|at|to|by|about|around|together|well|their) ", words):
        return None
    target = entity_of(thing)
    return Statement(
        f"{verb} {words}", "fact", verb if target else None, target, _slot(verb, key), importance=0.5
    )


def _slot(verb: str, key: str) -> str:
    """Who gives up coffee does not say whether they drank or only liked to have it."""
    if verb in ("drives", "owns"):
        return possessions.slot_of(key)
    return f"does: {key}" if verb in _HABITS else f"{verb}: {key}"


_HABITS = frozenset({"does", "drinks", "eats", "is learning", "plays", "practices", "practises", "smokes"})
_HOW_MUCH = re.compile(
    r"^(?:(?:a|an|two|three|four|five|six|\d+|several|many|too much|too many|lots of|a lot of|some)"
    r" )?(?:(?:cups?|glass(?:es)?|cans?|pints?|bottles?) of )?(?=[a-z])"
)


def _no_longer(verb: str, words: str, key: str, says: str | None = None) -> Statement:
    return Statement(says or f"no longer {verb} {words}", "fact", None, None, _slot(verb, key), negates=True)


def _does(match: Match) -> list[Statement]:
    verb = match["verb"]
    third = _DOINGS.get(verb) or _DOINGS.get(verb.removesuffix("s"), verb)
    phrase = match["what"]
    if instead := _INSTEAD.match(phrase):
        return _instead(third, instead["a"], instead["b"])
    # "Plays guitar in a band called The Larks".
    words = self_contained(phrase, longest=9 if third == "plays" else 6)
    if words is None or (third in ("teaches", "eats", "drinks") and not _is_lasting(words)):
        return []
    return _doing_each(third, words)


def _instead(third: str, a: str, b: str) -> list[Statement]:
    """They do it with one and no more with the other."""
    new, old = self_contained(a, longest=5), self_contained(b, longest=5)
    if new is None or old is None or (key := object_key(old)) is None:
        return []
    found = prefers(new, old, f"{third} {new} instead of {old}")
    if found and (doing := _doing(third, new)):
        found += [doing, _no_longer(third, old, key)]
    return found


def _is_lasting(words: str) -> bool:
    """Whether it is a thing in general ("coffee", "yoga classes") and not the one at hand ("a break")."""
    return not re.match(
        r"(?:an?|the|this|that|some|it|care|part|place|time|note|notes|advantage|breaks?|lunch|dinner"
        r"|breakfast)\b",
        words,
    )


_INSTEAD = re.compile(r"(?P<a>[\w'. +#-]{2,40}?) (?:instead of|rather than) (?P<b>[\w'. +#-]{2,40})$")


def _stopped(match: Match) -> list[Statement]:
    third = _DOING_STEMS.get(match["verb"])
    what = re.sub(r" (?:many |some )?years ago\b|^(?:because of|due to)\b.*", "", match["what"])
    words = self_contained(what, longest=5) if what else None
    if third is None and not what and not match.said.is_ahead:
        # "Quit running" is a habit by its own name.
        return [_no_longer("does", match["verb"], match["verb"], f"stopped {match['verb']}")]
    if third is None or words is None or (key := object_key(words)) is None or match.said.is_ahead:
        return []
    return [_no_longer(third, words, key, f"stopped {match['verb']} {words}")]


_BUT_OTHERWISE = re.compile(
    r",? but (?:(?:only|now|just|instead) )?(?:on|in|at|with|for|every|once|twice)\b|,? but$"
)
"""What is done at another time or place is not over: "no longer on Thursday, but on Friday", of which
the days are read apart."""


def _does_no_longer(match: Match) -> list[Statement]:
    if _BUT_OTHERWISE.search(match.said.rest) or _BUT_OTHERWISE.search(match["what"]):
        return []
    third = _DOINGS[match["verb"]]
    words = self_contained(match["what"], longest=5)
    if words is None or (key := object_key(words)) is None:
        return []
    ended = "no longer" in match.group() or re.search(r"\bany ?(?:more|longer)\b", match.said.rest)
    says = f"no longer {third} {words}" if ended else f"does not {match['verb']} {words}"
    return [_no_longer(third, words, key, says)]


def _allergic(match: Match) -> list[Statement]:
    words = self_contained(match["what"], longest=5)
    if words is None:
        return []
    found: list[Statement] = []
    for one in re.split(r",? and |, | or ", words):
        if (key := object_key(one)) is None:
            continue
        negates = bool(match["not"])
        says = f"is not allergic to {one}" if negates else f"is allergic to {one}"
        predicate = None if negates else "is allergic to"
        entity = None if negates else FoundEntity(one, "concept")
        found.append(
            Statement(says, "fact", predicate, entity, f"is allergic to: {key}", negates, 0.8, "undated")
        )
    return found[:4]


_DIETS = {
    "vegan": "vegan",
    "vegetarian": "vegetarian",
    "pescatarian": "pescatarian",
    "pescetarian": "pescatarian",
}


def _diet(match: Match) -> list[Statement]:
    diet = _DIETS[match["diet"].lower()]
    if bool(match["not"]):
        return [Statement(f"is no longer {diet}", "fact", slot="has diet", negates=True, importance=0.6)]
    return [Statement(f"is {diet}", "fact", slot="has diet", importance=0.7, value=diet)]


def _eats_meat_again(_: Match) -> list[Statement]:
    return [Statement("eats meat again", "fact", slot="has diet", negates=True, importance=0.6)]


def _now_doing(match: Match) -> list[Statement]:
    verb, what = match["verb"], match["what"]
    third = _DOING_STEMS.get(verb)
    if third is None:
        return []
    words = self_contained(what, longest=6)
    if words is None or third in ("does", "eats", "drinks", "drives") or not _is_lasting(words):
        return []
    return _doing_each(third, words)


_DAY = r"(?:weekdays|weekends|(?i:mon|tues|wednes|thurs|fri|satur|sun)days)"
_OFTEN = (
    r"(?P<often>(?:(?:almost |nearly )?(?:every|each) (?:single |other |few |second |two |three )?"
    r"(?:day|morning|evening|afternoon|night|week|weekday|weekend|month|year|spring|summer|autumn|fall|winter"
    r"|(?i:mon|tues|wednes|thurs|fri|satur|sun)day)s?|(?:once|twice|(?:two|three|four|five)"
    rf" times) (?:a|per|each) (?:day|week|month|year)|daily|nightly|weekly|on {_DAY}(?: and {_DAY})?"
    r"|(?:before|after) (?:work|breakfast|lunch|dinner|bed))(?: [\w ]{2,30})?)"
)
_WHERE = r"(?P<article>the |my |a )?(?P<where>[a-z][a-z-]+(?: (?:class(?:es)?|club|practice))?)"

FORMS: tuple[Form, ...] = (
    form(rf"(?P<verb>smokes?){END}", lambda _: [Statement("smokes", "fact", slot="smokes", value=EITHER)]),
    form(
        r"(?:do|does|practi[cs]es?) (?P<what>(?:yoga|pilates|meditation|karate|judo|crossfit|tai chi"
        r"|ballet|martial "
        r"arts|zumba|boxing|kickboxing|gymnastics)\b.*)",
        _does_sport,
    ),
    form(
        rf"(?:{HAVE} )?(?:ditched|dropped|dumped|abandoned|retired|uninstalled|cancell?ed|got rid of)"
        rf" (?:using )?"
        rf"(?P<b>[\w'. +#-]{{2,40}}?)(?: (?:for|in favou?r of) (?P<a>[\w'. +#-]{{2,40}}))?(?:{END}|,)",
        _abandoned,
    ),
    form(rf"{BE} (?P<verb>[a-z]+ing)(?P<what> .+)?", _now_doing),
    form(
        rf"{HAVE} (?:an? )?(?:severe |bad |mild )?(?P<what>[a-z]+(?: [a-z]+)?) allerg(?:y|ies)"
        rf"(?P<not>){END}",
        _allergic,
    ),
    form(rf"{BE} (?P<what>[a-z]+)[- ]intolerant\b", _intolerant),
    form(r"(?:can not|can no longer) (?P<verb>eat|drink) (?P<what>.+)", _does_no_longer),
    form(
        rf"(?:{HAVE} )?(?:started|began|switched to|{BE}) (?P<verb>using|drinking|eating|playing"
        r"|taking|reading) "
        r"(?P<what>.+ (?:instead of|rather than) .+)",
        _does_instead,
    ),
    form(
        r"(?:have |has )?(?:stopped|quit|gave up|given up) (?P<verb>smoking"
        r"|drinking){END}".replace("{END}", END),
        _gave_up,
    ),
    form(
        rf"(?:{BE}|became|went|turned|{HAVE} become|{HAVE} gone|{HAVE} been) (?P<not>not "
        r"|no longer )?(?:an? )?(?:strict )?(?P<diet>vegan|vegetarian|pescatarian|pescetarian)\b(?! "
        r"(?:food|dish|meal|recipe|option|restaurant|diet))",
        _diet,
    ),
    form(
        rf"(?:{HAVE} )?(?:switched|migrated|moved|went|gone|changed|converted)(?: over)? from "
        rf"(?P<b>[\w'. +#-]{{2,40}}?) to (?P<a>[\w'. +#-]{{2,40}})",
        _switched,
    ),
    form(
        rf"(?:{HAVE} )?(?:replaced|swapped) (?P<b>[\w'. +#-]{{2,40}}?) (?:with|for|by) "
        rf"(?P<a>[\w'. +#-]{{2,40}})",
        _switched,
    ),
    form(rf"(?:{HAVE} )?(?:switched|changed)(?: over)? to (?P<what>[A-Za-z].+)", _switched_to),
    form(rf"{BE} (?P<not>not |no longer )?(?:severely |very |highly )?allergic to (?P<what>.+)", _allergic),
    form(r"(?:eat|eats|started eating|am eating|is eating) meat again", _eats_meat_again),
    form(
        rf"(?:(?:{HAVE} )?(?:stopped|quit) going|no longer go(?:es)?|(?:do|does) not go) to"
        rf" {_WHERE}(?: any ?more| any longer)?{END}",
        _goes_no_longer,
    ),
    form(
        rf"(?:{HAVE} )?(?:stopped|quit|gave up|given up) (?P<verb>[a-z]+ing)(?: (?P<what>.+))?",
        _stopped,
    ),
    form(
        rf"(?:{HAVE} )?(?:given up|gave up|quit|sworn off|swore off|cut out|kicked|gone off|went off"
        rf"|come off|came off"
        rf"|stopped) (?P<what>(?:the )?[a-z].+)",
        _gave_up_thing,
    ),
    form(rf"(?:{HAVE} )?(?:gave up|given up) on (?:learning |studying |playing )?(?P<what>.+)", _gave_up_on),
    form(
        rf"(?:{HAVE} )?(?:(?:started|begun|began|resumed|took up|taken up|got into|gotten into)"
        r" (?P<verb>[a-z]+ing)"
        rf"(?P<what> (?!again\b).+)?(?: again)?{END}|(?:took up|taken up) (?P<thing>[a-z]+){END})",
        _took_up,
    ),
    form(
        rf"(?:go(?:es)?|{BE} going) to {_WHERE}"
        rf" {_OFTEN}{END}",
        _goes_to,
    ),
    form(
        rf"(?:(?P<not>no longer )?works?|(?P<not2>(?:do|does) not work)|{BE} working) "
        r"(?P<how>from home|remotely|nights|night shifts|part-time|full-time)"
        rf"(?: {_OFTEN})?(?: any ?more)?{END}",
        _works_so,
    ),
    form(rf"banks? (?:with|at) (?P<bank>{NAME}){END}", _banks),
    form(rf"(?P<verb>[a-z]{{2,14}}) {_OFTEN}{END}", _does_often),
    form(rf"(?:do not|does not|no longer) (?P<verb>{'|'.join(_DOINGS)})s? (?P<what>.+)", _does_no_longer),
    form(rf"(?P<verb>(?:{'|'.join(_DOINGS)})s?) (?P<what>.+)", _does),
)
"""The first that fits decides."""
