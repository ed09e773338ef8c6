"""What the gauges of llmtap's processes are called as metrics.

``/healthz`` and ``llmtap status`` read the same gauges. Of a process that is gone only ``llmtap_up``
is told: its last numbers say nothing of now, and those of its successor begin at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from ..health import Process
from .exposition import Family, Metric, Sample

UP = Metric(
    name="llmtap_up",
    kind="gauge",
    help="1 when the process does its work; 0 when it starts, drains, hangs or is gone.",
    labels=("role",),
)


def _itself(value: int, _now_us: int) -> int:
    return value


def _age(value: int, now_us: int) -> int | None:
    """Of a moment of the monotonic clock; None: it has not come."""
    return max(0, now_us - value) if value else None


class Shown(Struct, frozen=True):
    """A vital as a metric, for the processes whose names begin so."""

    vital: str
    roles: tuple[str, ...]
    metric: Metric
    read: Callable[[int, int], int | None] = _itself  #: from its value and the monotonic clock's, in µs


def _gauge(name: str, help_: str, digits: int = 0) -> Metric:
    return Metric(name=name, kind="gauge", help=help_, labels=("role",), digits=digits)


def _counter(name: str, help_: str) -> Metric:
    return Metric(name=name, kind="counter", help=help_, labels=("role",))


_MICRO = 6
_ALL = ("supervisor", "relay", "ingest", "console")
SHOWN = (
    Shown(
        "started_at_us",
        _ALL,
        _gauge("llmtap_process_start_time_seconds", "When the process started, in seconds since 1970.", _MICRO),
    ),
    Shown(
        "heartbeat_us",
        _ALL,
        _gauge("llmtap_heartbeat_age_seconds", "How long ago the process last said that it lives.", _MICRO),
        _age,
    ),
    Shown(
        "calls_accepted",
        ("relay",),
        _counter("llmtap_relay_calls_accepted_total", "Calls that came in since the relay's start."),
    ),
    Shown("calls_running", ("relay",), _gauge("llmtap_relay_calls_running", "Calls under way.")),
    Shown(
        "calls_lost",
        ("relay",),
        _counter("llmtap_relay_calls_lost_total", "Calls that were not recorded, or not wholly."),
    ),
    Shown(
        "journal_worst_write_us",
        ("relay",),
        _gauge("llmtap_journal_worst_write_seconds", "The longest write to the journal since the start.", _MICRO),
    ),
    Shown(
        "journal_slow",
        ("relay",),
        _gauge("llmtap_journal_slow", "1 while the disk is slow and journals are written on a thread."),
    ),
    Shown(
        "calls_stored",
        ("ingest",),
        _counter("llmtap_ingest_calls_stored_total", "Calls that were written to the store since ingest's start."),
    ),
    Shown(
        "journal_lag_bytes",
        ("ingest",),
        _gauge("llmtap_journal_lag_bytes", "Bytes of journals that are not stored yet."),
    ),
    Shown(
        "quarantined",
        ("ingest",),
        _gauge("llmtap_quarantined_records", "Records in quarantine: they could not be read as calls."),
    ),
    Shown(
        "last_commit_us",
        ("ingest",),
        _gauge("llmtap_last_commit_age_seconds", "How long ago ingest last wrote to the store.", _MICRO),
        _age,
    ),
)
#: ``llmtap_up`` says whether it is ready; the others name a process or an address, and measure nothing.
NOT_SHOWN = frozenset({"ready", "pid", "port"})


def processes(found: Sequence[Process], now_us: int) -> Iterator[Family]:
    """What their gauges tell; ``now_us`` is the monotonic clock's."""
    yield Family(UP, [Sample((process.name,), int(process.up)) for process in found])
    alive = [process for process in found if process.state != "down"]
    for shown in SHOWN:
        read = (
            (process.name, shown.read(process.vitals[shown.vital], now_us))
            for process in alive
            if process.name.partition("-")[0] in shown.roles
        )
        yield Family(shown.metric, [Sample((name,), value) for name, value in read if value is not None])
