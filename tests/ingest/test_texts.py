"""What calls are found by, from journal to search."""

from __future__ import annotations

from pathlib import Path

from proxy.clock import id_text
from proxy.config import Config, Store
from proxy.ingest.texts import Findable
from proxy.records import ContentPart, Message, Parsed
from proxy.store.sqlite.fulltext.index import Limits
from proxy.store.texts import Texts
from tests.ingest.journaling import Relay
from tests.ingest.test_worker import until_idle, working
from tests.store.samples import ended, running

ASKED = Parsed(input=(Message(role="user", parts=(ContentPart(type="text", text="word " * 1000),)),))


def test_a_call_gets_its_texts() -> None:
    found = Findable(Store())(ended(), ASKED)
    assert found.texts == Texts(input="word " * 1000)
    assert found.call.notes == ()


def test_a_call_says_when_not_all_of_it_can_be_found() -> None:
    found = Findable(Store(full_text_chars=1000))(ended(notes=("odd",)), ASKED)
    assert found.texts == Texts(input=("word " * 200), cut=True)
    assert found.call.notes == ("odd", "only the first 1,000 characters of its texts can be searched")


def test_calls_that_run_and_full_text_that_is_off() -> None:
    assert Findable(Store())(running(), ASKED).texts is None
    assert Findable(Store(full_text=False))(ended(), ASKED).texts is None


def test_settings_turn_it_off_and_bound_it() -> None:
    assert Limits.of(Config(store=Store(full_text=False))) is None
    assert Limits.of(Config(store=Store(full_text_chars=5000))) == Limits(call_chars=5000)


async def test_from_the_journal_to_a_search(tmp_path: Path) -> None:
    relay = Relay(tmp_path)
    call_id = relay.call("what is a tide?", "water that comes and goes")
    relay.call("what is a whale?", "a mammal")
    async with working(tmp_path, full_text=Limits()) as (worker, store, _):
        await until_idle(worker)
        await store.text_settled()
        found = await store.search("tide goes")
        assert [call.id for call in found.calls] == [id_text(call_id)]
        assert found.behind.calls == 0
