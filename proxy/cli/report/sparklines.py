"""Small pictures of numbers, drawn with the block characters of Unicode."""

from __future__ import annotations

from collections.abc import Sequence

_HEIGHTS = "▁▂▃▄▅▆▇█"
_WIDTHS = "▏▎▍▌▋▊▉█"
_NONE = "·"


def spark(values: Sequence[int]) -> str:
    """A character a value, as high as it is in proportion to the largest; ``·`` where there is nothing."""
    most = max(values, default=0)
    return "".join(_HEIGHTS[-(-value * len(_HEIGHTS) // most) - 1] if value > 0 else _NONE for value in values)


def bar(value: int, most: int, columns: int) -> str:
    """A line, as long as ``value`` is in proportion to ``most``, which is ``columns`` long; empty for nothing."""
    if value <= 0 or most <= 0:
        return ""
    eighths = max(1, round(8 * columns * min(value, most) / most))
    whole, rest = divmod(eighths, 8)
    return _WIDTHS[-1] * whole + (_WIDTHS[rest - 1] if rest else "")


def can_draw(encoding: str | None) -> bool:
    """Whether output in this encoding can hold the characters."""
    try:
        (_HEIGHTS + _WIDTHS + _NONE).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
