"""Where the words come from: the Python sources of the machine, in slices that are never given twice.

Prose is what stands in docstrings, code is the sources themselves. Other machines have other
packages, so texts are the same from run to run, not from machine to machine.
"""

from __future__ import annotations

import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

BYTES = 80_000_000  #: of sources that are read at most
_BLOCK = 16_384  #: characters that one reader takes from one file before it goes elsewhere
_LARGEST_FILE = 400_000
_DOCSTRING = re.compile(r'"""(.+?)"""', re.DOTALL)
_INDENT = re.compile(r"\n[ \t]+")
_SHORT = 200  #: a docstring below this says little


class Corpus(Struct, frozen=True):
    """Texts, a file each."""

    prose: list[str]
    code: list[str]

    @classmethod
    def read(cls, most_bytes: int = BYTES) -> Corpus:
        """Read sources, always the same ones, until there are ``most_bytes`` of them."""
        corpus, size = cls([], []), 0
        for path in _files():
            text = path.read_text(encoding="utf-8", errors="ignore")[:_LARGEST_FILE].replace("\0", "")
            corpus.code.append(text)
            corpus.prose.append("\n".join(_prose(text)))
            size += len(text)
            if size > most_bytes:
                break
        return corpus


def _files() -> list[Path]:
    places = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")}
    found = {path.relative_to(place): path for place in sorted(places) for path in place.rglob("*.py")}
    chosen = [found[name] for name in sorted(found) if "site-packages" not in name.parts]
    random.Random(0).shuffle(chosen)
    return chosen


def _prose(text: str) -> Iterator[str]:
    for docstring in _DOCSTRING.findall(text):
        if len(docstring) > _SHORT:
            yield _INDENT.sub("\n", docstring.strip())


class Source:
    """Hands out blocks of texts in an order of its own, each once; then once more, cut at other places."""

    def __init__(self, texts: list[str], rng: random.Random) -> None:
        self._texts = [text for text in texts if text]
        self._rng = rng
        self._blocks = self._endless()

    def block(self) -> str:
        """The next block."""
        return next(self._blocks)

    def _endless(self) -> Iterator[str]:
        shift = 0
        while True:
            places = [
                (number, start)
                for number, text in enumerate(self._texts)
                for start in range(shift - _BLOCK, len(text), _BLOCK)
            ]
            self._rng.shuffle(places)
            for number, start in places:
                yield self._texts[number][max(0, start) : start + _BLOCK]
            shift = self._rng.randrange(1, _BLOCK)


class Pen:
    """Writes on from where it is in a source, so that what one person says hangs together."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._block = ""
        self._at = 0

    def write(self, length: int) -> str:
        """So many characters that nobody else gets."""
        text = self._block[self._at : self._at + length]
        self._at += length
        while len(text) < length:
            self._block = self._source.block()
            self._at = length - len(text)
            text += self._block[: self._at]
        return text
