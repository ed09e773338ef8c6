"""What lies in the journals of a data directory, read with the product's own reader, put together by call."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from proxy.clock import id_text
from proxy.journal.codec import decode
from proxy.journal.reader import JournalReader, Missing
from proxy.records import Begin, End, Head, Part, Side


@dataclass
class Recorded:
    """The records of one call."""

    begin: Begin | None = None
    head: Head | None = None
    end: End | None = None
    bodies: dict[Side, bytearray] = field(default_factory=lambda: {side: bytearray() for side in Side})

    @property
    def whole(self) -> bool:
        """Whether nothing of the call is missing."""
        if self.begin is None or self.end is None or self.end.lost_parts:
            return False
        lengths = len(self.bodies[Side.REQUEST]), len(self.bodies[Side.RESPONSE])
        return lengths == (self.end.request_bytes, self.end.response_bytes)


@dataclass
class Journals:
    """Everything in all journals: calls by public id, and what the owners count as lost."""

    calls: dict[str, Recorded] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    calls_lost: int = 0


def read_journals(data: Path) -> Journals:
    """Read every journal below ``<data>/journal`` to its end; their owners must be gone."""
    found = Journals()
    for directory in sorted(path for path in (data / "journal").iterdir() if not path.name.startswith(".")):
        reader = JournalReader(directory)
        assert not reader.owner_alive(), f"{directory.name} is still being written"
        while not reader.finished:
            for item in reader.poll():
                if isinstance(item, Missing):
                    found.missing.append(item)
                else:
                    _add(found.calls, decode(item[1].kind, item[1].payload))
        found.calls_lost += reader.calls_lost
        reader.close()
    return found


def _add(calls: dict[str, Recorded], record: object) -> None:
    if not isinstance(record, Begin | Head | Part | End):
        return
    call = calls.setdefault(id_text(record.id), Recorded())
    match record:
        case Begin():
            call.begin = record
        case Head():
            call.head = record
        case End():
            call.end = record
        case Part():
            body = call.bodies[record.side]
            body[record.offset : record.offset + len(record.data)] = record.data
