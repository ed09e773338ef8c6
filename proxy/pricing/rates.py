"""What one model charges, as whole numbers, and what a call's counts come to with it.

All rates are nano-dollars for a million: of tokens, of uses of a tool, of calls. That is a whole
number for every published price, so that a cost is the same on every machine, and exact until it
is rounded once, to a nano-dollar. A kind of token that has a price of its own is not charged as
the larger kind that it is a part of; a long prompt is charged by its tier throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from msgspec import Struct

from ..records import Usage, evolve

MILLION = 1_000_000
NANO_PER_DOLLAR = 1_000_000_000
MOST_NANO_USD = 2**63 - 1  #: what a store can hold

Tiers = tuple[tuple[int, int], ...]  # (for prompts longer than so many tokens, nano-dollars per million), longest first

#: A count of ``Usage`` → the larger count that it is a part of. Parts stand before their wholes.
WHOLES = {
    "cache_write_1h_tokens": "cache_write_tokens",
    "cache_write_tokens": "input_tokens",
    "cached_tokens": "input_tokens",
    "input_audio_tokens": "input_tokens",
    "input_image_tokens": "input_tokens",
    "input_tokens": "",
    "reasoning_tokens": "output_tokens",
    "output_audio_tokens": "output_tokens",
    "output_image_tokens": "output_tokens",
    "output_tokens": "",
}
_OUTPUT = ("output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens")


class Line(Struct, frozen=True):
    """One line of a receipt."""

    kind: str  #: a count of ``Usage``, a tool, ``call``, or ``reported``
    count: int
    nano_per_million: int
    nano_usd: int  #: the lines' roundings make up for each other: they sum to the cost


class Rates(Struct, frozen=True, kw_only=True):
    """What one model charges at one time, in one tier."""

    tokens: Mapping[str, Tiers] = {}  #: by count of ``Usage``
    call: int = 0

    def scaled(self, factor: Fraction) -> Rates:
        """The same with other prices for tokens: a fee for the call has no tiers."""
        tokens = {
            kind: tuple((above, round(rate * factor)) for above, rate in tiers) for kind, tiers in self.tokens.items()
        }
        return evolve(self, tokens=tokens)

    def lines(
        self, usage: Usage, prompt_tokens: int, tools: Mapping[str, int], calls: int = 1
    ) -> tuple[Line, ...] | None:
        """What is paid for; None where a count that has a price is unknown, or where the counts contradict.

        ``prompt_tokens`` chooses the tier. ``tools``: fees, by name in ``Usage.requests``; a tool that
        is not there is passed over.
        """
        if not self._is_enough(usage) or not is_consistent(usage):
            return None
        counts = _own_counts(usage, self.tokens)
        if counts is None:
            return None
        charged = [(kind, count, rate_at(self.tokens[kind], prompt_tokens)) for kind, count in counts]
        if self.call:
            charged.append(("call", calls, self.call))
        charged += [(tool, count, tools[tool]) for tool, count in usage.requests.items() if tool in tools]
        return tuple(_rounded(charged))

    def _is_enough(self, usage: Usage) -> bool:
        return (usage.input_tokens is not None or not self._charges(output=False)) and (
            usage.output_tokens is not None or not self._charges(output=True)
        )

    def _charges(self, *, output: bool) -> bool:
        return any(rate for kind, tiers in self.tokens.items() if (kind in _OUTPUT) == output for _, rate in tiers)


def rate_at(tiers: Tiers, prompt_tokens: int) -> int:
    """The rate for a prompt of that length."""
    for above, rate in tiers:
        if prompt_tokens > above:
            return rate
    return 0


def is_consistent(usage: Usage) -> bool:
    """Whether no count is negative and no part larger than its whole, priced apart or not."""
    asked, answered = usage.input_tokens or 0, usage.output_tokens or 0
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    heard, seen = usage.input_audio_tokens or 0, usage.input_image_tokens or 0
    said, drawn = usage.output_audio_tokens or 0, usage.output_image_tokens or 0
    reasoned, kept = usage.reasoning_tokens or 0, usage.cache_write_1h_tokens or 0
    return (
        min(cached, written, kept, heard, seen, said, drawn, reasoned, *usage.requests.values()) >= 0
        and cached + written <= asked
        and kept <= written
        and heard + seen <= asked
        and said + drawn <= answered
        and reasoned <= answered
    )


def _own_counts(usage: Usage, priced: Mapping[str, Tiers]) -> list[tuple[str, int]] | None:
    """Of each priced kind, the tokens that no priced part of it has; None when the parts exceed the whole.

    Which tokens are both sound and cached nobody says: they are taken to be different ones while they can be.
    """
    taken: dict[str, int] = {}
    counts = []
    for kind, whole in WHOLES.items():
        count, parts = getattr(usage, kind) or 0, taken.get(kind, 0)
        if not count and not parts:
            continue
        if parts > count:
            return None
        if kind in priced:
            counts.append((kind, count - parts))
            parts = count
        taken[whole] = taken.get(whole, 0) + parts
    return counts


def _rounded(charged: Iterable[tuple[str, int, int]]) -> Iterator[Line]:
    """Lines whose amounts sum to the rounded sum: each is the step that the rounded running total makes."""
    exact = before = 0
    for kind, count, rate in charged:
        if count:
            exact += count * rate
            after = (exact + MILLION // 2) // MILLION
            yield Line(kind, count, rate, after - before)
            before = after
