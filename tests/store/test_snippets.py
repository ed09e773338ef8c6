"""The place in a call where the words stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.query.letters import tokens
from proxy.query.words import parse_words
from proxy.records import Choice, ContentPart, Message, Parsed
from proxy.store.snippets import Snippet, snippet


def a_call(asked: str, answered: str = "") -> Parsed:
    question = Message(role="user", parts=(ContentPart(type="text", text=asked),))
    answer = Message(role="assistant", parts=(ContentPart(type="text", text=answered),))
    return Parsed(input=(question,), choices=(Choice(index=0, message=answer),))


def marked(found: Snippet | None) -> list[str]:
    assert found is not None
    return [found.text[start:end] for start, end in found.hits]


def test_the_words_are_marked_in_some_text_around_them() -> None:
    text = "lorem ipsum " * 30 + "our\n  Refund\tPolicy says so " + "dolor sit " * 30
    found = snippet(a_call(text), parse_words("policy refund"))
    assert marked(found) == ["Refund", "Policy"]
    assert found is not None
    assert found.column == "input"
    assert "ipsum our Refund Policy says so dolor" in found.text
    assert found.text[0] == found.text[-1] == "…"
    assert len(found.text) < 230


def test_the_part_with_most_words_is_shown_and_the_latest_of_such() -> None:
    both = a_call("refund policy", "the refund")
    assert marked(snippet(both, parse_words("refund policy"))) == ["refund", "policy"]
    latest = snippet(both, parse_words("refund"))
    assert latest is not None
    assert (latest.column, latest.text) == ("output", "the refund")


def test_only_the_columns_that_were_searched() -> None:
    found = snippet(a_call("refund", "refund"), parse_words("refund"), ["input"])
    assert found is not None
    assert found.column == "input"
    assert snippet(a_call("refund"), parse_words("refund"), ["tools"]) is None


def test_phrases_prefixes_and_other_scripts() -> None:
    assert marked(snippet(a_call("a policy of refund, refund policy"), parse_words('"refund policy"'))) == [
        "refund policy"
    ]
    assert marked(snippet(a_call("a refundable thing"), parse_words("refund*"))) == ["refundable"]
    assert marked(snippet(a_call("高い東京タワーです"), parse_words("東京"))) == ["東京"]
    assert marked(snippet(a_call("Un été à Zürich"), parse_words("ETE zurich"))) == ["été", "Zürich"]
    assert snippet(a_call("nothing"), parse_words("refund")) is None


@given(st.text(alphabet="ab é東-\n", max_size=400), st.text(alphabet="abé東", min_size=1, max_size=3))
def test_what_is_marked_are_the_words(text: str, word: str) -> None:
    found = snippet(a_call(text), parse_words(f'"{word}"'))
    if found is None:
        return
    assert found.hits
    for start, end in found.hits:
        assert tokens(found.text[start:end])[: len(tokens(word))] == tokens(word)
    assert "\n" not in found.text
