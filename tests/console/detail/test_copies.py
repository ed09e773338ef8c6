"""What is copied means the same request, and nothing that was logged can run."""

from __future__ import annotations

import ast
import json
import os
import shlex
import string
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import Config
from proxy.console.detail.copies import LARGEST_BYTES, Sent, curl, literal, python, sent, variable
from proxy.records import Header, evolve
from proxy.settings import Upstream
from tests.cli.recorded import REQUEST, exchanged, new_call

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, blacklist_characters="\x7f"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def made(**changes: object) -> Sent:
    usual = {
        "method": "POST",
        "url": "http://127.0.0.1:8800/v1/chat/completions",
        "headers": (("content-type", "application/json"),),
        "key_header": "authorization",
        "key_scheme": "Bearer",
        "key_in_url": False,
        "variable": "OPENAI_API_KEY",
        "body": REQUEST,
    }
    return Sent(**(usual | changes))  # type: ignore[arg-type]


@given(
    st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "ignore")), PRINTABLE, PRINTABLE
)
def test_a_shell_reads_back_what_was_sent(body: bytes, path: str, value: str) -> None:
    request = made(body=body, url=f"http://127.0.0.1:8800/{path}", headers=(("x-title", value),))
    command = curl(request)
    words = shlex.split(command.rpartition(" | ")[2] if command.startswith("printf") else command)
    words = [word for word in words if word != "\n"]
    assert words[:3] == ["curl", "--globoff", request.url]
    assert f"x-title: {value}" in words
    assert "authorization: Bearer $OPENAI_API_KEY" in words
    if command.startswith("printf"):
        assert words[-2:] == ["--data-binary", "@-"]
    elif body:
        assert words[-2:] == ["--data-raw", body.decode()]


@settings(max_examples=40, deadline=None)
@given(PRINTABLE | st.sampled_from(["'; touch x; '", "$(id)", "`id`", "\\", '"$HOME"', "!!", "*"]))
def test_a_real_shell_expands_nothing_but_the_key(hostile: str) -> None:
    request = made(url=f"http://h/{hostile}", body=hostile.encode(), headers=(("x-title", hostile),))
    script = 'curl() { printf "%s\\0" "$@"; }\n' + curl(request)
    shell = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "the key", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["sh", "-c", script], env=shell, capture_output=True, check=True, timeout=20)
    body = ["--data-raw", hostile] if hostile else []
    assert done.stdout.decode().split("\0")[:-1] == [
        "--globoff", f"http://h/{hostile}", "--header", f"x-title: {hostile}", "--header",
        "authorization: Bearer the key", *body,
    ]  # fmt: skip


def test_a_key_in_the_address_becomes_the_variable() -> None:
    url = "http://127.0.0.1:8800/gemini/v1beta/models/x:generateContent?key=fp:0123456789abcdef&alt='sse"
    request = made(url=url, key_header=None, key_in_url=True, variable="GEMINI_API_KEY")
    assert shlex.split(curl(request))[2] == url.replace("fp:0123456789abcdef", "$GEMINI_API_KEY")
    assert 'os.environ["GEMINI_API_KEY"]' in python(request)
    ast.parse(python(request))


@given(JSON)
def test_literals_are_the_value(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4), PRINTABLE, PRINTABLE)
def test_programs_are_python_whatever_was_logged(body: dict[str, object], path: str, value: str) -> None:
    for ending in ("/chat/completions", "/elsewhere"):
        request = made(
            body=json.dumps(body).encode(), url=f"http://h/{path.replace('?', '')}{ending}", headers=(("x", value),)
        )
        tree = ast.parse(python(request))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert names <= {
            "os",
            "json",
            "OpenAI",
            "client",
            "answer",
            "print",
            "event",
            "Request",
            "urlopen",
            "body",
            "headers",
            "request",
        }


def test_the_openai_library_gets_its_arguments_and_all_others_beside_them() -> None:
    program = python(made(body=b'{"model":"m","messages":[],"stream":true,"x-own":1,"import":2}'))
    call = next(
        node
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Call) and node.keywords and "create" in ast.dump(node.func)
    )
    arguments = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert arguments == {"model": "m", "messages": [], "stream": True, "extra_body": {"x-own": 1, "import": 2}}
    assert "base_url='http://127.0.0.1:8800/v1'" in program
    assert "for event in answer:" in program


def test_a_recorded_request_is_sent_to_the_relay_without_what_told_of_its_connection() -> None:
    exchange = exchanged(new_call()).exchange
    assert exchange is not None
    headers = (
        *exchange.begin.headers,
        Header(b"Content-Length", b"7"),
        Header(b"x-stainless-os", b"Linux"),
        Header(b"x-title", b"shop"),
    )
    request = sent(evolve(exchange, begin=evolve(exchange.begin, headers=headers)), Config(), "http://127.0.0.1:1/")
    assert request is not None
    assert request.url == "http://127.0.0.1:1/v1/chat/completions?x=%2F"
    assert request.headers == (("x-title", "shop"),)
    assert (request.key_header, request.key_scheme, request.body) == ("authorization", "Bearer", REQUEST)


def test_what_is_too_large_is_not_copied() -> None:
    exchange = exchanged(new_call(), b'{"x":"' + b"y" * LARGEST_BYTES + b'"}').exchange
    assert exchange is not None
    assert sent(exchange, Config(), "http://h") is None


@pytest.mark.parametrize(
    ("upstream", "name"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("my-vllm.2", "MY_VLLM_2_API_KEY"),
        ("own", "OWN_KEY"),
        ("7", "API_KEY"),
    ],
)
def test_the_variable_is_the_one_of_the_settings_or_of_custom(upstream: str, name: str) -> None:
    config = Config(upstreams=(Upstream(name="own", base="http://h", api_key_env="OWN_KEY"),))
    assert variable(config, upstream) == name
    assert set(name) <= set(string.ascii_uppercase + string.digits + "_")
