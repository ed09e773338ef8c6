"""Fees for tools that a provider runs itself, where genai-prices has none for the model.

In dollars for a thousand uses, by the names that ``Usage.requests`` has. Left out, because what
they cost cannot be read from a call: containers and sandboxes, which are paid by the session or
the hour (OpenAI's ``code_interpreter``, Anthropic's ``code_execution``), and what a provider gives
away each day. A tool that is not here is not charged, and the cost's source says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache

from msgspec import Struct

from .rates import NANO_PER_DOLLAR

#: The edition of this table and of ``modifiers.MULTIPLIERS``: part of a cost's source.
EDITION = "llmtap 2026-11"
_NANO_PER_MILLION = 1000 * NANO_PER_DOLLAR  # of a dollar for a thousand


class _Fee(Struct, frozen=True):
    provider: str
    tool: str
    dollars: str
    model: str = "*"


#: The first row that fits holds.
_FEES = (
    _Fee("anthropic", "web_search", "10"),  # web search tool guide
    _Fee("anthropic", "web_fetch", "0"),  # web fetch tool guide: tokens only
    _Fee("openai", "web_search", "10"),  # pricing page, built-in tools
    _Fee("openai", "file_search", "2.5"),  # pricing page, built-in tools; Responses only
    _Fee("x-ai", "web_search", "5"),  # pricing page, tool invocations, as those below
    _Fee("x-ai", "x_search", "5"),
    _Fee("x-ai", "code_execution", "5"),
    _Fee("x-ai", "code_interpreter", "5"),
    _Fee("x-ai", "attachment_search", "10"),
    _Fee("x-ai", "collections_search", "2.5"),
    _Fee("x-ai", "file_search", "2.5"),
    _Fee("cohere", "search_units", "2.5", "rerank-v4.0-pro*"),  # price list of June 2026
    _Fee("cohere", "search_units", "2", "rerank-v4.0-fast*"),
    _Fee("cohere", "search_units", "2", "rerank-*v3*"),
)
#: Paid once for a prompt, however often the tool was used: (provider, tool, model). Gemini 3 on pays by query.
_ONCE = (("google", "web_search", "gemini-2*"), ("google", "web_search", "gemini-1*"))


def once(provider: str, model: str) -> frozenset[str]:
    """Tools that are paid once a call."""
    return frozenset(tool for seller, tool, pattern in _ONCE if seller == provider and fnmatchcase(model, pattern))


@lru_cache(1024)
def fees(provider: str, model: str) -> Mapping[str, int]:
    """Nano-dollars for a million uses, by tool."""
    fitting = (fee for fee in reversed(_FEES) if fee.provider == provider and fnmatchcase(model.lower(), fee.model))
    return {fee.tool: int(Decimal(fee.dollars) * _NANO_PER_MILLION) for fee in fitting}
