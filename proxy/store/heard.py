"""What a store takes of an event: the struct that it says, every text and number within bounds. Pure.

Events come from applications and browsers by way of a journal: whatever they hold, what comes out here
can be written. What is no event of its kind comes to nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from ..records import Event, EventKind, evolve
from .judgements import AuditSaid, FeedbackSaid, Given, NoteSaid, TagSaid, TagsSaid, Target, ViewSaid

Said = FeedbackSaid | NoteSaid | TagsSaid | TagSaid | ViewSaid | AuditSaid

NAME_CHARS = 100  #: of a score, a view, a part, a category
AUTHOR_CHARS = 200
COMMENT_CHARS = 10_000  #: of a comment, a note, a description
EXPECTED_CHARS = 200_000  #: of a correction
PROJECT_CHARS = 200  #: of a project that somebody may speak of, as grants name them
ID_CHARS = 10_000  #: of an id that names a call, as long as rows hold them
QUERY_CHARS = 8_000
TAG_CHARS = 1_000  #: as clients may send them
SCORES = 64  #: of one event
PAIRS = 32  #: of metadata, of one event
_LATEST_US = 1 << 62

_STRUCTS: dict[str, type[Struct]] = {
    EventKind.FEEDBACK: FeedbackSaid,
    EventKind.NOTE: NoteSaid,
    EventKind.TAGS: TagsSaid,
    EventKind.TAG: TagSaid,
    EventKind.VIEW: ViewSaid,
    EventKind.AUDIT: AuditSaid,
}

_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")


def heard(event: Event) -> Said | None:
    """What it says, within bounds; None for what is no event of its kind."""
    return read(event.kind, event.said)


def read(kind: str, said: Any) -> Said | None:
    """The same, of what was stored of it."""
    struct = _STRUCTS.get(kind)
    if struct is None:
        return None
    try:
        return _within(msgspec.convert(said, struct))  # type: ignore[arg-type]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def moment(at_us: int) -> int:
    """A time that can be written."""
    return max(0, min(at_us, _LATEST_US))


def text(value: str, chars: int) -> str:
    """At most so many characters, all of which can be written."""
    if len(value) > chars:
        value = value[: chars - 1] + "…"
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def author(name: str) -> str:
    """Who said it."""
    return text(name, AUTHOR_CHARS) or "unknown"


def _within(said: Said) -> Said:
    bounded: Callable[[Any], Said] = _BOUNDED[type(said)]
    return bounded(said)


def _feedback(said: FeedbackSaid) -> FeedbackSaid:
    return evolve(
        said,
        target=_target(said.target),
        part=text(said.part, NAME_CHARS),
        scores=tuple(_given(said.scores)),
        comment=_maybe(said.comment, COMMENT_CHARS),
        expected=_maybe(said.expected, EXPECTED_CHARS),
        tags=_tags(said.tags),
        metadata=dict(_pairs(said.metadata)),
        projects=None if said.projects is None else tuple(text(name, PROJECT_CHARS) for name in said.projects),
    )


def _target(target: Target) -> Target:
    ids = (_maybe(value, ID_CHARS) or None for value in (target.call, target.response_id, target.request_id))
    return Target(**dict(zip(Target.__struct_fields__, ids, strict=True)))


def _given(scores: Iterable[Given]) -> Iterable[Given]:
    """The last of each name; numbers that are none are left out."""
    last = {text(given.name.strip(), NAME_CHARS): given for given in scores}
    for name, given in list(last.items())[:SCORES]:
        value = _value(given.value)
        if name and (value is not None or given.value is None):
            yield Given(name=name, value=value, comment=_maybe(given.comment, COMMENT_CHARS))


def _value(value: bool | float | str | None) -> bool | float | str | None:
    if isinstance(value, str):
        return text(value, NAME_CHARS) or None
    if value is None or isinstance(value, bool):
        return value
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    found = dict.fromkeys(text(tag.strip(), TAG_CHARS) for tag in tags)
    return tuple(tag for tag in found if tag)[:SCORES]


def _pairs(metadata: dict[str, str]) -> Iterable[tuple[str, str]]:
    for key, value in list(metadata.items())[:PAIRS]:
        yield text(key, TAG_CHARS), text(value, TAG_CHARS)


def _maybe(value: str | None, chars: int) -> str | None:
    return None if value is None else text(value, chars)


def _note(said: NoteSaid) -> NoteSaid:
    return NoteSaid(call=text(said.call, ID_CHARS), text=text(said.text, COMMENT_CHARS), note=_maybe(said.note, 100))


def _tagging(said: TagsSaid) -> TagsSaid:
    return TagsSaid(call=text(said.call, ID_CHARS), add=_tags(said.add), remove=_tags(said.remove))


def _tag(said: TagSaid) -> TagSaid:
    return TagSaid(
        name=text(said.name.strip(), TAG_CHARS),
        color=said.color
        if _COLOR.fullmatch(said.color)
        else "",  # it stands in pictures, where a url() would be fetched
        description=text(said.description, COMMENT_CHARS),
        renamed=_maybe(said.renamed and said.renamed.strip(), TAG_CHARS) or None,
        deleted=said.deleted,
    )


def _view(said: ViewSaid) -> ViewSaid:
    return ViewSaid(
        name=text(said.name.strip(), NAME_CHARS),
        page=text(said.page, NAME_CHARS),
        query=text(said.query, QUERY_CHARS),
        view=_maybe(said.view, 100),
        deleted=said.deleted,
    )


def _audit(said: AuditSaid) -> AuditSaid:
    return AuditSaid(
        action=text(said.action, NAME_CHARS),
        target=text(said.target, QUERY_CHARS),
        project=text(said.project, NAME_CHARS),
        status=max(0, min(said.status, 999)),
    )


_BOUNDED: dict[type, Callable[[Any], Said]] = {
    FeedbackSaid: _feedback,
    NoteSaid: _note,
    TagsSaid: _tagging,
    TagSaid: _tag,
    ViewSaid: _view,
    AuditSaid: _audit,
}
