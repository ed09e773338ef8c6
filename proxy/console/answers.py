"""What the console sends: JSON, pages, errors in the form that the asker understands."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web

from ..errors import CallNotFound, LlmtapError, StoreError, UsageError
from .documents import encoded
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
    "Referrer-Policy": "no-referrer",
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
        for name in ("Allow", "WWW-Authenticate"):
            if name in error.headers:
                response.headers[name] = error.headers[name]
    except LlmtapError as error:
        response = _problem(request, _status_of(error), str(error))
    except Exception:
        log.exception("the console failed to answer %s", request.method)
        response = _problem(request, 500, "the console failed; its log says why")
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _status_of(error: LlmtapError) -> int:
    statuses: tuple[tuple[type[LlmtapError], int], ...] = ((CallNotFound, 404), (UsageError, 400), (StoreError, 503))
    return next((status for kind, status in statuses if isinstance(error, kind)), 500)


#: What browsers show instead, for people who never meant to send a header.
_FOR_PEOPLE = {
    401: "This console asks for a token. Load the page again and enter the token as the password; "
    "any user name will do. Whoever set llmtap up knows the token: it is the setting console.token.",
}


def _problem(request: web.Request, status: int, detail: str) -> web.Response:
    """RFC 9457 for programs, a line of text for people."""
    title = HTTPStatus(status).phrase
    if "text/html" in request.headers.get("Accept", ""):
        return web.Response(
            body=f"{_FOR_PEOPLE.get(status) or f'{title}: {detail}'}\n".encode("utf-8", "replace"),
            status=status,
            content_type="text/plain",
            charset="utf-8",
        )
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return json_answer(problem, status, "application/problem+json")
