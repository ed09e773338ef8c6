"""A filter, parsed: a small tree that stores compile. Values are bound, never pasted."""

from __future__ import annotations

from msgspec import Struct

Value = str | int | float | bool | None


class Comparison(Struct, frozen=True):
    """``field op value``; ``key`` is the part after the dot of ``metadata.user_id``."""

    field: str
    op: str  #: = != < <= > >=
    value: Value
    key: str | None = None


class Not(Struct, frozen=True):
    """The opposite of a filter."""

    child: Filter


class And(Struct, frozen=True):
    """All of them."""

    children: tuple[Filter, ...]


class Or(Struct, frozen=True):
    """Any of them."""

    children: tuple[Filter, ...]


Filter = Comparison | Not | And | Or
