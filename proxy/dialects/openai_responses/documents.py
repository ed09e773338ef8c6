"""What was retrieved for an answer: results of file and web searches, and what the answer cites.

Files that a tool made, which annotations name as well, are not retrieved and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ...records import Document
from ..documents import score
from ..json_values import listed, mapping, text

_MOST = 1000
_LONGEST_NAME = 4096


def found(items: Iterable[Any]) -> tuple[Document, ...]:
    """What the searches among the items of a prompt brought; each once."""
    return _each_once(document for item in items for document in _found(mapping(item)))


def found_or_cited(items: Iterable[Any]) -> tuple[Document, ...]:
    """The same of an answer, with what its texts cite."""
    return _each_once(document for item in items for each in (_found, _cited) for document in each(mapping(item)))


def _each_once(documents: Iterable[Document]) -> tuple[Document, ...]:
    return tuple(dict.fromkeys(documents))[:_MOST]


def _found(item: dict[str, Any]) -> Iterator[Document]:
    if item.get("type") == "file_search_call":
        yield from (_result(each) for each in _objects(item.get("results")))
    if item.get("type") == "web_search_call":
        sources = _objects(mapping(item.get("action")).get("sources"))
        yield from (Document(source="web_search", url=_name(each.get("url"))) for each in sources if each.get("url"))


def _result(fields: dict[str, Any]) -> Document:
    return Document(
        source="file_search",
        id=_name(fields.get("file_id")),
        title=_name(fields.get("filename")),
        text=text(fields.get("text")),
        score=score(fields.get("score")),
    )


def _cited(item: dict[str, Any]) -> Iterator[Document]:
    for part in _objects(item.get("content")):
        for annotation in _objects(part.get("annotations")):
            # Some servers nest its fields, as the chat format does.
            fields = annotation | mapping(annotation.get("url_citation"))
            if annotation.get("type") in ("url_citation", "file_citation"):
                yield Document(
                    source="citation",
                    id=_name(fields.get("file_id")),
                    title=_name(fields.get("title") or fields.get("filename")),
                    url=_name(fields.get("url")),
                )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in listed(value) if isinstance(each, dict)]


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None
