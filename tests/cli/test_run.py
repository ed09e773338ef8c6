"""``llmtap run``: no key may reach another provider, and the command must not notice us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proxy.cli.run import BASE_URLS, plan
from proxy.errors import ConfigError

ROOT = Path(__file__).parents[2]


def planned(**environment: str) -> dict[str, tuple[str, str | None, str | None]]:
    """variable → (path at the relay, prefix of the added upstream, its base)."""
    return {
        item.name: (item.path, item.upstream and item.upstream.prefix, item.upstream and item.upstream.base)
        for item in plan(environment)
    }


def test_nothing_set_means_the_built_in_routes() -> None:
    assert planned() == {
        "OPENAI_BASE_URL": ("/v1", None, None),
        "OPENAI_API_BASE": ("/v1", None, None),
        "ANTHROPIC_BASE_URL": ("/anthropic", None, None),
        "GOOGLE_GEMINI_BASE_URL": ("/gemini", None, None),
        "OLLAMA_HOST": ("/ollama", None, None),
    }


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("OPENAI_BASE_URL", "https://h.example/x/v1", ("/v1", "/", "https://h.example/x")),
        ("OPENAI_BASE_URL", "https://h.example/x/v1/", ("/v1", "/", "https://h.example/x")),
        ("OPENAI_BASE_URL", "https://h.example/x", ("", "/", "https://h.example/x")),
        ("ANTHROPIC_BASE_URL", "https://h.example", ("/anthropic", "/anthropic", "https://h.example")),
        ("OLLAMA_HOST", "0.0.0.0:11434", ("/ollama", "/ollama", "http://127.0.0.1:11434")),
        ("OLLAMA_HOST", "box.example:1", ("/ollama", "/ollama", "http://box.example:1")),
    ],
)
def test_a_base_url_that_is_set_becomes_the_upstream_of_its_route(
    variable: str, value: str, expected: tuple[str, str, str]
) -> None:
    assert planned(**{variable: value})[variable] == expected


def test_two_variables_of_one_route_that_disagree_get_a_route_each() -> None:
    found = planned(OPENAI_BASE_URL="https://a.example/v1", OPENAI_API_BASE="https://b.example/v1")
    assert found["OPENAI_BASE_URL"] == ("/v1", "/", "https://a.example")
    assert found["OPENAI_API_BASE"] == ("/openai_api_base/v1", "/openai_api_base", "https://b.example")


def test_a_base_url_that_cannot_be_an_upstream_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL"):
        plan({"OPENAI_BASE_URL": "ftp://h.example"})


class Upstream(BaseHTTPRequestHandler):
    """Answers any POST with one chat completion."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
        usage = {"prompt_tokens": 3, "completion_tokens": 2}
        body = json.dumps({"id": "r", "model": "gpt-5-mini", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


CALL = """
import json, os, urllib.request
body = json.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}).encode()
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
request = urllib.request.Request(url, body, {"Content-Type": "application/json", "Authorization": "Bearer sk-x"})
print(json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"])
"""


def run(data_dir: Path, *command: str, upstream: str = "", **popen: object) -> subprocess.CompletedProcess[str]:
    variables = {row.name for row in BASE_URLS}
    environment = {name: value for name, value in os.environ.items() if name not in variables}
    environment |= {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"} | (
        {"OPENAI_BASE_URL": upstream} if upstream else {}
    )
    arguments = [sys.executable, "-m", "proxy", "run", "--data-dir", str(data_dir), "--", *command]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False, **popen)  # type: ignore[call-overload,no-any-return]


def test_the_calls_of_a_command_are_recorded_and_summed_up(tmp_path: Path, upstream: str) -> None:
    done = run(tmp_path / "data", sys.executable, "-c", CALL + "raise SystemExit(7)", upstream=upstream, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, "hello\n")
    assert "1 calls · 5 tokens · $" in done.stderr
    assert list((tmp_path / "data" / "journal").iterdir()) == []


def test_a_folder_called_proxy_where_the_user_stands_is_not_imported(tmp_path: Path, upstream: str) -> None:
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from proxy.cli import run; sys.exit(run(sys.argv[1:]))"
    arguments = ["run", "--data-dir", str(tmp_path / "data"), "--", sys.executable, "-P", "-c", CALL]
    environment = {**os.environ, "OPENAI_BASE_URL": upstream, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_a_command_that_does_not_exist_and_one_that_makes_no_call(tmp_path: Path) -> None:
    assert run(tmp_path / "data", "no-such-command-here").returncode == 127
    done = run(tmp_path / "data", sys.executable, "-c", "")
    assert done.returncode == 0
    assert "no LLM call was made" in done.stderr


def test_a_command_that_a_signal_ended_is_told_by_its_code(tmp_path: Path) -> None:
    script = f"import os; os.kill(os.getpid(), {signal.SIGTERM.value})"
    assert run(tmp_path / "data", sys.executable, "-c", script).returncode == 128 + signal.SIGTERM
