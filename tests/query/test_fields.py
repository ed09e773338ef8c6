"""The table of fields: what it says of itself is so, and the document made of it says the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from proxy.query.fields import FIELDS, KEYED, OPERATORS, SHORT, Field, Kind
from proxy.query.tree import Comparison
from proxy.records import Call
from proxy.store.sqlite.access import Listing, access
from proxy.store.sqlite.files import connect_writer
from proxy.store.sqlite.schema import migrate
from scripts.fields_table import TABLE, document

BESIDE = {Kind.WORDS, Kind.SCORE, Kind.TOOL, Kind.REVIEW, Kind.REVIEWER, Kind.JUDGED}
VALUES = {
    Kind.ID: "01990000-0000-7000-8000-00000000aaaa",
    Kind.TIME: 1,
    Kind.NUMBER: 1,
    Kind.MONEY: 1,
    Kind.DURATION: 1,
    Kind.SCORE: 1,
    Kind.FLAG: True,
    Kind.REVIEW: "good",
    Kind.JUDGED: "note",
}


def test_the_document_is_what_the_tables_say() -> None:
    assert TABLE.read_text(encoding="utf-8") == document(), "run make fields-table"


def test_every_field_is_of_a_call_or_lies_beside_it() -> None:
    for field in FIELDS.values():
        assert (field.column in Call.__struct_fields__) == (field.kind not in BESIDE), field.name
        assert field.kind in OPERATORS


def test_short_names_are_names_of_nothing_else() -> None:
    assert SHORT.keys() & FIELDS.keys() == set()
    assert len(SHORT) == sum(bool(field.short) for field in FIELDS.values())


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("fields") / "main.db"
    connection = connect_writer(path)
    migrate(connection, path)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "field", [field for field in FIELDS.values() if field.kind is not Kind.WORDS], ids=lambda f: f.name
)
def test_an_index_is_used_where_the_table_says_so(empty: sqlite3.Connection, field: Field) -> None:
    value = VALUES.get(field.kind, "ok")
    where = Comparison(field.name, "=", value, "x" if field.kind in KEYED else None)
    found = access(empty, Listing(where))
    plan = " ".join(
        str(row[3])
        for row in empty.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM call {found.index} WHERE {found.condition.sql} ORDER BY {found.order}",
            found.condition.values,
        )
    )
    assert ("SCAN call" not in plan) == field.indexed, plan
