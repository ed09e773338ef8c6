"""Two texts, and where they differ: by words, or by lines where words would be too many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import takewhile

from msgspec import Struct

WORDS = 3_000  #: of one text between what both begin and end with: more are compared by lines
LINES = 3_000
_ALIKE = 400  #: characters of what is alike that are shown before and behind a difference

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class Span(Struct, frozen=True):
    """A piece of both texts, or of one. ``kind``: same gone new left_out (``text`` says how much)."""

    kind: str
    text: str


class Difference(Struct, frozen=True):
    """``by``: words lines whole, for texts too long to be compared."""

    spans: tuple[Span, ...]
    by: str = "words"

    @property
    def none(self) -> bool:
        """Whether the texts are the same."""
        return all(span.kind in ("same", "left_out") for span in self.spans)


def difference(one: str, two: str) -> Difference:
    """From ``one`` to ``two``."""
    for by, pattern, most in (("words", _WORD, WORDS), ("lines", _LINE, LINES)):
        before, middle, behind = _trimmed(pattern.findall(one), pattern.findall(two))
        if max(map(len, middle)) <= most:
            spans = [Span("same", before), *_spans(*middle), Span("same", behind)]
            return Difference(tuple(_shortened(_gathered(spans))), by)
    return Difference((Span("gone", one), Span("new", two)), "whole")


def _trimmed(one: list[str], two: list[str]) -> tuple[str, tuple[list[str], list[str]], str]:
    """What both begin with, what stands between, what both end with."""
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))
    room = min(len(one), len(two)) - head
    pairs = zip(reversed(one[len(one) - room :]), reversed(two[len(two) - room :]), strict=True)
    tail = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    middle = one[head : len(one) - tail], two[head : len(two) - tail]
    return "".join(one[:head]), middle, "".join(one[len(one) - tail :])


def _spans(one: Sequence[str], two: Sequence[str]) -> Iterator[Span]:
    for tag, a, b, c, d in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Span("same", "".join(one[a:b]))
        else:
            yield Span("gone", "".join(one[a:b]))
            yield Span("new", "".join(two[c:d]))


def _gathered(spans: Sequence[Span]) -> Iterator[Span]:
    """Blanks alone between two changes belong to both: single words are hard to read."""
    gone = new = ""
    for number, span in enumerate(spans):
        last = number == len(spans) - 1
        if span.kind == "same" and (span.text.strip() or last or not (gone or new)):
            yield from (Span(kind, text) for kind, text in (("gone", gone), ("new", new)) if text)
            gone = new = ""
            if span.text:
                yield span
        elif span.kind == "same":
            gone, new = gone + span.text, new + span.text
        elif span.kind == "gone":
            gone += span.text
        else:
            new += span.text
    yield from (Span(kind, text) for kind, text in (("gone", gone), ("new", new)) if text)


def _shortened(spans: Iterator[Span]) -> Iterator[Span]:
    for span in spans:
        if span.kind != "same" or len(span.text) <= 3 * _ALIKE:
            yield span
            continue
        yield Span("same", span.text[:_ALIKE])
        yield Span("left_out", f"{len(span.text) - 2 * _ALIKE:,} characters alike")
        yield Span("same", span.text[-_ALIKE:])
