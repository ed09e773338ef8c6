"""``llmtap restore``: a backup in place of an empty store."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from ..config import Config
from ..console import figures
from ..datadir import prepare
from ..errors import LlmtapError
from .options import with_config
from .processes import own
from .progress import Progress
from .terminal import Terminal, printable


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@with_config()
def restore(config: Config, directory: Path) -> int:
    """Bring back a backup: DIR is one, or holds several, of which the last is taken.

    The data directory must hold no calls yet, and no llmtap may run on it. All hashes are checked before anything is
    written, and the store is verified afterwards.
    """
    from ..ingest.worker import WriterLock
    from ..store.sqlite.backup import damages, manifest, snapshots
    from ..store.sqlite.backup import restore as bring_back

    found = snapshots(directory)
    if not found:
        raise LlmtapError(f"{directory} holds no backup (no manifest.json); llmtap backup makes them")
    snapshot = found[-1]
    progress = Progress("restore")
    data_dir = prepare(config.data_dir)
    owned = own(data_dir)
    try:
        with WriterLock(data_dir):
            _refuse_journals(data_dir)
            try:
                bad = list(damages(snapshot, progress))
                if bad:
                    raise LlmtapError(f"{snapshot} cannot be restored: {'; '.join(bad)}")
                bring_back(snapshot, data_dir, progress)
            finally:
                progress.clear()
    finally:
        os.close(owned)
    made = manifest(snapshot)
    terminal = Terminal()
    print(terminal.paint(f"restored {printable(str(snapshot))} of {made.made_at}", "bold"))
    print(f"holds      {figures.size(made.size)} in {len(made.files):,} files, all as they were copied")
    return asyncio.run(_verified(config))


def _refuse_journals(data_dir: Path) -> None:
    if any(path.is_dir() and not path.name.startswith(".") for path in (data_dir / "journal").iterdir()):
        raise LlmtapError(
            f"{data_dir / 'journal'} holds calls that are not stored yet: store them with llmtap flush, "
            "or choose another --data-dir"
        )


async def _verified(config: Config) -> int:
    from .verify import verified

    return await verified(config, as_json=False)
