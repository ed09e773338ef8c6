"""Journals on disk, and harm done to them: used by tests and by the long runs in ``bench``."""

from __future__ import annotations

import random
from pathlib import Path

from msgspec import Struct

from proxy.config import Journal as Settings
from proxy.journal.frame import SEGMENT_HEADER_SIZE
from proxy.journal.reader import JournalReader, Missing
from proxy.journal.writer import JournalWriter
from proxy.records import Part, Side

ID = bytes(16)


def vitals() -> dict[str, int]:
    return {"journal_worst_write_us": 0, "journal_slow": 0, "calls_lost": 0}


def writer(root: Path, **settings: object) -> JournalWriter:
    root.mkdir(exist_ok=True)
    return JournalWriter(root, "relay-0-test", Settings(**settings), vitals())  # type: ignore[arg-type]


def part(number: int, size: int = 40) -> Part:
    return Part(id=ID, side=Side.REQUEST, offset=number, data=random.Random(number).randbytes(size))


def read(reader: JournalReader) -> tuple[dict[int, bytes], list[Missing]]:
    """Everything there is, and what is missing."""
    found: dict[int, bytes] = {}
    missing: list[Missing] = []
    while True:
        before = len(found), len(missing), reader.unread_bytes
        for item in reader.poll():
            if isinstance(item, Missing):
                missing.append(item)
            else:
                found[item[1].seq] = item[1].payload
        if (len(found), len(missing), reader.unread_bytes) == before:
            return found, missing


class Verdict(Struct, frozen=True):
    """What became of a damaged journal."""

    kind: str
    written: int
    wrong: int  #: records that came out other than they went in
    lost: int
    counted: bool  #: exactly the lost ones were reported as missing
    excess: int  #: records lost beyond one for each flipped bit
    finished: bool  #: it was read to its end


async def trial(root: Path, seed: int) -> Verdict:
    """Write a journal, harm it in one way, and read it."""
    rng = random.Random(seed)
    journal = writer(root, segment_bytes=4096)
    count = rng.randint(1, 60)
    for number in range(1, count + 1):
        journal.append([part(number, rng.choice([0, 10, 200, 1500]))])
    await journal.close()
    directory = root / journal.name
    expected, _ = read_whole(directory)
    kind, most = damage(rng, sorted(directory.glob("*.seg")))
    reader = JournalReader(directory)
    found, missing = read(reader)
    finished = reader.finished
    reader.close()
    reported = {seq for gap in missing for seq in range(gap.first_seq, gap.first_seq + gap.records)}
    lost = set(expected) - set(found)
    return Verdict(
        kind=kind,
        written=count if len(expected) == count else 0,
        wrong=sum(expected[seq] != payload for seq, payload in found.items()),
        lost=len(lost),
        counted=reported == lost,
        excess=max(0, len(lost) - most) if most is not None else 0,
        finished=finished,
    )


def read_whole(directory: Path) -> tuple[dict[int, bytes], list[Missing]]:
    """All of a journal, without harm."""
    reader = JournalReader(directory)
    try:
        return read(reader)
    finally:
        reader.close()


def damage(rng: random.Random, segments: list[Path]) -> tuple[str, int | None]:
    """Do one kind of harm; which, and how many records it may cost at most, when that can be said."""
    path = rng.choice(segments)
    data = bytearray(path.read_bytes())
    kind = rng.choice(["flips", "truncate", "zero", "extend", "delete", "header"])
    most = None
    if kind == "flips":
        most = rng.randint(1, 4)
        for _ in range(most):
            data[rng.randrange(SEGMENT_HEADER_SIZE, len(data))] ^= 1 << rng.randrange(8)
    elif kind == "truncate":
        del data[rng.randrange(len(data)) :]
    elif kind == "zero":
        start = rng.randrange(len(data))
        data[start : start + rng.randint(1, 600)] = bytes(len(data[start : start + 600]))
    elif kind == "extend":
        most = 0
        data += rng.randbytes(rng.randint(1, 300))
    elif kind == "header":
        most = 0
        data[rng.randrange(SEGMENT_HEADER_SIZE)] ^= 1 << rng.randrange(8)
    else:
        path.unlink()
        return kind, None
    path.write_bytes(bytes(data))
    return kind, most
