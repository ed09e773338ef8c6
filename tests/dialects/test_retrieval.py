"""Retrieved context by the user's own rules."""

from __future__ import annotations

import orjson
import pytest

from proxy.dialects.json_values import Notes
from proxy.dialects.retrieval import documents
from proxy.records import ContentPart, Document, Message
from proxy.settings import Retrieval

BODY = orjson.dumps(
    {
        "extra": {
            "chunks": [
                {"id": "d1", "page_content": "Refunds take 14 days.", "metadata": {"source": "faq.md"}, "score": 0.8},
                "a mere text",
                7,
            ]
        }
    }
)


def prompt(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(role="user", parts=(ContentPart(type="text", text=text),)) for text in texts)


@pytest.mark.parametrize("path", ["$.extra.chunks[*]", "$.extra.chunks", "$..chunks"])
def test_a_path_points_at_documents(path: str) -> None:
    assert documents(Retrieval(paths=(path,)), BODY, (), Notes()) == (
        Document(source="path", id="d1", title="faq.md", text="Refunds take 14 days.", score=0.8),
        Document(source="path", text="a mere text"),
        Document(source="path", text="7"),
    )


def test_a_tag_stands_around_documents() -> None:
    said = prompt('Use <document id="1">one</document> and <document> two </document>.', "<documents>no</documents>")
    found = documents(Retrieval(tags=("document",)), b"", said, Notes())
    assert [(each.source, each.title, each.text) for each in found] == [
        ("tag", "document", "one"),
        ("tag", "document", "two"),
    ]


def test_what_is_not_there_is_not_found() -> None:
    rules = Retrieval(paths=("$.nothing[*]",), tags=("document",))
    assert documents(rules, BODY, prompt("<document>never closed"), Notes()) == ()
    assert documents(rules, b"no json", prompt("no tag"), Notes()) == ()


def test_a_path_that_is_none_is_noted() -> None:
    notes = Notes()
    assert documents(Retrieval(paths=("$[[[",)), BODY, (), notes) == ()
    assert notes.all()[0].startswith("retrieval path $[[[")


def test_a_hostile_prompt_takes_one_pass() -> None:
    assert documents(Retrieval(tags=("d",)), b"", prompt("<d " * 200_000), Notes()) == ()
    assert len(documents(Retrieval(tags=("d",)), b"", prompt("<d></d>" * 2_000), Notes())) == 1000
