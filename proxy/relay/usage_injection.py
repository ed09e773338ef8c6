"""Asking a stream for its usage in the client's place, and taking the answer's extra chunk out again. No I/O.

Only completions of OpenAI's kind: they say what they used when ``stream_options.include_usage``
asks them to, in one more event, whose ``choices`` are empty. A request gets a few bytes put in and is
otherwise sent as it came; of an answer, that event is left out and every other byte passed on. What
is no plain case (not JSON, compressed, signed, large) is not touched at all.

What stays for the client to see: with ``include_usage`` OpenAI writes ``"usage": null`` in every other chunk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from ..wire.sse import Decoder

Lines = list[tuple[str, str]]  #: of a head, names in any case

MOST_REQUEST_BYTES = 16 << 20  #: a longer body is not held to be looked at
MOST_EVENT_BYTES = 1 << 20  #: a longer event is not held, and is no usage chunk

# --- the request -----------------------------------------------------------------------------------

#: Whose values would be wrong for a body that was changed.
_SIGNATURES = frozenset({"content-md5", "content-digest", "digest", "repr-digest", "signature", "x-amz-content-sha256"})
_ASKED = b'"include_usage":true'
_MOST_PLACES = 16  #: that are tried for one value


class _Options(Struct):
    include_usage: bool | None = None


class _Streaming(Struct):
    stream: bool = False
    stream_options: Raw = Raw()


_streaming = msgspec.json.Decoder(_Streaming)
_options = msgspec.json.Decoder(_Options | None)
_members = msgspec.json.Decoder(dict[str, Raw])
_NO_MEMBERS = re.compile(rb"[ \t\r\n]*\}")


def may_ask(method: str, path: str, headers: Sequence[tuple[str, str]]) -> bool:
    """Whether a request, by its head, may be one for a stream that says its usage only when asked."""
    if method != "POST" or not path.endswith("/completions"):
        return False
    values = {name.lower(): value.strip().lower() for name, value in headers}
    return (
        values.get("content-type", "").partition(";")[0].rstrip() == "application/json"
        and values.get("content-encoding", "identity") == "identity"
        and int(values.get("content-length", "0")) <= MOST_REQUEST_BYTES
        and not _SIGNATURES & values.keys()
    )


def asking(body: bytes) -> bytes | None:
    """The same request with the question for usage put in; None for one that is not to be asked, or asks itself."""
    try:
        request = _streaming.decode(body)
        if not request.stream:
            return None
        if not (options := bytes(request.stream_options)):
            return _with_member(body, b'"stream_options":{' + _ASKED + b"}")
        asked = _asking_options(options)
        return _replaced(body, "stream_options", options, asked) if asked else None
    except (ValueError, RecursionError):
        return None


def _asking_options(options: bytes) -> bytes | None:
    given = _options.decode(options)
    if given is None:
        return b"{" + _ASKED + b"}"
    if given.include_usage:
        return None
    members = _members.decode(options)
    if "include_usage" in members:
        return _replaced(options, "include_usage", bytes(members["include_usage"]), b"true")
    return _with_member(options, _ASKED)


def _with_member(written: bytes, member: bytes) -> bytes:
    """An object with one member more, as its first."""
    before, brace, after = written.partition(b"{")
    return before + brace + member + (b"" if _NO_MEMBERS.match(after) else b",") + after


def _replaced(written: bytes, name: str, old: bytes, new: bytes) -> bytes | None:
    """An object with another value of one member; None where the member is not to be found.

    The same words may stand elsewhere, in a string or further inside: the right place is the one
    whose change is read back.
    """
    member = re.compile(rb'"%b"[ \t\r\n]*:[ \t\r\n]*%b' % (name.encode(), re.escape(old)))
    for _, place in zip(range(_MOST_PLACES), member.finditer(written), strict=False):
        changed = written[: place.end() - len(old)] + new + written[place.end() :]
        if bytes(_members.decode(changed)[name]) == new:
            return changed
    return None


def asking_headers(headers: Sequence[tuple[str, str]], body: bytes) -> Lines:
    """The head of a request whose body was changed, and whose answer has to be read here."""
    changed = {"content-length": str(len(body)), "accept-encoding": "identity"}
    return [(name, changed.get(name.lower(), value)) for name, value in headers]


# --- the answer ------------------------------------------------------------------------------------


def can_filter(status: int, content_type: str, content_encoding: str) -> bool:
    """Whether an answer is a stream whose usage can be taken out."""
    return status == 200 and content_type == "text/event-stream" and content_encoding.lower() in ("", "identity")


#: Blank lines and comments, which lead to an event and belong to none.
_BEFORE_AN_EVENT = re.compile(rb"(?:[\r\n]|:[^\r\n]{0,%d}+[\r\n])*+" % (MOST_EVENT_BYTES - 2))
_LINE_END = re.compile(rb"[\r\n]")
_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
_LONGEST_LINE_END = 2


class _Object(Struct):
    """Any object."""


class _Chunk(Struct):
    choices: list[Raw] | None = None
    usage: _Object | None = None
    error: Raw = Raw(b"null")


_chunk = msgspec.json.Decoder(_Chunk)
_ONE_LINE = re.compile(rb"data: ?([^\r\n]*)[\r\n]*")


class UsageFilter:
    """An event stream without its usage chunk. However the stream is split, the same bytes come out."""

    def __init__(self) -> None:
        self.held = b""  #: the event under way, as far as it has come
        self._passing = b""  #: the last bytes of an event under way that is too long to be held
        self._skip_lf = False  #: an LF that comes next is the rest of a blank line that was left out

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; those that may be passed on by now."""
        if self._skip_lf and data:
            self._skip_lf = False
            data = data.removeprefix(b"\n")
        if self._passing:
            return self._pass(data)
        if not _LINE_END.search(data):
            return self._hold(self.held + data)
        return self._events(self.held + data, len(self.held))

    def finish(self) -> bytes:
        """The stream has come to its regular end: what is held, unless it is a usage chunk without its blank line."""
        return b"" if _is_usage_only(self.held) else self.held

    def _events(self, data: bytes, known: int) -> bytes:
        """``data`` begins with an event whose end is not among the first ``known`` bytes."""
        passed, at = [], 0
        while at < len(data):
            start = max(at, known - _LONGEST_LINE_END)
            before = _BEFORE_AN_EVENT.match(data, at)
            begin = before.end() if before else at
            passed.append(data[at:begin])
            at = begin
            blank = _BLANK_LINE.search(data, max(start, begin))
            if blank is None:
                break
            at = blank.end()
            event = data[begin:at]
            if not _is_usage_only(event):
                passed.append(event)
            else:
                self._skip_lf = at == len(data) and event.endswith(b"\r")
        return b"".join(passed) + self._hold(data[at:])

    def _hold(self, event: bytes) -> bytes:
        self.held = event
        if len(event) <= MOST_EVENT_BYTES:
            return b""
        self.held, self._passing = b"", event[-_LONGEST_LINE_END:]
        return event

    def _pass(self, data: bytes) -> bytes:
        """To the end of the event that is passed on as it comes, and on from there."""
        seen = self._passing + data
        blank = _BLANK_LINE.search(seen)
        if blank is None:
            self._passing = seen[-_LONGEST_LINE_END:]
            return data
        end = blank.end() - len(self._passing)
        self._passing = b""
        return data[:end] + self._events(data[end:], 0)


def _is_usage_only(event: bytes) -> bool:
    late_lf = event.endswith(b"\r\n")  # may come in another read than the rest, so it must not decide
    if b'"usage"' not in event or len(event) - late_lf > MOST_EVENT_BYTES:
        return False
    try:
        chunk = _chunk.decode(_data(event))
    except (ValueError, RecursionError):
        return False
    return chunk.choices == [] and chunk.usage is not None and bytes(chunk.error) == b"null"


def _data(event: bytes) -> bytes:
    if one_line := _ONE_LINE.fullmatch(event):
        return one_line[1]
    decoder = Decoder()
    return b"".join(found.data for found in (*decoder.feed(event), *decoder.finish()))
