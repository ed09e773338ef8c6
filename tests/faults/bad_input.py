"""What clients and upstreams get wrong, as data: one row a case, and what must come of it.

The numbers are those of the list that the rows were drawn up from. Here are the wire formats and
what a case is; the rows are in ``bad_requests.py``, ``bad_answers.py``, ``bad_streams.py``,
``bad_http.py`` and ``big_input.py``, the runner is ``test_bad_input.py``. How malformed HTTP is read
is the conformance table's part: its answers are played again for the rows that come of them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from tests.conformance.responses import Cut, Ours, Same, same
from tests.fakes.scripts import Headers, Script, answer

JSON = ("Content-Type", "application/json")
EVENTS = ("Content-Type", "text/event-stream")


SEARCHED = "only the first 262,144 characters of its texts"  #: how the note on a long call begins


class Format(Struct, frozen=True, kw_only=True):
    """One wire format: a call that is right in all respects, and the texts in it that cases replace."""

    name: str  #: of its dialect
    path: str
    request: bytes
    answer: bytes
    asks: bytes = b'"hi"'
    says: bytes = b'"fine"'
    model: bytes = b'"model":"asked"'
    id: bytes = b'"id":"one"'
    usage: bytes
    counts: tuple[bytes, ...]  #: the names of its input and output counts
    row: dict[str, Any] = {}  #: where it differs from ``WELL``

    def asking(self, text: bytes) -> bytes:
        """The request with other JSON in place of the words of the user."""
        return replaced(self.request, self.asks, text)

    def saying(self, text: bytes) -> bytes:
        """The answer with other JSON in place of the words of the model."""
        return replaced(self.answer, self.says, text)


def replaced(body: bytes, old: bytes, new: bytes) -> bytes:
    """``body`` with ``new`` where ``old`` stands; that must be there, once."""
    assert body.count(old) == 1, (body, old)
    return body.replace(old, new)


CHAT = Format(
    name="openai_chat",
    path="/v1/chat/completions",
    request=b'{"model":"asked","messages":[{"role":"user","content":"hi"}]}',
    answer=b'{"id":"one","model":"served","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',
    usage=b'{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}',
    counts=(b'"prompt_tokens":', b'"completion_tokens":'),
)
MESSAGES = Format(
    name="anthropic_messages",
    path="/v1/messages",
    request=b'{"model":"asked","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}',
    answer=b'{"id":"one","type":"message","role":"assistant","model":"served",'
    b'"content":[{"type":"text","text":"fine"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}',
    usage=b'{"input_tokens":3,"output_tokens":2}',
    counts=(b'"input_tokens":', b'"output_tokens":'),
    row={"finish_reason": "end_turn"},
)
RESPONSES = Format(
    name="openai_responses",
    path="/v1/responses",
    request=b'{"model":"asked","input":"hi"}',
    answer=b'{"id":"one","object":"response","status":"completed","model":"served","output":[{"type":"message",'
    b'"role":"assistant","status":"completed","content":[{"type":"output_text","text":"fine","annotations":[]}]}],'
    b'"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}',
    usage=b'{"input_tokens":3,"output_tokens":2,"total_tokens":5}',
    counts=(b'"input_tokens":', b'"output_tokens":'),
    row={"finish_reason": "completed"},
)
GEMINI = Format(
    name="gemini",
    path="/v1beta/models/asked:generateContent",
    request=b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}',
    answer=b'{"candidates":[{"content":{"role":"model","parts":[{"text":"fine"}]},"finishReason":"STOP","index":0}],'
    b'"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"served",'
    b'"responseId":"one"}',
    model=b"",  # it stands in the path
    id=b'"responseId":"one"',
    usage=b'{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}',
    counts=(b'"promptTokenCount":', b'"candidatesTokenCount":'),
    row={"finish_reason": "STOP"},
)
OLLAMA = Format(
    name="ollama",
    path="/api/chat",
    request=b'{"model":"asked","stream":false,"messages":[{"role":"user","content":"hi"}]}',
    answer=b'{"model":"served","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"fine"},'
    b'"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}',
    id=b"",  # it has none
    usage=b'"prompt_eval_count":3,"eval_count":2',
    counts=(b'"prompt_eval_count":', b'"eval_count":'),
    row={"response_id": None},
)
EMBEDDINGS = Format(
    name="openai_embeddings",
    path="/v1/embeddings",
    request=b'{"model":"asked","input":"hi"}',
    answer=b'{"id":"one","object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1e-3]}],'
    b'"model":"served","usage":{"prompt_tokens":3,"total_tokens":3}}',
    says=b'"list"',
    usage=b'{"prompt_tokens":3,"total_tokens":3}',
    counts=(b'"prompt_tokens":',),
    row={"output": None, "output_tokens": None, "finish_reason": None},
)
FORMATS = (CHAT, MESSAGES, RESPONSES, GEMINI, OLLAMA, EMBEDDINGS)
GENERATING = FORMATS[:-1]

#: The row of a call that is right in all respects.
WELL = {
    "status": "ok",
    "http_status": 200,
    "error_type": None,
    "model_requested": "asked",
    "model": "served",
    "output": "fine",
    "finish_reason": "stop",
    "input_tokens": 3,
    "output_tokens": 2,
    "tokens_source": "upstream",
    "response_id": "one",
}
#: Of an answer in which nothing can be read.
NOTHING_READ = dict.fromkeys(
    ("model", "output", "finish_reason", "input_tokens", "output_tokens", "tokens_source", "response_id")
)


class Case(Struct, frozen=True, kw_only=True):
    """One call. ``row``: fields of the row; ``notes``: what the row's notes begin with, one by one."""

    name: str  #: with its number on the list
    path: str
    method: str = "POST"
    headers: Headers = ()
    request: bytes | None = None
    framing: Literal["length", "chunked"] = "length"  #: of the request
    script: Script
    client: tuple[Same | Cut | Ours, ...]  #: any one of these may the client see
    uploaded: bool = True  #: the upstream gets the whole request
    row: dict[str, Any]
    notes: tuple[str, ...] | None = ()  #: None: any


