"""A recorded request as something to paste elsewhere: a curl command, a Python program.

Both go to the relay, as the application's own request did, and name an environment variable where its key
stood: what was recorded is a fingerprint. All that was logged is quoted for the shell, or written as Python
literals, so that nothing of it can run.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from typing import Any

import orjson
from msgspec import Struct

from ...config import Config
from ...records import Exchange, Header
from ...wire.encoding import decode
from ...wire.headers import HOP_BY_HOP, KEY_HEADERS, header_map

LARGEST_BYTES = 2 << 20  #: of a body that is copied

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
KEY_IN_TARGET = re.compile(r"([?&]key=)fp:[0-9a-f]{16}")
_OMITTED = frozenset({"host", "content-length", "accept-encoding", "content-encoding", "connection", "user-agent"}) | {
    name.decode() for name in HOP_BY_HOP
}
_VARIABLES = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY"}
#: Parameters that the OpenAI library takes by name; all others go into ``extra_body``.
_COMMON = frozenset({"model", "stream", "temperature", "top_p", "tools", "tool_choice", "user", "metadata", "store"})
_NAMED = {
    "/chat/completions": ("chat.completions", _COMMON | {
        "messages", "max_tokens", "max_completion_tokens", "response_format", "n", "seed", "stop", "stream_options",
        "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "parallel_tool_calls", "reasoning_effort",
    }),
    "/responses": ("responses", _COMMON | {
        "input", "instructions", "max_output_tokens", "previous_response_id", "reasoning", "text", "include",
        "parallel_tool_calls", "truncation",
    }),
}  # fmt: skip


class Sent(Struct, frozen=True, kw_only=True):
    """A request to send again. ``variable``: names the key's environment variable."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]  #: recorded in clear, that make sense elsewhere
    key_header: str | None  #: name of the one that carried the key
    key_scheme: str  #: ``Bearer`` or empty
    key_in_url: bool
    variable: str
    body: bytes

    @property
    def text(self) -> str | None:
        """The body, when it is a text that a shell can take."""
        try:
            text = self.body.decode()
        except UnicodeDecodeError:
            return None
        return None if "\0" in text else text


def sent(exchange: Exchange, config: Config, relay: str, limit_bytes: int = LARGEST_BYTES) -> Sent | None:
    """The request as it would be sent to ``relay`` (a URL); None when its body is too large, or not whole."""
    begin = exchange.begin
    known = header_map(begin.headers)
    decoded = decode(exchange.request_body, known.get("content-encoding", ""), limit_bytes)
    if len(exchange.request_body) > limit_bytes or not decoded.complete or begin.omit_request or begin.no_log:
        return None
    header, scheme = _key(begin.headers)
    in_url = header is None and KEY_IN_TARGET.search(begin.target) is not None
    path = begin.target if begin.target.startswith("/") else f"/{begin.target.partition('://')[2].partition('/')[2]}"
    return Sent(
        method=begin.method,
        url=relay.rstrip("/") + path,
        headers=tuple((name, value) for name, value in known.items() if _travels(name, value)),
        key_header=header,
        key_scheme=scheme,
        key_in_url=in_url,
        variable=variable(config, begin.upstream),
        body=decoded.data,
    )


def variable(config: Config, upstream: str) -> str:
    """Name of the environment variable that holds an upstream's key, by the settings or by custom."""
    named = next((row.api_key_env for row in config.upstreams if row.name == upstream), "")
    made = re.sub(r"[^A-Z0-9]+", "_", upstream.upper()).strip("_")
    usual = _VARIABLES.get(upstream) or (f"{made}_API_KEY" if made and not made[0].isdigit() else "API_KEY")
    return named if _VARIABLE.fullmatch(named) else usual


def _key(headers: tuple[Header, ...]) -> tuple[str | None, str]:
    hidden = {line.name.decode("latin-1").lower(): line.value.decode("latin-1") for line in headers if line.hidden}
    name = next((name for name in KEY_HEADERS if name in hidden), None)
    scheme, space, _ = hidden[name].partition(" ") if name else ("", "", "")
    return name, scheme if space and scheme.isalpha() else ""


def _travels(name: str, value: str) -> bool:
    sound = _NAME.fullmatch(name) is not None and value.isprintable()
    return sound and name not in _OMITTED and not name.startswith(("x-stainless-", "x-forwarded-"))


