"""``llmtap check``: is this machine fit for serving, with these settings? Looks, changes nothing, sends nothing.

Each check is a function that gives back a ``Finding``; the list of them is the table at the end.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from ..addresses import Address, parse_address
from ..config import Config
from ..console import figures
from ..console.health import look_at_all
from ..datadir import FOLDERS, prepare
from ..errors import ConfigError
from .findings import Finding, lines
from .options import config_options, configured_by, invoked_as
from .ports import holder
from .terminal import Terminal

_PYTHON_MIN = (3, 11)
_SQLITE_MIN = (3, 40)
_DISK_MIN_BYTES = 1 << 30
_YEAR_MIN = 2025  #: a clock that stands before this was never set


@click.command()
@config_options
def check(config_file: Path | None, data_dir: str | None) -> int:
    """Check settings, data directory, ports, disk, libraries and clock. Exit code 1 when one will not do."""
    terminal = Terminal()
    failed = 0
    for finding in findings(config_file, data_dir):
        failed += finding.failed
        for line in lines(finding, terminal):
            print(line)
    return 1 if failed else 0


def findings(config_file: Path | None, data_dir: str | None) -> Iterator[Finding]:
    """All findings; the rest is checked with the settings in force, or not at all when they are wrong."""
    try:
        config = configured_by(config_file, data_dir, {})
    except ConfigError as error:
        yield Finding(False, "settings cannot be used", str(error))
    else:
        yield Finding(True, "settings are valid")
        for settled in _WITH_SETTINGS:
            yield settled(config)
    for plain in _WITHOUT_SETTINGS:
        yield plain()


def _data_directory(config: Config) -> Finding:
    path = config.data_dir
    if not path.exists():
        return _future_directory(path)
    try:
        if all((path / folder).is_dir() for folder in FOLDERS):
            prepare(path)
    except ConfigError as error:
        return Finding(False, f"data directory {path} cannot be used", str(error))
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(False, f"data directory {path} cannot be written", f"make it yours: chown -R $USER {path}")
    if path.stat().st_mode & 0o077:
        return Finding(False, f"data directory {path} is open to others", f"close it: chmod 700 {path}")
    return Finding(True, f"data directory {path} is writable and private")


def _future_directory(path: Path) -> Finding:
    parent = _existing(path)
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        return Finding(True, f"data directory {path} can be made")
    return Finding(
        False, f"data directory {path} cannot be made: {parent} is not writable", "choose another: --data-dir DIR"
    )


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _disk(config: Config) -> Finding:
    free = shutil.disk_usage(_existing(config.data_dir)).free
    what = f"{figures.size(free)} free for the data directory"
    return Finding(free >= _DISK_MIN_BYTES, what, f"free some space: {figures.size(_DISK_MIN_BYTES)} at least")


def _relay_port(config: Config) -> Finding:
    return _port(config, parse_address(config.relay.listen, "relay.listen"), "relay", "--listen")


def _console_port(config: Config) -> Finding:
    return _port(config, parse_address(config.console.listen, "console.listen"), "console", "--console")


def _port(config: Config, address: Address, name: str, flag: str) -> Finding:
    ours = {process.vitals.get("port") for process in look_at_all(config.data_dir, 1) if process.state != "down"}
    if address.port and address.port in ours:
        return Finding(True, f"{name}: port {address.port} is held by the running llmtap")
    for host in address.hosts:
        reason = _why_not(host, address.port)
        if reason:
            return Finding(
                False,
                f"{name}: {host} port {address.port} cannot be used: {reason}",
                f"choose another: {invoked_as()} serve {flag} H:P",
            )
    return Finding(True, f"{name}: {'any free port' if not address.port else f'port {address.port} is free'}")


def _why_not(host: str, port: int) -> str | None:
    """Try to listen there. A machine without IPv6 is no fault: ``localhost`` then is 127.0.0.1 alone."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        if host == "::1" and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return None
        if error.errno == errno.EADDRINUSE:
            return f"{holder(port) or 'another process'} holds it"
        return error.strerror or str(error)
    return None


def _python() -> Finding:
    return Finding(
        sys.version_info >= _PYTHON_MIN,
        f"Python {sys.version.split()[0]}",
        f"install Python {'.'.join(map(str, _PYTHON_MIN))} or newer",
    )


def _sqlite() -> Finding:
    return Finding(
        sqlite3.sqlite_version_info >= _SQLITE_MIN,
        f"SQLite {sqlite3.sqlite_version}",
        f"use a Python that is built with SQLite {'.'.join(map(str, _SQLITE_MIN))} or newer",
    )


def _http_parser() -> Finding:
    from aiohttp import http_parser

    compiled = http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
    return Finding(
        compiled,
        f"HTTP parser: {'compiled' if compiled else 'in Python, many times slower'}",
        "reinstall aiohttp from a wheel: pip install --force-reinstall --only-binary aiohttp aiohttp",
    )


def _event_loop() -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Finding(True, f"uvloop {version('uvloop')}")
    except PackageNotFoundError:
        return Finding(False, "uvloop is not installed", "pip install uvloop")


def _clock() -> Finding:
    year = time.gmtime().tm_year
    moment = figures.date_time(time.time_ns() // 1000)
    return Finding(year >= _YEAR_MIN, f"clock: {moment}, {time.tzname[0]}", "set the clock: calls are dated by it")


_WITH_SETTINGS: tuple[Callable[[Config], Finding], ...] = (_data_directory, _disk, _relay_port, _console_port)
_WITHOUT_SETTINGS: tuple[Callable[[], Finding], ...] = (_python, _sqlite, _http_parser, _event_loop, _clock)
