"""What ingest knows of earlier requests saves work, and changes nothing that it finds out."""

from __future__ import annotations

from pathlib import Path

from bench.traffic import traffic
from proxy.config import Config
from proxy.ingest.pipeline import Pipeline, Quarantine


def a_pipeline(directory: Path) -> Pipeline:
    return Pipeline(Config(), Quarantine(directory, 1), salt=lambda _: b"s" * 16)


def test_rows_are_the_same_with_and_without_it(tmp_path: Path) -> None:
    experienced, known = a_pipeline(tmp_path), 0
    for exchange, _ in traffic(400, stream=0.4, anthropic=0.4, conversations=30):
        found, fresh = experienced.run(exchange), a_pipeline(tmp_path).run(exchange)
        assert found.call == fresh.call
        assert (found.tools, found.results, found.ties) == (fresh.tools, fresh.results, fresh.ties)
        known += found.request is not None and found.request.rest() is not None
    assert known > 100
