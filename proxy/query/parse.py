"""From a filter as people write it to a tree, whichever form it has.

There are two: SQL's words (``sql.py``), and a short one for typing (``short.py``). A filter is in
SQL's words when, outside double quotes, it holds a comparison sign that does not stand right
behind a colon, a bracket, a text in single quotes, or a field followed by ``is in not like ilike
between has match``; everything else is in the short form. So ``status = 'ok'`` and ``model in
('a', 'b')`` are SQL, and ``cost:>1`` and ``refund policy`` are short.
"""

from __future__ import annotations

import re
from datetime import UTC, tzinfo

from ..errors import QueryError
from .fields import FIELDS, KEYED
from .tree import Filter
from .values import Viewer

MAX_LENGTH = 4000  #: characters of a filter

_HALF = re.compile(r"[\ud800-\udfff]")  # what does not decode stands in the command line as such
_QUOTED = re.compile(r'"[^"]*"')
_SIGN = re.compile(r"(?<!:)[=<>](?<!:[<>]=)|[()]|(?<!\S)'[^']*'(?!\S)")
_KEYED = "|".join(name for name, field in FIELDS.items() if field.kind in KEYED)
_PLAIN = "|".join(name for name, field in FIELDS.items() if field.kind not in KEYED)
_WORD = re.compile(
    rf'\b(?:{_PLAIN}|(?:{_KEYED})\.(?:\w+|""))\s+(?:is|in|not|like|ilike|between|has|match)\b', re.IGNORECASE
)


def parse_filter(text: str, zone: tzinfo = UTC, now_us: int | None = None) -> Filter:
    """Read a filter; dates and times without an offset are in ``zone``, and ``now_us`` is now (µs since 1970).

    In the tree, times are µs since 1970, ids canonical UUIDs, all else as written. Raises
    ``QueryError`` with the column, counted from 1, and what to write instead.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(f"a filter has at most {MAX_LENGTH} characters, this one has {len(text)}")
    if (half := _HALF.search(text)) is not None:
        raise QueryError("a filter is text in UTF-8; here is a byte or half a character that is none", half.start() + 1)
    if not text.strip():
        raise QueryError("the filter is empty: write one such as status:error, or status != 'ok'", 1)
    viewer = Viewer(zone, now_us)
    if is_sql(text):
        from .sql import read_sql

        return read_sql(text, viewer)
    from .short import read_short

    return read_short(text, viewer)


def is_sql(text: str) -> bool:
    """Whether a filter is in SQL's words."""
    bare = _QUOTED.sub('""', text)
    return bool(_SIGN.search(bare) or _WORD.search(bare))
