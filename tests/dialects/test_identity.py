"""Who asks, as request bodies say it: flat names, bounded, the same in every dialect that has them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.dialects.identity import identity
from proxy.dialects.json_values import Notes
from proxy.dialects.table import GENERIC, ROWS

from .golden import DEFAULT_PATHS, parse
from .test_bad_input import bodies_of


@pytest.mark.parametrize(
    ("request_body", "found"),
    [
        ({}, {}),
        ({"user": "u-1", "messages": []}, {"user": "u-1"}),
        ({"user": ""}, {"user": ""}),
        ({"user": None, "metadata": None}, {}),
        ({"metadata": {"team": "a", "n": 1, "deep": {"x": [True]}}}, {
            "metadata.team": "a", "metadata.n": "1", "metadata.deep": '{"x":[true]}',
        }),
        ({"store": False, "service_tier": "flex"}, {"store": "false", "service_tier": "flex"}),
        ({"prompt": {"id": "pmpt_1", "version": "2", "variables": {"x": "y"}}}, {
            "prompt.id": "pmpt_1", "prompt.version": "2",
        }),
        ({"prompt": "what was asked"}, {}),
        ({"conversation": "conv_1"}, {"conversation": "conv_1"}),
        ({"conversation": {"id": "conv_1"}}, {"conversation.id": "conv_1"}),
        ({"labels": {"team": "a"}, "tags": ["x", "y"]}, {"labels.team": "a", "tags": '["x","y"]'}),
    ],
)  # fmt: skip
def test_what_is_found(request_body: dict[str, Any], found: dict[str, str]) -> None:
    notes = Notes()
    assert identity(request_body, notes) == found
    assert notes.all() == ()


def test_metadata_that_is_no_object_is_noted() -> None:
    notes = Notes()
    assert identity({"metadata": [1]}, notes) == {}
    assert notes.all() == ("metadata is a list, not an object",)


def test_entries_are_few_and_short() -> None:
    notes = Notes()
    many = {f"k{number}": "v" for number in range(1000)}
    found = identity({"user": "u" * 5000, "metadata": many | {"long": "x" * 5000}}, notes)
    assert len(found) == 64
    assert "user" not in found
    assert len(notes.all()) == 2


ASKING = {"user": "u-1", "metadata": {"team": "a"}}
#: Formats whose bodies have no place for who asks.
WITHOUT = {"models", "ollama"}


@pytest.mark.parametrize("name", sorted({row.dialect.name for row in ROWS} - WITHOUT | {GENERIC.name}))
def test_every_dialect_reads_who_asks(name: str) -> None:
    parsed = parse(bodies_of(name, request=orjson.dumps(ASKING), response=b"{}"))
    assert parsed.identity.get("metadata.team") == "a"
    assert name in DEFAULT_PATHS
