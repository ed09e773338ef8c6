"""Answers that the asker has already: by their ETag, which is a digest of what would be sent.

A digest and no number of a revision: rows are deleted, tags renamed and periods move on without any
row being written, and an answer that says nothing new must be right in saying so.
"""

from __future__ import annotations

from hashlib import blake2b

from aiohttp import web


def unless_known(request: web.Request, answer: web.Response) -> web.Response:
    """The answer with its ETag, or 304 when the asker says that they have it."""
    body = answer.body
    assert isinstance(body, bytes)
    tag = blake2b(body, digest_size=12).hexdigest()
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        answer = web.Response(status=304)
    answer.headers["ETag"] = f'"{tag}"'
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer
