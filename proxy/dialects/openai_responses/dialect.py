"""OpenAI's Responses API, and what Azure, OpenRouter, xAI, vLLM and others make of it.

Reads a request, an answer that came whole or as events, and an answer that is fetched, cancelled or
deleted later. Estimates nothing: where the provider gave no usage there is none.
"""

from __future__ import annotations

from typing import Any

from ...records import Choice, Message, Parsed, evolve
from ..base import Bodies, looks_like_events
from ..failures import Failure, excerpt, failure
from ..identity import identity
from ..json_values import Notes, count, items, kind, listed, loads, mapping, name, writable
from ..openai_chat.parts import SYSTEM_ROLES, text_of, tools
from .content import content
from .documents import found, found_or_cited
from .items import answer, messages, reasoning_of, refusal_of, tool_calls_of
from .stream import assemble
from .usage import charged_nano_usd, filtered, usage_of

_UNFINISHED = ("queued", "in_progress")


class OpenAIResponses:
    """The dialect of ``/responses``, and of one response below it."""

    name = "openai_responses"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        parsed = _read_request(bodies, notes)
        if looks_like_events(bodies):
            stream = assemble(bodies.response, notes)
            failed = stream.failure or _failure(stream.response, b"", bodies.http_status)
            parsed = _read_response(evolve(parsed, stream=True), stream.response, failed, notes)
            parsed = evolve(parsed, terminal=stream.terminal, first_content_offset=stream.first_content_offset)
        elif bodies.response or bodies.http_status is not None:
            value = loads(bodies.response, "the answer", notes) if bodies.response.strip() else None
            failed = _failure(value, bodies.response, bodies.http_status)
            parsed = _read_response(parsed, mapping(value), failed, notes)
            parsed = evolve(parsed, terminal=value is not None)
        return evolve(parsed, notes=notes.all())


# --- request --------------------------------------------------------------------------------------


def _read_request(bodies: Bodies, notes: Notes) -> Parsed:
    value = loads(bodies.request, "the request", notes) if bodies.request else None
    if value is not None and not isinstance(value, dict):
        notes.add(f"the request is {kind(value)}, not an object")
    request = mapping(value)
    asked = (*_instructions(request.get("instructions"), notes), *_asked(request.get("input"), notes))
    return Parsed(
        stream=request.get("stream") is True if request else None,
        model_requested=name(request.get("model"), "model", notes),
        system_prompt=_system_prompt(asked),
        input=asked,
        tools=tools(request, notes),
        identity=identity(request, notes),
        documents=found(listed(request.get("input"))),
        background=request.get("background") is True,
        retrieved=_is_later(bodies),
    )


def _is_later(bodies: Bodies) -> bool:
    """Whether the call fetches, or cancels, what another one asked for."""
    path = bodies.path.rstrip("/")
    return path.endswith("/cancel") or (bodies.method == "GET" and not path.endswith("/input_items"))


def _instructions(value: Any, notes: Notes) -> tuple[Message, ...]:
    """They stand before the input, as a system message."""
    if isinstance(value, str):
        return (Message(role="system", parts=content(value, notes)),) if value else ()
    return messages(items(value, "instructions", notes), notes)


def _asked(value: Any, notes: Notes) -> tuple[Message, ...]:
    if isinstance(value, str):
        return (Message(role="user", parts=content(value, notes)),)
    return messages(items(value, "input", notes), notes)


def _system_prompt(asked: tuple[Message, ...]) -> str | None:
    """The text of the system and developer messages that stand first, a blank line between them."""
    texts: list[str] = []
    for each in asked:
        if each.role not in SYSTEM_ROLES:
            break
        texts.append(text_of(each) or "")
    return "\n\n".join(filter(None, texts)) or None


# --- answer ---------------------------------------------------------------------------------------


def _failure(value: Any, body: bytes, http_status: int | None) -> Failure | None:
    """An error object; a page in place of JSON; a response that failed and does not say why."""
    failed = failure(value, body, http_status)
    if failed is None and body[:64].lstrip().startswith(b"<"):
        return Failure("invalid_response", excerpt(body))
    if failed is None and mapping(value).get("status") == "failed":
        return Failure("failed", "the response failed, and does not say why")
    return failed


def _read_response(parsed: Parsed, response: dict[str, Any], failed: Failure | None, notes: Notes) -> Parsed:
    output = _output(response, notes)
    choices = _choices(response, output, notes)
    message = choices[0].message if choices else Message(role="assistant")
    reported = response.get("usage")
    return evolve(
        parsed,
        model=name(response.get("model"), "model of the answer", notes),
        output=text_of(message),
        choices=choices,
        tool_calls=tool_calls_of(message),
        finish_reason=choices[0].finish_reason if choices else _finish_reason(response, notes),
        reasoning=reasoning_of(message),
        refusal=refusal_of(message),
        content_filter=filtered(response),
        documents=tuple(dict.fromkeys((*parsed.documents, *found_or_cited(output)))),
        results=_results(response, notes),
        usage=usage_of(response, output, notes),
        usage_raw=writable(reported, "usage", notes),
        cost_nano_usd=charged_nano_usd(response),
        response_id=name(response.get("id"), "id", notes),
        service_tier=name(response.get("service_tier"), "service_tier", notes),
        system_fingerprint=name(response.get("system_fingerprint"), "system_fingerprint", notes),
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
    )


def _output(response: dict[str, Any], notes: Notes) -> list[Any]:
    """The items put out. A compaction repeats the messages that it leaves as they were: those are no output."""
    output = items(response.get("output"), "output", notes)
    if response.get("object") != "response.compaction":
        return output
    return [item for item in output if mapping(item).get("type") == "compaction"]


def _choices(response: dict[str, Any], output: list[Any], notes: Notes) -> tuple[Choice, ...]:
    """The one answer; none while there is nothing of it and there may still be."""
    finish_reason = _finish_reason(response, notes)
    if not output and finish_reason in (None, "failed", "cancelled"):
        return ()
    logprobs = [each for item in output for part in listed(mapping(item).get("content")) for each in _logprobs(part)]
    return (
        Choice(
            index=0,
            message=answer(output, notes),
            finish_reason=finish_reason,
            logprobs=writable({"content": logprobs} if logprobs else None, "logprobs", notes),
        ),
    )


def _finish_reason(response: dict[str, Any], notes: Notes) -> str | None:
    """The status, once it is final; of an answer that is not whole, why."""
    status = name(response.get("status"), "status", notes)
    if status == "incomplete":
        return name(mapping(response.get("incomplete_details")).get("reason"), "reason", notes) or status
    return None if status in _UNFINISHED else status


def _results(response: dict[str, Any], notes: Notes) -> int | None:
    """Of a list: how many items it has. Of a count of tokens that was asked for in advance: that count."""
    if response.get("object") == "list":
        return len(listed(response.get("data")))
    if response.get("object") == "response.input_tokens":
        return count(response.get("input_tokens"), "input_tokens", notes)
    return None


def _logprobs(part: Any) -> list[Any]:
    return listed(mapping(part).get("logprobs"))
