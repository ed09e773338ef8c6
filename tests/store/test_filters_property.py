"""A filter means the same in SQL and in plain Python, for any tree over any calls."""

from __future__ import annotations

import operator
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.query.fields import FIELDS, Kind, stored
from proxy.query.tree import And, Comparison, Filter, Not, Or, fields_of
from proxy.records import Call
from proxy.store.base import Batch, StoredCall
from proxy.store.sqlite import find
from proxy.store.sqlite.files import connect_writer
from proxy.store.sqlite.schema import migrate
from proxy.store.sqlite.writer import Writer
from tests.store.samples import NOON_US, an_id

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
words = st.sampled_from(["", "a", "b", "B", "é", "a'b", '"', "%", "\0", "a\0b", "[", "]", "\\", "-1", "7"])
names = st.sampled_from(["", "a", "b", "a-2025-08-07", "a-20250807", "a-2025-08", "a-b-20250807", "-20250807", "a-"])
numbers = st.integers(-3, 3)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: words,
    Kind.MODEL: names,
    Kind.NUMBER: numbers | st.floats(-3, 3) | st.just(1e30),
    Kind.MONEY: st.sampled_from([0.0, 1e-9, 2e-9, 1]),
    Kind.DURATION: st.sampled_from([0, 0.001, 0.002, 1.5]),
    Kind.TIME: numbers.map(lambda number: NOON_US + number),
    Kind.FLAG: st.booleans(),
    Kind.ID: st.just(an_id()),
    Kind.METADATA: words,
    Kind.TAGS: words,
}
EQUALITY = {Kind.FLAG, Kind.ID, Kind.TAGS}


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    field = draw(st.sampled_from(sorted(FIELDS.values(), key=lambda field: field.name)))
    value = draw(st.none() | VALUES[field.kind])
    op = draw(st.sampled_from(["=", "!="] if value is None or field.kind in EQUALITY else sorted(OPERATORS)))
    return Comparison(field.name, op, value, draw(words) if field.kind is Kind.METADATA else None)


def joined(children: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, children) | st.builds(And, several) | st.builds(Or, several)


filters: st.SearchStrategy[Filter] = st.recursive(comparisons(), joined, max_leaves=6)
calls = st.builds(
    Call,
    id=st.builds(an_id),
    started_at_us=numbers.map(lambda number: NOON_US + number),
    status=st.sampled_from(["ok", "error"]),
    model=st.none() | names | words,
    model_requested=st.none() | names,
    error_message=st.none() | words,
    stream=st.none() | st.booleans(),
    http_status=st.none() | numbers,
    input_tokens=st.none() | numbers,
    latency_us=st.none() | st.integers(0, 3),
    cost_nano_usd=st.none() | st.integers(0, 3),
    excluded=st.none() | words,
    tokens_per_s=st.none() | st.floats(0, 3),
    metadata=st.dictionaries(words, words, max_size=2),
    tags=st.lists(words, max_size=2).map(tuple),
)


def matches(where: Filter, call: Call) -> bool:
    """What a filter means."""
    match where:
        case Not(child):
            return not matches(child, call)
        case And(children):
            return all(matches(child, call) for child in children)
        case Or(children):
            return any(matches(child, call) for child in children)
    field = FIELDS[where.field]
    value = getattr(call, field.column)
    if field.kind is Kind.TAGS and where.value is not None:
        return (where.value in value) == (where.op == "=")
    if field.kind is Kind.TAGS:
        value = value or None
    if field.kind is Kind.METADATA:
        value = value.get(where.key)
    if where.value is None:
        return (value is None) == (where.op == "=")
    if field.kind is Kind.MODEL and where.op in ("=", "!="):
        known = [name for name in (call.model, call.model_requested) if name is not None]
        return bool(known) and any(named(name, where.value) for name in known) == (where.op == "=")
    return value is not None and OPERATORS[where.op](value, stored(field, where.value))


def named(model: str, name: Any) -> bool:
    """Whether a model is the one of this name, or a dated version of it."""
    return re.fullmatch(re.escape(name) + r"(-\d{4}-\d\d-\d\d|-\d{8})?", model) is not None


@pytest.fixture
def writer(tmp_path: Path) -> tuple[sqlite3.Connection, Writer]:
    connection = connect_writer(tmp_path / "main.db")
    migrate(connection, tmp_path / "main.db")
    return connection, Writer(connection, tmp_path, lambda: NOON_US)


@given(st.lists(calls, max_size=6), st.lists(filters, min_size=1, max_size=8))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sql_and_python_agree(
    writer: tuple[sqlite3.Connection, Writer], some: list[Call], wheres: list[Filter]
) -> None:
    connection, writing = writer
    connection.execute("DELETE FROM call")
    connection.execute("DELETE FROM posting")
    writing.write(Batch(calls=[StoredCall(call=call) for call in some]))
    kept = find.find(connection, find.Texts(), None, None, None, 100, every=True)
    for where in wheres:
        found = find.find(connection, find.Texts(), where, None, None, 100)
        counts = [call for call in kept if call.excluded is None or "excluded" in fields_of(where)]
        assert [call.id for call in found] == [call.id for call in counts if matches(where, call)]
