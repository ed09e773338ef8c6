"""``llmtap conversations`` and ``llmtap show --conversation``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.console import figures
from proxy.datadir import prepare
from proxy.store.base import StoredCall
from tests.cli.pseudo import Pseudo
from tests.cli.recorded import exchanged, llmtap, new_call, record
from tests.cli.talks import TASK, agents


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[StoredCall]:
    return agents(tmp_path_factory.mktemp("agents"))


@pytest.fixture(scope="module")
def data(calls: list[StoredCall], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("conversations") / "data"
    record(path, *calls)
    return path


def short(call: StoredCall) -> str:
    return figures.short_id(call.call.id)


def test_each_conversation_has_a_line_the_last_active_first(data: Path, calls: list[StoredCall]) -> None:
    done = llmtap(data, "conversations")
    assert (done.returncode, done.stderr) == (0, b"")
    head, *lines = done.stdout.decode().splitlines()[0:1] + done.stdout.decode().splitlines()[-3:]
    titles = ["last active", "id", "calls", "tools", "tokens", "cost", "took", "outcome", "who", "first words"]
    places = [head.find(title) for title in titles]
    assert places == sorted(places)
    assert -1 not in places
    assert [line.split()[2] for line in lines] == [short(calls[at]) for at in (5, 0, 1)]
    assert "Write a guide to the lighthouses." in lines[1]
    assert "300→30" in lines[1]
    assert lines[1].split()[3:5] == ["3", "1"]


def test_a_filter_and_a_time_choose(data: Path, calls: list[StoredCall]) -> None:
    done = llmtap(data, "conversations", "--filter", "status = 'error'", "--json")
    (found,) = map(json.loads, done.stdout.splitlines())
    assert (found["id"], found["calls"], found["errors"], found["outcome"]) == (calls[1].call.id, 2, 1, "ok")
    assert found["started_by"] == calls[0].call.id
    done = llmtap(data, "conversations", "--since", "2026-11-21T12:00:50", "--tz", "UTC", "--json")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [calls[5].call.id]


def test_nothing_to_show_is_said(data: Path, tmp_path: Path) -> None:
    done = llmtap(data, "conversations", "--filter", "model = 'x'")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"nothing matched\n")
    prepare(tmp_path / "empty")
    assert b"No calls are recorded" in llmtap(tmp_path / "empty", "conversations").stderr
    record(tmp_path / "other", exchanged(new_call(dialect="openai_embeddings")))
    assert b"asked a model to say something" in llmtap(tmp_path / "other", "conversations").stderr
    assert llmtap(data, "conversations", "--limit", "0").returncode == 2


def test_a_narrow_terminal_gets_fewer_columns(data: Path) -> None:
    with Pseudo("conversations", "--data-dir", str(data), columns=80, env={"NO_COLOR": "1"}) as terminal:
        assert terminal.end() == 0
    lines = terminal.seen.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert "who" not in lines[0]
    assert "first words" in lines[0]


@pytest.mark.parametrize("at", [0, 3, 4])
def test_a_conversation_is_a_tree_with_tools_and_sub_agents(data: Path, calls: list[StoredCall], at: int) -> None:
    done = llmtap(data, "show", "--conversation", calls[at].call.id)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    told = [
        f"conversation {calls[0].call.id}  ok",
        "3 calls · 1 tool call",
        "user ada",
        f"{short(calls[0])} ok +0.0ms · gpt-5-mini",
        "user: Write a guide to the lighthouses.",
        "assistant: → task(",
        "⚙ task took",
        f"sub-agent {short(calls[1])}",
        f"{short(calls[1])} error 429",
        "failed first here",
        f"user: {TASK}",
        "slow down",
        f"{short(calls[2])} ok",
        "(retry)",
        "There are two of them",
        f"{short(calls[3])} ok",
        "tool: ",
        "The coast has two lighthouses",
        f"{short(calls[4])} ok",
        "(regeneration)",
        "Two lighthouses stand on this coast.",
    ]
    places = [text.find(piece) for piece in told]
    assert -1 not in places, told[places.index(-1)]
    assert places == sorted(places)
    assert text.count("Write a guide") == 1  # what was said once stands once
    branch, main = (next(line for line in text.splitlines() if short(calls[at]) in line) for at in (3, 4))
    assert (branch.index(short(calls[3])), main.index(short(calls[4]))) == (2, 0)


def test_the_same_as_json(data: Path, calls: list[StoredCall]) -> None:
    found = json.loads(llmtap(data, "show", "--conversation", calls[4].call.id, "--json").stdout)
    assert found["id"] == calls[0].call.id
    assert [step["call"]["id"] for step in found["steps"]] == [calls[at].call.id for at in (0, 3, 4)]
    (begun,) = found["steps"][0]["begun"]
    assert [step["call"]["follows_by"] for step in begun["steps"]] == [None, "retry"]
    assert found["steps"][0]["tools"][0]["result_call"] == calls[3].call.id


def test_what_cannot_be_shown_is_said(data: Path, tmp_path: Path) -> None:
    assert llmtap(data, "show", "--conversation", "--raw", "request").returncode == 2
    call = new_call(dialect="openai_embeddings")
    record(tmp_path / "other", exchanged(call))
    done = llmtap(tmp_path / "other", "show", "--conversation")
    assert (done.returncode, done.stdout) == (2, b"") or done.returncode == 1
    assert b"belongs to no conversation" in done.stderr
