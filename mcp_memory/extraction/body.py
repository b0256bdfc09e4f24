"""What somebody weighs, how tall they are, and what they take or keep to for their health."""

from __future__ import annotations

import re

from mcp_memory.extraction.entities import FoundEntity
from mcp_memory.extraction.forms import BE, END, HAVE, Form, Match, Statement, form
from mcp_memory.extraction.phrases import object_key, self_contained

_MASS = r"(?P<mass>(?P<much>\d{2,3})(?:[.,]\d)? ?(?:kg|kgs|kilos?|kilograms?|lbs?|pounds?|stone))"
_DOSE = (
    r"(?P<dose>\d[\d.,]* ?(?:mg|mcg|µg|μg|g|ml|iu|IU|units?|drops?|puffs?|pills?|tablets?|capsules?)"
    r"|half an? (?:pill|tablet))"
)
_OFTEN = (
    r"(?P<often> (?:(?:once|twice|three times|four times) (?:a|per) (?:day|week|month)|daily|nightly|weekly"
    r"|(?:every|each) [\w ]{2,20}|(?:in|at) (?:the )?(?:mornings?|evenings?|night)|before bed"
    r"|for (?:my|his|her|their) [\w ]{2,30}))"
)


def _weighs(match: Match) -> list[Statement] | None:
    if match.said.is_ahead:
        return None
    mass = match["mass"]
    least = next(least for unit, least in _LEAST.items() if unit in mass)
    if int(match["much"]) < least:
        # What they are down to is money, or what they lift.
        return None
    return [Statement(f"weighs {mass}", "fact", slot="weighs", importance=0.5, value=_plain(mass))]


_LEAST = {"k": 35, "l": 80, "pound": 80, "stone": 6}
"""Of what a grown person weighs, by a letter or more of the unit."""


def _tall(match: Match) -> list[Statement]:
    return [Statement(f"is {match['height']} tall", "fact", slot="is tall", importance=0.5, dated="undated")]


def _has_condition(match: Match) -> list[Statement]:
    what, over = match["what"].lower(), bool(match["not"])
    ended = match["not"].startswith("no longer") or "more" in match.group()
    says = f"{'no longer has' if ended else 'does not have'} {what}" if over else f"has {what}"
    return [Statement(says, "fact", slot=f"has condition: {what}", negates=over, importance=0.75)]


def _is_so(match: Match) -> list[Statement]:
    how, over = match["how"].lower(), bool(match["not"])
    says = f"is {match['not']}{how}"
    return [Statement(says, "fact", slot=f"is so: {how}", negates=over, importance=0.7)]


def _rises(match: Match) -> list[Statement] | None:
    """ "Get up at 5:30 every day": the hour, and not the day."""
    if match.said.is_ahead:
        return None
    verb = _RISING[match["verb"]]
    hour = _plain(match["hour"].replace(".", ""))
    return [Statement(f"{verb} at {match['hour']}", "fact", slot=verb, dated="undated", value=hour)]


_RISING = {
    "wake up": "wakes up", "wakes up": "wakes up", "get up": "gets up", "gets up": "gets up",
    "go to bed": "goes to bed", "goes to bed": "goes to bed",
}  # fmt: skip


def _takes(match: Match) -> list[Statement] | None:
    """A medicine by its dose: another dose takes the place of the first."""
    medicine = self_contained(match["medicine"], longest=3)
    if match.said.is_ahead or medicine is None or (key := object_key(medicine)) is None:
        return None
    often = self_contained(match["often"], longest=6) if match["often"] else ""
    says = f"takes {match['dose']} of {medicine} {often or ''}".rstrip()
    # Who takes one dose in the morning may take another at night.
    slot = _dose_of(key) + (" late" if re.search(r"evening|night|noon|bed", match["often"]) else "")
    target = FoundEntity(medicine, "concept")
    return [Statement(says, "fact", "takes", target, slot, importance=0.7, value=_plain(match["dose"]))]


