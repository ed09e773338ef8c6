"""System prompts: which version each call sent, and the versions of a project.

A text that was seen lately costs a hash; one that fits a template that is in use, a few comparisons of
memory. Only what is new is compared word by word, with few others, and a project has a bounded number of
versions: where every call brings a prompt of its own, later ones have none.
"""

from __future__ import annotations

import re
import sqlite3
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from itertools import islice

import msgspec
import zstandard

from ..templates import Difference, Template, difference, is_similar
from ..traces import PromptVersion
from . import rows
from .files import transaction
from .queries import QUERIES
from .recent import Recent

_SEEN = 20_000  # texts
_PROJECTS = 32
_VERSIONS = 1000  # of a project
_TEMPLATE_BYTES = 4 << 20  # of a project, in memory
_TRIED = 64  # templates that a text may fit, those in use first
_COMPARED = 16  # versions that a new text is compared with
_SAME_PLACE = 3  # so many versions differ at one place: it varies
_SAME_LONG_PLACE = 12  # …by more than a few words: each of them has been seen once
_FIXED = 200  # characters around such a place, that are the same
_ALIKE = 32  # characters
_PIECE = re.compile(r"[.!?\n]\s+")
_LONGEST = 1 << 20  # characters; a longer prompt has no version
_PACKER = zstandard.ZstdCompressor(9)
_PROJECT = rows.KINDS["project"]


class _Version:
    """One that is in memory."""

    def __init__(self, number: int, template: Template, first_us: int, last_us: int) -> None:
        self.number = number
        self.first_us, self.last_us = first_us, last_us
        self.change(template)

    def change(self, template: Template) -> None:
        """Another place varies, too."""
        self.template = template
        self.size = len(template.text)
        self._pieces = _pieces(template.text)

    def may_be(self, text: str, pieces: frozenset[int]) -> bool:
        """Whether a text may be made from it: it begins or ends alike, or has some sentences of it."""
        first, last = self.template.segments[0], self.template.segments[-1]
        if (first and text.startswith(first[:_ALIKE])) or (last and text.endswith(last[-_ALIKE:])):
            return True
        return len(self._pieces & pieces) * 4 > min(len(self._pieces), len(pieces))


class _Project:
    """The versions of one project, those in use last."""

    def __init__(self, versions: list[_Version], newest: int) -> None:
        self.versions: OrderedDict[int, _Version] = OrderedDict((version.number, version) for version in versions)
        self.newest = newest

    def of(self, text: str) -> _Version | None:
        """The one whose template a text fits."""
        for _, version in zip(range(_TRIED), reversed(self.versions.values()), strict=False):
            if version.template.matches(text):
                return version
        return None

    def put(self, version: _Version) -> None:
        self.versions[version.number] = version
        self.newest = max(self.newest, version.number)
        size = sum(each.size for each in self.versions.values())
        while size > _TEMPLATE_BYTES and len(self.versions) > 1:
            size -= self.versions.popitem(last=False)[1].size


