"""``llmtap doctor``: what is well is said to be well, and each thing that is not is found and named."""

from __future__ import annotations

import gzip
import json
import socket
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.doctor import surroundings
from proxy.cli.doctor.comparison import Observed, compare, compare_streams, delay
from proxy.cli.doctor.providers import choose
from proxy.config import Config, Console, Data, Relay, Upstream
from proxy.errors import UsageError
from proxy.records import evolve
from tests.cli.recorded import llmtap
from tests.fakes.scripts import Script, answer, chunk, head, json_answer, sse
from tests.fakes.scripts import Send as SendBytes
from tests.fakes.upstream import FakeUpstream
from tests.harness.server import LlmtapServer

MODELS = {"object": "list", "data": [{"id": "gpt-5-mini", "object": "model"}]}
HEADERS = (("Server", "fake"), ("X-Request-Id", "req-1"), ("openai-version", "2020-10-01"))
KEY = "sk-do-not-show-0123456789"


def doctor(data: Path, *arguments: str, upstream: str = "", **env: str) -> tuple[int, str]:
    """(exit code, everything it wrote)."""
    usual = {"LLMTAP_RELAY_LISTEN": "127.0.0.1:0", "LLMTAP_CONSOLE_LISTEN": "127.0.0.1:0"}
    only = {"LLMTAP_RELAY_UPSTREAM": upstream} if upstream else {}
    nothing = dict.fromkeys(("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL"), "")
    done = llmtap(data, "doctor", *arguments, env={**nothing, **usual, **only, **env})
    return done.returncode, (done.stdout + done.stderr).decode()


def problems(text: str) -> list[str]:
    """But for the delay, which a busy machine makes longer."""
    text = "\n".join(line for line in text.splitlines() if "time to the first byte" not in line)
    return [line.strip() for line in text.splitlines() if line.strip().startswith(("✗", "!"))]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def upstream(own_upstream: FakeUpstream) -> FakeUpstream:
    own_upstream.script("/v1/models", json_answer(MODELS, headers=HEADERS))
    return own_upstream


# --- whole runs ----------------------------------------------------------------------------------------


def test_all_is_well_without_a_running_llmtap(data: Path, upstream: FakeUpstream) -> None:
    code, text = doctor(data, upstream=upstream.url)
    assert code == 0, text
    assert problems(text) == []
    assert "no llmtap runs, so one is started for this" in text
    assert "status line: 200 OK, the same both ways" in text
    assert "headers: 5, of the same names, spelling, order and values" in text
    assert "these differ from answer to answer, as they must: x-request-id" in text
    assert "one is added, x-llmtap-call-id" in text
    assert "byte for byte the same" in text
    assert not data.exists(), "nothing is left behind"
    assert upstream.violations == []
    assert not any(b"x-llmtap" in name.lower() for seen in upstream.requests for name, _ in seen.headers)


def test_all_is_well_with_a_running_one(tmp_path: Path, upstream: FakeUpstream) -> None:
    settings = f'[relay]\nlisten = "127.0.0.1:0"\nupstream = "{upstream.url}"\n[console]\nlisten = "127.0.0.1:0"\n'
    with LlmtapServer(tmp_path, config=settings) as server:
        done = server.command("doctor", "--json")
        found, url = json.loads(done.stdout), server.url
    assert done.returncode == 0, found
    assert found["ok"] is True
    assert found["time_to_first_byte_us"].keys() == {"direct", "through_llmtap"}
    assert [each for each in found["findings"] if not each["ok"] and "time to" not in each["what"]] == []
    said = "\n".join(each["what"] for each in found["findings"])
    assert "the running llmtap leads there too, and a call through it was stored within" in said
    assert f"compared with llmtap at {url}" in said


