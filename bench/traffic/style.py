"""What formats have in common: how a client writes JSON, and what an answer consists of."""

from __future__ import annotations

import json
import random
import string
from typing import Any, Protocol

import orjson
from msgspec import Struct

JSON = dict[str, Any]
RawHeaders = list[tuple[bytes, bytes]]
Fragment = tuple[bytes, bytes]  #: a message of a request, and the same as the request's last
_LETTERS = string.ascii_letters + string.digits


def letters(rng: random.Random, count: int) -> str:
    """An id's random part."""
    return "".join(rng.choices(_LETTERS, k=count))


class Style(Struct, frozen=True):
    """How a client writes JSON."""

    spaced: bool = False  #: as ``json.dumps`` does: spaces, and \\u escapes
    verbose: bool = False  #: answers are sent back with all their empty fields

    def dump(self, value: object) -> bytes:
        """A value as this client would write it."""
        return json.dumps(value).encode() if self.spaced else orjson.dumps(value)

    def array(self, items: list[bytes]) -> bytes:
        """Values that are written already, as an array."""
        return b"[" + (b", " if self.spaced else b",").join(items) + b"]"

    def mapping(self, items: list[tuple[bytes, bytes]]) -> bytes:
        """Names and values that are written already, as an object."""
        colon = b'": ' if self.spaced else b'":'
        return (
            b"{" + (b", " if self.spaced else b",").join([b'"' + name + colon + value for name, value in items]) + b"}"
        )


class ToolCall(Struct, frozen=True):
    """A tool that an answer asks for."""

    id: str
    name: str
    arguments: JSON


class Answer(Struct, frozen=True, kw_only=True):
    """What the upstream says; a ``status`` that is not 200 makes it an error."""

    id: str
    model: str
    created_s: int
    input_tokens: int
    output_tokens: int = 0
    cached_tokens: int = 0
    status: int = 200
    text: str | None = None
    calls: tuple[ToolCall, ...] = ()


class Request(Struct, frozen=True, kw_only=True):
    """What a request consists of; prompt and tools are written already."""

    model: str
    system: bytes
    messages: list[Fragment]
    tools: bytes | None
    stream: bool
    user: str
    metadata: dict[str, str] | None


class Format(Protocol):
    """How one provider's requests and answers are written."""

    name: str
    base: str
    path: str
    models: tuple[str, ...]
    overload: int  #: the status of an upstream that has too much to do

    def request_headers(self, key: str) -> RawHeaders:
        """What its official client sends, but for what differs from call to call."""
        ...

    def response_headers(self, rng: random.Random, answer: Answer) -> RawHeaders:
        """What stands above an answer."""
        ...

    def new_id(self, rng: random.Random) -> str:
        """Of an answer."""
        ...

    def new_call_id(self, rng: random.Random) -> str:
        """Of a tool call."""
        ...

    def system(self, style: Style, text: str) -> bytes:
        """A system prompt."""
        ...

    def tools(self, style: Style, tools: list[JSON]) -> bytes:
        """Tools with ``name``, ``description`` and ``parameters``."""
        ...

    def said(self, style: Style, text: str) -> Fragment:
        """What a person says."""
        ...

    def echo(self, style: Style, answer: Answer) -> Fragment:
        """An answer, sent back as a part of the history."""
        ...

    def results(self, style: Style, results: list[tuple[str, str]]) -> list[Fragment]:
        """What tools gave: ids of calls, and texts."""
        ...

    def request(self, style: Style, request: Request) -> bytes:
        """A body."""
        ...

    def response(self, answer: Answer) -> bytes:
        """A body of an answer or an error."""
        ...

    def stream(self, answer: Answer) -> bytes:
        """The same as events."""
        ...
