"""Records survive the journal, also from a version that knew fewer fields."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.journal.codec import decode, encode
from proxy.journal.frame import Kind
from proxy.records import Begin, End, Event, EventKind, Head, Header, Outcome, Part, Side

ID = bytes(range(16))
RECORDS = [
    Begin(id=ID, started_at_us=1, accepted_us=2, method="POST", target="/v1", headers=(Header(b"A", b"\xff", True),)),
    Head(id=ID, offset_us=3, status=200, reason="OK", headers=(Header(b"x", b"y"),)),
    Part(id=ID, side=Side.RESPONSE, offset=10, data=b"bytes", marks=((12, 5), (15, 9))),
    End(id=ID, ended_us=4, offset_us=5, outcome=Outcome.COMPLETE, status=200),
    Event(id=ID, kind=EventKind.NOTE, at_us=6, author="ada", said={"call": "c", "text": "t"}),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_round_trip(record: Begin | Head | Part | End | Event) -> None:
    assert decode(*encode(record)) == record


@given(st.binary(max_size=5000), st.lists(st.tuples(st.integers(0, 2**60), st.integers(0, 2**60)), max_size=20))
def test_parts_carry_any_bytes(data: bytes, marks: list[tuple[int, int]]) -> None:
    part = Part(id=ID, side=Side.REQUEST, offset=7, data=data, marks=tuple(marks))
    assert decode(*encode(part)) == part


def test_a_record_of_an_older_version_lacks_the_newest_fields_and_is_read() -> None:
    kind, payload = encode(RECORDS[3])
    shorter = msgspec.msgpack.encode(msgspec.msgpack.decode(payload)[:-3])
    decoded = decode(kind, shorter)
    assert isinstance(decoded, End)
    assert decoded.outcome == Outcome.COMPLETE


def test_an_unknown_kind_is_no_error() -> None:
    assert decode(99, b"whatever") is None


@pytest.mark.parametrize("kind", [Kind.BEGIN, Kind.HEAD, Kind.END, Kind.PART, Kind.EVENT])
def test_a_payload_that_is_no_record_is_an_error(kind: Kind) -> None:
    with pytest.raises((msgspec.DecodeError, ValueError)):
        decode(kind, b"\x00")