def asked(
    name: str,
    to: Format,
    request: bytes,
    *headers: tuple[str, str],
    path: str = "",
    framing: Literal["length", "chunked"] = "length",
    notes: tuple[str, ...] = (),
    **row: Any,
) -> Case:
    """A request that is odd, and an answer that is right. ``row``: where it differs from a call that is right."""
    return Case(
        name=f"{name}, {to.name}",
        path=path or to.path,
        headers=headers or (JSON,),
        request=request,
        framing=framing,
        script=answer(200, [JSON], to.answer),
        client=same(to.answer, JSON, ("Content-Length", str(len(to.answer)))),
        row={**WELL, "dialect": to.name, **to.row, **row},
        notes=notes,
    )


def answered(
    name: str,
    to: Format,
    body: bytes,
    *headers: tuple[str, str],
    http: int = 200,
    request: bytes | None = None,
    path: str = "",
    sizes: tuple[int, ...] | None = None,
    notes: tuple[str, ...] | None = (),
    **row: Any,
) -> Case:
    """A request that is right, and an answer that is odd; with ``sizes``, in chunks of these."""
    headers = headers or (JSON,)
    framed = ("Transfer-Encoding", "chunked") if sizes is not None else ("Content-Length", str(len(body)))
    return Case(
        name=f"{name}, {to.name}",
        path=path or to.path,
        headers=(JSON,),
        request=to.request if request is None else request,
        script=answer(http, headers, body, framing="length" if sizes is None else "chunked", sizes=sizes or ()),
        client=same(body, *headers, framed, status=http),
        row={**WELL, "dialect": to.name, "http_status": http, **to.row, **row},
        notes=notes,
    )
