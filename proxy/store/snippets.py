"""Where in a call the words stand that were sought: some text around them, and what of it to mark. No I/O."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct

from ..query.letters import words
from ..query.words import Term, Words
from ..records import Parsed
from .texts import COLUMNS, Piece, pieces

_BEFORE, _AFTER = 60, 140  #: characters around the first hit
_READ_CHARS = 400_000  #: of one call
_SPACE = re.compile(r"\s+")
_SPACE_BACK = re.compile(r"\s\S*$")
_ELLIPSIS = "…"


class Snippet(Struct, frozen=True):
    """A piece of text on one line. ``hits``: where in it the words stand, as (start, end)."""

    column: str  #: one of ``texts.COLUMNS``
    text: str
    hits: tuple[tuple[int, int], ...]


class _Hit(Struct, frozen=True):
    """A term that stands in a text."""

    term: int
    start: int
    end: int


def snippet(parsed: Parsed, sought: Words, columns: Collection[str] = COLUMNS) -> Snippet | None:
    """The part of a call that holds most of the words, and the latest of such; None when none does."""
    best: tuple[int, Piece, list[_Hit]] | None = None
    terms = sought.wanted
    for piece in _bounded(piece for piece in pieces(parsed) if piece.column in columns):
        near = _nearest(list(_hits(piece.text, terms)))
        found = len({hit.term for hit in near})
        if found > (best[0] if best else 0):
            best = (found, piece, near)
        if found == len(terms):
            break
    return _cut(best[1], best[2]) if best else None


def _bounded(some: Iterable[Piece]) -> Iterator[Piece]:
    room = _READ_CHARS
    for piece in some:
        yield Piece(piece.column, piece.text[:room])
        room -= len(piece.text)
        if room <= 0:
            return


def _hits(text: str, terms: Sequence[Term]) -> Iterator[_Hit]:
    """In the order in which they stand; they may overlap."""
    found = list(words(text))
    tokens = [word.token for word in found]
    first = {term.tokens[0] for term in terms if len(term.tokens) > 1 or not term.prefix}
    prefixes = tuple(term.tokens[0] for term in terms if len(term.tokens) == 1 and term.prefix)
    for place, token in enumerate(tokens):
        if token in first or (prefixes and token.startswith(prefixes)):
            for number, term in enumerate(terms):
                last = place + len(term.tokens) - 1
                if _stands(tokens[place : last + 1], term):
                    yield _Hit(number, found[place].start, found[last].end)


def _stands(tokens: Sequence[str], term: Term) -> bool:
    if len(tokens) < len(term.tokens):
        return False
    *before, last = term.tokens
    return tokens[:-1] == before and (tokens[-1] == last or (term.prefix and tokens[-1].startswith(last)))


def _nearest(hits: list[_Hit]) -> list[_Hit]:
    """Hits that one snippet can show: the first with most different terms."""
    best: list[_Hit] = []
    kinds = first = 0
    for last, hit in enumerate(hits):
        while hit.end - hits[first].start > _AFTER and first < last:
            first += 1
        here = len({each.term for each in hits[first : last + 1]})
        if here >= kinds + (not best or hits[first] != best[0]):
            best, kinds = hits[first : last + 1], here
    return best


def _cut(piece: Piece, hits: list[_Hit]) -> Snippet:
    text = piece.text
    start = max(0, hits[0].start - _BEFORE)
    if start and (space := _SPACE.search(text, start, hits[0].start)):
        start = space.end()
    end = min(len(text), max(hits[0].start + _AFTER, max(hit.end for hit in hits)))
    if end < len(text) and (space := _SPACE_BACK.search(text, max(hit.end for hit in hits), end)):
        end = space.start()
    shown = _ELLIPSIS if start else ""
    marked: list[tuple[int, int]] = []
    at = start
    for hit_start, hit_end in _apart(hits):
        shown += _SPACE.sub(" ", text[at:hit_start])
        marked.append((len(shown), len(shown) + len(_SPACE.sub(" ", text[hit_start:hit_end]))))
        shown += _SPACE.sub(" ", text[hit_start:hit_end])
        at = hit_end
    shown += _SPACE.sub(" ", text[at:end]) + (_ELLIPSIS if end < len(text) else "")
    return Snippet(piece.column, shown, tuple(marked))


def _apart(hits: Iterable[_Hit]) -> list[tuple[int, int]]:
    """The spans of hits, none of which overlap."""
    spans: list[tuple[int, int]] = []
    for hit in sorted(hits, key=lambda hit: hit.start):
        if spans and hit.start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], hit.end))
        else:
            spans.append((hit.start, hit.end))
    return spans
