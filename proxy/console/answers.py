"""What the console sends: JSON, pages, errors in the form that the asker understands."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ..errors import CallNotFound, ConfigError, LlmtapError, QueryError, StoreError, UsageError
from .documents import encoded
from .received import Misfit
from .routes import Handler

log = logging.getLogger(__name__)

#: What every answer says to browsers.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, forms of our own pages say Origin: null
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def json_answer(value: Any, status: int = 200, content_type: str = "application/json") -> web.Response:
    """An answer for programs."""
    return web.Response(body=encoded(value), status=status, content_type=content_type)


def page_answer(html: str, status: int = 200) -> web.Response:
    """An answer for people."""
    body = html.encode("utf-8", "replace")
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8")


@web.middleware
async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into answers, and put the security headers on every answer."""
    try:
        response = await handler(request)
    except web.HTTPNotFound:
        response = _problem(request, 404, "there is nothing here; calls are at / and at /api/calls")
    except web.HTTPException as error:
        response = _problem(request, error.status, error.text or "")
        for name in ("Allow", "Location", "WWW-Authenticate"):
            if name in error.headers:
                response.headers[name] = error.headers[name]
    except LlmtapError as error:
        response = _problem(request, status_of(error), str(error), _place_of(error))
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = "1"
    except ConnectionError:
        raise  # whoever asked has gone: there is nobody to answer
    except Exception:
        log.exception("the console failed to answer %s", request.method)
        response = _problem(request, 500, "the console failed; its log says why")
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    if isinstance(response, web.Response):
        _pack(request, response)
    return response


PACKED_FROM = 1_000  #: bytes of an answer
_LEVEL = 3  # higher ones take longer than they save on the way
_PACKABLE = ("text/", "application/json", "application/problem+json", "image/svg")


def _pack(request: web.Request, response: web.Response) -> None:
    """Compress text for those who can read that."""
    body = response.body
    if not isinstance(body, bytes) or len(body) < PACKED_FROM or not response.content_type.startswith(_PACKABLE):
        return
    response.headers["Vary"] = "Accept-Encoding"
    if "gzip" in request.headers.get("Accept-Encoding", "") and "Content-Encoding" not in response.headers:
        response.body = gzip.compress(body, _LEVEL, mtime=0)
        response.headers["Content-Encoding"] = "gzip"


def status_of(error: LlmtapError) -> int:
    """Which status an error is answered with."""
    statuses: tuple[tuple[type[LlmtapError], int], ...] = (
        (Misfit, 422), (CallNotFound, 404), (ConfigError, 503), (UsageError, 400), (StoreError, 503),
    )  # fmt: skip
    return next((status for kind, status in statuses if isinstance(error, kind)), 500)


def _place_of(error: LlmtapError) -> dict[str, Any]:
    """Where the mistake is: the column of a filter, the path in a body."""
    if isinstance(error, QueryError) and error.column is not None:
        return {"column": error.column}
    return {"path": error.path} if isinstance(error, Misfit) else {}


#: How a mistake is shown to people: made by whoever has the templates.
MISTAKE_PAGE: web.AppKey[Callable[[web.Request, int, str, str], web.Response]] = web.AppKey("mistake_page")

#: What browsers show instead, for people who never meant to send a header.
_FOR_PEOPLE = {
    401: "This console asks for a token. Load the page again and enter the token as the password; "
    "any user name will do. Whoever set llmtap up knows the token: it is the setting console.token.",
}


def _problem(request: web.Request, status: int, detail: str, place: dict[str, Any] | None = None) -> web.Response:
    """RFC 9457 for programs, a page for people."""
    if "text/html" in request.headers.get("Accept", "") and not request.path.startswith("/api/"):
        page = request.app[MISTAKE_PAGE]
        return page(request, status, HTTPStatus(status).phrase, _FOR_PEOPLE.get(status) or detail)
    return problem(status, detail, place)


def problem(status: int, detail: str, place: dict[str, Any] | None = None) -> web.Response:
    """RFC 9457; ``place``: further keys, on where the mistake is."""
    title = HTTPStatus(status).phrase
    told = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(place or {})}
    return json_answer(told, status, "application/problem+json")
