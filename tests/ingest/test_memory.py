"""One setting bounds all that ingest remembers; with little of it, nothing is lost."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bench.traffic import traffic
from proxy.clock import id_text
from proxy.config import load
from proxy.ingest.memory import LEAST_MB, PROCESS_BYTES, shares
from proxy.ingest.pipeline import Pipeline, Quarantine
from proxy.store.base import Batch
from proxy.store.sqlite.memory import Found
from proxy.store.sqlite.store import SqliteStore


@given(st.integers(LEAST_MB, 1 << 20))
def test_the_shares_are_not_more_than_the_whole(memory_mb: int) -> None:
    given = shares(memory_mb)
    assert min(given.waiting, given.beginnings, given.store) >= 1 << 20
    assert PROCESS_BYTES + given.waiting + given.beginnings + given.store <= memory_mb << 20


@given(st.lists(st.integers(0, 50), max_size=300), st.integers(1, 20))
def test_what_is_found_by_digests_is_bounded(digests: list[int], most: int) -> None:
    found = Found(most)
    for row_id, digest in enumerate(digests):
        found.add(digest, row_id)
        assert len({number for number in range(51) if found.get(number)}) <= 2 * most
        assert found.get(digest)[-1] == row_id


async def test_a_store_that_remembers_nearly_nothing_gives_every_byte_back(tmp_path: Path) -> None:
    config = load(None, {"XDG_CONFIG_HOME": "/nonexistent"})
    store = await SqliteStore.open(tmp_path, memory_bytes=1 << 16)
    pipeline = Pipeline(config, Quarantine(tmp_path / "quarantine", 1), salt=store.salt)
    exchanges = [exchange for exchange, _ in traffic(120, seed=11, conversations=6, anthropic=0.4, stream=0.3)]
    try:
        for start in range(0, len(exchanges), 20):
            batch = exchanges[start : start + 20]
            calls = [pipeline.run(each).stored("journal", start + at) for at, each in enumerate(batch)]
            await store.write(Batch(calls=calls))
        for exchange in exchanges:
            assert await store.exchange(id_text(exchange.begin.id)) == exchange
    finally:
        await store.close()
