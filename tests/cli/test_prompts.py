"""``llmtap prompts``: versions side by side, one with its text, two compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.datadir import prepare
from tests.cli.pseudo import Pseudo
from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.cli.talks import LOOKS_UP, agents


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "data"
    record(path, *agents(path.parent))
    return path


def test_versions_stand_side_by_side(data: Path) -> None:
    done = llmtap(data, "prompts")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split() for line in done.stdout.decode().splitlines() if line[:9].strip().isdigit()]
    # Those that were made from each other stand together: 3 was made from 1.
    assert [(line[0], line[1]) for line in lines[:2]] == [("1", "3"), ("3", "1")]
    assert "You look things up" in done.stdout.decode()


def test_figures_of_each_version(data: Path) -> None:
    found = [json.loads(line) for line in llmtap(data, "prompts", "--json").stdout.splitlines()]
    assert [(each["number"], each["line"], each["predecessor"]) for each in found] == [
        (1, 1, None),
        (2, 2, None),
        (3, 1, 1),
    ]
    assert [(each["calls"], each["errors"]) for each in found] == [(3, 0), (2, 1), (1, 0)]
    assert found[1]["text"] == LOOKS_UP
    assert found[0]["cost_usd"] > 0
    assert found[0]["latency_p50_ms"] > 0
    (one,) = map(json.loads, llmtap(data, "prompts", "2", "--json").stdout.splitlines())
    assert one == found[1]


def test_one_version_with_what_changed(data: Path) -> None:
    text = llmtap(data, "prompts", "3").stdout.decode()
    told = [
        "system prompt 3",
        "versions of it: 1, 3",
        "calls 1",
        "You never lead",
        "changed since version 1",
        "-You lead",
    ]
    places = [text.find(piece) for piece in told]
    assert -1 not in places, told[places.index(-1)]
    assert places == sorted(places)


def test_two_versions_are_compared_in_colour(data: Path) -> None:
    text = llmtap(data, "prompts", "--diff", "3", "1").stdout.decode()
    assert "+You lead other agents." in text
    assert "-You never lead other agents." in text
    assert "equal" in llmtap(data, "prompts", "--diff", "1", "1").stdout.decode()
    with Pseudo("prompts", "--data-dir", str(data), "--diff", "1", "3") as terminal:
        assert terminal.end() == 0
    assert b"\x1b[32m+You never lead" in terminal.seen
    assert b"\x1b[31m-You lead" in terminal.seen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("9",), b"there is no version 9: the last one is 3"),
        (("--diff", "1", "9"), b"there is no version 9"),
        (("--project", "nowhere"), b"those that have: default"),
        (("1", "--diff", "1", "2"), b"--diff goes neither"),
        (("zero",), b"zero"),
    ],
)
def test_what_is_wrong_is_said(data: Path, arguments: tuple[str, ...], said: bytes) -> None:
    done = llmtap(data, "prompts", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    prepare(tmp_path / "empty")
    assert b"No calls are recorded" in llmtap(tmp_path / "empty", "prompts").stderr
    record(tmp_path / "other", exchanged(new_call()))
    assert b"no system prompts yet" in llmtap(tmp_path / "other", "prompts").stderr
