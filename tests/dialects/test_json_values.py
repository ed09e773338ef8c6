"""Reading JSON that orjson refuses, and JSON that nobody can read."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.json_values import Notes, compact, loads, writable

LONE = st.integers(0xD800, 0xDFFF).map(chr)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xef\xbb\xbf[1]", [1]),
        ("[1]".encode("utf-16"), [1]),
        (b'["\\ud83d\\ude00"]', ["😀"]),
        (b'["\\ud83d"]', ["\ufffd"]),
        (b'["\\ude00\\ud83d"]', ["\ufffd\ufffd"]),
        (b'["\\\\ud83d"]', ["\\ud83d"]),
        (b'["\\\\\\ud83d"]', ["\\\ufffd"]),
        (b'["\xff", NaN]', ["\ufffd", pytest.approx(float("nan"), nan_ok=True)]),
        (b"[1e400]", [float("inf")]),
        (b"[" + b"9" * 10_000 + b"]", [float("inf")]),
        (b"[-" + b"9" * 400 + b"]", [float("-inf")]),
        (b'["a\nb"]', ["a\nb"]),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"null", None),
    ],
)
def test_odd_json_is_read(data: bytes, value: Any) -> None:
    notes = Notes()
    assert loads(data, "it", notes) == value
    assert notes.all() == ()


@pytest.mark.parametrize(
    "data", [b"", b"{", b"<html>", b"{}{}", b"\x00", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe"]
)
def test_what_is_not_json_is_noted(data: bytes) -> None:
    notes = Notes()
    assert loads(data, "it", notes) is None
    assert len(notes.all()) == 1
    assert notes.all()[0].startswith("it is ")


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_noted(data: bytes) -> None:
    notes = Notes()
    value = loads(data, "it", notes)
    assert value is None or not notes.all()


@settings(deadline=None)
@given(value=st.lists(st.text() | LONE | st.floats(allow_nan=True)))
def test_what_was_read_can_be_written(value: list[Any]) -> None:
    """Python's own writer makes lone surrogates and NaN, as many a server does."""
    read = loads(json.dumps(value).encode(), "it", Notes())
    assert len(orjson.loads(orjson.dumps(read))) == len(value)


def test_a_value_too_deep_to_be_written_has_no_text() -> None:
    deep = loads(b"[" * 900 + b"]" * 900, "it", Notes())
    assert deep is not None
    assert compact(deep) is None
    assert compact({"a": [1]}) == '{"a":[1]}'


def test_notes_are_counted_and_bounded() -> None:
    notes = Notes(("first",))
    for number in range(100):
        notes.add("same")
        notes.add(f"other {number}" + "x" * 1000)
    assert notes.all()[:2] == ("first", "same (100 times)")
    assert len(notes.all()) == 32
    assert max(map(len, notes.all())) == 300


def test_why_a_value_cannot_be_written() -> None:
    notes = Notes()
    assert writable([10**400], "it", notes) is None
    assert writable(loads(b"[" * 900 + b"]" * 900, "that", notes), "that", notes) is None
    assert notes.all() == ("it holds a number beyond 64 bits", "that is nested too deeply")
