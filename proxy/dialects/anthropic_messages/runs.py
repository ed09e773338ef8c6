"""Deltas that differ in nothing but their text: nearly all events of a stream, read together.

The first of a run is read in the ordinary way. Those that begin with the same bytes up to the
text, and end behind it with nothing but braces and blanks, hold what it holds but for the text;
their texts are decoded in one go. A run that does not decode to as many texts as it has events is
none, and is read in the ordinary way.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from ...wire.sse import Event

_CLOSING = b"} "  #: some servers pad an event with blanks


def prefix_of(data: bytes, field: str, piece: str) -> bytes | None:
    """What stands before a delta's text, its quote included; None where the text is not the last thing in it."""
    opening = f'"{field}":"'.encode()
    start = data.find(opening) + len(opening)
    try:
        if start >= len(opening) and orjson.loads(data.rstrip(_CLOSING)[start - 1 :]) == piece:
            return data[:start]
    except ValueError:
        pass
    return None


def texts_of(events: Sequence[Event], prefix: bytes) -> list[str] | None:
    """The texts of a run; None when it is none."""
    start = len(prefix) - 1
    try:
        texts = orjson.loads(b"[" + b",".join([event.data.rstrip(_CLOSING)[start:] for event in events]) + b"]")
    except ValueError:
        return None
    return texts if len(texts) == len(events) and set(map(type, texts)) == {str} else None


def end_of_run(events: Sequence[Event], start: int, prefix: bytes) -> int:
    """The place of the first event, from ``start`` on, that does not begin so."""
    for place in range(start, len(events)):
        if not events[place].data.startswith(prefix):
            return place
    return len(events)
