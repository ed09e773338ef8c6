"""What somebody seeks, as FTS5 writes it. Everything is quoted: no sign of the asker's has a meaning there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ....query.words import Term, Words, parse_words
from ...texts import COLUMNS


def sought(text: str, columns: Collection[str] = COLUMNS) -> str:
    """For ``MATCH``: what people write (``query.words``), in these columns together. Raises ``QueryError``."""
    return expression(parse_words(text), columns)


def expression(words: Words, columns: Collection[str]) -> str:
    """The same of words that are read already."""
    found = " AND ".join(f"({_any(group)})" for group in words.groups)
    if words.without:
        found = f"({found}) NOT ({_any(words.without)})"
    return found if set(columns) == set(COLUMNS) else f"{{{' '.join(columns)}}} : ({found})"


def _any(terms: Iterable[Term]) -> str:
    return " OR ".join(f'"{" ".join(term.tokens)}"{" *" if term.prefix else ""}' for term in terms)
