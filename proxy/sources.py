"""Where values of settings come from: a TOML file and the environment. Not whether they fit.

Each value keeps the name of its source, so that a message about it can say who gave it.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from msgspec import NODEFAULT, Struct

from .errors import ConfigError
from .settings import LISTS, SECTIONS, Setting, settings, settings_of, xdg_home

SHORT_NAMES = {"LLMTAP_TOKEN": ("console", "token")}  #: environment names that break the rule, for brevity
NOT_SETTINGS = {"LLMTAP_CONFIG"}  #: LLMTAP_* names that are read elsewhere
FILE_BYTES_MAX = 1 << 20


class Given(Struct, frozen=True):
    """A value, and who gave it: a file's path, the name of a variable, or ``command line``."""

    value: Any
    source: str


Values = dict[tuple[str, str], Given]  #: by (section, name)
Lists = dict[str, list[Values]]  #: by name of the list: ``[[upstreams]]`` and the like, row by row


def default_config_file(env: Mapping[str, str]) -> Path:
    """``$LLMTAP_CONFIG``, or ``config.toml`` in the XDG config home."""
    if named := env.get("LLMTAP_CONFIG"):
        return expand(named, "LLMTAP_CONFIG")
    return xdg_home(env, "XDG_CONFIG_HOME", "~/.config") / "llmtap" / "config.toml"


def expand(text: str, label: str) -> Path:
    """A path as people write it, ``~`` replaced."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{label} = {text!r}: no such user; write the path out") from None


# --- the file ---------------------------------------------------------------------------------


def from_file(path: Path | None, env: Mapping[str, str]) -> tuple[Values, Lists]:
    """The settings of a TOML file, and its lists of tables; nothing when no default file is there."""
    must_exist = path is not None or bool(env.get("LLMTAP_CONFIG"))
    path = path or default_config_file(env)
    try:
        with path.open("rb") as file:
            raw, mode = file.read(FILE_BYTES_MAX + 1), os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"{path}: no such file; name another with --config or LLMTAP_CONFIG") from None
        return {}, {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); --config takes a TOML file") from None
    tables = _parse(path, raw)
    lists = {name: list(_rows(name, tables.pop(name, []), str(path))) for name in LISTS}
    values = {key: Given(value, str(path)) for key, value in _known_settings(tables, str(path))}
    _refuse_exposed_secrets(path, mode, values)
    return values, lists


def _parse(path: Path, raw: bytes) -> dict[str, Any]:
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes: is it the right file?")
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply: is it the right file?") from None
    except ValueError as error:
        hint = next((hint for start, hint in _TOML_HINTS.items() if str(error).startswith(start)), "")
        raise ConfigError(f"{path}: not valid TOML: {error}{hint}") from None


_TOML_HINTS = {
    "Cannot overwrite": "; the same key stands twice, leave one out",
    "Cannot declare": "; the same section stands twice, put its keys together",
    "Invalid value": '; texts need quotes, e.g. listen = "localhost:8800"',
    "Expected '='": "; write key = value, with texts in quotes",
}


def _known_settings(tables: dict[str, Any], source: str) -> Iterator[tuple[tuple[str, str], Any]]:
    for section, table in tables.items():
        if section not in SECTIONS:
            raise ConfigError(f"{source}: unknown section [{section}]{_nearest(section, [*SECTIONS, *LISTS])}")
        if not isinstance(table, dict):
            raise ConfigError(f"{source}: {section} must be a section: write [{section}]")
        _refuse_unknown(table, settings_of(section, SECTIONS[section]), source)
        yield from (((section, name), value) for name, value in table.items())


def _rows(name: str, rows: Any, source: str) -> Iterator[Values]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        required = " and a ".join(row.name for row in settings_of(name, LISTS[name]) if row.default is NODEFAULT)
        raise ConfigError(f"{source}: write {name} as [[{name}]], each with a {required}")
    for place, row in enumerate(rows, 1):
        section = f"{name}[{place}]"
        _refuse_unknown(row, settings_of(section, LISTS[name]), source)
        yield {(section, key): Given(value, source) for key, value in row.items()}


def _refuse_unknown(table: dict[str, Any], known: tuple[Setting, ...], source: str) -> None:
    names = [setting.name for setting in known]
    for name in table:
        if name not in names:
            raise ConfigError(f"{source}: unknown setting {known[0].section}.{name}{_nearest(name, names)}")


def _refuse_exposed_secrets(path: Path, mode: int, values: Values) -> None:
    keys = [(setting.section, setting.name) for setting in settings() if setting.secret]
    held = [".".join(key) for key in keys if key in values and values[key].value != ""]
    if held and stat.S_ISREG(mode) and mode & 0o077:
        raise ConfigError(f"{path} holds {' and '.join(held)} but others may read it: chmod 600 {path}")


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(known))}"


# --- the environment ----------------------------------------------------------------------------


def from_environment(env: Mapping[str, str]) -> Values:
    """The settings among the ``LLMTAP_…`` variables; an empty one counts as not set."""
    rows = {row.environment_name: row for row in settings()}
    rows |= {short: row for short, key in SHORT_NAMES.items() for row in settings() if (row.section, row.name) == key}
    found: Values = {}
    for name, text in env.items():
        if not name.startswith("LLMTAP_") or name in NOT_SETTINGS or not text or _service_link(name, text):
            continue
        if name not in rows:
            raise ConfigError(f"environment: unknown setting {name}{_nearest(name, rows)}")
        given = Given(_from_text(rows[name].kind, text), name)
        first = found.setdefault((rows[name].section, rows[name].name), given)
        if first is not given and first.value != given.value:
            raise ConfigError(f"environment: {first.source} and {name} are one setting with two values: unset one")
    return found


_SERVICE_LINK = re.compile(r"LLMTAP_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")


def _service_link(name: str, text: str) -> bool:
    """Kubernetes and Docker links set such names in every container beside a service called llmtap."""
    return bool(_SERVICE_LINK.fullmatch(name)) or (name.endswith("_PORT") and "://" in text)


_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_READERS: dict[Any, Callable[[str], Any]] = {
    bool: lambda text: _TRUTH[text.strip().lower()],
    int: int,
    float: float,
    tuple: lambda text: [item.strip() for item in text.split(",") if item.strip()],
}


def _from_text(kind: Any, text: str) -> Any:
    """The value that a text stands for; the text itself when it stands for none: it will then not fit."""
    try:
        return _READERS.get(get_origin(kind) or kind, str)(text)
    except (KeyError, ValueError):
        return text
