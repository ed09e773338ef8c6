"""What ingest finds out about a call: a list of small steps, each adding to the row.

A stage takes an ``Item`` and gives back an ``Item``; order matters, see ``STAGES``. A stage that
raises does not cost the row: see ``pipeline``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from ..clock import id_text
from ..dialects.table import choose, parse
from ..pricing.prices import price
from ..pricing.tokens import estimate
from ..records import Call, Exchange, Message, Outcome, Parsed, Status, evolve
from ..wire.headers import header_map, key_fingerprint

_PREVIEW_CHARACTERS = 160
_ERROR_CHARACTERS = 2000
_META = "x-llmtap-meta-"
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")
_SPACE = re.compile(r"\s+")


class Item(Struct, frozen=True, kw_only=True):
    """A call on its way through the stages."""

    exchange: Exchange
    call: Call
    parsed: Parsed = Parsed()
    body_limit_bytes: int

    def with_call(self, **changes: object) -> Item:
        """The same with some fields of the row changed."""
        return evolve(self, call=evolve(self.call, **changes))


Stage = Callable[[Item], Item]


def understand(item: Item) -> Item:
    """Let the call's dialect read its bodies."""
    begin = item.exchange.begin
    dialect = choose(begin.endpoint, header_map(begin.headers), begin.upstream)
    return evolve(
        item, parsed=parse(item.exchange, item.body_limit_bytes), call=evolve(item.call, dialect=dialect.name)
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
        user=parsed.user,
        notes=(*item.call.notes, *parsed.notes),
        preview_input=_preview(_last_words(parsed.input)),
        preview_output=_preview(parsed.output or _called_tools(parsed)),
    )


def identify(item: Item) -> Item:
    """Who asked, from headers."""
    begin, head = item.exchange.begin, item.exchange.head
    request = header_map(begin.headers)
    answer = header_map(head.headers) if head else {}
    named = {name.removeprefix(_META): value for name, value in request.items() if name.startswith(_META)}
    return item.with_call(
        key=key_fingerprint(begin.headers),
        client=request.get("user-agent") or None,
        metadata={**item.parsed.metadata, **named},
        request_id=next((answer[name] for name in _REQUEST_IDS if name in answer), None),
    )


def judge(item: Item) -> Item:
    """What became of the call: the relay's view of its end, corrected by what the answer says of itself."""
    end, head, parsed = item.exchange.end, item.exchange.head, item.parsed
    status = _status(item.exchange, parsed)
    error_type = parsed.error_type or (end.error_type if end else None)
    error_message = parsed.error_message or (end.error_message if end else None)
    if error_message is None and status == Status.ERROR and head is not None:
        error_message = f"HTTP {head.status} {head.reason}".strip()
    failed = status != Status.OK
    return item.with_call(
        status=status,
        error_type=error_type if failed else None,
        error_message=error_message[:_ERROR_CHARACTERS] if failed and error_message else None,
    )


def time(item: Item) -> Item:
    """Time to the first token of content, from the read that brought it."""
    offset = item.parsed.first_content_offset
    if offset is None:
        return item
    return item.with_call(ttft_us=next((at_us for end, at_us in item.exchange.marks if end >= offset), None))


def count(item: Item) -> Item:
    """Tokens: the upstream's own figures, or an estimate that says that it is one."""
    usage, source = item.parsed.usage, "upstream"
    if usage is None and _answered(item):
        usage, source = estimate(item.parsed), "estimated"
    if usage is None:
        return item
    return evolve(
        item,
        parsed=evolve(item.parsed, usage=usage),
        call=evolve(
            item.call,
            tokens_source=source,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
        ),
    )


def value(item: Item) -> Item:
    """Cost, by served model, at the price of the call's day."""
    model = item.parsed.model or item.parsed.model_requested
    if item.parsed.usage is None or model is None:
        return item
    cost = price(model, item.exchange.begin.base, item.parsed.usage, item.call.started_at_us)
    return item if cost is None else item.with_call(cost_nano_usd=cost.nano_usd, cost_source=cost.source)


STAGES: tuple[Stage, ...] = (understand, describe, identify, judge, time, count, value)
#: Of a call that runs, only the request is there.
STAGES_OF_RUNNING: tuple[Stage, ...] = (understand, describe, identify)
#: A call whose caller asked that no content be kept has nothing to understand.
STAGES_WITHOUT_CONTENT: tuple[Stage, ...] = (judge,)


def first_row(exchange: Exchange) -> Call:
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
    if end.outcome in _BY_OUTCOME:
        return _BY_OUTCOME[end.outcome]
    if failed or parsed.error_message is not None:
        return Status.ERROR
    # Of a stream that nobody here can read, the end of its HTTP message is all that is known.
    return Status.TRUNCATED if parsed.stream and parsed.terminal is False else Status.OK


def _answered(item: Item) -> bool:
    head = item.exchange.head
    return head is not None and head.status == 200 and bool(item.parsed.choices)


def _notes(exchange: Exchange) -> tuple[str, ...]:
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
    return _SPACE.sub(" ", text[: _PREVIEW_CHARACTERS * 4]).strip()[:_PREVIEW_CHARACTERS] if text else None
