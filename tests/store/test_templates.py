"""Which system prompts are one prompt with something that varies in it, and which are versions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.store.templates import ANY, SHORT, Template, difference, is_similar

PROMPT = (
    "You are kind. It is 2026-11-21 12:00.\nThe user is called Ada Lovelace.\n- Answer in brief.\n- Cite sources.\n"
)


@pytest.mark.parametrize(
    ("old", "new", "data"),
    [
        ("12:00", "12:01", True),
        ("2026-11-21 12:00", "2027-01-02 09:59", True),
        ("Ada Lovelace", "Bob", True),
        ("Ada Lovelace", "Dan O'Brien", True),
        ("Ada Lovelace", "ada@example.com", True),
        ("Ada Lovelace", "019ab000-0000-7000-8000-000000000000", True),
        ("in brief", "at length", False),
        ("Answer", "Never answer", False),
        ("kind", "kind and patient", False),
        ("- Cite sources.\n", "", False),
    ],
)
def test_numbers_and_names_are_data_and_other_words_an_edit(old: str, new: str, data: bool) -> None:
    found = difference(Template((PROMPT,)), PROMPT.replace(old, new))
    assert found is not None
    assert found.short
    assert found.data is data
    assert found.template.matches(PROMPT)
    assert found.template.matches(PROMPT.replace(old, new))


def test_a_place_that_varies_may_hold_anything_that_is_short() -> None:
    found = difference(Template((PROMPT,)), PROMPT.replace("Ada Lovelace", "Bob"))
    assert found is not None
    assert found.template.matches(PROMPT.replace("Ada Lovelace", "the one who asks"))
    assert not found.template.matches(PROMPT.replace("Ada Lovelace", "x" * (SHORT + 1)))
    assert not found.template.matches(PROMPT.replace("Ada Lovelace", "Bob").replace("brief", "short"))
    again = difference(found.template, PROMPT.replace("Ada Lovelace", "the one who asks").replace("12:00", "12:05"))
    assert again is not None
    assert again.data
    assert again.template.matches(PROMPT)


def test_what_is_long_is_no_short_span() -> None:
    found = difference(Template((PROMPT,)), PROMPT + "\n".join(f"Rule {number}" for number in range(50)))
    assert found is not None
    assert (found.short, found.data) == (False, False)
    assert ANY in found.template.longest


def test_texts_too_long_to_compare_are_only_matched() -> None:
    long = PROMPT * 1000
    assert difference(Template((PROMPT,)), long) is None
    assert Template((long,)).matches(long)
    mixed = [" ".join(random.Random(seed).sample(long.split(), 4000)) for seed in (1, 2)]
    found = difference(Template((mixed[0],)), mixed[1])
    assert found is None or not found.short


def test_versions_are_similar_and_strangers_are_not() -> None:
    assert is_similar(Template((PROMPT,)), PROMPT + "Be patient.")
    assert not is_similar(Template((PROMPT,)), "Translate what you are given into French, and say nothing else.")
    assert not is_similar(Template(("",)), PROMPT)


TEXTS = st.text(st.sampled_from("ab 1\n.:A\0…"), max_size=40)


@given(TEXTS, TEXTS, TEXTS)
def test_a_template_of_two_texts_matches_both(one: str, other: str, third: str) -> None:
    template = Template((one,))
    assert template.matches(one)
    first = difference(template, other)
    if first is None:
        assert "\0" in one or "\0" in other
        return
    assert first.template.matches(other)
    assert first.template.matches(one)
    second = difference(first.template, third)
    if second is not None:
        assert all(second.template.matches(text) for text in (one, other, third))
