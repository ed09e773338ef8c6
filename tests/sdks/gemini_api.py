"""The Gemini API: content at once and streamed, embeddings, counting tokens.

Its counts are apart: thoughts are none of the candidates' tokens. In a stream they grow from chunk
to chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fakes.scripts import Script, json_answer

from . import saying

JSON = dict[str, Any]

PROMPT_TOKENS, CACHED_TOKENS, CANDIDATES_TOKENS, THOUGHTS_TOKENS = 4140, 4096, 23, 37
COUNTED_TOKENS = 31


def generate(model: str, request: JSON) -> Script:
    """``POST …/models/{model}:generateContent``."""
    parts = _calls() if _asks_for_tools(request) else [{"text": saying.TEXT}]
    return json_answer(_chunk(model, [*_thoughts(request), *parts], CANDIDATES_TOKENS, finish="STOP"))


def stream(model: str, request: JSON) -> Script:
    """``POST …/models/{model}:streamGenerateContent?alt=sse``."""
    return saying.events(_chunks(model, request))


def embed(request: JSON) -> Script:
    """``POST …/models/{model}:batchEmbedContents``."""
    return json_answer({"embeddings": [{"values": vector} for vector in saying.vectors(request["requests"])]})


def count_tokens(_request: JSON) -> Script:
    """``POST …/models/{model}:countTokens``."""
    details = [{"modality": "TEXT", "tokenCount": COUNTED_TOKENS}]
    return json_answer({"totalTokens": COUNTED_TOKENS, "promptTokensDetails": details})


def _asks_for_tools(request: JSON) -> bool:
    told = any("functionResponse" in part for part in request["contents"][-1]["parts"])
    return bool(request.get("tools")) and not told


def _thoughts(request: JSON) -> list[JSON]:
    """When they are asked for, in either spelling that the API takes."""
    wanted = request.get("generationConfig", {}).get("thinkingConfig", {})
    if not (wanted.get("includeThoughts") or wanted.get("include_thoughts")):
        return []
    return [{"text": thought, "thought": True} for thought in saying.THOUGHTS]


def _calls() -> list[JSON]:
    calls = [{"functionCall": {"name": saying.TOOL, "args": {"city": city}}} for city in saying.CITIES]
    return [calls[0] | {"thoughtSignature": "CpwBAVSoXO6ZtuT0"}, *calls[1:]]


def _chunks(model: str, request: JSON) -> Iterator[JSON]:
    if _asks_for_tools(request):
        yield _chunk(model, _calls(), CANDIDATES_TOKENS, finish="STOP")
        return
    for part in _thoughts(request):
        yield _chunk(model, [part], 0)
    for place, word in enumerate(saying.WORDS):
        last = place == len(saying.WORDS) - 1
        yield _chunk(model, [{"text": word}], CANDIDATES_TOKENS if last else 5 * place + 5, "STOP" if last else None)


def _chunk(model: str, parts: list[JSON], tokens: int, finish: str | None = None) -> JSON:
    """An answer, or what a stream brings of it. Zeros are left out."""
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    return {
        "candidates": [candidate | ({"finishReason": finish} if finish else {})],
        "usageMetadata": {
            "promptTokenCount": PROMPT_TOKENS,
            **({"candidatesTokenCount": tokens} if tokens else {}),
            "totalTokenCount": PROMPT_TOKENS + tokens + THOUGHTS_TOKENS,
            "cachedContentTokenCount": CACHED_TOKENS,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": PROMPT_TOKENS}],
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": CACHED_TOKENS}],
            "thoughtsTokenCount": THOUGHTS_TOKENS,
        },
        "modelVersion": model,
        "responseId": "0aXbaP3yDZ2lvdIPmp3XkAc",
    }
