"""What ingest finds out about a call: a list of small steps, each adding to the row.

A stage takes an ``Item`` and gives back an ``Item``; order matters, see ``STAGES``. A stage that
raises does not cost the row: see ``pipeline``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from ..bodies.cut import Cut
from ..clock import id_text
from ..config import Config
from ..dialects.table import dialect_of, parse_as
from ..pricing.charged import priced
from ..pricing.overrides import overrides
from ..pricing.prices import price
from ..pricing.tokens import estimate
from ..records import (
    DEFAULT_PROJECT,
    PREVIEW_CHARACTERS,
    Call,
    Exchange,
    Header,
    Message,
    Outcome,
    Parsed,
    Status,
    Ties,
    ToolResult,
    ToolSpan,
    Usage,
    evolve,
)
from ..store.base import StoredCall
from ..wire.headers import LOWER, HeaderMaps, header_maps, key_fingerprint, telling
from ..wire.identity import HEADERS, OURS, row_of
from . import linking, quality, spans
from .exclusion import excluded
from .identity import COLUMNS, identify
from .programs import Program
from .quotas import quotas

#: Tokens, by their names in a usage and in a row.
COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_ERROR_CHARACTERS = 2000
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")
_KNOWN = [row.name for row in HEADERS if row.name.startswith(OURS)]


class Item(Struct, frozen=True, kw_only=True):
    """A call on its way through the stages."""

    exchange: Exchange
    headers: HeaderMaps
    call: Call
    parsed: Parsed = Parsed()
    config: Config
    program: Program | None = None  #: of a client on this machine
    tools: tuple[ToolSpan, ...] = ()  #: that the answer asks for
    results: tuple[ToolResult, ...] = ()  #: that the request brings for an earlier answer
    request: Cut | None = None  #: its request's body in pieces; None: not cut
    ties: Ties | None = None  #: what it continues, and what may continue it; None: it has no conversation

    def stored(self, journal: str, seq: int | None) -> StoredCall:
        """What the store is to keep; ``seq``: of the frame that ended the call."""
        return StoredCall(
            call=self.call,
            exchange=self.exchange,
            journal=journal,
            seq=seq,
            tools=self.tools,
            results=self.results,
            retrieved=self.parsed.retrieved,
            request=self.request,
            ties=self.ties,
            system_prompt=self.parsed.system_prompt if self.ties is not None else None,
        )

    def with_call(self, **changes: object) -> Item:
        """The same with some fields of the row changed."""
        return evolve(self, call=evolve(self.call, **changes))


Stage = Callable[[Item], Item]


def understand(item: Item) -> Item:
    """Let the call's dialect read its bodies."""
    exchange, headers, config = item.exchange, item.headers, item.config
    dialect = dialect_of(exchange.begin, headers)
    limit_bytes = config.ingest.body_bytes
    rest = item.request.rest() if item.request is not None and len(exchange.request_body) <= limit_bytes else None
    parsed = None
    if rest is not None:
        # What an earlier request said already is not read again.
        parsed = parse_as(dialect, evolve(exchange, request_body=rest), headers, limit_bytes, config.retrieval)
    if parsed is None or _wants_counting(item, parsed.usage):
        parsed = parse_as(dialect, exchange, headers, limit_bytes, config.retrieval)
    return evolve(item, parsed=parsed, call=evolve(item.call, dialect=dialect.name))


def is_plain(item: Item) -> bool:
    """Whether nothing in the messages of a request has to be read again with the next one's."""
    parsed, retrieval = item.parsed, item.config.retrieval
    return (
        item.call.dialect is not None
        and not (parsed.documents or parsed.notes or retrieval.paths or retrieval.tags)
        and item.call.tokens_source != "estimated"
    )


def describe(item: Item) -> Item:
    """What the dialect read, into the row."""
    parsed = item.parsed
    return item.with_call(
        stream=parsed.stream,
        model_requested=parsed.model_requested,
        model=parsed.model,
        finish_reason=parsed.finish_reason,
        response_id=parsed.response_id,
        service_tier=parsed.service_tier,
        system_fingerprint=parsed.system_fingerprint,
        filtered=_filtered(parsed),
        documents=len(parsed.documents) or None,
        background=parsed.background or None,
        upstream_us=parsed.upstream_us,
        notes=(*item.call.notes, *parsed.notes),
        preview_input=_preview(_last_words(parsed.input)),
        preview_output=_preview(parsed.output or _called_tools(parsed)),
    )


