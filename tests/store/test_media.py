"""Base64 in bodies is found in every spelling that clients use, and written again exactly."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.bodies.slices import whole
from proxy.store.sqlite.inlay import Inlay
from proxy.store.sqlite.template import Part, inlays_of, rebuilt, template_bytes

NOISE = random.Random(7).randbytes(5000)
PNG = b"\x89PNG\r\n\x1a\n" + NOISE
UNKNOWN = "application/octet-stream"


def standard(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def lines(data: bytes, length: int = 76, newline: str = "\n") -> str:
    text = standard(data)
    return newline.join(text[at : at + length] for at in range(0, len(text), length))


SPELLINGS: dict[str, Callable[[bytes], str]] = {
    "standard": standard,
    "url safe": url_safe,
    "standard, unpadded": lambda data: standard(data).rstrip("="),
    "url safe, unpadded": lambda data: url_safe(data).rstrip("="),
    "MIME": lines,
    "MIME with CRLF": lambda data: lines(data, newline="\r\n"),
    "PEM": lambda data: lines(data, 64),
    "PEM with CRLF": lambda data: lines(data, 64, "\r\n"),
    "ended by a newline": lambda data: base64.encodebytes(data).decode(),
}


def in_json(text: str) -> bytes:
    return json.dumps({"data": text}).encode()


def in_php(text: str) -> bytes:
    return in_json(text).replace(b"/", b"\\/")


def as_parts(inlays: list[Inlay]) -> list[Part]:
    """Stored as blobs, numbered from 0."""
    return [Part(each.start, each.stop, number, each.spelling) for number, each in enumerate(inlays)]  # type: ignore[arg-type]


def taken_out(piece: bytes) -> list[Inlay]:
    """Its inlays; what is left of it gives it back."""
    inlays = inlays_of(piece)
    template = template_bytes(piece, as_parts(inlays))
    assert rebuilt(template, [inlay.data for inlay in inlays].__getitem__, lambda _: b"") == piece
    assert all(len(inlay.data) < inlay.stop - inlay.start for inlay in inlays)
    return inlays


@pytest.mark.parametrize("size", [5000, 5001, 5002, 5130, 4788])  # all remainders; lines that are just full
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling(spelling: str, size: int) -> None:
    data = PNG[:size]
    (inlay,) = taken_out(in_json(SPELLINGS[spelling](data)))
    assert (inlay.data, inlay.media_type) == (data, "image/png")


@pytest.mark.parametrize("spelling", ["standard", "standard, unpadded"])
def test_slashes_as_php_writes_them(spelling: str) -> None:
    data = b"\xff\xd8\xff" + NOISE
    (inlay,) = taken_out(in_php("data:image/jpeg;base64," + SPELLINGS[spelling](data)))
    assert (inlay.data, inlay.media_type) == (data, "image/jpeg")


@pytest.mark.parametrize(
    ("piece", "media_type"),
    [
        ('{"type":"image_url","image_url":{"url":"data:image/x-odd;charset=binary;base64,%s"}}', "image/x-odd"),
        ('{"url":"data:image\\/svg+xml;base64,%s"}', "image/svg+xml"),
        ('{"type":"base64","media_type":"application/x-slides","data":"%s"}', "application/x-slides"),
        ('{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "%s"}}', "audio/l16"),
        ('{"inline_data":{"mime_type":"video/x-odd",\n"data":"%s"}}', "video/x-odd"),
        ('{"input_audio":{"data":"%s","format":"pcm16"}}', UNKNOWN),
        ('{"result":"{\\"media_type\\":\\"image/x-odd\\",\\"data\\":\\"%s\\"}"}', "image/x-odd"),
        ('{"object":"embedding","embedding":"%s"}', "vector/float32"),
        ('{"embeddings":["%s"]}', "vector/float32"),
        ('{"b64_json":"%s"}', UNKNOWN),
        ('data: {"type":"response.image_generation_call.partial_image","partial_image_b64":"%s"}\n\n', UNKNOWN),
        ('{"content":"Here: ![x](data:image/x-odd;base64,%s) What is it?"}', "image/x-odd"),
        ('{"content":"$ base64 a\\n%s\\n$ "}', UNKNOWN),
        ('{"content":"\\u00e9\\t%s"}', UNKNOWN),
        ("%s", UNKNOWN),
    ],
)
def test_what_the_text_before_says(piece: str, media_type: str) -> None:
    (inlay,) = taken_out((piece % standard(NOISE[:4000])).encode())
    assert (inlay.data, inlay.media_type) == (NOISE[:4000], media_type)


@pytest.mark.parametrize(
    ("beginning", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\n\x10\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\n\x10\0\0WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"%PDF-1.7", "application/pdf"),
        (b"ID3\x04\0", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"OggS\0\x02", "audio/ogg"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"PK\x03\x04", "application/zip"),
        (b"\0" * 2000, UNKNOWN),
    ],
)
def test_what_the_bytes_say(beginning: bytes, media_type: str) -> None:
    inlays = taken_out(in_json(standard(beginning + NOISE)))
    expected = [] if beginning.startswith(b"\0\0\0\0") else [media_type]  # a long word of one letter may be text
    assert [inlay.media_type for inlay in inlays] == expected


@pytest.mark.parametrize(
    "text",
    [
        standard(NOISE[:700]),
        NOISE.hex(),
        "a" * 5000,
        "ACGT" * 2000,
        "path/to/" * 1000,
        standard(NOISE).replace("a", "-"),
        standard(NOISE).replace("a", "\n"),
        standard(NOISE).replace("a", " "),
    ],
)
def test_what_is_no_base64_stays(text: str) -> None:
    assert taken_out(in_json(text)) == []


@pytest.mark.parametrize("stop", range(4000, 4009))
def test_what_was_cut_off_is_taken_out_as_far_as_it_came(stop: int) -> None:
    (inlay,) = taken_out(in_json(standard(PNG))[:stop])
    assert PNG.startswith(inlay.data)
    assert inlay.stop > stop - 4


def test_a_run_that_goes_on_in_the_next_piece() -> None:
    body = in_json(standard(NOISE * 4))
    for size in range(9000, 9004):
        assert [len(taken_out(piece)) for piece in whole(body, size).messages] == [1, 1, 1]


def test_many_in_one_piece() -> None:
    images = [PNG + bytes([number]) for number in range(20)]
    piece = json.dumps([{"url": f"data:image/png;base64,{standard(image)}", "text": "x" * 300} for image in images])
    assert [inlay.data for inlay in taken_out(piece.encode())] == images


def test_one_behind_the_other() -> None:
    piece = (standard(PNG[:5000]) + "\\n" + url_safe(NOISE) + "\\n" + lines(PNG, newline="\\n")).encode()
    assert [inlay.data for inlay in taken_out(piece)] == [PNG[:5000], NOISE, PNG]


@pytest.mark.parametrize("unit", [b'"', b"\\", b"\\n", b"\\u12", b"a\\n", b"=", b" ", b"a" * 300 + b'"', b"1,", b"\\/"])
def test_hostile_bodies_take_no_time(unit: bytes) -> None:
    assert taken_out(unit * (4_000_000 // len(unit))) == []


pieces = st.one_of(
    st.binary(max_size=1200),
    st.text(max_size=300).map(str.encode),
    st.sampled_from([b"\\", b"\\n", b"\\/", b"=", b"==", b'"', b",", b"0.5,", b"A" * 600, b"1.2345678, " * 60]),
    st.builds(
        lambda start, size, spelling, write: write(SPELLINGS[spelling](NOISE[start : start + size])),
        st.integers(0, 3000),
        st.integers(0, 2000),
        st.sampled_from(list(SPELLINGS)),
        st.sampled_from([str.encode, in_json, in_php]),
    ),
)


@given(st.lists(pieces, max_size=6).map(b"".join), st.integers(0, 3000), st.integers(0, 3000))
def test_any_mixture_comes_back(piece: bytes, start: int, cut: int) -> None:
    taken_out(piece)
    taken_out(piece[start : len(piece) - cut])
