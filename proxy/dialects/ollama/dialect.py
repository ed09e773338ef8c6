"""Ollama's own API: chat, generate, embed and the older embeddings.

Reads a request, and an answer that came whole or as lines. A request that does not say otherwise
asks for a stream. The token numbers that a generation takes and gives as ``context`` are left to the
raw bytes. Estimates nothing: a prompt that was cached has no count in older versions, and none here.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

from ...records import Choice, ContentPart, Message, Parsed, Usage, evolve
from ..base import Bodies
from ..failures import Failure, failure, page
from ..identity import identity
from ..json_values import Notes, count, items, kind, loads, mapping, name, text, writable
from ..media import base64_size
from ..openai_chat.parts import message as chat_message
from ..openai_chat.parts import reasoning_of, text_of, tool_calls_of, tools
from ..vectors import embedded
from .stream import MEASURES, assemble

_EMBEDDING = re.compile(r"/embed(dings)?/?$")
_LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


class Ollama:
    """The dialect of ``/api/chat``, ``/api/generate``, ``/api/embed`` and ``/api/embeddings``."""

    name = "ollama"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        embeds = _EMBEDDING.search(bodies.path) is not None
        parsed = _read_request(bodies.request, embeds, notes)
        if bodies.response or bodies.http_status is not None:
            read = _read_embedded if embeds else _read_stream if looks_like_lines(bodies) else _read_unary
            parsed = read(parsed, bodies, notes)
        return evolve(parsed, notes=notes.all())


def looks_like_lines(bodies: Bodies) -> bool:
    """Whether the answer is a stream of lines, by Content-Type or by looks.

    One object, on one line or many, is an answer in one piece, or an error.
    """
    failed = bodies.http_status is not None and bodies.http_status >= 400
    content_type = bodies.response_headers.get("content-type", "").split(";")[0].strip().lower()
    start = bodies.response.lstrip(b"\xef\xbb\xbf\r\n\t ")
    if content_type in _LINE_TYPES and not failed:
        return start[:1] not in b"<"
    first, _, rest = start.partition(b"\n")
    return first.startswith(b"{") and first.rstrip().endswith(b"}") and rest[:64].lstrip().startswith(b"{")


# --- request --------------------------------------------------------------------------------------


def _read_request(body: bytes, embeds: bool, notes: Notes) -> Parsed:
    value = loads(body, "the request", notes) if body else None
    if value is not None and not isinstance(value, dict):
        notes.add(f"the request is {kind(value)}, not an object")
    request = mapping(value)
    messages = tuple(_message(item, "user", notes) for item in items(request.get("messages"), "messages", notes))
    prompted = (*_prompt(request, notes), *_texts(request.get("input"), notes))
    return Parsed(
        stream=_asked_to_stream(request, embeds),
        model_requested=name(request.get("model"), "model", notes),
        system_prompt=text(request.get("system")) or _system_prompt(messages),
        input=(*messages, *((Message(role="user", parts=prompted),) if prompted else ())),
        tools=tools(request, notes),
        identity=identity(request, notes),
    )


def _asked_to_stream(request: dict[str, Any], embeds: bool) -> bool | None:
    asked = request.get("stream")
    return None if not request else False if embeds else asked if isinstance(asked, bool) else True


def _system_prompt(messages: tuple[Message, ...]) -> str | None:
    """The text of the system messages that stand first, a blank line between them."""
    first = takewhile(lambda each: each.role == "system", messages)
    return "\n\n".join(filter(None, map(text_of, first))) or None


def _prompt(request: dict[str, Any], notes: Notes) -> tuple[ContentPart, ...]:
    """What a generation is asked: a text, images, and what is to stand behind the answer."""
    prompt, suffix = text(request.get("prompt")), text(request.get("suffix"))
    return (
        *((ContentPart(type="text", text=prompt),) if prompt else ()),
        *_images(request.get("images"), notes),
        *((ContentPart(type="other", name="suffix", text=suffix),) if suffix else ()),
    )


def _texts(asked: Any, notes: Notes) -> tuple[ContentPart, ...]:
    """What is to be embedded: a text or a list of them."""
    texts = [asked] if isinstance(asked, str) else items(asked, "input", notes)
    return tuple(ContentPart(type="text", text=each) for each in texts if text(each))


# --- messages -------------------------------------------------------------------------------------


def _message(value: Any, default_role: str, notes: Notes) -> Message:
    """Like one of a chat completion, but for a few names, and images that stand apart."""
    fields = mapping(value)
    if not fields:
        return chat_message(value, default_role, notes)
    renamed = {
        "reasoning_content": fields.get("thinking"),
        "name": fields.get("tool_name") or fields.get("name"),
        "images": None,  # of another form there
    }
    read = chat_message(fields | renamed, default_role, notes)
    return evolve(read, parts=(*read.parts, *_images(fields.get("images"), notes)))


def _images(images: Any, notes: Notes) -> tuple[ContentPart, ...]:
    """Bare base64: of what type it does not say."""
    return tuple(ContentPart(type="image", size=base64_size(text(image))) for image in items(images, "images", notes))


# --- answer ---------------------------------------------------------------------------------------


def _read_unary(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    value = loads(bodies.response, "the answer", notes) if bodies.response.strip() else None
    fields = mapping(value)
    generated = {"content": fields.get("response"), "thinking": fields.get("thinking")}
    image = fields.get("image")
    answer = {"message": generated | {"images": [image] if image else None}} | fields
    failed = failure(value, bodies.response, bodies.http_status) or page(bodies.response)
    whole = value is not None and fields.get("done") is not False
    return _read_answer(parsed, answer if fields else {}, failed, terminal=whole, notes=notes)


def _read_stream(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    stream = assemble(bodies.response, notes)
    failed = stream.failure or failure(None, b"", bodies.http_status)
    parsed = _read_answer(evolve(parsed, stream=True), stream.answer, failed, terminal=stream.terminal, notes=notes)
    return evolve(parsed, first_content_offset=stream.first_content_offset)


def _read_embedded(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    answer = embedded(bodies.response, notes)
    failed = failure(answer.value, bodies.response, bodies.http_status)
    parsed = _with_measures(parsed, mapping(answer.value), failed, notes)
    return evolve(parsed, results=answer.results, terminal=answer.value is not None)


def _read_answer(
    parsed: Parsed, answer: dict[str, Any], failed: Failure | None, *, terminal: bool, notes: Notes
) -> Parsed:
    finish_reason = name(answer.get("done_reason"), "done_reason", notes)
    said = _message(mapping(answer.get("message")) or {"content": None}, "assistant", notes)
    choice = Choice(
        index=0,
        message=said,
        finish_reason=finish_reason,
        logprobs=writable(answer.get("logprobs"), "logprobs", notes),
    )
    return evolve(
        _with_measures(parsed, answer, failed, notes),
        output=text_of(said),
        choices=(choice,) if said.parts or finish_reason else (),
        tool_calls=tool_calls_of(said),
        reasoning=reasoning_of(said),
        finish_reason=finish_reason,
        terminal=terminal,
    )


def _with_measures(parsed: Parsed, answer: dict[str, Any], failed: Failure | None, notes: Notes) -> Parsed:
    """What every kind of answer tells. A model in the cloud is named by its own name."""
    taken_ns = count(answer.get("total_duration"), "total_duration", notes)
    measures = {measure: answer[measure] for measure in MEASURES if measure in answer}
    return evolve(
        parsed,
        model=name(answer.get("remote_model") or answer.get("model"), "model of the answer", notes),
        usage=_usage(answer, notes),
        usage_raw=writable(measures or None, "usage", notes),
        upstream_us=None if taken_ns is None else taken_ns // 1000,
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
    )


def _usage(answer: dict[str, Any], notes: Notes) -> Usage | None:
    asked = count(answer.get("prompt_eval_count"), "prompt_eval_count", notes)
    answered = count(answer.get("eval_count"), "eval_count", notes)
    return None if asked is None and answered is None else Usage(input_tokens=asked, output_tokens=answered)
