"""The short form, how the two forms are told apart, and filters that are written down and read again."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import QueryError
from proxy.query.fields import CHOICES, FIELDS, KEYED, OPERATORS, Kind
from proxy.query.parse import is_sql, parse_filter
from proxy.query.sentence import sentence
from proxy.query.tree import And, Comparison, Filter, Match, Not, Or, fields_of
from proxy.query.written import written
from proxy.records import Status

NOW_US = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC
ID = "01990000-0000-7000-8000-00000000aaaa"


def read(text: str) -> Filter:
    return parse_filter(text, now_us=NOW_US)


@pytest.mark.parametrize(
    ("short", "sql"),
    [
        ("model:gpt-5", "model = 'gpt-5'"),
        ("MODEL:gpt-5 status:error", "model = 'gpt-5' and status = 'error'"),
        ("status:error,truncated", "status in ('error', 'truncated')"),
        ("-status:ok", "not status = 'ok'"),
        ("cost:>0.1", "cost_usd > 0.1"),
        ("cost_usd:<=$2", "cost_usd <= 2"),
        ("cost:0.1..0.5", "cost_usd between 0.1 and 0.5"),
        ("cost:0.1..", "cost_usd >= 0.1"),
        ("cost:..0.5", "cost_usd <= 0.5"),
        ("latency:>2s ttft:250ms..1.5s gap:<1m",
        "latency_ms > 2000 and ttft_ms between 250 and 1500 and longest_gap_ms < 60000"),
        ("latency:>0.1", "latency_ms > 0.1"),
        ("input_tokens:>1.5k request_bytes:2M", "input_tokens > 1500 and request_bytes = 2000000"),
        ("tag:prod", "tags has 'prod'"),
        ("tag:a,b -tag:c*", "tags in ('a', 'b') and not tags like 'c%'"),
        ("tool:search", "tool = 'search'"),
        ("model:gpt-*", "model like 'gpt-%'"),
        ("model:*_%\\*", r"model like '%\_\%\\%'"),
        ("model:gpt-*,o3", "model like 'gpt-%' or model = 'o3'"),
        ("user:* -session:*", "user is not null and not session is not null"),
        ("cost:*", "cost_usd is not null"),
        ('user:"a b, ""c"""', "user = 'a b, \"c\"'"),
        ("user:it's", "user = 'it''s'"),
        ("metadata.team:blue", "metadata.team = 'blue'"),
        ("metadata.turn:3 metadata.turn:>3", "metadata.turn = '3' and metadata.turn > 3"),
        ("metadata.turn:1..3 metadata.v:a..b", "metadata.turn between 1 and 3 and metadata.v = 'a..b'"),
        ('metadata.my-key:x metadata."a ""b":y', 'metadata."my-key" = \'x\' and metadata."a ""b" = \'y\''),
        ("scores.Tone:>=0.5 score.Tone:..1", 'scores."Tone" >= 0.5 and scores."Tone" <= 1'),
        ("stream:true background:FALSE", "stream = true and background = false"),
        (f"id:{ID}", f"id = '{ID}'"),
        ("created:>1d", "created > now() - INTERVAL 1 DAY"),
        ("created:2w..90m", "created between now() - INTERVAL '14 days' and now() - INTERVAL '90 minutes'"),
        ("created:2026-11-20", "created >= '2026-11-20' and created < '2026-11-21'"),
        ("created:>=2026-11-20T14:30 updated:<2026-11-21",
        "created >= '2026-11-20 14:30' and updated_at < '2026-11-21'"),
        ("-created:2026-11-20", "not (created >= '2026-11-20' and created < '2026-11-21')"),
        ("refund", "text match 'refund'"),
        ('"refund policy" it\'s  late', "text match '\"refund policy\" it''s late'"),
        ('-refund -"no way"', "not text match 'refund' and not text match '\"no way\"'"),
        ("a status:ok b", "text match 'a b' and status = 'ok'"),
        ("terms and conditions", "text match 'terms and conditions'"),
        ("12:30 a-b", "text match '12:30 a-b'"),
        ('output:refund system:"be brief"', "output match 'refund' and system match '\"be brief\"'"),
        ("output:a,b", "output match 'a' or output match 'b'"),
    ],
)  # fmt: skip
def test_both_forms_are_the_same_tree(short: str, sql: str) -> None:
    assert not is_sql(short)
    assert is_sql(sql)
    assert read(short) == read(sql)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("modle:x", 1, "did you mean model"),
        ("status:ok costs:>1", 11, "did you mean cost"),
        ("status:okay", 8, "did you mean ok"),
        ("status:ok,okay", 11, "did you mean ok"),
        ("model: gpt", 7, "a value is expected behind model:"),
        ("model:", 7, "a value is expected behind model:"),
        ("model:a,,b", 9, "a value is expected behind a,"),
        ("cost:>", 6, "a value is expected"),
        ("cost:much", 6, "such as 0.1"),
        ("latency:>2y", 9, "such as 250ms or 2s"),
        ("latency:>1e999", 9, "too large"),
        ("stream:maybe", 8, "true or false"),
        ("stream:>true", 8, "only be compared by = !="),
        ("tag:>a", 5, "only be compared by = != in like ilike"),
        ("id:0199", 4, "not a full call id"),
        ("created:1d", 9, "write created:>1d"),
        ("created:yesterday", 9, "write created:>yesterday"),
        ("created:>yesterday", 9, "not a time"),
        ("created:>999999999w", 9, "beyond the calendar"),
        ("metadata:x", 1, "metadata.NAME:VALUE"),
        ("scores:>1", 1, "scores.NAME:VALUE"),
        ("model.x:y", 1, "model has no parts"),
        ("output:>x", 8, "words are searched for"),
        ('model:"a', 7, "quote"),
        ('"a', 1, "quote"),
        ('a"b', 2, "quote"),
        ("status:error or status:ok", 14, "status:error,ok for either"),
        ("NOT status:ok", 1, "-status:ok for not"),
        ("http://localhost", 1, "stands in double quotes"),
        (" ".join(["a:b"] * 900), 1, "there is no field 'a'"),
        (" ".join(["a"] * 300), 401, "at most 200 terms"),
    ],
)  # fmt: skip
def test_mistakes_in_the_short_form(text: str, column: int, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        read(text)
    assert says in str(caught.value)
    assert caught.value.column == column


@pytest.mark.parametrize(
    "text",
    [
        "a = b", "a=b", "cost:1 >2", "(refund)", "model is 'x'", "model in a", "metadata.x like y", "status != ok",
        'metadata."a b" is null', "model:a and status = 'ok'", "tags has x", "text match x", "a 'b'", "'b'",
    ],
)  # fmt: skip
def test_what_looks_like_sql_is_read_as_sql(text: str) -> None:
    assert is_sql(text)


@pytest.mark.parametrize("text", ["model", "cost:>1", "cost:>=1 b", "cost:<1", '"a = b" c', "it's", "rock'n'roll"])
def test_what_does_not_is_short(text: str) -> None:
    assert not is_sql(text)


# --- written down, and read again ----------------------------------------------------------------------

texts = st.text(max_size=8) | st.text("ab'\"%_\\*,.:-> \0\n()é", max_size=8)
quoted = texts.filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))
amounts = st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    **dict.fromkeys((Kind.TEXT, Kind.MODEL, Kind.TAGS, Kind.TOOL, Kind.REVIEWER), quoted),
    Kind.REVIEW: st.sampled_from(CHOICES["review"]),
    Kind.JUDGED: st.sampled_from(CHOICES["judged"]),
    **dict.fromkeys((Kind.NUMBER, Kind.MONEY, Kind.DURATION, Kind.SCORE), amounts),
    Kind.TIME: st.integers(-(10**15), 10**17),
    Kind.FLAG: st.booleans(),
    Kind.ID: st.uuids().map(str),
    Kind.METADATA: quoted | amounts,
}


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison | Match:
    field = draw(st.sampled_from(list(FIELDS.values())))
    if field.kind is Kind.WORDS:
        return Match(field.name, draw(quoted.filter(str.strip)))
    op = draw(st.sampled_from(OPERATORS[field.kind]))
    if op in ("in", "between", "like", "ilike"):
        op = draw(st.sampled_from(["", "not "])) + op
    one = st.sampled_from(list(map(str, Status))) if field.name == "status" else VALUES[field.kind]
    if field.kind is Kind.METADATA:  # a list holds texts or numbers
        one = draw(st.sampled_from([quoted, amounts]))
    key = draw(quoted.filter(bool)) if field.kind in KEYED else None
    return Comparison(field.name, op, draw(value(op, one)), key)


