"""Retrieved context that applications carry in forms of their own, found by the user's rules.

JSONPaths point into the request's body, tags stand around documents in the text of a prompt. What
providers have forms for, their dialects know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from ..records import Document, Message
from ..settings import Retrieval
from .documents import document
from .json_values import Notes, compact, loads

if TYPE_CHECKING:
    from jsonpath import JSONPath

_MOST = 1000  #: documents of one call


def documents(rules: Retrieval, body: bytes, prompt: Iterable[Message], notes: Notes) -> tuple[Document, ...]:
    """What the rules find in a request."""
    found = [*_by_path(rules.paths, body, notes), *_by_tag(rules.tags, prompt)]
    if len(found) > _MOST:
        notes.add(f"{len(found)} documents, of which {_MOST} are shown")
    return tuple(found[:_MOST])


def _by_path(paths: tuple[str, ...], body: bytes, notes: Notes) -> Iterator[Document]:
    value = loads(body, "the request", Notes()) if paths and body else None
    for path in paths if value is not None else ():
        try:
            matches = _compiled(path).findall(value)
        except Exception as error:  # the library has errors of many kinds, and the body is a stranger's
            notes.add(f"retrieval path {path}: {type(error).__name__}")
            continue
        for match in matches:
            for item in match if isinstance(match, list) else [match]:
                yield document(item, "path") or Document(source="path", text=compact(item))


@lru_cache(64)
def _compiled(path: str) -> JSONPath:
    import jsonpath  # on first use: few need it

    compiled = jsonpath.compile(path)
    assert isinstance(compiled, jsonpath.JSONPath)
    return compiled


def _by_tag(tags: tuple[str, ...], prompt: Iterable[Message]) -> Iterator[Document]:
    texts = [part.text for message in prompt for part in message.parts if tags and part.type == "text" and part.text]
    for tag in tags:
        for said in texts:
            yield from (Document(source="tag", title=tag, text=inner.strip()) for inner in _between(said, tag))


def _between(said: str, tag: str) -> Iterator[str]:
    """What stands between ``<tag …>`` and ``</tag>``; in one pass, whatever the text."""
    opening, closing, at = _opening(tag), f"</{tag}>", 0
    while match := opening.search(said, at):
        end = said.find(closing, match.end())
        if end < 0:
            return
        yield said[match.end() : end]
        at = end + len(closing)


@lru_cache(64)
def _opening(tag: str) -> re.Pattern[str]:
    return re.compile(rf"<{re.escape(tag)}(?:\s[^<>]{{0,1000}})?>")
