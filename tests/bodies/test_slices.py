"""Bodies come back byte for byte, whatever they are; and what repeats is cut where it repeats."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.bodies.slices import LONG_BYTES, WORTH_BYTES, Slices, Value, cut, whole

PAD = b'"' + b"p" * WORTH_BYTES + b'"'

#: What JSON parsers and writers are known to change or to refuse: see that none of it matters.
TRAPS = [
    b'{"messages":[%s,1e5,0.10,1E+2,18446744073709551616,-0,1.0000000000000000001]}',
    b'{"messages":[%s,"\\u0041\\/\\ud83d\\ude00"],"messages":[1]}',
    b'{"messages":[1],"messages":[%s,2]}',
    b'{"messages":[%s,"\xc3\xa9\\u00e9\x7f"]}',
    b'{"messages":[%s,"\\ud800"]}',
    b'{"messages":[%s,"\xff\xfe"]}',
    b'{"messages":[%s,NaN]}',
    b'{"messages":[%s,1e999]}',
    b'\xef\xbb\xbf{"messages":[%s,{}]}',
    b'{"messages":[%s,{}]}\n',
    b'{"messages":[%s,{}]} trailing',
    b'{"messages":[%s,{}',
    b'{"messages":%s}',
    b'{"messages":[%s],"x":[]}',
    b'{"messages":[],"x":%s}',
    b'{"messages":null,"input":[%s,{"a":1}]}',
    b'{"input":"text","x":%s}',
    b'{"contents":[%s , {"a":1}]}',
    b'{"messages":[%s,  {"a":1},{"b":2}]}',
    b'{\n  "messages": [\n    %s,\n    {"a": 1},\n    {"b": [1,\n2]}\n  ]\n}',
    b'{"x":"\\"messages\\":[1]","messages"\t:\r\n[ %s,1 ]}',
    b'{"a":{"messages":[%s,2]},"messages":[3,4]}',
    b'{"a":{"messages":[%s,2]},"messages":[%s,2]}',
    b'{"m\\u0065ssages":[%s,2]}',
    b"[%s]",
    b"%s",
    b'{"messages":[%s,' + b"[" * 5000 + b"]" * 5000 + b"]}",
    b'{"messages":[%s,' + b'"messages":[' * 500 + b"]}",
    b"\x1f\x8b\x08\x00 %s",
    b"",
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
separators = st.sampled_from([(",", ":"), (", ", ": "), (",\n  ", " : "), (" ,", ":")])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Requests with messages in the ways that clients write them."""
    fields: dict[str, Any] = draw(st.dictionaries(st.text(max_size=8), json_values, max_size=3))
    fields[draw(st.sampled_from(["messages", "input", "contents"]))] = draw(st.lists(json_values, max_size=6))
    fields["pad"] = "p" * draw(st.sampled_from([0, WORTH_BYTES]))
    text = json.dumps(fields, ensure_ascii=draw(st.booleans()), separators=draw(separators))
    return text.encode("utf-8", "surrogatepass")


bodies = st.binary(max_size=300) | requests() | st.sampled_from(TRAPS).map(lambda trap: trap.replace(b"%s", PAD))


@given(bodies, st.integers(min_value=1, max_value=3000))
def test_pieces_join_to_the_body(body: bytes, piece_bytes: int) -> None:
    for slices in (cut(body, piece_bytes), whole(body, piece_bytes)):
        assert slices.joined() == body
        assert max(map(len, (*slices.literals, *slices.messages))) <= piece_bytes


@pytest.mark.parametrize("trap", TRAPS)
def test_traps(trap: bytes) -> None:
    body = trap.replace(b"%s", PAD)
    assert cut(body).joined() == body


@pytest.mark.parametrize(("separator", "colon"), [(",", ":"), (", ", ": "), (",\n\t", " : ")])
def test_messages_are_cut_as_they_were_sent(separator: str, colon: str) -> None:
    messages = [{"role": "user", "content": "é\u2028" * 400}, {"n": [1, {"x": None}]}, "text"]
    body = json.dumps({"model": "m", "messages": messages, "n": 1}, separators=(separator, colon)).encode()
    slices = cut(body)
    assert [json.loads(item) for item in slices.messages] == messages
    assert slices.separator.decode() == separator
    head, tail = slices.literals
    assert head.decode() == f'{{"model"{colon}"m"{separator}"messages"{colon}['
    assert tail.decode() == f']{separator}"n"{colon}1}}'


def test_long_members_are_pieces_too() -> None:
    tools, system = [{"name": "t" * LONG_BYTES}], "s" * LONG_BYTES
    body = json.dumps(
        {"system": system, "model": "m", "messages": ["x" * WORTH_BYTES, 2], "tools": tools, "n": 1}
    ).encode()
    slices = cut(body)
    assert slices.values == (
        Value("system", json.dumps(system).encode()),
        None,
        Value("tools", json.dumps(tools).encode()),
    )
    assert slices.literals == (b'{"system": ', b', "model": "m", "messages": [', b'], "tools": ', b', "n": 1}')


def test_small_bodies_are_one_piece() -> None:
    body = b'{"messages":[{"role":"user","content":"hi"},{"role":"user","content":"you"}]}'
    assert cut(body) == Slices((body,))


def test_a_key_that_stands_everywhere_does_not_take_for_ever() -> None:
    body = b'{"x":"' + b'\\"messages\\" ' * 300_000 + b'","messages":[' + PAD + b",1]}"
    assert cut(body).joined() == body
