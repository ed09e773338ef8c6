"""Sees to the commands that ``make test-system`` needs: installs what is missing where it may, else says how.

Usage: ``python scripts/system_packages.py strace …``; each command is in the Debian package of its name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
APT_GET = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]


def main(commands: list[str]) -> int:
    """0 when all commands are there."""
    missing = [command for command in commands if shutil.which(command, path=SEARCHED) is None]
    if not missing:
        return 0
    names = " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"make test-system needs {names}. On Debian and Ubuntu: sudo apt-get install {names}", file=sys.stderr)
        return 1
    print(f"Installing {names} …", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run([*APT_GET, *step], env=environment, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
