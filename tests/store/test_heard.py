"""Whatever an event holds, what is taken of it can be written, and is within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from proxy.clock import CallIds
from proxy.records import Event, EventKind
from proxy.store import heard
from proxy.store.base import Batch
from proxy.store.judgements import TagSaid
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import NOON_US, collected, ended

CALL = ended(response_id="r", request_id="q")
_ids = CallIds()

texts = st.text(max_size=20) | st.sampled_from(
    ["", " ", "\ud800", "\0", "x" * 300_000, "r", "q", CALL.call.id, "trace"]
)
values = st.none() | st.booleans() | texts | st.floats() | st.integers(-(10**20), 10**20)
scores = st.lists(st.fixed_dictionaries({"name": texts, "value": values, "comment": st.none() | texts}), max_size=80)
targets = st.dictionaries(st.sampled_from(["call", "response_id", "request_id"]), texts, max_size=3)
FEEDBACK = st.fixed_dictionaries(
    {"target": targets},
    optional={
        "part": texts,
        "scores": scores,
        "comment": texts,
        "expected": texts,
        "tags": st.lists(texts, max_size=80),
        "metadata": st.dictionaries(texts, texts, max_size=5),
        "projects": st.none() | st.lists(texts, max_size=3),
    },
)
SAID: dict[str, st.SearchStrategy[Any]] = {
    EventKind.FEEDBACK: FEEDBACK,
    EventKind.NOTE: st.fixed_dictionaries({"call": texts, "text": texts}, optional={"note": texts}),
    EventKind.TAGS: st.fixed_dictionaries(
        {"call": texts}, optional={"add": st.lists(texts), "remove": st.lists(texts)}
    ),
    EventKind.TAG: st.fixed_dictionaries(
        {"name": texts}, optional={"color": texts, "description": texts, "renamed": texts, "deleted": st.booleans()}
    ),
    EventKind.VIEW: st.fixed_dictionaries(
        {"name": texts, "page": texts, "query": texts}, optional={"view": texts, "deleted": st.booleans()}
    ),
    EventKind.AUDIT: st.fixed_dictionaries(
        {"action": texts}, optional={"target": texts, "project": texts, "status": st.integers()}
    ),
    "other": st.dictionaries(texts, values),
}
anything = st.dictionaries(texts, values | st.lists(values, max_size=3), max_size=4)


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(sorted(SAID)))
    said = draw(SAID[kind] | anything)
    now_us = draw(st.integers(-(10**20), 10**20))
    return Event(id=_ids.next(NOON_US), kind=kind, at_us=now_us, author=draw(texts), said=said)


@given(events())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_heard_can_be_written_and_read_again(event: Event) -> None:
    said = heard.heard(event)
    if said is not None:
        written = orjson.dumps(to_builtins(said))
        assert len(written) < 6_000_000
        assert heard.read(event.kind, orjson.loads(written)) == said


class Kept:
    """A store that lasts from example to example."""

    def __init__(self, path: Path, runner: asyncio.Runner) -> None:
        self.run = runner.run
        self.store = self.run(SqliteStore.open(path))
        self.run(self.store.write(Batch(calls=[CALL])))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with asyncio.Runner() as runner:
        found = Kept(tmp_path_factory.mktemp("heard"), runner)
        yield found
        assert found.run(collected(found.store.verify())) == []
        found.run(found.store.close())


@given(st.lists(events(), max_size=8))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_event_stops_a_batch(kept: Kept, some: list[Event]) -> None:
    kept.run(kept.store.write(Batch(events=some)))
    told = kept.run(kept.store.judgements(CALL.call.id))
    assert all(word.value is not None or word.label is not None for word in told.opinions)
    row = kept.run(kept.store.call(CALL.call.id))
    assert len(row.tags) <= 64
    assert len(row.metadata) <= 64
    kept.run(kept.store.tags())
    kept.run(kept.store.views())
    kept.run(kept.store.audit())


@pytest.mark.parametrize("color", ["url(http://example.com/x)", "red", "#12345", "javascript:alert(1)", "#fff\n"])
def test_what_is_no_colour_is_none(color: str) -> None:
    event = Event(id=bytes(16), kind=EventKind.TAG, at_us=1, author="a", said={"name": "t", "color": color})
    said = heard.heard(event)
    assert isinstance(said, TagSaid)
    assert said.color == ""
