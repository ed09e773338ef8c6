"""What one call says about others: results of tools, what a retry repeats, answers fetched later, conversations.

Runs inside the transaction that writes the rows, over the calls of a batch in the order in which
they ended: what came before is there to be found. Of most new calls all is known before their row is
written (``arrive``); what changes rows that are there, or is rare, comes afterwards (``write``).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...records import Call, Status, ToolResult, ToolSpan
from ..base import MOST_TOOLS, StoredCall
from . import rows
from .arrivals import Arrivals
from .conversations import Conversations
from .memory import MEMORY_BYTES, Memory
from .prompts import Prompts
from .queries import QUERIES
from .related import linked

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
        arrivals: Arrivals,
        text: Callable[[int, str], int],
        next_rev: Callable[[], int],
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._main = connection
        self._secret = secret
        self._arrivals = arrivals
        self._memory_bytes = memory_bytes
        self._text = text
        self._next_rev = next_rev
        self._remembered: tuple[Memory, Prompts, Conversations] | None = None
        self._standing: bool | None = None  #: whether retrievals stand for calls that are not stored
        self._settled_changes = 0

    def begin(self) -> None:
        """A transaction begins: rows may have been changed by others since the last one."""
        if self._remembered is not None and self._main.total_changes != self._settled_changes:
            self._remembered[2].forget_rows()

    def settle(self) -> None:
        """Write what is gathered over a transaction, before its end."""
        if self._remembered is not None:
            self._remembered[1].flush()

    def end(self) -> None:
        """A transaction is over that has changed no rows but through us."""
        self._settled_changes = self._main.total_changes

    def forget(self) -> None:
        """What is remembered may have been rolled back: it is read again."""
        self._remembered = None
        self._standing = None

    def _known(self) -> tuple[Memory, Prompts, Conversations]:
        if self._remembered is None:
            memory, prompts = Memory(self._main, self._secret, self._memory_bytes), Prompts(self._main)
            conversations = Conversations(self._main, memory, prompts, self._arrivals, self._text, self._touch)
            self._remembered = memory, prompts, conversations
        return self._remembered

    def arrive(self, row: Sequence[Any], stored: StoredCall, postings: Iterable[tuple[int, int]], now_us: int) -> None:
        """A new call, the values of ``rows.WRITTEN`` and rows of ``posting``: it is written with what it is tied by."""
        own = linked(row)
        if self._needs_its_row(stored):
            self._arrivals.add(row, postings=postings)
            self.write(own.id, stored, now_us)
            return
        memory, _, conversations = self._known()
        call, has_ended = stored.call, stored.call.status != Status.RUNNING
        if has_ended:
            if stored.results:
                self._end_tools(own.id, own.key, stored, now_us, Counter())
            if call.response_id is not None:
                memory.responses.add(memory.digests.response(call.response_id), own.id)
        tools = self._tool_rows(own.id, stored.tools or ()) if has_ended else []
        self._arrivals.add(row, conversations.tie(own, stored), tools=tools, postings=postings)
        conversations.offer(own.id, stored, own, now_us)
        if has_ended and call.request_digest is not None:
            memory.requests.add(call.request_digest, own.id)

    def _needs_its_row(self, stored: StoredCall) -> bool:
        """Whether rows have to be compared, or change others."""
        call = stored.call
        if call.status == Status.RUNNING:
            return False
        is_retry = bool(call.retry and call.request_digest)
        return is_retry or (call.response_id is not None and (stored.retrieved or self._anything_stands()))

    def _anything_stands(self) -> bool:
        if self._standing is None:
            self._standing = bool(self._main.execute(QUERIES["anything_stands"]).fetchone()[0])
        return self._standing

    def write(self, row_id: int, stored: StoredCall, now_us: int) -> None:
        """Everything that an ended call whose row is there brings for others, or finds in them."""
        self._arrivals.flush()
        call = stored.call
        memory, _, conversations = self._known()
        if call.status == Status.RUNNING:
            conversations.join(row_id, stored, now_us, None)
            return
        self._write_tools(row_id, stored.tools or ())
        self._end_tools_again(row_id, stored, now_us)
        retried = self._link_retry(row_id, call.request_digest) if call.retry and call.request_digest else None
        if call.response_id is not None:
            self._count_once(row_id, call.response_id, now_us, retrieved=stored.retrieved)
            memory.responses.add(memory.digests.response(call.response_id), row_id)
        conversations.join(row_id, stored, now_us, retried)
        if call.request_digest is not None:
            memory.requests.add(call.request_digest, row_id)

    def rewrite(self, row_id: int, stored: StoredCall, now_us: int) -> None:
        """The tools and results of a call whose row has been derived anew."""
        self._known()[2].forget_rows()
        if stored.tools is not None and not self._main.execute(QUERIES["is_elsewhere"], (row_id,)).fetchone()[0]:
            before = self._tools_of(row_id)
            self._write_tools(row_id, stored.tools)
            if self._tools_of(row_id) != before:
                self._touch(row_id, now_us)
        self._end_tools_again(row_id, stored, now_us)
        self._known()[2].join(row_id, stored, now_us, None)

    def _touch(self, row_id: int, now_us: int) -> None:
        self._main.execute(QUERIES["touch"], (self._next_rev(), now_us, row_id))

    # --- tools ------------------------------------------------------------------------------------

    def _tools_of(self, row_id: int) -> list[tuple[Any, ...]]:
        return self._main.execute(QUERIES["tools_of"], (row_id,)).fetchall()

    def _write_tools(self, row_id: int, tools: Sequence[ToolSpan]) -> None:
        """The tools that an answer asks for; what is known of their results stays."""
        kept = self._tool_rows(row_id, tools)
        self._main.executemany(QUERIES["add_tool"], kept)
        self._main.execute(QUERIES["drop_tools"], (row_id, len(kept)))

    def _tool_rows(self, row_id: int, tools: Sequence[ToolSpan]) -> list[tuple[Any, ...]]:
        return [self._tool(row_id, tool) for tool in tools[:MOST_TOOLS]]

    def _tool(self, row_id: int, tool: ToolSpan) -> tuple[Any, ...]:
        tool_id = None if tool.id is None else rows.fit(tool.id, _TOOL_ID_CHARS)
        name = None if tool.name is None else self._text(_TOOL, tool.name)
        return (row_id, tool.place, tool_id, name, tool.arguments_bytes, tool.digest, int(tool.server))

    def _end_tools_again(self, row_id: int, stored: StoredCall, now_us: int) -> None:
        """What the results end of a call that may have brought some of them before."""
        if stored.results:
            key = None if stored.call.key is None else self._text(rows.KINDS["key"], stored.call.key)
            brought = Counter(digest for (digest,) in self._main.execute(QUERIES["results_of"], (row_id,)))
            self._end_tools(row_id, key, stored, now_us, brought)

    def _end_tools(self, row_id: int, key: int | None, stored: StoredCall, now_us: int, brought: Counter[int]) -> None:
        """``brought``: how many results of each digest are known already."""
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
        if self._arrivals.asks(result.digest):
            self._arrivals.flush()
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
        self._known()[2].forget_row(int(before))
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
            self._standing = True

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
