"""What every engine must do with what people say. Part of ``StoreContract``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import Struct, to_builtins

from proxy.clock import CallIds, id_text
from proxy.errors import CallNotFound
from proxy.query.parse import parse_filter
from proxy.records import Event, EventKind, Score, evolve
from proxy.store.base import Batch, Reader, Store, StoredCall
from proxy.store.judgements import (
    REVIEW,
    TRACE,
    AuditSaid,
    FeedbackSaid,
    Given,
    Judgements,
    NoteSaid,
    TagSaid,
    TagsSaid,
    Target,
    ViewSaid,
)
from proxy.store.policy import Keeping, Policy
from tests.store.contract_conversations import talk
from tests.store.samples import DAY_US, NOON_US, an_id, collected, ended, running, write

OpenStore = Callable[[], Awaitable[Store]]
_ids = CallIds()


def event(said: Struct | dict[str, Any], author: str = "ada", *, at: int = 0, kind: str | None = None) -> Event:
    """Something said, some seconds after noon."""
    at_us = NOON_US + at * 1_000_000
    kind = kind or EventKind(type(said).__name__.removesuffix("Said").lower())
    return Event(id=_ids.next(at_us), kind=kind, at_us=at_us, author=author, said=to_builtins(said))


async def say(store: Store, *said: Struct | Event, author: str = "ada") -> None:
    """One batch of events."""
    events = [each if isinstance(each, Event) else event(each, author) for each in said]
    await store.write(Batch(events=events))


def feedback(call: StoredCall | None = None, *scores: Given, **more: Any) -> FeedbackSaid:
    """Feedback of a call by its id, or by what ``more`` says."""
    target = Target(call=call.call.id) if call is not None else more.pop("target")
    return FeedbackSaid(target=target, scores=scores, **more)


def tone(value: float | bool | str | None, name: str = "tone") -> Given:
    return Given(name=name, value=value)


async def matching(store: Reader, text: str) -> list[str | None]:
    """The models of the calls that match."""
    return sorted((call.model for call in await store.find(parse_filter(text))), key=str)


async def settled(store: Store) -> None:
    """Until nothing is left to do."""
    while await store.catch_up():
        pass


async def tags_of(store: Reader, *calls: StoredCall) -> list[tuple[str, ...]]:
    return [(await store.call(call.call.id)).tags for call in calls]


class JudgementsContract:
    """Feedback, notes, tags, views, audit."""

    # --- scores -----------------------------------------------------------------------------------

    async def test_feedback_is_read_back(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended(model="a")
        await write(store, call)
        said = feedback(
            call,
            Given(name="tone", value=True, comment="kind"),
            tone(0.25, "fit"),
            tone("rude", "manner"),
            comment="so so",
            expected="better",
            tags=("seen",),
            metadata={"by": "hand"},
        )
        await say(store, said)
        told = await store.judgements(call.call.id)
        words = {word.name: (word.value, word.label, word.truth, word.comment) for word in told.opinions}
        assert words == {
            "tone": (1.0, None, True, "kind"),
            "fit": (0.25, None, False, None),
            "manner": (None, "rude", False, None),
        }
        assert [comment.text for comment in told.comments] == ["so so"]
        assert [correction.expected for correction in told.corrections] == ["better"]
        assert {word.call for word in told.opinions} == {call.call.id}
        (happened,) = told.history
        assert (happened.author, happened.kind) == ("ada", "feedback")
        assert happened.said["comment"] == "so so"
        assert "projects" not in happened.said
        row = await store.call(call.call.id)
        assert (row.tags, row.metadata) == (("seen",), {"by": "hand"})

    async def test_the_last_word_of_an_author_stands_and_authors_average(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended(model="a")
        await write(store, call)
        await say(store, feedback(call, tone(0.0)), feedback(call, tone(0.4)))
        await say(store, feedback(call, tone(1.0), part="tool:1"), author="bob")
        await say(store, feedback(call, tone(0.6)), author="bob")
        (score,) = (await store.scores([call.call.id]))[call.call.id]
        assert (score.name, score.mean, score.label, score.authors) == ("tone", pytest.approx(0.6), None, 2)
        assert await matching(store, "scores.tone > 0.59 and scores.tone < 0.61") == ["a"]
        assert len((await store.judgements(call.call.id)).history) == 4

    async def test_a_word_is_taken_back(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended(model="a")
        await write(store, call)
        await say(store, feedback(call, tone(0.5), tone("x", "kind"), expected="e", comment="c"))
        await say(store, feedback(call, tone(None), tone(None, "kind"), expected="", comment=""))
        told = await store.judgements(call.call.id)
        assert (told.opinions, told.corrections, told.comments) == ((), (), ())
        assert await store.scores([call.call.id]) == {}
        assert await matching(store, "scores.tone is not null") == []
        assert len(told.history) == 2

    async def test_scores_of_lists(self, open_store: OpenStore) -> None:
        store = await open_store()
        first, second, third = (ended(model=name) for name in "abc")
        await write(store, first, second, third)
        await say(store, feedback(first, tone("good"), tone(2, "n")), feedback(third, tone(5.0), part=TRACE))
        found = await store.scores([first.call.id, second.call.id, third.call.id, an_id()])
        assert {call: [(score.name, score.mean, score.label) for score in some] for call, some in found.items()} == {
            first.call.id: [("n", 2.0, None), ("tone", None, "good")]
        }
        assert await store.score_names() == ["n", "tone"]

    async def test_what_is_said_of_a_trace_is_its_calls_and_its_average(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [talk(0, "a"), talk(1, "b", "a"), talk(2, "c", "b")]
        await write(store, *calls)
        await say(store, feedback(calls[0], tone(0.0)), feedback(calls[1], tone(1.0)))
        await say(store, feedback(calls[1], tone(0.0), part=TRACE, comment="first"))
        await say(store, feedback(calls[2], tone(0.5), part=TRACE, comment="second"))
        for call in calls:
            told = await store.judgements(call.call.id)
            assert told.trace_scores == {"tone": pytest.approx(0.5)}
            assert [word.value for word in told.opinions if word.part == TRACE] == [0.5]
            assert [comment.text for comment in told.comments] == ["second"]
            assert len(told.history) == 4

    async def test_every_word_touches_its_call(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended()
        await write(store, call)
        for said in (
            feedback(call, tone(1)),
            feedback(call, comment="c"),
            NoteSaid(call=call.call.id, text="n"),
            TagsSaid(call=call.call.id, add=("t",)),
        ):
            rev = await store.latest_rev()
            await say(store, said)
            (changed,) = await store.find(after_rev=rev)
            assert changed.id == call.call.id
            assert await store.find(after_rev=rev, news=True) == []

    async def test_an_event_is_stored_once(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended()
        await write(store, call)
        once = event(NoteSaid(call=call.call.id, text="once"))
        look = event(AuditSaid(action="view"))
        await say(store, once, once, look)
        await say(store, once, look, look)
        assert [note.text for note in (await store.judgements(call.call.id)).notes] == ["once"]
        assert len(await store.audit()) == 1

    async def test_scores_of_a_batch_are_opinions_too(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended()
        score = Score(call=call.call.id, name="fit", author="guard", value=0.25, at_us=NOON_US)
        await store.write(Batch(calls=[call], scores=[score]))
        (word,) = (await store.judgements(call.call.id)).opinions
        assert (word.name, word.author, word.value) == ("fit", "guard", 0.25)

    async def test_reviews_are_columns_of_filters_and_reports(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = {name: ended(model=name) for name in ("good", "bad", "mixed", "none")}
        await write(store, *calls.values())
        for author, values in {"ada": (1, 0, 1), "bob": (1, 0.25, 0)}.items():
            for name, value in zip(("good", "bad", "mixed"), values, strict=True):
                await say(store, feedback(calls[name], tone(value, REVIEW)), author=author)
        await say(store, feedback(calls["good"], tone(1.0, REVIEW), comment="well", expected="so"), author="cy")
        await say(store, NoteSaid(call=calls["none"].call.id, text="n"))
        for name in ("good", "bad", "mixed"):
            assert await matching(store, f"review = '{name}'") == [name]
        assert await matching(store, "review != 'good'") == ["bad", "mixed"]
        assert await matching(store, "review is null") == ["none"]
        assert await matching(store, "reviewer = 'cy' and reviewer = 'bob'") == ["good"]
        assert await matching(store, "reviewer != 'cy'") == ["bad", "mixed", "none"]
        assert await matching(store, "has:note") == ["none"]
        assert await matching(store, "has:correction,note") == ["good", "none"]
        assert await matching(store, "has:comment has:score -has:note") == ["good"]
        assert await matching(store, "judged is not null") == ["bad", "good", "mixed", "none"]
        found = await store.report(("review",))
        assert sorted((str(row.group[0]), row.calls) for row in found) == [
            ("None", 1),
            ("bad", 1),
            ("good", 1),
            ("mixed", 1),
        ]

    # --- which call ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("by", ["call", "response_id", "request_id"])
    @pytest.mark.parametrize("first", [True, False])
    async def test_feedback_by_any_id_before_or_after_the_call(
        self, open_store: OpenStore, by: str, *, first: bool
    ) -> None:
        store = await open_store()
        call = ended(response_id="resp_1", request_id="req_1", model="a")
        target = Target(**{by: {"call": call.call.id, "response_id": "resp_1", "request_id": "req_1"}[by]})
        said = feedback(None, tone(0.5), target=target, tags=("early",), metadata={"k": "v"})
        if first:
            await say(store, said)
            await store.close()
            store = await open_store()
        await write(store, ended(response_id="other"), call)
        if not first:
            await say(store, said)
        await say(store, feedback(None, tone(0.75), target=target))
        assert [word.value for word in (await store.judgements(call.call.id)).opinions] == [0.75]
        row = await store.call(call.call.id)
        assert (row.tags, row.metadata) == (("early",), {"k": "v"})
        assert await matching(store, "tags has 'early' and metadata.k = 'v' and scores.tone > 0.7") == ["a"]
        assert await collected(store.verify()) == []

    async def test_what_waits_is_said_when_the_call_ends(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = running(model="a")
        await write(store, first)
        await say(store, feedback(None, tone(1.0), target=Target(response_id="resp_1")))
        await say(store, feedback(first, tone(0.5, "now"), tags=("run",)))
        await write(store, ended(first.call.id, response_id="resp_1", model="a", tags=("own",)))
        assert [score.name for score in (await store.scores([first.call.id]))[first.call.id]] == ["now", "tone"]
        assert (await store.call(first.call.id)).tags == ("own", "run")

    async def test_the_last_call_of_an_id_is_meant(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [ended(response_id="same", model=str(place)) for place in range(3)]
        await write(store, *calls)
        await say(store, feedback(None, tone(1.0), target=Target(response_id="same")))
        assert await matching(store, "scores.tone = 1") == ["2"]

    @pytest.mark.parametrize("first", [True, False])
    async def test_calls_of_other_projects_are_not_judged(self, open_store: OpenStore, *, first: bool) -> None:
        store = await open_store()
        mine = ended(response_id="same", project="mine", model="mine")
        theirs = ended(response_id="same", project="theirs", model="theirs")
        said = feedback(None, tone(1.0), target=Target(response_id="same"), projects=("mine",))
        direct = feedback(theirs, tone(1.0), projects=("mine",))
        if first:
            await say(store, said, direct)
        await write(store, mine, theirs)
        if not first:
            await say(store, said, direct)
        assert await matching(store, "scores.tone = 1") == ["mine"]
        assert (await store.judgements(theirs.call.id)).history == ()

    async def test_ids_of_others_are_found_by_filters(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [ended(response_id=f"resp_{place}", request_id=f"req_{place}", model=str(place)) for place in range(9)]
        await write(store, *calls, ended(model="none"))
        assert await matching(store, "response_id = 'resp_4'") == ["4"]
        assert await matching(store, "request_id in ('req_4', 'req_5', 'resp_6')") == ["4", "5"]
        assert await matching(store, "response_id = 'req_4'") == []
        assert len(await matching(store, "not response_id = 'resp_4'")) == 9
        assert len(await matching(store, "response_id != 'resp_4'")) == 8

    # --- notes --------------------------------------------------------------------------------------

    async def test_notes_are_changed_and_deleted(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [talk(0, "a"), talk(1, "b", "a")]
        await write(store, *calls)
        first, second = (event(NoteSaid(call=call.call.id, text=str(place))) for place, call in enumerate(calls))
        await say(store, first, second)
        await say(store, NoteSaid(call=calls[0].call.id, text="changed", note=id_text(first.id)), author="bob")
        for call in calls:
            notes = (await store.judgements(call.call.id)).notes
            assert {(note.text, note.author, note.call) for note in notes} == {
                ("changed", "ada", calls[0].call.id),
                ("1", "ada", calls[1].call.id),
            }
        await say(store, NoteSaid(call=calls[0].call.id, text="", note=id_text(first.id)))
        assert [note.text for note in (await store.judgements(calls[0].call.id)).notes] == ["1"]
        assert len((await store.judgements(calls[0].call.id)).history) == 4

    # --- tags ---------------------------------------------------------------------------------------

    async def test_tags_are_on_all_calls_of_a_conversation(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [talk(0, "a", model="x"), talk(1, "b", "a", model="x", tags=("own",)), talk(2, "c", "b", model="x")]
        other = talk(3, "q", model="y")
        await write(store, *calls, other)
        await say(store, TagsSaid(call=calls[1].call.id, add=("good", "new")))
        assert await tags_of(store, *calls, other) == [("good", "new"), ("own", "good", "new"), ("good", "new"), ()]
        assert len(await matching(store, "tags has 'good'")) == 3
        await say(store, TagsSaid(call=calls[0].call.id, remove=("good", "own")))
        assert await tags_of(store, *calls) == [("new",)] * 3
        assert await matching(store, "tags has 'own' or tags has 'good'") == []
        await say(store, TagsSaid(call=calls[0].call.id, add=("own",)))
        assert {tuple(sorted(tags)) for tags in await tags_of(store, *calls)} == {("new", "own")}
        assert await collected(store.verify()) == []

    async def test_later_calls_of_a_conversation_have_its_tags(self, open_store: OpenStore) -> None:
        store = await open_store()
        first = talk(0, "a")
        await write(store, first)
        await say(store, TagsSaid(call=first.call.id, add=("good",), remove=("bad",)))
        second, third = talk(1, "b", "a", tags=("bad", "mine")), talk(2, "c", "b")
        await write(store, second, third)
        assert await tags_of(store, first, second, third) == [("good",), ("mine", "good"), ("good",)]
        assert [(row.group, row.calls) for row in await store.report(("tag",))] == [(("good",), 3), (("mine",), 1)]
        assert await collected(store.verify()) == []

    async def test_conversations_that_become_one_share_their_tags(self, open_store: OpenStore) -> None:
        store = await open_store()
        late, early = talk(1, "b", "a"), talk(0, "a")
        await write(store, late)
        await say(store, TagsSaid(call=late.call.id, add=("good",)))
        await write(store, early)
        await settled(store)
        assert await tags_of(store, early, late) == [("good",)] * 2
        assert await collected(store.verify()) == []

    async def test_tags_outlive_that_a_call_is_derived_anew(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended(model="a", tags=("own", "old"), metadata={"k": "1", "l": "2"})
        await write(store, call)
        said = feedback(call, tags=("hand",), metadata={"k": "3"})
        await say(store, said, TagsSaid(call=call.call.id, remove=("own",)), TagSaid(name="old", renamed="new"))
        await settled(store)
        before = await store.call(call.call.id)
        assert (before.tags, before.metadata) == (("new", "hand"), {"l": "2", "k": "3"})
        await store.rewrite([call])
        assert await store.call(call.call.id) == before
        await store.rewrite([evolve(call, call=evolve(call.call, model="b"))])
        after = await store.call(call.call.id)
        assert (after.tags, after.metadata, after.model) == (before.tags, before.metadata, "b")
        assert await collected(store.verify()) == []

    async def test_tags_are_defined_renamed_and_deleted(self, open_store: OpenStore) -> None:
        store = await open_store()
        calls = [ended(tags=("a", "b")), ended(tags=("a",)), ended(tags=("b",))]
        await write(store, *calls)
        await say(store, TagSaid(name="a", color="#ff0000", description="first"), TagSaid(name="unused", color="#0f0"))
        assert [(tag.name, tag.color, tag.description, tag.calls) for tag in await store.tags()] == [
            ("a", "#ff0000", "first", 2),
            ("b", "", "", 2),
            ("unused", "#0f0", "", 0),
        ]
        await say(store, TagSaid(name="a", renamed="b"))
        await settled(store)
        assert await tags_of(store, *calls) == [("b",)] * 3
        assert [(tag.name, tag.color, tag.calls) for tag in await store.tags()] == [
            ("b", "#ff0000", 3),
            ("unused", "#0f0", 0),
        ]
        await say(store, TagSaid(name="b", deleted=True), TagSaid(name="unused", deleted=True))
        await settled(store)
        assert await tags_of(store, *calls) == [()] * 3
        assert await store.tags() == []
        await write(store, ended(tags=("b",)))
        assert [tag.name for tag in await store.tags()] == ["b"]
        assert await collected(store.verify()) == []

    async def test_a_tag_on_many_calls_is_renamed_in_steps(self, open_store: OpenStore) -> None:
        store = await open_store()
        await write(store, *(ended(tags=("many",)) for _ in range(800)))
        await say(store, TagSaid(name="many", renamed="few"))
        assert 0 < len(await store.find(parse_filter("tags has 'many'"), limit=10_000)) < 800
        await settled(store)
        assert len(await store.find(parse_filter("tags has 'few'"), limit=10_000)) == 800
        assert await store.find(parse_filter("tags has 'many'")) == []
        assert await collected(store.verify()) == []

    # --- views, audit ---------------------------------------------------------------------------------

    async def test_views_are_saved_changed_and_deleted(self, open_store: OpenStore) -> None:
        store = await open_store()
        made = event(ViewSaid(name="errors", page="/", query="q=status:error"))
        await say(store, made, ViewSaid(name="all", page="/review", query=""))
        await say(store, ViewSaid(name="bad", page="/", query="q=x", view=id_text(made.id)), author="bob")
        assert [(view.name, view.page, view.query, view.author) for view in await store.views()] == [
            ("all", "/review", "", "ada"),
            ("bad", "/", "q=x", "ada"),
        ]
        await say(store, ViewSaid(name="", page="", query="", view=id_text(made.id), deleted=True))
        assert [view.name for view in await store.views()] == ["all"]

    async def test_audit_rows_come_newest_first(self, open_store: OpenStore) -> None:
        store = await open_store()
        await say(store, *(AuditSaid(action="view", target=str(place), status=200 + place) for place in range(5)))
        found = await store.audit(limit=2)
        assert [(row.target, row.who, row.status) for row in found] == [("4", "ada", 204), ("3", "ada", 203)]
        assert [row.target for row in await store.audit(before=found[-1].id)] == ["2", "1", "0"]

    # --- age ------------------------------------------------------------------------------------------

    async def test_what_was_said_goes_with_its_call_and_audit_rows_stay(self, open_store: OpenStore) -> None:
        store = await open_store()
        old, young = (evolve(talk(step, "a", response_id=f"r{step}"), exchange=None) for step in (0, 9_000_000))
        await write(store, old, young)
        for call in (old, young):
            said = feedback(call, tone(1.0), comment="c", tags=("t",), metadata={"k": "v"})
            await say(store, said, NoteSaid(call=call.call.id, text="n"), AuditSaid(action="view"))
        policy = Policy(usual=Keeping(body_days=30, row_days=90))
        receipts = [done async for done in store.purge(policy, young.call.started_at_us + DAY_US)]
        assert receipts[-1].rows == 1
        assert [call.id for call in await store.find()] == [young.call.id]
        assert len((await store.judgements(young.call.id)).history) == 2
        assert [(tag.name, tag.calls) for tag in await store.tags()] == [("t", 1)]
        assert len(await store.audit()) == 2
        assert await collected(store.verify()) == []

    # --- what is odd ----------------------------------------------------------------------------------

    async def test_odd_events_are_passed_over(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended(model="a")
        huge = event(feedback(call, tone(1)), author="x" * 5000)
        await store.write(
            Batch(
                calls=[call],
                events=[
                    event({"target": 5}, kind="feedback"),
                    event({}, kind="unheard of"),
                    event(feedback(None, tone(1), target=Target())),
                    event(feedback(None, tone(1), target=Target(call="no id"))),
                    event(feedback(call, tone(float("inf")), tone(float("nan"), "b"), tone("", "c"), tone(1, " "))),
                    event(
                        feedback(call, tone("\ud800" * 5000, "\udfff"), comment="\0\ud800", tags=("", " ", "\udfff"))
                    ),
                    evolve(huge, at_us=1 << 80),
                    event(NoteSaid(call=call.call.id, text="x", note="no id")),
                    event(TagSaid(name="")),
                    event(ViewSaid(name="", page="", query="")),
                ],
            )
        )
        told = await store.judgements(call.call.id)
        assert {word.name for word in told.opinions} == {"?", "tone"}
        assert await store.views() == []
        assert (await store.call(call.call.id)).tags == ("?",)
        assert await collected(store.verify()) == []

    async def test_a_call_has_room_for_so_many_names_and_words(self, open_store: OpenStore) -> None:
        store = await open_store()
        call = ended()
        await write(store, call)
        for batch in range(4):
            await say(store, feedback(call, *(tone(1, f"{batch}-{place}") for place in range(64))))
        await say(store, feedback(call, tone(0, "0-1")))
        words = (await store.judgements(call.call.id)).opinions
        assert len(words) == 64
        assert {word.value for word in words if word.name == "0-1"} == {0.0}

    async def test_nothing_is_said_of_strangers(self, open_store: OpenStore) -> None:
        store = await open_store()
        with pytest.raises(CallNotFound):
            await store.judgements(an_id())
        await write(store, ended())
        with pytest.raises(CallNotFound):
            await store.judgements(an_id())
        assert (await store.judgements((await store.find())[0].id)) == Judgements()
        assert (await store.views(), await store.tags(), await store.audit(), await store.score_names()) == ([],) * 4
