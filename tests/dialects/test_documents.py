"""Retrieved context under the names that vendors give it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.documents import cited, distinct, document, documents
from proxy.dialects.json_values import Notes
from proxy.records import Document


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("a text", {"text": "a text"}),
        ("https://example.com/a", {"url": "https://example.com/a"}),
        ({"id": 7, "title": "A", "text": "t"}, {"id": "7", "title": "A", "text": "t"}),
        ({"document_id": "d", "filename": "f", "uri": "u", "snippet": "s"},
         {"id": "d", "title": "f", "url": "u", "text": "s"}),
        ({"id": "1", "data": {"title": "A", "snippet": "s"}}, {"id": "1", "title": "A", "text": "s"}),
        ({"id": "1", "data": "whole"}, {"id": "1", "text": "whole"}),
        ({"document": {"text": "t"}, "relevance_score": 0.5}, {"text": "t", "score": 0.5}),
        ({"text": "t", "score": float("nan")}, {"text": "t"}),
        ({"colour": "red"}, {"text": '{"colour":"red"}'}),
        ({"title": "x" * 5000}, {"title": "x" * 4096}),
    ],
)  # fmt: skip
def test_a_document(value: Any, fields: dict[str, Any]) -> None:
    assert document(value, "documents") == Document(source="documents", **fields)


@pytest.mark.parametrize("value", ["", None, 7, [], {}, True])
def test_no_document(value: Any) -> None:
    assert document(value, "documents") is None


def test_a_list_is_bounded_and_what_is_none_is_noted() -> None:
    notes = Notes()
    assert len(documents(["x"] * 5000, "documents", "documents", notes)) == 1000
    assert documents({"x": 1}, "documents", "citations", notes) == ()
    assert notes.all() == ("documents has 5000 entries, more than are kept", "citations is an object, not a list")


def test_annotations_cite_in_two_shapes() -> None:
    flat = {"type": "url_citation", "url": "https://a", "title": "A"}
    nested = {"type": "url_citation", "url_citation": {"url": "https://a", "title": "A"}}
    file = {"type": "file_citation", "file_id": "file-1", "filename": "a.md"}
    found = cited([flat, nested, file, {"type": "other"}, 7], Notes())
    assert found[0] == found[1] == Document(source="citation", url="https://a", title="A")
    assert found[2] == Document(source="citation", id="file-1", title="a.md")
    assert len(found) == 3


def test_a_bare_address_of_a_document_that_is_known_is_left_out() -> None:
    known = Document(source="search_results", url="https://a", text="t")
    more = Document(source="citation", url="https://a", text="another place")
    other = Document(source="citation", url="https://b")
    assert distinct([known, Document(source="citation", url="https://a"), more, other, other]) == (known, more, other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "text", "url", "score", "data", "document", "type"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(value=JSON)
def test_any_json_is_read(value: Any) -> None:
    notes = Notes()
    found = distinct((*documents(value, "documents", "documents", notes), *cited(value, notes)))
    assert msgspec.json.decode(msgspec.json.encode(found), type=tuple[Document, ...]) == found
