"""A streamed chat completion put together again: events in, the unary answer they amount to out.

The deltas are gathered per choice and become one object like the body of a unary answer, so that
both are read by the same code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from ...wire.sse import MESSAGE, Decoder, Event
from ..failures import Failure, failure_of
from ..json_values import MOST_ENTRIES, Notes, loads, mapping
from .answer import Answer
from .chunks import END, LATER, REFUSALS, Chunk, read_head, read_lenient, read_typed

_READ_BYTES = 65_536  # fed at once, so that what was read is still in the processor's cache


class Assembled(Struct, frozen=True, kw_only=True):
    """What a stream amounts to."""

    completion: dict[str, Any]  #: like the body of a unary answer
    failure: Failure | None  #: the first error that the stream told of
    terminal: bool  #: ``[DONE]`` came, or every choice was finished and the usage was given
    first_content_offset: int | None  #: just after the first event that carries something of an answer


def assemble(body: bytes, notes: Notes) -> Assembled:
    """Put the body of an event stream together, whole or cut."""
    assembly = Assembly(notes)
    for at in range(0, len(body), _READ_BYTES):
        assembly.feed(body[at : at + _READ_BYTES])
    return assembly.finish()


class Assembly:
    """A stream under way: ``feed`` what was read, in pieces of any size, then ``finish``."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._decoder = Decoder()
        self._answers: dict[int, Answer] = {}
        self._heads: dict[str, bytes] = {}  # data of the chunks that may say what they belong to
        self._usage: Any = None
        self._error: Any = None
        self._failure: Failure | None = None
        self._done = False
        self._first_content_offset: int | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._take(self._decoder.feed(data))

    def finish(self) -> Assembled:
        """The stream is over: what it amounts to."""
        self._take(self._decoder.finish())
        if self._decoder.oversized:
            self._notes.add(f"{self._decoder.oversized} events were too large to be read")
        return self._result()

    def _take(self, events: Iterable[Event]) -> None:
        """Gather what the events bring. This runs for every token of every stream."""
        answers, notes = self._answers, self._notes
        waiting = self._first_content_offset is None
        index: int | None = None  # of the choice that the last delta was about
        answer = Answer()
        for event in events:
            try:
                chunk = read_typed(event.data)
            except REFUSALS:
                chunk = read_lenient(event.data, notes)
            choices = chunk.choices
            if choices:
                for choice in choices:
                    if choice.index != index:
                        index = choice.index
                        answer = answers.get(index) or self._begin(index, event)
                    if choice.delta and answer.take(choice.delta) and waiting:
                        waiting = False
                        self._first_content_offset = event.end
                        self._heads["content"] = event.data
                    if choice.finish_reason or choice.logprobs or choice.content_filter_results:
                        self._heads["finish"] = event.data
                        answer.take_rest(choice)
                        self._usage = choice.usage or self._usage
                        self._failure = self._failure or (failure_of(choice.error) if choice.error else None)
            if chunk.usage or chunk.error or not choices or chunk.x_groq or event.type != MESSAGE:
                self._aside(event, chunk)

    def _begin(self, index: int, event: Event) -> Answer:
        self._heads.setdefault("first", event.data)
        if len(self._answers) >= MOST_ENTRIES:
            self._notes.add("there are more choices than are read")
            return Answer()
        return self._answers.setdefault(index, Answer())

    def _aside(self, event: Event, chunk: Chunk) -> None:
        """What is said beside the answers. The last usage holds: a cumulative one is never summed."""
        self._usage = chunk.usage or self._usage
        if chunk is END:
            self._done = True
            return
        self._heads.setdefault("opening", event.data)
        self._heads["closing"] = event.data
        told = chunk.error or mapping(chunk.x_groq).get("error")
        if told or event.type == "error":
            error = told or loads(event.data, "an error event", Notes()) or event.data.decode("utf-8", "replace")
            self._error, self._failure = self._error or error, self._failure or failure_of(error)

    def _result(self) -> Assembled:
        finished = bool(self._answers) and all(answer.finish_reason for answer in self._answers.values())
        heads = {place: read_head(data) for place, data in self._heads.items()}
        head: dict[str, Any] = {}
        for place in ("opening", "closing", "finish", "content", "first"):
            head |= heads.get(place, {})
        for place in ("opening", "first", "content", "finish", "closing"):
            head |= {key: told for key, told in heads.get(place, {}).items() if key in LATER}
        return Assembled(
            completion={
                **head,
                "error": self._error,
                "choices": [answer.value(index, self._notes) for index, answer in sorted(self._answers.items())],
                "usage": self._usage,
            },
            failure=self._failure,
            terminal=self._done or (finished and bool(self._usage or mapping(head.get("x_groq")).get("usage"))),
            first_content_offset=self._first_content_offset,
        )
