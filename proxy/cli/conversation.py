"""A call as a readable conversation: what was said by whom, with tools and their results.

Text stands as it was sent, from the left edge, so that it can be copied; only what a terminal
would obey is escaped. Media are placeholders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..console import figures
from ..records import Choice, ContentPart, Document, Message, Parsed, ToolSpan
from .terminal import Terminal, printable

_RULE_WIDTH = 72
ROLE_STYLES = {
    "system": "magenta",
    "developer": "magenta",
    "user": "bold blue",
    "assistant": "bold green",
    "tool": "cyan",
    "function": "cyan",
}
_SYSTEM_ROLES = ("system", "developer")


def conversation(parsed: Parsed, terminal: Terminal, tools: Sequence[ToolSpan] = ()) -> Iterator[str]:
    """Its lines: the system prompt, retrieved context, the messages, the answers, what became of their tools."""
    if parsed.system_prompt:
        yield from _block("system prompt", "magenta", [printable(parsed.system_prompt, lines=True)], terminal)
    if parsed.documents:
        lines = [_document(number, document, terminal) for number, document in enumerate(parsed.documents, 1)]
        yield from _block("retrieved context", "yellow", lines, terminal)
    for message in parsed.input:
        if not _is_system_prompt(message, parsed):
            yield from _message(message.role, message, terminal)
    for choice in parsed.choices:
        yield from _answer(choice, len(parsed.choices), terminal)
    ended = [tool for tool in tools if tool.result_call is not None]
    if ended:
        yield from _block("tools", "cyan", [_span(tool, terminal) for tool in ended], terminal)


def _span(tool: ToolSpan, terminal: Terminal) -> str:
    """``add took 120 ms, brought 1.2 KB (call …89abcdef)``."""
    name = terminal.paint(printable(tool.name or "?"), "cyan")
    failed = terminal.paint(" failed,", "red") if tool.failed else ""
    facts = f"took {figures.duration(tool.duration_us)}, brought {figures.size(tool.result_bytes)}"
    return f"{name}{failed} {facts} {terminal.paint(f'(with call {str(tool.result_call)[-8:]})', 'dim')}"


def _document(number: int, document: Document, terminal: Terminal) -> str:
    score = f"score {document.score:g}" if document.score is not None else ""
    facts = " · ".join(filter(None, (document.title, document.id, document.url, score, document.source)))
    head = f"{number}. {terminal.paint(printable(facts), 'yellow')}"
    return f"{head}\n{printable(document.text, lines=True)}" if document.text else head


def _is_system_prompt(message: Message, parsed: Parsed) -> bool:
    text = "".join(part.text or "" for part in message.parts)
    return message.role in _SYSTEM_ROLES and text in (parsed.system_prompt or "")


def _answer(choice: Choice, among: int, terminal: Terminal) -> Iterator[str]:
    which = f" {choice.index + 1} of {among}" if among > 1 else ""
    finish = f" ({choice.finish_reason})" if choice.finish_reason not in (None, "stop") else ""
    yield from _message(f"answer{which}{finish}", choice.message, terminal, "bold green")


def _message(title: str, message: Message, terminal: Terminal, style: str | None = None) -> Iterator[str]:
    lines = [part_text(part, terminal) for part in message.parts]
    yield from _block(title, style or ROLE_STYLES.get(message.role, "bold"), lines, terminal)


def _block(title: str, style: str, lines: list[str], terminal: Terminal) -> Iterator[str]:
    title = printable(title)
    rule = "─" * max(3, min(_RULE_WIDTH, terminal.width or _RULE_WIDTH) - len(title) - 4)
    yield ""
    yield f"{terminal.paint('──', 'dim')} {terminal.paint(title, style)} {terminal.paint(rule, 'dim')}"
    yield from lines or [terminal.paint("(nothing)", "dim")]


# --- parts -----------------------------------------------------------------------------------


def part_text(part: ContentPart, terminal: Terminal) -> str:
    """A piece of a message as it is shown."""
    return _PARTS.get(part.type, _media)(part, terminal)


def _text(part: ContentPart, _terminal: Terminal) -> str:
    return printable(part.text or "", lines=True)


def _reasoning(part: ContentPart, terminal: Terminal) -> str:
    text = printable(part.text or "", lines=True)
    return "\n".join(terminal.paint(line, "dim") for line in f"(reasoning) {text}".split("\n"))


def _refusal(part: ContentPart, terminal: Terminal) -> str:
    return terminal.paint("refused: ", "bold red") + printable(part.text or "", lines=True)


def _tool_call(part: ContentPart, terminal: Terminal) -> str:
    name = terminal.paint(f"→ {printable(part.name or '?')}", "cyan")
    arguments = printable(part.arguments or "", lines=True)
    return f"{name}({arguments})  {terminal.paint(printable(part.tool_call_id or ''), 'dim')}".rstrip()


def _tool_result(part: ContentPart, terminal: Terminal) -> str:
    source = " ".join(printable(word) for word in (part.name, part.tool_call_id) if word)
    head = terminal.paint(f"← {source}".rstrip(), "cyan")
    return f"{head}\n{printable(part.text or '', lines=True)}"


def _media(part: ContentPart, terminal: Terminal) -> str:
    facts = (
        part.type,
        part.media_type,
        part.name,
        part.url,
        figures.size(part.size) if part.size is not None else None,
    )
    placeholder = terminal.paint(f"[{printable(' '.join(fact for fact in facts if fact))}]", "yellow")
    return f"{placeholder} {printable(part.text, lines=True)}" if part.text else placeholder


_PARTS: dict[str, Callable[[ContentPart, Terminal], str]] = {
    "text": _text,
    "reasoning": _reasoning,
    "refusal": _refusal,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
}
