"""What travels on, and what is written down in place of a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.records import Header
from proxy.wire.headers import Fingerprints, Recorder, end_to_end, header_map, key_fingerprint

KEY = b"sk-proj-0123456789abcdef"
FINGERPRINTS = Fingerprints(b"k" * 32)
RECORDER = Recorder(FINGERPRINTS, also_clear=["X-Team"])


def test_hop_by_hop_headers_and_those_named_in_connection_stay_behind() -> None:
    headers = [
        (b"Host", b"h"),
        (b"Connection", b"close, X-One"),
        (b"connection", b"x-two"),
        (b"X-One", b"1"),
        (b"X-Two", b"2"),
        (b"X-three", b"3"),
        (b"Transfer-Encoding", b"chunked"),
        (b"TE", b"trailers"),
        (b"Upgrade", b"h2c"),
        (b"X-THREE", b"4"),
    ]
    assert end_to_end(headers, frozenset({b"host"})) == [(b"X-three", b"3"), (b"X-THREE", b"4")]


@pytest.mark.parametrize(
    ("name", "value", "readable"),
    [
        (b"Authorization", b"Bearer " + KEY, b"Bearer fp:"),
        (b"authorization", b"bearer  " + KEY, b"bearer fp:"),
        (b"x-api-key", KEY, b"fp:"),
        (b"Cookie", b"session=" + KEY, b"fp:"),
        (b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key." + KEY, b"fp:"),
        (b"X-Unknown", KEY, b"fp:"),
    ],
)
def test_values_off_the_allow_list_become_fingerprints(name: bytes, value: bytes, readable: bytes) -> None:
    (header,) = RECORDER.headers([(name, value)])
    assert header.hidden
    assert header.name == name
    assert KEY not in header.value
    assert header.value.startswith(readable)


def test_allowed_values_stay_and_the_setting_adds_to_them() -> None:
    recorded = RECORDER.headers([(b"Content-Type", b"a/b"), (b"x-llmtap-meta-team", b"red"), (b"x-team", b"blue")])
    assert recorded == (
        Header(b"Content-Type", b"a/b"),
        Header(b"x-llmtap-meta-team", b"red"),
        Header(b"x-team", b"blue"),
    )


def test_one_key_looks_the_same_in_every_header_and_another_does_not() -> None:
    bearer = key_fingerprint(RECORDER.headers([(b"Authorization", b"Bearer " + KEY)]))
    plain = key_fingerprint(RECORDER.headers([(b"x-api-key", KEY)]))
    other = key_fingerprint(RECORDER.headers([(b"x-api-key", KEY + b"x")]))
    elsewhere = key_fingerprint(Recorder(Fingerprints(b"other" * 8)).headers([(b"x-api-key", KEY)]))
    assert bearer == plain
    assert bearer is not None
    assert bearer.startswith("fp:")
    assert len({bearer, other, elsewhere}) == 3
    assert key_fingerprint(RECORDER.headers([(b"Accept", b"*/*")])) is None


def test_a_flood_of_clear_header_bytes_is_not_written_down() -> None:
    recorded = RECORDER.headers([(b"Accept", b"x" * 200_000)] * 3)
    assert [header.hidden for header in recorded] == [False, True, True]


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        (b"/v1/x?key=%b&a=1", "/v1/x?key=fp:*&a=1"),
        (b"/v1/x?a=1&API_Key=%b", "/v1/x?a=1&API_Key=fp:*"),
        (b"/v1/x?%%61pi-key=%b", "/v1/x?%61pi-key=fp:*"),
        (b"http://user:%b@host/x?y", "http://fp:*@host/x?y"),
        (b"//%b@host/x", "//fp:*@host/x"),
        (b"user:%b@host:443", "fp:*@host:443"),
        (b"/x#%b", "/x#fp:*"),
        (b"/users/me@example.com/x?", "/users/me@example.com/x?"),
        (b"/x?token=", "/x?token="),
    ],
)
def test_secrets_in_targets(target: bytes, kept: str) -> None:
    sent = target % KEY if b"%b" in target else target
    recorded = RECORDER.target(sent)
    assert KEY.decode() not in recorded
    head, star, tail = kept.partition("*")
    assert recorded.startswith(head)
    assert recorded.endswith(tail)
    assert star or recorded == kept


@given(st.binary(max_size=80))
def test_any_target_is_recorded_as_text(target: bytes) -> None:
    RECORDER.target(target).encode("utf-8")


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=10), st.binary(max_size=30)), max_size=10))
def test_names_and_order_of_all_headers_are_kept(headers: list[tuple[bytes, bytes]]) -> None:
    assert [header.name for header in RECORDER.headers(headers)] == [name for name, _ in headers]


def test_readers_see_no_fingerprints_as_values() -> None:
    recorded = RECORDER.headers([(b"X-Api-Key", KEY), (b"Accept", b"a"), (b"accept", b"b")])
    found = header_map(recorded)
    assert "x-api-key" not in found
    assert found["accept"].startswith("a")
