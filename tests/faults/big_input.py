"""Bodies that are too large, or become so: one builder a case, because nobody wants to hold them all.

``BODY_BYTES`` is what ingest is set to read; what is larger, or expands to more, is kept as it
came, with a note. Bombs are made of one small piece that is repeated: as members of a stream where
the coding has such, else fed to its compressor piece by piece.
"""

from __future__ import annotations

import base64
import gzip
import random
import zlib
from collections.abc import Callable

import brotli
import zstandard

from tests.conformance.responses import same
from tests.fakes.scripts import answer

from .bad_answers import NOT_JSON as NO_ANSWER
from .bad_input import CHAT, JSON, SEARCHED, Case, asked
from .bad_requests import NOT_JSON as NO_REQUEST
from .bad_requests import coding

BODY_BYTES = 50 << 20
CONFIG = f"[ingest]\nbody_bytes = {BODY_BYTES}\n"
MB = 1_000_000
ZEROS = bytes(10 * MB)
WORDS = b"Some words, and then some. "
NOISE = random.Random(59).randbytes(MB)


def json_of_50_mb() -> Case:
    """Many messages of some length."""
    messages = b",".join(b'{"role":"user","content":"%b"}' % (b"%d " % n + WORDS * 230) for n in range(8200))
    request = CHAT.request.replace(b'{"role":"user","content":"hi"}', messages)
    assert len(request) > 49 * MB
    return asked("50 50 MB of JSON", CHAT, request, notes=(SEARCHED,))


def too_large() -> Case:
    """More than ingest is set to read."""
    request = CHAT.asking(b'"' + WORDS * (100 * MB // len(WORDS)) + b'"')
    return asked("50b 100 MB of JSON", CHAT, request, model_requested=None, notes=("the request has",))


def multipart() -> Case:
    """A form that nobody reads part by part."""
    part = b'--b\r\nContent-Disposition: form-data; name="f%d"; filename="../../%d"\r\nContent-Type: x/y\r\n\r\n1\r\n'
    form = b"".join(part % (n, n) for n in range(10_000)) + b"--b--\r\n"
    headers = (("Content-Type", 'multipart/form-data; boundary="b"'),)
    return Case(
        name="58 multipart with 10,000 parts",
        path="/v1/files",
        headers=headers,
        request=form,
        script=answer(200, [JSON], b'{"id":"file-1","object":"file"}'),
        client=same(b'{"id":"file-1","object":"file"}', JSON, ("Content-Length", "31")),
        row={"dialect": "generic", "status": "ok", "model": None},
    )


def image() -> Case:
    """An image as a data URL."""
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + NOISE * 30)
    parts = b'[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:image/png;base64,%b"}}]'
    return asked("59 an image of 30 MB", CHAT, CHAT.asking(parts % data))


def repeated(member: bytes) -> bytes:
    """10 MB of members."""
    return member * (10 * MB // len(member))


def brotli_bomb() -> bytes:
    """A gigabyte of nothing: there is but one stream."""
    compressor = brotli.Compressor(quality=1)
    return b"".join([*(compressor.process(ZEROS) for _ in range(100)), compressor.finish()])


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: repeated(gzip.compress(ZEROS, mtime=0)),
    "deflate": lambda: repeated(zlib.compress(ZEROS, 9)),
    "br": brotli_bomb,
    "zstd": lambda: repeated(zstandard.compress(ZEROS)),
}


def bombs(asked: str, answered: str) -> Case:
    """Both bodies of a call expand to gigabytes."""
    request, body = BOMBS[asked](), BOMBS[answered]()
    headers = (JSON, coding(answered))
    much = f"expands to more than {BODY_BYTES} bytes"
    return Case(
        name=f"57 and 65 {asked} and {answered} bombs",
        path=CHAT.path,
        headers=(JSON, coding(asked)),
        request=request,
        script=answer(200, headers, body),
        client=same(body, *headers, ("Content-Length", str(len(body)))),
        row={"dialect": "openai_chat", "status": "ok", "model": None, "model_requested": None},
        notes=(f"the request: {asked}: {much}", f"the answer: {answered}: {much}", NO_REQUEST, NO_ANSWER),
    )


LARGE: dict[str, Callable[[], Case]] = {
    "50 50 MB of JSON": json_of_50_mb,
    "50b 100 MB of JSON": too_large,
    "57 a gzip bomb, 65 a zstd bomb": lambda: bombs("gzip", "zstd"),
    "57 a br bomb, 65 a deflate bomb": lambda: bombs("br", "deflate"),
    "58 multipart with 10,000 parts": multipart,
    "59 an image of 30 MB": image,
}
