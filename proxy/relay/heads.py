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

from ..wire.headers import HOP_BY_HOP, connection_names, end_to_end

Lines = list[tuple[bytes, bytes]]

END = b"\r\n\r\n"
_LINE = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t ]*+(?:[!-~]++(?:[\t ]++[!-~]++)*+)?[\t ]*+\r\n"
_USUAL = re.compile(rb"(GET|POST|PUT|PATCH|DELETE|OPTIONS) (/[!\"$-~]*+) HTTP/1\.1\r\n((?:" + _LINE + rb")++)\r\n")
_LENGTH = re.compile(rb"[0-9]{1,15}", re.ASCII)
#: What a request asks with these is the slow path's to answer.
_NO_NAMES: frozenset[bytes] = frozenset()
_UNUSUAL = frozenset({b"expect", b"trailer", b"transfer-encoding", b"upgrade"})
_ANSWERED = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n]*+))?\r\n")
_USUAL_ANSWER = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [ -~]*+)?\r\n(?:" + _LINE + rb")*+\r\n")
#: Lines that end here, when Connection names no others.
_HOPS = re.compile(rb"^(?:" + b"|".join(sorted(HOP_BY_HOP)) + rb"):[^\n]*+\n", re.IGNORECASE | re.MULTILINE)
_ENDING = re.compile(rb"^(?:host|" + b"|".join(sorted(HOP_BY_HOP)) + rb"):[^\n]*+\n", re.IGNORECASE | re.MULTILINE)
_OF_ONE_HOP = HOP_BY_HOP | {b"close"}  #: what Connection may name without more ado
CONTROL_CHARACTERS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class RequestHead(Struct, frozen=True):
    """A usual request's head."""

    method: bytes
    target: bytes
    block: bytes  #: the header lines as sent
    lines: Lines  #: the same, values without the space around them
    names: frozenset[bytes]  #: lower case
    length: int  #: of the body
    connection: frozenset[bytes]  #: what Connection names

    @property
    def close(self) -> bool:
        """Whether the client wants no further answer on this connection."""
        return b"close" in self.connection


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
    connection = connection_names(lines) if b"connection" in names else _NO_NAMES
    if not connection <= _OF_ONE_HOP:
        return None  # what it names could be what frames the body
    return RequestHead(found[1], found[2], found[3], lines, names, length, connection)


def sent_on(head: RequestHead, target: bytes, authority: bytes, consumed: frozenset[bytes]) -> bytes:
    """The head for the upstream: end-to-end headers without ``consumed``, in their order, below a Host of its own."""
    if consumed.isdisjoint(head.names):
        block = _ENDING.sub(b"", head.block)
    else:
        block = _joined(end_to_end(head.lines, consumed | {b"host"}))
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (head.method, target, authority, block)


class Framing(Enum):
    """Where an answer's body ends."""

    NONE = "none"  #: there is none
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"  #: with the connection


class AnswerHead(Struct, frozen=True):
    """Status line and headers of an answer."""

    minor: int  #: HTTP/1.minor
    status: int
    reason: bytes
    block: bytes  #: the header lines as they came
    lines: Lines
    connection: frozenset[bytes]  #: what Connection names
    content_type: bytes  #: without parameters, in lower case
    framing: Framing
    length: int  #: with ``Framing.LENGTH``
    keep_alive: bool


def is_usual(raw: bytes) -> bool:
    """Whether an answer's head is so plain that no parser reads it otherwise; others are llhttp's to judge."""
    return _USUAL_ANSWER.fullmatch(raw) is not None


def answered(raw: bytes) -> AnswerHead | None:
    """Read a head that is well-formed; None when it must not be passed on."""
    found = _ANSWERED.match(raw)
    if found is None or CONTROL_CHARACTERS.search(raw.replace(b"\r\n", b"")):
        return None
    block = raw[found.end() : -2]
    lines = _split(block)
    named: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        named.setdefault(name.lower(), []).append(value)
    minor, status = int(found[1]), int(found[2])
    framing, length = _framing(status, minor, named.get(b"transfer-encoding", []), named.get(b"content-length", []))
    if framing is None:
        return None
    connection = connection_names(lines) if b"connection" in named else _NO_NAMES
    return AnswerHead(
        minor=minor,
        status=status,
        reason=found[3] or b"",
        block=block,
        lines=lines,
        connection=connection,
        content_type=named.get(b"content-type", [b""])[0].partition(b";")[0].strip().lower(),
        framing=framing,
        length=length,
        keep_alive=b"close" not in connection if minor else b"keep-alive" in connection,
    )


def passed_on(head: AnswerHead, added: Lines) -> bytes:
    """The head for the client: end-to-end headers as they came, in their order, then ``added``."""
    if head.connection <= _OF_ONE_HOP:
        block = _HOPS.sub(b"", head.block)
    else:
        gone = HOP_BY_HOP | head.connection - {b"content-length"}  # it says where the body ends, whoever names it
        block = _joined([line for line in head.lines if line[0].lower() not in gone])
    return b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (head.status, head.reason, block, _joined(added))


def chunk(data: bytes) -> bytes:
    """A piece of a body in chunked framing."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def _framing(status: int, minor: int, encodings: list[bytes], lengths: list[bytes]) -> tuple[Framing | None, int]:
    """RFC 9112 §6.3; None for what can be read in two ways."""
    if len(lengths) > 1 or (encodings and (lengths or len(encodings) > 1 or not minor)):
        return None, 0
    if encodings and encodings[0].lower() != b"chunked":
        return None, 0
    if status < 200 and (encodings or lengths):
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
