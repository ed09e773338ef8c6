"""What earlier bodies began with: of a body that goes on where another ended, only the end is read.

An agent sends its whole history with each call. Comparing bytes costs a fraction of parsing and
hashing them, so the beginnings of recent bodies are remembered, up to the end of their last message.
Forgetting one costs time, nothing else: a body that no beginning fits is cut as a whole.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from itertools import takewhile

import msgspec
from msgspec import Struct

from . import slices
from .cut import Cut, cut
from .digests import NOTHING, chained, digest
from .marks import Mark, without_marks
from .slices import WORTH_BYTES, Slices, Value

MEMORY_BYTES = 64 << 20
_ENTRY_BYTES = 2000  # of a beginning without its texts
_ANSWERS = 2  # known ones that a reader of the rest is shown again, with all that stands behind them
_MOST_SHOWN, _MOST_SHOWN_BYTES = 256, 1 << 20  # known messages that are; where more would be, all is read again
_MOST_LEADING = 16
_OF_A_KIND = 4  # beginnings that share a first message: branches of one conversation
_USER = (b'"role":"user"', b'"role": "user"')
_BEFORE, _AFTER = 60, 200  # bytes around it
_INSTRUCTIONS = re.compile(rb'"role"[ \t\r\n]*:[ \t\r\n]*"(?:system|developer)"')
_ANSWER = re.compile(
    rb'"role"[ \t\r\n]*:[ \t\r\n]*"(?:assistant|model)"|"type"[ \t\r\n]*:[ \t\r\n]*"(?:reasoning|[a-z_]+_call)"'
)
_SEPARATOR = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")


class _Beginning(Struct):
    """A body up to the end of its last message, and what stood behind."""

    text: bytes
    behind: bytes
    cut: Cut  # with all messages known: their bytes are in ``text``
    lead: tuple[bytes, ...]  # instructions that stand first
    recent: tuple[bytes, ...]  # from the last but one answer on
    kind: bytes
    marked: bool
    size: int
    readable: bool  # what a reader is shown is enough, and not too much
    plain: bool = False


class Prefixes:
    """The beginnings of recent bodies, within ``memory_bytes``; the longest unused is forgotten first."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._beginnings: OrderedDict[bytes, _Beginning] = OrderedDict()  # by the digest of their messages
        self._kinds: dict[bytes, list[bytes]] = {}
        self._left = memory_bytes

    def cut(self, body: bytes, salt: bytes, space: bytes) -> Cut:
        """The pieces of a body; ``space``: what bodies must share besides to begin alike."""
        if len(body) < WORTH_BYTES:
            return cut(body, salt)
        kind = salt + space + _first_words(body)
        for name in reversed(self._kinds.get(kind, ())):
            beginning = self._beginnings[name]
            if (found := _continued(beginning, body, salt)) and slices.fits(found.slices, len(body)):
                self._remember(kind, body, found, beginning)
                return found
        found = cut(body, salt)
        self._remember(kind, body, found, None)
        return found

    def learned(self, found: Cut, *, plain: bool) -> None:
        """What reading a body showed: ``plain`` when its messages need not be read again with the next one's."""
        beginning = self._beginnings.get(found.last)
        if beginning is not None:
            beginning.plain = plain and beginning.readable

    def _remember(self, kind: bytes, body: bytes, found: Cut, before: _Beginning | None) -> None:
        if None not in found.slices.values or found.last == NOTHING:
            return
        beginning = _beginning(kind, body, found, before)
        if before is not None:
            self._forget(before.cut.last)
        self._forget(found.last)
        alike = self._kinds.get(kind, [])
        if len(alike) == _OF_A_KIND:
            self._forget(alike[0])
        self._kinds.setdefault(kind, []).append(found.last)
        self._beginnings[found.last] = beginning
        self._left -= beginning.size
        while self._left < 0:
            self._forget(next(iter(self._beginnings)))

    def _forget(self, name: bytes) -> None:
        beginning = self._beginnings.pop(name, None)
        if beginning is None:
            return
        self._left += beginning.size
        alike = self._kinds[beginning.kind]
        alike.remove(name)
        if not alike:
            del self._kinds[beginning.kind]


def _first_words(body: bytes) -> bytes:
    """Bodies of one conversation are of one kind, by what stands around the first user's message."""
    at = max(body.find(_USER[0]), 0) or max(body.find(_USER[1]), 0)
    around, _ = without_marks(body[max(0, at - _BEFORE) : at + _AFTER])
    return around


# --- going on where another ended ----------------------------------------------------------------


def _continued(beginning: _Beginning, body: bytes, salt: bytes) -> Cut | None:
    """The pieces of a body that begins so; None when it does not, or does not go on as a list of messages."""
    marks: tuple[Mark, ...] = ()
    if beginning.marked:
        body, marks = without_marks(body)
    start = len(beginning.text)
    if not body.startswith(beginning.text):
        return None
    rest = body[start:]
    if not beginning.marked:
        rest, marks = without_marks(rest)
        marks = tuple([msgspec.structs.replace(mark, at=mark.at + start) for mark in marks])
    parts = _more(beginning, rest) or _otherwise(beginning, rest)
    return _joined(beginning, parts, salt, marks) if parts else None


class _Rest(Struct, frozen=True):
    """What follows a beginning: messages, and what stands behind them, literals first."""

    messages: tuple[bytes, ...]
    separator: bytes
    literals: tuple[bytes, ...]
    values: tuple[Value | None, ...]


