"""Golden cases give exactly what was approved, however a stream was cut, and damage raises nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.base import Bodies
from proxy.dialects.openai_chat_parts import text_of
from proxy.records import evolve

from .golden import CASES, Case, as_json, cases, parse

STREAMS = [case for case in cases() if case.is_stream]
MUTATIONS = 500
FRAGMENTS = [
    b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud800", b"null", b"NaN", b"-1", b"1e999", b"99999999999999999999", b"true",
    b"{}", b'""', b"\n", b"\r", b"\n\n", b"data: ", b"data: [DONE]\n\n", b"event: error\n", b"\xff", b"\x00",
    b'"choices":', b'"index":"x"', b'"delta":7', b'"usage":[]', b'"error":1', b'"tool_calls":[[]]', b'"content":{}',
    b'"parts":{}', b'"candidates":[[]]', b'"usageMetadata":[]', b'"args":[', b'"message":7', b'"done":true', b"\n]",
    b"[" * 2000,
]  # fmt: skip


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


@pytest.mark.parametrize("seed", range(10))
def test_mutated_cases_raise_nothing(seed: int) -> None:
    seeded = random.Random(seed)
    everything = cases()
    for _ in range(MUTATIONS // 10):
        bodies = mutated(seeded.choice(everything).bodies, seeded)
        parsed = parse(bodies)
        as_json(parsed).decode()
        assert parsed.usage is None or all(
            count is None or count >= 0 for count in (parsed.usage.input_tokens, parsed.usage.output_tokens)
        )
        assert len(parsed.notes) <= 40


def events_of(case: Case, pieces: list[bytes]) -> list[Any]:
    decoder = case.decoder
    assert decoder is not None
    return [event for piece in pieces for event in decoder.feed(piece)] + list(decoder.finish())


def mutated(bodies: Bodies, seeded: random.Random) -> Bodies:
    request, response = (b"".join(damaged(body, seeded)) for body in (bodies.request, bodies.response))
    return evolve(bodies, request=request, response=response)


def damaged(body: bytes, seeded: random.Random) -> Iterator[bytes]:
    """The body with up to four bytes changed, dropped, doubled, or replaced by something awkward."""
    places = sorted(seeded.randrange(len(body) + 1) for _ in range(seeded.randrange(5)))
    start = 0
    for place in places:
        yield body[start:place]
        yield seeded.choice([b"", seeded.randbytes(1), body[place : place + 20] * 2, seeded.choice(FRAGMENTS)])
        start = place + seeded.choice([0, 1, 1, 5])
    yield body[start:]


def test_cases_stay_reviewable() -> None:
    """The approved outcomes are JSON, and no case is named by accident."""
    for case in cases():
        assert isinstance(orjson.loads(case.expected.read_bytes()), dict)
        assert "-" in case.name or case.name.isalnum()
