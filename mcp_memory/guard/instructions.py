"""Whether a text gives orders to an assistant, as one does that was planted to be remembered and obeyed.

Where the line is: what a user wishes of the *form* of answers (language, length, tone, units, how to be
called) is a preference, also when it is said as an order. What reaches for authority is not: over the
assistant's other instructions, over what its user may know, over who it is; or what pretends to come from
somebody else (role tags, hidden comments, words to whatever model reads them). What people tell of orders
that others gave them is talk. Such a text is still data and is kept; it is only never taken for a way to act.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


def reads_like_instruction(text: str) -> bool:
    """In English, German, French and Spanish. Takes time in proportion to the length."""
    if not text.isascii() and _UNSEEN_LETTERS.search(text):
        return True
    plain = _plain(text)
    if any(order.form.search(plain) for order in _ORDERS if order.may_be_in(plain)):
        return True
    if any(_HIDDEN_ORDER.search(match[1] or match[2]) for match in _COMMENT.finditer(plain)):
        return True
    conduct = (match for order in _CONDUCT if order.may_be_in(plain) for match in order.form.finditer(plain))
    return any(not _OF_FORM.match(plain, match.end()) for match in conduct)


_UNSEEN_LETTERS = re.compile("(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007e]{4,}")
"""Letters that no reader sees and a model reads; after a black flag they say whose flag it is."""


def _plain(text: str) -> str:
    """In small letters, and without what hides words from a search: letters of other shapes, joiners of no
    width, curly apostrophes."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_NO_WIDTH)
    return _SPACES.sub(" ", text.lower())


_NO_WIDTH = {ord("’"): ord("'")} | dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_SPACES = re.compile(r"[^\S\n]+")


@dataclass(frozen=True, slots=True)
class _Order:
    """What an order looks like."""

    form: re.Pattern[str]
    needed: tuple[tuple[str, ...], ...]
    """Of each group one piece is in every text that it is in: to look for those alone is much quicker."""

    def may_be_in(self, plain: str) -> bool:
        return all(any(piece in plain for piece in group) for group in self.needed)


def _order(form: str, *needed: str) -> _Order:
    return _Order(re.compile(form, re.MULTILINE), tuple(tuple(group.split()) for group in needed))


# Where an order can begin: with a clause, not after who is said to have given it.
_CLAUSE = (
    r"(?:^|(?<=[.!?:;,>*#\"'“”(\[\n-])|(?<=\band)|(?<=\bund)|(?<=\bnow)|\b(?:please|kindly|must|shall|should"
    r"|important|immediately|bitte|musst|sollst|veuillez|s'il vous plaît|tu dois|vous devez|por favor"
    r"|debes),?) {0,2}"
)
_RULES = (
    r"(?:instructions?|prompts?|rules|guidelines|directives|guardrails|(?:safety|security)"
    r" (?:measures|filters|protocols)|programming|training|constraints|restrictions|content polic(?:y|ies)"
    r"|(?<=previous )(?:directions|commands|orders|conversations?)|(?<=above )(?:directions|commands|orders))"
)
_RULES_NEEDED = (
    "instruct prompt rule guideline directive guardrail safety security programming training constraint"
    " restriction polic direction command order conversation"
)
_ALL = (
    r"(?:(?:all|any|every|everything|each|the|your|my|these|those|its|of|other|previous|prior|above|earlier"
    r"|preceding|existing|initial|original|system|safety|developer(?:'s)?|given|default|current|content|and"
    r"|ethical|hidden) ){1,6}"
)
_AI = (
    r"(?:ai|a\.i\.|llm|(?:large )?language model|chat ?bot|ai (?:assistant|agent|model|system)"
    r"|virtual assistant)"
)
_MODEL = rf"(?:{_AI}|assistant|agent|model|claude|chatgpt|gpt|gemini|copilot)"
_MODEL_NEEDED = "ai a.i. llm model bot assistant agent claude gpt gemini copilot"
_SECRETLY = r"(?:do not|don't|never|must not|without|avoid|refrain from) (?:ever )?"
_TO = r"(?:^|[\n.!?:\"'*(\[<-])\W{0,4}"
_LINE = r"(?:^|\n)\W{0,6}"

