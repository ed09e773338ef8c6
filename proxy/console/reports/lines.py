"""Lines of a report as JSON: the shape that ``llmtap report --format json`` and the API show."""

from __future__ import annotations

from ...store.base import JSON, ReportRow
from ...store.report_view import FIGURES, Unit, figures_json, number
from .figures import Line, Report, change, names


def line_json(report: Report, line: Line) -> JSON:
    """A line of the report: the names of its group, its figures, what was before, what it would have cost elsewhere."""
    return _told(report, line, dict(zip(report.by, names(line), strict=True)))


def total_json(report: Report) -> JSON | None:
    """The line of all calls, which has no names; None when there are none."""
    return None if report.total is None else _told(report, report.total, {})


def _told(report: Report, line: Line, shown: JSON) -> JSON:
    shown |= figures_json(line.row)
    if line.before is not None:
        shown |= _compared(line, line.before)
    if report.models:
        shown["what_if"] = {
            model: {
                "cost_usd": number(Unit.MONEY, offer.nano_usd),
                "difference_usd": number(Unit.MONEY, offer.difference_nano_usd),
            }
            for model, offer in zip(report.models, line.offers, strict=True)
        }
    return shown


def _compared(line: Line, before: ReportRow) -> JSON:
    changes = {name: change(figure, line) for name, figure in FIGURES.items()}
    return {
        "state": line.state,
        "previous": {name: number(figure.unit, figure.value(before)) for name, figure in FIGURES.items()},
        "change": {
            name: {"absolute": number(FIGURES[name].unit, found.absolute), "percent": found.percent}
            for name, found in changes.items()
        },
    }
