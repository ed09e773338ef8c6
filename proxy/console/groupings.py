"""What pages group calls by, and how a group becomes a filter again. Values only."""

from __future__ import annotations

from ..query.fields import METADATA, SPANS, TAG, check_groups
from ..query.tree import Comparison, Filter

#: Offered first; any other field that reports can be grouped by may be written.
USUAL = ("model", "project", "user", "upstream", "status", "program", TAG, "system_version", "session", "key")


def grouping(written: str) -> str:
    """The name of a field; empty for a span of time. Raises ``QueryError`` for what calls cannot be grouped by."""
    name = written.strip()
    if not name.startswith(METADATA):
        name = name.lower()
    if name in SPANS:
        return ""
    if name:
        check_groups((name,))
    return name


def of_group(by: str, value: str | None) -> Filter:
    """The calls of one group."""
    if by.startswith(METADATA):
        return Comparison("metadata", "=", value, key=by[len(METADATA) :])
    return Comparison("tags" if by == TAG else by, "=", _typed(by, value))


def _typed(by: str, value: str | None) -> str | int | bool | None:
    if by in ("stream", "background") and value is not None:
        return value == "true"
    return int(value) if by in ("http_status", "system_version") and value is not None else value
