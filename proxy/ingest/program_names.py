"""What a person would call a running program, told from its command line.

``python agent.py`` is agent.py, not python3; ``python -m pytest`` is pytest. No I/O, and no
arguments in the result: keys are passed in arguments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from msgspec import Struct

_LENGTH_MAX = 64
_VERSION = re.compile(r"[0-9.]+$")
#: Files that every other project has one of; their directory says more.
_COMMON = re.compile(r"(main|index|cli|app|server)\.\w+")


class Interpreter(Struct, frozen=True):
    """How the command line of one leads to what it runs."""

    taking: frozenset[str] = frozenset()  #: options whose value is the next argument
    naming: frozenset[str] = frozenset()  #: options whose value is the program
    inline: frozenset[str] = frozenset()  #: options whose value is the program's text
    verbs: frozenset[str] = frozenset()  #: words before the program


_SHELL = Interpreter(taking=frozenset({"-o", "-O", "--rcfile", "--init-file"}), inline=frozenset({"-c", "-s"}))
INTERPRETERS = {
    "python": Interpreter(frozenset({"-W", "-X"}), frozenset({"-m"}), frozenset({"-c", "-"})),
    "node": Interpreter(
        frozenset(
            {
                "-r",
                "--require",
                "--import",
                "--loader",
                "--experimental-loader",
                "-C",
                "--conditions",
                "--env-file",
                "--env-file-if-exists",
            }
        ),
        inline=frozenset({"-e", "--eval", "-p", "--print", "-"}),
    ),
    "deno": Interpreter(
        frozenset({"-c", "--config"}), inline=frozenset({"eval", "repl", "-"}), verbs=frozenset({"run", "task"})
    ),
    "bun": Interpreter(inline=frozenset({"-e", "--eval", "-"}), verbs=frozenset({"run", "x"})),
    "ruby": Interpreter(frozenset({"-I", "-r", "-C"}), inline=frozenset({"-e"})),
    "perl": Interpreter(frozenset({"-I"}), inline=frozenset({"-e", "-E"})),
    "php": Interpreter(frozenset({"-c", "-d"}), frozenset({"-f"}), frozenset({"-r"})),
    "java": Interpreter(
        frozenset({"-cp", "-classpath", "--class-path", "-p", "--module-path"}),
        naming=frozenset({"-jar", "-m", "--module"}),
    ),
    "bash": _SHELL,
    "dash": _SHELL,
    "sh": _SHELL,
    "zsh": _SHELL,
}


_LIKE_CODE = re.compile(r"[\s\"'=;|&<>$(){}]")  #: no script is called so, and code may hold a key


def program_name(arguments: Sequence[str], executable: str) -> str | None:
    """``executable``: the system's name of the process, when there are no arguments. None when nothing is known."""
    first = _last(arguments[0].removeprefix("-")) if arguments else ""
    interpreter = INTERPRETERS.get(_VERSION.sub("", first.lower()))
    name = (_run_by(interpreter, arguments[1:]) if interpreter else None) or first or executable
    # A name is bytes to the system; halves of characters can be stored nowhere.
    return name.encode("utf-8", "replace").decode()[:_LENGTH_MAX].strip() or None


def _run_by(interpreter: Interpreter, arguments: Sequence[str]) -> str | None:
    """What an interpreter was asked to run; None when that has no name."""
    following = iter(arguments)
    for argument in following:
        if argument in interpreter.inline or _holds_code(argument, interpreter):
            return None
        if argument in interpreter.naming:
            return _last(next(following, ""))
        if argument in interpreter.taking:
            next(following, None)
        elif not argument.startswith("-") and argument not in interpreter.verbs:
            return None if _LIKE_CODE.search(argument) else _script(argument)
    return None


def _holds_code(argument: str, interpreter: Interpreter) -> bool:
    """Whether short options written together end in one that code follows: ``-lc``, ``-pe``."""
    letters = argument[1:]
    return (
        argument.startswith("-") and letters.isalpha() and any(f"-{letter}" in interpreter.inline for letter in letters)
    )


def _script(path: str) -> str:
    file = PurePosixPath(path)
    if file.name == "__main__.py":
        return file.parent.name or file.name
    return f"{file.parent.name}/{file.name}" if _COMMON.fullmatch(file.name) and file.parent.name else file.name


def _last(path: str) -> str:
    """The last part of a path; a title that a process gave itself (``nginx: worker``) stays."""
    return path if " " in path else PurePosixPath(path).name
