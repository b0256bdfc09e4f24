"""What somebody's something is, by its name: "my e-mail is", "the trip is cancelled"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from mcp_memory.dates import resolve, times_in
from mcp_memory.extraction import versions
from mcp_memory.extraction.drawing import days_of, fact_of
from mcp_memory.extraction.entities import UPPER, FoundEntity, find_entities
from mcp_memory.extraction.facts import FoundFact
from mcp_memory.extraction.forms import Statement
from mcp_memory.extraction.kinship import kin_fact
from mcp_memory.extraction.people import (
    KIN,
    KIND_OF,
    MY_KIN,
    OPENERS,
    Reader,
    Who,
    kin_of,
    me_of,
    named_thing,
    one_named,
)
from mcp_memory.extraction.phrases import NAME, NEVER_NAMES, named, object_key, plan_key, self_contained
from mcp_memory.models import EntityType, name_key


def of_attributes(text: str, reader: Reader) -> list[FoundFact]:
    """What a clause says of an attribute by its name: "my e-mail is", "the trip is cancelled"."""
    if match := _REACH_ME.search(text):
        return _read_reach_me(match, reader)
    for pattern, read_it in _ATTRIBUTES:
        if match := pattern.match(text):
            found = read_it(match, reader)
            if found:
                return found
    return []


def _owner(whose: str, reader: Reader) -> Who | None:
    lower = whose.lower()
    if lower in ("my", "our", "i") or lower == "the user's":
        return me_of(reader)
    if pronoun := {"his": "he", "her": "she", "their": "they", "he": "he", "she": "she"}.get(lower):
        return one_named(reader, pronoun)
    if match := MY_KIN.match(f"{whose.removesuffix(chr(39) + 's')} "):
        return kin_of(match, reader)
    return named_thing(whose.removesuffix("'s"), f"{whose} x")


def _stated(
    one: Statement, who: Who | None, reader: Reader, *, valid_from: datetime | None = None
) -> list[FoundFact]:
    if who is None:
        return []
    if who.name != reader.me:
        reader.people.append(who)
    fact = fact_of(one, who, None, None, reader)
    return [] if fact is None else [replace(fact, valid_from=fact.valid_from or valid_from)]


def _read_name(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    whose = match.groupdict().get("whose")
    value = named(match["value"])
    who = me_of(reader) if whose is None else _owner(whose, reader)
    if who is None or name_key(value) == name_key(who.name):
        return []
    is_name = whose is not None and "nick" not in match.group()
    if who.name != reader.me and "'s " in who.name:
        # "My sister's name is Maria": she is Maria from now on.
        who = Who(value, "person", (who.name,) if who.is_one else ())
        return [kin_fact(who, match["whose"], reader)] if who.aliases else []
    called = Who(who.name, who.type, (*who.aliases, value))
    statement = Statement(
        f"is called {value}", "fact", slot="is called" if is_name else None, importance=0.75, dated="undated"
    )
    return _stated(statement, called, reader)


def _read_email(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    kind = (match["kind"] or "").strip()
    predicate = f"has {kind} email" if kind else "has email"
    value = match["value"].rstrip(".")
    entity = FoundEntity(value, "email")
    negates = re.search(r"is (?:no longer|not)", match.group()) is not None
    says = f"{'no longer has' if negates else 'has'} {kind + ' ' if kind else 'the '}email {value}"
    return _stated(
        Statement(says, "fact", predicate, entity, predicate, negates, 0.75, "undated"),
        _owner(match["whose"], reader),
        reader,
    )


def _read_phone(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    kind = (match["kind"] or "").strip()
    slot = f"has {kind} phone" if kind in ("work", "office", "home") else "has phone"
    statement = Statement(
        f"has {kind + ' ' if kind else 'the '}phone number {match['value']}",
        "fact",
        slot=slot,
        importance=0.75,
        dated="undated",
    )
    return _stated(statement, _owner(match["whose"], reader), reader)


def _read_birthday(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = match["value"].strip()
    found = re.match(
        r"(?:the )?(?:\d{1,2}(?:st|nd|rd|th)? (?:of )?[A-Za-z]+|[A-Za-z]+ \d{1,2}(?:st|nd|rd|th)?)", value
    )
    days = resolve(found.group(), reader.turn.observed_at) if found else None
    if days is None or days[0].date() != days[1].date():
        return []
    return _birthday(days[0], _owner(match["whose"], reader), reader)


def _read_birthday_today(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    away = {"tomorrow": 1, "yesterday": -1}.get(match["day"].lower(), 0)
    return _birthday(reader.turn.observed_at + timedelta(days=away), _owner(match["whose"], reader), reader)


def _read_favourite(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value, what = self_contained(match["value"], longest=8), match["what"].strip()
    if (
        value is None
        or object_key(value) is None
        or what.startswith(("one ", "one", "to "))
        or what.startswith(("thing", "part", "memor", "time", "moment"))
        or what.endswith("s ")
        or value.endswith("ing")
    ):
        return []
    plural = what.endswith("s") and not what.endswith("ss")
    slot = (
        None
        if plural or value.startswith(("to ", "when ", "how "))
        else f"favourite {what.replace('color', 'colour')}"
    )
    statement = Statement(
        f"has the favourite {what} {value}", "preference", slot=slot, importance=0.6, dated="undated"
    )
    who = _owner(match["whose"], reader)
    if who is None:
        return []
    verb = "are" if plural else "is"
    whole = f"{who.name}'s favourite {what} {verb} {value}."
    return _stated(replace(statement, whole=whole), who, reader)


def _read_job(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = re.sub(r"^(?:an?|the) ", "", match["value"].strip())
    words = value.lower().split()
    if not words or words[-1].endswith("ing") or not re.match(r"(?:an?|the) ", match["value"]):
        return []
    article = "an" if value[0].lower() in "aeiou" else "a"
    return _stated(
        Statement(f"works as {article} {value}", "fact", slot="works as", importance=0.65),
        _owner(match["whose"], reader),
        reader,
    )


def _read_employer(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = named(match["value"])
    entity = FoundEntity(value, "organisation")
    return _stated(
        Statement(f"works at {value}", "fact", "works at", entity, "works at", importance=0.7),
        _owner(match["whose"], reader),
        reader,
    )


def _read_home(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    if "town" in match.group().split(" is ")[0]:
        return []
    value = named(match["value"])
    entity = FoundEntity(value, "place")
    return _stated(
        Statement(f"lives in {value}", "fact", "lives in", entity, "lives in", importance=0.7),
        _owner(match["whose"], reader),
        reader,
    )


def _read_version(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    thing = re.sub(r"^(?:[Mm]y|[Oo]ur) (?=[a-z])", f"{reader.me}'s ", match["thing"])
    thing = re.sub(r"^(?:[Mm]y|[Oo]ur) ", "", thing)
    one = versions.version_of(named(thing), match["version"].rstrip("."))
    return _stated(one, one.subject, reader)


def read_alias(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    name, alias = named(match["name"]), named(match["alias"])
    if name_key(name) == name_key(alias) or name.split()[0] in OPENERS:
        return []
    who = Who(name, "person", (alias,))
    return _stated(Statement(f"is also called {alias}", "fact", importance=0.6, dated="undated"), who, reader)


def _read_renamed(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    old, new = named(match["mine"] or match["old"] or match["itself"]), named(match["new"])
    if name_key(old) == name_key(new) or old.split()[0] in OPENERS:
        return []
    found: dict[str, EntityType] = {
        name_key(one.name): one.type for one in find_entities(match.group(), limit=8)
    }
    kind: EntityType = "project" if old.startswith("Project ") else found.get(name_key(old), "concept")
    who = Who(old, kind, (new,))
    one = Statement(f"is now called {new}", "fact", slot="is called", importance=0.7, dated="undated")
    return _stated(one, who, reader)


def _read_i_am(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "Hi, I'm Bob": a name only where somebody greets."""
    if _GREETS.match(reader.turn.text) is None or named(match["value"]).casefold() in NEVER_NAMES:
        return []
    return _read_name(match, reader)


