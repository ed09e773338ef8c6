"""Chat completions, as OpenAI defined them and as Azure, OpenRouter, Groq, vLLM and others vary them.

Reads a request, and an answer that came whole or as events. Estimates nothing: where the provider
gave no usage there is none.
"""

from __future__ import annotations

from typing import Any

from ..records import Choice, Message, Parsed, evolve
from .base import Bodies, is_event_stream
from .failures import Failure, excerpt, failure
from .json_values import Notes, compact, items, kind, loads, mapping, name, writable
from .openai_chat_parts import SYSTEM_ROLES, message, text_of, tool_calls_of, tools
from .openai_chat_stream import Assembled, assemble
from .openai_usage import usage

_MOST_METADATA = 64
_LONGEST_METADATA = 4096
_EVENT_STREAM_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")


class OpenAIChat:
    """The dialect of every path that ends in ``/chat/completions``."""

    name = "openai_chat"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        parsed = _read_request(bodies.request, notes)
        if _is_stream(bodies):
            assembled = assemble(bodies.response, notes)
            parsed = _read_stream(evolve(parsed, stream=True), assembled, bodies, notes)
        elif bodies.response or bodies.http_status is not None:
            parsed = _read_unary(parsed, bodies, notes)
        return evolve(parsed, notes=notes.all())


def _is_stream(bodies: Bodies) -> bool:
    """By Content-Type, or by looks: an error object in place of events is none, and some forget the header."""
    start = bodies.response[:64].lstrip(b"\xef\xbb\xbf\r\n\t ")
    return start.startswith(_EVENT_STREAM_STARTS) or (
        is_event_stream(bodies.response_headers) and start[:1] not in b"{[<"
    )


# --- request --------------------------------------------------------------------------------------


def _read_request(body: bytes, notes: Notes) -> Parsed:
    value = loads(body, "the request", notes) if body else None
    if value is not None and not isinstance(value, dict):
        notes.add(f"the request is {kind(value)}, not an object")
    request = mapping(value)
    messages = tuple(message(item, "user", notes) for item in items(request.get("messages"), "messages", notes))
    return Parsed(
        stream=_asked_to_stream(request),
        model_requested=name(request.get("model"), "model", notes),
        system_prompt=_system_prompt(messages),
        input=messages,
        tools=tools(request, notes),
        user=name(request.get("user"), "user", notes),
        metadata=_metadata(request.get("metadata"), notes),
    )


def _asked_to_stream(request: dict[str, Any]) -> bool | None:
    asked = request.get("stream")
    return asked if isinstance(asked, bool) else False if request else None


def _system_prompt(messages: tuple[Message, ...]) -> str | None:
    """The text of the system and developer messages that stand first, a blank line between them."""
    texts: list[str] = []
    for each in messages:
        if each.role not in SYSTEM_ROLES:
            break
        texts.append(text_of(each) or "")
    return "\n\n".join(filter(None, texts)) or None


def _metadata(value: Any, notes: Notes) -> dict[str, str]:
    """Pairs of strings; other values in their JSON form, null left out."""
    if value is not None and not isinstance(value, dict):
        notes.add(f"metadata is {kind(value)}, not an object")
    pairs: dict[str, str] = {}
    for key, item in mapping(value).items():
        shown = None if item is None else compact(item)
        if shown is None:
            continue
        if len(key) + len(shown) > _LONGEST_METADATA or len(pairs) == _MOST_METADATA:
            notes.add("metadata has more, or longer, entries than are kept")
            continue
        pairs[key] = shown
    return pairs


# --- answer ---------------------------------------------------------------------------------------


def _read_unary(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    value = loads(bodies.response, "the answer", notes) if bodies.response.strip() else None
    failed = failure(value, bodies.response, bodies.http_status) or _page(bodies.response)
    return _read_completion(parsed, mapping(value), failed, terminal=value is not None, notes=notes)


def _read_stream(parsed: Parsed, stream: Assembled, bodies: Bodies, notes: Notes) -> Parsed:
    failed = stream.failure or failure(None, b"", bodies.http_status)
    parsed = _read_completion(parsed, stream.completion, failed, terminal=stream.terminal, notes=notes)
    return evolve(parsed, first_content_offset=stream.first_content_offset)


def _page(body: bytes) -> Failure | None:
    """A page for people in place of an answer, though its status says that all is well."""
    if not body[:64].lstrip().startswith(b"<"):
        return None
    return Failure("invalid_response", excerpt(body))


def _read_completion(
    parsed: Parsed, completion: dict[str, Any], failed: Failure | None, *, terminal: bool, notes: Notes
) -> Parsed:
    choices = _choices(completion, notes)
    first = choices[0] if choices else None
    reported = completion.get("usage") or mapping(completion.get("x_groq")).get("usage")
    return evolve(
        parsed,
        model=name(completion.get("model"), "model of the answer", notes),
        output=text_of(first.message) if first else None,
        choices=choices,
        tool_calls=tool_calls_of(first.message) if first else (),
        finish_reason=first.finish_reason if first else None,
        usage=usage(reported, notes),
        usage_raw=writable(reported, "usage", notes),
        response_id=name(completion.get("id"), "id", notes),
        service_tier=name(completion.get("service_tier"), "service_tier", notes),
        system_fingerprint=name(completion.get("system_fingerprint"), "system_fingerprint", notes),
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
        terminal=terminal,
    )


def _choices(completion: dict[str, Any], notes: Notes) -> tuple[Choice, ...]:
    """In the order of their index; in that of their places where indexes are missing or repeated."""
    values = [mapping(value) for value in items(completion.get("choices"), "choices", notes)]
    indexes: list[Any] = [value.get("index") for value in values]
    if not all(isinstance(index, int) for index in indexes) or len(set(indexes)) < len(indexes):
        indexes = list(range(len(values)))
    choices = [_choice(int(index), value, notes) for index, value in zip(indexes, values, strict=True)]
    return tuple(sorted(choices, key=lambda choice: choice.index))


def _choice(index: int, value: dict[str, Any], notes: Notes) -> Choice:
    return Choice(
        index=index,
        message=message(value.get("message"), "assistant", notes),
        finish_reason=name(value.get("finish_reason"), "finish_reason", notes),
        logprobs=writable(value.get("logprobs"), "logprobs", notes),
    )
