"""Filters that try to break out, or just to break: a clear mistake or a right result, never anything else."""

# ruff: noqa: RUF001 -- characters that look like others are the point

from __future__ import annotations

import contextlib
import sqlite3
from datetime import timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import QueryError
from proxy.query.fields import FIELDS
from proxy.query.parse import is_sql, parse_filter
from proxy.query.sentence import sentence
from proxy.query.tree import Comparison, Match, leaves
from proxy.query.written import written
from proxy.store.sqlite.compile import Condition, compiled

NOW_US = 1_795_262_400_000_000

REFUSED = [
    # statements, and ways out of a condition
    "1=1; drop table call", "model = 'a'; select 1", "model = 'a'; --", "model = (select 1)",
    "model = 'a' union select 1", "model in (select model from call)", "exists (select 1)", "select 1 = 1",
    "model = 'a' order by 1", "model = 'a' limit 1", "model = 'a' group by 1", "model = 'a' having 1 = 1",
    "model = 'a') or (1 = 1", "') or ('1' = '1", "model = 'a' or 1", "model = 'a' or 1 = 1", "1 = 1", "'a' = 'a'",
    "case when model = 'a' then 1 end", "(with x as (select 1) select 1)", "attach 'x' = y", "pragma a = 1",
    "model = 'a' into outfile 'x'", "model = 'a' returning *", "set a = 1", "delete from call where 1 = 1",
    # names that are no fields
    "rowid = 1", "call.model = 'a'", "main.call.model = 'a'", "dim.val = 'a'", "oid > 0", "_rowid_ = 1",
    "sqlite_master = 'a'", "\"model\"\"; drop\" = 'a'", "`model` = `a`", "[model] = 'a'", "model.model = 'a'",
    "__proto__ = 'a'", "* = 1", "model.* = 'a'", "? = 1", "metadata = 'a'", "metadata.\"\" = 'a'", "scores.\"\" > 1",
    # calls, casts, operators, placeholders
    "load_extension('x') = '1'", "pg_sleep(1) = 1", "model = pg_sleep(1)", "random() > 0", "lower(model) = 'a'",
    "count(*) > 1", "row_number() over (order by model) = 1", "model || 'a' = 'b'", "input_tokens + 1 = 2",
    "input_tokens = 1 + 1", "-input_tokens = 1", "cast(model as int) = 1", "model::int = 1", "model = 'a'::text",
    "created >= date '2026-01-01'", "created > timestamp 'now'", "model collate nocase = 'a'", "model = x'00'",
    "model = 0x10", "model = ?", "model = $1", "model = :x", "model = @x", "model = {x}", "model = #x", "model = %s",
    "model = 'a' 'b'", "model = e'\\x27'", "model = U&'\\0027'", "model = $$a$$", "metadata['a'] = 'b'",
    "metadata->>'a' = 'b'", "metadata->'a' = 'b'", "tags @> 'a'", "tags[1] = 'a'", "(model, user) = ('a', 'b')",
    "model in (('a', 'b'))", "model in ('a', (select 1))", "model in ('a', user)", "model like any ('a', 'b')",
    "model like 'a' escape 'b'", "model similar to 'a'", "model regexp 'a'", "model ~ 'a'", "model glob 'a*'",
    "model is true", "model is distinct from 'a'", "model = all (1)", "model between 'a'",
    "model between (select 1) and 'b'", "x -> x = 1", "model = 'a' and", "and model = 'a'", "()", "(", ")", "((",
    "model = = 'a'", "model = 'a' model = 'b'", "model == == 'a'", "model =! 'a'", "model => 'a'",
    "model = interval 1 day",
    "created > now() - interval model day", "created > now() - interval '1' ", "created > now(1)",
    "created > now() - interval (select 1) day", "created > current_date(1)", "created > CURRENT_DATE * 2",
    "created > CURRENT_DATE - now()", "created > 'x' - interval 1 day", "created > now() - interval '1e999 days'",
    # quotes and strange characters
    "model = 'a", "model = \"a", "model = 'a''", "model = ‘a’", "model = “a”", "model = ´a´", "model ＝ 'a' and (",
    "model = 'a' \0", "\0 = 'a'", "mod\0el = 'a'", "model\u200b = 'a'", "model\u00a0!= a", "\ufeff= 'a'",
    "model = \ud800", "\ud800", "error_message = '\udcff'", "user:a\udcff", "metadata.t in (1, 'gold')",
    "metadata.t between 0 and 'z'", "metadata.t not in ('a', 2)",
    "model like 'a\0'", "＇ or 1=1", "model = 'a' /*", "model = 'a' */", "/* model = 'a' */ =", "-- model = 'a'\n=",
    # too much of it
    "(" * 33 + "model = 'a'" + ")" * 33, "(" * 1900, "not " * 1000 + "model = 'a'", "-" * 3000 + "1 = http_status",
    "model in (" + ",".join(["'a'"] * 300) + ")", " or ".join(["http_status=1"] * 250), "a" * 1_000_000,
    "model = '" + "a" * 1_000_000 + "'", "created > now()" + " - interval 1 day" * 230 + " x",
    # the short form
    "modle:x", "model:\"a", "model:a\"b", "cost:>1;drop", "cost:1e999", "latency:>1parsec", "tag:>x", "status:nope",
    "id:1", "created:>now", "metadata:x", "scores.x:high",
    "metadata.\"\":x", "model:", "model: x", "-model:", "select:1",
    "model:a or 1=1", "stream:1", "model.x:y", "a:b:c", "cost:1..2..3", "cost:x..y", "input_tokens:1kk",
]  # fmt: skip
#: Odd, but in the language: what they mean is plain.
TAKEN = [
    "model = 'a' -- comment", "/* why */ model = 'a'", "model = 'a';", "model = '''; drop table call; --'",
    "model = 'a\nb'", "model = 'a\0b'", "model = '‘a’'", "MODEL = 'A'", "\"model\" = 'a'", "model\n=\t'a'",
    "metadata.\"__proto__\" = 'x'", "metadata.\"a'b\" = 'x'", "metadata.\"a\"\"b\" = 'x'", "metadata.\"a\0b\" = 'x'",
    "metadata.\"'); drop table call; --\" = '1'", "metadata.select = 'x'", "metadata.\"$[0]\" = 'x'",
    "scores.\"'; --\" > 1", "model like '%%%%%%%%%%%%%%%%%%%%%%a'", "model like '\\'", "model like '[a-z]*'",
    "model in ('a', 'a')", "input_tokens between 5 and 1", "latency_ms > -1e308",
    "input_tokens = 123456789012345678901",
    "text match '\" OR 1=1 --'", "text match 'a NEAR(b)'", "tags has '%'", "tool = '*'", "not not not model = 'a'",
    "(" * 32 + "model = 'a'" + ")" * 32, "user = '" + "'' " * 1300 + "'",
    "created > '2026-01-01' + interval -1 day"[:22],
    "metadata.__proto__:x", "metadata.a':x", "metadata.\"a:b\":\"c,d\"", "user:'or'1", "model:*****", "model:%_",
    "user:\\",
    "it's; drop table call; --", "\0", "a\0b", "‘a’ “b”", "*", "@", "?", "$1", "%s", "-", "--", "\u202e",
    "a" * 4000,
    " ".join(["a"] * 200), "\"\"", "select model from call", "model isnull", "not",
    "created:0001-01-01..", "cost_usd > 999999999999999999", "input_tokens:>999999999999999999k", "metadata.:x",
    "model::x:", "'; drop table call; --",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:40]))
