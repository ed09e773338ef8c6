"""What travels on, and what is written down in place of a secret."""

from __future__ import annotations

import string
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.records import Begin, Header
from proxy.wire.headers import KEY_HEADERS, Fingerprints, Recorder, end_to_end, header_map, key_fingerprint, telling
from proxy.wire.identity import row_of

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
        (b"x-stainless-" + KEY, KEY, b"fp:"),
        (b"X-Stainless-Api-Key", KEY, b"fp:"),
        (b"llm_provider-set-cookie", KEY, b"fp:"),
    ],
)
def test_values_off_the_allow_list_become_fingerprints(name: bytes, value: bytes, readable: bytes) -> None:
    (header,) = RECORDER.headers([(name, value)])
    assert header.hidden
    assert header.name == name
    assert KEY not in header.value
    assert header.value.startswith(readable)


def test_allowed_values_stay_and_the_setting_adds_to_them() -> None:
    lines = [
        (b"Content-Type", b"a/b"),
        (b"x-llmtap-meta-team", b"red"),
        (b"x-team", b"blue"),
        (b"X-Stainless-Retry-Count", b"2"),
        (b"llm_provider-x-request-id", b"req_1"),
    ]
    assert RECORDER.headers(lines) == tuple(Header(*line) for line in lines)


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


@pytest.mark.parametrize("line", [(b"n" * 8_192, b""), (b"Accept", b"v" * 8_192), (b"n" * 40, b"v"), (b"n", b"")])
def test_no_flood_makes_a_beginning_too_long(line: tuple[bytes, bytes]) -> None:
    """Ten thousand lines are the most that can be set; every one keeps its place."""
    headers = RECORDER.headers([line] * 10_000)
    target = RECORDER.target("/\U0001f389".encode() * 100_000)
    begin = Begin(
        id=b"i" * 16, started_at_us=0, accepted_us=0, method="GET", target=target, endpoint=target, headers=headers
    )
    assert len(headers) == 10_000
    assert len(msgspec.msgpack.encode(begin)) < 1 << 20


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
        (b"/x?a=1;key=%b&b=2", "/x?a=1;key=fp:*&b=2"),
        (b"/x?url=http://u:%b@h/y&b=2", "/x?url=http://fp:*@h/y&b=2"),
        (b"/p/x//u:%b@h/", "/p/x//fp:*@h/"),
        (b"http:/u:%b@h/y", "http:/fp:*@h/y"),
        (b"/users/me@example.com/x?", "/users/me@example.com/x?"),
        (b"/x?q=a@b&to=me@example.com", "/x?q=a@b&to=me@example.com"),
        (b"/x?url=http://h.example/a@b", "/x?url=http://h.example/a@b"),
        (
            b"/v1/a%%2Fb/../c//d;v=1?max_tokens=5&keyword=x&limit=;&=?",
            "/v1/a%2Fb/../c//d;v=1?max_tokens=5&keyword=x&limit=;&=?",
        ),
        (b"/x?token=", "/x?token="),
    ],
)
def test_secrets_in_targets(target: bytes, kept: str) -> None:
    sent = target % KEY if b"%b" in target else target.replace(b"%%", b"%")
    recorded = RECORDER.target(sent)
    assert KEY.decode() not in recorded
    head, star, tail = kept.partition("*")
    assert recorded.startswith(head)
    assert recorded.endswith(tail)
    assert star or recorded == kept


