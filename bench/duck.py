"""DuckDB over the columns of the same calls: what a column store takes for the same reports.

DuckDB is no dependency: without it, its column stays empty.
"""

from __future__ import annotations

import csv
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

_COLUMNS = """
SELECT started_at_us, model.val, status.val, cost_nano_usd, input_tokens, output_tokens, latency_us
FROM call LEFT JOIN dim AS model ON model.id = call.model LEFT JOIN dim AS status ON status.id = call.status
"""
_TABLE = """
CREATE TABLE call AS SELECT * FROM read_csv('{path}', header = false, columns = {{
    'started_at_us': 'BIGINT', 'model': 'VARCHAR', 'status': 'VARCHAR',
    'cost': 'BIGINT', 'input': 'BIGINT', 'output': 'BIGINT', 'latency_us': 'BIGINT'}})
"""
COST = """
SELECT started_at_us // 86400000000 AS day, model, count(*), sum(cost), sum(input), sum(output)
FROM call GROUP BY ALL ORDER BY day, 4 DESC
"""
PERCENTILES = """
SELECT model, count(*), quantile_disc(latency_us, [0.5, 0.95, 0.99])
FROM call WHERE status = 'ok' GROUP BY ALL ORDER BY 2 DESC
"""


class Duck:
    """The calls of a store in DuckDB's memory, on one thread."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    def of(cls, data_dir: Path) -> Duck | None:
        """Take over a store's columns; None when DuckDB is not installed."""
        try:
            import duckdb
        except ImportError:
            return None
        connection = duckdb.connect(config={"threads": 1})
        with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
            main = sqlite3.connect(data_dir / "store" / "main.db")
            csv.writer(file).writerows(main.execute(_COLUMNS))
            main.close()
            file.flush()
            connection.execute(_TABLE.format(path=file.name))
        return cls(connection)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows."""
        rows: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return rows

    def median_ms(self, sql: str, times: int = 20) -> float:
        """How long a question takes."""
        took = []
        for _ in range(times):
            began_s = time.perf_counter()
            self.ask(sql)
            took.append((time.perf_counter() - began_s) * 1000)
        return statistics.median(took)
