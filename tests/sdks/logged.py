"""What llmtap has logged of a test's calls, bodies included, as the console's API gives it."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import ProxyHandler, build_opener

from proxy.clock import rfc3339, wall_us
from tests.fakes.upstream import FakeUpstream
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer

JSON = dict[str, Any]

_BODIES = "system_prompt,input,output,tool_calls,reasoning"
_MOST = 12  #: rows of one test


class Logged:
    """The rows since this was made: one for each request that has reached a provider."""

    def __init__(self, tap: LlmtapServer, provider: FakeUpstream) -> None:
        self._url = f"http://127.0.0.1:{tap.console_port}/api/calls?limit={_MOST}&fields={_BODIES}"
        self._provider = provider
        self._open = build_opener(ProxyHandler({})).open
        self._since = rfc3339(wall_us())

    def rows(self) -> list[JSON]:
        """All of them, oldest first, as soon as they have ended."""
        return eventually(self._ended, "a row for each request", every_s=0.05)

    def row(self) -> JSON:
        """The one row that there is."""
        (row,) = self.rows()
        return row

    def _ended(self) -> list[JSON]:
        with self._open(self._url) as answer:
            calls = json.load(answer)["calls"]
        rows = sorted((call for call in calls if call["started_at"] >= self._since), key=lambda call: call["id"])
        assert [row["status"] for row in rows].count("running") == 0
        assert len(rows) == len(self._provider.requests)
        assert rows
        return rows


def told(row: JSON, **facts: object) -> None:
    """Assert what a row says; of a number of any size, ``> 0`` is said by ``...``."""
    for name, fact in facts.items():
        assert row[name] > 0 if fact is ... else row[name] == fact, (name, row[name], fact)
