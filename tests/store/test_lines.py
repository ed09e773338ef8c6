"""Header lines come back as they were, and what all calls share is written down once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.records import Header
from proxy.store.sqlite.blob import DamagedError
from proxy.store.sqlite.lines import Lines, together

headers = st.builds(
    Header, st.sampled_from([b"Date", b"X-Id", b"Via", b"?"]), st.sampled_from([b"", b"1", b"2"]), st.booleans()
)


@given(st.lists(st.lists(headers, max_size=5), max_size=8))
def test_lines_come_back(calls: list[list[Header]]) -> None:
    lines = Lines()
    for call in calls:
        template, values = lines.parted(call)
        assert together(template, values) == tuple(call)


def test_what_differs_is_found_out() -> None:
    lines = Lines()
    parted = [lines.parted([Header(b"Date", b"%d" % second), Header(b"Server", b"s")]) for second in range(4)]
    assert [values for _, values in parted] == [(), (b"1",), (b"2",), (b"3",)]
    assert len({template for template, _ in parted}) == 2


def test_endless_lists_are_as_good() -> None:
    many = [Header(b"N%d" % number, b"v") for number in range(1000)]
    template, values = Lines().parted(many)
    assert together(template, values) == tuple(many)


@pytest.mark.parametrize("damaged", [b"\x91", b"\x91\x93\xc4\x01N\xc0\xc2", b"garbage"])
def test_damage_is_told(damaged: bytes) -> None:
    with pytest.raises(DamagedError):
        together(damaged, ())
