"""Media is found in bodies of all dialects, joined to its parts, and shown only when that is safe."""

from __future__ import annotations

import base64
import json

import pytest

from proxy.console.detail.media import Inline, joined, media_of
from proxy.dialects.table import parse
from proxy.records import ContentPart, Exchange
from tests.cli.recorded import exchanged, new_call

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 9
WAV = b"RIFF....WAVE" + b"sound" * 9
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def exchange(request: object, response: object = None) -> Exchange:
    stored = exchanged(new_call(), json.dumps(request).encode(), json.dumps(response or {}).encode())
    assert stored.exchange is not None
    return stored.exchange


BODIES = {
    "data URL": {"messages": [{"content": [{"image_url": {"url": f"data:image/png;base64,{coded(PNG)}"}}]}]},
    "audio": {"input_audio": {"format": "png", "data": coded(PNG)}},
    "anthropic": {"source": {"type": "base64", "media_type": "image/png", "data": coded(PNG)}},
    "gemini": {"parts": [{"inlineData": {"mimeType": "image/png", "data": coded(PNG)}}]},
    "ollama": {"messages": [{"role": "user", "images": [coded(PNG)]}]},
    "image generation": {"data": [{"b64_json": coded(PNG)}]},
}


@pytest.mark.parametrize("name", BODIES)
def test_each_form_is_found(name: str) -> None:
    [found] = media_of(exchange(BODIES[name]), 1 << 20)
    assert (found.bytes(), found.size, found.shown_as) == (PNG, len(PNG), "image/png")
    [answered] = media_of(exchange({}, BODIES[name]), 1 << 20)
    assert answered == found


def test_texts_are_no_media() -> None:
    texts = {
        "messages": [{"content": "data: hello"}],
        "data": "a plain text that is long enough",
        "result": "done and dusted, all of it",
    }
    assert media_of(exchange(texts), 1 << 20) == []


def test_parts_take_the_media_of_their_size_in_order() -> None:
    first, second = Inline("", 3), Inline("", 5)
    parts = [ContentPart(type="image", size=5), ContentPart(type="text", text="x"), ContentPart(type="image", size=3)]
    assert joined(parts, [first, second, first]) == {id(parts[0]): 1, id(parts[2]): 0}


def test_parts_of_a_dialect_find_theirs() -> None:
    made = exchange({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{coded(PNG)}"}},
        {"type": "input_audio", "input_audio": {"format": "wav", "data": coded(WAV)}},
    ]}]})  # fmt: skip
    parts = [part for message in parse(made, 1 << 20).input for part in message.parts]
    media = media_of(made, 1 << 20)
    numbers = joined(parts, media)
    assert [media[numbers[id(part)]].shown_as for part in parts] == ["image/png", "audio/wav"]


@pytest.mark.parametrize("data", [SVG, b"<html><script>alert(1)</script>", b"%PDF-1.7 ...........", b""])
def test_only_what_runs_nothing_is_shown(data: bytes) -> None:
    assert Inline(coded(data), len(data)).shown_as == ""


def test_what_is_no_base64_is_empty() -> None:
    assert Inline("a", 1).bytes() == b""
