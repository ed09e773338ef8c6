"""What a program is called, by its command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.ingest.program_names import INTERPRETERS, program_name


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/curl -s http://x", "curl"),
        ("python3 agent.py --key sk-1", "agent.py"),
        ("/venv/bin/python3.12 -u -X dev /home/ada/src/agent.py", "agent.py"),
        ("python -m my.package --flag", "my.package"),
        ("python -c print(1)", "python"),
        ("python - x.py", "python"),
        ("python3", "python3"),
        ("/venv/bin/python /venv/bin/llm prompt", "llm"),
        ("/usr/bin/python3 /home/ada/agent/main.py", "agent/main.py"),
        ("python main.py", "main.py"),
        ("python /srv/bot/__main__.py", "bot"),
        ("node app.js", "app.js"),
        ("node --require ./hook.js --max-old-space-size=99 app.js", "app.js"),
        ("node /usr/lib/node_modules/code-helper/cli.js", "code-helper/cli.js"),
        ("node -e 1", "node"),
        ("deno run --allow-net task.ts", "task.ts"),
        ("bun run start.ts", "start.ts"),
        ("java -cp a.jar:b.jar -Xmx1g com.example.Main", "com.example.Main"),
        ("java -jar /opt/x/app-1.jar", "app-1.jar"),
        ("bash -eu run.sh", "run.sh"),
        ("bash -c curl", "bash"),
        ("bash -lc K=sk-1", "bash"),
        ("python -uc print(1)", "python"),
        ("node -pe 1", "node"),
        ("perl -ne K=sk-1", "perl"),
        ("node --env-file .env app.js", "app.js"),
        ("bash -x K=sk-1;curl", "bash"),
        ("-zsh", "zsh"),
        ("ruby -I lib bot.rb", "bot.rb"),
    ],
)
def test_command_lines(command: str, name: str) -> None:
    assert program_name(command.split(" "), "the system's name") == name


def test_a_title_that_a_process_gave_itself() -> None:
    assert program_name(["gunicorn: worker [app/web]"], "gunicorn") == "gunicorn: worker [app/web]"


def test_without_arguments_the_system_knows_a_name_or_nobody_does() -> None:
    assert program_name([], "kworker") == "kworker"
    assert program_name([""], "kworker") == "kworker"
    assert program_name([], "") is None


@given(st.lists(st.text(max_size=80), max_size=8), st.sampled_from(["", *INTERPRETERS]))
def test_any_command_line_gives_a_short_name_that_can_be_stored(arguments: list[str], first: str) -> None:
    name = program_name([first, *arguments], "x")
    assert name is not None
    assert 0 < len(name) <= 64
    name.encode()


def test_bytes_that_are_no_text() -> None:
    assert program_name([b"/opt/\xff\xfe".decode("utf-8", "surrogateescape")], "x") == "??"
