"""Random exchanges: what a client sends, what the upstream answers, and whether both arrived unchanged.

Everything follows from one integer, so a failure is repeated by its seed. Both sides keep to
HTTP; the malformed is in ``tests/conformance``.
"""

from __future__ import annotations

import gzip
import random
import string

import brotli
from msgspec import Struct

from tests.fakes.scripts import Script, answer
from tests.fakes.upstream import FakeUpstream
from tests.fakes.wire import Seen
from tests.harness.client import Answer, RawClient, request

Pairs = list[tuple[bytes, bytes]]
NAME = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
VALUE = string.ascii_letters + string.digits + ' \t;,=()<>@:\\"/[]?{}' + "äöü漢🎉"
TARGET = string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/%"
SIZES = (0, 1, 17, 1000, 16_383, 16_384, 65_536, 300_000)
STATUSES = (200, 200, 200, 201, 204, 206, 302, 304, 400, 404, 429, 500, 503)
METHODS = ("GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "QUERY")


class Exchange(Struct, frozen=True):
    """One exchange, both halves."""

    seed: int
    method: str
    target: str
    request_headers: tuple[tuple[bytes, bytes], ...]
    request_body: bytes | None
    request_pieces: tuple[bytes, ...] | None  #: sent chunked, in these chunks
    status: int
    response_headers: tuple[tuple[bytes, bytes], ...]
    response_body: bytes
    framing: str
    sizes: tuple[int, ...]


def exchange(seed: int, max_bytes: int = 300_000) -> Exchange:
    """The exchange of this seed; bodies up to ``max_bytes``."""
    rng = random.Random(seed)
    method = rng.choice(METHODS)
    body = None if method in ("GET", "HEAD", "OPTIONS") and rng.random() < 0.9 else _body(rng, max_bytes)
    headers, body = _encoded(rng, _headers(rng), body)
    status = rng.choice(STATUSES)
    answered = b"" if status in (204, 304) else _body(rng, max_bytes)
    response_headers, answered = _encoded(rng, _headers(rng), answered)
    return Exchange(
        seed=seed,
        method=method,
        target=_target(rng, seed),
        request_headers=tuple(headers),
        request_body=body,
        request_pieces=tuple(_pieces(rng, body)) if body is not None and rng.random() < 0.3 else None,
        status=status,
        response_headers=tuple(response_headers),
        response_body=answered or b"",
        framing=rng.choice(("length", "length", "chunked", "close")),
        sizes=(*(rng.randint(1, 5000) for _ in range(rng.randint(0, 20))), 65_536),
    )  # fmt: skip


def _target(rng: random.Random, seed: int) -> str:
    query = rng.choice(("", "?", "?" + _text(rng, TARGET + "?", 80).replace("%", "%2F")))
    return f"/x{seed}/" + _text(rng, TARGET, 60).replace("%", "%2e") + query


def _text(rng: random.Random, alphabet: str, longest: int) -> str:
    return "".join(rng.choices(alphabet, k=rng.randint(0, longest)))


def _body(rng: random.Random, max_bytes: int) -> bytes:
    size = min(rng.choice((*SIZES, rng.randint(0, max_bytes), max_bytes if rng.random() < 0.1 else 50)), max_bytes)
    return rng.choice((rng.randbytes, lambda n: (b"data: {}\n\n" * (n // 10 + 1))[:n]))(size)


def _headers(rng: random.Random) -> Pairs:
    pairs: Pairs = []
    for _ in range(rng.randint(0, 12)):
        name = "x-" + _text(rng, NAME, 30)
        longest = rng.choice((0, 10, 100, 20_000 if rng.random() < 0.1 else 5))
        pairs.append(
            (rng.choice((name, name.title(), name.upper())).encode(), _text(rng, VALUE, longest).strip(" \t").encode())
        )
    if pairs and rng.random() < 0.3:
        pairs += [rng.choice(pairs) for _ in range(3)]
    if rng.random() < 0.5:
        pairs.insert(0, (b"Content-Type", rng.choice((b"application/json", b"text/event-stream", b"x/y; a=b"))))
    return pairs


def _encoded(rng: random.Random, pairs: Pairs, body: bytes | None) -> tuple[Pairs, bytes | None]:
    if not body or rng.random() < 0.6:
        return pairs, body
    coding, code = rng.choice(
        ((b"gzip", lambda b: gzip.compress(b, 1, mtime=0)), (b"br", lambda b: brotli.compress(b, quality=1)))
    )
    return [*pairs, (b"Content-Encoding", coding)], code(body)


def _pieces(rng: random.Random, body: bytes) -> list[bytes]:
    pieces, at = [], 0
    while at < len(body):
        size = rng.randint(1, max(1, len(body) // 3))
        pieces.append(body[at : at + size])
        at += size
    return pieces


# --- doing it ------------------------------------------------------------------------------------


def script(each: Exchange) -> Script:
    """What the upstream answers; when it is going to close, it says so, as nobody could know otherwise."""
    return answer(
        each.status,
        [*each.response_headers, *([("Connection", "close")] if each.framing == "close" else [])],
        each.response_body,
        framing=each.framing,  # type: ignore[arg-type]
        sizes=each.sizes,
        method=each.method,
    )


def raw(each: Exchange) -> bytes:
    """What the client sends."""
    if each.request_pieces is None:
        return request(each.method, each.target, each.request_headers, each.request_body)
    head = request(each.method, each.target, [*each.request_headers, ("Transfer-Encoding", "chunked")])
    return head + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in each.request_pieces) + b"0\r\n\r\n"


def perform(each: Exchange, client: RawClient, upstream: FakeUpstream) -> tuple[Answer, Seen]:
    """Send it through; what the client got and what the upstream saw."""
    path = each.target.partition("?")[0]
    upstream.script(path, script(each))
    got = client.ask(raw(each), each.method)
    seen = [seen for seen in upstream.requests if seen.path == path]
    assert len(seen) == 1, f"seed {each.seed}: {len(seen)} requests upstream, {got.status} {bytes(got.body[:300])!r}"
    return got, seen[0]


HOP = {b"host", b"connection", b"transfer-encoding", b"content-length", b"x-llmtap-call-id"}


def differences(each: Exchange, got: Answer, seen: Seen) -> list[str]:
    """Every way in which the two sides differ beyond the published exceptions."""
    facts = {
        "method": (each.method.encode(), seen.method),
        "target": (each.target.encode(), seen.target),
        "request headers": (_end_to_end(each.request_headers), _end_to_end(seen.headers)),
        "request body": (each.request_body or b"", bytes(seen.body)),
        "request whole": (True, seen.whole),
        "status": (each.status, got.status),
        "response headers": (_end_to_end(each.response_headers), _end_to_end(got.headers)),
        "response body": (b"" if each.method == "HEAD" else each.response_body, bytes(got.body)),
        "response whole": (True, got.whole),
        "length told": (_told_length(each), got.value("content-length")),
    }
    return [f"{name}: {_short(sent)} became {_short(came)}" for name, (sent, came) in facts.items() if sent != came]


def _told_length(each: Exchange) -> bytes | None:
    told = each.framing == "length" and each.status not in (204, 304)
    return b"%d" % len(each.response_body) if told else None


def _end_to_end(pairs: object) -> Pairs:
    return [(name, value) for name, value in pairs if name.lower() not in HOP]  # type: ignore[attr-defined]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 300 else f"{text[:140]}…{text[-140:]} ({len(text)})"
