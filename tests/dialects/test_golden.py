"""Golden cases give exactly what was approved, however a stream was cut, and damage raises nothing."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.openai_chat.parts import text_of
from proxy.records import evolve

from .golden import CASES, Case, as_json, cases, parse
from .mutations import trial

STREAMS = [case for case in cases() if case.is_stream]
MUTATIONS = 500  # python -m bench.soak mutations makes 10,000
READ_BYTES = 65_536  # how much of a stream is taken at once


@pytest.mark.parametrize("case", cases(), ids=repr)
def test_the_outcome_is_the_approved_one(case: Case) -> None:
    assert as_json(parse(case.bodies)).decode() == case.expected.read_text()


def test_every_file_belongs_to_a_case() -> None:
    names = {f"{case.dialect}/{case.name}" for case in cases()}
    files = [path for path in CASES.glob("*/*") if path.is_file()]
    assert names
    assert {f"{path.parent.name}/{path.name.split('.')[0]}" for path in files} == names


@settings(deadline=None)
@given(case=st.sampled_from(STREAMS), data=st.data())
def test_any_split_of_any_stream_gives_the_same_events(case: Case, data: st.DataObject) -> None:
    body = case.bodies.response
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert events_of(case, pieces) == events_of(case, [body])


@pytest.mark.parametrize("case", STREAMS, ids=repr)
def test_a_stream_split_at_every_byte_gives_the_same_events(case: Case) -> None:
    body = case.bodies.response
    assert events_of(case, [body[at : at + 1] for at in range(len(body))]) == events_of(case, [body])


@pytest.mark.parametrize("case", STREAMS, ids=repr)
def test_a_stream_cut_anywhere_gives_a_beginning_of_its_text(case: Case) -> None:
    bodies = case.bodies
    whole = parse(bodies)
    texts = {choice.index: text_of(choice.message) or "" for choice in whole.choices}
    for cut in range(0, len(bodies.response), 7):
        parsed = parse(evolve(bodies, response=bodies.response[:cut]))
        assert all(texts[choice.index].startswith(text_of(choice.message) or "") for choice in parsed.choices)
        assert parsed.first_content_offset in (None, whole.first_content_offset, cut)


@settings(deadline=None)
@given(case=st.sampled_from([case for case in STREAMS if case.bodies.response[:1] in b"de:"]), data=st.data())
def test_any_stream_read_in_two_gives_the_same_record(case: Case, data: st.DataObject) -> None:
    """A long comment before the stream moves the place where one read ends to any byte of it."""
    bodies = case.bodies
    cut = data.draw(st.integers(0, len(bodies.response)))
    comment = b":".ljust(READ_BYTES - cut - 2, b"x") + b"\n\n"
    whole, parsed = parse(bodies), parse(evolve(bodies, response=comment + bodies.response))
    if whole.first_content_offset is not None:
        whole = evolve(whole, first_content_offset=whole.first_content_offset + len(comment))
    assert as_json(parsed) == as_json(whole)


@pytest.mark.parametrize("seed", range(10))
def test_mutated_cases_raise_nothing(seed: int) -> None:
    seeded = random.Random(seed)
    everything = cases()
    for _ in range(MUTATIONS // 10):
        trial(everything, seeded)


def events_of(case: Case, pieces: list[bytes]) -> list[Any]:
    decoder = case.decoder
    assert decoder is not None
    return [event for piece in pieces for event in decoder.feed(piece)] + list(decoder.finish())


def test_cases_stay_reviewable() -> None:
    """The approved outcomes are JSON, and no case is named by accident."""
    for case in cases():
        assert isinstance(orjson.loads(case.expected.read_bytes()), dict)
        assert "-" in case.name or case.name.isalnum()
