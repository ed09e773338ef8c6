"""Golden cases: what a peer sent, and the ``Parsed`` that it must give.

A case is the files in ``cases/<dialect>/`` that share a name, ``<vendor>-<what>``:

``.request.json``   the request's body, byte for byte
``.response.*``     the answer's body; its suffix stands for the Content-Type: json, sse, html, txt
``.call.json``      optional: ``path``, ``status`` (null: no answer came), ``response_headers``
``.expected.json``  the ``Parsed``, what is unknown left out; written by ``approve``, read by people
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import orjson

from proxy.dialects.base import Bodies
from proxy.dialects.table import choose
from proxy.records import Parsed

CASES = Path(__file__).parent / "cases"
CONTENT_TYPES = {
    ".json": "application/json",
    ".sse": "text/event-stream; charset=utf-8",
    ".html": "text/html",
    ".txt": "text/plain",
}
DEFAULT_PATHS = {"openai_chat": "/v1/chat/completions"}


class Case:
    """One golden case."""

    def __init__(self, expected: Path) -> None:
        self.dialect = expected.parent.name
        self.name = expected.name.removesuffix(".expected.json")
        self.expected = expected
        self._stem = expected.parent / self.name

    @property
    def bodies(self) -> Bodies:
        """What the dialect is given."""
        response = next(self._stem.parent.glob(f"{self.name}.response.*"))
        call = self._call()
        return Bodies(
            path=call.get("path", DEFAULT_PATHS[self.dialect]),
            request=Path(f"{self._stem}.request.json").read_bytes(),
            response=response.read_bytes(),
            response_headers={"content-type": CONTENT_TYPES[response.suffix]} | call.get("response_headers", {}),
            http_status=call.get("status", 200),
        )

    @property
    def is_stream(self) -> bool:
        """Whether the answer is an event stream."""
        return Path(f"{self._stem}.response.sse").exists()

    def _call(self) -> dict[str, Any]:
        path = Path(f"{self._stem}.call.json")
        return orjson.loads(path.read_bytes()) if path.exists() else {}

    def __repr__(self) -> str:
        return f"{self.dialect}/{self.name}"


def cases(dialect: str = "*") -> list[Case]:
    """All cases of a dialect, approved or not, by name."""
    requests = sorted(CASES.glob(f"{dialect}/*.request.json"))
    return [Case(path.with_name(path.name.replace(".request.json", ".expected.json"))) for path in requests]


def parse(bodies: Bodies) -> Parsed:
    """Let the dialect of the path read them."""
    return choose(bodies.path, {}, "").parse(bodies)


def as_json(parsed: Parsed) -> bytes:
    """The ``Parsed`` as people review it: indented, what is unknown or empty left out."""
    told = _told(msgspec.to_builtins(parsed)) | {"usage_raw": parsed.usage_raw}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items() if item is not None and item not in ((), {})}
    return [_told(item) for item in value] if isinstance(value, (list, tuple)) else value
