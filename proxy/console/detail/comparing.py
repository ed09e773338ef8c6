"""Two calls side by side: their figures, and how prompts and answers differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from ...records import Call, Message, Parsed
from ...store.texts import answers
from .. import figures
from .differences import Difference, difference
from .opened import Opened

CHARACTERS = 400_000  #: of a text that is compared
_SAME = 0.05  # a share: so little more is no difference


class Row(Struct, frozen=True):
    """A figure of both."""

    name: str
    one: str
    two: str
    more: str = ""  #: of the second, against the first

    @property
    def differs(self) -> bool:
        """Whether it is another one."""
        return self.one != self.two


class Text(Struct, frozen=True):
    """A part of what was said."""

    title: str
    difference: Difference
    cut: bool


def rows(one: Call, two: Call) -> tuple[Row, ...]:
    """Figures that are known of at least one."""
    made = (Row(each.name, each.shown(one), each.shown(two), _times(each.compared, one, two)) for each in _FIGURES)
    return tuple(row for row in made if {row.one, row.two} != {figures.UNKNOWN})


def texts(one: Opened, two: Opened) -> tuple[Text, ...]:
    """Slow for long ones: for a thread."""
    parts = (
        ("Answer", _answer(one.parsed), _answer(two.parsed)),
        ("System prompt", one.parsed.system_prompt or "", two.parsed.system_prompt or ""),
        ("Messages", _asked(one.parsed), _asked(two.parsed)),
    )
    return tuple(
        Text(title, difference(first[:CHARACTERS], second[:CHARACTERS]), max(len(first), len(second)) > CHARACTERS)
        for title, first, second in parts
        if first or second
    )


def _answer(parsed: Parsed) -> str:
    return "\n\n".join(filter(None, map(_said, answers(parsed))))


def _asked(parsed: Parsed) -> str:
    return "\n\n".join(f"{message.role}:\n{_said(message)}" for message in parsed.input if not _is_system(message))


def _is_system(message: Message) -> bool:
    return message.role in ("system", "developer")


def _said(message: Message) -> str:
    return "\n".join(_pieces(message))


def _pieces(message: Message) -> Iterator[str]:
    for part in message.parts:
        if part.type == "tool_call":
            yield f"→ {part.name or '?'}({part.arguments or ''})"
        elif part.type == "tool_result":
            yield f"← {part.text or ''}"
        elif part.text:
            yield part.text
        elif part.type not in ("text", "reasoning", "refusal"):
            yield f"[{part.type} {part.media_type or ''} {part.url or part.name or ''}]"


def _plain(value: object) -> str:
    return figures.UNKNOWN if value in (None, "") else str(value)


def _times(column: str, one: Call, two: Call) -> str:
    """How many times as much the second is: ``1.5 times``."""
    first, second = (getattr(call, column) if column else None for call in (one, two))
    return f"{second / first:.2g} times" if first and second and abs(second / first - 1) >= _SAME else ""


class _Figure(Struct, frozen=True):
    """One row of the table: how it is shown, and which number of the call tells how much more it is."""

    name: str
    shown: Callable[[Call], str]
    compared: str = ""


def _text(column: str) -> Callable[[Call], str]:
    return lambda call: _plain(getattr(call, column))


def _count(column: str) -> Callable[[Call], str]:
    return lambda call: figures.count(getattr(call, column))


def _duration(column: str) -> Callable[[Call], str]:
    return lambda call: figures.duration(getattr(call, column))


_FIGURES = (
    _Figure("Status", _text("status")),
    _Figure("Model", lambda call: _plain(call.model or call.model_requested)),
    _Figure("Started", lambda call: figures.date_time(call.started_at_us)),
    _Figure("Took", _duration("latency_us"), "latency_us"),
    _Figure("First token", _duration("ttft_us"), "ttft_us"),
    _Figure("Tokens a second", lambda call: "-" if call.tokens_per_s is None else f"{call.tokens_per_s:.1f}"),
    _Figure("Input tokens", _count("input_tokens"), "input_tokens"),
    _Figure("Cached", _count("cached_tokens"), "cached_tokens"),
    _Figure("Output tokens", _count("output_tokens"), "output_tokens"),
    _Figure("Reasoning", _count("reasoning_tokens"), "reasoning_tokens"),
    _Figure("Cost", lambda call: figures.money(call.cost_nano_usd), "cost_nano_usd"),
    _Figure("Finish", _text("finish_reason")),
    _Figure("Error", _text("error_type")),
    _Figure("User", _text("user")),
    _Figure("Session", _text("session")),
    _Figure("System prompt", lambda call: f"version {call.system_version}" if call.system_version else "-"),
    _Figure("Excluded", _text("excluded")),
)
