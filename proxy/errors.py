"""Every error llmtap raises, by whose fault it is.

::

    LlmtapError
    ├── UsageError                 the user's: wrong flag, setting, id or filter; the message says what to do
    │   ├── ConfigError            a setting that cannot be used
    │   ├── QueryError             a filter that cannot be understood; carries the column
    │   └── CallNotFound           no such call, or a short id that fits several
    ├── RefusedRequest             the client's: a request that is answered without going upstream
    ├── UpstreamError              the upstream's: it could not be reached, or its answer broke
    │   ├── UpstreamUnreachable    name, connection, TLS; nothing of the request was answered
    │   ├── UpstreamTimeout        a limit of ours ran out while waiting
    │   └── UpstreamCut            the answer ended before it was complete
    └── OurError                   ours, or the machine's
        ├── StoreError             the store cannot be used (locked, newer schema, network disk)
        └── Busy                   another llmtap owns the data directory or the port
"""

from __future__ import annotations


class LlmtapError(Exception):
    """Base of all; its text is shown to people, so it says what to do."""


class UsageError(LlmtapError):
    """The user can mend this: the text names the flag, setting, id or filter."""


class ConfigError(UsageError):
    """A setting that cannot be used; the text names it and where it was read."""


class QueryError(UsageError):
    """A filter that cannot be understood; ``column`` is where, counted from 1, or None."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


class CallNotFound(UsageError):
    """No call has this id, or a short id fits several."""


class RefusedRequest(LlmtapError):
    """A request that llmtap answers itself, without going upstream."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class UpstreamError(LlmtapError):
    """The upstream's fault. ``code`` goes into the row's ``error_type``, ``status`` to the client."""

    status = 502

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UpstreamUnreachable(UpstreamError):
    """No connection could be made, or it died before the answer began."""


class UpstreamTimeout(UpstreamError):
    """A time limit of ours ran out while waiting for the upstream."""

    status = 504


class UpstreamCut(UpstreamError):
    """The answer ended before it was complete; the client's is cut at the same byte."""


class OurError(LlmtapError):
    """llmtap's fault, or the machine's."""


class StoreError(OurError):
    """The store cannot be used."""


class Busy(OurError):
    """Another process owns the data directory or the port."""
