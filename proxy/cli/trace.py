"""``llmtap show --conversation``: a conversation as the tree that it is, with its tools and sub-agents.

Each call stands with what it cost and took, and with what is new in it: the messages since the answer
that it continues, and its own answer. Branches and sub-agents are indented.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Sequence

import msgspec

from ..config import Config
from ..console import figures
from ..console.traces.turns import new_messages
from ..records import Call, Message, Status, ToolSpan
from ..store.base import Reader
from ..store.traces import Conversation, Trace
from .conversation import ROLE_STYLES, part_text
from .lines import STATUS_STYLES, status_word
from .terminal import Terminal, printable

_STEPS = 1000
_SHOWN_CHARACTERS = 600  #: of a message
_SHOWN_LINES = 12
_INDENT = "  "
_FAILED = (Status.ERROR, Status.TRUNCATED, Status.INTERRUPTED)
_BESIDE = 10


async def show_trace(reader: Reader, config: Config, call_id: str, *, as_json: bool) -> int:
    """Write the trace of a call."""
    trace = await reader.conversation(call_id, limit=_STEPS)
    if as_json:
        from ..store.trace_view import trace_json

        sys.stdout.buffer.write(msgspec.json.encode(trace_json(trace)) + b"\n")
        return 0
    terminal = Terminal()
    lines = [*_summary(trace.conversation, terminal)]
    if trace.missing:
        lines.append(terminal.paint(f"({trace.missing:,} earlier calls are not shown)", "yellow"))
    drawing = _Drawing(reader, config, terminal, trace)
    lines += [line async for line in drawing.lines(trace, 0)]
    lines += _others(trace, terminal)
    print("\n".join(lines))
    return 0


def _summary(whole: Conversation, terminal: Terminal) -> Iterator[str]:
    title = terminal.paint(f"conversation {whole.id}", "bold")
    yield f"{title}  {terminal.paint(whole.outcome, STATUS_STYLES.get(whole.outcome, ''))}"
    counted = [_number(whole.calls, "call")]
    counted += [_number(whole.tools, "tool call")] if whole.tools else []
    counted += [terminal.paint(_number(whole.errors, "error"), "red")] if whole.errors else []
    took = figures.duration(whole.ended_at_us - whole.started_at_us)
    tokens = figures.tokens(whole.input_tokens, whole.output_tokens, None)
    yield " · ".join([*counted, f"{tokens} tokens", figures.money(whole.cost_nano_usd), f"took {took}"])
    who = (
        ("project", whole.project), ("user", whole.user), ("session", whole.session), ("trace", whole.trace),
    )  # fmt: skip
    named = [printable(f"{name} {value}") for name, value in who if value]
    yield terminal.paint(" · ".join([figures.date_time(whole.started_at_us), *named]), "dim")


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _others(trace: Trace, terminal: Terminal) -> Iterator[str]:
    """What the client put under the same name."""
    if not trace.beside:
        return
    name = "session" if trace.conversation.session else "trace"
    yield ""
    yield terminal.paint(f"In the same {name}:", "bold")
    for other in trace.beside[:_BESIDE]:
        facts = f"{figures.date_time(other.started_at_us)}  {_number(other.calls, 'call')}"
        yield f"  {figures.short_id(other.id)}  {facts}  {printable(other.preview or '')[:60]}".rstrip()
    if len(trace.beside) > _BESIDE:
        yield "  and others: see llmtap conversations --filter"


class _Drawing:
    """Lines of a trace while it is read; ``whole`` says when all began."""

    def __init__(self, reader: Reader, config: Config, terminal: Terminal, whole: Trace) -> None:
        self._reader = reader
        self._config = config
        self._terminal = terminal
        self._began_us = whole.conversation.started_at_us
        self._failed = False

    async def lines(self, trace: Trace, indent: int) -> AsyncIterator[str]:
        """A conversation; those of its sub-agents stand below the calls that began them."""
        for step in trace.steps:
            margin = _INDENT * (indent + step.depth)
            yield ""
            yield margin + self._head(step.call)
            for line in await self._said(step.call):
                yield margin + _INDENT + line
            for line in self._tools(step.tools):
                yield margin + _INDENT + line
            for begun in step.begun:
                yield ""
                name = f"sub-agent {figures.short_id(begun.conversation.id)}"
                yield margin + _INDENT + self._terminal.paint(name, "magenta")
                async for line in self.lines(begun, indent + step.depth + 2):
                    yield line

    def _head(self, call: Call) -> str:
        paint = self._terminal.paint
        facts = [
            f"+{figures.duration(call.started_at_us - self._began_us)}",
            printable(call.model or call.model_requested or figures.UNKNOWN),
            figures.duration(call.latency_us),
            figures.tokens(call.input_tokens, call.output_tokens, call.tokens_source),
            figures.money(call.cost_nano_usd),
        ]
        status = paint(status_word(call), STATUS_STYLES.get(call.status, ""))
        head = f"{paint(figures.short_id(call.id), 'bold')} {status} {paint(' · '.join(facts), 'dim')}"
        return f"{head}{self._mark(call)}"

    def _mark(self, call: Call) -> str:
        """Why a call stands where it does, and where it went wrong first."""
        marks = []
        if call.follows_by in ("retry", "regeneration"):
            marks.append(str(call.follows_by))
        if call.excluded:
            marks.append("excluded")
        if call.status in _FAILED and not self._failed:
            self._failed = True
            marks.append("failed first here")
        joined = ", ".join(marks)
        return f"  {self._terminal.paint(f'({joined})', 'yellow')}" if marks else ""

    async def _said(self, call: Call) -> list[str]:
        from ..console.documents import understood

        exchange = await self._reader.exchange(call.id)
        if exchange is None:
            words = [word for word in (call.preview_input, call.preview_output) if word]
            return [self._terminal.paint(printable(word), "dim") for word in words]
        parsed = understood(exchange, self._config)
        lines = [line for message in new_messages(parsed) for line in self._message(message, message.role)]
        for choice in parsed.choices:
            lines += self._message(choice.message, "assistant")
        if call.error_message:
            lines.append(self._terminal.paint(printable(call.error_message), "red"))
        return lines

    def _message(self, message: Message, role: str) -> Iterator[str]:
        text = "\n".join(part_text(part, self._terminal) for part in message.parts if part.type != "reasoning")
        lines = text[:_SHOWN_CHARACTERS].splitlines()[:_SHOWN_LINES] or [""]
        left = len(text) - sum(len(line) + 1 for line in lines)
        name = self._terminal.paint(f"{printable(role)}:", ROLE_STYLES.get(role, "bold"))
        yield f"{name} {lines[0]}".rstrip()
        yield from (f"{_INDENT}{line}" for line in lines[1:])
        if left > 0:
            yield self._terminal.paint(f"{_INDENT}… {left:,} characters more", "dim")

    def _tools(self, tools: Sequence[ToolSpan]) -> Iterator[str]:
        for tool in tools:
            name = self._terminal.paint(printable(tool.name or "?"), "cyan")
            if tool.result_call is None:
                yield f"⚙ {name} {'run by the provider' if tool.server else 'brought no result'}"
                continue
            failed = self._terminal.paint(" failed,", "red") if tool.failed else ""
            took, size = figures.duration(tool.duration_us), figures.size(tool.result_bytes)
            yield f"⚙ {name}{failed} took {took}, brought {size}"
