"""What people write to search texts: words, phrases, what must not stand there, and alternatives.

``refund policy``        both words, anywhere
``"refund policy"``      one after the other
``refund -policy``       the first without the second; also ``-"in full"``
``refund*``              words that begin so, from two characters on
``refund OR chargeback`` one of them; OR joins its neighbours: ``late refund OR chargeback`` needs late

All else is text: ``user@example.com`` is sought as its words in a row, and no sign is ever an error.
What a word is, and that case and accents do not count, is told in ``letters``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from ..errors import QueryError
from .letters import tokens

MAX_CHARS = 1000
MAX_TERMS = 64
_SHORTEST_PREFIX = 2
_TERM = re.compile(r'(-?)"([^"]*)(?:"(\*?)|$)|(\S+)')
_QUOTES = str.maketrans("“”„‟«»", '""""""')


class Term(Struct, frozen=True):
    """Tokens in a row; ``prefix``: the last one may go on."""

    tokens: tuple[str, ...]
    prefix: bool = False


class Words(Struct, frozen=True):
    """What a text must hold: of each group one term, and none of ``without``."""

    groups: tuple[tuple[Term, ...], ...]
    without: tuple[Term, ...] = ()

    @property
    def wanted(self) -> tuple[Term, ...]:
        """All terms that make a text one to be found."""
        return tuple(term for group in self.groups for term in group)


class _Read(Struct, frozen=True):
    """A piece of what was written. ``joins``: it is the word OR."""

    term: Term
    negative: bool = False
    joins: bool = False


def parse_words(text: str) -> Words:
    """Read what somebody seeks. Raises ``QueryError`` when that is nothing, or too much."""
    if len(text) > MAX_CHARS:
        raise QueryError(f"a search has at most {MAX_CHARS} characters, this one has {len(text):,}")
    read = [piece for piece in _pieces(text) if piece.term.tokens]
    if len(read) > MAX_TERMS:
        raise QueryError(f"a search has at most {MAX_TERMS} words and phrases, this one has {len(read)}")
    without = tuple(piece.term for piece in read if piece.negative)
    groups = _grouped([piece for piece in read if not piece.negative])
    if not groups:
        raise QueryError(
            "say also what to find, not only what to leave out" if without else "there is no word to search for"
        )
    return Words(groups, without)


def _pieces(text: str) -> Iterator[_Read]:
    for minus, phrase, star, word in _TERM.findall(text.translate(_QUOTES)):
        if word:
            yield _word(word)
        else:
            found = tuple(tokens(phrase))
            yield _Read(Term(found, star == "*" and _may_be_prefix(found)), negative=minus == "-")


def _word(word: str) -> _Read:
    negative = word.startswith("-") and not word.startswith("--") and len(word) > 1
    found = tuple(tokens(word))
    prefix = word.endswith("*") and _may_be_prefix(found)
    return _Read(Term(found, prefix), negative=negative, joins=word == "OR")


def _may_be_prefix(found: Sequence[str]) -> bool:
    """A single letter begins so many words that it is sought as it is."""
    return bool(found) and len(found[-1]) >= _SHORTEST_PREFIX


def _grouped(pieces: list[_Read]) -> tuple[tuple[Term, ...], ...]:
    """An OR between two terms joins them; one at either end, or beside another, is a word like others."""
    groups: list[tuple[Term, ...]] = []
    joining = False
    for place, piece in enumerate(pieces):
        if piece.joins and groups and not joining and place + 1 < len(pieces):
            joining = True
        elif joining:
            groups[-1] += (piece.term,)
            joining = False
        else:
            groups.append((piece.term,))
    return tuple(groups)
