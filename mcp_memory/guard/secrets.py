"""Secrets in a text: keys, tokens, passwords, PINs and card numbers, found by their form or by what is said
of them, and blotted out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import cast

from stdnum import luhn


@dataclass(frozen=True, slots=True)
class Guarded:
    """A text without its secrets. `found` names the kind of each that was in it, never the secret."""

    text: str
    found: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands in a text, and of what kind it is."""

    start: int
    end: int
    kind: str


def guarded(text: str, known: Mapping[str, str] | None = None) -> Guarded:
    """The text with `[secret: AWS key]` in place of every secret; the very same text when there is none.

    A secret that is said to be one is blotted out wherever else it stands, and so is each of `known`: secrets
    of other texts, with their kinds. Takes time in proportion to the length, whatever is in it.
    """
    found: list[str] = []
    told = _worth_repeating((known or {}).items())
    # What stands beside a mask is looked at again as a text of its own, so that a second time finds nothing.
    while secrets := _joined((*find_secrets(text), *_repeated(text, told))):
        found += [secret.kind for secret in secrets]
        told |= _worth_repeating((text[one.start : one.end], one.kind) for one in secrets)
        text = _blotted(text, secrets)
    return Guarded(text, tuple(found))


def find_secrets(text: str) -> list[Secret]:
    """Every secret, by place; none overlaps another, and what is masked already is not looked at."""
    return [
        Secret(start + one.start, start + one.end, one.kind)
        for start, piece in _unmasked(text)
        for one in _joined(_candidates(piece))
    ]


def _unmasked(text: str) -> Iterator[tuple[int, str]]:
    """What stands between masks, and where."""
    start = 0
    for mask in _MASK.finditer(text):
        yield start, text[start : mask.start()]
        start = mask.end()
    yield start, text[start:]


def _blotted(text: str, secrets: Iterable[Secret]) -> str:
    parts: list[str] = []
    start = 0
    for secret in secrets:
        parts += text[start : secret.start], f"[secret: {secret.kind}]"
        start = secret.end
    return "".join((*parts, text[start:]))


REPEATED = 6
"""Characters from which a secret is looked for everywhere: shorter ones are years and words, too."""
MOST_REPEATED = 1_000


def _worth_repeating(secrets: Iterable[tuple[str, str]]) -> dict[str, str]:
    return dict(islice(((text, kind) for text, kind in secrets if len(text) >= REPEATED), MOST_REPEATED))


def _repeated(text: str, told: Mapping[str, str]) -> Iterator[Secret]:
    for start, piece in _unmasked(text):
        for secret, kind in told.items():
            place = piece.find(secret)
            while place >= 0:
                end = place + len(secret)
                if not piece[place - 1 : place].isalnum() and not piece[end : end + 1].isalnum():
                    yield Secret(start + place, start + end, kind)
                place = piece.find(secret, end)


_MASK = re.compile(r"\[secret: [A-Za-z][A-Za-z ]{1,30}\]")


def _candidates(text: str) -> Iterator[Secret]:
    """What may overlap: the more telling kind stands first."""
    if len(text) < _SHORTEST:
        return
    yield from _private_keys(text)
    yield from _keys_by_form(text)
    yield from _keys_by_detector(text)
    yield from _passwords_in_urls(text)
    yield from _credentials_in_headers(text)
    yield from _stated(text)
    yield from _recovery_phrases(text)
    yield from _card_numbers(text)


_SHORTEST = len("PIN 1234")


def _joined(candidates: Iterable[Secret]) -> list[Secret]:
    """Those that overlap as one, of the kind that came first."""
    ranked = sorted(enumerate(candidates), key=lambda one: one[1].start)
    joined: list[tuple[int, Secret]] = []
    for rank, secret in ranked:
        if not joined or secret.start >= joined[-1][1].end:
            joined.append((rank, secret))
            continue
        before, last = joined[-1]
        kind = last.kind if before < rank else secret.kind
        joined[-1] = (min(before, rank), Secret(last.start, max(last.end, secret.end), kind))
    return [secret for _, secret in joined]


