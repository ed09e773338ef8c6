"""``llmtap run``: no key may reach another provider, and the command must not notice us."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.base_urls import BASE_URLS, own_config, plan
from proxy.config import Config, Upstream
from proxy.errors import ConfigError
from proxy.gauges import VITALS, Gauges
from proxy.relay.routes import Routes
from tests.harness.eventually import eventually
from tests.harness.server import LlmtapServer
from tests.harness.watched import START_S, clean_environment

ROOT = Path(__file__).parents[2]


def planned(**environment: str) -> dict[str, tuple[str, str | None, str | None]]:
    """variable → (path at the relay, prefix of the added upstream, its base)."""
    return {
        item.name: (item.path, item.upstream and item.upstream.prefix, item.upstream and item.upstream.base)
        for item in plan(environment, Config()).redirections
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


def test_a_variable_that_is_not_set_never_shares_the_route_of_one_that_is() -> None:
    """Else the key of one provider would go to another: each leads where it would without us."""
    openai = ("/openai_base_url", "https://api.openai.com")
    found = planned(OPENAI_API_BASE="https://b.example/v1")
    assert found["OPENAI_API_BASE"] == ("/v1", "/", "https://b.example")
    assert found["OPENAI_BASE_URL"] == (f"{openai[0]}/v1", *openai)
    found = planned(OPENAI_BASE_URL="https://b.example/v1")
    assert found["OPENAI_API_BASE"] == ("/openai_api_base/v1", "/openai_api_base", "https://api.openai.com")
    assert found["ANTHROPIC_BASE_URL"] == ("/anthropic", None, None)


def test_the_root_of_the_settings_stays_that_of_a_variable_that_is_not_set() -> None:
    config = Config(upstreams=(Upstream(name="corp", base="https://corp.example", prefix="/"),))
    found = {item.name: item.upstream for item in plan({"OPENAI_BASE_URL": "https://b.example"}, config).redirections}
    assert found["OPENAI_API_BASE"] == Upstream(
        name="openai-api-base", base="https://corp.example", prefix="/openai_api_base"
    )


def test_every_route_that_is_planned_is_one_that_the_relay_takes() -> None:
    environment = {"OPENAI_API_BASE": "https://b.example/v1", "OLLAMA_HOST": "box.example:1"}
    planned = plan(environment, Config())
    routes = Routes(own_config(Config(), planned))
    leads = {item.name: routes.resolve(f"{item.path}/x").route.base for item in planned.redirections}
    assert leads == {
        "OPENAI_BASE_URL": "https://api.openai.com",
        "OPENAI_API_BASE": "https://b.example",
        "ANTHROPIC_BASE_URL": "https://api.anthropic.com",
        "GOOGLE_GEMINI_BASE_URL": "https://generativelanguage.googleapis.com",
        "OLLAMA_HOST": "http://box.example:1",
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "corp.example, localhost"}, "corp.example,localhost,127.0.0.1"),
        ({"no_proxy": "corp.example"}, "corp.example,127.0.0.1,localhost"),
    ],
)
def test_no_proxy_stands_between_the_command_and_the_relay(said: dict[str, str], expected: str) -> None:
    variables = plan({}, Config()).variables("http://127.0.0.1:1", said)
    assert (variables["NO_PROXY"], variables["no_proxy"]) == (expected, expected)


def test_a_base_url_that_cannot_be_an_upstream_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL"):
        plan({"OPENAI_BASE_URL": "ftp://h.example"}, Config())


class Provider(BaseHTTPRequestHandler):
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
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
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


def environment(upstream: str = "") -> dict[str, str]:
    variables = {row.name for row in BASE_URLS}
    kept = {name: value for name, value in clean_environment().items() if name not in variables}
    # A proxy that nothing listens on: whoever asks it for the relay fails.
    return kept | {"http_proxy": "http://127.0.0.1:9"} | ({"OPENAI_BASE_URL": upstream} if upstream else {})


def started(
    data_dir: Path, *command: str, upstream: str = "", wrap: tuple[str, ...] = (), **popen: Any
) -> subprocess.Popen[str]:
    arguments = [*wrap, sys.executable, "-m", "proxy", "run", "--data-dir", str(data_dir), "--", *command]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen
    return subprocess.Popen(arguments, env=environment(upstream), text=True, **streams)


def run(data_dir: Path, *command: str, upstream: str = "", **popen: Any) -> subprocess.CompletedProcess[str]:
    with started(data_dir, *command, upstream=upstream, **popen) as process:
        out, errors = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def test_the_calls_of_a_command_are_recorded_and_summed_up(tmp_path: Path, upstream: str) -> None:
    done = run(tmp_path / "data", sys.executable, "-c", CALL + "raise SystemExit(7)", upstream=upstream, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, "hello\n")
    assert "1 call · 5 tokens · $" in done.stderr
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


# --- several at once ----------------------------------------------------------------------------------

#: A command that says that it runs, waits for a file, then makes its call.
WAITING = (
    "import os, sys, time\nprint('runs', flush=True)\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n" + CALL
)


def test_three_at_once_record_all_their_calls(tmp_path: Path, upstream: str) -> None:
    data, go = tmp_path / "data", tmp_path / "go"
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(started(data, sys.executable, "-c", WAITING, str(go), upstream=upstream))
            for _ in range(3)
        ]
        assert [each.stdout.readline() for each in runs if each.stdout] == ["runs\n"] * 3
        go.touch()
        ends = [(each, *each.communicate(timeout=60)) for each in runs]
    for each, out, errors in ends:
        assert (each.returncode, out) == (0, "hello\n"), errors
        assert "1 call · 5 tokens · $" in errors
        assert len(errors.splitlines()) == 2, errors
    assert list((data / "journal").iterdir()) == []
    assert list((data / "run").iterdir()) == []


def test_one_goes_on_storing_when_the_one_that_did_it_has_ended(tmp_path: Path, upstream: str) -> None:
    data = tmp_path / "data"

    def ingesting() -> int:
        """The process id of whoever does."""
        with (
            contextlib.suppress(OSError),
            contextlib.closing(Gauges.open(data / "run" / "ingest.gauges", VITALS)) as gauges,
        ):
            return gauges["pid"] if gauges.owner_alive() else 0
        return 0

    def waiting(name: str) -> subprocess.Popen[str]:
        return started(data, sys.executable, "-c", WAITING, str(tmp_path / name), upstream=upstream)

    with waiting("first") as first:
        before = eventually(ingesting, "the first one ingests", START_S)
        with waiting("second") as second:
            assert second.stdout is not None
            second.stdout.readline()
            (tmp_path / "first").touch()
            assert "1 call · 5 tokens" in first.communicate(timeout=60)[1]
            eventually(lambda: ingesting() not in (0, before), "the second one ingests", START_S)
            (tmp_path / "second").touch()
            assert "1 call · 5 tokens" in second.communicate(timeout=60)[1]
    assert list((data / "journal").iterdir()) == []


def test_a_store_that_cannot_be_used_costs_the_command_nothing(tmp_path: Path, upstream: str) -> None:
    store = tmp_path / "data" / "store"
    store.mkdir(parents=True, mode=0o700)
    (tmp_path / "data").chmod(0o700)
    (store / "main.db").write_bytes(b"this is no database " * 1000)
    done = run(tmp_path / "data", sys.executable, "-c", CALL + "raise SystemExit(7)", upstream=upstream)
    assert (done.returncode, done.stdout) == (7, "hello\n"), done.stderr
    assert "1 calls are recorded but not stored yet; the next llmtap serve does that" in done.stderr
    assert "no LLM call" not in done.stderr
    (store / "main.db").unlink()
    again = run(tmp_path / "data", sys.executable, "-c", CALL, upstream=upstream)
    assert "1 call · 5 tokens" in again.stderr
    assert list((tmp_path / "data" / "journal").iterdir()) == []


def test_a_base_url_that_leads_to_a_running_serve_is_left_alone(tmp_path: Path, upstream: str) -> None:
    with LlmtapServer(tmp_path, upstream) as server:
        for host in ("127.0.0.1", "localhost"):
            base = f"http://{host}:{server.port}/v1"
            command = "import os; print(os.environ['OPENAI_BASE_URL'])\n" + CALL.replace("localhost", "127.0.0.1")
            done = run(server.data, sys.executable, "-c", command, upstream=base)
            assert done.stdout == f"{base}\nhello\n", done.stderr
            assert "calls by OPENAI_BASE_URL are recorded by the llmtap that runs already" in done.stderr
            assert "no LLM call" not in done.stderr
        assert len(server.rows(2)) == 2


def test_a_run_within_a_run_records_once(tmp_path: Path, upstream: str) -> None:
    data = tmp_path / "data"
    inner = (sys.executable, "-m", "proxy", "run", "--data-dir", str(data), "--", sys.executable, "-c", CALL)
    done = run(data, *inner, upstream=upstream)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
    assert "calls by OPENAI_BASE_URL, OPENAI_API_BASE, ANTHROPIC_BASE_URL" in done.stderr
    assert done.stderr.count("1 call · 5 tokens") == 1


# --- signals ------------------------------------------------------------------------------------------

#: Says which signals come, until it has heard as many as it was told.
HEARING = """
import signal, sys
heard = []
def hear(number, frame):
    print(signal.Signals(number).name, flush=True)
    heard.append(number)
