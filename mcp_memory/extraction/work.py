"""Where somebody works and studies, as what, and that it is over."""

from __future__ import annotations

import re
from dataclasses import replace

from mcp_memory.extraction.entities import FoundEntity
from mcp_memory.extraction.forms import BE, END, HAVE, ORG, ROLE, Form, Match, Statement, form, is_name
from mcp_memory.extraction.phrases import NAME, named
from mcp_memory.extraction.plans import plan
from mcp_memory.extraction.trades import OCCUPATIONS
from mcp_memory.models import name_key


def _reports_to(match: Match) -> list[Statement]:
    if not is_name(match["who"]):
        return []
    entity = FoundEntity(named(match["who"]), "person")
    return [
        Statement(f"reports to {match['who']}", "fact", "reports to", entity, "reports to", importance=0.6)
    ]


def _will_work(match: Match) -> list[Statement]:
    org = match["org"]
    if not is_name(org):
        return []
    entity = FoundEntity(named(org), "organisation")
    return [plan(f"work at {org}", entity)]


def _works(match: Match) -> list[Statement]:
    found: list[Statement] = []
    role = match["role"] or match["role2"]
    org = match["org"]
    if match["perfect"] and not match.said.lasts:
        return []
    if match.said.is_ahead and match["change"]:
        return []
    if org and is_name(org) and org.lower() not in ("me", "you"):
        verb = match["change"] or "works at"
        says = {"joined": "joined", "works at": "works at"}.get(verb, "started working at")
        found.append(_working(f"{says} {org}", org))
    if role and (cleaned := _role(role)):
        found.append(_working_as(cleaned))
    return found


def _working(says: str, org: str) -> Statement:
    employer = FoundEntity(named(org), "organisation")
    return Statement(says, "fact", "works at", employer, "works at", importance=0.7)


def _working_as(role: str, verb: str = "works as") -> Statement:
    return Statement(
        f"{verb} {_an(role)} {role}", "fact", slot="works as", importance=0.65, value=role.lower()
    )


def _an(role: str) -> str:
    return "an" if role[0].lower() in "aeiou" else "a"


def _role(text: str) -> str | None:
    words = text.split()
    if (
        not words
        or words[-1].lower() in _NO_ROLE
        or words[0].lower() in ("it", "this", "that", "much", "well", "hard", "me")
    ):
        return None
    return " ".join(words)


_NO_ROLE = frozenset(
    "well team hard kid child part result way favor favour day week reminder thing bit lot".split()
)


def _is_role(match: Match) -> list[Statement]:
    """ "Am a nurse": only of words that are an occupation."""
    words = match["role"].lower().split()
    head = next((word for word in reversed(words) if word in OCCUPATIONS), None)
    if head is None or words[-1] != head or set(words) & _NOT_BY_TRADE:
        return _is_something(match)
    found = [_working_as(match["role"])]
    org = match["org"]
    if org and is_name(org):
        found.insert(0, _working(f"works at {org}", org))
    return found


_NOT_BY_TRADE = frozenset(
    "former ex retired aspiring amateur wannabe hobby future big great good terrible bad better real".split()
)


def _is_something(match: Match) -> list[Statement]:
    words = match["role"].split()
    if match["org"] or len(words) > 3 or not set(map(str.lower, words)).isdisjoint(_PASSING):
        return []
    if match.group().split()[1].lower() not in ("a", "an"):
        return []
    if words[-1].lower() not in _LASTING:
        return []
    return [Statement(f"is {match.group().split()[1]} {match['role']}", "fact")]


_LASTING = frozenset(
    """
    student freshman sophomore parent father mother widow widower twin veteran immigrant refugee introvert
    extrovert perfectionist gamer runner cyclist hiker climber vegan christian muslim buddhist jew atheist
    republican democrat volunteer homeowner citizen feminist pacifist minimalist
    """.split()
)


_PASSING = frozenset("bit little huge big not such total complete bad good".split())


def _left(match: Match) -> list[Statement] | None:
    org, to = match["org"], match["to"]
    sure = bool(match["sure"])
    if match.said.is_ahead or not is_name(org):
        return []
    is_employer = match.said.speaks_of_work or name_key(named(org)) in match.said.employers
    if match["verb"] == "left" and not (sure or is_employer) and _SCHOOL.search(org):
        # Who is not known to work there was taught there.
        return None
    if to and match.said.speaks_of_work and is_name(to):
        return [_gone_from(org, f"left {org} for {to}"), _working(f"works at {to}", to)]
    if not (sure or is_employer):
        # One leaves towns and parties too: it is over only for who is known to work there.
        why = match["why"].strip()
        is_plain = match["verb"] in ("left", "quit") and why in ("", "after", "because")
        return [_gone_from(org, f"{match['verb']} {org}")] if is_plain else []
    verb = match["verb"]
    says = {
        "left": "left", "quit": "quit", "resigned from": "resigned from", "retired from": "retired from",
    }.get(verb, "no longer works at")  # fmt: skip
    if "used to" in match.group():
        says = "used to work at"
    return [replace(_working(f"{says} {org}", org), negates=True)]


