"""Headers and body fields say who asks; every row of the table is tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ingest.identity import COLUMNS, identify
from proxy.records import Header
from proxy.wire.headers import Fingerprints, Recorder, telling
from proxy.wire.identity import BODY, HEADERS, MEANINGS, row_of

RECORDER = Recorder(Fingerprints(b"k" * 32))


def who(headers: dict[str, str] | None = None, body: dict[str, str] | None = None) -> dict[str, object]:
    """What comes of headers as a client sends them, recorded as the relay records them; only what was found."""
    lines = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    found = identify(RECORDER.headers(lines), body or {})
    told = {"metadata": found.metadata, "tags": found.tags, "request": found.request_id}
    return found.columns | {key: value for key, value in told.items() if value}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("X-Llmtap-User", "ada", {"user": "ada"}),
        ("X-Llmtap-Session", "s1", {"session": "s1"}),
        ("X-Llmtap-Project", "shop", {"project": "shop"}),
        ("X-Llmtap-Tag", "prod, beta,,", {"tags": ("prod", "beta")}),
        ("X-Llmtap-Meta-Order", "17", {"metadata": {"order": "17"}}),
        ("X-Llmtap-Trace", "t", {"trace": "t"}),
        ("X-Llmtap-Parent", "p", {"parent": "p"}),
        ("X-Llmtap-Exclude", "true", {"excluded": "header"}),
        ("X-Llmtap-Exclude", "load test", {"excluded": "load test"}),
        ("X-Llmtap-Exclude", "0", {}),
        ("X-Llmtap-No-Log", "0", {}),
        ("Helicone-User-Id", "ada", {"user": "ada"}),
        ("Helicone-Session-Id", "s1", {"session": "s1"}),
        ("Helicone-Session-Path", "/a/b", {"metadata": {"helicone-session-path": "/a/b"}}),
        ("Helicone-Session-Name", "trip", {"metadata": {"helicone-session-name": "trip"}}),
        ("Helicone-Property-App", "shop", {"metadata": {"app": "shop"}}),
        ("Helicone-Prompt-Id", "greet", {"prompt": "greet"}),
        ("Helicone-Prompt-Version", "3", {"prompt_version": "3"}),
        ("Helicone-Request-Id", "r-1", {"request": "r-1"}),
        ("Helicone-Experiment-Id", "e", {"metadata": {"helicone-experiment-id": "e"}}),
        ("Helicone-Cache-Enabled", "true", {"metadata": {"helicone-cache-enabled": "true"}}),
        ("Helicone-RateLimit-Policy", "10;w=1", {"metadata": {"helicone-ratelimit-policy": "10;w=1"}}),
        ("Helicone-Auth", "Bearer sk-helicone", {}),
        ("x-portkey-trace-id", "t", {"trace": "t"}),
        ("x-portkey-parent-span-id", "p", {"parent": "p"}),
        (
            "x-portkey-metadata",
            '{"_user":"ada","team":"core","n":3,"tags":["a","b"],"gone":null,"session_id":null}',
            {"user": "ada", "metadata": {"team": "core", "n": "3"}, "tags": ("a", "b")},
        ),
        ("x-portkey-metadata", "not json", {"metadata": {"x-portkey-metadata": "not json"}}),
        ("x-portkey-provider", "openai", {"metadata": {"x-portkey-provider": "openai"}}),
        ("x-portkey-api-key", "secret", {}),
        ("x-portkey-aws-secret-access-key", "secret", {}),
        ("x-litellm-trace-id", "t", {"session": "t", "trace": "t"}),
        ("x-litellm-session-id", "s", {"session": "s"}),
        ("x-litellm-tags", "a,b", {"tags": ("a", "b")}),
        ("x-litellm-spend-logs-metadata", '{"k":"v"}', {"metadata": {"k": "v"}}),
        ("x-litellm-customer-id", "c", {"user": "c"}),
        ("x-litellm-end-user-id", "c", {"user": "c"}),
        ("x-litellm-agent-id", "a", {"agent": "a"}),
        ("x-litellm-num-retries", "2", {"metadata": {"x-litellm-num-retries": "2"}}),
        ("langfuse_trace_id", "t", {"trace": "t"}),
        ("langfuse_session_id", "s", {"session": "s"}),
        ("langfuse_trace_user_id", "u", {"user": "u"}),
        ("langfuse_secret_key", "sk-lf", {}),
        ("x-bt-project-id", "p", {"project": "p"}),
        ("x-bt-span-id", "s", {"parent": "s"}),
        ("x-bf-session-id", "s", {"session": "s"}),
        ("x-bf-dim-team", "core", {"metadata": {"team": "core"}}),
        ("x-bf-prom-env", "prod", {"metadata": {"env": "prod"}}),
        ("x-claude-code-session-id", "s", {"session": "s"}),
        ("x-claude-code-agent-id", "a", {"agent": "a"}),
        ("x-opencode-session", "s", {"session": "s"}),
        ("x-session-affinity", "s", {"session": "s"}),
        ("x-amp-thread-id", "s", {"session": "s"}),
        ("x-parent-session-id", "p", {"parent": "p"}),
        ("x-session-id", "s", {"session": "s"}),
        ("x-codex-turn-metadata", '{"remote":"https://ada:ghp_key@github.com/x"}', {}),
        ("helicone-fallbacks", '[{"headers":{"Authorization":"Bearer sk-key"}}]', {}),
        (
            "traceparent",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            {"trace": "0af7651916cd43dd8448eb211c80319c", "parent": "b7ad6b7169203331"},
        ),
        ("traceparent", "00-zz-1-01", {}),
        ("baggage", "a=b, session.id=s%201;p=1 ,user.id=ada", {"session": "s 1", "user": "ada"}),
        ("x-request-id", "r", {"request": "r"}),
        ("x-client-request-id", "r", {"request": "r"}),
        ("x-unheard-of", "x", {}),
    ],
)  # fmt: skip
def test_a_header_is_understood(name: str, value: str, expected: dict[str, object]) -> None:
    assert who({name: value}) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"user": "ada"}, {"user": "ada"}),
        ({"safety_identifier": "hash"}, {"user": "hash"}),
        ({"user": "ada", "safety_identifier": "hash"}, {"user": "ada"}),
        ({"metadata.team": "core"}, {"metadata": {"team": "core"}}),
        ({"metadata.tags": '["a","b"]'}, {"tags": ("a", "b")}),
        ({"metadata.trace_id": "t"}, {"trace": "t"}),
        ({"metadata.session_id": "s"}, {"session": "s"}),
        ({"metadata.trace_user_id": "u"}, {"user": "u"}),
        ({"litellm_session_id": "s"}, {"session": "s"}),
        ({"conversation": "conv_1"}, {"session": "conv_1"}),
        ({"prompt.id": "pmpt_1", "prompt.version": "2"}, {"prompt": "pmpt_1", "prompt_version": "2"}),
        ({"prompt_cache_key": "k"}, {"metadata": {"prompt_cache_key": "k"}}),
        ({"previous_response_id": "resp_0"}, {"metadata": {"previous_response_id": "resp_0"}}),
        ({"labels.team": "core"}, {"metadata": {"team": "core"}}),
        ({"metadata.user_id": "ada"}, {"user": "ada"}),
        (
            {"metadata.user_id": "user_1f_account_9_session_0b2d7c1e-aaaa"},
            {"user": "user_1f_account_9", "session": "0b2d7c1e-aaaa"},
        ),
        (
            {"metadata.user_id": '{"device_id":"d","account_uuid":"a","session_id":"s"}'},
            {"user": "a", "session": "s"},
        ),
        ({"service_tier": "flex"}, {}),
    ],
)  # fmt: skip
def test_a_body_field_is_understood(body: dict[str, str], expected: dict[str, object]) -> None:
    assert who(body=body) == expected


#: Each names the session; the earlier wins over all later ones.
SESSIONS = {
    "x-llmtap-session": "ours",
    "x-litellm-trace-id": "litellm-trace",
    "x-litellm-session-id": "litellm",
    "helicone-session-id": "helicone",
    "langfuse_session_id": "langfuse",
    "x-claude-code-session-id": "claude-code",
    "x-acme-session-id": "acme-sessions",
    "thread-id": "codex-thread",
    "x-session-id": "plain",
    "baggage": "session.id=bags",
}


@pytest.mark.parametrize("first", range(len(SESSIONS)))
def test_the_order_of_sessions_is_that_of_the_table_whatever_the_order_of_headers(first: int) -> None:
    names = list(SESSIONS)[first:]
    headers = {"user-agent": "codex_cli/1"} | {name: SESSIONS[name] for name in reversed(names)}
    expected = who({"user-agent": "codex_cli/1", names[0]: SESSIONS[names[0]]})["session"]
    assert who(headers, {"litellm_session_id": "body"})["session"] == expected


def test_a_long_value_is_read_before_it_is_cut() -> None:
    metadata = '{"note":"' + "x" * 5000 + '","_user":"ada"}'
    found = who({"x-portkey-metadata": metadata, "baggage": "a=" + "b" * 2000 + ",session.id=s"})
    assert (found["user"], found["session"]) == ("ada", "s")
    assert found["metadata"] == {"note": "x" * 1000}


def test_a_header_may_come_in_several_lines() -> None:
    lines = [
        (b"X-Llmtap-Tag", b"a"),
        (b"x-llmtap-tag", b"b, c"),
        (b"baggage", b"user.id=ada"),
        (b"baggage", b"session.id=s"),
    ]
    found = identify(RECORDER.headers(lines), {})
    assert (found.tags, found.columns) == (("a", "b", "c"), {"user": "ada", "session": "s"})


def test_codex_headers_count_only_when_codex_sends_them() -> None:
    assert who({"session_id": "s", "user-agent": "curl/8"}) == {}
    assert who({"session_id": "s", "user-agent": "codex_cli_rs/0.5"}) == {"session": "s"}


def test_an_unknown_vendors_session_groups_without_being_readable() -> None:
    session = who({"x-acme-session-id": "checkout-4711"})["session"]
    assert str(session).startswith("fp:")
    assert session == who({"X-Acme-Session-Id": "checkout-4711"})["session"]
    assert session != who({"x-acme-session-id": "checkout-4712"})["session"]


def test_another_vendors_short_session_is_none() -> None:
    assert identify([Header(b"x-acme-session-id", b"short")], {}).columns == {}
    assert identify([Header(b"x-acme-session-id", b"long-enough_1")], {}).columns == {"session": "long-enough_1"}


def test_headers_win_over_the_body_and_metadata_gathers() -> None:
    found = who(
        {"X-Llmtap-User": "header", "X-Llmtap-Meta-A": "1", "Helicone-Property-A": "2", "Helicone-Property-B": "3"},
        {"user": "body", "metadata.a": "4", "metadata.c": "5"},
    )
    assert found == {"user": "header", "metadata": {"a": "1", "b": "3", "c": "5"}}


def test_metadata_that_is_nested_too_deeply_is_left_out() -> None:
    deep = '{"a":' + "[" * 300 + "]" * 300 + ',"b":"kept"}'
    assert who({"x-portkey-metadata": deep}) == {"metadata": {"b": "kept"}}


def test_every_row_means_something_known_and_is_found_by_its_own_name() -> None:
    for row in (*HEADERS, *BODY):
        assert set(row.means) <= set(MEANINGS)
        assert row.name == row.name.lower()
    for row in HEADERS:
        assert row_of(row.name.replace("*", "a")) == row
    assert set(COLUMNS) < set(MEANINGS)


@given(st.dictionaries(st.sampled_from([row.name.replace("*", "x") for row in HEADERS]), st.text()), st.data())
def test_nothing_in_a_value_raises(headers: dict[str, str], data: st.DataObject) -> None:
    names = st.sampled_from([row.name.replace("*", "x") for row in BODY])
    lines = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()]
    found = identify(RECORDER.headers(lines), data.draw(st.dictionaries(names, st.text())))
    assert all(isinstance(value, str) and value for value in found.columns.values())


@given(st.permutations([("X-LLMTAP-User", "ada"), ("Helicone-User-Id", "bob"), ("Accept", "*/*"), ("X-Bf-Vk", "k")]))
def test_neither_order_nor_case_of_headers_counts_but_the_table(lines: list[tuple[str, str]]) -> None:
    recorded = RECORDER.headers([(name.encode(), value.encode()) for name, value in lines])
    assert identify(recorded, {}).columns == {"user": "ada"}
    assert identify(telling(recorded), {}) == identify(recorded, {})


FIELDS = st.sampled_from([*(row.name for row in BODY), "metadata.", "metadata.é", "labels.team", "metadata", "users"])


@given(st.dictionaries(FIELDS | st.text(max_size=300), st.text(max_size=8)))
def test_a_field_of_a_body_is_read_by_its_first_row_and_rows_in_their_order(body: dict[str, str]) -> None:
    rows: dict[str, str] = {}
    for row in BODY:
        for name in body:
            if name == row.name or (row.name.endswith("*") and name.startswith(row.name[:-1])):
                rows.setdefault(name, row.name)
    ordered = {name: body[name] for name in rows}
    assert identify((), body) == identify((), ordered)
    unknown = {name: value for name, value in body.items() if name not in rows}
    assert identify((), unknown) == identify((), {})