_ORDERS = (
    # Over its other instructions.
    _order(
        rf"{_CLAUSE}(?:you (?:must|should|will|can|may) )?(?:now )?(?:ignore|disregard|override|overrule"
        rf"|bypass"
        r"|forget(?: about)?|discard|drop|do not (?:follow|obey)|don't (?:follow|obey)|stop (?:following"
        r"|obeying)"
        rf"|pay no attention to) (?:{_ALL}{_RULES}|instructions?|guidelines)\b",
        "ignore disregard overr bypass forget discard drop follow obey attention",
        _RULES_NEEDED,
    ),
    _order(
        rf"{_CLAUSE}(?:ignore|disregard|forget) (?:everything|all|anything) (?:(?:(?:that"
        rf"|which) )?(?:is |was |came "
        r"|you were |you have been |you've been )?(?:above|before this|prior|told|said|instructed|taught"
        r"|written)\b|you (?:know|were|have)\b)",
        "ignore disregard forget",
    ),
    _order(
        rf"{_CLAUSE}forget everything and (?:you|do|act|answer|respond|say|follow|obey|only|instead|just|now"
        r"|tell me|pretend)\b",
        "forget",
    ),
    _order(
        rf"{_CLAUSE}(?:your|the) (?:new|updated|real|true|actual) (?:instructions?|orders?|rules"
        rf"|system prompt) (?:are|is)\b|{_LINE}new (?:system )?(?:instructions?|rules|orders)\W{{0,3}}:",
        "instruct order rule prompt",
        "new updated real true actual",
    ),
    _order(
        r"\b(?:these|this|the following) (?:new )?(?:instructions?|rules|orders?|message"
        r"|prompt) (?:overrides?"
        r"|supersedes?|replaces?|takes? precedence over|cancels?) (?:all|any|every|your|the|previous|prior"
        r"|other)\b",
        "overrid supersede replace precedence cancel",
    ),
    _order(
        r"(?:^|[.!?\n]) ?\W{0,4}(?:system|admin|security) override\b",
        "override",
    ),
    # Over who it is, and what holds it back.
    _order(
        r"\byou are (?:now|no longer|henceforth) (?:(?:an?|the|in|called|going to act) )?(?:\w+ ){0,3}?"
        rf"(?:dan\b|{_AI}\b|assistant\b|jailbroken|unrestricted|unfiltered|uncensored|developer mode|god mode"
        r"|root\b|admin mode|bound by|restricted|limited by)",
        "you are",
    ),
    _order(
        r"\b(?:act as|pretend (?:you are|to be)|roleplay as|you are) an? (?:unrestricted|unfiltered"
        r"|uncensored|jailbroken)\b|\bdan\b.{0,5}\bdo anything now"
        r"|\bfrom now on,? you (?:have no (?:\w+ )?(?:rules|guidelines|restrictions|limits)"
        r"|are going to act as)\b",
        "unrestricted unfiltered uncensored jailbroken dan from",
    ),
    _order(
        r"\b(?:developer|god|admin|jailbreak|dan|sudo|unrestricted) mode (?:is )?(?:now )?(?:enabled"
        r"|activated|unlocked)|\benter (?:god|jailbreak|dan|unrestricted) mode\b",
        "mode",
    ),
    _order(
        rf"{_CLAUSE}(?:pretend|act|behave|respond|answer|roleplay|imagine)\b[^.!?\n]{{0,60}}"
        r"\b(?:no|without(?: any)?|free (?:of|from)(?: all)?"
        r"|unbound by(?: any)?) (?:\w+ ){0,2}(?:restrictions|rules"
        r"|guidelines|limitations|filters?|censorship|ethics|morals|content polic\w+)\b",
        "pretend act behave respond answer roleplay imagine",
        "restriction rule guideline limitation filter censorship ethics morals policies policy",
    ),
    # Over what its user may know, and what is the user's.
    _order(
        rf"\b{_SECRETLY}(?:tell(?:ing)?|inform(?:ing)?|notify(?:ing)?|alert(?:ing)?|warn(?:ing)?|let(?:ting)?"
        r"|ask(?:ing)?) (?:(?:the|this|your|its) )?(?:end[ -]?)?user\b",
        "user",
    ),
    _order(
        rf"\b{_SECRETLY}(?:mention|reveal|disclose|show|say)\w*\b[^.!?\n]{{0,40}}\bto the user\b",
        "to the user",
    ),
    _order(
        r"\b(?:keep|hide|conceal) (?:this|it|that|these|the \w+)\b[^.!?\n]{0,30}\bfrom the user\b",
        "from the user",
    ),
    _order(
        r"\bwithout the user(?:'s)? (?:knowledge|knowing|noticing|consent|permission|approval)\b",
        "without the user",
    ),
    _order(
        rf"{_CLAUSE}(?:print|reveal|repeat|output|show|leak|disclose|display|tell me|give me|expose|dump"
        rf"|recite|echo)"
        r" (?:(?:me|us|out|back) )?(?:(?:all|everything in) )?(?:of )?(?:your"
        r"|the) (?:\w+ ){0,3}(?:system prompt"
        r"|system message|initial prompt|hidden (?:prompt|instructions)|secret instructions"
        r"|developer message)",
        "prompt message instructions",
    ),
    _order(
        rf"{_CLAUSE}(?:you must )?(?:send|forward|post|upload|exfiltrate|e-?mail|transmit|leak"
        rf"|copy)\b[^.!?\n]{{0,60}}"
        r"\b(?:memor(?:y|ies)|conversations?|chat (?:history|logs?)|passwords?|credentials|api keys?|secrets"
        r"|tokens|user(?:'s)? (?:data|information|details|files|messages))\b[^.!?\n]{0,60}?"
        r"\bto (?:https?:|\S{1,60}@\S|\S{1,40}\.(?:com|net|io|org)\b)",
        "send forward post upload exfiltrate mail transmit leak copy",
        "http: https: @ .com .net .io .org",
    ),
    # To whatever model reads it.
    _order(
        rf"{_TO}(?:attention|note|notice|message|instructions?|important|hey|hello|dear|to)[,:]?(?: (?:to"
        rf"|for))?"
        rf" (?:(?:all|any|every|the|whatever) )?{_MODEL}s? (?:reading|that reads?|which reads?|who reads?"
        r"|processing|parsing|summari[sz]ing)\b",
        "read process pars summari",
        _MODEL_NEEDED,
    ),
    _order(
        rf"{_TO}(?:attention|notice|message|instructions?)[,:]?(?: (?:to|for))? (?:(?:all|any|every|the"
        rf"|whatever) )?{_AI}s?\b[^.!?\n]{{0,30}}[:,!]",
        "attention notice message instruction",
        _MODEL_NEEDED,
    ),
    _order(
        rf"\bif you(?: are|'re) an? {_MODEL}\b[^.!?\n]{{0,40}}[,:] ?(?:please |you |then ){{0,3}}(?:must"
        rf"|should|ignore"
        r"|disregard|say|include|tell|recommend|rate|do|add|always|never|stop|reply|respond|answer|output"
        r"|write|send|use|call)\b",
        "if you",
        _MODEL_NEEDED,
    ),
    _order(
        rf"\bas an? {_MODEL}\b[^.!?\n]{{0,30}}, ?(?:from now on|henceforth|you (?:must|shall|will"
        rf"|are (?:required"
        r"|obliged|to))|always|never)\b",
        "from henceforth you always never",
        _MODEL_NEEDED,
    ),
    # In another's name.
    _order(
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|begin_of_text)\|>"
        r"|\[/?inst\]|^\[system\] ?\S|<</?sys>>|</?(?:system|assistant|developer|instructions?_override"
        r"|admin|human)>"
        r"|</?system[-_ ](?:prompt|message|reminder|instructions?)>",
        "< [inst] [/inst] [system] [/system]",
    ),
    _order(
        rf"{_LINE}(?:(?:begin|end|start of|new) )?(?:system|developer|assistant) ?(?:prompt|message|override"
        r"|instructions?|notice|notification|command)\W{0,4}:",
        "system developer assistant",
    ),
    _order(
        rf"{_LINE}(?:system|assistant|developer)\W{{0,3}}: ?(?:you|your|i |i'|sure|of course|certainly|okay"
        rf"|ignore"
        r"|disregard|forget|always|never|do not|don't|the user|from now|respond|reply|answer|override"
        r"|new |must|grant|as an? )",
        "system assistant developer",
    ),
    _order(r"(?:^|\n)#{1,4} ?(?:system|instruction)s?:? ?\n", "#"),
    # In German.
    _order(
        rf"{_CLAUSE}(?:ignorier|missacht|vergiss|vergess|verwirf"
        rf"|überschreib)\w{{0,4}} (?:sie )?(?:bitte )?(?:(?:ab sofort"
        r"|jetzt|alle|alles|sämtliche|die|deine|ihre|diese|vorherigen?|bisherigen?|früheren?|obigen?|anderen?"
        r"|vorigen?"
        r"|vorangegangenen?|ursprünglichen?) ){1,5}\w{0,20}(?:anweisung|instruktion|regel|vorgabe|befehl"
        r"|richtlinie|prompt)",
        "ignorier missacht vergiss vergess verwirf überschreib",
    ),
    _order(
        rf"{_CLAUSE}(?:vergiss|vergessen sie) alles,? (?:bisherige|vorherige|und (?:du|antworte|sag|tu|gib)"
        rf"|was (?:du|dir"
        r"|ihnen|sie|oben|vorher|bisher))",
        "vergiss vergessen",
    ),
    _order(
        r"\b(?:sag|erzähl|verrat|teil|informier|berichte)\w{0,3} (?:(?:es|das|dies) )?(?:dem|den"
        r"|der) (?:be)?nutzer(?:in)? (?:\w+ ){0,4}?(?:nicht|nichts|niemals|nie)\b",
        "nutzer",
    ),
    _order(
        r"\b(?:als (?:ki|ai|künstliche intelligenz|sprachmodell|assistent)|ab (?:sofort|jetzt)),? (?:bist"
        r"|musst|wirst|sollst|darfst) du (?:immer|nie|niemals|nur|stets|kein\w*|alle[ns]?|dan|ein\w* (?:ki"
        r"|uneingeschränkt\w*)|jede\w*)\b",
        "bist musst wirst sollst darfst",
    ),
    # In French.
    _order(
        rf"{_CLAUSE}(?:(?:ignore|oublie|néglige|outrepasse|contourne)[sz]?r?|ne (?:tiens|tenez"
        rf"|tenir) (?:pas |aucun )?compte"
        r" de) (?:(?:toute?s?|tous|les?|la|tes|vos|ces|cette|de|des|précédentes?|autres|anciennes?) ){1,5}"
        r"(?:instructions?|consignes?|règles?|directives?|ordres?)",
        "ignore oublie néglige outrepasse contourne compte",
    ),
    _order(
        rf"{_CLAUSE}oublie[zr]? tout (?:ce qui précède|ce qu'on|ce que (?:tu|vous|l'on)|et (?:tu|vous|réponds"
        rf"|répondez"
        r"|dis|fais))",
        "oublie",
    ),
    _order(
        r"\bne (?:(?:le|la|les) )?(?:dis|dites|dire|révèle[zs]?|mentionne[zs]?|informe[zs]?|préviens|prévenez"
        r"|parle[zs]?) (?:pas|rien|jamais) (?:\w+ ){0,3}?(?:à )?l'utilisat(?:eur|rice)\b",
        "l'utilisat",
    ),
    _order(
        r"\b(?:en tant qu'(?:ia|intelligence artificielle|assistant)|à partir de maintenant"
        r"|désormais),? (?:tu|vous)"
        r" (?:es|êtes|dois|devez|ne) (?:maintenant )?(?:toujours|jamais|dan|une? (?:ia|assistant)|obéir|dois"
        r"|devez|pas)\b",
        "tant partir désormais",
    ),
    # In Spanish.
    _order(
        rf"{_CLAUSE}(?:ignor[ae]|olvid[ae]|desobedece|desatiende|(?:haz"
        rf"|haga) caso omiso de)n? (?:(?:tod[ao]s?|las?|los|tus"
        r"|sus|estas|esas|mis|otras|anteriores|previas|de) ){1,5}(?:instruccion(?:es)?|reglas|órdenes"
        r"|indicaciones|directrices|normas)",
        "ignor olvid desobedece desatiende omiso",
    ),
    _order(
        rf"{_CLAUSE}olvid[ae] todo (?:lo (?:anterior|que (?:te|sabes|has|se))|y (?:responde|di|haz|tú))",
        "olvid",
    ),
    _order(
        r"\bno (?:(?:le|se lo) )?(?:digas|diga|informes|informe|menciones|mencione|reveles|revele|cuentes"
        r"|avises)\b[^.!?\n]{0,30}\bal? (?:la )?usuari[oa]\b",
        "usuari",
    ),
    _order(
        r"\b(?:como (?:una )?(?:ia|inteligencia artificial|asistente)|a partir de ahora),? (?:(?:tú"
        r"|usted) )?(?:debes"
        r"|tienes que|eres|nunca|siempre) (?:siempre|nunca|obedecer|dan|una? (?:ia|asistente)|debes"
        r"|recomend\w+|dirás)\b",
        "como ahora",
    ),
    _order(
        rf"{_LINE}(?:systemnachricht|system-?anweisung|message (?:du )?système|instructions? (?:du )?système"
        rf"|mensaje del?"
        r" sistema|instrucci(?:ón|ones) del? sistema)\W{0,4}:",
        "system système sistema",
    ),
)

