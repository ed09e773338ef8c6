"""``llmtap doctor``: one upstream called direct and through llmtap, what differs, and the usual mistakes around it.

It asks for the list of models, which costs nothing; a refusal for want of a key serves as well,
as bytes are bytes. Only ``--model`` makes completions. Without a running ``serve``, or with one
that sends calls elsewhere, it starts a relay of its own, on a directory that is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from ... import logs
from ...config import Config
from ...console.health import look, relay_url
from ...errors import ConfigError, LlmtapError
from .. import check
from ..findings import Finding, lines
from ..options import config_options, configured_by, invoked_as
from ..processes import Stack
from ..terminal import Terminal, printable
from . import surroundings
from .comparison import CALL_ID, Observed, compare, compare_streams, delay, median_us
from .providers import Chosen, choose

_CALLS = 6  #: each way; the first connects, the others are timed
_COMPLETIONS = 2  #: each way
_ANY_PORT = "127.0.0.1:0"


class Report:
    """Findings as they come, for people at once, for machines at the end."""

    def __init__(self, as_json: bool) -> None:
        self.failed = False
        self.figures: dict[str, Any] = {}
        self._terminal = Terminal()
        self._findings: list[dict[str, Any]] | None = [] if as_json else None
        self._title = ""

    def section(self, title: str) -> None:
        """What follows is about this."""
        self._title = title
        if self._findings is None:
            print(self._terminal.paint(printable(title), "bold"), flush=True)

    def add(self, findings: Iterable[Finding]) -> None:
        """Show them one by one."""
        for finding in findings:
            self.failed |= finding.failed
            if self._findings is not None:
                self._findings.append({"about": self._title, "mark": finding.mark, **msgspec.to_builtins(finding)})
                continue
            for line in lines(finding, self._terminal):
                print(f"  {line}", flush=True)

    def end(self) -> int:
        """The exit code; as JSON, everything is written now."""
        if self._findings is not None:
            print(json.dumps({"ok": not self.failed, **self.figures, "findings": self._findings}, ensure_ascii=False))
        return 1 if self.failed else 0


@click.command()
@click.option("--upstream", "name", metavar="NAME", help="Which one; else the first with a key, or on this machine.")
@click.option("--model", metavar="MODEL", help="Stream short completions of this model too; costs a few tokens.")
@click.option("--relay", "relay", metavar="URL", help="Compare with what listens there, instead of this llmtap.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_options
def doctor(
    config_file: Path | None,
    data_dir: str | None,
    name: str | None,
    model: str | None,
    relay: str | None,
    as_json: bool,
) -> int:
    """Call an upstream direct and through llmtap, show what differs, and look for the usual mistakes.

    Keys are taken from the environment, as SDKs do, and sent to their own provider only; without one
    the upstream's refusal is compared. Exit code 1 when something must be mended.
    """
    report = Report(as_json)
    report.section("this machine and these settings")
    report.add(check.findings(config_file, data_dir))
    try:
        config = configured_by(config_file, data_dir, {})
    except ConfigError:
        return report.end()
    report.add(surroundings.findings(config, os.environ))
    chosen = choose(config, os.environ, name)
    report.section(f"{chosen.route.upstream} at {chosen.route.base}, {chosen.why}")
    try:
        url = relay or _running(report, config, chosen)
        with contextlib.nullcontext(url) if url else _own_relay(config) as url:
            report.add([Finding(True, f"compared with {'llmtap' if not relay else 'what listens'} at {url}")])
            asyncio.run(_examine(report, config, chosen, url, model))
    except LlmtapError as error:
        report.add([Finding(False, "llmtap cannot be tried", str(error))])
    return report.end()


def _running(report: Report, config: Config, chosen: Chosen) -> str | None:
    """The address of the running llmtap, if it can be given the key."""
    from .trial import trial

    if not look(config.data_dir, ["relay-0"])[0].up:
        report.add(
            [Finding(True, f"no llmtap runs, so one is started for this; {invoked_as()} serve starts one to stay")]
        )
        return None
    tried = asyncio.run(trial(config, chosen, relay_url(config)))
    report.add([tried])
    return relay_url(config) if tried.ok else None


@contextlib.contextmanager
def _own_relay(config: Config) -> Iterator[str]:
    """The address of a relay for the time being."""
    with tempfile.TemporaryDirectory(prefix="llmtap-doctor-", ignore_cleanup_errors=True) as directory:
        own = msgspec.structs.replace(
            config,
            data=msgspec.structs.replace(config.data, dir=directory),
            relay=msgspec.structs.replace(config.relay, listen=_ANY_PORT, workers=1),
            log=msgspec.structs.replace(config.log, level="error"),
        )
        logs.start(own.log, "doctor")
        with Stack(own, console=False, relays_suffice=True) as stack:
            yield stack.relay_url


async def _examine(report: Report, config: Config, chosen: Chosen, url: str, model: str | None) -> None:
    from .measuring import Request, in_turns, reachable_by_proxy

    listing = Request(chosen.provider.models, chosen.headers)
    direct, through, failure, failure_through = await in_turns(config, chosen.route, url, listing, _CALLS)
    if failure is not None and not config.relay.use_env_proxy and surroundings.proxies(os.environ):
        by_proxy = await reachable_by_proxy(config, chosen.route, listing)
        report.add([_unreachable(failure, by_proxy)])
    else:
        report.add([_unreachable(failure, by_proxy=False)] if failure else [])
    if failure_through is not None:
        report.add([Finding(False, f"llmtap cannot be called at {url}", str(failure_through))])
    if not direct or not through:
        return
    report.add(_answers(config, direct, through, url))
    report.figures["time_to_first_byte_us"] = {
        "direct": median_us([answer.head_us for answer in direct[1:]]),
        "through_llmtap": median_us([answer.head_us for answer in through[1:]]),
    }
    if model:
        report.section(f"{_COMPLETIONS * 2} short completions by {model}")
        body = chosen.completion(model)
        asked = Request(chosen.provider.chat, chosen.headers, body)
        direct, through, failure, failure_through = await in_turns(config, chosen.route, url, asked, _COMPLETIONS)
        report.add(Finding(False, "a completion failed", str(error)) for error in (failure, failure_through) if error)
        if direct and through:
            report.add(_refused(direct[0], model))
            report.add(compare_streams(direct, through))


def _unreachable(failure: LlmtapError, by_proxy: bool) -> Finding:
    if by_proxy:
        return Finding(
            False, f"only the proxy of the environment leads there: {failure}", "set relay.use_env_proxy = true"
        )
    return Finding(False, "the upstream cannot be called, with or without llmtap", str(failure))


def _answers(config: Config, direct: list[Observed], through: list[Observed], url: str) -> Iterator[Finding]:
    yield from compare(direct, through)
    if config.relay.call_id_header and not all(answer.value(CALL_ID) for answer in through):
        yield Finding(
            False,
            f"answers carry no {CALL_ID.decode()}: what listens at {url} is another program, or strips it",
            "look who holds the port; calls by another program are not recorded",
            grave=False,
        )
    yield delay(direct, through)
    if (compared := surroundings.clock(direct[-1])) is not None:
        yield compared


def _refused(answer: Observed, model: str) -> Iterator[Finding]:
    if answer.status >= 400:
        what = f"the upstream refuses the completion: {answer.status} {answer.reason}"
        yield Finding(False, what, f"look at the key, and whether it has a model {model}", grave=False)
