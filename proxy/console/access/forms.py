"""Forms that browsers send, and where they lead afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web

from ...errors import UsageError

FORM = "application/x-www-form-urlencoded"


async def fields(request: web.Request) -> Mapping[str, str]:
    """The fields of a form; one that was not sent is empty. Raises ``UsageError`` and 413."""
    if request.content_type != FORM:
        raise web.HTTPUnsupportedMediaType(text=f"send a form: Content-Type: {FORM}")
    try:
        sent = await request.post()
    except (ValueError, LookupError):
        raise UsageError("the form cannot be read") from None
    return Fields({name: value for name, value in sent.items() if isinstance(value, str)})


class Fields(dict[str, str]):
    """What was not sent is empty."""

    def __missing__(self, key: str) -> str:
        return ""


def local_path(text: str) -> str:
    """A path of this console, or else its start page: never another site."""
    return text if re.fullmatch(r"/(?![/\\])[!-~]*", text) and "\\" not in text else "/"


def see(path: str) -> web.Response:
    """After a form was taken: look there."""
    return web.Response(status=303, headers={"Location": path})
