"""Anything that has no dialect of its own: how much was sent is known from the row, little else.

Picks out what nearly every JSON API has in common (the model asked for, who asks, an error object)
and leaves the rest to the raw bytes. Of an answer that is not a JSON object it cannot tell whether it
is whole: ``terminal`` is None, and the HTTP framing decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct, defstruct

from ..records import Parsed
from .base import Bodies, is_event_stream
from .failures import failure
from .identity import FIELDS, identity
from .json_values import Notes, name


class _Answer(Struct):
    """The few fields looked for, of whatever type."""

    model: Any = None
    error: Any = None
    message: Any = None
    detail: Any = None


#: The same of a request. Who asks is said in many fields, which one table names.
_Request = defstruct("_Request", [(field, Any, None) for field in ("model", "stream", "metadata", *FIELDS)])

_asked = msgspec.json.Decoder(_Request).decode
_answered = msgspec.json.Decoder(_Answer).decode


class Generic:
    """The dialect of last resort."""

    name = "generic"

    def parse(self, bodies: Bodies) -> Parsed:
        """What can be told without knowing the format."""
        notes = Notes(bodies.notes)
        request, answer = _fields(bodies.request, _asked), _fields(bodies.response, _answered)
        asked = request.get("stream")
        failed = failure(answer, bodies.response, bodies.http_status)
        return Parsed(
            stream=is_event_stream(bodies.response_headers) or (asked if isinstance(asked, bool) else None),
            model_requested=name(request.get("model"), "model", notes),
            model=name(answer.get("model"), "model of the answer", notes),
            identity=identity(request, notes),
            error_type=failed.type if failed else None,
            error_message=failed.message if failed else None,
            terminal=True if answer else None,
            notes=notes.all(),
        )


def _fields(body: bytes, decode: Callable[[bytes], Struct]) -> dict[str, Any]:
    """The fields of a JSON object that are looked for; none for anything else."""
    if not body[:16].lstrip().startswith(b"{"):
        return {}
    try:
        return msgspec.structs.asdict(decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
