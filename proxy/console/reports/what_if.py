"""``--what-if MODEL``: what the tokens of a report would have cost at another model's prices of today.

The same tokens are assumed: a model that counts, reasons or caches differently would need others.
Nobody knows the length of single prompts in a sum, so all are charged as short ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ...config import Config
from ...errors import UsageError
from ...query.tree import And, Comparison, Filter, Or
from ...records import Usage
from ...store.base import ReportRow
from .figures import Offer

_HAS_COST = Comparison("cost_usd", "!=", None)
_HAS_TOKENS = Or((Comparison("input_tokens", "!=", None), Comparison("output_tokens", "!=", None)))


def comparable(where: Filter | None) -> Filter:
    """Of the calls that match, those whose cost and tokens are both known: only their difference is one of prices."""
    known = (_HAS_COST, _HAS_TOKENS)
    return And(known if where is None else (where, *known))


class Prices(Struct, frozen=True):
    """Today's prices of some models."""

    config: Config
    models: tuple[str, ...]
    at_us: int

    def check(self, option: str = "--what-if") -> None:
        """Raise ``UsageError`` for a model without a price."""
        for model in self.models:
            if self._price(model, Usage(input_tokens=0, output_tokens=0), 1) is None:
                raise UsageError(
                    f"{option} {model!r}: no price is known for this model; "
                    "write its name as its provider does, or give it a price under [[prices]] in the settings"
                )

    def offers(self, row: ReportRow, known: ReportRow | None) -> tuple[Offer, ...]:
        """For one line. ``known``: the same line of the calls that are ``comparable``; None when there are none."""
        return tuple(self._offer(model, row, known) for model in self.models)

    def _offer(self, model: str, row: ReportRow, known: ReportRow | None) -> Offer:
        whole = self._cost(model, row)
        part = None if known is None else self._cost(model, known)
        if known is None or part is None:
            return Offer(whole, None)
        return Offer(whole, part - known.cost_nano_usd, known.cost_nano_usd)

    def _cost(self, model: str, row: ReportRow) -> int | None:
        paid = row.calls_with_cost + row.calls_without_cost
        return self._price(model, _usage(row), paid) if paid else None

    def _price(self, model: str, usage: Usage, calls: int) -> int | None:
        from ...pricing.overrides import overrides
        from ...pricing.prices import what_if

        return what_if(model, usage, self.at_us, overrides(self.config.prices), calls)


def _usage(row: ReportRow) -> Usage:
    return Usage(
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        cache_write_tokens=row.cache_write_tokens,
        reasoning_tokens=row.reasoning_tokens,
    )


def assumed(models: Sequence[str], without_cost: int) -> list[str]:
    """What a reader must know."""
    notes = [
        f"What if {' or '.join(models)} had answered: the same tokens at today's prices, "
        "all prompts charged as short ones, in the standard tier, without fees for searches and other tools."
    ]
    if without_cost:
        notes.append("Differences are of the calls whose cost is known.")
    return notes
