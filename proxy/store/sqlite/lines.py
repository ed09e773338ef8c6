"""Header lines, apart from what differs between calls: clients and servers send the same lines with each call,
but for dates, ids and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from ...records import Header
from .blob import DamagedError
from .recent import Recent

_SHAPES = 500
_MOST_LINES, _MOST_BYTES = 200, 16 << 10  # longer lists are not compared
_to_bytes = msgspec.msgpack.Encoder().encode
_to_lines = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None, bool]]).decode


class _Shape:
    """Lines with the same names, and the values that all of them share; None for those that differ."""

    def __init__(self, headers: Sequence[Header], values: Sequence[bytes | None]) -> None:
        self.template = _template(headers, values)
        shared = [place for place, value in enumerate(values) if value is not None]
        own = [place for place, value in enumerate(values) if value is None]
        self._shared, self._own = _picker(shared), _picker(own)
        self._values = tuple(values[place] for place in shared)

    def fits(self, values: Sequence[bytes]) -> bool:
        """Whether these are the values that all share."""
        return self._shared(values) == self._values

    def own(self, values: Sequence[bytes]) -> tuple[bytes, ...]:
        """Those that differ."""
        return self._own(values)

    def narrowed(self, headers: Sequence[Header], values: Sequence[bytes]) -> _Shape:
        """The shape of these, too."""
        known = iter(self._values)
        shared = set(self._shared(range(len(values))))
        kept = [next(known) if place in shared else None for place in range(len(values))]
        return _Shape(headers, [before if before == now else None for before, now in zip(kept, values, strict=True)])


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Picks what stands at these places."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)


class Lines:
    """Lists of header lines that were seen lately. A value that has once been another is kept apart from then on."""

    def __init__(self) -> None:
        self._shapes: Recent[tuple[bytes | tuple[bytes], ...], _Shape] = Recent(_SHAPES)

    def parted(self, headers: Sequence[Header]) -> tuple[bytes, tuple[bytes, ...]]:
        """What is the same in every call, written down, and the values that are not."""
        if not headers:
            return b"", ()
        values = [header.value for header in headers]
        if len(headers) > _MOST_LINES or sum(map(len, values)) > _MOST_BYTES:
            return _template(headers, values), ()
        key = tuple([(header.name,) if header.hidden else header.name for header in headers])
        shape = self._shapes.get(key)
        if shape is None:
            self._shapes[key] = shape = _Shape(headers, values)
        elif not shape.fits(values):
            self._shapes[key] = shape = shape.narrowed(headers, values)
        return shape.template, shape.own(values)


def _template(headers: Sequence[Header], values: Sequence[bytes | None]) -> bytes:
    return _to_bytes([(header.name, value, header.hidden) for header, value in zip(headers, values, strict=True)])


def together(template: bytes, values: Sequence[bytes]) -> tuple[Header, ...]:
    """The lines. Raises ``DamagedError``."""
    if not template:
        return ()
    left = iter(values)
    try:
        lines = _to_lines(template)
        return tuple([Header(name, next(left) if value is None else value, hidden) for name, value, hidden in lines])
    except (msgspec.MsgspecError, StopIteration, RuntimeError) as error:
        raise DamagedError(f"its header lines cannot be read: {error}") from error
