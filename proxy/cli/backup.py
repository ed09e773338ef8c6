"""``llmtap backup``: a copy of the whole store, while it is written to."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import msgspec

from ..config import Config
from ..console import figures
from ..errors import UsageError
from .options import invoked_as, with_config
from .progress import Progress
from .terminal import Terminal, printable


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Delete all but the last N backups in DIR.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@with_config()
def backup(config: Config, directory: Path, keep: int | None, as_json: bool) -> int:
    """Copy the store into a new folder below DIR, also while llmtap serve runs.

    It holds all that is stored (llmtap flush waits for what is not yet), the secret that keys are told apart by, and
    the hash of each file. Files of bodies that have not changed since the last backup in DIR are linked to it, and
    take no room. Whoever can read DIR can read every prompt.
    """
    from ..store.sqlite.backup import backup as make
    from ..store.sqlite.backup import manifest, snapshots

    if directory.resolve().is_relative_to(config.data_dir.resolve()):
        raise UsageError(f"{directory} lies in the data directory itself: choose another, best on another disk")
    progress = Progress("backup")
    try:
        made = make(config.data_dir, directory, progress)
    finally:
        progress.clear()
    dropped = _thinned(directory, made, keep) if keep else 0
    found, backups = manifest(made), len(snapshots(directory))
    if as_json:
        told = {"path": str(made), "bytes": found.size, "new_bytes": found.new_bytes, "missing": found.missing}
        print(msgspec.json.encode({**told, "backups": backups, "dropped": dropped}).decode())
        return 0
    terminal = Terminal()
    print(terminal.paint(f"backup made: {printable(str(made))}", "bold"))
    linked = sum(file.linked for file in found.files.values())
    holds = f"holds      {figures.size(found.size)} in {len(found.files):,} files"
    print(f"{holds}, {figures.size(found.new_bytes)} of them new" if linked else holds)
    if found.missing:
        print(terminal.paint(f"missing    {', '.join(map(printable, found.missing))}: see llmtap verify", "yellow"))
    older = f", {dropped:,} older deleted" if dropped else ""
    print(f"backups    {backups:,} in {printable(str(directory))}{older}")
    print(f"restore    {printable(f'{invoked_as()} restore {shlex.quote(str(made))} --data-dir DIR')}")
    return 0


def _thinned(directory: Path, made: Path, keep: int) -> int:
    """Delete the oldest backups, never the one just ``made``, whatever the clock said; how many."""
    import shutil

    from ..store.sqlite.backup import snapshots

    others = [snapshot for snapshot in snapshots(directory) if snapshot not in (directory, made)]
    surplus = others[: max(0, len(others) - (keep - 1))]
    for snapshot in surplus:
        shutil.rmtree(snapshot)
    return len(surplus)