SECRET_NAMES = (
    "key", "KEY", "api_key", "api-key", "x-goog-api-key", "openai_api_key", "refresh_token", "X-Goog-Signature",
    "X-Amz-Credential", "AWSAccessKeyId", "client_secret", "sig", "code", "a[key]", "%6bey", "key[0]", "auth",
)  # fmt: skip
BEFORE_USERINFO = (
    "//", "///", "http://", "http:/", "/p/x//", "/anthropic//", "/v1/http://", "/v1/http:/", "/x?url=http://",
    "/x?a=1&url=//", "/x?url=http%3A%2F%2F", "/x?url=http:%2f", "/x?url=http:\\\\", "/x/http%3A%2F%2F",
)  # fmt: skip
PLACES = [
    *(f"/v1/x?a=1&{name}=<>&b=2" for name in SECRET_NAMES),
    *(f"{before}u:<>@h{after}" for before in BEFORE_USERINFO for after in ("", "/", ":443/x?y=1")),
    "/x?a=1;key=<>",
    "/x?a=1;key=<>;b=2",
    "/x?x=1?key=<>",
    "/x?key=&x=1&key=<>",
    "/x;key=<>/y",
    "/x&key=<>",
    "/key=<>?x",
    "/x?u=http%3a%2F%2Fh%2F%3fa%3d1%26key%3d<>",
    "u:<>@h:443",
    "<>@h:443",
    "/x#<>",
]


@given(
    place=st.sampled_from(PLACES),
    key=st.text(string.ascii_letters + string.digits + "-_.~+=:,;!$*'()@", min_size=8, max_size=60),
    escaped=st.booleans(),
)
@example(place="/x?a=1;key=<>", key="abcd;efgh=ijkl", escaped=False)
@example(place="//u:<>@h", key="abcd@efgh", escaped=False)
@settings(max_examples=300)
def test_a_key_in_any_of_these_places_is_not_recorded(place: str, key: str, *, escaped: bool) -> None:
    """Nor a part of it that is long enough to mean something."""
    sent = quote(key, safe="") if escaped else key
    recorded = RECORDER.target(place.replace("<>", sent).encode())
    pieces = {text[start : start + 8] for text in (key, sent) for start in range(len(text) - 7)}
    assert [piece for piece in pieces if piece in recorded and piece not in place] == []


@pytest.mark.parametrize(
    "piece", ["/", "//", "a", "=", "?", ";", "%26", "%2f", "@", ":/", "a=", "%3b=", "//a", "http:"]
)
def test_a_long_target_is_read_once(piece: str) -> None:
    """Half a megabyte of what a careless pattern would look at again and again."""
    assert RECORDER.target(piece.encode() * (500_000 // len(piece)))


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


NAMES = st.sampled_from([b"Host", b"HOST", b"host", b"Authorization", b"api-key", b"API-KEY", b"User-Agent", b"\xc4"])
LINES = st.lists(st.builds(Header, NAMES | st.binary(max_size=3), st.binary(max_size=12), st.booleans()), max_size=8)


@given(LINES)
def test_a_map_is_what_its_lines_say_in_whatever_case_and_order(lines: list[Header]) -> None:
    expected: dict[str, str] = {}
    for line in lines:
        if not line.hidden:
            expected.setdefault(line.name.decode("latin-1").lower(), line.value.decode("utf-8", "replace"))
    found = header_map(lines)
    assert list(found.items()) == list(expected.items())
    found["host"] = "mine"  # a map is its reader's own
    assert header_map(lines) == expected


@given(LINES)
def test_the_key_is_that_of_the_first_header_that_may_hold_it_and_of_its_last_line(lines: list[Header]) -> None:
    hidden = {line.name.decode("latin-1").lower(): line.value.decode("latin-1") for line in lines if line.hidden}
    expected = next((hidden[name].rpartition(" ")[2] for name in KEY_HEADERS if name in hidden), None)
    assert key_fingerprint(lines) == (expected or None)


@pytest.mark.parametrize("name", ["X-Llmtap-User", "x-LLMTAP-usr", "Helicone-User-Id", "User-Agent", "API-Key"])
def test_what_tells_who_asks_is_found_in_any_case(name: str) -> None:
    lines = [Header(each.encode(), b"v") for each in ("Host", name, "Accept", name.upper())]
    assert telling(lines) == lines[1::2]


@given(LINES)
def test_of_what_is_left_out_nothing_says_who_asks(lines: list[Header]) -> None:
    kept = telling(lines)
    left = {line.name.decode("latin-1").lower() for line in lines if line not in kept}
    assert not left & {"user-agent", *KEY_HEADERS}
    assert all(row_of(name) is None for name in left)
    assert key_fingerprint(kept) == key_fingerprint(lines)