def name(item: Item) -> Item:
    """Who asked: headers, body fields, and the program on this machine."""
    begin = item.exchange.begin
    request = item.headers.request
    headers = telling(begin.headers)
    who = identify(headers, item.parsed.identity)
    program = item.program
    named: dict[str, str] = {column: who.columns[column] for column in COLUMNS if column in who.columns}
    if begin.project != DEFAULT_PROJECT:
        named.pop("project", None)  # the path said it already
    item = item.with_call(
        **named,
        notes=(*item.call.notes, *_misspelt(headers)),
        key=key_fingerprint(headers, begin.target),
        client=request.get("user-agent") or None,
        metadata=who.metadata,
        tags=who.tags,
        request_id=who.request_id,
        retry=_count(request.get("x-stainless-retry-count")),
        request_digest=item.request.digest if item.request is not None and item.exchange.request_body else None,
        program=program.name if program else None,
        cwd=program.cwd if program else None,
        branch=program.branch if program else None,
    )
    return exclude(item)


def _misspelt(request: Iterable[Header]) -> Iterator[str]:
    """Headers that were meant for llmtap, and that it does not know."""
    for sent in sorted([name for header in request if (name := LOWER[header.name]).startswith(OURS)]):
        if row_of(sent) is None or sent == f"{OURS}meta-":
            close = difflib.get_close_matches(sent, _KNOWN, n=1)
            yield f"unknown header {sent}{f'; did you mean {close[0]}?' if close else ''}"


def exclude(item: Item) -> Item:
    """Whether a rule keeps the call out of lists and sums; of a call that is not to be kept, by its path alone."""
    ruled_out = excluded(item.config.exclude, item.call, item.headers.request)
    return item.with_call(excluded=ruled_out) if ruled_out and not item.call.excluded else item


def read_answer_headers(item: Item) -> Item:
    """Ids, quotas and times that the upstream puts into headers."""
    head = item.exchange.head
    if head is None or head.ours:
        return item
    answer = item.headers.response
    found = quotas(answer, item.call.started_at_us + head.offset_us)
    request_id = next((answer[name] for name in _REQUEST_IDS if name in answer), item.call.request_id)
    if item.call.upstream_us is not None:
        found.pop("upstream_us", None)
    return item.with_call(request_id=request_id, **found)


def span(item: Item) -> Item:
    """Tools that the answer asks for, and results that the request brings."""
    return evolve(item, tools=spans.asked(item.parsed), results=spans.brought(item.parsed.input))


def tie(item: Item) -> Item:
    """What the call continues, and what may continue it."""
    return evolve(item, ties=linking.ties(item.parsed)) if linking.is_talk(item.call) else item


def judge(item: Item) -> Item:
    """What became of the call: the relay's view of its end, corrected by what the answer says of itself."""
    end, head, parsed = item.exchange.end, item.exchange.head, item.parsed
    status = _status(item.exchange, parsed)
    said = (parsed.error_type, parsed.error_message)
    seen = (end.error_type, end.error_message) if end else (None, None)
    # Of an answer that llmtap made itself, its own record says more than that answer.
    first, second = (seen, said) if head is not None and head.ours else (said, seen)
    error_type, error_message = first[0] or second[0], first[1] or second[1]
    if error_message is None and status == Status.ERROR and head is not None:
        error_message = f"HTTP {head.status} {head.reason}".strip()
    failed = status != Status.OK
    return item.with_call(
        status=status,
        error_type=error_type if failed else None,
        error_message=error_message[:_ERROR_CHARACTERS] if failed and error_message else None,
    )


def count(item: Item) -> Item:
    """Tokens: the upstream's own figures; what it left out is estimated, and the row says so."""
    usage, source = item.parsed.usage, "upstream"
    if _wants_counting(item, usage):
        filled = _filled(usage, estimate(item.parsed, item.call.dialect))
        if filled != usage:
            usage, source = filled, "estimated"
    if usage is None:
        return item
    counts = {name: getattr(usage, name) for name in COUNTS}
    known = any(value is not None for value in counts.values())
    if usage is not item.parsed.usage:
        item = evolve(item, parsed=evolve(item.parsed, usage=usage))
    return item.with_call(tokens_source=source if known else None, **counts)


def _wants_counting(item: Item, usage: Usage | None) -> bool:
    return _answered(item) and (usage is None or usage.input_tokens is None or usage.output_tokens is None)


def _filled(usage: Usage | None, guess: Usage | None) -> Usage | None:
    """The upstream's counts, and an estimate where it gives none."""
    if usage is None or guess is None:
        return usage or guess
    missing = [name for name in ("input_tokens", "output_tokens") if getattr(usage, name) is None]
    return evolve(usage, **{name: getattr(guess, name) for name in missing})


def value(item: Item) -> Item:
    """Cost, by served model, at the price of the call's day."""
    cost = price(priced(item.exchange, item.headers, item.parsed), overrides(item.config.prices))
    return item if cost is None else item.with_call(cost_nano_usd=cost.nano_usd, cost_source=cost.source)


