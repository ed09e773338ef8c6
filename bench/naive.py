"""The design to beat: a row a call, the JSON as it is, two indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from proxy.store.base import StoredCall

_COLUMNS = (
    "id", "started_at_us", "project", "upstream", "dialect", "endpoint", "method", "path", "stream", "status",
    "http_status", "error_type", "error_message", "model_requested", "model", "latency_us", "ttft_us",
    "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd", "finish_reason", "user",
    "key", "client", "request_id", "response_id", "request_bytes", "response_bytes",
)  # fmt: skip


class Naive:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        names = ", ".join(f'"{name}"' for name in _COLUMNS)
        self._connection.execute(f"CREATE TABLE call ({names}, request TEXT, response TEXT)")
        self._connection.execute("CREATE INDEX call_started ON call (started_at_us)")
        self._connection.execute("CREATE INDEX call_model ON call (model, started_at_us)")
        self._insert = f"INSERT INTO call VALUES ({', '.join('?' * (len(_COLUMNS) + 2))})"

    def write(self, calls: Sequence[StoredCall]) -> None:
        """One transaction."""
        self._connection.execute("BEGIN")
        self._connection.executemany(self._insert, [_row(stored) for stored in calls])
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """All of it into one file."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def bytes_on_disk(self) -> int:
        """After ``close``."""
        return self._path.stat().st_size


def _row(stored: StoredCall) -> tuple[object, ...]:
    exchange = stored.exchange
    assert exchange is not None
    columns = (getattr(stored.call, name) for name in _COLUMNS)
    return (*columns, exchange.request_body.decode(), exchange.response_body.decode())
