"""First words of a call are found where they stand, or written down; they are never other words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.records import PREVIEW_CHARACTERS
from proxy.store.sqlite.previews import preview_of, span_of


def first_words(text: str) -> str:
    return " ".join(text.split())[:PREVIEW_CHARACTERS]


texts = st.text(max_size=40) | st.text(alphabet='ab \n\t"\\é月🙂', min_size=100, max_size=1500)


@given(texts, st.booleans(), st.text(max_size=20))
def test_what_is_found_is_what_was_said(text: str, ascii_only: bool, before: str) -> None:
    piece = json.dumps({"x": before, "role": "user", "content": text}, ensure_ascii=ascii_only)
    data = piece.encode("utf-8", "surrogatepass")
    preview = first_words(text)
    span = span_of(preview, 7, data) if preview else None
    if span is not None:
        assert span.piece == 7
        assert preview_of(data[span.at : span.at + span.length]) == preview


@pytest.mark.parametrize(
    "text",
    [
        "plain words", "  \n\t indented", "é first", "x" * 3000, "words " * 400, "月" * 900, "a\\b\"c/d",
        "one\nline\n" * 99,
    ],
)  # fmt: skip
def test_words_in_one_string_are_found(text: str) -> None:
    data = json.dumps([{"content": "other"}, {"content": text}], ensure_ascii=False).encode()
    span = span_of(first_words(text), 1, data)
    assert span is not None
    assert preview_of(data[span.at : span.at + span.length]) == first_words(text)


def test_only_the_beginning_of_a_string_counts() -> None:
    assert span_of("words", 1, b'{"content":"more words"}') is None
    assert span_of("words", 1, b'{"content":"words and more"}') is None
    assert (
        span_of(
            "words",
            1,
            b'{"content":"words',
        )
        is not None
    )
    assert span_of("words", 1, b'{"content":" words"}') is not None


def test_pieces_that_are_too_large_are_not_read_for_a_list() -> None:
    assert span_of("words", 1, b'{"content":"words","x":"' + b"y" * 100_000 + b'"}') is None
