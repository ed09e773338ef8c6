"""A difference holds both texts, whatever is in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.console.detail.differences import LINES, WORDS, difference

TEXTS = st.lists(st.sampled_from(["the ", "cat", "sat\n", "on", " ", "mat", ".", "é"]), max_size=40).map("".join)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_out_of_it(one: str, two: str) -> None:
    found = difference(one, two)
    assert found.by == "words"
    assert "".join(span.text for span in found.spans if span.kind in ("same", "gone")) == one
    assert "".join(span.text for span in found.spans if span.kind in ("same", "new")) == two
    assert found.none == (one == two)


def test_words_are_marked_not_letters() -> None:
    spans = [(span.kind, span.text) for span in difference("the cat sat", "the dog sat").spans]
    assert spans == [("same", "the "), ("gone", "cat"), ("new", "dog"), ("same", " sat")]


def test_long_texts_are_compared_by_lines_and_the_longest_not_at_all() -> None:
    words = "".join(f"word{number} and more\n" for number in range(WORDS))
    by_lines = difference(words, words.replace("and", "or"))
    assert by_lines.by == "lines"
    huge = "".join(f"{number}\n" for number in range(2 * LINES + 2))
    assert difference(huge, huge[::-1]).by == "whole"


def test_what_is_alike_for_long_is_left_out() -> None:
    found = difference("x " * 5_000 + "end", "x " * 5_000 + "fin")
    assert [span.kind for span in found.spans] == ["same", "left_out", "same", "gone", "new"]
    assert found.by == "words"
