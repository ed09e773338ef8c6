"""A streamed Gemini answer put together again: chunks in, the unary answer they amount to out.

The chunks come as events or as the elements of one JSON array. Neighbouring texts are joined; all other
parts come whole, but for function calls whose arguments are streamed. Counts of tokens are cumulative:
the last hold, and what a later chunk leaves out keeps its earlier value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import ior
from typing import Any

from msgspec import Struct

from ...wire.sse import Decoder, Event
from ..base import fed
from ..failures import Failure, failure_of
from ..json_values import MOST_ENTRIES, Notes, mapping
from ..runs import Runs
from .array import Element, elements
from .calls import joined_calls
from .chunks import BESIDE, Candidate, Chunk, form_of, read_chunk, spoken


class Assembled(Struct, frozen=True, kw_only=True):
    """What a stream amounts to."""

    answer: dict[str, Any]  #: like the body of a unary answer
    failure: Failure | None  #: the first error that the stream told of
    terminal: bool  #: every candidate was finished, or none was allowed; and an array was closed
    first_content_offset: int | None  #: just after the first chunk that carries something of an answer


def assemble_events(body: bytes, notes: Notes) -> Assembled:
    """Put the body of an event stream together, whole or cut."""
    stream = _Stream(notes)
    for some in fed(Decoder(), body, notes, "chunks"):
        stream.take(some)
    return stream.result(terminal=stream.finished)


def assemble_array(body: bytes, notes: Notes) -> Assembled:
    """Put the body of a stream together that is one JSON array, whole or cut."""
    array = elements(body)
    stream = _Stream(notes)
    stream.take(array.found)
    if array.oversized:
        notes.add(f"{array.oversized} chunks were too large to be read")
    return stream.result(terminal=array.closed and (stream.finished or stream.failure is not None))


class _Stream:
    """A stream under way."""

    def __init__(self, notes: Notes) -> None:
        self.failure: Failure | None = None
        self._notes = notes
        self._runs = Runs()
        self._answers: dict[int, _Answer] = {}
        self._usage: dict[str, Any] = {}
        self._odd_usage: Any = None  # in place of an object
        self._heading = True  # what the answer is called is still to come
        self._prompt_feedback: dict[str, Any] = {}
        self._model: str | None = None
        self._response_id: str | None = None
        self._first_content_offset: int | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more is to come."""
        answers = self._answers.values()
        blocked = bool(self._prompt_feedback.get("blockReason"))
        return blocked or (bool(answers) and all(answer.finish_reason for answer in answers))

    def take(self, events: Sequence[Event] | Sequence[Element]) -> None:
        """Gather what the chunks bring."""
        place = 0
        while place < len(events):
            chunk = read_chunk(events[place].data, self._notes)
            self._take_chunk(chunk, events[place].end)
            place += 1 + self._take_run(chunk, events, place)

    def _take_chunk(self, chunk: Chunk, end: int) -> None:
        for candidate in chunk.candidates or ():
            answer = self._answers.get(candidate.index) or self._begin(candidate.index)
            if answer.take(candidate) and self._first_content_offset is None:
                self._first_content_offset = end
        self._take_usage(chunk.usage_metadata)
        if self._heading or chunk.prompt_feedback or chunk.error:
            self._take_aside(chunk)

    def _take_run(self, chunk: Chunk, events: Sequence[Event] | Sequence[Element], place: int) -> int:
        """Take the chunks that differ from the one at ``place`` in their text and counts; how many there are."""
        said = spoken(chunk)
        answer = self._answers.get(said.index) if said else None
        if not said or not answer:
            return 0
        texts, usages = self._runs.after(events, place, lambda data: form_of(data, chunk, said))
        answer.take_texts(texts, said.part)
        self._take_usages(usages)
        return len(texts)

    def _begin(self, index: int) -> _Answer:
        if len(self._answers) >= MOST_ENTRIES:
            self._notes.add("there are more candidates than are read")
            return _Answer()
        return self._answers.setdefault(index, _Answer())

    def _take_usages(self, reported: list[dict[str, Any]]) -> None:
        last: dict[str, Any] = reduce(ior, reported, {})
        for usage in reported if None in last.values() else (last,):
            self._take_usage(usage)

    def _take_usage(self, reported: Any) -> None:
        if type(reported) is dict and None not in reported.values():
            self._usage.update(reported)
        elif isinstance(reported, dict):
            self._usage |= {key: value for key, value in reported.items() if value is not None}
        elif reported is not None:
            self._odd_usage = reported

    def _take_aside(self, chunk: Chunk) -> None:
        """What is said of the whole answer, and beside it."""
        self._model = self._model or chunk.model_version
        self._response_id = self._response_id or chunk.response_id
        self._heading = not (self._model and self._response_id)
        self._prompt_feedback |= mapping(chunk.prompt_feedback)
        if chunk.error:
            self.failure = self.failure or failure_of(chunk.error)

    def result(self, *, terminal: bool) -> Assembled:
        """What it amounts to, once all was taken."""
        return Assembled(
            answer={
                "candidates": [answer.value(index, self._notes) for index, answer in sorted(self._answers.items())],
                "promptFeedback": self._prompt_feedback,
                "usageMetadata": self._usage or self._odd_usage,
                "modelVersion": self._model,
                "responseId": self._response_id,
            },
            failure=self.failure,
            terminal=terminal,
            first_content_offset=self._first_content_offset,
        )


