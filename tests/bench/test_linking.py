"""How the bench counts what the store ties together: each kind of mistake by itself."""

from __future__ import annotations

import pytest

from bench.linking import Linked, compared
from bench.traffic import Kind, Truth
from proxy.records import Call
from tests.store.samples import NOON_US, an_id

IDS = [an_id(NOON_US + place * 1_000_000) for place in range(5)]


def truth(conversation: int, kind: Kind, follows: int | None = None, repeats: int | None = None) -> Truth:
    return Truth(what="chat", conversation=conversation, turn=1, kind=kind, follows=follows, repeats=repeats)


TRUTHS = [
    truth(0, Kind.FIRST),
    truth(1, Kind.FIRST),
    truth(0, Kind.FOLLOW_UP, follows=0),
    truth(1, Kind.RETRY, repeats=1),
    truth(0, Kind.SLID, follows=2),
]
RIGHT = [(0, None), (1, None), (0, 0), (1, 1), (0, 2)]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param(RIGHT, Linked(3, 3, 3, {}, 0), id="all right"),
        pytest.param(
            [*RIGHT[:3], (1, None), RIGHT[4]], Linked(3, 3, 3, {}, 0), id="a repeated first call follows nothing"
        ),
        pytest.param([*RIGHT[:4], (4, None)], Linked(3, 2, 2, {"slid": 1}, 0), id="torn off"),
        pytest.param([*RIGHT[:4], (0, 0)], Linked(3, 3, 2, {}, 0), id="the right conversation, another answer"),
        pytest.param([*RIGHT[:3], (0, 0), RIGHT[4]], Linked(3, 2, 2, {"retry": 1}, 1), id="with somebody else's"),
    ],
)
def test_every_mistake_is_counted_once(stored: list[tuple[int, int | None]], expected: Linked) -> None:
    rows = {
        call_id: Call(
            id=call_id,
            started_at_us=NOON_US,
            conversation=IDS[conversation],
            follows=None if follows is None else IDS[follows],
        )
        for call_id, (conversation, follows) in zip(IDS, stored, strict=True)
    }
    assert compared(rows, IDS, TRUTHS) == expected
