"""What one call says about others: results of tools, what a retry repeats, answers fetched later.

Runs inside the transaction that writes the rows, over the calls of a batch in the order in which
they ended: what came before is there to be found.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from ...records import Call, Status, ToolResult, ToolSpan
from ..base import StoredCall
from . import rows
from .queries import QUERIES

_RETRIED_WITHIN_US = 3_600_000_000  # SDKs give up long before
_TOOL_ID_CHARS = 200
_MOST_TOOLS = 1000  # of one answer
_TOOL = rows.KINDS["tool"]


class Links:
    """Finds and writes them; ``text`` gives the number of a shared text, ``next_rev`` a new rev."""

    def __init__(
        self, connection: sqlite3.Connection, text: Callable[[int, str], int], next_rev: Callable[[], int]
    ) -> None:
        self._main = connection
        self._text = text
        self._next_rev = next_rev

    def write(self, row_id: int, stored: StoredCall, now_us: int) -> None:
        """Everything that an ended call brings for others, or finds in them."""
        if stored.call.status == Status.RUNNING:
            return
        key = None if stored.call.key is None else self._text(rows.KINDS["key"], stored.call.key)
        self.write_tools(row_id, stored.tools)
        for result in stored.results[:_MOST_TOOLS]:
            self._end_tool(row_id, key, stored.call, result)
        if stored.call.retry and stored.call.request_digest is not None:
            self._link_retry(row_id, key, stored.call)
        if stored.retrieved and stored.call.response_id:
            self._hand_over(row_id, stored.call, now_us)

    def write_tools(self, row_id: int, tools: Sequence[ToolSpan]) -> None:
        """The tools that an answer asks for; what is known of their results stays."""
        kept = tools[:_MOST_TOOLS]
        self._main.executemany(QUERIES["add_tool"], [self._tool(row_id, tool) for tool in kept])
        self._main.execute(QUERIES["drop_tools"], (row_id, len(kept)))

    def _tool(self, row_id: int, tool: ToolSpan) -> tuple[Any, ...]:
        tool_id = None if tool.id is None else rows.fit(tool.id, _TOOL_ID_CHARS)
        name = None if tool.name is None else self._text(_TOOL, tool.name)
        return (row_id, tool.place, tool_id, name, tool.arguments_bytes, tool.digest, int(tool.server))

    def _end_tool(self, row_id: int, key: int | None, call: Call, result: ToolResult) -> None:
        waiting = self._main.execute(
            QUERIES["waiting_tool"], (result.digest, row_id, key, call.started_at_us)
        ).fetchone()
        if waiting is None:
            return
        asked, place, asked_until_us = waiting
        # An SDK goes on at the marker that ends a stream, a moment before the stream's end.
        duration_us = max(0, call.started_at_us - asked_until_us)
        failed = None if result.failed is None else int(result.failed)
        self._main.execute(QUERIES["end_tool"], (row_id, result.bytes, duration_us, failed, asked, place))

    def _link_retry(self, row_id: int, key: int | None, call: Call) -> None:
        asked = (call.request_digest, row_id, key, call.started_at_us, _RETRIED_WITHIN_US)
        before = self._main.execute(QUERIES["tried_before"], asked).fetchone()
        if before is not None:
            self._main.execute(QUERIES["set_retry_of"], (rows.uuid_text(before[0]), row_id))

    def _hand_over(self, row_id: int, call: Call, now_us: int) -> None:
        """Tokens and cost of a response count once, however often it is fetched."""
        found = self._main.execute(QUERIES["answered_later"], (call.response_id, row_id)).fetchone()
        counted = call.input_tokens is not None or call.output_tokens is not None
        if found is None:
            self._main.execute(QUERIES["hold_response"], (row_id,))
            return
        first, known = found
        if counted and not known:
            self._main.execute(QUERIES["hand_over"], (self._next_rev(), now_us, row_id, first))
        self._main.execute(QUERIES["keep_none"], (row_id,))


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
