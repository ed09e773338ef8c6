"""What may reach a terminal, and how wide it is."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.terminal import Terminal, fit, pad, printable, width

ATTACKS = [
    "\x1b]52;c;ZXZpbA==\x07",  # sets the clipboard
    "\x1b]0;title\x1b\\",
    "\x1b[2J\x1b[H",
    "\x1bP+q544e\x1b\\",
    "\x9b31m\x9d8;;http://example.com\x9c",  # C1 forms of CSI and OSC
    "a\rb\x08\x7f",
    "\u202egpj.exe\u2066\u2069",
    "\u2028\u2029\x85\x0b\x0c",
    "\U000e0041\ufeff",
    "\ud800 half",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("lines", [False, True])
def test_nothing_that_a_terminal_obeys_is_left(attack: str, lines: bool) -> None:
    shown = printable(attack, lines=lines)
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    assert not set(shown) & set("\u202e\u2066\u2069\ufeff\U000e0041")
    shown.encode("utf-8")


@given(st.text(st.characters(), max_size=200))
def test_one_line_stays_one_line_and_can_be_written(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in shown)
    shown.encode("utf-8")


@pytest.mark.parametrize("text", ["plain", "Zürich → 東京 🇨🇭 👩‍💻", "אבג", "e\u0301"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_lines_and_tabs_are_kept_where_lines_are() -> None:
    assert printable("a\tb\r\nc\rd", lines=True) == "a\tb\nc\\rd"
    assert printable("a\tb\r\nc") == "a\\tb\\r\\nc"


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("é", 1), ("e\u0301", 1), ("東京", 4), ("🙂", 2), ("a\u200db", 2), ("ﬁ", 1)]
)
def test_width(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=80), st.integers(0, 40))
def test_what_is_fitted_fits(text: str, columns: int) -> None:
    fitted = fit(text, columns)
    assert width(fitted) <= columns
    assert fitted == text or fitted == "" or fitted.endswith("…")


def test_a_pile_of_accents_is_cut() -> None:
    assert len(fit("a" + "\u0301" * 100_000, 10)) <= 100


def test_padding_counts_columns() -> None:
    assert pad("東", 4) == "東  "
    assert pad("7", 3, right=True) == "  7"
    assert pad("toolong", 3) == "toolong"


def test_what_is_no_terminal_has_neither_width_nor_colour() -> None:
    terminal = Terminal(io.StringIO(), {"TERM": "xterm"})
    assert terminal.width is None
    assert terminal.paint("text", "bold red") == "text"
