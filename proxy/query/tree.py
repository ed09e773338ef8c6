"""A filter, parsed: a small tree that stores compile. Values are bound, never pasted.

A tree can be written down and read again (``msgspec.to_builtins`` and ``convert``): its times are
moments already, whatever the zone of who typed them.
"""

from __future__ import annotations

from msgspec import Struct

Value = str | int | float | bool | None


class Comparison(Struct, frozen=True, tag=True):
    """``field op value``; ``key`` is the part after the dot of ``metadata.user_id``."""

    field: str
    op: str  #: = != < <= > >=
    value: Value
    key: str | None = None


class Not(Struct, frozen=True, tag=True):
    """The opposite of a filter."""

    child: Filter


class And(Struct, frozen=True, tag=True):
    """All of them."""

    children: tuple[Filter, ...]


class Or(Struct, frozen=True, tag=True):
    """Any of them."""

    children: tuple[Filter, ...]


Filter = Comparison | Not | And | Or


def fields_of(where: Filter | None) -> frozenset[str]:
    """Names of the fields that a filter speaks of."""
    match where:
        case Comparison():
            return frozenset({where.field})
        case Not(child):
            return fields_of(child)
        case And(children) | Or(children):
            return frozenset().union(*map(fields_of, children))
        case None:
            return frozenset()
