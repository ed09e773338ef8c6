"""Slices of texts: nothing is left out, nothing is given twice."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from bench.traffic import Corpus
from bench.traffic.corpus import Pen, Source

LETTERS = st.text(alphabet="abcdefghij", min_size=1, max_size=60_000)


@given(st.lists(LETTERS, min_size=1, max_size=4), st.integers(0, 99))
def test_one_pass_gives_every_character_once(texts: list[str], seed: int) -> None:
    source, size, blocks = Source(texts, random.Random(seed)), sum(map(len, texts)), []
    while sum(map(len, blocks)) < size:
        blocks.append(source.block())
    assert sorted("".join(blocks)) == sorted("".join(texts))
    assert all(any(block in text for text in texts) for block in blocks)


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=20))
def test_a_pen_writes_as_much_as_it_is_asked_to(lengths: list[int]) -> None:
    pen = Pen(Source(["some words, " * 3000], random.Random(1)))
    assert [len(pen.write(length)) for length in lengths] == lengths


def test_two_pens_never_write_the_same() -> None:
    digits = "".join(f"{number:06d}." for number in range(20_000))
    source = Source([digits], random.Random(1))
    pens = [Pen(source), Pen(source)]
    written = [pens[place % 2].write(700) for place in range(100)]
    assert len(set(written)) == 100


def test_sources_are_read_in_the_same_order_every_time() -> None:
    one, other = Corpus.read(500_000), Corpus.read(500_000)
    assert one == other
    assert sum(map(len, one.code)) >= 500_000
    assert any(one.prose)
