"""What of a call can be searched: the texts that are new in it. Values only, no engine.

Clients resend the history with each call, and a search shall find the call where something was
said, not all that repeat it. New are: the answer; the message that a request ends with, whoever has
sent the same before; and of all others, those that were not seen lately. An answer that was seen
tells that what stands before it came with an earlier call, so a long history is not read again, but
for its beginning, where clients put what they have found in the meantime.

Media, vectors and definitions of tools are left out: nobody seeks words in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from ..records import ContentPart, Message, Parsed
from .sqlite.recent import Recent

#: The parts of a call that are searched apart. ``tools``: names, arguments and results.
COLUMNS = ("input", "output", "system", "tools")
_SYSTEM_ROLES = ("system", "developer")
_TOOL_TYPES = ("tool_call", "tool_result")
_REMEMBERED = 100_000  #: texts, about 100 bytes each
_TELLING = 48  #: an answer as short as this may be anybody's
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|([bfnrt])|(["\\/]))')


class Texts(Struct, frozen=True, kw_only=True):
    """Texts of a call, by the part of it that they stand in."""

    input: str = ""
    output: str = ""
    system: str = ""
    tools: str = ""
    cut: bool = False  #: there was more

    @property
    def size(self) -> int:
        """Characters."""
        return len(self.input) + len(self.output) + len(self.system) + len(self.tools)


class Piece(Struct, frozen=True):
    """A text, and where it stands."""

    column: str
    text: str


class NewTexts:
    """Tells what is new. Remembers what it has seen, bounded, by digests that only this process knows."""

    def __init__(self, most_chars: int) -> None:
        self._most_chars = most_chars  #: of one call
        self._seen: Recent[int, bool] = Recent(_REMEMBERED)

    def of(self, parsed: Parsed, scope: str) -> Texts:
        """What is new in a call. What was seen in another ``scope`` (a project, a day) is new in this one."""
        asked, answered = list(parsed.input), list(answers(parsed))
        own = _own(asked)
        groups = [
            *(_pieces(message) for message in asked[own:]),
            *(_pieces(message, "output") for message in answered),
            [Piece("system", parsed.system_prompt)] if parsed.system_prompt and not _is_system(asked[:1]) else [],
        ]
        found = self._marked(groups[:-1], scope)
        found += self._unseen(groups[-1], scope)
        found += self._history(asked[:own], scope)
        return self._fitted(found)

    def _marked(self, groups: Iterable[Sequence[Piece]], scope: str) -> list[Piece]:
        pieces = [piece for group in groups for piece in group]
        for piece in pieces:
            self._seen[_digest(scope, piece)] = True
        return pieces

    def _unseen(self, pieces: Iterable[Piece], scope: str) -> list[Piece]:
        fresh = [piece for piece in pieces if not self._seen.get(_digest(scope, piece))]
        return self._marked([fresh], scope)

    def _history(self, messages: Sequence[Message], scope: str) -> list[Piece]:
        """From the end up to an answer that was seen, and from the beginning as long as nothing was."""
        late: list[list[Piece]] = []
        last = len(messages)
        while last:
            last -= 1
            pieces = _pieces(messages[last])
            late.append(self._unseen(pieces, scope))
            if not late[-1] and messages[last].role == "assistant" and _size(pieces) >= _TELLING:
                break
        early: list[Piece] = []
        for message in messages[:last]:
            pieces = _pieces(message)
            fresh = self._unseen(pieces, scope)
            early += fresh
            if pieces and not fresh and not _is_system([message]):
                break
        return [*early, *(piece for group in reversed(late) for piece in group)]

    def _fitted(self, pieces: Iterable[Piece]) -> Texts:
        """What comes first is kept when not all can be."""
        room, cut = self._most_chars, False
        columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
        for piece in pieces:
            cut = cut or len(piece.text) > room
            columns[piece.column].append(piece.text[:room])
            room -= len(columns[piece.column][-1])
        return Texts(**{name: "\n".join(filter(None, texts)) for name, texts in columns.items()}, cut=cut)


def _own(messages: Sequence[Message]) -> int:
    """Where the last message stands that is not the beginning of an answer: it is the request's own."""
    last = len(messages) - 1
    return max(0, last - 1 if last > 0 and messages[last].role == "assistant" else last)


def _is_system(messages: Sequence[Message]) -> bool:
    return any(message.role in _SYSTEM_ROLES for message in messages)


def answers(parsed: Parsed) -> Iterator[Message]:
    """All that was answered; of dialects that know no choices too."""
    if parsed.choices:
        yield from (choice.message for choice in parsed.choices)
        return
    said = (("text", parsed.output), ("reasoning", parsed.reasoning), ("refusal", parsed.refusal))
    calls = [ContentPart(type="tool_call", name=tool.name, arguments=tool.arguments) for tool in parsed.tool_calls]
    yield Message(role="assistant", parts=(*(ContentPart(type=kind, text=text) for kind, text in said), *calls))


def pieces(parsed: Parsed) -> Iterator[Piece]:
    """All texts of a call, new or not, the latest first."""
    for message in answers(parsed):
        yield from _pieces(message, "output")
    for message in reversed(parsed.input):
        yield from _pieces(message)
    if parsed.system_prompt and not _is_system(parsed.input[:1]):
        yield Piece("system", parsed.system_prompt)


def _pieces(message: Message, side: str = "input") -> list[Piece]:
    column = "system" if message.role in _SYSTEM_ROLES else side
    found = [_piece(part, column) for part in message.parts]
    return [piece for piece in found if piece.text]


def _piece(part: ContentPart, column: str) -> Piece:
    if part.type in _TOOL_TYPES:
        return Piece("tools", _joined(part.name, unescaped(part.arguments), unescaped(part.text)))
    return Piece(column, _joined(part.name, part.text) if part.name else part.text or "")


def _joined(*texts: str | None) -> str:
    return " ".join(filter(None, texts))


def unescaped(text: str | None) -> str | None:
    r"""A text that is JSON, with what its escapes mean: else ``\nword`` would be the word ``nword``."""
    if text is None or "\\" not in text or text.lstrip()[:1] not in ("{", "[", '"'):
        return text
    return _ESCAPE.sub(_meant, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _meant(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else " " if found[2] else found[3]


def _digest(scope: str, piece: Piece) -> int:
    """Arguments of tools come back with other blanks than they were answered with."""
    return hash((scope, "".join(piece.text.split()) if piece.column == "tools" else piece.text))


def _size(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.text) for piece in pieces)
