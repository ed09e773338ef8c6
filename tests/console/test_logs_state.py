"""Addresses of the logs, terms, columns: values only."""

from __future__ import annotations

from datetime import UTC
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.console.logs.columns import COLUMNS, USUAL, Seen, chosen, column, rows_of, without_empty
from proxy.console.logs.state import ERRORS, State, read, within
from proxy.console.logs.terms import Terms, term
from proxy.console.moments import Moments
from proxy.errors import QueryError, UsageError
from proxy.query.fields import FIELDS, KEYED, Kind
from proxy.query.parse import is_sql, parse_filter
from proxy.query.tree import And, Comparison
from proxy.records import Call
from proxy.store.judgements import Score

NOW_US = 1_790_000_000_000_000


def at(url: str) -> State:
    return read(dict(parse_qsl(urlsplit(url).query)))


# --- addresses ---------------------------------------------------------------------------------------


@given(
    st.builds(
        State,
        q=st.text(max_size=40).map(str.strip),
        t=st.sampled_from(["", "15m", "30d"]),
        cols=st.sampled_from(["", "time,model,metadata.team"]),
        sort=st.sampled_from(["newest", "updated"]),
        before=st.sampled_from(["", "01a22cc6-c548-7000-8bef-ecad6ca9c82e"]),
        sel=st.sampled_from(["", "01a22cc6-c548-7000-8bef-ecad6ca9c82e"]),
        live=st.sampled_from(["0", "1"]),
    )
)
def test_an_address_is_read_back_as_the_state_that_made_it(state: State) -> None:
    assert at(state.url()) == state


def test_a_plain_state_has_a_plain_address() -> None:
    assert State().url() == "/"
    assert State(q="status:error", live="0").url() == "/?q=status%3Aerror&live=0"


def test_another_list_begins_at_its_first_page_and_keeps_the_rest() -> None:
    state = State(q="a", before="x", sel="y", tab="raw", cols="time", live="0")
    assert at(state.url(q="b")) == State(q="b", cols="time", live="0")
    assert at(state.url(before="z")) == State(q="a", before="z", cols="time", live="0")
    assert at(state.url(live="1")) == State(q="a", before="x", sel="y", tab="raw", cols="time")


def test_a_custom_period_takes_the_place_of_a_span() -> None:
    assert read({"t": "1h", "since": "2026-11-21"}).t == ""
    assert read({"t": "all"}) == State()


@pytest.mark.parametrize("query", [{"sort": "newset"}, {"before": "x" * 61}])
def test_what_no_page_says_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        read(query)


def test_filter_and_period_make_one_filter() -> None:
    meant = read({"q": "status:error", "since": "2026-11-21", "until": "2026-11-22T00:00:00Z"}).meant(UTC, NOW_US)
    where = within(meant)
    assert isinstance(where, And)
    assert [(part.field, part.op) for part in where.children if isinstance(part, Comparison)] == [
        ("status", "="),
        ("created", ">="),
        ("created", "<"),
    ]
    with pytest.raises(UsageError, match="t is one of"):
        read({"t": "3w"}).meant(UTC, NOW_US)


# --- terms -------------------------------------------------------------------------------------------

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(st.sampled_from(["user", "session", "upstream", "tags"]), VALUES, st.sampled_from(["", "status:error", "a b"]))
def test_a_filter_narrowed_to_a_value_means_both(field: str, value: str, q: str) -> None:
    where = Comparison(field, "=", value)
    narrowed = Terms(q).only(where)
    meant = parse_filter(narrowed, now_us=NOW_US)
    if not q:
        assert meant == where
    else:
        assert isinstance(meant, And)
        assert meant.children[-1] == where


@pytest.mark.parametrize(
    ("where", "written"),
    [
        (Comparison("model", "=", "gpt-5"), "model:gpt-5"),
        (Comparison("user", "=", "Ada L"), 'user:"Ada L"'),
        (Comparison("user", "=", 'a"b'), 'user:"a""b"'),
        (Comparison("metadata", "=", "5", "team"), "metadata.team:5"),
        (ERRORS, "status:error,truncated,interrupted"),
    ],
)
def test_terms_are_short(where: Comparison, written: str) -> None:
    assert term(where) == written


