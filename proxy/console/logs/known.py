"""Keys and values that calls have, for the completion of filters: of the newest calls, the commonest first."""

from __future__ import annotations

from collections import Counter

from ...query.fields import GROUPS
from ...store.base import Layout
from ..figures import count
from ..narrowed import Narrowed
from ..scoped import ScopedReader
from .chart import newest
from .completion import Asked, Wanted
from .facets import COUNTED

NEWEST = 200  #: calls whose metadata is looked through
VALUES = 100

Known = list[tuple[str, str]]


async def known_to(reader: ScopedReader, wanted: Asked) -> Known:
    """What can stand at a place of a filter, and in how many calls it does; none where anything can."""
    if wanted.field == "scores" and wanted.wanted is Wanted.KEY:
        return [(name, "") for name in await reader.score_names()]
    if wanted.field == "metadata":
        return await _metadata(reader, wanted)
    if wanted.wanted is not Wanted.VALUE:
        return []
    if wanted.field == "tags":
        return [(tag.name, tag.description or f"{count(tag.calls)} calls") for tag in await reader.tags()]
    return await _values(reader, wanted.field) if wanted.field in GROUPS else []


async def _values(reader: ScopedReader, name: str) -> Known:
    layout = Layout(order="calls", limit=VALUES, percentiles=False)
    rows = await reader.report((name,), await newest(reader, Narrowed(), COUNTED), layout=layout)
    return [(row.group[0], f"{count(row.calls)} calls") for row in rows if row.group[0] is not None and not row.merged]


async def _metadata(reader: ScopedReader, wanted: Asked) -> Known:
    calls = await reader.find(limit=NEWEST)
    if wanted.wanted is Wanted.KEY:
        found = Counter(key for call in calls for key in call.metadata)
    else:
        found = Counter(call.metadata[wanted.key] for call in calls if wanted.key in call.metadata)
    return [(text, f"{number} of the last {len(calls)} calls") for text, number in found.most_common(VALUES)]
