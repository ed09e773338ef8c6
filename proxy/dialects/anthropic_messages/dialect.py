"""The Messages API, as Anthropic defined it and as the many servers that imitate it vary it.

Reads a request, and an answer that came whole or as events. Counting tokens in advance goes by the
same requests, but is no generation: its figure is a result, not a usage. Estimates nothing: where the
provider gave no usage there is none.
"""

from __future__ import annotations

from typing import Any

from ...records import Choice, Parsed, evolve
from ..base import Bodies, looks_like_events
from ..failures import Failure, failure, page
from ..identity import identity
from ..json_values import Notes, count, items, kind, loads, mapping, name, text, writable
from ..openai_chat.parts import text_of
from .blocks import message, reasoning_of, tool_calls_of, tools
from .documents import documents_answered, documents_asked
from .sources import joined_text
from .stream import Assembled, assemble
from .usage import cost_nano_usd, usage

_NOWHERE = "not_available"


class AnthropicMessages:
    """The dialect of every path that ends in ``/messages`` or ``/messages/count_tokens``."""

    name = "anthropic_messages"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        parsed = _read_request(bodies.request, notes)
        if looks_like_events(bodies):
            assembled = assemble(bodies.response, notes)
            parsed = _read_stream(evolve(parsed, stream=True), assembled, bodies, notes)
        elif bodies.response or bodies.http_status is not None:
            parsed = _read_unary(parsed, bodies, notes)
        return evolve(parsed, notes=notes.all())


# --- request --------------------------------------------------------------------------------------


def _read_request(body: bytes, notes: Notes) -> Parsed:
    value = loads(body, "the request", notes) if body else None
    if value is not None and not isinstance(value, dict):
        notes.add(f"the request is {kind(value)}, not an object")
    request = mapping(value)
    return Parsed(
        stream=_asked_to_stream(request),
        model_requested=name(request.get("model"), "model", notes),
        system_prompt=joined_text(request.get("system"), "\n\n"),
        input=tuple(message(item, "user", notes) for item in items(request.get("messages"), "messages", notes)),
        tools=tools(request.get("tools"), notes),
        documents=documents_asked(request),
        identity=identity(request, notes),
        speed=name(request.get("speed"), "speed", notes),
        region=name(request.get("inference_geo"), "inference_geo", notes),
    )


def _asked_to_stream(request: dict[str, Any]) -> bool | None:
    asked = request.get("stream")
    return asked if isinstance(asked, bool) else False if request else None


# --- answer ---------------------------------------------------------------------------------------


def _read_unary(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    value = loads(bodies.response, "the answer", notes) if bodies.response.strip() else None
    failed = failure(value, bodies.response, bodies.http_status) or page(bodies.response)
    terminal = value is not None
    if bodies.path.rstrip("/").endswith("/count_tokens"):
        counted = count(mapping(value).get("input_tokens"), "input_tokens", notes)
        return _ended(evolve(parsed, results=counted), failed, terminal=terminal)
    return _ended(_read_message(parsed, mapping(value), notes), failed, terminal=terminal)


def _read_stream(parsed: Parsed, stream: Assembled, bodies: Bodies, notes: Notes) -> Parsed:
    parsed = _read_message(parsed, stream.message, notes)
    if parsed.usage and not stream.answer_counted:
        parsed = evolve(parsed, usage=evolve(parsed.usage, output_tokens=None))
    failed = stream.failure or failure(None, b"", bodies.http_status)
    return _ended(evolve(parsed, first_content_offset=stream.first_content_offset), failed, terminal=stream.terminal)


def _ended(parsed: Parsed, failed: Failure | None, *, terminal: bool) -> Parsed:
    return evolve(
        parsed,
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
        terminal=terminal,
    )


def _read_message(parsed: Parsed, answer: dict[str, Any], notes: Notes) -> Parsed:
    choice = _choice(answer, notes)
    said = text_of(choice.message) if choice else None
    reported = answer.get("usage")
    return evolve(
        _with_price_modifiers(parsed, mapping(reported), notes),
        model=name(answer.get("model"), "model of the answer", notes),
        output=said,
        reasoning=reasoning_of(choice.message) if choice else None,
        refusal=_refusal(answer, said),
        choices=(choice,) if choice else (),
        tool_calls=tool_calls_of(choice.message) if choice else (),
        documents=(*parsed.documents, *documents_answered(answer.get("content"))),
        finish_reason=choice.finish_reason if choice else None,
        usage=usage(reported, notes),
        usage_raw=writable(reported, "usage", notes),
        cost_nano_usd=cost_nano_usd(reported),
        response_id=name(answer.get("id"), "id", notes),
    )


def _choice(answer: dict[str, Any], notes: Notes) -> Choice | None:
    """There is but one answer; none in what is no message."""
    if "content" not in answer and "stop_reason" not in answer:
        return None
    said = message(answer, "assistant", notes)
    return Choice(index=0, message=said, finish_reason=name(answer.get("stop_reason"), "stop_reason", notes))


def _with_price_modifiers(parsed: Parsed, reported: dict[str, Any], notes: Notes) -> Parsed:
    """What was in force, as the answer says; what was asked for, where it does not."""
    region = name(reported.get("inference_geo"), "inference_geo", notes)
    return evolve(
        parsed,
        service_tier=name(reported.get("service_tier"), "service_tier", notes),
        speed=name(reported.get("speed"), "speed", notes) or parsed.speed,
        region=parsed.region if region in (None, _NOWHERE) else region,
    )


def _refusal(answer: dict[str, Any], said: str | None) -> str | None:
    """Why the model declined, or the words in which it did; some phrase in place of silence."""
    if answer.get("stop_reason") != "refusal":
        return None
    details = mapping(answer.get("stop_details"))
    category = text(details.get("category"))
    return text(details.get("explanation")) or said or (f"refused: {category[:100]}" if category else "refused")