# Private keys: the whole block, also where its lines were joined or its end is missing.

_KEY_BEGINS = re.compile(r"-{3,5} ?BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)? ?-{3,5}")
_KEY_ENDS = re.compile(r"-{3,5} ?END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)? ?-{3,5}")
_KEY_PART = re.compile(
    r"\s+|\\[nr]|(?:Proc-Type|DEK-Info|Version|Comment):[^\n]*|[A-Za-z0-9+/=]{16,}|[A-Za-z0-9+/]+={1,2}"
)
_PUTTY_KEY = re.compile(r"Private-Lines: ?\d+\s")
_PUTTY_PART = re.compile(r"\s+|Private-MAC: ?[0-9a-fA-F]+|(?!Private-MAC)[A-Za-z0-9+/=]{4,}")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{16}")


def _private_keys(text: str) -> Iterator[Secret]:
    begins = list(_KEY_BEGINS.finditer(text))
    ends = [one.end() for one in _KEY_ENDS.finditer(text)] if begins else []
    done = 0
    for begin in begins:
        if begin.start() < done:
            continue
        place = bisect_left(ends, begin.end())
        end = ends[place] if place < len(ends) else _end_of(_KEY_PART, text, begin.end())
        # Prose names the first line of a key, too.
        if _KEY_BODY.search(text, begin.end(), end):
            done = end
            yield Secret(begin.start(), end, "private key")
    for match in _PUTTY_KEY.finditer(text):
        end = _end_of(_PUTTY_PART, text, match.end())
        if _KEY_BODY.search(text, match.start(), end):
            yield Secret(match.start(), end, "private key")


def _end_of(part: re.Pattern[str], text: str, start: int) -> int:
    """Where a run of such parts ends. A loop, as Python before 3.11.5 may end a possessive repetition one
    character too late."""
    while match := part.match(text, start):
        start = match.end()
    return start


# Keys that detect-secrets does not know, or whose whole length it does not see.

_RUN = re.compile(r"(?<![\w.~+/-])[A-Za-z0-9][\w.~-]{15,}", re.ASCII)
_FORMS: tuple[tuple[str, str], ...] = (
    ("Anthropic key", r"sk-ant-[\w-]{16,}"),
    ("OpenAI key", r"sk-(?:proj|svcacct|admin|None)-[\w-]{20,}"),
    ("API key", r"sk-(?:[a-z0-9]{2,12}-){0,3}[A-Za-z0-9_]{20,}[\w-]*"),
    ("GitHub token", r"github_pat_\w{22,}"),
    ("Slack token", r"xox[a-z](?:\.xox[a-z])?-[\w-]{10,}|xapp-[\w-]{20,}"),
    ("Stripe key", r"[sr]k_(?:live|test)_\w{10,}|whsec_[\w-]{20,}"),
    ("Google key", r"AIza[\w-]{35}[\w-]*|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"),
    ("npm token", r"npm_[A-Za-z0-9]{36,}"),
    ("Hugging Face token", r"(?:hf|api_org)_[A-Za-z]{30,}\w*|hf_[A-Za-z0-9]{30,}"),
    ("API key", r"(?:gsk|xai|pplx|tvly|nvapi|fw|r8|jina|csk|glm)[_-](?=[\w-]*\d)[\w-]{30,}"),
    ("DigitalOcean token", r"do[opr]_v1_[a-f0-9]{40,}"),
    ("Databricks token", r"dapi[a-f0-9]{32}[\w-]*"),
    ("Shopify token", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32,}"),
    ("API key", r"lin_(?:api|oauth)_\w{30,}|(?:secret|ntn)_[A-Za-z0-9]{40,}|figd_[\w-]{30,}|PMAK-[\w-]{40,}"),
    ("API key", r"NRAK-[A-Z0-9]{20,}|rubygems_[a-f0-9]{40,}|sb[ps]_[\w]{30,}|sb_secret_[\w-]{20,}"),
    (
        "API key",
        r"key-[0-9a-f]{32}|pat[A-Za-z0-9]{14}\.[a-f0-9]{64}|EAAA[\w-]{56,}|sq0(?:atp|csp|idp)-[\w-]{20,}",
    ),
    ("API key", r"gl(?:sa|c)_[A-Za-z0-9_+=]{32,}|sntry[su]_[\w+/=-]{40,}|dp\.(?:pt|st|ct|sa)\.[\w.-]{30,}"),
    (
        "API key",
        r"hv[sbr]\.[\w-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}|ATATT3[\w=-]{40,}|ATBB[\w=-]{28,}",
    ),
    ("Azure key", r"[A-Za-z0-9_~.]{3}8Q~[\w.~-]{31,}"),
    ("private key", r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    ("token", r"eyJ[\w-]{10,}\.[\w-]{10,}[\w.-]*"),
)


@cache
def _form() -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<_{place}>{form})" for place, (_, form) in enumerate(_FORMS)), re.ASCII)


