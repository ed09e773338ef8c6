"""``llmtap run -- CMD…``: a command with its calls recorded, and a summary of them at its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import click
import msgspec
from msgspec import Struct

from .. import logs
from ..addresses import parse_base
from ..config import Config, Upstream
from ..datadir import prepare
from ..errors import ConfigError
from ..records import Call, Status
from .options import with_config
from .processes import Stack, writer_alive

_INGEST_WAIT_S = 20.0
_NOT_FOUND, _NOT_EXECUTABLE, _SIGNALLED = 127, 126, 128


class BaseUrl(Struct, frozen=True):
    """An environment variable that SDKs read their base URL from."""

    name: str
    prefix: str  #: of the route that it stands for
    tail: str  #: what follows the relay's address and the prefix when the variable was not set


BASE_URLS = (
    BaseUrl("OPENAI_BASE_URL", "", "/v1"),
    BaseUrl("OPENAI_API_BASE", "", "/v1"),
    BaseUrl("ANTHROPIC_BASE_URL", "/anthropic", ""),
    BaseUrl("GOOGLE_GEMINI_BASE_URL", "/gemini", ""),
    BaseUrl("OLLAMA_HOST", "/ollama", ""),
)


class Redirection(Struct, frozen=True):
    """How one variable leads through the relay: an upstream to add, and what the command sees."""

    name: str
    path: str
    upstream: Upstream | None


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@with_config()
def run(config: Config, command: tuple[str, ...]) -> int:
    """Run CMD with OPENAI_BASE_URL and its like set to a relay of its own; its exit code is CMD's.

    A base URL that is set already becomes the upstream of its route, so no key ever goes to another
    provider. Calls land in the usual data directory, also while `llmtap serve` is using it.
    """
    logs.start(msgspec.structs.replace(config.log, level="error"), "run")
    redirections = plan(os.environ)
    name = f"run-{os.getpid()}"
    stack = Stack(
        _own_config(config, redirections),
        console=False,
        ingest=not writer_alive(prepare(config.data_dir)),
        relay_name=name,
    )
    with stack:
        code = _execute(command, {**os.environ, **_variables(redirections, stack.relay_url)})
    calls = asyncio.run(_stored_calls(stack.data_dir, name))
    print(summary(calls), file=sys.stderr)
    return code


def plan(environment: Mapping[str, str]) -> list[Redirection]:
    """What to do with each variable. Raises ``ConfigError`` for a base URL that cannot be an upstream."""
    plans: list[Redirection] = []
    taken: dict[str, str] = {}
    for row in BASE_URLS:
        given = environment.get(row.name, "").strip()
        if not given:
            plans.append(Redirection(row.name, row.prefix + row.tail, None))
            continue
        url = given if "://" in given else f"http://{given}"
        base = parse_base(url.replace("//0.0.0.0", "//127.0.0.1"), row.name)
        # Two variables of one route that disagree get a route each.
        prefix = row.prefix if taken.setdefault(row.prefix, base) == base else f"/{row.name.lower()}"
        tail = "/v1" if url.rstrip("/").endswith("/v1") else ""
        plans.append(
            Redirection(row.name, prefix + tail, Upstream(name=_upstream_name(row), base=base, prefix=prefix or "/"))
        )
    return plans


def _upstream_name(row: BaseUrl) -> str:
    return row.name.lower().replace("_", "-")


def _own_config(config: Config, redirections: list[Redirection]) -> Config:
    """The user's settings, a free port, and the upstreams that the environment names."""
    if config.relay.upstream:
        raise ConfigError("relay.upstream is set, so every provider would get every key; leave it out for llmtap run")
    added = {item.upstream.prefix: item.upstream for item in redirections if item.upstream is not None}
    kept = [row for row in config.upstreams if (row.prefix or f"/{row.name}") not in added]
    relay = msgspec.structs.replace(config.relay, listen="127.0.0.1:0", workers=1)
    return msgspec.structs.replace(config, relay=relay, upstreams=(*kept, *added.values()))


def _variables(redirections: list[Redirection], relay_url: str) -> dict[str, str]:
    return {item.name: relay_url + item.path for item in redirections}


def _execute(command: tuple[str, ...], environment: dict[str, str]) -> int:
    """Run it in our place: signals are passed on, its exit code comes back."""
    try:
        process = subprocess.Popen(command, env=environment)
    except FileNotFoundError:
        print(f"llmtap run: {command[0]}: no such command", file=sys.stderr)
        return _NOT_FOUND
    except OSError as error:
        print(f"llmtap run: {command[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_EXECUTABLE

    def pass_on(number: int, _frame: FrameType | None) -> None:
        # Ctrl-C has reached the command by itself: it is in our process group.
        if number != signal.SIGINT:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else _SIGNALLED - code


async def _stored_calls(data_dir: Path, name: str) -> list[Call]:
    """The calls of our relay, once its journal has been ingested."""
    from ..store.sqlite.reader import SqliteReader

    deadline = time.monotonic() + _INGEST_WAIT_S
    while any((data_dir / "journal").glob(f"{name}-*")) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)  # another process ingests: its directory going is the sign
    reader = await SqliteReader.open(data_dir)
    try:
        return await reader.recorded_by(f"{name}-0")
    finally:
        await reader.close()


def summary(calls: list[Call]) -> str:
    """Two lines: what it came to, and where to look."""
    from ..console import figures

    if not calls:
        return "llmtap: no LLM call was made (or the command does not read the base URL from its environment)"
    tokens = sum((call.input_tokens or 0) + (call.output_tokens or 0) for call in calls)
    cost = sum(call.cost_nano_usd or 0 for call in calls)
    errors = sum(call.status != Status.OK for call in calls)
    unpriced = sum(call.cost_nano_usd is None and call.output_tokens is not None for call in calls)
    note = f" ({unpriced} without a price)" if unpriced else ""
    return (
        f"llmtap: {len(calls)} calls · {tokens:,} tokens · {figures.money(cost)}{note} · {errors} errors\n"
        f"llmtap: llmtap show {calls[-1].id[-8:]} is the last one, llmtap tail -n {len(calls)} --no-follow lists them"
    )
