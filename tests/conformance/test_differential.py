"""Both engines make the same of what a client sends and an upstream answers, sound or damaged.

Seeded: a failure is repeated by its seed. ``LLMTAP_TEST_TALKS`` asks for more than the slice of ``make test``,
``LLMTAP_TEST_TALKS_FROM`` for other seeds.
"""

# ruff: noqa: E501  (tables)

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fakes.scripts import Await, Reset, Script, Send, chunk, head
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import Answer, RawClient, request
from tests.harness.eventually import eventually
from tests.harness.worker import RelayWorker

from .differential import Side, compare, perform
from .plain import State, answer_in, requests_in
from .talks import talk

TALKS = int(os.environ.get("LLMTAP_TEST_TALKS", "400"))
FIRST = int(os.environ.get("LLMTAP_TEST_TALKS_FROM", "0"))
BATCHES = 4  #: for workers that share the tests


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    """The slow and the fast engine, each with an upstream of its own."""
    directories = [tmp_path_factory.mktemp(engine) for engine in ("aiohttp", "fast")]
    with (
        FakeUpstream() as behind_slow,
        FakeUpstream() as behind_fast,
        RelayWorker(directories[0], behind_slow.url, engine="aiohttp") as slow,
        RelayWorker(directories[1], behind_fast.url, engine="fast") as fast,
    ):
        yield Side(slow, behind_slow), Side(fast, behind_fast)


@pytest.mark.timeout(180 + TALKS)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_both_engines_make_the_same_of_it(batch: int, sides: tuple[Side, Side]) -> None:
    found: dict[int, list[str]] = {}
    passing = 0
    for seed in range(FIRST + batch, FIRST + TALKS, BATCHES):
        first = differences(seed, sides)
        again = differences(seed, sides) if first else []
        passing += bool(first) and not again  # a pooled connection ended just as it was taken
        if again:
            found[seed] = again
    assert not found, "\n".join(f"seed {seed}: {line}" for seed, lines in found.items() for line in lines)
    assert passing <= 1 + TALKS // 1000


def differences(seed: int, sides: tuple[Side, Side]) -> list[str]:
    """What the two make differently of a talk."""
    each = talk(seed)
    found = compare(each, *(perform(each, side) for side in sides))
    return [each.kind + ", pipelined" * each.pipelined, *found] if found else []


def read_on(client: RawClient, side: Side) -> Answer:
    """An answer whose rest the upstream sends when the first of it has come."""
    client.send(request("GET", "/t"))
    got = client.head()
    client.body_piece(got)
    side.upstream.open("go on")
    while client.body_piece(got):
        pass
    return got


@pytest.mark.parametrize("engine", [0, 1], ids=["slow", "fast"])
@pytest.mark.parametrize("bad", [b"zz\r\nabc\r\n", b"3\r\nabcd\r\n", b"-1\r\n"])
def test_an_answer_whose_framing_turns_bad_is_cut(bad: bytes, engine: int, sides: tuple[Side, Side]) -> None:
    """Nobody waits for the rest of it."""
    side = sides[engine]
    side.upstream.forget()
    begun = head(200, [("Transfer-Encoding", "chunked")]) + chunk(b"hello")
    side.upstream.script("/t", Script((Send(begun), Await("go on"), Send(bad)), keep=False))
    with side.relay.connect(timeout_s=10) as client:
        got = read_on(client, side)
    assert (got.body[:5], got.whole) == (b"hello", False)


@pytest.mark.parametrize("engine", [0, 1], ids=["slow", "fast"])
def test_a_request_whose_framing_turns_bad_is_refused(engine: int, sides: tuple[Side, Side]) -> None:
    """And the upstream does not wait for the rest of it."""
    side = sides[engine]
    side.upstream.forget()
    with side.relay.connect(timeout_s=10) as client:
        client.send(request("POST", "/t", [("Transfer-Encoding", "chunked")]) + chunk(b"hello"))
        eventually(lambda: side.upstream.requests and side.upstream.requests[0].headers, "the upstream has the head")
        client.send(b"zz\r\nabc\r\n")
        assert client.answer("POST").status == 400
    eventually(lambda: side.upstream.requests[0].closed_at, "the relay gives up the half request")
    assert not side.upstream.requests[0].whole


@pytest.mark.parametrize("engine", [0, 1], ids=["slow", "fast"])
def test_an_answer_that_ends_with_a_broken_connection_is_cut(engine: int, sides: tuple[Side, Side]) -> None:
    side = sides[engine]
    side.upstream.forget()
    steps = (Send(head(200, [("Connection", "close")]) + b"hello"), Await("go on"), Reset())
    side.upstream.script("/t", Script(steps, keep=False))
    with side.relay.connect(timeout_s=10) as client:
        got = read_on(client, side)
    assert (got.body, got.whole) == (b"hello", False)


def test_the_talks_are_of_all_kinds() -> None:
    """What is sound is whole to the plain readers, and damage damages."""
    talks = [talk(seed) for seed in range(400)]
    for each in talks:
        for turn in each.turns[:-1] if each.kind != "sound" else each.turns:
            sent = requests_in(turn.request)
            assert (len(sent.whole), sent.tail) == (1, None)
            assert answer_in(turn.answer, turn.method).state is State.WHOLE
    ends = {(each.kind, answer_in(each.turns[-1].answer, each.turns[-1].method).state) for each in talks}
    assert {("damaged answer", state) for state in State} | {("cut answer", State.CUT)} <= ends
    tails = {requests_in(each.turns[-1].request).tail for each in talks if each.kind == "damaged request"}
    assert tails == {None, State.CUT, State.BAD}


@pytest.mark.parametrize(
    ("data", "state", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", State.WHOLE, b"abc"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", State.CUT, b"ab"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", State.WHOLE, b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz", State.CUT, b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n", State.BAD, b"abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc", State.WHOLE, b"abc"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", State.BAD, b""),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", State.BAD, b""),
        (b"HTTP/1.1 200 O", State.CUT, b""),
        (b"", State.CUT, b""),
    ],
)  # fmt: skip
def test_the_plain_reader(data: bytes, state: State, body: bytes) -> None:
    read = answer_in(data, "GET")
    assert (read.state, read.body) == (state, body)
