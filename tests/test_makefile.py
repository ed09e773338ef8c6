"""The Makefile and the scripts behind it, run as a newcomer runs them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(MAKE is None, reason="make is not installed")
#: A project that installs without a network: its build backend lies beside it and makes an empty wheel.
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "sample"
version = "{version}"
"""
BACKEND = """
import re, zipfile
from pathlib import Path

DEV = 'Provides-Extra: dev\\nRequires-Dist: thing; extra == "dev"\\n'

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    version = re.search('version = "(.*)"', Path("pyproject.toml").read_text())[1]
    name, info = f"sample-{version}-py3-none-any.whl", f"sample-{version}.dist-info"
    with Path("built").open("a") as built:
        built.write(f"{version}\\n")
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: sample\\nVersion: {version}\\n{DEV}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


def make(*arguments: str) -> str:
    assert MAKE is not None
    done = subprocess.run([MAKE, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def targets() -> dict[str, str]:
    """Targets that people call → what help says of them."""
    return dict(re.findall(r"^([a-z0-9-]+):[^#=\n]*## (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))


# --- the Makefile -----------------------------------------------------------------------------------


@needs_make
def test_make_alone_lists_what_it_can_do() -> None:
    shown = make()
    assert shown == make("help")
    for name, text in targets().items():
        assert re.search(rf"^  make {name} +{re.escape(text)}$", shown, re.MULTILINE)


def test_it_has_the_promised_targets() -> None:
    promised = {"demo", "test", "test-system", "serve", "lint", "bench", "e2e", "soak", "clean", "help"}
    assert promised <= targets().keys()


@needs_make
@pytest.mark.parametrize("target", sorted(targets()))
def test_what_a_target_runs_exists(target: str) -> None:
    plan = make("--dry-run", target)
    for module in re.findall(r"python -m ([\w.]+)", plan):
        assert importlib.util.find_spec(module) is not None
    for script in re.findall(r"scripts/\S+", plan):
        assert (ROOT / script).is_file()
    if target not in ("help", "clean"):
        assert "scripts/setup " in plan


def test_the_tests_that_are_left_out_are_named_in_one_line() -> None:
    (line,) = [line for line in make("--dry-run", "test").splitlines() if line.startswith("echo")]
    assert "make test-system" in line
    assert "make e2e" in line


def test_ci_runs_the_documented_commands_and_no_model() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "set -euo pipefail" in script
    assert re.findall(r'"(make [a-z0-9-]+)"', script) == ["make lint", "make test", "make test-system"]


# --- scripts/setup ----------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with our scripts."""
    root = tmp_path / "project"
    (root / "scripts").mkdir(parents=True)
    for name in ("setup", "setup.py"):
        shutil.copy(ROOT / "scripts" / name, root / "scripts" / name)
    (root / "backend.py").write_text(BACKEND)
    (root / "pyproject.toml").write_text(PYPROJECT.format(version=1))
    return root


def setup_command(root: Path, profile: str = "run", **environment: str) -> subprocess.Popen[str]:
    """``scripts/setup`` in a project, with the Python of this test unless told otherwise, and never with uv."""
    path = os.pathsep.join(entry for entry in os.environ["PATH"].split(os.pathsep) if not (Path(entry) / "uv").exists())
    return subprocess.Popen(
        [root / "scripts" / "setup", profile],
        env={**os.environ, "PATH": path, "PYTHON": sys.executable, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def set_up(root: Path, profile: str = "run", **environment: str) -> tuple[int, str]:
    """(exit code, what it said)."""
    process = setup_command(root, profile, **environment)
    said = process.communicate()[1]
    return process.returncode, said


def builds(root: Path) -> list[str]:
    return (root / "built").read_text().split() if (root / "built").exists() else []


def test_started_thrice_at_once_it_installs_once_until_pyproject_changes_or_the_project_moves(project: Path) -> None:
    started = [setup_command(project) for _ in range(3)]
    said = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert sum("Setting up .venv with Python" in text for text in said) == 1
    assert builds(project) == ["1"]
    assert set_up(project) == (0, "")
    assert set_up(project, PYTHON="") == (0, "")  # finds .venv by itself

    (project / "pyproject.toml").write_text(PYPROJECT.format(version=2))
    assert set_up(project)[0] == 0
    assert builds(project) == ["1", "2"]

    moved = project.rename(project.with_name("moved"))
    assert set_up(moved)[0] == 0
    assert builds(moved) == ["1", "2", "2"]
    assert set_up(moved) == (0, "")


def test_what_was_interrupted_or_failed_is_done_again(project: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / "bin" / "python").symlink_to("/nonexistent/python")
    (project / "backend.py").write_text("raise SystemExit('the disk is full')")
    code, said = set_up(project)
    assert code == 1
    assert "the disk is full" in said
    assert "Setting up .venv failed" in said
    (project / "backend.py").write_text(BACKEND)
    assert set_up(project)[0] == 0
    assert builds(project) == ["1"]


def test_what_tests_need_is_taken_ready_made_or_not_at_all(project: Path, tmp_path: Path) -> None:
    source, shelf = tmp_path / "thing-1", tmp_path / "shelf"
    for directory in (source, shelf):
        directory.mkdir()
    (source / "backend.py").write_text("raise SystemExit('this ran')")
    (source / "pyproject.toml").write_text(PYPROJECT.format(version=1).replace("sample", "thing"))
    shutil.make_archive(str(shelf / "thing-1"), "gztar", tmp_path, "thing-1")
    code, said = set_up(project, "dev", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(shelf))
    assert code == 1
    assert "No matching distribution found for thing" in said
    assert "this ran" not in said
    assert builds(project) == ["1"]


def test_a_python_that_is_too_old_is_named_with_the_remedy(project: Path) -> None:
    code, said = set_up(project, PYTHON="false")
    assert code == 1
    assert "Python 3.11 or newer" in said
    assert "make PYTHON=/path/to/python3.11" in said
    assert not (project / ".venv").exists()


def test_a_python_without_ensurepip_is_named_with_the_remedy(project: Path, tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError")
    code, said = set_up(project, PYTHONPATH=str(tmp_path))
    assert code == 1
    assert "apt install python3-venv" in said
    assert not (project / ".venv").exists()


def test_missing_system_packages_are_named_with_the_remedy(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "system_packages.py")]
    there = subprocess.run([*command, "sh"], capture_output=True, text=True, check=True)
    assert there.stderr == ""
    env = {**os.environ, "PATH": str(tmp_path)}
    missing = subprocess.run([*command, "llmtap-no-such-tool"], env=env, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert "apt-get install llmtap-no-such-tool" in missing.stderr
