"""The same talk through two relays: what each client got, what each upstream saw, and how they may differ.

``perform`` does a talk and waits for its traces, ``compare`` decides without I/O. What is excused, and
nothing else:

- interim answers and trailers, which aiohttp does not pass on, and the boundaries of chunks;
- a head with bytes that are not UTF-8, which only the fast path can pass on;
- whole requests that come in one read with a bad one behind, or with anything behind one that says close:
  aiohttp drops them;
- how an answer that is no HTTP, or breaks off, is told to the client: by our 502, or by the end of the
  connection behind what had been passed on; and of damaged answers, that one of the two takes them;
- that an answer which came before the request's end closes the connection: the fast path says so, aiohttp does it;
- the words of our own answers, and whether a client that is at fault itself is told so.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from itertools import zip_longest

import msgspec
from msgspec import Struct

from tests.fakes.scripts import Script, answer
from tests.fakes.upstream import FakeUpstream
from tests.fakes.wire import Seen
from tests.harness.client import Answer, RawClient, request
from tests.harness.eventually import eventually
from tests.harness.worker import RelayWorker

from .plain import Reading, Requests, State, answer_in, closes, requests_in
from .talks import Talk, pieces

#: header lines of an answer that belong to a hop, or are llmtap's
HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"x-llmtap-call-id"})
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_OWN_HEADERS = frozenset({b"content-type", b"content-length", b"date", b"server", b"connection", b"x-llmtap-call-id"})
_OWN_TYPE = b"application/json; charset=utf-8"
_SOME_UPSTREAM = "upstream_"
_MALFORMED = "malformed_request"  #: after which nothing is read
_SENTINEL = "/sentinel"
_MOST_S = 10.0  #: a guard against hanging
_WAIT_S = 0.3  #: for what an engine makes of a request that another one may find unfinished


class Got(Struct, frozen=True):
    """One answer as a client takes it. ``ending``: whole, cut (begun, not whole), or nothing."""

    ending: str
    status: int = 0
    reason: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    ours: str = ""  #: llmtap's code for it, when it is no upstream's answer
    closes: bool = False


class Saw(Struct, frozen=True):
    """One request as the upstream read it."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    whole: bool


class Trace(Struct, frozen=True):
    """What became of a talk."""

    answers: tuple[Got, ...]
    requests: tuple[Saw, ...]
    faults: tuple[str, ...]  #: wrong whatever the other engine does


class Side(Struct, frozen=True):
    """One engine and the upstream behind it."""

    relay: RelayWorker
    upstream: FakeUpstream


# --- doing it ---------------------------------------------------------------------------------------


def perform(talk: Talk, side: Side) -> Trace:
    """Send it through one engine; returns when nothing of it is under way any more."""
    upstream = side.upstream
    upstream.forget()
    upstream.otherwise(_other)
    for turn in talk.turns:
        upstream.script(turn.path, turn.script)
    with side.relay.connect(timeout_s=_MOST_S) as client:
        answers = tuple(_pipelined(talk, client) if talk.pipelined else _one_by_one(talk, client))
    faults = [] if _serves_on(side) else ["the next request did not get its own answer"]
    seen = [each for each in upstream.requests if each.path != _SENTINEL]
    for each in seen:
        if not each.whole:
            _given_up(each)
    return Trace(answers, tuple(map(_saw, seen)), (*faults, *upstream.violations))


def _given_up(seen: Seen) -> None:
    eventually(lambda: seen.closed_at, "the relay gives up the half request")


def _other(seen: Seen) -> Script:
    return answer(body=b"not scripted", method=seen.method.decode())


def _one_by_one(talk: Talk, client: RawClient) -> Iterator[Got]:
    for turn in talk.turns:
        expected = requests_in(turn.request)
        _send(client, pieces(turn.request, talk.cuts))
        if turn.later:
            yield msgspec.structs.replace(_answer(client, turn.method), closes=True)
            _send(client, [turn.later])
            return
        last = None
        for last in _read(client, expected):
            yield last
        if last is None or last.ending != "whole" or last.closes or any(map(closes, expected.whole)):
            return


