"""What ties a call to the calls before and after it, read out of its messages. Values only.

A *conversation* is made of calls whose texts continue each other: a request repeats the answer of an
earlier call, or names it. It is a tree: an edited message, or another answer to the same question, is a
branch. A *trace* is a conversation with its tools, the conversations of sub-agents that its tools began,
and what the client itself put under the same name (a session, a traceparent): such names group calls
whose texts have nothing to do with each other, so they never make one conversation of two.

An answer is known again by its canonical form: the text and the tool calls, without thoughts, empty
fields and blanks around it, arguments without the blanks of their JSON. The same answer has one form in
all dialects, streamed or not, and where a client sends it back. An answer is looked for together with the
two messages before it, prompts left out, because prompts tell the time; then, if a client has changed
those, by itself. Short answers are given by everybody ("OK") and are not looked for by themselves.
Nothing here depends on more than the last answer of a request and the two messages before it, so that a
request whose beginning is known need not be read again.

What the digests lead to is for the store to find out; it mixes them with the project, the key and a
secret of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any

import orjson
from msgspec import Struct

from ..records import Call, ContentPart, Message, Parsed, Ties, ToolCall
from .spans import canonical

_SHORT = 48  #: characters; a shorter answer is anybody's
_ENDS = 512  #: characters of a long message that it is known by, at both ends
_BEFORE = 2  #: messages that a short one is known together with
_TASK = 48  #: characters; shorter texts begin too many conversations
_LONG_LINE = re.compile(r"[^\n]{64,}")  #: alone stands for a text
_MOST = 16  #: digests of each kind
_MOST_IDS = 64
_ID_CHARS = 200
_PROMPTS = ("system", "developer")
_DIALECTS = frozenset(
    {"openai_chat", "openai_completions", "openai_responses", "anthropic_messages", "gemini", "ollama"}
)
#: Of their endpoints, those that answer nothing.
_NO_TALK = re.compile(r"(count_?tokens|embed\w*|cancel|input_items)/?$", re.IGNORECASE)
#: A part of an id that nobody has by chance: ``call_0`` and ``functions.search:0`` are many calls' ids.
_RANDOM = re.compile(r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{8,}")


def is_talk(call: Call) -> bool:
    """Whether a call asks a model to say something: the others have no conversation."""
    return call.method == "POST" and call.dialect in _DIALECTS and _NO_TALK.search(call.endpoint or "") is None


def ties(parsed: Parsed) -> Ties:
    """Of a call that ``is_talk``; its own answers are missing as long as it runs."""
    messages = [message for message in parsed.input if message.role not in _PROMPTS]
    named = parsed.identity
    runs = list(islice(_runs(messages), 2))
    previous = named.get("previous_response_id")
    return Ties(
        previous_response=previous,
        conversation_id=named.get("conversation.id") or named.get("conversation"),
        tool_ids=tuple(islice(_tool_ids(messages, runs), _MOST_IDS)),
        echoes=tuple(_echoes(messages, runs)),
        answers=tuple(_answers(parsed, messages, runs)),
        tasks=tuple(islice(_tasks(parsed.tool_calls), _MOST)) if parsed.tool_calls else (),
        begins=tuple(islice(_beginnings(messages), _MOST)) if not runs and previous is None else (),
    )


# --- answers in a request ---------------------------------------------------------------------------


class _Run(Struct, frozen=True):
    """Messages that make up one answer: some formats put each tool call into a message of its own."""

    start: int
    end: int  #: behind its last message


def _runs(messages: Sequence[Message]) -> Iterator[_Run]:
    """The answers in a request, the last first."""
    end = len(messages)
    while end:
        end -= 1
        if messages[end].role == "assistant":
            start = end
            while start and messages[start - 1].role == "assistant":
                start -= 1
            yield _Run(start, end + 1)
            end = start


def _echoes(messages: Sequence[Message], runs: Sequence[_Run]) -> Iterator[bytes]:
    """The last answer; where nothing comes after it, it may be the beginning of this call's own, so the one before."""
    for run in runs[: 2 if _is_open(messages, runs) else 1]:
        yield from _digests(_parts(messages, run), messages[: run.start])


def _is_open(messages: Sequence[Message], runs: Sequence[_Run]) -> bool:
    return bool(runs) and runs[0].end == len(messages)


def _parts(messages: Sequence[Message], run: _Run) -> list[ContentPart]:
    return [part for message in messages[run.start : run.end] for part in message.parts]


