"""What one user did, by days, and what was said of it. Values only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby

from msgspec import Struct

from ...records import Call
from ...store.base import Bin
from ...store.judgements import REVIEW, Score
from ...store.traces import Conversation
from ..moments import Moments


class Opinion(Struct, frozen=True, kw_only=True):
    """What was said under one name, of some calls together."""

    name: str
    calls: int  #: that were judged
    mean: float | None  #: over calls; None where only categories were given
    labels: tuple[tuple[str, int], ...] = ()  #: categories, the most given first

    @property
    def verdict(self) -> str:
        """``good`` and ``bad`` for what lies between no and yes; else empty."""
        if self.mean is None or not 0 <= self.mean <= 1:
            return ""
        return "good" if self.mean >= 0.5 else "bad"

    @property
    def is_review(self) -> bool:
        """Whether reviewers said it."""
        return self.name == REVIEW


class Visit(Struct, frozen=True, kw_only=True):
    """A conversation on the way."""

    conversation: Conversation
    opinions: tuple[Opinion, ...] = ()


class Day(Struct, frozen=True, kw_only=True):
    """What happened on one day, the last first."""

    name: str
    visits: tuple[Visit, ...]


class Bar(Struct, frozen=True):
    """Calls of a span of time, in a chart 100 high."""

    x: float
    width: float
    height: float
    bad: float  #: how much of the height are errors
    title: str


def opinions(scores: Iterable[Sequence[Score]]) -> tuple[Opinion, ...]:
    """What was said of some calls, by name."""
    said: defaultdict[str, list[Score]] = defaultdict(list)
    for of_call in scores:
        for score in of_call:
            said[score.name].append(score)
    return tuple(_opinion(name, found) for name, found in sorted(said.items()))


def _opinion(name: str, found: Sequence[Score]) -> Opinion:
    means = [score.mean for score in found if score.mean is not None]
    labels: defaultdict[str, int] = defaultdict(int)
    for score in found:
        if score.label is not None:
            labels[score.label] += 1
    ordered = sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))
    mean = sum(means) / len(means) if means else None
    return Opinion(name=name, calls=len(found), mean=mean, labels=tuple(ordered))


def days(
    conversations: Sequence[Conversation], calls: Sequence[Call], scores: Mapping[str, Sequence[Score]], at: Moments
) -> tuple[Day, ...]:
    """Conversations by the day of their last call, with what was said of those of their calls that are known."""
    judged: defaultdict[str, list[Sequence[Score]]] = defaultdict(list)
    for call in calls:
        if call.conversation is not None and call.id in scores:
            judged[call.conversation].append(scores[call.id])
    visits = [Visit(conversation=each, opinions=opinions(judged[each.id])) for each in conversations]

    def day(visit: Visit) -> date:
        return at.of(visit.conversation.ended_at_us).date()

    return tuple(
        Day(name=at.day(found[0].conversation.ended_at_us), visits=tuple(found))
        for found in (list(group) for _, group in groupby(visits, key=day))
    )


def activity(found: Sequence[Bin], edges_us: Sequence[int], at: Moments) -> tuple[Bar, ...]:
    """Bins as bars; empty ones have none."""
    most = max((each.calls for each in found), default=0)
    step = 100 / max(1, len(found))
    return tuple(
        Bar(
            round(place * step, 3),
            round(step * 0.84, 3),
            round(100 * each.calls / most, 2),
            round(100 * each.errors / most, 2),
            f"{at.short(edge)}: {each.calls:,} calls, {each.errors:,} errors",
        )
        for place, (each, edge) in enumerate(zip(found, edges_us, strict=True))
        if each.calls
    )
