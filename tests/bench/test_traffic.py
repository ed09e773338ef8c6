"""The generator of traffic: the same for a seed, of the shares that it promises, and true to what it says of itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice
from typing import Any

import orjson
import pytest

from bench.traffic import MIX, Call, Corpus, Kind, Lot, Truth, loops_abreast, traffic
from bench.traffic.talks import TURNS, WINDOW
from proxy.records import Exchange
from proxy.wire.headers import header_map

SOME = 3000  #: calls


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus.read(4_000_000)


@pytest.fixture(scope="module")
def some(corpus: Corpus) -> list[Call]:
    return list(traffic(SOME, corpus=corpus, conversations=60, anthropic=0.3))


def messages(exchange: Exchange) -> list[dict[str, Any]]:
    """Those of a request without its system prompt and its marks."""
    said = orjson.loads(exchange.request_body)["messages"]
    return [unmarked(message) for message in said if message["role"] != "system"]


def unmarked(message: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(message["content"], list):
        return message
    return {**message, "content": [_without(block, "cache_control") for block in message["content"]]}


def _without(block: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != name}


def is_anthropic(exchange: Exchange) -> bool:
    return exchange.begin.upstream == "anthropic"


def said(exchange: Exchange) -> tuple[str | None, list[str]]:
    """What an answer says: its text, and the ids of its tool calls."""
    answer = orjson.loads(exchange.response_body)
    if not is_anthropic(exchange):
        message = answer["choices"][0]["message"]
        return message["content"], [call["id"] for call in message.get("tool_calls") or ()]
    texts = [block["text"] for block in answer["content"] if block["type"] == "text"]
    return (texts[0] if texts else None), [block["id"] for block in answer["content"] if block["type"] == "tool_use"]


def echoed(message: dict[str, Any]) -> tuple[str | None, list[str]]:
    """The same of an answer that is sent back."""
    assert message["role"] == "assistant"
    if not isinstance(message["content"], list):
        return message["content"], [call["id"] for call in message.get("tool_calls") or ()]
    texts = [block["text"] for block in message["content"] if block["type"] == "text"]
    return (texts[0] if texts else None), [block["id"] for block in message["content"] if block["type"] == "tool_use"]


def of_kind(calls: list[Call], kind: Kind) -> list[Call]:
    found = [(exchange, truth) for exchange, truth in calls if truth.kind == kind]
    assert found, f"there is no {kind} to look at"
    return found


# --- the same, and enough of each -------------------------------------------------------------------


def test_a_seed_gives_the_same_calls_and_another_seed_others(corpus: Corpus) -> None:
    one, same, other = (
        list(traffic(300, seed, corpus=corpus, stream=0.5, anthropic=0.5, conversations=20)) for seed in (7, 7, 8)
    )
    assert one == same
    assert {exchange.begin.id for exchange, _ in one}.isdisjoint(exchange.begin.id for exchange, _ in other)


def test_shares_and_sizes_are_those_of_the_notes(corpus: Corpus) -> None:
    count, raw, failed, previous = 20_000, 0, 0, b""
    whats: Counter[str] = Counter()
    keys = set()
    for exchange, truth in traffic(count, corpus=corpus):
        assert exchange.head is not None
        raw += len(exchange.request_body) + len(exchange.response_body)
        failed += exchange.head.status != 200
        whats[truth.what] += 1
        assert exchange.begin.id > previous
        previous = exchange.begin.id
        keys |= {header.value for header in exchange.begin.headers if header.name == b"Authorization" and header.hidden}
    print(f"{raw / count:,.0f} bytes a call")
    assert 22_800 <= raw / count <= 23_200
    assert whats == {what: share * count for what, share in MIX.items()}
    assert 0.015 <= failed / count <= 0.025
    assert len(keys) == 20


def test_no_text_is_said_twice(some: list[Call]) -> None:
    last = [
        exchange for exchange, truth in some if truth.kind in (Kind.FIRST, Kind.FOLLOW_UP) and truth.repeats is None
    ]
    asked = Counter(orjson.dumps(messages(exchange)[-1]) for exchange in last)
    assert asked.most_common(1)[0][1] == 1


def test_clients_write_json_in_several_ways(some: list[Call]) -> None:
    bodies = [exchange.request_body for exchange, _ in some]
    spaced = sum(b'": ' in body[:30] for body in bodies)
    verbose = sum(b'"refusal":null' in body or b'"citations":null' in body for body in bodies)
    assert 0.1 < spaced / len(bodies) < 0.4
    assert verbose > len(bodies) / 10
    assert any(b"\\u2019" in body for body in bodies)
    assert any("\N{RIGHT SINGLE QUOTATION MARK}".encode() in body for body in bodies)


def test_one_lot_of_two_makes_every_other_row_and_conversations_of_its_own(corpus: Corpus) -> None:
    def made(lot: Lot) -> list[Call]:
        return list(traffic(40, corpus=corpus, conversations=8, lot=lot, mix={"chat": 1.0}))

    lots = [made(Lot(part=part, of=2, size=10)) for part in range(2)]
    assert [len(lot) for lot in lots] == [20, 20]
    mine, others = ({truth.conversation for _, truth in lot} for lot in lots)
    assert mine.isdisjoint(others)
    named = {truth.follows for _, truth in lots[1]} - {None}
    assert named
    assert all(number is not None and number // 10 % 2 == 1 for number in named)


# --- what it says of itself -------------------------------------------------------------------------


def test_what_follows_belongs_to_the_same_conversation_and_comes_after_its_end(some: list[Call]) -> None:
    for exchange, truth in some:
        for number in {truth.follows, truth.repeats} - {None}:
            assert number is not None
            before, its_truth = some[number]
            assert its_truth.conversation == truth.conversation
            assert before.end is not None
            assert before.begin.started_at_us + before.end.offset_us < exchange.begin.started_at_us


def test_a_follow_up_repeats_the_request_and_the_answer_before_it(some: list[Call]) -> None:
    for exchange, truth in of_kind(some, Kind.FOLLOW_UP):
        assert truth.follows is not None
        before, its_truth = some[truth.follows]
        history, now = messages(before), messages(exchange)
        if its_truth.kind != Kind.SLID:
            assert now[: len(history)] == history
        assert len(now) >= len(history) + 2
        assert echoed(now[len(history)]) == said(before)
        assert truth.turn == its_truth.turn + 1


def test_tool_results_name_the_calls_of_the_answer(some: list[Call]) -> None:
    loops = [(exchange, truth) for exchange, truth in of_kind(some, Kind.FOLLOW_UP) if truth.what == "loop"]
    assert loops
    for exchange, truth in loops:
        assert truth.follows is not None
        asked = said(some[truth.follows][0])[1]
        assert asked
        assert all(call in exchange.request_body.decode() for call in asked)


def test_a_window_forgets_the_oldest_messages(some: list[Call]) -> None:
    for exchange, truth in of_kind(some, Kind.SLID):
        now = messages(exchange)
        assert len(now) == WINDOW
        assert truth.turn * 2 - 1 > WINDOW
        if truth.follows is not None:
            before = some[truth.follows][0]
            assert now[:-2] == messages(before)[-(WINDOW - 2) :]
            assert echoed(now[-2]) == said(before)


def test_a_regeneration_asks_the_same_and_is_told_something_else(some: list[Call]) -> None:
    for exchange, truth in of_kind(some, Kind.REGENERATION):
        assert truth.repeats is not None
        before, its_truth = some[truth.repeats]
        assert messages(exchange) == messages(before)
        assert exchange.response_body != before.response_body
        assert (truth.turn, truth.follows) == (its_truth.turn, its_truth.follows)


def test_a_retry_sends_the_bytes_of_the_call_that_failed_and_counts(some: list[Call]) -> None:
    for exchange, truth in of_kind(some, Kind.RETRY):
        assert truth.repeats is not None
        before, its_truth = some[truth.repeats]
        assert exchange.request_body == before.request_body
        assert before.head is not None
        assert before.head.status in (429, 500, 503, 529)
        assert truth.follows == its_truth.follows
        assert tries(exchange) == tries(before) + 1


def tries(exchange: Exchange) -> int:
    return int(header_map(exchange.begin.headers)["x-stainless-retry-count"])


def test_every_failure_is_tried_again_or_the_last_call_of_its_row(some: list[Call]) -> None:
    retried = {truth.repeats for _, truth in some if truth.kind == Kind.RETRY}
    later = {truth.conversation: number for number, (_, truth) in enumerate(some)}
    for number, (exchange, truth) in enumerate(some):
        assert exchange.head is not None
        if exchange.head.status != 200:
            assert number in retried or later[truth.conversation] == number


def test_a_clock_in_the_system_prompt_moves(some: list[Call]) -> None:
    clocks: dict[int, set[str]] = defaultdict(set)
    for exchange, truth in some:
        body = orjson.loads(exchange.request_body)
        system = body["system"][0]["text"] if is_anthropic(exchange) else body["messages"][0]["content"]
        if system.startswith("The current time is ") and truth.kind == Kind.FOLLOW_UP:
            clocks[truth.conversation].add(system.splitlines()[0])
    assert any(len(times) > 2 for times in clocks.values())
    assert 0.02 < sum(map(len, clocks.values())) / SOME < 0.25


def test_a_mark_for_the_cache_stands_on_the_last_message_alone(some: list[Call]) -> None:
    bodies = [orjson.loads(exchange.request_body) for exchange, _ in some if is_anthropic(exchange)]
    assert bodies
    for body in bodies:
        marked = [unmarked(message) != message for message in body["messages"]]
        assert marked == [False] * (len(marked) - 1) + [True]


def test_loops_abreast_go_from_turn_to_turn_together(corpus: Corpus) -> None:
    for turn, made in enumerate(loops_abreast(loops=4, turns=TURNS["loop"].start, corpus=corpus), 1):
        assert len({truth.conversation for _, truth in made}) == 4
        assert all(truth.turn == turn or truth.kind == Kind.RETRY for _, truth in made)


# --- how it looks to those who read it ----------------------------------------------------------------


@pytest.mark.parametrize("stream", [0.0, 1.0])
def test_the_pipeline_understands_every_call(corpus: Corpus, stream: float, tmp_path: Any) -> None:
    from bench.ingesting import understood  # it loads what the other tests here do not need

    calls = list(islice(traffic(200, corpus=corpus, conversations=20, stream=stream, anthropic=0.5), 200))
    rows = understood([exchange for exchange, _ in calls], tmp_path)
    for row, (exchange, truth) in zip(rows, calls, strict=True):
        assert exchange.head is not None
        failed = exchange.head.status != 200
        assert row.notes == ()
        assert row.status == ("error" if failed else "ok")
        assert row.dialect == ("anthropic_messages" if is_anthropic(exchange) else "openai_chat")
        assert row.key is not None
        assert row.user is not None
        assert row.retry == tries(exchange)
        assert failed or (row.tokens_source == "upstream" and row.input_tokens and row.output_tokens)
        assert failed or stream == 0.0 or row.stream
        assert failed or row.cost_nano_usd
        assert isinstance(truth, Truth)
