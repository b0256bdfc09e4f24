"""English words by what they say of change: closed classes, as a grammar or a thesaurus groups them."""

from __future__ import annotations

import re
from enum import IntEnum


class Change(IntEnum):
    """How plainly a sentence tells that something changed."""

    NONE = 0
    DENIED = 1
    """It says no to something: "I don't eat meat"."""
    HINTED = 2
    """It only fits a change: "now", "instead", "moving"."""
    BESIDE = 3
    """The sentence before or after it is plain."""
    PLAIN = 4
    """It says so by itself: "quit", "switched", "no longer"."""


_PLAIN = """
    quit quits quitting stopped dropped cancel cancelled canceled cancelling sold divorced separated retired
    resigned fired ended expired closed died scrapped ditched dumped abandoned donated unsubscribed
    uninstalled deleted discontinued outgrew outgrown switched switching swapped replaced replacing changed
    moved relocated upgraded downgraded migrated promoted demoted transferred converted renamed rebranded
    postponed rescheduled delayed deferred correction mistaken misspoke misremembered anymore
    nowadays raised lowered increased decreased reduced doubled halved tripled cut
"""
"""Ends, replacements, other times, corrections, more and less."""
_HINTED = """
    left leaving stop dropping gave broke broken finished done returned removed lost switch swap replace
    change moving move upgrade instead became become joined started joining starting now currently
    updated wrong mistake meant grown grew gained reached extended
    shortened
"""
_DENIED = "not never no isn't aren't don't doesn't didn't won't can't"

CHANGES: dict[str, Change] = {
    **dict.fromkeys(_DENIED.split(), Change.DENIED),
    **dict.fromkeys(_HINTED.split(), Change.HINTED),
    **dict.fromkeys(_PLAIN.split(), Change.PLAIN),
}
NEW = frozenset("new newer newest latest another".split())
"""Before what there is now; of everything else they say nothing."""

PLAIN_PHRASE = re.compile(
    r"\b(?:(?:gave|given|giving) (?:it |them |that |this |him |her |the \w+ |my \w+ )?(?:up|away)"
    r"|(?:gone|went|going) off|(?:got|get|getting) rid of|(?:grew|grown|growing) out of"
    r"|(?:broke|broken|split) up|laid off|let (?:\w+ ){0,4}go|call(?:ed|ing) (?:it |that |this )?off"
    r"|(?:is|are|was|were|'s) off"
    r"|(?:handed|hand|handing) in|had enough of|good-?bye|fed up|(?:sick|tired) of|(?:done|through) with"
    r"|can't stand|(?:shut|closed?) down|passed away|fell through|(?:backed|pulled|dropped|moved|grown) out"
    r"|put off|(?:broke|died|gave up) on me|put (?:it )?(?:away|aside)|over with|took down"
    r"|lost (?:my|his|her|our|their|the)|no longer|any ?more"
    r"|traded (?:it |them |\w+ \w+ )?(?:in|for)|(?:went|gone|going|am|is|are|i'm|'s) back (?:to|on|at|in)"
    r"|rather than|instead of|in (?:favou?r|place) of|took (?:it )?over|turned into"
    r"|changed (?:my|his|her|our|their) minds?|made the switch|these days|as of|from now on|at last"
    r"|up to now|until now|till now|mixed (?:\w+ )?up|scratch that|my mistake|i was wrong|got .{1,20} wrong"
    r"|pushed (?:it |them |the \w+ |my \w+ )?(?:back|to|out|until)"
    r"|brought forward|moved (?:to|up|back|from)|(?:earlier|later) than (?:planned|expected|i thought)"
    r"|(?:went|gone|going|goes|is|are|am|i'm|'s|bumped|put) (?:up|down) (?:to|from|by)"
    r"|(?:this|here) is home now|is (?:my|our) (?:new )?home now"
    r"|(?:my|our|his|her|their|the) (?-i:old|former|previous) (?:ones?|(?-i:[A-Z])\w+)"
    r"|made (?:me|him|her|us) (?:\w+ ){0,2}(?:manager|lead|leader|head|director|partner|chief|captain"
    r"|supervisor|editor|principal|chair|boss|president))\b",
    re.IGNORECASE,
)
HINTED_PHRASE = re.compile(
    r"\b(?:so far|by now|for now|turn(?:s|ed) out|the end of|used to|since (?:last|this|the (?:first|start"
    r"|beginning|end)|yesterday|today|\w+day|january|february|march|april|may|june|july|august|september|october|november"
    r"|december))\b",
    re.IGNORECASE,
)
ANCHORS = frozenset(
    """
    up away off rid out enough goodbye bye fed sick tired done through stand down passed handed hand handing
    back over aside longer more anymore lost traded rather instead favour favor place took turned mind minds
    switch days as now last till until mixed scratch mistake wrong forward earlier later let pushed old former
    previous made
    """.split()
)
HINTED_ANCHORS = frozenset("far now turn turns turned end used since".split())
"""Each of the phrases has one of these: who has looked at the words knows where to look for phrases."""
CORRECTS = re.compile(
    r"\b(?:correction|mistaken?|misspoke|misremembered|mixed (?:\w+ )?up|scratch that|i meant|was wrong"
    r"|changed my mind|not .{1,40} but)\b",
    re.IGNORECASE,
)
"""What somebody says who takes back what was said a moment ago."""
INSTRUCTS = re.compile(
    r"(?:when(?:ever)?|every time) you\b[^?,]{2,80},\s*(?:please |always |never |don't )?[a-z][^?]*$",
    re.IGNORECASE,
)
"""How it is to be done, and no question: "When you write to me, keep it short"."""
UNDECIDED = re.compile(
    r"\b(?:would like|i'd (?:like|love|prefer)|thinking (?:of|about|that)|consider(?:ing)?|interested in"
    r"|looking (?:for|to|into|forward)|hoping|wondering|curious|want(?:ed)? to|planning|plan to|trying to"
    r"|might|maybe|could|i'll|need to|excited)\b",
    re.IGNORECASE,
)
"""Wishes and thoughts of what may be one day."""
ADVISES = re.compile(
    r"\b(?:recommend|check(?:ing)? out|you should|you(?:'d| would) (?:love|like|enjoy)|sounds like)\b",
    re.IGNORECASE,
)
"""Advice and comment: neither says how things are."""
_FICTION = r"(?:dream|film|movie|book|novel|game|story|series|sitcom|comic|musical)s?"
_TELLING = r"(?:about|where|in which|with|called|the|an?|my|he|she|they|I|we|[\w-]+ \w+ed)\b"
UNREAL = re.compile(
    r"\b(?:dream(?:t|ed|ing) |nightmare|jok(?:ed|ing)\b|pretend(?:ed|ing)\b|made (?:it )?up\b"
    rf"|(?:in|about|from) (?:the|an?|this|that|my|another|some) (?:\w+ ){{0,2}}{_FICTION}\b {_TELLING}"
    rf"|(?:watch|read|play|saw|see)(?:ed|ing)? (?:\w+ ){{0,4}}{_FICTION}\b {_TELLING}"
    r"|(?:never|not|n't|almost|nearly) (?:\w+ )?(?:quit|quitting|stop|stopped|leave|sell|give up|giving up)"
    r"|(?:never|almost|nearly) (?:\w+ )?(?:left|sold|cancell?ed|gave up|moved|switched))\b",
    re.IGNORECASE,
)
"""What was dreamt, made up or seen in a film, and ends that did not come: of these nothing is a change."""
USED_TO = re.compile(r"\bused to\b", re.IGNORECASE)
LONG_AGO = re.compile(
    r"\b(?:as an? (?:\w+ )?(?:child|kid|boy|girl|teenager|teen|student|baby|toddler)"
    r"|(?:at|in|during) (?:school|university|college|my youth)|when (?:I|we|he|she|they) (?:was|were)"
    r"|back (?:then|in|when)|growing up|years ago"
    r"|in (?:the|my|his|her) (?:\w+ )?(?:\w*teens|twenties|thirties|childhood|\d0s|eighties|nineties))\b",
    re.IGNORECASE,
)
"""With "used to": it was over before anybody spoke of it."""