def _more(beginning: _Beginning, rest: bytes) -> _Rest | None:
    """Further messages, and then the same as before."""
    if not rest.endswith(beginning.behind):
        return None
    parts = beginning.cut.slices
    place = parts.values.index(None)
    behind = parts.literals[place + 1 :], parts.values[place + 1 :]
    added = rest[: len(rest) - len(beginning.behind)]
    if not added:
        return _Rest((), parts.separator, *behind)
    comma = _SEPARATOR.match(added)
    separator = parts.separator or (comma.group() if comma else b"")
    messages = slices.listed(added, separator) if separator else ()
    return _Rest(messages, separator, *behind) if messages else None


def _otherwise(beginning: _Beginning, rest: bytes) -> _Rest | None:
    """Perhaps further messages, and then something else: read as a body that has no other messages."""
    before = beginning.cut.slices
    comma = _SEPARATOR.match(rest)
    separator = before.separator or (comma.group() if comma else b"")
    opening = b'{"%b":[' % _last_name(before.literals[before.values.index(None)])
    parts = slices.members(opening + rest[len(separator) if comma else 0 :])
    if parts is None or parts.values[0] is not None or _names_another(parts.literals[1:]):
        return None
    if comma:
        fits = parts.literals[0] == opening and parts.messages and parts.separator in (b"", separator)
        if not (fits and comma.group() == separator):
            return None
        return _Rest(parts.messages, separator, parts.literals[1:], parts.values[1:])
    if parts.messages:
        return None
    blank = parts.literals[0][len(opening) :]
    return _Rest((), separator, (blank + parts.literals[1], *parts.literals[2:]), parts.values[1:])


def _names_another(literals: tuple[bytes, ...]) -> bool:
    """Whether what stands behind the messages may hold a list that would be read in their place."""
    return any(b'"%b"' % name.encode() in literal for name in slices.ARRAYS for literal in literals)


def _last_name(literal: bytes) -> bytes:
    """The last member's name in what stands before its value."""
    return literal[: literal.rindex(b'"')].rpartition(b'"')[2]


def _joined(beginning: _Beginning, rest: _Rest, salt: bytes, marks: tuple[Mark, ...]) -> Cut:
    before = beginning.cut
    parts = before.slices
    place = parts.values.index(None)
    names = tuple([digest(salt, message) for message in rest.messages])
    literals = (*parts.literals[: place + 1], *rest.literals)
    values = (*parts.values[: place + 1], *rest.values)
    return Cut(
        slices=Slices(literals, values, rest.messages, rest.separator),
        values=(*before.values[:place], *_names_behind(before, place, rest.values, salt)),
        names=names,
        chain=tuple(chained(before.last, names)),
        known=before.known,
        history=before.last,
        shown=(*beginning.lead, *beginning.recent),
        plain=beginning.plain,
        marks=marks,
    )


def _names_behind(before: Cut, place: int, values: tuple[Value | None, ...], salt: bytes) -> tuple[bytes, ...]:
    """Of the values behind the messages, which are mostly those of the body before."""
    known = before.slices.values[place + 1 :]
    if values == known:
        return before.values[place:]
    return tuple([digest(salt, value.data) for value in values if value])


def _beginning(kind: bytes, body: bytes, found: Cut, before: _Beginning | None) -> _Beginning:
    bare = without_marks(body)[0] if found.marks else body
    parts = found.slices
    place = parts.values.index(None)
    behind = b"".join(Slices(parts.literals[place + 1 :], parts.values[place + 1 :]).pieces())
    lead, recent = _shown(parts.messages, before)
    text = bare[: len(bare) - len(behind)]
    values = sum(len(value.data) for value in parts.values if value)
    shown_bytes = sum(map(len, (*lead, *recent)))
    return _Beginning(
        text=text,
        behind=behind,
        cut=msgspec.structs.replace(
            found,
            slices=msgspec.structs.replace(parts, messages=()),
            names=(),
            chain=(found.last,),
            known=found.known + len(found.names),
            marks=(),
            shown=(),
        ),
        lead=lead,
        recent=recent,
        kind=kind,
        marked=bool(found.marks),
        size=len(kind) + len(text) + 2 * len(behind) + values + shown_bytes + _ENTRY_BYTES,
        readable=len(recent) <= _MOST_SHOWN and shown_bytes <= _MOST_SHOWN_BYTES,
        plain=found.plain,
    )


def _shown(messages: tuple[bytes, ...], before: _Beginning | None) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """What a reader of the rest is shown of these messages, and of those before: leading instructions, last answers."""
    if before is not None:
        lead, messages = before.lead, (*before.recent, *messages)
    else:
        instructions = takewhile(_INSTRUCTIONS.search, messages[:_MOST_LEADING])
        lead = tuple(instructions)
        messages = messages[len(lead) :]
    return lead, messages[_last_answers(messages) :]


def _last_answers(messages: tuple[bytes, ...]) -> int:
    """Where the last but one answer begins; an answer may be several messages."""
    left, within = _ANSWERS, False
    for at in range(len(messages) - 1, -1, -1):
        before, within = within, _ANSWER.search(messages[at]) is not None
        if before and not within:
            left -= 1
            if not left:
                return at + 1
    return 0
