"""The one table of what calls can be filtered and grouped by.

It drives the parser, the help, the grouping of reports and every store's compiler. A field
names the attribute of ``records.Call`` that holds it, and its kind says in which unit people
write it and in which unit it is stored. Texts of prompts and answers are not fields: they lie
in bodies, not in rows.
"""

from __future__ import annotations

import difflib
import enum
import re

from msgspec import Struct

from ..errors import QueryError
from ..records import Status
from .tree import Value


class Kind(enum.Enum):
    """How a field's values are written; the value says it to people."""

    TEXT = "a text in single quotes"
    MODEL = "a text in single quotes, the name of a model"
    NUMBER = "a number"
    MONEY = "a number of US dollars"
    DURATION = "a number of milliseconds"
    TIME = "a date or time in single quotes, such as '2026-11-21' or '2026-11-21 14:30'"
    FLAG = "true or false"
    ID = "a full call id in single quotes"
    METADATA = "a text in single quotes, after metadata.NAME"
    TAGS = "a tag in single quotes"


#: How many stored units one written unit is (µs per ms, nano-dollars per dollar).
SCALES = {Kind.DURATION: 1000, Kind.MONEY: 1_000_000_000}
NUMERIC = {Kind.NUMBER, *SCALES}


class Field(Struct, frozen=True):
    """One row of the table. ``column``: the attribute of ``Call`` that holds it."""

    name: str
    kind: Kind
    help: str
    column: str
    groupable: bool = False


def _text(name: str, help_: str, *, groupable: bool = False) -> Field:
    return Field(name, Kind.TEXT, help_, name, groupable)


def _number(name: str, help_: str, *, groupable: bool = False) -> Field:
    return Field(name, Kind.NUMBER, help_, name, groupable)


_TABLE = (
    Field("id", Kind.ID, "the call's id", "id"),
    Field("created", Kind.TIME, "when the call was accepted", "started_at_us"),
    Field("started_at", Kind.TIME, "the same as created", "started_at_us"),
    Field("updated_at", Kind.TIME, "when the row was last written", "updated_at_us"),
    _text("project", "name of the project", groupable=True),
    _text("upstream", "name of the upstream that answered", groupable=True),
    _text("dialect", "wire format", groupable=True),
    _text("endpoint", "path at the upstream, without query", groupable=True),
    _text("method", "HTTP method", groupable=True),
    _text("path", "target as the client sent it", groupable=True),
    Field("stream", Kind.FLAG, "whether the answer was streamed", "stream", groupable=True),
    _text("status", f"what became of the call: {' '.join(Status)}", groupable=True),
    _number("http_status", "HTTP status of the answer", groupable=True),
    _text("error_type", "kind of error", groupable=True),
    _text("error_message", "what the error said"),
    _text("model_requested", "model asked for, exactly", groupable=True),
    Field(
        "model",
        Kind.MODEL,
        "model that served; = 'x' matches when the served or the requested one is x, or x with a date such as "
        "-2025-08-07 behind it, and != is the opposite",
        "model",
        groupable=True,
    ),
    Field("latency_ms", Kind.DURATION, "from accept to the last byte", "latency_us"),
    Field("ttft_ms", Kind.DURATION, "from accept to the first content token", "ttft_us"),
    _number("input_tokens", "all input tokens, cached ones included"),
    _number("output_tokens", "all output tokens, reasoning included"),
    _number("cached_tokens", "input tokens read from the provider's cache"),
    _number("cache_write_tokens", "input tokens written to the provider's cache"),
    _number("reasoning_tokens", "output tokens spent on reasoning"),
    _text("tokens_source", "who counted the tokens: upstream or estimated", groupable=True),
    Field("cost_usd", Kind.MONEY, "what the call cost", "cost_nano_usd"),
    _text("cost_source", "price table that the cost comes from", groupable=True),
    _text("finish_reason", "why the answer ended, as the provider says it", groupable=True),
    _text("user", "end user that the client named", groupable=True),
    _text("session", "session that the client named", groupable=True),
    _text("conversation", "conversation that the call belongs to", groupable=True),
    _text("key", "fingerprint of the provider key", groupable=True),
    _text("client", "User-Agent of the client", groupable=True),
    Field("metadata", Kind.METADATA, "a value that the client attached: metadata.NAME", "metadata"),
    Field("tags", Kind.TAGS, "tags = 'x': the call carries the tag x", "tags"),
    _text("request_id", "the upstream's id of the request"),
    _text("response_id", "the id in the answer"),
    _number("request_bytes", "size of the request's body"),
    _number("response_bytes", "size of the answer's body"),
    _text("trace", "id of the trace that the client named", groupable=True),
    _text("parent", "id of the span that the call was made in", groupable=True),
    _text("prompt", "prompt template that the client named", groupable=True),
    _text("prompt_version", "version of that template", groupable=True),
    _text("agent", "agent that the client named", groupable=True),
    _text("program", "program that called, when it runs on this machine", groupable=True),
    _text("cwd", "its working directory", groupable=True),
    _text("branch", "git branch checked out there", groupable=True),
    _text(
        "excluded", "why a call is out of lists and sums; naming this field brings excluded calls back", groupable=True
    ),
    _number("retry", "how many times the client had tried before"),
    _text("retry_of", "id of the call that this one repeats"),
    _text("service_tier", "tier that the provider served the call in", groupable=True),
    _text("system_fingerprint", "version that served, as the provider says it", groupable=True),
    _text("filtered", "refusal, or content_filter and what it found", groupable=True),
    _number("documents", "pieces of retrieved context"),
    Field("upstream_ms", Kind.DURATION, "the upstream's own processing time, as it says", "upstream_us"),
    _number("chunks", "reads that brought the answer"),
    Field("longest_gap_ms", Kind.DURATION, "longest pause after the first content token", "longest_gap_us"),
    _number("tokens_per_s", "output tokens a second from the first content token on"),
    _number("limit_requests", "the upstream's limit of requests"),
    _number("remaining_requests", "requests left in it"),
    Field("reset_requests_ms", Kind.DURATION, "until it begins anew", "reset_requests_us"),
    _number("limit_tokens", "the upstream's limit of tokens"),
    _number("remaining_tokens", "tokens left in it"),
    Field("reset_tokens_ms", Kind.DURATION, "until it begins anew", "reset_tokens_us"),
    Field("retry_after_ms", Kind.DURATION, "pause that the upstream asks for", "retry_after_us"),
    Field("background", Kind.FLAG, "whether the answer was to come later", "background", groupable=True),
)
FIELDS: dict[str, Field] = {field.name: field for field in _TABLE}

