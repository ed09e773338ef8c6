"""The test bed itself: its upstream is strict, its client tells a cut from an end, its proxy spoils as told."""

from __future__ import annotations

import pytest

from tests.harness.client import RawClient, ask, chunked_request, request
from tests.harness.eventually import eventually

from .scripts import Close, Reset, Script, Send, Stall, answer, head, sse
from .toxic import Toxic, Toxics
from .upstream import FakeUpstream

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
BAD = {
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "length and chunked": CHUNKED + b"Content-Length: 1\r\n\r\n0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "absolute form": b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
    "chunk size": CHUNKED + b"\r\n0x1\r\na\r\n0\r\n\r\n",
    "surplus": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nabc",
    "TLS": b"\x16\x03\x01\x00\x05hello",
}
ENDINGS = {
    "whole": (answer(200, body=b"abc"), True),
    "chunked": (answer(200, body=b"abc", framing="chunked", sizes=(1,)), True),
    "ended by close": (answer(200, body=b"abc", framing="close"), True),
    "short of its length": (Script((Send(head(200, [("Content-Length", "9")]) + b"abc"), Close())), False),
    "reset": (Script((Send(head(200, [("Content-Length", "9")]) + b"abc"), Reset())), False),
    "no last chunk": (sse([b"1"], done=False, cut=Close()), False),
    "nothing": (Script((Close(),)), False),
}


@pytest.mark.parametrize("name", BAD)
def test_the_upstream_is_strict(name: str) -> None:
    with FakeUpstream() as upstream:
        ask(upstream.port, BAD[name])
        eventually(lambda: upstream.violations, "the violation is noticed")


@pytest.mark.parametrize("name", ENDINGS)
def test_the_client_tells_a_cut_from_an_end(name: str) -> None:
    script, whole = ENDINGS[name]
    with FakeUpstream() as upstream:
        upstream.script("/t", script)
        got = ask(upstream.port, request("GET", "/t"))
        assert got.whole == whole
        assert upstream.violations == []


def test_the_upstream_keeps_exact_bytes_and_notices_a_hangup() -> None:
    with FakeUpstream() as upstream:
        upstream.script("/t", Script((Stall(),)))
        with RawClient(upstream.port) as client:
            client.send(chunked_request("POST", "/t?a=%2F", [("x-ODD", "1"), ("x-odd", "2")], [b"he", b"llo"]))
            eventually(lambda: upstream.requests and upstream.requests[0].whole, "the request is whole")
            assert not upstream.requests[0].closed_at
        seen = upstream.requests[0]
        eventually(lambda: seen.left_early, "the hang-up is noticed")
        assert (seen.target, bytes(seen.body), seen.framing) == (b"/t?a=%2F", b"hello", "chunked")
        assert seen.headers[1:3] == [(b"x-ODD", b"1"), (b"x-odd", b"2")]


def test_the_toxic_proxy_cuts_where_told() -> None:
    with FakeUpstream() as upstream:
        upstream.script("/t", answer(200, body=b"x" * 1000))
        whole = len(head(200, [("Content-Length", "1000")])) + 1000
        with Toxic(upstream.port, down=Toxics(slice_bytes=10, limit_bytes=whole - 5, reset=True)) as toxic:
            got = ask(toxic.port, request("GET", "/t"))
        assert (len(got.body), got.whole) == (995, False)


async def test_the_upstream_works_inside_a_loop_too() -> None:
    import asyncio

    async with FakeUpstream() as upstream:
        got = await asyncio.to_thread(ask, upstream.port, request("POST", "/echo", (), b"hello"))
    assert got.body == b"hello"
