"""Text completions, the older format of OpenAI's that vLLM, llama.cpp and others still serve.

A prompt is a text, a list of texts, or ids of tokens, which are counted and not turned back into
text. With ``echo`` the prompt is part of the answer's text, as it is in the answer.
"""

from __future__ import annotations

from typing import Any

from ...records import Choice, ContentPart, Parsed, evolve
from ..base import Bodies, looks_like_events
from ..failures import Failure, failure
from ..identity import identity
from ..json_values import Notes, count, items, mapping, name, text, writable
from ..openai_charges import cost_nano_usd
from ..openai_filters import content_filter
from ..openai_usage import processing_us, usage
from ..plain import answered, asked, said, texts
from .stream import Assembly


class OpenAICompletions:
    """The dialect of paths that end in ``/completions``, but not in ``/chat/completions``."""

    name = "openai_completions"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        parsed = _read_request(asked(bodies, notes), notes)
        if looks_like_events(bodies):
            stream = Assembly(notes)
            stream.feed(bodies.response)
            stream.finish()
            failed = stream.failed or failure(None, b"", bodies.http_status)
            parsed = _read_completion(parsed, stream.completion(), failed, terminal=stream.terminal, notes=notes)
            parsed = evolve(parsed, stream=True, first_content_offset=stream.first_content_offset)
        elif bodies.response or bodies.http_status is not None:
            answer = answered(bodies, notes)
            parsed = _read_completion(parsed, answer.fields, answer.failed, terminal=answer.terminal, notes=notes)
        return evolve(parsed, notes=notes.all())


def _read_request(request: dict[str, Any], notes: Notes) -> Parsed:
    prompts = texts(request.get("prompt"), "prompt", notes)
    if suffix := text(request.get("suffix")):
        after = ContentPart(type="text", text=suffix, name="suffix")
        prompts = tuple(evolve(prompt, parts=(*prompt.parts, after)) for prompt in prompts)
    asked_to_stream = request.get("stream")
    return Parsed(
        stream=asked_to_stream if isinstance(asked_to_stream, bool) else False if request else None,
        model_requested=name(request.get("model"), "model", notes),
        input=prompts,
        identity=identity(request, notes),
    )


def _read_completion(
    parsed: Parsed, completion: dict[str, Any], failed: Failure | None, *, terminal: bool, notes: Notes
) -> Parsed:
    values = [mapping(value) for value in items(completion.get("choices"), "choices", notes)]
    choices = sorted(
        (_choice(place, value, notes) for place, value in enumerate(values)), key=lambda choice: choice.index
    )
    first = choices[0] if choices else None
    reported = completion.get("usage")
    return evolve(
        parsed,
        model=name(completion.get("model"), "model of the answer", notes),
        output="".join(part.text or "" for part in first.message.parts) or None if first else None,
        choices=tuple(choices),
        finish_reason=first.finish_reason if first else None,
        usage=usage(reported, notes),
        usage_raw=writable(reported, "usage", notes),
        response_id=name(completion.get("id"), "id", notes),
        service_tier=name(completion.get("service_tier"), "service_tier", notes),
        system_fingerprint=name(completion.get("system_fingerprint"), "system_fingerprint", notes),
        content_filter=content_filter(completion, [choice.finish_reason for choice in choices]),
        upstream_us=processing_us(completion),
        cost_nano_usd=cost_nano_usd(reported, notes),
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
        terminal=terminal,
    )


def _choice(place: int, value: dict[str, Any], notes: Notes) -> Choice:
    index = count(value.get("index"), "choice index", notes)
    return Choice(
        index=place if index is None else index,
        message=said(text(value.get("text")) or "", "assistant"),
        finish_reason=name(value.get("finish_reason"), "finish_reason", notes),
        logprobs=writable(value.get("logprobs"), "logprobs", notes),
    )
