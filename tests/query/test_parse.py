"""Filters: what they mean, what is refused, and where the mistake stands."""

from __future__ import annotations

import contextlib
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import rfc3339
from proxy.errors import QueryError
from proxy.query.fields import FIELDS, GROUPS, Kind, check_groups, parse_groups
from proxy.query.parse import MAX_COMPARISONS, MAX_DEPTH, MAX_LENGTH, parse_filter
from proxy.query.sentence import sentence
from proxy.query.tree import And, Comparison, Filter, Not, Or

ID = "01990000-0000-7000-8000-00000000aaaa"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = 'gpt-5'", Comparison("model", "=", "gpt-5")),
        ("MODEL == 'it''s'", Comparison("model", "=", "it's")),
        ("model <> ''", Comparison("model", "!=", "")),
        ("latency_ms>=1.5", Comparison("latency_ms", ">=", 1.5)),
        ("1000 < latency_ms", Comparison("latency_ms", ">", 1000)),
        ("cost_usd <= -0.5", Comparison("cost_usd", "<=", -0.5)),
        ("input_tokens = 99999999999999999999", Comparison("input_tokens", "=", 1e20)),
        ("stream = TRUE", Comparison("stream", "=", True)),
        ("stream != false", Comparison("stream", "!=", False)),
        ("model = null", Comparison("model", "=", None)),
        ("model is null", Comparison("model", "=", None)),
        ("model is not null", Comparison("model", "!=", None)),
        ("not model is null", Comparison("model", "!=", None)),
        ("metadata.user_id = '1'", Comparison("metadata", "=", "1", "user_id")),
        ("metadata.a.b = '1'", Comparison("metadata", "=", "1", "a.b")),
        ("metadata.\"my-key\" = '1'", Comparison("metadata", "=", "1", "my-key")),
        ("tags = 'prod'", Comparison("tags", "=", "prod")),
        (f"id = '{ID.upper()}'", Comparison("id", "=", ID)),
        ("key = 'a' /* why */ -- because", Comparison("key", "=", "a")),
        ("status = 'ok';", Comparison("status", "=", "ok")),
        (
            "user = 'a' and session = 'b' or not client = 'c'",
            Or((
                And((Comparison("user", "=", "a"), Comparison("session", "=", "b"))),
                Not(Comparison("client", "=", "c")),
            )),
        ),
        (
            "((user = 'a') and (session = 'b' or path = 'c'))",
            And((Comparison("user", "=", "a"), Or((Comparison("session", "=", "b"), Comparison("path", "=", "c"))))),
        ),
    ],
)  # fmt: skip
def test_filters(text: str, expected: Filter) -> None:
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-01", "2026-11-01T00:00:00.000000Z"),
        ("2026-11-01 14:30", "2026-11-01T14:30:00.000000Z"),
        ("2026-11-01T14:30:00.000001", "2026-11-01T14:30:00.000001Z"),
        ("2026-11-01T14:30:00Z", "2026-11-01T14:30:00.000000Z"),
        ("2026-11-01T14:30:00+02:00", "2026-11-01T12:30:00.000000Z"),
        ("1969-12-31T23:59:59.75", None),
    ],
)
def test_times(text: str, time: str | None) -> None:
    found = parse_filter(f"created >= '{text}'")
    assert isinstance(found, Comparison)
    assert isinstance(found.value, int)
    assert found.value == -250_000 if time is None else rfc3339(found.value) == time


