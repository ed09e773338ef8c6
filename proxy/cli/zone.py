"""``--tz``: the time zone of whoever asks."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

import click

from ..errors import UsageError
from ..zones import zone_named


def _read(name: str) -> tzinfo:
    try:
        return zone_named(name)
    except UsageError as error:
        raise UsageError(f"--tz: {error}") from None


def zone_option(command: Any) -> Any:
    """Add ``--tz``, which is read before all others, because dates in them are the zone's; it gives a ``zone``."""
    return click.option(
        "--tz",
        "zone",
        default="local",
        show_default=True,
        metavar="ZONE",
        is_eager=True,
        callback=lambda _ctx, _option, name: _read(name),
        help="Where days begin, and what dates mean: a zone such as Europe/Zurich, or UTC.",
    )(command)
