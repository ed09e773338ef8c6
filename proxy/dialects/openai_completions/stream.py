"""A streamed text completion put together again: bytes in, the unary answer they amount to out.

Nearly every chunk brings a text for one choice and nothing else; a typed decoder tells those from
the rest, which are read field by field.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ...wire.sse import Decoder
from ..failures import Failure, failure_of
from ..json_values import MOST_ENTRIES, Notes, count, items, loads, mapping, text

_READ_BYTES = 65_536  # taken at once: their events are the memory that reading needs


class _Piece(Struct, gc=False):
    """What a chunk adds to a choice."""

    index: Annotated[int, Meta(ge=0, lt=1 << 53)]
    text: str
    finish_reason: Any = None
    logprobs: Any = None
    content_filter_results: Any = None


class _Chunk(Struct, gc=False):
    """One event's worth."""

    choices: list[_Piece]
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Assembly:
    """A stream under way: ``feed`` what was read, in pieces of any size, then ``finish``."""

    def __init__(self, notes: Notes) -> None:
        self.failed: Failure | None = None
        self.first_content_offset: int | None = None
        self._notes = notes
        self._decoder = Decoder()
        self._done = False
        self._said: dict[str, Any] = {}  # beside the choices: the last word holds
        self._texts: defaultdict[int, list[str]] = defaultdict(list)
        self._rest: defaultdict[int, dict[str, Any]] = defaultdict(dict)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        for at in range(0, len(data), _READ_BYTES):
            for event in self._decoder.feed(data[at : at + _READ_BYTES]):
                self._take(event.data, event.end)

    def finish(self) -> None:
        """The stream is over."""
        for event in self._decoder.finish():
            self._take(event.data, event.end)
        if self._decoder.oversized:
            self._notes.add(f"{self._decoder.oversized} events were too large to be read")

    @property
    def terminal(self) -> bool:
        """``[DONE]`` came, or every choice was finished and the usage was given."""
        finished = bool(self._rest) and all(rest.get("finish_reason") for rest in self._rest.values())
        return self._done or (finished and bool(self._said.get("usage")))

    def completion(self) -> dict[str, Any]:
        """Like the body of a unary answer."""
        choices = [
            rest | {"index": index, "text": "".join(self._texts[index])} for index, rest in sorted(self._rest.items())
        ]
        return self._said | {"choices": choices}

    def _take(self, data: bytes, end: int) -> None:
        try:
            chunk = _decode(data)
        except _REFUSALS:
            self._take_any(data, end)
            return
        piece = chunk.choices[0] if len(chunk.choices) == 1 and not chunk.usage and not chunk.error else None
        plain = piece and not (piece.finish_reason or piece.logprobs or piece.content_filter_results)
        if piece and plain and piece.index in self._texts:
            self._texts[piece.index].append(piece.text)
        else:
            self._take_any(data, end)

    def _take_any(self, data: bytes, end: int) -> None:
        if not data:
            return
        if data.strip() == b"[DONE]":
            self._done = True
            return
        chunk = mapping(loads(data, "an event", self._notes))
        self._said |= {key: value for key, value in chunk.items() if value and key != "choices"}
        if chunk.get("error"):
            self.failed = self.failed or failure_of(chunk["error"])
        for value in items(chunk.get("choices"), "choices", self._notes):
            self._take_choice(mapping(value), end)

    def _take_choice(self, delta: dict[str, Any], end: int) -> None:
        index = count(delta.get("index"), "choice index", self._notes) or 0
        if index not in self._rest and len(self._rest) >= MOST_ENTRIES:
            self._notes.add("there are more choices than are read")
            return
        self._rest[index] |= {key: value for key, value in delta.items() if value and key not in ("text", "logprobs")}
        for key, values in mapping(delta.get("logprobs")).items():
            if isinstance(values, list):
                self._rest[index].setdefault("logprobs", {}).setdefault(key, []).extend(values)
        if piece := text(delta.get("text")):
            self._texts[index].append(piece)
            if self.first_content_offset is None:
                self.first_content_offset = end
