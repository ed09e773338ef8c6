"""A queue of calls to review, which is any filter: its address, its progress, and what reviewers made of it.

Values only. A call is done when anybody has reviewed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from urllib.parse import urlencode

from msgspec import Struct

from ...errors import UsageError
from ...query.spans import Labels
from ...query.tree import Comparison, Filter, fields_of
from ...records import Call
from ...store.judgements import REVIEW, Score
from ..narrowed import Narrowed, both

PATH = "/review"
END = "end"  #: in place of a call: behind the last one
COUNTED = 1_000  #: calls; beyond them a count is ``1,000+``
SHOWS = {"left": "not reviewed", "done": "reviewed", "all": "all"}
BAR_HEIGHT = 48
BAR_WIDTH = 14
_BARS = 60


class Queue(Struct, frozen=True, kw_only=True):
    """Which calls, and the one that is shown."""

    narrowed: Narrowed
    show: str = "left"
    at: str = ""  #: the call that is shown; empty: the first
    was: str = ""  #: the one before it

    @property
    def every(self) -> Filter | None:
        """All calls of the queue: of those that ask for something, unless the filter speaks of methods itself."""
        period = self.narrowed
        asks = None if "method" in fields_of(period.where) else Comparison("method", "=", "POST")
        since = None if period.since_us is None else Comparison("created", ">=", period.since_us)
        until = None if period.until_us is None else Comparison("created", "<", period.until_us)
        return both(period.where, asks, since, until)

    @property
    def left(self) -> Filter | None:
        """Those that nobody has reviewed."""
        return both(self.every, Comparison("scores", "=", None, REVIEW))

    @property
    def done(self) -> Filter | None:
        """The others."""
        return both(self.every, Comparison("scores", "!=", None, REVIEW))

    @property
    def shown(self) -> Filter | None:
        """Those that are walked through."""
        return {"left": self.left, "done": self.done, "all": self.every}[self.show]

    @property
    def saved(self) -> str:
        """The query of an address that means this queue."""
        return urlencode(self.narrowed.asked | ({} if self.show == "left" else {"show": self.show}))

    def to(self, at: str = "", was: str = "") -> str:
        """The address of a call in it; without one, of its beginning."""
        place = {name: value for name, value in (("at", at), ("was", was)) if value}
        query = "&".join(filter(None, (self.saved, urlencode(place))))
        return f"{PATH}?{query}" if query else PATH


def asked_queue(query: Mapping[str, str], meant: Narrowed) -> Queue:
    """Raises ``UsageError``."""
    show = query.get("show", "") or "left"
    if show not in SHOWS:
        raise UsageError(f"show is one of {', '.join(SHOWS)}, not {show!r}")
    return Queue(narrowed=meant, show=show, at=query.get("at", ""), was=query.get("was", ""))


class Progress(Struct, frozen=True):
    """How far a queue is; a ``…_more`` says that there are more than that."""

    done: int
    left: int
    done_more: bool
    left_more: bool

    @property
    def share(self) -> int:
        """Percent; 0 for an empty queue."""
        return 100 * self.done // (self.done + self.left) if self.done + self.left else 0


class Day(Struct, frozen=True):
    """What was reviewed of the calls of a day; heights of bars in a drawing."""

    label: str
    good: int
    bad: int
    x: int
    good_height: float
    bad_height: float


class Verdict(Struct, frozen=True, kw_only=True):
    """What reviewers made of the calls that were looked at."""

    calls: int
    good: int  #: by the mean of a call's reviewers
    bad: int
    several: int  #: calls that more than one has reviewed
    agreement: int | None  #: percent of the pairs of reviewers of a call who say the same; None without any pair
    days: tuple[Day, ...]


def verdict(calls: Sequence[Call], scores: Mapping[str, Sequence[Score]], zone: tzinfo) -> Verdict:
    """Of calls that were reviewed."""
    reviews = [(call, score) for call in calls for score in scores.get(call.id, ()) if score.name == REVIEW]
    known = [(call, score.mean, score.authors) for call, score in reviews if score.mean is not None]
    pairs = [_pairs(mean, authors) for _, mean, authors in known if authors > 1]
    together = sum(all_pairs for _, all_pairs in pairs)
    return Verdict(
        calls=len(known),
        good=sum(mean >= 0.5 for _, mean, _ in known),
        bad=sum(mean < 0.5 for _, mean, _ in known),
        several=len(pairs),
        agreement=round(100 * sum(alike for alike, _ in pairs) / together) if together else None,
        days=_days([(call, mean >= 0.5) for call, mean, _ in known], zone),
    )


def _pairs(mean: float, authors: int) -> tuple[int, int]:
    """(pairs of reviewers who agree, all pairs)."""
    good = round(mean * authors)
    bad = authors - good
    return (good * (good - 1) + bad * (bad - 1)) // 2, authors * (authors - 1) // 2


def _days(reviewed: Iterable[tuple[Call, bool]], zone: tzinfo) -> tuple[Day, ...]:
    labels = Labels("day", zone)
    counts: dict[str, list[int]] = {}
    for call, good in reviewed:
        counts.setdefault(labels.label(call.started_at_us), [0, 0])[0 if good else 1] += 1
    days = sorted(counts.items())[-_BARS:]
    most = max((good + bad for _, (good, bad) in days), default=1)
    return tuple(
        Day(label, good, bad, place * BAR_WIDTH, good / most * BAR_HEIGHT, bad / most * BAR_HEIGHT)
        for place, (label, (good, bad)) in enumerate(days)
    )
