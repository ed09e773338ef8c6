"""``llmtap show``: one call, to read, for a program, or byte for byte."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Sequence

import click

from ..config import Config
from ..errors import CallNotFound, UsageError
from ..records import Call, Exchange, ToolSpan
from ..store.base import Reader
from ..store.policy import Absence
from .conversation import conversation
from .facts import facts
from .options import with_config
from .raw import Side, body, head, missing
from .reading import how_to_begin, recorded
from .terminal import Terminal, printable

_SIDES: tuple[Side, ...] = ("request", "response")
_NOT_UNDERSTOOD = "(this endpoint is recorded but not understood yet: --raw request and --raw response give its bytes)"


class ReferenceCommand(click.Command):
    """Takes ``-1`` for an argument, not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set negative numbers apart, behind ``--``."""
        self._check_raw(ctx, args)
        if "--" in args:
            return super().parse_args(ctx, args)
        numbers = [arg for arg in args if arg[:1] == "-" and arg[1:].isdigit()]
        return super().parse_args(ctx, [*(arg for arg in args if arg not in numbers), "--", *numbers])

    @staticmethod
    def _check_raw(ctx: click.Context, args: list[str]) -> None:
        """``show --raw -1`` lacks the side; parsing would take the reference for it."""
        for option, value in itertools.pairwise([*args, "-"]):
            if option == "--raw" and value.startswith("-"):
                raise click.UsageError("--raw needs a side: --raw request or --raw response", ctx)


@click.command(cls=ReferenceCommand)
@click.argument("ref", required=False)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON: every field, prompts and answers included.")
@click.option("--raw", "side", type=click.Choice(_SIDES), help="The exact bytes of a body, nothing added.")
@click.option(
    "--head", "with_head", is_flag=True, help="Request or status line and headers; with --raw, before the body."
)
@click.option(
    "--conversation", "whole", is_flag=True, help="All calls of its conversation, as a tree, with tools and sub-agents."
)
@with_config()
def show(config: Config, ref: str | None, as_json: bool, side: Side | None, with_head: bool, whole: bool) -> int:
    """One call: the last one, or the one that REF names.

    REF is an id, a part of one that no other call begins or ends with, or -1 for the last, -2
    for the one before it. With --conversation, any call of a conversation stands for it.
    """
    if whole and (side or with_head):
        raise click.UsageError("--conversation goes neither with --raw nor with --head")
    if as_json and (side or with_head):
        raise click.UsageError("--json goes neither with --raw nor with --head")
    if ref is not None and ref.startswith("-0"):
        raise UsageError(f"there is no call {ref}: -1 is the last one, -2 the one before it")
    return asyncio.run(_show_trace(config, ref, as_json) if whole else _show(config, ref, as_json, side, with_head))


async def _show_trace(config: Config, ref: str | None, as_json: bool) -> int:
    from .trace import show_trace

    async with recorded(config) as reader:
        if not await reader.latest_rev():
            raise CallNotFound(how_to_begin(config))
        return await show_trace(reader, config, await reader.resolve(ref), as_json=as_json)


async def _show(config: Config, ref: str | None, as_json: bool, side: Side | None, with_head: bool) -> int:
    async with recorded(config) as reader:
        if not await reader.latest_rev():
            raise CallNotFound(how_to_begin(config))
        call = await reader.call(await reader.resolve(ref))
        if as_json:
            return await _write_json(reader, call, config)
        exchange = await reader.exchange(call.id)
        absence = await reader.absence(call.id) if exchange is None else None
        tools = await reader.tools(call.id)
    if side:
        return _write_raw(call, exchange, side, with_head, absence)
    if with_head:
        return _write_heads(call, exchange, absence)
    return _write_readable(call, exchange, tools, config, absence)


async def _write_json(reader: Reader, call: Call, config: Config) -> int:
    from ..console.documents import document, encoded

    sys.stdout.buffer.write(encoded(await document(reader, call, config)) + b"\n")
    return 0


def _write_raw(
    call: Call, exchange: Exchange | None, side: Side, with_head: bool, absence: Absence | None = None
) -> int:
    """Write what there is; what is missing is said on stderr and by the exit code."""
    if exchange is not None:
        sys.stdout.buffer.write((head(exchange, side) if with_head else b"") + body(exchange, side))
        sys.stdout.buffer.flush()
    reason = missing(call, exchange, side, absence)
    if reason:
        print(f"llmtap: call {call.id} {reason}", file=sys.stderr)
    return 1 if reason else 0


def _write_heads(call: Call, exchange: Exchange | None, absence: Absence | None) -> int:
    if exchange is None:
        return _write_raw(call, exchange, "request", with_head=True, absence=absence)
    for side in _SIDES:
        print(printable(head(exchange, side).decode("utf-8", "replace"), lines=True), end="")
    return 0


def _write_readable(
    call: Call, exchange: Exchange | None, tools: Sequence[ToolSpan], config: Config, absence: Absence | None
) -> int:
    from ..console.documents import understood
    from ..dialects.generic import Generic
    from ..pricing.charged import priced
    from ..pricing.overrides import overrides
    from ..pricing.prices import receipt
    from ..wire.headers import header_maps

    terminal = Terminal()
    parsed = understood(exchange, config) if exchange is not None else None
    paid = None
    if exchange is not None and parsed is not None:
        paid = receipt(priced(exchange, header_maps(exchange), parsed), overrides(config.prices))
    lines = list(facts(call, terminal, paid))
    if call.dialect == Generic.name:
        lines += ["", terminal.paint(_NOT_UNDERSTOOD, "dim")]
    if parsed is not None:
        lines += conversation(parsed, terminal, tools)
    gone = missing(call, exchange, "response", absence)
    if gone:
        lines += ["", terminal.paint(f"(this call {gone})", "yellow")]
    print("\n".join(lines))
    return 0
