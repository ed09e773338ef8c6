"""What the stages make of an exchange: one case for each thing that a row is to tell truly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import Config, Exclude
from proxy.ingest.pipeline import Pipeline, Quarantine
from proxy.ingest.stages import Item, describe, first_item
from proxy.records import PREVIEW_CHARACTERS, Begin, End, Exchange, Head, Header, Outcome, Parsed, evolve

ID = b"\1" * 16
NOON_US = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC
ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-5-2025-08-07",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 10},
}


def headers(**values: str) -> tuple[Header, ...]:
    return tuple(Header(name.replace("_", "-").encode(), value.encode()) for name, value in values.items())


def an_exchange(
    answer: Any = ANSWER, *, status: int = 200, outcome: str = Outcome.COMPLETE, begin: Any = None, **head: Any
) -> Exchange:
    """A unary chat call."""
    body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
    request = orjson.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "hi there"}]})
    path = "/v1/chat/completions"
    return Exchange(
        begin=evolve(
            Begin(
                id=ID, started_at_us=NOON_US, accepted_us=1, method="POST", target=path, endpoint=path,
                upstream="openai", base="https://api.openai.com",
            ),
            **(begin or {}),
        ),
        head=Head(id=ID, offset_us=5, status=status, **head),
        end=End(
            id=ID, ended_us=99, offset_us=98, outcome=outcome, status=status,
            request_bytes=len(request), response_bytes=len(body),
        ),
        request_body=request,
        response_body=body,
    )  # fmt: skip


def found(tmp_path: Path, exchange: Exchange, config: Config | None = None) -> Item:
    quarantine = Quarantine(tmp_path / "quarantine", 1)
    item = Pipeline(config or Config(), quarantine).run(exchange)
    assert list(tmp_path.rglob("*.exchange")) == []
    return item


def test_counts_of_the_upstream_stand(tmp_path: Path) -> None:
    call = found(tmp_path, an_exchange()).call
    assert (call.input_tokens, call.output_tokens, call.tokens_source) == (1000, 10, "upstream")
    assert call.cost_nano_usd == 1000 * 1250 + 10 * 10_000


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (9, 1, "estimated")),
        ({"prompt_tokens": 1000}, (1000, 1, "estimated")),
        ({"completion_tokens": 0}, (9, 0, "estimated")),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0, "upstream")),
    ],
)
def test_what_the_upstream_left_out_is_estimated(tmp_path: Path, usage: Any, expected: Any) -> None:
    call = found(tmp_path, an_exchange({**ANSWER, "usage": usage})).call
    assert (call.input_tokens, call.output_tokens, call.tokens_source) == expected


def test_an_error_has_no_tokens(tmp_path: Path) -> None:
    call = found(tmp_path, an_exchange({"error": {"message": "no", "type": "bad"}}, status=429)).call
    assert (call.status, call.error_type, call.input_tokens, call.tokens_source) == ("error", "bad", None, None)


def test_an_error_at_whose_head_the_client_hung_up_is_an_error(tmp_path: Path) -> None:
    call = found(tmp_path, an_exchange(b"", status=500, outcome=Outcome.CLIENT_CLOSED, reason="Oops")).call
    assert (call.status, call.http_status, call.error_message) == ("error", 500, "500 Internal Server Error")


def test_of_an_answer_of_our_own_the_record_says_what_happened(tmp_path: Path) -> None:
    answer = {"error": {"message": "cannot reach", "type": "llmtap_upstream", "code": "unreachable"}}
    exchange = an_exchange(answer, status=502, outcome=Outcome.FAILED, ours=True)
    assert exchange.end is not None
    call = found(tmp_path, evolve(exchange, end=evolve(exchange.end, error_type="upstream_dns"))).call
    assert (call.error_type, call.error_message) == ("upstream_dns", "cannot reach")


def test_a_body_that_was_not_kept_is_no_truncated_answer(tmp_path: Path) -> None:
    exchange = evolve(an_exchange(begin={"omit_response": True}), response_body=b"")
    call = found(tmp_path, exchange).call
    assert (call.status, call.model_requested, call.output_tokens) == ("ok", "gpt-5", None)
    assert call.notes == ("its caller asked that no answer be kept",)


def test_a_misspelt_header_of_ours_is_noted(tmp_path: Path) -> None:
    sent = headers(x_llmtap_usr="ada", x_llmtap_user="eve")
    call = found(tmp_path, an_exchange(begin={"headers": sent})).call
    assert (call.user, call.notes) == ("eve", ("unknown header x-llmtap-usr; did you mean x-llmtap-user?",))


def test_headers_of_the_answer(tmp_path: Path) -> None:
    answered = headers(x_request_id="req_1", x_ratelimit_remaining_tokens="7", openai_processing_ms="12")
    call = found(tmp_path, an_exchange(headers=answered, begin={"headers": headers(x_request_id="mine")})).call
    assert (call.request_id, call.remaining_tokens, call.upstream_us) == ("req_1", 7, 12_000)


def test_the_clients_own_request_id_where_the_upstream_gives_none(tmp_path: Path) -> None:
    assert found(tmp_path, an_exchange(begin={"headers": headers(x_request_id="mine")})).call.request_id == "mine"


def test_a_model_to_be_charged_as(tmp_path: Path) -> None:
    call = found(tmp_path, an_exchange(begin={"headers": headers(helicone_model_override="gpt-5-mini")})).call
    assert call.model == "gpt-5-2025-08-07"
    assert call.cost_nano_usd == 1000 * 250 + 10 * 2000


def test_what_a_gateway_says_it_charges(tmp_path: Path) -> None:
    call = found(tmp_path, an_exchange(headers=headers(x_litellm_response_cost="0.0042"))).call
    assert (call.cost_nano_usd, call.cost_source) == (4_200_000, "upstream")


def test_the_key_of_a_target(tmp_path: Path) -> None:
    target = "/v1/chat/completions?alt=sse&key=fp:0123456789abcdef"
    assert found(tmp_path, an_exchange(begin={"target": target})).call.key == "fp:0123456789abcdef"


def test_a_path_names_the_project_before_a_header_does(tmp_path: Path) -> None:
    sent = headers(x_llmtap_project="header")
    assert found(tmp_path, an_exchange(begin={"headers": sent})).call.project == "header"
    assert found(tmp_path, an_exchange(begin={"headers": sent, "project": "path"})).call.project == "path"


def test_a_rule_excludes_also_what_is_not_to_be_kept(tmp_path: Path) -> None:
    config = Config(exclude=(Exclude(name="smoke", path="/v1/*"),))
    call = found(tmp_path, an_exchange(begin={"no_log": True}), config).call
    assert (call.excluded, call.model_requested, call.preview_input) == ("smoke", None, None)


@given(st.lists(st.sampled_from(["a", "word", "b" * 159, "c" * 200, " ", "\n" * 180, " " * 700]), max_size=12))
@settings(deadline=None)
def test_a_preview_is_the_beginning_in_one_line_however_many_blanks_there_are(pieces: list[str]) -> None:
    said = "".join(pieces)
    item = evolve(first_item(an_exchange(), Config()), parsed=Parsed(output=said))
    expected = " ".join(said[: PREVIEW_CHARACTERS * 4].split())[:PREVIEW_CHARACTERS]
    assert (describe(item).call.preview_output or "") == expected