# --- curl ------------------------------------------------------------------------------------------


def curl(request: Sent) -> str:
    """A command for a POSIX shell; nothing in it is expanded but the variable of the key."""
    url = shlex.quote(request.url)
    if request.key_in_url:
        url = KEY_IN_TARGET.sub(lambda found: f"{found[1]}'\"${request.variable}\"'", f"'{_inside(request.url)}'")
    words = [
        "curl",
        "--globoff",
        *(["--request", shlex.quote(request.method)] if request.method != "POST" else []),
        url,
    ]
    lines = [" ".join(words)]
    lines += [f"--header {shlex.quote(f'{name}: {value}')}" for name, value in request.headers]
    if request.key_header:
        scheme = f"{request.key_scheme} " if request.key_scheme else ""
        lines.append(f'--header "{request.key_header}: {scheme}${request.variable}"')
    text = request.text
    if text is None:
        packed = base64.b64encode(request.body).decode()
        return f"printf %s {packed} | base64 -d | " + _joined([*lines, "--data-binary @-"])
    if request.body:
        lines.append(f"--data-raw {shlex.quote(text)}")
    return _joined(lines)


def _inside(text: str) -> str:
    return text.replace("'", "'\"'\"'")


def _joined(lines: list[str]) -> str:
    return " \\\n  ".join(lines) + "\n"


# --- Python ----------------------------------------------------------------------------------------


def python(request: Sent) -> str:
    """A program: with the OpenAI library where the request is one that it makes, else with the standard one."""
    body = _object(request.body)
    path = request.url.partition("?")[0].rstrip("/")
    for ending, (method, named) in _NAMED.items():
        if body is not None and path.endswith(ending) and request.key_scheme.lower() == "bearer":
            return _with_library(request, body, path.removesuffix(ending), method, named)
    return _with_urllib(request, body)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _with_library(request: Sent, body: dict[str, Any], base: str, method: str, named: frozenset[str]) -> str:
    arguments = {name: value for name, value in body.items() if name in named}
    if others := {name: value for name, value in body.items() if name not in named}:
        arguments["extra_body"] = others
    lines = [f"    {name}={literal(value, 4)}," for name, value in arguments.items()]
    shown = ["for event in answer:", "    print(event)"] if body.get("stream") is True else ["print(answer)"]
    return "\n".join([
        "import os",
        "",
        "from openai import OpenAI",
        "",
        f'client = OpenAI(base_url={base!r}, api_key=os.environ["{request.variable}"])',
        f"answer = client.{method}.create(",
        *lines,
        ")",
        *shown,
        "",
    ])  # fmt: skip


def _with_urllib(request: Sent, body: dict[str, Any] | None) -> str:
    headers = [f"    {name!r}: {value!r}," for name, value in request.headers]
    key = f'os.environ["{request.variable}"]'
    if request.key_header:
        scheme = f"{request.key_scheme + ' '!r} + " if request.key_scheme else ""
        headers.append(f"    {request.key_header!r}: {scheme}{key},")
    url = repr(request.url)
    if request.key_in_url:
        before, name, after = KEY_IN_TARGET.split(request.url, maxsplit=1)
        url = f"{before + name!r} + {key} + {after!r}"
    data = f"json.dumps({literal(body)}).encode()" if body is not None else repr(request.body)
    return "\n".join([
        "import json",
        "import os",
        "from urllib.request import Request, urlopen",
        "",
        f"body = {data}",
        "headers = {",
        *headers,
        "}",
        f"request = Request({url}, body or None, headers, method={request.method!r})",
        "with urlopen(request) as answer:",
        "    print(answer.read().decode())",
        "",
    ])  # fmt: skip


def literal(value: Any, indent: int = 0) -> str:
    """A JSON value as Python writes it, an entry a line."""
    inner, outer = " " * (indent + 4), " " * indent
    if isinstance(value, dict) and value:
        lines = [f"{inner}{key!r}: {literal(each, indent + 4)}," for key, each in value.items()]
        return "{\n" + "\n".join(lines) + f"\n{outer}}}"
    if isinstance(value, list) and value:
        lines = [f"{inner}{literal(each, indent + 4)}," for each in value]
        return "[\n" + "\n".join(lines) + f"\n{outer}]"
    return repr(value)


def pretty(document: Any) -> str:
    """JSON to read."""
    return json.dumps(document, indent=2, ensure_ascii=False)
