"""Calls to search for, and a search that looks at every word."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from proxy.query.letters import tokens
from proxy.query.words import Term, parse_words
from proxy.records import evolve
from proxy.store.base import StoredCall
from proxy.store.texts import COLUMNS, Texts
from tests.store.samples import chat_request, ended


def a_chat(*said: str, answer: str = "ok", texts: Texts | None = None, **fields: Any) -> StoredCall:
    """A call of a chat, with bodies that a dialect reads; without ``texts``, its words are read from these."""
    response = {"choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}]}
    stored = ended(request=chat_request(*said), response=json.dumps(response).encode(), **fields)
    assert stored.exchange is not None
    begin = evolve(stored.exchange.begin, endpoint="/v1/chat/completions")
    return evolve(stored, exchange=evolve(stored.exchange, begin=begin), texts=texts)


def holds(texts: Texts, words: str, columns: Collection[str] = COLUMNS) -> bool:
    """Whether a call with these texts is one that a search for the words finds."""
    sought = parse_words(words)
    said = [tokens(getattr(texts, column)) for column in columns]
    return all(_any(said, group) for group in sought.groups) and not _any(said, sought.without)


def _any(said: Sequence[list[str]], terms: Sequence[Term]) -> bool:
    return any(_at(text, place, term) for term in terms for text in said for place in range(len(text)))


def _at(text: list[str], place: int, term: Term) -> bool:
    here = text[place : place + len(term.tokens)]
    *before, last = term.tokens
    if len(here) < len(term.tokens) or here[:-1] != before:
        return False
    return here[-1].startswith(last) if term.prefix else here[-1] == last
