"""Versions of system prompts beside each other: what their calls came to, and what changed. Values only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from ...store.base import ReportRow
from ...store.traces import PromptVersion

Figures = Mapping[int, ReportRow]  #: by number of a version


class Version(Struct, frozen=True, kw_only=True):
    """A version, and what its calls came to in a period; None: it had none."""

    prompt: PromptVersion
    figures: ReportRow | None = None

    @property
    def calls(self) -> int:
        """How many there were."""
        return self.figures.calls if self.figures else 0

    @property
    def failing(self) -> float | None:
        """Share of calls that failed."""
        return self.figures.errors / self.figures.calls if self.figures and self.figures.calls else None

    @property
    def per_call_nano_usd(self) -> int | None:
        """What a call with a known cost came to."""
        if self.figures is None or not self.figures.calls_with_cost:
            return None
        return round(self.figures.cost_nano_usd / self.figures.calls_with_cost)

    @property
    def latency_p50_us(self) -> int | None:
        """Half of the calls were quicker."""
        return self.figures.latency_p50_us if self.figures else None

    @property
    def latency_p95_us(self) -> int | None:
        """95 of 100 calls were quicker."""
        return self.figures.latency_p95_us if self.figures else None


class Line(Struct, frozen=True, kw_only=True):
    """A prompt through its versions, the newest first."""

    number: int
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        """The last that came."""
        return self.versions[0]

    @property
    def calls(self) -> int:
        """Of all versions."""
        return sum(version.calls for version in self.versions)

    @property
    def cost_nano_usd(self) -> int | None:
        """Of all versions; None when no cost is known."""
        known = [each.figures.cost_nano_usd for each in self.versions if each.figures and each.figures.calls_with_cost]
        return sum(known) if known else None

    @property
    def last_us(self) -> int:
        """When any of them was used last."""
        return max(version.prompt.last_us for version in self.versions)


class Piece(Struct, frozen=True):
    """A stretch of a prompt; ``varies``: it was different in each call."""

    text: str
    varies: bool = False


def figures(rows: Iterable[ReportRow]) -> Figures:
    """Rows of a report by system version."""
    return {int(row.group[0]): row for row in rows if row.group and row.group[0] is not None}


def lines(versions: Sequence[PromptVersion], came_to: Figures) -> tuple[Line, ...]:
    """Prompts, the last used first."""
    found: defaultdict[int, list[Version]] = defaultdict(list)
    for version in sorted(versions, key=lambda each: -each.number):
        found[version.line].append(Version(prompt=version, figures=came_to.get(version.number)))
    made = [Line(number=number, versions=tuple(each)) for number, each in found.items()]
    return tuple(sorted(made, key=lambda line: (-line.last_us, line.number)))


def change(now: float | None, before: float | None) -> str:
    """``+12%``, ``-3%``; empty where there is nothing to compare, or nothing changed."""
    if now is None or not before:
        return ""
    percent = round(100 * (now / before - 1))
    return f"{percent:+d}%" if percent else ""


def pieces(prompt: PromptVersion, most: int) -> tuple[Piece, ...]:
    """A prompt's first characters, with the places that vary apart."""
    found: list[Piece] = []
    left = most
    for place, segment in enumerate(prompt.segments or (prompt.text,)):
        if left <= 0:
            break
        if place:
            found.append(Piece("…", varies=True))
        if segment:
            found.append(Piece(segment[:left]))
            left -= len(segment)
    return tuple(found)
