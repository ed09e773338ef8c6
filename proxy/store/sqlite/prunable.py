"""What a purge would delete, by day and project: for those who look before they leap. Reads only."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ...records import DEFAULT_PROJECT
from ..policy import DAY_US, Policy, Prunable
from . import pins, retention
from .retention import BODILESS, ENDED


def prunable(main: sqlite3.Connection, directory: Path, policy: Policy, now_us: int) -> list[Prunable]:
    """See ``Reader.prunable``."""
    counted: dict[tuple[str, str], Counter[str]] = {}
    overdue = {segment.id for segment in retention.due(main, policy, now_us)}
    capped = _capped(main, directory, policy, overdue)
    for segment in retention.segments(main):
        found = retention.parts(main, segment, policy, now_us)
        raw = sum(part.bytes + part.calls for part in found)
        stored = segment.size(directory)
        for part in found:
            counts = counted.setdefault((_day(segment.first_us), part.project), Counter())
            if part.kept:
                counts["kept"] += part.calls if part.expired or segment.id in capped else 0
            elif segment.id in capped or (segment.id in overdue and part.expired):
                counts["bodies"] += part.calls
                counts["bytes"] += stored * (part.bytes + part.calls) // raw
    for day, project, is_kept, calls in _rows_past(main, policy, now_us, overdue):
        counted.setdefault((day, project), Counter())["kept" if is_kept else "rows"] += calls
    found_days = sorted((key, +counts) for key, counts in counted.items())
    return [Prunable(day=day, project=project, **counts) for (day, project), counts in found_days if counts]


def _capped(main: sqlite3.Connection, directory: Path, policy: Policy, overdue: set[int]) -> set[int]:
    """Segments that would go because of the store's size, once those that are overdue are gone."""
    if not policy.max_bytes:
        return set()
    live = retention.segments(main)
    surplus = retention.size(directory) - policy.max_bytes
    surplus -= sum(each.size(directory) for each in live if each.id in overdue)
    capped: set[int] = set()
    for segment in retention.may_be_capped(live):
        if surplus > 0 and segment.id not in overdue:
            capped.add(segment.id)
            surplus -= segment.size(directory)
    return capped


def _rows_past(
    main: sqlite3.Connection, policy: Policy, now_us: int, overdue: set[int]
) -> Iterator[tuple[str, str, bool, int]]:
    """Day, project, whether they are kept, and number of the rows past their limit whose bodies are gone or will be."""
    past, kept = retention.past_rows(main, policy, now_us), pins.kept(main)
    gone = f"{BODILESS} OR (segment IN ({', '.join('?' * len(overdue))}) AND NOT {kept.sql})"
    found = main.execute(
        f"SELECT started_at_us / {DAY_US} AS day, (SELECT val FROM dim WHERE dim.id = project), {kept.sql} AS kept, "
        f"count(*) FROM call WHERE started_at_us < ? AND {past.sql} AND ({gone}) AND {ENDED} "
        "GROUP BY day, project, kept",
        (
            *kept.values,
            retention.latest_limit_us(policy, now_us, of_rows=True),
            *past.values,
            *overdue,
            *kept.values,
        ),
    )
    for day, project, is_kept, calls in found:
        yield _day(day * DAY_US), project or DEFAULT_PROJECT, bool(is_kept), calls


def _day(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).strftime("%Y-%m-%d")
