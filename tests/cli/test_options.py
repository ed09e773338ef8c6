"""How hints name the command: as a person can type it where they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.watched import ROOT, clean_environment


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An installed ``llmtap``, as pip makes one."""
    path = tmp_path / ".venv" / "bin" / "llmtap"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!{sys.executable}\nfrom proxy.cli import main\nmain()\n")
    path.chmod(0o700)
    return path


def hint(program: Path, here: Path, path: str = "") -> str:
    """The last words of a message that ends in a hint."""
    done = subprocess.run(
        [program, "sirve-nothing"],
        cwd=here,
        env={**clean_environment(), "PYTHONPATH": str(ROOT), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.rpartition("; ")[2].strip()


def test_on_the_path_it_is_the_bare_name(program: Path, tmp_path: Path) -> None:
    assert hint(program, tmp_path, path=str(program.parent)) == "llmtap --help lists them"


def test_elsewhere_it_is_its_path_from_here(program: Path, tmp_path: Path) -> None:
    assert hint(program, tmp_path) == ".venv/bin/llmtap --help lists them"
    assert hint(program, program.parent) == "./llmtap --help lists them"


def test_outside_of_here_it_is_the_whole_path(program: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert hint(program, other) == f"{program} --help lists them"
