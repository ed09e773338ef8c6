"""All providers in one server: what each answers, by method and path. The rest of this folder calls them.

They stand where they do at home: Ollama below ``/api``, the others below ``/v1``, Gemini also below ``/v1beta``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.fakes.scripts import Script, json_answer
from tests.fakes.wire import Seen

from . import anthropic_api, gemini_api, ollama_api, openai_api
from .responses_api import Responses

_GEMINI = r"POST /v1(?:beta)?/models/([^/:]+):"
_ANY_GEMINI = r"POST /v1(?:beta)?/models/[^/:]+:"


class Providers:
    """Answers requests as the providers' documentation says."""

    def __init__(self) -> None:
        responses = Responses()
        self._rows: tuple[tuple[re.Pattern[str], Callable[..., Script]], ...] = tuple(
            (re.compile(pattern), answer)
            for pattern, answer in (
                (r"POST /v1/chat/completions", openai_api.chat),
                (r"POST /v1/completions", openai_api.completions),
                (r"POST /v1/responses", responses.create),
                (r"GET /v1/responses/([^/]+)", responses.retrieve),
                (r"POST /v1/embeddings", openai_api.embeddings),
                (r"POST /v1/moderations", openai_api.moderations),
                (r"GET /v1/models", openai_api.models),
                (r"POST /v1/messages", anthropic_api.messages),
                (r"POST /v1/messages/count_tokens", anthropic_api.count_tokens),
                (_GEMINI + "generateContent", gemini_api.generate),
                (_GEMINI + "streamGenerateContent", gemini_api.stream),
                (_ANY_GEMINI + "batchEmbedContents", gemini_api.embed),
                (_ANY_GEMINI + "countTokens", gemini_api.count_tokens),
                (r"POST /api/chat", ollama_api.chat),
                (r"POST /api/generate", ollama_api.generate),
                (r"POST /api/embed", ollama_api.embed),
            )
        )

    def __call__(self, seen: Seen) -> Script:
        """The answer: a handler gets what its pattern captures, and the body when there is one."""
        asked = f"{seen.method.decode()} {seen.path}"
        body: list[Any] = [json.loads(bytes(seen.body))] if seen.body else []
        for pattern, answer in self._rows:
            if found := pattern.fullmatch(asked):
                return answer(*found.groups(), *body)
        return json_answer({"error": {"message": f"no such endpoint: {asked}"}}, 404)
