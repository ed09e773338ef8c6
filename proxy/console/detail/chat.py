"""A call as a conversation to read: turns with their pieces, tools joined with their results, long texts folded.

Values only, made of what the dialect read. A long conversation is shown from its end; ``before`` says which
turns stand in front of a piece of it. Each text has a place (``in.3.0``: the first part of the fourth message
of the request), by which ``text_at`` finds it again when somebody wants to see all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from markupsafe import Markup
from msgspec import Struct

from ...records import ContentPart, Document, Message, Parsed, ToolSpan
from ...store.texts import answers
from .folds import Fold, folded
from .media import Inline, joined
from .opened import Opened

TURNS = 60  #: shown at once; older ones are asked for
_DOCUMENTS = 100
_ROLES = frozenset({"user", "assistant", "tool"})
_SYSTEM_ROLES = ("system", "developer")
_LINES_OF_RESULTS = 14
_MEDIA = frozenset({"image", "audio", "video", "file", "other"})

Renderer = Callable[[str], Markup | None]


class Medium(Struct, frozen=True, kw_only=True):
    """Something that is no text. ``number`` of the media of the call; None: it is not inside the bodies."""

    type: str
    media_type: str | None
    name: str | None
    size: int | None
    url: str | None
    number: int | None
    shown_as: str  #: what a page may show it as: image audio video; empty: it is a file


class Tool(Struct, frozen=True, kw_only=True):
    """A call of a tool, and what became of it."""

    name: str
    id: str | None
    server: bool
    arguments: Fold | None
    result: Fold | None
    result_place: str
    result_bytes: int | None
    duration_us: int | None
    failed: bool
    result_call: str | None  #: the later call that brought it


class Piece(Struct, frozen=True, kw_only=True):
    """A part of a turn; one of ``text``, ``tool`` and ``medium`` is given."""

    kind: str  #: text reasoning refusal tool result media
    place: str
    text: Fold | None = None
    html: Markup | None = None  #: in place of ``text``, rendered
    tool: Tool | None = None
    medium: Medium | None = None
    title: str = ""


class Turn(Struct, frozen=True, kw_only=True):
    """A message, or an answer."""

    title: str
    role: str  #: for its colour: user assistant tool other answer
    number: int | None  #: in the request, from 0
    pieces: tuple[Piece, ...]
    finish: str | None = None


class Context(Struct, frozen=True, kw_only=True):
    """A piece of retrieved context."""

    number: int
    title: str
    source: str
    url: str | None
    score: float | None
    text: Fold | None
    place: str


class Chat(Struct, frozen=True, kw_only=True):
    """A conversation, or a part of it."""

    system: Fold | None
    system_line: str
    documents: tuple[Context, ...]
    documents_more: int
    turns: tuple[Turn, ...]
    answers: tuple[Turn, ...]
    total: int  #: messages of the request
    first: int  #: number of the first that is shown


def chat(
    opened: Opened,
    media: list[Inline],
    *,
    before: int | None = None,
    turns: int = TURNS,
    render: Renderer | None = None,
) -> Chat:
    """The last ``turns`` messages in front of ``before``, or of the end with the answers."""
    parsed = opened.parsed
    end = len(parsed.input) if before is None else max(0, min(before, len(parsed.input)))
    first = max(0, end - turns)
    reading = _Reading(opened, media, render)
    shown = [turn for number in range(first, end) if (turn := reading.turn(number, parsed.input[number])) is not None]
    system = parsed.system_prompt if first == 0 or before is None else None
    return Chat(
        system=folded(system) if system else None,
        system_line=_line(system or ""),
        documents=tuple(_context(number, each) for number, each in enumerate(parsed.documents[:_DOCUMENTS]))
        if before is None
        else (),
        documents_more=max(0, len(parsed.documents) - _DOCUMENTS),
        turns=tuple(shown),
        answers=tuple(reading.answers()) if before is None else (),
        total=len(parsed.input),
        first=first,
    )


def has_media(parsed: Parsed) -> bool:
    """Whether it is worth looking for media in the bodies."""
    return any(part.size is not None for message in _messages(parsed) for part in message.parts)


def text_at(opened: Opened, place: str) -> str | None:
    """The text that stands at a place; None when there is none."""
    where, *numbers = place.split(".")
    if len(numbers) > 2 or not all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):
        return None
    at = [int(number) for number in numbers]
    parsed = opened.parsed
    match where, at:
        case "sys", []:
            return parsed.system_prompt
        case "doc", [number] if number < len(parsed.documents):
            return parsed.documents[number].text
        case "in", [message, part]:
            return _text_of(parsed.input, message, part)
        case "out", [message, part]:
            return _text_of(list(answers(parsed)), message, part)
        case "res", [number] if number < len(parsed.tool_calls):
            result = opened.results.get(parsed.tool_calls[number].id or "")
            return result.text if result else None
    return None


def _text_of(messages: Sequence[Message], number: int, at: int) -> str | None:
    if number >= len(messages) or at >= len(messages[number].parts):
        return None
    part = messages[number].parts[at]
    return part.arguments if part.type == "tool_call" else part.text


def _messages(parsed: Parsed) -> Iterator[Message]:
    yield from parsed.input
    yield from answers(parsed)


class _Reading:
    """What is looked up again and again while turns are made."""

    def __init__(self, opened: Opened, media: list[Inline], render: Renderer | None) -> None:
        self._opened = opened
        self._parsed = opened.parsed
        self._media = media
        self._render = render
        self._numbers = joined((part for message in _messages(opened.parsed) for part in message.parts), media)
        self._results = _brought(opened.parsed.input)
        self._asked = {
            part.tool_call_id
            for message in opened.parsed.input
            for part in message.parts
            if part.type == "tool_call" and part.tool_call_id
        }
        self._spans = {tool.place: tool for tool in opened.tools}

    def turn(self, number: int, message: Message) -> Turn | None:
        """None for a message that stands elsewhere: the system prompt, results beside the calls they belong to."""
        if self._parsed.system_prompt and message.role in _SYSTEM_ROLES:
            return None
        pieces = [
            self._piece(f"in.{number}.{at}", part) for at, part in enumerate(message.parts) if not self._told(part)
        ]
        if message.parts and not pieces:
            return None
        role = message.role if message.role in _ROLES else "other"
        return Turn(title=message.role, role=role, number=number, pieces=tuple(pieces))

    def answers(self) -> Iterator[Turn]:
        """Those of the call, of dialects without choices too."""
        choices = self._parsed.choices
        finishes = [choice.finish_reason for choice in choices] or [self._parsed.finish_reason]
        place = 0
        for number, message in enumerate(answers(self._parsed)):
            pieces = []
            for at, part in enumerate(message.parts):
                if part.type == "tool_call":
                    tool, place = self._tool(part, self._spans.get(place), place), place + 1
                    pieces.append(Piece(kind="tool", place=f"out.{number}.{at}", tool=tool))
                elif part.text or part.type in _MEDIA:
                    pieces.append(self._piece(f"out.{number}.{at}", part))
            if pieces or choices:
                title = "answer" if len(choices) < 2 else f"answer {number + 1}"
                finish = finishes[number] if number < len(finishes) else None
                yield Turn(title=title, role="answer", number=None, pieces=tuple(pieces), finish=finish)

    def _told(self, part: ContentPart) -> bool:
        return part.type == "tool_result" and part.tool_call_id in self._asked and part.tool_call_id in self._results

    def _piece(self, place: str, part: ContentPart) -> Piece:
        if part.type == "tool_call":
            return Piece(kind="tool", place=place, tool=self._tool(part, None, None))
        if part.type == "tool_result":
            title = " ".join(filter(None, ("result", part.name, part.tool_call_id)))
            return Piece(kind="result", place=place, title=title, text=folded(part.text or ""))
        if part.type in ("text", "reasoning", "refusal"):
            text = part.text or ""
            html = self._render(text) if self._render and part.type == "text" else None
            return Piece(kind=part.type, place=place, text=folded(text), html=html)
        text_beside = folded(part.text) if part.text else None
        return Piece(kind="media", place=place, medium=self._medium(part), text=text_beside)

    def _tool(self, part: ContentPart, span: ToolSpan | None, number: int | None) -> Tool:
        """``number``: of the answer's tool calls; None for one of the request."""
        found, result_place = self._results.get(part.tool_call_id or "", (None, ""))
        if number is not None:
            found, result_place = self._opened.results.get(part.tool_call_id or ""), f"res.{number}"
        text = found.text if found else None
        return Tool(
            name=part.name or "?",
            id=part.tool_call_id,
            server=bool(part.server),
            arguments=folded(part.arguments, _LINES_OF_RESULTS) if part.arguments else None,
            result=folded(text, _LINES_OF_RESULTS) if text is not None else None,
            result_place=result_place,
            result_bytes=span.result_bytes if span else len(text.encode("utf-8", "replace")) if text else None,
            duration_us=span.duration_us if span else None,
            failed=bool((span and span.failed) or (found and found.failed)),
            result_call=span.result_call if span else None,
        )

    def _medium(self, part: ContentPart) -> Medium:
        number = self._numbers.get(id(part))
        kind = self._media[number].shown_as.partition("/")[0] if number is not None else ""
        return Medium(
            type=part.type,
            media_type=part.media_type,
            name=part.name,
            size=part.size,
            url=part.url,
            number=number,
            shown_as=kind,
        )


def _brought(messages: Sequence[Message]) -> dict[str, tuple[ContentPart, str]]:
    """Tool call id → its result in the same request, and its place."""
    return {
        part.tool_call_id: (part, f"in.{number}.{at}")
        for number, message in enumerate(messages)
        for at, part in enumerate(message.parts)
        if part.type == "tool_result" and part.tool_call_id
    }


def _context(number: int, document: Document) -> Context:
    return Context(
        number=number + 1,
        title=document.title or document.id or document.url or f"document {number + 1}",
        source=document.source,
        url=document.url,
        score=document.score,
        text=folded(document.text, _LINES_OF_RESULTS) if document.text else None,
        place=f"doc.{number}",
    )


def _line(text: str) -> str:
    return " ".join(text[:400].split())[:160]
