"""Texts as they are searched, in the scripts of the world."""

# ruff: noqa: RUF001
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.query.letters import folded, tokens, words

SCRIPTS = [
    ("Été e\u0301te\u0301 ETE", ["ete", "ete", "ete"]),
    ("Straße STRASSE", ["strasse", "strasse"]),
    ("Ελλάδα ΕΛΛΆΔΑ ς Σ", ["ελλαδα", "ελλαδα", "σ", "σ"]),
    ("Ёлка елка", ["елка", "елка"]),
    ("İstanbul", ["istanbul"]),
    ("ﬁne ＡＢＣ ①", ["fine", "abc", "1"]),
    ("שָׁלוֹם שלום", ["שלום", "שלום"]),
    ("مُحَمَّد محمد", ["محمد", "محمد"]),
    ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
    ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
    ("ｶﾞﾗｽ が か\u3099", ["ガ", "ラ", "ス", "が", "が"]),
    ("서울에서", ["서", "울", "에", "서"]),
    ("สวัสดี", ["ส", "ว", "ั", "ส", "ด", "ี"]),
    ("hi👍🏽ok👩\u200d💻", ["hi", "👍", "ok", "👩", "💻"]),
    ("don’t—stop… foo_bar a.b", ["don", "t", "stop", "foo", "bar", "a", "b"]),
    ("a\0b \ud800x", ["a", "b", "x"]),
    ("→ ─── ©", []),
]


@pytest.mark.parametrize(
    ("text", "found"), SCRIPTS, ids=[text.encode("ascii", "backslashreplace").decode() for text, _ in SCRIPTS]
)
def test_what_a_text_is_searched_by(text: str, found: list[str]) -> None:
    assert tokens(text) == found


@pytest.mark.parametrize(
    ("text", "found"), SCRIPTS, ids=[text.encode("ascii", "backslashreplace").decode() for text, _ in SCRIPTS]
)
def test_words_know_their_places(text: str, found: list[str]) -> None:
    placed = list(words(text))
    assert [word.token for word in placed] == found
    for word in placed:
        assert word.token in tokens(text[word.start : word.end])


def test_ascii_is_left_as_it_is() -> None:
    assert folded("Hello, World_1") == "Hello, World_1"


def test_runs_of_base64_are_left_out() -> None:
    assert tokens(f"before {'QUJD' * 500} after") == ["before", "after"]
    assert tokens("x" * 200) == ["x" * 200]


@given(st.text())
def test_any_text_is_folded_to_what_can_be_stored_and_is_folded_already(text: str) -> None:
    once = folded(text)
    once.encode("utf-8")
    assert tokens(once) == tokens(text)


@given(st.text(alphabet="aé東ก👍ßﬁ\u0301\u200d _’Ａ한", max_size=30))
def test_words_are_the_tokens_in_their_order(text: str) -> None:
    assert [word.token for word in words(text)] == tokens(text)
    places = [word.start for word in words(text)]
    assert places == sorted(places)