def _gone_from(org: str, says: str) -> Statement:
    return Statement(says, "fact", slot="works at", negates=True, value=named(org))


def _is_not_at(match: Match) -> list[Statement] | None:
    if not match.said.is_over:
        return None
    return [_gone_from(match["org"], f"is no longer at {match['org']}")] if is_name(match["org"]) else []


def _is_at(match: Match) -> list[Statement] | None:
    """ "Am at Acme now": who speaks of work, or was there for months, works there."""
    if match.said.is_ahead or not is_name(match["org"]) or match.said.speaks_of_home:
        return None
    is_job = match.said.speaks_of_work and (not match.said.has_time or match.said.lasts)
    if not (is_job or match["team"] or (match["been"] and match.said.is_long)):
        return None
    return [_working(f"works at {match['org']}", match["org"])]


def _changed_to(match: Match) -> list[Statement] | None:
    """ "Moved from Acme to Globex", of work."""
    said = match.said
    is_work = said.speaks_of_work or name_key(named(match["old"])) in said.employers
    if said.is_ahead or said.speaks_of_home or said.speaks_of_tools or not is_work:
        return None
    return [_working(f"works at {match['org']}", match["org"])] if is_name(match["org"]) else []


def _on_their_own(match: Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    return [Statement("is self-employed", "fact", slot="works at", importance=0.65, value="themselves")]


def _teaches_at(match: Match) -> list[Statement] | None:
    school = match["org"]
    if match.said.is_ahead or not is_name(school) or _SCHOOL.search(school) is None:
        return None
    return [_working(f"works at {school}", school)]


_SCHOOL = re.compile(r"\b(?:University|College|School|High|Institute|Academy|Elementary|Primary|Grammar)\b")


def _is_no_longer(match: Match) -> list[Statement] | None:
    """ "No longer a nurse"."""
    role = match["role"].lower()
    if (not match.said.is_over and "stepped" not in match.group()) or not _names_a_trade(role):
        return None
    says = f"no longer works as {_an(role)} {role}"
    return [Statement(says, "fact", slot="works as", negates=True, importance=0.6, value=role)]


def _names_a_trade(role: str) -> bool:
    words = role.split()
    if not words or words[0] in ("my", "our", "your", "his", "her", "their"):
        # "Ines is no longer my manager": whose she is, and not what she does.
        return False
    return words[-1] in OCCUPATIONS or words[0] in _HEADS


def _was_made(match: Match) -> list[Statement] | None:
    """ "Was made team lead", "am the new head of sales"."""
    role = match["role"].lower()
    if match.said.is_ahead or set(role.split()) & _NOT_BY_TRADE or not _names_a_trade(role):
        return None
    return [_working_as(role, "became")]


_HEADS = frozenset("head director chief vp president chair lead founder owner cto ceo cfo coo".split())


def _lost_job(match: Match) -> list[Statement]:
    if match.said.is_ahead:
        return []
    verb = " ".join(match["verb"].split())
    says = {
        "left": "left their job", "quit": "quit their job", "lost": "lost their job",
        "unemployed": "is unemployed", "between jobs": "is between jobs", "out of work": "is out of work",
        "out of a job": "is out of a job", "jobless": "is jobless",
        "retired": "is retired" if match.group().startswith(("am ", "is ", "are ")) else "retired",
        "resigned": "resigned", "been laid off": "was laid off", "been fired": "was fired",
        "been let go": "was let go", "been made redundant": "was made redundant",
    }.get(verb, verb)  # fmt: skip
    return [Statement(f"{says}", "fact", slot="works at", negates=True, importance=0.65)]


def _studies(match: Match) -> list[Statement]:
    school = match["school"]
    if not is_name(school) or match.said.is_ahead:
        return []
    what = match["what"]
    subject = f"studies {what.strip()} at" if what else "studies at"
    entity = FoundEntity(named(school), "organisation")
    return [Statement(f"{subject} {school}", "fact", "studies at", entity, "studies at", importance=0.65)]


def _goes_to_school(match: Match) -> list[Statement] | None:
    school = match["school"]
    if match.said.is_ahead:
        return None
    entity = FoundEntity(named(school), "organisation")
    return [Statement(f"goes to {school}", "fact", "studies at", entity, "studies at", importance=0.6)]


def _graduated(match: Match) -> list[Statement]:
    school = match["school"]
    if not is_name(school) or match.said.is_ahead:
        return []
    entity = FoundEntity(named(school), "organisation")
    verb = next((verb for verb in _LEAVES_SCHOOL if verb in match.group()), "graduated from")
    return [Statement(f"{verb} {school}", "fact", "studies at", entity, "studies at", negates=True)]


_LEAVES_SCHOOL = ("dropped out of", "left")
"""Who does so has not finished there."""


_CHANGE = (
    r"(?:(?P<change>started)(?: (?:working|work|out|over|an?|my|the|new|job|position|role|gig"
    r"|internship|career))*"
    r"|(?P<got>got|landed|took|accepted|have got)(?: (?:an?|my|the|new|full-time|part-time|dream))* "
    r"(?:job|position|role|gig))"
)


def _became(match: Match) -> list[Statement] | None:
    words = match["role"].lower().split()
    if "promot" not in match.group() and words[-1] not in OCCUPATIONS:
        return None
    if match.said.is_ahead:
        return []
    return [_working_as(match["role"], "became")]


def _at_school(match: Match) -> bool:
    return (
        " at " in match.group()
        or re.search(r"University|College|School|Institute|Academy", match["school"]) is not None
    )


_RANK = r"(?P<role>[A-Za-z][\w/-]*(?: (?:of )?(?!at\b|for\b|with\b|in\b|and\b|on\b|by\b|last\b)[\w/-]+){0,4})"


FORMS: tuple[Form, ...] = (
    form(
        rf"(?:{HAVE} )?(?:moved|switched|gone|went|changed|transferred)(?: over)? from (?P<old>{NAME})"
        rf" to {ORG}"
        rf"{END}",
        _changed_to,
    ),
    form(
        rf"(?:(?:{HAVE} )?(?:went|gone|turned) (?:fully )?(?:freelance|independent|self-employed)"
        rf"|{BE} (?:freelance|self-employed|freelancing|an? (?:freelancer|independent contractor))"
        r"|works? for (?:myself|himself|herself|themselves|themself)"
        rf"|freelances?{END}|(?:{HAVE} )?(?:started|set up|founded|launched|opened) (?:my|our|his|her"
        rf"|their) own "
        r"(?:business|company|firm|studio|practice|agency|consultancy|shop)"
        rf"|{BE} (?:my|his|her|their) own boss)",
        _on_their_own,
    ),
    form(rf"{BE} (?:not|no longer)(?: (?:working|employed))? (?:at|with|by) {ORG}(?:{END}| any)", _is_not_at),
    form(
        rf"(?:(?P<been>{HAVE} been)|{BE}) (?:at|with) {ORG}"
        rf"(?P<team>,? (?:in|on) the [\w ]{{2,30}} (?:team|department|group|division))?{END}",
        _is_at,
    ),
    form(rf"(?:teach|teaches|{BE} teaching)(?: [\w ]{{1,30}}?)? at {ORG}", _teaches_at),
    form(
        rf"(?:{BE} (?:no longer|not) (?:an? |the )?|(?:{HAVE} )?stepped down (?:as|from being) "
        rf"(?:an? |the )?){_RANK}",
        _is_no_longer,
    ),
    form(
        rf"(?:(?:was|got|{HAVE} been) (?:made|named|appointed)(?: as)? (?:an? |the )?"
        rf"|{BE} (?:the (?:new )?|now (?:the |an? )?)?(?=(?:head|director|chief|vp|president|lead) (?:of"
        rf"|at)\b)"
        rf"|{BE} the new |(?:{HAVE} )?(?:took|taken) over as (?:the )?){_RANK}",
        _was_made,
    ),
    form(
        rf"(?:(?:will|{BE} going to) (?:be )?(?:work|working|start|starting|join|joining)|{BE} "
        r"(?:starting|joining)|starts?)(?: (?:working|work|an?|my|new|job|position|role))* (?:at "
        rf"|with |for )?{ORG}{END}",
        lambda match: (
            _will_work(match)
            if match.said.speaks_of_work or re.search(r"work|starts? at|starting at", match.group())
            else []
        ),
    ),
    form(rf"{BE} at {ORG} as {ROLE}", _works),
    form(rf"(?:report|reports) to (?P<who>{NAME}){END}", _reports_to),
    form(rf"(?:{HAVE} )?(?P<verb>left|quit)(?P<sure>) {ORG} for (?P<to>{NAME}){END}", _left),
    form(
        r"(?:have |has )?(?P<verb>left|quit|resigned from|retired from)(?P<sure> (?:my|their|the|his"
        r"|her) (?:job"
        rf"|position|role)(?: as [\w ]{{2,30}}?)? (?:at|with))? {ORG}{END}",
        _left,
    ),
    form(rf"(?P<verb>left) {ORG} (?P<sure>(?:to join|for a (?:new )?(?:job|role|position)))\b", _left),
    form(rf"(?P<verb>left|quit) {ORG}(?P<sure>)(?P<why> (?:after|because|in|for|to)\b)", _left),
    form(
        r"(?P<verb>(?P<sure>used to work|no longer works?|(?:do|does) not work|stopped working"
        rf"|{BE} no longer(?: working| employed)?)) (?:at|for|with|by) {ORG}",
        _left,
    ),
    form(rf"(?P<verb>(?P<sure>(?:was|got|{HAVE} been) (?:laid off|fired|let go)))(?: from| by) {ORG}", _left),
    form(
        r"(?P<verb>quit|left|lost) (?:my|their|his|her|the) job\b(?! (?:interview|offer|search|market"
        r"|application))",
        _lost_job,
    ),
    form(
        rf"(?:{HAVE} )?(?P<verb>(?:was|got|been) (?:laid off|fired|let go|made redundant)|retired){END}",
        _lost_job,
    ),
    form(rf"{BE} (?P<verb>unemployed|between jobs|out of work|out of a job|jobless|retired){END}", _lost_job),
    form(
        r"(?:do|does) (?:marketing|sales|support|research|design|finance|accounting|HR|IT|PR|QA"
        r"|engineering|legal"
        rf"|operations|product|communications|data [a-z]+) (?:at|for) {ORG}",
        _works,
    ),
    form(
        rf"(?:{HAVE} )?(?P<verb>quit|resigned){END}",
        lambda match: _lost_job(match) if match.said.speaks_of_work else None,
    ),
    form(
        rf"(?:{BE} working|works?|(?P<perfect>{HAVE} (?:worked|been working)))(?: part-time"
        rf"| full-time| remotely| as {ROLE})? (?:at|for) {ORG}"
        rf"(?: as {ROLE.replace('<role>', '<role2>')})?",
        _works,
    ),
    form(
        rf"(?:{HAVE} )?{_CHANGE}(?: as {ROLE})? (?:at|with|for) {ORG}(?: as"
        rf" {ROLE.replace('<role>', '<role2>')})?",
        _works,
    ),
    form(
        rf"(?:(?:was|got|{HAVE} been) hired)(?: as {ROLE})? (?:at|by) {ORG}"
        rf"(?: as {ROLE.replace('<role>', '<role2>')})?",
        _works,
    ),
    form(rf"(?:{HAVE} )?(?P<change>joined) {ORG}(?:'s team)? as {ROLE}", _works),
    form(
        rf"(?:{HAVE} )?(?P<change>joined) (?:the team at )?{ORG}{END}",
        lambda match: _works(match) if match.said.speaks_of_work or "team at" in match.group() else [],
    ),
    form(
        rf"(?:(?:{BE} )?work(?:s|ing)?|started(?: working| out)?|got (?:a (?:new )?)?(?:job|work"
        rf"|position)|was hired|got hired) as {ROLE}",
        _works,
    ),
    form(
        rf"(?:became|{HAVE} become|{HAVE} retrained as|retrained as|qualified as|was promoted to|got"
        rf" promoted to|{HAVE} been promoted to|got a promotion to) {ROLE}",
        _became,
    ),
    form(
        rf"(?:study|studies|{BE} studying|{BE} (?:an? )?(?:\w+ )?student|{BE} enrolled|(?:have"
        rf"|has) been studying)(?P<what> [a-z][a-z ]{{2,40}}?)? (?:at|in) (?:the )?(?P<school>{NAME})",
        lambda match: _studies(match) if _at_school(match) else [],
    ),
    form(
        rf"(?:{HAVE} )?(?:dropped out of|left|finished (?:at|my studies at)) (?:the"
        rf" )?(?P<school>{NAME}){END}",
        lambda match: _graduated(match) if _at_school(match) or "out" in match.group() else None,
    ),
    form(
        rf"(?:go(?:es)? to|attends?|{BE} attending|{BE} going to|(?:{HAVE} )?(?:started at|transferred to"
        rf"|switched to|changed to|enrolled (?:at|in))) (?:the )?(?P<school>{NAME})(?P<what>)(?: now)?{END}",
        lambda match: _goes_to_school(match) if _SCHOOL.search(match["school"]) else None,
    ),
    form(rf"(?:{HAVE} )?graduated(?: [a-z ]{{0,30}})? from (?:the )?(?P<school>{NAME})", _graduated),
)
"""The first that fits decides."""


TRADES: tuple[Form, ...] = (
    form(
        rf"{BE} (?:an? |the )(?P<role>[A-Za-z][\w/-]*(?: (?!at\b|for\b|with\b|in\b|and\b|on\b|by\b|who\b"
        rf"|that\b|of\b|to\b)[\w/-]+){{0,4}})(?: (?:at|for|with) {ORG})?",
        _is_role,
    ),
)
"""What one is by trade; any other form goes before."""
