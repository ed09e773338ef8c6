"""Long texts show their beginning, and say how much there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.console.detail.folds import ALL_CHARACTERS, CHARACTERS, LINES, folded, whole


@given(st.text(st.sampled_from("ab\n"), max_size=400))
def test_what_is_shown_and_what_is_hidden_are_the_text(text: str) -> None:
    fold = folded(text, lines=5, characters=100)
    assert text.startswith(fold.text)
    assert len(fold.text) + fold.hidden == len(text)
    assert fold.lines == text.count("\n") + 1


def test_short_texts_are_whole_and_long_ones_end_with_a_line() -> None:
    assert folded("one\ntwo").hidden == 0
    many = "\n".join(f"line {number}" for number in range(500))
    assert folded(many).text.count("\n") + 1 == LINES
    assert folded(many).text.endswith(f"line {LINES - 1}")
    assert len(folded("x" * 100_000).text) == CHARACTERS


def test_even_all_is_bounded() -> None:
    fold = whole("x" * (ALL_CHARACTERS + 7))
    assert (len(fold.text), fold.hidden) == (ALL_CHARACTERS, 7)
