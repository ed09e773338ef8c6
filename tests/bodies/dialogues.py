"""Requests and answers of chats and agents, in the ways that clients write them."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import strategies as st

WORDS = ["tide", "moon", "Köln", "rises", "\n", '"quoted"', "falls", "42", "\u2028", "🙂", "because"]
Turn = tuple[bytes, bytes]


def text_of(random_: random.Random, length: int) -> str:
    """Words, about so many characters."""
    return " ".join(random_.choices(WORDS, k=max(1, length // 6)))


def a_dialogue(
    turns: int,
    *,
    seed: int = 0,
    said: int = 400,
    tools: int = 0,
    ascii_only: bool = False,
    spaced: bool = False,
    marked: bool = False,
    echo: str = "same",
    key: str = "messages",
    odd_turn: int = -1,
) -> list[Turn]:
    """What a client sends turn by turn, and what it gets. ``odd_turn``: an earlier message is edited there."""
    random_ = random.Random(seed)
    separators = (", ", ": ") if spaced else (",", ":")
    messages: list[dict[str, Any]] = [{"role": "system", "content": text_of(random_, said)}]
    offered = [{"name": "look_up", "description": text_of(random_, tools)}] if tools else []
    found: list[Turn] = []
    for turn in range(turns):
        messages = [*messages, {"role": "user", "content": text_of(random_, said)}]
        if turn == odd_turn:
            messages[1] = {"role": "user", "content": "edited"}
        shown = [_marked(each) for each in messages[-1:]] if marked else messages[-1:]
        request = {"model": "m", key: [*messages[:-1], *shown], "n": 1, "tools": offered}
        answer = {"role": "assistant", "content": text_of(random_, said), "refusal": None}
        response = {"id": f"r-{turn}", "choices": [{"message": answer}]}
        written = [json.dumps(each, ensure_ascii=ascii_only, separators=separators) for each in (request, response)]
        found.append((written[0].encode(), written[1].encode()))
        sent = answer if echo == "same" else {"content": answer["content"], "role": "assistant"}
        messages = [*messages, sent]
    return found


def _marked(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "cache_control": {"type": "ephemeral"}}


@st.composite
def dialogues(draw: st.DrawFn) -> list[list[Turn]]:
    """Several, to be interleaved."""
    one = st.builds(
        a_dialogue,
        st.integers(1, 8),
        seed=st.integers(0, 3),
        said=st.sampled_from([20, 300, 2000]),
        tools=st.sampled_from([0, 100, 1500]),
        ascii_only=st.booleans(),
        spaced=st.booleans(),
        marked=st.booleans(),
        echo=st.sampled_from(["same", "other"]),
        key=st.sampled_from(["messages", "input", "contents"]),
        odd_turn=st.integers(-1, 5),
    )
    return draw(st.lists(one, min_size=1, max_size=4))
