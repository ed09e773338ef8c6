"""``llmtap prompts``: the system prompts of a project, with what the calls of each version came to."""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence

import click

from ..config import Config
from ..console import figures
from ..errors import UsageError
from ..query.tree import Comparison
from ..records import DEFAULT_PROJECT
from ..store.base import Reader, ReportRow
from ..store.traces import PromptVersion
from .options import with_config
from .reading import how_to_begin, recorded
from .terminal import Terminal, fit, printable

_WORDS = 60  #: characters of a prompt, in the table
_CONTEXT_LINES = 3
_STYLES = {"+": "green", "-": "red", "@": "cyan"}

Figures = Mapping[int, ReportRow]


@click.command()
@click.argument("number", required=False, type=click.IntRange(1))
@click.option("--project", metavar="NAME", help=f"Whose prompts.  [default: {DEFAULT_PROJECT}, or the only one]")
@click.option("--diff", nargs=2, type=click.IntRange(1), metavar="A B", help="What changed from version A to B.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each version, with its text.")
@with_config()
def prompts(
    config: Config, number: int | None, project: str | None, diff: tuple[int, int] | None, as_json: bool
) -> int:
    """System prompts: a line for each version; with NUMBER, its text, and what changed since its predecessor.

    A clock, a date or a name in a prompt makes no version: what varies is shown as "…". Versions that
    were made from each other stand together. Their calls are found by the filter system_version = NUMBER.
    """
    if diff and (number or as_json):
        raise click.UsageError("--diff goes neither with NUMBER nor with --json")
    return asyncio.run(_prompts(config, number, project, diff, as_json))


async def _prompts(
    config: Config, number: int | None, project: str | None, diff: tuple[int, int] | None, as_json: bool
) -> int:
    async with recorded(config) as reader:
        name = await _project(config, reader, project)
        if name is None:
            return 0
        found = {version.number: version for version in await reader.prompts(name)}
        if not found:
            raise UsageError(f"project {name} has no system prompts; those that have: {await _projects(reader)}")
        came_to = await _figures(reader, name) if diff is None else {}
    if diff is not None:
        before, after = (_known(found, each) for each in diff)
        lines = list(_difference(before, after, Terminal()))
        print("\n".join(lines or [f"versions {before.number} and {after.number} are equal"]))
    elif as_json:
        _write_json([_known(found, number)] if number else list(found.values()), came_to)
    elif number is not None:
        print("\n".join(_one(_known(found, number), found, came_to, Terminal())))
    else:
        sys.stdout.write(_table(sorted(found.values(), key=lambda each: (each.line, each.number)), came_to, Terminal()))
    return 0


async def _project(config: Config, reader: Reader, named: str | None) -> str | None:
    """The one that is meant; None when there is nothing to show, which is said."""
    known = await reader.prompt_projects()
    if not known:
        empty = not await reader.latest_rev()
        print(how_to_begin(config) if empty else "no system prompts yet: no recorded call sent one", file=sys.stderr)
        return None
    if named is not None or DEFAULT_PROJECT in known:
        return named or DEFAULT_PROJECT
    if len(known) > 1:
        raise UsageError(f"--project says whose prompts: {', '.join(known)}")
    return known[0]


async def _projects(reader: Reader) -> str:
    return ", ".join(await reader.prompt_projects())


async def _figures(reader: Reader, project: str) -> Figures:
    where = Comparison("project", "=", project)
    rows = await reader.report(("system_version",), where=where)
    return {int(row.group[0]): row for row in rows if row.group[0] is not None}


def _known(found: Mapping[int, PromptVersion], number: int) -> PromptVersion:
    if number not in found:
        raise UsageError(f"there is no version {number}: the last one is {max(found)}")
    return found[number]


def _write_json(versions: Sequence[PromptVersion], came_to: Figures) -> None:
    from ..store.trace_view import prompt_json

    for version in versions:
        print(json.dumps(prompt_json(version, came_to.get(version.number)), separators=(",", ":")))


# --- the table ----------------------------------------------------------------------------------------


def _table(versions: Sequence[PromptVersion], came_to: Figures, terminal: Terminal) -> str:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from . import tables

    drawn = Table(box=SIMPLE, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    titles = ("version", "from", "calls", "errors", "cost", "per call", "latency p50", "first seen", "last seen")
    for title in titles:
        drawn.add_column(title, justify="left" if title.endswith("seen") else "right", no_wrap=True)
    room = _WORDS if terminal.width is None else terminal.width - _width(versions, came_to) - 1
    drawn.add_column("begins", no_wrap=True)
    for version in versions:
        words = Text(fit(printable(" ".join(version.text.split())[: 4 * _WORDS]), max(room, 12)))
        drawn.add_row(*map(Text, _cells(version, came_to.get(version.number))), words)
    return tables.drawn(drawn, terminal)


def _width(versions: Sequence[PromptVersion], came_to: Figures) -> int:
    """Columns that all but the words need."""
    titles = ("version", "from", "calls", "errors", "cost", "per call", "latency p50")
    cells = [_cells(version, came_to.get(version.number)) for version in versions]
    widths = [max(len(title), *(len(row[place]) for row in cells)) + 1 for place, title in enumerate(titles)]
    return sum(widths) + 2 * (len("2026-11-21 12:00:00") + 1)


def _cells(version: PromptVersion, came_to: ReportRow | None) -> Sequence[str]:
    calls = came_to.calls if came_to else 0
    share = f"{came_to.errors / calls:.1%}" if came_to and calls else figures.UNKNOWN
    cost = came_to.cost_nano_usd if came_to and came_to.calls_with_cost else None
    each = round(cost / came_to.calls_with_cost) if came_to and cost is not None else None
    return (
        str(version.number),
        str(version.predecessor or ""),
        f"{calls:,}",
        share,
        figures.money(cost),
        figures.money(each),
        figures.duration(came_to.latency_p50_us if came_to else None),
        figures.date_time(version.first_us),
        figures.date_time(version.last_us),
    )


# --- one version ----------------------------------------------------------------------------------------


def _one(
    version: PromptVersion, found: Mapping[int, PromptVersion], came_to: Figures, terminal: Terminal
) -> Iterator[str]:
    line = [each.number for each in found.values() if each.line == version.line]
    yield terminal.paint(f"system prompt {version.number}", "bold") + f"  of project {printable(version.project)}"
    if len(line) > 1:
        yield f"versions of it: {', '.join(map(str, line))}"
    facts = zip(
        ("calls", "errors", "cost", "per call", "latency p50"),
        _cells(version, came_to.get(version.number))[2:],
        strict=False,
    )
    yield " · ".join(f"{name} {value}" for name, value in facts)
    yield terminal.paint(f"{figures.date_time(version.first_us)} to {figures.date_time(version.last_us)}", "dim")
    yield ""
    yield printable(version.text, lines=True)
    before = found.get(version.predecessor) if version.predecessor else None
    if before is not None:
        yield ""
        yield terminal.paint(f"changed since version {before.number}", "bold")
        yield from _difference(before, version, terminal)


def _difference(before: PromptVersion, after: PromptVersion, terminal: Terminal) -> Iterator[str]:
    """Lines that went and came, with a few around them."""
    lines = difflib.unified_diff(
        before.text.splitlines(), after.text.splitlines(), f"version {before.number}", f"version {after.number}",
        n=_CONTEXT_LINES, lineterm="",
    )  # fmt: skip
    for line in lines:
        yield terminal.paint(printable(line), _STYLES.get(line[:1], ""))
