"""``llmtap serve``: everything, until stopped."""

from __future__ import annotations

import signal
import sys
import threading

import click

from .. import logs
from ..config import Config
from .options import with_config
from .processes import Stack
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
    SIGTERM or Ctrl-C lets running calls finish (limits.drain_timeout_s), a second one does not.
    """
    logs.start(config.log, "serve")
    stack = Stack(config, console=True)
    asked = _until_asked_to_stop(stack)
    stack.start()
    print(banner(stack, Terminal()), flush=True)
    while not asked.wait(0.5):
        pass
    stack.drain()


def banner(stack: Stack, terminal: Terminal) -> str:
    """What to do next, on one small screen."""
    base = f"{stack.relay_url}/v1"
    rows = (
        ("point your app here", terminal.paint(f"export OPENAI_BASE_URL={base}", "bold")),
        ("watch the calls", terminal.paint(_tail_command(stack), "bold")),
        ("console", str(stack.console_url)),
        ("everything goes to", stack.config.relay.upstream) if stack.config.relay.upstream else None,
        ("data directory", str(stack.data_dir)),
        *(("note", note) for note in stack.notes),
    )
    lines = [f"  {label:<20} {text}" for label, text in filter(None, rows)]
    return "\n".join([terminal.paint("llmtap is listening.", "green"), *lines])


def _tail_command(stack: Stack) -> str:
    import os

    from ..config import default_data_dir

    usual = stack.data_dir == default_data_dir(os.environ).absolute()
    return "llmtap tail" if usual else f"llmtap tail --data-dir {stack.data_dir}"


def _until_asked_to_stop(stack: Stack) -> threading.Event:
    """An event that the first SIGTERM or Ctrl-C sets; a second one cuts the drain short."""
    asked = threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        if asked.is_set():
            stack.cut_short()
        elif sys.stderr.isatty():
            print("\nletting running calls finish; once more stops at once", file=sys.stderr)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return asked
