"""Embeddings in the spelling of every kind of server are kept as floats, and written again exactly."""

from __future__ import annotations

import json
import math
import random
import struct
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.store.sqlite.blob import Packer
from proxy.store.sqlite.template import template_bytes
from tests.store.test_media import as_parts, taken_out

Write = Callable[[Sequence[float]], str]


def unit_vector(size: int = 1536, seed: int = 1) -> list[float]:
    """Doubles that were made of float32, as a model gives them."""
    noise = random.Random(seed)
    values = [noise.gauss(0, 1) for _ in range(size)]
    length = math.hypot(*values)
    return array("f", [value / length for value in values]).tolist()


def shortest(value: float) -> str:
    """The shortest decimal of a float32, as Go, Rust and C++ find it; exponents as Python."""
    packed = struct.pack("f", value)
    return next(text for digits in range(1, 10) if struct.pack("f", float(text := f"{value:.{digits}g}")) == packed)


def go(value: float) -> str:
    """As Go's encoding/json writes a float32: exponents below 1e-6 only, without zeros."""
    text = shortest(value)
    if "e-" not in text:
        return f"{value:.0f}" if "e" in text else text
    mantissa, _, exponent = text.partition("e-")
    if int(exponent) > 6:
        return f"{mantissa}e-{int(exponent)}"
    digits = mantissa.lstrip("-").replace(".", "")
    return "-" * text.startswith("-") + "0." + "0" * (int(exponent) - 1) + digits


def joined(write: Callable[[float], str], separator: str) -> Write:
    return lambda values: "[" + separator.join(map(write, values)) + "]"


WRITERS: dict[str, Write] = {
    "openai: doubles, indented": lambda values: json.dumps(values, indent=8),
    "openai documentation: floats, indented": joined(shortest, ",\n        "),
    "vllm: doubles, compact": lambda values: json.dumps(values, separators=(",", ":")),
    "python json.dumps": json.dumps,
    "orjson": lambda values: orjson.dumps(values).decode(),
    "ollama embed: floats by Go": joined(go, ","),
    "ollama embeddings: doubles by Go": joined(lambda value: repr(value).replace("e-0", "e-"), ","),
    "gemini: floats, indented": joined(shortest, ",\n          "),
    "gemini, nine digits": joined(lambda value: f"{value:.9g}", ",\n      "),
    "text-embeddings-inference: floats by Rust": joined(lambda value: shortest(value).replace("e-0", "e-"), ","),
    "carriage returns": joined(shortest, ",\r\n\t"),
    "spaces on both sides": joined(shortest, " , "),
}


ANSWER = '{"object":"list","data":[{"embedding":@,"index":0}],"model":"m","usage":{"total_tokens":7}}'


def answer(text: str) -> bytes:
    return ANSWER.replace("@", text).encode()


@pytest.mark.parametrize("size", [64, 384, 1536])
@pytest.mark.parametrize("writer", WRITERS)
def test_the_ways_of_servers(writer: str, size: int) -> None:
    vector = unit_vector(size)
    (inlay,) = taken_out(answer(WRITERS[writer](vector)))
    assert inlay.media_type == "vector/float32"
    assert inlay.data == struct.pack(f"<{size}f", *vector)


@pytest.mark.parametrize(
    ("scale", "media_type"), [(0.1, "vector/float32"), (40.0, "vector/float32"), (1e-9, None), (1e9, None)]
)
@pytest.mark.parametrize("writer", WRITERS)
def test_numbers_that_are_not_of_length_one(writer: str, scale: float, media_type: str | None) -> None:
    vector = array("f", [value * scale for value in unit_vector()]).tolist()
    types = [inlay.media_type for inlay in taken_out(answer(WRITERS[writer](vector)))]
    assert media_type is None or types == [media_type]


def test_half_precision() -> None:
    halves = struct.unpack("<512e", struct.pack("<512e", *unit_vector(512)))
    (inlay,) = taken_out(answer(json.dumps(halves)))
    assert inlay.data == struct.pack("<512f", *halves)


def test_doubles_stay_doubles() -> None:
    vector = [value / 3 for value in unit_vector()]
    (inlay,) = taken_out(answer(json.dumps(vector)))
    assert (inlay.media_type, inlay.data) == ("vector/float64", struct.pack("<1536d", *vector))


def test_many_vectors() -> None:
    vectors = [unit_vector(256, seed) for seed in range(12)]
    body = json.dumps({"embeddings": vectors}).encode()
    assert [inlay.data for inlay in taken_out(body)] == [struct.pack("<256f", *vector) for vector in vectors]


@pytest.mark.parametrize(
    "values",
    [
        unit_vector(63),
        list(range(2000)),
        [0.5] * 2000,
        [round(value, 6) for value in unit_vector()],
        [None if index % 50 == 0 else value for index, value in enumerate(unit_vector(500))],
        [[value] for value in unit_vector(500)],
    ],
)
def test_what_is_no_vector_stays(values: list[Any]) -> None:
    assert taken_out(json.dumps({"embedding": values}).encode()) == []


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(unit_vector(500)).replace(", ", " ,", 1),
        json.dumps(unit_vector(500)).replace(", ", ",\t"),
        json.dumps(unit_vector(500)).replace(", -", ", - "),
        json.dumps(unit_vector(500)).replace("0.0", "00.0"),
        json.dumps(unit_vector(500)).replace("0.0", ".0"),
        json.dumps(unit_vector(500)).replace("0.", "1e999,0.", 3),
        json.dumps(unit_vector(500)).replace("0.", "1e300,0.", 3),
        json.dumps(unit_vector(500)).replace("0.", "9" * 400 + ",0.", 1),
        json.dumps(unit_vector(500)).replace(", ", "," + " " * 200),
        json.dumps(unit_vector(500)).replace(", ", ",,", 1),
        json.dumps(unit_vector(500))[:-3],
        "[" + "-" * 5000,
        "[" + ",".join(["-0.0", "0", "1e-05", "-1E+2", "0.1000000000"] * 300),
    ],
)
def test_odd_numbers_cost_nothing_but_room(text: str) -> None:
    taken_out(answer(text))


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=32, min_value=-1, max_value=1)


@given(st.lists(numbers, min_size=60, max_size=80), st.sampled_from(list(WRITERS)))
def test_any_numbers_come_back(values: list[float], writer: str) -> None:
    taken_out(answer(WRITERS[writer](array("f", values).tolist() if "float" in writer else values)))


@pytest.mark.parametrize(
    ("writer", "share"),
    [
        ("openai: doubles, indented", 0.16),
        ("python json.dumps", 0.20),
        ("openai documentation: floats, indented", 0.24),
        ("ollama embed: floats by Go", 0.36),
    ],
)
def test_the_room_that_vectors_take(writer: str, share: float) -> None:
    body = answer(WRITERS[writer](unit_vector()))
    inlays = taken_out(body)
    stored = [template_bytes(body, as_parts(inlays)), *(inlay.data for inlay in inlays)]
    packer = Packer()
    assert sum(len(packer.pack(data)[1]) for data in stored) < share * len(body)