class Prompts:
    """Gives numbers; ``flush`` belongs to the transaction that writes the calls."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._main = connection
        self._seen: Recent[tuple[int, int, int], int] = Recent(_SEEN)
        self._projects: OrderedDict[int, _Project] = OrderedDict()
        self._times: dict[tuple[int, int], tuple[int, int]] = {}

    def number(self, project: int, text: str, at_us: int) -> int | None:
        """The version of a system prompt; None for one that cannot be told from too many others."""
        seen = (project, hash(text), len(text))
        number = self._seen.get(seen)
        if number is None:
            if len(text) > _LONGEST or (number := self._found(self._project(project), project, text, at_us)) is None:
                return None
            self._seen[seen] = number
        first_us, last_us = self._times.get((project, number), (at_us, at_us))
        self._times[project, number] = min(first_us, at_us), max(last_us, at_us)
        return number

    def flush(self) -> None:
        """Write when versions were seen first and last."""
        times = [(first, last, *of) for of, (first, last) in self._times.items()]
        self._main.executemany(QUERIES["prompt_seen"], times)
        self._times.clear()

    def _project(self, project: int) -> _Project:
        found = self._projects.pop(project, None) or self._read(project)
        self._projects[project] = found
        if len(self._projects) > _PROJECTS:
            self._projects.popitem(last=False)
        return found

    def _read(self, project: int) -> _Project:
        found = [
            _Version(number, _unpacked(packed, size), first_us, last_us)
            for number, _, first_us, last_us, size, packed in self._main.execute(QUERIES["newest_prompts"], (project,))
        ]
        kept: list[_Version] = []
        size = 0
        for version in found:
            size += version.size
            if kept and size > _TEMPLATE_BYTES:
                break
            kept.append(version)
        return _Project(kept[::-1], found[0].number if found else 0)

    def _found(self, known: _Project, project: int, text: str, at_us: int) -> int | None:
        version = known.of(text)
        if version is None:
            if known.newest >= _VERSIONS:
                return None
            version = self._new(known, project, text, at_us)
        known.versions.move_to_end(version.number)
        version.first_us, version.last_us = min(version.first_us, at_us), max(version.last_us, at_us)
        return version.number

    def _new(self, known: _Project, project: int, text: str, at_us: int) -> _Version:
        compared = list(_compared(known, text))
        same = _same(compared)
        if same is not None:
            version, template = same
            version.change(template)
            packed, size = _packed(template)
            self._main.execute(QUERIES["change_prompt"], (packed, size, project, version.number))
            return version
        version = _Version(known.newest + 1, Template((text,)), at_us, at_us)
        packed, size = _packed(version.template)
        predecessor = _predecessor(compared, text)
        self._main.execute(QUERIES["add_prompt"], (project, version.number, predecessor, at_us, at_us, size, packed))
        known.put(version)
        return version


def _compared(known: _Project, text: str) -> Iterator[tuple[_Version, Difference]]:
    """The likeliest versions, the last used first, and how the text differs from them."""
    pieces = _pieces(text)
    alike = (version for version in reversed(known.versions.values()) if version.may_be(text, pieces))
    for version in islice(alike, _COMPARED):
        if (found := difference(version.template, text)) is not None:
            yield version, found


def _pieces(text: str) -> frozenset[int]:
    return frozenset(map(hash, _PIECE.split(text)))


def _same(compared: list[tuple[_Version, Difference]]) -> tuple[_Version, Template] | None:
    """The version that a text is, and the template of both."""
    for version, found in compared:
        if found.data:
            return version, found.template
    places: defaultdict[tuple[str, ...], list[tuple[_Version, Difference]]] = defaultdict(list)
    for version, found in compared:
        places[found.template.segments].append((version, found))
    for group in places.values():
        once = all(version.first_us == version.last_us for version, _ in group)
        short = all(found.short for _, found in group)
        fixed = sum(map(len, group[0][1].template.segments))
        if len(group) >= _SAME_PLACE if short else len(group) >= _SAME_LONG_PLACE and once and fixed >= _FIXED:
            version, found = max(group, key=lambda pair: pair[0].number)
            return version, found.template
    return None


def _predecessor(compared: list[tuple[_Version, Difference]], text: str) -> int | None:
    """The newest version that the text is made from."""
    near = [version for version, found in compared if found.short]
    near = near or [version for version, _ in compared if is_similar(version.template, text)]
    return max((version.number for version in near), default=None)


def _packed(template: Template) -> tuple[bytes, int]:
    written = msgspec.msgpack.encode(template)
    return _PACKER.compress(written), len(written)


def _unpacked(packed: bytes, size: int) -> Template:
    written = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)
    return msgspec.msgpack.decode(written, type=Template)


# --- reading ------------------------------------------------------------------------------------------


def projects(connection: sqlite3.Connection) -> list[str]:
    """See ``Reader.prompt_projects``."""
    return [name for (name,) in connection.execute(QUERIES["prompt_projects"])]


def versions(connection: sqlite3.Connection, project: str) -> list[PromptVersion]:
    """The versions of a project by number, without what calls say of them."""
    with transaction(connection, "DEFERRED"):
        found = connection.execute(QUERIES["prompts_of"], (_PROJECT, project)).fetchall()
    lines: dict[int, int] = {}
    told = []
    for number, predecessor, first_us, last_us, size, packed in found:
        lines[number] = lines.get(predecessor, predecessor or number)
        template = _unpacked(packed, size)
        told.append(
            PromptVersion(
                project=project,
                number=number,
                line=lines[number],
                predecessor=predecessor,
                first_us=first_us,
                last_us=last_us,
                text=template.text,
                segments=template.segments,
            )
        )
    return told
