"""Tools as spans: what an answer asks for, and what the next request brings back. Values only.

Providers' ids of tool calls are missing, repeated or made up by clients, so a span is known by a
digest of id, name and arguments: the next request repeats all three beside the result.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

import orjson

from ..records import ContentPart, Message, Parsed, ToolResult, ToolSpan

_MOST = 1000  #: tools of one answer
_REMEMBERED = 4096  #: characters of arguments
_WHOLE = re.compile(r"(?<=[\[:,])(-?\d+)\.0(?=[\],}])")  #: JavaScript writes 1.0 as 1


def digest_of(*texts: bytes) -> int:
    """64 bits of a hash, as SQL has integers."""
    hashed = hashlib.blake2b(digest_size=8)
    for text in texts:
        hashed.update(len(text).to_bytes(8))
        hashed.update(text)
    return int.from_bytes(hashed.digest(), signed=True)


def asked(parsed: Parsed) -> tuple[ToolSpan, ...]:
    """The tools that an answer asks for."""
    return tuple(
        ToolSpan(
            place=place,
            id=tool.id,
            name=tool.name,
            arguments_bytes=len(tool.arguments.encode("utf-8", "replace")),
            digest=_digest(tool.id, tool.name, tool.arguments),
            server=tool.server,
        )
        for place, tool in enumerate(parsed.tool_calls)
    )


def _digest(tool_id: str | None, name: str | None, arguments: str | None) -> int:
    return digest_of(*(text.encode("utf-8", "replace") for text in (tool_id or "", name or "", canonical(arguments))))


def canonical(arguments: str | None) -> str:
    """Clients write the arguments again in their own way, some with sorted keys; no arguments are an empty object."""
    if not arguments or not arguments.strip():
        return "{}"
    # Each is looked at when it is asked for, and when its result is brought.
    return _remembered(arguments) if len(arguments) <= _REMEMBERED else _written(arguments)


def _written(arguments: str) -> str:
    try:
        written = orjson.dumps(orjson.loads(arguments), option=orjson.OPT_SORT_KEYS).decode()
    except (ValueError, TypeError):
        return arguments
    return _WHOLE.sub(r"\1", written) if ".0" in written else written


_remembered = lru_cache(512)(_written)


def brought(messages: Sequence[Message]) -> tuple[ToolResult, ...]:
    """The results that a request brings for its last answer: earlier ones came with earlier requests."""
    last = next((at for at in range(len(messages) - 1, -1, -1) if _calls(messages[at])), None)
    if last is None:
        return ()
    first = last  # Responses and Ollama may put several calls into messages of their own
    while first > 0 and messages[first - 1].role == "assistant":
        first -= 1
    calls = [part for message in messages[first : last + 1] for part in _calls(message)]
    results = [part for message in messages[last + 1 :] for part in message.parts if part.type == "tool_result"]
    return tuple(_result(call, result) for call, result in _paired(calls, [r for r in results if not r.server]))


def _calls(message: Message) -> list[ContentPart]:
    return [part for part in message.parts if part.type == "tool_call" and not part.server]


def _paired(calls: list[ContentPart], results: list[ContentPart]) -> Iterator[tuple[ContentPart, ContentPart]]:
    """By id; where one of them has none, by name; where one has no name either, in their order."""
    waiting = dict(enumerate(calls[:_MOST]))
    by_id: defaultdict[str | None, deque[int]] = defaultdict(deque)
    for place, call in waiting.items():
        by_id[call.tool_call_id].append(place)
    for result in results[:_MOST]:
        same = by_id[result.tool_call_id] if result.tool_call_id is not None else deque()
        while same and same[0] not in waiting:
            same.popleft()
        found = [same.popleft()] if same else (at for at, call in waiting.items() if _may_be(call, result))
        for place in islice(found, 1):
            yield waiting.pop(place), result


def _may_be(call: ContentPart, result: ContentPart) -> bool:
    if call.tool_call_id is not None and result.tool_call_id is not None:
        return False
    return result.name is None or call.name is None or call.name == result.name


def _result(call: ContentPart, result: ContentPart) -> ToolResult:
    size = len((result.text or "").encode("utf-8", "replace")) + (result.size or 0)
    return ToolResult(digest=_digest(call.tool_call_id, call.name, call.arguments), bytes=size, failed=result.failed)
