"""The one table of what calls can be filtered and grouped by.

It drives the parsers, the help, ``docs/fields.md``, the grouping of reports and every store's
compiler. A field names the attribute of ``records.Call`` that holds it, and its kind says in which
unit people write it, in which unit it is stored, and how it can be compared. Texts of prompts and
answers lie in bodies, not in rows: they are searched by words.
"""

from __future__ import annotations

import difflib
import enum
import re

from msgspec import Struct

from ..errors import QueryError
from ..records import FollowsBy, Status
from .tree import Scalar


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
    METADATA = "a text in single quotes or a number, after metadata.NAME"
    TAGS = "a tag in single quotes"
    SCORE = "a number, after scores.NAME"
    TOOL = "the name of a tool in single quotes"
    REVIEW = "good, bad or mixed, in single quotes"
    REVIEWER = "the name of a reviewer in single quotes"
    JUDGED = "score, review, comment, correction or note, in single quotes"
    WORDS = "words in single quotes, after match"


#: How many stored units one written unit is (µs per ms, nano-dollars per dollar).
SCALES = {Kind.DURATION: 1000, Kind.MONEY: 1_000_000_000}
NUMERIC = {Kind.NUMBER, Kind.SCORE, *SCALES}
KEYED = {Kind.METADATA, Kind.SCORE}  #: fields of many names: metadata.team

_EQUAL = ("=", "!=")
_ORDER = ("<", "<=", ">", ">=", "between")
_PATTERN = ("like", "ilike")
#: How fields of a kind can be compared; ``in between like ilike`` also with ``not``.
OPERATORS: dict[Kind, tuple[str, ...]] = {
    **dict.fromkeys((Kind.TEXT, Kind.MODEL, Kind.METADATA), (*_EQUAL, *_ORDER, "in", *_PATTERN)),
    **dict.fromkeys((*NUMERIC, Kind.TIME), (*_EQUAL, *_ORDER, "in")),
    **dict.fromkeys((Kind.TAGS, Kind.TOOL, Kind.REVIEWER), (*_EQUAL, "in", *_PATTERN)),
    **dict.fromkeys((Kind.ID, Kind.REVIEW, Kind.JUDGED), (*_EQUAL, "in")),
    Kind.FLAG: _EQUAL,
    Kind.WORDS: (),
}


class Field(Struct, frozen=True):
    """One row of the table."""

    name: str
    kind: Kind
    help: str
    column: str  #: the attribute of ``Call`` that holds it; empty for what lies beside the row
    groupable: bool = False
    indexed: bool = False  #: a comparison by = reads an index, and so do < and > of times and scores
    short: str = ""  #: another name for it, in the short form of filters


def _text(name: str, help_: str, *, groupable: bool = False, indexed: bool = False) -> Field:
    return Field(name, Kind.TEXT, help_, name, groupable, indexed)


def _number(name: str, help_: str, *, groupable: bool = False) -> Field:
    return Field(name, Kind.NUMBER, help_, name, groupable)


def _words(name: str, help_: str) -> Field:
    return Field(name, Kind.WORDS, help_, "", indexed=True)