#: Spans of time that reports group by, in the viewer's time zone.
SPANS = {"hour": "by the hour", "day": "by the day", "week": "by weeks that begin on Monday", "month": "by the month"}
TAG = "tag"  #: reports by tag: a call with several counts in the group of each
METADATA = "metadata."  #: and by what clients attached under a name, such as metadata.team
GROUPS = (*SPANS, *(field.name for field in _TABLE if field.groupable), TAG)

#: What reports can be ordered by, the largest first.
ORDERS = {
    "cost": "what the calls cost",
    "calls": "how many there were",
    "errors": "how many failed",
    "tokens": "input and output tokens",
    "latency": "the latency that 95 of 100 calls kept to",
}


def known_field(name: str, column: int | None = None) -> Field:
    """The field of this name, in any case. Raises ``QueryError`` that names the nearest one, or all."""
    try:
        return FIELDS[name.lower()]
    except KeyError:
        known = nearest(name, FIELDS) or f"; known: {', '.join(FIELDS)}"
        raise QueryError(f"there is no field {name!r}{known}", column) from None


def parse_groups(text: str) -> tuple[str, ...]:
    """The groups of ``day, Model, metadata.Team``, each once. Raises ``QueryError`` as ``check_groups`` does."""
    names = tuple(dict.fromkeys(_group(match[0].strip()) for match in _GROUP.finditer(text) if match[0].strip()))
    check_groups(names)
    return names


_GROUP = re.compile(r"""(?:[^,"]|"(?:[^"]|"")*"?)+""")


def _group(written: str) -> str:
    """Names of fields are of any case; names in metadata are not, and may stand in quotes as in filters."""
    if not written.lower().startswith(METADATA):
        return TAG if written.lower() == "tags" else written.lower()
    name = written[len(METADATA) :]
    quoted = len(name) > 1 and name[0] == name[-1] == '"'
    return METADATA + (name[1:-1].replace('""', '"') if quoted else name)


def check_groups(names: tuple[str, ...]) -> None:
    """Raise ``QueryError`` unless reports can be grouped by all of these: ``GROUPS`` and ``metadata.NAME``."""
    for name in names:
        if name not in GROUPS and not (name.startswith(METADATA) and name != METADATA):
            known = (*GROUPS, f"{METADATA}NAME")
            raise QueryError(f"reports cannot be grouped by {name!r}{nearest(name, GROUPS)}; known: {', '.join(known)}")


def nearest(name: str, known: tuple[str, ...] | dict[str, Field]) -> str:
    """``; did you mean model?``, or nothing when nothing is near."""
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def stored(field: Field, value: Value) -> Value:
    """A written value in the unit of ``field.column``: ms become µs, dollars nano-dollars."""
    scale = SCALES.get(field.kind)
    if scale is None or not isinstance(value, int | float):
        return value
    scaled = value * scale
    return round(scaled) if abs(scaled) < 1 << 62 else scaled
