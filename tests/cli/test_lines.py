"""A call as one line."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.cli.lines import call_line
from proxy.cli.terminal import Terminal, width
from proxy.records import Status, evolve
from tests.cli.recorded import new_call

PIPE = Terminal(io.StringIO(), {})


@contextmanager
def a_terminal(columns: int, **env: str) -> Iterator[Terminal]:
    """A real terminal of this width."""
    master, end = os.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        with os.fdopen(end, "w") as stream:
            yield Terminal(stream, {"TERM": "xterm", **env})
    finally:
        os.close(master)


def test_a_line_without_a_terminal_is_whole_and_dated() -> None:
    call = new_call(preview_input="x" * 300)
    line = call_line(call, PIPE)
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.match(rf"{call.id[-8:]} {date} ok +gpt-5-mini +812ms +210ms +1\.2k→87 +\$0\.000483 ", line)
    assert line.endswith("x" * 300 + " → It is 12 degrees.")


@pytest.mark.parametrize("columns", [20, 60, 80, 100, 140, 250])
def test_a_line_is_never_wider_than_the_terminal(columns: int) -> None:
    call = new_call(preview_input="問い" * 200, preview_output="answer " * 100)
    with a_terminal(columns, NO_COLOR="1") as terminal:
        line = call_line(call, terminal)
    assert width(line) <= max(columns, 51)  # figures are never cut
    assert columns < 80 or "…" in line


@pytest.mark.parametrize(
    ("columns", "gone"), [(130, []), (90, ["210ms"]), (80, ["210ms", ":"]), (75, ["210ms", ":", "→87"])]
)
def test_lesser_columns_give_way_to_words(columns: int, gone: list[str]) -> None:
    with a_terminal(columns, NO_COLOR="1") as terminal:
        line = call_line(new_call(), terminal)
    assert "Wha" in line
    assert [text for text in ("210ms", ":", "→87") if text not in line] == gone


def test_colour_is_for_terminals_that_want_it() -> None:
    call = new_call()
    with a_terminal(120) as coloured, a_terminal(120, NO_COLOR="1") as plain, a_terminal(120, TERM="dumb") as dumb:
        assert "\x1b[32mok" in call_line(call, coloured)
        assert "\x1b" not in call_line(call, plain) + call_line(call, dumb)


def test_where_there_is_little_room_the_question_or_the_error_is_shown() -> None:
    failed = new_call(status="error", error_type=None, error_message="too many requests")
    with a_terminal(80, NO_COLOR="1") as terminal:
        assert call_line(new_call(), terminal).endswith(" What is the weath…")
        assert call_line(failed, terminal).endswith(" too many requests")


def test_an_error_shows_its_code_and_reason() -> None:
    call = new_call(status="error", http_status=429, error_type="rate_limit", error_message="slow down", model=None)
    line = call_line(call, PIPE)
    assert " error 429     gpt-5-mini " in line
    assert line.endswith("What is the weather in Bern? → rate_limit: slow down")


def test_where_there_is_little_room_an_error_leaves_out_its_type() -> None:
    failed = new_call(status="error", error_type="rate_limit", error_message="slow down")
    with a_terminal(80, NO_COLOR="1") as terminal:
        assert call_line(failed, terminal).endswith(" slow down")
        assert "rate_limit" not in call_line(failed, terminal)
        assert "rate_limit" in call_line(evolve(failed, error_message=None), terminal)


@pytest.mark.parametrize("columns", [None, 80, 140])
def test_no_status_breaks_the_columns(columns: int | None) -> None:
    places = set()
    for status in Status:
        call = new_call(status=status, http_status=503)
        if columns is None:
            line = call_line(call, PIPE)
        else:
            with a_terminal(columns, NO_COLOR="1") as terminal:
                line = call_line(call, terminal)
        places.add(line.index(" gpt-5-mini "))
    assert len(places) == 1


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (13_312, "$0.000013"),
        (482_500, "$0.000482"),
        (12_345_678, "$0.0123"),
        (1_234_567_890, "$1.23"),
        (499, "$0.000000499"),
    ],
)
def test_where_there_is_little_room_costs_are_short(nano: int, shown: str) -> None:
    with a_terminal(80, NO_COLOR="1") as terminal:
        assert f" {shown} " in call_line(new_call(cost_nano_usd=nano), terminal)


def test_what_is_unknown_is_a_dash() -> None:
    call = new_call(
        status="running",
        latency_us=None,
        ttft_us=None,
        input_tokens=None,
        output_tokens=None,
        cost_nano_usd=None,
        preview_output=None,
    )
    assert re.search(r" running +gpt-5-mini +- +- +- +- What is the weather in Bern\?$", call_line(call, PIPE))


def test_estimated_tokens_carry_a_tilde() -> None:
    assert " ~1.2k→87 " in call_line(new_call(tokens_source="estimated"), PIPE)


@pytest.mark.parametrize("field", ["model", "preview_input", "preview_output", "status"])
def test_logged_text_is_escaped(field: str) -> None:
    assert "\x1b" not in call_line(new_call(**{field: "\x1b]52;c;x\x07"}), PIPE)
    assert "\\x1b]52;c;x\\x07" in call_line(new_call(**{field: "\x1b]52;c;x\x07"}), PIPE)
