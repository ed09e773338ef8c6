"""A streamed chat completion put together again: events in, the unary answer they amount to out.

The deltas are gathered per choice and become one object like the body of a unary answer, so that
both are read by the same code.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from msgspec import Struct

from ..wire.sse import Decoder, Event
from .failures import Failure, failure_of
from .json_values import Notes, compact, loads, mapping, text
from .openai_chat_chunks import END, ChoiceDelta, Chunk, Delta, read_chunk

_READ_BYTES = 65_536  # fed at once, so that what was read is still in the processor's cache


class Assembled(Struct, frozen=True, kw_only=True):
    """What a stream amounts to."""

    completion: dict[str, Any]  #: like the body of a unary answer
    failure: Failure | None  #: the first error that the stream told of
    terminal: bool  #: ``[DONE]`` came, or every choice was finished and the usage was given
    first_content_offset: int | None  #: just after the first event that carries something of an answer


def assemble(body: bytes, notes: Notes) -> Assembled:
    """Put the body of an event stream together, whole or cut."""
    decoder = Decoder()
    stream = _Stream(notes)
    for at in range(0, len(body), _READ_BYTES):
        stream.take(decoder.feed(body[at : at + _READ_BYTES]))
    stream.take(decoder.finish())
    if decoder.oversized:
        notes.add(f"{decoder.oversized} events were too large to be read")
    return stream.result()


class _Stream:
    """A stream under way."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._answers: dict[int, _Answer] = {}
        self._first: Chunk | None = None  # of those that name what they belong to
        self._last = Chunk()
        self._usage: Any = None
        self._x_groq: Any = None
        self._failure: Failure | None = None
        self._done = False
        self._first_content_offset: int | None = None

    def take(self, events: Iterable[Event]) -> None:
        """Gather what the events bring. This runs for every token of every stream."""
        answers = self._answers
        for event in events:
            chunk = read_chunk(event.data, self._notes)
            for choice in chunk.choices or ():
                answer = answers.get(choice.index) or answers.setdefault(choice.index, _Answer())
                if answer.take(choice) and self._first_content_offset is None:
                    self._first_content_offset = event.end
            if chunk.id or chunk.model:
                self._first = self._first or chunk
                self._last = chunk
            if chunk.usage or chunk.x_groq or chunk.error or chunk is END or event.type == "error":
                self._aside(event, chunk)

    def _aside(self, event: Event, chunk: Chunk) -> None:
        """What is said beside the answers. The last usage holds: a cumulative one is never summed."""
        self._done = self._done or chunk is END
        self._usage = chunk.usage or self._usage
        self._x_groq = chunk.x_groq or self._x_groq
        if chunk.error or event.type == "error":
            error = chunk.error or loads(event.data, "an error event", Notes()) or event.data.decode("utf-8", "replace")
            self._failure = self._failure or failure_of(error)

    def result(self) -> Assembled:
        """What it amounts to, once all was taken."""
        finished = bool(self._answers) and all(answer.finish_reason for answer in self._answers.values())
        first = self._first or self._last
        return Assembled(
            completion={
                "id": first.id or self._last.id,
                "model": first.model or self._last.model,
                "service_tier": self._last.service_tier or first.service_tier,
                "system_fingerprint": self._last.system_fingerprint or first.system_fingerprint,
                "choices": [answer.value(index) for index, answer in sorted(self._answers.items())],
                "usage": self._usage,
                "x_groq": self._x_groq,
            },
            failure=self._failure,
            terminal=self._done or (finished and bool(self._usage or self._x_groq)),
            first_content_offset=self._first_content_offset,
        )


