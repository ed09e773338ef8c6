"""One seed: what a client sends over one connection, and what the upstream answers to each request of it.

Most of it is HTTP as it should be, in all its oddity. The last turn of a talk may be damaged: the bytes
of the request, or those of the answer, or both sides' sense of when to stop.
"""

# ruff: noqa: E501  (tables)

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

from msgspec import Struct

from tests.fakes.scripts import Close, Pause, ReadBody, Reset, Script, Send, Step, chunk, split
from tests.relay.exchanges import NAME, TARGET, Pairs

METHODS = (
    "GET",
    "GET",
    "POST",
    "POST",
    "POST",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "HEAD",
    "QUERY",
    "PROPFIND",
)
STATUSES = (200, 200, 200, 200, 201, 204, 206, 302, 304, 400, 404, 413, 429, 500, 503, 529)
SIZES = (0, 1, 2, 17, 100, 1000, 5000)
LONG_SIZES = (16_384, 40_000, 65_536, 100_000)
_ONE_READ_BYTES = 30_000
ASCII_VALUE = NAME + ' \t;,=()<>@:\\"/[]?{}'
#: What damage puts in: pieces that parsers have read differently before.
TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b",", b";", b"\x00", b"\x01", b"\x0b", b"\x7f", b"\xff", b"\xc3\xa4",
    b"0", b"1", b"-", b"+", b"0x", b"_", b"#", b"?", b"%", b"/", b"//", b"\\", b"@", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0",
    b"chunked", b"identity", b"gzip, ", b"close", b"keep-alive", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n", b"Connection: X-A, te\r\n",
    b"Host: b\r\n", b"X-A: 1\r\n", b" folded\r\n", b"X-B : 1\r\n", b": empty\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n", b"3;a=b\r\nabc\r\n",
    b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"GET /other HTTP/1.1\r\nHost: b\r\n\r\n", b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n", b"Trailer: X-T\r\n", b"Keep-Alive: 1\r\n",
)  # fmt: skip


class Turn(Struct, frozen=True):
    """One request and the script of its answer; ``answer``: the bytes that the script writes."""

    method: str
    request: bytes
    answer: bytes
    script: Script
    later: bytes = b""  #: the rest of the request, which is sent once the answer is there
    broken: bool = False  #: the upstream ends the connection with a reset

    @property
    def path(self) -> str:
        """The target without its query, as sent."""
        target = self.request.partition(b" ")[2].partition(b" ")[0]
        return target.partition(b"?")[0].decode("latin-1")


class Talk(Struct, frozen=True):
    """The turns on one connection. ``cuts``: where the client's bytes are divided, of each send."""

    seed: int
    kind: str
    turns: tuple[Turn, ...]
    pipelined: bool
    cuts: tuple[float, ...]


def talk(seed: int) -> Talk:
    """The talk of this seed."""
    rng = random.Random(seed)
    kind, ending = rng.choice(ENDINGS)
    before = rng.choice((0, 0, 1, 2, 4))
    turns = [sound(rng, f"/x{seed}-{number}") for number in range(before)]
    last = ending(rng, f"/x{seed}-{before}")
    return Talk(
        seed=seed,
        kind=kind,
        turns=(*turns, last),
        pipelined=not last.later and rng.random() < 0.3,
        cuts=tuple(sorted(rng.random() for _ in range(rng.choice((0, 0, 1, 2, 5, 20))))),
    )


def pieces(data: bytes, cuts: tuple[float, ...]) -> list[bytes]:
    """``data``, divided at these fractions of it."""
    places = [0, *(int(len(data) * cut) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places) if a < b]


# --- last turns ------------------------------------------------------------------------------------


def sound(rng: random.Random, path: str) -> Turn:
    """Nothing is wrong with it."""
    method = rng.choice(METHODS)
    answer, closes = answer_bytes(rng, method)
    return Turn(method, request_bytes(rng, method, path), answer, script(rng, answer, closes=closes))


