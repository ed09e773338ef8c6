"""The ``llmtap`` command. ``COMMANDS`` is the table of what it can do: a command is one row and one file.

A command's module is imported only when that command runs, and heavy imports stand inside its
functions, so that ``llmtap tail`` answers at once. What every command shares is decided here:
an error is one line on stderr, and the exit code says what happened:

====  ==========================================================================
0     done
1     it could not be done, or something is not as it should be (``status``, ``check``, ``doctor``)
2     the command line, a setting, a filter or an id was wrong
130   stopped by Ctrl-C
141   the reader of our output went away (``llmtap tail | head``), as if killed by SIGPIPE
====  ==========================================================================
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from .. import __version__
from ..errors import LlmtapError, UsageError

STOPPED = 130
PIPE_CLOSED = 141


class Row(NamedTuple):
    """Where a command lies (``module:function``, below this package) and what it does."""

    target: str
    help: str


COMMANDS = {
    "serve": Row(".serve:serve", "Forward calls, record them and show them, until stopped."),
    "run": Row(".run:run", "Run a command with its LLM calls recorded."),
    "demo": Row(".demo:demo", "See it work: sample calls through a llmtap of their own."),
    "tail": Row(".tail:tail", "Follow the calls, one line each."),
    "show": Row(".show:show", "One call: the conversation, its figures, its exact bytes."),
    "conversations": Row(".conversations:conversations", "Calls that belong together, the last active first."),
    "prompts": Row(".prompts:prompts", "Versions of system prompts, side by side."),
    "search": Row(".search:search", "Find calls by words in prompts, answers and tool calls."),
    "report": Row(".report.command:report", "Calls, tokens, cost and latency, by day, model and more."),
    "sql": Row(".sql:sql", "Ask the store in SQL, read only."),
    "reprice": Row(".again:reprice", "Price stored calls again, at today's price table and settings."),
    "rederive": Row(".again:rederive", "Read stored calls again with today's parsers."),
    "rebuild": Row(".rebuild:rebuild", "Make full text or roll-ups anew from what is stored."),
    "flush": Row(".flush:flush", "Wait until what has been recorded is stored."),
    "prune": Row(".prune:prune", "Delete what is past the limits of retention, or say what would go."),
    "pin": Row(".pin:pin", "Keep calls whatever their age."),
    "hold": Row(".pin:hold", "Legal hold: keep calls that match, also those yet to come."),
    "user": Row(".user:user", "Who may log in to the console, and what they may do."),
    "token": Row(".token:token", "What programs show the console in place of a password."),
    "backup": Row(".backup:backup", "Copy the whole store, while it is written to."),
    "restore": Row(".restore:restore", "Bring back a backup."),
    "verify": Row(".verify:verify", "Check every page, pointer and byte of the store."),
    "status": Row(".status:status", "Whether everything runs, how far behind it is, what is kept."),
    "check": Row(".check:check", "Whether this machine and these settings are fit for serving."),
    "doctor": Row(
        ".doctor.command:doctor", "One call direct and one through llmtap: what differs, and the usual mistakes."
    ),
}


class Commands(click.Group):
    """A group that imports a command when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import it; None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].target.partition(":")
        command = getattr(importlib.import_module(module, __name__), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Say which command is nearest when there is none of this name."""
        if args and args[0] not in COMMANDS:
            raise click.UsageError(f"no command {_shown(args[0])}{_nearest(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a closed pipe ends it without a word."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_stdout()
            raise click.exceptions.Exit(PIPE_CLOSED) from None
        return code


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Set an application's base URL to llmtap and every call is forwarded as it came, and recorded.",
)
@click.version_option(__version__, message="llmtap %(version)s")
def llmtap() -> None:
    """A transparent logging proxy for LLM APIs: change the base URL, see every call."""


def main() -> None:
    """Run the command line and exit with a code from the table above."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a narrow locale must not stop a log from being read
    try:
        code = llmtap.main(list(arguments), prog_name="llmtap", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return STOPPED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except LlmtapError as error:
        return _complain(str(error), 2 if isinstance(error, UsageError) else 1)
    except OSError as error:
        _forget_stdout()
        return _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error), 1)
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int) -> int:
    print(f"llmtap: {_shown(message, lines=True)}", file=sys.stderr)
    return code


def _shown(text: str, *, lines: bool = False) -> str:
    from .terminal import printable

    return printable(text, lines=lines)


def _nearest(name: str) -> str:
    import difflib

    from .options import invoked_as

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean {close[0]}?" if close else f"; {invoked_as()} --help lists them"


def _forget_stdout() -> None:
    """Let what is still buffered vanish: Python would try to write it once more at exit, and complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