def test_refused_with_the_place(text: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_filter(text, now_us=NOW_US)
    assert len(str(caught.value)) < 1500
    assert caught.value.column is None or 1 <= caught.value.column <= len(text) + 1


@pytest.mark.parametrize("text", TAKEN, ids=lambda text: repr(text[:40]))
def test_taken_as_what_it_says(text: str) -> None:
    where = parse_filter(text, now_us=NOW_US)
    for leaf in leaves(where):
        assert isinstance(leaf, Match) or leaf.field in FIELDS
    assert runs(text)


def runs(text: str) -> bool:
    """Whether the filter becomes SQL that holds nothing of it: all values are bound."""
    where = parse_filter(text, now_us=NOW_US)
    condition = compiled(where, lambda _: Condition("1"))
    said = [str(value) for leaf in leaves(where) if isinstance(leaf, Comparison) for value in leaf.values]
    assert not any(word in condition.sql for word in said if len(word) > 12)
    assert sqlite3.complete_statement(f"SELECT {condition.sql};")
    return ";" not in condition.sql and "--" not in condition.sql


words = st.sampled_from(
    [
        "model",
        "status",
        "created",
        "metadata.a",
        "scores.x",
        "tags",
        "tool",
        "text",
        "cost_usd",
        "=",
        "!=",
        "<>",
        "<",
        ">",
        "<=",
        ">=",
        "(",
        ")",
        ",",
        ".",
        ":",
        ";",
        "?",
        "'",
        '"',
        "%",
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "like",
        "ilike",
        "between",
        "has",
        "match",
        "interval",
        "day",
        "current_date",
        "now()",
        "-",
        "+",
        "*",
        "/",
        "||",
        "::",
        "->",
        "[",
        "]",
        "{",
        "}",
        "'a'",
        "'2026-01-01'",
        "1",
        "1.5",
        "1e9",
        "true",
        "case",
        "when",
        "then",
        "end",
        "select",
        "from",
        "cast",
        "as",
        "over",
        "exists",
        "any",
        "all",
        "distinct",
        "escape",
        "x'0'",
        "$1",
        "@a",
        "#",
    ]
)


@given(st.lists(words, max_size=14).map(" ".join) | st.lists(words, max_size=14).map("".join))
@settings(max_examples=600, deadline=None)
def test_any_soup_of_words_is_a_filter_or_a_mistake(text: str) -> None:
    with contextlib.suppress(QueryError):
        where = parse_filter(text, now_us=NOW_US)
        assert sentence(where).startswith("calls ")
        assert parse_filter(written(where), now_us=NOW_US) == where
        assert runs(text)


def test_deciding_on_a_form_takes_no_time() -> None:
    for text in ("'" * 4000, '"' * 4000, "a." * 2000, "metadata." * 400, "model " * 600, ":>=" * 1300, "<" * 4000):
        assert is_sql(text) in (True, False)
        with contextlib.suppress(QueryError):
            parse_filter(text, now_us=NOW_US)


@pytest.mark.parametrize("hours", [-12, 0, 14])
@pytest.mark.parametrize("text", ["created > '0001-01-01'", "created < '9999-12-31 23:59'", "created:0001-01-01.."])
def test_the_ends_of_the_calendar_in_any_zone(text: str, hours: int) -> None:
    where = parse_filter(text, timezone(timedelta(hours=hours)), NOW_US)
    assert sentence(where).startswith("calls whose created is ")
    assert parse_filter(written(where), now_us=NOW_US) == where
