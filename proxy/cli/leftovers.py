"""What killed processes left behind and nobody will ask for again: gauges of runs, journals that were never begun."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ..gauges import held

_OLD_S = 60.0  #: younger ones may be in the making


def clear_leftovers(data_dir: Path) -> None:
    """Delete them; what belongs to a living process stays."""
    run, journal = data_dir / "run", data_dir / "journal"
    for path in [*run.glob("run-*.gauges"), *_old(run.glob(".*.gauges.*"))]:
        if not held(path):
            path.unlink(missing_ok=True)
    for directory in _old(journal.glob(".*.new")):
        with contextlib.suppress(OSError):
            if not any(held(path) for path in directory.iterdir()):
                shutil.rmtree(directory, ignore_errors=True)


def _old(paths: Iterator[Path]) -> Iterator[Path]:
    for path in paths:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD_S:
                yield path
