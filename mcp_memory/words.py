"""The words of a text as they are compared: folded, stemmed, and without those that only carry grammar."""

from __future__ import annotations

import re
import unicodedata
from importlib import import_module
from threading import local
from typing import Any, cast

FUNCTION_WORDS = frozenset(
    """
    a about after again all also am an and any are as at be because been before being both but by can could
    did do does doing down during each few for from further had has have having he her here hers herself him
    himself his how i if in into is it its itself just me more most my myself no nor not now of off on once
    only or other our ours ourselves out over own same she should so some such than that the their theirs
    them themselves then there these they this those through to too under until up very was we were what when
    where which while who whom whose why will with would you your yours yourself yourselves
    """.split()
)
"""English words that carry grammar, not content. Left out of the words that are searched for, unless a query
has no others ("The Who"): every question has them, so they only add noise (BM25 55 → 61 on LoCoMo)."""

# Chinese, Japanese and Korean are written without spaces: each of their characters counts as a word.
_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\W_぀-ヿ㐀-鿿가-힯]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_of_thread = local()


def stems(text: str) -> list[str]:
    """The words of a text, folded, and their English stems: "running" is "run". Identifiers fall into their
    parts."""
    return cast("list[str]", stemmer().stemWords(words_of(text)))


def words_of(text: str) -> list[str]:
    """The words of a text, folded: small letters without accents."""
    return _WORD.findall(_folded(text))


def stemmer() -> Any:
    """This thread's own: it is not safe between threads. It keeps no word, for words are forgotten too."""
    try:
        return _of_thread.stemmer
    except AttributeError:
        _of_thread.stemmer = import_module("Stemmer").Stemmer("english", 0)
        return _of_thread.stemmer


def _folded(text: str) -> str:
    parted = _HUMP.sub(" ", text)
    if not parted.isascii():
        decomposed = unicodedata.normalize("NFKD", parted)
        # Accents fall; marks that change a Japanese letter stay.
        parted = "".join(one for one in decomposed if not "̀" <= one <= "ͯ")
        parted = unicodedata.normalize("NFC", parted)
    return parted.lower()
