"""Places and scores of ranked documents."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.dialects.base import Bodies
from proxy.dialects.rerank import Rerank
from proxy.records import Document, Parsed


def ranked(request: Any, answer: Any) -> Parsed:
    return Rerank().parse(
        Bodies(path="/rerank", request=orjson.dumps(request), response=orjson.dumps(answer), http_status=200)
    )


def test_documents_that_say_nothing_keep_their_places() -> None:
    results = [{"index": 2, "relevance_score": 0.5}, {"index": 1, "relevance_score": 0.4}]
    parsed = ranked({"query": "q", "documents": ["", "b", "c"]}, {"results": results})
    assert parsed.documents == (
        Document(source="documents"),
        Document(source="documents", text="b", score=0.4),
        Document(source="documents", text="c", score=0.5),
    )


def test_an_answer_that_is_a_bare_list() -> None:
    parsed = ranked({"query": "q", "texts": ["a", "b"]}, [{"index": 1, "score": 0.9}, {"index": 0, "score": 0.1}])
    assert [document.score for document in parsed.documents] == [0.1, 0.9]
    assert (parsed.results, parsed.terminal, parsed.error_type) == (2, True, None)
    assert ranked({}, [{"error": "too long"}]).results is None
