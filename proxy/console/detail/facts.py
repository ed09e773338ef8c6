"""Everything that a row says of its call, each value with the filter that finds the calls that share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from ...query.fields import FIELDS, SCALES, Field, Kind
from ...query.parse import MAX_LENGTH
from ...query.tree import Comparison
from ...query.written import written
from ...records import Call
from .. import figures


class Fact(Struct, frozen=True):
    """A value with its name. ``query``: a filter for it; empty when there is none."""

    name: str
    text: str
    query: str = ""
    help: str = ""

    @property
    def link(self) -> str:
        """The list, filtered by it."""
        return f"/?q={quote(self.query, safe='')}"


class Group(Struct, frozen=True):
    """Facts that belong together."""

    title: str
    facts: tuple[Fact, ...]


_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Who asked", (
        "project", "user", "session", "agent", "key", "client", "program", "cwd", "branch", "trace", "parent", "prompt",
        "prompt_version", "tags",
    )),
    ("What", (
        "model", "model_requested", "upstream", "dialect", "endpoint", "method", "path", "stream", "service_tier",
        "system_fingerprint", "system_version", "documents", "background",
    )),
    ("How it went", (
        "status", "http_status", "error_type", "error_message", "finish_reason", "filtered", "latency_ms", "ttft_ms",
        "upstream_ms", "chunks", "longest_gap_ms", "tokens_per_s", "retry", "retry_of", "excluded",
    )),
    ("Quotas", (
        "limit_requests", "remaining_requests", "reset_requests_ms", "limit_tokens", "remaining_tokens",
        "reset_tokens_ms", "retry_after_ms",
    )),
    ("Ids and sizes", (
        "id", "conversation", "follows", "follows_by", "request_id", "response_id", "request_bytes", "response_bytes",
    )),
)  # fmt: skip

_SIZES = frozenset({"request_bytes", "response_bytes"})
_SHOWN: dict[Kind, Callable[[Any], str]] = {
    Kind.DURATION: figures.duration,
    Kind.MONEY: lambda nano: f"${figures.exact_dollars(nano)}",
    Kind.FLAG: lambda yes: "yes" if yes else "no",
    Kind.NUMBER: lambda number: f"{number:,}" if isinstance(number, int) else f"{number:,.1f}",
}


def groups(call: Call) -> tuple[Group, ...]:
    """All that is known; what is unknown is left out."""
    made = [Group(title, tuple(_facts(call, names))) for title, names in _GROUPS]
    attached = tuple(_attached(name, value) for name, value in call.metadata.items())
    made.insert(1, Group("Metadata", attached))
    return tuple(group for group in made if group.facts)


def by_value(name: str, value: Any) -> str:
    """The filter for one value of a field, as it is stored; empty when it cannot be asked for."""
    field = FIELDS[name]
    scaled = value / SCALES[field.kind] if field.kind in SCALES else value
    return _query(Comparison(name, "=", scaled))


def _facts(call: Call, names: Iterable[str]) -> Iterable[Fact]:
    for name in names:
        field = FIELDS[name]
        value = getattr(call, field.column)
        values = value if isinstance(value, tuple) else () if value in (None, "") else (value,)
        yield from (Fact(name, _text(field, each), by_value(name, each), field.help) for each in values)


def _text(field: Field, value: Any) -> str:
    if field.name in _SIZES:
        return f"{value:,} bytes"
    return _SHOWN.get(field.kind, str)(value)


def _attached(name: str, value: str) -> Fact:
    query = _query(Comparison("metadata", "=", value, name)) if name else ""
    return Fact(name, value, query, "a value that the client attached")


def _query(where: Comparison) -> str:
    text = written(where)
    fits = len(text) <= MAX_LENGTH and text.isprintable()
    return text if fits else ""
