"""What an upstream may answer, well-formed or not, and the one thing that the client must get."""

# ruff: noqa: E501  (one row a line)

from __future__ import annotations

import gzip
import zlib

import brotli
import zstandard
from msgspec import Struct

from tests.fakes.scripts import (
    LAST_CHUNK,
    Await,
    Close,
    ReadBody,
    Reset,
    Script,
    Send,
    Step,
    answer,
    chunk,
    gzipped,
    head,
    sse,
)

JSON = ("Content-Type", "application/json")
EVENTS = ("Content-Type", "text/event-stream")


class Same(Struct, frozen=True):
    """Status, header lines (names, order, values) and body, whole."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Cut(Struct, frozen=True):
    """The beginning of ``body`` and never a clean end."""

    body: bytes


class Ours(Struct, frozen=True):
    """llmtap says 502: nothing of the answer could be passed on."""


class Case(Struct, frozen=True):
    """One answer of the upstream to ``method /t``. ``allowed``: any one of these is right."""

    name: str
    script: Script
    allowed: tuple[Same | Cut | Ours, ...]
    method: str = "GET"
    raw_body: bytes | None = None  #: of the request


def raw(*pieces: bytes | Step, keep: bool = False, read_first: bool = True) -> Script:
    """A script that writes these bytes as they stand, then closes."""
    steps = tuple(Send(piece) if isinstance(piece, bytes) else piece for piece in pieces)
    return Script(steps if keep else (*steps, Close()), read_first=read_first, keep=keep)


def same(body: bytes, *headers: tuple[str | bytes, str | bytes], status: int = 200) -> tuple[Same]:
    return (Same(status, tuple((_bytes(name), _bytes(value)) for name, value in headers), body),)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def length(body: bytes) -> tuple[str, str]:
    return ("Content-Length", str(len(body)))


def whole(
    name: str,
    body: bytes,
    *headers: tuple[str | bytes, str | bytes],
    status: int = 200,
    method: str = "GET",
    sizes: tuple[int, ...] = (),
) -> Case:
    """A well-formed answer with a length, which must arrive as it is."""
    framed = (*headers, length(body)) if status not in (204, 304) else headers
    return Case(
        name,
        answer(status, headers, body, method=method, sizes=sizes),
        same(b"" if method == "HEAD" else body, *framed, status=status),
        method,
    )


BOMBS = {
    "br": brotli.compress(b" " * 10_000_000, quality=1),
    "zstd": zstandard.compress(b" " * 10_000_000),
    "deflate": zlib.compress(b" " * 10_000_000),
}
GZIP = gzip.compress(b'{"object":"chat.completion"}' * 100, mtime=0)
ODD_EVENTS = {
    "66 SSE with CR only": b"data: 1\r\rdata: [DONE]\r\r",
    "66b SSE with CRLF": b"data: 1\r\n\r\ndata: [DONE]\r\n\r\n",
    "66c SSE with BOM and comments": b"\xef\xbb\xbf: ping\n\ndata: 1\n\ndata: [DONE]\n\n",
    "66d SSE without last blank line": b"data: 1\n\ndata: [DONE]",
    "66e SSE with a line of 2 MB": b"data: " + b"x" * (2 << 20) + b"\n\ndata: [DONE]\n\n",
    "66f SSE [DONE] doubled": b"data: [DONE]\n\ndata: [DONE]\n\n",
    "66g SSE without [DONE]": b"data: 1\n\n",
    "67 SSE in UTF-8": "data: {\"a\":\"Grüße 🎉 漢字\"}\n\ndata: [DONE]\n\n".encode(),
    "68 error in mid-stream": b'data: 1\n\ndata: {"error":{"message":"overloaded"}}\n\n',
}  # fmt: skip

BODIES = [
    whole("63 truncated gzip", GZIP[:-9], ("Content-Encoding", "gzip")),
    whole("64 bad gzip", b"\x1f\x8bnot gzip at all", ("Content-Encoding", "gzip")),
    Case("65 gzip bomb of 50 MB", gzipped(b"\0" * 50_000_000), same(gzip.compress(b"\0" * 50_000_000, mtime=0), ("Content-Encoding", "gzip"), length(gzip.compress(b"\0" * 50_000_000, mtime=0)))),
    *(whole(f"65 {coding} bomb of 10 MB", bomb, ("Content-Encoding", coding)) for coding, bomb in BOMBS.items()),
    *(whole(f"63 truncated {coding}", bomb[:-3], ("Content-Encoding", coding), sizes=(7,)) for coding, bomb in BOMBS.items()),
    Case("63b gzip cut with its connection", raw(head(200, [("Content-Encoding", "gzip"), length(GZIP)]) + GZIP[:-9]), (Cut(GZIP[:-9]),)),
    whole("65b unknown encoding", b"\x00\x01\x02", ("Content-Encoding", "x-odd")),
    *(whole(f"{name}, a byte at a time" if len(body) < 100 else name, body, EVENTS, sizes=(1,) if len(body) < 100 else ()) for name, body in ODD_EVENTS.items()),
    *(Case(f"{name}, chunked", answer(200, [EVENTS], body, framing="chunked", sizes=(3, 5, 7)if len(body) < 100 else ()), same(body, EVENTS, ("Transfer-Encoding", "chunked"))) for name, body in ODD_EVENTS.items()),
    whole("68b 200 with an error object", b'{"error":{"message":"no"}}', JSON),
    whole("69 HTML page", b"<html>502</html>", ("Content-Type", "text/html"), status=502),
    whole("69b empty 502", b"", status=502),
    whole("69c empty 200", b"", JSON),
    whole("70 usage of odd types", b'{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":"7"}}', JSON),
    whole("71 id null", b'{"id":null,"choices":null}', JSON),
    whole("72 broken JSON", b'{"choices":[', JSON),
]  # fmt: skip

STATUSES = [
    *(whole(f"status {status}", b'{"error":{"message":"x"}}', JSON, ("Retry-After", "3"), status=status) for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 529)),
    whole("204", b"", ("X-A", "1"), status=204),
    Case("204 with a length of 0", raw(head(204, [("X-A", "1"), ("Content-Length", "0")]), keep=True), (*same(b"", ("X-A", "1"), status=204), *same(b"", ("X-A", "1"), ("Content-Length", "0"), status=204))),
    whole("304 with a tag", b"", ("ETag", '"a"'), status=304),
    whole("HEAD with a length", b"x" * 1000, JSON, method="HEAD"),
    whole("206 with a range", b"abc", ("Content-Range", "bytes 0-2/10"), status=206),
    Case("74 500 interim answers", raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 500, head(200, [length(b"ok")]), b"ok", keep=True), same(b"ok", length(b"ok"))),
    Case("74b early hints", raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", head(200, [length(b"ok")]), b"ok", keep=True), same(b"ok", length(b"ok"))),
    Case("75 unasked 101", raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nbytes"), (Ours(),)),
    Case("76 204 with a body", raw(b"HTTP/1.1 204 No Content\r\n\r\nsurplus"), (*same(b"", status=204), Ours())),
    whole("77 redirect to a metadata address", b"", ("Location", "http://169.254.169.254/latest"), status=302),
    whole("77b redirect 307", b"", ("Location", "/elsewhere"), status=307),
    Case("78 status 999", raw(b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok"), (*same(b"ok", length(b"ok"), status=999), Ours())),
    Case("78b status 20", raw(b"HTTP/1.1 20 Odd\r\nContent-Length: 2\r\n\r\nok"), (Ours(),)),
    Case("78c no status line", raw(b"hello there\r\n\r\n"), (Ours(),)),
    Case("78d nothing", raw(), (Ours(),)),
    Case("78e reason of its own", raw(b"HTTP/1.1 200 Fine With Me\r\nContent-Length: 2\r\n\r\nok", keep=True), same(b"ok", length(b"ok"))),
    Case("78g reason that is not UTF-8", raw(b"HTTP/1.1 200 \xff\xfe ok\r\nContent-Length: 2\r\n\r\nok"), (Ours(), *same(b"ok", length(b"ok")))),
    Case("78h reason in UTF-8", raw("HTTP/1.1 200 schön\r\nContent-Length: 2\r\n\r\nok".encode(), keep=True), same(b"ok", length(b"ok"))),
    Case("78i control characters in the reason", raw(b"HTTP/1.1 200 a\x01b\x7f\r\nContent-Length: 2\r\n\r\nok"), (Ours(),)),
    Case("78j NUL in the reason", raw(b"HTTP/1.1 200 a\x00b\r\nContent-Length: 2\r\n\r\nok"), (Ours(),)),
    Case("78k CR in the reason", raw(b"HTTP/1.1 200 a\rb\r\nContent-Length: 2\r\n\r\nok"), (Ours(),)),
    Case("78f no reason", raw(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", keep=True), same(b"ok", length(b"ok"))),
]  # fmt: skip

FRAMING = [
    Case("79 body longer than its length", raw(head(200, [("Content-Length", "2")]) + b"okSURPLUS"), (*same(b"ok", length(b"ok")), Ours())),
    Case("79b body shorter than its length", raw(head(200, [("Content-Length", "10")]) + b"abc"), (Cut(b"abc"),)),
    Case("79c reset in mid-body", raw(head(200, [("Content-Length", "10")]) + b"abc", Reset()), (Cut(b"abc"),)),
    Case("79d reset before the head", raw(Reset()), (Ours(),)),
    Case("79e close in mid-head", raw(b"HTTP/1.1 200 OK\r\nContent-Le"), (Ours(),)),
    Case("79f reset in mid-head", raw(b"HTTP/1.1 200 OK\r\nContent-Le", Reset()), (Ours(),)),
    Case("79g two lengths", raw(head(200, [("Content-Length", "2"), ("Content-Length", "5")]) + b"hello"), (Ours(),)),
    Case("79h length and chunked", raw(head(200, [("Content-Length", "2"), ("Transfer-Encoding", "chunked")]) + chunk(b"hello") + LAST_CHUNK), (Ours(), Same(200, ((b"Transfer-Encoding", b"chunked"),), b"hello"))),
    Case("79i body ended by close", answer(200, [JSON], b"hello", framing="close"), (Same(200, ((b"Content-Type", b"application/json"),), b"hello"),)),
    Case("80 two answers to one request", raw(head(200, [length(b"ok")]) + b"ok" + head(200, [length(b"evil")]) + b"evil"), same(b"ok", length(b"ok"))),
    Case("84 chunked without terminator", raw(head(200, [("Transfer-Encoding", "chunked")]) + chunk(b"abc")), (Cut(b"abc"),)),
    Case("84b chunked, reset", raw(head(200, [("Transfer-Encoding", "chunked")]) + chunk(b"abc"), Reset()), (Cut(b"abc"),)),
    Case("84c chunked, cut inside a chunk", raw(head(200, [("Transfer-Encoding", "chunked")]) + b"a\r\nabc"), (Cut(b"abc"),)),
    Case("84d chunked, bad size", raw(head(200, [("Transfer-Encoding", "chunked")]) + chunk(b"abc") + b"zz\r\nabc"), (Cut(b"abc"), Ours())),
    Case("84e SSE cut before [DONE]", sse([b"1", b"2"], done=False, cut=Close()), (Cut(b"data: 1\n\ndata: 2\n\n"),)),
    Case("84f SSE reset after [DONE]", sse([b"1"], cut=Reset()), (Cut(b"data: 1\n\ndata: [DONE]\n\n"),)),
    Case("85 trailers", answer(200, (), b"hello", framing="chunked", trailers=[("X-T", "1")]), same(b"hello", ("Transfer-Encoding", "chunked"))),
    Case("85b chunk extensions", raw(head(200, [("Transfer-Encoding", "chunked")]) + chunk(b"hello", b";a=b") + LAST_CHUNK, keep=True), same(b"hello", ("Transfer-Encoding", "chunked"))),
    Case("86 answer before the request is read", raw(ReadBody(1), head(413, [length(b"no"), ("Connection", "close")]), b"no", Await("read on"), read_first=False), same(b"no", length(b"no"), status=413), "POST", b"x" * (4 << 20)),
    Case("86b answer, then close, before the request is read", raw(ReadBody(1), head(413, [length(b"no"), ("Connection", "close")]), b"no", read_first=False), (*same(b"no", length(b"no"), status=413), Ours()), "POST", b"x" * (4 << 20)),
]  # fmt: skip

MANY = tuple((f"X-{n}", "1") for n in range(300))
COOKIES = tuple(("Set-Cookie", f"c{n}=v; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT") for n in range(50))
HEADERS = [
    whole("81 header of 20 KB", b"ok", ("X-Long", "a" * 20_000)),
    whole("81b header of 60 KB", b"ok", ("X-Long", "a" * 60_000)),
    whole("81c 300 headers", b"ok", *MANY),
    Case("81d header of 1 MB", raw(head(200, [("X-Long", "a" * (1 << 20)), length(b"ok")]), b"ok"), (Ours(),)),
    Case("82 \\x01 in a header", raw(head(200, [("X-A", b"a\x01b"), length(b"ok")]), b"ok"), (Ours(),)),
    Case("82b folded header", raw(b"HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 2\r\n\r\nok"), (Ours(), *same(b"ok", ("X-A", "one two"), length(b"ok")))),
    Case("82c CR in a header", raw(head(200, [("X-A", b"a\rb"), length(b"ok")]), b"ok"), (Ours(),)),
    Case("82d bare LF", raw(b"HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 2\n\nok"), (Ours(), *same(b"ok", ("X-A", "1"), length(b"ok")))),
    Case("82e NUL in a header", raw(head(200, [("X-A", b"a\x00b"), length(b"ok")]), b"ok"), (Ours(),)),
    Case("82f space before the colon", raw(b"HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 2\r\n\r\nok"), (Ours(), *same(b"ok", ("X-A", "1"), length(b"ok")))),
    Case("82g bytes that are not UTF-8", raw(head(200, [("X-A", b"caf\xe9"), length(b"ok")]), b"ok"), (Ours(), *same(b"ok", ("X-A", b"caf\xe9"), length(b"ok")))),
    whole("82h UTF-8 in a header", b"ok", ("X-A", "Grüße")),
    whole("82i empty value", b"ok", ("X-A", "")),
    whole("82j odd but valid names", b"ok", ("x!#$%&'*+-.^_`|~9", "1"), ("lower", "1"), ("UPPER", "1"), ("lower", "2")),
    whole("83 fifty cookies", b"ok", *COOKIES),
    whole("83b Date and Server as sent", b"ok", ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Server", "odd/1"), ("Via", "1.1 x")),
    Case("83c hop-by-hop headers", answer(200, [("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("X-End", "1")], b"ok"), same(b"ok", ("X-End", "1"), length(b"ok"))),
]  # fmt: skip

CASES = [*BODIES, *STATUSES, *FRAMING, *HEADERS]
