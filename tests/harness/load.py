"""Traffic for fault tests: clients that mark every call, and a judge who compares three views of it.

What the clients got, what the upstream saw, and which rows there are must agree: no completed
call is lost, none is doubled, and nothing that reached the upstream is without a row.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

from msgspec import Struct

from tests.fakes.scripts import Script, chat, chat_chunks, sse
from tests.fakes.wire import Seen

from .client import RawClient, request
from .eventually import eventually

MARKER = "X-Llmtap-Meta-Marker"
_AFTER_TROUBLE_S = 0.01  #: as any client would, it does not hammer a server that is down
WORDS = ["word "] * 12


class Outcome(Struct, frozen=True):
    """How one call went for its client. ``complete``: the answer's HTTP message was whole and 200."""

    marker: str
    complete: bool
    status: int
    text: str = ""
    trouble: str = ""


class Load:
    """Threads that call the relay until stopped; a mix of unary and streamed chat calls."""

    def __init__(self, port: int, *, clients: int = 4, seed: int = 0, prefix: str = "m") -> None:
        self.outcomes: list[Outcome] = []
        self._port = port
        self._prefix = f"{prefix}{seed}"
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(seed * 1000 + n,)) for n in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def await_calls(self, more: int, timeout_s: float = 30.0) -> None:
        """Wait until that many further calls have ended."""
        wanted = len(self.outcomes) + more
        eventually(lambda: len(self.outcomes) >= wanted, f"{more} more calls", timeout_s, every_s=0.001)

    @property
    def complete(self) -> list[Outcome]:
        """The calls whose answers were whole."""
        return [outcome for outcome in self.outcomes if outcome.complete]

    def _client(self, seed: int) -> None:
        rng = random.Random(seed)
        client: RawClient | None = None
        while not self._stop.is_set():
            marker = f"{self._prefix}-{next(self._numbers)}"
            try:
                client = client or RawClient(self._port, timeout_s=30)
                outcome = one_call(client, marker, stream=rng.random() < 0.5, size=rng.choice((10, 100, 30_000)))
            except OSError as error:
                outcome = Outcome(marker, False, 0, trouble=type(error).__name__)
            self.outcomes.append(outcome)
            if not outcome.complete:
                if client is not None:
                    client.close()
                client = None
                self._stop.wait(_AFTER_TROUBLE_S)
        if client is not None:
            client.close()


def one_call(client: RawClient, marker: str, *, stream: bool, size: int) -> Outcome:
    """One marked chat call; the marker is in the body, for the upstream, and in a header, for the row."""
    body = {"model": "fake-model", "user": marker, "stream": stream,
            "messages": [{"role": "user", "content": "x" * size}]}  # fmt: skip
    headers = [("Content-Type", "application/json"), (MARKER, marker), ("Authorization", "Bearer sk-load")]
    answer = client.ask(request("POST", "/v1/chat/completions", headers, json.dumps(body).encode()))
    complete = answer.whole and answer.status == 200
    return Outcome(marker, complete, answer.status, text_of(bytes(answer.body)) if complete else "", answer.ending)


def text_of(body: bytes) -> str:
    """The text of a chat answer, streamed or not."""
    if not body.startswith(b"data:"):
        return str(json.loads(body)["choices"][0]["message"]["content"])
    events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])


def paced_chat(seen: Seen) -> Script:
    """A chat upstream whose streams take a while, so that faults fall into them."""
    body = json.loads(bytes(seen.body))
    if body.get("stream"):
        return sse(chat_chunks(body, WORDS), pause_s=0.002)
    return chat(bytes(seen.body), WORDS)


# --- the judge ------------------------------------------------------------------------------------


class Verdict(Struct, frozen=True):
    """What disagreed; all empty is what must hold."""

    calls: int
    complete: int
    lost: tuple[str, ...]  #: complete for the client, but without a row
    wrong: tuple[str, ...]  #: complete for the client, but the row says otherwise
    doubled: tuple[str, ...]  #: more than one row
    unaccounted: tuple[str, ...]  #: seen by the upstream, but without a row

    @property
    def clean(self) -> bool:
        return not (self.lost or self.wrong or self.doubled or self.unaccounted)


def judge(outcomes: Iterable[Outcome], seen_markers: Iterable[str], rows: Iterable[dict[str, Any]]) -> Verdict:
    """Compare the three views."""
    outcomes = list(outcomes)
    by_marker = {row["metadata"]["marker"]: row for row in rows if row["metadata"].get("marker")}
    counts = Counter(row["metadata"].get("marker") for row in rows)
    complete = [outcome for outcome in outcomes if outcome.complete]
    return Verdict(
        calls=len(outcomes),
        complete=len(complete),
        lost=tuple(each.marker for each in complete if each.marker not in by_marker),
        wrong=tuple(each.marker for each in complete if disagrees(each, by_marker.get(each.marker))),
        doubled=tuple(str(marker) for marker, count in counts.items() if marker and count > 1),
        unaccounted=tuple(marker for marker in seen_markers if marker not in by_marker),
    )


def disagrees(outcome: Outcome, row: dict[str, Any] | None) -> bool:
    """Whether a row contradicts what its client got."""
    return row is not None and (row["status"], row["http_status"], row["output"]) != ("ok", 200, outcome.text)


def markers_seen(requests: Iterable[Seen]) -> list[str]:
    """Markers of the requests that reached an upstream whole."""
    return [json.loads(bytes(seen.body))["user"] for seen in requests if seen.whole and seen.body]
