"""What stands above a conversation: status, models, times, tokens, cost, who asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..console import figures
from ..pricing.prices import Receipt
from ..records import Call, Status, Usage
from .lines import STATUS_STYLES, status_word
from .terminal import Terminal, printable

_NAME_WIDTH = 9


def facts(call: Call, terminal: Terminal, receipt: Receipt | None = None) -> Iterator[str]:
    """Lines of ``name  value``; what is unknown has no line. ``receipt``: what the cost is made of."""
    title = terminal.paint(f"call {call.id}", "bold")
    yield f"{title}  {terminal.paint(status_word(call), STATUS_STYLES.get(call.status, ''))}"
    for name, value in _ROWS:
        if text := value(call):
            style = "red" if name == "error" else ""
            yield f"{terminal.paint(name.ljust(_NAME_WIDTH), 'dim')} {terminal.paint(printable(text), style)}"
        if name == "cost" and call.cost_nano_usd is not None:
            lines = _receipt(receipt, call.cost_nano_usd)
            yield from (f"{''.ljust(_NAME_WIDTH)} {terminal.paint(line, 'dim')}" for line in lines)


def _receipt(receipt: Receipt | None, nano_usd: int) -> Iterator[str]:
    """The lines of a cost, or that today's settings give another one."""
    if receipt is None:
        return
    if receipt.cost.nano_usd != nano_usd:
        yield f"today it would be ${figures.exact_dollars(receipt.cost.nano_usd)}: see llmtap reprice"
    elif len(receipt.lines) > 1:
        for line in receipt.lines:
            each = f"at ${figures.exact_dollars(line.nano_per_million)} a million"
            if line.kind not in Usage.__struct_fields__:
                each = f"at ${figures.exact_dollars(line.nano_per_million // 1000)} a thousand"
            kind = line.kind.replace("_", " ")
            yield f"{line.count:>11,} {kind:<22} {each:<24} ${figures.exact_dollars(line.nano_usd)}"


def _joined(*facts: str | None, by: str = " · ") -> str:
    return by.join(fact for fact in facts if fact)


def _request(call: Call) -> str:
    answer = f"→ {call.http_status}" if call.http_status is not None else ""
    return _joined(_joined(call.method, call.path, answer, by=" "), "streamed" if call.stream else "")


def _upstream(call: Call) -> str:
    tier = f"tier {call.service_tier}" if call.service_tier else ""
    took = f"says it took {figures.duration(call.upstream_us)}" if call.upstream_us is not None else ""
    return _joined(call.upstream, call.dialect, tier, took)


def _model(call: Call) -> str:
    if call.model and call.model_requested and call.model != call.model_requested:
        return f"{call.model} served, {call.model_requested} asked"
    return call.model or call.model_requested or ""


def _time(call: Call) -> str:
    if call.status == Status.RUNNING:
        return f"{figures.date_time(call.started_at_us)} · still running"
    first = f"first token after {figures.duration(call.ttft_us)}" if call.ttft_us is not None else ""
    return _joined(figures.date_time(call.started_at_us), f"took {figures.duration(call.latency_us)}", first)


def _tokens(call: Call) -> str:
    if call.input_tokens is None and call.output_tokens is None:
        return ""
    parts = ((call.cached_tokens, "cached"), (call.cache_write_tokens, "written to cache"))
    given = _token_sum(call.input_tokens, "in", parts)
    made = _token_sum(call.output_tokens, "out", ((call.reasoning_tokens, "reasoning"),))
    return _joined(given, made, "estimated" if call.tokens_source == "estimated" else "")


def _token_sum(total: int | None, name: str, parts: tuple[tuple[int | None, str], ...]) -> str:
    known = ", ".join(f"{number:,} {part}" for number, part in parts if number)
    return f"{figures.UNKNOWN if total is None else format(total, ',')} {name}{f' ({known})' if known else ''}"


def _cost(call: Call) -> str:
    if call.cost_nano_usd is None:
        counted = call.input_tokens is not None or call.output_tokens is not None
        model = call.model or call.model_requested
        return f"unknown: no price for {model}; [[prices]] can give one" if counted and model else ""
    return f"${figures.exact_dollars(call.cost_nano_usd)}{f' by {call.cost_source}' if call.cost_source else ''}"


def _error(call: Call) -> str:
    return _joined(call.error_type, call.error_message, by=": ")


def _who(call: Call) -> str:
    named = (
        ("user", call.user), ("session", call.session), ("agent", call.agent), ("key", call.key), ("from", call.client),
    )  # fmt: skip
    return _joined(f"project {call.project}", *(f"{name} {value}" for name, value in named if value))


def _program(call: Call) -> str:
    place = f"in {call.cwd}" if call.cwd else ""
    return _joined(call.program, place, f"on branch {call.branch}" if call.branch else "", by=" ")


def _stream(call: Call) -> str:
    """Pace and pauses of a stream."""
    if call.ttft_us is None or not call.stream:
        return ""
    pace = f"{call.tokens_per_s:g} tokens/s" if call.tokens_per_s is not None else ""
    gap = f"longest pause {figures.duration(call.longest_gap_us)}" if call.longest_gap_us is not None else ""
    return _joined(pace, gap, f"{call.chunks:,} reads" if call.chunks else "")


def _quota(call: Call) -> str:
    """What is left of the upstream's limits, after this call."""
    shown = [
        f"{left:,}{f' of {limit:,}' if limit is not None else ''} {what} left"
        for left, limit, what in (
            (call.remaining_requests, call.limit_requests, "requests"),
            (call.remaining_tokens, call.limit_tokens, "tokens"),
        )
        if left is not None
    ]
    pause = f"retry after {figures.duration(call.retry_after_us)}" if call.retry_after_us is not None else ""
    return _joined(*shown, pause)


def _retry(call: Call) -> str:
    if not call.retry:
        return ""
    return _joined(f"attempt {call.retry + 1}", f"repeats call {call.retry_of[-8:]}" if call.retry_of else "")


def _ids(call: Call) -> str:
    named = (
        ("response", call.response_id), ("request", call.request_id), ("trace", call.trace), ("parent", call.parent),
    )  # fmt: skip
    return _joined(*(f"{name} {value}" for name, value in named if value))


def _sizes(call: Call) -> str:
    if call.request_bytes is None and call.response_bytes is None:
        return ""
    return f"{figures.size(call.request_bytes)} asked, {figures.size(call.response_bytes)} answered"


_ROWS: tuple[tuple[str, Callable[[Call], str]], ...] = (
    ("error", _error),
    ("request", _request),
    ("upstream", _upstream),
    ("model", _model),
    ("time", _time),
    ("tokens", _tokens),
    ("cost", _cost),
    ("stream", _stream),
    ("finish", lambda call: _joined(call.finish_reason, call.filtered)),
    ("retry", _retry),
    ("quota", _quota),
    ("who", _who),
    ("program", _program),
    ("prompt", lambda call: _joined(call.prompt, call.prompt_version, by=" version ")),
    ("excluded", lambda call: call.excluded or ""),
    ("metadata", lambda call: _joined(*(f"{key}={value}" for key, value in call.metadata.items()))),
    ("tags", lambda call: _joined(*call.tags)),
    ("ids", _ids),
    ("bodies", _sizes),
    ("notes", lambda call: _joined(*call.notes)),
)
