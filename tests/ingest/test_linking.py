"""What ties calls together: an answer has one form, however it came and however it is sent back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.base import Bodies
from proxy.dialects.table import choose
from proxy.ingest.linking import is_nobody_elses, is_talk, ties
from proxy.records import Call, ContentPart, Message, Parsed, Ties

LONG = "The tide rises twice a day, because the moon pulls at the water and the earth turns below it."
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
    "ollama": "/api/chat",
}


def read(dialect: str, request: Any, answer: Any = None, events: bytes = b"") -> Ties:
    """The ties of one call."""
    stream = {"content-type": "text/event-stream"} if events else {"content-type": "application/json"}
    path = PATHS[dialect]
    parsed = choose(path, {}, "").parse(
        Bodies(
            path=path,
            request=json.dumps(request).encode(),
            response=events or (b"" if answer is None else json.dumps(answer).encode()),
            response_headers=stream,
            http_status=200 if events or answer is not None else None,
        )
    )
    return ties(parsed)


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **more}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


ASKED = {"role": "user", "content": "Why?"}
THEN = {"role": "user", "content": "And then?"}
TOOL = {"id": "call_a1b2c3d4e5", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": [2]}'}}


def chat_answer(message: dict[str, Any]) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def chunks(*deltas: dict[str, Any]) -> bytes:
    events = [{"id": "x", "choices": [{"index": 0, "delta": each}]} for each in deltas]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


#: Dialect, the first messages, the answer in any form, and the same answer as the next request repeats it.
ANSWERS: list[tuple[str, Any, Any, bytes, Any]] = [
    ("openai_chat", chat(ASKED), chat_answer(said(LONG, refusal=None)), b"", chat(ASKED, said(LONG), THEN)),
    (
        "openai_chat",
        chat(ASKED),
        None,
        chunks({"role": "assistant", "content": ""}, {"content": LONG[:20]}, {"content": LONG[20:]}),
        chat(ASKED, said("", content=[{"type": "text", "text": f" {LONG}\n"}], refusal=None, audio=None), THEN),
    ),
    (
        "openai_chat",
        chat(ASKED),
        None,
        chunks(
            {"role": "assistant", "content": None},
            {"tool_calls": [{"index": 0, **TOOL, "function": {"name": "add", "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1,'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '"b":[2]}'}}]},
        ),
        chat(ASKED, said("", tool_calls=[TOOL]), {"role": "tool", "tool_call_id": TOOL["id"], "content": "3"}),
    ),
    (
        "openai_responses",
        {"model": "m", "input": "Why?"},
        {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": LONG}]},
            ],
        },
        b"",
        {"model": "m", "input": [ASKED, said(LONG), THEN]},
    ),
    (
        "openai_responses",
        {"model": "m", "input": "Why?"},
        {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "output": [
                {"type": "function_call", "call_id": "call_A1B2C3D4", "name": "add", "arguments": '{"a":1}'},
                {"type": "function_call", "call_id": "call_A1B2C3D5", "name": "add", "arguments": '{"a":2}'},
            ],
        },
        b"",
        {
            "model": "m",
            "input": [
                ASKED,
                {"type": "function_call", "call_id": "call_A1B2C3D4", "name": "add", "arguments": '{ "a": 1 }'},
                {"type": "function_call", "call_id": "call_A1B2C3D5", "name": "add", "arguments": '{"a":2}'},
                {"type": "function_call_output", "call_id": "call_A1B2C3D4", "output": "1"},
                {"type": "function_call_output", "call_id": "call_A1B2C3D5", "output": "2"},
            ],
        },
    ),
    (
        "anthropic_messages",
        chat(ASKED, max_tokens=9),
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "text", "text": LONG},
                {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "add", "input": {"a": 1}},
            ],
        },
        b"",
        chat(
            ASKED,
            said(
                "",
                content=[
                    {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}},
                    {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "add", "input": {"a": 1}},
                ],
            ),
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01A09q90qw90lq917835lq9"}]},
            max_tokens=9,
        ),
    ),
    (
        "gemini",
        {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": LONG}]}}]},
        b"",
        {
            "contents": [
                {"parts": [{"text": "Why?"}]},
                {"role": "model", "parts": [{"text": LONG}]},
                {"parts": [{"text": "x"}]},
            ]
        },
    ),
    (
        "gemini",
        {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]},
        {
            "candidates": [
                {"content": {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {"a": 1}}}]}}
            ]
        },
        b"",
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Why?"}]},
                {"role": "model", "parts": [{"functionCall": {"args": {"a": 1}, "name": "add"}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"sum": 1}}}]},
            ]
        },
    ),
    (
        "ollama",
        chat(ASKED, stream=False),
        {"model": "m", "message": said("Because."), "done": True},
        b"",
        chat(ASKED, said("Because."), THEN),
    ),
]


@pytest.mark.parametrize(("dialect", "request_", "answer", "events", "later"), ANSWERS)
def test_an_answer_is_known_again_when_it_is_sent_back(
    dialect: str, request_: Any, answer: Any, events: bytes, later: Any
) -> None:
    first, second = read(dialect, request_, answer, events), read(dialect, later)
    assert first.answers
    assert second.echoes == first.answers
    assert first.echoes == ()


def test_all_formats_have_one_form_of_an_answer() -> None:
    plain = [read(*row[:4]).answers for row in ANSWERS if row[0] != "ollama" and LONG in json.dumps(row[2])]
    assert len(set(plain)) == 2  # one of them also calls a tool


def test_a_short_answer_is_known_only_behind_what_was_said_before() -> None:
    first = read("openai_chat", chat(ASKED), chat_answer(said("Yes.")))
    other = read("openai_chat", chat(THEN), chat_answer(said("Yes.")))
    assert first.answers != other.answers
    system = {"role": "system", "content": "It is 12:01."}
    assert read("openai_chat", chat(system, ASKED, said("Yes."), THEN)).echoes == first.answers
    window = chat({"role": "user", "content": "a"}, said("b"), ASKED, said("Yes."), THEN)
    long = chat(said("older"), *window["messages"])
    assert read("openai_chat", window).echoes == read("openai_chat", long).echoes != first.answers


def test_tool_calls_without_ids_of_their_own_are_known_behind_what_was_said_before() -> None:
    tool = {**TOOL, "id": "call_0"}
    first = read("openai_chat", chat(ASKED), chat_answer(said("", tool_calls=[tool])))
    other = read("openai_chat", chat(THEN), chat_answer(said("", tool_calls=[tool])))
    assert first.answers != other.answers
    assert read("openai_chat", chat(ASKED, said("", tool_calls=[tool]))).tool_ids == ()
    named = read("openai_chat", chat(ASKED), chat_answer(said("", tool_calls=[TOOL])))
    assert named.answers == read("openai_chat", chat(THEN), chat_answer(said("", tool_calls=[TOOL]))).answers
    assert read("openai_chat", chat(ASKED, said("", tool_calls=[TOOL]))).tool_ids == (TOOL["id"],)


@pytest.mark.parametrize(
    ("tool_id", "random"),
    [
        ("call_kzT31MlX0e0n2o9", True),
        ("toolu_01A09q90qw90lq917835lq9", True),
        ("D681PevKs", True),
        ("chatcmpl-tool-8b3f6c1a528f0e4a", True),
        ("call_0", False),
        ("functions.search:0", False),
        ("get_current_weather", False),
        ("", False),
        (None, False),
        ("a1" * 500, False),
    ],
)
def test_ids_that_are_given_once(tool_id: str | None, random: bool) -> None:
    assert is_nobody_elses(tool_id) is random


def test_what_was_put_into_the_models_mouth_is_part_of_its_answer() -> None:
    begun = chat(ASKED, said(LONG[:30]))
    first = read("anthropic_messages", begun, {"type": "message", "content": [{"type": "text", "text": LONG[30:]}]})
    later = read("anthropic_messages", chat(ASKED, said(LONG), THEN))
    assert later.echoes[0] in first.answers


def test_of_many_choices_any_may_be_taken_up() -> None:
    answer = chat_answer(said(LONG))
    answer["choices"].append({"index": 1, "message": said(LONG[::-1]), "finish_reason": "stop"})
    first = read("openai_chat", chat(ASKED, n=2), answer)
    assert read("openai_chat", chat(ASKED, said(LONG[::-1]), THEN)).echoes == first.answers[2:]


def test_answers_and_conversations_that_are_named() -> None:
    found = read("openai_responses", {"input": "x", "previous_response_id": "resp_1", "conversation": {"id": "conv_1"}})
    assert (found.previous_response, found.conversation_id) == ("resp_1", "conv_1")
    assert read("openai_responses", {"input": "x", "conversation": "conv_2"}).conversation_id == "conv_2"


def test_an_answer_that_says_nothing_ties_nothing() -> None:
    assert read("openai_chat", chat(ASKED), chat_answer(said(""))).answers == ()
    assert read("openai_chat", chat(ASKED, said(" \n"), THEN)).echoes == ()
    assert read("openai_chat", {"messages": "x"}, {"choices": 3}) == Ties()


def test_only_the_end_of_a_request_matters() -> None:
    messages = [ASKED, said("a"), THEN, said("b"), ASKED, said("c"), THEN]
    whole, end = read("openai_chat", chat(*messages)), read("openai_chat", chat(*messages[-4:]))
    assert (whole.echoes, whole.tool_ids) == (end.echoes, end.tool_ids)


def test_a_task_is_what_another_agent_is_asked() -> None:
    task = "Find all places in the sources where a file is opened.\nList them by module."
    called = {**TOOL, "function": {"name": "task", "arguments": json.dumps({"prompt": task, "kind": "search"})}}
    parent = read("openai_chat", chat(ASKED), chat_answer(said("", tool_calls=[called])))
    child = read("openai_chat", chat({"role": "system", "content": "You search."}, {"role": "user", "content": task}))
    assert set(child.begins) & set(parent.tasks)
    parts = [{"type": "text", "text": "<reminder>Today is Sunday.</reminder>"}, {"type": "text", "text": task}]
    assert set(read("openai_chat", chat({"role": "user", "content": parts})).begins) & set(parent.tasks)
    assert not set(read("openai_chat", chat(ASKED)).begins) & set(parent.tasks)
    assert read("openai_chat", chat({"role": "user", "content": task}, said("x"), THEN)).begins == ()


@pytest.mark.parametrize(
    ("dialect", "method", "endpoint", "talks"),
    [
        ("openai_chat", "POST", "/v1/chat/completions", True),
        ("gemini", "POST", "/v1beta/models/g:streamGenerateContent", True),
        ("gemini", "POST", "/v1beta/models/g:countTokens", False),
        ("anthropic_messages", "POST", "/v1/messages/count_tokens", False),
        ("openai_responses", "GET", "/v1/responses/resp_1", False),
        ("openai_responses", "POST", "/v1/responses/resp_1/cancel", False),
        ("ollama", "POST", "/api/embed", False),
        ("openai_embeddings", "POST", "/v1/embeddings", False),
        ("generic", "POST", "/", False),
        (None, "POST", None, False),
    ],
)
def test_which_calls_have_a_conversation(dialect: str | None, method: str, endpoint: str | None, talks: bool) -> None:
    call = Call(id="", started_at_us=0, dialect=dialect, method=method, endpoint=endpoint)
    assert is_talk(call) is talks


def test_odd_texts_have_digests_and_lists_have_bounds() -> None:
    odd = ContentPart(type="text", text="\ud800" * 60)
    tools = [ContentPart(type="tool_call", tool_call_id=f"id{number:09}", arguments="{") for number in range(1000)]
    answer = Message(role="assistant", parts=(odd, *tools))
    found = ties(Parsed(input=(answer, Message(role="user", parts=(odd,)))))
    assert len(found.echoes) == 1
    assert len(found.tool_ids) < 100
