"""Token estimates: offline, by the right vocabulary, bounded in work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.pricing.tokens import count, estimate
from proxy.pricing.vocabularies import encoding
from proxy.records import Choice, ContentPart, Message, Parsed, Tool, Usage


def text(role: str, words: str, part: str = "text") -> Message:
    return Message(role=role, parts=(ContentPart(type=part, text=words),))


def chat(model: str | None = "gpt-4o", answers: tuple[Message, ...] = (), **fields: object) -> Parsed:
    choices = tuple(Choice(index=index, message=answer) for index, answer in enumerate(answers))
    return Parsed(model=model, choices=choices, **fields)  # type: ignore[arg-type]


def tokens(parsed: Parsed) -> Usage:
    found = estimate(parsed)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_vocabularies_are_tiktokens(name: str) -> None:
    found = encoding(name)
    assert found is not None
    assert found.name == name
    assert found.decode(found.encode_ordinary("héllo wörld 😀")) == "héllo wörld 😀"


def test_the_overhead_of_a_chat_is_counted() -> None:
    parsed = chat(
        input=(text("system", "You are helpful."), text("user", "Hi")), answers=(text("assistant", "Hello there"),)
    )
    words = sum(count(word, "o200k_base") for word in ("system", "You are helpful.", "user", "Hi"))
    assert estimate(parsed) == Usage(input_tokens=3 + 2 * 3 + words, output_tokens=2)


def test_models_choose_the_vocabulary() -> None:
    words = "Straßenbahnhaltestelle, 東京タワー"
    by_model = {
        model: tokens(chat(model, answers=(text("assistant", words),))).output_tokens
        for model in ("gpt-4o", "openai/gpt-5-mini", "gpt-oss-20b", "gpt-4", "llama-3", None)
    }
    new, old = count(words, "o200k_base"), count(words, "cl100k_base")
    assert new != old
    assert list(by_model.values()) == [new, new, new, old, (len(words) + 3) // 4, (len(words) + 3) // 4]


def test_the_model_asked_for_counts_where_none_was_named() -> None:
    answers = (text("assistant", "hello hello hello"),)
    asked = Parsed(model_requested="gpt-4o", choices=(Choice(index=0, message=answers[0]),))
    assert tokens(asked).output_tokens == 3


def test_a_half_that_is_not_there_is_unknown() -> None:
    empty = (Message(role="assistant"),)
    assert estimate(chat(answers=empty)) == Usage(output_tokens=0)
    asked = estimate(chat(input=(Message(role="user"),), answers=empty))
    assert asked == Usage(input_tokens=3 + 3 + 1, output_tokens=0)


HELLO = (text("user", "hello hello"),)


@pytest.mark.parametrize(
    ("parsed", "dialect"),
    [
        (Parsed(input=HELLO), "openai_chat"),  # an error, or nothing
        (Parsed(input=HELLO, background=True), "openai_responses"),  # the answer comes later
        (Parsed(input=HELLO, results=2), "anthropic_messages"),  # tokens, counted by the provider
        (Parsed(input=HELLO, results=1), "openai_moderations"),
        (Parsed(results=50), "models"),
        (Parsed(input=HELLO, results=0), "openai_embeddings"),
        (chat(input=HELLO, answers=HELLO, retrieved=True), "openai_responses"),  # another call's answer
    ],
)
def test_where_nothing_was_paid_for_nothing_is_estimated(parsed: Parsed, dialect: str) -> None:
    assert estimate(parsed, dialect) is None


@pytest.mark.parametrize("dialect", ["openai_embeddings", "rerank"])
def test_vectors_and_ranks_have_no_tokens(dialect: str) -> None:
    sent = Parsed(model="gpt-4o", input=HELLO, results=1)
    assert estimate(sent, dialect) == Usage(input_tokens=2)


def test_a_bare_prompt_has_no_frame() -> None:
    assert estimate(chat(input=HELLO, answers=HELLO), "openai_completions") == Usage(input_tokens=2, output_tokens=2)


def test_a_system_prompt_is_counted_once_wherever_it_stands() -> None:
    inside = chat(system_prompt="Be kind.", input=(text("system", "Be kind."), *HELLO), answers=HELLO)
    apart = chat(system_prompt="Be kind.", input=HELLO, answers=HELLO)
    assert estimate(apart) == estimate(inside)


def test_documents_and_tool_results_are_read_and_media_are_not() -> None:
    read = (
        ContentPart(type="document", text="hello hello", name="hello"),
        ContentPart(type="tool_result", text="hello", tool_call_id="call_1"),
        ContentPart(type="image", name="hello.png", url="https://example.com/hello.png", size=5_000_000),
        ContentPart(type="file", name="hello.pdf", text="hello", size=5_000_000),
    )
    asked = estimate(chat(input=(Message(role="user", parts=read),), answers=HELLO))
    assert asked == Usage(input_tokens=3 + 3 + 1 + 4, output_tokens=2)


def test_all_choices_calls_and_reasoning_are_output() -> None:
    called = ContentPart(type="tool_call", name="weather", arguments='{"city":"Rome"}')
    first = Message(role="assistant", parts=(ContentPart(type="reasoning", text="hmm hmm"), called))
    usage = estimate(chat(answers=(first, text("assistant", "hello"))))
    expected = [count(words, "o200k_base") for words in ("hmm hmm", "weather", '{"city":"Rome"}', "hello")]
    assert usage == Usage(output_tokens=sum(expected), reasoning_tokens=expected[0])


def test_tools_are_input_and_earlier_reasoning_is_not() -> None:
    turn = (text("assistant", "long thoughts", part="reasoning"),)
    plain = tokens(chat(input=turn, answers=turn)).input_tokens
    tools = (Tool(name="weather", description="tells it", parameters={"type": "object"}),)
    offered = tokens(chat(input=turn, tools=tools, answers=turn)).input_tokens
    assert plain == 3 + 3 + 1
    assert offered is not None
    assert offered > plain + 5


@pytest.mark.parametrize("unit", ["a", " ", "\n", "中", "=", "ab", "!?", "😀", "\u0301"])
def test_monotonous_texts_of_a_million_characters_do_not_blow_up(unit: str) -> None:
    assert 0 < count(unit * (1_000_000 // len(unit)), "o200k_base") <= 3_000_000


def test_still_longer_texts_are_counted_by_characters() -> None:
    assert count("a b" * 2_000_000, "o200k_base") == 1_500_000


def test_slicing_changes_a_count_by_little() -> None:
    words = "The quick brown fox jumps over the lazy dog. " * 4000
    vocabulary = encoding("o200k_base")
    assert vocabulary is not None
    exact = len(vocabulary.encode_ordinary(words))
    assert abs(count(words, "o200k_base") - exact) <= len(words) // 8192 + 1


def test_special_tokens_in_a_text_are_text() -> None:
    assert count("<|endoftext|>", "o200k_base") > 1
    assert count("\ud800", "o200k_base") >= 1


PROGRAM = """
import socket
def refuse(*_): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
from proxy.pricing.vocabularies import encoding
from proxy.pricing.tokens import count
print(count("hello hello hello hello", "o200k_base"), encoding("o200k_base") is not None)
"""


def run(**environment: str) -> str:
    """What a fresh process counts that has no network."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("TIKTOKEN_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=kept | environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_vocabularies_are_unpacked_once_and_mended(tmp_path: Path) -> None:
    cache = tmp_path / "vocabularies"
    assert run(TIKTOKEN_CACHE_DIR=str(cache)) == "4 True"
    (file,) = cache.iterdir()
    made = file.stat().st_ino
    assert run(TIKTOKEN_CACHE_DIR=str(cache)) == "4 True"
    assert file.stat().st_ino == made
    file.write_bytes(file.read_bytes()[:-100])
    assert run(TIKTOKEN_CACHE_DIR=str(cache)) == "4 True"
    assert file.stat().st_ino != made
    assert [path.name for path in cache.iterdir()] == [file.name]


def test_the_cache_has_a_place_of_its_own(tmp_path: Path) -> None:
    assert run(XDG_CACHE_HOME=str(tmp_path)) == "4 True"
    assert len(list((tmp_path / "llmtap" / "tiktoken").iterdir())) == 1


def test_where_nothing_can_be_written_characters_are_counted(tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_bytes(b"")
    blocked = str(nowhere / "below")
    assert run(TIKTOKEN_CACHE_DIR=blocked, XDG_CACHE_HOME=blocked, TMPDIR=str(tmp_path)) == "4 True"
    assert (tmp_path / f"llmtap-tiktoken-{os.getuid()}").is_dir()
