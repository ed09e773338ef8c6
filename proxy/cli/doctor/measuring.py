"""The calls that ``doctor`` makes: direct and through llmtap in turns, each over one connection that stands.

The direct call is made by the relay's own client half, so that proxies, authorities and time
limits are those of the settings, and its errors are the same sentences.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import msgspec

from ...addresses import parse_base
from ...clock import monotonic_us, wall_us
from ...config import Config
from ...errors import LlmtapError, OurError
from ...relay.routes import Destination, Route
from ...relay.upstream import OwnAddresses, Upstreams
from .comparison import Observed

_BODY_MAX = 64 << 20
_LIMITS_S = {"connect_timeout_s": 10.0, "answer_timeout_s": 60.0, "body_idle_timeout_s": 60.0}
#: Calls through llmtap are flagged, and so out of lists and sums.
_EXCLUDED = ("x-llmtap-exclude", "doctor")

Side = list[Observed]


class Request:
    """One request, to be made several times."""

    def __init__(self, path: str, headers: list[tuple[str, str]], body: bytes | None = None) -> None:
        self.method = "GET" if body is None else "POST"
        self.path = path
        self.body = body
        self.headers = headers
        if body is not None:
            self.headers = [*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]


async def in_turns(
    config: Config, to: Route, relay_url: str, request: Request, times: int
) -> tuple[Side, Side, LlmtapError | None, LlmtapError | None]:
    """(direct answers, answers through llmtap, and the error that ended each side, if one did)."""
    direct = _Line(config, to, "", use_env_proxy=config.relay.use_env_proxy)
    through = _through(config, to, relay_url)
    try:
        for _ in range(times):
            await direct.call(request)
            await through.call(request)
    finally:
        await direct.close()
        await through.close()
    return direct.answers, through.answers, direct.error, through.error


async def through_llmtap(config: Config, to: Route, relay_url: str, request: Request) -> Observed:
    """One call through llmtap. Raises ``UpstreamError`` when it does not answer."""
    line = _through(config, to, relay_url)
    try:
        await line.call(request)
    finally:
        await line.close()
    if line.error is not None:
        raise line.error
    return line.answers[0]


async def reachable_by_proxy(config: Config, to: Route, request: Request) -> bool:
    """Whether the upstream answers when the environment's proxy is used, which the settings do not."""
    line = _Line(config, to, "", use_env_proxy=True)
    try:
        await line.call(request)
    finally:
        await line.close()
    return line.error is None


def _through(config: Config, to: Route, relay_url: str) -> _Line:
    url = urlsplit(parse_base(relay_url, "--relay"))
    relay = Route("llmtap", "", url.scheme, url.netloc, url.path)
    return _Line(config, relay, to.prefix, use_env_proxy=False, extra=_EXCLUDED)


class _Line:
    """One side: a client of its own, what it was answered, and what ended it."""

    def __init__(
        self, config: Config, to: Route, prefix: str, *, use_env_proxy: bool, extra: tuple[str, str] | None = None
    ) -> None:
        self.answers: Side = []
        self.error: LlmtapError | None = None
        self._to, self._prefix, self._extra = to, prefix, [extra] if extra else []
        settings = msgspec.structs.replace(config.relay, use_env_proxy=use_env_proxy)
        limits = msgspec.structs.replace(config.limits, **_LIMITS_S)
        self._client = Upstreams(settings, limits, OwnAddresses([]))

    async def call(self, request: Request) -> None:
        """Call once more, unless an earlier call has failed."""
        if self.error is not None:
            return
        try:
            self.answers.append(await self._observe(request))
        except LlmtapError as error:
            self.error = error

    async def _observe(self, request: Request) -> Observed:
        path = f"{self._to.base_path}{self._prefix}{request.path}"
        to = Destination(self._to, "default", path, None)
        body = None if request.body is None else _once(request.body)
        started_us = monotonic_us()
        answer = await self._client.send(request.method, to, [*request.headers, *self._extra], body)
        try:
            head_us = monotonic_us() - started_us
            parts, reads, size = [], [], 0
            while data := await self._client.read(answer, to):
                reads.append(monotonic_us() - started_us)
                parts.append(data)
                size += len(data)
                if size > _BODY_MAX:
                    raise OurError(f"{urlsplit(self._to.base).netloc} answers with more than {_BODY_MAX >> 20} MB")
        finally:
            answer.close()
        version = answer.version
        return Observed(
            version=f"{version.major}.{version.minor}" if version else "",
            status=answer.status,
            reason=answer.reason or "",
            headers=tuple(answer.raw_headers),
            body=b"".join(parts),
            reads=tuple(reads),
            head_us=head_us,
            total_us=monotonic_us() - started_us,
            ended_at_us=wall_us(),
        )

    async def close(self) -> None:
        await self._client.close()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
