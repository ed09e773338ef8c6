"""The applications that call: what each always sends, how its client writes JSON, and the HTTP around it.

Header lines are those that the official clients and the providers send, recorded as the relay does.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct

from proxy.records import Begin, End, Exchange, Head, Header, Outcome
from proxy.wire.headers import Fingerprints, Recorder

from .anthropic import Anthropic
from .corpus import Pen
from .openai import OpenAI
from .style import JSON, Answer, Format, Fragment, Request, Style, letters

APPS = 20  #: each with a key of its own
SYSTEM_CHARACTERS = {"single": 1450, "chat": 800, "loop": 7900}  #: by class of conversation
_TOOLS = 12
_USERS = 50  #: of an application
_FEATURES = ("answers", "search", "summary", "review", "triage", "draft", "import", "support")
_TENANTS = 100
_RECORDER = Recorder(Fingerprints(b"the key of a data directory"))
_REASONS = {200: "OK", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable", 529: ""}
_BOOT_US = 1_700_000_000_000_000  #: when the machine's monotonic clock began
_LONGEST_US = 12_000_000
_STREAM_READ = 2_000  #: bytes
_SDK = [
    (b"X-Stainless-Lang", b"python"),
    (b"X-Stainless-OS", b"Linux"),
    (b"X-Stainless-Arch", b"x64"),
    (b"X-Stainless-Runtime", b"CPython"),
    (b"X-Stainless-Runtime-Version", b"3.12.8"),
    (b"X-Stainless-Async", b"async:asyncio"),
    (b"x-stainless-read-timeout", b"600"),
]


class App(Struct, frozen=True, kw_only=True):
    """An application: its client, its key, and what it says in each call."""

    format: Format
    style: Style
    model: str
    systems: dict[str, str]  #: by class of conversation
    written: dict[str, bytes]  #: the same, as JSON
    clock: bool  #: it puts the time into its system prompt
    tools: bytes
    says_what_for: bool
    stream: bool
    headers: tuple[Header, ...]

    def system(self, what: str, now_us: int) -> bytes:
        """Its system prompt for a class of conversation, at a moment."""
        if not self.clock:
            return self.written[what]
        now = datetime.fromtimestamp(now_us // 1_000_000, UTC).isoformat()
        return self.format.system(self.style, f"The current time is {now}.\n{self.systems[what]}")


def applications(rng: random.Random, prose: Pen, stream: float, anthropic: float) -> list[App]:
    """All of them: half echo answers in other bytes, a quarter writes spaces and escapes, a tenth tells the time."""
    anthropics = set(rng.sample(range(APPS), round(APPS * anthropic)))
    streaming = set(rng.sample(range(APPS), round(APPS * stream)))
    return [
        _application(
            rng,
            prose,
            Anthropic() if number in anthropics else OpenAI(),
            Style(spaced=number % 4 == 0, verbose=number % 8 >= 4),
            clock=number % 10 == 3,
            says_what_for=number % 2 == 1,
            stream=number in streaming,
        )
        for number in range(APPS)
    ]


def _application(rng: random.Random, prose: Pen, provider: Format, style: Style, **habits: bool) -> App:
    systems = {what: prose.write(length) for what, length in SYSTEM_CHARACTERS.items()}
    return App(
        format=provider,
        style=style,
        model=rng.choice(provider.models),
        systems=systems,
        written={what: provider.system(style, text) for what, text in systems.items()},
        tools=provider.tools(style, [_tool(number, prose) for number in range(_TOOLS)]),
        headers=_RECORDER.headers([*provider.request_headers(letters(rng, 48)), *_SDK]),
        **habits,
    )


def _tool(number: int, prose: Pen) -> JSON:
    names = ("path", "query", "limit", "mode")
    properties = {name: {"type": "string", "description": prose.write(90)} for name in names}
    schema = {"type": "object", "properties": properties, "required": ["path"], "additionalProperties": False}
    return {"name": f"tool_{number}", "description": prose.write(160), "parameters": schema}


class Caller(Struct, frozen=True):
    """Who asks in one conversation, on which connection."""

    app: App
    user: str
    metadata: dict[str, str] | None
    address: str

    @classmethod
    def any(cls, rng: random.Random, apps: list[App]) -> Caller:
        """Somebody who uses one of the applications."""
        app = rng.choice(apps)
        purpose = {"feature": rng.choice(_FEATURES), "tenant": f"t{rng.randrange(_TENANTS)}"}
        address = f"10.0.{rng.randrange(8)}.7:{rng.randrange(1 << 15, 1 << 16)}"
        return cls(app, f"user_{rng.randrange(_USERS)}", purpose if app.says_what_for else None, address)

    def request(self, system: bytes, messages: list[Fragment], *, tools: bool) -> bytes:
        """The body that it would send."""
        app = self.app
        request = Request(
            model=app.model,
            system=system,
            messages=messages,
            tools=app.tools if tools else None,
            stream=app.stream,
            user=self.user,
            metadata=self.metadata,
        )
        return app.format.request(app.style, request)

    def exchange(
        self, rng: random.Random, call_id: bytes, now_us: int, request: bytes, answer: Answer, tries: int
    ) -> Exchange:
        """One call as it crossed the relay, after so many tries before."""
        streamed = self.app.stream and answer.status == 200
        response = (self.app.format.stream if streamed else self.app.format.response)(answer)
        head_us, end_us = _times(rng, answer, streamed)
        end = End(
            id=call_id,
            ended_us=now_us - _BOOT_US + end_us,
            offset_us=end_us,
            outcome=Outcome.COMPLETE.value,
            request_bytes=len(request),
            response_bytes=len(response),
            request_complete=True,
            response_complete=True,
            status=answer.status,
        )
        return Exchange(
            begin=self._begin(call_id, now_us, len(request), tries),
            head=self._head(rng, call_id, now_us, head_us, answer, streamed),
            end=end,
            request_body=request,
            response_body=response,
            marks=_marks(len(response), head_us, end_us, streamed),
        )

    def _begin(self, call_id: bytes, now_us: int, size: int, tries: int) -> Begin:
        provider = self.app.format
        tried, length = Header(b"x-stainless-retry-count", b"%d" % tries), Header(b"Content-Length", b"%d" % size)
        return Begin(
            id=call_id,
            started_at_us=now_us,
            accepted_us=now_us - _BOOT_US,
            method="POST",
            target=provider.path,
            client=self.address,
            upstream=provider.name,
            base=provider.base,
            endpoint=provider.path,
            headers=(*self.app.headers, tried, length),
        )

    def _head(
        self, rng: random.Random, call_id: bytes, now_us: int, offset_us: int, answer: Answer, streamed: bool
    ) -> Head:
        lines = [
            (b"Date", _date((now_us + offset_us) // 1_000_000)),
            (b"Content-Type", b"text/event-stream; charset=utf-8" if streamed else b"application/json"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Connection", b"keep-alive"),
            *self.app.format.response_headers(rng, answer),
            (b"cf-cache-status", b"DYNAMIC"),
            (b"Set-Cookie", b"__cf_bm=%032x; path=/; Secure; HttpOnly" % rng.getrandbits(128)),
            (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"),
            (b"X-Content-Type-Options", b"nosniff"),
            (b"Server", b"cloudflare"),
            (b"CF-RAY", b"%016x-FRA" % rng.getrandbits(64)),
            (b"alt-svc", b'h3=":443"; ma=86400'),
        ]
        return Head(
            id=call_id,
            offset_us=offset_us,
            status=answer.status,
            reason=_REASONS[answer.status],
            headers=tuple(_recorded(*line) for line in lines),
        )


def _times(rng: random.Random, answer: Answer, streamed: bool) -> tuple[int, int]:
    """µs to the head and to the end: a first token after a while, then about a hundred a second."""
    first_us = int(rng.lognormvariate(12.9, 0.4))
    end_us = min(first_us + int(answer.output_tokens * rng.uniform(6_000, 14_000)), _LONGEST_US + first_us % 1000)
    return (first_us // 2 if streamed else end_us - 300), end_us


def _marks(size: int, head_us: int, end_us: int, streamed: bool) -> tuple[tuple[int, int], ...]:
    reads = max(1, size // _STREAM_READ) if streamed else 1
    step, step_us = size // reads, (end_us - head_us) // reads
    return (*((step * read, head_us + step_us * read) for read in range(1, reads)), (size, end_us))


@lru_cache(maxsize=1024)
def _recorded(name: bytes, value: bytes) -> Header:
    return _RECORDER.headers([(name, value)])[0]


@lru_cache(maxsize=64)
def _date(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").encode()