def test_a_running_one_that_leads_elsewhere_gets_no_key(tmp_path: Path, upstream: FakeUpstream) -> None:
    settings = f"""
        relay.listen = "127.0.0.1:0"
        console.listen = "127.0.0.1:0"
        upstreams = [{{ name = "openai", base = "{upstream.url}", prefix = "/" }}]
    """
    with FakeUpstream() as elsewhere:
        env = {"OPENAI_API_KEY": KEY}
        with LlmtapServer(tmp_path, elsewhere.url, config=settings, env=env) as server:
            done = server.command("doctor")
            url = server.url
        text = done.stdout.decode()
        assert f"! the running llmtap sends such calls to {elsewhere.url}: it was started with other settings" in text
        assert [seen.value(b"authorization") for seen in elsewhere.requests] == [None]
    assert f"at {url}" not in text
    assert done.returncode == 0, text
    assert "byte for byte the same" in text


def test_completions_only_when_asked_for(data: Path, upstream: FakeUpstream) -> None:
    assert doctor(data, upstream=upstream.url)[0] == 0
    assert {seen.path for seen in upstream.requests} == {"/v1/models"}
    code, text = doctor(data, "--model", "gpt-5-mini", upstream=upstream.url)
    assert code == 0, text
    assert "4 short completions by gpt-5-mini" in text
    assert "reads, the first after" in text
    completions = [json.loads(seen.body) for seen in upstream.requests if seen.path == "/v1/chat/completions"]
    assert len(completions) == 4
    assert all(each["stream"] is True and each["max_tokens"] == 16 for each in completions)


