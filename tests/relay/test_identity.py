"""Seeded random exchanges come through unchanged; ``make soak`` runs a thousand, with larger bodies."""

from __future__ import annotations

import hashlib

import pytest

from tests.fakes.toxic import Toxic, Toxics
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import RawClient
from tests.harness.server import LlmtapServer
from tests.harness.worker import RelayWorker

from .exchanges import differences, exchange, perform


@pytest.mark.parametrize("seed", range(60))
def test_exchange_is_identical(seed: int, relay: RelayWorker, upstream: FakeUpstream) -> None:
    each = exchange(seed, max_bytes=2 << 20 if seed % 20 == 0 else 100_000)
    with relay.connect() as client:
        got, seen = perform(each, client, upstream)
    assert differences(each, got, seen) == []
    assert upstream.violations == []


def test_many_exchanges_on_one_connection(relay: RelayWorker, upstream: FakeUpstream) -> None:
    client = relay.connect()
    for seed in range(1000, 1030):
        each = exchange(seed, max_bytes=20_000)
        got, seen = perform(each, client, upstream)
        assert differences(each, got, seen) == []
        if got.framing == "close":
            client.close()
            client = relay.connect()
    client.close()


def test_bytes_that_dribble_through_both_sides_are_identical(relay: RelayWorker, upstream: FakeUpstream) -> None:
    with Toxic(relay.port, up=Toxics(slice_bytes=7), down=Toxics(slice_bytes=3)) as toxic:
        for seed in range(2000, 2010):
            each = exchange(seed, max_bytes=2_000)
            with RawClient(toxic.port) as client:
                got, seen = perform(each, client, upstream)
            assert differences(each, got, seen) == []


def test_what_was_recorded_is_identical_too(server: LlmtapServer, upstream: FakeUpstream) -> None:
    """The bodies that ``show --raw`` gives back are the bytes that crossed the wire."""
    sent = {}
    for seed in range(3000, 3008):
        each = exchange(seed, max_bytes=60_000)
        with server.connect() as client:
            got, _ = perform(each, client, upstream)
        assert got.call_id
        sent[got.call_id] = (each.request_body or b"", bytes(got.body))
    server.rows(len(sent), lambda row: row["id"] in sent)
    for call_id, bodies in sent.items():
        recorded = server.raw(call_id, "request"), server.raw(call_id, "response")
        assert [_digest(body) for body in recorded] == [_digest(body) for body in bodies]


def _digest(body: bytes) -> tuple[int, str]:
    return len(body), hashlib.sha256(body).hexdigest()
