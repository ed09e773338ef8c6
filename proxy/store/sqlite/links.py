"""What one call says about others: results of tools, what a retry repeats, answers fetched later, conversations.

Runs inside the transaction that writes the rows, over the calls of a batch in the order in which
they ended: what came before is there to be found.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ...records import Call, Status, ToolResult, ToolSpan
from ..base import MOST_TOOLS, StoredCall
from . import rows
from .conversations import Conversations
from .memory import Memory
from .prompts import Prompts
from .queries import QUERIES

_RETRIED_WITHIN_US = 3_600_000_000  # SDKs give up long before
_WAITS_US = 86_400_000_000  # for a result: without ids, an old span is too easily taken for a new one
_CANDIDATES = 100  # looked at for one tool
_TOOL_ID_CHARS = 200
_TOOL = rows.KINDS["tool"]


class Links:
    """Finds and writes them; ``text`` gives the number of a shared text, ``next_rev`` a new rev."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        secret: bytes,
        text: Callable[[int, str], int],
        next_rev: Callable[[], int],
    ) -> None:
        self._main = connection
        self._secret = secret
        self._text = text
        self._next_rev = next_rev
        self._remembered: tuple[Memory, Prompts, Conversations] | None = None

    def settle(self) -> None:
        """Write what is gathered over a transaction, before its end."""
        if self._remembered is not None:
            self._remembered[1].flush()

    def forget(self) -> None:
        """What is remembered may have been rolled back: it is read again."""
        self._remembered = None

    def _known(self) -> tuple[Memory, Prompts, Conversations]:
        if self._remembered is None:
            memory, prompts = Memory(self._main, self._secret), Prompts(self._main)
            self._remembered = memory, prompts, Conversations(self._main, memory, prompts, self._text, self._touch)
        return self._remembered

    def write(self, row_id: int, stored: StoredCall, now_us: int) -> None:
        """Everything that an ended call brings for others, or finds in them."""
        call = stored.call
        memory, _, conversations = self._known()
        if call.status == Status.RUNNING:
            conversations.join(row_id, stored, now_us, None)
            return
        self._write_tools(row_id, stored.tools or ())
        self._end_tools(row_id, stored, now_us)
        retried = self._link_retry(row_id, call.request_digest) if call.retry and call.request_digest else None
        if call.response_id is not None:
            self._count_once(row_id, call.response_id, now_us, retrieved=stored.retrieved)
            memory.responses.add(memory.digests.response(call.response_id), row_id)
        conversations.join(row_id, stored, now_us, retried)
        if call.request_digest is not None:
            memory.requests.add(call.request_digest, row_id)

    def rewrite(self, row_id: int, stored: StoredCall, now_us: int) -> None:
        """The tools and results of a call whose row has been derived anew."""
        if stored.tools is not None and not self._main.execute(QUERIES["is_elsewhere"], (row_id,)).fetchone()[0]:
            before = self._tools_of(row_id)
            self._write_tools(row_id, stored.tools)
            if self._tools_of(row_id) != before:
                self._touch(row_id, now_us)
        self._end_tools(row_id, stored, now_us)
        self._known()[2].join(row_id, stored, now_us, None)

    def _touch(self, row_id: int, now_us: int) -> None:
        self._main.execute(QUERIES["touch"], (self._next_rev(), now_us, row_id))

    # --- tools ------------------------------------------------------------------------------------

    def _tools_of(self, row_id: int) -> list[tuple[Any, ...]]:
        return self._main.execute(QUERIES["tools_of"], (row_id,)).fetchall()

    def _write_tools(self, row_id: int, tools: Sequence[ToolSpan]) -> None:
        """The tools that an answer asks for; what is known of their results stays."""
        kept = tools[:MOST_TOOLS]
        self._main.executemany(QUERIES["add_tool"], [self._tool(row_id, tool) for tool in kept])
        self._main.execute(QUERIES["drop_tools"], (row_id, len(kept)))

    def _tool(self, row_id: int, tool: ToolSpan) -> tuple[Any, ...]:
        tool_id = None if tool.id is None else rows.fit(tool.id, _TOOL_ID_CHARS)
        name = None if tool.name is None else self._text(_TOOL, tool.name)
        return (row_id, tool.place, tool_id, name, tool.arguments_bytes, tool.digest, int(tool.server))

    def _end_tools(self, row_id: int, stored: StoredCall, now_us: int) -> None:
        if not stored.results:
            return
        key = None if stored.call.key is None else self._text(rows.KINDS["key"], stored.call.key)
        brought = Counter(digest for (digest,) in self._main.execute(QUERIES["results_of"], (row_id,)))
        ended = set()
        for result in reversed(stored.results[:MOST_TOOLS]):  # of equal tools, the last is found first
            if brought[result.digest]:
                brought[result.digest] -= 1
            elif (asked := self._end_tool(row_id, key, stored.call, result)) is not None:
                ended.add(asked)
        for asked in sorted(ended):
            self._touch(asked, now_us)

    def _end_tool(self, row_id: int, key: int | None, call: Call, result: ToolResult) -> int | None:
        """The newest call that can have asked for this: with the same key, before the request was made."""
        for asked, place, asked_key, asked_us, latency_us in self._main.execute(
            QUERIES["waiting_tool"], (result.digest, _CANDIDATES)
        ):
            waited_us = call.started_at_us - asked_us
            if asked != row_id and asked_key == key and latency_us is not None and 0 < waited_us <= _WAITS_US:
                # An SDK goes on at the marker that ends a stream, a moment before the stream's end.
                duration_us = max(0, waited_us - latency_us)
                failed = None if result.failed is None else int(result.failed)
                ended = (row_id, result.bytes, duration_us, failed, asked, place)
                self._main.execute(QUERIES["end_tool"], ended)
                return int(asked)
        return None

    # --- retries ----------------------------------------------------------------------------------

    def _link_retry(self, row_id: int, request_digest: int) -> int | None:
        """To the try that failed just before it; to the last that asked the same when none is known to have."""
        found = [
            row
            for before in self._known()[0].requests.get(request_digest)
            for row in self._main.execute(QUERIES["tried_before"], (row_id, before, _RETRIED_WITHIN_US))
        ]
        if not found:
            return None
        before, uuid, _, _ = max(found, key=lambda row: (row[3], row[2]))
        self._main.execute(QUERIES["set_retry_of"], (rows.uuid_text(uuid), row_id))
        self._main.execute(QUERIES["set_retried"], (before,))
        return int(before)

    # --- answers that are fetched later -----------------------------------------------------------

    def _count_once(self, row_id: int, response_id: str, now_us: int, *, retrieved: bool) -> None:
        """Tokens, cost and tools of a response count once, for the call that asked, however often it is fetched.

        A retrieval of what is not stored stands for it, until the call that asked comes: it may end later.
        """
        if not retrieved:
            found = self._main.execute(QUERIES["retrieved_before"], (row_id,)).fetchone()
            if found is not None:
                self._hand_over(row_id, found[0], now_us)
        elif (first := self._first_answered(row_id, response_id)) is not None:
            self._hand_over(first, row_id, now_us)
        else:
            self._main.execute(QUERIES["stand_for"], (row_id,))

    def _first_answered(self, row_id: int, response_id: str) -> int | None:
        """Of several, the last: some servers give every answer the same id."""
        memory = self._known()[0]
        for first in sorted(memory.responses.get(memory.digests.response(response_id)), reverse=True):
            if self._main.execute(QUERIES["is_first_answered"], (row_id, first)).fetchone() is not None:
                return first
        return None

    def _hand_over(self, first: int, fetched: int, now_us: int) -> None:
        if self._is_counted(fetched) and not self._is_counted(first):
            self._main.execute(QUERIES["hand_over"], (self._next_rev(), now_us, fetched, first))
        self._main.execute(QUERIES["hand_tools_over"], (first, fetched))
        self._main.execute(QUERIES["drop_tools"], (fetched, 0))
        self._main.execute(QUERIES["keep_none"], (self._next_rev(), now_us, fetched))

    def _is_counted(self, row_id: int) -> bool:
        return bool(self._main.execute(QUERIES["is_counted"], (row_id,)).fetchone()[0])


def tool_span(row: tuple[Any, ...]) -> ToolSpan:
    """A row of ``tools``."""
    place, tool_id, name, arguments_bytes, digest, server, result, result_bytes, duration_us, failed = row
    return ToolSpan(
        place=place,
        id=tool_id,
        name=name,
        arguments_bytes=arguments_bytes,
        digest=digest,
        server=bool(server),
        result_call=None if result is None else rows.uuid_text(result),
        result_bytes=result_bytes,
        duration_us=duration_us,
        failed=None if failed is None else bool(failed),
    )
