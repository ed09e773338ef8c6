"""Tags that people put on conversations or take off them, and metadata that comes with feedback.

They are kept beside the rows, because rows are written anew: when a call ends, or is derived from its
bodies again. A row holds both, so lists, filters, reports and ``posting`` need to know of nothing else.
Calls that come to a conversation later, and conversations that become one, are brought in line at the
end of the transaction; what concerns many calls is done in bounded steps.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

import orjson

from ....records import Call, evolve
from ...judgements import TagSaid
from .. import rows
from ..queries import QUERIES

AT_ONCE = 250  #: rows that one step changes
CHANGES = 1_000  #: of tags on all calls: older ones are forgotten when calls are derived anew
_TAG = rows.KINDS["tags"]

_WATCH = """
CREATE TEMP TABLE IF NOT EXISTS tagged_call (id INTEGER PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS tagged_move (id INTEGER PRIMARY KEY, old INTEGER, new INTEGER, UNIQUE (old, new));
CREATE TEMP TRIGGER IF NOT EXISTS call_comes AFTER INSERT ON main.call WHEN new.conversation IS NOT NULL
BEGIN
    INSERT OR IGNORE INTO tagged_call SELECT new.id FROM tagging WHERE owner = new.conversation LIMIT 1;
END;
CREATE TEMP TRIGGER IF NOT EXISTS call_moves AFTER UPDATE OF conversation ON main.call
WHEN new.conversation IS NOT NULL AND new.conversation IS NOT old.conversation
BEGIN
    INSERT OR IGNORE INTO tagged_call SELECT new.id FROM tagging WHERE owner = new.conversation LIMIT 1;
    INSERT OR IGNORE INTO tagged_move (old, new)
    SELECT coalesce(old.conversation, old.id), new.conversation FROM tagging
    WHERE owner = coalesce(old.conversation, old.id) AND owner <> new.conversation LIMIT 1;
END;
"""

Text = Callable[[int, str], int]
Change = tuple[str, str | None]  #: a tag, and what it is called since; None: nothing


class Tagging:
    """Of one writing connection; ``touch`` gives a row a new rev. All in a transaction."""

    def __init__(self, connection: sqlite3.Connection, text: Text, touch: Callable[[int, int], None]) -> None:
        self._main = connection
        self._text = text
        self._touch = touch
        self._used: bool | None = None  #: whether anything is kept beside the rows; None: to be found out
        connection.executescript(_WATCH)

    def forget(self) -> None:
        """What is remembered may have been rolled back."""
        self._used = None

    # --- what is said -------------------------------------------------------------------------------

    def put(self, call: int, add: Iterable[str], remove: Iterable[str], now_us: int) -> None:
        """Tags on all calls of a call's conversation, or off them."""
        owner = self._owner(call)
        for tags, on in ((remove, 0), (add, 1)):
            for tag in tags:
                self._main.execute(QUERIES["put_tagging"], (owner, self._text(_TAG, tag), on))
        self._main.execute(QUERIES["bound_tagging"], (owner, rows.TAGS))
        self._used = None
        self._begin(owner)
        self._bring_in_line(call, now_us)

    def attach(self, call: int, metadata: Mapping[str, str], now_us: int) -> None:
        """More metadata of one call."""
        fitted = {rows.metadata_key(key): rows.fit(value) for key, value in metadata.items()}
        merged = dict(islice((self._added(call) | fitted).items(), rows.METADATA_PAIRS))
        self._main.execute(QUERIES["put_added"], (call, orjson.dumps(merged).decode()))
        self._used = None
        self._bring_in_line(call, now_us)

    def define(self, said: TagSaid) -> None:
        """What a tag is; or it is renamed, or deleted, on all calls that there are."""
        if not said.name:
            return
        tag = self._text(_TAG, said.name)
        if not said.deleted and said.renamed is None:
            self._main.execute(QUERIES["put_tag"], (tag, said.color, said.description))
            return
        renamed = None if said.deleted or said.renamed is None else self._text(_TAG, said.renamed)
        if renamed != tag:
            self._change(tag, renamed, said)

    def _change(self, tag: int, renamed: int | None, said: TagSaid) -> None:
        if renamed is not None:
            self._main.execute(QUERIES["rename_tag"], (renamed, tag))
            if said.color or said.description:
                self._main.execute(QUERIES["put_tag"], (renamed, said.color, said.description))
            self._main.execute(QUERIES["rename_tagging"], (renamed, tag))
        self._main.execute(QUERIES["drop_tag"], (tag,))
        self._main.execute(QUERIES["drop_taggings"], (tag,))
        self._main.execute(QUERIES["add_tag_change"], (tag, renamed))
        self._main.execute(QUERIES["bound_tag_changes"], (CHANGES,))
        self._used = None

    # --- rows ---------------------------------------------------------------------------------------

    def kept(self, row_id: int, call: Call) -> Call:
        """A call that is written anew, with what people have added to it; its metadata and tags in their bounds."""
        if not self._is_used():
            return call
        tags = self._tagged(self._owner(row_id), self._as_called_now(row_id, call.tags))
        return evolve(call, tags=tags, metadata=self._attached(row_id, call.metadata))

    def settle(self, now_us: int) -> bool:
        """At the end of a transaction: calls that came to conversations, and conversations that became one.

        Whether that has left something to do.
        """
        if not self._is_used():
            return False
        moves = self._main.execute(QUERIES["tagged_moves"]).fetchall()
        for old, new in moves:
            self._main.execute(QUERIES["join_taggings"], (new, old))
            self._main.execute(QUERIES["drop_owner"], (old,))
            self._begin(new)
        for (row_id,) in self._main.execute(QUERIES["tagged_calls"]).fetchall():
            self._bring_in_line(row_id, now_us)
        self._main.execute(QUERIES["forget_tagged_moves"])
        self._main.execute(QUERIES["forget_tagged_calls"])
        return bool(moves)

    def step(self, now_us: int) -> bool:
        """Change some more of the rows that are due; whether others are left."""
        if not self._is_used():
            return False
        return self._retag(now_us) or self._rename(now_us)

    def _retag(self, now_us: int) -> bool:
        row = self._main.execute(QUERIES["retagging"]).fetchone()
        if row is None:
            return False
        owner, after = row
        found = self._main.execute(QUERIES["calls_of_owner"], (owner, after, AT_ONCE)).fetchall()
        for (call,) in found:
            self._bring_in_line(call, now_us)
        if len(found) < AT_ONCE:
            self._main.execute(QUERIES["end_retagging"], (owner,))
        else:
            self._main.execute(QUERIES["begin_retagging"], (owner, found[-1][0]))
        return True

    def _rename(self, now_us: int) -> bool:
        row = self._main.execute(QUERIES["due_tag_change"]).fetchone()
        if row is None:
            return False
        change, tag, upto, old, new = row
        found = self._main.execute(QUERIES["calls_with_tag"], (tag, upto, AT_ONCE)).fetchall()
        for (call,) in found:
            self._bring_in_line(call, now_us, [(old, new)])
        if len(found) < AT_ONCE:
            self._main.execute(QUERIES["end_tag_change"], (change,))
        return True

    def _bring_in_line(self, row_id: int, now_us: int, changes: Sequence[Change] = ()) -> None:
        row = self._main.execute(QUERIES["tagged_row"], (row_id,)).fetchone()
        if row is None:
            return
        metadata, tags = orjson.loads(row[0] or "{}"), orjson.loads(row[1] or "[]")
        now_tags = self._tagged(self._owner(row_id), _changed(tags, changes))
        now_metadata = self._attached(row_id, metadata)
        if (list(now_tags), list(now_metadata.items())) == (tags, list(metadata.items())):
            return
        self._main.execute(QUERIES["set_tagged_row"], (_document(now_metadata), _document(now_tags), row_id))
        before, now = rows.postings(metadata, tags), rows.postings(now_metadata, now_tags)
        self._main.executemany(QUERIES["drop_posting"], [(self._text(*each), row_id) for each in before - now])
        self._main.executemany(QUERIES["add_posting"], [(self._text(*each), row_id) for each in now - before])
        self._touch(row_id, now_us)

    # --- what is kept beside them -------------------------------------------------------------------

    def _is_used(self) -> bool:
        if self._used is None:
            self._used = bool(self._main.execute(QUERIES["is_tagging_used"]).fetchone()[0])
        return self._used

    def _owner(self, row_id: int) -> int:
        row = self._main.execute(QUERIES["owner"], (row_id,)).fetchone()
        return row_id if row is None else int(row[0])

    def _begin(self, owner: int) -> None:
        self._main.execute(QUERIES["begin_retagging"], (owner, 0))

    def _as_called_now(self, row_id: int, tags: Sequence[str]) -> Sequence[str]:
        """Tags that a call brought, under their names of today."""
        return _changed(tags, self._main.execute(QUERIES["tag_changes"], (row_id,)).fetchall()) if tags else tags

    def _tagged(self, owner: int, tags: Sequence[str]) -> tuple[str, ...]:
        taggings = self._main.execute(QUERIES["taggings"], (owner,)).fetchall()
        on = [tag for tag, put in taggings if put]
        known = {tag for tag, _ in taggings}
        brought = [tag for tag in tags if tag not in known]
        return (*brought[: rows.TAGS - len(on)], *on)

    def _attached(self, row_id: int, metadata: Mapping[str, str]) -> dict[str, str]:
        added = self._added(row_id)
        if not added:
            return dict(metadata)
        room = rows.METADATA_PAIRS - len(added)
        return dict(islice(((key, value) for key, value in metadata.items() if key not in added), room)) | added

    def _added(self, row_id: int) -> dict[str, str]:
        row = self._main.execute(QUERIES["added"], (row_id,)).fetchone()
        found: dict[str, str] = orjson.loads(row[0]) if row else {}
        return found


def _changed(tags: Sequence[str], changes: Iterable[Change]) -> list[str]:
    found = list(tags)
    for old, new in changes:
        if old in found:
            found = [tag if tag != old else new for tag in found if tag != old or new is not None]  # type: ignore[misc]
    return list(dict.fromkeys(found))


def _document(value: Sequence[str] | Mapping[str, str]) -> str | None:
    return orjson.dumps(value).decode() if value else None
