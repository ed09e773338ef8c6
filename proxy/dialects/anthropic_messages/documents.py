"""Retrieved context: what a prompt brings along to be drawn from, and what an answer says it drew from.

Documents of a prompt count when they are text; a page image or a file to be read is what was asked
about, not what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...records import Document
from ..json_values import listed, mapping, text
from .sources import joined_text, place, source, title, url


def documents_asked(request: dict[str, Any]) -> tuple[Document, ...]:
    """Those of a prompt, each once; also those that its tools brought and its earlier searches found."""
    contents = [mapping(message).get("content") for message in listed(request.get("messages"))]
    blocks = [block for content in contents for block in _blocks(content)]
    results = [block for block in blocks if block.get("type") == "tool_result"]
    brought = [block for result in results for block in _blocks(result.get("content"))]
    return _once(document for block in (*blocks, *brought) for document in _of_block(block))


def documents_answered(content: Any) -> tuple[Document, ...]:
    """Those of an answer, each once: what its searches found, what its text rests on."""
    return _once(document for block in _blocks(content) for document in (*_of_block(block), *_of_citations(block)))


def _once(found: Iterable[Document]) -> tuple[Document, ...]:
    """Without repetitions, and without those that say nothing."""
    return tuple(dict.fromkeys(each for each in found if each.id or each.title or each.url or each.text))


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [block for block in listed(content) if isinstance(block, dict)]


def _of_block(block: dict[str, Any]) -> Iterator[Document]:
    read = _READERS.get(text(block.get("type")) or "")
    return read(block) if read else iter(())


def _document(block: dict[str, Any]) -> Iterator[Document]:
    said = source(block.get("source")).text
    if said:
        yield Document(source="documents", title=title(block.get("title")), text=said)


def _search_result(block: dict[str, Any]) -> Iterator[Document]:
    link, given = place(block.get("source"))
    yield Document(
        source="search_results",
        id=given,
        url=link,
        title=title(block.get("title")),
        text=joined_text(block.get("content")),
    )


def _web_search(block: dict[str, Any]) -> Iterator[Document]:
    for found in _blocks(block.get("content")):
        yield Document(source="web_search", url=url(found.get("url")), title=title(found.get("title")))


def _web_fetch(block: dict[str, Any]) -> Iterator[Document]:
    fetched = mapping(block.get("content"))
    page = mapping(fetched.get("content"))
    if page:
        yield Document(
            source="web_search",
            url=url(fetched.get("url")),
            title=title(page.get("title")),
            text=source(page.get("source")).text,
        )


def _of_citations(block: dict[str, Any]) -> Iterator[Document]:
    """A citation names a web page, a search result, or a document of the prompt."""
    for citation in _blocks(block.get("citations")):
        link, given = place(citation.get("url") or citation.get("source") or citation.get("file_id"))
        yield Document(
            source="citation",
            id=given,
            url=link,
            title=title(citation.get("title")) or title(citation.get("document_title")),
            text=text(citation.get("cited_text")),
        )


_READERS: dict[str, Callable[[dict[str, Any]], Iterator[Document]]] = {
    "document": _document,
    "search_result": _search_result,
    "web_search_tool_result": _web_search,
    "web_fetch_tool_result": _web_fetch,
}
