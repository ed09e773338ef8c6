"""What a check found, and how that is shown: ``check`` and ``doctor`` are lists of these."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from .terminal import Terminal, printable

_STYLES = {"✓": "green", "!": "yellow", "✗": "bold red"}


class Finding(Struct, frozen=True):
    """What one check found. ``remedy``: what to do when not ``ok``. ``grave``: it must be mended, else only known."""

    ok: bool
    what: str
    remedy: str = ""
    grave: bool = True

    @property
    def mark(self) -> str:
        """``✓``, ``!`` or ``✗``."""
        return "✓" if self.ok else "✗" if self.grave else "!"

    @property
    def failed(self) -> bool:
        """Whether it counts for the exit code."""
        return not self.ok and self.grave


def lines(finding: Finding, terminal: Terminal) -> Iterator[str]:
    """The finding, and below it what to do."""
    yield f"{terminal.paint(finding.mark, _STYLES[finding.mark])} {printable(finding.what)}"
    if finding.remedy and not finding.ok:
        yield f"  {terminal.paint('→', 'dim')} {printable(finding.remedy, lines=True)}"
