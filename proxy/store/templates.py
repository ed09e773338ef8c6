"""System prompts told apart: which texts are one prompt with a clock or a name in it, and which are versions.

A ``Template`` is a text in which some places vary. Two texts that are equal but for short spans are one
template when the spans look like data: numbers, dates, ids, names within a sentence. Other words that
differ are an edit, unless so many versions differ at the very same place that it must be a variable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from msgspec import Struct

SHORT = 64  #: characters that a place may vary in
ANY = 1 << 30
_TOKENS = re.compile(r"\w+|\s+|[^\w\s]|\0")
_PIECES = re.compile(r"(?<=[.!?\n])\s+")
_GAP = "\0"  #: stands for a place that varies, while texts are compared
_MOST_COMPARED = 250_000  #: pairs of lines, or of words
_LONGEST = 65_536  #: characters; longer texts are only matched
_CONTEXT = 40  #: characters before a span that say whether a sentence begins there
_SENTENCE = re.compile(r"(?:^|[.!?:;\n]|[-*#>]|\d[.)])\s*\Z")
_DATA = re.compile(r"[\d.,:/+@_%-]*\d[\w.,:/+@_%-]*|\S+@\S+|[ap]m|utc|gmt|[a-z]{2,4}t", re.IGNORECASE)
_SIMILAR = 0.5  #: of the text
_AKIN = 0.3  #: of the words


class Template(Struct, frozen=True, array_like=True):
    """A text with places that vary: one between each two ``segments``, ``longest`` characters at most."""

    segments: tuple[str, ...]
    longest: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """To read and to compare: places that vary are ``…``."""
        return "…".join(self.segments)

    def matches(self, text: str) -> bool:
        """Whether a text differs from it only where it varies."""
        first, last = self.segments[0], self.segments[-1]
        if len(self.segments) == 1:
            return text == first
        if not (text.startswith(first) and text.endswith(last)):
            return False
        at, end = len(first), len(text) - len(last)
        for segment, longest in zip(self.segments[1:-1], self.longest, strict=False):
            at = text.find(segment, at, min(end, at + longest + len(segment)))
            if at < 0:
                return False
            at += len(segment)
        return 0 <= end - at <= self.longest[-1]


class Difference(Struct, frozen=True):
    """How a text differs from a template."""

    template: Template  #: that both are of
    short: bool  #: every span is
    data: bool  #: …and looks like data, or lies where the template varies already


def difference(template: Template, text: str) -> Difference | None:
    """None when they are too long, or too different, to be compared."""
    if _GAP in text or len(text) > _LONGEST:
        return None
    old = _GAP.join(template.segments)
    found = list(_aligned(old, text)) if len(old) <= _LONGEST and old.count(_GAP) < len(template.segments) else []
    return _read(found) if found else None


Pair = tuple[str, str]


def _aligned(old: str, new: str) -> Iterator[Pair]:
    """Pairs of spans, equal or not, that make up both texts; none when there is too much to compare."""
    blocks = _blocks(old.splitlines(keepends=True), new.splitlines(keepends=True))
    if blocks is None:
        return
    for before, after in blocks:
        if before == after:
            yield before, after
            continue
        words = _blocks(_TOKENS.findall(before), _TOKENS.findall(after)) if _are_akin(before, after) else None
        yield from words if words is not None else [(before, after)]


def _are_akin(old: str, new: str) -> bool:
    """Whether comparing their words may lead to anything: long texts about other things share but the usual ones."""
    if max(len(old), len(new)) <= SHORT or _GAP in old:
        return True
    before, after = Counter(old.split()), Counter(new.split())
    return (before & after).total() >= _AKIN * max(before.total(), after.total())


def _blocks(old: Sequence[str], new: Sequence[str]) -> list[Pair] | None:
    """Runs of items that are equal, and those between them; None when they are too many."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    if len(middle_old) * len(middle_new) > _MOST_COMPARED:
        return None
    head, tail = "".join(old[:start]), "".join(old[len(old) - end :])
    middle = [
        ("".join(middle_old[i1:i2]), "".join(middle_new[j1:j2]))
        for _, i1, i2, j1, j2 in SequenceMatcher(None, middle_old, middle_new, autojunk=False).get_opcodes()
    ]
    return [(head, head), *middle, (tail, tail)]


def _read(pairs: Sequence[Pair]) -> Difference:
    segments, longest, read = [""], list[int](), ""
    short = data = True
    for before, after in pairs:
        if before == after:
            segments[-1] += before
            read = (read + after)[-_CONTEXT:]
            continue
        fits = max(len(before), len(after)) <= SHORT
        short = short and fits
        spans = [span for span in (before, after) if span.strip()]
        data = data and fits and (_GAP in before or all(_is_data(span, read) for span in spans))
        read = (read + after)[-_CONTEXT:]
        if segments[-1] or len(segments) == 1:
            segments.append("")
            longest.append(SHORT if fits else ANY)
        elif not fits:
            longest[-1] = ANY
    return Difference(Template(*_with_known_gaps(segments, longest)), short, data)


def _with_known_gaps(segments: Sequence[str], longest: Sequence[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Places where the new text has nothing, or has the mark itself, stay places that vary."""
    parts: list[str] = []
    limits: list[int] = []
    for place, segment in enumerate(segments):
        pieces = segment.split(_GAP)
        parts += pieces
        limits += [SHORT] * (len(pieces) - 1)
        if place < len(longest):
            limits.append(longest[place])
    return tuple(parts), tuple(limits)


def _is_data(span: str, read: str) -> bool:
    """Numbers, dates, times, ids, addresses; names, unless a sentence begins there: an edit begins so too.

    ``read``: what stands before it.
    """
    words = span.split()
    if all(_DATA.fullmatch(word) for word in words):
        return True
    named = all(_DATA.fullmatch(word) or word.strip(".,;:()'\"").istitle() or not word.isalnum() for word in words)
    return named and _SENTENCE.search(read) is None


def is_similar(template: Template, text: str) -> bool:
    """Whether half of the text is the same: sentences and lines, or, of a short one, words."""
    old, new = _pieces(template.text), _pieces(text)
    shared = sum(len(piece) * count for piece, count in (old & new).items())
    whole = max(sum(len(piece) * count for piece, count in each.items()) for each in (old, new))
    if whole and shared / whole >= _SIMILAR:
        return True
    words_old, words_new = template.text.split(), text.split()
    if not words_old or len(words_old) * len(words_new) > _MOST_COMPARED:
        return False
    return SequenceMatcher(None, words_old, words_new, autojunk=False).ratio() >= _SIMILAR + 0.1


def _pieces(text: str) -> Counter[str]:
    return Counter(piece.strip() for piece in _PIECES.split(text[:_LONGEST]) if piece.strip())
