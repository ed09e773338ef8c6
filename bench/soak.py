"""The long versions of the fault tests, and the figures that are measured rather than asserted.

``python -m bench.soak`` runs all parts, ``python -m bench.soak kills --kills 50`` one of them. Each
part prints its figures; the exit code is 1 when something that must be zero is not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.dialects.golden import cases
from tests.dialects.mutations import trial as mutate
from tests.dialects.shapes import reads, shapes
from tests.fakes.process import UpstreamProcess
from tests.fakes.scripts import LAST_CHUNK, Fill, Script, Send, Stall, head, sse
from tests.fakes.upstream import FakeUpstream
from tests.harness.client import request
from tests.harness.eventually import eventually
from tests.harness.load import Load, Outcome, judge, markers_seen, paced_chat
from tests.harness.server import LlmtapServer
from tests.harness.worker import RelayWorker
from tests.journal.harm import trial
from tests.relay.exchanges import differences, exchange, perform

MB = 1 << 20
Options = argparse.Namespace
Part = Callable[[Options, Path], bool]


def say(name: str, **figures: object) -> None:
    """One line of figures."""
    print(f"{name:12}", "  ".join(f"{key} {value}" for key, value in figures.items()), flush=True)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A counter on a terminal; silent elsewhere."""
    shown = sys.stderr.isatty()

    def show(done: int) -> None:
        if shown:
            print(f"\r{what} {done}/{total} ", end="", file=sys.stderr, flush=True)

    yield show
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr)


# --- kills --------------------------------------------------------------------------------------


def kills(options: Options, directory: Path) -> bool:
    """kill -9 of the relay, then of ingest, at random instants under load."""
    clean = {role: kill_role(role, options, directory / role) for role in ("relay-0", "ingest")}
    return all(clean.values())


def kill_role(role: str, options: Options, directory: Path) -> bool:
    directory.mkdir()
    rng = random.Random(options.seed)
    with FakeUpstream() as upstream:
        upstream.otherwise(paced_chat)
        with LlmtapServer(directory, upstream.url) as server:
            with Load(server.port, seed=options.seed) as load, progress(f"kills of {role}", options.kills) as show:
                for number in range(options.kills):
                    load.await_calls(rng.randint(1, 40))
                    pid = server.kill(role)
                    server.await_restart(role, pid)
                    show(number + 1)
                load.await_calls(50)
            verdict = judge(load.outcomes, *views(server, upstream, load.outcomes))
    noticed = verdict.calls - verdict.complete
    say(
        "kills", role=role, kills=options.kills, calls=verdict.calls, complete=verdict.complete,
        cut_or_refused=noticed, lost=len(verdict.lost), wrong=len(verdict.wrong), doubled=len(verdict.doubled),
        unaccounted=len(verdict.unaccounted),
    )  # fmt: skip
    return verdict.clean and (role != "ingest" or noticed == 0)


def views(
    server: LlmtapServer, upstream: FakeUpstream, outcomes: list[Outcome]
) -> tuple[list[str], list[dict[str, object]]]:
    """(markers that the upstream saw, rows), once ingest has caught up."""
    seen = markers_seen(upstream.requests)
    expected = {each.marker for each in outcomes if each.complete} | set(seen)
    try:
        server.rows(len(expected), lambda row: row["metadata"].get("marker") in expected, timeout_s=120)
    except AssertionError as error:
        print(str(error)[:500], file=sys.stderr)
    return seen, server.calls()


# --- exchanges ------------------------------------------------------------------------------------


