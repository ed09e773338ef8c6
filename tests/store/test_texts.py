"""What of a call is new: what search finds it by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.records import Choice, ContentPart, Message, Parsed, ToolCall
from proxy.store.texts import NewTexts, pieces, unescaped

LONG = "An answer that is long enough to be known again when it comes back."


def said(role: str, *texts: str) -> Message:
    return Message(role=role, parts=tuple(ContentPart(type="text", text=text) for text in texts))


def parsed(*asked: Message, answer: str | None = None, system: str | None = None) -> Parsed:
    choices = (Choice(index=0, message=said("assistant", answer)),) if answer else ()
    return Parsed(input=asked, choices=choices, output=answer, system_prompt=system)


def fresh(most_chars: int = 10_000) -> NewTexts:
    return NewTexts(most_chars)


def test_a_call_is_found_by_all_its_parts() -> None:
    call = ContentPart(type="tool_call", name="search", arguments='{"q":"tides"}')
    result = ContentPart(type="tool_result", name="search", text="high at noon")
    asked = (
        said("system", "Be brief."),
        said("user", "When?"),
        Message(role="assistant", parts=(call,)),
        Message(role="tool", parts=(result,)),
    )
    found = fresh().of(parsed(*asked, answer="At noon."), "")
    assert (found.input, found.output, found.system) == ("When?", "At noon.", "Be brief.")
    assert found.tools.split("\n") == ["search high at noon", 'search {"q":"tides"}']
    assert not found.cut


def test_the_history_is_not_new_again() -> None:
    new = fresh()
    first = said("system", "Be brief."), said("user", "one")
    new.of(parsed(*first, answer=LONG), "")
    found = new.of(parsed(*first, said("assistant", LONG), said("user", "two"), answer="2"), "")
    assert (found.input, found.output, found.system) == ("two", "2", "")


def test_a_question_that_another_has_asked_is_found_again() -> None:
    new = fresh()
    question = parsed(said("user", "What is a tide?"), answer="water")
    assert new.of(question, "") == new.of(question, "")


def test_what_was_put_before_a_known_history_is_new() -> None:
    new = fresh()
    new.of(parsed(said("user", "one"), answer=LONG), "")
    history = said("user", "found for you: whales"), said("user", "one"), said("assistant", LONG), said("user", "two")
    assert new.of(parsed(*history), "").input == "two\nfound for you: whales"


def test_a_history_that_began_elsewhere_is_found() -> None:
    history = (
        said("user", "one"),
        said("assistant", "1"),
        said("user", "two"),
        said("assistant", LONG),
        said("user", "three"),
    )
    found = fresh().of(parsed(*history, answer="3"), "")
    assert sorted(found.input.split("\n")) == sorted(["one", "1", "two", LONG, "three"])


def test_a_short_answer_tells_nothing_of_what_stands_before_it() -> None:
    new = fresh()
    new.of(parsed(said("user", "hi"), answer="OK"), "")
    found = new.of(
        parsed(said("user", "x"), said("user", "unheard of"), said("assistant", "OK"), said("user", "two")), ""
    )
    assert "unheard of" in found.input


def test_the_beginning_of_an_answer_belongs_to_the_question_before_it() -> None:
    new = fresh()
    asked = parsed(said("user", "Write a poem"), said("assistant", "Roses"))
    assert new.of(asked, "") == new.of(asked, "")


def test_scopes_do_not_know_each_other() -> None:
    new = fresh()
    call = parsed(said("user", "one"), system="Be brief.")
    assert [new.of(call, scope).system for scope in ("a", "a", "b")] == ["Be brief.", "", "Be brief."]


def test_arguments_that_come_back_written_otherwise_are_known() -> None:
    new = fresh()
    asked = said("user", "one")
    call = ContentPart(type="tool_call", name="f", arguments='{"a":1,"b":"x y"}')
    new.of(Parsed(input=(asked,), tool_calls=(ToolCall(id="1", name="f", arguments=call.arguments or ""),)), "")
    echoed = ContentPart(type="tool_call", name="f", arguments='{"a": 1, "b": "x y"}')
    history = asked, Message(role="assistant", parts=(echoed,)), said("user", "two")
    assert new.of(Parsed(input=history), "").tools == ""


def test_escapes_are_read() -> None:
    assert unescaped('{"a":"one\\ntwo \\u6771\\u4eac \\ud83d\\ude00 \\"q\\""}') == '{"a":"one two 東京 😀 "q""}'
    assert unescaped("C:\\new") == "C:\\new"
    assert unescaped('{"half": "\\ud83d') == '{"half": "\ufffd'


def test_texts_are_bounded_and_say_so() -> None:
    found = fresh(10).of(parsed(said("user", "x" * 50), answer="never"), "")
    assert (found.input, found.output, found.cut) == ("x" * 10, "", True)
    assert not fresh(10).of(parsed(said("user", "x" * 10)), "").cut


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "tool", "system"]), st.text(max_size=60)), max_size=8))
def test_all_is_new_to_those_who_have_seen_nothing(history: list[tuple[str, str]]) -> None:
    call = parsed(*(said(role, text) for role, text in history), answer=LONG)
    found = fresh().of(call, "")
    everything = "\n".join([found.input, found.output, found.system, found.tools])
    assert all(piece.text in everything for piece in pieces(call))