_LINKS = (
    (
        "Discord webhook",
        re.compile(r"https://(?:\w{1,9}\.)?discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,}"),
    ),
)


def _keys_by_form(text: str) -> Iterator[Secret]:
    for run in _RUN.finditer(text):
        if match := _form().match(text, run.start(), run.end()):
            kind, _ = _FORMS[int((match.lastgroup or "_0")[1:])]
            yield Secret(run.start(), run.start() + len(match[0].rstrip(".-")), kind)
    for kind, link in _LINKS:
        for match in link.finditer(text):
            yield Secret(*match.span(), kind)


# Keys that detect-secrets knows.

_WINDOW, _OVERLAP = 1_000, 300
"""Characters in which a detector looks at once, for some take time with the square of them; and how much of
two such stretches is the same, which is more than the shortest form of any key they know."""
_LONG_WORD = re.compile(r"[\w+/=-]{16}", re.ASCII)
"""In every key they know; in few things that people say."""
_REST_OF_KEY = re.compile(r"[\w+/=-]*", re.ASCII)


@cache
def _detectors() -> tuple[tuple[str, bool, re.Pattern[str]], ...]:
    """Kind, whether all of a match is the secret or its group alone, and the form.

    Left out are detectors of strings that look random, which are ids, links and hashes in what people say
    (349 of the 10,163 turns of LoCoMo and LongMemEval have some, and none has a secret); of keywords, since
    they take the rest of the line; of Artifactory, whose form words in capitals have; and those whose keys
    the forms above hold whole.
    """
    # Imported late: it takes some 0.3 s and 18 MB, for `requests` comes with it.
    from detect_secrets.plugins.aws import AWSKeyDetector
    from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
    from detect_secrets.plugins.base import RegexBasedDetector
    from detect_secrets.plugins.cloudant import CloudantDetector
    from detect_secrets.plugins.discord import DiscordBotTokenDetector
    from detect_secrets.plugins.github_token import GitHubTokenDetector
    from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
    from detect_secrets.plugins.ibm_cloud_iam import IbmCloudIamDetector
    from detect_secrets.plugins.ibm_cos_hmac import IbmCosHmacDetector
    from detect_secrets.plugins.mailchimp import MailchimpDetector
    from detect_secrets.plugins.pypi_token import PypiTokenDetector
    from detect_secrets.plugins.sendgrid import SendGridDetector
    from detect_secrets.plugins.slack import SlackDetector
    from detect_secrets.plugins.softlayer import SoftlayerDetector
    from detect_secrets.plugins.stripe import StripeDetector
    from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
    from detect_secrets.plugins.twilio import TwilioKeyDetector

    # analyze_string answers prefixes for some and no places for any, so their forms are applied here.
    whole: tuple[tuple[str, type[RegexBasedDetector]], ...] = (
        ("Azure key", AzureStorageKeyDetector),
        ("Discord token", DiscordBotTokenDetector),
        ("GitHub token", GitHubTokenDetector),
        ("GitLab token", GitLabTokenDetector),
        ("Mailchimp key", MailchimpDetector),
        ("PyPI token", PypiTokenDetector),
        ("SendGrid key", SendGridDetector),
        ("Slack token", SlackDetector),
        ("Stripe key", StripeDetector),
        ("Telegram token", TelegramBotTokenDetector),
        ("Twilio key", TwilioKeyDetector),
    )
    in_group: tuple[tuple[str, type[RegexBasedDetector]], ...] = (
        ("AWS key", AWSKeyDetector),
        ("API key", CloudantDetector),
        ("API key", IbmCloudIamDetector),
        ("API key", IbmCosHmacDetector),
        ("API key", SoftlayerDetector),
    )
    return tuple(
        (kind, is_whole, form)
        for is_whole, detectors in ((True, whole), (False, in_group))
        for kind, detector in detectors
        for form in cast("Iterable[re.Pattern[str]]", getattr(detector(), "denylist"))  # noqa: B009 - half typed
    )