PRESENT = frozenset(
    """
    am is are i'm it's he's she's we're they're there's that's have has i've we've they've will i'll we'll
    do does can don't go goes use uses live lives work works want need play keep drive run eat drink take
    takes love like prefer hate
    """.split()
)
BEGINS = frozenset(
    """
    bought got adopted signed joined started moved switched booked subscribed ordered enrolled took hired
    became began planned decided agreed set registered picked chose
    """.split()
)
"""Told in the past, and lasting since then."""
PAST = re.compile(
    r"\b(?:was|were|did|had|went|made|won|met|saw|came|gave|told|said|found|felt|taught|led|ran|wrote|ate|sat"
    r"|[a-z]{3,}ed)\b"
)

_FIELDS = {
    "home": """
        live lives living lived apartment flat house home room address street rent rents renting rented
        landlord lease moved move moves neighbourhood neighborhood tenancy mortgage flatmate roommate lodger
        keys postcode dorm halls relocated settled based
    """,
    "work": """
        job jobs work working works worked employer employed employment company office salary role roles
        contract manager boss career position profession occupation resigned resignation unemployed freelance
        freelancer freelancing colleagues shift shifts payroll firm promoted promotion retired hired badge
        director supervisor
    """,
    "study": """
        studying study studies studied degree university uni college major school enrolled semester thesis
        course graduated phd
    """,
    "love": """
        boyfriend girlfriend partner husband wife fiance fiancee fiancé fiancée dating engaged engagement
        married single divorced divorce relationship
    """,
    "diet": """
        diet vegetarian vegetarians vegan vegans pescatarian flexitarian omnivore keto paleo halal kosher
    """,
    "number": "phone number mobile landline email e-mail address",
}
FIELDS_OF: dict[str, frozenset[str]] = {}
"""By word, the fields of life it speaks of: in each a person has one state at a time."""
for _field, _words in _FIELDS.items():
    for _word in _words.split():
        FIELDS_OF[_word] = FIELDS_OF.get(_word, frozenset()) | {_field}