def _takes_no_longer(match: Match) -> list[Statement] | None:
    medicine = self_contained(match["medicine"], longest=3)
    if match.said.is_ahead or medicine is None or (key := object_key(medicine)) is None:
        return None
    return [
        Statement(f"stopped taking {medicine}", "fact", slot=_dose_of(key), negates=True, importance=0.65)
    ]


def _dose_of(key: str) -> str:
    return f"dose of {key}"


def _keeps_to(match: Match) -> list[Statement] | None:
    diet = match["diet"].lower()
    if match.said.is_ahead or diet in ("new", "strict", "special", "good", "bad"):
        return None
    says = f"is on {match['article']} {match['diet']} diet"
    return [Statement(says, "fact", slot=f"does: {diet}", importance=0.6)]


def _plain(amount: str) -> str:
    return re.sub(r"[\s,]", "", amount.lower())


_CONDITION = (
    r"(?:(?:type [12] |chronic |severe |mild |seasonal |early |high |low )*(?:asthma|diabetes|arthritis"
    r"|epilepsy|migraines?|adhd|add|autism|dyslexia|celiac disease|coeliac disease|crohn's(?: disease)?"
    r"|eczema|psoriasis|hypertension|blood pressure|cholesterol|insomnia|sleep apn(?:o)?ea|anxiety|depression"
    r"|ibs|endometriosis|hypothyroidism|hay fever|scoliosis|sciatica|tinnitus|an(?:a)?emia|back pain"
    r"|heart condition|pacemaker|cancer|multiple sclerosis|lupus|glaucoma|dementia|alzheimer's))"
)

FORMS: tuple[Form, ...] = (
    form(
        rf"(?P<not>no longer |do not |does not )?{HAVE} (?:an? )?(?P<what>(?i:{_CONDITION}))"
        rf"(?: any ?more)?{END}",
        _has_condition,
    ),
    form(
        rf"(?:was|were|got|{HAVE} been) diagnosed with (?:an? )?(?P<what>(?i:{_CONDITION})){END}",
        _has_condition,
    ),
    form(
        rf"{BE} (?P<not>no longer |not )?(?P<how>diabetic|asthmatic|epileptic|dyslexic|autistic|anemic"
        r"|anaemic|celiac|coeliac|left-handed|right-handed|ambidextrous|colou?r[- ]?blind|hard of hearing"
        rf"|deaf|near-?sighted|short-?sighted|far-?sighted){END}",
        _is_so,
    ),
    form(
        rf"(?P<verb>{'|'.join(_RISING)}) at (?:about |around )?"
        r"(?P<hour>(?:[01]?\d|2[0-3])(?:[:.][0-5]\d)?(?: ?[ap]\.?m\.?)?)"
        r"(?: (?:every|each) day| daily)?"
        rf"(?: now| these days)?{END}",
        _rises,
    ),
    form(rf"(?:weighs?|{BE} down to) (?:about |around |now )?{_MASS}(?: now)?{END}", _weighs),
    form(rf"{BE} (?P<height>\d(?:\.\d\d)? ?m|1\d\d ?cm|\d ?(?:'|ft|feet) ?\d{{0,2}}\"?) tall{END}", _tall),
    form(
        rf"(?:takes?|{BE} taking|{BE} on) {_DOSE} (?:of )?(?P<medicine>[A-Za-z][\w-]+)"
        rf"{_OFTEN}?(?: instead| now)?{END}",
        _takes,
    ),
    form(
        rf"(?:was|got|{HAVE} been) (?:put on|prescribed|switched to|started on) {_DOSE} (?:of )?"
        rf"(?P<medicine>[A-Za-z][\w-]+){_OFTEN}?(?: instead| now)?{END}",
        _takes,
    ),
    form(
        rf"(?:(?:{HAVE} )?(?:stopped|quit) taking|no longer takes?) (?:my |his |her )?"
        rf"(?P<medicine>[A-Za-z][\w-]+){END}",
        _takes_no_longer,
    ),
    form(rf"{BE} on (?P<article>an?|the) (?P<diet>[A-Za-z][\w-]+) diet{END}", _keeps_to),
)
"""The first that fits decides."""
