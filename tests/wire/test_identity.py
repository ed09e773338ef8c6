"""The table of identity headers: its rows are found by name, and what is a secret is never among the clear ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.records import Header
from proxy.wire.headers import Fingerprints, Recorder
from proxy.wire.identity import HEADERS, OMITTING, URLS, VENDOR_SESSION, Row, is_clear, is_private, row_of

RECORDER = Recorder(Fingerprints(b"k" * 32))
NAMES = [row.name.replace("*", "any") for row in HEADERS]


def recorded(name: bytes, value: bytes) -> Header:
    (line,) = RECORDER.headers([(name, value)])
    return line


def test_a_name_is_in_the_table_once() -> None:
    names = [row.name for row in HEADERS]
    assert len(names) == len(set(names))
    assert names == [name.lower() for name in names]


def test_no_row_is_hidden_behind_an_earlier_one() -> None:
    """A row for all names with a beginning stands behind those that begin with it and say more."""
    found = {row.name: row_of(name) for row, name in zip(HEADERS, NAMES, strict=True)}
    assert [row.name for row in HEADERS if found[row.name] is not row] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_table_decides_what_is_recorded_in_clear(name: str) -> None:
    row = row_of(name)
    assert row is not None
    line = recorded(name.title().encode(), b"some-value-of-12")
    assert (line.value == b"some-value-of-12", line.hidden) == (row.clear, not row.clear)


@pytest.mark.parametrize(
    "name",
    [
        "helicone-auth", "helicone-new-and-unknown", "x-portkey-api-key", "x-portkey-aws-secret-access-key",
        "x-portkey-config", "x-litellm-api-key", "x-litellm-anything", "langfuse_secret_key", "langfuse_public_key",
        "x-bt-new", "x-bf-vk", "x-bf-eh-authorization", "x-bf-lk",
    ],
)  # fmt: skip
def test_what_may_be_a_key_to_a_gateway_is_a_fingerprint_and_private(name: str) -> None:
    assert not is_clear(name.encode())
    assert is_private(name.encode())
    assert recorded(name.encode(), b"sk-canary-1234567").hidden


@pytest.mark.parametrize(
    "name",
    [
        "traceparent", "tracestate", "baggage", "authorization", "x-api-key", "user-agent", "x-request-id",
        "x-session-id", "x-claude-code-session-id", "x-stainless-retry-count", "openai-organization",
        "anthropic-version", "x-acme-session-id", "chatgpt-account-id", "x-bfg", "helicone", "x-portkeys",
    ],
)  # fmt: skip
def test_what_a_provider_reads_or_any_client_sends_is_not_private(name: str) -> None:
    assert not is_private(name.encode())


def test_headers_that_ask_for_bodies_not_to_be_kept_are_known_to_the_table() -> None:
    assert all(is_private(name) and is_clear(name) for name in OMITTING)
    assert {name for name in URLS if not is_private(name)} == set()


def test_a_url_is_recorded_without_what_is_secret_in_it() -> None:
    for name in URLS:
        line = recorded(name, b"https://user:sk-canary@gateway.example/v1?api_key=sk-canary&a=1")
        assert b"sk-canary" not in line.value
        assert b"gateway.example/v1" in line.value


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x-acme-session-id", True),
        ("x-a1-b2-session-id", True),
        ("x--session-id", False),
        ("x-session-id", False),  # has a row of its own
        ("acme-session-id", False),
        ("x-acme-session-id-2", False),
    ],
)
def test_the_session_header_of_any_vendor(name: str, found: bool) -> None:
    row = row_of(name)
    assert (row is not None and row.name == "x-*-session-id") is found
    assert not found or VENDOR_SESSION.fullmatch(name)


@pytest.mark.parametrize("prefix", ["helicone-property-", "x-", "x-a-", ""])
def test_a_name_of_any_length_is_looked_up_at_once_and_a_long_one_says_nothing(prefix: str) -> None:
    """Neither time nor memory follow from what a stranger writes: the vendors' pattern never sees it."""
    name = prefix + "a-" * 30_000
    assert row_of(name) is None
    assert not is_clear(name.encode())


@pytest.mark.parametrize("row", [row for row in HEADERS if row.name.endswith("*")], ids=lambda row: row.name)
@pytest.mark.parametrize("length", [256, 257, 60_000])
def test_a_gateways_header_is_private_however_long_its_name(row: Row, length: int) -> None:
    name = row.name[:-1].ljust(length, "a").encode()
    assert is_private(name) is row.private
    assert recorded(name, b"sk-canary-1234567").hidden or (row.clear and length == 256)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_a_name(name: bytes) -> None:
    row = row_of(name.decode("latin-1"))
    assert (is_clear(name), is_private(name)) == ((row.clear, row.private) if row else (False, False))