def _keys_by_detector(text: str) -> Iterator[Secret]:
    for offset in range(0, max(len(text) - _OVERLAP, 1), _WINDOW - _OVERLAP):
        window = text[offset : offset + _WINDOW]
        if not _LONG_WORD.search(window):
            continue
        for kind, is_whole, form in _detectors():
            for match in form.finditer(window):
                start, end = match.span(0 if is_whole or not form.groups else 1)
                start, end = start + offset, end + offset
                # In the middle of a word it is a piece of something encoded.
                if is_whole and start and text[start - 1].isalnum():
                    continue
                rest = cast(re.Match[str], _REST_OF_KEY.match(text, end))
                yield Secret(start, rest.end(), kind)


# Passwords and keys that stand where such things stand.

_URL = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/?#:@\[\]]{0,200}:([^\s/?#\[\]]{1,200})@(?=[\w\[])", re.IGNORECASE
)
_HEADER = re.compile(
    r"\bauthorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:bearer|basic|token|digest"
    r"|apikey)\s{1,3}([\w.~+/=:-]{8,})"
    r"|\bbearer\s{1,3}(?=[\w.~+/=-]{0,200}\d)([\w.~+/=-]{20,})",
    re.IGNORECASE,
)


def _passwords_in_urls(text: str) -> Iterator[Secret]:
    if "://" not in text:
        return
    for match in _URL.finditer(text):
        if not _is_placeholder(match[1]):
            yield Secret(*match.span(1), "password in a URL")


def _credentials_in_headers(text: str) -> Iterator[Secret]:
    for match in _HEADER.finditer(text):
        if not _is_placeholder(match[match.lastindex or 0]):
            yield Secret(*match.span(match.lastindex or 0), "token")


# Passwords, keys and PINs of which somebody says that they are one.

