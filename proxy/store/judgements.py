"""What people say of calls, as values: scores, reviews, corrections, notes, tags, saved views, and who looked at what.

What comes in is an ``Event``, whose ``said`` is one of the ``…Said`` structs here, as plain values. What is
read are the other structs. Every author has one word on each name of each part of a call: said again,
it replaces the first, and what was said before stays in the history.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

REVIEW = "review"  #: name of the score that a reviewer gives: 1 is good, 0 is bad
WHOLE = ""  #: part: the call itself
TRACE = "trace"  #: part: all of its conversation


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which call is meant: one of these is given. The last call that fits, of the author's projects."""

    call: str | None = None  #: its id
    response_id: str | None = None  #: as the provider gave it in the answer
    request_id: str | None = None  #: as the provider gave it in a header of the answer


class Given(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One score: a truth, a number, or a category."""

    name: str
    value: bool | int | float | str | None = None  #: None takes it back
    comment: str | None = None


class FeedbackSaid(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``EventKind.FEEDBACK``."""

    target: Target
    part: str = WHOLE  #: ``tool:<tool_call_id>``, ``document:<index>``, ``trace``
    scores: tuple[Given, ...] = ()
    comment: str | None = None
    expected: str | None = None  #: the answer that should have been given; "" takes it back
    tags: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    projects: tuple[str, ...] | None = None  #: those that the author may speak of; None: all


class NoteSaid(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``EventKind.NOTE``; the note's id is the event's, or the one it changes. An empty text deletes it."""

    call: str
    text: str
    note: str | None = None


class TagsSaid(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``EventKind.TAGS``: on all calls of the conversation."""

    call: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class TagSaid(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``EventKind.TAG``."""

    name: str
    color: str = ""
    description: str = ""
    renamed: str | None = None  #: the tag gets this name, on all calls
    deleted: bool = False  #: …or is taken off all calls


class ViewSaid(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``EventKind.VIEW``; its id is the event's, or the one it changes."""

    name: str
    page: str  #: path: ``/`` or ``/review``
    query: str  #: of the address, without ``?``
    view: str | None = None
    deleted: bool = False


class AuditSaid(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``EventKind.AUDIT``."""

    action: str  #: view search export login rerun …
    target: str = ""  #: a call's id, or the path and query
    project: str = ""
    status: int = 200  #: of the answer


# --- as they are read ------------------------------------------------------------------------------


class Opinion(Struct, frozen=True, kw_only=True):
    """One author's word on one name."""

    call: str
    part: str
    name: str
    author: str
    value: float | None  #: of a category, None
    label: str | None  #: of a category
    truth: bool  #: ``value`` is 0 or 1 and means no or yes
    comment: str | None
    at_us: int


class Correction(Struct, frozen=True, kw_only=True):
    """The answer that an author would have given."""

    call: str
    part: str
    author: str
    expected: str
    at_us: int


class Comment(Struct, frozen=True, kw_only=True):
    """A comment that came with feedback."""

    call: str
    part: str
    author: str
    text: str
    at_us: int


class Note(Struct, frozen=True, kw_only=True):
    """An internal note on a conversation."""

    id: str
    call: str
    author: str
    text: str
    at_us: int


class Happened(Struct, frozen=True, kw_only=True):
    """An event of the history of a call."""

    at_us: int
    author: str
    kind: str
    said: dict[str, Any]


class Judgements(Struct, frozen=True, kw_only=True):
    """All that was said of one call, the newest first; notes, tags and history are its conversation's."""

    opinions: tuple[Opinion, ...] = ()
    corrections: tuple[Correction, ...] = ()
    comments: tuple[Comment, ...] = ()
    notes: tuple[Note, ...] = ()
    history: tuple[Happened, ...] = ()
    trace_scores: dict[str, float] = {}  #: name → mean over the calls of the conversation


class Score(Struct, frozen=True, kw_only=True):
    """What authors think on average, for a column of a list."""

    name: str
    mean: float | None  #: over authors; None when all gave categories
    label: str | None  #: the last category
    authors: int


class TagInfo(Struct, frozen=True, kw_only=True):
    """A tag."""

    name: str
    color: str
    description: str
    calls: int


class View(Struct, frozen=True, kw_only=True):
    """A saved view."""

    id: str
    name: str
    page: str
    query: str
    author: str
    at_us: int


class AuditRow(Struct, frozen=True, kw_only=True):
    """Who did what."""

    id: int
    at_us: int
    who: str
    action: str
    target: str
    project: str
    status: int
