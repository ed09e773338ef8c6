"""Chunked bodies on their way through: passed on as they came, read for the record, ended exactly. No I/O."""

from __future__ import annotations

import re

import httptools

from .heads import END

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


_BARE_BYTES = 65_536  #: of sizes, extensions and trailers with nothing of the body between them
_ENDS = 64  #: places in one read that may be the end; of more, none is looked for
_LAST = re.compile(rb"(?:^|\r\n)0+[\t ]*(?:;[^\r\n]*)?\r\n")
#: Names that would say something else of the message than its head did.
_FORBIDDEN = frozenset({b"content-encoding", b"content-length", b"content-type", b"host", b"transfer-encoding"})


class _Sink:
    """What llhttp finds. It knows nothing of who made it, so that no cycle has to be collected."""

    __slots__ = ("forbidden", "in_head", "messages", "pieces", "whole")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.whole = False
        self.messages = 0
        self.in_head = True
        self.forbidden = False

    def on_message_begin(self) -> None:
        """A head begins."""
        self.messages += 1

    def on_headers_complete(self) -> None:
        """A head has come."""
        self.in_head = False

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: ARG002
        """A line of the head, or a trailer."""
        self.forbidden |= not self.in_head and name.lower() in _FORBIDDEN

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        """The last chunk and the trailers have come."""
        self.whole = True


class Chunks:
    """One body in chunked framing."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._parser = httptools.HttpResponseParser(self._sink)
        self._parser.feed_data(_HEAD)
        self._tail = b"\r\n"  #: the last bytes, in which the end may have begun
        self._in_trailers = False  #: or something in the body looks as if
        self._bare = 0

    @property
    def whole(self) -> bool:
        """Whether the body has ended."""
        return self._sink.whole

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """(the bytes of this body, what they hold of its contents). Raises ``ValueError`` for bad framing.

        Bytes behind the end are of no answer that was asked for: they are not among those given back.
        """
        start = 0
        for end in self._possible_ends(data):
            self._parse(data[start:end] if start or end < len(data) else data)
            start = end
            if self.whole:
                break
        self._tail = data[-3:] if len(data) > 3 else (self._tail + data)[-3:]
        pieces, self._sink.pieces = self._sink.pieces, []
        self._bare = 0 if pieces else self._bare + start
        if self._bare > _BARE_BYTES or self._sink.forbidden:
            raise ValueError("a chunk extension or a trailer that nobody should send")
        return data[:start] if start < len(data) else data, pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _possible_ends(self, data: bytes) -> list[int]:
        """Places behind which nothing of this body may come, and the end of the data.

        A body ends with an empty line, somewhere behind a line that says 0. Both may be spread over reads.
        """
        seen, before = self._tail + data, len(self._tail)
        last = None if self._in_trailers else _LAST.search(seen)
        if last is None and not self._in_trailers:
            self._in_trailers = _may_end(seen)
            return [len(data)]
        self._in_trailers = True
        ends: list[int] = []
        at = seen.find(END, 0 if last is None else max(last.end() - 2, 0))
        while at >= 0 and len(ends) <= _ENDS:
            if at + len(END) > before:
                ends.append(at + len(END) - before)
            at = seen.find(END, at + 1)
        if len(ends) > _ENDS:
            ends = []
        return ends if ends and ends[-1] == len(data) else [*ends, len(data)]

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ValueError("bad chunk framing") from error
        if self._sink.messages > 1:
            raise ValueError("another answer begins in the same bytes")


def _may_end(seen: bytes) -> bool:
    """Whether a line that says 0 may have begun, and not ended, at the end of what was seen."""
    return seen[seen.rfind(b"\n") + 1 :][:1] == b"0"