def _tool_ids(messages: Sequence[Message], runs: Sequence[_Run]) -> Iterator[str]:
    for run in runs[:1]:
        for part in _parts(messages, run):
            if part.type == "tool_call" and not part.server and is_nobody_elses(part.tool_call_id):
                yield part.tool_call_id or ""


def is_nobody_elses(tool_id: str | None) -> bool:
    """Whether an id of a tool call is random enough to be given once."""
    return tool_id is not None and len(tool_id) <= _ID_CHARS and _RANDOM.search(tool_id) is not None


# --- the answers of the call itself -----------------------------------------------------------------


def _answers(parsed: Parsed, messages: Sequence[Message], runs: Sequence[_Run]) -> Iterator[bytes]:
    """Each choice, and with what the client put into the model's mouth before it."""
    for choice in islice(parsed.choices, _MOST // 2):
        if _is_open(messages, runs):
            begun = _parts(messages, runs[0])
            yield from _digests([*begun, *choice.message.parts], messages[: runs[0].start])
        yield from _digests(choice.message.parts, messages)


# --- canonical forms ---------------------------------------------------------------------------------


def _digests(parts: Sequence[ContentPart], before: Sequence[Message]) -> Iterator[bytes]:
    """16 bytes of an answer together with what was said before it, then of itself if that is nobody else's.

    None of one that says nothing and calls nothing; one of one that calls a tool by an id that is given once.
    """
    text = _text(parts)
    calls = [part for part in parts if part.type == "tool_call" and not part.server]
    if not text and not calls:
        return
    hashed = blake2b(_bytes(text), digest_size=16)
    for call in calls:
        fields = (call.tool_call_id or "", call.name or "", canonical(call.arguments))
        hashed.update(_bytes("\0".join(("", *fields))))
    own = hashed.digest()
    if any(is_nobody_elses(call.tool_call_id) for call in calls):
        yield own
        return
    for message in before[-_BEFORE:]:
        hashed.update(_message(message))
    yield hashed.digest()
    if len(text) >= _SHORT:
        yield own


def _text(parts: Sequence[ContentPart]) -> str:
    texts = [part.text for part in parts if part.text and part.type in ("text", "refusal")]
    return "".join(texts).strip()


def _message(message: Message) -> bytes:
    """A message before a short answer: what is said in it, called, and brought."""
    hashed = blake2b(b"assistant" if message.role == "assistant" else b"other", digest_size=16)
    for part in message.parts:
        if part.type == "reasoning":
            continue
        said = (part.text or part.url or "").strip()
        if len(said) > 2 * _ENDS:
            said = f"{said[:_ENDS]}{len(said)}{said[-_ENDS:]}"  # results of tools may be long, and are read again
        arguments = canonical(part.arguments) if part.type == "tool_call" else ""
        hashed.update(_bytes("\0".join((said, part.name or "", arguments, str(part.size or "")))))
    return hashed.digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# --- sub-agents ---------------------------------------------------------------------------------------


def _tasks(calls: Iterable[ToolCall]) -> Iterator[bytes]:
    """Texts that an answer hands to tools: one of them may be what another agent is asked."""
    for call in calls:
        if not call.server and len(call.arguments) > _TASK:
            for text in _texts(call.arguments):
                yield from _pieces([text])


def _texts(arguments: str) -> Iterator[str]:
    try:
        value: Any = orjson.loads(arguments)
    except ValueError:
        yield arguments
        return
    values = value.values() if isinstance(value, dict) else [value]
    yield from (text for text in values if isinstance(text, str))


def _beginnings(messages: Sequence[Message]) -> Iterator[bytes]:
    """What the first user says, whole and in its parts."""
    first = next((message for message in messages if message.role == "user"), None)
    if first is not None:
        yield from _pieces([part.text for part in first.parts if part.text and part.type == "text"])


def _pieces(texts: Sequence[str]) -> Iterator[bytes]:
    """Digests of all together, of each, and of their first long line, by which a text is found within another."""
    whole = "\n".join(texts).strip()
    if len(whole) < _TASK:
        return
    lines = (line[0] for text in texts if (line := _LONG_LINE.search(text)))
    for piece in dict.fromkeys(text.strip() for text in (whole, *texts, *lines)):
        if len(piece) >= _TASK:
            yield blake2b(_bytes(piece), digest_size=16).digest()
