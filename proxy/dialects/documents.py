"""Retrieved context: documents that stand apart in a request or an answer, whatever their vendor calls the fields.

One table says under which names an id, a title, an address, a text or a score is found. What lies
within a prompt's own text is not looked for here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..records import Document, evolve
from .json_values import Notes, compact, items, mapping, number, text

_MOST = 1000
_LONGEST = 4096  # characters of an id, a title, an address
_NAMES = {
    "id": ("id", "document_id", "doc_id", "file_id", "chunk_id"),
    "title": ("title", "filename", "file_name", "filepath", "name", "source"),
    "url": ("url", "uri", "link"),
    "text": ("text", "content", "snippet", "page_content", "chunk_text", "cited_text"),
}
_SCORES = ("relevance_score", "score")
_INNER = ("metadata", "data", "document", "url_citation", "file_citation")  # where the fields stand one level deeper
_KINDS_OF_CITATION = ("url_citation", "file_citation", "container_file_citation", "file_path")


def document(value: Any, source: str) -> Document | None:
    """A document from its JSON value, an address or text alone or an object; None where there is nothing of one."""
    if isinstance(value, str):
        is_address = value.startswith(("http://", "https://"))
        value = {"url" if is_address else "text": value}
    fields = dict(mapping(value))
    for key in _INNER:
        inner = fields.get(key)
        fields |= mapping(inner) or ({"text": inner} if isinstance(inner, str) else {})
    found = Document(
        source=source,
        id=_short(fields, "id"),
        title=_short(fields, "title"),
        url=_short(fields, "url"),
        text=next((told for key in _NAMES["text"] if (told := text(fields.get(key)))), None),
        score=next((number for key in _SCORES if (number := score(fields.get(key))) is not None), None),
    )
    if found == Document(source=source):
        return Document(source=source, text=compact(fields)) if any(fields.values()) else None
    return found


def documents(values: Any, source: str, what: str, notes: Notes) -> tuple[Document, ...]:
    """The documents of a list; ``what`` names it in a note when it is none, or when it is too long."""
    if values is None or values == []:
        return ()
    listed = items(values, what, notes)
    if len(listed) > _MOST:
        notes.add(f"{what} has {len(listed)} entries, more than are kept")
    return tuple(found for value in listed[:_MOST] if (found := document(value, source)))


def cited(annotations: Any, notes: Notes) -> tuple[Document, ...]:
    """What the annotations of a text cite: ``url_citation``, ``file_citation`` and their like, flat or nested."""
    if annotations is None or annotations == []:
        return ()
    known = [
        value
        for value in items(annotations, "annotations", notes)
        if text(mapping(value).get("type")) in _KINDS_OF_CITATION
    ]
    return documents(known, "citation", "annotations", notes)


def distinct(found: Iterable[Document]) -> tuple[Document, ...]:
    """Each once: a document that says nothing but what another has said, such as a bare address, is left out."""
    kept: list[Document] = []
    known: set[Any] = set()
    for each in found:
        alone = evolve(each, source="")
        marks = {alone, ("url", each.url), ("id", each.id)} - {("url", None), ("id", None)}
        if alone in known or (each.text is None and not marks.isdisjoint(known)):
            continue
        known |= marks
        kept.append(each)
    return tuple(kept[:_MOST])


def score(value: Any) -> float | None:
    """A number that can be compared: neither NaN nor infinite."""
    known = number(value)
    return None if known is None else float(known)


def _short(fields: dict[str, Any], field: str) -> str | None:
    """The first of its names that holds a text or a number."""
    for key in _NAMES[field]:
        value = fields.get(key)
        if isinstance(value, int):
            value = None if number(value) is None else str(value)
        if found := text(value):
            return found[:_LONGEST]
    return None
