"""Whether the clock may be wrong: a purge that trusts one far ahead deletes everything, and nothing brings it back.

It cannot tell a clock that is wrong from a store that was left alone for long. So it only doubts, when
both the newest call lies far back and most of what is stored would go at once: then a person decides.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from ..policy import DAY_US, Policy
from . import pins, retention
from .retention import BODILESS, ENDED

_LIMITS = 10  # as many of the longest limit …
_LEAST_US = 90 * DAY_US  # … but idle months are nothing odd where limits are short …
_MOST_US = 365 * DAY_US  # … and a year always is


def doubtful(main: sqlite3.Connection, policy: Policy, now_us: int) -> str | None:
    """Why it should not be done, in a sentence that says what to do; None when it may."""
    (newest_us,) = main.execute("SELECT max(started_at_us) FROM call").fetchone()
    if newest_us is None or now_us - newest_us <= _far_us(policy) or not _most_goes(main, policy, now_us):
        return None
    today = datetime.fromtimestamp(now_us / 1_000_000, UTC).date()
    return (
        f"the newest call is {(now_us - newest_us) // DAY_US:,} days older than today ({today}), and more than half "
        "of all would go at once: nothing is deleted for its age; is the clock right? then use llmtap prune --yes"
    )


def _far_us(policy: Policy) -> int:
    days = [days for each in policy.limits for days in (each.body_days, each.row_days)]
    return min(max(max(days, default=0) * DAY_US * _LIMITS, _LEAST_US), _MOST_US)


def _most_goes(main: sqlite3.Connection, policy: Policy, now_us: int) -> bool:
    kept = pins.kept(main)
    for past, among, may in (
        (retention.past_bodies(main, policy, now_us), f"NOT {BODILESS}", "1"),
        (retention.past_rows(main, policy, now_us), "1", ENDED),
    ):
        calls, go = main.execute(
            f"SELECT count(*), total({past.sql} AND NOT {kept.sql} AND {may}) FROM call WHERE {among}",
            (*past.values, *kept.values),
        ).fetchone()
        if go * 2 > calls:
            return True
    return False
