"""Every value of a call with the filter that finds it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.console.detail.facts import groups
from proxy.query.match import matches
from proxy.query.parse import parse_filter
from proxy.records import Call
from tests.cli.recorded import new_call

VALUES = st.text(max_size=30)


@settings(max_examples=50, deadline=None)
@given(VALUES, VALUES, VALUES, st.integers(0, 10**12), st.integers(0, 10**12))
def test_each_filter_finds_its_call(user: str, name: str, value: str, latency_us: int, cost: int) -> None:
    call = new_call(
        user=user, metadata={name: value}, tags=(value,), latency_us=latency_us, cost_nano_usd=cost, stream=True
    )
    for group in groups(call):
        for fact in group.facts:
            if fact.query:
                assert matches(parse_filter(fact.query), call), fact


def test_the_link_says_the_filter() -> None:
    [fact] = [fact for group in groups(new_call(user="o'hara & co")) for fact in group.facts if fact.name == "user"]
    assert parse_qs(urlsplit(fact.link).query) == {"q": ["user = 'o''hara & co'"]}


def test_what_is_unknown_is_left_out() -> None:
    names = {fact.name for group in groups(Call(id="0" * 32, started_at_us=1)) for fact in group.facts}
    assert names == {"project", "status", "id"}


def test_values_read_as_people_write_them() -> None:
    texts = {
        fact.name: fact.text for group in groups(new_call(stream=False, request_bytes=12345)) for fact in group.facts
    }
    assert (texts["latency_ms"], texts["stream"], texts["request_bytes"]) == ("812ms", "no", "12,345 bytes")
