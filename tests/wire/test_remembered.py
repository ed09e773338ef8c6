"""What is remembered of names is what would be found anew, and not more than was allowed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.remembered import Remembered


@given(st.lists(st.text(max_size=3)), st.integers(1, 4))
def test_a_fact_is_the_same_whether_it_is_remembered_or_not(names: list[str], most: int) -> None:
    facts = Remembered(str.upper, most)
    assert [facts[name] for name in names] == [name.upper() for name in names]
    assert len(facts) <= most


def test_a_fact_is_found_once() -> None:
    asked: list[bytes] = []
    facts: Remembered[bytes, None] = Remembered(asked.append)
    for _ in range(3):
        assert facts[b"host"] is None
    assert asked == [b"host"]


def test_long_names_are_not_kept() -> None:
    facts = Remembered(len)
    assert facts["x" * 100_000] == 100_000
    assert not facts


def test_when_there_are_too_many_it_begins_anew() -> None:
    facts = Remembered(len, 2)
    assert [facts[name] for name in ("a", "bb", "ccc", "a")] == [1, 2, 3, 1]
    assert facts == {"ccc": 3, "a": 1}
