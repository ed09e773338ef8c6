"""Filters: what they mean, what is refused, and where the mistake stands."""

from __future__ import annotations

import contextlib
from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import rfc3339
from proxy.errors import QueryError
from proxy.query.fields import FIELDS, GROUPS, KEYED, Kind, check_groups, parse_groups
from proxy.query.parse import MAX_LENGTH, parse_filter
from proxy.query.sentence import sentence
from proxy.query.sql import MAX_COMPARISONS, MAX_DEPTH
from proxy.query.tree import And, Comparison, Filter, Match, Not, Or

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
        ("not model is null", Not(Comparison("model", "=", None))),
        ("model in ('a')", Comparison("model", "in", ("a",))),
        ("http_status not in (500, 503)", Comparison("http_status", "not in", (500, 503))),
        ("not user in ('a')", Not(Comparison("user", "in", ("a",)))),
        ("model like 'gpt-%'", Comparison("model", "like", "gpt-%")),
        ("model NOT ILIKE '%mini'", Comparison("model", "not ilike", "%mini")),
        ("not model not like 'a\\_%'", Not(Comparison("model", "not like", "a\\_%"))),
        ("cost_usd between 0.1 and 0.5", Comparison("cost_usd", "between", (0.1, 0.5))),
        ("cost_usd not between -1 and 1", Comparison("cost_usd", "not between", (-1, 1))),
        ("tags has 'prod'", Comparison("tags", "=", "prod")),
        ("tags in ('a', 'b')", Comparison("tags", "in", ("a", "b"))),
        ("tool = 'search'", Comparison("tool", "=", "search")),
        ("scores.Factuality > 0.5", Comparison("scores", ">", 0.5, "Factuality")),
        ('scores."a b" is null', Comparison("scores", "=", None, "a b")),
        ("metadata.turn > 3", Comparison("metadata", ">", 3, "turn")),
        ("metadata.turn > '3'", Comparison("metadata", ">", "3", "turn")),
        ("metadata.\"__proto__\" = ''", Comparison("metadata", "=", "", "__proto__")),
        ("metadata.\"a'\"\"b\" = 'x'", Comparison("metadata", "=", "x", "a'\"b")),
        ("text match 'refund policy'", Match("text", "refund policy")),
        ("input MATCH 'a' and not output match 'b'", And((Match("input", "a"), Not(Match("output", "b"))))),
        ("system not match 'a' or tools match 'b'", Or((Not(Match("system", "a")), Match("tools", "b")))),
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
        ("model = true", 9, "not with true"),
        ("latency_ms > '5'", 14, "a number of milliseconds"),
        ("latency_ms > true", 14, "a number of milliseconds"),
        ("stream = 1", 10, "true or false"),
        ("stream > false", 1, "only be compared by = !="),
        ("tags > 'a'", 1, "only be compared by = != in like ilike"),
        ("id like '0%'", 1, "only be compared by = != in"),
        ("latency_ms like '1%'", 1, "only be compared by = != < <= > >= between in"),
        ("stream in (true)", 1, "only be compared by = !="),
        ("model < null", 9, "model is null"),
        ("model in ('a', null)", 11, "model is null"),
        ("model in ()", 1, "values in brackets"),
        ("model in 'a'", 1, "values in brackets"),
        ("user = 'a' and model in (select 1)", 16, "values in brackets"),
        ("model has 'a'", 1, "write model = 'a'".replace("'a'", "'x'")),
        ("model match 'a'", 1, "text, input, output, system, tools can"),
        ("text match ' '", 12, "no words"),
        ("text = 'a'", 1, "write text match"),
        ("scores > 1", 1, "scores.NAME"),
        ("scores.x = 'a'", 12, "a number, after scores.NAME"),
        ("metadata.x like 5", 17, "not with 5"),
        ("metadata.x = true", 14, "not with true"),
        ("created > CURRENT_DATE - 1", 26, "write CURRENT_DATE - INTERVAL 1 DAY"),
        ("created > CURRENT_DATE - INTERVAL 1 FORTNIGHT", 11, "no span of time"),
        ("created > now() - INTERVAL '1.5 days'", 11, "a whole number of days"),
        ("created > now() - INTERVAL 1000000 YEAR", 11, "beyond the calendar"),
        ("latency_ms > now()", 14, "a number of milliseconds"),
        ("model lik 'a'", 7, "did you mean like"),
        ("id = '0199'", 6, "not a full call id"),
        ("created > 'yesterday'", 11, "not a time"),
        ("created > '0000-01-01'", 11, "not a time"),
        ("metadata = 'x'", 1, "metadata.NAME"),
        ("metadata.user-id = 'x'", 1, "a field is expected instead of 'metadata.user-id'"),
        ("model.x = 'x'", 1, "model has no parts"),
        ("model = 'a", 9, "quote left open"),
        ("model = = 'a'", 9, "near '='"),
        ("model = 'a' and", 13, "near 'and'"),
        ("model = 'a'\nand key = = 'b'", 23, "near '='"),
        ("(model = 'a'", 10, "near"),
        ("(model)", 2, "not a comparison"),
        ("not (stream)", 6, "not a comparison"),
        ("model = user", 9, "compared with a text"),
        ("ttft_ms = 1e400", 11, "too large"),
        ("model ~ 'a'", 1, "is not supported; comparisons are = !="),
        ("model glob 'a*'", 1, "is not supported"),
        ("zzz = 1", 1, "known: id, created, "),
    ],
)  # fmt: skip
def test_mistakes(text: str, column: int | None, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_filter(text, now_us=NOW_US)
    assert says in str(caught.value)
    assert caught.value.column == column


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
        Kind.TOOL: "'x'",
        Kind.REVIEW: "'good'",
        Kind.REVIEWER: "'x'",
        Kind.JUDGED: "'note'",
        Kind.METADATA: "'x'",
    }
    for field in FIELDS.values():
        name = f"{field.name}.x" if field.kind in KEYED else field.name
        text = f"{name} match 'x'" if field.kind is Kind.WORDS else f"{name} = {samples.get(field.kind, '1')}"
        found = parse_filter(text)
        assert isinstance(found, Comparison | Match)
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
        ("model in ('a', 'b', 'c')", "calls whose model is one of 'a', 'b' or 'c'"),
        ("model not like 'a%'", "calls whose model is not like 'a%'"),
        ("model ilike 'a%'", "calls whose model is, in any case, like 'a%'"),
        ("latency_ms between 1 and 2", "calls whose latency_ms is between 1 ms and 2 ms"),
        ("tags not in ('a', 'b')", "calls whose tags include none of 'a' or 'b'"),
        ("tags is null", "calls whose tags are unknown"),
        ("tool = 'search'", "calls whose tools asked for include 'search'"),
        ("scores.tone >= 0.5", "calls whose scores.tone is at least 0.5"),
        ("metadata.turn > 3", "calls whose metadata.turn is above 3"),
        (
            "text match 'refund' and not input match 'a'",
            "calls whose text matches 'refund' and (except those whose new input matches 'a')",
        ),
        (
            "not (user = 'a' or user = 'b') and http_status >= 500",
            "calls (except those (whose user is 'a' or whose user is 'b')) and whose http_status is at least 500",
        ),
    ],
)
def test_sentences(text: str, expected: str) -> None:
    assert sentence(parse_filter(text)) == expected


