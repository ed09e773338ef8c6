"""A streamed message put together again: events in, the unary answer they amount to out.

The deltas are gathered per content block and become one object like the body of a unary answer, so
that both are read by the same code. Reads the streams of servers that imitate the format too: those
that leave out the beginning of a message or of a block, give all blocks one index, or no names to
their events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from msgspec import Struct

from ...wire.sse import Decoder, Event
from ..base import fed
from ..failures import Failure, failure_of
from ..json_values import MOST_ENTRIES, Notes, kind, loads, mapping, text
from ..runs import Runs
from .events import REFUSALS, Delta, StreamEvent, form_of, read_leniently, typed
from .usage import merge

#: By type of a block: the field that its deltas add to.
_FIELDS = {
    "text": "text",
    "thinking": "thinking",
    "compaction": "content",
    "tool_use": "input",
    "server_tool_use": "input",
    "mcp_tool_use": "input",
}
#: The other way round, for blocks whose beginning did not come.
_KEYS = {"text": "text", "thinking": "thinking", "input": "partial_json"}  #: of a delta, by block's field
_TYPES = {"text": "text", "thinking": "thinking", "content": "compaction", "input": "tool_use"}


class Assembled(Struct, frozen=True, kw_only=True):
    """What a stream amounts to."""

    message: dict[str, Any]  #: like the body of a unary answer, as far as it came
    answer_counted: bool  #: its usage knows the answer's tokens; that of a beginning holds a placeholder
    failure: Failure | None  #: the first error that the stream told of
    terminal: bool  #: ``message_stop`` or an error came
    first_content_offset: int | None  #: just after the first event that carries something of the answer


def assemble(body: bytes, notes: Notes) -> Assembled:
    """Put the body of an event stream together, whole or cut."""
    stream = _Stream(notes)
    for some in fed(Decoder(), body, notes):
        stream.take(some)
    return stream.result()


class _Block:
    """A content block under way."""

    __slots__ = ("_citations", "_start", "field", "pieces")

    def __init__(self, start: dict[str, Any]) -> None:
        self._start = start
        self._citations: list[Any] = []
        self.field = _FIELDS.get(text(start.get("type")) or "")  #: None: whatever comes first
        self.pieces: list[str] = []

    def cite(self, citation: Any) -> None:
        """Text rests on this."""
        self._citations.append(citation)

    def value(self) -> dict[str, Any]:
        """The block as a unary answer has it; input as the string that was sent."""
        said = "".join(self.pieces)
        block = dict(self._start)
        if said and self.field == "input":
            block["input"] = said
        elif said and self.field:
            block[self.field] = (text(block.get(self.field)) or "") + said
        if self._citations:
            begun = block.get("citations")
            block["citations"] = [*(begun if isinstance(begun, list) else ()), *self._citations]
        return block


class _Stream:
    """A stream under way."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._runs = Runs()
        self._head: dict[str, Any] = {}
        self._blocks: list[_Block] = []
        self._open: dict[int, _Block] = {}  # the last to begin at each index
        self._usage: dict[str, Any] = {}
        self._answer_counted = False
        self._failure: Failure | None = None
        self._stopped = False
        self._first_content_offset: int | None = None

    def take(self, events: Sequence[Event]) -> None:
        """Gather what the events bring. This runs for every token of every stream."""
        blocks, notes = self._open, self._notes
        place = 0
        while place < len(events):
            event = events[place]
            place += 1
            try:
                told = typed(event.data)
            except REFUSALS:
                told = read_leniently(event.data, notes)
            delta = told.delta
            if delta is None:
                self._aside(event, told)
                continue
            if piece := delta.text:
                field = "text"
            elif piece := delta.partial_json:
                field = "input"
            elif piece := delta.thinking:
                field = "thinking"
            else:
                self._aside(event, told)
                continue
            block = blocks.get(told.index)
            if block is None or block.field != field:
                block = self._block_for(told.index, field)
            pieces = block.pieces
            if not pieces:
                self._note_content(event)
            pieces.append(piece)
            texts, _ = self._runs.after(events, place - 1, partial(form_of, told=told, key=_KEYS[field]))
            pieces += texts
            place += len(texts)

    def _block_for(self, index: int, field: str) -> _Block:
        """The block at an index if it takes such deltas, else a new one."""
        block = self._open.get(index)
        if block is None or block.field not in (field, None):
            block = self._begin(index, {"type": _TYPES[field]})
        block.field = field
        return block

    def _begin(self, index: int, start: dict[str, Any]) -> _Block:
        block = _Block(start)
        if len(self._blocks) < MOST_ENTRIES:
            self._open[index] = block
            self._blocks.append(block)
        return block

    def _aside(self, event: Event, told: StreamEvent) -> None:
        """All but the deltas that most events are. What it knows no type of is passed over."""
        type_of_event = "error" if told.error else told.type or event.type
        if type_of_event == "error":
            self._fail(event, told)
        take = self._TAKERS.get(type_of_event)
        if take and take(self, told):
            self._note_content(event)
        if told.usage is not None:
            self._count(told.usage)
            self._answer_counted = self._answer_counted or "output_tokens" in mapping(told.usage)

    def _fail(self, event: Event, told: StreamEvent) -> None:
        error = told.error or loads(event.data, "an error event", Notes()) or event.data.decode("utf-8", "replace")
        self._failure = self._failure or failure_of(error)
        self._stopped = True

    def _take_start(self, told: StreamEvent) -> bool:
        self._head |= mapping(told.message)
        self._count(self._head.pop("usage", None))
        return False

    def _take_block_start(self, told: StreamEvent) -> bool:
        """A block may begin with a tool's name, or come all at once."""
        start = mapping(told.content_block)
        self._begin(told.index, start)
        return any(text(start.get(key)) for key in ("name", "text", "thinking", "data"))

    def _take_delta(self, told: StreamEvent) -> bool:
        delta = told.delta or Delta()
        if delta.citation is not None:
            self._block_for(told.index, "text").cite(delta.citation)
        summary = text(delta.content)
        if summary:
            self._block_for(told.index, "content").pieces.append(summary)
        return bool(summary)

    def _take_message_delta(self, told: StreamEvent) -> bool:
        delta = told.delta or Delta()
        said = {"stop_reason": delta.stop_reason, "stop_details": delta.stop_details}
        self._head |= {key: value for key, value in said.items() if value is not None}
        return False

    def _take_stop(self, _told: StreamEvent) -> bool:
        self._stopped = True
        return False

    #: By type of an event: what takes it in, and whether that was something of the answer.
    _TAKERS: ClassVar[dict[str, Callable[[_Stream, StreamEvent], bool]]] = {
        "message_start": _take_start,
        "content_block_start": _take_block_start,
        "content_block_delta": _take_delta,
        "message_delta": _take_message_delta,
        "message_stop": _take_stop,
    }

    def _note_content(self, event: Event) -> None:
        if self._first_content_offset is None:
            self._first_content_offset = event.end

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            merge(self._usage, usage)
        elif usage is not None:
            self._notes.add(f"usage is {kind(usage)}, not an object")

    def result(self) -> Assembled:
        """What it amounts to, once all was taken."""
        blocks = {"content": [block.value() for block in self._blocks]} if self._blocks else {}
        usage = {"usage": self._usage} if self._usage else {}
        return Assembled(
            message={**self._head, **blocks, **usage},
            answer_counted=self._answer_counted or (self._stopped and self._first_content_offset is None),
            failure=self._failure,
            terminal=self._stopped,
            first_content_offset=self._first_content_offset,
        )
