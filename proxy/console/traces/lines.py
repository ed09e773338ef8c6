"""A conversation as lines of a page: its calls, their tools, sub-agents below the calls that began them. Values only.

Sums grow with time, also where branches and sub-agents ran side by side: a line says what had been spent when
its call began and its own is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from ...records import Call, FollowsBy, Status, ToolSpan, evolve
from ...store.traces import Conversation, Step, Trace
from .waterfall import Axis, Bar, Span, axis

FAILED = frozenset({Status.ERROR, Status.TRUNCATED, Status.INTERRUPTED})
DEEPEST = 9  #: that is indented further
_SEEN = 1.5  # percent: of a thinner bar no part can be told apart
_REPEATS = {FollowsBy.RETRY: "retry", FollowsBy.REGENERATION: "asked again"}


class Line(Struct, frozen=True, kw_only=True):
    """One line: of a call (``call``), a tool (``tool`` too), or a sub-agent (``agent``)."""

    level: int
    span: Span
    call: Call  #: of a tool, the call that asked for it; of a sub-agent, the one that began it
    tool: ToolSpan | None = None
    agent: Conversation | None = None
    number: int = 0  #: of a call's line, from 1
    mark: str = ""  #: why the call stands here: retry, asked again, branch, excluded
    asks: bool = False  #: of a call: somebody said something new, it does not just bring results of tools
    failed: bool = False
    first_failure: bool = False
    cost_so_far: int | None = None  #: nano-dollars, of all calls up to this one; None: none had a known cost
    tokens_so_far: int | None = None  #: input and output
    bar: Bar = Bar(0.0, 0.0)
    waiting: Bar | None = None  #: of a call: until its first token

    @property
    def is_call(self) -> bool:
        """Whether it is the line of a call."""
        return self.tool is None and self.agent is None


class Drawn(Struct, frozen=True, kw_only=True):
    """All lines, on one axis."""

    lines: tuple[Line, ...]
    axis: Axis

    @property
    def calls(self) -> list[Line]:
        """The lines of calls, in their order."""
        return [line for line in self.lines if line.is_call]

    @property
    def first_failure(self) -> Line | None:
        """Where it failed first."""
        return next((line for line in self.lines if line.first_failure), None)

    @property
    def cost_nano_usd(self) -> int | None:
        """Of all calls here, those of sub-agents counted; None: none had a known cost."""
        known = [line.call.cost_nano_usd for line in self.calls if not line.call.excluded]
        return sum(cost for cost in known if cost is not None) if any(cost is not None for cost in known) else None

    @property
    def agents(self) -> frozenset[str]:
        """Ids of the conversations that sub-agents had."""
        return frozenset(line.agent.id for line in self.lines if line.agent is not None)

    def line(self, call_id: str) -> Line | None:
        """That of a call."""
        return next((line for line in self.lines if line.is_call and line.call.id == call_id), None)


def drawn(trace: Trace, now_us: int, *, folded: bool = True) -> Drawn:
    """The page's lines; ``now_us``: where bars of running calls end."""
    lines = list(_lines(trace, 0, now_us))
    sums = _sums([line.call for line in lines if line.is_call])
    first = _first_failure(lines)
    along = axis([line.span for line in lines], folded=folded)
    number, finished = 0, []
    for line in lines:
        number += line.is_call
        cost, tokens = sums[line.call.id]
        finished.append(
            evolve(
                line,
                number=number if line.is_call else 0,
                first_failure=line is first,
                cost_so_far=cost,
                tokens_so_far=tokens,
                bar=along.bar(*line.span),
                waiting=_waiting(line, along),
            )
        )
    return Drawn(lines=tuple(finished), axis=along)


def call_span(call: Call, now_us: int) -> Span:
    """From its accept to its last byte."""
    if call.latency_us is not None:
        return call.started_at_us, call.started_at_us + max(call.latency_us, 0)
    return call.started_at_us, max(call.started_at_us, now_us) if call.status == Status.RUNNING else call.started_at_us


def _lines(trace: Trace, base: int, now_us: int) -> Iterator[Line]:
    retried = set(_retried(trace.steps))
    steps = {step.call.id: step for step in trace.steps}
    for step in trace.steps:
        call = step.call
        above = steps.get(call.follows or call.retry_of or "")
        branches = step.depth > (above.depth if above else 0) and call.id not in retried
        level = min(base + step.depth - (call.id in retried and step.depth > 0), DEEPEST)
        yield Line(
            level=level,
            span=call_span(call, now_us),
            call=call,
            mark=_mark(call, branches=branches),
            asks=above is None or not above.tools,
            failed=call.status in FAILED,
        )
        yield from _beside(step, level, now_us)


def _retried(steps: Sequence[Step]) -> Iterator[str]:
    """Calls that failed and were made again: they are no branch of their own."""
    again = {step.call.follows for step in steps if step.call.follows_by == FollowsBy.RETRY}
    named = {step.call.retry_of for step in steps}
    for call in (step.call for step in steps):
        if call.status != Status.OK and (call.id in named or (call.follows is not None and call.follows in again)):
            yield call.id


def _beside(step: Step, level: int, now_us: int) -> Iterator[Line]:
    """The tools of a call, and the conversations that they began."""
    call, beside = step.call, min(level + 1, DEEPEST)
    ended_us = call_span(call, now_us)[1]
    for tool in step.tools:
        ran = (ended_us, ended_us + max(tool.duration_us or 0, 0))
        yield Line(level=beside, span=ran, call=call, tool=tool, failed=bool(tool.failed))
    for begun in step.begun:
        whole = begun.conversation
        ran = (whole.started_at_us, max(whole.started_at_us, whole.ended_at_us))
        yield Line(level=beside, span=ran, call=call, agent=whole)
        yield from _lines(begun, min(level + 2, DEEPEST), now_us)


def _mark(call: Call, *, branches: bool) -> str:
    if call.excluded:
        return f"excluded: {call.excluded}"
    repeats = next((words for how, words in _REPEATS.items() if call.follows_by == how), None)
    return repeats or ("retry" if call.retry_of else "branch" if branches else "")


def _sums(calls: Sequence[Call]) -> dict[str, tuple[int | None, int | None]]:
    """What had been spent with each call: nano-dollars and tokens."""
    cost: int | None = None
    tokens: int | None = None
    found = {}
    for call in sorted(calls, key=lambda call: (call.started_at_us, call.id)):
        if not call.excluded:
            cost = _added(cost, call.cost_nano_usd)
            tokens = _added(_added(tokens, call.input_tokens), call.output_tokens)
        found[call.id] = (cost, tokens)
    return found


def _added(known: int | None, more: int | None) -> int | None:
    return known if more is None else (known or 0) + more


def _first_failure(lines: Sequence[Line]) -> Line | None:
    """The first call that failed; where none did, the first tool."""
    failed = [line for line in lines if line.failed]
    calls = [line for line in failed if line.is_call]
    return min(calls or failed, key=lambda line: line.span, default=None)


def _waiting(line: Line, along: Axis) -> Bar | None:
    call = line.call
    if not line.is_call or call.ttft_us is None or call.latency_us is None:
        return None
    bar = along.bar(call.started_at_us, call.started_at_us + min(call.ttft_us, call.latency_us))
    return bar if along.bar(*line.span).width >= _SEEN else None