def _read_reach_me(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = (match["value"] or match["new"]).rstrip(".")
    kind = (match["kind"] or "").strip()
    predicate = f"has {kind} email" if kind else "has email"
    says = f"has {kind} email {value}" if kind else f"has the email {value}"
    one = Statement(
        says, "fact", predicate, FoundEntity(value, "email"), predicate, importance=0.75, dated="undated"
    )
    return _stated(one, me_of(reader), reader)


def _read_address(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    who, value = _owner(match["whose"], reader), match["value"].strip(" .,")
    if who is None or not any(one.isdigit() for one in value):
        return []
    one = Statement("", "fact", slot="has address", importance=0.7, dated="undated")
    return _stated(replace(one, whole=f"{who.name}'s address is {value}."), who, reader)


def _read_day_at_work(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value, is_last = named(match["value"]), match["which"] == "last"
    days = resolve(match["day"] or "today", reader.turn.observed_at, "past")
    says = f"{'left' if is_last else 'started working at'} {value}"
    entity = FoundEntity(value, "organisation")
    one = Statement(says, "fact", "works at", entity, "works at", is_last, 0.7, "undated")
    since = reader.turn.observed_at if days is None else days[0]
    return _stated(one, me_of(reader), reader, valid_from=since)


def _read_let_go(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = named(match["value"])
    entity = FoundEntity(value, "organisation")
    one = Statement(
        f"lost their job at {value}", "fact", "works at", entity, "works at", True, 0.7, "undated"
    )
    return _stated(one, me_of(reader), reader)


def _read_boss(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    value = named(match["value"])
    entity = FoundEntity(value, "person")
    one = Statement(
        f"reports to {value}", "fact", "reports to", entity, "reports to", importance=0.6, dated="undated"
    )
    return _stated(one, me_of(reader), reader)


def _read_takes_place(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    """ "The meeting with Tom is on Friday": a plan with its day."""
    words = self_contained(match["what"], longest=10)
    times = times_in(f"on {match['when']}", reader.turn.observed_at, "future")
    if words is None or not times or times[0].start > 4 or times[0].first < reader.turn.observed_at:
        return []
    if (key := plan_key(words)) is None or len(match["when"]) - len(times[0].expression) > 12:
        return []
    time = times[0]
    whole = f"{_theirs(words, reader.me)} is on {days_of(time)}."
    one = Statement("", "plan", slot=f"plan: {key}", importance=0.5, dated="undated", whole=whole)
    return [
        replace(fact, valid_from=time.first, valid_until=time.last)
        for fact in _stated(one, me_of(reader), reader)
    ]


def _read_cancelled(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    words = self_contained(match["what"], longest=10)
    if words is None or (key := plan_key(words)) is None:
        return []
    whole = f"{_theirs(words, reader.me)} is cancelled."
    statement = Statement(
        "cancelled", "plan", slot=f"plan: {key}", negates=True, importance=0.6, dated="undated", whole=whole
    )
    return _stated(statement, me_of(reader), reader)


def _read_postponed(match: re.Match[str], reader: Reader) -> list[FoundFact]:
    words = self_contained(match["what"], longest=10)
    times = times_in(f"on {match['when']}", reader.turn.observed_at, "future")
    if words is None or not times or times[0].start > 4 or (key := plan_key(words)) is None:
        return []
    time = times[0]
    whole = f"{_theirs(words, reader.me)} is moved to {days_of(time)}."
    statement = Statement(
        "postponed", "plan", slot=f"plan: {key}", importance=0.6, dated="undated", whole=whole
    )
    return [
        replace(one, valid_from=time.first, valid_until=time.last)
        for one in _stated(statement, me_of(reader), reader)
    ]


def _birthday(day: datetime, who: Who | None, reader: Reader) -> list[FoundFact]:
    if who is None:
        return []
    whole = f"{who.name}'s birthday is {day.day} {day:%B}."
    one = Statement("", "fact", slot="has birthday", importance=0.7, dated="undated", whole=whole)
    return _stated(one, who, reader)


def _theirs(words: str, name: str) -> str:
    """ "The trip to Rome" as "Ann's trip to Rome"; "Tom's party" stays his."""
    bare = re.sub(r"^(?:the|their|a|an) ", "", words, flags=re.IGNORECASE)
    return words if bare == words and words[0].isupper() else f"{name}'s {bare}"


_WHOSE = (
    rf"(?P<whose>[Mm]y|[Oo]ur|[Hh]is|[Hh]er|[Tt]heir|[Tt]he user's|{NAME}'s|[Mm]y {KIND_OF}"
    rf"(?:{KIN})(?: [{UPPER}]\w+)?'s)"
)
_ADJ = r"(?:new |current |full |real |first |main |actual |usual )*"
_NOW = (
    r"(?: is| are| was changed to| has changed to| changed to| is now| is still| is currently"
    r"| is actually| is no longer| is not)"
)
_NAME_IS = re.compile(rf"^{_WHOSE} {_ADJ}(?:name|nickname) is (?:now )?(?P<value>{NAME})\.?$")
_CALL_ME = re.compile(
    r"^(?:please |just |you can )*(?:call me|everyone calls me|everybody calls me|people call me"
    rf"|my friends call me|I go by) (?P<value>{NAME})\.?$",
    re.IGNORECASE,
)
_EMAIL_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?P<kind>work |personal |private |business |school )?{_ADJ}(?:e-?mail"
    rf"(?: address)?)(?:{_NOW}):? (?P<value>[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,4}})"
)
_PHONE_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?P<kind>work |personal |private |home |office |mobile |cell )?{_ADJ}(?:phone"
    rf"(?: number)?|number|cell|mobile|telephone(?: number)?|phone no)(?:{_NOW}):? (?P<value>\+?[\d"
    rf"(][\d ()./-]{{5,20}}\d)"
)
_BIRTHDAY_IS = re.compile(
    rf"^{_WHOSE} (?:birthday|date of birth|birth date)(?: is|:)(?: on)? (?P<value>.{{3,40}})$"
)
_BORN_ON = re.compile(rf"^(?P<whose>I|[Hh]e|[Ss]he|{NAME}) (?:was|am|is) born on (?P<value>.{{3,40}})$")
_FAVOURITE_IS = re.compile(
    rf"^{_WHOSE} (?:new |current |all-time |all time |absolute |personal |number one )*favou?rite "
    rf"(?P<what>[a-z][a-z -]{{1,30}}?) (?:is|are|has to be|would be|remains) (?:now |still |definitely "
    rf"|probably |actually )*(?P<value>.{{2,80}})$"
)
_IS_FAVOURITE = re.compile(
    rf"^(?P<value>[{UPPER}].{{1,60}}?|[a-z][\w' -]{{2,40}}?) (?:is|are) (?:now |still |definitely )*"
    rf"(?P<whose>my|our) (?:new |all-time |absolute )*favou?rite (?P<what>[a-z][a-z -]{{1,30}})$"
)
_JOB_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:job|role|position|occupation|profession|job title|title) is (?:now )?(?:as )?"
    rf"(?P<value>(?:an? |the )?[a-z][\w -]{{2,50}})$"
)
_EMPLOYER_IS = re.compile(rf"^{_WHOSE} {_ADJ}(?:employer|company|workplace) is (?:now )?(?P<value>{NAME})$")
_HOME_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:home|hometown|home town|house|place) is (?:now )?in (?P<value>{NAME})$"
)
_VERSION_IS = re.compile(
    r"^(?:[Tt]he |[Oo]ur |[Mm]y )?(?:current|latest|newest|installed|deployed) (?:stable )?(?:version"
    rf"|release) of (?:the )?(?P<thing>[{UPPER}]?[\w.-]{{1,40}}(?: [{UPPER}][\w-]{{1,30}})?) (?:is"
    rf"|we use is)(?: now)? (?:version |v)?(?P<version>\d[\w.-]{{0,20}})"
)
_THING_AT = re.compile(
    rf"^(?P<thing>(?:(?:[Mm]y|[Oo]ur) )?(?:[{UPPER}][\w-]{{1,40}}(?: [{UPPER}][\w-]{{1,30}})?|"
    rf"(?<=[yr] )[a-z][\w-]{{1,30}}(?: [a-z][\w-]{{1,30}})?)) "
    r"(?:is|runs|was upgraded|was updated|has been upgraded|has been updated|got upgraded|moved)"
    r"(?: now| currently)? (?:at|on|to) "
    rf"(?:version |v|release )?(?P<version>\d+\.[\w.-]{{1,20}}|(?<=version )\d+|(?<=v)\d+)"
)
_RENAMED = re.compile(
    rf"^(?:(?:we|I) (?:have )?renamed (?:the )?(?P<mine>{NAME}) (?:to|as) "
    rf"|(?:[Tt]he )?(?P<old>{NAME}) (?:was|is|has been|got|is being) renamed (?:to|as) "
    rf"|(?P<itself>{NAME}) changed (?:its|his|her|their) name to )(?P<new>{NAME})$"
)
_I_AM = re.compile(rf"^(?:I am|[Tt]his is|[Mm]y name is) (?P<value>{NAME})$")
_GREETS = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|nice to meet you|greetings)\b", re.IGNORECASE
)
_CANCELLED = re.compile(
    r"^(?P<what>(?:(?:[Tt]he|[Mm]y|[Oo]ur) |[A-Z]\w+'s )[^,;]{1,60}?) (?:(?:is|was|got|has been|are"
    r"|were|have been"
    r"|had to be) (?:now )?(?:cancelled|canceled|called off|scrapped)\b|is (?:now )?off$)"
)
_FELL_THROUGH = re.compile(
    r"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur) [^,;]{2,60}?) (?:fell through|is not happening|will not happen|"
    r"is no longer happening|will not take place)\b"
)
_I_POSTPONED = re.compile(
    r"^(?:I|[Ww]e) (?:have )?(?:had to )?(?:postponed?|rescheduled?|moved?|pushed?) "
    r"(?P<what>(?:the|my|our) [^,;]{2,60}?) (?:back )?(?:to|until|till) (?P<when>.{3,40})$"
)
_TAKES_PLACE = re.compile(
    r"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur) [a-z][\w' ]{2,50}?) (?:is|will be|takes place|starts) "
    r"(?:now )?(?:planned |scheduled |set |due )?(?:on |for |in |at )?(?P<when>.{3,40})$"
)
_ADDRESS_IS = re.compile(
    rf"^{_WHOSE} {_ADJ}(?:home |postal |mailing )?address is (?:now )?(?P<value>[\w][\w .,'/-]{{5,100}})$"
)
_REACH_ME = re.compile(
    r"(?:reach|e-?mail|contact|write(?: to)?) me (?:at|on|under) (?P<value>[\w.+-]{1,64}@[\w-]{1,63}"
    r"(?:\.[\w-]{1,63}){1,4})"
    r"|changed (?:my|our) (?P<kind>work |personal )?e-?mail(?: address)? to "
    r"(?P<new>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})"
)
_DAY_AT_WORK = re.compile(
    r"^(?:(?P<day>[Tt]oday|[Yy]esterday|[Ll]ast \w+|[Oo]n \w+|[Mm]onday|[Tt]uesday|[Ww]ednesday"
    r"|[Tt]hursday|[Ff]riday|it) "
    rf"(?:is|was)|I (?:just )?had) my (?P<which>first|last) day(?: of work)? at (?P<value>{NAME})"
)
_LET_GO = re.compile(rf"^(?P<value>{NAME}) (?:let me go|laid me off|fired me|made me redundant)\b")
_JOB_AT = re.compile(rf"^{_WHOSE} {_ADJ}job is (?:now )?(?:at|with) (?P<value>{NAME})$")
_KIN_IS = re.compile(
    rf"^(?P<whose>[Mm]y|[Oo]ur) {_ADJ}(?P<kin>boss|manager|supervisor) is (?:now |currently )?"
    rf"(?P<value>{NAME})$"
)
_POSTPONED = re.compile(
    r"^(?P<what>(?:[Tt]he|[Mm]y|[Oo]ur) [^,;]{2,60}?) (?:is|was|got|has been|are|were|had to be)? ?"
    r"(?:now )?(?:postponed|rescheduled|moved|pushed back|brought forward|delayed)(?: to| until"
    r"| till)? (?P<when>.{3,40})$"
)
_BIRTHDAY_TODAY = re.compile(
    rf"^(?:(?P<day>[Tt]oday|[Tt]omorrow|[Yy]esterday|it) (?:is|was) {_WHOSE} birthday)(?: today)?$"
)