ZURICH = ZoneInfo("Europe/Zurich")
NOW_US = 1_792_978_200_000_000  # 2026-10-26 01:30 UTC, 02:30 in Zurich, a day after its clocks went back


@pytest.mark.parametrize(
    ("moment", "time"),
    [
        ("CURRENT_DATE", "2026-10-25T23:00:00.000000Z"),
        ("current_date - INTERVAL 1 DAY", "2026-10-24T22:00:00.000000Z"),  # that day had 25 hours
        ("CURRENT_DATE - INTERVAL '24 hours'", "2026-10-24T23:00:00.000000Z"),
        ("CURRENT_TIMESTAMP", "2026-10-26T01:30:00.000000Z"),
        ("now() - INTERVAL '2 hours 5 minutes'", "2026-10-25T23:25:00.000000Z"),
        ("NOW() + interval '1' week", "2026-11-02T01:30:00.000000Z"),
        ("(now() - interval 1 second) - interval (2) seconds", "2026-10-26T01:29:57.000000Z"),
        ("'2026-03-31' - interval 1 month", "2026-02-27T23:00:00.000000Z"),
        ("'2024-02-29' + interval 1 year", "2025-02-27T23:00:00.000000Z"),
    ],
)
def test_moments_are_the_viewers(moment: str, time: str) -> None:
    found = parse_filter(f"created >= {moment}", ZURICH, NOW_US)
    assert isinstance(found, Comparison)
    assert isinstance(found.value, int)
    assert rfc3339(found.value) == time
    assert parse_filter(f"{moment} <= created", ZURICH, NOW_US) == found


def test_without_a_clock_there_is_no_now() -> None:
    with pytest.raises(QueryError, match="what time it is"):
        parse_filter("created > now()")


def test_no_filter_is_all_calls() -> None:
    assert sentence(None) == "all calls"


def test_groups() -> None:
    check_groups(("day", "model", "stream"))
    assert {"hour", "week", "month", "key", "client", "session", "endpoint", "upstream", "project", "user"} <= {*GROUPS}
    with pytest.raises(QueryError, match="did you mean status"):
        check_groups(("statsu",))
    with pytest.raises(QueryError, match="known: minute, hour, day"):
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
