"""A call, edited and sent again through the relay: never past it, so it is recorded like any other.

The key is the user's, typed for this once, or that of ``api_key_env`` in ``[[upstreams]]``; it is put into the
one request and stands nowhere else. What was recorded of the first request is repeated, but for what told who
asked: a re-run says of which call it is one, by whom, and that it does not count in reports.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from msgspec import Struct

from ...config import Config
from ...errors import UsageError
from ...records import Call, Exchange
from ..health import relay_url
from .copies import KEY_IN_TARGET, Sent, pretty, sent

LARGEST_BYTES = 1 << 20  #: of a request that is edited in a form
MEANS = ("messages", "input", "contents", "prompt", "inputs")  #: which field of a request holds what is asked
EXCLUDED = "rerun"  #: why a re-run is out of reports
ANSWER_TIMEOUT_S = 600.0
_REPEATED = frozenset({"content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta"})
_READ_BYTES = 1 << 16


class Form(Struct, frozen=True, kw_only=True):
    """A request as a form shows it."""

    model: str
    means: str  #: name of the field that holds what is asked; empty when there is none
    asked: str  #: that field, as JSON
    parameters: str  #: all others, as JSON
    variable: str  #: environment variable that the key may be in
    key_known: bool  #: it is, and the settings allow its use


class Answered(Struct, frozen=True):
    """What came of it."""

    status: int
    call_id: str  #: of the new call; empty when the relay does not say it


def form(exchange: Exchange, config: Config) -> Form:
    """Raises ``UsageError`` for a request that cannot be edited."""
    request, body = _editable(exchange, config)
    means = next((name for name in MEANS if name in body), "")
    model = body.get("model")
    others = {name: value for name, value in body.items() if name not in ("model", means)}
    return Form(
        model=model if isinstance(model, str) else "",
        means=means,
        asked=pretty(body[means]) if means else "",
        parameters=pretty(others),
        variable=request.variable,
        key_known=bool(own_key(config, exchange.begin.upstream)),
    )


def own_key(config: Config, upstream: str) -> str:
    """The key that the settings name for an upstream; empty when they name none, or it is not set."""
    named = next((row.api_key_env for row in config.upstreams if row.name == upstream), "")
    return os.environ.get(named, "") if named else ""


def edited(exchange: Exchange, config: Config, fields: Mapping[str, str]) -> bytes:
    """The body to send: the recorded one with what was changed. Raises ``UsageError``, naming the field."""
    _, body = _editable(exchange, config)
    means = next((name for name in MEANS if name in body), "")
    changed = dict(body)
    if "parameters" in fields:
        parameters = _json("parameters", fields["parameters"])
        if not isinstance(parameters, dict):
            raise UsageError('parameters: write an object, such as {"temperature": 0}')
        changed = {name: body[name] for name in body if name in ("model", means)} | parameters
    if "model" in body and fields.get("model"):
        changed["model"] = fields["model"]
    if means and fields.get("asked"):
        changed[means] = _json(means, fields["asked"])
    return orjson.dumps(changed)


def _json(name: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{name}: this is not JSON: {error}") from None


def _editable(exchange: Exchange, config: Config) -> tuple[Sent, dict[str, Any]]:
    request = sent(exchange, config, relay_url(config), LARGEST_BYTES)
    if request is None:
        raise UsageError("this request is too large to be edited here, or not whole")
    try:
        body = orjson.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or request.method != "POST":
        raise UsageError("only requests whose body is a JSON object can be sent again")
    return request, body


def headers(request: Sent, call: Call, who: str, key: str) -> dict[str, str]:
    """Of the re-run. ``key``: of the provider; empty to send none."""
    made = {name: value for name, value in request.headers if name in _REPEATED}
    made |= {
        "Content-Type": made.pop("content-type", "application/json"),
        "X-Llmtap-Project": call.project,
        "X-Llmtap-Exclude": EXCLUDED,
        "X-Llmtap-Meta-Rerun-Of": call.id,
        "X-Llmtap-Meta-Rerun-By": "".join(letter for letter in who if letter.isprintable())[:200] or "-",
    }
    if key and request.key_header:
        made[request.key_header] = f"{request.key_scheme} {key}" if request.key_scheme else key
    return made


async def send(exchange: Exchange, call: Call, config: Config, body: bytes, *, who: str, key: str) -> Answered:
    """Send it, and wait for the end of the answer. Raises ``UsageError`` when the relay cannot be reached."""
    request, _ = _editable(exchange, config)
    url = addressed(request, key)
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False, auto_decompress=False) as session,
            session.post(url, data=body, headers=headers(request, call, who, key), allow_redirects=False) as answer,
        ):
            while await answer.content.read(_READ_BYTES):
                pass
            return Answered(answer.status, answer.headers.get("x-llmtap-call-id", ""))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise UsageError(f"the relay at {relay_url(config)} gave no answer: {type(error).__name__}") from None


def addressed(request: Sent, key: str) -> str:
    """Where it goes. A key that stood in the address stands there again, in no parameter that merely ends like it."""
    shown = quote(key, safe="") if request.key_in_url else ""
    return KEY_IN_TARGET.sub(lambda found: found[1] + shown, request.url)