def _pipelined(talk: Talk, client: RawClient) -> Iterator[Got]:
    data = b"".join(turn.request for turn in talk.turns)
    _send(client, pieces(data, talk.cuts))
    return _read(client, requests_in(data))


def _read(client: RawClient, expected: Requests) -> Iterator[Got]:
    """The answers to what was sent, and what is said to its bad or unfinished end."""
    for each in expected.whole:
        got = _answer(client, each.method.decode())
        yield got
        if got.ending != "whole" or got.closes or got.ours == _MALFORMED or closes(each):
            return
    if expected.tail is State.BAD:
        client.socket.settimeout(_WAIT_S)
        got = _answer(client, "GET")
        if got.ending != "waits":
            yield got
            return
    if expected.tail is not None:
        client.socket.settimeout(_MOST_S)
        with contextlib.suppress(OSError):
            client.finish()
        yield _answer(client, "GET")


def _send(client: RawClient, data: list[bytes]) -> None:
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for piece in data:
            client.send(piece)


def _answer(client: RawClient, method: str) -> Got:
    try:
        got = client.head(method)
        while got.status >= 200 and client.body_piece(got):
            pass
    except TimeoutError:
        return Got("waits")
    except (AssertionError, ValueError) as error:
        return Got(f"no HTTP: {str(error)[:200]}")
    if got.status < 200:
        return Got("nothing")
    ours = _code(got, method)  #: of whose text and headers nothing is compared
    return Got(
        ending="whole" if got.whole else "cut",
        status=got.status,
        reason=got.reason,
        headers=() if ours else end_to_end(got.headers),
        body=b"" if ours else bytes(got.body),
        ours=ours,
        closes=b"close" in (got.value("connection") or b"").lower() or got.framing == "close",
    )


