"""``llmtap run -- CMD…``: a command with its calls recorded, and a summary of them at its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click
import msgspec

from .. import logs
from ..config import Config
from ..datadir import prepare
from ..errors import StoreError
from ..records import Call, Status
from .base_urls import own_config, plan
from .options import hint, with_config
from .ports import leads_to_relay
from .processes import Stack

_NOT_FOUND, _NOT_EXECUTABLE, _SIGNALLED = 127, 126, 128
_TYPED = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (*_TYPED, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@with_config()
def run(config: Config, command: tuple[str, ...]) -> int:
    """Run CMD with OPENAI_BASE_URL and its like set to a relay of its own; its exit code is CMD's.

    A base URL that is set already becomes the upstream of its route, so no key ever goes to another
    provider; one that leads to a running `llmtap serve` is left as it is. Calls land in the usual
    data directory, also while `llmtap serve` is using it.
    """
    config = msgspec.structs.replace(config, log=msgspec.structs.replace(config.log, level="error"))
    logs.start(config.log, "run")
    data_dir = prepare(config.data_dir)
    planned = plan(os.environ, config, lambda base: leads_to_relay(data_dir, base))
    # Beside the pid something that no earlier run had: in a container the pid is always the same.
    name = f"run-{os.getpid()}-{secrets.token_hex(3)}"
    with Stack(own_config(config, planned), console=False, relay_name=name, relays_suffice=True) as stack:
        code = _execute(command, {**os.environ, **planned.variables(stack.relay_url, os.environ)})
        waiting = stack.settle()
        lines = _account(data_dir, name, waiting)
    if planned.untouched:
        lines.append(f"calls by {', '.join(planned.untouched)} are recorded by the llmtap that runs already")
    if not lines:
        lines = ["no LLM call was made (or the command does not read the base URL from its environment)"]
    with contextlib.suppress(OSError):  # the terminal was closed meanwhile
        print("\n".join(f"llmtap: {line}" for line in lines), file=sys.stderr)
    return code


def _execute(command: tuple[str, ...], environment: dict[str, str]) -> int:
    """Run it in our place: signals are passed on, its exit code comes back."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number in _TYPED and _in_foreground():
            return  # the terminal has told the command too: it is in our process group
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    # What is ignored stays so, for us and for the command: nohup.
    heard = [number for number in _PASSED_ON if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in heard}
    try:
        process = subprocess.Popen(command, env=environment)
        for number in early:
            process.send_signal(number)
        code = process.wait()
    except FileNotFoundError:
        print(f"llmtap run: {command[0]}: no such command", file=sys.stderr)
        return _NOT_FOUND
    except OSError as error:
        print(f"llmtap run: {command[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_EXECUTABLE
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else _SIGNALLED - code


def _in_foreground() -> bool:
    """Whether what is typed at the terminal reaches our process group, and so the command."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _account(data_dir: Path, name: str, waiting: Sequence[Path]) -> list[str]:
    """The lines of the summary, none without calls; ``waiting``: journals that are not stored yet."""
    try:
        calls = asyncio.run(_stored_calls(data_dir, name))
    except StoreError as error:
        return [str(error), *_waiting_line(_begun(waiting))]
    ended = {call.id for call in calls if call.status != Status.RUNNING}
    return [*(summary(calls, data_dir) if calls else ()), *_waiting_line(_begun(waiting) - ended)]


async def _stored_calls(data_dir: Path, name: str) -> list[Call]:
    """The calls of our relay that the store holds."""
    from .reading import store_reader

    async with store_reader(data_dir) as reader:
        return await reader.recorded_by(f"{name}-0")


def _begun(journals: Sequence[Path]) -> set[str]:
    """The ids of all calls in journals that nobody writes any more."""
    from ..clock import id_text
    from ..journal.codec import decode
    from ..journal.reader import JournalReader, Missing
    from ..records import Begin

    found: set[str] = set()
    for directory in journals:
        reader = JournalReader(directory)
        with contextlib.closing(reader), contextlib.suppress(OSError):
            while not reader.finished and reader.directory.exists():
                for item in reader.poll():
                    record = None if isinstance(item, Missing) else decode(item[1].kind, item[1].payload)
                    if isinstance(record, Begin):
                        found.add(id_text(record.id))
    return found


def _waiting_line(ids: set[str]) -> list[str]:
    if not ids:
        return []
    return [f"{len(ids)} calls are recorded but not stored yet; the next llmtap serve does that"]


def summary(calls: list[Call], data_dir: Path) -> list[str]:
    """What some calls came to, and where to look."""
    from ..console import figures

    tokens = sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in calls)
    cost = sum(call.cost_nano_usd or 0 for call in calls)
    errors = sum(call.status != Status.OK for call in calls)
    unpriced = sum(call.cost_nano_usd is None and call.output_tokens is not None for call in calls)
    note = f" ({unpriced} without a price)" if unpriced else ""
    show, tail = hint(f"show {calls[-1].id[-8:]}", data_dir), hint(f"tail -n {len(calls)} --no-follow", data_dir)
    return [
        " · ".join(
            (_count(len(calls), "call"), f"{tokens:,} tokens", figures.money(cost) + note, _count(errors, "error"))
        ),
        f"{show} is the last one, {tail} lists them",
    ]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
