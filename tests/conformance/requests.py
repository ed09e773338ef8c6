"""What a client may send, well-formed or not, and the one thing that must come of it."""

# ruff: noqa: E501  (one row a line)

from __future__ import annotations

from msgspec import Struct

CANARY = b"sk-canary-5d1f7a90c3"


class Refused(Struct, frozen=True):
    """llmtap answers itself, or (status 0) closes without a word. The upstream gets no whole request."""

    # ruff: noqa: E501  (one row a line)

    statuses: frozenset[int]
    begun: bool = False  #: the fault lies in the body: the upstream may have seen the beginning


class Forwarded(Struct, frozen=True):
    """The upstream gets exactly this, once per entry of ``bodies``."""

    target: bytes
    bodies: tuple[bytes, ...] = (b"",)
    method: bytes = b"POST"
    present: tuple[tuple[bytes, bytes], ...] = ()
    absent: tuple[bytes, ...] = ()
    interim: tuple[int, ...] = ()


class Case(Struct, frozen=True):
    """``raw`` is sent as it stands. ``either``: more than one outcome is right, but never both."""

    name: str
    raw: bytes
    expect: Refused | Forwarded
    either: Refused | Forwarded | None = None
    finish: bool = False  #: the client closes its sending side afterwards


def refused(*statuses: int, begun: bool = False) -> Refused:
    return Refused(frozenset(statuses), begun)


