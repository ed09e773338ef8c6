"""Events become rows, in the transaction that writes calls and positions: each once.

An event that speaks of a call which is not stored waits for it. Whatever an event holds has been
brought within bounds (``store.heard``): nothing here fails for what somebody said.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson
from msgspec import to_builtins

from ....records import Call, Event, Score
from ... import heard
from ...heard import Said
from ...judgements import AuditSaid, FeedbackSaid, NoteSaid, TagSaid, TagsSaid, Target, ViewSaid
from .. import names, rows
from ..queries import QUERIES
from .opinions import Opinions
from .tagging import Tagging
from .targets import Pending, sought

log = logging.getLogger(__name__)

HISTORY = 500  #: events of one call
NOTES = 500  #: of one call
VIEWS = 1_000
_TOLD = 1_000_000  # ids of events that are remembered
_AUTHOR = rows.KINDS["author"]
_OF_A_CALL = (FeedbackSaid, NoteSaid, TagsSaid)
_STEPS = 2  # of what is due, with each batch that brings events

Word = tuple[bytes, int, str, Said]  #: of an event: its id, when, who, what


class People:
    """Of one writing connection; ``text`` gives the number of a shared text, ``next_rev`` a new rev."""

    def __init__(
        self, connection: sqlite3.Connection, text: Callable[[int, str], int], next_rev: Callable[[], int]
    ) -> None:
        self._main = connection
        self._text = text
        self._next_rev = next_rev
        self._opinions = Opinions(connection, text)
        self._pending = Pending(connection)
        self._tagging = Tagging(connection, text, self._touch)
        self.behind = True  #: there may be more to do in ``step``

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._pending.forget()
        self._tagging.forget()
        self.behind = True

    def kept(self, row_id: int, call: Call) -> Call:
        """A call that is written anew, with what people have added to it."""
        return self._tagging.kept(row_id, call)

    def arrived(self, calls: Sequence[tuple[int, Call]], now_us: int) -> None:
        """Rows that have just been written, with their numbers: what waited for them is said."""
        self._name(calls)
        ids = ((call.id, call.response_id, call.request_id) for _, call in calls)
        for event in self._pending.called(ids):
            self._say_at_last(event, now_us)

    def renamed(self, row_id: int, call: Call) -> None:
        """A row was derived anew."""
        self._name([(row_id, call)])

    def _name(self, calls: Iterable[tuple[int, Call]]) -> None:
        names.add(self._main, ((row_id, (call.response_id, call.request_id)) for row_id, call in calls))

    def tell(self, scores: Iterable[Score], events: Sequence[Event], now_us: int) -> None:
        """What comes with a batch, after its calls."""
        for score in scores:
            self._score(score, now_us)
        for event in events:
            self._tell(event, now_us)
        if events:
            self._main.execute(QUERIES["bound_told"], (_TOLD,))
            self._pending.bound(now_us)
            for _ in range(_STEPS):
                self.step(now_us)

    def settle(self, now_us: int) -> None:
        """At the end of each transaction that writes rows."""
        self.behind = self._tagging.settle(now_us) or self.behind

    def step(self, now_us: int) -> bool:
        """Do some of what is left to do; whether there was anything."""
        self.behind = self._tagging.step(now_us)
        return self.behind

    # --- one event ----------------------------------------------------------------------------------

    def _tell(self, event: Event, now_us: int) -> None:
        if not self._main.execute(QUERIES["add_told"], (event.id,)).rowcount:
            return
        said = heard.heard(event)
        if said is None:
            log.warning("an event of kind %r says nothing that can be understood; it is left out", event.kind)
            return
        word = (event.id, heard.moment(event.at_us), heard.author(event.author), said)
        if isinstance(said, _OF_A_CALL):
            self._say_or_wait(word, event.kind, now_us)
        else:
            self._say_generally(word, event.kind)

    def _say_or_wait(self, word: Word, kind: str, now_us: int) -> None:
        said = word[3]
        target, projects = _meant(said)
        call = sought(self._main, target, projects)
        document = orjson.dumps(to_builtins(said)).decode()
        event = self._add(word, call, kind, document)
        if call is not None:
            self._say(call, word, now_us)
        elif not self._pending.add(event, target, len(document), now_us):
            self._main.execute(QUERIES["drop_event"], (event,))

    def _say_at_last(self, event: int, now_us: int) -> None:
        uuid, at_us, who, kind, document = self._main.execute(QUERIES["event"], (event,)).fetchone()
        said = heard.read(kind, orjson.loads(document))
        if said is None:
            return
        call = sought(self._main, *_meant(said))
        if call is not None:
            self._pending.end(event)
            self._main.execute(QUERIES["set_event_call"], (call, event))
            self._say(call, (uuid, at_us, who, said), now_us)

    def _add(self, word: Word, call: int | None, kind: str, document: str) -> int:
        uuid, at_us, who, _ = word
        row = (uuid, call, at_us, self._text(_AUTHOR, who), kind, document)
        added = self._main.execute(QUERIES["add_event"], row).lastrowid
        assert added is not None
        return added

    # --- of a call ----------------------------------------------------------------------------------

    def _say(self, call: int, word: Word, now_us: int) -> None:
        uuid, at_us, who, said = word
        match said:
            case FeedbackSaid():
                self._opinions.feedback(call, who, said, at_us)
                if said.tags:
                    self._tagging.put(call, said.tags, (), now_us)
                if said.metadata:
                    self._tagging.attach(call, said.metadata, now_us)
            case NoteSaid():
                self._note(call, (uuid, at_us, who), said)
            case TagsSaid():
                self._tagging.put(call, said.add, said.remove, now_us)
        self._main.execute(QUERIES["bound_events"], (call, HISTORY))
        self._touch(call, now_us)
        self.behind = True

    def _note(self, call: int, said_by: tuple[bytes, int, str], said: NoteSaid) -> None:
        uuid, at_us, who = said_by
        if said.note is None:
            if said.text and self._main.execute(QUERIES["count_notes"], (call,)).fetchone()[0] < NOTES:
                self._main.execute(QUERIES["put_note"], (uuid, call, self._text(_AUTHOR, who), said.text, at_us))
        elif (changed := _uuid(said.note)) is not None:
            if said.text:
                self._main.execute(QUERIES["change_note"], (said.text, changed, call))
            else:
                self._main.execute(QUERIES["drop_note"], (changed, call))

    def _score(self, score: Score, now_us: int) -> None:
        row = self._main.execute(QUERIES["call_of"], (rows.uuid_bytes(score.call),)).fetchone()
        if row is not None and self._opinions.score(row[0], score):
            self._touch(row[0], now_us)

    def _touch(self, call: int, now_us: int) -> None:
        self._main.execute(QUERIES["touch"], (self._next_rev(), now_us, call))

    # --- of none ------------------------------------------------------------------------------------

    def _say_generally(self, word: Word, kind: str) -> None:
        uuid, at_us, who, said = word
        match said:
            case AuditSaid():
                row = (uuid, at_us, who, said.action, said.target, said.project, said.status)
                self._main.execute(QUERIES["add_audit"], row)
                return
            case ViewSaid():
                self._view((uuid, at_us, who), said)
            case TagSaid():
                self._tagging.define(said)
                self.behind = True
        self._add(word, None, kind, orjson.dumps(to_builtins(said)).decode())

    def _view(self, said_by: tuple[bytes, int, str], said: ViewSaid) -> None:
        uuid, at_us, who = said_by
        meant = uuid if said.view is None else _uuid(said.view)
        if meant is None:
            return
        if said.deleted:
            self._main.execute(QUERIES["drop_view"], (meant,))
        elif said.name and self._main.execute(QUERIES["count_views"]).fetchone()[0] < VIEWS:
            row: tuple[Any, ...] = (meant, said.name, said.page, said.query, self._text(_AUTHOR, who), at_us)
            self._main.execute(QUERIES["put_view"], row)


def _meant(said: Said) -> tuple[Target, Sequence[str] | None]:
    """The call that is spoken of, and of which projects it may be."""
    match said:
        case FeedbackSaid():
            return said.target, said.projects
        case NoteSaid() | TagsSaid():
            return Target(call=said.call), None
    return Target(), None


def _uuid(text: str) -> bytes | None:
    try:
        return UUID(text).bytes
    except ValueError:
        return None
