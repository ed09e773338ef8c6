"""Calls of two projects, each word in them a marker: seen in an answer, it tells whose call the answer shows."""

from __future__ import annotations

import json

from msgspec import Struct

from proxy.clock import CallIds, id_text, wall_us
from proxy.records import Event, EventKind, evolve
from proxy.store.base import StoredCall
from proxy.store.judgements import FeedbackSaid, Given, NoteSaid, Target, ViewSaid
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console
from tests.store.contract_judgements import event

#: What was said: only those see it who may read the calls of its project.
SAID = (
    "prompt", "system", "output", "argument", "failure", "first", "last", "note", "comment", "correction", "result",
)  # fmt: skip
#: What is known of it, for all who see the project.
KNOWN = ("user", "session", "model", "metakey", "metavalue", "tag", "tool", "responseid", "score", "agent", "project")
#: Of saved views, which belong to their author.
SAVED = ("viewname", "viewquery")


class Planted(Struct, frozen=True):
    """What was planted in one project."""

    project: str
    call: str  #: id
    failed: str
    note: str
    view: str
    words: dict[str, str]  #: kind → marker

    def markers(self, *kinds: str) -> set[str]:
        """Of these kinds."""
        return {self.words[kind] for kind in kinds}


def planted(name: str) -> tuple[Planted, list[StoredCall], list[Event]]:
    """Two calls of a project, and what people say of them."""
    words = {kind: f"{kind}q{name}z" for kind in (*SAID, *KNOWN, *SAVED)}
    project = words["project"]
    facts = {
        "project": project,
        "user": words["user"],
        "session": words["session"],
        "model": words["model"],
        "model_requested": words["model"],
        "metadata": {words["metakey"]: words["metavalue"]},
        "tags": (words["tag"],),
        "response_id": words["responseid"],
        "agent": words["agent"],
        "preview_input": words["first"],
        "preview_output": words["last"],
    }
    call, failed = new_call(**facts), new_call(**facts, status="error", error_message=words["failure"])
    ids, long_ago_us = CallIds(), wall_us() - 3_600_000_000  # what was said a moment ago need not be stored yet
    note, view = id_text(ids.next(long_ago_us)), id_text(ids.next(long_ago_us))
    scores = (Given(name=words["score"], value=0.5, comment=words["comment"]), Given(name="review", value=1))
    said = FeedbackSaid(
        target=Target(call=call.id), scores=scores, comment=words["comment"], expected=words["correction"]
    )
    author = f"author-{name}"
    events = [
        event(said, author),
        _named(event(NoteSaid(call=call.id, text=words["note"]), author), note),
        _named(event(ViewSaid(name=words["viewname"], page="/", query=f"q=user:{words['viewquery']}"), author), view),
    ]
    stored = [exchanged(each, _request(words), _response(words)) for each in (call, failed)]
    made = Planted(project=project, call=call.id, failed=failed.id, note=note, view=view, words=words)
    return made, stored, events


def _named(said: Event, name: str) -> Event:
    assert said.kind in tuple(EventKind)
    return evolve(said, id=bytes.fromhex(name.replace("-", "")))


def _request(words: dict[str, str]) -> bytes:
    called = {"id": "call_7", "type": "function", "function": {"name": words["tool"], "arguments": '{"a":"%s"}'}}
    called["function"]["arguments"] = json.dumps({"a": words["argument"]})  # type: ignore[index]
    messages = [
        {"role": "system", "content": words["system"]},
        {"role": "user", "content": words["prompt"]},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_7", "content": words["result"]},
    ]
    return json.dumps({"model": words["model"], "messages": messages, "user": words["user"]}).encode()


def _response(words: dict[str, str]) -> bytes:
    called = {"id": "call_8", "type": "function", "function": {"name": words["tool"], "arguments": words["argument"]}}
    message = {"role": "assistant", "content": words["output"], "tool_calls": [called]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    answer = {"id": words["responseid"], "model": words["model"], "choices": [choice], "usage": usage}
    return json.dumps(answer).encode()


async def plant(console: Console) -> tuple[Planted, Planted]:
    """Both projects, in the store of a console."""
    (own, *ours), (other, *theirs) = planted("own"), planted("other")
    await console.record(*ours[0], *theirs[0], events=[*ours[1], *theirs[1]])
    return own, other
