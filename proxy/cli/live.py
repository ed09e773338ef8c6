"""How ``tail`` writes what it follows: JSON Lines, plain lines, or a terminal with the running calls at its foot."""

from __future__ import annotations

import sys
from datetime import date

from ..clock import wall_us
from ..config import Config
from ..console.figures import local
from ..records import Call, Status, evolve
from ..store.base import Reader
from .lines import call_line
from .terminal import Terminal

_RUNNING_MAX = 8  #: lines for running calls; further ones are counted
_REDRAW_US = 1_000_000  #: running calls grow older on screen this often


def _ended(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.status != Status.RUNNING]


class JsonOutput:
    """One JSON object a line, bodies included. ``only_ended``: running calls are left out."""

    def __init__(self, reader: Reader, config: Config, *, only_ended: bool) -> None:
        self._reader = reader
        self._config = config
        self._only_ended = only_ended

    async def show(self, calls: list[Call]) -> None:
        """Write calls, oldest first."""
        from ..console.documents import document, encoded

        for call in _ended(calls) if self._only_ended else calls:
            sys.stdout.buffer.write(encoded(await document(self._reader, call, self._config)) + b"\n")
        if calls:
            sys.stdout.flush()


class PlainOutput:
    """One line a call. ``only_ended``: running calls are left out."""

    def __init__(self, terminal: Terminal, *, only_ended: bool) -> None:
        self._terminal = terminal
        self._only_ended = only_ended

    async def show(self, calls: list[Call], note: str = "") -> None:  # noqa: ARG002
        """Write calls, oldest first; a note is for terminals."""
        if calls := _ended(calls) if self._only_ended else calls:
            self._terminal.write("".join(f"{call_line(call, self._terminal)}\n" for call in calls))


class LiveOutput:
    """Calls that ended scroll by, those that run stay below them and are redrawn."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._running: dict[str, Call] = {}
        self._drawn = 0
        self._drawn_at_us = 0
        self._note = ""
        self._stale = False
        self._day = local(wall_us()).date()

    @property
    def running(self) -> list[Call]:
        """The calls at the foot."""
        return list(self._running.values())

    def forget(self, calls: list[Call]) -> None:
        """These do not run any more, and there is nothing to say about them."""
        for call in calls:
            self._stale |= self._running.pop(call.id, None) is not None

    async def show(self, calls: list[Call], note: str = "") -> None:
        """Write calls, oldest first; an empty list lets the running ones grow older. ``note``: a last line."""
        now_us = wall_us()
        due = self._running and now_us - self._drawn_at_us >= _REDRAW_US
        if not calls and note == self._note and not due and not self._stale:
            return
        self._note, self._stale = note, False
        ended = _ended(calls)
        self._running |= {call.id: call for call in calls}
        self.forget(ended)
        foot = self._foot(now_us)
        erase = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._terminal.write(erase + "".join(f"{line}\n" for line in [*self._lines(ended), *foot]))
        self._drawn, self._drawn_at_us = len(foot), now_us

    def _lines(self, calls: list[Call]) -> list[str]:
        lines = []
        for call in calls:
            day = local(call.started_at_us).date()
            if day != self._day:
                lines.append(self._day_line(day))
            lines.append(call_line(call, self._terminal))
        return lines

    def _day_line(self, day: date) -> str:
        self._day = day
        return self._terminal.paint(f"── {day:%A %d %B %Y}", "dim")

    def _foot(self, now_us: int) -> list[str]:
        room = max(1, min(_RUNNING_MAX, self._terminal.height // 2))
        newest = self.running[-room:]
        lines = [
            call_line(evolve(call, latency_us=max(0, now_us - call.started_at_us)), self._terminal) for call in newest
        ]
        more = len(self._running) - len(newest)
        rest = f"… and {more} more running" if more else ""
        return lines + [self._terminal.paint(line, "dim") for line in (rest, self._note) if line]