_LOGIN_WORD = (
    r"password|passwd|passphrase|passcode|passwort|kennwort|mot de passe|contrase[ñn]a|wachtwoord|senha"
    r"|lösenord|adgangskode|hasło|palavra-passe|(?<![a-z])(?:pwd|pw)|(?<=[_-])pass|(?<![a-z])pass(?=\s?[:=])"
)
_KEY = (
    r"api[ _-]?(?:key|token|secret)|secret[ _-]?(?:access[ _-]?)?key|access[ _-]?(?:key|token)(?![ _-]?id)"
    r"|client[ _-]?secret|(?:auth|refresh|bearer|bot|session|id|security)[ _-]?token"
    r"|(?:signing|encryption|account)[ _-]?key|webhook[ _-]?secret|clave (?:de )?api|clé (?:d')?api"
    r"|api-?schlüssel|(?<=_)(?:token|secret|key)|(?<!\w)token"
)
_PIN = (
    r"(?<!\w)(?:pin(?:[ -]?(?:code|number|nummer))?(?!\w)|geheimzahl|cvv2?|cvc2?"
    r"|(?:door|gate|alarm|entry|access|safe|lock|garage|unlock|security|keypad|lockbox|verification|one-time"
    r"|2fa)[ -](?:code|combination|combo)"
    r"|(?:tür|zugangs|alarm|sicherheits|tor)-?code|code (?:secret|pin|d'accès|d'entrée|de la porte"
    r"|de l'alarme)|código (?:secreto|pin|de acceso|de la puerta))"
)
_CALLED: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        "password",
        tuple("pass pwd pw kennwort contrase wachtwoord senha lösenord adgangskode hasło".split()),
        re.compile(_LOGIN_WORD, re.IGNORECASE),
    ),
    ("API key", ("key", "token", "secret", "clave", "clé", "schlüssel"), re.compile(_KEY, re.IGNORECASE)),
    ("PIN", ("pin", "geheimzahl", "cvv", "cvc", "code", "comb", "código"), re.compile(_PIN, re.IGNORECASE)),
)
"""What a secret is called, and what is in every such name: looking for that alone is quicker."""
_QUALIFIED = (
    r"\s{1,2}(?:for|of|to|on|at|in|für|von|vom|zu|zum|de|del|du|des|pour|para|da|do|van|voor)\s{1,2}"
    r"(?:[^\s.,;:!?]{1,40}\s{1,2}){0,6}?"
)
_IS = re.compile(
    # As it stands in files and forms: password = "…", **Password:** …, | password | …, password for Ann: …
    rf"(?:[\w-]{{0,20}}[\"'`*_\])]{{0,3}}\s{{0,3}}|{_QUALIFIED}[^\s.,;:!?]{{1,40}})"
    r"(?P<sign>:=|=>|={1,3}|:|：|\|)[*_]{0,2}[ \t]{0,4}"
    # As people say it: "the password for the router at home is now …"
    rf"|(?:(?:{_QUALIFIED}|\s{{1,2}}(?:hier|here)?\s{{0,2}})"
    r"(?P<verb>is|was|will be|ist|war|lautet|lautete|est|était|es|era|è|é|jest|będzie|är|er|has been"
    r"|had been)|['’]s)"
    r"(?:\s{1,2}(?:now|currently|still|actually|(?:re)?set to|changed to|jetzt|nun|maintenant|ahora|agora"
    r"|adesso|nu)){0,2}:?\s{1,2}"
    # "I changed my password to …"
    r"|(?:\s{1,2}[^\s.,;:!?]{1,40}){0,4}?\s{1,2}(?P<to>to|auf|en|a|por)\s{1,2}"
    # "with the password …", "password – …"
    r"|\s{1,2}(?:[-–—→]\s{1,2})?(?=(?P<bare>\S))",
    re.IGNORECASE,
)
_SET = re.compile(
    r"(?:chang|set|reset|updat|geändert|änder|chang|cambi|alter)\w*(?:\s\S{1,20}){0,4}?\s$", re.IGNORECASE
)
_QUOTED = re.compile(r"(?P<open>[\"'`“„«‘])(?P<value>[^\n\"'`“”„«»‘’]{1,1000})[\"'`“”»’]")
_BARE = re.compile(r"\S{1,1000}")
_DIGITS = re.compile(r"(?!(?:19|20)\d\d[-/.]\d)[*#]?\d(?:[ -]?\d){2,9}[*#]?(?![\w%])(?![-/.:,]\d)")
_AFTER = re.compile(
    r"[*_`]{0,2}(?:\s*$|[ \t]*[\n,;|&)\]]|[.!?](?:\s|$)|\s{1,2}(?:and|und|et|y|e|en|but|for|now)\s)"
)
"""What follows the last word of a clause."""


