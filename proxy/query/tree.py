"""A filter, parsed: a small tree that stores compile. Values are bound, never pasted.

A tree can be written down and read again (``msgspec.to_builtins`` and ``convert``): its times are
moments already, whatever the zone of who typed them.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

Scalar = str | int | float | bool | None
Value = Scalar | tuple[Scalar, ...]

_NOT = "not "


class Comparison(Struct, frozen=True, tag=True):
    """``field op value``; ``key`` is the part after the dot of ``metadata.user_id`` and ``scores.tone``.

    ``op``: ``= != < <= > >= like ilike in between``, the last four also with ``not`` before them.
    ``value``: several for ``in``, two for ``between``, else one; None asks whether it is known.
    """

    field: str
    op: str
    value: Value
    key: str | None = None

    @property
    def negated(self) -> bool:
        """Whether it is the opposite of ``positive``, for what is known at all."""
        return self.op == "!=" or self.op.startswith(_NOT)

    @property
    def positive(self) -> str:
        """The operator without its ``not``."""
        return "=" if self.op == "!=" else self.op.removeprefix(_NOT)

    @property
    def values(self) -> tuple[Scalar, ...]:
        """All that it is compared with."""
        return self.value if isinstance(self.value, tuple) else (self.value,)


class Match(Struct, frozen=True, tag=True):
    """A part of what was said holds these words; ``field``: text input output system tools."""

    field: str
    words: str


class Not(Struct, frozen=True, tag=True):
    """The opposite of a filter."""

    child: Filter


class And(Struct, frozen=True, tag=True):
    """All of them."""

    children: tuple[Filter, ...]


class Or(Struct, frozen=True, tag=True):
    """Any of them."""

    children: tuple[Filter, ...]


Filter = Comparison | Match | Not | And | Or


def leaves(where: Filter | None) -> Iterator[Comparison | Match]:
    """The comparisons and matches of a filter."""
    match where:
        case Comparison() | Match():
            yield where
        case Not(child):
            yield from leaves(child)
        case And(children) | Or(children):
            for child in children:
                yield from leaves(child)


def fields_of(where: Filter | None) -> frozenset[str]:
    """Names of the fields that a filter speaks of."""
    return frozenset(leaf.field for leaf in leaves(where))
