"""Markdown as HTML that can do no harm, for those who ask for it; texts are shown as sent otherwise.

HTML in the text stays text. Links lead to http, https and mailto, tell nobody where one came from, and
nothing is loaded: an image is a link. Long texts are not rendered.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

CHARACTERS = 20_000  #: of a text that is rendered
_SCHEMES = ("http://", "https://", "mailto:")


def rendered(text: str) -> Markup | None:
    """The text as HTML; None for one that is too long."""
    if len(text) > CHARACTERS:
        return None
    return Markup(_renderer().render(text))  # noqa: S704 - html is off: all of the text is escaped


@cache
def _renderer() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 24})
    made.enable(["table", "strikethrough"]).disable("image")
    made.validateLink = _allowed  # type: ignore[method-assign]
    made.add_render_rule("link_open", _link)
    for cell in ("th_open", "td_open"):
        made.add_render_rule(cell, _cell)
    return made


def _allowed(url: str) -> bool:
    return url.strip().lower().startswith(_SCHEMES)


def _link(
    self: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, _env: MutableMapping[str, Any]
) -> str:
    tokens[at].attrSet("rel", "noopener noreferrer nofollow")
    tokens[at].attrSet("target", "_blank")
    return self.renderToken(tokens, at, options, _env)


def _cell(
    self: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, _env: MutableMapping[str, Any]
) -> str:
    """Without ``style``, which the page's policy forbids."""
    tokens[at].attrs.pop("style", None)
    return self.renderToken(tokens, at, options, _env)
