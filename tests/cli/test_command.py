"""What all commands share: the table, the options, errors and exit codes."""

from __future__ import annotations

import importlib
from pathlib import Path

import click
import pytest

import proxy
from proxy.cli import COMMANDS, Commands, llmtap, run
from proxy.datadir import prepare
from tests.cli.recorded import llmtap as command


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"llmtap {proxy.__version__}\n"


def test_the_help_lists_the_table_without_loading_it(tmp_path: Path) -> None:
    done = command(tmp_path, "--help")
    assert done.returncode == 0
    for name, row in COMMANDS.items():
        assert f"  {name} ".encode() in done.stdout
        assert row.help.split()[0].encode() in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_takes_the_common_options(name: str) -> None:
    module, _, function = COMMANDS[name].target.partition(":")
    found = getattr(importlib.import_module(module, "proxy.cli"), function)
    assert isinstance(found, click.Command)
    for part in found.commands.values() if isinstance(found, click.Group) else [found]:
        assert {"--config", "--data-dir"} <= {option for parameter in part.params for option in parameter.opts}
    assert isinstance(llmtap, Commands)
    assert llmtap.get_command(click.Context(llmtap), name) is found


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["tial"], 2, "did you mean tail?"),
        (["\x1b]0;x\x07"], 2, "\\x1b]0;x\\x07"),
        (["tail", "--nolow"], 2, "--nolow"),
        (["tail", "--config", "/nonexistent/llmtap.toml"], 2, "/nonexistent/llmtap.toml"),
        (["tail", "-n", "-1"], 2, "-n"),
    ],
)
def test_mistakes_are_told_and_end_with_2(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert "\x1b" not in told.err


def test_a_store_that_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "main.db").write_bytes(b"no database at all, and long enough to be looked at" * 20)
    assert run(["tail", "--no-follow", "--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"llmtap: {store / 'main.db'}: ")
    assert told.count("\n") == 1


def test_settings_come_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[relay]\nlisten = "127.0.0.1:9999"\n')
    prepare(tmp_path / "data")
    done = command(tmp_path / "data", "tail", "--no-follow", "--config", str(tmp_path / "c.toml"))
    assert b"http://127.0.0.1:9999/v1" in done.stderr
    named = command(tmp_path / "data", "tail", "--no-follow", env={"LLMTAP_CONFIG": str(tmp_path / "c.toml")})
    assert named.stderr == done.stderr