_TABLE = (
    Field("id", Kind.ID, "the call's id", "id", indexed=True),
    Field("created", Kind.TIME, "when the call was accepted", "started_at_us", indexed=True),
    Field("started_at", Kind.TIME, "the same as created", "started_at_us", indexed=True),
    Field("updated_at", Kind.TIME, "when the row was last written", "updated_at_us", short="updated"),
    _text("project", "name of the project", groupable=True),
    _text("upstream", "name of the upstream that answered", groupable=True),
    _text("dialect", "wire format", groupable=True),
    _text("endpoint", "path at the upstream, without query", groupable=True),
    _text("method", "HTTP method", groupable=True),
    _text("path", "target as the client sent it", groupable=True),
    Field("stream", Kind.FLAG, "whether the answer was streamed", "stream", groupable=True),
    _text("status", f"what became of the call: {' '.join(Status)}", groupable=True, indexed=True),
    _number("http_status", "HTTP status of the answer", groupable=True),
    _text("error_type", "kind of error", groupable=True),
    _text("error_message", "what the error said"),
    _text("model_requested", "model asked for, exactly", groupable=True, indexed=True),
    Field(
        "model",
        Kind.MODEL,
        "model that served; = 'x' matches when the served or the requested one is x, or x with a date such as "
        "-2025-08-07 behind it, and != is the opposite",
        "model",
        groupable=True,
        indexed=True,
    ),
    Field("latency_ms", Kind.DURATION, "from accept to the last byte", "latency_us", short="latency"),
    Field("ttft_ms", Kind.DURATION, "from accept to the first content token", "ttft_us", short="ttft"),
    _number("input_tokens", "all input tokens, cached ones included"),
    _number("output_tokens", "all output tokens, reasoning included"),
    _number("cached_tokens", "input tokens read from the provider's cache"),
    _number("cache_write_tokens", "input tokens written to the provider's cache"),
    _number("reasoning_tokens", "output tokens spent on reasoning"),
    _text("tokens_source", "who counted the tokens: upstream or estimated", groupable=True),
    Field("cost_usd", Kind.MONEY, "what the call cost", "cost_nano_usd", short="cost"),
    _text("cost_source", "price table that the cost comes from", groupable=True),
    _text("finish_reason", "why the answer ended, as the provider says it", groupable=True),
    _text("user", "end user that the client named", groupable=True),
    _text("session", "session that the client named", groupable=True),
    Field(
        "conversation",
        Kind.ID,
        "conversation of the call: the id of its first call, or of any other",
        "conversation",
        indexed=True,
    ),
    _text("key", "fingerprint of the provider key", groupable=True),
    _text("client", "User-Agent of the client", groupable=True),
    Field(
        "metadata",
        Kind.METADATA,
        "a value that the client attached: metadata.NAME; compared with a number, only values that are numbers match",
        "metadata",
        indexed=True,
    ),
    Field("tags", Kind.TAGS, "tags has 'x', or = 'x': the call carries the tag x", "tags", indexed=True, short="tag"),
    _text("request_id", "the upstream's id of the request", indexed=True),
    _text("response_id", "the id in the answer", indexed=True),
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
    Field(
        "longest_gap_ms", Kind.DURATION, "longest pause after the first content token", "longest_gap_us", short="gap"
    ),
    _number("tokens_per_s", "output tokens a second from the first content token on"),
    _number("limit_requests", "the upstream's limit of requests"),
    _number("remaining_requests", "requests left in it"),
    Field("reset_requests_ms", Kind.DURATION, "until it begins anew", "reset_requests_us"),
    _number("limit_tokens", "the upstream's limit of tokens"),
    _number("remaining_tokens", "tokens left in it"),
    Field("reset_tokens_ms", Kind.DURATION, "until it begins anew", "reset_tokens_us"),
    Field("retry_after_ms", Kind.DURATION, "pause that the upstream asks for", "retry_after_us"),
    Field("background", Kind.FLAG, "whether the answer was to come later", "background", groupable=True),
    Field("follows", Kind.ID, "the call whose answer the request continues", "follows"),
    _text("follows_by", f"how that was found: {' '.join(FollowsBy)}", groupable=True),
    _number("system_version", "number of its system prompt in its project, see llmtap prompts", groupable=True),
    Field(
        "scores", Kind.SCORE, "a score: scores.NAME, the mean where several gave one", "", indexed=True, short="score"
    ),
    Field(
        "review",
        Kind.REVIEW,
        "what reviewers think, the score review: good or bad, mixed where they are of two minds",
        "",
        groupable=True,
        indexed=True,
    ),
    Field("reviewer", Kind.REVIEWER, "reviewer = 'x': x has reviewed the call", "", indexed=True),
    Field(
        "judged",
        Kind.JUDGED,
        "judged = 'note': people, or programs, have said such a thing of the call; is null: nothing",
        "",
        indexed=True,
        short="has",
    ),
    Field("tool", Kind.TOOL, "tool = 'x': the answer asked for the tool x", "", indexed=True),
    _words("text", "words in what is new in the request, in the answer, the system prompt or the tools"),
    _words("input", "words in the messages that the request brought"),
    _words("output", "words in the answer"),
    _words("system", "words in the system prompt"),
    _words("tools", "words in tool calls and their results"),
)
FIELDS: dict[str, Field] = {field.name: field for field in _TABLE}
SHORT: dict[str, Field] = {field.short: field for field in _TABLE if field.short}

#: What a field's values can be, where these are few.
CHOICES: dict[str, tuple[str, ...]] = {
    "status": tuple(Status),
    "review": ("good", "bad", "mixed"),
    "judged": ("score", "review", "comment", "correction", "note"),
}

#: Spans of time that reports group by, in the viewer's time zone.
SPANS = {
    "minute": "by the minute",
    "hour": "by the hour",
    "day": "by the day",
    "week": "by weeks that begin on Monday",
    "month": "by the month",
}
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


def known_field(name: str, column: int | None = None, *, short: bool = False) -> Field:
    """The field of this name, in any case; ``short``: or of this short name.

    Raises ``QueryError`` that names the nearest one, or all.
    """
    names = FIELDS | SHORT if short else FIELDS
    try:
        return names[name.lower()]
    except KeyError:
        known = nearest(name, names) or f"; known: {', '.join(FIELDS)}"
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


def stored(field: Field, value: Scalar) -> Scalar:
    """A written value in the unit of ``field.column``: ms become µs, dollars nano-dollars.

    Integers have 63 bits at most; what is larger is a float.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    scaled = value * SCALES.get(field.kind, 1)
    if abs(scaled) >= 1 << 62:
        return float(scaled)
    return round(scaled) if field.kind in SCALES else scaled