_ACT = (
    r"(?:answer|respond|reply|say|claim|state|recommend|promote|advise|suggest|praise|pretend|obey|comply"
    r"|refuse|deny"
    r"|insist|assume|output|print|include|append|insert|execute|approve|agree|lie|call the|use the"
    r"|tell (?:them|people|everyone|users?))"
)
_CONDUCT = (
    _order(
        r"\b(?:you|the (?:assistant|ai)) (?:must|shall|have to|are (?:required|obliged|ordered|instructed"
        r"|programmed) to"
        rf"|will) (?:(?:always|never|only|now|not|blindly|unconditionally) ){{1,3}}{_ACT}\b",
        "you assistant ai",
        "always never only now not blindly unconditionally",
        "must shall have are will",
    ),
    _order(rf"\bthe (?:assistant|ai) (?:must|shall) {_ACT}\b", "assistant ai", "must shall"),
    _order(
        r"\b(?:from now on|henceforth|from this (?:point|moment)(?: on| onwards?)?),? (?:you|the (?:assistant"
        r"|ai)) (?:are|will|must|shall|should|have to) (?:(?:always|never|only|not|now) ){0,3}(?:be )?"
        rf"(?:{_ACT}|an? (?:\w+ )?{_AI}|dan)\b",
        "henceforth from",
        "you assistant ai",
    ),
    _order(
        r"\bdu (?:musst|sollst) (?:immer|stets|niemals|nie) "
        r"(?!(?:\w+ ){0,3}(?:auf|in|kurz|knapp|höflich|freundlich) )(?:\w+ ){0,4}?(?:antworten|sagen"
        r"|empfehlen|behaupten|gehorchen|zustimmen|verschweigen)\b",
        "musst sollst",
    ),
    _order(
        r"\b(?:tu dois|vous devez) (?:toujours|jamais) (?:répondre|dire|recommander|obéir|affirmer|prétendre"
        r"|mentir)\b",
        "dois devez",
    ),
    _order(
        r"\b(?:siempre debes|debes siempre|nunca debes|no debes nunca) (?:responder|decir|recomendar|obedecer"
        r"|afirmar|mentir)\b",
        "debes",
    ),
)
"""Orders how to act: unless they go on to say only in which form."""
_OF_FORM = re.compile(
    r"[ ,]{0,2}(?:(?:to me|me|back|this|it|everything|always|questions|my questions|à mes questions"
    r"|a mis preguntas|here)"
    r" ){0,3}[ ,]{0,2}(?:(?:in|auf|en|using|with|mit|avec|con) (?:(?:a|an|the|my|very|more|only|einem|un|une"
    r"|la|el) )"
    r"{0,2}(?:\w{3,12}(?:ish|sch|ese|ian|ean|çais|ñol|ués|ano)|french|german|dutch|greek|welsh|hindi|metric"
    r"|imperial"
    r"|celsius|kilomet\w+|bullet\w*|markdown|plain|short|brief|full|simple|complete|numbered|tables?|lists?"
    r"|code|emojis?|\w+ (?:words?|sentences?|lines?|paragraphs?|style|tone|voice|language|units?|format))"
    r"|(?:briefly|concisely|shortly|politely|formally|informally|kurz|knapp|höflich|brièvement|brevemente"
    r"|poliment)\b|less than|at most|no more than|(?:my|your) name\b)"
)

_COMMENT = re.compile(
    r"<!--((?:(?!-->).){1,2000})|^\[[^\]\n]{0,20}\]: ?(?:#|<>) ?[(\"'](.{1,1000}?)[)\"']$",
    re.DOTALL | re.MULTILINE,
)
_HIDDEN_ORDER = re.compile(
    r"\b(?:you (?:must|should|are|will)|ignore|disregard|override|assistant|ai|llm|system prompt"
    r"|instructions?|do not tell|the user|send|always|never"
    r"|ignorier\w*|vergiss|ignorez|oublie[zr]?|ignora|olvida)\b"
)
"""In a comment that nobody sees, less is enough."""
