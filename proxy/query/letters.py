"""Texts as they are searched: the same for what is stored and for what is asked.

Case, accents, vowel points and widths of letters do not count. A word is letters and digits in a
row. Scripts that put no spaces between words are taken apart into their characters, and so are
emojis: what is sought in them is a run of characters, wherever it stands. All other signs part
words, and so do long runs of what looks like base64, which nobody seeks.

Engines need to know nothing of Unicode: they part ``folded`` texts at what is neither an ASCII
letter or digit nor beyond ASCII, and mind no ASCII case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_SHORT = 24  #: characters of a run that is remembered
#: Accents of Latin, Greek and Cyrillic; vowel points of Hebrew and Arabic; forms of emojis.
_POINTS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff]+"
)
_EMOJIS = "\u2600-\u27bf\U0001f300-\U0001faff"
#: Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han, Hangul, emojis: each stands alone.
_ALONE = re.compile(
    "([\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u0f40-\u0fbc\u1000-\u103e\u1780-\u17d3"
    "\u3005-\u3007\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    f"\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff{_EMOJIS}])"
)
#: Vowel signs of India, Thailand, Laos, Tibet, Burma and Cambodia, which Python takes for no letters.
_VOWELS = "\u0900-\u0dff\u0e31-\u0e4e\u0eb1-\u0ecd\u0f71-\u0fbc\u102b-\u103e\u17b4-\u17d3"
_SIGNS = re.compile(rf"[^\w {_VOWELS}{_EMOJIS}]+")
_TOKEN = re.compile(r"(?:[A-Za-z0-9]|[^\x00-\x7f])+")
_BLOCK = 128
_WITHOUT_END = re.compile(rf"[A-Za-z0-9+/=_-]{{{_BLOCK}}}")
_JUNK = re.compile(rf"[A-Za-z0-9+/=_-]{{{2 * _BLOCK},}}")


class Word(Struct, frozen=True):
    """A token of a text, as it is searched, and where it stands in that text."""

    token: str
    start: int
    end: int


def folded(text: str) -> str:
    """The text as engines shall see it. ASCII is as it was: its case is theirs to overlook."""
    if _may_hold_junk(text):
        text = _JUNK.sub(" ", text)
    return text if text.isascii() else _FOREIGN.sub(_folded_match, text)


def _may_hold_junk(text: str) -> bool:
    """Looks at every block's beginning only: a run of two blocks covers one of them wholly."""
    return any(_WITHOUT_END.match(text, at) for at in range(0, len(text) - _BLOCK, _BLOCK))


def tokens(text: str) -> list[str]:
    """What a text is searched by, in order."""
    return _TOKEN.findall(folded(text).lower())


def words(text: str) -> Iterator[Word]:
    """The tokens of a text with their places in it."""
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        if end - start < _BLOCK and found[0].isascii():
            yield Word(found[0].lower(), start, end)
            continue
        parts = tokens(found[0])
        if len(parts) == 1:
            yield Word(parts[0], start, end)
        elif parts:
            yield from _placed(found[0], start, parts)


def _placed(text: str, start: int, parts: list[str]) -> list[Word]:
    """Each token where its characters stand, or where all of them do when that cannot be told."""
    by_character: list[Word] = []
    joins = False
    for at, char in enumerate(text, start):
        shape = folded(char).lower()
        own = shape.split()
        if not own:
            joins = joins and not shape
            if joins:
                by_character[-1] = Word(by_character[-1].token, by_character[-1].start, at + 1)
        elif joins and len(own) == 1 and shape == own[0]:
            by_character[-1] = Word(by_character[-1].token + shape, by_character[-1].start, at + 1)
        else:
            by_character += (Word(token, at, at + 1) for token in own)
            joins = shape[-1] != " "
    if [word.token for word in by_character] == parts:
        return by_character
    return [Word(token, start, start + len(text)) for token in parts]


def _folded_match(found: re.Match[str]) -> str:
    run = found[0]
    return _remembered(run) if len(run) <= _SHORT else _folded_run(run)


def _folded_run(run: str) -> str:
    """A run of characters beyond ASCII; halves of pairs, which nothing can store, are signs."""
    run = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", run).casefold())
    run = _SIGNS.sub(" ", unicodedata.normalize("NFKC", _POINTS.sub("", run)))
    return " ".join(_ALONE.split(run))


_remembered = lru_cache(20_000)(_folded_run)
