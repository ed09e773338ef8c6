"""``llmtap demo``: a whole llmtap with a sample upstream of its own, some dozens of calls, and what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import click

from ..clock import monotonic_us
from ..console.reports.figures import plain
from ..errors import OurError
from ..records import Status
from ..tasks import spawn
from .follow import Follower
from .live import LiveOutput, PlainOutput
from .options import config_options, configured_by, hint, invoked_as
from .processes import Stack
from .reading import store_reader
from .report.table import report_table
from .sample_calls import SampleCalls
from .terminal import Terminal

_POLL_S = 0.1
_GIVE_UP_US = 15_000_000
_ANY_PORT = "127.0.0.1:0"


@click.command()
@click.option("--keep", is_flag=True, help="Go on serving afterwards, until stopped, and say where.")
@config_options
def demo(config_file: Path | None, data_dir: str | None, keep: bool) -> None:
    """See it work: sample calls through a llmtap of their own.

    Nothing leaves this machine and no key is needed: the answers come from a sample upstream.
    The data directory is a temporary one, unless --data-dir names another.
    """
    with _directory(data_dir) as directory, _listening() as upstream:
        given = {
            ("relay", "listen"): _ANY_PORT,
            ("relay", "upstream"): f"http://127.0.0.1:{upstream.getsockname()[1]}",
            ("console", "listen"): _ANY_PORT,
            ("log", "level"): "error",
        }
        with Stack(configured_by(config_file, directory, given), console=keep) as stack:
            asyncio.run(_demo(stack, upstream, keep))


@contextlib.contextmanager
def _directory(named: str | None) -> Iterator[str]:
    if named:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="llmtap-demo-", ignore_cleanup_errors=True) as made:
        yield made


@contextlib.contextmanager
def _listening() -> Iterator[socket.socket]:
    """The socket of the sample upstream: its port must be known before anything starts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


async def _demo(stack: Stack, upstream: socket.socket, keep: bool) -> None:
    terminal = Terminal()
    async with _sample_upstream(upstream), store_reader(stack.data_dir) as reader:
        calls = SampleCalls(stack.relay_url)
        terminal.write(f"Two applications make some calls through {stack.relay_url}:\n\n")
        await _watch(calls, Follower(reader), terminal)
        rows, total = await reader.report(("model",)), await reader.report(())
        found = plain(("model",), rows, total[0])
        terminal.write(f"\nWhat they cost, by model:\n\n{report_table(found)}\n")
        if keep:
            await _keep(stack, terminal)
        else:
            ours = invoked_as()
            terminal.write(f"Keep it running: {ours} demo --keep. Record calls of your own: {ours} serve\n")


@contextlib.asynccontextmanager
async def _sample_upstream(listening: socket.socket) -> AsyncIterator[None]:
    from aiohttp import web

    from .sample_upstream import sample_app

    runner = web.AppRunner(sample_app(), access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()


async def _watch(calls: SampleCalls, follower: Follower, terminal: Terminal) -> None:
    """Make the calls and show each as it is stored, until all of them are, or nothing comes any more."""
    output = LiveOutput(terminal) if terminal.steerable else PlainOutput(terminal, only_ended=True)
    making = spawn(calls.run(), "sample calls")
    stored: set[str] = set()
    quiet_since = monotonic_us()
    while not making.done() or len(stored) < calls.made:
        changed = await follower.changes()
        stored.update(call.id for call in changed if call.status != Status.RUNNING)
        if changed or not making.done():
            quiet_since = monotonic_us()
        if monotonic_us() - quiet_since > _GIVE_UP_US:
            raise OurError(f"{calls.made} calls were made, {len(stored)} are stored; the log above says why")
        await output.show(changed, note=f"{len(stored)} calls stored…")
        await asyncio.sleep(_POLL_S)
    await making
    await output.show([], note="")


async def _keep(stack: Stack, terminal: Terminal) -> None:
    """Say where it serves, until Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    terminal.write("".join(f"{line}\n" for line in _next_steps(stack, terminal)))
    await stop.wait()


def _next_steps(stack: Stack, terminal: Terminal) -> Iterator[str]:
    """What to type stands alone on its line, so that it can be copied whole."""
    for title, lines in (
        ("Look at the calls in a browser:", [stack.console_url]),
        ("or here:", [hint(command, stack.data_dir) for command in ("tail", "show", "report")]),
        (
            "Make calls of your own to the sample API:",
            [f"export OPENAI_BASE_URL={stack.relay_url}/v1", "export OPENAI_API_KEY=sample"],
        ),
    ):
        yield terminal.paint(title, "dim")
        yield from (f"  {line}" for line in lines)
    yield terminal.paint("Ctrl-C ends it.", "dim")