def value(op: str, one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    match op.removeprefix("not "):
        case "like" | "ilike":
            return quoted.filter(lambda text: "\0" not in text)
        case "in":
            return st.lists(one, min_size=1, max_size=3).map(tuple)
        case "between":
            return st.tuples(one, one)
        case "=" | "!=":
            return st.none() | one
    return one


def joined(children: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, children) | st.builds(And, several) | st.builds(Or, several)


trees: st.SearchStrategy[Filter] = st.recursive(comparisons(), joined, max_leaves=6)


@given(trees)
def test_a_written_filter_is_the_same_filter(where: Filter) -> None:
    assert read(written(where)) == where


@given(trees)
def test_a_filter_can_be_stored_and_has_a_sentence(where: Filter) -> None:
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(where)), Filter) == where
    assert sentence(where).startswith("calls ")
    assert fields_of(where) <= FIELDS.keys()


def test_a_filter_of_an_older_llmtap_is_understood() -> None:
    stored = {
        "type": "And",
        "children": [{"type": "Comparison", "field": "model", "op": "=", "value": "a", "key": None}],
    }
    assert msgspec.convert(stored, Filter) == And((Comparison("model", "=", "a"),))


def test_the_short_form_does_not_load_the_parser_of_sql() -> None:
    program = (
        "import sys; from proxy.query.parse import parse_filter; "
        "parse_filter('model:gpt-5 cost:>1 refund'); print('sqlglot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_or_of_values_is_one_term() -> None:
    assert read("a model:b*,c") == And(
        (Match("text", "a"), Or((Comparison("model", "like", "b%"), Comparison("model", "=", "c"))))
    )