def exchanges(options: Options, directory: Path) -> bool:
    """Random exchanges of up to 5 MB: identical on both sides."""
    failures, size = 0, 0
    with (
        FakeUpstream() as upstream,
        RelayWorker(directory, upstream.url) as relay,
        progress("exchanges", options.exchanges) as show,
    ):
        for seed in range(options.seed * 100_000, options.seed * 100_000 + options.exchanges):
            each = exchange(seed, max_bytes=5 * MB if seed % 3 == 0 else 300_000)
            with relay.connect(timeout_s=60) as client:
                got, seen = perform(each, client, upstream)
            found = differences(each, got, seen) + upstream.violations
            size += len(got.body) + len(seen.body)
            if found:
                failures += 1
                print(f"seed {seed}: {found}", file=sys.stderr)
            upstream.forget()
            show(seed % 100_000 + 1)
    say("exchanges", exchanges=options.exchanges, MB=size // MB, differences=failures)
    return failures == 0


# --- hang-ups -------------------------------------------------------------------------------------


def hangups(options: Options, directory: Path) -> bool:
    """How soon the upstream sees that a client has gone."""
    phases = {"unary": Script((Stall(),)), "stream": sse([b"1"], done=False, cut=Stall())}
    with FakeUpstream() as upstream, RelayWorker(directory, upstream.url) as relay:
        for phase, script in phases.items():
            upstream.script("/gone", script)
            delays = [hangup(relay, upstream, stream=phase == "stream") for _ in range(options.hangups)]
            say("hangups", phase=phase, calls=len(delays), **quantiles_ms(delays))
    return True


def hangup(relay: RelayWorker, upstream: FakeUpstream, *, stream: bool) -> float:
    known = len(upstream.requests)
    with relay.connect() as client:
        client.send(request("POST", "/gone", (), b"{}"))
        eventually(lambda: len(upstream.requests) > known and upstream.requests[-1].whole, "the call is upstream")
        if stream:
            client.body_piece(client.head("POST"))
        gone_at = time.monotonic()
    seen = upstream.requests[-1]
    eventually(lambda: seen.closed_at, "the upstream is told")
    return (seen.closed_at or 0) - gone_at


def quantiles_ms(seconds: list[float]) -> dict[str, str]:
    """p50, p99 and the largest, in ms."""
    cuts = statistics.quantiles(seconds, n=100)
    return {
        "p50_ms": f"{cuts[49] * 1000:.2f}",
        "p99_ms": f"{cuts[98] * 1000:.2f}",
        "max_ms": f"{max(seconds) * 1000:.2f}",
    }


# --- memory ---------------------------------------------------------------------------------------


def memory(options: Options, directory: Path) -> bool:
    """Resident memory of relay and ingest early and late in a long run."""
    marks: dict[int, dict[str, int]] = {}
    outcomes: list[Outcome] = []
    with UpstreamProcess(directory) as upstream, LlmtapServer(directory, upstream.url) as server:
        with progress("calls", options.calls) as show:
            for wanted in (options.calls // 10, options.calls // 2, options.calls):
                with Load(server.port, seed=options.seed, prefix=f"m{wanted}-") as load:
                    while len(outcomes) + len(load.outcomes) < wanted:
                        load.await_calls(50)
                        show(len(outcomes) + len(load.outcomes))
                outcomes += load.outcomes
                await_stored(server, len(outcomes))
                marks[wanted] = {role: server.rss_bytes(role) for role in ("relay-0", "ingest")}
        times = tail_times(server)
    early = marks[options.calls // 10]
    for wanted, sizes in marks.items():
        for role, size in sizes.items():
            grown = f"{(size - early[role]) / MB:.1f}"
            say("memory", role=role, calls=wanted, rss_MB=f"{size / MB:.1f}", grown_MB=grown)
    say("tail", rows=options.calls, **times)
    within = all(marks[options.calls][role] - size < 10 * MB for role, size in early.items())
    return within and all(outcome.complete for outcome in outcomes)


def await_stored(server: LlmtapServer, calls: int) -> None:
    """Wait until ingest has stored that many."""
    eventually(lambda: server.gauges("ingest")["calls_stored"] >= calls, "all is stored", 300, every_s=0.2)


def tail_times(server: LlmtapServer) -> dict[str, str]:
    """How long ``tail`` takes to show the last calls, with and without a filter."""
    took = {}
    for name, arguments in {"plain_s": (), "filtered_s": ("--filter", "status = 'ok'")}.items():
        started = time.monotonic()
        done = server.command("tail", "--no-follow", "-n", "20", *arguments)
        took[name] = f"{time.monotonic() - started:.2f}" if done.returncode == 0 else "failed"
    return took


def stalled(options: Options, directory: Path) -> bool:
    """Memory that clients cost which stop reading a 60 MB stream."""
    with FakeUpstream() as upstream, RelayWorker(directory, upstream.url) as relay:
        steps = (Send(head(200, [("Transfer-Encoding", "chunked")])), Fill(60 * MB, chunked=True), Send(LAST_CHUNK))
        upstream.script("/long", Script(steps))
        relay.ask(request("GET", "/warm"))
        before = relay.rss_bytes("relay-0")
        clients = [relay.connect(receive_bytes=65_536) for _ in range(options.stalled)]
        for client in clients:
            client.send(request("GET", "/long"))
            client.head()
        sent: list[int] = []

        def settled() -> bool:
            sent.append(sum(seen.sent for seen in upstream.requests))
            return len(sent) > 10 and len(set(sent[-10:])) == 1

        eventually(settled, "all streams stand still", 60, every_s=0.1)
        grown = relay.rss_bytes("relay-0") - before
        for client in clients:
            client.close()
    say("stalled", readers=options.stalled, grown_MB=f"{grown / MB:.1f}", each_MB=f"{grown / MB / options.stalled:.2f}")
    return grown / options.stalled < 5 * MB


# --- journals -------------------------------------------------------------------------------------


def journals(options: Options, directory: Path) -> bool:
    """Bit flips, truncations, zero-fills and more over whole journals, many times."""
    verdicts = []
    with progress("damaged journals", options.journals) as show:
        for number in range(options.journals):
            root = directory / "one"
            verdicts.append(asyncio.run(trial(root, options.seed * 1_000_003 + number)))
            shutil.rmtree(root)
            show(number + 1)
    wrong = sum(verdict.wrong for verdict in verdicts)
    excess = sum(verdict.excess for verdict in verdicts)
    miscounted = sum(not verdict.counted for verdict in verdicts)
    refused = sum(not verdict.finished for verdict in verdicts)
    say(
        "journals", damaged=len(verdicts), records=sum(verdict.written for verdict in verdicts),
        lost=sum(verdict.lost for verdict in verdicts), wrong=wrong, lost_beyond_one_a_flip=excess,
        miscounted=miscounted, not_read_to_the_end=refused,
    )  # fmt: skip
    return wrong + excess + miscounted + refused == 0


# --- mutations ------------------------------------------------------------------------------------


def mutations(options: Options, _: Path) -> bool:
    """Golden cases of all dialects, damaged: none may raise, or give what cannot be stored."""
    everything, failures = cases(), 0
    with progress("mutations", options.mutations) as show:
        for number in range(options.mutations):
            seed = options.seed * 1_000_003 + number
            try:
                mutate(everything, random.Random(seed))
            except Exception as error:
                failures += 1
                print(f"seed {seed}: {error!r}", file=sys.stderr)
            show(number + 1)
    shaped = 0
    with progress("cases of another shape", len(everything)) as show:
        for number, case in enumerate(everything):
            for bodies in shapes(case):
                shaped += 1
                try:
                    reads(bodies)
                except Exception as error:
                    failures += 1
                    print(f"{case}: {error!r}", file=sys.stderr)
            show(number + 1)
    say("mutations", tried=options.mutations, shapes=shaped, of_cases=len(everything), failures=failures)
    return failures == 0


PARTS: dict[str, Part] = {
    "mutations": mutations,
    "journals": journals,
    "exchanges": exchanges,
    "hangups": hangups,
    "stalled": stalled,
    "memory": memory,
    "kills": kills,
}


def main() -> int:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200, help="of each of relay and ingest")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--journals", type=int, default=10_000)
    parser.add_argument("--exchanges", type=int, default=1000)
    parser.add_argument("--hangups", type=int, default=500)
    parser.add_argument("--stalled", type=int, default=10)
    parser.add_argument("--calls", type=int, default=20_000, help="of the memory part; compared with a tenth of them")
    options = parser.parse_args()
    held = True
    for name in options.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="llmtap-soak-") as directory:
            started = time.monotonic()
            well = PARTS[name](options, Path(directory))
            print(f"{name:12} {'holds' if well else 'DOES NOT HOLD'}  ({time.monotonic() - started:.0f} s)", flush=True)
            held = held and well
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
