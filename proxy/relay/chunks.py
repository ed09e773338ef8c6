"""Chunked bodies on their way through: passed on as they came, read for the record, ended exactly. No I/O."""

from __future__ import annotations

import httptools

from .heads import END

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Sink:
    """What llhttp finds. It knows nothing of who made it, so that no cycle has to be collected."""

    __slots__ = ("pieces", "whole")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.whole = False

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
        self._tail = b""  #: the last bytes, in which the end may have begun

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
            self._parse(data[start:end])
            start = end
            if self.whole:
                break
        self._tail = (self._tail + data[-3:])[-3:]
        pieces, self._sink.pieces = self._sink.pieces, []
        return data[:start] if start < len(data) else data, pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _possible_ends(self, data: bytes) -> list[int]:
        """Where an empty line ends, and where the data does; a body ends at one of the first."""
        seen, before = self._tail + data, len(self._tail)
        ends = []
        at = seen.find(END)
        while at >= 0:
            if at + len(END) > before:
                ends.append(at + len(END) - before)
            at = seen.find(END, at + 1)
        if not ends or ends[-1] != len(data):
            ends.append(len(data))
        return ends

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ValueError("bad chunk framing") from error
