"""What people write to search: never an error of syntax, always a meaning."""

# ruff: noqa: RUF001
from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import QueryError
from proxy.query.words import MAX_CHARS, MAX_TERMS, Term, parse_words

READ = {
    "refund policy": ("refund & policy", ""),
    '"refund policy"': ("refund policy", ""),
    '"refund policy': ("refund policy", ""),
    "“refund policy” x": ("refund policy & x", ""),
    "refund -policy": ("refund", "policy"),
    'refund -"in full"': ("refund", "in full"),
    "refund* x*": ("refund* & x", ""),
    '"re fund"*': ("re fund*", ""),
    "late refund OR chargeback": ("late & refund|chargeback", ""),
    "a OR b OR c": ("a|b|c", ""),
    "OR x OR": ("or & x & or", ""),
    "a OR OR b": ("a|or & b", ""),
    "refund or policy": ("refund & or & policy", ""),
    "x OR -y": ("x & or", "y"),
    "user@example.com": ("user example com", ""),
    "input: x ^y NEAR(a,b)": ("input & x & y & near a b", ""),
    "--flag -": ("flag", ""),
    "東京 -大阪": ("東 京", "大 阪"),
    "👍 !!!": ("👍", ""),
    "Été": ("ete", ""),
    'say ""': ("say", ""),
}


def shown(term: Term) -> str:
    return " ".join(term.tokens) + "*" * term.prefix


@pytest.mark.parametrize("text", READ)
def test_how_it_is_read(text: str) -> None:
    words = parse_words(text)
    wanted = " & ".join("|".join(map(shown, group)) for group in words.groups)
    assert (wanted, " & ".join(map(shown, words.without))) == READ[text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no word to search for"),
        ("?! → *", "there is no word to search for"),
        ("-refund", "say also what to find, not only what to leave out"),
        ("x" * (MAX_CHARS + 1), "a search has at most 1000 characters, this one has 1,001"),
        ("a" * 1_000_000, "a search has at most 1000 characters, this one has 1,000,000"),
        ("a " * (MAX_TERMS + 1), "a search has at most 64 words and phrases, this one has 65"),
    ],
)
def test_what_cannot_be_sought(text: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_words(text)
    assert str(caught.value) == message


@given(st.text(alphabet='ab"-*OR ()^:{}\0東’\ud800', max_size=40))
def test_anything_is_read_or_refused_with_a_reason(text: str) -> None:
    with contextlib.suppress(QueryError):
        words = parse_words(text)
        assert all(term.tokens for term in (*words.wanted, *words.without))