def test_a_key_goes_to_its_own_provider_and_is_never_shown(tmp_path: Path, data: Path, upstream: FakeUpstream) -> None:
    refusal = json_answer({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)
    upstream.script("/v1/models", refusal)
    (tmp_path / "c.toml").write_text(
        f'[[upstreams]]\nname = "corp"\nbase = "{upstream.url}"\n\n'
        f'[[upstreams]]\nname = "openai"\nbase = "{upstream.url}"\nprefix = "/"\n'
    )
    for name, variable, sent in (
        ("openai", "OPENAI_API_KEY", f"Bearer {KEY}".encode()),
        ("corp", "OPENAI_API_KEY", None),
        ("corp", "CORP_API_KEY", f"Bearer {KEY}".encode()),
    ):
        upstream.requests.clear()
        code, text = doctor(data, "--config", str(tmp_path / "c.toml"), "--upstream", name, **{variable: KEY})
        assert code == 0, text
        assert "status line: 401 Unauthorized, the same both ways" in text
        assert KEY not in text
        assert {seen.value(b"authorization") for seen in upstream.requests} == {sent}


def test_what_changes_answers_between_is_found_and_named(data: Path, upstream: FakeUpstream) -> None:
    with FakeUpstream() as tampering:
        headers = [("server", "middlebox"), *HEADERS[1:], ("Via", "1.1 middlebox")]
        written_anew = json.dumps(MODELS, indent=1).encode()
        tampering.script("/v1/models", answer(200, [("Content-Type", "application/json"), *headers], written_anew))
        code, text = doctor(data, "--relay", f"{tampering.url}/v1", upstream=upstream.url)
    assert code == 1
    found = "\n".join(problems(text))
    assert "✗ headers added through llmtap: via" in found
    assert "✗ headers spelt otherwise through llmtap: server" in found
    assert "✗ header server is changed: fake → middlebox" in found
    assert "✗ body: the same JSON, but written anew, through llmtap" in found
    assert "! answers carry no x-llmtap-call-id" in found


def test_a_stream_that_is_held_back_is_found(data: Path, upstream: FakeUpstream) -> None:
    events = [b'{"n":%d}' % number for number in range(12)]
    upstream.script("/v1/chat/completions", sse(events, pause_s=0.03))
    whole = b"".join(chunk(b"data: " + data + b"\n\n") for data in [*events, b"[DONE]"]) + chunk(b"")
    stream = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
    with FakeUpstream() as lumps:
        lumps.script("/v1/models", json_answer(MODELS, headers=HEADERS))
        lumps.script("/v1/chat/completions", Script((SendBytes(head(200, stream) + whole),)))
        code, text = doctor(data, "--relay", lumps.url, "--model", "m", upstream=upstream.url)
    assert code == 1
    assert "held back" in text


def test_a_wrong_clock_is_told_by_the_upstream_s(data: Path, upstream: FakeUpstream) -> None:
    slow = json_answer(MODELS, headers=[("Date", formatdate(1_700_000_000, usegmt=True))])
    upstream.script("/v1/models", slow)
    code, text = doctor(data, upstream=upstream.url)
    assert code == 1
    assert "s ahead of the upstream's" in text


def test_a_port_that_someone_else_has(data: Path, upstream: FakeUpstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = doctor(data, upstream=upstream.url, LLMTAP_RELAY_LISTEN=f"127.0.0.1:{port}")
    assert code == 1
    assert f"127.0.0.1 port {port} cannot be used" in text
    assert "byte for byte the same" in text, "the rest is looked at all the same"


def test_an_upstream_that_cannot_be_reached(data: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        code, text = doctor(data, upstream=f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert code == 1
    assert "✗ the upstream cannot be called, with or without llmtap" in text
    assert "could not be reached" in text


def test_an_upstream_that_only_the_proxy_leads_to(data: Path, upstream: FakeUpstream) -> None:
    hidden = {"upstream": "http://api.invalid", "HTTP_PROXY": upstream.url, "NO_PROXY": "127.0.0.1,localhost"}
    code, text = doctor(data, **hidden)
    assert code == 1
    assert "✗ only the proxy of the environment leads there" in text
    assert "relay.use_env_proxy = true" in text
    code, text = doctor(data, **hidden, LLMTAP_RELAY_USE_ENV_PROXY="true")
    assert code == 0, text


def test_settings_that_cannot_be_used(data: Path) -> None:
    code, text = doctor(data, LLMTAP_RELAY_WORKERS="many")
    assert code == 1
    assert "LLMTAP_RELAY_WORKERS" in text


def test_an_upstream_that_does_not_exist_is_named_with_those_that_do(data: Path) -> None:
    code, text = doctor(data, "--upstream", "nowhere")
    assert code == 2
    assert "no upstream has this name; known: openai, anthropic" in text


# --- which upstream --------------------------------------------------------------------------------------


def test_the_first_with_a_key_is_chosen_own_ones_before_built_in_ones() -> None:
    config = Config(upstreams=(Upstream(name="my-corp", base="https://corp.example"),))
    assert choose(config, {"GROQ_API_KEY": "k"}, None).route.upstream == "groq"
    assert choose(config, {"GROQ_API_KEY": "k", "MY_CORP_API_KEY": "k"}, None).route.upstream == "my-corp"
    assert choose(config, {"GEMINI_API_KEY": " ", "GOOGLE_API_KEY": "k"}, None).key_from == "GOOGLE_API_KEY"


def test_one_on_this_machine_needs_no_key() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = Config(upstreams=(Upstream(name="local", base=f"http://127.0.0.1:{listening.getsockname()[1]}"),))
        assert choose(config, {}, None).route.upstream == "local"


def test_the_only_upstream_is_known_by_where_it_leads() -> None:
    config = Config(relay=Relay(upstream="https://api.anthropic.com"))
    chosen = choose(config, {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "other"}, None)
    assert ("x-api-key", "k") in chosen.headers
    with pytest.raises(UsageError):
        choose(config, {}, "openai")


# --- what differs ------------------------------------------------------------------------------------------


def observed(body: bytes = b'{"a":1,"b":2}', status: int = 200, **headers: str) -> Observed:
    """An answer; in names of headers ``_`` stands for ``-``."""
    usual = {"Content-Type": "application/json", "X-One": "1", "Date": "now", **headers}
    lines = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in usual.items() if value)
    return Observed(version="1.1", status=status, reason="OK", headers=lines, body=body)


def found(direct: list[Observed], *through: Observed) -> list[str]:
    return [f"{each.mark} {each.what}" for each in compare(direct, list(through)) if not each.ok]


SAME = [observed(), observed(Date="later")]


@pytest.mark.parametrize(
    ("through", "named"),
    [
        (observed(status=502), "✗ status line: 200 OK direct, 502 OK through llmtap"),
        (observed(X_Added="1"), "✗ headers added through llmtap: x-added"),
        (observed(**{"X-One": ""}), "✗ headers missing through llmtap: x-one"),
        (observed(**{"X-One": "", "x-one": "1"}), "✗ headers spelt otherwise through llmtap: x-one"),
        (observed(**{"Content-Type": "", "content-type": ""}), "✗ headers missing through llmtap: content-type"),
        (observed(**{"X-One": "2"}), "✗ header x-one is changed"),
        (observed(**{"Content-Type": "text/html"}), "✗ header content-type is changed: application/json → text/html"),
        (evolve(observed(), headers=observed().headers[::-1]), "✗ headers come in another order through llmtap"),
        (observed(b'{"a":1'), "✗ body: cut after 6 of 13 bytes through llmtap"),
        (observed(b'{"b":2, "a":1}'), "✗ body: the same JSON, but written anew, through llmtap"),
        (observed(b'{"a":1,"b":3}'), "✗ body: differs from byte 11 on (13 bytes direct, 13) through llmtap"),
        (observed(b'{"a":1,"b":2}\n[]'), "✗ body: differs from byte 13 on (13 bytes direct, 16) through llmtap"),
    ],
)
def test_each_alteration_has_a_name(through: Observed, named: str) -> None:
    assert named in found(SAME, observed(), through)


def test_no_alteration_is_none() -> None:
    assert found(SAME, observed(Date="much later"), observed()) == []


def test_unpacking_is_seen() -> None:
    body = observed().body
    packed = observed(gzip.compress(body), Content_Encoding="gzip")
    assert found([packed], packed) == []
    assert "✗ body: unpacked or packed anew through llmtap" in found([packed], observed(body))
    again = observed(gzip.compress(body, compresslevel=1, mtime=7), Content_Encoding="gzip")
    assert found([packed], again) == ["✗ body: unpacked or packed anew through llmtap"]


def test_what_varies_between_direct_answers_proves_nothing() -> None:
    direct = [observed(b"1", **{"X-One": "1"}), observed(b"2", **{"X-One": "2", "X-Two": "2"})]
    (only,) = found(direct, observed(b"3", **{"X-One": "3"}))
    assert only.startswith("! body: cannot be compared, 2 of 2 direct answers differ")


def test_headers_of_the_connection_and_our_own_are_not_compared() -> None:
    through = observed(Connection="keep-alive, X-Hop", X_Hop="1", Transfer_Encoding="chunked", x_llmtap_call_id="i")
    assert found(SAME, through) == []
    said = "\n".join(each.what for each in compare(SAME, [through]))
    assert "one is added, x-llmtap-call-id; connection, transfer-encoding" in said


def test_llmtap_s_own_words_are_the_remedy() -> None:
    error = {"error": {"type": "llmtap_upstream", "code": "upstream_dns", "message": "The name is unknown."}}
    (finding,) = compare(SAME, [observed(json.dumps(error).encode(), 502)])
    assert finding.remedy == "The name is unknown."


def test_a_stream_in_lumps() -> None:
    flowing = evolve(observed(), reads=tuple(range(0, 80_000, 10_000)))
    lump = evolve(observed(), reads=(80_000,))
    assert all(each.ok for each in compare_streams([flowing], [flowing]))
    assert not list(compare_streams([flowing], [lump]))[-1].ok
    assert list(compare_streams([lump], [lump]))[-1].ok
    assert list(compare_streams([observed(b"")], [observed(b"")]))[-1].ok


def test_the_delay_is_that_of_connections_that_stand() -> None:
    def timed(*times_us: int) -> list[Observed]:
        return [evolve(observed(), head_us=time_us) for time_us in times_us]

    finding = delay(timed(90_000, 10_000, 11_000, 12_000), timed(95_000, 12_000, 13_000, 14_000))
    assert finding.ok
    assert "(+2.0 ms, by medians)" in finding.what
    slow = delay(timed(0, 10_000, 11_000), timed(0, 90_000, 91_000))
    assert (slow.ok, slow.failed) == (False, False)


# --- around it -----------------------------------------------------------------------------------------------


def around(data: Path, environment: dict[str, str], **relay: Any) -> list[str]:
    config = Config(
        data=Data(dir=str(data)),
        relay=Relay(listen="127.0.0.1:8800", **relay),
        console=Console(listen="127.0.0.1:8801"),
    )
    return [f"{each.mark} {each.what} → {each.remedy}" for each in surroundings.findings(config, environment)][1:]


def test_a_proxy_that_is_not_used_and_one_that_would_be_asked_for_us(data: Path) -> None:
    unused, asked = around(data, {"HTTP_PROXY": "http://proxy:1"})
    assert unused.startswith("! HTTP_PROXY is set, but llmtap reaches upstreams without it")
    assert asked.startswith("✗ HTTP_PROXY is set and NO_PROXY leaves out 127.0.0.1 and localhost")
    assert asked.endswith("export NO_PROXY=127.0.0.1,localhost")
    assert len(around(data, {"http_proxy": "http://proxy:1", "no_proxy": "127.0.0.1, localhost"})) == 1
    assert len(around(data, {"all_proxy": "http://proxy:1", "NO_PROXY": "*"})) == 1
    (_, some) = around(data, {"http_proxy": "http://proxy:1", "NO_PROXY": "127.0.0.1"})
    assert some.startswith("! http_proxy is set and NO_PROXY leaves out localhost")
    assert [each[0] for each in around(data, {"https_proxy": "http://proxy:1"}, use_env_proxy=True)] == ["✓"]
    assert [each[0] for each in around(data, {}, use_env_proxy=True)] == ["!"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("OPENAI_BASE_URL", "http://127.0.0.1:8800/v1", "✓ OPENAI_BASE_URL = http://127.0.0.1:8800/v1: leads through"),
        ("OPENAI_BASE_URL", "http://localhost:8800/groq/v1/", "✓"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:8800", "✗ OPENAI_BASE_URL = http://127.0.0.1:8800: /v1 is missing"),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:8800/anthropic", "✓"),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:8800/anthropic/v1", "✗ ANTHROPIC_BASE_URL = http://127.0.0.1:8800/ant"),
        ("OLLAMA_HOST", "127.0.0.1:8800", "✗ OLLAMA_HOST = http://127.0.0.1:8800: /ollama is missing"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:8801/v1", "✗ OPENAI_BASE_URL = http://127.0.0.1:8801/v1: that is the co"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1", "✗ OPENAI_BASE_URL = http://127.0.0.1:1/v1: nothing listens ther"),
        ("OPENAI_BASE_URL", "https://u:p@h.example/v1", "! OPENAI_BASE_URL = https://h.example/v1: calls of these app"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:99999/v1", "✗ OPENAI_BASE_URL is no URL"),
    ],
)  # fmt: skip
def test_base_urls(data: Path, variable: str, value: str, said: str) -> None:
    (finding,) = around(data, {variable: value})
    assert finding.startswith(said)


def test_ports_the_other_way_round(data: Path) -> None:
    config = Config(
        data=Data(dir=str(data)), relay=Relay(listen="127.0.0.1:8801"), console=Console(listen="127.0.0.1:8800")
    )
    assert any("the other way round" in each.what for each in surroundings.findings(config, {}))


def test_a_clock_that_cannot_be_compared() -> None:
    assert surroundings.clock(observed()) is None
    assert surroundings.clock(observed(Date="")) is None
    cached = observed(Date=formatdate(1, usegmt=True), Age="60")
    assert surroundings.clock(cached) is None
    right = evolve(observed(Date=formatdate(1_700_000_000, usegmt=True)), ended_at_us=1_700_000_001_000_000)
    compared = surroundings.clock(right)
    assert compared is not None
    assert compared.ok
