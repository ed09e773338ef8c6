"""Heads of messages as bytes: which requests are usual, and what travels on. Decided without I/O.

The fast path relays requests whose head can be read in one way only, and leaves the rest to the slow
path: a head is *usual* when it is plain HTTP/1.1 in origin form, visible ASCII, with one Host and no
framing but a length. Of answers it takes all that HTTP allows; what llhttp has found well-formed is
split here as it came, so that every byte of it can be passed on.
"""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct

from ..wire.headers import connection_names, end_to_end

Lines = list[tuple[bytes, bytes]]

END = b"\r\n\r\n"
_LINE = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t ]*+(?:[!-~]++(?:[\t ]++[!-~]++)*+)?[\t ]*+\r\n"
_USUAL = re.compile(rb"(GET|POST|PUT|PATCH|DELETE|OPTIONS) (/[!\"$-~]*+) HTTP/1\.1\r\n((?:" + _LINE + rb")++)\r\n")
_LENGTH = re.compile(rb"[0-9]{1,15}", re.ASCII)
#: What a request asks with these is the slow path's to answer.
_UNUSUAL = frozenset({b"expect", b"trailer", b"transfer-encoding", b"upgrade"})
_ANSWERED = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n]*+))?\r\n")
_CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class RequestHead(Struct, frozen=True):
    """A usual request's head."""

    raw: bytes
    method: bytes
    target: bytes
    lines: Lines  #: as sent, values without the space around them
    names: frozenset[bytes]  #: lower case
    length: int  #: of the body
    close: bool  #: the client wants no further answer on this connection


def usual(raw: bytes) -> RequestHead | None:
    """Read a head, its empty line included; None when it is not usual."""
    found = _USUAL.fullmatch(raw)
    if found is None:
        return None
    lines = _split(found[3])
    lower = [name.lower() for name, _ in lines]
    names = frozenset(lower)
    if lower.count(b"host") != 1 or not names.isdisjoint(_UNUSUAL):
        return None
    length = 0
    if b"content-length" in names:
        if lower.count(b"content-length") != 1:
            return None
        text = lines[lower.index(b"content-length")][1]
        if not _LENGTH.fullmatch(text):
            return None
        length = int(text)
    close = b"connection" in names and b"close" in connection_names(lines)
    return RequestHead(raw, found[1], found[2], lines, names, length, close)


def sent_on(head: RequestHead, target: bytes, authority: bytes, consumed: frozenset[bytes]) -> bytes:
    """The head for the upstream: end-to-end headers without ``consumed``, in their order, below a Host of its own."""
    lines = end_to_end(head.lines, consumed)
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (head.method, target, authority, _joined(lines))


class Framing(Enum):
    """Where an answer's body ends."""

    NONE = "none"  #: there is none
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"  #: with the connection


class AnswerHead(Struct, frozen=True):
    """Status line and headers of an answer."""

    raw: bytes
    minor: int  #: HTTP/1.minor
    status: int
    reason: bytes
    lines: Lines
    framing: Framing
    length: int  #: with ``Framing.LENGTH``
    keep_alive: bool

    @property
    def content_type(self) -> bytes:
        """Without parameters, in lower case."""
        value = next((value for name, value in self.lines if name.lower() == b"content-type"), b"")
        return value.partition(b";")[0].strip().lower()


def answered(raw: bytes) -> AnswerHead | None:
    """Read a head that a parser has found well-formed; None when it must not be passed on."""
    found = _ANSWERED.match(raw)
    if found is None or _CONTROL_CHARACTERS.search(found[3] or b""):
        return None
    lines = _split(raw[found.end() : -2])
    if any(_CONTROL_CHARACTERS.search(value) for _, value in lines):
        return None
    minor, status = int(found[1]), int(found[2])
    framing, length = _framing(status, minor, lines)
    if framing is None:
        return None
    connection = connection_names(lines)
    keep_alive = b"close" not in connection if minor else b"keep-alive" in connection
    return AnswerHead(raw, minor, status, found[3] or b"", lines, framing, length, keep_alive)


def passed_on(head: AnswerHead, added: Lines) -> bytes:
    """The head for the client: end-to-end headers as they came, in their order, then ``added``."""
    version = b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)
    return b"%b%b%b\r\n" % (version, _joined(end_to_end(head.lines)), _joined(added))


def chunk(data: bytes) -> bytes:
    """A piece of a body in chunked framing."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def _framing(status: int, minor: int, lines: Lines) -> tuple[Framing | None, int]:
    """RFC 9112 §6.3; None for what can be read in two ways."""
    encodings = [value.lower() for name, value in lines if name.lower() == b"transfer-encoding"]
    lengths = [value for name, value in lines if name.lower() == b"content-length"]
    if len(lengths) > 1 or (encodings and (lengths or encodings != [b"chunked"] or not minor)):
        return None, 0
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        return None, 0
    if status < 200 or status in (204, 304):
        return Framing.NONE, 0
    if encodings:
        return Framing.CHUNKED, 0
    if lengths:
        length = int(lengths[0])
        return (Framing.LENGTH, length) if length else (Framing.NONE, 0)
    return Framing.CLOSE, 0


def _split(block: bytes) -> Lines:
    found = []
    for line in block.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        found.append((name, value.strip(b" \t")))
    return found


def _joined(lines: Lines) -> bytes:
    return b"".join([b"%b: %b\r\n" % line for line in lines])
