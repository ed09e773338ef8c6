"""One choice of a streamed chat completion under way: deltas in, the choice of a unary answer out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from ..json_values import LONGEST_NAME, MOST_ENTRIES, Notes, compact, items, mapping, text
from .chunks import CallDelta, ChoiceDelta, Delta


class Answer:
    """A choice, as far as it has come."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._role: Any = None
        self._content: list[Any] = []
        self._reasoning_content: list[Any] = []
        self._reasoning: list[Any] = []
        self._refusal: list[Any] = []
        self._audio: defaultdict[str, list[str]] = defaultdict(list)
        self._images: list[Any] = []
        self._annotations: list[Any] = []
        self._context: dict[str, Any] = {}
        self._calls: defaultdict[int, list[_Call]] = defaultdict(list)
        self._begun = 0  # calls
        self._call: _Call | None = None  # the one that the last delta was about
        self._call_index: Any = None  # as that delta gave it
        self._legacy_call: _Call | None = None
        self._logprobs: dict[str, list[Any]] = {}
        self._filtered: dict[str, Any] = {}

    def take(self, delta: Delta) -> bool:
        """Add a delta; whether it carried something of the answer. This runs for every token of every stream."""
        told = False
        if delta.content:
            self._content.append(delta.content)
            told = True
        if delta.tool_calls:
            told = self._take_calls(delta.tool_calls) or told
        if delta.reasoning_content:
            self._reasoning_content.append(delta.reasoning_content)
            told = True
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)
            told = True
        if delta.role:
            self._role = self._role or delta.role
        if delta.refusal or delta.function_call or delta.audio or delta.images or delta.annotations or delta.context:
            told = self._take_rare(delta) or told
        return told

    def _take_calls(self, deltas: list[CallDelta]) -> bool:
        told = False
        named: list[_Call] = []  # in this chunk
        for delta in deltas:
            called = delta.function or delta.custom
            is_named = called is not None and bool(called.name)
            if is_named or self._call is None or delta.id or delta.index != self._call_index:
                self._call, self._call_index = self._find(delta, named), delta.index
            if is_named:
                named.append(self._call)
            told = self._call.take(delta) or told
        return told

    def _find(self, delta: CallDelta, named: list[_Call]) -> _Call:
        """Calls are told apart by index; where that is missing or always 0, by a name that begins another.

        ``named``: those that the same chunk has named.
        """
        calls = self._calls[delta.index if isinstance(delta.index, int) else 0]
        if calls and not calls[-1].is_over(delta, calls[-1] in named[-1:]):
            return calls[-1]
        call = _Call()
        self._begun += 1
        if self._begun <= MOST_ENTRIES:
            calls.append(call)
        return call

    def _take_rare(self, delta: Delta) -> bool:
        told = False
        if delta.refusal:
            self._refusal.append(delta.refusal)
            told = True
        if delta.function_call:
            self._legacy_call = self._legacy_call or _Call()
            told = self._legacy_call.take(CallDelta(function=delta.function_call)) or told
        for key in ("transcript", "data"):
            if piece := text(mapping(delta.audio).get(key)):
                self._audio[key].append(piece)
                told = True
        if isinstance(delta.images, list):
            self._images += delta.images
            told = True
        if isinstance(delta.annotations, list):
            self._annotations += delta.annotations
        self._context |= mapping(delta.context)
        return told

    def take_rest(self, choice: ChoiceDelta) -> None:
        """What is said beside a delta. The lists of logprobs grow; what a filter found once holds for the whole."""
        self.finish_reason = choice.finish_reason or self.finish_reason
        for key, values in mapping(choice.logprobs).items():
            if isinstance(values, list):
                self._logprobs.setdefault(key, []).extend(values)
        for category, result in mapping(choice.content_filter_results).items():
            if category not in self._filtered or mapping(result).get("filtered") is True:
                self._filtered[category] = result

    def value(self, index: int, notes: Notes) -> dict[str, Any]:
        """The choice as a unary answer has it."""
        return {
            "index": index,
            "message": {
                "role": self._role,
                "content": _joined("content", self._content, notes),
                "reasoning_content": _joined("reasoning_content", self._reasoning_content, notes),
                "reasoning": _joined("reasoning", self._reasoning, notes),
                "refusal": _joined("refusal", self._refusal, notes),
                "tool_calls": [call.value() for _, calls in sorted(self._calls.items()) for call in calls],
                "function_call": self._legacy_call.value()["function"] if self._legacy_call else None,
                "audio": {key: "".join(pieces) for key, pieces in self._audio.items()},
                "images": self._images,
                "annotations": self._annotations,
                "context": self._context,
            },
            "finish_reason": self.finish_reason,
            "logprobs": self._logprobs or None,
            "content_filter_results": self._filtered,
        }


class _Call:
    """A tool call under way."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._name: list[str] = []
        self._name_length = 0
        self._custom = False
        self._arguments: list[str] = []

    def is_over(self, delta: CallDelta, named_before: bool) -> bool:
        """Whether the delta begins another call.

        It does when it has a name, and an id that is another; or a name that is another, once arguments
        have come; or when the call was named before in the same chunk.
        """
        delta_id, called = text(delta.id), delta.function or delta.custom
        said = text(called.name) if called else None
        if not said:
            return False
        other_id = bool(self._id and delta_id and delta_id != self._id)
        return other_id or named_before or (bool(self._arguments) and said != "".join(self._name))

    def take(self, delta: CallDelta) -> bool:
        """Add a delta; whether it carried something."""
        if delta.id or delta.custom:
            self._id = self._id or text(delta.id)
            self._custom = self._custom or (delta.custom is not None and delta.function is None)
        called = delta.function or delta.custom
        if called is None:
            return False
        told = called.name is not None and self._take_name(text(called.name) or "")
        arguments = called.input if called.arguments is None else called.arguments
        if type(arguments) is not str:
            arguments = "" if arguments is None else compact(arguments)
        if not arguments:
            return told
        self._arguments.append(arguments)
        return True

    def _take_name(self, said: str) -> bool:
        """Names come in pieces, or whole in every delta. One that is too long to be kept is not gathered."""
        if said and self._name_length <= LONGEST_NAME and said != "".join(self._name):
            self._name.append(said)
            self._name_length += len(said)
        return bool(said)

    def value(self) -> dict[str, Any]:
        """The call as a unary answer has it."""
        called, arguments = "".join(self._name), "".join(self._arguments)
        if self._custom:
            return {"id": self._id, "type": "custom", "custom": {"name": called, "input": arguments}}
        return {"id": self._id, "type": "function", "function": {"name": called, "arguments": arguments}}


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
