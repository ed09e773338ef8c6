"""What people said, read back. Plain functions on a connection, each within one consistent moment."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from msgspec import Struct

from ....errors import CallNotFound
from ...judgements import (
    AuditRow,
    Comment,
    Correction,
    Happened,
    Judgements,
    Note,
    Opinion,
    Score,
    TagInfo,
    View,
)
from .. import rows
from ..files import transaction
from ..find import uuid_of
from ..queries import QUERIES
from .opinions import COMMENT

_NAME, _TAG = rows.KINDS["score"], rows.KINDS["tags"]
_AT_ONCE = 500  # bound values of one statement
_NAMES = 1_000  # that are looked at
_COUNTED = 10_000  # uses of a name, of many
_HISTORY = 500
_TAGS = 5_000
_NOT_SHOWN = ("target", "projects", "call")  # of an event: it stands with its call


def judgements(connection: sqlite3.Connection, call_id: str) -> Judgements:
    """See ``Reader.judgements``."""
    with transaction(connection, "DEFERRED"):
        row = connection.execute(QUERIES["call_of"], (uuid_of(call_id),)).fetchone()
        if row is None:
            raise CallNotFound(f"no call has the id {call_id}")
        own = (row[0],)
        remarks = connection.execute(QUERIES["remarks_of"], own).fetchall()
        return Judgements(
            opinions=tuple(map(_opinion, connection.execute(QUERIES["opinions_of"], own))),
            corrections=tuple(_correction(*row) for kind, *row in remarks if kind != COMMENT),
            comments=tuple(_comment(*row) for kind, *row in remarks if kind == COMMENT),
            notes=tuple(_note(*row) for row in connection.execute(QUERIES["notes_of"], own)),
            history=tuple(_happened(*row) for row in connection.execute(QUERIES["history_of"], (*own, _HISTORY))),
            trace_scores=dict(connection.execute(QUERIES["trace_scores"], own).fetchall()),
        )


def _opinion(row: tuple[Any, ...]) -> Opinion:
    uuid, part, name, author, value, label, truth, comment, at_us = row
    return Opinion(
        call=rows.uuid_text(uuid),
        part=part,
        name=name,
        author=author,
        value=value,
        label=label,
        truth=bool(truth),
        comment=comment,
        at_us=at_us,
    )


def _correction(uuid: bytes, part: str, author: str, text: str, at_us: int) -> Correction:
    return Correction(call=rows.uuid_text(uuid), part=part, author=author, expected=text, at_us=at_us)


def _comment(uuid: bytes, part: str, author: str, text: str, at_us: int) -> Comment:
    return Comment(call=rows.uuid_text(uuid), part=part, author=author, text=text, at_us=at_us)


def _note(uuid: bytes, call: bytes, author: str, text: str, at_us: int) -> Note:
    return Note(id=rows.uuid_text(uuid), call=rows.uuid_text(call), author=author, text=text, at_us=at_us)


def _happened(at_us: int, author: str, kind: str, document: str) -> Happened:
    said = {name: value for name, value in orjson.loads(document).items() if name not in _NOT_SHOWN}
    return Happened(at_us=at_us, author=author, kind=kind, said=said)


# --- lists -------------------------------------------------------------------------------------------


class _Word(Struct, frozen=True):
    author: int
    value: float | None
    label: str | None
    at_us: int


def scores(connection: sqlite3.Connection, call_ids: Sequence[str]) -> dict[str, list[Score]]:
    """See ``Reader.scores``."""
    found: dict[str, list[Score]] = {}
    with transaction(connection, "DEFERRED"):
        for start in range(0, len(call_ids), _AT_ONCE):
            for call_id, names in _words(connection, call_ids[start : start + _AT_ONCE]).items():
                found[call_id] = sorted(
                    (_score(name, words) for name, words in names.items()), key=lambda score: score.name
                )
    return found


def _words(connection: sqlite3.Connection, call_ids: Sequence[str]) -> dict[str, dict[str, list[_Word]]]:
    uuids = [uuid_of(call_id) for call_id in call_ids]
    found: defaultdict[str, defaultdict[str, list[_Word]]] = defaultdict(lambda: defaultdict(list))
    statement = f"{QUERIES['words_of_calls']} ({', '.join('?' * len(uuids))}) AND part <> 'trace'"
    for uuid, name, author, value, label, at_us in connection.execute(statement, uuids):
        found[rows.uuid_text(uuid)][name].append(_Word(author, value, label, at_us))
    return found  # type: ignore[return-value]


def _score(name: str, words: Iterable[_Word]) -> Score:
    by_author: defaultdict[int, list[float]] = defaultdict(list)
    authors, labels = set(), []
    for word in words:
        authors.add(word.author)
        if word.value is not None:
            by_author[word.author].append(word.value)
        else:
            labels.append((word.at_us, word.label))
    means = [_mean(values) for values in by_author.values()]
    last = max(labels, key=lambda label: label[0])[1] if labels else None
    return Score(name=name, mean=_mean(means) if means else None, label=last, authors=len(authors))


def _mean(values: Sequence[float]) -> float:
    return sum(value / len(values) for value in values)  # a sum of large values could be none


def score_names(connection: sqlite3.Connection) -> list[str]:
    """See ``Reader.score_names``."""
    found = connection.execute(QUERIES["score_names"], (_NAME, _NAMES, _COUNTED)).fetchall()
    return [name for name, count in sorted(found, key=lambda row: (-row[1], row[0])) if count]


# --- tags, views, audit ------------------------------------------------------------------------------


def tags(connection: sqlite3.Connection) -> list[TagInfo]:
    """See ``Reader.tags``."""
    found = [
        TagInfo(name=name, color=color, description=description, calls=calls)
        for name, color, description, calls, is_defined in connection.execute(QUERIES["tags"], (_TAG, _TAGS))
        if calls or is_defined
    ]
    return sorted(found, key=lambda tag: (-tag.calls, tag.name))


def views(connection: sqlite3.Connection) -> list[View]:
    """See ``Reader.views``."""
    return [
        View(id=rows.uuid_text(uuid), name=name, page=page, query=query, author=author, at_us=at_us)
        for uuid, name, page, query, author, at_us in connection.execute(QUERIES["views"])
    ]


def audit(connection: sqlite3.Connection, before: int | None, limit: int) -> list[AuditRow]:
    """See ``Reader.audit``."""
    found = connection.execute(QUERIES["audit"], (before, before, max(0, limit)))
    return [AuditRow(**dict(zip(AuditRow.__struct_fields__, row, strict=True))) for row in found]
