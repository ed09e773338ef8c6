"""JSON that comes in, as values of a type: what does not fit is said with its place.

Anything of a wrong type is a ``Misfit``, with the JSON path; a key that nobody knows is named with the
nearest one that is known. What is no JSON at all is a ``UsageError``, what is too large a 413. It must be
called JSON, too: what a form of another site may send without asking is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from ..errors import UsageError
from ..query.fields import nearest

BODY_BYTES = 1 << 20  #: of a request

Said = TypeVar("Said")

_PLACED = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")


class Misfit(UsageError):
    """JSON that is understood and cannot be used; ``path`` says where, as ``$.scores[0].value``."""

    def __init__(self, what: str, path: str = "$") -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


async def received(request: web.Request, shape: Any) -> Any:
    """The body as a value of the type ``shape``. Raises ``Misfit``, ``UsageError``, 413 and 415."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send JSON, and say so: Content-Type: application/json")
    if (request.content_length or 0) > BODY_BYTES:
        raise too_large()
    return read(await _body(request), shape)


def read(body: bytes, shape: Any) -> Any:
    """The same, of bytes."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), shape) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise UsageError("the body is nested too deeply") from None


def too_large() -> web.HTTPRequestEntityTooLarge:
    """The answer to a body over the limit."""
    return web.HTTPRequestEntityTooLarge(
        max_size=BODY_BYTES, actual_size=0, text=f"a request has at most {BODY_BYTES:,} bytes: send less at once"
    )


async def _body(request: web.Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > BODY_BYTES:
            raise too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _misfit(said: str, shape: Any) -> Misfit:
    found = _PLACED.fullmatch(said)
    assert found is not None
    what, path = found["what"], found["path"] or "$"
    if unknown := _UNKNOWN.fullmatch(what):
        return Misfit(f"there is no key {unknown[1]!r}{nearest(unknown[1], tuple(_keys(shape)))}", path)
    if missing := _MISSING.fullmatch(what):
        return Misfit(f"the key {missing[1]!r} is missing", path)
    return Misfit(what[:1].lower() + what[1:].replace("`", ""), path)


def _keys(shape: Any) -> Iterator[str]:
    """Of all objects that are part of the type."""
    for part in msgspec.json.schema(shape).get("$defs", {}).values():
        yield from part.get("properties", ())