class _Run:
    """Neighbouring texts."""

    def __init__(self, thinking: bool) -> None:
        self.thinking = thinking
        self.pieces: list[str] = []


class _Answer:
    """One candidate under way."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._parts: list[dict[str, Any] | _Run] = []
        self._run: _Run | None = None  # the last part, when that is one
        self._beside: dict[str, list[Any]] = {}

    def take(self, candidate: Candidate) -> bool:
        """Add what a chunk brings; whether it carried something of the answer."""
        told = False
        if (content := candidate.content) is not None:
            for part in content.parts or ():
                told = self._take_part(part) or told
        if (
            candidate.finish_reason
            or candidate.safety_ratings
            or candidate.grounding_metadata
            or candidate.citation_metadata
            or candidate.url_context_metadata
            or candidate.logprobs_result
        ):
            self._take_beside(candidate)
        return told

    def _take_beside(self, candidate: Candidate) -> None:
        self.finish_reason = candidate.finish_reason or self.finish_reason
        for attribute, key in BESIDE:
            if said := getattr(candidate, attribute):
                self._beside.setdefault(key, []).append(said)

    def _take_part(self, part: dict[str, Any]) -> bool:
        said = part.get("text")
        if not isinstance(said, str):
            self._run = None
            self._parts.append(part)
            return any(not key.startswith("thought") for key in part)
        if not said:
            return False
        self.take_texts((said,), part)
        return True

    def take_texts(self, said: Iterable[str], part: dict[str, Any]) -> None:
        """Add texts of parts that are like this one."""
        thinking = part.get("thought") is True
        run = self._run
        if run is None or run.thinking is not thinking:
            run = self._run = _Run(thinking)
            self._parts.append(run)
        run.pieces += said

    def value(self, index: int, notes: Notes) -> dict[str, Any]:
        """The candidate as a unary answer has it."""
        parts = [
            {"text": "".join(part.pieces), "thought": part.thinking} if isinstance(part, _Run) else part
            for part in self._parts
        ]
        return {
            "index": index,
            "content": {"parts": joined_calls(parts, notes)},
            "finishReason": self.finish_reason,
            **{key: _merged(values) for key, values in self._beside.items()},
        }


def _merged(values: list[Any]) -> Any:
    """What was said in several chunks: of objects, the lists together and all else as it was said last."""
    merged: dict[str, Any] = {}
    for fields in map(mapping, values):
        for key, value in fields.items():
            earlier = merged.get(key)
            if isinstance(earlier, list) and isinstance(value, list):
                earlier += value
            else:
                merged[key] = list(value) if isinstance(value, list) else value
    return merged or values[-1]
