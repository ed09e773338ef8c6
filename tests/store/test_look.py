"""Lists that stop before all rows were looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.query.parse import parse_filter
from proxy.store.base import Looked, Order
from proxy.store.sqlite import look as look_module
from proxy.store.sqlite.access import Listing
from proxy.store.sqlite.find import Texts
from proxy.store.sqlite.fulltext.reading import TextReaders
from proxy.store.sqlite.look import Look
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import ended, write

ROWS = 2_500  #: the first stretch holds fewer


@pytest.mark.parametrize("order", list(Order))
async def test_a_filter_without_an_index_stops_after_a_while_says_where_and_goes_on(
    tmp_path: Path, order: Order
) -> None:
    store = await SqliteStore.open(tmp_path)
    calls = [ended(latency_us=9_000_000 if number == 7 else 1) for number in range(ROWS)]
    await write(store, *calls)
    words = TextReaders(tmp_path)
    listing = Listing(parse_filter("latency:>5s"), limit=10, order=order)

    async def impatient(before: str | None) -> Looked:
        look = Look(Texts(), words, listing, before, patience_us=0)
        while await store._ask(False, look.step):
            pass
        return await store._ask(Looked(calls=[]), look.looked)

    first = await impatient(None)
    stopped_at = calls[-look_module._STRETCHES[0]].call
    assert (first.calls, first.back_to_us) == ([], stopped_at.started_at_us)
    looked, looks = first, 1
    while looked.next is not None:
        looked, looks = await impatient(looked.next), looks + 1
        if looked.calls:
            break
    assert [call.id for call in looked.calls] == [calls[7].call.id]
    assert looks == 3
    await store.close()
