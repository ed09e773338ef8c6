"""A call as one line: id, time, status, model, duration, first token, tokens, cost, first words.

On a terminal the line is as wide as the terminal, and the least of its columns give way so that
some words are left. Elsewhere it is whole and carries the date.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from ..console import figures
from ..records import Call, Status
from .terminal import Terminal, fit, pad, printable, width

_WORDS_MIN = 16  #: columns give way until so many are left for words
_BOTH_MIN = 30  #: with less room, a call shows its question, or what went wrong
_NARROW = 100  #: below it the model has less room
#: The states as a narrow terminal shows them; filters take the real words.
_SHORT_STATES: dict[str, str] = {Status.CLIENT_CLOSED: "closed", Status.INTERRUPTED: "stopped"}
_GIVING_WAY = ("first token", "time", "tokens")  #: in this order
_ARROW = " → "
_DATE_OF_MODEL = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")  #: of a model's version; show and reports have it

STATUS_STYLES: dict[str, str] = {
    Status.OK: "green",
    Status.ERROR: "bold red",
    Status.BLOCKED: "bold red",
    Status.TRUNCATED: "yellow",
    Status.INTERRUPTED: "yellow",
    Status.CLIENT_CLOSED: "yellow",
    Status.RUNNING: "cyan",
}


class Column(Struct, frozen=True):
    """A cell of the line. Text longer than ``width`` stays whole unless ``cut``: figures are never cut."""

    name: str
    width: int
    cell: Callable[[Call], str]
    style: str = ""
    right: bool = False
    cut: bool = False


def status_word(call: Call) -> str:
    """``ok``, ``error 429``, ``running``…"""
    shows_code = call.status == Status.ERROR and call.http_status is not None
    return printable(f"{call.status} {call.http_status}" if shows_code else call.status)


def _short_status_word(call: Call) -> str:
    return _SHORT_STATES.get(call.status) or status_word(call)


def _short_cost(call: Call) -> str:
    """Millionths of a dollar, as long as some are left."""
    nano = call.cost_nano_usd
    return figures.money(nano and (round(nano, -3) or nano))


def _model(call: Call) -> str:
    name = call.model or call.model_requested or call.endpoint or call.path or figures.UNKNOWN
    return printable(_DATE_OF_MODEL.sub("", name))


def _tokens(call: Call) -> str:
    return figures.tokens(call.input_tokens, call.output_tokens, call.tokens_source)


_TIME = Column("time", 8, lambda call: figures.clock_time(call.started_at_us), "dim")
_DATE_TIME = Column("time", 19, lambda call: figures.date_time(call.started_at_us))
_MODEL = Column("model", 18, _model, cut=True)
_STATUS = Column("status", max(map(len, Status)), status_word)
_NARROWER = {  #: columns of a narrow terminal
    "status": Column("status", 9, _short_status_word),
    "model": Column("model", 14, _model, cut=True),
    "cost": Column("cost", 9, _short_cost, right=True),
}
_COLUMNS = (
    Column("id", 8, lambda call: figures.short_id(call.id), "bold"),
    _TIME,
    _STATUS,
    _MODEL,
    Column("duration", 6, lambda call: figures.duration(call.latency_us), right=True),
    Column("first token", 6, lambda call: figures.duration(call.ttft_us), "dim", right=True),
    Column("tokens", 10, _tokens, right=True),
    Column("cost", 10, lambda call: figures.money(call.cost_nano_usd), right=True),
)
_COLUMNS_WITH_DATE = tuple(_DATE_TIME if column is _TIME else column for column in _COLUMNS)


def call_line(call: Call, terminal: Terminal) -> str:
    """One line, without its end."""
    room = terminal.width
    columns = _COLUMNS_WITH_DATE if room is None else _columns_for(room)
    cells = [(column, _text(column, call)) for column in columns]
    painted = " ".join(_painted(column, text, call, terminal) for column, text in cells)
    used = sum(width(text) + 1 for _, text in cells)
    mark = "(excluded) " if call.excluded else ""
    words = _words(call, terminal, None if room is None else room - used - len(mark))
    words = terminal.paint(mark, "dim") + words
    return f"{painted} {words}" if words else painted.rstrip()


def _columns_for(room: int) -> list[Column]:
    columns = [_NARROWER.get(column.name, column) if room < _NARROW else column for column in _COLUMNS]
    for name in _GIVING_WAY:
        if room - sum(column.width + 1 for column in columns) >= _WORDS_MIN:
            break
        columns = [column for column in columns if column.name != name]
    return columns


def _text(column: Column, call: Call) -> str:
    text = column.cell(call)
    return pad(fit(text, column.width) if column.cut else text, column.width, right=column.right)


def _painted(column: Column, text: str, call: Call, terminal: Terminal) -> str:
    if column.name == "status":
        return terminal.paint(text, STATUS_STYLES.get(call.status, ""))
    return terminal.paint(text, "dim" if text.strip() == figures.UNKNOWN else column.style)


# --- the words -------------------------------------------------------------------------------


def _words(call: Call, terminal: Terminal, room: int | None) -> str:
    asked = printable(call.preview_input or "")
    short = room is not None and room < _BOTH_MIN
    answered, style = _answer(call, short)
    if short and asked and answered:
        asked, answered = ("", answered) if style else (asked, "")
    if room is not None:
        asked, answered = _share(asked, answered, room)
    arrow = terminal.paint(_ARROW, "dim") if asked and answered else ""
    return f"{asked}{arrow}{terminal.paint(answered, style)}"


def _answer(call: Call, short: bool) -> tuple[str, str]:
    if call.status in (Status.OK, Status.RUNNING) or not (call.error_message or call.error_type):
        return printable(call.preview_output or ""), ""
    parts = [part for part in (call.error_type, call.error_message) if part]
    reason = parts[-1] if short else ": ".join(parts)
    return printable(reason), "red" if call.status == Status.ERROR else "yellow"


def _share(asked: str, answered: str, room: int) -> tuple[str, str]:
    """Cut both to fit: the answer may take what the question leaves, the question at least a third."""
    room -= len(_ARROW) if asked and answered else 0
    for_asked = max(room // 3, room - width(answered))
    asked = fit(asked, for_asked)
    return asked, fit(answered, room - width(asked))
