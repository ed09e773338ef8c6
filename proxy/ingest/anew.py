"""A stored call looked at again: what its row would be today, from its bytes.

What the bytes do not tell is kept as it is stored: links between calls, the program that called,
tokens that were handed over from another call. So is a cost whose bytes are gone: a row does not
say which provider answered, how long its cache lives, or what was paid per use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct, field

from ..pricing.modifiers import modifiers
from ..pricing.overrides import Overrides
from ..pricing.prices import Priced, price
from ..records import Call, Exchange, ToolSpan, Usage, evolve
from ..store.base import MOST_TOOLS, StoredCall
from .pipeline import Pipeline
from .stages import COUNTS, Item

#: Columns that no bytes of the call itself tell.
_KEPT = (
    "updated_at_us", "rev", "retry_of", "request_digest", "program", "cwd", "branch", "conversation", "follows",
    "follows_by", "system_version",
)  # fmt: skip
#: Columns that a later call may have brought, or that are counted with an earlier one.
_HANDED = (
    "model", "finish_reason", "service_tier", *COUNTS, "tokens_source", "cost_nano_usd", "cost_source",
    "preview_output", "filtered",
)  # fmt: skip
_OF_A_SPAN = ("place", "id", "name", "arguments_bytes", "digest", "server")  #: the rest came with its result
_CUT = "…"  #: what a store ends a text with that was too long for it


class Found(Struct, frozen=True, kw_only=True):
    """What is found of a call today."""

    stored: StoredCall  #: to write: its tools are None when they are not to be touched
    kept: bool = False  #: its cost stands because it cannot be told again


Anew = Callable[[Pipeline, Overrides, Call, Exchange | None], Found]


def rederived(pipeline: Pipeline, _: Overrides, call: Call, exchange: Exchange | None) -> Found:
    """The row that today's parser makes of the call's bytes; as it is when they are gone."""
    if exchange is None:
        return Found(stored=StoredCall(call=call))
    found = pipeline.run(exchange)
    elsewhere = _is_counted_elsewhere(call, found)
    kept = _KEPT + _HANDED if elsewhere else _KEPT
    row = evolve(found.call, **{name: getattr(call, name) for name in kept})
    tools = None if elsewhere else found.tools
    said = found.parsed.system_prompt if found.ties is not None else None
    stored = StoredCall(call=row, tools=tools, results=found.results, ties=found.ties, system_prompt=said)
    return Found(stored=stored)


def _is_counted_elsewhere(old: Call, found: Item) -> bool:
    """Whether its answer belongs to a call that asked for it earlier, or came with one that fetched it later."""
    if found.parsed.retrieved:
        return not _has_tokens(old)
    came_later = old.tokens_source == "upstream" and _has_tokens(old) and not _has_tokens(found.call)
    return came_later and found.call.response_id is not None


def repriced(pipeline: Pipeline, own: Overrides, call: Call, exchange: Exchange | None) -> Found:
    """The call at today's prices, with its tokens as they are stored. The upstream's own figure stands."""
    as_it_is = Found(stored=StoredCall(call=call))
    found = pipeline.run(exchange) if exchange is not None else None
    if found is not None and found.parsed.usage is not None and _same_counts(found.call, call):
        return _at(call, found.call.cost_nano_usd, found.call.cost_source)
    if call.cost_source == "upstream" or not _has_tokens(call):
        return as_it_is
    cost = price(_by_its_row(call), own) if _is_plain(call) and _has_own_price(call, own) else None
    return evolve(as_it_is, kept=True) if cost is None else _at(call, cost.nano_usd, cost.source)


def _at(call: Call, nano_usd: int | None, source: str | None) -> Found:
    return Found(stored=StoredCall(call=evolve(call, cost_nano_usd=nano_usd, cost_source=source)))


def _is_plain(call: Call) -> bool:
    """Whether nothing is priced yet, and its tokens are of kinds that a row tells wholly."""
    return call.cost_nano_usd is None and not call.cache_write_tokens


def _has_own_price(call: Call, own: Overrides) -> bool:
    """The price table goes by the upstream's address, which no row holds; the user's own rows by its name."""
    asked = _by_its_row(call)
    changed = modifiers(asked.service_tier, None, None)
    return asked.model is not None and any(row.fits(asked.model, asked.upstream, asked.at_us, changed) for row in own)


def _by_its_row(call: Call) -> Priced:
    return Priced(
        model=call.model or call.model_requested,
        usage=Usage(**{name: getattr(call, name) for name in COUNTS}),
        at_us=call.started_at_us,
        upstream=call.upstream or "",
        service_tier=call.service_tier,
    )


def _has_tokens(call: Call) -> bool:
    return call.input_tokens is not None or call.output_tokens is not None


def _same_counts(one: Call, other: Call) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in COUNTS)


class Receipt(Struct, kw_only=True):
    """What has been done so far: shown to people, and kept with the job."""

    looked: int = 0
    changed: int = 0
    without_bodies: int = 0  #: looked at by their rows alone
    kept: int = 0  #: could not be priced again: their stored cost stands
    failed: int = 0  #: could not be read or written anew, and are as they were
    fields: dict[str, int] = field(default_factory=dict)  #: column, or ``tools`` → calls that changed in it
    cost_before_nano_usd: int = 0
    cost_after_nano_usd: int = 0
    priced_before: int = 0  #: calls that had a cost
    priced_after: int = 0
    before: str | None = None  #: id of the last call that was looked at: an interrupted job goes on there
    error: str | None = None

    def count(self, old: Call, new: Call, *, with_bodies: bool, with_tools: bool = False) -> bool:
        """Add a call; whether it changed. ``with_tools``: in its tools, besides what its row tells."""
        names = _changes(old, new, with_tools)
        self.looked += 1
        self.changed += bool(names)
        self.without_bodies += not with_bodies
        for name in names:
            self.fields[name] = self.fields.get(name, 0) + 1
        self.cost_before_nano_usd += old.cost_nano_usd or 0
        self.cost_after_nano_usd += new.cost_nano_usd or 0
        self.priced_before += old.cost_nano_usd is not None
        self.priced_after += new.cost_nano_usd is not None
        return bool(names)

    def refuse(self, old: Call, new: Call, *, with_tools: bool = False) -> None:
        """A call that was counted so stays as it was, because the store does not take it."""
        names = _changes(old, new, with_tools)
        self.failed += 1
        self.changed -= bool(names)
        for name in names:
            self.fields[name] -= 1
        self.fields = {name: calls for name, calls in self.fields.items() if calls}
        self.cost_after_nano_usd += (old.cost_nano_usd or 0) - (new.cost_nano_usd or 0)
        self.priced_after += (old.cost_nano_usd is not None) - (new.cost_nano_usd is not None)


def _changes(old: Call, new: Call, with_tools: bool) -> list[str]:
    """What differs: columns, and ``tools``."""
    names = [name for name in Call.__struct_fields__ if _differs(getattr(old, name), getattr(new, name))]
    return names + ["tools"] * with_tools


def other_tools(stored: Sequence[ToolSpan], derived: Sequence[ToolSpan]) -> bool:
    """Whether an answer asks for other tools than are stored."""
    if len(stored) > len(derived) or (len(stored) < len(derived) and len(stored) < MOST_TOOLS):
        return True
    pairs = zip(stored, derived, strict=False)
    return any(_differs(getattr(old, name), getattr(new, name)) for old, new in pairs for name in _OF_A_SPAN)


def _differs(stored: object, derived: object) -> bool:
    """Whether a value changed; one that the store had to cut has not, as far as can be seen."""
    if isinstance(stored, str) and isinstance(derived, str) and stored.endswith(_CUT):
        return not derived.startswith(stored[: -len(_CUT)])
    return stored != derived
