"""What stands above a conversation: status, models, times, tokens, cost, who asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..console import figures
from ..records import Call, Status
from .lines import STATUS_STYLES, status_word
from .terminal import Terminal, printable

_NAME_WIDTH = 9


def facts(call: Call, terminal: Terminal) -> Iterator[str]:
    """Lines of ``name  value``; what is unknown has no line."""
    title = terminal.paint(f"call {call.id}", "bold")
    yield f"{title}  {terminal.paint(status_word(call), STATUS_STYLES.get(call.status, ''))}"
    for name, value in _ROWS:
        if text := value(call):
            style = "red" if name == "error" else ""
            yield f"{terminal.paint(name.ljust(_NAME_WIDTH), 'dim')} {terminal.paint(printable(text), style)}"


def _joined(*facts: str | None, by: str = " · ") -> str:
    return by.join(fact for fact in facts if fact)


def _request(call: Call) -> str:
    answer = f"→ {call.http_status}" if call.http_status is not None else ""
    return _joined(_joined(call.method, call.path, answer, by=" "), "streamed" if call.stream else "")


def _upstream(call: Call) -> str:
    return _joined(call.upstream, call.dialect)


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
        return ""
    return f"${figures.exact_dollars(call.cost_nano_usd)}{f' by {call.cost_source}' if call.cost_source else ''}"


def _error(call: Call) -> str:
    return _joined(call.error_type, call.error_message, by=": ")


def _who(call: Call) -> str:
    named = (("user", call.user), ("session", call.session), ("key", call.key), ("from", call.client))
    return _joined(f"project {call.project}", *(f"{name} {value}" for name, value in named if value))


def _ids(call: Call) -> str:
    named = (("response", call.response_id), ("request", call.request_id))
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
    ("finish", lambda call: call.finish_reason or ""),
    ("who", _who),
    ("metadata", lambda call: _joined(*(f"{key}={value}" for key, value in call.metadata.items()))),
    ("tags", lambda call: _joined(*call.tags)),
    ("ids", _ids),
    ("bodies", _sizes),
    ("notes", lambda call: _joined(*call.notes)),
)
