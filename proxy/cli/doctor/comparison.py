"""How answers that came through llmtap differ from answers that came direct. Decides, without I/O.

What varies between two direct answers is the upstream's own doing and proves nothing; so several
are compared, and only what no direct answer ever showed is a finding. Bodies are never quoted:
providers repeat a part of the key in their error messages.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise

import orjson
from msgspec import Struct

from ...console import figures
from ...wire.encoding import decode
from ...wire.headers import HOP_BY_HOP, RECORDED, end_to_end
from ..findings import Finding

CALL_ID = b"x-llmtap-call-id"
#: Differ from answer to answer by their nature, also where our few answers happen to agree.
_VOLATILE = frozenset({
    b"age", b"apim-request-id", b"cf-cache-status", b"cf-ray", b"date", b"nel", b"openai-processing-ms", b"report-to",
    b"request-id", b"server-timing", b"set-cookie", b"x-envoy-upstream-service-time", b"x-request-id",
})  # fmt: skip
_VOLATILE_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-", b"x-amzn-", b"x-ms-")
_SOMETHING = "something between changes answers: look at what stands between this machine, llmtap and the upstream"
_DECODED_MAX = 64 << 20
_READS_MIN = 4  #: fewer reads say nothing about how a stream moves
_HELD_BACK = 4  #: so many times fewer reads than direct: it came in lumps
_SLOW_US = 20_000

Headers = Sequence[tuple[bytes, bytes]]


class Observed(Struct, frozen=True, kw_only=True):
    """One answer, as it came. Times are µs from just before the request."""

    version: str
    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    reads: tuple[int, ...] = ()  #: when each read of the body came
    head_us: int = 0
    total_us: int = 0
    ended_at_us: int = 0  #: wall clock

    def value(self, name: bytes) -> str:
        """Of the first header of this name; empty when there is none."""
        return next((value.decode("latin-1") for header, value in self.headers if header.lower() == name), "")

    @property
    def longest_gap_us(self) -> int:
        """Between two reads."""
        return max((after - before for before, after in pairwise(self.reads)), default=0)


def compare(direct: Sequence[Observed], through: Sequence[Observed]) -> Iterator[Finding]:
    """All that differs in status line, headers and body; both have at least one answer."""
    status = _status(direct, through)
    yield status
    if status.ok:
        yield from _headers(direct, through)
        yield _body(direct, through)


def compare_streams(direct: Sequence[Observed], through: Sequence[Observed]) -> Iterator[Finding]:
    """As ``compare``, for answers that are never the same twice: how their parts moved in place of their bytes."""
    status = _status(direct, through)
    yield status
    if status.ok:
        yield from _headers(direct, through)
        yield _movement(direct, through)


# --- status line and headers -----------------------------------------------------------------------


def _status(direct: Sequence[Observed], through: Sequence[Observed]) -> Finding:
    known = {_status_line(answer) for answer in direct}
    other = next((answer for answer in through if _status_line(answer) not in known), None)
    if other is None:
        return Finding(True, f"status line: {_status_line(through[0])}, the same both ways")
    what = f"status line: {_status_line(direct[0])} direct, {_status_line(other)} through llmtap"
    return Finding(False, what, _own_words(other) or _SOMETHING)


def _status_line(answer: Observed) -> str:
    return f"{answer.status} {answer.reason}".rstrip()


def _own_words(answer: Observed) -> str:
    """What llmtap says when it answers by itself; empty for an answer of anybody else."""
    try:
        error = orjson.loads(answer.body)["error"]
        return str(error["message"]) if str(error["type"]).startswith("llmtap_") else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _headers(direct: Sequence[Observed], through: Sequence[Observed]) -> Iterator[Finding]:
    wrong = [*_names(direct, through), *_values(direct, through)]
    yield from wrong
    if not wrong:
        count = len(_kept(through[0]))
        yield Finding(True, f"headers: {count}, of the same names, spelling, order and values{_varying(direct)}")
    if all(answer.value(CALL_ID) for answer in through):
        yield Finding(True, f"headers: one is added, {CALL_ID.decode()}{_of_the_hop((*direct, *through))}")


def _kept(answer: Observed) -> list[tuple[bytes, bytes]]:
    return end_to_end(answer.headers, frozenset({CALL_ID}))


def _varying(direct: Sequence[Observed]) -> str:
    names = {name.lower() for answer in direct for name, _ in _kept(answer)}
    varying = sorted(name.decode("latin-1") for name in names if _varies(name, direct))
    return f"; these differ from answer to answer, as they must: {', '.join(varying)}" if varying else ""


def _of_the_hop(answers: Sequence[Observed]) -> str:
    names = {name.lower() for answer in answers for name, _ in answer.headers} & HOP_BY_HOP
    listed = ", ".join(sorted(name.decode() for name in names))
    return f"; {listed} belong to each connection and are not compared" if listed else ""


def _names(direct: Sequence[Observed], through: Sequence[Observed]) -> Iterator[Finding]:
    """Names, spelling and order, of headers that every direct answer has."""
    orders = [[name for name, _ in _kept(answer)] for answer in direct]
    spelt = {name for order in orders for name in order}
    always = set.intersection(*({name.lower() for name in order} for order in orders))
    for answer in through:
        order = [name for name, _ in _kept(answer)]
        here = {name.lower() for name in order}
        added = here - {name.lower() for name in spelt}
        respelt = {name for name in order if name not in spelt and name.lower() not in added}
        moved = _in_order(order, always) not in [_in_order(each, always) for each in orders]
        for what, names in (("missing", always - here), ("added", added), ("spelt otherwise", respelt)):
            if names:
                yield Finding(False, f"headers {what} through llmtap: {_listed(names)}", _SOMETHING)
        if moved and not (always - here or respelt):
            yield Finding(False, "headers come in another order through llmtap", _SOMETHING)
        if added or respelt or moved:
            return


def _in_order(names: Sequence[bytes], of: set[bytes]) -> list[bytes]:
    return [name.lower() for name in names if name.lower() in of]


def _values(direct: Sequence[Observed], through: Sequence[Observed]) -> Iterator[Finding]:
    names = sorted({name.lower() for answer in direct for name, _ in _kept(answer)})
    for name in names:
        known = {_all_values(answer, name) for answer in direct}
        strange = [values for answer in through if (values := _all_values(answer, name)) and values not in known]
        if strange and not _varies(name, direct):
            shown = f": {_joined(known.pop())} → {_joined(strange[0])}" if name in RECORDED else ""
            yield Finding(False, f"header {name.decode('latin-1')} is changed{shown}", _SOMETHING)


def _all_values(answer: Observed, name: bytes) -> tuple[bytes, ...]:
    return tuple(value for header, value in _kept(answer) if header.lower() == name)


def _varies(name: bytes, direct: Sequence[Observed]) -> bool:
    by_nature = name in _VOLATILE or name.startswith(_VOLATILE_PREFIXES)
    return by_nature or len({_all_values(answer, name) for answer in direct}) > 1


def _joined(values: Sequence[bytes]) -> str:
    return ", ".join(value.decode("latin-1") for value in values)


def _listed(names: set[bytes]) -> str:
    return ", ".join(sorted(name.decode("latin-1") for name in names))


# --- bodies ----------------------------------------------------------------------------------------


def _body(direct: Sequence[Observed], through: Sequence[Observed]) -> Finding:
    known = {answer.body for answer in direct}
    strange = next((answer for answer in through if answer.body not in known), None)
    if strange is None:
        return Finding(True, f"body: {figures.size(len(through[0].body))}, byte for byte the same{_coding(direct[0])}")
    if len(known) > 1:
        what = f"body: cannot be compared, {len(known)} of {len(direct)} direct answers differ among themselves"
        return Finding(False, what, "choose an upstream whose list of models stands still, or try again", grave=False)
    return Finding(False, f"body: {_alteration(direct[0], strange)} through llmtap", _SOMETHING)


def _coding(answer: Observed) -> str:
    coding = answer.value(b"content-encoding")
    return f", {coding} untouched" if coding else ""


def _alteration(direct: Observed, strange: Observed) -> str:
    """What was done to a body, as far as it can be told."""
    before, after = direct.body, strange.body
    if before.startswith(after):
        return f"cut after {len(after)} of {len(before)} bytes"
    plain, plain_after = _decoded(direct), _decoded(strange)
    if plain == plain_after:
        return "unpacked or packed anew"
    if _same_json(plain, plain_after):
        return "the same JSON, but written anew,"
    place = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    return f"differs from byte {place} on ({len(before)} bytes direct, {len(after)})"


def _decoded(answer: Observed) -> bytes:
    return decode(answer.body, answer.value(b"content-encoding"), _DECODED_MAX).data


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(orjson.loads(one) == orjson.loads(other))
    except ValueError:
        return False


# --- time ------------------------------------------------------------------------------------------


def _movement(direct: Sequence[Observed], through: Sequence[Observed]) -> Finding:
    reads, reads_through = (round(statistics.median(len(a.reads) for a in each)) for each in (direct, through))
    what = f"stream: {_moved(direct, reads)} direct; {_moved(through, reads_through)} through llmtap"
    if reads >= _READS_MIN and reads_through * _HELD_BACK <= reads:
        return Finding(False, what, f"the stream is held back and comes in lumps; {_SOMETHING}")
    return Finding(True, what)


def _moved(answers: Sequence[Observed], reads: int) -> str:
    first = median_us([answer.reads[0] for answer in answers if answer.reads])
    gap = median_us([answer.longest_gap_us for answer in answers])
    return f"{reads} reads, the first after {figures.duration(first)}, longest gap {figures.duration(gap)}"


def delay(direct: Sequence[Observed], through: Sequence[Observed]) -> Finding:
    """What llmtap adds to the time to the first byte, on connections that stand; the first answers had to connect."""
    times, times_through = ([answer.head_us for answer in each[1:] or each] for each in (direct, through))
    here, there = statistics.median(times), statistics.median(times_through)
    what = f"time to the first byte: {_both(round(here), round(there))} ({(there - here) / 1000:+.1f} ms, by medians)"
    if len(direct) > 1:
        what += f"; when it had to connect first: {_both(direct[0].head_us, through[0].head_us)}"
    noise = max(times) - min(times)
    slow = there - here > max(_SLOW_US, noise)
    return Finding(not slow, what, "look at the load of this machine: llmtap adds about a millisecond", grave=False)


def _both(direct_us: int, through_us: int) -> str:
    return f"{figures.duration(direct_us)} direct, {figures.duration(through_us)} through llmtap"


def median_us(times: Sequence[int]) -> int | None:
    """None of none."""
    return round(statistics.median(times)) if times else None
