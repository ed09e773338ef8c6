"""Chat completions, as OpenAI defined them and as Azure, OpenRouter, Groq, vLLM and others vary them.

Reads a request, and an answer that came whole or as events. Estimates nothing: where the provider
gave no usage there is none. Who asks, what was retrieved, what a filter found and what was charged
are read by modules that other dialects share.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from ...records import Choice, Document, Message, Parsed, evolve
from ..base import Bodies, looks_like_events
from ..documents import cited, distinct, documents
from ..failures import Failure, failure, failure_of
from ..identity import identity
from ..json_values import LONGEST_NAME, Notes, compact, items, listed, mapping, name, writable
from ..openai_charges import cost_nano_usd
from ..openai_filters import content_filter
from ..openai_usage import processing_us, usage
from ..plain import answered, asked
from .parts import SYSTEM_ROLES, message, reasoning_of, refusal_of, text_of, tool_calls_of, tools
from .stream import Assembled, assemble


class OpenAIChat:
    """The dialect of every path that ends in ``/chat/completions``."""

    name = "openai_chat"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        parsed = _read_request(asked(bodies, notes), notes)
        if looks_like_events(bodies):
            assembled = assemble(bodies.response, notes)
            parsed = _read_stream(evolve(parsed, stream=True), assembled, bodies, notes)
        elif bodies.response or bodies.http_status is not None:
            parsed = _read_unary(parsed, bodies, notes)
        return evolve(parsed, notes=notes.all())


# --- request --------------------------------------------------------------------------------------


def _read_request(request: dict[str, Any], notes: Notes) -> Parsed:
    messages = tuple(message(item, "user", notes) for item in items(request.get("messages"), "messages", notes))
    return Parsed(
        stream=_asked_to_stream(request),
        model_requested=name(request.get("model"), "model", notes),
        system_prompt=_system_prompt(messages),
        input=messages,
        tools=tools(request, notes),
        identity=identity(request, notes),
        documents=documents(request.get("documents"), "documents", "documents", notes),
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


# --- answer ---------------------------------------------------------------------------------------


def _read_unary(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    answer = answered(bodies, notes)
    failed = answer.failed or _in_choices(answer.fields)
    return _read_completion(parsed, answer.fields, failed, terminal=answer.terminal, notes=notes)


def _read_stream(parsed: Parsed, stream: Assembled, bodies: Bodies, notes: Notes) -> Parsed:
    failed = stream.failure or failure(None, b"", bodies.http_status)
    parsed = _read_completion(parsed, stream.completion, failed, terminal=stream.terminal, notes=notes)
    return evolve(parsed, first_content_offset=stream.first_content_offset)


def _in_choices(completion: dict[str, Any]) -> Failure | None:
    """OpenRouter tells of a provider's failure in the choice that it cut short, Groq in a field of its own."""
    errors = [mapping(choice).get("error") for choice in listed(completion.get("choices"))]
    errors.append(mapping(completion.get("x_groq")).get("error"))
    return next((failure_of(error) for error in errors if error), None)


def _read_completion(
    parsed: Parsed, completion: dict[str, Any], failed: Failure | None, *, terminal: bool, notes: Notes
) -> Parsed:
    choices = _choices(completion, notes)
    first = choices[0] if choices else None
    answer = first.message if first else Message(role="assistant")
    model = name(completion.get("model"), "model of the answer", notes)
    reported = completion.get("usage") or mapping(completion.get("x_groq")).get("usage")
    return evolve(
        parsed,
        model=model,
        output=text_of(answer),
        choices=choices,
        tool_calls=tool_calls_of(answer),
        finish_reason=first.finish_reason if first else None,
        usage=usage(reported, notes, hidden_reasoning="gemini" in (model or "")),
        usage_raw=writable(reported, "usage", notes),
        response_id=name(completion.get("id"), "id", notes),
        service_tier=name(completion.get("service_tier"), "service_tier", notes),
        system_fingerprint=name(completion.get("system_fingerprint"), "system_fingerprint", notes),
        reasoning=reasoning_of(answer),
        refusal=refusal_of(answer),
        content_filter=content_filter(completion, [choice.finish_reason for choice in choices]),
        documents=distinct((*parsed.documents, *_retrieved(completion, notes))),
        upstream_us=processing_us(completion),
        cost_nano_usd=cost_nano_usd(reported, notes),
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
        terminal=terminal,
    )


def _retrieved(completion: dict[str, Any], notes: Notes) -> tuple[Document, ...]:
    """What an answer says that it was made from, beside its choices and in their messages."""
    messages = [mapping(mapping(choice).get("message")) for choice in listed(completion.get("choices"))]
    return (
        *documents(completion.get("search_results"), "search_results", "search_results", notes),
        *documents(completion.get("citations"), "citation", "citations", notes),
        *chain.from_iterable([_retrieved_for(message, notes) for message in messages]),
    )


def _retrieved_for(message: dict[str, Any], notes: Notes) -> tuple[Document, ...]:
    return (
        *documents(mapping(message.get("context")).get("citations"), "search_results", "citations", notes),
        *cited(message.get("annotations"), notes),
        *_referenced(message.get("content")),
    )


def _referenced(content: Any) -> tuple[Document, ...]:
    """Mistral's parts of a text that refer to results of tools by their number."""
    if isinstance(content, str):
        return ()
    return tuple(
        Document(source="citation", id=(compact(number) or "")[:LONGEST_NAME] or None)
        for part in map(mapping, listed(content))
        if part.get("type") == "reference"
        for number in listed(part.get("reference_ids"))
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
