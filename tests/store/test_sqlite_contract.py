"""The contract, kept by SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.store.base import Reader, Store
from proxy.store.sqlite.reader import SqliteReader
from proxy.store.sqlite.store import SqliteStore
from tests.store.contract import OpenReader, OpenStore, StoreContract


class TestSqlite(StoreContract):
    """All of it."""

    @pytest.fixture
    async def open_store(self, tmp_path: Path) -> AsyncIterator[OpenStore]:
        opened: list[Store] = []

        async def open_one() -> Store:
            store: Store = await SqliteStore.open(tmp_path)
            opened.append(store)
            return store

        yield open_one
        for store in opened:
            await store.close()

    @pytest.fixture
    async def open_reader(self, tmp_path: Path) -> AsyncIterator[OpenReader]:
        opened: list[Reader] = []

        async def open_one() -> Reader:
            reader: Reader = await SqliteReader.open(tmp_path)
            opened.append(reader)
            return reader

        yield open_one
        for reader in opened:
            await reader.close()
