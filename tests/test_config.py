"""Settings: which source wins, what is refused, and that a refusal says enough and never too much."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Config, load
from proxy.errors import ConfigError
from proxy.settings import SECRETS, settings

CANARY = "canary-4f1d9c77"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "llmtap.toml"
    path.touch(mode=0o600)
    return path


def refusal(
    path: Path | None, env: dict[str, str] | None = None, flags: dict[tuple[str, str], Any] | None = None
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, env or {"HOME": "/nonexistent"}, flags)
    return str(caught.value)


# --- lists of tables ------------------------------------------------------------------------------


def test_rules_and_prices(file: Path) -> None:
    file.write_text(
        '[[exclude]]\nname = "debug"\nheader = "X-Debug: *"\n'
        '[[prices]]\nmodel = "m*"\ninput = 1\noutput = 0.5\nsince = 2026-01-31\n'
    )
    config = load(file, {})
    assert config.recorded_headers == ("X-Debug",)
    (price,) = config.prices
    assert (price.model, price.input, price.output, price.since) == ("m*", 1.0, 0.5, "2026-01-31")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[exclude]]\nname = "x"', "has no pattern"),
        ('[[exclude]]\npath = "/x"', "has no name"),
        ('[[exclude]]\nname = "x"\nheader = "x-debug"', "name: pattern"),
        ('[[exclude]]\nname = "x"\nheader = "Authorization: *"', "fingerprint"),
        ('[[exclude]]\nname = "x"\nkey = "sk-live"', "never the key itself"),
        ('[[exclude]]\nname = "x"\npaht = "/x"', "did you mean path"),
        ('[exclude]\nname = "x"', "write exclude as [[exclude]]"),
        ('[[prices]]\nmodel = "m"', "give it input and output"),
        ('[[prices]]\nmodel = "m"\ninput = 1', "give it input and output"),
        ('[[prices]]\nmodel = "m"\ninput = -1\noutput = 1', "from 0 to"),
        ('[[prices]]\nmodel = "m"\ninput = nan\noutput = 1', "from 0 to"),
        ('[[prices]]\nmodel = "m"\ninput = 1e9\noutput = 1', "from 0 to"),
        ('[[prices]]\nmodel = "m"\ninput = 1\noutput = 1\nsince = "soon"', "must be a date"),
        ("[[prices]]\ninput = 1\noutput = 1", "has no model"),
        ('[retrieval]\npaths = ["extra"]', "begins with $"),
        ('[retrieval]\ntags = ["<doc>"]', "not the name of a tag"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    message = refusal(file, {})
    assert told in message
    assert "sk-live" not in message


# --- which source wins ----------------------------------------------------------------------------


def test_without_any_source_every_setting_has_its_default() -> None:
    config = load(environment={"XDG_CONFIG_HOME": "/nonexistent"})
    for row in settings():
        if (row.section, row.name) != ("data", "dir"):
            assert getattr(getattr(config, row.section), row.name) == row.default
    assert config.upstreams == ()


def test_environment_beats_file_and_a_flag_beats_both(file: Path) -> None:
    file.write_text("[relay]\nworkers = 2\n[ingest]\nbatch_ms = 20\n[journal]\nmax_wait_ms = 0\n")
    env = {"LLMTAP_RELAY_WORKERS": "3", "LLMTAP_INGEST_BATCH_MS": "30"}
    config = load(file, env, {("relay", "workers"): 4, ("ingest", "batch_calls"): None})
    assert (config.relay.workers, config.ingest.batch_ms, config.journal.max_wait_ms) == (4, 30, 0)
    assert config.ingest.batch_calls == 500


def test_the_file_is_found_by_flag_then_variable_then_xdg(file: Path, tmp_path: Path) -> None:
    file.write_text("[relay]\nworkers = 2\n")
    named = tmp_path / "named.toml"
    named.write_text("[relay]\nworkers = 3\n")
    home = tmp_path / "xdg"
    (home / "llmtap").mkdir(parents=True)
    (home / "llmtap" / "config.toml").write_text("[relay]\nworkers = 5\n")
    env = {"LLMTAP_CONFIG": str(named), "XDG_CONFIG_HOME": str(home)}
    assert load(file, env).relay.workers == 2
    assert load(None, env).relay.workers == 3
    assert load(None, {"XDG_CONFIG_HOME": str(home)}).relay.workers == 5
    assert load(None, {"LLMTAP_CONFIG": "", "XDG_CONFIG_HOME": str(home)}).relay.workers == 5


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("LLMTAP_RELAY_CALL_ID_HEADER", "off", False),
        ("LLMTAP_RELAY_USE_ENV_PROXY", " Yes ", True),
        ("LLMTAP_RELAY_ALLOW_NETWORKS", "10.0.0.0/8, fd00::/8,", ("10.0.0.0/8", "fd00::/8")),
        ("LLMTAP_LIMITS_CONNECT_TIMEOUT_S", "2.5", 2.5),
        ("LLMTAP_LIMITS_CONNECT_TIMEOUT_S", "2", 2.0),
        ("LLMTAP_JOURNAL_ON_CAPTURE_FAILURE", "refuse", "refuse"),
        ("LLMTAP_TOKEN", "t0ken", "t0ken"),
        ("LLMTAP_RELAY_WORKERS", "", 1),  # empty counts as not set
    ],
)
def test_the_environment_is_read_by_type(variable: str, text: str, expected: Any) -> None:
    config = load(environment={variable: text})
    name = "LLMTAP_CONSOLE_TOKEN" if variable == "LLMTAP_TOKEN" else variable
    row = next(row for row in settings() if row.environment_name == name)
    assert getattr(getattr(config, row.section), row.name) == expected


def test_what_kubernetes_puts_beside_a_service_called_llmtap_is_overlooked() -> None:
    links = {
        "LLMTAP_SERVICE_HOST": "10.0.0.7",
        "LLMTAP_SERVICE_PORT": "8800",
        "LLMTAP_SERVICE_PORT_RELAY": "8800",
        "LLMTAP_PORT": "tcp://10.0.0.7:8800",
        "LLMTAP_PORT_8800_TCP_ADDR": "10.0.0.7",
        "LLMTAP_RELAY_PORT": "tcp://10.0.0.7:8800",
    }
    assert load(environment=links) == load(environment={})
    assert "LLMTAP_RELAY_PORT" in refusal(None, {"LLMTAP_RELAY_PORT": "8800"})


def test_the_data_directory_is_absolute_and_follows_xdg(tmp_path: Path) -> None:
    assert load(environment={"XDG_DATA_HOME": str(tmp_path)}).data_dir == tmp_path / "llmtap"
    assert load(environment={"XDG_DATA_HOME": "relative"}).data_dir.is_absolute()
    assert load(environment={"LLMTAP_DATA_DIR": "here"}).data_dir == Path.cwd() / "here"
    assert load(flags={("data", "dir"): Path("there")}, environment={}).data_dir == Path.cwd() / "there"
    assert load(environment={"LLMTAP_DATA_DIR": "~/x"}).data_dir == Path.home() / "x"


def test_upstreams_are_read_in_order(file: Path) -> None:
    file.write_text(
        '[[upstreams]]\nname = "local"\nbase = "http://127.0.0.1:8000/v1"\n'
        '[[upstreams]]\nname = "eu"\nbase = "https://eu.example"\nprefix = "/eu/west/"\n'
    )
    assert [(row.name, row.prefix) for row in load(file, {}).upstreams] == [("local", ""), ("eu", "/eu/west/")]


@pytest.mark.parametrize("prefix", ["\ufeff", "\t", "\r\n", "# comment\n"])
def test_bom_tabs_and_other_line_ends_are_taken(file: Path, prefix: str) -> None:
    file.write_text(f"{prefix}[relay]\r\n\tworkers\t=\t2\r\n", encoding="utf-8", newline="")
    assert load(file, {}).relay.workers == 2


def test_a_pipe_can_be_the_file(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"[console]\ntoken = 'from-a-pipe'\n")
    os.close(write)
    try:
        assert load(Path(f"/dev/fd/{read}"), {}).console.token == "from-a-pipe"
    finally:
        os.close(read)


# --- what is refused ------------------------------------------------------------------------------

ONE = '[[upstreams]]\nname = "a"\nbase = "https://a.example"\n'

#: contents of the file → what the message must contain
BAD_FILES = [
    # unknown, twice, misplaced
    ("[relay]\nlisen = ':1'\n", ["relay.lisen", "did you mean listen?"]),
    ("[rely]\n", ["[rely]", "did you mean relay?"]),
    ("workers = 2\n", ["[workers]"]),
    ("relay = 5\n", ["write [relay]"]),
    ("[relay.listen]\nx = 1\n", ["relay.listen must be text"]),
    ("[relay]\nworkers = 1\nworkers = 2\n", ["the same key stands twice"]),
    ("[relay]\n[ingest]\n[relay]\n", ["the same section stands twice"]),
    # not TOML
    ("relay:\n  workers: 2\n", ["not valid TOML", "key = value"]),
    ("a: &a [x]\nb: *a\n", ["not valid TOML"]),
    ("[relay]\nlisten = localhost:8800\n", ["not valid TOML", "quotes"]),
    ("[relay]\nworkers = 1_\n", ["not valid TOML"]),
    ("x = " + "[" * 100_000, ["nested too deeply"]),
    ("x = " + "9" * 10_000, ["not valid TOML"]),
    ("#" + "x" * (1 << 20), ["larger than"]),
    # types and ranges
    ("[relay]\nworkers = 'two'\n", ["relay.workers", "a whole number from 1 to 256", "not 'two'"]),
    ("[relay]\nworkers = 1.5\n", ["relay.workers", "not 1.5"]),
    ("[relay]\nworkers = true\n", ["relay.workers", "not True"]),
    ("[relay]\nworkers = 0\n", ["relay.workers", "not 0"]),
    ("[relay]\nworkers = -1\n", ["relay.workers", "not -1"]),
    ("[relay]\ncall_id_header = 1\n", ["relay.call_id_header must be true or false, not 1"]),
    ("[relay]\nallow_networks = '10.0.0.0/8'\n", ["relay.allow_networks must be a list of texts"]),
    ("[relay]\nallow_networks = [10]\n", ["relay.allow_networks must be a list of texts"]),
    ("[journal]\nmax_bytes = -1\n", ["journal.max_bytes", "from 65,536 to"]),
    ("[journal]\nmax_bytes = 999999999999999999999999\n", ["journal.max_bytes", "from 65,536 to"]),
    ("[journal]\nmax_bytes = 0x" + "f" * 5000, ["journal.max_bytes", "not such a number"]),
    ("[journal]\non_capture_failure = 'ignore'\n", ["must be continue or refuse, not 'ignore'"]),
    ("[limits]\nconnect_timeout_s = 0\n", ["limits.connect_timeout_s", "above 0 and at most 3,600"]),
    ("[limits]\nconnect_timeout_s = inf\n", ["limits.connect_timeout_s", "not inf"]),
    ("[limits]\nconnect_timeout_s = nan\n", ["limits.connect_timeout_s", "not nan"]),
    ("[limits]\ndrain_timeout_s = -0.1\n", ["limits.drain_timeout_s", "from 0 to"]),
    ("[data]\ndir = 'a\\u0000b'\n".replace("'", '"'), ["data.dir", "cannot be printed"]),
    ("[data]\ndir = '~nosuchuser0/x'\n", ["data.dir", "no such user"]),
    # addresses
    ("[relay]\nlisten = ''\n", ["relay.listen", "write host:port"]),
    ("[relay]\nlisten = '127.0.0.1:70000'\n", ["relay.listen", "at most 65535"]),
    ("[relay]\nlisten = 'example.com:80'\n", ["relay.listen", "numeric address"]),
    ("[relay]\nlisten = '0.0.0.0:8800'\n", ["relay.listen", 'allow_networks = ["10.0.0.0/8"]']),
    ("[relay]\nlisten = '[::]:8800'\n", ["relay.listen", "LLMTAP_RELAY_ALLOW_NETWORKS=10.0.0.0/8"]),
    ("[relay]\nallow_networks = ['10.0.0.1/8']\n", ["relay.allow_networks", "10.0.0.0/8"]),
    ("[console]\nlisten = '0.0.0.0:8801'\n", ["console.listen", "export LLMTAP_TOKEN="]),
    ("[console]\nlisten = '127.0.0.1:8800'\n", ["console.listen", "choose another"]),
    ("[relay]\nrecord_headers = ['x y']\n", ["relay.record_headers", "not the name of a header"]),
    ("[relay]\nrecord_headers = ['X-Api-Key']\n", ["relay.record_headers", "never recorded in clear"]),
    # upstreams
    ("[relay]\nupstream = 'api.openai.com'\n", ["relay.upstream", "with its scheme"]),
    ("[upstreams]\nname = 'a'\n", ["[[upstreams]]"]),
    ("upstreams = 3\n", ["[[upstreams]]"]),
    ("upstreams = [3]\n", ["[[upstreams]]"]),
    ("[[upstreams]]\nname = 'a'\n", ["upstreams[1] has no base"]),
    ("[[upstreams]]\nbase = 'https://a.example'\n", ["upstreams[1] has no name"]),
    ("[[upstreams]]\nname = ''\nbase = 'https://a.example'\n", ["upstreams[1].name", "letters, digits"]),
    ("[[upstreams]]\nname = 'a b'\nbase = 'https://a.example'\n", ["upstreams[1].name", "letters, digits"]),
    ("[[upstreams]]\nname = 'a'\nbase = ''\n", ["upstreams.a.base"]),
    ("[[upstreams]]\nname = 'p'\nbase = 'https://a.example'\n", ["upstreams.p.prefix", "kept for projects"]),
    (ONE + "bse = 'x'\n", ["upstreams[1].bse", "did you mean base?"]),
    (ONE + ONE, ["name 'a' stands twice"]),
    (ONE + "prefix = '/b'\n" + ONE.replace('"a"', '"b"'), ["prefix '/b' stands twice"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), BAD_FILES, ids=[text[:30] for text, _ in BAD_FILES])
def test_a_bad_file_is_refused_by_name_of_file_and_setting(file: Path, text: str, expected: list[str]) -> None:
    file.write_text(text)
    message = refusal(file)
    for fragment in expected:
        assert fragment in message
    assert len(message) < 800
    assert str(file) in message or "upstreams" in message or "data.dir" in message


BAD_ENVIRONMENTS = [
    ({"LLMTAP_RELAY_LISTN": "x"}, ["LLMTAP_RELAY_LISTN", "did you mean LLMTAP_RELAY_LISTEN?"]),
    ({"LLMTAP_RELAY_WORKERS": "many"}, ["LLMTAP_RELAY_WORKERS: relay.workers", "not 'many'"]),
    ({"LLMTAP_RELAY_WORKERS": "9" * 5000}, ["relay.workers"]),
    ({"LLMTAP_RELAY_CALL_ID_HEADER": "maybe"}, ["relay.call_id_header must be true or false, not 'maybe'"]),
    ({"LLMTAP_LIMITS_DRAIN_TIMEOUT_S": "nan"}, ["limits.drain_timeout_s", "not nan"]),
    ({"LLMTAP_LIMITS_DRAIN_TIMEOUT_S": "1 minute"}, ["limits.drain_timeout_s", "not '1 minute'"]),
    ({"LLMTAP_RELAY_ALLOW_NETWORKS": "10.0.0.0/8 fd00::/8"}, ["LLMTAP_RELAY_ALLOW_NETWORKS: relay.allow_networks"]),
    ({"LLMTAP_LOG_LEVEL": "\udcff"}, ["LLMTAP_LOG_LEVEL: log.level must be debug or info", r"not '\udcff'"]),
    ({"LLMTAP_DATA_DIR": "a\udcff"}, ["LLMTAP_DATA_DIR: data.dir", "cannot be printed"]),
    ({"LLMTAP_CONFIG": "/nonexistent/llmtap.toml"}, ["/nonexistent/llmtap.toml: no such file"]),
    ({"LLMTAP_CONFIG": "/"}, ["/ cannot be read", "takes a TOML file"]),
    ({"LLMTAP_CONFIG": "/dev/null/x"}, ["/dev/null/x cannot be read"]),
]  # fmt: skip


@pytest.mark.parametrize(("env", "expected"), BAD_ENVIRONMENTS, ids=[next(iter(env)) for env, _ in BAD_ENVIRONMENTS])
def test_a_bad_variable_is_refused_by_its_name(env: dict[str, str], expected: list[str]) -> None:
    message = refusal(None, env)
    for fragment in expected:
        assert fragment in message


def test_a_bad_flag_is_refused() -> None:
    assert "command line: relay.listen = 'x'" in refusal(None, flags={("relay", "listen"): "x"})


def test_the_message_names_the_source_that_won(file: Path) -> None:
    file.write_text("[relay]\nlisten = 'bad-in-file'\n")
    assert refusal(file).startswith(f"{file}: relay.listen")
    assert refusal(file, {"LLMTAP_RELAY_LISTEN": "bad-too"}).startswith("LLMTAP_RELAY_LISTEN: relay.listen = 'bad-too'")


def test_a_file_that_is_not_utf8_is_refused(file: Path) -> None:
    file.write_bytes("[relay]\n".encode("utf-16"))
    assert "byte 0 is not UTF-8" in refusal(file)


def test_a_file_that_may_not_be_read_is_refused(file: Path) -> None:
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("root reads everything")
    assert "cannot be read (Permission denied)" in refusal(file)


# --- secrets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "name"), sorted(SECRETS))
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_in_a_file_that_others_may_read_is_refused(file: Path, section: str, name: str, mode: int) -> None:
    file.write_text(f'[{section}]\n{name} = "{CANARY}"\n')
    file.chmod(mode)
    message = refusal(file)
    assert f"{section}.{name}" in message
    assert f"chmod 600 {file}" in message
    assert CANARY not in message
    file.chmod(0o600)
    assert getattr(getattr(load(file, {}), section), name) == CANARY


def test_a_file_without_secrets_may_be_read_by_all(file: Path) -> None:
    file.write_text('[console]\ntoken = ""\n[relay]\nworkers = 2\n')
    file.chmod(0o644)
    assert load(file, {}).relay.workers == 2


@pytest.mark.parametrize(
    "text",
    [
        f'[console]\ntoken = ["{CANARY}"]\n',
        f'[console]\ntoken = "{CANARY} with spaces"\n',
        f'[console]\ntoken = "{CANARY}\\n"\n',
        f'[console]\ntoken = "{CANARY}é"\n',
        f'[console]\ntoken = "{CANARY}\n',
        f'[console]\ntokn = "{CANARY}"\n',
        f'[fingerprint]\nsecret = {{ x = "{CANARY}" }}\n',
        f'[relay]\nupstream = "https://user:{CANARY}@h.example"\n',
        f'[relay]\nupstream = "https://h.example/?key={CANARY}"\n',
        f'[relay]\nupstream = "https://{CANARY}:{CANARY}"\n',
        f'[[upstreams]]\nname = "a"\nbase = "https://{CANARY}@h.example:99999"\n',
        f'[[upstreams]]\nname = "a"\nbase = "{CANARY}"\n',
    ],
)
def test_no_message_shows_a_secret(file: Path, text: str) -> None:
    file.write_text(text)
    assert CANARY not in refusal(file)


def test_two_names_for_the_token_must_agree() -> None:
    both = {"LLMTAP_TOKEN": CANARY, "LLMTAP_CONSOLE_TOKEN": "other"}
    message = refusal(None, both)
    assert "LLMTAP_TOKEN" in message
    assert "LLMTAP_CONSOLE_TOKEN" in message
    assert CANARY not in message
    assert load(environment=both | {"LLMTAP_CONSOLE_TOKEN": CANARY}).console.token == CANARY


def test_the_text_form_of_settings_hides_secrets() -> None:
    config = load(environment={"LLMTAP_TOKEN": CANARY, "LLMTAP_FINGERPRINT_SECRET": CANARY})
    assert CANARY not in f"{config!r} {config} {config.console!r} {config.fingerprint}"
    assert "localhost:8801" in repr(config)


# --- whatever is written ------------------------------------------------------------------------------

NAMES = st.sampled_from([*(row.environment_name for row in settings()), "LLMTAP_TOKEN", "LLMTAP_X", "PATH"])


@given(st.dictionaries(NAMES, st.text(st.characters(exclude_characters="\0"), max_size=30), max_size=6))
def test_any_environment_gives_settings_or_a_sentence(env: dict[str, str]) -> None:
    try:
        config = load(environment={**env, "XDG_CONFIG_HOME": "/nonexistent"})
    except ConfigError as error:
        assert "LLMTAP_" in str(error) or "data.dir" in str(error)  # noqa: PT017
    else:
        assert isinstance(config, Config)
        assert config.data_dir.is_absolute()