def test_a_term_is_taken_out_as_it_was_put_in() -> None:
    terms = Terms("user:ada status:error,truncated,interrupted refund")
    assert terms.has(ERRORS)
    assert terms.only(ERRORS) == "user:ada status:error,truncated,interrupted refund"
    assert terms.without(ERRORS) == "user:ada refund"
    sql = Terms("model = 'gpt-5' and cost_usd > 1")
    assert sql.only(Comparison("user", "=", "ada")) == "model = 'gpt-5' and cost_usd > 1 and user = 'ada'"
    either = Terms("model = 'a' or model = 'b'").only(Comparison("user", "=", "ada"))
    assert isinstance(parse_filter(either), And)
    assert is_sql(either)


# --- columns -----------------------------------------------------------------------------------------

SEEN = Seen(
    Moments(UTC, NOW_US),
    {"x": [Score(name="tone", mean=0.5, label=None, authors=1), Score(name="review", mean=1.0, label=None, authors=2)]},
    Terms(""),
)
CALL = Call(
    id="x", started_at_us=NOW_US, status="error", http_status=429, error_message="slow down", model="gpt-5", user="ada",
    latency_us=1_230_000, cost_nano_usd=12_000_000, input_tokens=1200, output_tokens=87, metadata={"team": "red"},
    preview_input="p" * 200, tags=("a", "b"),
)  # fmt: skip


def cells(names: str, call: Call = CALL) -> dict[str, tuple[str, str]]:
    columns = chosen(names)
    row = rows_of([call], columns, SEEN)[0]
    return {each.key: (cell.text, cell.by) for each, cell in zip(columns, row.cells, strict=True)}


def test_cells_are_as_people_read_them_and_lead_to_calls_like_them() -> None:
    found = cells("status,model,in,out,user,latency,ttft,tokens,cost,metadata.team,scores,scores.tone,review,tags")
    assert found["status"] == ("error 429", "status:error")
    assert found["model"] == ("gpt-5", "model:gpt-5")
    assert found["in"][0] == "p" * 119 + "…"
    assert found["out"] == ("slow down", "")
    assert found["latency_ms"] == ("1.23s", "")
    assert found["ttft_ms"] == ("-", "")
    assert found["tokens"][0] == "1.2k→87"
    assert found["cost_usd"][0] == "$0.012"
    assert found["metadata.team"] == ("red", "metadata.team:red")
    assert found["scores"][0] == "tone 0.5"
    assert found["scores.tone"][0] == "0.5"
    assert found["review"][0] == "good"
    assert found["tags"] == ("a b", "")


def test_every_field_of_a_call_can_be_a_column() -> None:
    for name, field in FIELDS.items():
        if field.column and field.kind not in (*KEYED, Kind.TAGS):
            assert cells(name)
            assert cells(name, Call(id="x", started_at_us=NOW_US))


@pytest.mark.parametrize("name", ["modle", "text", "metadata", "metadata.", "tool", "__class__"])
def test_what_is_no_column_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="there is no column"):
        column(name)


def test_columns_are_as_chosen_each_once() -> None:
    assert [each.key for each in chosen("cost,time,COST, model ")] == ["cost_usd", "time", "model"]
    assert tuple(each.key for each in chosen("")) == USUAL
    with pytest.raises(UsageError, match="at most"):
        chosen(",".join(COLUMNS) * 3)


def test_optional_columns_that_hold_nothing_are_left_out() -> None:
    columns = chosen("time,user,tags,cost")
    rows = rows_of([Call(id="y", started_at_us=NOW_US)], columns, SEEN)
    kept, shorter = without_empty(columns, rows)
    assert [each.key for each in kept] == ["time", "cost_usd"]
    assert [[cell.text for cell in row.cells] for row in shorter] == [[rows[0].cells[0].text, rows[0].cells[3].text]]


def test_a_filter_of_a_cell_is_one() -> None:
    with pytest.raises(QueryError):
        parse_filter("user:")
    assert parse_filter(cells("user")["user"][1]) == Comparison("user", "=", "ada")
