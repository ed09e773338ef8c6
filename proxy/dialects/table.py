"""Which dialect reads which call, and letting it. A new dialect is one file, one row here, one folder of cases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from msgspec import Struct

from ..records import Begin, Exchange, Parsed, evolve
from ..settings import Retrieval
from ..wire.encoding import Decoded, decode, encoded_offset
from ..wire.headers import HeaderMaps, header_maps
from .anthropic_messages.dialect import AnthropicMessages
from .base import Bodies, Dialect
from .gemini.dialect import Gemini
from .generic import Generic
from .json_values import LONGEST_NAME, Notes
from .models import Models
from .ollama.dialect import Ollama
from .openai_chat.dialect import OpenAIChat
from .openai_completions.dialect import OpenAICompletions
from .openai_embeddings import OpenAIEmbeddings
from .openai_moderations import OpenAIModerations
from .openai_responses.dialect import OpenAIResponses
from .rerank import Rerank
from .retrieval import documents


class Row(Struct, frozen=True):
    """A dialect, and the calls that it reads: every condition given must hold."""

    dialect: Dialect
    path: re.Pattern[str]  #: found in the path at the upstream, without query
    header: str | None = None  #: lower-case name of a request header that must be there
    upstream: str | None = None  #: name of the route's upstream

    def reads(self, path: str, request_headers: Mapping[str, str], upstream: str) -> bool:
        """Whether a call is this row's."""
        return (
            self.path.search(path) is not None
            and (self.header is None or self.header in request_headers)
            and (self.upstream is None or self.upstream == upstream)
        )


GENERIC = Generic()
_NO_RULES = Retrieval()
ROWS = (
    Row(OpenAIChat(), re.compile(r"/chat/completions/?$")),
    Row(OpenAIResponses(), re.compile(r"/responses(/[^/]+(/cancel|/input_items)?)?/?$")),
    Row(
        AnthropicMessages(),
        re.compile(r"/v1/messages(/count_tokens)?/?$|/publishers/anthropic/.*:(stream)?rawpredict$", re.IGNORECASE),
    ),
    Row(Gemini(), re.compile(r":(generateContent|streamGenerateContent|embedContent|batchEmbedContents|countTokens)$")),
    Row(Ollama(), re.compile(r"/api/(chat|generate|embed|embeddings)/?$")),
    Row(OpenAICompletions(), re.compile(r"/completions/?$")),
    Row(OpenAIEmbeddings(), re.compile(r"/embeddings/?$")),
    Row(OpenAIModerations(), re.compile(r"/moderations/?$")),
    Row(Rerank(), re.compile(r"/rerank/?$")),
    Row(Models(), re.compile(r"/models(/[^:]+)?/?$|/api/tags/?$")),
)

#: Azure's deployments, and Claude on Vertex AI.
_MODEL = re.compile(r"/deployments/([^/]+)/|/publishers/anthropic/models/([^/:]+):")


def choose(path: str, request_headers: Mapping[str, str], upstream: str) -> Dialect:
    """The dialect of the first row that fits, else the generic one."""
    path = unquote(path)  # clients may write the colon before a method in another way
    return next((row.dialect for row in ROWS if row.reads(path, request_headers, upstream)), GENERIC)


def dialect_of(begin: Begin, headers: HeaderMaps) -> Dialect:
    """The dialect of a recorded call."""
    return choose(begin.endpoint, headers.request, begin.upstream)


def parse(exchange: Exchange, limit_bytes: int, rules: Retrieval = _NO_RULES) -> Parsed:
    """What a call means: ``parse_as`` by the dialect that is its own."""
    headers = header_maps(exchange)
    return parse_as(dialect_of(exchange.begin, headers), exchange, headers, limit_bytes, rules)


def parse_as(
    dialect: Dialect, exchange: Exchange, headers: HeaderMaps, limit_bytes: int, rules: Retrieval = _NO_RULES
) -> Parsed:
    """What a call means, as far as it can be told. Never raises on what a peer sent.

    A body above ``limit_bytes``, or what it expands to above that, is left out with a note. A call
    that asked for no log has no content: nothing is read from it. ``rules``: where else to look for
    retrieved context.
    """
    begin, head = exchange.begin, exchange.head
    if begin.no_log or (begin.omit_request and begin.omit_response):
        return Parsed()
    asked, answered = headers.request, headers.response
    request = _decoded("the request", exchange.request_body, asked, limit_bytes)
    response = _decoded("the answer", exchange.response_body, answered, limit_bytes)
    parsed = dialect.parse(
        Bodies(
            path=begin.endpoint,
            method=begin.method,
            request=request.data,
            response=response.data,
            request_headers=asked,
            response_headers=answered,
            http_status=head.status if head and not begin.omit_response else None,
            notes=(*request.notes, *response.notes),
        )
    )
    if begin.omit_response:
        parsed = evolve(parsed, terminal=None)
    parsed = _with_documents(_with_model(parsed, begin.endpoint), rules, request.data)
    return _on_the_wire(parsed, exchange.response_body, answered.get("content-encoding", ""))


def _with_model(parsed: Parsed, path: str) -> Parsed:
    """The model that the path names, where the body names none."""
    named = None if parsed.model_requested else _MODEL.search(unquote(path))
    return evolve(parsed, model_requested=(named[1] or named[2])[:LONGEST_NAME]) if named else parsed


def _with_documents(parsed: Parsed, rules: Retrieval, request: bytes) -> Parsed:
    if not (rules.paths or rules.tags):
        return parsed
    notes = Notes(parsed.notes)
    found = documents(rules, request, parsed.input, notes)
    return evolve(parsed, documents=(*found, *parsed.documents), notes=notes.all())


def _decoded(what: str, body: bytes, headers: Mapping[str, str], limit_bytes: int) -> Decoded:
    if len(body) > limit_bytes:
        return Decoded(data=b"", notes=(f"{what} has {len(body)} bytes, too many to be read",), complete=False)
    coding = headers.get("content-encoding", "")
    if not coding:
        return Decoded(data=body)
    decoded = decode(body, coding, limit_bytes)
    return evolve(decoded, notes=tuple(f"{what}: {note}" for note in decoded.notes))


def _on_the_wire(parsed: Parsed, body: bytes, coding: str) -> Parsed:
    """The first content's offset in the body that was read, not in the decoded one: the marks count in those."""
    if not coding or parsed.first_content_offset is None:
        return parsed
    return evolve(parsed, first_content_offset=encoded_offset(body, coding, parsed.first_content_offset))
