"""A store as this version leaves it, packed into one small file: what every later version must be able to read.

``python -m tests.store.golden_store`` writes ``golden/schema-<N>.tar.gz`` for today's schema, unless it is there:
what was released is never written again.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import tarfile
import tempfile
from pathlib import Path

from proxy.store.base import Position, StoredCall
from proxy.store.policy import Keeping, Policy
from proxy.store.sqlite.schema import VERSION
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import FULL, NOON_US, chat_request, ended, write
from tests.store.writing_child import an_id

GOLDEN = Path(__file__).with_name("golden")


def golden_calls() -> list[StoredCall]:
    """What each of them holds, the same in every version."""
    chats = [
        ended(an_id(number), request=chat_request("shared " * 200, *(f"{turn} " * 90 for turn in range(number))))
        for number in range(1, 6)
    ]
    return [ended(an_id(0), response=bytes(range(256)) * 9, **_fields(FULL)), *chats]


def _fields(call: object) -> dict[str, object]:
    names = [name for name in call.__struct_fields__ if name not in ("id", "rev", "updated_at_us")]  # type: ignore[attr-defined]
    return {name: getattr(call, name) for name in names}


async def _write(folder: Path) -> None:
    policy = Policy(usual=Keeping(body_days=30))
    store = await SqliteStore.open(folder, policy=policy, now_us=lambda: NOON_US)
    await write(store, *golden_calls(), positions=[Position(journal="j", low_seq=7, read_seq=9)])
    await store.close()


def packed(folder: Path) -> bytes:
    """The files of a store as an archive."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path in sorted((folder / "store").iterdir()):
            archive.add(path, path.name)
    return gzip.compress(raw.getvalue(), mtime=0)


def main() -> None:
    """Write the archive of today's schema."""
    path = GOLDEN / f"schema-{VERSION}.tar.gz"
    if path.exists():
        raise SystemExit(f"{path.name} is there already")
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_write(Path(name)))
        GOLDEN.mkdir(exist_ok=True)
        path.write_bytes(packed(Path(name)))


if __name__ == "__main__":
    main()
