"""Documents that cannot lie: what they name exists, and what exists is named."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import proxy
from proxy.cli import COMMANDS, llmtap
from proxy.config import load, settings
from proxy.relay.routes import BUILT_IN
from proxy.sources import NOT_SETTINGS, SHORT_NAMES
from scripts.config_example import EXAMPLE, example
from scripts.dialects_table import COLUMNS, REASONS, TABLE, dialects, document, proven
from tests.test_makefile import targets

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README = ROOT / "README.md"
NOWHERE = {"XDG_CONFIG_HOME": "/nonexistent"}


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code(path: Path) -> Iterator[str]:
    """Lines of code blocks and pieces of inline code."""
    text = text_of(path)
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


#: ``serve``, and ``user add`` where a command is a group.
EVERY_COMMAND = [
    " ".join(filter(None, [name, part]))
    for name in COMMANDS
    for part in getattr(llmtap.get_command(click.Context(llmtap), name), "commands", {"": None})
]


def command(name: str) -> click.Command:
    first, _, part = name.partition(" ")
    found = llmtap.get_command(click.Context(llmtap), first)
    if isinstance(found, click.Group) and part:
        found = found.commands.get(part)
    assert found is not None, f"no command {name}"
    return found


def named(words: list[str]) -> str:
    """The command that is typed, with its part where it is a group."""
    return " ".join(words[:2]) if isinstance(command(words[0]), click.Group) else words[0]


def options(name: str) -> dict[str, click.Option]:
    """``--listen`` → the option, for one command."""
    found = [option for option in command(name).params if isinstance(option, click.Option)]
    return {flag: option for option in found for flag in [*option.opts, *option.secondary_opts]}


# --- config.example.toml ----------------------------------------------------------------------------


def test_the_example_is_what_the_tables_say() -> None:
    assert text_of(EXAMPLE) == example(), "run make config-example"


def test_the_example_can_be_loaded_and_holds_every_default() -> None:
    assert load(EXAMPLE, NOWHERE) == load(None, NOWHERE)
    written = tomllib.loads(text_of(EXAMPLE))
    assert {(section, name): value for section, table in written.items() for name, value in table.items()} == {
        (row.section, row.name): list(row.default) if isinstance(row.default, tuple) else row.default
        for row in settings()
    }


def test_every_setting_is_explained_in_one_sentence() -> None:
    for row in settings():
        assert re.fullmatch(r"[A-Z].*[^.]\.", row.help) or row.help.startswith("llmtap"), row.name
        assert row.help.count(". ") == 0


def test_the_lists_in_the_example_work_when_its_comment_signs_are_taken_away(tmp_path: Path) -> None:
    commented = text_of(EXAMPLE)
    commented = commented[commented.index("# [[upstreams]]") :]
    (tmp_path / "c.toml").write_text(re.sub(r"^# ?", "", commented, flags=re.MULTILINE))
    config = load(tmp_path / "c.toml", NOWHERE)
    assert [(upstream.name, upstream.prefix) for upstream in config.upstreams] == [("local", "/local")]
    assert [rule.name for rule in config.exclude] == ["smoke test"]
    assert [(price.model, price.input) for price in config.prices] == [("my-model*", 0.25)]


def test_the_example_lists_the_built_in_routes() -> None:
    for _, prefix, base in BUILT_IN:
        assert re.search(rf"^#   {re.escape(prefix)} +{re.escape(base)}$", text_of(EXAMPLE), re.MULTILINE)


# --- docs/dialects.md -------------------------------------------------------------------------------


def test_the_table_of_dialects_is_what_the_cases_prove() -> None:
    assert text_of(TABLE) == document(), "run make dialects-table"


def test_every_cell_is_proven_by_a_case_or_empty_for_a_reason() -> None:
    cells = {(dialect, column) for dialect in dialects() for column in COLUMNS}
    assert cells - proven() == REASONS.keys()
    assert all(REASONS.values())


# --- README and its like ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_named_in_documents_exist(path: Path) -> None:
    named = {name for line in code(path) for name in re.findall(r"\bmake ([a-z][a-z0-9-]*)", line)}
    assert named <= targets().keys()


def test_the_readme_names_the_commands_that_ci_runs_and_those_it_cannot() -> None:
    for name in ("demo", "serve", "test", "test-system", "lint", "e2e", "bench"):
        assert f"make {name}" in text_of(README)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_llmtap_commands_and_options_in_documents_exist(path: Path) -> None:
    for line in code(path):
        for call in re.findall(r"(?:^|[\s(;&|/])llmtap ((?:[a-z]+)(?: [^|;&)\n]*)?)", line.partition("  #")[0]):
            words = shlex.split(call.partition(" -- ")[0], comments=True)
            if words[0] not in COMMANDS:
                continue  # prose such as "llmtap answers"
            known = options(named(words)).keys() | {"--help"}
            used = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
            assert used <= known, line


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "Dockerfile"], ids=lambda path: path.name)
def test_variables_named_in_documents_exist(path: Path) -> None:
    known = {row.environment_name for row in settings()} | SHORT_NAMES.keys() | NOT_SETTINGS
    named = set(re.findall(r"\bLLMTAP_[A-Z][A-Z0-9_]*[A-Z0-9]\b", text_of(path)))
    assert {name for name in named - known if not any(other.startswith(f"{name}_") for other in known)} == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(path)):
        if not re.match(r"[a-z]+:|#", target):
            assert (path.parent / target.partition("#")[0]).exists(), target


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)\b", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == proxy.__version__


def test_the_license_is_the_one_that_the_project_names() -> None:
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in text_of(ROOT / "LICENSE")
    assert "Copyright 2026 The llmtap authors" in text_of(ROOT / "LICENSE")


# --- help ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_command_and_every_option_has_help(name: str) -> None:
    assert COMMANDS[name.partition(" ")[0]].help.endswith(".")
    assert command(name).help
    assert [flag for flag, option in options(name).items() if not option.help] == []


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_command_takes_the_common_options(name: str) -> None:
    assert {"--config", "--data-dir"} <= options(name).keys()
