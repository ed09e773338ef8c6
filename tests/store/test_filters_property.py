"""A filter means the same in SQL and in plain Python, for any tree over any calls, whichever way SQL goes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.query.fields import CHOICES, FIELDS, KEYED, OPERATORS, Kind
from proxy.query.match import matches, needs_store
from proxy.query.tree import And, Comparison, Filter, Not, Or, fields_of
from proxy.records import Call, Score, ToolSpan, evolve
from proxy.store.base import Batch, StoredCall
from proxy.store.judgements import REVIEW
from proxy.store.sqlite import rows
from proxy.store.sqlite.candidates import candidates
from proxy.store.sqlite.compile import compiled
from proxy.store.sqlite.store import SqliteStore
from tests.store.samples import NOON_US, an_id

words = st.sampled_from(
    [
        "",
        "a",
        "b",
        "B",
        "é",
        "É",
        "a'b",
        '"',
        "%",
        "\0",
        "a\0b",
        "[",
        "]",
        "\\",
        "-1",
        "7",
        "7.0",
        " 07 ",
        "1e1",
        "7x",
        "_",
        '"' * 600,
        "x" * 990 + "1",
        "x" * 990 + "2",
    ]
)
patterns = st.text("ab%_\\[]*?éÉB", max_size=5) | words.filter(lambda word: "\0" not in word)
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
    Kind.ID: st.builds(an_id),
    Kind.METADATA: words,
    Kind.TAGS: words,
    Kind.TOOL: words,
    Kind.SCORE: st.sampled_from([-1, 0, 0.5, 1]),
    Kind.REVIEW: st.sampled_from(CHOICES["review"]),
    Kind.REVIEWER: words | st.sampled_from(["0", "1"]),
    Kind.JUDGED: st.sampled_from(CHOICES["judged"]),
}
COMPARABLE = [field.name for field in FIELDS.values() if field.kind is not Kind.WORDS]
TELLING = [
    "model",
    "metadata",
    "metadata",
    "tags",
    "error_message",
    "tool",
    "scores",
    "review",
    "status",
    "created",
    "excluded",
]
_LISTS = {"in": (1, 3), "between": (2, 2)}


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    field = FIELDS[draw(st.sampled_from(TELLING) | st.sampled_from(COMPARABLE))]
    op = draw(st.sampled_from(OPERATORS[field.kind]))
    if op not in ("=", "!=", "<", "<=", ">", ">="):
        op = draw(st.sampled_from(["", "not "])) + op
    return Comparison(
        field.name, op, draw(values(field.kind, op)), draw(words.filter(bool)) if field.kind in KEYED else None
    )


@st.composite
def values(draw: st.DrawFn, kind: Kind, op: str) -> Any:
    one = VALUES[kind]
    if kind is Kind.METADATA and not op.endswith("like"):
        one = draw(st.sampled_from([words, numbers | st.sampled_from([7, 10.0, 0.5])]))
    if op.endswith("like"):
        return draw(patterns)
    low, high = _LISTS.get(op.removeprefix("not "), (0, 0))
    if high:
        return tuple(draw(st.lists(one, min_size=low, max_size=high)))
    return draw(st.none() | one if op in ("=", "!=") else one)


def joined(children: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, children) | st.builds(And, several) | st.builds(Or, several)


filters: st.SearchStrategy[Filter] = st.recursive(comparisons(), joined, max_leaves=6)
calls = st.builds(
    Call,
    id=st.builds(an_id),
    started_at_us=st.integers(0, 3).map(lambda number: NOON_US - number),
    status=st.sampled_from(["ok", "error"]),
    model=st.none() | names | words,
    model_requested=st.none() | names,
    error_message=st.none() | words,
    response_id=st.none() | words,
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
asked = st.lists(words, max_size=2)  # names of tools
judged = st.dictionaries(
    words.filter(lambda word: 0 < len(word) < 100) | st.just(REVIEW),
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=1, max_size=3),
    max_size=2,
)
stored = st.lists(st.tuples(calls, asked, judged), max_size=5)
Stored = list[tuple[Call, list[str], dict[str, list[float]]]]


class Kept:
    """A store whose calls are replaced from example to example."""

    def __init__(self, path: Path, runner: asyncio.Runner) -> None:
        self.run = runner.run
        self.store = self.run(SqliteStore.open(path))
        self.main = sqlite3.connect(path / "store" / "main.db", isolation_level=None)

    def fill(self, some: Stored) -> None:
        for table in ("call", "call_name", "posting", "tool_call", "score", "opinion"):
            self.main.execute(f"DELETE FROM {table}")
        spans = [
            [ToolSpan(place=place, id=None, name=name, arguments_bytes=0, digest=0) for place, name in enumerate(names)]
            for _, names, _ in some
        ]
        self.run(
            self.store.write(
                Batch(
                    calls=[StoredCall(call=call, tools=tools) for (call, *_), tools in zip(some, spans, strict=True)],
                    scores=[
                        Score(call=call.id, name=name, author=str(author), value=value, at_us=NOON_US)
                        for call, _, judgements in some
                        for name, given in judgements.items()
                        for author, value in enumerate(given)
                    ],
                )
            )
        )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with asyncio.Runner() as runner:
        found = Kept(tmp_path_factory.mktemp("filters"), runner)
        with closing(found.main):
            yield found
        found.run(found.store.close())


def meant(where: Filter, call: Call, tools: list[str], scores: dict[str, list[float]]) -> bool:
    """``matches``, with what lies beside the row put into it under other names."""
    match where:
        case Not(child):
            return not meant(child, call, tools, scores)
        case And(children):
            return all(meant(child, call, tools, scores) for child in children)
        case Or(children):
            return any(meant(child, call, tools, scores) for child in children)
        case Comparison(field="conversation", op=op, value=value):
            return matches(Comparison("retry_of", op, value), evolve(call, retry_of=call.conversation))
        case Comparison(field="tool", op=op, value=value):
            return matches(Comparison("tags", op, value), evolve(call, tags=tuple(tools)))
        case Comparison(field="scores", op=op, value=value, key=key):
            mean = fmean(scores[str(key)]) if key in scores else None
            return matches(Comparison("tokens_per_s", op, value), evolve(call, tokens_per_s=mean))
        case Comparison(field="review", op=op, value=value):
            mean = fmean(scores[REVIEW]) if REVIEW in scores else None
            word = None if mean is None else "good" if mean > 0.5 else "bad" if mean < 0.5 else "mixed"
            return matches(Comparison("retry_of", op, value), evolve(call, retry_of=word))
        case Comparison(field="reviewer", op=op, value=value):
            reviewers = tuple(str(author) for author in range(len(scores.get(REVIEW, ()))))
            return matches(Comparison("tags", op, value), evolve(call, tags=reviewers))
        case Comparison(field="judged", op=op, value=value):
            said = ("score",) * bool(scores) + ("review",) * (REVIEW in scores)
            return matches(Comparison("tags", op, value), evolve(call, tags=said))
    return matches(where, call)


_SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(stored, st.lists(filters, min_size=1, max_size=8))
@_SETTINGS
def test_sql_and_python_agree(kept: Kept, some: Stored, wheres: list[Filter]) -> None:
    kept.fill(some)
    beside = {call.id: (tools, scores) for call, tools, scores in some}
    written = kept.run(kept.store.find(limit=100, every=True))
    for where in wheres:
        found = kept.run(kept.store.find(where, limit=100))
        counts = [call for call in written if call.excluded is None or "excluded" in fields_of(where)]
        assert [call.id for call in found] == [call.id for call in counts if meant(where, call, *beside[call.id])]
        if not needs_store(where):
            assert [call.id for call in found] == [call.id for call in counts if matches(where, call)]


@given(stored, st.lists(filters, min_size=1, max_size=8))
@_SETTINGS
def test_all_ways_lead_to_the_same_rows(kept: Kept, some: Stored, wheres: list[Filter]) -> None:
    kept.fill(some)
    for where in wheres:
        as_sets, one_by_one = (ids(kept, compiled(where, each=each)) for each in (False, True))
        assert as_sets == one_by_one
        for known in candidates(where):
            looked_at = {row for (row,) in kept.main.execute(known.ids.sql, known.ids.values)}
            assert as_sets <= looked_at
            if known.held is not None:
                assert as_sets <= ids(kept, known.held)


def ids(kept: Kept, condition: Any) -> set[int]:
    return {row for (row,) in kept.main.execute(f"SELECT id FROM call WHERE {condition.sql}", condition.values)}


@given(st.text(max_size=250), st.text(max_size=50), st.integers(1, 200))
def test_metadata_is_dropped_by_the_text_that_it_was_written_by(key: str, value: str, times: int) -> None:
    text = rows.metadata_text(key, value * times)
    assert rows.fit(text) == text
    held = orjson.dumps({rows.metadata_key(key): rows.fit(value * times)}).decode()
    assert rows.stored_postings(held, None) == {(rows.KINDS["metadata"], text)}
