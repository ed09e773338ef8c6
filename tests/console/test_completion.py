"""What can be written next in a filter. ``|`` is the caret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.console.logs.completion import Asked, Wanted, asked, options
from proxy.errors import QueryError
from proxy.query.fields import FIELDS
from proxy.query.parse import parse_filter


def at(text: str) -> Asked:
    before, _, after = text.partition("|")
    return asked(before + after, len(before))


def taken(text: str, *known: str) -> str:
    """The filter after the first option was taken."""
    whole = text.replace("|", "")
    wanted = at(text)
    first = options(wanted, [(each, "") for each in known])[0]
    return whole[: wanted.start] + first.insert + whole[wanted.end :]


@pytest.mark.parametrize(
    ("text", "wanted", "typed"),
    [
        ("|", Wanted.NAME, ""),
        ("mod|", Wanted.NAME, "mod"),
        ("status:error mo|", Wanted.NAME, "mo"),
        ("-us|", Wanted.NAME, "us"),
        ("model:|", Wanted.VALUE, ""),
        ("model:gpt-5,gp|", Wanted.VALUE, "gp"),
        ('user:"ada l|', Wanted.VALUE, "ada l"),
        ("latency:>|", Wanted.VALUE, ""),
        ("metadata.te|", Wanted.KEY, "te"),
        ("metadata.team:re|", Wanted.VALUE, "re"),
        ("model |", Wanted.OPERATOR, ""),
        ("model = 'gp|", Wanted.VALUE, "gp"),
        ("status != 'ok' and mod|", Wanted.NAME, "mod"),
        ("model in ('a', 'b|", Wanted.VALUE, "b"),
        ("cost_usd i|", Wanted.OPERATOR, "i"),
        ("nobody:x|", Wanted.NAME, "x"),
    ],
)
def test_what_stands_before_the_caret_is_known(text: str, wanted: Wanted, typed: str) -> None:
    found = at(text)
    assert (found.wanted, found.typed) == (wanted, typed)


@pytest.mark.parametrize(
    ("text", "known", "whole"),
    [
        ("mod|", [], "model:"),
        ("stat|us:error", [], "status::error"),
        ("model:gp|", ["gpt-5"], "model:gpt-5 "),
        ("model:a,gp|", ["gpt-5"], "model:a,gpt-5 "),
        ("user:|", ["Ada L"], 'user:"Ada L" '),
        ("status:er|", [], "status:error "),
        ("metadata.t|", ["team"], "metadata.team:"),
        ("metadata.t|", ["the team"], 'metadata."the team":'),
        ("status = 'ok' and mod|", [], "status = 'ok' and model "),
        ("model |", [], "model = "),
        ("model = 'gp|'", ["gpt-5"], "model = 'gpt-5' "),
        ("model = |", ["it's"], "model = 'it''s' "),
        ("tags |", [], "tags has "),
        ("latency:|", [], "latency:>1s"),
    ],
)
def test_an_option_takes_the_place_of_what_was_typed(text: str, known: list[str], whole: str) -> None:
    assert taken(text, *known) == whole


@pytest.mark.parametrize(
    "text", ["a:" + '"' * 4000 + " x", "user:" + '""' * 2000 + "x y", "metadata." + '"a""' * 900 + " "]
)
def test_many_quotes_are_read_in_one_way(text: str) -> None:
    """Each of these would take longer than the test may, if it could be read in more than one way."""
    assert asked(text, len(text)).end == len(text)


def test_names_that_begin_so_come_first_the_shortest_before_all() -> None:
    assert [option.label for option in options(at("mod|"))] == ["model", "model_requested"]
    assert "ttft" in [option.label for option in options(at("tf|"))]


@given(st.sampled_from(["user", "session", "tags", "error_type"]), st.text(min_size=1, max_size=20))
def test_a_value_that_is_taken_makes_a_filter_of_it(field: str, value: str) -> None:
    for text in (f"{field}:|", f"{field} = |"):
        try:
            found = parse_filter(taken(text, value))
        except QueryError:
            assert any("\ud800" <= char <= "\udfff" for char in value) or not value.strip() or "\0" in value
            continue
        assert found.field == field  # type: ignore[union-attr]
        assert found.value == value  # type: ignore[union-attr]


@given(st.text(max_size=60), st.integers(0, 60))
def test_any_text_is_answered(text: str, place: int) -> None:
    place = min(place, len(text))
    wanted = asked(text, place)
    assert 0 <= wanted.start <= place <= wanted.end <= len(text)
    options(wanted, [("x", "")])


def test_examples_are_filters() -> None:
    for name, field in FIELDS.items():
        for option in options(asked(f"{name}:", len(name) + 1)):
            key = ".x" if field.name in ("metadata", "scores") else ""
            parse_filter(f"{name}{key}:{option.insert}", now_us=1_790_000_000_000_000)
