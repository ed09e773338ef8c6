"""Media that stands inside a body as base64: measured and named, never decoded."""

from __future__ import annotations

_KINDS = ("image", "audio", "video")


def base64_size(data: str | None) -> int | None:
    """Bytes that base64 stands for; also of several padded pieces in a row."""
    return None if data is None else len(data) * 3 // 4 - data.count("=")


def part_type(media_type: str | None) -> str:
    """The type of part for ``image/png``: image, audio, video, or file for all else."""
    kind = (media_type or "").partition("/")[0].lower()
    return kind if kind in _KINDS else "file"
