"""Ids that never decrease, and times as text."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import CallIds, id_text, monotonic_us, rfc3339, wall_us

MOMENTS = st.integers(0, 253_402_300_799_999_999)  # up to the year 9999


@given(st.lists(MOMENTS, min_size=1, max_size=50))
def test_ids_are_uuid7_and_never_decrease_whatever_the_clock_does(times_us: list[int]) -> None:
    ids = CallIds()
    made = [ids.next(time_us) for time_us in times_us]
    assert made == sorted(set(made))
    for call_id in made:
        value = uuid.UUID(bytes=call_id)
        assert (value.version, value.variant) == (7, uuid.RFC_4122)


def test_more_ids_in_one_millisecond_than_its_counter_holds_stay_in_order() -> None:
    ids = CallIds()
    made = [ids.next(1_763_000_000_000_000) for _ in range(10_000)]
    assert made == sorted(set(made))
    assert made[-1][:6] > made[0][:6]  # the counter carried into the milliseconds


@given(MOMENTS)
def test_an_id_holds_its_millisecond(time_us: int) -> None:
    assert int.from_bytes(CallIds().next(time_us)[:6], "big") in (time_us // 1000, time_us // 1000 + 1)


def test_ids_of_two_relays_differ_in_their_random_end() -> None:
    assert len({CallIds().next(1_763_000_000_000_000)[8:] for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_763_000_000_000_001, "2025-11-13T02:13:20.000001Z"),
        (1_709_164_800_500_000, "2024-02-29T00:00:00.500000Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times_as_text(us: int, text: str) -> None:
    assert rfc3339(us) == text


@given(MOMENTS)
def test_times_as_text_lose_nothing(us: int) -> None:
    read = datetime.fromisoformat(rfc3339(us))
    assert (read - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() == pytest.approx(us / 1e6, abs=1e-4)
    assert read.microsecond == us % 1_000_000


def test_id_text_is_what_uuid_reads() -> None:
    call_id = CallIds().next(wall_us())
    assert uuid.UUID(id_text(call_id)).bytes == call_id
    assert id_text(call_id) == str(uuid.UUID(bytes=call_id))
    with pytest.raises(ValueError, match="16 bytes"):
        id_text(call_id[:-1])


def test_clocks_count_microseconds() -> None:
    assert abs(wall_us() - datetime.now(UTC).timestamp() * 1e6) < 5e6
    first = monotonic_us()
    assert monotonic_us() >= first
