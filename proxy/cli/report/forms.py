"""Reports for programs: JSON and CSV, with every figure. In CSV, names are escaped, and none is a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from ...console.reports.figures import Line, Report, change, names, text
from ...console.reports.lines import line_json
from ...store.report_view import FIGURES, Unit
from ..terminal import printable

_RISKY = ("=", "+", "-", "@", "\t", "\r")  #: a spreadsheet takes a cell that begins so for a formula

#: Said in the help.
JSON_HELP = (
    f"JSON holds one object a group: its names, then {', '.join(FIGURES)}. A name that a call does not have is null. "
    'The last line of --limit says in "others" how many groups it holds. With --compare, "previous" holds the same '
    'figures, "change" an object {"absolute", "percent"} for each of them, and "state" is new, gone or both. With '
    '--what-if, "what_if" holds {"cost_usd", "difference_usd"} by model. "approximate" is true '
    "where percentiles are within 3 %, as those of many calls are."
)


def as_json(report: Report) -> str:
    """A list with an object for each line, on one line."""
    records = [line_json(report, line) for line in report.lines]
    return json.dumps(records, ensure_ascii=False, separators=(",", ":")) + "\n"


def as_csv(report: Report) -> str:
    """A header and a row for each line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*map(_cell, report.by), *FIGURES, *_more_titles(report)])
    for line in report.lines:
        figures = (text(figure.unit, figure.value(line.row)) for figure in FIGURES.values())
        writer.writerow([*map(_cell, names(line)), *figures, *_more(report, line)])
    return out.getvalue()


def _cell(name: str | None) -> str:
    if name is None:
        return ""
    return f"'{printable(name)}" if name.startswith(_RISKY) else printable(name)


def _more_titles(report: Report) -> Iterator[str]:
    if report.compared:
        yield "state"
        for name in FIGURES:
            yield from (f"{name}_previous", f"{name}_change", f"{name}_change_percent")
    for model in report.models:
        yield from (_cell(f"{model} cost_usd"), _cell(f"{model} difference_usd"))


def _more(report: Report, line: Line) -> Iterator[str]:
    if report.compared:
        yield line.state
        for figure in FIGURES.values():
            found = change(figure, line)
            yield text(figure.unit, figure.value(line.before) if line.before else None)
            yield text(figure.unit, found.absolute)
            yield text(Unit.SHARE, found.percent)
    for offer in line.offers:
        yield from (text(Unit.MONEY, offer.nano_usd), text(Unit.MONEY, offer.difference_nano_usd))
