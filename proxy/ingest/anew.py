"""A stored call looked at again: what its row would be today, from its bytes or, when they are gone, from itself.

What the bytes do not tell is kept as it is stored: links between calls, the program that called,
tokens that were handed over from another call.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field

from ..pricing.overrides import Overrides
from ..pricing.prices import Priced, price
from ..records import Call, Exchange, Usage, evolve
from ..store.base import StoredCall
from .pipeline import Pipeline

#: Columns that no bytes of the call itself tell.
_KEPT = ("updated_at_us", "rev", "retry_of", "program", "cwd", "branch", "conversation", "background")
#: Columns that a later call may have brought.
_HANDED = (
    "model", "finish_reason", "service_tier", "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens",
    "reasoning_tokens", "tokens_source", "cost_nano_usd", "cost_source", "preview_output", "filtered",
)  # fmt: skip
_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_CUT = "…"  #: what a store ends a text with that was too long for it

Anew = Callable[[Pipeline, Overrides, Call, Exchange | None], StoredCall]


def rederived(pipeline: Pipeline, _: Overrides, call: Call, exchange: Exchange | None) -> StoredCall:
    """The row that today's parser makes of the call's bytes; as it is when they are gone."""
    if exchange is None:
        return StoredCall(call=call)
    found = pipeline.run(exchange)
    kept = _KEPT + _HANDED if found.parsed.retrieved or _was_answered_later(call, found.call) else _KEPT
    row = evolve(found.call, **{name: getattr(call, name) for name in kept})
    return StoredCall(call=row, tools=found.tools)


def _was_answered_later(old: Call, new: Call) -> bool:
    return bool(old.background) and new.output_tokens is None and old.output_tokens is not None


def repriced(pipeline: Pipeline, own: Overrides, call: Call, exchange: Exchange | None) -> StoredCall:
    """The call at today's prices, with its tokens as they are stored. The upstream's own figure stands."""
    found = pipeline.run(exchange) if exchange is not None else None
    if found is not None and found.parsed.usage is not None and _same_counts(found.call, call):
        row = evolve(call, cost_nano_usd=found.call.cost_nano_usd, cost_source=found.call.cost_source)
        return StoredCall(call=row, tools=found.tools)
    if call.cost_source == "upstream" or (call.input_tokens is None and call.output_tokens is None):
        return StoredCall(call=call)
    cost = price(
        Priced(
            model=call.model or call.model_requested,
            usage=Usage(**{name: getattr(call, name) for name in _COUNTS}),
            at_us=call.started_at_us,
            upstream=call.upstream or "",
            service_tier=call.service_tier,
        ),
        own,
    )
    return StoredCall(call=call if cost is None else evolve(call, cost_nano_usd=cost.nano_usd, cost_source=cost.source))


def _same_counts(one: Call, other: Call) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _COUNTS)


class Receipt(Struct, kw_only=True):
    """What has been done so far: shown to people, and kept with the job."""

    looked: int = 0
    changed: int = 0
    without_bodies: int = 0  #: looked at by their rows alone
    fields: dict[str, int] = field(default_factory=dict)  #: column → calls that changed in it
    cost_before_nano_usd: int = 0
    cost_after_nano_usd: int = 0
    priced_before: int = 0  #: calls that had a cost
    priced_after: int = 0
    before: str | None = None  #: id of the last call that was looked at: an interrupted job goes on there
    error: str | None = None

    def count(self, old: Call, new: Call, *, with_bodies: bool) -> bool:
        """Add a call; whether it changed."""
        names = [name for name in Call.__struct_fields__ if _differs(getattr(old, name), getattr(new, name))]
        self.looked += 1
        self.changed += bool(names)
        self.without_bodies += not with_bodies
        for name in names:
            self.fields[name] = self.fields.get(name, 0) + 1
        self.cost_before_nano_usd += old.cost_nano_usd or 0
        self.cost_after_nano_usd += new.cost_nano_usd or 0
        self.priced_before += old.cost_nano_usd is not None
        self.priced_after += new.cost_nano_usd is not None
        self.before = old.id
        return bool(names)


def _differs(stored: object, derived: object) -> bool:
    """Whether a value changed; one that the store had to cut has not, as far as can be seen."""
    if isinstance(stored, str) and isinstance(derived, str) and stored.endswith(_CUT):
        return not derived.startswith(stored[: -len(_CUT)])
    return stored != derived
