"""A streamed chat completion put together again: events in, the unary answer they amount to out.

The deltas are gathered per choice and become one object like the body of a unary answer, so that
both are read by the same code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, ClassVar

from msgspec import Struct

from ..wire.sse import MESSAGE, Decoder, Event
from .failures import Failure, failure_of
from .json_values import Notes, compact, items, loads, mapping, text
from .openai_chat_chunks import END, Chunk, read_chunk, read_head

_READ_BYTES = 65_536  # fed at once, so that what was read is still in the processor's cache
_TEXTS = frozenset({"content", "reasoning_content", "reasoning", "refusal"})


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
        self._heads: dict[str, bytes] = {}  # data of the chunks that may say what they belong to
        self._usage: Any = None
        self._x_groq: Any = None
        self._failure: Failure | None = None
        self._done = False
        self._first_content_offset: int | None = None

    def take(self, events: Iterable[Event]) -> None:
        """Gather what the events bring. This runs for every token of every stream."""
        answers, notes = self._answers, self._notes
        waiting = self._first_content_offset is None
        for event in events:
            chunk = read_chunk(event.data, notes)
            for choice in chunk.choices or ():
                answer = answers.get(choice.index) or self._begin(choice.index, event)
                delta = choice.delta
                if delta and answer.take(delta) and waiting:
                    waiting = False
                    self._first_content_offset = event.end
                    self._heads["content"] = event.data
                if choice.finish_reason:
                    answer.finish_reason = choice.finish_reason
                    self._heads["finish"] = event.data
                if choice.logprobs:
                    answer.take_logprobs(choice.logprobs)
            if chunk.usage or chunk.x_groq or chunk.error or chunk is END or event.type != MESSAGE:
                self._aside(event, chunk)

    def _begin(self, index: int, event: Event) -> _Answer:
        self._heads.setdefault("first", event.data)
        return self._answers.setdefault(index, _Answer())

    def _aside(self, event: Event, chunk: Chunk) -> None:
        """What is said beside the answers. The last usage holds: a cumulative one is never summed."""
        self._done = self._done or chunk is END
        self._usage = chunk.usage or self._usage
        self._x_groq = chunk.x_groq or self._x_groq
        if chunk is not END:
            self._heads.setdefault("aside", event.data)
        if chunk.error or event.type == "error":
            error = chunk.error or loads(event.data, "an error event", Notes()) or event.data.decode("utf-8", "replace")
            self._failure = self._failure or failure_of(error)

    def result(self) -> Assembled:
        """What it amounts to, once all was taken."""
        finished = bool(self._answers) and all(answer.finish_reason for answer in self._answers.values())
        head: dict[str, Any] = {}
        for place in ("aside", "finish", "content", "first"):
            head |= read_head(self._heads.get(place, b"null"))
        return Assembled(
            completion={
                **head,
                "choices": [answer.value(index, self._notes) for index, answer in sorted(self._answers.items())],
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
        self._role: Any = None
        self._content: list[Any] = []
        self._texts: defaultdict[str, list[Any]] = defaultdict(list, content=self._content)
        self._audio: defaultdict[str, list[str]] = defaultdict(list)
        self._calls: defaultdict[int, list[_Call]] = defaultdict(list)
        self._legacy_call: _Call | None = None
        self._logprobs: dict[str, list[Any]] = {}

    def take(self, delta: dict[str, Any]) -> bool:
        """Add a delta; whether it carried something of the answer."""
        content = delta.get("content")
        if content and len(delta) == 1:  # nearly always
            self._content.append(content)
            return True
        told = False
        for key, value in delta.items():
            if not value:
                continue
            if key in _TEXTS:
                self._texts[key].append(value)
                told = True
            elif key in self._TAKERS:
                told = self._TAKERS[key](self, value) or told
        return told

    def _take_role(self, value: Any) -> bool:
        self._role = self._role or value
        return False

    def _take_tool_calls(self, value: Any) -> bool:
        told = False
        for delta in value if isinstance(value, list) else ():
            if isinstance(delta, dict):
                told = self._call(delta).take(delta) or told
        return told

    def _call(self, delta: dict[str, Any]) -> _Call:
        """Calls are told apart by index; where that is missing or always 0, by a new id that comes with a name."""
        index = delta.get("index")
        calls = self._calls[index if isinstance(index, int) else 0]
        if not calls or ("id" in delta and calls[-1].is_over(delta)):
            calls.append(_Call())
        return calls[-1]

    def _take_function_call(self, value: Any) -> bool:
        self._legacy_call = self._legacy_call or _Call()
        return self._legacy_call.take({"function": value})

    def _take_audio(self, value: Any) -> bool:
        pieces = {key: piece for key in ("transcript", "data") if (piece := text(mapping(value).get(key)))}
        for key, piece in pieces.items():
            self._audio[key].append(piece)
        return bool(pieces)

    #: By field of a delta that is no mere text: what takes it in, and whether that was something of the answer.
    _TAKERS: ClassVar[dict[str, Callable[[_Answer, Any], bool]]] = {
        "role": _take_role,
        "tool_calls": _take_tool_calls,
        "function_call": _take_function_call,
        "audio": _take_audio,
    }

    def take_logprobs(self, logprobs: dict[str, Any]) -> None:
        """Their lists grow with the deltas."""
        for key, values in logprobs.items():
            if isinstance(values, list):
                self._logprobs.setdefault(key, []).extend(values)

    def value(self, index: int, notes: Notes) -> dict[str, Any]:
        """The choice as a unary answer has it."""
        return {
            "index": index,
            "message": {
                "role": self._role,
                **{key: _joined(key, pieces, notes) for key, pieces in self._texts.items()},
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
        if "id" in delta:
            self._id = self._id or text(delta["id"])
        if "custom" in delta:
            self._custom = True
        called = _called(delta)
        told = "name" in called and self._take_name(text(called["name"]) or "")
        arguments = called.get("arguments", called.get("input"))
        if arguments not in (None, ""):
            self._arguments.append(compact(arguments) or "")
        return told or arguments not in (None, "")

    def _take_name(self, said: str) -> bool:
        if said != self._name:  # some servers repeat the whole name in every delta
            self._name += said
        return bool(said)

    def value(self) -> dict[str, Any]:
        """The call as a unary answer has it."""
        arguments = "".join(self._arguments)
        if self._custom:
            return {"id": self._id, "type": "custom", "custom": {"name": self._name, "input": arguments}}
        return {"id": self._id, "type": "function", "function": {"name": self._name, "arguments": arguments}}


def _called(delta: dict[str, Any]) -> dict[str, Any]:
    return mapping(delta.get("function") or delta.get("custom"))


def _joined(key: str, pieces: list[Any], notes: Notes) -> str | list[Any]:
    """Text deltas are strings; Mistral's are lists of parts where it thinks aloud."""
    strings = [piece for piece in pieces if isinstance(piece, str)]
    if len(strings) == len(pieces):
        return "".join(strings)
    parts: list[Any] = []
    for piece in pieces:
        parts += [{"type": "text", "text": piece}] if isinstance(piece, str) else items(piece, key, notes)
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