def test_times_without_an_offset_are_the_viewers() -> None:
    found = parse_filter("created >= '2026-11-01'", timezone(timedelta(hours=2)))
    assert found == Comparison("created", ">=", 1_793_484_000_000_000)
    assert sentence(found) == "calls whose created is not before 2026-10-31T22:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "empty"),
        (" \n", 1, "empty"),
        ("modle = 'x'", 1, "did you mean model"),
        ("status = 'ok' and latency > 5", 19, "did you mean latency_ms"),
        ("status = 'okay'", 10, "did you mean ok"),
        ("model = \"gpt\"", 9, "single quotes: 'gpt'"),
        ("model = gpt", 9, "single quotes: 'gpt'"),
        ("model = 5", 9, "a text in single quotes"),
        ("model = true", 1, "not with true"),
        ("latency_ms > '5'", 14, "a number of milliseconds"),
        ("latency_ms > true", 1, "a number of milliseconds"),
        ("stream = 1", 10, "true or false"),
        ("stream > false", 1, "only be compared by = and !="),
        ("tags > 'a'", 8, "only be compared by = and !="),
        ("model < null", 1, "model is null"),
        ("id = '0199'", 6, "not a full call id"),
        ("created > 'yesterday'", 11, "not a time"),
        ("created > '0000-01-01'", 11, "not a time"),
        ("metadata = 'x'", 1, "metadata.NAME"),
        ("metadata.x > 5", 14, "a text in single quotes"),
        ("metadata.user-id = 'x'", 1, "a field is expected instead of 'metadata.user-id'"),
        ("model.x = 'x'", 1, "model has no parts"),
        ("model = 'a", 9, "quote left open"),
        ("model = = 'a'", 9, "near '='"),
        ("model = 'a' and", 13, "near 'and'"),
        ("model = 'a'\nand key = = 'b'", 23, "near '='"),
        ("(model = 'a'", 10, "near"),
        ("model", 1, "not a comparison"),
        ("stream", 1, "not a comparison"),
        ("model = user", 9, "compared with a text"),
        ("ttft_ms = 1e400", None, "too large"),
        ("model in ('a')", 1, "is not supported yet; comparisons are = !="),
        ("model ~ 'a'", 1, "is not supported yet"),
        ("foo = 1", 1, "known: id, created, "),
        ("model like 'a%'", 1, "is not supported yet; comparisons are = !="),
    ],
)  # fmt: skip
def test_mistakes(text: str, column: int | None, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_filter(text)
    assert says in str(caught.value)
    assert caught.value.column == column


@pytest.mark.parametrize(
    "text",
    [
        "1=1; drop table call",
        "model = 'a'; select 1",
        "model = (select 1)",
        "model = 'a' union select 1",
        "select model from call",
        "load_extension('x') = '1'",
        "model = pg_sleep(1)",
        "random() > 0",
        "model || 'a' = 'b'",
        "rowid = 1",
        "call.model = 'a'",
        "model = ?",
        "model = $1",
        "model = :x",
        "1 = 1",
        "'a' = 'a'",
        "()",
        "*",
        "exists (select 1)",
        "case when 1 then 2 end",
        "cast(model as int) = 1",
        "created >= date '2026-01-01'",
        "model collate nocase = 'a'",
        "model = 'a' order by 1",
        "model = 'a' limit 1",
        "pragma user_version",
        "attach 'x' as y",
        "model = x'00'",
        "\0",
        "@",
        "model = 'a' and @",
    ],
)
def test_what_is_not_in_the_language(text: str) -> None:
    with pytest.raises(QueryError):
        parse_filter(text)


def test_bounds() -> None:
    one = "key='1'"
    parse_filter("(" * MAX_DEPTH + one + ")" * MAX_DEPTH)
    parse_filter(" and ".join([one] * MAX_COMPARISONS))
    for text in (
        "(" * (MAX_DEPTH + 1) + one + ")" * (MAX_DEPTH + 1),
        "(" * 1900 + one + ")" * 1900,
        "not " * 900 + one,
        "-" * 3000 + "1 = http_status",
        " and ".join([one] * (MAX_COMPARISONS + 1)),
        one + " " * MAX_LENGTH,
    ):
        with pytest.raises(QueryError):
            parse_filter(text)


@given(st.text(max_size=60) | st.text("()=<>!'\"andorot modelkystreamnul0123456789.-;%\\/*", max_size=60))
def test_any_text_is_a_filter_or_a_mistake(text: str) -> None:
    mistake = None
    try:
        assert sentence(parse_filter(text)).startswith("calls ")
    except QueryError as error:
        mistake = error
    if mistake is not None and mistake.column is not None:
        assert 1 <= mistake.column <= len(text) + 1


def test_every_field_can_be_written() -> None:
    samples = {
        Kind.TEXT: "'ok'",
        Kind.MODEL: "'x'",
        Kind.FLAG: "true",
        Kind.TIME: "'2026-01-01'",
        Kind.ID: f"'{ID}'",
        Kind.TAGS: "'x'",
    }
    for field in FIELDS.values():
        name = "metadata.x" if field.kind is Kind.METADATA else field.name
        value = "'x'" if field.kind is Kind.METADATA else samples.get(field.kind, "1")
        found = parse_filter(f"{name} = {value}")
        assert isinstance(found, Comparison)
        assert found.field == field.name
        assert field.help


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = 'gpt-5' and status != 'ok'", "calls whose model is 'gpt-5' and whose status is not 'ok'"),
        ("cost_usd > 0.1", "calls whose cost_usd is above 0.1 US dollars"),
        ("latency_ms <= 5", "calls whose latency_ms is at most 5 ms"),
        ("stream = true", "calls whose stream is true"),
        ("model is null", "calls whose model is unknown"),
        ("metadata.a != null", "calls whose metadata.a is known"),
        ("tags = 'a' or tags != 'b'", "calls whose tags include 'a' or whose tags do not include 'b'"),
        ("created < '2026-01-01'", "calls whose created is before 2026-01-01T00:00:00.000000Z"),
        (
            "not (user = 'a' or user = 'b') and http_status >= 500",
            "calls (except those (whose user is 'a' or whose user is 'b')) and whose http_status is at least 500",
        ),
    ],
)
def test_sentences(text: str, expected: str) -> None:
    assert sentence(parse_filter(text)) == expected


def test_no_filter_is_all_calls() -> None:
    assert sentence(None) == "all calls"


def test_groups() -> None:
    check_groups(("day", "model", "stream"))
    assert {"hour", "week", "month", "key", "client", "session", "endpoint", "upstream", "project", "user"} <= {*GROUPS}
    with pytest.raises(QueryError, match="did you mean status"):
        check_groups(("statsu",))
    with pytest.raises(QueryError, match="known: hour, day"):
        check_groups(("metadata",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day, Model,day", ("day", "model")),
        ("tags,TAG", ("tag",)),
        ("metadata.Team,METADATA.Team,metadata.team", ("metadata.Team", "metadata.team")),
        ('metadata."a,""b",status', ('metadata.a,"b', "status")),
        ('metadata.a"b', ('metadata.a"b',)),
        ("", ()),
        (" , ", ()),
    ],
)
def test_groups_as_they_are_written(text: str, expected: tuple[str, ...]) -> None:
    assert parse_groups(text) == expected


@pytest.mark.parametrize("text", ["metadata.", 'metadata.""', "metadata", "id", "'; drop table call"])
def test_what_is_no_group(text: str) -> None:
    with pytest.raises(QueryError, match=r"metadata\.NAME"):
        parse_groups(text)


@given(st.text())
def test_any_text_is_groups_or_refused(text: str) -> None:
    with contextlib.suppress(QueryError):
        check_groups(parse_groups(text))
