"""The views that ``llmtap sql`` offers: names of the table of fields, units of people.

Times are texts in UTC as SQLite's own functions write them, durations milliseconds, money US
dollars, ids what people see; the numbers that texts have in ``dim`` do not show. What a view
offers and what its help says is one table.
"""

from __future__ import annotations

from msgspec import Struct

from ...query.fields import FIELDS, Field, Kind
from ...query.tree import Scalar
from . import rows


class Column(Struct, frozen=True):
    """One column of a view."""

    name: str
    type: str  #: for people
    help: str
    sql: str


class View(Struct, frozen=True):
    """One view."""

    name: str
    help: str
    columns: tuple[Column, ...]
    tables: str  #: what follows FROM

    @property
    def select(self) -> str:
        """The statement behind it."""
        columns = ", ".join(f'{column.sql} AS "{column.name}"' for column in self.columns)
        return f"SELECT {columns} FROM {self.tables}"


Row = tuple[Scalar, ...]


# --- how columns are shown ---------------------------------------------------------------------------


def _hex(uuid: str) -> str:
    ends = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return "lower(" + " || '-' || ".join(f"substr(hex({uuid}), {start}, {count})" for start, count in ends) + ")"


def _id(uuid: str) -> str:
    return f"CASE WHEN {uuid} IS NOT NULL THEN {_hex(uuid)} END"


def _time(us: str) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f', {us} / 1e6, 'unixepoch')"


def _text_of(number: str) -> str:
    return f"(SELECT val FROM dim WHERE dim.id = {number})"


_MS, _USD = "{} / 1e3", "{} / 1e9"
_TYPES = {
    Kind.DURATION: "number, ms",
    Kind.MONEY: "number, US dollars",
    Kind.TIME: "text, UTC",
    Kind.FLAG: "0 or 1",
    Kind.METADATA: "text, JSON",
    Kind.TAGS: "text, JSON",
    Kind.NUMBER: "number",
}


def _call_column(field: Field) -> Column:
    name = f"call.{field.column}"
    if field.kind is Kind.ID:
        sql = _hex("call.uuid") if field.column == "id" else _id(rows.LINKS[field.column])
    elif field.column in rows.SHARED:
        sql = _text_of(name)
    elif field.kind is Kind.TIME:
        sql = _time(name)
    else:
        sql = {Kind.DURATION: _MS, Kind.MONEY: _USD}.get(field.kind, "{}").format(name)
    help_ = _HELP.get(field.name, field.help)
    return Column(field.name, _TYPES.get(field.kind, "text"), help_, sql)


_HELP = {
    "id": "the call's id",
    "created": "when the call was accepted",
    "model": "model that served",
    "metadata": "what the client attached, as an object; the view metadata has a line for each",
    "tags": "its tags, as a list; the view tags has a line for each",
    "conversation": "id of the conversation's first call",
    "excluded": "why a call is out of lists and sums",
}
_SAME = ("started_at",)  # another name in filters


def _number(name: str, help_: str, sql: str, type_: str = "number") -> Column:
    return Column(name, type_, help_, sql)


def _text(name: str, help_: str, sql: str) -> Column:
    return Column(name, "text", help_, sql)


_CALL = _text("call", "id of the call", _hex("call.uuid"))
_NUMBER = _number("number", "of the call, in the order of storing: joins views and orders calls fast", "call.id")

CALLS = View(
    "calls",
    "one line a call, excluded ones too",
    (
        *(_call_column(field) for field in FIELDS.values() if field.column and field.name not in _SAME),
        _NUMBER,
    ),
    "call",
)
TOOLS = View(
    "tools",
    "tools that answers asked for",
    (
        _CALL,
        _NUMBER,
        _number("place", "in the answer, from 0", "place"),
        _text("name", "of the tool", _text_of("name")),
        _text("tool_id", "the provider's id of it", "tool_id"),
        _number("arguments_bytes", "size of its arguments", "arguments_bytes"),
        _number("server", "1: run by the provider itself", "server", "0 or 1"),
        _text("result_call", "id of the call that brought the result", _id("result.uuid")),
        _number("result_bytes", "size of the result", "result_bytes"),
        _number("duration_ms", "until that call came", "duration_us / 1e3", "number, ms"),
        _number("failed", "whether the result says that it is an error", "failed", "0 or 1"),
    ),
    "tool_call JOIN call ON call.id = tool_call.call LEFT JOIN call AS result ON result.id = result_call",
)
SCORES = View(
    "scores",
    "what calls were judged to be",
    (
        _CALL,
        _NUMBER,
        _text("name", "of what was judged", _text_of("score.name")),
        _text("author", "who judged", _text_of("author")),
        _number("value", "the score", "value"),
        Column("created", "text, UTC", "when it was given", _time("created_us")),
    ),
    "score JOIN call ON call.id = score.call",
)
_VALUE = (
    f"CASE WHEN val GLOB '{rows.WHOLE}' THEN json_extract(val, '$[1]')"
    " ELSE (SELECT value FROM json_each(call.metadata) WHERE key = json_extract(val, '$[0]')) END"
)
METADATA = View(
    "metadata",
    "what clients attached to calls",
    (
        _CALL,
        _NUMBER,
        _text("name", "of the piece", "json_extract(val, '$[0]')"),
        _text("value", "its value", _VALUE),
    ),
    f"posting JOIN dim ON dim.id = posting.dim AND kind = {rows.KINDS['metadata']} JOIN call ON call.id = posting.call",
)
TAGS = View(
    "tags",
    "tags of calls",
    (_CALL, _NUMBER, _text("tag", "the tag", "val")),
    f"posting JOIN dim ON dim.id = posting.dim AND kind = {rows.KINDS['tags']} JOIN call ON call.id = posting.call",
)
CONVERSATIONS = View(
    "conversations",
    "calls that continue each other; figures of those that are not excluded",
    (
        _text("id", "id of the first call", _hex("call.uuid")),
        Column("created", "text, UTC", "when the first call was accepted", _time("call.started_at_us")),
        _number("calls", "how many there are", "calls"),
        _number("errors", "how many of them failed", "errors"),
        _number("tools", "tools that were asked for", "tools"),
        _number("input_tokens", "of all calls", "conversation.input_tokens"),
        _number("output_tokens", "of all calls", "conversation.output_tokens"),
        _number("cost_usd", "of all calls", "conversation.cost_nano_usd / 1e9", "number, US dollars"),
        _text("session", "session that the client named", _text_of("conversation.session")),
        _text("trace", "trace that the client named", _text_of("conversation.trace")),
        _text("last_call", "id of the newest call", _id("newest.uuid")),
    ),
    "conversation JOIN call ON call.id = coalesce(conversation.first, conversation.id) "
    "LEFT JOIN call AS newest ON newest.id = conversation.last",
)

#: What the views are made of.
TABLES = frozenset({"call", "conversation", "dim", "posting", "score", "tool_call"})
VIEWS = {view.name: view for view in (CALLS, TOOLS, SCORES, METADATA, TAGS, CONVERSATIONS)}
