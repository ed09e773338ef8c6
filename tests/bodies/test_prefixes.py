"""A body that goes on where another ended is cut as if nothing were known, at the price of its end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.bodies import cut as whole_cut
from proxy.bodies.cut import Cut, body_of, cut, uncut
from proxy.bodies.prefixes import Prefixes
from tests.bodies.dialogues import a_dialogue, dialogues
from tests.bodies.test_slices import PAD, TRAPS, bodies

SALT = b"s" * 16


def assert_same(found: Cut, body: bytes) -> None:
    """What was found with what was known says the same of a body as without."""
    fresh = cut(body, SALT)
    known = fresh.slices.messages[: found.known]
    assert body_of(found, known) == body
    assert body_of(fresh) == body
    if found.known:
        assert (*fresh.names[: found.known], *found.names) == fresh.names
        assert (found.values, found.last, found.marks) == (fresh.values, fresh.last, fresh.marks)
        assert found.history == fresh.chain[found.known - 1]
        assert found.slices.literals == fresh.slices.literals
        assert found.slices.values == fresh.slices.values


@given(dialogues())
@settings(max_examples=80, deadline=None)
def test_known_or_not_a_body_is_the_same(spoken: list[list[tuple[bytes, bytes]]]) -> None:
    prefixes = Prefixes()
    for turn in range(8):
        for turns in spoken:
            for request, _ in turns[turn : turn + 1]:
                assert_same(prefixes.cut(request, SALT, b""), request)


@given(st.lists(bodies, max_size=6), st.data())
@settings(deadline=None)
def test_whatever_comes_a_body_is_the_same(some: list[bytes], data: st.DataObject) -> None:
    prefixes = Prefixes()
    for body in some:
        assert_same(prefixes.cut(body, SALT, b""), body)
        at = data.draw(st.integers(0, len(body)))
        for other in (body, body[:at], body[:at] + data.draw(st.binary(max_size=9)) + body[at:]):
            assert_same(prefixes.cut(other, SALT, b""), other)
        assert body_of(uncut(body, SALT)) == body


@pytest.mark.parametrize("trap", TRAPS)
def test_traps_that_begin_as_a_body_before(trap: bytes) -> None:
    prefixes = Prefixes()
    first = b'{"messages":[%b]}' % PAD
    prefixes.cut(first, SALT, b"")
    for body in (trap.replace(b"%s", PAD), first[:-2] + trap.replace(b"%s", PAD), first[:-2] + b"," + trap + b"]}"):
        assert_same(prefixes.cut(body, SALT, b""), body)


@pytest.mark.parametrize(
    "rest",
    [
        b"]}", b",1]}", b", 1]}", b",1 ,2]}", b" ]}", b"]", b",", b",]}", b"1]}", b'],"messages":[2]}',
        b',1],"messages":[2]}', b',1],"input":[2]}', b'],"x":1}', b',1],"x":{"messages":[1]}}',
        b",[1],[2]]}", b'],"model":"m"', b"", b"]}]}",
        b',"],[",1]}', b',1],"tools":["' + b"t" * 300 + b'"]}', b"]} ", b"\xff]}",
    ],
)  # fmt: skip
def test_ways_to_go_on(rest: bytes) -> None:
    for separator in (b"", b"0,", b"0, ", b"0 , "):
        prefixes = Prefixes()
        begun = b'{"model":"m","messages":[' + separator + PAD
        prefixes.cut(begun + b"]}", SALT, b"")
        assert_same(prefixes.cut(begun + rest, SALT, b""), begun + rest)
        prefixes.cut(begun + b',1],"model":"m"}', SALT, b"")
        assert_same(prefixes.cut(begun + b",1" + rest, SALT, b""), begun + b",1" + rest)


def test_what_is_known_is_passed_over() -> None:
    prefixes = Prefixes()
    known = [prefixes.cut(request, SALT, b"").known for request, _ in a_dialogue(6, tools=300)]
    assert known == [0, 2, 4, 6, 8, 10]


def test_marks_that_move_hide_nothing() -> None:
    prefixes = Prefixes()
    found = [prefixes.cut(request, SALT, b"") for request, _ in a_dialogue(6, tools=300, marked=True)]
    assert [each.known for each in found] == [0, 2, 4, 6, 8, 10]
    assert all(len(each.marks) == 1 for each in found)


def test_spaces_share_nothing() -> None:
    prefixes = Prefixes()
    (first, _), (second, _) = a_dialogue(2, said=2000)
    prefixes.cut(first, SALT, b"one")
    assert prefixes.cut(second, SALT, b"other").known == 0
    assert prefixes.cut(second, SALT, b"one").known == 2


def test_a_long_space_is_reckoned_with() -> None:
    prefixes, space = Prefixes(memory_bytes=100_000), b"/" * 30_000
    spoken = [a_dialogue(2, seed=seed, said=2000) for seed in range(6)]
    for first, _ in spoken:
        prefixes.cut(first[0], SALT, space)
    known = [prefixes.cut(second[0], SALT, space).known for _, second in spoken[::-1]]
    assert known[0] == 2
    assert known[-1] == 0


def test_memory_is_bounded() -> None:
    prefixes = Prefixes(memory_bytes=50_000)
    spoken = [a_dialogue(2, seed=seed, said=2000) for seed in range(40)]
    for first, _ in spoken:
        prefixes.cut(first[0], SALT, b"")
    known = [prefixes.cut(second[0], SALT, b"").known for _, second in spoken[::-1]]
    assert known[0] == 2
    assert known[-1] == 0


def test_the_rest_says_what_is_new() -> None:
    prefixes = Prefixes()
    turns = a_dialogue(6, tools=300)
    for request, _ in turns[:-1]:
        prefixes.learned(prefixes.cut(request, SALT, b""), plain=True)
    last = turns[-1][0]
    rest = prefixes.cut(last, SALT, b"").rest()
    assert rest is not None
    whole, shown = json.loads(last), json.loads(rest)
    messages = whole["messages"]
    assert shown == {**whole, "tools": [], "messages": [messages[0], *messages[-6:]]}


def test_what_may_say_something_is_read_again() -> None:
    prefixes = Prefixes()
    turns = a_dialogue(8)
    for number, (request, _) in enumerate(turns):
        found = prefixes.cut(request, SALT, b"")
        assert (found.rest() is None) == (number < 6)
        prefixes.learned(found, plain=number > 4)
    assert whole_cut.cut(turns[-1][0], SALT).rest() is None


def test_a_reader_is_shown_the_last_two_answers_and_all_behind() -> None:
    def request(*messages: dict[str, object]) -> bytes:
        lead = [{"role": "system", "content": "s" * 1000}, {"role": "developer", "content": "d"}]
        return json.dumps({"messages": [*lead, *messages]}).encode()

    said = [{"role": "user", "content": "u0"}]
    for turn in range(4):
        calls = [{"id": f"{turn}-{number}"} for number in range(6)]
        said += [
            {"role": "assistant", "tool_calls": calls},
            *({"role": "tool", "tool_call_id": call["id"]} for call in calls),
        ]
    prefixes = Prefixes()
    prefixes.learned(prefixes.cut(request(*said), SALT, b""), plain=True)
    rest = prefixes.cut(request(*said, {"role": "user", "content": "and now?"}), SALT, b"").rest()
    assert rest is not None
    shown = json.loads(rest)["messages"]
    assert [message["role"] for message in shown[:3]] == ["system", "developer", "assistant"]
    assert shown[2:] == [*said[-14:], {"role": "user", "content": "and now?"}]


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[0,' + b" " * 100_000 + b"0," * 50_000 + b"0]}",
        b'{"messages":[' + b"0," * 200_000 + b"0]}",
        b'{"messages":["' + b" " * 400_000 + b'",{"cache_control":{"type":"ephemeral"},"x":1}]}',
        b'{"messages":[1' + b",2" * 600 + b"]," + b",".join(b'"%d":"%b"' % (n, b"v" * 300) for n in range(5000)) + b"}",
        b'{"messages":[{"a":1,"cache_control":{"type":"ephemeral"}},' + b'"\\"cache_control\\"",' * 50_000 + b"1]}",
    ],
)
def test_hostile_bodies_are_cut_in_time_and_memory(body: bytes) -> None:
    prefixes = Prefixes()
    for other in (body, body[:-2] + b",1]}", body):
        assert_same(prefixes.cut(other, SALT, b""), other)
