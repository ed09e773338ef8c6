"""Reranking, which Cohere, Jina, Voyage, vLLM and others serve in nearly the same form.

A query and documents go in; places and scores of documents come out. Each document is recorded
once, with the score that it got; one that was not ranked has none.
"""

from __future__ import annotations

from typing import Any

from ..records import Document, Parsed, Usage, evolve
from .base import Bodies
from .documents import document, score
from .identity import identity
from .json_values import Notes, count, items, mapping, name, text, writable
from .openai_usage import usage
from .plain import answered, asked, said

_MOST = 1000


class Rerank:
    """The dialect of paths that end in ``/rerank``."""

    name = "rerank"

    def parse(self, bodies: Bodies) -> Parsed:
        """Read both halves; unknown is None."""
        notes = Notes(bodies.notes)
        request = asked(bodies, notes)
        query = text(request.get("query"))
        parsed = Parsed(
            stream=False if request else None,
            model_requested=name(request.get("model"), "model", notes),
            input=(said(query),) if query else (),
            documents=_sent(request.get("documents") or request.get("texts"), notes),
            identity=identity(request, notes),
        )
        if bodies.response or bodies.http_status is not None:
            parsed = _read_answer(parsed, bodies, notes)
        return evolve(parsed, notes=notes.all())


def _sent(values: Any, notes: Notes) -> tuple[Document, ...]:
    """Each at its place, by which results name it, also one that says nothing."""
    sent = items(values, "documents", notes)
    if len(sent) > _MOST:
        notes.add(f"documents has {len(sent)} entries, more than are kept")
    return tuple(document(value, "documents") or Document(source="documents") for value in sent[:_MOST])


def _read_answer(parsed: Parsed, bodies: Bodies, notes: Notes) -> Parsed:
    answer = answered(bodies, notes)
    failed = answer.failed
    bare = isinstance(answer.value, list) and not failed  # Hugging Face's server
    fields = {"results": answer.value} if bare else answer.fields
    place = "results" if "results" in fields else "data"  # Voyage
    results = fields.get(place)
    ranked = [mapping(result) for result in items(results, place, notes)[:_MOST]]
    reported = fields.get("usage") or fields.get("meta")
    return evolve(
        parsed,
        model=name(fields.get("model"), "model of the answer", notes),
        documents=_scored(parsed.documents, ranked, notes),
        usage=_usage(fields, notes),
        usage_raw=writable(reported, "usage", notes),
        response_id=name(fields.get("id"), "id", notes),
        results=_length(results) if place in fields else None,
        error_type=failed.type if failed else None,
        error_message=failed.message if failed else None,
        terminal=answer.terminal,
    )


def _length(results: Any) -> int:
    return len(results) if isinstance(results, list) else 0


def _scored(sent: tuple[Document, ...], ranked: list[dict[str, Any]], notes: Notes) -> tuple[Document, ...]:
    """The documents in the order they were sent; where nothing is known of that, those of the answer."""
    kept = list(sent)
    for result in ranked:
        at = count(result.get("index"), "index", notes)
        got = score(result.get("relevance_score", result.get("score")))
        if at is not None and at < len(sent):
            kept[at] = evolve(kept[at], score=got)
        elif not sent and (found := document(result, "documents")):
            kept.append(found)
    return tuple(kept)


def _usage(fields: dict[str, Any], notes: Notes) -> Usage | None:
    """Tokens, which Voyage and Jina give as a total of input, and Cohere's search units."""
    reported, meta = mapping(fields.get("usage")), mapping(fields.get("meta"))
    billed = mapping(meta.get("billed_units"))
    tokens = mapping(meta.get("tokens")) or billed
    units = count(billed.get("search_units"), "search_units", notes)
    found = usage(reported, notes) or usage(tokens, notes) or usage(_total(reported), notes)
    if not units:
        return found
    return evolve(found or Usage(), requests={"search_units": units})


def _total(reported: dict[str, Any]) -> dict[str, Any]:
    return {"prompt_tokens": reported.get("total_tokens")}