@dataclass(frozen=True, slots=True)
class _Value:
    """What is said to be a secret: the word that follows, or what is in quotation marks."""

    text: str
    start: int
    end: int
    is_quoted: bool
    is_assigned: bool
    """By a sign, as in files and forms."""
    is_bare: bool
    """With nothing between it and its name, or after a name that means other things, too."""

    @property
    def word(self) -> str:
        return self.text[self.start : self.end]


def _stated(text: str) -> Iterator[Secret]:
    lower = text.lower()
    for kind, stems, names in _CALLED:
        if not any(stem in lower for stem in stems):
            continue
        for name in names.finditer(text):
            said = _IS.match(text, name.end())
            if said is None or (
                said["to"] and not _SET.search(text, max(name.start() - 60, 0), name.start())
            ):
                continue
            value = _value(text, name[0], said)
            if kind == "PIN":
                yield from _pin(text, name[0].lower(), value.start)
            elif _is_password(value) if kind == "password" else _is_key(value):
                yield Secret(value.start, value.end, kind)


def _value(text: str, name: str, said: re.Match[str]) -> _Value:
    # A pass is a ticket and a way over mountains, too.
    is_bare = bool(said["bare"]) or name.lower() == "pass"
    start, signs = said.end(), (bool(said["sign"]), is_bare)
    if quoted := _QUOTED.match(text, start):
        return _Value(text, *quoted.span("value"), True, *signs)
    word = _BARE.match(text, start)
    length = len(word[0].rstrip(".,;:?)]}\"'`*“”»’|")) if word else 0
    return _Value(text, start, start + length, False, *signs)


def _pin(text: str, name: str, start: int) -> Iterator[Secret]:
    if digits := _DIGITS.match(text, start):
        count = sum(character.isdigit() for character in digits[0])
        # In India a PIN code is a postal one, of six digits.
        is_postal = name.startswith("pin") and name.endswith("code") and count == 6
        if not is_postal and count >= (3 if name.startswith(("cv", "security")) else 4):
            yield Secret(*digits.span(), "PIN")


_NOT_YET = re.compile(
    r"[<{\[\\]|\$[{(]|\$[A-Z_]+$|%\w*%?$|\w[\w.]*[(\[]|[*xX•.…_#-]+$|https?://|\.{0,2}/"
    r"|(?i:.*(?:your|placeholder|example|redacted|\.\.\.|…))"
    r"|(?i:pass(?:word)?|pwd|pw|secret|token|api_?key|none|null|nil|true|false|undefined|str|string|text|int|bool"
    r"|any|required|optional|varchar|value|here|hidden|process\.env\.\w+|os\.\w+|self\.\w+|this\.\w+)$",
)
"""What stands in a secret's place and is none: templates, calls, names of types, stars."""
_REFERENCE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$")


def _is_placeholder(value: str) -> bool:
    return bool(_NOT_YET.match(value))


_LETTERS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*$")
_QUANTITY = re.compile(
    r"[$€£~]?\d{1,4}(?:[.,]\d{1,3})?(?:st|nd|rd|th|%|\+|[-–/][a-z]+|\w{1,2})?$", re.IGNORECASE
)
_MIXED = re.compile(r"(?=.*[a-z])(?=.*\d)(?!OAuth|Base\d|base\d|bcrypt|argon)\S{6,}$")
"""Without a word between, only what no word and no abbreviation looks like is taken for a password."""
_STATES = frozenset(
    """
    weak strong stronger safe secure unsafe insecure wrong right correct incorrect invalid valid mandatory
    empty blank long short simple easy hard complex good great bad fine okay due old new same different
    unique public private secret temporary permanent important unknown known visible lost gone stuck down
    here there below above mine yours ours this that these those what which when where strictly always never
    also only just very quite really enough case-sensitive protection manager security policy policies reset
    recovery authentication management fields field strength hashing hash encryption login length minimum
    maximum optional numbers letters characters passwords
    falsch richtig sicher unsicher schwach stark lang kurz weg abgelaufen vergessen neu alt gleich nötig
    geheim unbekannt
    faux fausse incorrecte correcte fort forte faible oublié expiré requis nécessaire long longue court
    courte nouveau sûr
    incorrecta correcta débil segura seguro fuerte caducada olvidada obligatoria necesaria larga corta nueva
    sicura debole sbagliata nuova fraca errada nova fout zwak sterk verlopen nodig
    """.split()
)
"""What people say of a password instead of saying it."""


