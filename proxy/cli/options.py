"""The options that every command takes, and how they become a ``Config``."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from typing import Any

import click

from ..clock import wall_us
from ..config import Config, default_data_dir, load
from ..errors import QueryError
from ..query.fields import FIELDS

Command = Callable[..., Any]

#: What a filter may hold, for the end of a command's help.
FILTER_HELP = (
    "Filters compare fields by = != < <= > >= in between like, joined by and, or, not; is null finds what is unknown; "
    "tags has 'prod'; created > CURRENT_DATE - INTERVAL 1 DAY; text match 'refund policy'. There is a short form: "
    'status:error,truncated cost:>0.1 -tag:test metadata.team:blue created:>2h "refund policy". '
    "model = 'gpt-5' finds calls that gpt-5 or a dated version of it (gpt-5-2025-08-07) served, or was asked for. "
    f"Fields: {', '.join(FIELDS)}."
)


def config_options(command: Command) -> Command:
    """Add ``--config`` and ``--data-dir``; the command receives ``config_file`` and ``data_dir``, maybe None."""
    for option in (
        click.option(
            "--data-dir",
            metavar="DIR",
            help="Where everything is kept. [env: LLMTAP_DATA_DIR; default: llmtap in the XDG data home]",
        ),
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Settings, in TOML. [env: LLMTAP_CONFIG; default: llmtap/config.toml in the XDG config home]",
        ),
    ):
        command = option(command)
    return command


def with_config(**flags: tuple[str, str]) -> Callable[[Command], Command]:
    """Add the common options; the command receives the finished ``config`` in their place.

    ``flags``: parameters of the command that override a setting, name → (section, setting); a
    parameter that was not given must be None. They are used up: the command does not see them.
    """

    def decorate(command: Command) -> Command:
        @config_options
        @functools.wraps(command)
        def configured(config_file: Path | None, data_dir: str | None, **rest: Any) -> Any:
            given = {setting: rest.pop(name) for name, setting in flags.items()}
            return command(config=configured_by(config_file, data_dir, given), **rest)

        return configured

    return decorate


def configured_by(config_file: Path | None, data_dir: str | None, given: dict[tuple[str, str], Any]) -> Config:
    """The settings, from file, environment and flags."""
    return load(config_file, flags={("data", "dir"): data_dir, **given})


def hint(command: str, data_dir: Path) -> str:
    """A command to type, with ``--data-dir`` unless that is the usual one: ``hint("tail", …)``."""
    named = "" if is_usual(data_dir) else f" --data-dir {shlex.quote(str(data_dir))}"
    return f"{invoked_as()} {command}{named}"


def is_usual(data_dir: Path) -> bool:
    """Whether this is the data directory of those who name none."""
    return data_dir == default_data_dir(os.environ).absolute()


def invoked_as() -> str:
    """``llmtap`` as a person can type it here: its path when ``PATH`` does not lead to this one."""
    import shutil

    program = Path(sys.argv[0])
    if program.name != "llmtap" or not program.is_file():
        return "llmtap"  # started as a module
    found = shutil.which("llmtap")
    if found and program.samefile(found):
        return "llmtap"
    path, here = program.absolute(), Path.cwd()
    shown = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    return shlex.quote(shown if "/" in shown else f"./{shown}")


def filter_option(command: Command) -> Command:
    """Add ``--filter``; the command receives ``where``, a parsed filter or None."""
    return click.option(
        "--filter",
        "where",
        metavar="EXPR",
        callback=lambda ctx, _option, text: None if text is None else _filter(text, ctx.params.get("zone")),
        help="Only calls that match, e.g. \"status != 'ok' and model = 'gpt-5'\", or status:error.",
    )(command)


def _filter(text: str, zone: tzinfo | None) -> Any:
    from ..query.parse import parse_filter
    from ..zones import LocalZone

    try:
        return parse_filter(text, zone or LocalZone(), wall_us())
    except QueryError as error:
        raise QueryError(f"--filter: {error}{pointer(text, error.column)}", error.column) from None


def pointer(text: str, column: int | None) -> str:
    """The filter with a mark below the mistake; nothing when it cannot be shown on one line."""
    if column is None or "\n" in text or len(text) > 200:
        return ""
    return f"\n    {text}\n    {' ' * (column - 1)}^"
