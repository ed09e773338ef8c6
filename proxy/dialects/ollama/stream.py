"""A streamed Ollama answer put together again: lines in, the unary answer they amount to out.

Of a chat and of a plain generation alike: both become one object with a ``message``. Nearly every
line has the same simple shape and is read by a typed decoder, which passes over what nobody asked
for; what that refuses is read leniently, field by field, into the same shape.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from ...wire.ndjson import Decoder, Line
from ..base import fed
from ..failures import Failure, failure_of
from ..json_values import Notes, items, kind, loads, mapping, text

#: What an answer says of its cost, in tokens and ns.
MEASURES = (
    "prompt_eval_count", "eval_count",
    "total_duration", "load_duration", "prompt_eval_duration", "eval_duration",
)  # fmt: skip
_HEAD = ("model", "remote_model", "done_reason", *MEASURES)


class Delta(Struct, gc=False):
    """What a line adds to a chat's answer."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Any] | None = None
    images: list[Any] | None = None


class Piece(Struct, gc=False):
    """One line's worth; of a plain generation, the answer's text stands in the line itself."""

    message: Delta | None = None
    response: str | None = None
    thinking: str | None = None
    image: str | None = None
    logprobs: list[Any] | None = None
    done: bool = False
    error: Any = None


class Assembled(Struct, frozen=True, kw_only=True):
    """What a stream amounts to."""

    answer: dict[str, Any]  #: like the body of a unary answer of a chat
    failure: Failure | None  #: the first error that the stream told of
    terminal: bool  #: the line that says ``done`` came
    first_content_offset: int | None  #: just after the first line that carries something of an answer


_typed = msgspec.json.Decoder(Piece).decode
_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def assemble(body: bytes, notes: Notes) -> Assembled:
    """Put the lines of a body together, whole or cut."""
    stream = _Stream(notes)
    for some in fed(Decoder(), body, notes, "lines"):
        stream.take(some)
    return stream.result()


class _Stream:
    """A stream under way."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._contents: list[str] = []
        self._thoughts: list[str] = []
        self._lists: dict[str, list[Any]] = {"tool_calls": [], "images": [], "logprobs": []}
        self._head: dict[str, Any] = {}  # what lines say of the whole answer
        self._failure: Failure | None = None
        self._done = False
        self._first_content_offset: int | None = None

    def take(self, lines: Iterable[Line]) -> None:
        """Gather what the lines bring. This runs for every token of every stream."""
        contents, thoughts, notes = self._contents, self._thoughts, self._notes
        waiting = self._first_content_offset is None
        for line in lines:
            try:
                piece = _typed(line.data)
            except _REFUSALS:
                if (read := read_leniently(line.data, notes)) is None:
                    continue
                piece = read
            delta = piece.message
            if delta is None:
                content, thought = piece.response, piece.thinking
            else:
                content, thought = delta.content, delta.thinking
            if content:
                contents.append(content)
            if thought:
                thoughts.append(thought)
            told = bool(content or thought)
            if (
                waiting
                or not told
                or piece.done
                or piece.error
                or piece.logprobs
                or (delta and (delta.tool_calls or delta.images))
            ):
                told = self._aside(line, piece) or told
            if waiting and told:
                waiting = False
                self._first_content_offset = line.end

    def _aside(self, line: Line, piece: Piece) -> bool:
        """What is more than text; whether it is something of an answer."""
        if piece.done or not self._head:
            said = mapping(loads(line.data, "a line", Notes()))
            self._head |= {name: value for name, value in said.items() if name in _HEAD and value is not None}
        self._done = self._done or piece.done
        if piece.error:
            self._failure = self._failure or failure_of(piece.error)
        delta = piece.message or Delta(images=[piece.image] if piece.image else None)
        for name, values in (("tool_calls", delta.tool_calls), ("images", delta.images), ("logprobs", piece.logprobs)):
            self._lists[name] += values or ()
        return bool(delta.tool_calls or delta.images)

    def result(self) -> Assembled:
        """What it amounts to, once all was taken."""
        lists = {name: values for name, values in self._lists.items() if values}
        message = {"content": "".join(self._contents), "thinking": "".join(self._thoughts), **lists}
        return Assembled(
            answer={**self._head, "message": message, "logprobs": lists.get("logprobs")},
            failure=self._failure,
            terminal=self._done,
            first_content_offset=self._first_content_offset,
        )


def read_leniently(data: bytes, notes: Notes) -> Piece | None:
    """What can be read on a line; None and a note when it holds nothing."""
    value = loads(data, "a line", notes)
    if not isinstance(value, dict):
        if value is not None:
            notes.add(f"a line holds {kind(value)}, not an object")
        return None
    fields = value
    return Piece(
        message=_delta(fields["message"], notes) if isinstance(fields.get("message"), dict) else None,
        response=text(fields.get("response")),
        thinking=text(fields.get("thinking")),
        image=text(fields.get("image")),
        logprobs=items(fields.get("logprobs"), "logprobs", notes),
        done=fields.get("done") is True,
        error=fields.get("error"),
    )


def _delta(fields: dict[str, Any], notes: Notes) -> Delta:
    return Delta(
        content=text(fields.get("content")),
        thinking=text(fields.get("thinking")),
        tool_calls=items(fields.get("tool_calls"), "tool_calls", notes),
        images=items(fields.get("images"), "images", notes),
    )
