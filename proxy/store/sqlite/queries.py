"""The statements of ``queries.sql``, by name."""

from __future__ import annotations

from pathlib import Path

_MARK = "-- name: "


def parse(text: str) -> dict[str, str]:
    """``-- name: x`` begins statement x; other comments are dropped."""
    found: dict[str, str] = {}
    for block in text.split(_MARK)[1:]:
        name, _, body = block.partition("\n")
        lines = [line for line in body.splitlines() if line.strip() and not line.lstrip().startswith("--")]
        found[name.strip()] = "\n".join(lines).rstrip(";")
    return found


QUERIES = parse(Path(__file__).with_name("queries.sql").read_text("utf-8"))
