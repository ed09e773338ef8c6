"""Writes ``docs/dialects.md``: what llmtap reads of each wire format, as the golden cases prove it.

``make dialects-table`` runs it; ``tests/test_docs.py`` fails when the document and the cases have
drifted apart, when a cell is empty without a reason, and when a reason stands where there is a case.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from proxy.dialects.table import GENERIC, ROWS
from proxy.pricing.prices import Priced, price
from proxy.records import Parsed
from tests.dialects.golden import DEFAULT_PATHS, Case, cases, parse

TABLE = Path(__file__).resolve().parent.parent / "docs" / "dialects.md"

HEAD = """\
# Wire formats

What llmtap reads of each format. A ✓ means that a golden case in `tests/dialects/cases` proves it: the bytes of a
request and an answer, and the record that they give. Where there is none, the cell says why.

- *unary*: an answer that comes whole.
- *stream*: an answer that comes in events or lines, put together again.
- *usage*: the provider's own token counts.
- *tools*: the tools that the model asked for, with their arguments.
- *cost*: from published prices, from your own, or from the answer itself.

Calls of a format that is not listed are read as *generic*. All calls are recorded whole and can be given back byte for
byte, whether their format is understood or not.

Written by `make dialects-table`.
"""

BASES = {
    "anthropic_messages": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "ollama": "http://127.0.0.1:11434",
    "rerank": "https://api.cohere.com",
}
AT_US = 1_760_000_000_000_000  # a day on which all prices used here were in force

_ONE_PIECE = "the format has no stream"
_NO_TOOLS = "the format has no tools"
#: Why a cell is empty.
REASONS = {
    ("ollama", "cost"): "runs on your own machine; a row of `[[prices]]` gives it a price",
    ("openai_completions", "tools"): _NO_TOOLS,
    ("openai_embeddings", "stream"): _ONE_PIECE,
    ("openai_embeddings", "tools"): _NO_TOOLS,
    ("openai_moderations", "stream"): _ONE_PIECE,
    ("openai_moderations", "tools"): _NO_TOOLS,
    ("rerank", "stream"): _ONE_PIECE,
    ("rerank", "tools"): _NO_TOOLS,
    ("models", "stream"): _ONE_PIECE,
    ("models", "usage"): "nothing is computed",
    ("models", "tools"): _NO_TOOLS,
    ("models", "cost"): "free of charge",
    ("generic", "usage"): "means something else in each format",
    ("generic", "tools"): "the format is not known",
    ("generic", "cost"): "not without usage; an upstream's own figure in a header counts",
}


def _is_read(parsed: Parsed) -> bool:
    return parsed.error_type is None and any((parsed.output, parsed.tool_calls, parsed.results, parsed.model))


def _unary(case: Case, parsed: Parsed) -> bool:
    return not case.is_stream and parsed.terminal is True and (_is_read(parsed) or case.dialect == GENERIC.name)


def _stream(case: Case, parsed: Parsed) -> bool:
    return case.is_stream and (parsed.output is not None or case.dialect == GENERIC.name)


def _usage(_: Case, parsed: Parsed) -> bool:
    return parsed.usage is not None


def _tools(_: Case, parsed: Parsed) -> bool:
    return bool(parsed.tool_calls)


def _cost(case: Case, parsed: Parsed) -> bool:
    priced = Priced(
        model=parsed.model or parsed.model_requested,
        usage=parsed.usage,
        at_us=AT_US,
        base=BASES.get(case.dialect, "https://api.openai.com"),
        service_tier=parsed.service_tier,
        reported_nano_usd=parsed.cost_nano_usd,
    )
    return price(priced) is not None


COLUMNS: dict[str, Callable[[Case, Parsed], bool]] = {
    "unary": _unary,
    "stream": _stream,
    "usage": _usage,
    "tools": _tools,
    "cost": _cost,
}
NOT_VENDORS = {"gateway", "no", "unknown"}


def dialects() -> list[str]:
    """In the order in which they are tried; the generic one last."""
    return list(dict.fromkeys([*(row.dialect.name for row in ROWS), GENERIC.name]))


def proven() -> set[tuple[str, str]]:
    """(dialect, column) of each cell that a case proves."""
    read = [(case, parse(case.bodies)) for case in cases()]
    return {(case.dialect, column) for case, parsed in read for column, shows in COLUMNS.items() if shows(case, parsed)}


def document() -> str:
    """The whole file."""
    found = proven()
    rows = [
        ["format", "such as", *COLUMNS, "cases of"],
        ["---"] * (len(COLUMNS) + 3),
        *(
            [
                f"`{name}`",
                f"`{DEFAULT_PATHS[name]}`",
                *(_cell(name, column, found) for column in COLUMNS),
                _vendors(name),
            ]
            for name in dialects()
        ),
    ]
    return HEAD + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(dialect: str, column: str, found: set[tuple[str, str]]) -> str:
    return "✓" if (dialect, column) in found else REASONS.get((dialect, column), "")


def _vendors(dialect: str) -> str:
    names = {case.name.partition("-")[0] for case in cases(dialect)} - NOT_VENDORS
    return ", ".join(sorted(names)) or "none"


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(document(), encoding="utf-8")
