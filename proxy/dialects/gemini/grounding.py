"""What an answer of Gemini rests on: pages, files and places that it was given, works that it cites."""

from __future__ import annotations

from typing import Any

from ...records import Document
from ..json_values import Notes, items, mapping, name, text
from .parts import either

#: What a grounding chunk may hold, and how that counts.
_SOURCES = {"web": "web_search", "retrievedContext": "file_search", "maps": "search_results", "image": "web_search"}
_LONGEST_URL = 4096


def documents(candidate: dict[str, Any], notes: Notes) -> list[Document]:
    """The sources of one candidate, each once."""
    grounding, cited = mapping(either(candidate, "groundingMetadata")), mapping(either(candidate, "citationMetadata"))
    fetched = mapping(either(candidate, "urlContextMetadata"))
    chunks = items(either(grounding, "groundingChunks"), "groundingChunks", notes)
    sources = either(cited, "citationSources") or cited.get("citations")
    urls = items(either(fetched, "urlMetadata"), "urlMetadata", notes)
    found = [
        *(_chunk(mapping(chunk), notes) for chunk in chunks),
        *(_document("citation", mapping(source), notes) for source in items(sources, "citations", notes)),
        *(Document(source="web_search", url=_url(either(mapping(url), "retrievedUrl"))) for url in urls),
    ]
    return list(dict.fromkeys(document for document in found if document and _tells(document)))


def searches(candidate: dict[str, Any], notes: Notes) -> set[str]:
    """The different queries that were put to a web search for one candidate."""
    grounding = mapping(either(candidate, "groundingMetadata"))
    queries = items(either(grounding, "webSearchQueries"), "webSearchQueries", notes)
    return {query for query in queries if text(query)}


def _chunk(chunk: dict[str, Any], notes: Notes) -> Document | None:
    for key, source in _SOURCES.items():
        if held := mapping(either(chunk, key)):
            return _document(source, held, notes)
    return None


def _document(source: str, held: dict[str, Any], notes: Notes) -> Document:
    identifier = either(held, "documentName") or either(held, "placeId")
    return Document(
        source=source,
        id=name(identifier, "id of a document", notes),
        title=name(held.get("title"), "title of a document", notes),
        url=_url(held.get("uri") or either(held, "sourceUri")),
        text=text(held.get("text")) or text(mapping(either(held, "ragChunk")).get("text")),
    )


def _url(value: Any) -> str | None:
    url = text(value)
    return url if url and len(url) <= _LONGEST_URL else None


def _tells(document: Document) -> bool:
    return any((document.id, document.title, document.url, document.text))
