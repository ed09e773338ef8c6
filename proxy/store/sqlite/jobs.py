"""Jobs as rows: asked for by a command, done by whoever writes."""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from ..base import JobRow
from . import rows
from .queries import QUERIES


def put(connection: sqlite3.Connection, job: JobRow) -> None:
    """See ``Store.put_job``."""
    documents = (orjson.dumps(job.request).decode(), orjson.dumps(job.receipt).decode())
    times = (job.asked_at_us, job.updated_at_us)
    connection.execute(QUERIES["put_job"], (rows.uuid_bytes(job.id), job.kind, *times, str(job.state), *documents))


def one(connection: sqlite3.Connection, job_id: str) -> JobRow | None:
    """See ``Reader.job``."""
    row = connection.execute(QUERIES["job"], (rows.uuid_bytes(job_id),)).fetchone()
    return None if row is None else _job(row)


def unfinished(connection: sqlite3.Connection) -> list[JobRow]:
    """See ``Reader.unfinished_jobs``."""
    return [_job(row) for row in connection.execute(QUERIES["unfinished_jobs"])]


def _job(row: tuple[Any, ...]) -> JobRow:
    uuid, kind, asked_at_us, updated_at_us, state, request, receipt = row
    return JobRow(
        id=rows.uuid_text(uuid),
        kind=kind,
        asked_at_us=asked_at_us,
        updated_at_us=updated_at_us,
        state=state,
        request=orjson.loads(request),
        receipt=orjson.loads(receipt),
    )
