"""Golden cases, damaged: whatever comes of them, a dialect gives a ``Parsed`` that can be stored."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec

from proxy.dialects.base import Bodies
from proxy.records import Parsed, evolve

from .golden import Case, as_json, parse

FRAGMENTS = [
    b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud800", b"null", b"NaN", b"-1", b"1e999", b"99999999999999999999", b"true",
    b"{}", b'""', b"\n", b"\r", b"\n\n", b"data: ", b"data: [DONE]\n\n", b"event: error\n", b"\xff", b"\x00",
    b'"choices":', b'"index":"x"', b'"delta":7', b'"usage":[]', b'"error":1', b'"tool_calls":[[]]', b'"content":{}',
    b'"parts":{}', b'"candidates":[[]]', b'"usageMetadata":[]', b'"args":[', b'"message":7', b'"done":true', b"\n]",
    b"[" * 2000, b"9" * 400, b"9" * 5000,
]  # fmt: skip


def trial(cases: list[Case], seeded: random.Random) -> Parsed:
    """Damage one of the cases, read it, and check what must hold of anything that was read."""
    parsed = parse(_mutated(seeded.choice(cases).bodies, seeded))
    check(parsed)
    return parsed


def check(parsed: Parsed) -> None:
    """It can be written; its numbers are counts; its notes are few."""
    as_json(parsed).decode()
    counts: list[Any] = [parsed.results, parsed.upstream_us, parsed.cost_nano_usd, parsed.first_content_offset]
    if parsed.usage:
        usage = msgspec.structs.asdict(parsed.usage)
        counts += [*usage.pop("requests").values(), *usage.values()]
    assert all(count is None or (type(count) is int and 0 <= count < 1 << 63) for count in counts)
    assert len(parsed.notes) <= 40


def _mutated(bodies: Bodies, seeded: random.Random) -> Bodies:
    request, response = (b"".join(_damaged(body, seeded)) for body in (bodies.request, bodies.response))
    return evolve(bodies, request=request, response=response)


def _damaged(body: bytes, seeded: random.Random) -> Iterator[bytes]:
    """The body with up to four bytes changed, dropped, doubled, or replaced by something awkward."""
    places = sorted(seeded.randrange(len(body) + 1) for _ in range(seeded.randrange(5)))
    start = 0
    for place in places:
        yield body[start:place]
        yield seeded.choice([b"", seeded.randbytes(1), body[place : place + 20] * 2, seeded.choice(FRAGMENTS)])
        start = place + seeded.choice([0, 1, 1, 5])
    yield body[start:]
