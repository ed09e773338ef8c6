"""Asking a stream for its usage in the client's place, and taking the answer's extra chunk out again. No I/O.

Only completions of OpenAI's kind: they say what they used when ``stream_options.include_usage``
asks them to, in one more event, whose ``choices`` are empty. A request gets a few bytes put in and is
otherwise sent as it came; of an answer, that event is left out and every other byte passed on. What
is no plain case (not JSON, compressed, signed, over ``MOST_REQUEST_BYTES``) is not touched at all.

What stays for the client to see: with ``include_usage`` OpenAI writes ``"usage": null`` in every other
chunk; an answer that comes compressed, though asked not to be, is passed on uncompressed; and an
event that says anything beside the usage is passed on. What the client does not see although it
would have: an upstream that says its usage unasked, in an event of the same form, cannot be told apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec
from msgspec import Raw, Struct

from ..errors import UpstreamCut
from ..wire.encoding import Undoing, can_undo
from ..wire.sse import Decoder

Lines = list[tuple[str, str]]  #: of a head, names in any case

MOST_REQUEST_BYTES = 2 << 20  #: a longer body is not held to be looked at
MOST_EVENT_BYTES = 1 << 20  #: a longer event is not held, and is no usage chunk

# --- the request -----------------------------------------------------------------------------------

#: Whose values would be wrong for a body that was changed.
_SIGNATURES = frozenset({
    "content-md5", "content-digest", "digest", "repr-digest", "signature", "signature-input", "x-amz-content-sha256",
})  # fmt: skip
_SIGNING = "aws4-"  #: how an Authorization begins that is a signature of the body as well
_ASKED = b'"include_usage":true'
_MOST_OPTIONS_BYTES = 4 << 10  #: of stream_options; nobody's are larger
_MOST_PLACES = 2  #: that are tried for one value; each costs a look at the whole body


class _Options(Struct):
    include_usage: bool | None = None


class _Streaming(Struct):
    stream: bool = False
    stream_options: Raw = Raw()


_streaming = msgspec.json.Decoder(_Streaming)


class _Written(Struct):
    """The members that are replaced, as they are written."""

    stream_options: Raw = Raw()
    include_usage: Raw = Raw()


_options = msgspec.json.Decoder(_Options | None)
_written = msgspec.json.Decoder(_Written)
_PLACES = {name: re.compile(rb'"%b"[ \t\r\n]*+:[ \t\r\n]*+' % name.encode()) for name in _Written.__struct_fields__}
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
        and not any(name.lower() == "authorization" and value.lower().startswith(_SIGNING) for name, value in headers)
    )


def asking(body: bytes) -> bytes | None:
    """The same request with the question for usage put in; None for one that is not to be asked, or asks itself."""
    try:
        request = _streaming.decode(body)
        if not request.stream:
            return None
        if len(options := bytes(request.stream_options)) > _MOST_OPTIONS_BYTES:
            return None
        if not options:
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
    if said := bytes(_written.decode(options).include_usage):
        return _replaced(options, "include_usage", said, b"true")
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
    values = (place.end() for place in _PLACES[name].finditer(written))
    places = (at for at in values if written.startswith(old, at))
    for at in islice(places, _MOST_PLACES):
        changed = written[:at] + new + written[at + len(old) :]
        if bytes(getattr(_written.decode(changed), name)) == new:
            return changed
    return None


def asking_headers(headers: Sequence[tuple[str, str]], body_bytes: int) -> Lines:
    """The head of a request whose body was changed, and whose answer has to be read here."""
    changed = {"content-length": str(body_bytes), "accept-encoding": "identity"}
    return [(name, changed.get(name.lower(), value)) for name, value in headers]


# --- the answer ------------------------------------------------------------------------------------


def can_filter(status: int, content_type: str, content_encoding: str) -> bool:
    """Whether an answer is a stream whose usage can be taken out."""
    return status == 200 and content_type == "text/event-stream" and can_undo(content_encoding)


class UnaskedAnswer:
    """A stream as a client gets it that asked for no usage: without content coding, without its usage chunk."""

    def __init__(self, content_encoding: str) -> None:
        self._undoing = Undoing(content_encoding)
        self._usage = UsageFilter()

    @property
    def held(self) -> bytes:
        """The event under way, as far as it has come."""
        return self._usage.held

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; those that may be passed on by now. Raises ``UpstreamCut`` where they are corrupt."""
        try:
            for piece in self._undoing.feed(data):
                yield self._usage.feed(piece)
        except ValueError as error:
            raise UpstreamCut("upstream_encoding", f"The answer's content coding is damaged: {error}.") from error

    def finish(self) -> bytes:
        """The stream has come to its regular end. Raises ``UpstreamCut`` when its content coding has not."""
        if not self._undoing.finished:
            raise UpstreamCut("upstream_encoding", "The answer ended before its content coding did.")
        return self._usage.finish()


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


_chunk = msgspec.json.Decoder(_Chunk)
_members = msgspec.json.Decoder(dict[str, Raw])
#: What a usage chunk holds. ``x_groq`` and llama.cpp's ``timings`` are figures that come with the usage.
_ENVELOPE = frozenset({
    "id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage", "obfuscation",
    "provider", "x_groq", "timings",
})  # fmt: skip
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
        data = _data(event)
        chunk = _chunk.decode(data)
        return chunk.choices == [] and chunk.usage is not None and _says_no_more(data)
    except (ValueError, RecursionError):
        return False


def _says_no_more(chunk: bytes) -> bool:
    return all(name in _ENVELOPE or bytes(value) == b"null" for name, value in _members.decode(chunk).items())


def _data(event: bytes) -> bytes:
    if one_line := _ONE_LINE.fullmatch(event):
        return one_line[1]
    decoder = Decoder()
    return b"".join(found.data for found in (*decoder.feed(event), *decoder.finish()))
