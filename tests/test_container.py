"""The Dockerfile, read line by line: it is built elsewhere, but what it says can be held against the rest."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from proxy.addresses import parse_address
from proxy.cli import COMMANDS
from proxy.config import load
from proxy.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> Iterator[tuple[str, str]]:
    """(instruction, the rest), continued lines joined, comments left out."""
    kept = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.startswith("#")]
    for line in "\n".join(kept).replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        yield name, re.sub(r"\s+", " ", rest.strip())


def last_stage() -> dict[str, list[str]]:
    """What stands in the image that runs: instruction → its lines."""
    found: dict[str, list[str]] = {}
    for name, rest in instructions():
        found = {} if name == "FROM" else found
        found.setdefault(name, []).append(rest)
    return found


def environment() -> dict[str, str]:
    """The variables that the image sets."""
    return dict(pair.split("=", 1) for line in last_stage()["ENV"] for pair in line.split(" "))


def settings() -> dict[str, str]:
    return {name: value for name, value in environment().items() if name.startswith("LLMTAP_")}


def test_every_stage_starts_from_one_pinned_slim_python() -> None:
    tags = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    bases = [rest.split(" ")[0] for name, rest in instructions() if name == "FROM"]
    assert len(bases) == 2
    assert set(bases) == {"python:${PYTHON}"}
    version = re.fullmatch(r"3\.(\d+)-slim-\w+", tags["PYTHON"])
    assert version is not None
    assert int(version[1]) >= 11


def test_it_runs_as_a_user_of_its_own() -> None:
    assert last_stage()["USER"] == ["llmtap"]
    assert "useradd --uid 10001" in " ".join(last_stage()["RUN"])


def test_it_keeps_everything_in_one_volume_that_is_its_users_alone() -> None:
    assert last_stage()["VOLUME"] == ["/data"] == [environment()["LLMTAP_DATA_DIR"]]
    assert "--owner llmtap --group llmtap --mode 0700 /data" in " ".join(last_stage()["RUN"])


def test_its_health_is_asked_by_llmtap_itself() -> None:
    (check,) = last_stage()["HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "llmtap"
    assert command[1] in COMMANDS


def test_it_serves_and_is_stopped_by_a_signal_that_drains() -> None:
    assert json.loads(last_stage()["ENTRYPOINT"][0]) == ["llmtap"]
    assert json.loads(last_stage()["CMD"][0]) == ["serve"]
    assert last_stage()["STOPSIGNAL"] == ["SIGTERM"]


def test_what_its_head_comment_says_is_enough_to_start_it_and_less_is_refused() -> None:
    told = dict(re.findall(r"-e (LLMTAP_\w+)=(\S+)", DOCKERFILE))
    told["LLMTAP_TOKEN"] = "0" * 64
    config = load(environment=settings() | told)
    listening = [parse_address(text, "listen") for text in (config.relay.listen, config.console.listen)]
    assert [address.loopback for address in listening] == [False, False]
    assert last_stage()["EXPOSE"] == [" ".join(str(address.port) for address in listening)]
    assert [f"-p {address.port}:{address.port}" in DOCKERFILE for address in listening] == [True, True]
    for name in told:
        with pytest.raises(ConfigError, match=name):
            load(environment=settings() | {key: value for key, value in told.items() if key != name})


def test_it_copies_all_that_the_package_is_built_from_and_nothing_is_ignored() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
    }
    copied = {
        part for name, rest in instructions() if name == "COPY" and "--from" not in rest for part in rest.split()[:-1]
    }
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert copied == needed
    assert all(any(fnmatch(name, pattern) for pattern in kept) for name in needed)


def test_no_tool_is_fetched_beside_the_package() -> None:
    assert not re.search(r"\b(curl|wget|apt-get|apk|git)\b", " ".join(rest for _, rest in instructions()))
