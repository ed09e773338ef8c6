"""What the upstream says of its limits in the headers of an answer, as columns. One row a header."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from msgspec import Struct

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)?")
_UNITS_US = {
    "": 1e6, "s": 1e6, "ms": 1e3, "us": 1.0, "µs": 1.0, "ns": 1e-3, "m": 60e6, "h": 3600e6, "d": 86_400e6,
}  # fmt: skip
_LONGEST_US = 366 * 86_400_000_000
_LARGEST = 1 << 53
_LONGEST_SPAN = 32  #: characters
_EPOCH_S = 1_000_000_000  #: a number of seconds above this is a moment, not a span


class _Source(Struct, frozen=True):
    """A header, the column that it fills, and what its value is: a count, a span or a moment in time."""

    header: str
    column: str
    kind: str


def _sources() -> tuple[_Source, ...]:
    found = []
    for what in ("requests", "tokens"):
        for column in ("limit", "remaining", "reset"):
            kind = "moment" if column == "reset" else "count"
            target = f"reset_{what}_us" if column == "reset" else f"{column}_{what}"
            found += [
                _Source(f"x-ratelimit-{column}-{what}", target, kind),
                _Source(f"anthropic-ratelimit-{what}-{column}", target, kind),
            ]
    # Where input and output have limits of their own, the input's is the one that is met first.
    for column in ("limit", "remaining", "reset"):
        kind = "moment" if column == "reset" else "count"
        target = "reset_tokens_us" if column == "reset" else f"{column}_tokens"
        found.append(_Source(f"anthropic-ratelimit-input-tokens-{column}", target, kind))
        found.append(_Source(f"x-ratelimit-{column}-input-tokens", target, kind))
        plain = "reset_requests_us" if column == "reset" else f"{column}_requests"
        found.append(_Source(f"x-ratelimit-{column}", plain, kind))  # OpenRouter, and many gateways
    found += [
        _Source("retry-after-ms", "retry_after_us", "milliseconds"),
        _Source("x-ms-retry-after-ms", "retry_after_us", "milliseconds"),
        _Source("retry-after", "retry_after_us", "moment"),
        _Source("anthropic-ratelimit-unified-reset", "reset_tokens_us", "moment"),
        _Source("openai-processing-ms", "upstream_us", "milliseconds"),
        _Source("x-envoy-upstream-service-time", "upstream_us", "milliseconds"),
    ]
    return tuple(found)


SOURCES = _sources()
_PASSED_ON = "llm_provider-"  #: LiteLLM's prefix of a provider's own headers
_PLACES = {prefix + source.header: place for place, source in enumerate(SOURCES) for prefix in ("", _PASSED_ON)}


def quotas(headers: Mapping[str, str], at_us: int) -> dict[str, int]:
    """Columns of ``records.Call`` by the answer's headers (lower-case names); ``at_us``: wall time of the answer."""
    found: dict[str, int] = {}
    for source in map(SOURCES.__getitem__, sorted({_PLACES[name] for name in headers if name in _PLACES})):
        value = headers.get(source.header) or headers.get(_PASSED_ON + source.header)
        if value and source.column not in found:
            number = _READERS[source.kind](value.strip(), at_us)
            if number is not None and 0 <= number < _LARGEST:
                found[source.column] = number
    return found


def _count(value: str, _: int) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None


def _milliseconds(value: str, _: int) -> int | None:
    match = _SPAN.fullmatch(value[:32])
    return round(float(match[1]) * 1000) if match else None


def _moment(value: str, at_us: int) -> int | None:
    """How long from now, of ``6m0s``, ``1.5``, a date, or seconds since 1970."""
    text = value.replace(" ", "")
    span_us = _span(text) if 0 < len(text) <= _LONGEST_SPAN else None
    if span_us is None:
        when_us = _date(value)
    elif span_us > _EPOCH_S * 1_000_000:
        when_us = span_us if span_us < at_us * 100 else span_us // 1000  # some count in milliseconds
    else:
        return min(span_us, _LONGEST_US)
    return None if when_us is None else min(max(0, when_us - at_us), _LONGEST_US)


@lru_cache(1024)  # every answer has some, mostly the same
def _span(text: str) -> int | None:
    """µs of ``1h2m3.5s``, ``120ms``, ``20``; None for anything else."""
    total = 0.0
    while text:
        match = _SPAN.match(text)
        if match is None:
            return None
        total += float(match[1]) * _UNITS_US[match[2] or ""]
        text = text[match.end() :]
    return round(total)


def _date(value: str) -> int | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(value[:64])
            return round(moment.timestamp() * 1_000_000) if moment.tzinfo else None
        except (ValueError, TypeError, OverflowError):
            continue
    return None


_READERS: dict[str, Callable[[str, int], int | None]] = {
    "count": _count,
    "milliseconds": _milliseconds,
    "moment": _moment,
}