MOVES = frozenset("move moves moved moving relocated".split())
MOVES_HOME = re.compile(
    r"\b(?:mov(?:e|es|ed|ing)|relocated)\b(?! (?:my|our|his|her|their|its|the|an?|this|that|it|them)\b)"
    r"(?! to \d)(?! (?:in)?to the (?:front|back|left|right|top|bottom|next|side|other|end|office|desk"
    r"|class|team|group|department)\b)"
    r"(?! (?:back )?(?:to|from) (?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march"
    r"|april|may|june|july|august|september|october|november|december)\b)",
    re.IGNORECASE,
)
"""Moving house: not the wedding, not to Friday, and not to the front row."""
DETERMINERS = frozenset("my our the his her their its a an this that these those all everything it".split())
"""Before what a verb does something to."""
FIELD_PHRASES = {
    "home": re.compile(
        r"\b(?:I'm|I am|we're|we are|living|sits?) in (?-i:[A-Z])\w+\b(?! (?:this|for|today|on|until)\b)",
        re.IGNORECASE,
    ),
    "work": re.compile(
        r"\b(?:I'm|I am|he's|she's|is|been) (?:[\w-]+ ){1,6}(?:at|for|with) (?:the )?(?-i:[A-Z])"
        r"|\bI (?:[\w-]+ ){1,6}for (?:the )?(?-i:[A-Z])",
        re.IGNORECASE,
    ),
}
"""How people tell of a field without a word of it: "I'm in Graz", "I'm a buyer at Brandt"."""
LEFT = frozenset("left leaving leave".split())
"""Before the name of whom or what somebody is with no longer; alone they only fit a change."""
SPEAKER = frozenset("i we i'm i've i'd i'll we've we're we'll my our im ive".split())
OTHERS = frozenset("he she they his their".split())
KIN = frozenset(
    """
    mother mum mom father dad parents brother sister son daughter wife husband partner boyfriend girlfriend
    friend mate cousin aunt uncle grandmother grandma grandfather grandpa nephew niece boss manager
    colleague neighbour neighbor flatmate roommate landlord teacher doctor gran granny nan nana grandson
    granddaughter stepmother stepfather stepson stepdaughter ex fiancé fiancée fiance fiancee
    """.split()
)

TITLES = frozenset("mr mrs ms dr prof st".split())
"""Before a name, and none."""
BEING = frozenset("is are was were got has".split())
"""Behind what something is done to, mostly: "Yoga is cancelled"."""
PERSONAL = frozenset(
    "divorced separated retired resigned fired promoted demoted mistaken married engaged".split()
)
"""What becomes of somebody: of "Omar is divorced" it is not Omar who has ended."""
OVER = frozenset("longer anymore any more".split())
"""Of "Omar is no longer vegan" neither."""
ADVERBS = frozenset(
    "no not never just still also finally recently now already really always only has had have longer".split()
)
"""Between a name and its verb."""

LIGHT = frozenset(
    """
    able actual add advice ago agree ah almost alone alright always amazing anyone anything anyway apart
    appreciate around ask awesome bad base beautiful began begin believe best better big bit boring bring
    busy buy call came care case chance chat check close come consider cool couple course crazy create cup
    current cute day decide definitely deserve different difficult discover dream easy eh else end enjoy
    especially even evening ever every everyone everything exactly example excite exciting expect experience
    experiment explore face fact fast favorite favourite feel feeling felt few figure final find fine finish
    first fit follow found free friend fun general get glad goal goes going gone gonna good got grateful
    great guess guy half hand hang happen happy hard haven hear heard hello help hey hi hit hold honest hope
    hour huge idea important incredible inspire interest interesting issue journey keep kid kind kinda knew
    know knowledge learn least leave less let level life like list little ll lol long look loved low luck
    made main make man many matter maybe mean meet mention might mind minute miss moment month moon morning
    much must name near need news nice night nope normal note nothing notice number oh ok okay old open
    option order original outside pack part pass past peace people perfect perhaps person pick piece place
    plan plus point pretty probably problem process progress proud purchase put quick quite rather re read
    ready real realise realize reason recent recommend recommendation relax remember remind require rest
    right run sad said same say second see seem seen send set several share short show side simple sit small
    someone something sometimes soon sorry sort sound special specific spend spent spot stay step still
    story strong stuff suggest suggestion super support suppose sure surprise sweet take taken talk task
    tell thank thanks thing think third thought time tip today together told tomorrow tonight took total
    touch track tried true truly try turn type understand upset use useful usual ve version view visit wait
    wanna want watch way week weekend well went whatever whole wish won wonder wonderful word worry worth
    wow write yay yeah year yep yes yesterday yet isn don didn doesn couldn wouldn shouldn aren wasn weren
    hasn hadn one two three four monday tuesday wednesday thursday friday saturday sunday january february
    march april may june july august september october november december
    """.split()
)
"""Words of talk, of time and of judging, which everybody uses of everything: sharing one says nothing."""