def end_to_end(lines: list[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(line for line in lines if line[0].lower() not in HOP)


def _code(got: Answer, method: str) -> str:
    """llmtap's code of an error of its own; of an answer to HEAD only its headers tell."""
    if got.status < 400:
        return ""
    if method == "HEAD":
        own = {name.lower() for name, _ in got.headers} <= _OWN_HEADERS and got.value("content-type") == _OWN_TYPE
        return (_SOME_UPSTREAM if got.status >= 500 else _MALFORMED) if own else ""
    try:
        error = json.loads(bytes(got.body))["error"]
        return str(error["code"]) if str(error["type"]).startswith("llmtap_") else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _serves_on(side: Side) -> bool:
    """Whether a harmless request gets its own answer; a pooled connection may be found dead once."""
    side.upstream.script(_SENTINEL, answer(body=b"my own"))
    answers = [side.relay.ask(request("GET", _SENTINEL))]
    if answers[0].status == 502:
        answers.append(side.relay.ask(request("GET", _SENTINEL)))
    return (answers[-1].status, bytes(answers[-1].body)) == (200, b"my own")


def _saw(seen: Seen) -> Saw:
    lines = tuple((name, b"upstream" if name == b"Host" else value) for name, value in seen.headers)
    return Saw(seen.method, seen.target, lines, bytes(seen.body), seen.whole)


# --- judging it -------------------------------------------------------------------------------------


def compare(talk: Talk, slow: Trace, fast: Trace) -> list[str]:
    """Every difference that no rule of this module excuses."""
    sent = requests_in(b"".join(turn.request for turn in talk.turns))
    readings = [answer_in(turn.answer, turn.method, reset=turn.broken) for turn in talk.turns]
    if _drops(talk, slow, fast, sent):
        fast = _without_dropped(fast, slow)
    if _drops(talk, fast, slow, sent):
        slow = _without_dropped(slow, fast)
    found = [f"slow: {fault}" for fault in slow.faults] + [f"fast: {fault}" for fault in fast.faults]
    for number, (one, other) in enumerate(zip_longest(slow.requests, fast.requests)):
        if not _same_request(one, other):
            found.append(f"request {number}: {_differing(one, other)}")
    for number, (got, gets) in enumerate(zip_longest(slow.answers, fast.answers)):
        reading = readings[number] if number < len(readings) else Reading(State.BAD)
        if not (_same_answer(got, gets, reading) or (sent.tail is not None and _refused(got) and _refused(gets))):
            found.append(f"answer {number} ({reading.state.value}): {_differing(got, gets)}")
    if talk.kind in ("sound", "surplus", "early answer"):
        found += _not_as_sent("fast", fast, readings)
    return found


def _drops(talk: Talk, trace: Trace, other: Trace, sent: Requests) -> bool:
    """Whether aiohttp may have forgotten the whole requests of a read in which a bad one follows."""
    behind_a_close = any(map(closes, sent.whole[:-1]))
    bad_to_both = talk.kind == "damaged request" and _ends_refused(other)
    return (sent.tail is not None or behind_a_close or bad_to_both) and _ends_refused(trace)


def _ends_refused(trace: Trace) -> bool:
    return bool(trace.answers) and _refused(trace.answers[-1])


def _without_dropped(trace: Trace, dropped: Trace) -> Trace:
    """As if it had forgotten them too."""
    kept = len(dropped.answers) - 1
    if kept >= len(trace.answers):
        return trace
    return Trace(
        (*trace.answers[:kept], *dropped.answers[kept:]), trace.requests[: len(dropped.requests)], trace.faults
    )


def _same_request(one: Saw | None, other: Saw | None) -> bool:
    """Of one that did not come whole, how much has passed is chance."""
    if one is None or other is None:
        return (one or other or Saw(b"", b"", (), b"", True)).whole is False
    if one.whole or other.whole:
        return one == other
    heads = [(each.method, each.target, each.headers) for each in (one, other)]
    return heads[0] == heads[1] and _agree(one.body, other.body)


def _same_answer(slow: Got | None, fast: Got | None, sent: Reading) -> bool:
    if slow is None or fast is None:
        return False
    if slow == fast or (not sent.utf8 and slow.ours in ("header_bytes", _SOME_UPSTREAM)):
        return True
    if (sent.state is State.WHOLE and not sent.surplus) or not (_failed(slow) or _failed(fast)):
        return False
    if sent.state is State.CUT and not (_failed(slow) and _failed(fast)):
        return False
    begun = [each for each in (slow, fast) if not each.ours]
    same_heads = len({(each.status, each.reason, each.headers) for each in begun}) < 2
    return same_heads and (len(begun) < 2 or _agree(slow.body, fast.body))


def _agree(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _failed(got: Got) -> bool:
    """The client was told that the upstream's answer is not whole: by us, or by the end of the connection."""
    return got.ours.startswith("upstream_") or (got.ending == "cut")


def _refused(got: Got | None) -> bool:
    """The client's own fault, said or not."""
    return got is not None and (got.ending == "nothing" or (bool(got.ours) and got.status < 500))


def _not_as_sent(name: str, trace: Trace, readings: list[Reading]) -> list[str]:
    """Answers that are no longer what the upstream sent."""
    found = []
    for number, (got, sent) in enumerate(zip(trace.answers, readings, strict=False)):
        excused = got.ours in ("header_bytes", _MALFORMED, _SOME_UPSTREAM) or (sent.surplus and _failed(got))
        if sent.state is State.WHOLE and sent.utf8 and not excused:
            wanted = (sent.status, sent.reason, travelling(sent.headers), sent.body)
            if (got.status, got.reason, got.headers, got.body) != wanted or got.ending != "whole":
                found.append(f"{name}, answer {number}: {got!r:.300} is not {wanted!r:.300}")
    return found


def travelling(lines: list[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """What a relay passes on of the header lines of an answer."""
    named = b",".join(value for name, value in lines if name.lower() == b"connection").lower().split(b",")
    gone = _HOP_BY_HOP | {name.strip() for name in named}
    return tuple(line for line in lines if line[0].lower() not in gone)


def _differing(one: Struct | None, other: Struct | None) -> str:
    if one is None or other is None:
        return f"{one!r:.300} / {other!r:.300}"
    names = [name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)]
    return "; ".join(f"{name} {getattr(one, name)!r:.300} / {getattr(other, name)!r:.300}" for name in names)
