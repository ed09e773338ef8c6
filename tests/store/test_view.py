"""The JSON of a call."""

from __future__ import annotations

import json

import orjson

from proxy.query.fields import FIELDS
from proxy.records import Begin, Call, ContentPart, Exchange, Message, Parsed, ToolCall, ToolSpan, evolve
from proxy.store.view import BODY_KEYS, KEYS, call_json, selected, summary_json
from tests.store.samples import FULL, NOON_US, an_exchange, an_id

#: As the documentation promises them, in this order.
PROMISED = (
    "id started_at updated_at project upstream dialect endpoint method path stream status http_status "
    "error_type error_message model_requested model latency_ms ttft_ms input_tokens output_tokens cached_tokens "
    "cache_write_tokens reasoning_tokens tokens_source cost_usd cost_source finish_reason user session conversation "
    "key client system_prompt input output tool_calls metadata tags request_id response_id request_bytes response_bytes"
)

PARSED = Parsed(
    system_prompt="be kind",
    input=(
        Message(role="user", parts=(ContentPart(type="text", text="hi"), ContentPart(type="image", size=3))),
        Message(role="assistant"),
    ),
    output="hello",
    tool_calls=(ToolCall(id=None, name="search", arguments='{"q": '),),
)
EXCHANGE = an_exchange(b"\1" * 16)


def test_every_promised_key_in_order() -> None:
    shown = call_json(FULL, PARSED, EXCHANGE)
    assert " ".join(shown).startswith(PROMISED)
    assert list(summary_json(FULL)) == [key for key in KEYS if key not in BODY_KEYS]
    assert json.loads(orjson.dumps(shown)) == shown


def test_values_in_the_units_of_people() -> None:
    shown = call_json(evolve(FULL, updated_at_us=NOON_US + 1), PARSED, EXCHANGE)
    assert shown["started_at"] == "2026-11-21T12:00:00.000000Z"
    assert shown["updated_at"] == "2026-11-21T12:00:00.000001Z"
    assert (shown["latency_ms"], shown["ttft_ms"], shown["cost_usd"]) == (1234.567, 0.0, 12.345678901)
    assert (shown["metadata"]["a"], shown["tags"]) == ("1", ["prod", "a b"])
    assert (shown["system_prompt"], shown["output"]) == ("be kind", "hello")
    assert shown["input"] == [
        {"role": "user", "parts": [{"type": "text", "text": "hi"}, {"type": "image", "size": 3}]},
        {"role": "assistant", "parts": []},
    ]
    unknown = {"result_call": None, "result_bytes": None, "duration_ms": None, "failed": None}
    called = {"id": None, "name": "search", "arguments": '{"q": ', "server": False}
    assert shown["tool_calls"] == [called | unknown]


def test_tools_show_what_became_of_them() -> None:
    tool = ToolSpan(
        place=0, id=None, name="search", arguments_bytes=6, digest=1,
        result_call=FULL.id, result_bytes=9, duration_us=1500, failed=True,
    )  # fmt: skip
    (shown,) = call_json(FULL, PARSED, EXCHANGE, [tool])["tool_calls"]
    assert (shown["result_call"], shown["result_bytes"]) == (FULL.id, 9)
    assert (shown["duration_ms"], shown["failed"]) == (1.5, True)


def test_unknown_is_null() -> None:
    bare = Call(id=an_id(), started_at_us=NOON_US)
    shown = call_json(bare, None, None)
    known = {key: value for key, value in shown.items() if value is not None}
    assert set(known) == {
        *("id", "started_at", "updated_at", "project", "method", "path", "status", "metadata", "tags", "notes")
    }
    assert (shown["status"], shown["metadata"], shown["tags"], shown["notes"]) == ("running", {}, [], [])


def test_what_was_not_to_be_kept_is_null() -> None:
    begin = Begin(id=b"\1" * 16, started_at_us=1, accepted_us=1, method="POST", target="/", no_log=True)
    shown = call_json(FULL, Parsed(), Exchange(begin=begin))
    assert [shown[key] for key in BODY_KEYS] == [None] * len(BODY_KEYS)


def test_selected_keys() -> None:
    assert list(selected(call_json(FULL, PARSED, EXCHANGE), {"output", "id", "nonsense"})) == ["id", "output"]


def test_every_key_of_a_row_is_a_field() -> None:
    # Not of the row, or another name:
    of_others = {"created", "scores", "review", "reviewer", "judged", "tool", "text", "system", "tools"}
    assert set(FIELDS) - of_others == set(KEYS) - {*BODY_KEYS, "notes"} | {"input", "output"}