def time(item: Item) -> Item:
    """How the answer came: its first token of content, pauses, pace."""
    first_us = quality.first_token_us(item.exchange, item.parsed.first_content_offset)
    return item.with_call(
        ttft_us=first_us,
        chunks=len(item.exchange.marks) or None,
        longest_gap_us=quality.longest_gap_us(item.exchange, first_us),
        tokens_per_s=quality.tokens_per_s(item.exchange, first_us, item.parsed),
    )


STAGES: tuple[Stage, ...] = (
    understand, describe, name, read_answer_headers, span, tie, judge, count, value, time,
)  # fmt: skip
#: Of a call that runs, only the request is there.
STAGES_OF_RUNNING: tuple[Stage, ...] = (understand, describe, name, tie)
#: A call whose caller asked that nothing be kept has nothing to understand.
STAGES_OF_NO_LOG: tuple[Stage, ...] = (exclude, judge)


def first_item(exchange: Exchange, config: Config, program: Program | None = None, request: Cut | None = None) -> Item:
    """A call before its first stage."""
    return Item(
        exchange=exchange,
        headers=header_maps(exchange),
        call=_first_row(exchange),
        config=config,
        program=program,
        request=request,
    )


def _first_row(exchange: Exchange) -> Call:
    """What the relay alone knows of a call: enough for a row when all else fails."""
    begin, head, end = exchange.begin, exchange.head, exchange.end
    return Call(
        id=id_text(begin.id),
        started_at_us=begin.started_at_us,
        project=begin.project,
        upstream=begin.upstream or None,
        endpoint=begin.endpoint or None,
        method=begin.method,
        path=begin.target.partition("?")[0],
        http_status=end.status if end and end.status is not None else head.status if head else None,
        latency_us=end.offset_us if end else None,
        request_bytes=end.request_bytes if end else len(exchange.request_body),
        response_bytes=end.response_bytes if end else len(exchange.response_body),
        notes=_notes(exchange),
    )


# --- decisions ---------------------------------------------------------------------------------

_BY_OUTCOME: dict[str, Status] = {
    Outcome.CLIENT_CLOSED: Status.CLIENT_CLOSED,
    Outcome.CUT: Status.TRUNCATED,
    Outcome.FAILED: Status.ERROR,
    Outcome.REFUSED: Status.ERROR,
    Outcome.STOPPED: Status.INTERRUPTED,
}


def _status(exchange: Exchange, parsed: Parsed) -> Status:
    head, end = exchange.head, exchange.end
    failed = (head is not None and head.status >= 400) or parsed.error_type is not None
    if head is not None and parsed.stream and parsed.terminal:
        # SDKs hang up at the marker that ends a stream: the answer was whole all the same.
        return Status.ERROR if failed else Status.OK
    if end is None:
        return Status.INTERRUPTED
    if failed and end.outcome == Outcome.CLIENT_CLOSED:
        return Status.ERROR  # SDKs hang up at the head of an error
    if end.outcome in _BY_OUTCOME:
        return _BY_OUTCOME[end.outcome]
    if failed or parsed.error_message is not None:
        return Status.ERROR
    # Of a stream that nobody here can read, the end of its HTTP message is all that is known.
    return Status.TRUNCATED if parsed.stream and parsed.terminal is False else Status.OK


def _filtered(parsed: Parsed) -> str | None:
    if parsed.content_filter is not None:
        return f"content_filter {parsed.content_filter}".strip()
    return "refusal" if parsed.refusal is not None else None


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None


def _answered(item: Item) -> bool:
    head = item.exchange.head
    return head is not None and head.status == 200 and not head.ours


def _notes(exchange: Exchange) -> tuple[str, ...]:
    begin = exchange.begin
    omitted = [what for what, asked in (("request", begin.omit_request), ("answer", begin.omit_response)) if asked]
    return (*(f"its caller asked that no {what} be kept" for what in omitted), *_holes(exchange))


def _holes(exchange: Exchange) -> tuple[str, ...]:
    lost = exchange.end.lost_parts if exchange.end else 0
    if lost:
        return (f"{lost} parts of the bodies could not be recorded",)
    return ("the bodies have holes",) if exchange.holes else ()


def _last_words(messages: tuple[Message, ...]) -> str | None:
    """Text of the last message that a person or a tool wrote."""
    for message in reversed(messages):
        if message.role in ("user", "tool", "function"):
            texts = [part.text for part in message.parts if part.text]
            return " ".join(texts) if texts else None
    return None


def _called_tools(parsed: Parsed) -> str | None:
    return ", ".join(f"{call.name}({call.arguments})" for call in parsed.tool_calls) or None


def _preview(text: str | None) -> str | None:
    if not text:
        return None
    shown = " ".join(text[: PREVIEW_CHARACTERS * 5 // 4].split())
    if len(shown) < PREVIEW_CHARACTERS:  # there are many blanks, or there is no more
        shown = " ".join(text[: PREVIEW_CHARACTERS * 4].split())
    return shown[:PREVIEW_CHARACTERS]
