"""The columns of the list: which there are, and what a call shows in each. Values only.

Those that people want most have a form of their own; besides them, every field of the query language
can be a column, and so can ``metadata.NAME`` and ``scores.NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress

from msgspec import Struct

from ...errors import UsageError
from ...query.fields import FIELDS, KEYED, Field, Kind, nearest
from ...query.tree import Comparison
from ...records import Call, Status
from ...store.judgements import REVIEW, Score
from ..figures import UNKNOWN, count, duration, money, short_id, tokens
from ..moments import Moments
from .terms import Terms

COLUMNS_MAX = 24
WORDS = 120  #: characters of a prompt or an answer in a row
TEXT = 60  #: of other texts


class Seen(Struct, frozen=True):
    """What a cell is made of, besides the call."""

    moments: Moments
    scores: Mapping[str, Sequence[Score]]
    terms: Terms


class Cell(Struct, frozen=True):
    """What stands in one place of the list."""

    text: str
    kind: str = ""  #: a class of the style sheet
    title: str = ""  #: shown when pointed at
    by: str = ""  #: filter of calls that are like this one here
    own: bool = False  #: the words are ours, and need no isolation


class Column(Struct, frozen=True):
    """A column."""

    key: str
    title: str
    cell: Callable[[Call, Seen], Cell]
    kind: str = "text"  #: its class: how wide it is, how it is aligned, when it is left out
    help: str = ""
    optional: bool = False  #: of the usual columns: left out where no call has a value


class Row(Struct, frozen=True):
    """A call in the list."""

    id: str
    status: str
    cells: tuple[Cell, ...]


# --- cells -------------------------------------------------------------------------------------------


def _time(call: Call, seen: Seen) -> Cell:
    at_us = call.started_at_us
    return Cell(seen.moments.short(at_us), title=seen.moments.full(at_us), own=True)


def _status(call: Call, seen: Seen) -> Cell:
    failed = call.status != Status.OK and call.http_status is not None and call.http_status >= 400
    text = f"{call.status} {call.http_status}" if failed else call.status
    shown = {Status.RUNNING: "running…", Status.CLIENT_CLOSED: "closed"}.get(Status(call.status), text)
    return Cell(shown, title=call.error_type or "", by=_by(seen, "status", call.status), own=True)


def _model(call: Call, seen: Seen) -> Cell:
    name = call.model or call.model_requested
    asked = f"asked for {call.model_requested}" if call.model and call.model_requested != call.model else ""
    return Cell(_short(name or call.path, TEXT), title=asked, by=_by(seen, "model", name))


def _in(call: Call, _seen: Seen) -> Cell:
    return Cell(_short(call.preview_input or "", WORDS))


def _out(call: Call, _seen: Seen) -> Cell:
    if call.status not in (Status.OK, Status.RUNNING) and call.error_message:
        return Cell(_short(call.error_message, WORDS), "reason")
    return Cell(_short(call.preview_output or "", WORDS))


def _tokens(call: Call, _seen: Seen) -> Cell:
    return Cell(tokens(call.input_tokens, call.output_tokens, call.tokens_source), own=True)


def _tags(call: Call, seen: Seen) -> Cell:
    by = _by(seen, "tags", call.tags[0]) if len(call.tags) == 1 else ""
    return Cell(_short(" ".join(call.tags), TEXT), title=", ".join(call.tags) if len(call.tags) > 1 else "", by=by)


def _scores(call: Call, seen: Seen) -> Cell:
    given = [score for score in seen.scores.get(call.id, ()) if score.name != REVIEW]
    return Cell(" · ".join(f"{_short(score.name, 16)} {_mean(score)}" for score in given))


def _review(call: Call, seen: Seen) -> Cell:
    found = next((score for score in seen.scores.get(call.id, ()) if score.name == REVIEW), None)
    if found is None or found.mean is None:
        return Cell("")
    word = "good" if found.mean > 0.5 else "bad" if found.mean < 0.5 else "divided"
    return Cell(word, word, title=f"{found.authors} reviewers" if found.authors > 1 else "")


def _mean(score: Score) -> str:
    return score.label or UNKNOWN if score.mean is None else f"{score.mean:.2f}".rstrip("0").rstrip(".")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _by(seen: Seen, field: str, value: str | None, key: str | None = None) -> str:
    return "" if value is None else seen.terms.only(Comparison(field, "=", value, key))


# --- columns of any field ------------------------------------------------------------------------------

_FORMS: dict[Kind, Callable[[object], str]] = {
    Kind.DURATION: lambda value: duration(int(str(value))),
    Kind.MONEY: lambda value: money(int(str(value))),
    Kind.FLAG: lambda value: "yes" if value else "no",
    Kind.ID: lambda value: short_id(str(value)),
    Kind.NUMBER: lambda value: count(value) if isinstance(value, int) else f"{value:.1f}",
}
_FIGURES = (Kind.DURATION, Kind.MONEY, Kind.NUMBER, Kind.SCORE)


def _of_field(field: Field) -> Column:
    def cell(call: Call, seen: Seen) -> Cell:
        value = getattr(call, field.column)
        if value is None:
            return Cell(UNKNOWN, own=True) if field.kind in _FIGURES else Cell("")
        if field.kind is Kind.TIME:
            return Cell(seen.moments.short(value), title=seen.moments.full(value), own=True)
        text = _FORMS.get(field.kind, str)(value)
        by = _by(seen, field.name, str(value)) if field.kind in (Kind.TEXT, Kind.MODEL, Kind.ID) else ""
        title = text if len(text) > 20 else ""
        return Cell(_short(text, TEXT), title=title, by=by, own=field.kind in _FIGURES)

    title = field.name.removesuffix("_ms").removesuffix("_usd").replace("_", " ")
    return Column(field.name, title, cell, "figure" if field.kind in _FIGURES else "text", field.help)


def _of_metadata(key: str) -> Column:
    def cell(call: Call, seen: Seen) -> Cell:
        value = call.metadata.get(key)
        return Cell(_short(value or "", TEXT), by=_by(seen, "metadata", value, key))

    return Column(f"metadata.{key}", _short(key, 24), cell)


def _of_score(name: str) -> Column:
    def cell(call: Call, seen: Seen) -> Cell:
        found = next((score for score in seen.scores.get(call.id, ()) if score.name == name), None)
        return Cell(UNKNOWN if found is None else _mean(found))

    return Column(f"scores.{name}", _short(name, 24), cell, "figure")


_KEYED: dict[str, Callable[[str], Column]] = {"metadata": _of_metadata, "scores": _of_score}


def _named(name: str, title: str, kind: str, *, optional: bool = False) -> Column:
    return Column(name, title, _of_field(FIELDS[name]).cell, kind, FIELDS[name].help, optional)


_OWN = (
    Column("time", "Time", _time, "time", "when the call was accepted"),
    Column("status", "Status", _status, "status", FIELDS["status"].help),
    Column("model", "Model", _model, "model", "model that served"),
    Column("in", "Prompt", _in, "words", "first words of what is new in the request"),
    Column("out", "Answer", _out, "words", "first words of the answer, or what went wrong"),
    _named("user", "User", "user", optional=True),
    _named("session", "Session", "user"),
    Column("tags", "Tags", _tags, "user", FIELDS["tags"].help, optional=True),
    Column("scores", "Scores", _scores, "user", "what people and programs think of it", optional=True),
    Column("review", "Review", _review, "review", "good or bad, as reviewers say", optional=True),
    _named("latency_ms", "Took", "figure"),
    _named("ttft_ms", "TTFT", "figure short"),
    Column("tokens", "Tokens", _tokens, "figure wide", "input → output; ~ is an estimate"),
    _named("cost_usd", "Cost", "figure wide"),
)
COLUMNS: dict[str, Column] = {column.key: column for column in _OWN}
_SHORT = {"latency": "latency_ms", "ttft": "ttft_ms", "cost": "cost_usd"}
USUAL = tuple(key for key in COLUMNS if key != "session")
#: Fields that are offered besides; any other can be named.
OFFERED = ("project", "upstream", "conversation", "finish_reason", "http_status", "tokens_per_s", "prompt", "agent",
           "cached_tokens", "endpoint", "client", "key")  # fmt: skip


def column(name: str) -> Column:
    """The column of this name. Raises ``UsageError``, naming the nearest."""
    name = name.strip()
    key = _SHORT.get(name.lower(), name.lower())
    if key in COLUMNS:
        return COLUMNS[key]
    field, dot, rest = name.partition(".")
    if dot and rest and field.lower() in _KEYED:
        return _KEYED[field.lower()](rest)
    found = FIELDS.get(key)
    if found is None or not found.column or found.kind in (*KEYED, Kind.TAGS):
        raise UsageError(f"cols: there is no column {name!r}{nearest(name, (*COLUMNS, *_PLAIN))}")
    return _of_field(found)


_PLAIN = tuple(name for name, field in FIELDS.items() if field.column and field.kind not in (*KEYED, Kind.TAGS))


def chosen(text: str) -> tuple[Column, ...]:
    """Those of ``time,model,metadata.team``, each once; the usual ones when there are none. Raises ``UsageError``."""
    names = [name for name in text.split(",") if name.strip()]
    if len(names) > COLUMNS_MAX:
        raise UsageError(f"cols: a list has at most {COLUMNS_MAX} columns")
    found = {each.key: each for each in map(column, names or USUAL)}
    return tuple(found.values())


def rows_of(calls: Sequence[Call], columns: Sequence[Column], seen: Seen) -> list[Row]:
    """Calls as rows."""
    return [Row(call.id, call.status, tuple([column.cell(call, seen) for column in columns])) for call in calls]


def without_empty(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[list[Column], list[Row]]:
    """All but the optional columns that are empty in every row, and the rows without them."""
    kept = [not column.optional or any(row.cells[at].text for row in rows) for at, column in enumerate(columns)]
    if all(kept):
        return list(columns), list(rows)
    shorter = [Row(row.id, row.status, tuple(compress(row.cells, kept))) for row in rows]
    return list(compress(columns, kept)), shorter
