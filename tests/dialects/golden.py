"""Golden cases: what a peer sent, and the ``Parsed`` that it must give.

A case is the files in ``cases/<dialect>/`` that share a name, ``<vendor>-<what>``:

``.request.json``   the request's body, byte for byte; empty where there is none
``.response.*``     the answer's body; its suffix stands for the Content-Type: json, sse, ndjson, html, txt
``.call.json``      optional: ``method``, ``path``, ``status`` (null: no answer came), ``response_headers``
``.expected.json``  the ``Parsed``, what is unknown left out; written by ``approve``, read by people
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson

from proxy.dialects.base import Bodies
from proxy.dialects.gemini import array as gemini_array
from proxy.dialects.table import choose
from proxy.records import Parsed
from proxy.wire import ndjson, sse

CASES = Path(__file__).parent / "cases"
CONTENT_TYPES = {
    ".json": "application/json",
    ".sse": "text/event-stream; charset=utf-8",
    ".ndjson": "application/x-ndjson",
    ".html": "text/html",
    ".txt": "text/plain",
}
Decoder = sse.Decoder | ndjson.Decoder | gemini_array.Decoder
DECODERS: dict[str, Callable[[], Decoder]] = {".sse": sse.Decoder, ".ndjson": ndjson.Decoder}
DEFAULT_PATHS = {
    "anthropic_messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
    "generic": "/v1/unheard-of",
    "models": "/v1/models",
    "ollama": "/api/chat",
    "openai_chat": "/v1/chat/completions",
    "openai_completions": "/v1/completions",
    "openai_embeddings": "/v1/embeddings",
    "openai_moderations": "/v1/moderations",
    "openai_responses": "/v1/responses",
    "rerank": "/v1/rerank",
}


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
            method=call.get("method", "POST"),
            request=Path(f"{self._stem}.request.json").read_bytes(),
            response=response.read_bytes(),
            response_headers={"content-type": CONTENT_TYPES[response.suffix]} | call.get("response_headers", {}),
            http_status=call.get("status", 200),
        )

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream, of whatever form."""
        return self.decoder is not None

    @property
    def decoder(self) -> Decoder | None:
        """What takes the answer apart as it comes; none for one that is no stream."""
        if self.bodies.path.endswith(":streamGenerateContent") and self.bodies.response.startswith(b"["):
            return gemini_array.Decoder()
        suffixes = (suffix for suffix in DECODERS if Path(f"{self._stem}.response{suffix}").exists())
        return next((DECODERS[suffix]() for suffix in suffixes), None)

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


_FALSE_BY_DEFAULT = ("background", "retrieved", "server")


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _told(item)
            for key, item in value.items()
            if item is not None and item not in ((), {}) and not (item is False and key in _FALSE_BY_DEFAULT)
        }
    return [_told(item) for item in value] if isinstance(value, (list, tuple)) else value