class _Answer:
    """One choice under way."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._role: str | None = None
        self._content: list[str | list[Any]] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, list[_Call]] = {}
        self._legacy_call: _Call | None = None
        self._audio: dict[str, list[str]] = {}
        self._logprobs: dict[str, list[Any]] = {}

    def take(self, choice: ChoiceDelta) -> bool:
        """Add a delta; whether it carried something of the answer."""
        told = False
        delta = choice.delta
        if delta:
            if delta.content:
                self._content.append(delta.content)
                told = True
            if delta.reasoning_content or delta.reasoning or delta.tool_calls or delta.refusal or delta.role:
                told = self._take_rarer(delta) or told
            if delta.function_call or delta.audio:
                told = self._take_rarest(delta) or told
        self.finish_reason = choice.finish_reason or self.finish_reason
        if choice.logprobs:
            self._take_logprobs(choice.logprobs)
        return told

    def _take_rarer(self, delta: Delta) -> bool:
        self._role = self._role or delta.role
        reasoning = delta.reasoning_content or delta.reasoning  # OpenRouter sends both, with the same text
        if reasoning:
            self._reasoning.append(reasoning)
        if delta.refusal:
            self._refusal.append(delta.refusal)
        told = [self._call(call).take(call) for call in delta.tool_calls or ()]
        return bool(reasoning or delta.refusal) or any(told)

    def _take_rarest(self, delta: Delta) -> bool:
        """The older form of a tool call, and sound."""
        told = False
        if delta.function_call:
            self._legacy_call = self._legacy_call or _Call()
            told = self._legacy_call.take({"function": delta.function_call})
        for key in ("transcript", "data"):
            if piece := text(mapping(delta.audio).get(key)):
                self._audio.setdefault(key, []).append(piece)
                told = True
        return told

    def _call(self, delta: dict[str, Any]) -> _Call:
        """Calls are told apart by index; where that is missing or always 0, by a new id that comes with a name."""
        index = delta.get("index")
        calls = self._calls.setdefault(index if isinstance(index, int) else 0, [])
        if not calls or calls[-1].is_over(delta):
            calls.append(_Call())
        return calls[-1]

    def _take_logprobs(self, logprobs: dict[str, Any]) -> None:
        for key, values in logprobs.items():
            if isinstance(values, list):
                self._logprobs.setdefault(key, []).extend(values)

    def value(self, index: int) -> dict[str, Any]:
        """The choice as a unary answer has it."""
        return {
            "index": index,
            "message": {
                "role": self._role,
                "content": _joined(self._content),
                "reasoning_content": "".join(self._reasoning),
                "refusal": "".join(self._refusal),
                "tool_calls": [call.value() for _, calls in sorted(self._calls.items()) for call in calls],
                "function_call": self._legacy_call.value()["function"] if self._legacy_call else None,
                "audio": {key: "".join(pieces) for key, pieces in self._audio.items()},
            },
            "finish_reason": self.finish_reason,
            "logprobs": self._logprobs or None,
        }


class _Call:
    """A tool call under way."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._name = ""
        self._custom = False
        self._arguments: list[str] = []

    def is_over(self, delta: dict[str, Any]) -> bool:
        """Whether the delta begins another call."""
        delta_id = text(delta.get("id"))
        return bool(self._id and delta_id and delta_id != self._id and _called(delta).get("name"))

    def take(self, delta: dict[str, Any]) -> bool:
        """Add a delta; whether it carried something."""
        self._id = self._id or text(delta.get("id"))
        self._custom = self._custom or "custom" in delta
        called = _called(delta)
        said = text(called.get("name")) or ""
        if said != self._name:  # some servers repeat the whole name in every delta
            self._name += said
        arguments = called.get("arguments", called.get("input"))
        piece = "" if arguments is None else compact(arguments) or ""
        self._arguments.append(piece)
        return bool(said or piece)

    def value(self) -> dict[str, Any]:
        """The call as a unary answer has it."""
        arguments = "".join(self._arguments)
        if self._custom:
            return {"id": self._id, "type": "custom", "custom": {"name": self._name, "input": arguments}}
        return {"id": self._id, "type": "function", "function": {"name": self._name, "arguments": arguments}}


def _called(delta: dict[str, Any]) -> dict[str, Any]:
    return mapping(delta.get("function") or delta.get("custom"))


def _joined(pieces: list[str | list[Any]]) -> str | list[Any]:
    """Content deltas are strings; Mistral's are lists of parts where it thinks aloud."""
    strings = [piece for piece in pieces if isinstance(piece, str)]
    if len(strings) == len(pieces):
        return "".join(strings)
    parts: list[Any] = []
    for piece in pieces:
        parts += [{"type": "text", "text": piece}] if isinstance(piece, str) else piece
    return [
        part for key, group in groupby(parts, lambda part: mapping(part).get("type")) for part in _merged(key, group)
    ]


def _merged(type_of_part: Any, parts: Iterable[Any]) -> list[Any]:
    """Neighbours of one type: their texts in one part."""
    if type_of_part == "text":
        return [{"type": "text", "text": "".join(text(part.get("text")) or "" for part in parts)}]
    if type_of_part == "thinking":
        thoughts = [part.get("thinking") for part in parts]
        return [{"type": "thinking", "thinking": [piece for thought in thoughts for piece in _pieces(thought)]}]
    return list(parts)


def _pieces(thought: Any) -> list[Any]:
    return thought if isinstance(thought, list) else [{"text": thought}]