for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
    signal.signal(getattr(signal, name), hear)
print("ready", flush=True)
while len(heard) < int(sys.argv[1]):
    signal.sigtimedwait([], 1)
"""
NUMBERS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def test_signals_reach_the_command(tmp_path: Path) -> None:
    with started(tmp_path / "data", sys.executable, "-c", HEARING, "6", start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for number in NUMBERS:
            process.send_signal(number)
            assert process.stdout.readline() == f"{number.name}\n"
        process.communicate(timeout=60)
    assert process.returncode == 0


#: Makes its standard input the terminal that controls it, then becomes what it was told.
CONTROLLED = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_what_is_typed_at_the_terminal_reaches_the_command_once(tmp_path: Path) -> None:
    master, terminal = os.openpty()
    with started(
        tmp_path / "data", sys.executable, "-c", HEARING, "2",
        wrap=(sys.executable, "-c", CONTROLLED), stdin=terminal,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for typed, name in ((b"\x03", "SIGINT"), (b"\x1c", "SIGQUIT")):
            os.write(master, typed)
            assert process.stdout.readline() == f"{name}\n"
        out, errors = process.communicate(timeout=60)
    os.close(master)
    os.close(terminal)
    assert (process.returncode, out) == (0, ""), errors
    assert "no LLM call was made" in errors, "the relay and ingest went on"
