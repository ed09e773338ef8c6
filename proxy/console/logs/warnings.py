"""What people must know before they trust a list: what is not stored yet, or cannot be found by words yet."""

from __future__ import annotations

from collections.abc import Sequence

from ...store.base import Behind
from ..figures import size
from ..health import Process

LAG_BYTES = 4_000_000  #: of journals, that ingest is behind with before that is said


def warnings(processes: Sequence[Process], behind: Behind | None, problems: Sequence[str]) -> list[str]:
    """Sentences, one for each. ``processes``: ``relay-0`` and ``ingest``; ``behind``: of a search by words."""
    relay, ingest = processes
    said = []
    lag = ingest.vitals.get("journal_lag_bytes", 0)
    if relay.up and not ingest.up:
        said.append("Calls are recorded but not stored at the moment: ingest does not run. They appear when it does.")
    elif ingest.up and lag > LAG_BYTES:
        said.append(f"The store is behind: {size(lag)} of recorded calls are not stored yet.")
    if behind is not None and behind.calls:
        more = "more than " if behind.more else ""
        said.append(f"{more}{behind.calls:,} stored calls cannot be found by their words yet.".capitalize())
    return [*said, *problems]