def damaged_request(rng: random.Random, path: str) -> Turn:
    turn = sound(rng, path)
    while turn.method == "HEAD":  # of whose answer another method would expect more
        turn = sound(rng, path)
    return Turn(turn.method, damaged(rng, turn.request), turn.answer, turn.script)


def damaged_answer(rng: random.Random, path: str) -> Turn:
    method = rng.choice(METHODS)
    answer = damaged(rng, answer_bytes(rng, method)[0])
    return Turn(method, request_bytes(rng, method, path), answer, script(rng, answer, closes=True))


def cut_answer(rng: random.Random, path: str) -> Turn:
    method, broken = rng.choice(METHODS), rng.random() < 0.5
    answer = answer_bytes(rng, method)[0]
    answer = answer[: rng.randrange(len(answer))]
    end = Reset() if broken else Close()
    steps = (*script(rng, answer, closes=False).steps, end)
    return Turn(method, request_bytes(rng, method, path), answer, Script(steps, keep=False), broken=broken)


def surplus(rng: random.Random, path: str) -> Turn:
    """More comes than was asked for."""
    method = rng.choice(METHODS)
    more = rng.choice((b"x", b"\r\n", rng.randbytes(50), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    answer = answer_bytes(rng, method)[0]
    while len(answer) > _ONE_READ_BYTES:  # what comes when the next call has begun can only be taken for its answer
        answer = answer_bytes(rng, method)[0]
    answer += more
    return Turn(method, request_bytes(rng, method, path), answer, Script((Send(answer), Close()), keep=False))


def early_answer(rng: random.Random, path: str) -> Turn:
    """The upstream answers, and closes, having read a part of the request."""
    body = rng.randbytes(rng.randint(10, 5000))
    method = rng.choice(("POST", "PUT", "PATCH"))
    request = head_bytes(method, path, [*headers(rng, rng.random() < 0.1), (b"Content-Length", b"%d" % len(body))])
    at = rng.randint(1, len(body) - 1)
    answered = rng.randbytes(rng.choice(SIZES))
    lines = [*headers(rng, False), (b"Connection", b"close"), (b"Content-Length", b"%d" % len(answered))]
    answer = status_bytes(rng, rng.choice((200, 400, 413, 429)), lines) + answered
    steps = (ReadBody(at), *script(rng, answer, closes=True).steps)
    return Turn(method, request + body[:at], answer, Script(steps, read_first=False, keep=False), later=body[at:])


def garbage(rng: random.Random, path: str) -> Turn:
    method = rng.choice(METHODS)
    answer = rng.choice(
        (b"", rng.randbytes(rng.randint(1, 300)), b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + rng.randbytes(50))
    )
    return Turn(method, request_bytes(rng, method, path), answer, script(rng, answer, closes=True))


ENDINGS: tuple[tuple[str, Callable[[random.Random, str], Turn]], ...] = (
    ("sound", sound),
    ("sound", sound),
    ("sound", sound),
    ("damaged request", damaged_request),
    ("damaged request", damaged_request),
    ("damaged request", damaged_request),
    ("damaged answer", damaged_answer),
    ("damaged answer", damaged_answer),
    ("cut answer", cut_answer),
    ("surplus", surplus),
    ("early answer", early_answer),
    ("garbage", garbage),
)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """One to three harms, mostly where the head is."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        head = data.find(b"\r\n\r\n") + 4
        at = rng.randrange((head if head > 4 and rng.random() < 0.8 else len(data)) or 1)
        if rng.random() < 0.4:  # at the edge of a line
            at = min(len(data), max(0, data.find(b"\r\n", at)) + rng.choice((0, 1, 2)))
        size = rng.choice((0, 0, 0, 1, 1, 2, 5, 30))
        data = (
            data[:at] + rng.choice((rng.choice(TOKENS), rng.choice(TOKENS), rng.randbytes(1), b"")) + data[at + size :]
        )
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data


# --- messages ---------------------------------------------------------------------------------------


def request_bytes(rng: random.Random, method: str, path: str) -> bytes:
    """A request as HTTP allows it."""
    lines = headers(rng, odd=rng.random() < 0.2)
    lines += rng.sample(REQUEST_LINES, rng.choice((0, 0, 0, 1, 2)))
    if rng.random() < 0.05:
        lines.append((b"Connection", rng.choice((b"close", b"Close, X-Hop"))))
    target = (
        path
        + rng.choice(("", "/" + _text(rng, TARGET, 60)))
        + rng.choice(("", "?", "?" + _text(rng, TARGET + '?"<>^`{|}', 80)))
    )
    without_body = method in ("GET", "HEAD", "OPTIONS") and rng.random() < 0.9
    if without_body or rng.random() < 0.1:
        return head_bytes(method, target, lines)
    body = _body(rng)
    if rng.random() < 0.25:
        place = rng.randint(0, len(lines))
        lines.insert(place, (b"Transfer-Encoding", rng.choice((b"chunked", b"chunked", b"Chunked"))))
        return head_bytes(method, target, lines) + _chunked(rng, body)
    lines.insert(rng.randint(0, len(lines)), (rng.choice((b"Content-Length", b"content-length")), b"%d" % len(body)))
    return head_bytes(method, target, lines) + body


REQUEST_LINES: Pairs = [
    (b"Connection", b"keep-alive"), (b"Connection", b"X-Hop, keep-alive"), (b"X-Hop", b"1"), (b"TE", b"trailers"),
    (b"Keep-Alive", b"timeout=5"), (b"Proxy-Connection", b"keep-alive"), (b"Proxy-Authorization", b"Basic eA=="),
    (b"Expect", b"100-continue"), (b"Trailer", b"X-T"), (b"Upgrade", b"h2c"), (b"Accept-Encoding", b"gzip, br"),
    (b"Authorization", b"Bearer sk-1"), (b"anthropic-version", b"2023-06-01"), (b"X-Llmtap-Meta-Team", b"blue"),
    (b"X-Llmtap-No-Log", b"1"), (b"Content-Type", b"application/json"), (b"Cookie", b"a=b; c=d"), (b"User-Agent", b"u/1 (x)"),
    (b"Range", b"bytes=0-5"), (b"If-None-Match", b'"a"'), (b"Via", b"1.1 a"), (b"X-Forwarded-For", b"10.0.0.1"),
]  # fmt: skip


def head_bytes(method: str, target: str, lines: Pairs) -> bytes:
    first = f"{method} {target} HTTP/1.1\r\nHost: relay\r\n".encode()
    return first + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n"


def answer_bytes(rng: random.Random, method: str) -> tuple[bytes, bool]:
    """An answer as HTTP allows it; whether the connection ends with it."""
    status = rng.choice(STATUSES)
    lines = headers(rng, odd=rng.random() < 0.2)
    lines += rng.sample(ANSWER_LINES, rng.choice((0, 0, 1, 2)))
    interim = b"".join(rng.choice(INTERIM) for _ in range(rng.choice((0, 0, 0, 0, 1, 3))))
    body, framing = _body(rng), rng.choice(("length", "length", "chunked", "chunked", "close"))
    if status in (204, 304):
        return interim + status_bytes(rng, status, lines), False
    closes = framing == "close" or rng.random() < 0.05
    if closes:
        lines.append((b"Connection", b"close"))
    if framing == "length":
        lines.insert(rng.randint(0, len(lines)), (b"Content-Length", b"%d" % len(body)))
    elif framing == "chunked":
        lines.insert(rng.randint(0, len(lines)), (b"Transfer-Encoding", b"chunked"))
    head = interim + status_bytes(rng, status, lines)
    if method == "HEAD":
        return head, closes
    return head + (_chunked(rng, body) if framing == "chunked" else body), closes


ANSWER_LINES: Pairs = [
    (b"Connection", b"keep-alive"), (b"Connection", b"keep-alive, X-Hop"), (b"X-Hop", b"1"), (b"Keep-Alive", b"timeout=5"),
    (b"Content-Type", b"text/event-stream"), (b"Content-Type", b"application/json; charset=utf-8"), (b"Content-Encoding", b"gzip"),
    (b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"Server", b"odd/1"), (b"Set-Cookie", b"a=b; Path=/"), (b"Set-Cookie", b"c=d"),
    (b"ETag", b'"a"'), (b"Location", b"http://169.254.169.254/"), (b"Trailer", b"X-T"), (b"Proxy-Authenticate", b"Basic"),
    (b"Retry-After", b"3"), (b"WWW-Authenticate", b"Basic"), (b"Alt-Svc", b'h3=":443"'), (b"Upgrade", b"h2c"),
]  # fmt: skip
INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n",
)


def status_bytes(rng: random.Random, status: int, lines: Pairs) -> bytes:
    reason = rng.choice((b"OK", b"OK", b"Fine With Me", b"", "schön".encode()))
    return b"HTTP/1.1 %d %b\r\n" % (status, reason) + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n"


def headers(rng: random.Random, odd: bool) -> Pairs:
    """Header lines without meaning; ``odd``: with bytes above 127 too."""
    alphabet = ASCII_VALUE + "äö漢🎉" if odd else ASCII_VALUE
    lines: Pairs = []
    for _ in range(rng.choice((0, 1, 2, 5, 12))):
        name = "x" + _text(rng, NAME, 20)
        value = _text(rng, alphabet, rng.choice((0, 10, 100, 5000 if rng.random() < 0.1 else 5))).strip(" \t")
        lines.append((rng.choice((name, name.title(), name.upper())).encode(), value.encode()))
    if lines and rng.random() < 0.2:
        lines.append(rng.choice(lines))
    if odd and rng.random() < 0.1:
        lines.append((b"x-latin", b"caf\xe9"))
    return [
        (name, rng.choice((b"", b"", b" ", b"\t")) + value + rng.choice((b"", b"", b" \t"))) for name, value in lines
    ]


def script(rng: random.Random, answer: bytes, *, closes: bool) -> Script:
    """Write these bytes, in one piece or several, some of them apart in time."""
    steps: list[Step] = []
    if rng.random() < 0.5:
        steps.append(Send(answer))
    elif rng.random() < 0.7:
        steps.append(Send(answer, (*(rng.choice((1, 3, 10, 100, 3000)) for _ in range(10)), 20_000)))
    else:
        for piece in split(answer, (len(answer) // 4 + 1,)):
            steps += [Pause(0.001), Send(piece)]
    return Script((*steps, Close()) if closes else tuple(steps), keep=not closes)


def _body(rng: random.Random) -> bytes:
    size = rng.choice(LONG_SIZES) if rng.random() < 0.05 else rng.choice(SIZES)
    return rng.choice((rng.randbytes, lambda n: (b"data: {}\r\n\r\n" * (n // 12 + 1))[:n]))(size)


def _chunked(rng: random.Random, body: bytes) -> bytes:
    out, at, most = b"", 0, rng.choice((7, 1000, 100_000))
    most = max(most, len(body) // 200)
    while at < len(body):
        size = rng.randint(1, most)
        out += chunk(body[at : at + size], rng.choice((b"", b"", b"", b";a=b", b';q="x y"', b";z")))
        at += size
    trailers = rng.choice((b"", b"", b"", b"X-T: 1\r\n", b"X-T: 1\r\nX-U: a b\r\n"))
    return out + rng.choice((b"0", b"000")) + b"\r\n" + trailers + b"\r\n"


def _text(rng: random.Random, alphabet: str, longest: int) -> str:
    return "".join(rng.choices(alphabet, k=rng.randint(0, longest)))
