"""Gemini's API, as the Gemini API and Vertex AI speak it.

Reads requests, and answers in one piece, as events, or as one JSON array that grows: the default of
``streamGenerateContent``. The model stands in the path. Vectors and counted tokens are results, not
usage. Estimates nothing: where there is no ``usageMetadata`` there is no usage.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ...records import Choice, Document, Message, Parsed, evolve
from ..base import Bodies, looks_like_events, start_of
from ..failures import Failure, failure, page
from ..identity import identity
from ..json_values import Notes, count, items, kind, listed, loads, mapping, name, text, writable
from ..openai_chat.parts import reasoning_of, text_of
from ..vectors import embedded
from .grounding import documents, searches
from .parts import either, message, messages, tool_calls_of, tools
from .stream import assemble_array, assemble_events
from .usage import usage

_PATH = re.compile(r"(?P<kind>[^/]+)/(?P<name>[^/:]+):(?P<method>\w+)$")
_FILTERS = frozenset({
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
    "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
})  # fmt: skip
_MOST_FINDINGS = 20
_LONGEST_FINDING = 60


class Gemini:
    """The dialect of paths such as ``/v1beta/models/<model>:generateContent``."""

    name = "gemini"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        path = _PATH.search(unquote(bodies.path))
        method = path["method"] if path else ""
        parsed = evolve(
            _read_request(bodies.request, notes),
            stream=method.startswith("stream"),
            model_requested=name(_model(path), "model", notes) if path else None,
        )
        if bodies.response or bodies.http_status is not None:
            parsed = _read_answer(parsed, method, bodies, notes)
        return evolve(parsed, notes=notes.all())


def _model(path: re.Match[str]) -> str:
    """A tuned model or an endpoint keeps its kind, because its name alone says nothing."""
    return path["name"] if path["kind"] == "models" else f"{path['kind']}/{path['name']}"


# --- request --------------------------------------------------------------------------------------


def _read_request(body: bytes, notes: Notes) -> Parsed:
    value = loads(body, "the request", notes) if body else None
    if value is not None and not isinstance(value, dict):
        notes.add(f"the request is {kind(value)}, not an object")
    outer = mapping(value)
    request = mapping(either(outer, "generateContentRequest")) or outer  # of a countTokens
    system = either(request, "systemInstruction")
    return Parsed(
        system_prompt=text_of(message(system, "system", notes)) if system is not None else None,
        input=(*messages(request.get("contents"), notes), *_to_embed(request, notes)),
        tools=tools(request, notes),
        identity=identity(outer, notes),
    )


def _to_embed(request: dict[str, Any], notes: Notes) -> tuple[Message, ...]:
    """What is to be made vectors of: one content, or one in each request of a batch."""
    asked = [request, *map(mapping, items(request.get("requests"), "requests", notes))]
    return tuple(message(each["content"], "user", notes) for each in asked if each.get("content") is not None)


# --- answer ---------------------------------------------------------------------------------------


def _read_answer(parsed: Parsed, method: str, bodies: Bodies, notes: Notes) -> Parsed:
    start = start_of(bodies.response)
    if method in ("embedContent", "batchEmbedContents"):
        return _read_vectors(parsed, bodies, notes)
    if method == "countTokens":
        return _read_counted(parsed, bodies, notes)
    if looks_like_events(bodies) or start.startswith(b"["):
        return _read_stream(evolve(parsed, stream=True), start, bodies, notes)
    value = loads(bodies.response, "the answer", notes) if bodies.response.strip() else None
    failed = failure(value, bodies.response, bodies.http_status) or page(bodies.response)
    parsed = _read_generated(parsed, mapping(value), bodies, notes)
    return _ended(parsed, failed, terminal=value is not None)


def _read_stream(parsed: Parsed, start: bytes, bodies: Bodies, notes: Notes) -> Parsed:
    assemble = assemble_array if start.startswith(b"[") else assemble_events
    stream = assemble(bodies.response, notes)
    parsed = _read_generated(parsed, stream.answer, bodies, notes)
    failed = stream.failure or failure(None, b"", bodies.http_status)
    return evolve(_ended(parsed, failed, terminal=stream.terminal), first_content_offset=stream.first_content_offset)


def _read_vectors(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    answer = embedded(bodies.response, notes)
    failed = failure(answer.value, bodies.response, bodies.http_status)
    reported = either(mapping(answer.value), "usageMetadata")
    parsed = evolve(
        parsed,
        results=answer.results,
        usage=usage(reported, {}, notes),
        usage_raw=writable(reported, "usage", notes),
    )
    return _ended(parsed, failed, terminal=answer.value is not None)


def _read_counted(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    value = loads(bodies.response, "the answer", notes) if bodies.response.strip() else None
    failed = failure(value, bodies.response, bodies.http_status)
    counted = count(either(mapping(value), "totalTokens"), "totalTokens", notes)
    return _ended(evolve(parsed, results=counted), failed, terminal=value is not None)


def _ended(parsed: Parsed, failed: Failure | None, *, terminal: bool) -> Parsed:
    return evolve(
        parsed,
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
        terminal=terminal,
    )


def _read_generated(parsed: Parsed, answer: dict[str, Any], bodies: Bodies, notes: Notes) -> Parsed:
    candidates = [mapping(value) for value in items(answer.get("candidates"), "candidates", notes)]
    choices = _choices(candidates, notes)
    first = choices[0] if choices else None
    reported = either(answer, "usageMetadata")
    queries = {query for candidate in candidates for query in searches(candidate, notes)}
    found: list[Document] = [document for candidate in candidates for document in documents(candidate, notes)]
    tier = bodies.response_headers.get("x-gemini-service-tier") or either(mapping(reported), "trafficType")
    return evolve(
        parsed,
        model=name(either(answer, "modelVersion"), "modelVersion", notes),
        output=text_of(first.message) if first else None,
        choices=choices,
        tool_calls=tool_calls_of(first.message) if first else (),
        finish_reason=first.finish_reason if first else None,
        usage=usage(reported, {"web_search": len(queries)} if queries else {}, notes),
        usage_raw=writable(reported, "usage", notes),
        response_id=name(either(answer, "responseId"), "responseId", notes),
        service_tier=name(tier, "service tier", notes),
        reasoning=reasoning_of(first.message) if first else None,
        content_filter=_content_filter(mapping(either(answer, "promptFeedback")), candidates),
        documents=tuple(dict.fromkeys(found)),
    )


def _choices(candidates: list[dict[str, Any]], notes: Notes) -> tuple[Choice, ...]:
    """By index, of which 0 may be left out; by place where indexes are repeated."""
    indexes = [count(candidate.get("index"), "candidate index", notes) or 0 for candidate in candidates]
    if len(set(indexes)) < len(indexes):
        indexes = list(range(len(candidates)))
    choices = [_choice(index, candidate, notes) for index, candidate in zip(indexes, candidates, strict=True)]
    return tuple(sorted(choices, key=lambda choice: choice.index))


def _choice(index: int, candidate: dict[str, Any], notes: Notes) -> Choice:
    return Choice(
        index=index,
        message=message(mapping(candidate.get("content")), "assistant", notes),
        finish_reason=name(either(candidate, "finishReason"), "finishReason", notes),
        logprobs=writable(either(candidate, "logprobsResult"), "logprobs", notes),
    )


def _content_filter(feedback: dict[str, Any], candidates: list[dict[str, Any]]) -> str | None:
    """``prompt: jailbreak``, ``output: hate_speech``: the categories that were blocked, else the reason given."""
    found = _blocked("prompt", either(feedback, "blockReason"), feedback)
    for candidate in candidates:
        reason = either(candidate, "finishReason")
        found += _blocked("output", reason, candidate) if isinstance(reason, str) and reason in _FILTERS else []
    return ", ".join(list(dict.fromkeys(found))[:_MOST_FINDINGS]) or None


def _blocked(side: str, reason: Any, told: dict[str, Any]) -> list[str]:
    ratings = either(told, "safetyRatings")
    blocked = [mapping(rating) for rating in listed(ratings)]
    named = [rating.get("category") for rating in blocked if rating.get("blocked") is True]
    words = [text(word) for word in named] if any(map(text, named)) else [text(reason)]
    return [f"{side}: {word.removeprefix('HARM_CATEGORY_').lower()[:_LONGEST_FINDING]}" for word in words if word]
