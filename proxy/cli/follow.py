"""What is new in the store since one last looked, by ``rev``: it grows with every insert and update,
also of calls that began long ago, which neither ids nor times do.

Calls that were told already are not told again: not when their costs are worked out anew, nor when
a later call brings the result of a tool that they asked for.
"""

from __future__ import annotations

from ..query.tree import Filter
from ..records import Call, Status
from ..store.base import Reader

_BATCH = 500


class Follower:
    """Reads the last calls, then whatever changes. One reader, one place."""

    def __init__(self, reader: Reader, where: Filter | None = None, *, every: bool = False) -> None:
        self._reader = reader
        self._where = where
        self._every = every  #: excluded calls too
        self._rev = 0
        self._seen: dict[str, int] = {}

    async def last(self, limit: int) -> list[Call]:
        """The newest calls, oldest first; ``changes`` goes on from here."""
        self._rev = await self._reader.latest_rev()
        calls = (await self._reader.find(self._where, limit=limit, every=self._every))[::-1] if limit else []
        self._seen = {call.id: call.rev for call in calls}  # may be newer than the rev read before them
        return calls

    async def changes(self) -> list[Call]:
        """Calls that came or ended since, oldest change first; at most some hundred at a time."""
        newest = await self._reader.latest_rev(at_once=False)
        if newest <= self._rev:
            return []
        calls = await self._reader.find(self._where, after_rev=self._rev, limit=_BATCH, every=self._every, news=True)
        fresh = [call for call in calls if self._seen.get(call.id, 0) < call.rev]
        if len(calls) == _BATCH:
            self._rev = calls[-1].rev
        else:
            self._rev, self._seen = max([newest, *(call.rev for call in calls)]), {}
        return fresh

    async def ended(self, calls: list[Call]) -> list[Call]:
        """Those that do not run any more: with a filter, a call's last change may not be among the changes."""
        return [call for call in calls if (await self._reader.call(call.id)).status != Status.RUNNING]