def _is_password(value: _Value) -> bool:
    word = value.word
    if len(word) < 4 or _is_placeholder(word) or (not value.is_quoted and _REFERENCE.match(word)):
        return False
    if value.is_bare:
        return bool(_MIXED.match(word)) and not _QUANTITY.match(word)
    if word.isdigit():
        return True
    if not _LETTERS.match(word):
        return not _QUANTITY.match(word) and any(one.isalnum() for one in word)
    if value.is_quoted:
        return value.is_assigned or word.lower() not in _STATES
    if any(one.isupper() for one in word[1:]) and not word.isupper():
        return True
    is_state = word.lower() in _STATES or word.lower().endswith(("ed", "ing"))
    return not is_state and bool(_AFTER.match(value.text, value.end))


_KEY_SHAPE = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[\w.+/=~:-]{12,}$", re.ASCII)


_FILE = re.compile(r"(?:\S*/)?\S*\.[a-z]{2,4}$")


def _is_key(value: _Value) -> bool:
    word = value.word
    return (
        bool(_KEY_SHAPE.match(word))
        and not value.is_bare
        and not _is_placeholder(word)
        and not _FILE.match(word)
    )


# What opens a wallet: words, many and plain.

_PHRASE = re.compile(
    r"(?:seed|recovery|mnemonic|backup|wallet)[ -](?:phrase|words)(?:\s{1,2}[^\s:]{1,30}){0,5}?\s{0,2}(?:is"
    r"|are|:|=)\s{1,3}[\"'“]?"
    r"((?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})",
    re.IGNORECASE,
)


def _recovery_phrases(text: str) -> Iterator[Secret]:
    for match in _PHRASE.finditer(text):
        yield Secret(*match.span(1), "recovery phrase")


# Card numbers: the lengths and first digits that issuers use, and the check digit.

_GAP = r"[  .-]"
_CARD = re.compile(
    # After letters and two digits it is an account number (IBAN); after + # / it is something else.
    rf"(?<![\w+#/.])(?<!\d{_GAP})(?<![A-Z][A-Z]\d\d )"
    rf"(?:\d{{14,19}}|\d{{4}}(?P<gap>{_GAP})\d{{4}}(?P=gap)\d{{4}}(?P=gap)\d{{4}}(?:(?P=gap)\d{{3}})?"
    rf"|\d{{4}}(?P<amex>{_GAP})\d{{6}}(?P=amex)\d{{4,5}})"
    rf"(?![\w/]|{_GAP}?\d)"
)
_ISSUERS = re.compile(
    r"4(?:\d{15}|\d{18})$|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}$|3[47]\d{13}$"
    r"|(?:6011|65\d\d|64[4-9]\d)\d{12}$|35(?:2[89]|[3-8]\d)\d{12}$|3(?:0[0-5]|[689]\d)\d{11}$|62\d{14,17}$"
    r"|(?:5018|5020|5038|5[678]\d\d|6304|6759|676[1-3])\d{12}$"
)


def _card_numbers(text: str) -> Iterator[Secret]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _ISSUERS.match(digits) and luhn.is_valid(digits):
            yield Secret(*match.span(), "card number")
