"""What people and programs say by the API: what is taken, what is refused, under whose name it stands."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import CallIds, id_text
from proxy.console.api.feedback import Feedback, GivenScore, understood
from proxy.console.api.saying import spoken_for
from proxy.console.documents import encoded
from proxy.console.permissions import OWNER, Grant, Visitor
from proxy.console.received import BODY_BYTES, read
from proxy.datadir import prepare
from proxy.errors import UsageError
from proxy.journal.codec import decode
from proxy.journal.frame import Kind, parse_segment_name
from proxy.journal.reader import SegmentFile
from proxy.records import Event, EventKind
from proxy.store.heard import COMMENT_CHARS, heard
from proxy.store.judgements import FeedbackSaid
from tests.cli.recorded import exchanged, new_call
from tests.console.serving import Console

CALL = "01a20257-d706-7000-abe8-52245c5efea2"
GOOD = [{"name": "helpful", "value": True}]


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    async with Console(tmp_path / "data") as made:
        yield made


async def send(console: Console, method: str, path: str, body: Any = None, raw: bytes = b"") -> tuple[int, Any]:
    sent = raw or (b"" if body is None else json.dumps(body).encode())
    headers = {"Content-Type": "application/json"}
    async with console.client.request(method, path, data=sent, headers=headers) as response:
        return response.status, json.loads(await response.read())


def written(data: Path, kind: str) -> list[Event]:
    """Events of a kind that journals hold."""
    found = []
    for path in sorted(data.glob("journal/console-*/*.seg")):
        named = parse_segment_name(path.name)
        assert named is not None
        segment = SegmentFile(path, *named)
        frames = [item for item in segment.scan(sealed=False) if getattr(item, "kind", None) == Kind.EVENT]
        found += [decode(frame.kind, frame.payload) for frame in frames]  # type: ignore[union-attr]
        segment.close()
    return [event for event in found if isinstance(event, Event) and event.kind == kind]


# --- feedback --------------------------------------------------------------------------------------------


async def test_a_program_speaks_for_its_users_but_not_as_a_person_here(console: Console) -> None:
    console.person("ada", "a long enough password", "reviewer")
    token = console.token("reviewer", name="shop")
    body = {"response_id": "chatcmpl-1", "scores": [{"name": "review", "value": True}], "author": "ada"}
    async with console.client.post("/api/feedback", json=body, headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 202, await answer.text()
    [event] = written(console.data, "feedback")
    assert event.author == "token:shop/ada"


async def test_feedback_is_written_down_before_any_store_exists(console: Console) -> None:
    body = {
        "response_id": "chatcmpl-1",
        "tool_call_id": "call_7",
        "scores": [{"name": "tone", "value": 0.5, "comment": "curt"}, {"name": "kind", "value": "refund"}],
        "comment": "meh",
        "expected": "12 degrees",
        "tags": ["odd"],
        "metadata": {"shop": "bern"},
        "author": "user-7",
    }
    status, answer = await send(console, "POST", "/api/feedback", body)
    assert status == 202
    [event] = written(console.data, "feedback")
    assert [event.id.hex()] == [each.replace("-", "") for each in answer["ids"]]
    assert event.author == "user-7"
    assert event.said == {
        "target": {"response_id": "chatcmpl-1"},
        "part": "tool:call_7",
        "scores": [{"name": "tone", "value": 0.5, "comment": "curt"}, {"name": "kind", "value": "refund"}],
        "comment": "meh",
        "expected": "12 degrees",
        "tags": ["odd"],
        "metadata": {"shop": "bern"},
    }


async def test_a_list_of_words_is_taken_or_refused_as_a_whole(console: Console) -> None:
    several = [{"call": CALL.upper(), "scores": GOOD}, {"request_id": "req-1", "document": 2, "comment": "wrong"}]
    status, answer = await send(console, "POST", "/api/feedback", several)
    assert (status, len(answer["ids"])) == (202, 2)
    assert [event.said["target"] for event in written(console.data, "feedback")] == [
        {"call": CALL},
        {"request_id": "req-1"},
    ]
    status, answer = await send(console, "POST", "/api/feedback", [several[0], {"call": CALL}])
    assert (status, answer["path"]) == (422, "$[1]")
    assert len(written(console.data, "feedback")) == 2


@pytest.mark.parametrize(
    ("body", "path", "detail"),
    [
        ({"scores": GOOD}, "$", "one of call, response_id and request_id"),
        ({"call": CALL, "response_id": "x", "scores": GOOD}, "$", "one of call"),
        ({"call": "7", "scores": GOOD}, "$.call", "regex"),
        ({"call": CALL}, "$", "say something"),
        ({"call": CALL, "scores": [{"name": "a", "value": []}]}, "$.scores[0].value", "expected bool | int"),
        ({"call": CALL, "scores": [{"name": "a"}]}, "$.scores[0]", "the key 'value' is missing"),
        ({"call": CALL, "scores": [{"nam": "a"}]}, "$.scores[0]", "did you mean name?"),
        ({"call": CALL, "score": GOOD}, "$", "did you mean scores?"),
        ({"call": CALL, "scores": [{"name": "a", "value": 1 << 60}]}, "$.scores[0].value", "<="),
        ({"call": CALL, "scores": GOOD, "trace": True, "document": 1}, "$", "one part"),
        ({"call": CALL, "tags": ["x" * 201]}, "$.tags[0]", "length"),
        ({"call": CALL, "metadata": {"a": 1}}, "$.metadata[...]", "expected str"),
        ([], "$", "length"),
        (7, "$", "expected object | array"),
    ],
)
async def test_what_does_not_fit_is_named_with_its_place(console: Console, body: Any, path: str, detail: str) -> None:
    status, answer = await send(console, "POST", "/api/feedback", body)
    assert (status, answer["path"]) == (422, path)
    assert detail in answer["detail"]
    assert not (console.data / "journal").exists()


async def test_a_long_correction_is_kept_whole(console: Console) -> None:
    expected = "ä" * 400_000
    assert (await send(console, "POST", "/api/feedback", raw=encoded({"call": CALL, "expected": expected})))[0] == 202
    [event] = written(console.data, "feedback")
    assert event.said["expected"] == expected


async def test_what_is_no_json_is_refused_and_so_is_too_much(console: Console) -> None:
    assert (await send(console, "POST", "/api/feedback", raw=b"{"))[0] == 400
    assert (await send(console, "POST", "/api/feedback", raw=b"\xff"))[0] == 400
    for much in (io.BytesIO(b" " * (BODY_BYTES + 1)), chunks()):
        headers = {"Content-Type": "application/json"}
        async with console.client.post("/api/feedback", data=much, headers=headers) as response:
            assert response.status == 413
    async with console.client.post("/api/feedback", data=b"{}", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 415


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(40):
        yield b" " * (1 << 15)


async def test_a_journal_that_cannot_be_written_is_a_503(console: Console) -> None:
    (prepare(console.data) / "journal").rmdir()
    (console.data / "journal").write_bytes(b"")
    async with console.client.post("/api/feedback", json={"call": CALL, "scores": GOOD}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")


SCORES = st.builds(
    GivenScore,
    name=st.text(min_size=1, max_size=20),
    value=st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
)


@given(st.builds(Feedback, call=st.just(CALL), scores=st.lists(SCORES, min_size=1, max_size=5).map(tuple)))
def test_scores_are_written_down_as_they_were_given(feedback: Feedback) -> None:
    said = understood(feedback, frozenset({"b", "a"}))
    assert isinstance(said, FeedbackSaid)
    assert [(each.name, each.value, type(each.value)) for each in said.scores] == [
        (each.name, each.value, type(each.value)) for each in feedback.scores
    ]
    assert said.projects == ("a", "b")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_reading_fail_otherwise(body: bytes) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(read(body, Feedback), Feedback)


def test_programs_speak_for_their_users_and_people_for_themselves() -> None:
    person = Visitor("eve", (Grant("reviewer"),))
    program = Visitor("shop", (Grant("reviewer"),), program=True)
    assert spoken_for(person, "ada") == "eve"
    assert spoken_for(program, "ada") == "ada"
    assert spoken_for(program, None) == "shop"
    assert spoken_for(OWNER, "ada") == "ada"


# --- notes, tags, views ----------------------------------------------------------------------------------


async def test_notes_are_on_calls_that_exist(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    status, answer = await send(console, "POST", "/api/notes", {"call": call.id[-8:], "text": "see the ticket"})
    assert status == 202
    [note] = answer["ids"]
    assert (await send(console, "PUT", f"/api/notes/{note}", {"call": call.id, "text": "solved"}))[0] == 202
    assert (await send(console, "DELETE", f"/api/notes/{note}?call={call.id}"))[0] == 202
    said = [event.said for event in written(console.data, "note")]
    assert said == [
        {"call": call.id, "text": "see the ticket"},
        {"call": call.id, "text": "solved", "note": note},
        {"call": call.id, "text": "", "note": note},
    ]
    assert (await send(console, "POST", "/api/notes", {"call": "ffffffff", "text": "x"}))[0] == 404
    assert (await send(console, "PUT", f"/api/notes/{CALL}", {"call": call.id, "text": "x"}))[0] == 404
    assert (await send(console, "DELETE", f"/api/notes/{note}"))[0] == 400
    assert (await send(console, "POST", "/api/notes", {"call": call.id, "text": ""}))[0] == 422


async def test_tags_are_put_on_calls_and_made(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    tags = f"/api/calls/{call.id}/tags"
    assert (await send(console, "POST", tags, {"add": ["a"], "remove": ["b"]}))[0] == 202
    assert [event.said for event in written(console.data, "tags")] == [{"call": call.id, "add": ["a"], "remove": ["b"]}]
    assert (await send(console, "POST", tags, {}))[0] == 422
    assert (await send(console, "POST", "/api/calls/ffffffff/tags", {"add": ["a"]}))[0] == 404
    assert (await send(console, "POST", "/api/tags", {"name": "a/b", "color": "#00aa00"}))[0] == 202
    assert (await send(console, "POST", "/api/tags", {"name": "a", "color": "green"}))[1]["path"] == "$.color"
    assert (await send(console, "PUT", "/api/tags/none", {"color": "#00aa00"}))[0] == 404
    assert (await send(console, "DELETE", "/api/tags/a%2Fb"))[0] == 404


async def test_views_lead_to_pages_of_ours_only(console: Console) -> None:
    view = {"name": "errors", "page": "/", "query": "q=status:error"}
    status, answer = await send(console, "POST", "/api/views", view)
    assert status == 202
    [saved] = answer["ids"]
    assert (await send(console, "PUT", f"/api/views/{saved}", {**view, "name": "wrong"}))[0] == 202
    assert (await send(console, "DELETE", f"/api/views/{saved}"))[0] == 202
    assert [event.said.get("deleted", False) for event in written(console.data, "view")] == [False, False, True]
    for page in ("//evil.example", "https://evil.example", "/\\evil.example", "x", "/?a"):
        assert (await send(console, "POST", "/api/views", {**view, "page": page}))[1]["path"] == "$.page"
    assert (await send(console, "DELETE", f"/api/views/{CALL}"))[0] in (202, 404)


async def test_a_flush_says_what_is_not_stored_when_no_ingest_runs(console: Console) -> None:
    assert await send(console, "POST", "/api/flush", {}) == (200, {"stored": 0})
    await send(console, "POST", "/api/feedback", {"call": CALL, "scores": GOOD})
    status, answer = await send(console, "POST", "/api/flush", {"timeout_s": 0.1})
    assert status == 503
    assert "1 record is not stored after 0.1 s: ingest is down" in answer["detail"]


# --- forms, for browsers without scripts ------------------------------------------------------------------


async def test_a_text_that_is_too_long_for_feedback_is_refused(console: Console) -> None:
    call = new_call()
    await console.record(exchanged(call))
    form = {"comment": "x" * (COMMENT_CHARS + 1)}
    async with console.client.post(f"/call/{call.id}/feedback", data=form) as response:
        assert (response.status, f"{COMMENT_CHARS}" in await response.text()) == (400, True)


async def test_a_note_is_changed_where_it_stands_and_taken_away(console: Console) -> None:
    call, other = new_call(), new_call()
    note = Event(
        id=CallIds().next(1_000_000), kind=EventKind.NOTE, at_us=5, author="ada", said={"call": call.id, "text": "?"}
    )
    await console.record(exchanged(call), exchanged(other), events=[note])
    form = {"note": id_text(note.id), "text": "?", "delete": "1"}
    async with console.client.post(f"/call/{other.id}/notes", data=form, allow_redirects=False) as response:
        assert response.status == 404, "a note of another conversation"
    async with console.client.post(f"/call/{call.id}/notes", data=form, allow_redirects=False) as response:
        assert response.status == 303
    (said,) = written(console.data, EventKind.NOTE)
    assert said.said == {"call": call.id, "text": "", "note": id_text(note.id)}


@pytest.mark.parametrize(
    "said", [{"comment": "x" * (COMMENT_CHARS + 1)}, {"scores": [{"name": "n" * 101, "value": 1}]}]
)
async def test_what_the_store_would_cut_is_refused(console: Console, said: dict[str, Any]) -> None:
    assert (await send(console, "POST", "/api/feedback", {"call": CALL, **said}))[0] == 422


def test_the_projects_that_somebody_may_speak_of_keep_their_names() -> None:
    said = {"target": {"call": CALL}, "comment": "fine", "projects": ["p" * 200]}
    kept = heard(Event(id=bytes(16), kind=EventKind.FEEDBACK, at_us=1, author="ada", said=said))
    assert isinstance(kept, FeedbackSaid)
    assert kept.projects == ("p" * 200,)
