"""``llmtap serve``: everything, until stopped."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading

import click

from .. import logs
from ..config import Config
from .leftovers import clear_leftovers
from .options import hint, with_config
from .processes import Stack, writer
from .terminal import Terminal


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Where applications send their calls.  [default: localhost:8800]")
@click.option("--console", metavar="HOST:PORT", help="Where people look.  [default: localhost:8801]")
@click.option("--upstream", metavar="URL", help="The only upstream: every path goes there as sent.")
@click.option("--workers", type=int, metavar="N", help="Relay processes.  [default: 1]")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Least severity on stderr.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Log lines for people or for machines.")
@with_config(
    listen=("relay", "listen"),
    console=("console", "listen"),
    upstream=("relay", "upstream"),
    workers=("relay", "workers"),
    log_level=("log", "level"),
    log_format=("log", "format"),
)
def serve(config: Config) -> None:
    """Forward calls, record them and show them, until stopped.

    Point an application's base URL at the address that the banner shows; nothing else changes.
    SIGTERM, Ctrl-C or a closed terminal lets running calls finish (limits.drain_timeout_s), a second
    one does not.
    """
    logs.start(config.log, "serve")
    stack = Stack(config, console=True, relays_suffice=True)
    clear_leftovers(stack.data_dir)
    asked = _until_asked_to_stop(stack)
    ingesting = writer(stack.data_dir)
    stack.start()
    with contextlib.suppress(OSError):  # the terminal was closed meanwhile
        print(banner(stack, Terminal(), ingesting), flush=True)
    while not asked.wait(0.5):
        pass
    stack.drain()


def banner(stack: Stack, terminal: Terminal, ingesting: str | None = None) -> str:
    """What to do next, on one small screen. ``ingesting``: who else does at present."""
    base = f"{stack.relay_url}/v1"
    notes = [*stack.notes]
    if ingesting:
        notes.append(f"{ingesting} stores the calls until it ends; then this one does")
    rows = (
        ("point your app here", terminal.paint(f"export OPENAI_BASE_URL={base}", "bold")),
        ("watch the calls", terminal.paint(hint("tail", stack.data_dir), "bold")),
        ("console", str(stack.console_url)),
        ("everything goes to", stack.config.relay.upstream) if stack.config.relay.upstream else None,
        ("data directory", str(stack.data_dir)),
        *(("note", note) for note in notes),
    )
    lines = [f"  {label:<20} {text}" for label, text in filter(None, rows)]
    return "\n".join([terminal.paint("llmtap is listening.", "green"), *lines])


def _until_asked_to_stop(stack: Stack) -> threading.Event:
    """An event that the first SIGTERM, Ctrl-C or SIGHUP sets; a second one cuts the drain short."""
    asked = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        if asked.is_set() and number != signal.SIGHUP:  # a terminal that closes may say so twice
            stack.cut_short()
        elif number == signal.SIGINT and sys.stderr.isatty():
            with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: it came in the middle of a print
                print("\nletting running calls finish; once more stops at once", file=sys.stderr)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, on_signal)
    return asked
