"""A conversation as turns: tools with their results, the end first, every text to be had whole."""

from __future__ import annotations

import json
from typing import Any

from proxy.console.detail.chat import TURNS, Chat, chat, text_at
from proxy.console.detail.opened import Opened
from proxy.dialects.table import parse
from proxy.records import ContentPart, ToolSpan
from tests.cli.recorded import exchanged, new_call


def opened(messages: list[Any], answer: dict[str, Any] | None = None, **more: Any) -> Opened:
    request = json.dumps({"model": "m", "messages": messages}).encode()
    message = {"role": "assistant", "content": "done"} | (answer or {})
    response = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    stored = exchanged(new_call(), request, response)
    assert stored.exchange is not None
    return Opened(
        call=stored.call, readable=True, exchange=stored.exchange, parsed=parse(stored.exchange, 1 << 30), **more
    )


def asks(tool_id: str, name: str = "look") -> dict[str, Any]:
    return {"id": tool_id, "type": "function", "function": {"name": name, "arguments": '{"x": 1}'}}


def shown(found: Chat) -> list[tuple[str, list[str]]]:
    return [(turn.title, [piece.kind for piece in turn.pieces]) for turn in (*found.turns, *found.answers)]


def test_results_stand_with_the_calls_they_belong_to() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [asks("a"), asks("b")]},
        {"role": "tool", "tool_call_id": "b", "content": "second"},
        {"role": "tool", "tool_call_id": "a", "content": "first"},
        {"role": "tool", "tool_call_id": "stranger", "content": "whose?"},
    ]
    found = chat(opened(messages), [])
    assert shown(found) == [
        ("user", ["text"]),
        ("assistant", ["tool", "tool"]),
        ("tool", ["result"]),
        ("answer", ["text"]),
    ]
    results = [piece.tool.result.text for piece in found.turns[1].pieces if piece.tool and piece.tool.result]
    assert results == ["first", "second"]
    assert found.system is not None
    assert found.system_line == "Be brief."


def test_what_became_of_the_answers_tools() -> None:
    span = ToolSpan(
        place=0, id="a", name="look", arguments_bytes=8, digest=1, result_call="later", result_bytes=9,
        duration_us=1_500_000, failed=True,
    )  # fmt: skip
    result = ContentPart(type="tool_result", text="it failed", tool_call_id="a")
    found = opened(
        [{"role": "user", "content": "go"}], {"tool_calls": [asks("a")]}, tools=(span,), results={"a": result}
    )
    tool = chat(found, []).answers[0].pieces[-1].tool
    assert tool is not None
    assert (tool.failed, tool.duration_us, tool.result_bytes, tool.result_call) == (True, 1_500_000, 9, "later")
    assert tool.result is not None
    assert tool.result.text == text_at(found, tool.result_place) == "it failed"


def test_a_long_conversation_is_read_from_its_end() -> None:
    found = opened([{"role": "user", "content": f"message {number}"} for number in range(10_000)])
    last = chat(found, [])
    assert (last.first, last.total, len(last.turns)) == (10_000 - TURNS, 10_000, TURNS)
    assert last.turns[-1].pieces[0].text is not None
    assert last.turns[-1].pieces[0].text.text == "message 9999"
    seen = [turn.number for turn in last.turns]
    before = last.first
    while before:
        older = chat(found, [], before=before)
        assert not older.answers
        seen = [turn.number for turn in older.turns] + seen
        before = older.first
    assert seen == list(range(10_000))


def test_every_text_is_found_by_its_place() -> None:
    long = "\n".join(f"line {number}" for number in range(1000))
    messages = [
        {"role": "system", "content": long},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": long}]},
        {"role": "assistant", "content": None, "tool_calls": [asks("a")]},
        {"role": "tool", "tool_call_id": "a", "content": long},
    ]
    found = opened(messages, {"content": long, "reasoning_content": long})
    made = chat(found, [])
    assert made.system is not None
    assert made.system.hidden
    assert text_at(found, "sys") == long
    for turn in (*made.turns, *made.answers):
        for piece in turn.pieces:
            if piece.text is not None:
                assert (text_at(found, piece.place) or "").startswith(piece.text.text)
            if piece.tool is not None:
                assert text_at(found, piece.place) == '{"x": 1}'
                assert text_at(found, piece.tool.result_place) == long


def test_places_that_there_are_not() -> None:
    found = opened([{"role": "user", "content": "hi"}])
    for place in (
        "",
        "in",
        "in.1",
        "in.0.9",
        "in.9.0",
        "out.7.0",
        "in.-1.0",
        "in.x.0",
        "sys.1",
        "doc.0",
        "in.0.0.0",
        "res.0",
        "in.٣.0",
    ):
        assert text_at(found, place) is None, place


def test_markdown_takes_the_place_of_texts_only() -> None:
    from proxy.console.detail.markdown import rendered

    found = opened([{"role": "user", "content": "**hi**"}], {"reasoning_content": "**why**"})
    kinds = {piece.kind: piece.html for turn in chat(found, [], render=rendered).answers for piece in turn.pieces}
    assert kinds["reasoning"] is None
    assert str(kinds["text"]) == "<p>done</p>\n"
