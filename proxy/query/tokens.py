"""The words of filters that sqlglot does not know, or tells differently from version to version.

``has`` and ``match`` become ``=``, and ``not`` inside a comparison (``x not in``, ``x is not null``) is
taken out: to sqlglot it is the same as ``not x in``, or is not, as its version will have it. What it
is not told is kept beside the tokens.
"""

from __future__ import annotations

from msgspec import Struct
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]


class Asked(Struct):
    """Tokens for sqlglot. What it is not told is kept by where the name before it ends."""

    tokens: list[Token]
    negated: set[int]  #: ``x not in``, ``x is not null``: the ``not``
    words: dict[int, str]  #: ``has`` and ``match``, which become ``=``


_NEGATABLE = (TokenType.IN, TokenType.LIKE, TokenType.ILIKE, TokenType.BETWEEN)
_OUR_WORDS = ("has", "match")


def our_words(tokens: list[Token]) -> Asked:
    """The tokens as sqlglot is to see them."""
    asked = Asked([], set(), {})
    for place, token in enumerate(tokens):
        before = tokens[max(place - 2, 0) : place]
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        if before and before[-1].token_type is TokenType.DOT and token.text.isidentifier():  # metadata.select
            asked.tokens.append(_as(TokenType.VAR, token))
        elif not before or after is None:
            asked.tokens.append(token)
        elif token.token_type is TokenType.NOT and (after.token_type in _NEGATABLE or _is_ours(after)):
            asked.negated.add(before[-1].end)
        elif token.token_type is TokenType.NOT and before[-1].token_type is TokenType.IS:
            asked.negated.add(before[0].end)
        elif _is_ours(token) and after.token_type is TokenType.STRING:
            name = before[0] if before[-1].token_type is TokenType.NOT else before[-1]
            asked.words[name.end] = token.text.lower()
            asked.tokens.append(_as(TokenType.EQ, token))
        else:
            asked.tokens.append(token)
    return asked


def _as(kind: TokenType, token: Token) -> Token:
    return Token(kind, token.text, token.line, token.col, token.start, token.end)


def _is_ours(token: Token) -> bool:
    return token.token_type is TokenType.VAR and token.text.lower() in _OUR_WORDS