_ATTRIBUTES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Reader], list[FoundFact]]], ...] = (
    (_NAME_IS, _read_name),
    (_CALL_ME, _read_name),
    (_EMAIL_IS, _read_email),
    (_PHONE_IS, _read_phone),
    (_BIRTHDAY_TODAY, _read_birthday_today),
    (_BIRTHDAY_IS, _read_birthday),
    (_BORN_ON, _read_birthday),
    (_FAVOURITE_IS, _read_favourite),
    (_IS_FAVOURITE, _read_favourite),
    (_JOB_IS, _read_job),
    (_EMPLOYER_IS, _read_employer),
    (_HOME_IS, _read_home),
    (_RENAMED, _read_renamed),
    (_I_AM, _read_i_am),
    (_VERSION_IS, _read_version),
    (_THING_AT, _read_version),
    (_ADDRESS_IS, _read_address),
    (_DAY_AT_WORK, _read_day_at_work),
    (_LET_GO, _read_let_go),
    (_JOB_AT, _read_employer),
    (_KIN_IS, _read_boss),
    (_CANCELLED, _read_cancelled),
    (_FELL_THROUGH, _read_cancelled),
    (_I_POSTPONED, _read_postponed),
    (_POSTPONED, _read_postponed),
    (_TAKES_PLACE, _read_takes_place),
)
