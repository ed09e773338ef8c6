"""Writes ``docs/metrics.md``: what ``/metrics`` tells, from the tables of metrics.

``make metrics-table`` runs it; ``tests/console/test_metrics.py`` fails when the document and the
tables have drifted apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from proxy.console.metrics.exposition import LABEL_MOST, Metric
from proxy.console.metrics.processes import SHOWN, UP
from proxy.console.metrics.stored import BYTES, COUNTS, READABLE
from proxy.console.metrics.tally import DIMENSIONS, MOST, OTHER, UNKNOWN, counters

TABLE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"

HEAD = f"""\
# Metrics

`/metrics` on the console's port is for Prometheus.

```
scrape_configs:
  - job_name: llmtap
    authorization:
      credentials_file: /etc/prometheus/llmtap-token
    static_configs:
      - targets: ["127.0.0.1:8801"]
```

Where the console asks who you are, `llmtap token create prometheus --role metadata-viewer` makes the token; the role
must be for all projects, since what is told is of the whole machine. Elsewhere, leave `authorization` out. A console
that is scraped by another name than the one it listens on has that name in `console.hosts`. Nothing that was said is
told, so scrapes are not audited.

- Counters of a process begin with 0 when it starts. Those by status, model, upstream and project begin with 0 when the
  console is first scraped after its start, and count the calls that end from then on; excluded calls are left out.
- They never go down: what is pruned stays counted. A new price or parser (`llmtap reprice`, `llmtap rederive`) counts
  where it raises the sums of today and yesterday.
- {MOST} models, upstreams and projects have counters of their own: those with the most calls when the console is first
  scraped, then whoever comes first. The rest is `{OTHER}`; a call that names none is `{UNKNOWN}`. Names are cut at
  {LABEL_MOST} characters.
- `model` is the model that was asked for.
- `role` is a process: `supervisor`, `relay-0`…, `ingest`, `console`. Of one that is gone only `llmtap_up` is told.

"""


def metrics() -> Iterator[Metric]:
    """All there are, in the order in which they are told."""
    yield from (UP, *(shown.metric for shown in SHOWN), READABLE, BYTES, *(metric for metric, _ in COUNTS))
    for dimension in DIMENSIONS:
        yield from (metric for _, metric in counters(dimension))


def document() -> str:
    """The whole file."""
    rows = [
        (f"`{metric.name}`", metric.kind, " ".join(f"`{name}`" for name in metric.labels), metric.help)
        for metric in metrics()
    ]
    lines = [("metric", "type", "label", "what it is"), ("---",) * 4, *rows]
    return HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    TABLE.write_text(document(), encoding="utf-8")
