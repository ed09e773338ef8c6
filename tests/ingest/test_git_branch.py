"""The branch of a directory, in repositories as git makes them, and in what only looks like one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from proxy.ingest.git_branch import git_branch


def repository(directory: Path, head: str) -> Path:
    """As much of one as is looked at."""
    (directory / ".git").mkdir(parents=True)
    (directory / ".git" / "HEAD").write_text(head)
    return directory


@pytest.mark.parametrize(
    ("head", "branch"),
    [
        ("ref: refs/heads/main\n", "main"),
        ("ref: refs/heads/feature/über-x\n", "feature/über-x"),
        ("ref: refs/remotes/origin/x\n", "remotes/origin/x"),
        ("0123456789abcdef0123456789abcdef01234567\n", "0123456"),
        ("ab" * 32, "abababa"),
        ("", None),
        ("root:x:0:0:root:/root:/bin/bash\n", None),
        ("ref: refs/heads/a\nsecret\n", None),
        ("ref: refs/heads/" + "x" * 300, None),
    ],
)
def test_what_a_head_says(tmp_path: Path, head: str, branch: str | None) -> None:
    assert git_branch(repository(tmp_path, head)) == branch


def test_the_nearest_repository_above_counts(tmp_path: Path) -> None:
    repository(tmp_path, "ref: refs/heads/outer\n")
    inner = repository(tmp_path / "a" / "b", "ref: refs/heads/inner\n")
    (inner / "c" / "d").mkdir(parents=True)
    assert git_branch(inner / "c" / "d") == "inner"
    assert git_branch(tmp_path / "a") == "outer"


def test_outside_of_any_repository(tmp_path: Path) -> None:
    assert git_branch(tmp_path) is None
    assert git_branch(tmp_path / "is" / "not" / "there") is None


def test_what_git_itself_makes(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(work), *identity, *arguments], check=True, capture_output=True)

    work = tmp_path / "work"
    work.mkdir()
    try:
        git("init")
    except FileNotFoundError:
        pytest.skip("git is not installed")
    git("checkout", "-b", "topic/one")
    assert git_branch(work) == "topic/one"
    git("commit", "--allow-empty", "-m", "first")
    git("worktree", "add", "-b", "other", str(tmp_path / "tree"))
    assert git_branch(tmp_path / "tree") == "other"
    git("checkout", "--detach")
    commit = subprocess.run(["git", "-C", str(work), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert git_branch(work) == commit.stdout[:7]


def test_a_worktree_that_leads_somewhere_relative_or_nowhere(tmp_path: Path) -> None:
    (tmp_path / "modules" / "x").mkdir(parents=True)
    (tmp_path / "modules" / "x" / "HEAD").write_text("ref: refs/heads/sub\n")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".git").write_text("gitdir: ../modules/x\n")
    assert git_branch(tmp_path / "x") == "sub"
    (tmp_path / "x" / ".git").write_text("gitdir: /no/such/place\n")
    assert git_branch(tmp_path / "x") is None


def test_files_that_are_no_heads_are_not_waited_for_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert git_branch(tmp_path) is None
    (tmp_path / ".git" / "HEAD").unlink()
    (tmp_path / "secret").write_text("sk-secret")
    (tmp_path / ".git" / "HEAD").symlink_to(tmp_path / "secret")
    assert git_branch(tmp_path) is None
    (tmp_path / ".git" / "HEAD").unlink()
    (tmp_path / ".git" / "HEAD").write_bytes(b"ref: refs/heads/" + b"x" * (1 << 20))
    assert git_branch(tmp_path) is None
