"""Writes ``config.example.toml``: every setting with its default and its one sentence.

``make config-example`` runs it; ``tests/test_docs.py`` fails when the file and the
tables it comes from have drifted apart.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from proxy.relay.routes import BUILT_IN
from proxy.settings import LISTS, SECTIONS, Section, Setting, settings_of

EXAMPLE = Path(__file__).resolve().parent.parent / "config.example.toml"

HEAD = """\
llmtap's settings, each with its default.

Read from the file that --config or LLMTAP_CONFIG names, else from llmtap/config.toml in the XDG
config home (~/.config). An environment variable overrides the file, a flag overrides both:
LLMTAP_<SECTION>_<NAME>, e.g. LLMTAP_RELAY_LISTEN=localhost:9000; lists with commas. The console's
token is also LLMTAP_TOKEN. A file that holds a secret must be readable by its owner only.

Written by make config-example.
"""

LISTS_TEXT = """\
Upstreams: a prefix selects one, and is replaced by its base; the rest of the target travels as
sent. Built in:

{built_in}

A request to / that carries anthropic-version goes to anthropic. [[upstreams]] adds one, or
replaces the one of the same name or prefix:

[[upstreams]]
{upstreams}

# Calls that fit all patterns of a rule are kept, but out of lists and sums; * is any text.

[[exclude]]
{exclude}

# Prices of your own, in US dollars; they win over the price table, the last that fits over earlier ones.

[[prices]]
{prices}

# What holds for one project, in place of [retention].

[[projects]]
{projects}
"""

EXAMPLES: dict[str, dict[str, Any]] = {
    "upstreams": {
        "name": "local",
        "base": "http://127.0.0.1:8000",
        "prefix": "/local",
        "inject_usage": False,
        "api_key_env": "LOCAL_API_KEY",
    },
    "exclude": {
        "name": "smoke test",
        "path": "/v1/chat/*",
        "header": "x-debug: *",
        "key": "fp:0123456789abcdef",
        "user_agent": "smoke-test/*",
    },
    "prices": {
        "model": "my-model*",
        "upstream": "local",
        "tier": "batch",
        "since": "2026-01-31",
        "input": 0.25,
        "output": 2.0,
        "cached": 0.025,
        "cache_write": 0.25,
        "cache_write_1h": 0.5,
        "input_audio": 1.0,
        "output_audio": 4.0,
        "request": 0.0,
    },
    "projects": {"name": "shop", "body_days": 30, "row_days": 365},
}


def example() -> str:
    """The whole file."""
    return "\n".join([_comment(HEAD), *(_section(*row) for row in SECTIONS.items()), _comment(_lists())])


def _section(name: str, section: type[Section]) -> str:
    rows = "\n".join(_setting(row) for row in settings_of(name, section))
    return f"{_comment(section.__doc__ or '')}[{name}]\n{rows}"


def _setting(row: Setting) -> str:
    note = f" ({row.expects})" if row.kind not in (str, bool, tuple[str, ...]) else ""
    return f"{_comment(textwrap.fill(row.help + note, 96))}{row.name} = {_toml(row.default)}\n"


def _lists() -> str:
    built_in = "\n".join(f"  {prefix:<14}{base}" for _, prefix, base in BUILT_IN)
    return LISTS_TEXT.format(built_in=built_in, **{name: _fields(name) for name in LISTS})


def _fields(name: str) -> str:
    """The settings of one list, each with an example."""
    rows = settings_of(name, LISTS[name])
    return "\n".join(
        f"{_comment(textwrap.fill(row.help, 92))}{row.name} = {_toml(EXAMPLES[name][row.name])}" for row in rows
    )


def _comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.strip().splitlines())


def _toml(value: Any) -> str:
    """A default: whole numbers with ``_`` between thousands; all others read the same in TOML and JSON."""
    return f"{value:_}" if type(value) is int else json.dumps(value)


if __name__ == "__main__":
    EXAMPLE.write_text(example(), encoding="utf-8")
