"""Which calls may belong together: decisions over rows, without a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from msgspec import Struct

from .rows import WRITTEN

_SLACK_US = 1_000_000  # SDKs go on at the marker that ends a stream, before its end
_REPEATED_WITHIN_US = 600_000_000
#: What tells calls apart that could all be meant.
_NAMES = ("session", "user", "trace", "agent", "client", "system_version")
OK = 2  #: of the state ``ok`` in ``dim``, by the first migration


class Linked(Struct, frozen=True, array_like=True):
    """A row, as far as links go: numbers, but for times. The columns of ``linked_call``."""

    id: int
    conversation: int | None
    follows: int | None
    continues: int | None
    project: int | None
    key: int | None
    user: int | None
    session: int | None
    trace: int | None
    agent: int | None
    client: str | None
    system_version: int | None
    started_at_us: int
    latency_us: int | None
    status: int
    request_digest: int | None
    upstream: int | None
    endpoint: int | None
    retried: int | None

    @property
    def ended_at_us(self) -> int:
        """When its last byte came; when it was accepted, if that is not known."""
        return self.started_at_us + (self.latency_us or 0)


_known = itemgetter(*(WRITTEN.index(name) if name in WRITTEN else -1 for name in Linked.__struct_fields__))


def linked(row: Sequence[Any]) -> Linked:
    """A new row, the values of ``rows.WRITTEN``, before it is linked."""
    return Linked(*_known((*row, None)))  # what is found later is the last of these


def likeliest(own: Linked, candidates: Iterable[Linked], continued: Callable[[Linked], bool]) -> Linked | None:
    """The call that a request continues, out of those with the answer that it repeats; None when it cannot be told.

    ``continued``: whether something follows a call already; asked only when several could be meant.
    """
    fit = [row for row in candidates if may_precede(own, row)]
    for name in _NAMES:
        same = [row for row in fit if getattr(row, name) == getattr(own, name)]
        fit = same or fit
    if len({row.conversation for row in fit}) > 1:
        fit = [row for row in fit if not continued(row)]
    if len({row.conversation for row in fit}) != 1:
        return None
    return max(fit, key=lambda row: (row.started_at_us, row.id))


def may_precede(own: Linked, row: Linked) -> bool:
    """Whether an answer was there when the request was made, for the same project, key, user and session."""
    return (
        row.id != own.id
        and row.conversation is not None
        and row.started_at_us < own.started_at_us
        and row.ended_at_us <= own.started_at_us + _SLACK_US
        and (row.project, row.key) == (own.project, own.key)
        and not _differ(row.user, own.user)
        and not _differ(row.session, own.session)
    )


def _differ(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one != other


def is_same_request(own: Linked, row: Linked) -> bool:
    """Whether a call asked the same before, the same way, and was over when this one was made."""
    return (
        may_precede(own, row)
        and row.request_digest == own.request_digest
        and (row.upstream, row.endpoint) == (own.upstream, own.endpoint)
        and own.started_at_us - row.started_at_us <= _REPEATED_WITHIN_US
    )


def is_same_asker(own: Linked, row: Linked) -> bool:
    """Of first requests, many people's are the same: only somebody who is named asks again, or who got no answer."""
    named = (own.user, own.session) == (row.user, row.session) and (own.user is not None or own.session is not None)
    return named or (row.status != OK and row.retried is None and (own.user, own.session) == (row.user, row.session))
