"""Large bodies: whole at the upstream, whole in the journal, and never whole in the relay's memory.

The rows of ``requests.py`` are held in memory by pytest; these are made one at a time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.records import Side
from tests.fakes.scripts import LAST_CHUNK, Fill, Script, Send, answer, chunk, head
from tests.fakes.upstream import FakeUpstream, split_pattern
from tests.harness.client import request
from tests.harness.records import read_journals
from tests.harness.worker import RelayWorker

MB = 1 << 20
MOST_GROWTH_BYTES = 24 * MB
BOUNDARY = b"c0ffee-and-more"


def json_of(size: int) -> bytes:
    """A chat request of this many bytes, in many messages."""
    message = b'{"role":"user","content":"' + b"hello \\u00e9 " * 1000 + b'"},'
    begin, end = b'{"model":"m","stream":true,"messages":[', b'{"role":"user","content":"%b"}]}'
    count, rest = divmod(size - len(begin) - len(end) + 2, len(message))
    return begin + message * count + end % (b"x" * rest)


def multipart() -> bytes:
    """10,000 parts."""
    part = b'--%b\r\nContent-Disposition: form-data; name="field-%d"\r\n\r\nvalue %d\r\n'
    return b"".join(part % (BOUNDARY, n, n) for n in range(10_000)) + b"--" + BOUNDARY + b"--\r\n"


def image() -> bytes:
    """30 MB of base64 in a message."""
    url = b"data:image/png;base64," + base64.b64encode(bytes(range(256)) * (30 * MB * 3 // 4 // 256))
    part = b'{"type":"image_url","image_url":{"url":"' + url + b'"}}'
    return b'{"model":"m","messages":[{"role":"user","content":[' + part + b"]}]}"


JSON = ("Content-Type", "application/json")
MULTIPART = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY.decode()}")
CASES: dict[str, tuple[tuple[str, str], Callable[[], bytes]]] = {
    "50 50 MB of JSON": (JSON, lambda: json_of(50 * MB)),
    "50b 100 MB of JSON": (JSON, lambda: json_of(100 * MB)),
    "58 multipart with 10,000 parts": (MULTIPART, multipart),
    "59 base64 image of 30 MB": (JSON, image),
}


@pytest.fixture(scope="module")
def injecting(shared_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayWorker]:
    """A relay that looks into requests, as far as it does at all."""
    config = f'[[upstreams]]\nname = "up"\nbase = "{shared_upstream.url}"\ninject_usage = true\n'
    with RelayWorker(tmp_path_factory.mktemp("large"), "", config=config) as relay:
        yield relay


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", CASES)
def test_a_large_request_is_passed_on_whole_in_little_memory(
    name: str, framing: str, injecting: RelayWorker, upstream: FakeUpstream
) -> None:
    """…also where streams are asked for usage, which none of these is: each is too large, or no stream."""
    kind, build = CASES[name]
    body = build()
    path = "/v1/chat/completions"
    upstream.script(path, answer(200, body=b"ok"))
    injecting.ask(request("GET", "/up/warm"))
    before = injecting.rss_bytes("relay-0")
    with injecting.connect(timeout_s=120) as client:
        if framing == "length":
            client.send(request("POST", f"/up{path}", [kind, ("Content-Length", str(len(body)))]))
            client.send(body)
        else:
            client.send(request("POST", f"/up{path}", [kind, ("Transfer-Encoding", "chunked")]))
            for at in range(0, len(body), 3 * MB):
                client.send(chunk(body[at : at + 3 * MB]))
            client.send(LAST_CHUNK)
        got = client.answer("POST")
    grown = injecting.rss_bytes("relay-0") - before
    assert (got.status, got.body) == (200, b"ok")
    seen = upstream.requests[-1]
    assert (len(seen.body), seen.framing, seen.whole) == (len(body), framing, True)
    assert digest(seen.body) == digest(body)
    held = 3 * 16 * MB if framing == "chunked" and kind == JSON else 0  # to see whether it ends within the bound
    assert grown < MOST_GROWTH_BYTES + held, f"{grown / MB:.0f} MB for {len(body) / MB:.0f} MB"


def test_100_mb_are_recorded_whole_both_ways(tmp_path: Path, own_upstream: FakeUpstream) -> None:
    body, size = json_of(100 * MB), 100 * MB
    fill = (Send(head(200, [("Transfer-Encoding", "chunked")])), Fill(size, chunked=True), Send(LAST_CHUNK))
    own_upstream.script("/large", Script(fill))
    with RelayWorker(tmp_path, own_upstream.url) as relay:
        with relay.connect(timeout_s=120) as client:
            got = client.ask(request("POST", "/large", [JSON], body))
        assert relay.rss_bytes("relay-0") < 100 * MB
    answered = digest(*split_pattern(size))
    assert (got.whole, digest(got.body)) == (True, answered)
    call = read_journals(relay.data).calls[got.call_id or ""]
    assert call.whole
    assert digest(call.bodies[Side.REQUEST]) == digest(body)
    assert digest(call.bodies[Side.RESPONSE]) == answered


def digest(*pieces: bytes | bytearray) -> str:
    whole = hashlib.sha256()
    for piece in pieces:
        whole.update(piece)
    return whole.hexdigest()
