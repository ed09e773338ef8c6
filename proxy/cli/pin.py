"""``llmtap pin`` and ``llmtap hold``: what retention must not touch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click
import msgspec

from ..clock import CallIds, id_text, rfc3339, wall_us
from ..config import Config
from ..console import figures
from ..errors import LlmtapError, UsageError
from ..query.sentence import sentence
from ..query.tree import Filter
from ..store.base import JSON, JobRow, JobState, Reader
from ..store.policy import Hold
from .options import FILTER_HELP, filter_option, with_config
from .reading import how_to_begin, recorded
from .terminal import Terminal, printable
from .work import worked


@click.command(epilog=FILTER_HELP)
@click.argument("refs", nargs=-1, metavar="[ID]…")
@filter_option
@click.option("--remove", is_flag=True, help="Take pins away.")
@with_config()
def pin(config: Config, refs: tuple[str, ...], where: Filter | None, remove: bool) -> int:
    """Keep calls for good, whatever the limits of retention: by id, or all that match now.

    Without arguments, says how many are pinned. Ids are as in show: full, a part, or -1 for the last.
    """
    return asyncio.run(_pin(config, refs, where, remove))


async def _pin(config: Config, refs: tuple[str, ...], where: Filter | None, remove: bool) -> int:
    async with recorded(config) as reader:
        if not await reader.latest_rev():
            raise LlmtapError(how_to_begin(config))
        if refs or where is not None:
            calls = [await reader.resolve(ref) for ref in refs]
            request = {"calls": calls, "where": msgspec.to_builtins(where), "remove": remove}
            receipt = await _asked(config, reader, "pin", request)
            print(f"{_calls(receipt['changed'])} {'no longer pinned' if remove else 'pinned'}", end="; ")
        elif remove:
            raise UsageError("whose pins? give ids, or --filter")
        print(f"{_calls(await reader.pins())} pinned in all")
    return 0


@click.command(epilog=FILTER_HELP)
@click.argument("name", required=False)
@filter_option
@click.option("--release", metavar="NAME", help="End a hold.")
@click.option("--json", "as_json", is_flag=True, help="The holds as JSON, one a line.")
@with_config()
def hold(config: Config, name: str | None, where: Filter | None, release: str | None, as_json: bool) -> int:
    """Legal hold: calls that match --filter are kept while the hold NAME stands, also those yet to come.

    Without arguments, lists the holds. A hold of the same name is replaced.
    """
    if release is not None and (name is not None or where is not None):
        raise UsageError("--release stands alone")
    if (name is None) != (where is None):
        raise UsageError("a hold has a name and a filter: llmtap hold NAME --filter \"user = 'ada'\"")
    return asyncio.run(_hold(config, name, where, release, as_json))


async def _hold(config: Config, name: str | None, where: Filter | None, release: str | None, as_json: bool) -> int:
    async with recorded(config) as reader:
        if not await reader.latest_rev():
            raise LlmtapError(how_to_begin(config))
        if release is not None:
            if not (await _asked(config, reader, "release", {"name": release}))["released"]:
                raise UsageError(f"there is no hold {release!r}; llmtap hold lists them")
            print(f"{printable(release)} is released: its calls go when their time has come")
        elif name is not None and where is not None:
            wanted = Hold(name=name, where=where, words=sentence(where), since_us=wall_us())
            await _asked(config, reader, "hold", {"hold": msgspec.to_builtins(wanted)})
            print(f"{printable(name)} stands: calls {printable(wanted.words)} are kept, also those yet to come")
        else:
            _list(await reader.holds(), as_json)
    return 0


async def _asked(config: Config, reader: Reader, kind: str, request: JSON) -> JSON:
    """Have it done by whoever may write; the receipt."""
    job = JobRow(id=id_text(CallIds().next(wall_us())), kind=kind, asked_at_us=wall_us(), request=request)
    async for step in worked(config, reader, job):
        job = step
    if job.state == JobState.FAILED:
        raise LlmtapError(f"{kind} failed: {job.receipt.get('error')}")
    return job.receipt


def _list(holds: Sequence[Hold], as_json: bool) -> None:
    terminal = Terminal()
    if not holds and not as_json:
        print("nothing is on hold")
    for hold in holds:
        if as_json:
            found = {"name": hold.name, "where": hold.where, "words": hold.words, "since": rfc3339(hold.since_us)}
            print(msgspec.json.encode(found).decode())
        else:
            since = terminal.paint(f"since {figures.date_time(hold.since_us)}", "dim")
            print(f"{terminal.paint(printable(hold.name), 'bold')}  {printable(hold.words)}  {since}")


def _calls(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"
