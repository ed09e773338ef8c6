"""A streamed response put together again: events in, the unary answer they amount to out.

The last event of a whole stream holds the whole response, and then only the beginning is read, to
see where content begins. A stream that was cut, or whose server leaves that out, is gathered from
its pieces into the same object.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from msgspec import Struct

from ...wire.sse import Decoder, Event
from ..base import fed
from ..failures import Failure, failure_of
from ..json_values import Notes, compact, listed, mapping, text
from .events import (
    DONE,
    ERROR,
    PARTS,
    RESPONSE,
    STATUSES,
    TERMINAL,
    TEXTS,
    Place,
    read_delta,
    read_event,
)
from .gathering import Gathering, Text, integer
from .items import has_content

_ERROR_TYPE = b'"error"'  # not within a text, where the quotes are escaped
_ERROR_TOLD = re.compile(rb'"error"(?!\s*:\s*null)')  # as a type or a field
_ERROR_NAMED = re.compile(rb"event:\s*error")
_MOST_ANNOTATIONS = 1000  # of one part
_AT_THE_END = 4  # events, the one that ends the stream among them

_Slot = tuple[str, int | None, str | None, int | None, int | None]


class Assembled(Struct, frozen=True, kw_only=True):
    """What a stream amounts to."""

    response: dict[str, Any]  #: like the body of a unary answer
    failure: Failure | None  #: the first error that the stream told of
    terminal: bool  #: an event came that ends a stream
    first_content_offset: int | None  #: just after the first event that carries something of an answer


def assemble(body: bytes, notes: Notes) -> Assembled:
    """Put the body of an event stream together, whole or cut."""
    # Blank events, which keep a connection alive, are nothing to be kept.
    events = [event for some in fed(Decoder(), body, notes) for event in some if event.data or event.type == ERROR]
    stream = _Stream(notes)
    last = _whole(events)
    stream.gather(events, until_content=last is not None)
    if last is not None:
        if _ERROR_TOLD.search(body) or _ERROR_NAMED.search(body):  # seldom; else each event need not be looked at
            stream.look_for_errors(events)
        stream.take(last)
    return stream.result()


def _whole(events: list[Event]) -> dict[str, Any] | None:
    """The event that ends the stream, if it holds all that was put out."""
    for event in reversed(events[-_AT_THE_END:]):
        if (read_delta(event.data).type or event.type) in TERMINAL:
            fields = read_event(event.data, event.type, Notes())
            output = mapping(fields.get("response")).get("output")
            return fields if isinstance(output, list) and output else None
    return None


class _Stream:
    """A stream under way."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._response: dict[str, Any] = {}
        self._gathering = Gathering()
        self._open: dict[_Slot, Text] = {}
        self._failure: Failure | None = None
        self._closed = False
        self._first_content_offset: int | None = None

    def gather(self, events: list[Event], *, until_content: bool) -> None:
        """Take events, all of them or until content begins. This runs for every token of a cut stream."""
        opened = self._open
        for event in events:
            delta = read_delta(event.data)
            slot = (delta.type, delta.output_index, delta.item_id, delta.content_index, delta.summary_index)
            if delta.delta and (written := opened.get(slot)):
                written.pieces.append(delta.delta)
                if delta.logprobs:
                    written.logprobs += delta.logprobs
                continue
            told = self.take(read_event(event.data, event.type, self._notes), slot if delta.type else None)
            if told and self._first_content_offset is None:
                self._first_content_offset = event.end
                if until_content:
                    return

    def look_for_errors(self, events: list[Event]) -> None:
        """Take the errors alone: a stream may tell of one and end as if there was none."""
        for event in events:
            if event.type == ERROR or _ERROR_TYPE in event.data:
                told = read_event(event.data, event.type, self._notes)
                if told["type"] == ERROR:
                    self.take(told)

    def take(self, event: dict[str, Any], slot: _Slot | None = None) -> bool:
        """Take an event of any type; whether it carried something of the answer.

        ``slot`` is by what later pieces of the same text are known, if they will be.
        """
        kind: str = event["type"]
        what, _, step = kind.rpartition(".")
        if step in ("delta", "done") and (place := TEXTS.get(what)):
            return self._take_text(event, place, step, slot)
        if what in PARTS:
            return self._take_part(event, step, *PARTS[what])
        if kind in RESPONSE:
            return self._take_response(event, kind, step)
        if kind in self._TAKERS:
            return self._TAKERS[kind](self, event)
        if step in STATUSES and what.endswith("_call"):
            self._gathering.item(event, what.removeprefix("response.")).fields["status"] = step
        return False

    def _take_text(self, event: dict[str, Any], place: Place, step: str, slot: _Slot | None) -> bool:
        """A piece is added; a whole text takes the place of its pieces."""
        said = _written(event.get("delta")) if step == "delta" else text(event.get(place.key))
        if not said:
            return False
        written = self._gathering.text(event, place)
        if step == "done":
            written.pieces.clear()
        elif slot:
            self._open[slot] = written
        written.pieces.append(said)
        written.logprobs += listed(event.get("logprobs")) if step == "delta" or not written.logprobs else []
        return True

    def _take_part(self, event: dict[str, Any], step: str, key: str, index: str) -> bool:
        fields = mapping(event.get("part"))
        item = self._gathering.item(event, "reasoning" if _is_thought(fields) else "message")
        part = item.part(key, integer(event.get(index)), text(fields.get("type")) or "")
        if step == "done":
            part.end(fields)
        else:
            part.fields = fields
        return has_content({key: [fields]})

    def _take_response(self, event: dict[str, Any], kind: str, status: str) -> bool:
        """What it says of the whole answer; later words hold."""
        told = {key: value for key, value in mapping(event.get("response")).items() if value is not None}
        if kind in TERMINAL:
            self._closed = True
            self._response["status"] = status  # which some servers leave out
        self._response |= told
        return False

    def _begin_item(self, event: dict[str, Any]) -> bool:
        self._open.clear()  # an item may follow another under the same name
        return has_content(self._gathering.begin(event))

    def _end_item(self, event: dict[str, Any]) -> bool:
        self._open.clear()
        return has_content(self._gathering.end(event))

    def _annotate(self, event: dict[str, Any]) -> bool:
        part = self._gathering.item(event, "message").part(
            "content", integer(event.get("content_index")), "output_text"
        )
        if len(part.annotations) < _MOST_ANNOTATIONS:
            part.annotations.append(event.get("annotation"))
        return False

    def _take_picture(self, event: dict[str, Any]) -> bool:
        """A picture that is not finished: shown, so it counts, until a better one comes."""
        picture, extension = event.get("partial_image_b64"), event.get("output_format")
        fields = self._gathering.item(event, "image_generation_call").fields
        fields |= {"result": picture, "output_format": extension or fields.get("output_format")}
        return bool(picture)

    def _take_error(self, event: dict[str, Any]) -> bool:
        error = event.get("error") or {key: value for key, value in event.items() if key != "type"}
        self._failure = self._failure or failure_of(error)
        self._closed = True
        return False

    def _close(self, _event: dict[str, Any]) -> bool:
        self._closed = True
        return False

    #: By type of event: what takes it in, and whether that was something of the answer.
    _TAKERS: ClassVar[dict[str, Callable[[_Stream, dict[str, Any]], bool]]] = {
        "response.output_item.added": _begin_item,
        "response.output_item.done": _end_item,
        "response.output_text.annotation.added": _annotate,
        "response.output_text_annotation.added": _annotate,
        "response.image_generation_call.partial_image": _take_picture,
        ERROR: _take_error,
        DONE: _close,
    }

    def result(self) -> Assembled:
        """What it amounts to, once all was taken."""
        return Assembled(
            response={**self._response, "output": listed(self._response.get("output")) or self._gathering.output()},
            failure=self._failure,
            terminal=self._closed,
            first_content_offset=self._first_content_offset,
        )


def _written(said: Any) -> str | None:
    """A text; what older servers put in its place: an object that holds it, or the arguments themselves."""
    return said if isinstance(said, str) else text(mapping(said).get("text")) or (compact(said) if said else None)


def _is_thought(part: dict[str, Any]) -> bool:
    return part.get("type") in ("summary_text", "reasoning_text")