def post(*lines: bytes, body: bytes = b"", target: bytes = b"/t", version: bytes = b"HTTP/1.1") -> bytes:
    """A POST with these header lines after Host; the canary key rides along to see whether it is echoed."""
    head = [b"POST " + target + b" " + version, b"Host: relay", b"Authorization: Bearer " + CANARY, *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


BAD = refused(400)
HELLO = Forwarded(b"/t", (b"hello",))
TOO_LARGE = refused(400, 414, 431)
CUT = refused(400, begun=True)

FRAMING = [
    Case("1 Content-Length and Transfer-Encoding", post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\nX"), BAD),
    Case("2 Transfer-Encoding and Content-Length", post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\nX"), BAD),
    Case("3 two lengths that differ", post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), BAD),
    Case("4 two lengths alike", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), BAD),
    Case("5 a list of lengths", post(b"Content-Length: 5, 5", body=b"hello"), BAD),
    Case("6 length +5", post(b"Content-Length: +5", body=b"hello"), BAD),
    Case("7 length 1_0", post(b"Content-Length: 1_0", body=b"hellohello"), BAD),
    Case("8 length -1", post(b"Content-Length: -1"), BAD),
    Case("9 length 2^70", post(b"Content-Length: 1180591620717411303424"), refused(400, 413)),
    Case("10 empty length", post(b"Content-Length: ", body=b"hello"), BAD),
    Case("11 space before the colon", post(b"Content-Length : 5", body=b"hello"), BAD),
    Case("12 xchunked", post(b"Transfer-Encoding: xchunked", body=b"5\r\nhello\r\n0\r\n\r\n"), refused(400, 501)),
    Case("13 chunked, identity", post(b"Transfer-Encoding: chunked, identity", body=b"5\r\nhello\r\n0\r\n\r\n"), refused(400, 501)),
    Case("14 Transfer-Encoding twice", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), refused(400, 501)),
    Case("15 vertical tab before chunked", post(b"Transfer-Encoding: \x0bchunked", body=b"5\r\nhello\r\n0\r\n\r\n"), refused(400, 501)),
    Case("16 Transfer-Encoding on HTTP/1.0", post(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n", version=b"HTTP/1.0"), BAD),
    Case("17 gzip, chunked", post(b"Transfer-Encoding: gzip, chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), refused(400, 501)),
    Case("18 folded header", post(b"X-A: one\r\n two", b"Content-Length: 5", body=b"hello"), BAD),
    Case("19 bare LF", b"POST /t HTTP/1.1\nHost: relay\nAuthorization: Bearer " + CANARY + b"\nContent-Length: 0\n\n", BAD),
    Case("19b bare LF in a header", post(b"X-A: one\nX-B: two", b"Content-Length: 0"), BAD),
    Case("20 bare CR in a header", post(b"X-A: one\rX-B: two", b"Content-Length: 0"), BAD),
    Case("21 NUL in a value", post(b"X-A: a\x00b", b"Content-Length: 0"), BAD),
    Case("21b \\x01 in a value", post(b"X-A: a\x01b", b"Content-Length: 0"), BAD),
    Case("21c DEL in a value", post(b"X-A: a\x7fb", b"Content-Length: 0"), BAD, Forwarded(b"/t")),
    Case("22 name not ASCII", post("X-Å: 1".encode(), b"Content-Length: 0"), BAD),
    Case("22b empty name", post(b": 1", b"Content-Length: 0"), BAD),
    Case("23 chunk size +5", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), CUT),
    Case("23b chunk size 0x5", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), CUT),
    Case("23c chunk size 1_0", chunked(b"1_0\r\nhellohellohellohe\r\n0\r\n\r\n"), CUT),
    Case("24 chunk size 2^68", chunked(b"100000000000000000\r\nhello\r\n0\r\n\r\n"), CUT),
    Case("25 chunk extension of 64 KB", chunked(b"5;x=" + b"y" * 65_536 + b"\r\nhello\r\n0\r\n\r\n"), HELLO, refused(400, 413, 431, begun=True)),
    Case("25b short chunk extension", chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n"), HELLO),
    Case("26 chunk longer than its size", chunked(b"3\r\nhello\r\n0\r\n\r\n"), CUT),
    Case("26b chunk shorter than its size", chunked(b"7\r\nhello\r\n0\r\n\r\n0\r\n\r\n"), CUT),
    Case("27 20,000 trailers", chunked(b"5\r\nhello\r\n0\r\n" + b"X-T: 1\r\n" * 20_000 + b"\r\n"), refused(400, 413, 431, begun=True)),
    Case("27b one trailer", chunked(b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"), HELLO),
    Case("28 100,000 chunks of one byte", chunked(b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"), Forwarded(b"/t", (b"x" * 100_000,))),
    Case("29 body shorter than its length", post(b"Content-Length: 10", body=b"hello"), refused(0, 400, begun=True), finish=True),
    Case("29b chunked body without end", chunked(b"5\r\nhello\r\n"), refused(0, 400, begun=True), finish=True),
    Case("30 two requests at once", post(b"Content-Length: 5", body=b"hello") + post(b"Content-Length: 5", body=b"again"), Forwarded(b"/t", (b"hello", b"again"))),
    Case("30b a request behind a GET with a body", b"GET /t HTTP/1.1\r\nHost: relay\r\nContent-Length: 5\r\n\r\nhello", Forwarded(b"/t", (b"hello",), b"GET")),
]  # fmt: skip


def get(target: bytes, *lines: bytes) -> bytes:
    """A GET with these header lines after Host."""
    head = [b"GET " + target + b" HTTP/1.1", b"Host: relay", b"Authorization: Bearer " + CANARY, *lines]
    return b"\r\n".join(head) + b"\r\n\r\n"


def seen(target: bytes, **more: object) -> Forwarded:
    return Forwarded(target, method=b"GET", **more)  # type: ignore[arg-type]


TARGETS = [
    Case("31 two Hosts", get(b"/t", b"Host: other"), BAD),
    Case("32 no Host", b"GET /t HTTP/1.1\r\nAuthorization: Bearer " + CANARY + b"\r\n\r\n", BAD),
    Case("33 Host that holds a path", b"GET /t HTTP/1.1\r\nHost: localhost/#@evil.example\r\n\r\n", seen(b"/t"), BAD),
    Case("34 absolute form", get(b"http://169.254.169.254/latest/meta?x=1"), seen(b"/latest/meta?x=1")),
    Case("34b absolute form, https", get(b"https://evil.example/t"), seen(b"/t")),
    Case("34c absolute form without a path", get(b"http://evil.example"), seen(b"/")),
    Case("34d absolute form with a user", get(b"http://user:" + CANARY + b"@evil.example/t?a=%2F"), seen(b"/t?a=%2F")),
    Case("35 CONNECT", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", refused(400, 405, 501)),
    Case("36 two slashes first", get(b"//evil.example/x"), seen(b"//evil.example/x")),
    Case("36b backslashes", get(b"/\\evil.example\\x"), seen(b"/\\evil.example\\x"), BAD),
    Case("37 dots", get(b"/v1/../../x"), seen(b"/v1/../../x")),
    Case("37b escaped dots and slash", get(b"/v1/%2e%2e%2fx"), seen(b"/v1/%2e%2e%2fx")),
    Case("37c an escaped slash in lower case", get(b"/v1/a%2fb%2Fc"), seen(b"/v1/a%2fb%2Fc")),
    Case("37d needless escapes and reserved marks", get(b"/%41%7e;a=b,c/:d@e!$&'()*+"), seen(b"/%41%7e;a=b,c/:d@e!$&'()*+")),
    Case("37e query as sent", get(b"/t?a=1&a=2&b=%20+%2B&&=;c?d/e"), seen(b"/t?a=1&a=2&b=%20+%2B&&=;c?d/e")),
    Case("37f empty query", get(b"/t?"), seen(b"/t?")),
    Case("38 escaped line break", get(b"/t%0d%0aX-A:%201"), seen(b"/t%0d%0aX-A:%201")),
    Case("38b a lone per cent sign", get(b"/t%zz%"), seen(b"/t%zz%"), BAD),
    Case("39 fragment", get(b"/t#frag"), BAD),
    Case("39b fragment in the query", get(b"/t?a=1#frag"), BAD),
    Case("39c fragment in absolute form", get(b"http://evil.example/t#frag"), BAD),
    Case("39d target without a slash", get(b"t"), BAD),
    Case("39e target that is a number", get(b"127.0.0.1:80"), BAD),
    Case("39f byte above 127 in the target", get(b"/t\xff"), BAD, seen(b"/t%FF")),
    Case("40 target of 9 KB", get(b"/" + b"a" * 9000), seen(b"/" + b"a" * 9000)),
    Case("40b target of 60 KB", get(b"/" + b"a" * 60_000), seen(b"/" + b"a" * 60_000)),
    Case("40c target of 200 KB", get(b"/" + b"a" * 200_000), TOO_LARGE),
    Case("41 header of 8.2 KB", get(b"/t", b"X-A: " + b"a" * 8200), seen(b"/t", present=((b"X-A", b"a" * 8200),))),
    Case("41b header of 60 KB", get(b"/t", b"X-A: " + b"a" * 60_000), seen(b"/t", present=((b"X-A", b"a" * 60_000),))),
    Case("41c header of 200 KB", get(b"/t", b"X-A: " + b"a" * 200_000), TOO_LARGE),
    Case("42 200 headers", get(b"/t", *(b"X-%d: 1" % n for n in range(200))), seen(b"/t", present=((b"X-199", b"1"),))),
    Case("42b 600 headers", get(b"/t", *(b"X-%d: 1" % n for n in range(600))), TOO_LARGE),
    Case("43 upgrade to h2c", get(b"/t", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), seen(b"/t", absent=(b"upgrade", b"http2-settings", b"connection"))),
    Case("43b upgrade to websocket", get(b"/t", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), refused(501)),
    Case("44 HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refused(0, 400, 505)),
    Case("44b HTTP/1.2", b"GET /t HTTP/1.2\r\nHost: relay\r\n\r\n", refused(400, 505)),
    Case("44c HTTP/0.9", b"GET /t\r\n\r\n", refused(0, 400, 505)),
    Case("45 TLS hello", bytes.fromhex("16030100c8010000c40303") + b"\x00\n\r\n" * 50, refused(0, 400)),
    Case("46 Expect: nonsense", post(b"Expect: nonsense", b"Content-Length: 5", body=b"hello"), refused(417)),
    Case("46b Expect: 100-continue", post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"), Forwarded(b"/t", (b"hello",), absent=(b"expect",), interim=(100,))),
    Case("47 Connection names end-to-end headers", get(b"/t", b"Connection: Authorization, X-Api-Key", b"X-Api-Key: " + CANARY), seen(b"/t", absent=(b"authorization", b"x-api-key", b"connection"))),
    Case("47b hop-by-hop headers", get(b"/t", b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"TE: trailers", b"Proxy-Connection: keep-alive", b"X-End: 1"), seen(b"/t", present=((b"X-End", b"1"),), absent=(b"x-hop", b"keep-alive", b"te", b"proxy-connection"))),
    Case("47c Connection twice", get(b"/t", b"Connection: X-A", b"Connection: X-B", b"X-A: 1", b"X-B: 1", b"X-C: 1"), seen(b"/t", present=((b"X-C", b"1"),), absent=(b"x-a", b"x-b"))),
    Case("48 X-Forwarded-* and Forwarded", get(b"/t", b"X-Forwarded-For: 10.0.0.1", b"X-Forwarded-Host: evil.example", b"Forwarded: for=1.2.3.4", b"Via: 1.1 a"), seen(b"/t", present=((b"X-Forwarded-For", b"10.0.0.1"), (b"X-Forwarded-Host", b"evil.example"), (b"Forwarded", b"for=1.2.3.4"), (b"Via", b"1.1 a")))),
    Case("49 our control headers", get(b"/t", b"X-Llmtap-No-Log: 1", b"X-Llmtap-Meta-Team: blue", b"X-End: 1"), seen(b"/t", present=((b"X-End", b"1"),), absent=(b"x-llmtap-no-log", b"x-llmtap-meta-team"))),
]  # fmt: skip


def json_post(body: bytes, *lines: bytes) -> bytes:
    return post(
        b"Content-Type: application/json",
        *lines,
        b"Content-Length: %d" % len(body),
        body=body,
        target=b"/v1/chat/completions",
    )


def kept(body: bytes) -> Forwarded:
    return Forwarded(b"/v1/chat/completions", (body,))


def _bodies() -> dict[str, bytes]:
    import gzip

    import brotli
    import zstandard

    messages = b'"messages":[{"role":"user","content":"hi"}]'
    return {
        "50 8 MB of JSON": b'{"model":"m",' + messages + b',"pad":"' + b"x" * (8 << 20) + b'"}',
        "51 nested 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
        "52 duplicate keys": b'{"stream":true,"stream":false,' + messages + b"}",
        "53 __proto__": b'{"__proto__":{"a":1},' + messages + b"}",
        "54 numbers that do not fit": b'{"a":NaN,"b":1e400,"max_tokens":18446744073709551616,' + messages + b"}",
        "55 lone surrogate": b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        "55b not UTF-8": b'{"messages":[{"role":"user","content":"\xc0\xaf\xff"}]}',
        "55c UTF-16 with BOM": b"\xff\xfe{\x00}\x00",
        "57 gzip": gzip.compress(b"{" + messages + b"}", mtime=0),
        "57b zstd": zstandard.compress(b"{" + messages + b"}"),
        "57c gzip bomb of 10 MB": gzip.compress(b" " * 10_000_000, mtime=0),
        "57d br": brotli.compress(b"{" + messages + b"}"),
        "57e br bomb of 10 MB": brotli.compress(b" " * 10_000_000, quality=1),
        "57f zstd bomb of 10 MB": zstandard.compress(b" " * 10_000_000),
        "57g what is no gzip": b"\x1f\x8bnot gzip at all",
        "60 model as list": b'{"model":["a",1],' + messages + b"}",
        "60b model as markup": b'{"model":"<script>alert(1)</script>\'; DROP TABLE call;--../../x",' + messages + b"}",
        "60c model of 1 MB": b'{"model":"' + b"m" * (1 << 20) + b'",' + messages + b"}",
        "61 a schema that refers to itself": b'{"tools":[{"type":"function","function":{"name":"f","parameters":{"$defs":{"a":{"$ref":"#/$defs/a"}},"$ref":"#"}}}]}',
        "62 empty": b"",
    }


def _encoding(name: str) -> list[bytes]:
    codings = name.split() if name.startswith("57") else []
    return [b"Content-Encoding: " + coding.encode() for coding in codings if coding in ("br", "gzip", "zstd")]


BODIES = [Case(name, json_post(body, *_encoding(name)), kept(body)) for name, body in _bodies().items()]
BODIES += [
    Case("56 no content type", post(b"Content-Length: 2", body=b"{}"), Forwarded(b"/t", (b"{}",), absent=(b"content-type",))),
    Case("56b wrong content type", post(b"Content-Type: image/png", b"Content-Length: 2", body=b"{}"), Forwarded(b"/t", (b"{}",), present=((b"Content-Type", b"image/png"),))),
    Case("62b no body at all", post(), Forwarded(b"/t", absent=(b"content-length", b"transfer-encoding"))),
    Case("62c a length of 0", post(b"Content-Length: 0"), Forwarded(b"/t", present=((b"Content-Length", b"0"),))),
    Case("62d a chunked body of 0", chunked(b"0\r\n\r\n"), Forwarded(b"/t")),
]  # fmt: skip

CASES = [*FRAMING, *TARGETS, *BODIES]
