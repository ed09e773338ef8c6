"""Markdown that can do no harm: what is HTML stays text, links lead where they may, nothing is loaded."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.console.detail.markdown import CHARACTERS, rendered

HARMLESS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "s", "code", "pre", "a", "ul", "ol", "li", "blockquote",
    "hr", "br", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {"href", "title", "rel", "target", "class", "start"}


class Seen(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")


def seen(text: str) -> Seen:
    html = rendered(text)
    assert html is not None
    parser = Seen()
    parser.feed(str(html))
    assert parser.tags <= HARMLESS, html
    assert parser.attributes.keys() <= ATTRIBUTES, html
    assert all(
        link.lower().startswith(("http://", "https://", "mailto:")) for link in parser.attributes.get("href", [])
    )
    return parser


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\nscript:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](vbscript:x)",
        "[x](//evil.example)",
        "[x](/settings)",
        "![x](https://evil.example/pixel.png)",
        "![x](javascript:alert(1))",
        "<https://ok.example><javascript:alert(1)>",
        '[x](https://ok.example "onmouseover=alert(1)")',
        '```html"onload=alert(1)\n<b>\n```',
        "|a|\n|:-:|\n|<svg onload=alert(1)>|",
        "[x]: javascript:alert(1)\n\n[x]",
        "<a href='javascript:1'>x</a>",
        "&lt;script&gt;",
    ],
)
def test_hostile_markdown(text: str) -> None:
    seen(text)


@given(st.text(st.sampled_from("<>[]()!`*_|:-#\n \"'&;ajscript/\\"), max_size=200))
def test_any_markdown(text: str) -> None:
    seen(text)


def test_what_it_renders() -> None:
    found = seen(
        "# Title\n\n**bold** ~~gone~~ [link](https://example.com)\n\n|a|b|\n|-|:-:|\n|1|2|\n\n```python\nx\n```"
    )
    assert {"h1", "strong", "s", "a", "table", "pre", "code"} <= found.tags
    assert found.attributes["rel"] == ["noopener noreferrer nofollow"]
    assert "img" not in seen("![x](https://example.com/x.png)").tags


def test_long_texts_are_not_rendered() -> None:
    assert rendered("x" * (CHARACTERS + 1)) is None
